"""Least-squares estimates of single trials as linear maps of the time series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lsa_weights(X: Array, nuisance: Array) -> Array:
    """Weights of least-squares-all: every trial has a regressor in one model.

    Minimizes ``||y - X b - nuisance c||^2`` over ``b`` and ``c`` (minimum norm where trials
    cannot be told apart); the estimates of all trials are ``weights @ y``.

    Parameters
    ----------
    X : ndarray of shape (n_volumes, n_trials)
        Expected response to each trial.
    nuisance : ndarray of shape (n_volumes, n_nuisance)
        Other regressors.

    Returns
    -------
    weights : ndarray of shape (n_trials, n_volumes)

    References
    ----------
    Mumford, Turner, Ashby, Poldrack (2012), NeuroImage 59:2636-2643.
    """
    return np.asarray(np.linalg.pinv(_residuals(X, nuisance), rcond=1e-10), dtype=np.float64)


def lss_weights(X: Array, nuisance: Array) -> Array:
    """Weights of least-squares-separate: one model per trial, all other trials in one regressor.

    For each trial j minimizes ``||y - x_j b - (sum_{k != j} x_k) c - nuisance d||^2``. The other
    trials share one regressor whatever their class, so that no estimate depends on a label.
    After the nuisance has been projected out, every model has two regressors, whose normal
    equations are solved in closed form for all trials at once from the Gram matrix of ``X``.

    Parameters and return value are those of `lsa_weights`.

    References
    ----------
    Mumford, Turner, Ashby, Poldrack (2012), NeuroImage 59:2636-2643.
    """
    X = _residuals(X, nuisance)
    gram = X.T @ X
    total = X.sum(axis=1)
    own = np.diag(gram)
    cross = gram.sum(axis=1) - own
    rest = gram.sum() - 2 * gram.sum(axis=1) + own
    determinant = own * rest - cross**2
    # Where the other trials are absent, or the same regressor, the trial's own regressor is left.
    solvable = determinant > 1e-10 * own * rest
    safe = np.where(solvable, determinant, 1.0)
    alone = np.divide(1.0, own, out=np.zeros_like(own), where=own > 0)
    on_own = np.where(solvable, (rest + cross) / safe, alone)
    on_total = np.where(solvable, -cross / safe, 0.0)
    return on_own[:, None] * X.T + on_total[:, None] * total[None, :]


def _residuals(X: Array, nuisance: Array) -> Array:
    """Return the part of ``X`` that the nuisance regressors do not explain."""
    if nuisance.shape[1] == 0:
        return X
    basis, values, _ = np.linalg.svd(nuisance, full_matrices=False)
    basis = basis[:, values > 1e-10 * max(values[0], np.finfo(float).tiny)]
    return X - basis @ (basis.T @ X)
