"""What of the test part a network has seen in training: the direct evidence of leakage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.resampling import Floats
from bidsface_emotion_cnn.splits import Fold

NEAR = 10.0
"""Seconds within which volumes of one participant share much of a response (and of the noise)."""


@dataclass(frozen=True)
class Overlap:
    """How much of the test parts is known from the training and validation parts.

    Attributes
    ----------
    seconds : float
        What counts as near.
    n_tested : int
        Tested volumes, over folds.
    n_near : int
        Those with a volume of the same participant and run, not more than ``seconds`` away, that
        was trained or validated on.
    n_same_second : int
        Those whose moment of the film, up to half a repetition time, was trained or validated on in
        another participant.
    n_either : int
        Those with one of both.
    """

    seconds: float
    n_tested: int
    n_near: int
    n_same_second: int
    n_either: int

    def share(self, count: int) -> float:
        """Return a count as a share of the tested volumes."""
        return count / self.n_tested


def overlap_report(
    folds: Sequence[Fold],
    participants: NDArray[Any],
    runs: NDArray[Any],
    times: NDArray[Any],
    tr: float,
    *,
    seconds: float = NEAR,
) -> Overlap:
    """Count the tested volumes that resemble what was trained or validated on.

    Where segments of the film overlap, as at the ends of scanner runs, give the time within the
    film and one run for all: seconds that two runs have in common are then seen as such.

    Parameters
    ----------
    folds : sequence of Fold
    participants, runs : ndarray of int, shape (n_volumes,)
    times : ndarray of shape (n_volumes,)
        Within the run (s).
    tr : float
        Repetition time (s).
    seconds : float
        What counts as near (s).

    Raises
    ------
    ValueError
        If nothing is tested, or ``tr`` or ``seconds`` is not positive.
    """
    if tr <= 0 or seconds <= 0:
        raise ValueError(f"tr and seconds must be positive, found {tr:g} and {seconds:g}")
    if not sum(len(fold.test) for fold in folds):
        raise ValueError("no volume is tested")
    timeline = _Timeline.of(participants, runs, times, max(seconds, tr))
    near, same = [], []
    for fold in folds:
        seen = np.concatenate([fold.train, fold.validation])
        near.append(_count(timeline.own, fold.test, seen, seconds) > 0)
        everyone = _count(timeline.film, fold.test, seen, 0.5 * tr)
        same.append(everyone > _count(timeline.own, fold.test, seen, 0.5 * tr))
    is_near, is_same = np.concatenate(near), np.concatenate(same)
    return Overlap(
        seconds,
        len(is_near),
        int(is_near.sum()),
        int(is_same.sum()),
        int((is_near | is_same).sum()),
    )


@dataclass(frozen=True, eq=False)
class _Timeline:
    """Times (s) on lines where those of different runs are too far apart to be neighbours.

    ``own`` (n_volumes,) keeps participants apart as well, ``film`` has all of them on one line.
    """

    own: Floats
    film: Floats

    @classmethod
    def of(
        cls, participants: NDArray[Any], runs: NDArray[Any], times: NDArray[Any], reach: float
    ) -> _Timeline:
        _, run = np.unique(runs, return_inverse=True)
        _, person = np.unique(participants, return_inverse=True)
        within = np.asarray(times, dtype=np.float64) - np.min(times)
        stride = within.max() + 4 * reach
        return cls(within + stride * (person * (run.max() + 1) + run), within + stride * run)


def _count(line: Floats, test: NDArray[Any], seen: NDArray[Any], reach: float) -> NDArray[Any]:
    """Return how many seen volumes lie within ``reach`` of every tested one, ends included."""
    # Times are multiples of the repetition time up to rounding, which must not decide.
    reach += 1e-6
    known = np.sort(line[seen])
    ends = [np.searchsorted(known, line[test] + side * reach) for side in (-1, 1)]
    return np.asarray(ends[1] - ends[0])
