"""Linear classifiers, as scikit-learn estimators that can also refit themselves in Gram space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from bidsface.numerics.discriminant import (
    Discriminant,
    Spectrum,
    discriminant_predictions,
    fit_discriminants,
)
from bidsface.numerics.linear import (
    Codes,
    Floats,
    FoldKernel,
    ridge_predictions,
    rotate,
    spectrum,
)


class LinearClassifier(ClassifierMixin, BaseEstimator):
    """Base of linear classifiers: decisions are ``X @ coef_.T + intercept_``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        One row stands for the second class against the first.
    intercept_ : ndarray of shape (n_classes,) or (1,)
    """

    coef_: NDArray[np.floating]
    intercept_: Floats

    def fit(self, X: ArrayLike, y: ArrayLike) -> LinearClassifier:
        """Fit to samples ``X`` (n_samples, n_features) of classes ``y`` (n_samples,)."""
        self._validate_params()
        samples, classes = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(classes)
        self.classes_, codes = np.unique(classes, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes; the data contain "
                f"only one class: {self.classes_[0]!r}"
            )
        self.centre_ = samples.mean(axis=0)
        self._fit(samples - self.centre_, codes)
        self.intercept_ = self.intercept_ - self.coef_ @ self.centre_
        return self

    def _fit(self, X: Floats, codes: Codes) -> None:
        """Set ``coef_`` and ``intercept_`` from centred samples."""
        raise NotImplementedError

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return decisions, (n_samples, n_classes) or (n_samples,) for two classes."""
        check_is_fitted(self)
        samples: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        decisions = samples @ self.coef_.T + self.intercept_
        return decisions[:, 0] if decisions.shape[1] == 1 else decisions

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class of the largest decision."""
        decisions = self.decision_function(X)
        index = (decisions > 0).astype(int) if decisions.ndim == 1 else decisions.argmax(axis=1)
        return self.classes_[index]


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


class RotatedClassifier(LinearClassifier):
    """Base of classifiers of scikit-learn that are fitted in coordinates of the samples' span.

    The solution depends on the data only through inner products, so that nothing is lost, and n
    coordinates are fitted in place of p voxels.
    """

    def _machine(self) -> Any:
        """Return the unfitted scikit-learn classifier."""
        raise NotImplementedError

    def _rows(self, values: Floats) -> Floats:
        """Turn rows of weights or intercepts of the machine into one per class (1 for two)."""
        return values

    def _fit(self, X: Floats, codes: Codes) -> None:
        self.basis_: Floats | None = None
        if X.shape[1] > len(X):
            values, vectors = spectrum(X @ X.T)
            self.basis_ = X.T @ (vectors / np.sqrt(values))  # (p, r), orthonormal columns
        self.machine_ = self._machine().fit(X if self.basis_ is None else X @ self.basis_, codes)
        self.n_iter_ = int(np.max(self.machine_.n_iter_))
        coef = self._rows(self.machine_.coef_)
        self.coef_ = coef if self.basis_ is None else coef @ self.basis_.T
        self.intercept_ = self._rows(self.machine_.intercept_)

    def _rotate(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        centred = validate_data(self, X, dtype=np.float64, reset=False) - self.centre_
        return centred if self.basis_ is None else centred @ self.basis_

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return decisions, (n_samples, n_classes) or (n_samples,) for two classes."""
        check_is_fitted(self)
        return self.machine_.decision_function(self._rotate(X))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the predicted classes, (n_samples,)."""
        rotated = self._rotate(X)
        return self.classes_[self.machine_.predict(rotated)]

    def dual_weights(self, gram: Floats, codes: Codes, n_features: int) -> Floats:
        """See `bidsface.numerics.linear.DualEstimator`."""
        values, vectors = spectrum(gram)
        root = np.sqrt(values)
        machine = self._machine().fit(vectors * root, codes)
        return self._rows(machine.coef_) @ (vectors / root).T

    def predict_permuted(self, kernel: FoldKernel, codes: Codes, n_classes: int) -> Codes:
        """See `bidsface.numerics.linear.KernelEstimator`."""
        train, test = rotate(kernel)
        predicted = np.empty((len(codes), len(kernel.test)), dtype=np.int16)
        for row, labels in zip(predicted, codes, strict=True):
            one_class = (labels == labels[0]).all()
            row[:] = labels[0] if one_class else self._machine().fit(train, labels).predict(test)
        return predicted


class LinearSVM(RotatedClassifier):
    """Linear support vector machine with hinge loss, one against one, as ``SVC(kernel="linear")``.

    ``predict`` follows the votes of the pairs; ``coef_`` has one row per class, the mean weight of
    its pairs, so that maps have one volume per class as for the other classifiers.

    Parameters
    ----------
    C : float
        Cost of margin violations.
    """

    _parameter_constraints = {"C": [Interval(Real, 0, None, closed="neither")]}  # noqa: RUF012

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def _machine(self) -> SVC:
        return SVC(kernel="linear", C=self.C)

    def _rows(self, values: Floats) -> Floats:
        if len(values) == 1:
            return values
        n_classes = round((1 + np.sqrt(1 + 8 * len(values))) / 2)
        signs = np.zeros((n_classes, len(values)))
        for column, (first, second) in enumerate(combinations(range(n_classes), 2)):
            signs[first, column], signs[second, column] = 1.0, -1.0
        return signs @ values / (n_classes - 1)


class Logistic(RotatedClassifier):
    """Multinomial logistic regression with an L2 penalty, as ``LogisticRegression(C=C)``.

    Parameters
    ----------
    C : float
        Inverse of the penalty on the squared weights.
    tol : float
        Largest element of the gradient at which the solver (L-BFGS) stops.
    max_iter : int
        Most iterations of the solver.
    """

    _parameter_constraints = {  # noqa: RUF012
        "C": [Interval(Real, 0, None, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, C: float = 1.0, tol: float = 1e-4, max_iter: int = 1000) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter

    def _machine(self) -> LogisticRegression:
        return LogisticRegression(C=self.C, tol=self.tol, max_iter=self.max_iter)

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return class probabilities, (n_samples, n_classes)."""
        rotated = self._rotate(X)
        return self.machine_.predict_proba(rotated)


ESTIMATORS: Mapping[str, Callable[..., Any]] = {
    "ridge": Ridge,
    "svm": LinearSVM,
    "lda": ShrinkageLDA,
    "logistic": Logistic,
}
"""Classifiers by the name that recipes give."""
