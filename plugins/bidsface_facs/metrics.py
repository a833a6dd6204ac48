"""Scores of predictions, for many targets at once.

Columns are targets, such as permutations of one; rows are images. A score that has no meaning, such
as a correlation with values that do not vary, is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface.numerics.linear import Floats
from bidsface_facs.covariates import residuals

Names = NDArray[Any]

FEWEST_IMAGES = 3
"""With fewer images a participant has no correlation: that of two is always -1 or 1."""


def r2(truth: Floats, predicted: Floats) -> Floats:
    """Return the share of the variance around the mean of ``truth`` that is predicted, (m,).

    Below 0 where the mean of the very values that are scored predicts better.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n, m)
    """
    _, size = _centred(truth)
    return 1.0 - ((truth - predicted) ** 2).sum(axis=0) / size**2


def mae(truth: Floats, predicted: Floats) -> Floats:
    """Return mean absolute errors, (n, m) to (m,)."""
    return np.abs(truth - predicted).mean(axis=0)


def mse(truth: Floats, predicted: Floats) -> Floats:
    """Return mean squared errors, (n, m) to (m,)."""
    return ((truth - predicted) ** 2).mean(axis=0)


def rmse(truth: Floats, predicted: Floats) -> Floats:
    """Return root mean squared errors, (n, m) to (m,)."""
    return np.sqrt(mse(truth, predicted))


def pearson(truth: Floats, predicted: Floats) -> Floats:
    """Return Pearson's correlations, (n, m) to (m,)."""
    (first, size), (second, other) = _centred(truth), _centred(predicted)
    return np.clip((first * second).sum(axis=0) / (size * other), -1.0, 1.0)


def spearman(truth: Floats, predicted: Floats) -> Floats:
    """Return Spearman's rank correlations, (n, m) to (m,)."""
    return pearson(_ranks(truth), _ranks(predicted))


def _ranks(values: Floats) -> Floats:
    ranks: Floats = stats.rankdata(values, axis=0)
    return ranks


Correlation = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, eq=False)
class WithinScores:
    """Correlations within participants.

    Attributes
    ----------
    mean : ndarray of shape (m,)
        Over the participants that have a correlation.
    each : ndarray of shape (n_participants, m)
        NaN for participants with fewer than three images, or values that do not vary.
    names : ndarray of shape (n_participants,)
    """

    mean: Floats
    each: Floats
    names: Names

    @property
    def n_left_out(self) -> NDArray[np.intp]:
        """Number of participants without a correlation, (m,)."""
        return np.isnan(self.each).sum(axis=0)


def within_participants(
    truth: Floats, predicted: Floats, participants: Names, correlation: Correlation = pearson
) -> WithinScores:
    """Correlate values and predictions over the images of every participant.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n, m)
    participants : ndarray of shape (n,)
    correlation : callable
        `pearson` or `spearman`.
    """
    names, codes = np.unique(participants, return_inverse=True)
    each = np.full((len(names), max(truth.shape[1], predicted.shape[1])), np.nan)
    for code in range(len(names)):
        rows = np.flatnonzero(codes == code)
        if len(rows) >= FEWEST_IMAGES:
            each[code] = correlation(truth[rows], predicted[rows])
    return WithinScores(mean_of_known(each), each, names)


def between_participants(
    truth: Floats, predicted: Floats, participants: Names, correlation: Correlation = pearson
) -> Floats:
    """Correlate the participants' means; NaN with fewer than three participants.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n, m)
    participants : ndarray of shape (n,)
    correlation : callable

    Returns
    -------
    ndarray of shape (m,)
    """
    names, codes, counts = np.unique(participants, return_inverse=True, return_counts=True)
    if len(names) < FEWEST_IMAGES:
        return np.full(max(truth.shape[1], predicted.shape[1]), np.nan)
    average = (codes == np.arange(len(names))[:, None]) / counts[:, None]
    return correlation(average @ truth, average @ predicted)


def partial_pearson(truth: Floats, predicted: Floats, covariates: Floats) -> Floats:
    """Return correlations of what covariates leave of values and of predictions.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n, m)
    covariates : ndarray of shape (n, q)

    Returns
    -------
    ndarray of shape (m,)
        NaN where covariates leave nothing, or fewer than three degrees of freedom.
    """
    if len(truth) - covariates.shape[1] < FEWEST_IMAGES:
        return np.full(max(truth.shape[1], predicted.shape[1]), np.nan)
    left = [residuals(values, covariates) for values in (truth, predicted)]
    spread = [np.abs(values).max(axis=0, initial=0.0) for values in (truth, predicted)]
    known = [
        np.linalg.norm(rest, axis=0) > 1e-10 * np.sqrt(len(rest)) * size
        for rest, size in zip(left, spread, strict=True)
    ]
    return np.where(known[0] & known[1], pearson(*left), np.nan)


@dataclass(frozen=True, eq=False)
class Scored:
    """What is known of the images that are scored, beside their values.

    Attributes
    ----------
    participants : ndarray of shape (n,)
    covariates : ndarray of shape (n, q) or None
    """

    participants: Names
    covariates: Floats | None = None

    def __getitem__(self, rows: NDArray[np.intp]) -> Scored:
        """Return some of the images."""
        covariates = None if self.covariates is None else self.covariates[rows]
        return Scored(self.participants[rows], covariates)


Score = Callable[[Floats, Floats, Scored], Floats]


@dataclass(frozen=True)
class Metric:
    """A score of predictions.

    Attributes
    ----------
    score : callable
        From values (n, m), predictions (n, m) and what is known of the images to scores (m,).
    description : str
    sign : int
        1 if large scores are good, -1 if small ones are.
    """

    score: Score
    description: str
    sign: int = 1

    def permuted(self, scores: Floats) -> Floats:
        """Return scores of which large ones are good, 0 for those without a meaning.

        A correlation with values that do not vary says nothing, and 0 is what nothing scores. The
        rule is the same for observed and permuted targets, so that a permutation test stays exact.
        """
        return np.where(np.isnan(scores), 0.0, self.sign * scores)


def _plain(score: Callable[[Floats, Floats], Floats]) -> Score:
    return lambda truth, predicted, scored: score(truth, predicted)


def _within(correlation: Correlation) -> Score:
    return lambda truth, predicted, scored: (
        within_participants(truth, predicted, scored.participants, correlation).mean
    )


def _between(correlation: Correlation) -> Score:
    return lambda truth, predicted, scored: between_participants(
        truth, predicted, scored.participants, correlation
    )


def _partial(truth: Floats, predicted: Floats, scored: Scored) -> Floats:
    if scored.covariates is None:
        raise ValueError("a partial correlation needs covariates")
    return partial_pearson(truth, predicted, scored.covariates)


METRICS: Mapping[str, Metric] = {
    "r2": Metric(_plain(r2), "R2"),
    "mae": Metric(_plain(mae), "mean absolute error", -1),
    "mse": Metric(_plain(mse), "mean squared error", -1),
    "rmse": Metric(_plain(rmse), "root mean squared error", -1),
    "pearson": Metric(_plain(pearson), "Pearson's r"),
    "spearman": Metric(_plain(spearman), "Spearman's rho"),
    "within_pearson": Metric(_within(pearson), "Pearson's r within participants"),
    "within_spearman": Metric(_within(spearman), "Spearman's rho within participants"),
    "between_pearson": Metric(_between(pearson), "Pearson's r of participants' means"),
    "between_spearman": Metric(_between(spearman), "Spearman's rho of participants' means"),
    "partial_pearson": Metric(_partial, "Pearson's r given covariates"),
}
"""Scores by name."""


def mean_of_known(values: Floats) -> Floats:
    """Return the mean over the first axis, NaN not counting; NaN where there is no number."""
    count = (~np.isnan(values)).sum(axis=0)
    empty = np.full(values.shape[1:], np.nan)
    return np.divide(np.nansum(values, axis=0), count, out=empty, where=count > 0)


def _centred(values: Floats) -> tuple[Floats, Floats]:
    """Return values minus their mean, and their length: NaN if they do not vary.

    Rounding leaves a little of values that are all the same.
    """
    centred = values - values.mean(axis=0)
    size = np.linalg.norm(centred, axis=0)
    rounding = 1e-12 * np.sqrt(len(values)) * np.abs(values).max(axis=0, initial=0.0)
    return centred, np.where(size > rounding, size, np.nan)
