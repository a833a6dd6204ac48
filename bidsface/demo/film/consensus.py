"""What the observers agree about, by volume of the film."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Note = tuple[float, float, str]
"""Start and end (s) of a row of the annotations, and its emotion."""


def consensus(
    observers: Sequence[Iterable[Note]], n_volumes: int, repetition_time: float, needed: int
) -> tuple[list[str | None], NDArray[np.intp]]:
    """Return the emotion that enough observers see in every volume.

    A row covers the volumes from the one in which it starts to the one in which it ends; later
    rows of an observer replace earlier ones, rows without an emotion count for nothing. Of equally
    frequent emotions the first in the alphabet is taken.

    Parameters
    ----------
    observers : sequence of iterables of (start, end, emotion)
        Each observer's rows; an empty emotion is none.
    n_volumes : int
    repetition_time : float
        s.
    needed : int
        How many observers have to see the same emotion.

    Returns
    -------
    emotions : list of length n_volumes
        None where too few agree.
    votes : ndarray of shape (n_volumes,)
        How many observers see the most frequent emotion.
    """
    seen = [_by_volume(notes, n_volumes, repetition_time) for notes in observers]
    emotions: list[str | None] = []
    votes = np.zeros(n_volumes, dtype=np.intp)
    for volume in range(n_volumes):
        counts = Counter(emotion for labels in seen if (emotion := labels[volume]))
        best = min(counts, key=lambda name: (-counts[name], name), default=None)
        votes[volume] = counts[best] if best is not None else 0
        emotions.append(best if votes[volume] >= needed else None)
    return emotions, votes


def _by_volume(notes: Iterable[Note], n_volumes: int, repetition_time: float) -> list[str]:
    labels = [""] * n_volumes
    for start, end, emotion in notes:
        if emotion:
            first = int(np.floor(start / repetition_time))
            last = min(int(np.ceil(end / repetition_time)), n_volumes)
            labels[first:last] = [emotion] * max(last - first, 0)
    return labels
