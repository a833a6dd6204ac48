"""Principal components of training images, found from the inner products of the images alone.

With n images and p >> n voxels everything that a linear model needs is in the n x n inner products
(the Gram matrix), which is formed once; voxels cost nothing afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidsface.numerics.linear import Floats

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of training images, and the scores of training and test images.

    Attributes
    ----------
    scores : ndarray of shape (n_train, k)
        Training images minus their (weighted) mean, projected. Under the weights every column has
        mean 0 and the columns are orthogonal: ``scores.T @ diag(weight) @ scores`` is
        ``diag(singular_values ** 2)``.
    singular_values : ndarray of shape (k,)
        Of the centred training images, each repeated as often as its weight says; descending, all
        greater than 0.
    weights : ndarray of shape (n_train, k)
        The components in voxel space are ``X_train.T @ weights``: orthonormal columns. Every column
        of `weights` sums to 0, so that the images' mean drops out by itself.
    test_scores : ndarray of shape (n_test, k)
        Test images minus the training mean, projected.
    sample_weight : ndarray of shape (n_train,) or None
        How often every training image counts; None for once each.
    """

    scores: Floats
    singular_values: Floats
    weights: Floats
    test_scores: Floats
    sample_weight: Floats | None = None

    @property
    def n_components(self) -> int:
        """How many components there are; 0 if all training images are equal."""
        return len(self.singular_values)

    @property
    def counts(self) -> Floats:
        """How often every training image counts, (n_train,)."""
        return np.ones(len(self.scores)) if self.sample_weight is None else self.sample_weight

    @property
    def n_samples(self) -> float:
        """Number of training images, repeats counted."""
        return float(self.counts.sum())

    def mean(self, targets: Floats) -> Floats:
        """Return the (weighted) mean of every target: (n_train, m) to (m,)."""
        return self.counts @ targets / self.n_samples

    def products(self, targets: Floats) -> Floats:
        """Return the inner products of scores and targets, (k, m), repeats counted.

        Scores have mean 0, so that it does not matter whether targets are centred.
        """
        scores = self.scores
        if self.sample_weight is not None:
            scores = scores * self.sample_weight[:, None]
        return scores.T @ targets

    def dual(self, coef: Floats) -> Floats:
        """Return weights of training images that make voxels' coefficients of components'.

        Parameters
        ----------
        coef : ndarray of shape (k, m) or (k,)

        Returns
        -------
        ndarray of shape (n_train, m) or (n_train,)
            ``a`` such that the coefficients of voxels are ``X_train.T @ a``.
        """
        return self.weights @ coef


def principal_components(
    gram: Floats,
    train: ArrayLike,
    test: ArrayLike,
    variance: float | None = 0.8,
    sample_weight: ArrayLike | None = None,
) -> Components:
    """Find the principal components of training images from inner products.

    Equal, up to the signs of components, to scikit-learn's ``PCA(variance, svd_solver="full")``
    fitted to the training images, each repeated as often as its weight says.

    Parameters
    ----------
    gram : ndarray of shape (n_images, n_images)
        ``X @ X.T`` of all images, in double precision; need not be centred.
    train, test : array_like of int
        Rows of `gram`; may overlap (such as images that a bootstrap left out).
    variance : float or None
        Share of the training images' variance to exceed, between 0 and 1; None to keep every
        component whose variance is not 0 up to rounding.
    sample_weight : array_like of shape (n_train,) or None
        How often every training image counts, at least 0 (a bootstrap's draws); None for once each.

    Returns
    -------
    Components

    Raises
    ------
    ValueError
        If `variance` or the weights have no meaning.
    """
    rows, others = np.asarray(train, dtype=np.intp), np.asarray(test, dtype=np.intp)
    weight = _checked_weight(sample_weight, len(rows))
    counted = np.flatnonzero(weight > 0)
    count = weight[counted]
    known = gram[np.ix_(rows[counted], rows[counted])]
    share = count / count.sum()
    means = known @ share
    centred = known - means - means[:, None] + share @ means
    root = np.sqrt(count)
    squares, vectors = np.linalg.eigh((root[:, None] * root) * (centred + centred.T) / 2)
    rounding = len(counted) * np.finfo(np.float64).eps * np.max(count * np.diag(known))
    squares, vectors = squares[::-1], vectors[:, ::-1]
    kept = _n_kept(squares, variance, rounding)
    values, vectors = np.sqrt(squares[:kept]), vectors[:, :kept]
    weights = np.zeros((len(rows), kept))
    dual = root[:, None] * vectors / values
    weights[counted] = dual - share[:, None] * dual.sum(axis=0)
    scores = _projected(gram, rows, rows[counted], weights[counted], share)
    scores[counted] = vectors * values / root[:, None]
    return Components(
        scores,
        values,
        weights,
        _projected(gram, others, rows[counted], weights[counted], share),
        None if sample_weight is None else weight,
    )


def components_of_samples(centred: Floats, variance: float | None = 0.8) -> Components:
    """Find the principal components of samples whose features are at hand and have mean 0.

    Takes the smaller way: through inner products if there are more features than samples, else
    through the singular value decomposition.

    Parameters
    ----------
    centred : ndarray of shape (n_samples, n_features)
        Every feature has mean 0.
    variance : float or None
        As in `principal_components`.

    Returns
    -------
    Components
        With no test samples.
    """
    n_samples, n_features = centred.shape
    if n_features > n_samples:
        every = np.arange(n_samples)
        return principal_components(centred @ centred.T, every, every[:0], variance)
    vectors, values, _ = np.linalg.svd(centred, full_matrices=False)
    squares = values**2
    # Singular values are exact to eps relative to the largest, so their squares to eps squared.
    rounding = (n_samples * np.finfo(np.float64).eps) ** 2 * float(squares.max(initial=0.0))
    kept = _n_kept(squares, variance, rounding)
    vectors, values = vectors[:, :kept], values[:kept]
    dual = vectors / values
    return Components(vectors * values, values, dual - dual.mean(axis=0), np.empty((0, kept)))


def _checked_weight(sample_weight: ArrayLike | None, n: int) -> Floats:
    """Return the weights as (n,) floats; ones for None."""
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        raise ValueError(f"{n} training images need {n} weights, not an array {weight.shape}")
    if not np.all(np.isfinite(weight)) or weight.min() < 0 or not weight.any():
        raise ValueError("weights of training images must be at least 0, finite and not all 0")
    return weight


def _n_kept(squares: Floats, variance: float | None, rounding: float) -> int:
    """Return how many of the descending squared singular values to keep.

    Counts as scikit-learn does: the smallest number whose cumulated share exceeds `variance`.
    """
    if variance is not None and not 0 < variance < 1:
        raise ValueError(f"the share of variance must lie between 0 and 1, not {variance}")
    nonzero = int(np.count_nonzero(squares > rounding))
    if variance is None or nonzero == 0:
        return nonzero
    cumulated = np.cumsum(squares / np.clip(squares, 0, None).sum())
    return min(int(np.searchsorted(cumulated, variance, side="right")) + 1, nonzero)


def _projected(
    gram: Floats, rows: Indices, fitted: Indices, weights: Floats, share: Floats
) -> Floats:
    """Return the scores of images `rows`, minus the mean of the fitted images, (n_rows, k)."""
    cross = gram[np.ix_(rows, fitted)]
    mean = share @ gram[np.ix_(fitted, fitted)]
    return (cross - mean) @ weights
