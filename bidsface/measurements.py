"""What an analysis receives of a participant: labelled samples, whole runs, and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.results import Entities


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
    events : DataFrame of n_samples rows
        Every column of ``events.tsv`` as text, for the event of each sample; missing is ``n/a``,
        also where the file of a run lacks a column that another run's has.
    """

    name: str
    X: NDArray[np.float32]
    table: pd.DataFrame
    motion: NDArray[np.float64]
    entities: Entities
    events: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        if not len(self.events):  # samples that were made without a file have no columns
            object.__setattr__(self, "events", pd.DataFrame(index=range(len(self.table))))


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
        ``onset``, ``duration`` (s) and ``trial_type`` of the classes' events, by onset, then the
        other columns of ``events.tsv`` as text.
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


@dataclass(frozen=True)
class RunSize:
    """What is known of a run before it is read.

    Attributes
    ----------
    entities : mapping
        BIDS entities of its name by their short key.
    n_volumes : int
        All of them, those included that will be dropped or censored.
    repetition_time : float
        s; NaN for images that exist already.
    """

    entities: Entities
    n_volumes: int
    repetition_time: float


@dataclass(frozen=True, eq=False)
class InputTable:
    """A table that belongs to a participant: behaviour, physiology, a questionnaire.

    Attributes
    ----------
    path : Path
        For messages; ``frame`` is what it holds.
    entities : mapping
        BIDS entities of its name by their short key, without ``sub``; none for ``phenotype``.
    sidecar : mapping
        What its JSON files say, by the inheritance principle; empty without any.
    load : callable
        Reads the table; ``frame`` calls it once.
    """

    path: Path
    entities: Entities
    sidecar: Mapping[str, Any]
    load: Callable[[], pd.DataFrame]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every column as text, missing values as ``n/a``; read when first asked for.

        Raises
        ------
        InputError
            If the file cannot be read as a table or holds no rows, or if it has no header and its
            sidecar no ``Columns``.
        """
        return self.load()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; reads the table."""
        return tuple(map(str, self.frame.columns))
