"""Tests of whole maps by permutation, in blocks of voxels so that memory stays bounded.

Tests are one-tailed: large values count against the null hypothesis. Corrections over voxels are by
the largest value of every permutation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.statistics import TIE

Floats = NDArray[np.float64]
Maps = NDArray[np.floating]

BLOCK = 256
"""Voxels at once: the maps of one participant in a block fit a cache."""

ROWS = 256
"""Draws at once."""


@dataclass(frozen=True, eq=False)
class MapTest:
    """Result of a test of maps.

    Attributes
    ----------
    statistic : ndarray of shape (n_voxels,)
    p, p_fwe : ndarray of shape (n_voxels,)
        Uncorrected, and corrected over voxels by the largest statistic of every draw.
    smallest_p : float
        Smallest p-value that the test can reach.
    largest : ndarray of shape (n_draws,)
        Largest statistic of every draw under the null hypothesis.
    """

    statistic: Floats
    p: Floats
    p_fwe: Floats
    smallest_p: float
    largest: Floats

    @property
    def threshold(self) -> float:
        """Statistic from which on ``p_fwe`` is at most 0.05; infinite where none is."""
        significant = self.statistic[self.p_fwe <= 0.05]
        return float(significant.min()) if len(significant) else float("inf")


def permutation_map_test(observed: Maps, null: Maps, smallest_p: float | None = None) -> MapTest:
    """Test one map against the maps of permuted labels.

    ``p = (1 + #{null >= observed}) / (1 + n_permutations)``; corrected p-values compare with the
    largest value of every permuted map (Nichols and Holmes 2002, Hum Brain Mapp 15:1-25).

    Parameters
    ----------
    observed : array of shape (n_voxels,)
    null : array of shape (n_permutations, n_voxels)
    smallest_p : float, optional
        Where not every p-value from 1 / (1 + n_permutations) on can be reached.
    """
    statistic = observed.astype(np.float64)
    exceeding = np.empty(len(statistic))
    for block in blocks(len(statistic), 4096):
        exceeding[block] = (null[:, block] >= statistic[block] - TIE).sum(axis=0)
    largest = null.max(axis=1).astype(np.float64)
    smallest = smallest_p or 1.0 / (1 + len(null))
    p = (1.0 + exceeding) / (1.0 + len(null))
    return MapTest(statistic, p, corrected_p(statistic, largest), smallest, largest)


def group_map_test(
    observed: Sequence[Maps],
    nulls: Sequence[Maps],
    n_draws: int,
    seed: np.random.SeedSequence,
    grain: float = 0.0,
) -> MapTest:
    """Test the mean map of a group by combining every participant's own permutations.

    Every draw takes one labelling per participant, independently and the observed one included, and
    averages the maps (Stelzer, Chen and Turner 2013, NeuroImage 65:69-82): the test of
    `bidsface.statistics.group_permutation`, for maps. A draw uses the same labellings in all
    voxels, as the correction demands.

    Parameters
    ----------
    observed : sequence of array of shape (n_voxels,)
        One per participant.
    nulls : sequence of array of shape (n_permutations, n_voxels)
    n_draws : int
    seed : SeedSequence
    grain : float
        Values are multiples of it, to which they were rounded. Sums over participants that would
        be equal without that may differ by a grain each, and are ties nonetheless.
    """
    picks = draw_labellings(nulls, n_draws, seed)
    n = len(observed)
    test = _combine(observed, nulls, picks, np.add, max(TIE, n * grain))
    smallest = max(smallest_draw(observed, nulls), 1.0 / (1 + n_draws))
    return MapTest(test.statistic / n, test.p, test.p_fwe, smallest, test.largest / n)


def minimum_map_test(
    observed: Sequence[Maps], nulls: Sequence[Maps], n_draws: int, seed: np.random.SeedSequence
) -> MapTest:
    """Test the smallest value over participants, as `group_map_test` tests the mean."""
    picks = draw_labellings(nulls, n_draws, seed)
    test = _combine(observed, nulls, picks, np.minimum)
    smallest = max(smallest_draw(observed, nulls), 1.0 / (1 + n_draws))
    return MapTest(test.statistic, test.p, test.p_fwe, smallest, test.largest)


def draw_labellings(
    nulls: Sequence[Maps], n_draws: int, seed: np.random.SeedSequence
) -> NDArray[np.intp]:
    """Return the labelling of every participant in every draw, (n_participants, n_draws).

    0 is the observed labelling.
    """
    generator = np.random.default_rng(seed)
    return np.stack([generator.integers(1 + len(null), size=n_draws) for null in nulls])


def smallest_draw(observed: Sequence[Maps], nulls: Sequence[Maps]) -> float:
    """Return the chance of drawing the observed combination, or one whose maps are the same.

    Labellings that differ in the names of classes only give the same maps.
    """
    logs = 0.0
    for own, null in zip(observed, nulls, strict=True):
        same = 1 + int((np.abs(null - own) <= TIE).all(axis=1).sum())
        logs += np.log(same) - np.log1p(len(null))
    return float(np.exp(logs))


def _combine(
    observed: Sequence[Maps],
    nulls: Sequence[Maps],
    picks: NDArray[np.intp],
    combine: Callable[..., Any],
    tie: float = TIE,
) -> MapTest:
    """Test the combination of all participants' maps by a binary function."""
    n_voxels, n_draws = len(observed[0]), picks.shape[1]
    statistic, exceeding = np.empty(n_voxels), np.zeros(n_voxels)
    largest = np.full(n_draws, -np.inf)
    buffer = np.empty((ROWS, BLOCK), dtype=np.float64)
    for block in blocks(n_voxels, BLOCK):
        pools = [
            np.vstack([own[block], null[:, block]]).astype(np.float64)
            for own, null in zip(observed, nulls, strict=True)
        ]
        statistic[block] = _combined(pools, np.zeros((len(pools), 1), dtype=np.intp), combine)[0]
        for rows in blocks(n_draws, ROWS):
            drawn = _combined(pools, picks[:, rows], combine, buffer)
            exceeding[block] += (drawn >= statistic[block] - tie).sum(axis=0)
            np.maximum(largest[rows], drawn.max(axis=1), out=largest[rows])
    p = (1.0 + exceeding) / (1.0 + n_draws)
    return MapTest(statistic, p, corrected_p(statistic, largest, tie), 1.0 / (1 + n_draws), largest)


def _combined(
    pools: Sequence[Floats],
    picks: NDArray[np.intp],
    combine: Callable[..., Any],
    buffer: Floats | None = None,
) -> Floats:
    """Return combinations of rows, (n_draws, n_voxels); ``picks`` is (n_participants, n_draws)."""
    total = pools[0][picks[0]]
    taken = None if buffer is None else buffer[: len(total), : total.shape[1]]
    for pool, rows in zip(pools[1:], picks[1:], strict=True):
        if taken is None or not taken.flags.c_contiguous:
            combine(total, pool[rows], out=total)
        else:
            combine(total, np.take(pool, rows, axis=0, out=taken, mode="clip"), out=total)
    return total


def corrected_p(statistic: Floats, largest: Floats, tie: float = TIE) -> Floats:
    """Return ``(1 + #{largest >= statistic}) / (1 + n_draws)``, shape of ``statistic``."""
    ordered = np.sort(largest)
    below = np.searchsorted(ordered, statistic - tie, side="left")
    return np.asarray((1.0 + len(ordered) - below) / (1.0 + len(ordered)))


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover ``range(n)``."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
