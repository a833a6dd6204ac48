"""How similar RDMs are: correlations, cosine and rank statistics of their dissimilarities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, permutations
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bidsface.numerics.dissimilarity import pairs_of

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Seed = np.random.SeedSequence | int

FEWEST_PAIRS = 3
"""Pairs of conditions below which no statistic is computed."""

FLAT = 1e-12
"""RDMs whose dissimilarities differ by less, relative to their size, are all the same."""

DIGITS = 12
"""Digits of dissimilarities, relative to the largest, that ranks see."""


@dataclass(frozen=True)
class Statistic:
    """A similarity of RDMs that is an inner product of what is made of each.

    Attributes
    ----------
    description : str
    standardize : callable
        From RDMs (..., n_pairs) to values of the same shape, for which the order of the pairs does
        not matter. Missing pairs (NaN) stay missing and do not count.
    expand : callable
        From standardized values to vectors (..., n) whose inner product is the similarity.
    pooled : callable
        From RDMs to what is averaged over participants in a noise ceiling.
    """

    description: str
    standardize: Callable[[Floats], Floats]
    expand: Callable[[Floats], Floats]
    pooled: Callable[[Floats], Floats]

    def vectors(self, rdms: ArrayLike) -> Floats:
        """Return the vectors of RDMs (..., n_pairs) whose inner products are similarities."""
        return self.expand(self.standardize(np.asarray(rdms, np.float64)))


def compare_rdms(first: ArrayLike, second: ArrayLike, statistic: str = "pearson") -> Floats:
    """Return the similarity of every RDM of one stack with every one of another.

    Parameters
    ----------
    first : array of shape (n_first, n_pairs) or (n_pairs,)
    second : array of shape (n_second, n_pairs) or (n_pairs,)
        Pairs that any RDM lacks (NaN) are left out of all.
    statistic : {"pearson", "spearman", "kendall", "cosine"}
        ``kendall`` is tau-a, which is meant for models with ties (Nili et al. 2014, PLoS Comput
        Biol 10:e1003553).

    Returns
    -------
    ndarray of shape (n_first, n_second)
        Without the axis of an RDM that was given alone. NaN where an RDM does not vary (``cosine``:
        is 0), or fewer than three pairs are left.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    rows, columns = np.atleast_2d(one), np.atleast_2d(other)
    known = ~(np.isnan(rows).any(axis=0) | np.isnan(columns).any(axis=0))
    if known.sum() < FEWEST_PAIRS:
        found = np.full((len(rows), len(columns)), np.nan)
    else:
        own = STATISTICS[statistic]
        found = own.vectors(rows[:, known]) @ own.vectors(columns[:, known]).T
    return found.reshape(one.shape[:-1] + other.shape[:-1])


def lookup_of(n_conditions: int) -> Indices:
    """Return the place in an RDM of every pair, (n_conditions, n_conditions).

    Of a condition with itself it is the number of pairs, which is none.
    """
    rows, columns = pairs_of(n_conditions)
    table = np.full((n_conditions, n_conditions), len(rows), dtype=np.intp)
    table[rows, columns] = table[columns, rows] = np.arange(len(rows))
    return table


def reorder(orders: Indices, lookup: Indices) -> Indices:
    """Return which pair stands at every place when conditions are put in another order.

    Parameters
    ----------
    orders : ndarray of int, shape (n_orders, n_conditions)
    lookup : ndarray of int
        Of `lookup_of`.

    Returns
    -------
    ndarray of int, shape (n_orders, n_pairs)
        To index an RDM with.
    """
    rows, columns = pairs_of(len(lookup))
    return lookup[orders[:, rows], orders[:, columns]]


def is_exhaustive(n_conditions: int, n_permutations: int) -> bool:
    """Tell whether there are no more orders of conditions than were asked for."""
    return n_conditions <= 20 and factorial(n_conditions) <= n_permutations


def condition_orders(
    n_conditions: int, n_permutations: int, seed: Seed, size: int = 4096
) -> Iterator[Indices]:
    """Yield orders of conditions in pieces: all, where there are not more, else random ones.

    Parameters
    ----------
    n_conditions : int
    n_permutations : int
    seed : SeedSequence or int
    size : int
        Orders in a piece; they do not depend on it.

    Yields
    ------
    ndarray of int, shape (n_orders, n_conditions)
        The first of all orders is the observed one; it is not among the random ones on purpose.
    """
    if is_exhaustive(n_conditions, n_permutations):
        every = permutations(range(n_conditions))
        while piece := list(islice(every, size)):
            yield np.array(piece, dtype=np.intp)
        return
    generator = np.random.default_rng(seed)
    for start in range(0, n_permutations, size):
        here = np.tile(np.arange(n_conditions), (min(size, n_permutations - start), 1))
        yield generator.permuted(here, axis=1)


def _unit(values: Floats) -> Floats:
    """Return vectors of length 1; NaN where all values are 0."""
    length = np.sqrt(np.nansum(values**2, axis=-1, keepdims=True))
    return np.divide(values, length, out=np.full_like(values, np.nan), where=length > 0)


def _centred(values: Floats) -> Floats:
    """Return values less their mean; exactly 0 where all are the same."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    filled = np.where(known, values, 0.0)
    centred = values - filled.sum(axis=-1, keepdims=True) / count
    largest = np.abs(filled).max(axis=-1, keepdims=True)
    spread = np.where(known, np.abs(centred), 0.0).max(axis=-1, keepdims=True)
    return np.where(spread > FLAT * largest, centred, np.where(known, 0.0, np.nan))


def _ranks(values: Floats) -> Floats:
    """Return mean ranks; missing values have none.

    Distances of equal steps, such as 0.1 to 0.2 and 0.2 to 0.3, differ by rounding, and are ties.
    """
    missing = np.isnan(values)
    largest = np.abs(np.where(missing, 0.0, values)).max(axis=-1, keepdims=True, initial=0.0)
    rounded = np.round(values / np.where(largest > 0, largest, 1.0), DIGITS)
    ranks = stats.rankdata(np.where(missing, np.inf, rounded), axis=-1)
    return np.where(missing, np.nan, ranks)


def _correlated(values: Floats) -> Floats:
    return _unit(_centred(values))


def _rank_correlated(values: Floats) -> Floats:
    return _unit(_centred(_ranks(values)))


def _varying_ranks(values: Floats) -> Floats:
    """Return ranks; NaN where all are the same."""
    ranks = _ranks(values)
    flat = np.nan_to_num(_centred(ranks)).max(axis=-1, keepdims=True) == 0
    return np.where(flat, np.nan, ranks)


def _same(values: Floats) -> Floats:
    return values


def _filled(values: Floats) -> Floats:
    """Return values with 0 for missing ones, which add nothing; NaN where all are missing."""
    empty = np.isnan(values).all(axis=-1, keepdims=True)
    return np.where(empty, np.nan, np.nan_to_num(values))


def _signs(ranks: Floats) -> Floats:
    """Return the signs of the differences of all ranks, whose inner product is Kendall's tau-a."""
    rows, columns = pairs_of(ranks.shape[-1])
    differences = ranks[..., rows] - ranks[..., columns]
    known = (~np.isnan(ranks)).sum(axis=-1, keepdims=True)
    return _filled(np.sign(differences)) / np.sqrt(np.maximum(known * (known - 1) / 2, 1))


def _spread(values: Floats) -> Floats:
    """Return z-scores: mean 0 and a standard deviation of 1."""
    return _correlated(values) * np.sqrt((~np.isnan(values)).sum(axis=-1, keepdims=True))


def _scaled(values: Floats) -> Floats:
    """Return values with a mean square of 1."""
    return _unit(values) * np.sqrt((~np.isnan(values)).sum(axis=-1, keepdims=True))


STATISTICS: Mapping[str, Statistic] = {
    "pearson": Statistic("Pearson's r", _correlated, _filled, _spread),
    "spearman": Statistic("Spearman's rank correlation", _rank_correlated, _filled, _ranks),
    "kendall": Statistic("Kendall's tau-a", _varying_ranks, _signs, _ranks),
    "cosine": Statistic("cosine similarity", _unit, _filled, _scaled),
}
"""Statistics by name."""
