"""What a plugin author uses: the values an analysis receives and returns, and its base class.

This module holds values and protocols only: it reads nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from bidsface.errors import InputError, RecipeError
from bidsface.files import TableFilter
from bidsface.geometry import Grid, Region, Voxels
from bidsface.measurements import BoldRun, InputTable, RunSize, Samples
from bidsface.protocols import Item, Mapper, Outcome, Participant
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
    View,
    cited,
)
from bidsface.workspace import workspace

__all__ = [
    "Analysis",
    "AnalysisOptions",
    "BoldRun",
    "Column",
    "Entities",
    "Figure",
    "Grid",
    "InputTable",
    "Map",
    "Mapper",
    "Matrix",
    "Model",
    "Parcellation",
    "Participant",
    "ParticipantResults",
    "Region",
    "Results",
    "RunSize",
    "Samples",
    "StoredMap",
    "StoredResults",
    "StoredTable",
    "Summary",
    "Table",
    "TableFilter",
    "View",
    "Voxels",
    "cited",
    "refuse_unknown",
    "usable_tasks",
]


class AnalysisOptions(BaseModel):
    """Base of an analysis's options; unknown keys are refused and values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def refuse_unknown(key: str, names: str | Sequence[str], known: Collection[str]) -> None:
    """Raise RecipeError for names that a recipe does not have; ``key`` is the option's."""
    for name in (names,) if isinstance(names, str) else names:
        if name not in known:
            raise RecipeError(f"{key}: no {name!r} in the recipe; there is: {', '.join(known)}")


def usable_tasks(
    participant: Participant, wanted: Iterable[str], done: str
) -> tuple[list[str], list[str]]:
    """Return which tasks a participant has, and what to say of those that it lacks.

    Parameters
    ----------
    participant : Participant
    wanted : iterable of str
        Tasks; none means all that the participant has.
    done : str
        What is not done with a missing task, such as ``decoded``.

    Raises
    ------
    InputError
        If the participant has none of them.
    """
    asked = list(wanted) or list(participant.tasks)
    present = [task for task in asked if task in participant.tasks]
    if not present:
        raise InputError(
            f"sub-{participant.label}: none of the tasks {', '.join(asked) or '(any)'} has usable "
            f"runs, found {', '.join(participant.tasks) or 'none'}"
        )
    missing = [task for task in asked if task not in present]
    return present, [f"task {task} has no usable runs and was not {done}" for task in missing]


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
    mapper : callable or None
        Where ``map`` does its work; None does one item after the other.
    workspace : Path or None
        Folder that ``workspace`` makes; None for a temporary one.
    tell : callable or None
        Shows a line to the person who waits; None for silence.
    bids_dir : Path or None
        Folder of the data set, for options that name files in it (see `bidsface.files.located`).
    """

    name: ClassVar[str]
    """Name by which recipes ask for this analysis."""

    Options: ClassVar[type[AnalysisOptions]]
    """Options that a recipe may set."""

    needs_time_series: ClassVar[bool] = False
    """Whether it asks for ``bold_runs``: recipes of single images cannot have it."""

    needs_samples: ClassVar[bool] = False
    """Whether it asks for ``samples``: recipes without kinds of samples cannot have it."""

    needs_regions: ClassVar[bool] = False
    """Whether it works in regions: recipes without regions cannot have it."""

    other_datasets: ClassVar[bool] = False
    """Whether ``group`` also gets the participants of other data sets.

    Each is an output folder of bidsface with results of the same analysis; ``--derivatives
    NAME=PATH`` gives it, and its participants have NAME as their ``dataset``.
    """

    def __init__(
        self,
        label: str,
        random_seed: int,
        estimators: Mapping[str, Callable[..., Any]] | None = None,
        participants_table: pd.DataFrame | None = None,
        device: str = "auto",
        mapper: Mapper | None = None,
        workspace: Path | None = None,
        tell: Callable[[str], None] | None = None,
        bids_dir: Path | None = None,
    ) -> None:
        self.label = label
        self.random_seed = random_seed
        self.estimators = dict(estimators or {})
        self.participants_table = (
            pd.DataFrame() if participants_table is None else participants_table
        )
        self.device = device
        self._mapper = mapper
        self._workspace = workspace
        self._tell = tell
        self.bids_dir = bids_dir

    def map(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Sequence[Outcome]:
        """Apply a function to items on the processors that this analysis has.

        Outcomes come in the order of the items. Draw random numbers from a seed that belongs to
        the item, not from a generator that the calls share: then they do not depend on how many
        processors there are. Threads do the work, so nothing has to be copied; not for drawing.
        """
        if self._mapper is None:
            return [function(item) for item in items]
        return self._mapper(function, items)

    def workspace(self) -> AbstractContextManager[Path]:
        """Return a folder for checkpoints and for arrays that memory does not hold.

        What is in it outlives a run that was cut short, so that the same command goes on from
        there; it is emptied once the results have been written.
        """
        return workspace(self._workspace)

    def tell(self, message: str) -> None:
        """Show how far long work has come."""
        if self._tell is not None:
            self._tell(message)

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

    def time_series_needed(self, options: Any) -> bool:
        """Return ``needs_time_series``; extend this where it depends on options."""
        return self.needs_time_series

    def columns_used(self, options: Any) -> Sequence[str]:
        """Return the columns of ``participants.tsv`` that the group level reads."""
        return getattr(options, "covariates", ())

    def files_used(self, options: Any) -> Sequence[Path]:
        """Return further files that the participant level reads; a change of theirs redoes it."""
        return ()

    def tables_used(self, options: Any) -> Sequence[TableFilter]:
        """Return which tables of a participant this analysis reads, by ``participant.tables``.

        They are found before the analysis runs, listed among its sources, and a change of one of
        them, of its sidecars or of their number makes the analysis run again.
        """
        return ()

    def volumes_kept(self, options: Any, runs: Sequence[RunSize]) -> int:
        """Return how many volumes of the brain the participant level holds at once, and writes.

        ``--mem`` and ``--dry-run`` count them beside what the host knows of: one run, and samples.

        Parameters
        ----------
        options : Options
        runs : sequence of RunSize
            All runs of a participant. A rough number will do, but not too small a one.
        """
        return 0

    @abstractmethod
    def participant(self, participant: Participant, options: Any) -> Results:
        """Analyse one participant."""

    @abstractmethod
    def group(self, participants: Sequence[ParticipantResults], options: Any) -> Results:
        """Analyse the group from what the participant level wrote.

        Those of the data set come first, in order of their labels; where the class says
        ``other_datasets``, those of each other data set follow, in order of its name.
        """
