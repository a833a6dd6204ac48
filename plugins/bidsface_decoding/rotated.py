"""Classifiers of scikit-learn, fitted in the at most n coordinates of the samples' own span."""

from __future__ import annotations

from itertools import combinations
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from bidsface.numerics.linear import Codes, Floats, FoldKernel, commonest, rotate, spectrum
from bidsface_decoding.linear_classifier import LinearClassifier


def _basis(X: Floats) -> Floats:
    """Return orthonormal columns (n_features, r) that span centred samples."""
    values, vectors = spectrum(X @ X.T)
    if not len(values):  # all samples are 0, in any coordinate
        return np.eye(X.shape[1], 1)
    return X.T @ (vectors / np.sqrt(values))


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
            self.basis_ = _basis(X)
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
        if not len(values):  # no feature varies, so that none has weight
            n_classes = int(codes.max()) + 1
            return np.zeros((1 if n_classes == 2 else n_classes, len(gram)))
        root = np.sqrt(values)
        machine = self._machine().fit(vectors * root, codes)
        return self._rows(machine.coef_) @ (vectors / root).T

    def predict_permuted(self, kernel: FoldKernel, codes: Codes, n_classes: int) -> Codes:
        """See `bidsface.numerics.linear.KernelEstimator`."""
        if kernel.is_blank:
            return commonest(kernel, codes, n_classes)
        machine, train, test = self._permuted_problem(kernel)
        predicted = np.empty((len(codes), len(kernel.test)), dtype=np.int16)
        # Checking the same data anew for every labelling would take a third of the time.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            for row, labels in zip(predicted, codes, strict=True):
                one_class = (labels == labels[0]).all()
                row[:] = labels[0] if one_class else machine.fit(train, labels).predict(test)
        return predicted

    def _permuted_problem(self, kernel: FoldKernel) -> tuple[Any, Floats, Floats]:
        """Return the classifier of scikit-learn with training and test data for it."""
        return self._machine(), *rotate(kernel)


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

    def _permuted_problem(self, kernel: FoldKernel) -> tuple[Any, Floats, Floats]:
        return SVC(kernel="precomputed", C=self.C), kernel.train, kernel.test

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
