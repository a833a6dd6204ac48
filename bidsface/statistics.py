"""Inference on scores: permutation and signed-rank tests, corrections, intervals.

Arrays in, arrays out. Tests are one-tailed unless told otherwise: large scores count against the
null hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

TIE = 1e-12
"""Scores that differ by less are ties: equal fractions that were summed in another order."""


def permutation_p(observed: ArrayLike, null: ArrayLike) -> Floats:
    """Return permutation p-values, ``(1 + #{null >= observed}) / (1 + n_permutations)``.

    The observed labelling is one of the permutations, so that p is never 0 and the test is exact
    (Phipson and Smyth 2010, Stat Appl Genet Mol Biol 9:39).

    Parameters
    ----------
    observed : array of shape (n_tests,)
    null : array of shape (n_permutations, n_tests)

    Returns
    -------
    ndarray of shape (n_tests,)
        NaN where the observed score is NaN.
    """
    observed, null = np.atleast_1d(np.asarray(observed, float)), _matrix(null)
    exceeding = (null >= observed - TIE).sum(axis=0)
    return np.where(np.isnan(observed), np.nan, (1 + exceeding) / (1 + len(null)))


def max_statistic_p(observed: ArrayLike, null: ArrayLike) -> Floats:
    """Return p-values corrected over tests by the largest score of every permutation.

    Controls the family-wise error rate strongly when all tests share their permutations
    (Westfall and Young 1993; Nichols and Holmes 2002, Hum Brain Mapp 15:1-25).

    Parameters
    ----------
    observed : array of shape (n_tests,)
    null : array of shape (n_permutations, n_tests)
        Row b comes from the same permutation in every column.

    Returns
    -------
    ndarray of shape (n_tests,)
    """
    observed, null = np.atleast_1d(np.asarray(observed, float)), _matrix(null)
    tested = ~np.isnan(observed)
    if not tested.any():
        return np.full_like(observed, np.nan)
    largest = np.max(np.where(np.isnan(null), -np.inf, null)[:, tested], axis=1, keepdims=True)
    return permutation_p(observed, np.broadcast_to(largest, (len(null), len(observed))))


def fdr(p: ArrayLike) -> Floats:
    """Return p-values adjusted by Benjamini and Hochberg (1995, J R Stat Soc B 57:289-300).

    Parameters
    ----------
    p : array of shape (n_tests,)
        NaN where there was no test; it does not count and stays NaN.
    """
    p = np.asarray(p, float)
    adjusted = np.full_like(p, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(-p[tested], kind="stable")]
    ranks = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum.accumulate(np.minimum(p[order] * len(order) / ranks, 1.0))
    return adjusted


def signed_rank_p(differences: ArrayLike, two_tailed: bool = False) -> float:
    """Return the exact Wilcoxon signed-rank p-value for differences above 0 (or other than 0).

    Zeros are dropped and ties get mean ranks; the p-value is exact given both, over all assignments
    of signs, for any number of differences (Wilcoxon 1945; Streitberg and Röhmel 1986).

    Parameters
    ----------
    differences : array of shape (n,)
        NaN are dropped.
    two_tailed : bool
        Twice the smaller tail, at most 1: the null distribution is symmetric.

    Returns
    -------
    float
        1 when nothing is left; NaN for an empty input.
    """
    values = np.asarray(differences, float)
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan")
    values = values[np.abs(values) > TIE]
    # Rounding makes ties of differences that are equal but for the order of a summation.
    ranks = stats.rankdata(np.round(np.abs(values), 12))
    doubled = np.rint(2 * ranks).astype(int)  # mean ranks are halves
    chances = np.zeros(doubled.sum() + 1)
    chances[0] = 1.0
    for rank in doubled:
        chances *= 0.5
        chances[rank:] += chances[:-rank].copy()
    sums = [doubled[values > 0].sum(), doubled[values < 0].sum()]
    extreme = max(sums) if two_tailed else sums[0]
    return float(min(1.0, (1 + two_tailed) * chances[extreme:].sum()))


def smallest_signed_rank_p(n: int, two_tailed: bool = False) -> float:
    """Return the smallest p-value that `signed_rank_p` can reach with n differences."""
    return float(min(1.0, (1 + two_tailed) * 0.5**n)) if n else float("nan")


def mean_interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the t-based confidence interval of a mean; NaN with fewer than two values.

    Parameters
    ----------
    values : array of shape (n,)
        NaN are dropped.
    level : float
    """
    every = np.asarray(values, float)
    known = every[~np.isnan(every)]
    if len(known) < 2:
        return float("nan"), float("nan")
    error = known.std(ddof=1) / np.sqrt(len(known))
    half = float(stats.t.ppf(0.5 + level / 2, len(known) - 1) * error)
    return float(known.mean()) - half, float(known.mean()) + half


@dataclass(frozen=True, eq=False)
class GroupTest:
    """Result of `group_permutation`.

    Attributes
    ----------
    p, p_fwe : ndarray of shape (n_tests,)
        Uncorrected, and corrected over tests by the max-statistic.
    smallest_p : float
        Smallest p-value that the test can reach, up to the sampling of draws.
    null : ndarray of shape (n_draws, n_tests)
        Group means under the null hypothesis.
    """

    p: Floats
    p_fwe: Floats
    smallest_p: float
    null: Floats


def group_permutation(
    observed: ArrayLike,
    nulls: Sequence[ArrayLike],
    n_draws: int,
    seed: np.random.SeedSequence,
) -> GroupTest:
    """Test mean scores of a group by combining every participant's own permutations.

    Every draw takes one labelling per participant, independently and the observed one included, and
    averages the scores (Stelzer, Chen and Turner 2013, NeuroImage 65:69-82). Under the null
    hypothesis the observed combination is one such draw, which makes the test exact. A draw uses
    the same labelling of a participant in all tests, as the max-statistic demands.

    Parameters
    ----------
    observed : array of shape (n_participants, n_tests)
        NaN where a participant lacks a test.
    nulls : sequence of array of shape (n_permutations, n_tests)
        Permuted scores of every participant; numbers of permutations may differ.
    n_draws : int
    seed : SeedSequence
    """
    observed = np.asarray(observed, float)
    generator = np.random.default_rng(seed)
    total = np.zeros((n_draws, observed.shape[1]))
    for scores, null in zip(observed, nulls, strict=True):
        pool = np.vstack([scores, _matrix(null)])
        drawn = pool[generator.integers(len(pool), size=n_draws)]
        total += np.where(np.isnan(scores), 0.0, drawn)
    n = (~np.isnan(observed)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        null, mean = total / n, np.nansum(observed, axis=0) / n
    log_combinations = sum(
        np.log1p(len(_matrix(null))) - np.log(_fewest_repeats(scores, null))
        for scores, null in zip(observed, nulls, strict=True)
    )
    smallest = float(max(1.0 / (1 + n_draws), np.exp(-log_combinations)))
    return GroupTest(permutation_p(mean, null), max_statistic_p(mean, null), smallest, null)


def _fewest_repeats(observed: Floats, null: ArrayLike) -> int:
    """Return how many labellings, at least, share their scores in all tests with one another.

    Labellings that differ in the names of classes only score alike. Where all labellings are used,
    every one of them is there under each of the names that its design allows.
    """
    pool = np.nan_to_num(np.round(np.vstack([observed, _matrix(null)]), 12))
    return int(np.unique(pool, axis=0, return_counts=True)[1].min())


def _matrix(null: ArrayLike) -> Floats:
    array = np.asarray(null, float)
    return array[:, None] if array.ndim == 1 else array
