"""Resampling of participants, who are what the next study would draw anew: weights, intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def participant_weights(
    n_participants: int, n_resamples: int, seed: np.random.SeedSequence
) -> Indices:
    """Return how often every resample, with replacement, has drawn every participant.

    Returns
    -------
    ndarray of int, shape (n_resamples, n_participants)
        Rows sum to ``n_participants``.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(n_participants, size=(n_resamples, n_participants))
    places = drawn + n_participants * np.arange(n_resamples)[:, None]
    counts = np.bincount(places.ravel(), minlength=n_resamples * n_participants)
    return counts.reshape(n_resamples, n_participants)


def percentile_interval(
    draws: Floats, n_participants: int, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Return percentile intervals, expanded for small numbers of participants.

    Plain percentiles of resampled means are too narrow by the factor ``sqrt((n - 1) / n)`` and by
    the normal quantile where Student's belongs: of 8 people they hold the mean in 88 instead of
    95 % of studies. The percentiles are moved outwards to make up for both (Hesterberg 2015, Am
    Stat 69:371-386, section 3.3).

    Parameters
    ----------
    draws : ndarray of shape (n_resamples, ...)
        NaN where a resample lacks what the statistic needs; these are left out.
    n_participants : int
    level : float

    Returns
    -------
    low, high : ndarray of shape (...)
        NaN with fewer than two participants, and where no resample has a value.
    """
    draws = np.asarray(draws, dtype=np.float64)
    blank = np.full(draws.shape[1:], np.nan)
    if n_participants < 2 or not len(draws):
        return blank, blank.copy()
    quantile = stats.t.ppf((1 - level) / 2, n_participants - 1)
    tail = stats.norm.cdf(np.sqrt(n_participants / (n_participants - 1)) * quantile)
    unknown = np.isnan(draws).all(axis=0)
    ends = np.nanquantile(np.where(unknown, 0.0, draws), [tail, 1 - tail], axis=0)
    low, high = np.where(unknown, np.nan, ends)
    return np.asarray(low), np.asarray(high)


def interval_text(low: float, high: float) -> str:
    """Return an interval for people; n/a where it is not known."""
    return "n/a" if np.isnan(low) else f"{low:.3f} to {high:.3f}"
