"""Recipes: what to read, how to clean it, which samples and regions, which analyses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator

OVERVIEW = "data"
"""Name of the host's own unit of work, which no analysis may take: what was read, cleaned and
excluded, and the regions."""

Label = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]+$")]
EntityName = Annotated[str, Field(pattern=r"^[a-zA-Z]+$")]
FilterLabel = str | StrictInt | None
FilterLabels = FilterLabel | Annotated[tuple[FilterLabel, ...], Field(min_length=1)]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused and values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Images(Section):
    """Images that exist already, one per trial, such as contrast images: they are the samples."""

    derivatives: str = Field(min_length=1)
    """Name of the data set that holds them: `--derivatives NAME=PATH`, else
    `BIDS_DIR/derivatives/NAME`, else `BIDS_DIR` itself if it is a derivative data set.
    """
    filters: Mapping[EntityName, FilterLabels] = {}
    """Which of its images, by entity, `suffix` or `extension`: a label, a list of labels, null
    (images without the entity) or `*` (images with it). `suffix` is `statmap` unless given.
    """
    entity: EntityName = "contrast"
    """Entity that tells the images of a run apart."""
    event_column: str | None = None
    """Column of events.tsv that names the image of every event, as the label of `entity`. Unset:
    images and events go together in order.
    """
    events: bool = True
    """Whether images belong to events of events.tsv. False: the label of `entity` is the class of
    an image (`image` where it has none), and no events.tsv is read.
    """

    @property
    def wanted(self) -> dict[str, tuple[FilterLabel, ...]]:
        """The labels that images may have, by entity, `suffix` or `extension`."""
        filters = {"suffix": "statmap", **self.filters}
        return {
            key: labels if isinstance(labels, tuple) else (labels,)
            for key, labels in filters.items()
        }

    @model_validator(mode="after")
    def _columns_need_events(self) -> Images:
        if self.event_column is not None and not self.events:
            raise ValueError("event_column has no meaning where events is false")
        return self


class Inputs(Section):
    """Which of the preprocessed runs to use, or which images in their place."""

    tasks: tuple[str, ...] = ()
    """Task labels; empty means every task."""
    space: str | None = None
    """`space-` label, or `native` for files without one. Unset: MNI152NLin2009cAsym if there is
    such a file, else native, else an error that lists the spaces.
    """
    resolution: str | None = None
    """`res-` label; needed only where a space comes in several resolutions."""
    images: Images | None = None
    """Images that exist already, to be used in place of preprocessed runs."""


class Cleaning(Section):
    """What is removed from every run before samples are taken.

    Images that exist already (`inputs.images`) can be smoothed and standardized, and are not unless
    the recipe says so; nothing else is done to them.
    """

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
    optional: bool = False
    """Use runs without an event of a class, or without events.tsv, too: for analyses whose labels
    come from elsewhere, such as annotations of a film.
    """


class SampleSpec(Section):
    """One kind of samples."""

    kind: Literal["volumes", "average", "lsa", "lss", "image"]
    """`volumes`: every volume of an event is a sample; `average`: their mean is; `lsa` and `lss`:
    one GLM estimate per event (least-squares all, least-squares separate); `image`: every image of
    `inputs.images`, which know no other kind.
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


NO_SERIES: Mapping[str, Any] = {
    "detrend": False,
    "high_pass": None,
    "confounds": "none",
    "drop_volumes": 0,
    "fd_threshold": None,
    "max_mean_fd": None,
    "max_censored": Cleaning.model_fields["max_censored"].default,
}
"""Cleaning of images that exist already, as far as it takes a time series."""

UNTOUCHED: Mapping[str, Any] = {**NO_SERIES, "standardize": False}
"""Cleaning of images that exist already where a recipe says nothing."""


class Recipe(Section):
    """A whole recipe."""

    name: str
    """Name of the recipe."""
    description: str
    """One sentence that `--list-recipes` shows."""
    inputs: Inputs = Inputs()
    cleaning: Cleaning = Cleaning()
    classes: Classes = Classes()
    samples: Mapping[Label, SampleSpec] = {}
    """Kinds of samples by name; none where no analysis works on samples."""
    regions: Mapping[Label, RegionSpec] = {}
    """Regions by name (letters and digits); none where no analysis works in regions."""
    region_sets: Mapping[str, tuple[str, ...]] = {}
    """Names for lists of regions, which analyses may use in place of region names."""
    analyses: Mapping[Label, AnalysisSpec]
    """Analyses by name; the name is the `desc-` entity of the output."""

    @model_validator(mode="before")
    @classmethod
    def _leave_images_untouched(cls, content: Any) -> Any:
        """Make what a recipe of images does not say about cleaning mean that nothing is done."""
        if not isinstance(content, Mapping):
            return content
        inputs, cleaning = content.get("inputs"), content.get("cleaning", {})
        if isinstance(inputs, Mapping):
            images = inputs.get("images")
        else:
            images = getattr(inputs, "images", None)
        if images is None or not isinstance(cleaning, Mapping):
            return content
        return {**content, "cleaning": {**UNTOUCHED, **cleaning}}

    def conflicts(self) -> Iterator[tuple[str, str]]:
        """Yield keys that cannot stand beside `inputs.images`, or not without, and why."""
        images = self.inputs.images is not None
        for key, off in NO_SERIES.items() if images else ():
            value = getattr(self.cleaning, key)
            if value != off and not (key == "confounds" and not value):
                yield f"cleaning.{key}", "the images of inputs.images are no time series"
        for name, spec in self.samples.items():
            if images and spec.kind != "image":
                yield f"samples.{name}.kind", f"{spec.kind} takes BOLD runs, not inputs.images"
            elif spec.kind == "image" and not images:
                yield f"samples.{name}.kind", "image takes inputs.images, which is not given"
            elif images and len(spec.model_fields_set) > 1:
                option = min(spec.model_fields_set - {"kind"})
                yield f"samples.{name}.{option}", "has no meaning for the kind image"
