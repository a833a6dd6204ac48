"""Options of the analysis ``glm``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from bidsface.analysis import AnalysisOptions

Label = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]+$")]
Correction = Literal["fdr", "bonferroni", "cluster", "permutation"]


class GlmOptions(AnalysisOptions):
    """How responses are modelled, compared, and tested over participants."""

    tasks: tuple[str, ...] = ()
    """Tasks to model; empty means every task."""
    conditions: tuple[str, ...] = ()
    """Conditions of interest, of which the default contrasts are made; empty means all classes of
    the recipe. Every other kind of event is modelled, too.
    """
    contrasts: Mapping[Label, str] = {}
    """Contrasts by name (letters and digits): sums of conditions with weights, such as
    `joy - anger` or `(joy + anger + disgust) / 3`. Empty means one contrast per condition, and
    `all`, their mean.
    """
    other_events: bool = True
    """Model events that belong to no class (catch trials, say) as regressors of no interest."""
    hrf: Literal["glover", "spm"] = "glover"
    """Haemodynamic response function."""
    derivatives: Literal["none", "time", "dispersion"] = "none"
    """Further regressors per condition: the response function's derivative in time, or that and the
    one by its dispersion. Contrasts know them as `joy_derivative` and `joy_dispersion`.
    """
    drift: Literal["cosine", "polynomial", "none"] = "cosine"
    """Regressors of slow drifts."""
    high_pass: float = Field(default=128.0, gt=0)
    """Cut-off period of the cosine drifts (s)."""
    drift_order: int = Field(default=1, ge=0)
    """Order of the polynomial drifts."""
    confounds: bool = True
    """Regress out the confounds that the recipe's cleaning chooses."""
    noise_model: Literal["ar1", "ols"] = "ar1"
    """Autocorrelation of the noise: autoregressive of order 1, or none (ordinary least squares)."""
    smoothing_fwhm: float | None = Field(default=8.0, gt=0)
    """Full width at half maximum (mm) of the Gaussian filter that smooths the volumes; null for
    none.
    """
    scaling: Literal["voxel", "grand", "none"] = "voxel"
    """Units of the effects: percent of the voxel's mean over time, percent of the brain's mean over
    time and voxels, or those of the image.
    """
    precision_weighted: bool = False
    """Weight runs by the precision of their estimates, rather than equally."""
    p_maps: bool = False
    """Write maps of p for participants, too."""
    covariates: tuple[str, ...] = ()
    """Numeric columns of participants.tsv that the group model holds, centred; each is tested, and
    its map is called CONTRASTCovariate.
    """
    two_sided: bool = True
    """Test for effects of both signs, rather than for positive ones alone."""
    corrections: tuple[Correction, ...] = ("fdr",)
    """Corrections for the number of voxels: `fdr` (Benjamini and Hochberg), `bonferroni`, `cluster`
    (an uncorrected threshold and a smallest cluster, which controls no error rate) and
    `permutation` (largest t of every sign flip or permutation of participants). The overlap of
    tasks is that of the maps which the first of them leaves.
    """
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Corrected p below which a voxel is shown, listed and counted."""
    cluster_forming_p: float = Field(default=0.001, gt=0, lt=1)
    """Uncorrected p below which voxels form clusters (`cluster`, `permutation_clusters`)."""
    cluster_extent: int = Field(default=10, ge=1)
    """Voxels that a cluster must have (`cluster`)."""
    n_permutations: int = Field(default=1000, ge=1)
    """Sign flips (mean) or permutations (covariates) of `permutation`."""
    permutation_clusters: bool = False
    """Test the size of clusters by the same permutations, too; takes several times as long."""
    peak_distance: float = Field(default=8.0, gt=0)
    """Smallest distance between the peaks of one cluster that the cluster table lists (mm)."""
    atlas: str | None = None
    """Image of labels, in the space of the data, that names peaks; null for the structure that
    FreeSurfer found there in most participants.
    """
    atlas_lookup: str | None = None
    """Table (.tsv) with columns `index` and `name`; null for the file beside the atlas that has its
    name and ends in `.tsv`.
    """
    leave_one_out: bool = True
    """Write t maps of the group without each participant, which functional regions need."""
