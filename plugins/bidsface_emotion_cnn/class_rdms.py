"""Dissimilarities (1 - r) of classes from equal numbers of samples of each.

An RDM of K classes is a vector of its pairs, as in `bidsface.numerics.dissimilarity`. Classes
without a sample have NaN in their pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.dissimilarity import correlation_rdm, pairs_of
from bidsface.numerics.rdm_statistics import lookup_of
from bidsface_emotion_cnn.equal_counts import equal_draws

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

N_DRAWS = 10
"""Draws of equal numbers whose RDMs are averaged."""

SPREAD = 1e-12
"""A mean pattern whose square is smaller, relative to that of the samples, does not vary."""


def product_rdm(
    products: Floats, codes: Indices, draws: Sequence[Indices], n_classes: int
) -> Floats:
    """Return 1 - r of the classes' mean patterns less the mean of these, mean over draws.

    What all classes of a draw have in common is taken away, every class counting once: less the
    mean of all samples, a large class would lie near the origin, and its dissimilarities would tell
    its size.

    Parameters
    ----------
    products : ndarray of shape (n_samples, n_samples)
        Inner products of samples, the mean over features taken from each: of these r is made.
    codes : ndarray of int, shape (n_samples,)
        Class of every sample.
    draws : sequence of ndarray of int
        Samples of every draw, equally many of every class: of `equal_draws`.
    n_classes : int

    Returns
    -------
    ndarray of shape (n_pairs,)
    """
    found = [_draw_rdm(products, codes, draw) for draw in draws]
    return placed(np.mean(found, axis=0), np.unique(codes[draws[0]]), n_classes)


def _draw_rdm(products: Floats, codes: Indices, draw: Indices) -> Floats:
    n_present = len(np.unique(codes[draw]))
    order = draw[np.argsort(codes[draw], kind="stable")]
    size = len(order) // n_present
    own = products[np.ix_(order, order)]
    kernel = own.reshape(n_present, size, n_present, size).mean(axis=(1, 3))
    kernel = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    squares = np.diagonal(kernel)
    varies = squares > SPREAD * np.diagonal(own).mean()
    length = np.sqrt(np.where(varies, squares, np.nan))
    rows, columns = pairs_of(n_present)
    return np.asarray(1.0 - kernel[rows, columns] / (length[rows] * length[columns]))


class DrawnMeans:
    """Mean features of classes in every draw, of samples that come in pieces.

    In single precision, since layers may have a million features.

    Parameters
    ----------
    codes : ndarray of int, shape (n_samples,)
        Class of every sample.
    blocks : ndarray of int, shape (n_samples,)
        As for `equal_draws`.
    n_classes : int
    seed : SeedSequence

    Raises
    ------
    ValueError
        If there is no sample.
    """

    def __init__(
        self, codes: Indices, blocks: Indices, n_classes: int, seed: np.random.SeedSequence
    ) -> None:
        draws = equal_draws(codes, blocks, N_DRAWS, seed)
        self._present, self._codes = np.unique(codes, return_inverse=True)
        self._n_classes = n_classes
        self._weights = np.zeros((len(draws), len(codes)), np.float32)
        for row, draw in zip(self._weights, draws, strict=True):
            row[draw] = len(self._present) / len(draw)
        self._means = np.zeros((len(draws), len(self._present), 0), np.float32)

    def add(self, start: int, features: NDArray[np.floating]) -> None:
        """Add the features of samples from ``start`` on, (n, n_features)."""
        if not self._means.size:
            shape = (*self._means.shape[:2], features.shape[1])
            self._means = np.zeros(shape, np.float32)
        part = slice(start, start + len(features))
        for code in range(len(self._present)):
            own = self._codes[part] == code
            self._means[:, code] += self._weights[:, part][:, own] @ features[own]

    def rdm(self) -> Floats:
        """Return 1 - r of the classes' mean features, (n_pairs,), mean over draws."""
        rdms = correlation_rdm(self._means)
        return placed(rdms.mean(axis=0), self._present, self._n_classes)


def placed(rdm: Floats, present: Indices, n_classes: int) -> Floats:
    """Return RDMs (..., n_pairs_present) of some classes as RDMs of all classes."""
    rows, columns = pairs_of(len(present))
    found = np.full((*rdm.shape[:-1], n_classes * (n_classes - 1) // 2), np.nan)
    found[..., lookup_of(n_classes)[present[rows], present[columns]]] = rdm
    return found


def mean_rdm(rdms: Floats) -> Floats:
    """Return the mean over those who have a pair; NaN where nobody has it."""
    known = np.isfinite(rdms)
    total = np.where(known, rdms, 0.0).sum(axis=0)
    counts = known.sum(axis=0)
    return np.divide(total, counts, out=np.full(len(total), np.nan), where=counts > 0)
