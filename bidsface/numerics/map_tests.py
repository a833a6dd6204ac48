"""Tests of whole maps by permutation, in blocks of voxels so that memory stays bounded.

Tests are one-tailed: large values count against the null hypothesis. Corrections over voxels are by
the largest value of every permutation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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

PART = 64 * BLOCK
"""Voxels of a thread's piece of work."""

Run = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Applies a function to items and returns the outcomes in their order, such as ``map``."""


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
    run: Run = map,
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
    run : callable
        As for `mean_and_minimum_map_tests`.
    """
    picks = draw_labellings(nulls, n_draws, seed)
    return _combine(observed, nulls, picks, (_mean_of(len(observed), grain),), run)[0]


def minimum_map_test(
    observed: Sequence[Maps], nulls: Sequence[Maps], n_draws: int, seed: np.random.SeedSequence
) -> MapTest:
    """Test the smallest value over participants, as `group_map_test` tests the mean."""
    return _combine(observed, nulls, draw_labellings(nulls, n_draws, seed), (MINIMUM,))[0]


def mean_and_minimum_map_tests(
    observed: Sequence[Maps],
    nulls: Sequence[Maps],
    n_draws: int,
    seed: np.random.SeedSequence,
    grain: float = 0.0,
    run: Run = map,
) -> tuple[MapTest, MapTest]:
    """Do `group_map_test` and `minimum_map_test` on the same draws, which are gathered once.

    Parameters
    ----------
    observed, nulls, n_draws, seed, grain
        As for `group_map_test`.
    run : callable
        Applies a function to parts of the voxels, in threads where it wants to; the results do not
        depend on it.
    """
    picks = draw_labellings(nulls, n_draws, seed)
    statistics = (_mean_of(len(observed), grain), MINIMUM)
    mean, smallest = _combine(observed, nulls, picks, statistics, run)
    return mean, smallest


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


@dataclass(frozen=True)
class _Statistic:
    """What is made of the participants' values: a ufunc of two arrays, and a divisor.

    ``tie``: differences up to it are ties, before division.
    """

    combine: np.ufunc
    divisor: int = 1
    tie: float = TIE


MINIMUM = _Statistic(np.minimum)


def _mean_of(n: int, grain: float) -> _Statistic:
    return _Statistic(np.add, n, max(TIE, n * grain))


@dataclass(frozen=True, eq=False)
class _Part:
    """Work on some of the voxels.

    The maps are those of all voxels, of every participant; ``picks`` (n_participants, n_draws).
    """

    observed: Sequence[Maps]
    nulls: Sequence[Maps]
    picks: NDArray[np.intp]
    statistics: Sequence[_Statistic]

    def __call__(self, part: slice) -> list[tuple[Floats, Floats, Floats]]:
        """Return, per statistic, values, how many draws reach them, and every draw's largest."""
        n_voxels, n_draws = part.stop - part.start, self.picks.shape[1]
        found = [
            (np.empty(n_voxels), np.zeros(n_voxels), np.full(n_draws, -np.inf))
            for _ in self.statistics
        ]
        taken = np.empty((ROWS, BLOCK))
        totals = [np.empty((ROWS, BLOCK)) for _ in self.statistics]
        for block in blocks(n_voxels, BLOCK):
            pools = self._pools(slice(part.start + block.start, part.start + block.stop))
            for one, (values, _, _) in zip(self.statistics, found, strict=True):
                values[block] = one.combine.reduce([pool[0] for pool in pools])
            for rows in blocks(n_draws, ROWS):
                drawn = self._drawn(pools, self.picks[:, rows], taken, totals)
                for one, own, total in zip(self.statistics, found, drawn, strict=True):
                    values, exceeding, largest = own
                    exceeding[block] += (total >= values[block] - one.tie).sum(axis=0)
                    np.maximum(largest[rows], total.max(axis=1), out=largest[rows])
        return found

    def _pools(self, block: slice) -> list[Floats]:
        return [
            np.vstack([own[block], null[:, block]]).astype(np.float64)
            for own, null in zip(self.observed, self.nulls, strict=True)
        ]

    def _drawn(
        self,
        pools: Sequence[Floats],
        picks: NDArray[np.intp],
        taken: Floats,
        totals: Sequence[Floats],
    ) -> list[Floats]:
        """Return every statistic of the draws, (n_draws, n_voxels), in buffers."""
        shape = (picks.shape[1], pools[0].shape[1])
        # Leading parts of the buffers, so that they are contiguous whatever the shape.
        one = taken.reshape(-1)[: shape[0] * shape[1]].reshape(shape)
        every = [total.reshape(-1)[: one.size].reshape(shape) for total in totals]
        for number, (pool, rows) in enumerate(zip(pools, picks, strict=True)):
            np.take(pool, rows, axis=0, out=one, mode="clip")
            for statistic, total in zip(self.statistics, every, strict=True):
                if number == 0:
                    total[:] = one
                else:
                    statistic.combine(total, one, out=total)
        return every


def _combine(
    observed: Sequence[Maps],
    nulls: Sequence[Maps],
    picks: NDArray[np.intp],
    statistics: Sequence[_Statistic],
    run: Run = map,
) -> list[MapTest]:
    """Test statistics of all participants' maps."""
    n_voxels = len(observed[0])
    parts = list(run(_Part(observed, nulls, picks, statistics), list(blocks(n_voxels, PART))))
    smallest = max(smallest_draw(observed, nulls), 1.0 / (1 + picks.shape[1]))
    tests = []
    for number, one in enumerate(statistics):
        values, exceeding, largest = zip(*(part[number] for part in parts), strict=True)
        statistic, top = np.concatenate(values), np.maximum.reduce(largest)
        p = (1.0 + np.concatenate(exceeding)) / (1.0 + picks.shape[1])
        p_fwe = corrected_p(statistic, top, one.tie)
        tests.append(MapTest(statistic / one.divisor, p, p_fwe, smallest, top / one.divisor))
    return tests


def corrected_p(statistic: Floats, largest: Floats, tie: float = TIE) -> Floats:
    """Return ``(1 + #{largest >= statistic}) / (1 + n_draws)``, shape of ``statistic``."""
    ordered = np.sort(largest)
    below = np.searchsorted(ordered, statistic - tie, side="left")
    return np.asarray((1.0 + len(ordered) - below) / (1.0 + len(ordered)))


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover ``range(n)``."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
