"""What a plugin author uses: the values an analysis receives and returns, and its base class.

This module holds values and protocols only: it reads nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bidsface.errors import PluginError, RecipeError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Entities = Mapping[str, str]


class AnalysisOptions(BaseModel):
    """Base of an analysis's options; unknown keys are refused and values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid in a named space.

    Attributes
    ----------
    shape : tuple of int
        Number of voxels along the three axes.
    affine : ndarray of shape (4, 4)
        Voxel indices to mm.
    space : str or None
        BIDS ``space-`` label; None for native space without an entity.
    resolution : str or None
        BIDS ``res-`` label.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    space: str | None = None
    resolution: str | None = None


@dataclass(frozen=True, eq=False)
class Voxels:
    """The voxels that the columns of a data matrix stand for.

    Attributes
    ----------
    grid : Grid
    index : ndarray of shape (n_voxels,)
        Flat (C-order) indices into ``grid``.
    """

    grid: Grid
    index: NDArray[np.intp]

    def take(self, columns: NDArray[np.intp]) -> Voxels:
        """Return the voxels of some columns."""
        return Voxels(self.grid, self.index[columns])


@dataclass(frozen=True, eq=False)
class Region:
    """A named region of interest.

    Attributes
    ----------
    name : str
        Letters and digits only; becomes the ``label-`` entity and ``roi_name``.
    columns : ndarray of shape (n_region_voxels,)
        Ascending positions within the participant's ``voxels``.
    description : str
        Where the region comes from, for the methods section and the sidecar.
    """

    name: str
    columns: NDArray[np.intp]
    description: str


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled samples of one participant and task.

    Attributes
    ----------
    name : str
        Name of the kind of samples in the recipe, such as ``averages``.
    X : ndarray of shape (n_samples, n_voxels), float32
        Cleaned data; columns are the participant's ``voxels``.
    table : DataFrame of n_samples rows
        ``trial_type`` (str, the class after merging), ``event`` (int, unique per participant: the
        exchangeable unit), ``block`` (str, unique per run: the cross-validation unit),
        ``session`` (str or ``n/a``), ``run_index`` (str), ``onset`` and ``time`` (s; of the event
        and of the sample).
    motion : ndarray of shape (n_samples, n_parameters)
        Head-motion parameters of the same samples, filtered like the data but never regressed out.
    entities : mapping
        BIDS entities that all pooled runs have in common (``ses``, ``task``, ``acq``, ``space``,
        ...), without ``sub``; results made of these samples carry them in their names.
    """

    name: str
    X: NDArray[np.float32]
    table: pd.DataFrame
    motion: NDArray[np.float64]
    entities: Entities


class Participant(Protocol):
    """One participant's data, read when first asked for."""

    @property
    def label(self) -> str:
        """Participant label without ``sub-``."""

    @property
    def tasks(self) -> Sequence[str]:
        """Tasks with usable runs."""

    @property
    def voxels(self) -> Voxels:
        """Union of the regions; columns of every ``Samples.X``."""

    @property
    def regions(self) -> Mapping[str, Region]:
        """Regions of the recipe that this participant has, in recipe order."""

    @property
    def sample_names(self) -> Sequence[str]:
        """Names of the kinds of samples in the recipe."""

    @property
    def background(self) -> NDArray[np.float32]:
        """Mean functional image on ``voxels.grid``, to draw maps on; read when first asked for."""

    def samples(self, name: str, task: str) -> Samples:
        """Return one kind of samples of a task; raises InputError if the task has none."""

    def select_regions(self, names: Sequence[str]) -> Sequence[Region]:
        """Return regions by name or by the name of a region set; an empty list means all."""

    def map(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Sequence[Outcome]:
        """Apply a function to items, such as regions, on this participant's share of processors."""


@dataclass(frozen=True)
class Column:
    """Description of one column of a table, as it stands in the JSON sidecar."""

    description: str
    units: str | None = None
    levels: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Map:
    """A statistical map over voxels.

    Attributes
    ----------
    stat : str
        Value of the ``stat-`` entity: effect, variance, t, z, p, accuracy, weight, pattern, ...
    values : ndarray of shape (n_voxels,) or (n_voxels, n_volumes)
    voxels : Voxels
        Where the values lie; everywhere else the image is 0.
    entities : mapping
        Further entities, such as ``task``, ``ses``, ``label`` and ``contrast``.
    description : str
    volumes : sequence of str
        Names of the volumes of a 4-D map.
    units : str or None
    """

    stat: str
    values: NDArray[Any]
    voxels: Voxels
    entities: Entities
    description: str
    volumes: Sequence[str] = ()
    units: str | None = None


@dataclass(frozen=True, eq=False)
class Parcellation:
    """Masks of regions, which may overlap: written as one ``_mask`` image per region."""

    voxels: Voxels
    regions: Sequence[Region]


@dataclass(frozen=True, eq=False)
class Table:
    """A long-format table.

    Attributes
    ----------
    suffix : str
        ``scores``, ``predictions``, ``permutations``, ``embedding``, ...
    frame : DataFrame
        Missing values are written ``n/a``.
    columns : mapping of str to Column
        A description of every column of ``frame``.
    entities : mapping
    description : str
    """

    suffix: str
    frame: pd.DataFrame
    columns: Mapping[str, Column]
    entities: Entities
    description: str


@dataclass(frozen=True, eq=False)
class Matrix:
    """A labelled square matrix (confusion matrix, RDM), written as ``_relmat.tsv``."""

    frame: pd.DataFrame
    entities: Entities
    description: str


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of the report.

    Attributes
    ----------
    name : str
        Letters and digits; distinguishes the figures of one analysis in the file name.
    draw : matplotlib.figure.Figure
        Rendered as SVG by the writer.
    title, caption : str
    entities : mapping
    """

    name: str
    draw: Any
    title: str
    caption: str
    entities: Entities


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model: arrays by name and what is needed to apply them."""

    arrays: Mapping[str, NDArray[Any]]
    info: Mapping[str, Any]
    entities: Entities
    description: str


@dataclass(frozen=True, eq=False)
class Summary:
    """A small table for people, shown in the report and not written as a data file."""

    title: str
    frame: pd.DataFrame
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Results:
    """Everything an analysis found, in memory.

    Attributes
    ----------
    methods : str
        Text for the methods section, citing keys of ``citations`` as ``[@key]``.
    citations : mapping of str to str
        BibTeX entries by key.
    highlights : sequence of str
        One-sentence findings for the top of the report.
    warnings : sequence of str
        What the reader of the report has to know: data left out, doubtful input.
    """

    maps: Sequence[Map] = ()
    parcellations: Sequence[Parcellation] = ()
    tables: Sequence[Table] = ()
    matrices: Sequence[Matrix] = ()
    figures: Sequence[Figure] = ()
    models: Sequence[Model] = ()
    summaries: Sequence[Summary] = ()
    methods: str = ""
    citations: Mapping[str, str] = field(default_factory=dict)
    highlights: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse one string in place of a list, which would become a line per letter."""
        for name in ("highlights", "warnings"):
            if isinstance(getattr(self, name), str):
                raise PluginError(f"Results.{name} must be a list of sentences, found one string")


@dataclass(frozen=True, eq=False)
class StoredTable:
    """A table of an earlier result, read back when its ``load`` is called."""

    suffix: str
    entities: Entities
    load: Callable[[], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map of an earlier result; ``load`` returns values of shape (n_voxels[, n_volumes])."""

    stat: str
    entities: Entities
    load: Callable[[Voxels], NDArray[np.float64]]
    grid: Callable[[], Grid]


@dataclass(frozen=True, eq=False)
class ParticipantResults:
    """What one analysis wrote for one participant, as the group level sees it."""

    label: str
    tables: Sequence[StoredTable] = ()
    maps: Sequence[StoredMap] = ()

    def table(self, suffix: str) -> pd.DataFrame:
        """Return all tables of a suffix, of all tasks and sessions; empty when there is none.

        Which rows come from which task stands in the ``entities`` of ``tables`` only.
        """
        frames = [stored.load() for stored in self.tables if stored.suffix == suffix]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def refuse_unknown(key: str, names: str | Sequence[str], known: Collection[str]) -> None:
    """Raise RecipeError for names that a recipe does not have; ``key`` is the option's."""
    for name in (names,) if isinstance(names, str) else names:
        if name not in known:
            raise RecipeError(f"{key}: no {name!r} in the recipe; there is: {', '.join(known)}")


class Analysis(ABC):
    """Base class of an analysis.

    Parameters
    ----------
    label : str
        Name of the analysis in the recipe (the ``desc-`` entity of its output).
    random_seed : int
        Seed of the whole run; use ``seed`` to derive streams from it.
    estimators : mapping of str to callable or None
        Factories of scikit-learn compatible estimators, of all plugins, by name.
    """

    name: ClassVar[str]
    """Name by which recipes ask for this analysis."""

    Options: ClassVar[type[AnalysisOptions]]
    """Options that a recipe may set."""

    def __init__(
        self,
        label: str,
        random_seed: int,
        estimators: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.label = label
        self.random_seed = random_seed
        self.estimators = dict(estimators or {})

    def seed(self, *keys: str) -> np.random.SeedSequence:
        """Derive an independent random stream from names, whatever the order of the work."""
        digest = hashlib.sha256("\0".join((self.label, *keys)).encode()).digest()
        words = tuple(int(word) for word in np.frombuffer(digest[:16], dtype="<u4"))
        return np.random.SeedSequence(self.random_seed, spawn_key=words)

    def check(self, options: Any, samples: Collection[str], regions: Collection[str]) -> None:
        """Refuse, before any data are read, options that cannot work with a recipe.

        Options called ``samples`` and ``regions`` are compared with what the recipe has; extend
        this to check more.

        Parameters
        ----------
        options : Options
        samples : collection of str
            Kinds of samples of the recipe.
        regions : collection of str
            Its regions and region sets.

        Raises
        ------
        RecipeError
            With the key, and what would be allowed.
        """
        for key, known in (("samples", samples), ("regions", regions)):
            refuse_unknown(key, getattr(options, key, ()), known)

    @abstractmethod
    def participant(self, participant: Participant, options: Any) -> Results:
        """Analyse one participant."""

    @abstractmethod
    def group(self, participants: Sequence[ParticipantResults], options: Any) -> Results:
        """Analyse the group from what the participant level wrote."""
