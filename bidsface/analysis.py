"""What a plugin author uses: the values an analysis receives and returns, and its base class.

This module holds values and protocols only: it reads nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bidsface.errors import RecipeError
from bidsface.geometry import Grid, Region, Voxels
from bidsface.results import (
    Column,
    Entities,
    Figure,
    Map,
    Matrix,
    Model,
    Parcellation,
    ParticipantResults,
    Results,
    StoredMap,
    StoredResults,
    StoredTable,
    Summary,
    Table,
)

__all__ = [
    "Analysis",
    "AnalysisOptions",
    "BoldRun",
    "Column",
    "Entities",
    "Figure",
    "Grid",
    "Map",
    "Matrix",
    "Model",
    "Parcellation",
    "Participant",
    "ParticipantResults",
    "Region",
    "Results",
    "Samples",
    "StoredMap",
    "StoredResults",
    "StoredTable",
    "Summary",
    "Table",
    "Voxels",
    "refuse_unknown",
]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class AnalysisOptions(BaseModel):
    """Base of an analysis's options; unknown keys are refused and values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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


@dataclass(frozen=True, eq=False)
class BoldRun:
    """One run of a participant, for models of the time series.

    Attributes
    ----------
    block : str
        Name of the run within its participant, such as ``ses-1_task-display_run-2``.
    entities : mapping
        BIDS entities for the names of results, without ``sub`` and ``desc``.
    repetition_time : float
        s.
    times : ndarray of shape (n_kept,)
        s; when the volumes that are neither dropped nor censored were acquired.
    events : DataFrame
        ``onset``, ``duration`` (s) and ``trial_type`` of the classes' events, by onset.
    others : DataFrame
        The same of further events that evoke responses but are not of a class (catch trials, say).
    confounds : DataFrame of n_kept rows
        Columns that the recipe's cleaning chooses; nothing is missing.
    load : callable
        ``load(fwhm)`` reads the run: (n_kept, n_voxels) float32, columns being the participant's
        ``brain``, smoothed with a Gaussian of that full width at half maximum (mm; None for none)
        and otherwise as fMRIPrep wrote it.
    """

    block: str
    entities: Entities
    repetition_time: float
    times: NDArray[np.float64]
    events: pd.DataFrame
    others: pd.DataFrame
    confounds: pd.DataFrame
    load: Callable[[float | None], NDArray[np.float32]]


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

    @property
    def brain(self) -> Voxels:
        """Voxels in the brain masks of all used runs (of the whole grid where there is no mask)."""

    @property
    def structures(self) -> NDArray[np.int32] | None:
        """FreeSurfer's index of every voxel of ``brain``; None without ``aparcaseg``."""

    def bold_runs(self, task: str) -> Sequence[BoldRun]:
        """Return the used runs of a task; raises InputError if the task has none."""

    def mean_displacement(self, task: str) -> float:
        """Return the mean framewise displacement (mm) of a task's used runs; NaN if not known."""

    def samples(self, name: str, task: str) -> Samples:
        """Return one kind of samples of a task; raises InputError if the task has none."""

    def select_regions(self, names: Sequence[str]) -> Sequence[Region]:
        """Return regions by name or by the name of a region set; an empty list means all."""

    def map(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Sequence[Outcome]:
        """Apply a function to items, such as regions, on this participant's share of processors."""


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
    participants_table : DataFrame or None
        ``participants.tsv`` of the data set by label without ``sub-``, for the group level; all
        values are text. Empty where there is no such file.
    device : str
        ``auto``, ``cpu`` or ``cuda``: where analyses that can use a GPU compute. It changes
        nothing in the results.
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
        participants_table: pd.DataFrame | None = None,
        device: str = "auto",
    ) -> None:
        self.label = label
        self.random_seed = random_seed
        self.estimators = dict(estimators or {})
        self.participants_table = (
            pd.DataFrame() if participants_table is None else participants_table
        )
        self.device = device

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

    def regions_used(self, options: Any) -> Sequence[str] | None:
        """Return the regions and region sets that this analysis reads; None for all.

        What regions are made of has to be finished before the analysis begins. Without an option
        ``regions`` an analysis is taken to read all of them; extend this where others matter.
        """
        return getattr(options, "regions", None) or None

    def columns_used(self, options: Any) -> Sequence[str]:
        """Return the columns of ``participants.tsv`` that the group level reads."""
        return getattr(options, "covariates", ())

    @abstractmethod
    def participant(self, participant: Participant, options: Any) -> Results:
        """Analyse one participant."""

    @abstractmethod
    def group(self, participants: Sequence[ParticipantResults], options: Any) -> Results:
        """Analyse the group from what the participant level wrote."""
