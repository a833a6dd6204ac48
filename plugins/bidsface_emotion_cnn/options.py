"""Options of the analysis ``emotion-cnn``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from bidsface.analysis import AnalysisOptions
from bidsface_emotion_cnn.label_options import LabelOptions
from bidsface_emotion_cnn.training_options import TrainingOptions

Scheme = Literal["runs", "participants", "random"]
Edge = Annotated[int, Field(ge=1)]
DEFAULT_FOLDS: Mapping[Scheme, int | None] = {"runs": None, "participants": None, "random": 1}
FEWEST_FOLDS: Mapping[Scheme, int] = {"runs": 2, "participants": 2, "random": 1}


class OcclusionOptions(AnalysisOptions):
    """Which parts of the brain the networks' answers depend on."""

    box: Edge | tuple[Edge, Edge, Edge] = 2
    """Edge of the box that is emptied (voxels)."""
    stride: Edge | tuple[Edge, Edge, Edge] = 2
    """Distance between boxes (voxels)."""
    pad: bool = True
    """Add boxes that stick out at the far end, so that every voxel is covered; the published
    occlusion did not.
    """
    per_class: int = Field(default=10, ge=1)
    """Held-out volumes of every class that are occluded, spread over participants: so many that
    maps show, and so many that drops are tested in. A volume may be both.
    """
    above: float = Field(default=0.8, ge=0, lt=1)
    """Maps show only volumes that the network classifies correctly with more than this
    probability; those that drops are tested in are drawn whatever it says of them.
    """
    top: int = Field(default=500, ge=1)
    """Positions of every class that are shown, named and embedded."""
    gradients: tuple[Literal["integrated-gradients", "smooth-grad"], ...] = (
        "integrated-gradients",
        "smooth-grad",
    )
    """Maps of gradients beside occlusion."""


class EmbeddingOptions(AnalysisOptions):
    """The positions that matter, by where they lie and by what they do."""

    n_neighbors: int = Field(default=30, ge=2)
    """Neighbours of UMAP."""
    min_dist: float = Field(default=0.1, ge=0, le=1)
    """Smallest distance between points of UMAP."""
    seeds: int = Field(default=10, ge=2)
    """Seeds over which the stability of clusters is measured; it is compared with that of twice as
    many sets of maps that have nothing in common, and tested from 10 on.
    """
    coordinates: Mapping[str, tuple[float, float]] = {}
    """Valence and arousal (-1 to 1) of classes, in place of the conventional ones."""


class EmotionOptions(AnalysisOptions):
    """Which volumes, which network, how it is tested, and what is asked of it."""

    tasks: tuple[str, ...] = ()
    """Tasks whose volumes are used, pooled; empty means every task."""
    labels: LabelOptions = LabelOptions()
    """Where the class of a volume comes from."""
    smoothing_fwhm: float | None = Field(default=None, gt=0)
    """Full width at half maximum of a Gaussian that smooths the images (mm); null for none."""
    high_pass: float | None = Field(default=128.0, gt=0)
    """Period (s) from which on slow drifts are removed from every run; null for none."""
    confounds: bool = True
    """Remove the confounds that `cleaning.confounds` of the recipe chooses."""
    scaling: Literal["both", "voxel", "volume", "none"] = "both"
    """`voxel`: z-scores over the time of a run, which takes away how a brain looks; `volume`: every
    volume to mean 0 and standard deviation 1, as published; `both`: one after the other.
    """
    downsample: int = Field(default=1, ge=1)
    """Average blocks of this many voxels along each axis before the network sees them."""
    training: TrainingOptions = TrainingOptions()
    """The network and how it is trained."""
    schemes: tuple[Scheme, ...] = ("runs", "participants", "random")
    """What is held out: whole runs (segments of a film) of all participants, all runs of some
    participants, or volumes at random, which is what was published and leaks. Maps come from the
    networks of the first one. Schemes that are impossible with the runs and participants that there
    are, such as `runs` with fewer than three, are left out, and the report says so.
    """
    folds: Mapping[Scheme, int | None] = DEFAULT_FOLDS
    """Number of folds of schemes; null for one per run, for five groups of participants or as many
    as there are participants, or for one random split. Schemes that are not named keep their
    default.
    """
    test_share: float = Field(default=0.2, gt=0, lt=1)
    """Part of the volumes that a random split holds out."""
    leak: float = Field(default=0.05, ge=0, le=1)
    """Difference in accuracy from which the leakage audit warns, if its confidence interval over
    participants is above 0, too; with one participant it never does.
    """
    baseline: bool = True
    """Logistic regression on the same volumes and folds."""
    shifts: int = Field(default=1000, ge=1)
    """Circular shifts of the labels of runs that test whether accuracy is above chance."""
    bootstraps: int = Field(default=2000, ge=100)
    """Resamples of participants for confidence intervals."""
    regions: tuple[str, ...] = ()
    """Regions of the recipe that are emptied one by one, too; empty means all."""
    occlusion: OcclusionOptions | None = OcclusionOptions()
    """Null for none."""
    atlas: str | None = None
    """Path of an image of labels that names places; null for the structures of most participants,
    where fMRIPrep wrote segmentations.
    """
    atlas_labels: str | None = None
    """Table with columns `index` and `name` for it; null for the one beside the image."""
    embedding: EmbeddingOptions | None = EmbeddingOptions()
    """Null for none; needs `occlusion`."""
    layers: tuple[str, ...] = ("pool",)
    """Layers of the network whose dissimilarities of classes, for held-out runs, are compared with
    those of the brain in the other runs, such as `pool`, `ds1.bn3` or `fc`. Tested with the scheme
    `runs` only.
    """
    permutations: int = Field(default=10_000, ge=1)
    """Orders of the classes that the comparison of network and brain draws; all where there are
    fewer.
    """

    @field_validator("schemes")
    @classmethod
    def _distinct(cls, schemes: tuple[Scheme, ...]) -> tuple[Scheme, ...]:
        if not schemes or len(set(schemes)) < len(schemes):
            raise ValueError("wants one or more schemes, each once")
        return schemes

    @field_validator("folds")
    @classmethod
    def _of_all_schemes(cls, folds: Mapping[Scheme, int | None]) -> Mapping[Scheme, int | None]:
        for scheme, number in folds.items():
            if number is not None and number < FEWEST_FOLDS[scheme]:
                raise ValueError(f"{scheme} wants {FEWEST_FOLDS[scheme]} or more, found {number}")
        return {**DEFAULT_FOLDS, **folds}
