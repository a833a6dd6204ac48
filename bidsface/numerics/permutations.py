"""Relabelling events within blocks: the permutations of every test of a task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial, prod

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Relabellings:
    """Labels of events, permuted within blocks.

    Attributes
    ----------
    codes : ndarray of int, shape (n_permutations, n_events)
        Does not contain the observed labelling when ``exhaustive``.
    exhaustive : bool
        Whether these are all distinct labellings but the observed one.
    smallest_p : float
        Smallest p-value that a test with these labellings can give. A score that does not depend on
        what classes are called is the same for every renaming of the classes.
    """

    codes: Codes
    exhaustive: bool
    smallest_p: float


def count_labellings(codes: Codes, blocks: NDArray) -> int:
    """Return the number of distinct labellings that permuting within blocks can reach."""
    counts = _counts(codes, blocks)
    return prod(
        factorial(int(row.sum())) // prod(factorial(int(count)) for count in row) for row in counts
    )


def relabel(
    codes: Codes, blocks: NDArray, n_permutations: int, seed: np.random.SeedSequence
) -> Relabellings:
    """Permute labels within blocks: at random, or exhaustively where there are not more.

    Parameters
    ----------
    codes : ndarray of int, shape (n_events,)
        Class of every event.
    blocks : ndarray of shape (n_events,)
        Block of every event.
    n_permutations : int
    seed : SeedSequence
    """
    n_labellings = count_labellings(codes, blocks)
    if n_labellings - 1 <= n_permutations:
        every = np.stack(list(_all_labellings(codes, blocks)))
        others = every[(every != codes).any(axis=1)]
        return Relabellings(others, True, _renamings(codes, blocks) / n_labellings)
    generator = np.random.default_rng(seed)
    drawn = np.tile(codes, (n_permutations, 1))
    for block in np.unique(blocks):
        members = np.flatnonzero(blocks == block)
        drawn[:, members] = generator.permuted(drawn[:, members], axis=1)
    return Relabellings(drawn, False, 1.0 / (1 + n_permutations))


def _counts(codes: Codes, blocks: NDArray) -> NDArray[np.intp]:
    """Return events per block and class."""
    n_classes = int(codes.max()) + 1
    return np.stack(
        [np.bincount(codes[blocks == block], minlength=n_classes) for block in np.unique(blocks)]
    )


def _all_labellings(codes: Codes, blocks: NDArray) -> Iterator[Codes]:
    members = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    for orders in product(*(list(_arrangements(tuple(codes[index]))) for index in members)):
        labelling = np.empty_like(codes)
        for index, order in zip(members, orders, strict=True):
            labelling[index] = order
        yield labelling


def _arrangements(items: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the distinct orders of a multiset."""
    if not items:
        yield ()
    for first in sorted(set(items)):
        place = items.index(first)
        for rest in _arrangements(items[:place] + items[place + 1 :]):
            yield (first, *rest)


def _renamings(codes: Codes, blocks: NDArray) -> int:
    """Return how many renamings of the classes keep the counts of every block."""
    counts = _counts(codes, blocks)
    orders = permutations(range(counts.shape[1]))
    return sum(bool((counts[:, list(order)] == counts).all()) for order in orders)
