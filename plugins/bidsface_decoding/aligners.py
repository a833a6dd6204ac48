"""The aligners by name: Procrustes, ridge regression, shared response model, Bayesian CCA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from bidsface.numerics.linear import Floats
from bidsface_decoding.aligner import Aligner
from bidsface_decoding.bayesian_cca import BayesianCCA
from bidsface_decoding.inner_products import principal_axes

__all__ = [
    "ALIGNERS",
    "Aligner",
    "BayesianCCA",
    "ProcrustesAligner",
    "RidgeAligner",
    "SharedResponseModel",
]


class ProcrustesAligner(Aligner):
    """Turn one view into another: ``X_v ~ s X_o R``, the columns of R orthonormal or its rows.

    R = U V' of the singular value decomposition ``X_o' X_v = U D V'`` minimizes the squared error
    among all such matrices (Schoenemann 1966; Haxby et al. 2011 use it as hyperalignment). U and V
    lie in the span of the samples, what is orthogonal to it in X_o is mapped to 0, so that R has at
    most n_samples - 1 directions and views may have different numbers of features. From several
    views the mean of their predictions is taken.

    Parameters
    ----------
    scale : bool
        Whether to scale by the s that minimizes the squared error; otherwise s = 1.
    """

    _parameter_constraints = {"scale": ["boolean"]}  # noqa: RUF012

    def __init__(self, scale: bool = True) -> None:
        self.scale = scale

    def _fit(self, grams: tuple[Floats, ...]) -> None:
        self.bases_ = tuple(principal_axes(gram) for gram in grams)

    def _weights(self, view: int, crosses: Mapping[int, Floats]) -> Floats:
        turned = [cross @ self._dual_rotation(other, view) for other, cross in crosses.items()]
        return np.mean(turned, axis=0)

    def _dual_rotation(self, source: int, target: int) -> Floats:
        """Return B, (n, n), with R = X_source' B X_target."""
        (left, left_lengths), (right, right_lengths) = self.bases_[source], self.bases_[target]
        inner = left_lengths[:, None] * (left.T @ right) * right_lengths
        if not inner.size:
            return np.zeros((self.n_samples_, self.n_samples_))
        U, D, Vt = np.linalg.svd(inner, full_matrices=False)
        kept = 1e-12 * D[0] < D
        rotation = U[:, kept] @ Vt[kept]
        if self.scale:
            rotation *= D[kept].sum() / (left_lengths**2).sum()
        return (left / left_lengths) @ rotation @ (right / right_lengths).T


class RidgeAligner(Aligner):
    """Ridge regression of one view on the others, side by side.

    Minimizes ``|X_v - X_o B|^2 + penalty |B|^2``.

    Parameters
    ----------
    alpha : float
        Penalty in units of the mean squared length of the centred samples. With standardized
        features that is the number of features, as in the classifier ``ridge``.
    """

    _parameter_constraints = {  # noqa: RUF012
        "alpha": [Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def _fit(self, grams: tuple[Floats, ...]) -> None:
        self.centred_ = grams

    def _weights(self, view: int, crosses: Mapping[int, Floats]) -> Floats:
        gram = sum((self.centred_[other] for other in crosses), np.zeros_like(self.centred_[0]))
        cross = sum(crosses.values(), np.zeros(()))
        penalty = self.alpha * np.trace(gram) / self.n_samples_
        if penalty == 0:
            return np.zeros_like(cross)
        return np.linalg.solve(gram + penalty * np.eye(self.n_samples_), cross.T).T


class SharedResponseModel(Aligner):
    """Shared response model: ``X_m ~ s_m S W_m'`` with orthonormal columns of W_m.

    Minimizes ``sum_m |X_m / s_m - S W_m'|^2`` over S and the W_m in turn, s_m^2 the mean squared
    length of the samples of a view, from the principal components of all views side by side
    (Chen et al. 2015, NeurIPS, its deterministic form). S of new samples is the mean over the views
    that are there of ``X_m W_m / s_m``.

    Parameters
    ----------
    n_components : int
        At most n_samples - 1 and the rank of any view are used.
    tol : float
        Relative decrease of the squared error below which the iteration ends.
    max_iter : int

    Attributes
    ----------
    shared_response_ : ndarray of shape (n_samples, n_components_)
    n_components_, n_iter_ : int
    converged_ : bool
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, n_components: int = 10, tol: float = 1e-8, max_iter: int = 500) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter

    def _fit(self, grams: tuple[Floats, ...]) -> None:
        totals = np.array([np.trace(gram) for gram in grams])
        present = np.flatnonzero(totals > 0)
        scaled = [grams[view] / (totals[view] / self.n_samples_) for view in present]
        ranks = [len(principal_axes(gram)[1]) for gram in scaled]
        self.n_components_ = min([self.n_components, self.n_samples_ - 1, *ranks])
        response, bases = self._iterate(np.array(scaled))
        self.shared_response_ = response
        # X_m W_m / s_m of new samples is their inner products with X_m times one matrix.
        self.readouts_ = np.zeros((len(grams), *response.shape))
        self.duals_ = np.zeros_like(self.readouts_)
        for view, basis in zip(present, bases, strict=True):
            self.readouts_[view] = basis / (totals[view] / self.n_samples_)
            self.duals_[view] = basis

    def _iterate(self, grams: Floats) -> tuple[Floats, Floats]:
        """Return S, (n, K), and the A_m, (n_views, n, K), of ``W_m = X_m' A_m / s_m``."""
        self.n_iter_, self.converged_ = 0, True
        if not len(grams):
            return np.zeros((self.n_samples_, self.n_components_)), grams
        axes, lengths = principal_axes(grams.mean(axis=0))
        response = (axes * lengths)[:, : self.n_components_]
        error = np.inf
        for iteration in range(1, self.max_iter + 1):
            bases = np.stack([_polar(gram, response) for gram in grams])
            response = (grams @ bases).mean(axis=0)
            previous, error = error, np.trace(grams, axis1=1, axis2=2).sum()
            error -= len(grams) * (response**2).sum()
            self.n_iter_ = iteration
            self.converged_ = bool(previous - error <= self.tol * previous)
            if self.converged_ and iteration > 1:
                break
        return response, bases

    def _weights(self, view: int, crosses: Mapping[int, Floats]) -> Floats:
        return self._scores(crosses) @ self.duals_[view].T

    def _scores(self, crosses: Mapping[int, Floats]) -> Floats:
        told = [cross @ self.readouts_[view] for view, cross in crosses.items()]
        return np.mean(told, axis=0)


def _polar(gram: Floats, response: Floats) -> Floats:
    """Return A, (n, K), with ``X' A`` the matrix of orthonormal columns that is nearest to X' S."""
    values, vectors = np.linalg.eigh(response.T @ gram @ response)
    kept = values > 1e-12 * values[-1]
    root = vectors[:, kept] / np.sqrt(values[kept])
    return response @ root @ vectors[:, kept].T


ALIGNERS: Mapping[str, Callable[..., Aligner]] = {
    "bcca": BayesianCCA,
    "procrustes": ProcrustesAligner,
    "ridge-alignment": RidgeAligner,
    "srm": SharedResponseModel,
}
"""Aligners by the name that recipes give."""
