"""Recipes: what to read, how to clean it, which samples and regions, which analyses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

OVERVIEW = "data"
"""Name of the host's own unit of work, which no analysis may take: what was read, cleaned and
excluded, and the regions."""

Label = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]+$")]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused and values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Inputs(Section):
    """Which of the preprocessed runs to use."""

    tasks: tuple[str, ...] = ()
    """Task labels; empty means every task."""
    space: str | None = None
    """`space-` label, or `native` for files without one. Unset: MNI152NLin2009cAsym if there is
    such a file, else native, else an error that lists the spaces.
    """
    resolution: str | None = None
    """`res-` label; needed only where a space comes in several resolutions."""


class Cleaning(Section):
    """What is removed from every run before samples are taken."""

    detrend: bool = True
    """Remove a linear trend per run."""
    high_pass: float | None = Field(default=128.0, gt=0)
    """Cut-off period of the cosine high-pass filter (s); null for none."""
    confounds: Literal["motion6", "motion24", "none"] | tuple[str, ...] = "motion6"
    """Confounds to regress out: `motion6`, `motion24`, `none`, a list of column names, or a list of
    nilearn's strategies, each written `strategy:NAME` (such as `strategy:wm_csf`,
    `strategy:compcor`, `strategy:scrub`).
    """
    standardize: bool = True
    """Scale every voxel to mean 0 and standard deviation 1 per run."""
    smoothing_fwhm: float | None = Field(default=None, gt=0)
    """Full width at half maximum of a Gaussian filter (mm); null for none."""
    drop_volumes: int = Field(default=0, ge=0)
    """Volumes to drop at the start of every run, beside the non-steady-state ones that fMRIPrep
    marks; onsets stay as they are.
    """
    fd_threshold: float | None = Field(default=None, gt=0)
    """Volumes with a framewise displacement above this (mm) are censored; null for none."""
    max_mean_fd: float | None = Field(default=None, gt=0)
    """Runs with a mean framewise displacement above this (mm) are left out; null for none."""
    max_censored: float = Field(default=0.5, ge=0, le=1)
    """Runs that lose more than this fraction of their volumes to censoring are left out."""
    min_trials: int = Field(default=1, ge=1)
    """A run must keep this many trials of every class that it has, or it is left out."""


class Classes(Section):
    """How events become classes."""

    column: str = "trial_type"
    """Column of events.tsv that holds the class."""
    include: tuple[str, ...] = ()
    """Classes to keep (after merging); empty means all that are not excluded."""
    exclude: tuple[str, ...] = ("n/a", "rest", "fixation", "baseline")
    """Values that are not classes; compared without regard to case."""
    merge: Mapping[str, tuple[str, ...]] = {}
    """New class: the values that it is made of."""


class SampleSpec(Section):
    """One kind of samples."""

    kind: Literal["volumes", "average", "lsa", "lss"]
    """`volumes`: every volume of an event is a sample; `average`: their mean is; `lsa` and `lss`:
    one GLM estimate per event (least-squares all, least-squares separate).
    """
    shift: float = 5.0
    """Haemodynamic lag (s): the first volume of an event is the first one acquired at or after
    onset + shift (kinds `volumes` and `average`).
    """
    count: int | None = Field(default=None, ge=1)
    """Volumes per event; null for as many as the event's duration holds, at least one (kinds
    `volumes` and `average`).
    """
    hrf: Literal["glover", "spm"] = "glover"
    """Haemodynamic response function (kinds `lsa` and `lss`)."""


class RegionSpec(BaseModel):
    """A region: its source and the source's own options, which the source validates."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    source: str
    """Name of a region source, such as `brain-mask`, `grey-matter`, `segmentation`, `atlas`, `mask`
    or `spheres`.
    """
    optional: bool = False
    """Leave the region out, with a note, where a participant lacks the files for it."""
    otherwise: RegionSpec | None = None
    """What to make the region of, with a note, where a participant lacks the files for it: another
    source with its options.
    """

    @property
    def ways(self) -> tuple[RegionSpec, ...]:
        """The region as it is, and what it is made of where that fails, in order."""
        return (self,) if self.otherwise is None else (self, *self.otherwise.ways)

    @property
    def options(self) -> dict[str, Any]:
        """Options that are not the host's own."""
        return dict(self.model_extra or {})


class AnalysisSpec(BaseModel):
    """An analysis: its name and the analysis's own options, which the analysis validates."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    analysis: str
    """Name of an analysis that a plugin offers."""

    @property
    def options(self) -> dict[str, Any]:
        """Options that are not the host's own."""
        return dict(self.model_extra or {})


class Recipe(Section):
    """A whole recipe."""

    name: str
    """Name of the recipe."""
    description: str
    """One sentence that `--list-recipes` shows."""
    inputs: Inputs = Inputs()
    cleaning: Cleaning = Cleaning()
    classes: Classes = Classes()
    samples: Mapping[Label, SampleSpec]
    """Kinds of samples by name."""
    regions: Mapping[Label, RegionSpec]
    """Regions by name (letters and digits)."""
    region_sets: Mapping[str, tuple[str, ...]] = {}
    """Names for lists of regions, which analyses may use in place of region names."""
    analyses: Mapping[Label, AnalysisSpec]
    """Analyses by name; the name is the `desc-` entity of the output."""
