"""The analysis ``rsa``: how alike the patterns of classes are, and which model this fits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
    RunSize,
    refuse_unknown,
)
from bidsface.errors import RecipeError
from bidsface.files import located
from bidsface_emotion_cnn.label_options import LabelOptions, annotation_paths, check_labels

Label = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]+$")]
Numbers = float | tuple[float, ...]


class FeatureModel(AnalysisOptions):
    """A model RDM of Euclidean distances between numbers that every class has."""

    columns: Mapping[str, Numbers]
    """One number per class, or a list of them, such as its valence and arousal:
    `{joy: [0.8, 0.5], fear: [-0.6, 0.7], ...}`.
    """

    @model_validator(mode="after")
    def _check(self) -> FeatureModel:
        sizes = {name: len(values_of(own)) for name, own in self.columns.items()}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            raise ValueError(f"columns: every class needs as many numbers, found {sizes}")
        return self


class CategoryModel(AnalysisOptions):
    """A model RDM of groups of classes: 0 within a group, 1 between groups."""

    classes: Annotated[tuple[tuple[str, ...], ...], Field(min_length=2)]
    """Groups, such as `[[joy, love], [anger, fear, sadness]]`."""

    @model_validator(mode="after")
    def _check(self) -> CategoryModel:
        names = [name for group in self.classes for name in group]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"classes: {', '.join(twice)} cannot be in two groups")
        return self


class RsaSearchlight(AnalysisOptions):
    """Spheres in which RDMs are compared with the models."""

    region: str | None = None
    """Region whose voxels are the centres and the content of spheres; unset means the largest."""
    radius: float = Field(8.0, gt=0)
    """Radius of the spheres (mm)."""


class RsaLabels(LabelOptions):
    """Labels of volumes, as of `emotion-cnn`, and what is removed from their runs."""

    smoothing_fwhm: float | None = Field(default=None, gt=0)
    """Full width at half maximum of a Gaussian that smooths the images (mm); null for none."""
    high_pass: float | None = Field(default=128.0, gt=0)
    """Period (s) from which on slow drifts are removed from every run; null for none."""
    confounds: bool = True
    """Remove the confounds that `cleaning.confounds` of the recipe chooses."""


class RsaOptions(AnalysisOptions):
    """Which patterns are compared, how, and with which models."""

    tasks: tuple[str, ...] = ()
    """Tasks to analyse, each by itself; empty means every task."""
    samples: str | None = None
    """Kind of samples, by its name in the recipe; unset means the first one."""
    labels: RsaLabels | None = None
    """Labels of volumes, which are the samples then: the options `labels` of `emotion-cnn`, such as
    `{source: annotations, files: ["bids::stimuli/annotations/*.csv"]}` for the emotions of a film.
    """
    regions: tuple[str, ...] = ()
    """Regions or region sets; empty means all regions."""
    classes: tuple[str, ...] = ()
    """Classes to use; empty means all."""
    standardize: Literal["task", "run", "none"] = "task"
    """Scale every voxel to mean 0 and standard deviation 1 over the samples of the task or of each
    run first, or not at all.
    """
    dissimilarity: Literal["correlation", "euclidean", "crossnobis"] = "correlation"
    """`correlation`: 1 - Pearson's r. `euclidean`: squared distance, divided by the number of
    voxels. `crossnobis`: the same, cross-validated over runs, which is 0 on average where patterns
    do not differ; it needs two runs with every pair of classes.
    """
    counts: Literal["equal", "all"] | None = None
    """Samples that patterns are the mean of: of every class as many as the smallest class has, from
    the same runs as far as possible (with `standardize: run` and for `crossnobis` in every run), or
    all. Noise alone makes the dissimilarities of classes depend on their numbers of samples, which
    then fit some models and not others. Unset means `all` for `crossnobis`, whose mean does not
    depend on them (orders of classes then hold their level nearly: of noise with 48 to 15 samples
    per class, p was at most 0.05 in 7.5 %), and else `equal`.
    """
    draws: int = Field(1, ge=1)
    """Times that the samples are drawn where classes have different numbers; the RDM is the mean.
    More of them use more of the samples, but then pairs of classes differ in how much noise they
    have, which the orders of a model's classes do not expect: with counts of 80 and 16 and ten
    draws, their p is at most 0.05 in 11 instead of 5 % of noise. Tests over participants hold.
    """
    noise: Literal["shrinkage", "diagonal", "none"] | None = None
    """Noise normalization of voxels from what samples differ within class and run: by a shrunken
    covariance matrix (in memory, as large as the samples of the region), by standard deviations
    (in a searchlight always these), or none. Unset means `shrinkage` for `crossnobis` and else
    `none`.
    """
    statistic: Literal["pearson", "spearman", "kendall", "cosine"] = "pearson"
    """Similarity of RDMs and models; `kendall` (tau-a) is fair to models with ties. `cosine` is for
    `crossnobis` only, as other dissimilarities are positive even of noise; it is above 0 for all
    models where classes differ in any way, so that only the orders of classes (`p_classes`) and
    comparisons of models tell a model from others.
    """
    models: Mapping[Label, str | FeatureModel | CategoryModel] = {}
    """Model RDMs by name (letters and digits): a TSV file of a matrix with names of classes as
    header and in the first column, by path or as `bids::stimuli/pixels.tsv`, which lies in the data
    set; or `{columns: {joy: [0.8, 0.5], ...}}`, numbers per class; or
    `{classes: [[joy, love], [anger, fear]]}`, groups of classes. Classes that are numbers stand in
    quotes: `"1"`. A model that lacks a class of a task is left out there.
    """
    partial: bool = False
    """Test every model also given all others, by partial correlation (`pearson`, `spearman`)."""
    permutations: int = Field(10_000, ge=1)
    """Orders of a model's classes to compare with: all that there are, where there are not more
    (5 classes: 120; 7: 5,040), else random ones.
    """
    bootstrap: int = Field(1000, ge=0)
    """Draws for the confidence intervals of a group; 0 for no intervals."""
    resample: Literal["both", "participants", "conditions"] = "both"
    """What is drawn: participants, classes or both, so that intervals hold for others of them.
    Classes are drawn where there are at least four.
    """
    searchlight: RsaSearchlight | None = None
    """RDMs of spheres around all voxels of a region: `{region: brain, radius: 8}`; `null` for
    none.
    """
    group_orders: Literal["own", "shared"] = "own"
    """Null hypothesis of the group's searchlight: every participant has an order of the classes of
    its own (no one's RDM has to do with the classes), or all share one (the model could be of any
    order of the classes; with 5 classes p is 1/120 at least).
    """

    @model_validator(mode="after")
    def _check(self) -> RsaOptions:
        if self.labels is not None and self.samples is not None:
            raise ValueError("labels: volumes are the samples then, so that samples is of no use")
        if self.partial and self.statistic not in ("pearson", "spearman"):
            raise ValueError(
                f"partial: partial correlations are pearson or spearman, found {self.statistic}"
            )
        if self.statistic == "cosine" and self.dissimilarity != "crossnobis":
            raise ValueError(
                f"statistic: cosine is for dissimilarity: crossnobis, found {self.dissimilarity}, "
                "which is positive even of noise, so that its cosine with every model is, too"
            )
        if self.partial and len(self.models) < 2:
            raise ValueError("partial: there have to be two models at least")
        if self.classes and len(set(self.classes)) < 3:
            raise ValueError("classes: at least three are needed")
        return self

    @property
    def equal(self) -> bool:
        """Whether equally many samples of every class are used, the default filled in."""
        if self.counts is not None:
            return self.counts == "equal"
        return self.dissimilarity != "crossnobis"

    @property
    def normalization(self) -> Literal["shrinkage", "diagonal", "none"]:
        """The noise normalization, the default filled in."""
        if self.noise is not None:
            return self.noise
        return "shrinkage" if self.dissimilarity == "crossnobis" else "none"


class Rsa(Analysis):
    """Representational similarity of classes in regions and spheres, compared with models."""

    name: ClassVar[str] = "rsa"
    Options: ClassVar[type[AnalysisOptions]] = RsaOptions
    needs_regions: ClassVar[bool] = True

    def time_series_needed(self, options: RsaOptions) -> bool:
        """Return whether volumes are labelled, which are those of runs."""
        return options.labels is not None

    def regions_used(self, options: RsaOptions) -> Sequence[str] | None:
        """Return the regions, and that of the searchlight; None for all."""
        light = options.searchlight
        if not options.regions or (light is not None and light.region is None):
            return None
        own = () if light is None or light.region is None else (light.region,)
        return list(dict.fromkeys((*options.regions, *own)))

    def files_used(self, options: RsaOptions) -> Sequence[Path]:
        """Return the files of models, and the observers'."""
        models = [model for model in options.models.values() if isinstance(model, str)]
        files = [located(path, self.bids_dir) for path in models]
        if options.labels is not None:
            files.extend(annotation_paths(options.labels, self.bids_dir))
        return files

    def check(
        self, options: RsaOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse names that do not exist, and files that cannot be read."""
        from bidsface_emotion_cnn.rsa_models import read_models

        if options.labels is not None:
            check_labels(options.labels, self.bids_dir)
        elif not samples:
            raise RecipeError(
                "rsa works on samples, but the recipe names no kind of them (key samples), nor "
                "does the analysis label volumes (option labels)"
            )
        refuse_unknown("samples", () if options.samples is None else options.samples, samples)
        refuse_unknown("regions", options.regions, regions)
        light = options.searchlight
        if light is not None and light.region is not None:
            refuse_unknown("searchlight.region", light.region, regions)
        read_models(options, self.bids_dir)

    def volumes_kept(self, options: RsaOptions, runs: Sequence[RunSize]) -> int:
        """Return how many labelled volumes there are at most; see `volume_counts`.

        They are held and not written, but estimates of disk count them as well.
        """
        from bidsface_emotion_cnn.volume_counts import most_volumes

        if options.labels is None:
            return 0
        # Every task is labelled by itself, with as many volumes per class.
        by_task: dict[str | None, list[RunSize]] = {}
        for run in runs:
            by_task.setdefault(run.entities.get("task"), []).append(run)
        return sum(
            most_volumes(own, options.labels, options.tasks, self.bids_dir)
            for own in by_task.values()
        )

    # The modules that do the work are imported when there is some: a run that finds everything up
    # to date has to answer at once.

    def participant(self, participant: Participant, options: RsaOptions) -> Results:
        """Compare a participant's classes; see `bidsface_emotion_cnn.rsa_participant`."""
        from bidsface_emotion_cnn.rsa_participant import rsa_participant

        return rsa_participant(
            participant,
            options,
            self.seed,
            self.bids_dir,
        )

    def group(self, participants: Sequence[ParticipantResults], options: RsaOptions) -> Results:
        """Average RDMs and test models over participants; see `bidsface_emotion_cnn.rsa_group`."""
        from bidsface_emotion_cnn.rsa_group import rsa_group

        return rsa_group(
            participants,
            options,
            lambda *keys: self.seed("group", *keys),
            self.map,
            self.bids_dir,
        )


def values_of(numbers: Numbers) -> tuple[float, ...]:
    """Return one or several numbers as a tuple."""
    return numbers if isinstance(numbers, tuple) else (numbers,)
