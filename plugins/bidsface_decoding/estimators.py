"""The classifiers by name: scikit-learn estimators that can also refit themselves in Gram space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval

from bidsface.numerics.discriminant import (
    Discriminant,
    Spectrum,
    discriminant_predictions,
    fit_discriminants,
)
from bidsface.numerics.linear import Codes, Floats, FoldKernel, ridge_predictions
from bidsface_decoding.bayesian_logistic import BayesianLogisticRegression
from bidsface_decoding.linear_classifier import LinearClassifier
from bidsface_decoding.rotated import LinearSVM, Logistic


def _second_against_first(rows: Floats) -> Floats:
    """Reduce the rows of two classes to one, as scikit-learn does."""
    return rows[1:] - rows[:1] if len(rows) == 2 else rows


def _signed_targets(codes: Codes) -> Floats:
    """Return targets -1 and +1, (n, n_classes) or (n, 1) for two classes."""
    targets = 2.0 * (codes[:, None] == np.arange(codes.max() + 1)) - 1.0
    return targets[:, 1:] if targets.shape[1] == 2 else targets


class Ridge(LinearClassifier):
    """Ridge regression on class indicators -1 and +1; equals ``RidgeClassifier(alpha)``.

    Parameters
    ----------
    alpha : float or None
        Penalty on the squared weights; None for the number of features. Inner products of scaled
        samples grow with the number of features, so that a fixed penalty would mean something else
        in every region, and next to nothing in large ones.
    """

    _parameter_constraints = {  # noqa: RUF012
        "alpha": [Interval(Real, 0, None, closed="neither"), None]
    }

    def __init__(self, alpha: float | None = None) -> None:
        self.alpha = alpha

    def _penalty(self, n_features: int) -> float:
        return float(n_features) if self.alpha is None else float(self.alpha)

    def _fit(self, X: Floats, codes: Codes) -> None:
        targets = _signed_targets(codes)
        self.intercept_ = targets.mean(axis=0)
        if X.shape[1] > len(X):  # the smaller of two equal systems
            self.coef_ = self.dual_weights(X @ X.T, codes, X.shape[1]) @ X
        else:
            covariance = X.T @ X + self._penalty(X.shape[1]) * np.eye(X.shape[1])
            self.coef_ = np.linalg.solve(covariance, X.T @ targets).T

    def dual_weights(self, gram: Floats, codes: Codes, n_features: int) -> Floats:
        """See `bidsface.numerics.linear.DualEstimator`."""
        targets = _signed_targets(codes)
        residual = targets - targets.mean(axis=0)
        return np.linalg.solve(gram + self._penalty(n_features) * np.eye(len(gram)), residual).T

    def predict_permuted(self, kernel: FoldKernel, codes: Codes, n_classes: int) -> Codes:
        """See `bidsface.numerics.linear.KernelEstimator`."""
        return ridge_predictions(kernel, codes, n_classes, self._penalty(kernel.n_features))


class ShrinkageLDA(LinearClassifier):
    """Linear discriminant analysis with a shrunken pooled covariance.

    See `bidsface.numerics.discriminant` for the model and how it differs from scikit-learn's
    ``LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")``.

    Parameters
    ----------
    shrinkage : float or None
        0 to 1; None for the estimate of Ledoit and Wolf (2004).

    Attributes
    ----------
    shrinkage_ : float
        The shrinkage that was used.
    """

    _parameter_constraints = {  # noqa: RUF012
        "shrinkage": [Interval(Real, 0, 1, closed="both"), None]
    }

    def __init__(self, shrinkage: float | None = None) -> None:
        self.shrinkage = shrinkage

    def _fit(self, X: Floats, codes: Codes) -> None:
        fitted = self._discriminant(X @ X.T, codes, X.shape[1])
        self.coef_ = _second_against_first(fitted.dual[0]) @ X
        self.intercept_ = _second_against_first(fitted.constant[0])
        self.shrinkage_ = float(fitted.shrinkage[0])

    def _discriminant(self, gram: Floats, codes: Codes, n_features: int) -> Discriminant:
        training = Spectrum.of(gram, n_features)
        return fit_discriminants(training, codes[None], int(codes.max()) + 1, self.shrinkage)

    def dual_weights(self, gram: Floats, codes: Codes, n_features: int) -> Floats:
        """See `bidsface.numerics.linear.DualEstimator`."""
        return _second_against_first(self._discriminant(gram, codes, n_features).dual[0])

    def predict_permuted(self, kernel: FoldKernel, codes: Codes, n_classes: int) -> Codes:
        """See `bidsface.numerics.linear.KernelEstimator`."""
        return discriminant_predictions(kernel, codes, n_classes, self.shrinkage)


ESTIMATORS: Mapping[str, Callable[..., Any]] = {
    "ridge": Ridge,
    "svm": LinearSVM,
    "lda": ShrinkageLDA,
    "logistic": Logistic,
    "bayes": BayesianLogisticRegression,
}
"""Classifiers by the name that recipes give."""
