"""Whether probabilities mean what they say: reliability, Brier score, temperature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from bidsface_emotion_cnn.resampling import Floats, Indices

LOWEST = float(np.finfo(np.float32).tiny)
"""What a probability of 0 in single precision stands for, before its logarithm is taken."""
COLDEST, HOTTEST = 0.02, 50.0
"""Range of temperatures."""


def _by_width(values: Floats, n_bins: int) -> Indices:
    """Return bins ``(0, 1/n], (1/n, 2/n], ...``; 0 belongs to the first."""
    edges = np.linspace(0, 1, n_bins + 1)[1:-1]
    return np.searchsorted(edges, values).astype(np.int64)


def _by_mass(values: Floats, n_bins: int) -> Indices:
    """Return bins of equal numbers; equal values share a bin."""
    before = stats.rankdata(values, method="min") - 1
    return np.floor(before * n_bins / len(values)).astype(np.int64)


BINNINGS: Mapping[str, Callable[[Floats, int], Indices]] = {"width": _by_width, "mass": _by_mass}


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of a reliability diagram; empty ones are left out.

    Attributes
    ----------
    bins : ndarray of int, shape (n_filled,)
        Number of the bin, from 0.
    confidence : ndarray of shape (n_filled,)
        Mean of the probabilities.
    accuracy : ndarray of shape (n_filled,)
        How often what was predicted is true.
    counts : ndarray of shape (n_filled,)
    """

    bins: Indices
    confidence: Floats
    accuracy: Floats
    counts: Floats

    @classmethod
    def of(
        cls, confidence: Floats, correct: NDArray[Any], n_bins: int = 15, binning: str = "width"
    ) -> Reliability:
        """Sort predictions into bins.

        Parameters
        ----------
        confidence : ndarray of shape (n,)
            Probability of what was predicted.
        correct : ndarray of bool, shape (n,)
        n_bins : int
        binning : {'width', 'mass'}
            Bins of equal width, or of equally many predictions.
        """
        bins = BINNINGS[binning](np.asarray(confidence, np.float64), n_bins)
        filled, places, counts = np.unique(bins, return_inverse=True, return_counts=True)
        mean_confidence, accuracy = (
            np.bincount(places, weights=part) / counts for part in (confidence, correct)
        )
        return cls(filled, mean_confidence, accuracy, counts.astype(np.float64))

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over predictions.

        It is above 0 by chance alone, the more so the fewer predictions a bin has.
        """
        gaps = np.abs(self.accuracy - self.confidence)
        return float((gaps * self.counts).sum() / self.counts.sum())

    @property
    def largest_error(self) -> float:
        """Largest distance of confidence and accuracy in a bin."""
        return float(np.abs(self.accuracy - self.confidence).max())


@dataclass(frozen=True)
class Brier:
    """Brier score of several classes (Brier 1950) and what it is made of, summed over classes.

    ``score = reliability - resolution + uncertainty + within``, exactly (Murphy 1973, J Appl
    Meteorol 12:595, and Stephenson et al. 2008, Weather Forecast 23:752, for what is lost within
    bins).

    Attributes
    ----------
    score : float
        Mean squared distance between probabilities and what was the case, 0 to 2.
    reliability : float
        How far probabilities are from frequencies, in bins of each class; 0 is best.
    resolution : float
        How far frequencies in the bins are from the overall ones; large is best.
    uncertainty : float
        Of the classes; the score of who always predicts their overall frequencies.
    within : float
        Variance of probabilities within bins less twice their covariance with the outcomes.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float

    @classmethod
    def of(
        cls, probabilities: Floats, codes: NDArray[Any], n_bins: int = 15, binning: str = "width"
    ) -> Brier:
        """Score probabilities (n, n_classes) of volumes whose classes are ``codes`` (n,)."""
        probabilities = np.asarray(probabilities, dtype=np.float64)
        truth = (codes[:, None] == np.arange(probabilities.shape[1])).astype(np.float64)
        parts = [
            _brier_parts(*columns, n_bins, binning)
            for columns in zip(probabilities.T, truth.T, strict=True)
        ]
        score = float(((probabilities - truth) ** 2).sum(axis=1).mean())
        return cls(score, *np.sum(parts, axis=0).tolist())


def _brier_parts(p: Floats, truth: Floats, n_bins: int, binning: str) -> tuple[float, ...]:
    """Return reliability, resolution, uncertainty and what is within bins, of one class."""
    _, places = np.unique(BINNINGS[binning](p, n_bins), return_inverse=True)
    counts = np.bincount(places)
    mean_p, mean_truth = (np.bincount(places, weights=part) / counts for part in (p, truth))
    shares, base = counts / len(p), truth.mean()
    away_p, away_truth = p - mean_p[places], truth - mean_truth[places]
    return (
        float((shares * (mean_p - mean_truth) ** 2).sum()),
        float((shares * (mean_truth - base) ** 2).sum()),
        float(base * (1 - base)),
        float((away_p**2).mean() - 2 * (away_p * away_truth).mean()),
    )


def log_loss(probabilities: Floats, codes: NDArray[Any]) -> float:
    """Return the mean negative logarithm of the true class's probability (nats)."""
    own = np.asarray(probabilities, dtype=np.float64)[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(own, LOWEST)).mean())


def fit_temperature(probabilities: NDArray[np.floating], codes: NDArray[Any]) -> float:
    """Return the temperature that makes probabilities of the validation part most likely.

    Scores of classes are divided by it before they become probabilities (Guo et al. 2017, section
    4.2). Logarithms of probabilities are such scores, up to a constant that makes no difference.
    The likelihood is concave in 1 / temperature, so that its derivative has one zero.

    Parameters
    ----------
    probabilities : ndarray of shape (n, n_classes)
    codes : ndarray of int, shape (n,)

    Returns
    -------
    float
        Above 1 for a network that is too sure; 1 without volumes.
    """
    if not len(codes):
        return 1.0
    scores = _scores(probabilities)
    own = scores[np.arange(len(codes)), codes]

    def slope(log_inverse: float) -> float:
        expected = special.softmax(np.exp(log_inverse) * scores, axis=1) * scores
        return float((expected.sum(axis=1) - own).mean())

    low, high = -np.log(HOTTEST), -np.log(COLDEST)
    if slope(low) >= 0:
        return HOTTEST
    if slope(high) <= 0:
        return COLDEST
    return float(np.exp(-optimize.brentq(slope, low, high, xtol=1e-10)))


def apply_temperature(probabilities: NDArray[np.floating], temperature: float) -> Floats:
    """Return probabilities (n, n_classes) at a temperature; the order of classes stays."""
    return np.asarray(special.softmax(_scores(probabilities) / temperature, axis=1))


def _scores(probabilities: NDArray[np.floating]) -> Floats:
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LOWEST))


def scale_folds(
    probabilities: Sequence[NDArray[np.floating]],
    validation: Sequence[NDArray[np.floating]],
    validation_codes: Sequence[NDArray[Any]],
) -> tuple[list[Floats], Floats]:
    """Scale the test predictions of every fold by the temperature of its validation part.

    Parameters
    ----------
    probabilities : sequence of ndarray of shape (n_test, n_classes)
    validation : sequence of ndarray of shape (n_validation, n_classes)
    validation_codes : sequence of ndarray of int, shape (n_validation,)

    Returns
    -------
    scaled : list of ndarray
    temperatures : ndarray of shape (n_folds,)
    """
    temperatures = [
        fit_temperature(part, codes)
        for part, codes in zip(validation, validation_codes, strict=True)
    ]
    scaled = [
        apply_temperature(part, temperature)
        for part, temperature in zip(probabilities, temperatures, strict=True)
    ]
    return scaled, np.array(temperatures)


@dataclass(frozen=True, eq=False)
class Calibration:
    """How well probabilities are calibrated.

    Attributes
    ----------
    width, mass : Reliability
        Of the most probable class, in bins of equal width and of equal mass.
    brier : Brier
        In bins of equal mass.
    log_loss : float
    """

    width: Reliability
    mass: Reliability
    brier: Brier
    log_loss: float

    @classmethod
    def of(cls, probabilities: Floats, codes: NDArray[Any], n_bins: int = 15) -> Calibration:
        """Judge probabilities (n, n_classes) of volumes whose classes are ``codes`` (n,)."""
        best = probabilities.max(axis=1)
        correct = np.argmax(probabilities, axis=1) == codes
        width, mass = (Reliability.of(best, correct, n_bins, name) for name in ("width", "mass"))
        brier = Brier.of(probabilities, codes, n_bins, "mass")
        return cls(width, mass, brier, log_loss(probabilities, codes))
