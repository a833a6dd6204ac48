"""Tests over participants: whether people, as a sample of others, are recognized above chance.

They ask whether the score would be above chance in other people *who see the same film*. With
participants or volumes held out, responses to a moment of the film that are alike in people are
enough for that, whatever the emotion; with film segments held out, so is a shared response that
happens to go along with the labels of this film. The test that takes the labels of the film as the
sample is `circular_shift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface.statistics import (
    TIE,
    mean_interval,
    permutation_p,
    signed_rank_p,
    smallest_signed_rank_p,
)
from bidsface_emotion_cnn.resampling import Floats

MOST_ENUMERATED = 16
"""Participants whose signs are all tried, rather than drawn, where the number of draws allows."""


@dataclass(frozen=True)
class AboveChance:
    """Scores of participants compared with their chance levels, one-tailed.

    Attributes
    ----------
    mean, chance : float
        Of the participants' scores and chance levels.
    low, high : float
        t-based confidence interval of the mean score.
    n : int
        Participants with a score.
    p_signed_rank : float
        Exact Wilcoxon signed-rank test.
    p_t : float
        One-sample t-test; NaN where all differences are equal.
    p_sign_flip : float
        Permutation test of the mean, that flips the signs of differences.
    smallest_p : float
        Smallest value of ``p_signed_rank`` (and of ``p_sign_flip``, up to the number of draws) with
        so many participants.
    """

    mean: float
    chance: float
    low: float
    high: float
    n: int
    p_signed_rank: float
    p_t: float
    p_sign_flip: float
    smallest_p: float


def compare_with_chance(
    scores: NDArray[Any],
    chance: NDArray[Any],
    *,
    n_flips: int,
    seed: np.random.SeedSequence,
    level: float = 0.95,
) -> AboveChance:
    """Compare scores with chance, participants being the sample.

    Parameters
    ----------
    scores, chance : ndarray of shape (n_participants,)
        NaN where a participant was not tested.
    n_flips : int
        Draws of signs; all of them are tried where they are not more.
    seed : SeedSequence
    level : float
        Of the confidence interval.
    """
    known = ~np.isnan(scores)
    scores, chance = np.asarray(scores, float)[known], np.asarray(chance, float)[known]
    if not len(scores):
        nan = float("nan")
        return AboveChance(nan, nan, nan, nan, 0, nan, nan, nan, nan)
    differences = scores - chance
    low, high = mean_interval(scores, level)
    return AboveChance(
        mean=float(scores.mean()),
        chance=float(chance.mean()),
        low=low,
        high=high,
        n=len(scores),
        p_signed_rank=signed_rank_p(differences),
        p_t=_t_p(differences),
        p_sign_flip=sign_flip_p(differences, n_flips, seed),
        smallest_p=smallest_signed_rank_p(len(scores)),
    )


def _t_p(differences: Floats) -> float:
    n = len(differences)
    if n < 2 or np.ptp(differences) < TIE:
        return float("nan")
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(n))
    return float(stats.t.sf(t, n - 1))


def sign_flip_p(differences: Floats, n_flips: int, seed: np.random.SeedSequence) -> float:
    """Return the one-tailed p of a mean: if it is 0, differences are as likely with either sign.

    Exact where differences are symmetric about 0 under the null hypothesis. All signs are tried
    where there are not more than ``n_flips`` of them, else that many are drawn.

    Parameters
    ----------
    differences : ndarray of shape (n,)
        No NaN; at least one.
    n_flips : int
    seed : SeedSequence
    """
    n = len(differences)
    if n <= MOST_ENUMERATED and 2**n - 1 <= n_flips:
        # Number 0 is the observed signs, which the p-value counts anyhow.
        flipped = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
    else:
        flipped = np.random.default_rng(seed).integers(2, size=(n_flips, n))
    null = (1 - 2 * flipped) @ differences / n
    return float(permutation_p(differences.mean(), null)[0])
