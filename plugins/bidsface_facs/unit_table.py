"""Action units of the frames of a video, or of trials that people coded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Scale = Literal["0-5", "0-1"]

HIGHEST: Mapping[Scale, float] = {"0-5": 5.0, "0-1": 1.0}
PRESENT_FROM: Mapping[Scale, float] = {"0-5": 1.0, "0-1": 0.5}
"""Intensity from which on a unit is present where nothing else tells: FACS's A (trace), or more
likely than not.
"""


@dataclass(frozen=True, eq=False)
class UnitTable:
    """Action units over rows: frames, or trials.

    Attributes
    ----------
    source : str
        The file, for messages.
    dialect : str
        Whose table it is: ``openface``, ``py-feat``, ``facereader``, ``coded`` or ``physio``.
    scale : {"0-5", "0-1"}
        Of the intensities: FACS's, absent to maximal (A to E are 1 to 5), or one that is like a
        probability.
    intensity : mapping of str to ndarray of shape (n_rows,)
        By unit, such as ``AU04`` or ``AU06_07``; NaN where unknown.
    presence : mapping of str to ndarray of shape (n_rows,)
        0 or 1; NaN where unknown. Only what the table states: see `presence_of`.
    notes : tuple of str
        What had to be assumed.
    """

    source: str
    dialect: str
    scale: Scale
    intensity: Mapping[str, Floats]
    presence: Mapping[str, Floats]
    notes: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """Number of frames, or of trials."""
        return len(next(iter((*self.intensity.values(), *self.presence.values()))))

    def presence_of(self, unit: str, threshold: float | None = None) -> Floats:
        """Return where a unit is present: 0, 1, or NaN where that is unknown.

        Parameters
        ----------
        unit : str
            One that ``presence`` or ``intensity`` has.
        threshold : float or None
            Intensity from which on it is present; None for what the table states, or else 1 on
            the scale 0-5 and 0.5 on the scale 0-1.
        """
        if unit in self.presence and (threshold is None or unit not in self.intensity):
            return self.presence[unit]
        least = PRESENT_FROM[self.scale] if threshold is None else threshold
        values = self.intensity[unit]
        return np.where(np.isnan(values), np.nan, (values >= least).astype(np.float64))


@dataclass(frozen=True, eq=False)
class ActionUnits(UnitTable):
    """Action units of every frame of a video.

    Attributes
    ----------
    time : ndarray of shape (n_frames,)
        s on the table's clock, strictly increasing.
    confidence : ndarray of shape (n_frames,) or None
        How sure the software was to see the face, 0 to 1; None if the table does not say.
    tracked : ndarray of shape (n_frames,), bool
        False where the software says that it failed.
    """

    time: Floats
    confidence: Floats | None
    tracked: Bools

    @property
    def interval(self) -> float:
        """Usual time between frames (s)."""
        return float(np.median(np.diff(self.time)))

    def reliable(self, minimum_confidence: float) -> Bools:
        """Return which frames the software tracked with at least some confidence."""
        if self.confidence is None:
            return self.tracked
        return self.tracked & (self.confidence >= minimum_confidence)


@dataclass(frozen=True, eq=False)
class CodedTrials(UnitTable):
    """Action units that people coded once per trial; rows are trials.

    Attributes
    ----------
    onset : ndarray of shape (n_rows,) or None
        s on the events' clock, where the table has it.
    trial : ndarray of shape (n_rows,), int, or None
        Numbers of the trials, from 1 on and increasing, where the table has them.
    frequency : mapping of str to ndarray of shape (n_rows,)
        How often a unit was seen in the trial.
    """

    onset: Floats | None
    trial: NDArray[np.intp] | None
    frequency: Mapping[str, Floats]

    @property
    def n_rows(self) -> int:
        """Number of trials in the table."""
        columns = (self.intensity, self.presence, self.frequency)
        return len(next(values for column in columns for values in column.values()))
