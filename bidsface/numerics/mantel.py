"""Mantel tests: the similarity of RDMs, tested by permuting conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidsface.numerics.dissimilarity import count_conditions
from bidsface.numerics.rdm_statistics import (
    FEWEST_PAIRS,
    STATISTICS,
    Seed,
    condition_orders,
    is_exhaustive,
    lookup_of,
    reorder,
)
from bidsface.statistics import TIE

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Tail = Literal["greater", "less", "two-sided"]

CHUNK = 2**20
"""Numbers that are held at once for permuted RDMs."""


@dataclass(frozen=True, eq=False)
class MantelTest:
    """Result of `mantel_test`.

    Attributes
    ----------
    r : float
        The statistic; of several RDMs, its mean.
    p : float
    smallest_p : float
        Smallest p that is possible: orders that leave the permuted RDM as it is count with the
        observed one.
    n_permutations : int
        Orders that were compared with: all of them, the observed one included, where
        ``exhaustive``; else the random ones.
    exhaustive : bool
    null : ndarray of shape (n_permutations,)
        The statistic in every order.
    """

    r: float
    p: float
    smallest_p: float
    n_permutations: int
    exhaustive: bool
    null: Floats


def mantel_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    statistic: str = "pearson",
    n_permutations: int = 10_000,
    seed: Seed,
    tail: Tail = "greater",
) -> MantelTest:
    """Test the similarity of RDMs by permuting the conditions of the second (Mantel 1967).

    p is the share of orders of the conditions whose statistic is at least as large: of all orders,
    the observed one included, where there are at most ``n_permutations`` (5 conditions: 120), else
    ``(1 + #) / (1 + n_permutations)`` of random ones (Phipson and Smyth 2010).

    Parameters
    ----------
    first : array of shape (n_pairs,) or (n_rdms, n_pairs)
        The statistic of several RDMs, such as participants', is the mean of theirs, and they share
        every order: the null hypothesis is that the second RDM could be of any order of the
        conditions.
    second : array of shape (n_pairs,)
        Pairs that are missing (NaN) in any RDM of the first are left out; the second has all.
    statistic : {"pearson", "spearman", "kendall", "cosine"}
    n_permutations : int
        At least 1.
    seed : SeedSequence or int
    tail : {"greater", "less", "two-sided"}
        ``two-sided``: absolute values are compared.

    Returns
    -------
    MantelTest
        NaN in ``r`` and ``p`` where an RDM does not vary.

    Raises
    ------
    ValueError
        If the RDMs have different numbers of pairs, the second lacks some, or all pairs are
        missing in the first.
    """
    rdms, model = np.atleast_2d(np.asarray(first, np.float64)), np.asarray(second, np.float64)
    n_conditions = check_pair(rdms, model)
    known = ~np.isnan(rdms).any(axis=0)
    if known.sum() < FEWEST_PAIRS:
        raise ValueError(f"{int(known.sum())} pairs of conditions are there, {FEWEST_PAIRS} needed")
    own = STATISTICS[statistic]
    mean = own.vectors(rdms[:, known]).mean(axis=0)  # the statistic is linear in these
    standard = own.standardize(model)
    lookup = lookup_of(n_conditions)

    def statistics(orders: Indices) -> tuple[Floats, NDArray[np.bool_]]:
        index = reorder(orders, lookup)
        same = (np.abs(model[index] - model) <= TIE * np.abs(model).max()).all(axis=1)
        if known.all():
            return own.expand(standard[index]) @ mean, same
        return own.vectors(model[index][:, known]) @ mean, same

    return run_test(statistics, n_conditions, n_permutations, seed, tail, len(mean))


def check_pair(rdms: Floats, model: Floats) -> int:
    """Return the number of conditions; raises ValueError where RDMs do not fit together."""
    if model.ndim != 1 or rdms.shape[1] != len(model):
        raise ValueError(f"RDMs of {rdms.shape[1]} and {model.shape[-1]} pairs do not fit together")
    if not np.isfinite(model).all():
        raise ValueError("the RDM whose conditions are permuted lacks pairs")
    return count_conditions(len(model))


EXCEEDS: Mapping[str, Callable[[Floats, float], NDArray[np.bool_]]] = {
    "greater": lambda null, r: null >= r - TIE,
    "less": lambda null, r: null <= r + TIE,
    "two-sided": lambda null, r: np.abs(null) >= abs(r) - TIE,
}
"""Which statistics are at least as extreme as the observed one, by the tail."""


def run_test(
    statistics: Callable[[Indices], tuple[Floats, NDArray[np.bool_]]],
    n_conditions: int,
    n_permutations: int,
    seed: Seed,
    tail: Tail,
    length: int,
) -> MantelTest:
    """Compare the statistic of the observed order with those of others.

    ``statistics`` returns, for orders of the conditions, the statistics and which RDMs are as
    observed; ``length`` is the number of values that it handles per order.
    """
    r = float(statistics(np.arange(n_conditions)[None])[0][0])
    size = int(np.clip(CHUNK // length, 1, 2**16))
    pieces = [
        statistics(orders) for orders in condition_orders(n_conditions, n_permutations, seed, size)
    ]
    null = np.concatenate([piece[0] for piece in pieces])
    same = int(sum(piece[1].sum() for piece in pieces))
    exhaustive = is_exhaustive(n_conditions, n_permutations)
    beside = 0 if exhaustive else 1  # the observed order is among all of them
    extreme = int(EXCEEDS[tail](null, r).sum())
    p = (beside + extreme) / (beside + len(null)) if np.isfinite(r) else float("nan")
    return MantelTest(r, p, (beside + same) / (beside + len(null)), len(null), exhaustive, null)
