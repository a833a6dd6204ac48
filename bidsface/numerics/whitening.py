"""Noise normalization of patterns, in the space of samples: features may be many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Whitening:
    """The inverse square root of a noise covariance, without a matrix of features by features.

    Inner products of whitened patterns are products with the noise precision, and squared distances
    are squared Mahalanobis distances (Walther et al. 2016, NeuroImage 137:188-200).

    Attributes
    ----------
    scale : ndarray of shape (n_features,)
        Multiplies every feature first.
    directions : ndarray of shape (n_directions, n_features)
        Orthonormal directions of the scaled space in which the noise differs from the rest.
    gains : ndarray of shape (n_directions,)
        What the part of a scaled pattern along every direction is multiplied by, less 1.
    """

    scale: Floats
    directions: Floats
    gains: Floats

    def __call__(self, patterns: ArrayLike) -> Floats:
        """Return whitened patterns, of the shape (..., n_features) of ``patterns``."""
        scaled = np.asarray(patterns, np.float64) * self.scale
        if not len(self.gains):
            return scaled
        return scaled + ((scaled @ self.directions.T) * self.gains) @ self.directions


def no_whitening(n_features: int) -> Whitening:
    """Return the whitening of noise that is the same in all features."""
    return Whitening(np.ones(n_features), np.empty((0, n_features)), np.empty(0))


def diagonal_whitening(residuals: ArrayLike, dof: int | None = None) -> Whitening:
    """Return the division of every feature by the standard deviation of its noise.

    Parameters
    ----------
    residuals : array of shape (n_samples, n_features)
        Samples less what is to be kept, such as the mean of their class and run.
    dof : int, optional
        Degrees of freedom of the residuals; unset: ``n_samples - 1``.

    Raises
    ------
    ValueError
        If a feature does not vary, or there are no degrees of freedom.
    """
    centred, dof = _centred(residuals, dof)
    variance = np.einsum("ij,ij->j", centred, centred) / dof
    if not (variance > 0).all():
        raise ValueError(f"{int((variance <= 0).sum())} features have noise that does not vary")
    return Whitening(1 / np.sqrt(variance), np.empty((0, len(variance))), np.empty(0))


def shrinkage_whitening(residuals: ArrayLike, dof: int | None = None) -> Whitening:
    r"""Return the whitening by a covariance shrunk towards a multiple of the identity.

    The shrinkage is that of Ledoit and Wolf (2004, J Multivar Anal 88:365-411),
    :math:`\Sigma = \frac{n}{\nu}((1 - s) S + s m I)` with the covariance S of n residuals, its mean
    variance m and the degrees of freedom :math:`\nu`. All of it follows from the inner products of
    the residuals, n x n.

    Parameters
    ----------
    residuals : array of shape (n_samples, n_features)
    dof : int, optional
        Degrees of freedom of the residuals; unset: ``n_samples - 1``.

    Raises
    ------
    ValueError
        If the residuals do not vary, or there are no degrees of freedom.
    """
    centred, dof = _centred(residuals, dof)
    n, p = centred.shape
    gram = centred @ centred.T
    mean_variance = float(np.trace(gram)) / n / p
    if not mean_variance > 0:
        raise ValueError("the noise does not vary")
    size = float((gram**2).sum()) / n**2  # squared Frobenius norm of the covariance
    distance = size - mean_variance**2 * p
    error = (float((np.diag(gram) ** 2).sum()) / n - size) / n
    # Of a single feature the covariance is a multiple of the identity already.
    shrinkage = min(max(error, 0.0) / distance, 1.0) if distance > 1e-12 * size else 1.0
    floor = n / dof * shrinkage * mean_variance
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-10 * values[-1]
    directions = (vectors[:, kept].T @ centred) / np.sqrt(values[kept])[:, None]
    along = floor + (1 - shrinkage) * values[kept] / dof
    if not floor > 0:
        raise ValueError("the shrinkage of the noise covariance is 0, which leaves it singular")
    gains = np.sqrt(floor / along) - 1.0
    return Whitening(np.full(p, 1 / np.sqrt(floor)), directions, gains)


def _centred(residuals: ArrayLike, dof: int | None) -> tuple[Floats, int]:
    values = np.asarray(residuals, np.float64)
    dof = len(values) - 1 if dof is None else dof
    if dof < 1:
        raise ValueError(f"{len(values)} residuals leave {dof} degrees of freedom, at least 1 is")
    return values - values.mean(axis=0), dof
