"""One-versus-rest receiver operating characteristics, and their areas over resampled participants.

The area under the curve of a class is the chance that a volume of the class gets a higher score
than a volume of another class, ties counting one half (Fawcett 2006, Pattern Recognit Lett 27:861).
It is a sum over pairs of volumes, hence over pairs of participants: how often volumes of one win
against volumes of the other has to be counted once only, and a resample that has participant i
``w_i`` times weighs the pair (i, j) by ``w_i w_j``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface_emotion_cnn.resampling import Floats, participant_weights, percentile_interval

Codes = NDArray[Any]


@dataclass(frozen=True, eq=False)
class RocCurve:
    """A receiver operating characteristic.

    Attributes
    ----------
    false_positive, true_positive : ndarray of shape (n_points,)
        Rates, from 0 to 1.
    thresholds : ndarray of shape (n_points,)
        Scores of at least this count as positive; the first is infinite.
    auc : float
    """

    false_positive: Floats
    true_positive: Floats
    thresholds: Floats
    auc: float


def roc_curve(scores: Floats, positive: NDArray[np.bool_]) -> RocCurve:
    """Return the curve of a score; points on a straight line between others are left out.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Large for the class.
    positive : ndarray of bool, shape (n,)
        Who belongs to the class.

    Raises
    ------
    ValueError
        If all, or none, belong to the class.
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    n_positive = int(positive.sum())
    if not 0 < n_positive < len(positive):
        raise ValueError(
            f"a curve needs volumes in and out of the class, found {n_positive} of {len(positive)}"
        )
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits = np.cumsum(positive)[last]
    alarms = 1 + last - hits
    bends = (np.diff(alarms, 2) != 0) | (np.diff(hits, 2) != 0)
    kept = np.concatenate([[True], bends, [True]]) if len(last) > 1 else np.array([True])
    hits, alarms, thresholds = hits[kept], alarms[kept], scores[last[kept]]
    true = np.concatenate([[0.0], hits / n_positive])
    false = np.concatenate([[0.0], alarms / (len(positive) - n_positive)])
    area = float(np.trapezoid(true, false))
    return RocCurve(false, true, np.concatenate([[np.inf], thresholds]), area)


def one_vs_rest_auc(probabilities: Floats, codes: Codes) -> Floats:
    """Return the area under the curve of every class, from ranks.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
    codes : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of shape (n_classes,)
        NaN for classes that all volumes, or none, belong to.
    """
    own = codes[:, None] == np.arange(probabilities.shape[1])
    ranks = stats.rankdata(probabilities, axis=0)
    return auc_from_ranks(np.where(own, ranks, 0.0).sum(axis=0), own.sum(axis=0), len(codes))


def auc_from_ranks(rank_sums: Floats, counts: NDArray[Any], n: int) -> Floats:
    """Return areas from sums of ranks among n volumes (Mann and Whitney); any shape."""
    wins = rank_sums - counts * (counts + 1) / 2
    pairs = np.asarray(counts * (n - counts), dtype=np.float64)
    return np.divide(wins, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)


def macro(values: Floats) -> Floats:
    """Return the mean over classes, the last axis, of those that are known; NaN for none."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.divide(total, n, out=np.full(np.shape(total), np.nan), where=n > 0))


@dataclass(frozen=True, eq=False)
class PairWins:
    """How volumes of participants compare with each other, for every class.

    Attributes
    ----------
    wins : ndarray of shape (n_classes, n_participants, n_participants)
        How many pairs of a volume of the class (of the participant in the rows) and one of another
        class (columns) the former wins; ties count one half.
    n_pairs : ndarray of shape (n_classes, n_participants, n_participants)
        How many such pairs there are.
    """

    wins: Floats
    n_pairs: Floats

    @classmethod
    def within(
        cls,
        groups: Codes,
        probabilities: Floats,
        codes: Codes,
        owners: Codes,
        n_participants: int,
    ) -> PairWins:
        """Compare only volumes of one group, such as those that one network has predicted.

        Networks of different folds may be sure in different degrees, and volumes of the class that
        a fold's test part is rich in are rare in its training part: over folds, the area is below
        one half where there is nothing to find (Parker et al. 2007, BMC Bioinformatics 8:326).

        Parameters
        ----------
        groups : ndarray of int, shape (n,)
        probabilities, codes, owners, n_participants
            As for `of`.
        """
        parts = [
            cls.of(probabilities[own], codes[own], owners[own], n_participants)
            for own in (groups == group for group in np.unique(groups))
        ]
        wins, n_pairs = (
            np.sum([getattr(part, name) for part in parts], axis=0) for name in ("wins", "n_pairs")
        )
        return cls(wins, n_pairs)

    @classmethod
    def of(
        cls, probabilities: Floats, codes: Codes, owners: Codes, n_participants: int
    ) -> PairWins:
        """Compare the volumes of all participants.

        Parameters
        ----------
        probabilities : ndarray of shape (n, n_classes)
        codes : ndarray of int, shape (n,)
        owners : ndarray of int, shape (n,)
            Number of every volume's participant, 0 to ``n_participants - 1``.
        n_participants : int
        """
        n_classes = probabilities.shape[1]
        own = codes[:, None] == np.arange(n_classes)
        wins = np.zeros((n_classes, n_participants, n_participants))
        for code, participant in np.ndindex(n_classes, n_participants):
            inside = own[:, code]
            rest = np.sort(probabilities[~inside & (owners == participant), code])
            scores = probabilities[inside, code]
            below, up_to = (np.searchsorted(rest, scores, side) for side in ("left", "right"))
            wins[code, :, participant] = np.bincount(
                owners[inside], (below + up_to) / 2, minlength=n_participants
            )
        members = owners[:, None] == np.arange(n_participants)
        positives = own.T.astype(np.float64) @ members
        negatives = members.sum(axis=0) - positives
        return cls(wins, positives[:, :, None] * negatives[:, None])

    def auc(self, weights: NDArray[Any]) -> Floats:
        """Return the areas of resamples.

        Parameters
        ----------
        weights : ndarray of shape (n_resamples, n_participants)
            How often a resample has every participant.

        Returns
        -------
        ndarray of shape (n_resamples, n_classes)
            NaN where a resample has no volume in, or out of, the class.
        """
        weights = np.asarray(weights, dtype=np.float64)
        wins, pairs = (
            np.stack([((weights @ one) * weights).sum(axis=1) for one in part], axis=1)
            for part in (self.wins, self.n_pairs)
        )
        return np.divide(wins, pairs, out=np.full(wins.shape, np.nan), where=pairs > 0)


@dataclass(frozen=True, eq=False)
class AucIntervals:
    """Areas with confidence intervals over participants.

    Attributes
    ----------
    auc, low, high : ndarray of shape (n_classes,)
    macro, macro_low, macro_high : float
        Mean over classes.
    """

    auc: Floats
    low: Floats
    high: Floats
    macro: float
    macro_low: float
    macro_high: float


def bootstrap_auc(
    probabilities: Floats,
    codes: Codes,
    participants: Codes,
    folds: Codes,
    *,
    n_resamples: int,
    seed: np.random.SeedSequence,
    level: float = 0.95,
) -> AucIntervals:
    """Return areas under the curve with percentile intervals over resampled participants.

    Volumes of one participant resemble each other; a participant is drawn with all of them. Only
    volumes that the same fold tested are compared, see `PairWins.within`.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
    codes, participants, folds : ndarray of int, shape (n,)
    n_resamples : int
    seed : SeedSequence
    level : float

    Returns
    -------
    AucIntervals
        Intervals are NaN with one participant; see `resampling.percentile_interval`.
    """
    names, owners = np.unique(participants, return_inverse=True)
    pairs = PairWins.within(folds, probabilities, codes, owners, len(names))
    draws = pairs.auc(participant_weights(len(names), n_resamples, seed))
    low, high = percentile_interval(draws, len(names), level)
    macro_low, macro_high = percentile_interval(macro(draws), len(names), level)
    auc = pairs.auc(np.ones((1, len(names))))[0]
    return AucIntervals(auc, low, high, float(macro(auc)), float(macro_low), float(macro_high))
