"""Least squares on covariates: what they predict, and what they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats


@dataclass(frozen=True, eq=False)
class CovariateRegression:
    """Least-squares regression of targets on covariates and an intercept.

    Attributes
    ----------
    mean, scale : ndarray of shape (q,)
        Of the covariates that it was fitted to; scale is 1 for one that does not vary.
    coefficients : ndarray of shape (1 + q, m)
        Of the intercept and the scaled covariates; the shortest of several solutions.
    """

    mean: Floats
    scale: Floats
    coefficients: Floats

    @classmethod
    def fit(cls, covariates: Floats, targets: Floats) -> CovariateRegression:
        """Fit to covariates (n, q) and targets (n, m)."""
        mean, spread = covariates.mean(axis=0), covariates.std(axis=0)
        scale = np.where(spread > _rounding(covariates), spread, 1.0)
        design = _design(covariates, mean, scale)
        return cls(mean, scale, np.linalg.pinv(design) @ targets)

    def predict(self, covariates: Floats) -> Floats:
        """Return what covariates (n, q) say of the targets, (n, m)."""
        return _design(covariates, self.mean, self.scale) @ self.coefficients


def residuals(
    values: Floats, covariates: Floats, participants: NDArray[Any] | None = None
) -> Floats:
    """Return what least squares on covariates leaves of values.

    Parameters
    ----------
    values : ndarray of shape (n, m)
    covariates : ndarray of shape (n, q)
    participants : ndarray of shape (n,), optional
        Participant of every row: each then has an intercept of its own.

    Returns
    -------
    ndarray of shape (n, m)
        With mean 0, in every participant where these are given.
    """
    if participants is None:
        return values - CovariateRegression.fit(covariates, values).predict(covariates)
    # Regressing centred values on centred covariates is regressing on intercepts as well
    # (Frisch and Waugh 1933, Econometrica 1:387).
    centred, design = (
        each - participant_means(each, participants) for each in (values, covariates)
    )
    size = np.linalg.norm(design, axis=0)
    kept = size > np.sqrt(len(design)) * _rounding(covariates)
    scaled = design[:, kept] / size[kept]
    return centred - scaled @ (np.linalg.pinv(scaled) @ centred)


def participant_means(values: Floats, participants: NDArray[Any]) -> Floats:
    """Return every row's participant's mean: (n, m) to (n, m)."""
    _, codes, counts = np.unique(participants, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, codes, values)
    return (sums / counts[:, None])[codes]


def _design(covariates: Floats, mean: Floats, scale: Floats) -> Floats:
    return np.column_stack([np.ones(len(covariates)), (covariates - mean) / scale])


def _rounding(covariates: Floats) -> Floats:
    """Return below which standard deviation a covariate is constant but for rounding."""
    return 1e-12 * np.abs(covariates).max(axis=0, initial=0.0)
