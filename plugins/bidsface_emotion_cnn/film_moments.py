"""Moments of a film that all have seen, and whether labels belong to them or to participants.

Participants need not be scanned at the same times: runs start a little earlier or later, and
repetition times differ by what rounding leaves. Volumes are put into moments, each with the label
that is most frequent in it. Labels belong to a film if every volume finds its own label in its
moment, or right before or after it, where edges of blocks fall differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.resampling import Indices

EXACT = 2e-3
"""Length of moments (s) for times that agree to a millisecond."""

ROUNDING = 1e-3
"""Part of a moment; grids of participants often differ by just half of one."""


@dataclass(frozen=True, eq=False)
class FilmUnits:
    """Stretches of the film that have one label: blocks of moments, or moments.

    Attributes
    ----------
    units : ndarray of int64, shape (n_volumes,)
        Unit of every volume; -1 for volumes whose label no unit at their moment has.
    labels, runs : ndarray of int64, shape (n_units,)
        Of the units, in the order of the film.
    """

    units: Indices
    labels: Indices
    runs: Indices

    @classmethod
    def of(
        cls,
        codes: NDArray[Any],
        runs: NDArray[Any],
        times: NDArray[Any],
        step: float = EXACT,
        unit: str = "blocks",
    ) -> FilmUnits:
        """Find the units of a film.

        Parameters
        ----------
        codes, runs : ndarray of int, shape (n_volumes,)
        times : ndarray of shape (n_volumes,)
            Within the run (s).
        step : float
            Length of a moment (s): the longest repetition time.
        unit : {'blocks', 'volumes'}
        """
        moments, places = _moments(runs, times, step)
        labels = _most_frequent(codes, places, len(moments))
        first = _BEGINNINGS[unit](labels, moments[:, 0])
        owners = np.cumsum(first) - 1
        units = np.full(len(codes), -1, dtype=np.int64)
        # The moment itself comes last, and counts most.
        for beside in (1, -1, 0):
            near = np.clip(places + beside, 0, len(moments) - 1)
            away = np.abs(moments[near] - moments[places])
            same = (away[:, 0] == 0) & (away[:, 1] <= 1) & (labels[near] == codes)
            units[same] = owners[near[same]]
        return cls(units, labels[first], moments[first, 0])


def in_a_film(
    codes: NDArray[Any], runs: NDArray[Any], times: NDArray[Any], step: float = EXACT
) -> NDArray[np.bool_]:
    """Tell which volumes have a label that is others' at about the same moment, too.

    Parameters
    ----------
    codes, runs, times, step
        As for `FilmUnits.of`.

    Returns
    -------
    ndarray of bool, shape (n_volumes,)
        All of them where labels belong to a film that all have seen.
    """
    return FilmUnits.of(codes, runs, times, step).units >= 0


def _moments(
    runs: NDArray[Any], times: NDArray[Any], step: float
) -> tuple[NDArray[np.int64], Indices]:
    """Return run and number of the moments of the film, (n_moments, 2), and every volume's one."""
    numbers = np.floor((times - np.min(times)) / step + 0.5 + ROUNDING)
    keys = np.stack([runs, numbers], axis=1).astype(np.int64)
    moments, places = np.unique(keys, axis=0, return_inverse=True)
    return moments, places.ravel().astype(np.int64)


def _most_frequent(codes: NDArray[Any], places: Indices, n_moments: int) -> Indices:
    """Return the most frequent label of every moment; of equally frequent ones the first."""
    n_classes = int(np.max(codes)) + 1
    counts = np.bincount(places * n_classes + codes, minlength=n_moments * n_classes)
    return counts.reshape(n_moments, n_classes).argmax(axis=1).astype(np.int64)


def _block_beginnings(labels: Indices, segments: Indices) -> NDArray[np.bool_]:
    changes = (np.diff(labels) != 0) | (np.diff(segments) != 0)
    return np.concatenate([[True], changes])


_BEGINNINGS: Mapping[str, Callable[[Indices, Indices], NDArray[np.bool_]]] = {
    "blocks": _block_beginnings,
    "volumes": lambda labels, segments: np.ones(len(labels), dtype=bool),
}
