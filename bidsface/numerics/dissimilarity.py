"""Representational dissimilarity matrices (RDMs) of patterns, and what they look like in a plane.

An RDM of K conditions is a vector of its K (K - 1) / 2 pairs in the order of
`scipy.spatial.distance.squareform`: (0, 1), (0, 2), ..., (1, 2), ...; several RDMs are a stack of
such vectors (Kriegeskorte, Mur and Bandettini 2008, Front Syst Neurosci 2:4).
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidsface.numerics.whitening import Whitening

Floats = NDArray[np.float64]
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]

SPREAD = 1e-12
"""A pattern whose values differ by less, relative to their size, does not vary."""


def pairs_of(n_conditions: int) -> Pairs:
    """Return the first and the second condition of every pair, in the order of an RDM."""
    return np.triu_indices(n_conditions, 1)


def count_conditions(n_pairs: int) -> int:
    """Return the number of conditions of an RDM.

    Raises
    ------
    ValueError
        If no number of conditions has so many pairs.
    """
    n = (1 + isqrt(1 + 8 * n_pairs)) // 2
    if n * (n - 1) // 2 != n_pairs:
        raise ValueError(f"{n_pairs} dissimilarities are not the pairs of any number of conditions")
    return n


def square(rdm: ArrayLike) -> Floats:
    """Return RDMs (..., n_pairs) as symmetric matrices (..., K, K) with a diagonal of 0."""
    values = np.asarray(rdm, np.float64)
    n = count_conditions(values.shape[-1])
    rows, columns = pairs_of(n)
    matrices = np.zeros((*values.shape[:-1], n, n))
    matrices[..., rows, columns] = matrices[..., columns, rows] = values
    return matrices


def correlation_rdm(patterns: ArrayLike, whitening: Whitening | None = None) -> Floats:
    """Return 1 - Pearson's r between patterns.

    Parameters
    ----------
    patterns : array of shape (..., n_conditions, n_features)
    whitening : Whitening, optional
        Of the noise; it is applied to the patterns first.

    Returns
    -------
    ndarray of shape (..., n_pairs)
        NaN where a pattern does not vary.
    """
    values = _whitened(patterns, whitening)
    centred = values - values.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    largest = np.abs(values).max(axis=-1, keepdims=True, initial=0.0)
    varies = length > SPREAD * np.sqrt(values.shape[-1]) * largest
    unit = np.divide(centred, length, out=np.full_like(centred, np.nan), where=varies)
    rows, columns = pairs_of(values.shape[-2])
    return 1.0 - (unit @ np.swapaxes(unit, -1, -2))[..., rows, columns]


def euclidean_rdm(
    patterns: ArrayLike, whitening: Whitening | None = None, *, plain: bool = False
) -> Floats:
    """Return squared Euclidean distances of patterns, divided by the number of features.

    That is the ``euclidean`` of rsatoolbox (its ``mahalanobis``, with a whitening), which does not
    grow with the size of a region.

    Parameters
    ----------
    patterns : array of shape (..., n_conditions, n_features)
    whitening : Whitening, optional
        Of the noise; it is applied to the patterns first.
    plain : bool
        The distance itself: neither squared nor divided.

    Returns
    -------
    ndarray of shape (..., n_pairs)
    """
    values = _whitened(patterns, whitening)
    # Differences of patterns do not depend on their mean, whose square costs digits.
    values = values - values.mean(axis=-2, keepdims=True)
    rows, columns = pairs_of(values.shape[-2])
    kernel = values @ np.swapaxes(values, -1, -2)
    size = np.diagonal(kernel, axis1=-2, axis2=-1)
    squared = size[..., rows] + size[..., columns] - 2 * kernel[..., rows, columns]
    squared = np.maximum(squared, 0.0)
    return np.sqrt(squared) if plain else squared / values.shape[-1]


def crossnobis_rdm(patterns: ArrayLike, whitening: Whitening | None = None) -> Floats:
    r"""Return cross-validated squared Mahalanobis distances, divided by the number of features.

    The differences of two conditions in one fold are multiplied with those in other folds,
    :math:`d = \frac{1}{M (M - 1) P} \sum_{m \neq l} \delta_m^\top \Sigma^{-1} \delta_l`, which is 0
    on average where the conditions do not differ, and so may be negative (Walther et al. 2016,
    NeuroImage 137:188-200, eq. 8).

    Parameters
    ----------
    patterns : array of shape (n_folds, n_conditions, n_features)
        A fold that lacks a condition has NaN in its place; a pair is computed from the folds that
        have both of its conditions.
    whitening : Whitening, optional
        Of the noise; without it this is the cross-validated squared Euclidean distance.

    Returns
    -------
    ndarray of shape (n_pairs,)
        NaN for pairs that fewer than two folds have.
    """
    values = np.asarray(patterns, np.float64)
    n_folds, n_conditions, n_features = values.shape
    known = np.asarray(~np.isnan(values).any(axis=2))
    centred = np.where(known[..., None], values, 0.0)
    if known.all():
        # A mean that all folds share drops out of differences, but costs digits.
        centred = centred - centred.mean(axis=(0, 1))
    white = centred if whitening is None else whitening(centred)
    flat = white.reshape(n_folds * n_conditions, n_features)
    kernel = (flat @ flat.T).reshape(n_folds, n_conditions, n_folds, n_conditions)
    kernel = kernel.transpose(1, 3, 0, 2)  # condition, condition, fold, fold
    rows, columns = pairs_of(n_conditions)
    products = (
        kernel[rows, rows]
        + kernel[columns, columns]
        - kernel[rows, columns]
        - kernel[columns, rows]
    )
    both = (known[:, rows] & known[:, columns]).T
    usable = both[:, :, None] & both[:, None, :] & ~np.eye(n_folds, dtype=bool)
    n_products = usable.sum(axis=(1, 2))
    total = np.where(usable, products, 0.0).sum(axis=(1, 2))
    mean = np.divide(total, n_products, out=np.full(len(total), np.nan), where=n_products > 0)
    return mean / n_features


def classical_scaling(rdm: ArrayLike, n_dimensions: int = 2) -> tuple[Floats, float]:
    """Place conditions so that squared distances are like an RDM (Torgerson 1952).

    Parameters
    ----------
    rdm : array of shape (n_pairs,)
        Squared distances, as all RDMs of this module are (1 - r is half the squared distance of
        standardized patterns).
    n_dimensions : int

    Returns
    -------
    places : ndarray of shape (n_conditions, n_dimensions)
        Dimensions beyond the positive eigenvalues are 0. The largest coordinate of every dimension
        is positive, since signs have no meaning.
    share : float
        Share of the positive eigenvalues that the dimensions have; NaN where there are none.
    """
    squared = square(rdm)
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-0.5 * centred)
    order = np.argsort(-values)[:n_dimensions]
    positive = np.maximum(values, 0.0)
    places = np.zeros((len(squared), n_dimensions))
    places[:, : len(order)] = vectors[:, order] * np.sqrt(positive[order])
    largest = np.take_along_axis(places, np.abs(places).argmax(axis=0)[None], axis=0)
    total = float(positive.sum())
    share = float(positive[order].sum()) / total if total > 0 else float("nan")
    return places * np.where(largest < 0, -1.0, 1.0), share


def _whitened(patterns: ArrayLike, whitening: Whitening | None) -> Floats:
    values = np.asarray(patterns, np.float64)
    return values if whitening is None else whitening(values)
