"""The regressions by name, and a scikit-learn estimator of principal component regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from bidsface.numerics.linear import Floats
from bidsface_facs.component_regressor import ComponentRegressor, LinearFit
from bidsface_facs.components import components_of_samples
from bidsface_facs.shrinkage import ElasticNet, Lasso, PartialLeastSquares, Ridge
from bidsface_facs.support_vectors import SupportVectors

__all__ = [
    "REGRESSORS",
    "ComponentRegressor",
    "LinearFit",
    "PrincipalComponentRegressor",
]

REGRESSORS: Mapping[str, Callable[..., ComponentRegressor]] = MappingProxyType(
    {
        "lasso": Lasso,
        "ridge": Ridge,
        "elastic_net": ElasticNet,
        "svr": SupportVectors,
        "pls": PartialLeastSquares,
    }
)
"""Regressors by the name that recipes give; with the parameters and defaults of scikit-learn's."""


class PrincipalComponentRegressor(RegressorMixin, BaseEstimator):
    """Linear regression on the principal components of the samples.

    Equal to ``make_pipeline(PCA(variance, svd_solver="full"), regressor)`` of scikit-learn's
    parts. Coefficients are those of the features: ``X @ coef_ + intercept_``.

    Parameters
    ----------
    regressor : str or ComponentRegressor
        A key of `REGRESSORS`, or a regressor with its parameters.
    variance : float or None
        Share of variance that the components must exceed, between 0 and 1; None keeps all.
    parameters : dict or None
        Parameters of a regressor given by its name, such as ``{"alpha": 10.0}``.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
    intercept_ : float
    n_components_ : int
        How many components there are; 0 if all samples are equal.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Only if `X` has names of features.

    Examples
    --------
    >>> from bidsface_facs import PrincipalComponentRegressor
    >>> model = PrincipalComponentRegressor("lasso", parameters={"alpha": 0.1})
    >>> model.fit([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]], [1.0, 2.0, 3.0]).n_components_
    1
    """

    _parameter_constraints = {  # noqa: RUF012
        "regressor": [StrOptions(set(REGRESSORS)), ComponentRegressor],
        "variance": [Interval(Real, 0, 1, closed="neither"), None],
        "parameters": [dict, None],
    }

    coef_: Floats
    intercept_: float
    n_components_: int

    def __init__(
        self,
        regressor: str | ComponentRegressor = "ridge",
        variance: float | None = 0.8,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self.regressor = regressor
        self.variance = variance
        self.parameters = parameters

    def fit(self, X: ArrayLike, y: ArrayLike) -> PrincipalComponentRegressor:
        """Fit to samples ``X`` (n_samples, n_features) with targets ``y`` (n_samples,)."""
        self._validate_params()
        regressor = self._regressor()
        samples, target = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2
        )
        mean = samples.mean(axis=0)
        centred = samples - mean
        components = components_of_samples(centred, self.variance)
        fitted = regressor.fit(components, np.asarray(target, dtype=np.float64)[:, None])
        self.n_components_ = components.n_components
        self.coef_ = centred.T @ components.dual(fitted.coef[:, 0])
        self.intercept_ = float(fitted.intercept[0] - mean @ self.coef_)
        return self

    def _regressor(self) -> ComponentRegressor:
        if isinstance(self.regressor, str):
            return REGRESSORS[self.regressor](**(self.parameters or {}))
        if self.parameters:
            raise ValueError("parameters belong to a regressor given by name, not to an object")
        return self.regressor

    def predict(self, X: ArrayLike) -> Floats:
        """Return predictions (n_samples,) for samples (n_samples, n_features)."""
        check_is_fitted(self)
        samples: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        return samples @ self.coef_ + self.intercept_
