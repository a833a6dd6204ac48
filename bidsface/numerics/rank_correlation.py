"""Correlations of a few participants' values, with p-values that small numbers allow."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Orders = NDArray[np.intp]

MOST_ENUMERATED = 8
"""With more values than this their orders are drawn at random: 9 have 362,880 of them."""


def orders_of(n: int, n_draws: int, seed: np.random.SeedSequence) -> tuple[Orders, bool]:
    """Return orders of n values, and whether these are all that there are.

    Parameters
    ----------
    n : int
    n_draws : int
        Number of random orders where there are too many to list.
    seed : SeedSequence

    Returns
    -------
    orders : ndarray of int, shape (n_orders, n)
    complete : bool
    """
    if n <= MOST_ENUMERATED:
        return np.array(list(permutations(range(n))), dtype=np.intp).reshape(factorial(n), n), True
    generator = np.random.default_rng(seed)
    return generator.permuted(np.tile(np.arange(n), (n_draws, 1)), axis=1), False


def spearman(x: ArrayLike, y: ArrayLike, orders: Orders, complete: bool) -> tuple[float, float]:
    """Return Spearman's rank correlation and its two-tailed permutation p-value.

    p is the share of orders of ``y`` whose correlation is at least as far from 0: exact, ties
    included, where ``orders`` are all; else the observed order is counted as one more of the
    random ones (Phipson and Smyth 2010, Stat Appl Genet Mol Biol 9:39).

    Parameters
    ----------
    x, y : array of shape (n,)
    orders : ndarray of int, shape (n_orders, n)
    complete : bool
        Both from `orders_of`.

    Returns
    -------
    rho, p : float
        NaN with fewer than three values, or where either does not vary.
    """
    first, second = _standardized(stats.rankdata(x)), _standardized(stats.rankdata(y))
    if len(first) < 3 or np.isnan(first).any() or np.isnan(second).any():
        return float("nan"), float("nan")
    rho = float(first @ second)
    as_far = int((np.abs(second[orders] @ first) >= abs(rho) - 1e-12).sum())
    p = as_far / len(orders) if complete else (1 + as_far) / (1 + len(orders))
    return rho, p


def smallest_spearman_p(n: int, n_draws: int) -> float:
    """Return the smallest p-value that `spearman` can reach with n values without ties."""
    if n < 3:
        return float("nan")
    exact = 2 / factorial(n)
    return exact if n <= MOST_ENUMERATED else max(exact, 1 / (1 + n_draws))


def pearson_interval(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Return Pearson's correlation and the ends of Fisher's confidence interval.

    Parameters
    ----------
    x, y : array of shape (n,)
    level : float

    Returns
    -------
    r, low, high : float
        NaN with fewer than three values or where either does not vary; no interval with fewer
        than four or a perfect correlation.
    """
    first, second = _standardized(np.asarray(x, float)), _standardized(np.asarray(y, float))
    if len(first) < 3 or np.isnan(first).any() or np.isnan(second).any():
        return float("nan"), float("nan"), float("nan")
    r = float(np.clip(first @ second, -1.0, 1.0))
    if len(first) < 4 or abs(r) > 1 - 1e-12:
        return r, float("nan"), float("nan")
    half = stats.norm.ppf(0.5 + level / 2) / np.sqrt(len(first) - 3)
    low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
    return r, float(low), float(high)


def smallest_noticed(n: int, level: float = 0.05) -> float:
    """Return how large Pearson's correlation of n pairs must be for a two-tailed p of ``level``.

    By the t distribution; NaN with fewer than three pairs.
    """
    if n < 3:
        return float("nan")
    t = stats.t.ppf(1 - level / 2, n - 2)
    return float(t / np.sqrt(n - 2 + t * t))


def _standardized(values: Floats) -> Floats:
    """Return values with mean 0 and length 1; NaN where they do not vary."""
    centred = values - values.mean() if len(values) else values
    length = np.linalg.norm(centred)
    # Rounding leaves a little of values that are all the same.
    varies = length > 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0)))
    return centred / length if varies else np.full_like(centred, np.nan)
