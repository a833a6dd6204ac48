"""How often a trial's frames show something, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Frequency = Literal["episodes", "share"]
Aggregation = Literal["mean", "max", "share", "episodes", "area"]


def count_episodes(present: Bools, time: Floats, shortest_pause: float = 0.0) -> float:
    """Count the stretches of contiguous presence.

    Frames that are not usable are not among those given, so that a face lost for a moment does not
    end an episode. One that goes on when the frames begin counts.

    Parameters
    ----------
    present : ndarray of shape (n_frames,), bool
    time : ndarray of shape (n_frames,)
        s.
    shortest_pause : float
        s; a pause is as long as from its first frame to the next one with presence, and one that
        is shorter does not end an episode.
    """
    if not present.any():
        return 0.0
    change = np.diff(present.astype(np.int8))
    begins = np.flatnonzero(change == 1) + 1
    ends = np.flatnonzero(change == -1) + 1
    if not present[0]:
        begins = begins[1:]
    pauses = time[begins] - time[ends[: len(begins)]]
    return 1.0 + float(np.count_nonzero(pauses >= shortest_pause))


def share_present(present: Bools, time: Floats, shortest_pause: float = 0.0) -> float:
    """Return the share of frames with presence; their times do not matter."""
    return float(present.mean())


FREQUENCIES: Mapping[str, Callable[[Bools, Floats, float], float]] = {
    "episodes": count_episodes,
    "share": share_present,
}
"""How often something is present."""

AMOUNTS: Mapping[str, Callable[[Floats, float], float]] = {
    "mean": lambda values, length: float(values.mean()),
    "max": lambda values, length: float(values.max()),
    "area": lambda values, length: float(values.mean()) * length,
}
"""How much there is: of the frames' values and the length of the window (s)."""
