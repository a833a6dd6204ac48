"""Base of linear classifiers that follow the rules of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from bidsface.numerics.linear import Codes, Floats


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
