"""Inner products of samples, from which aligners learn everything that they need of the voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats


def inner_products(
    left: NDArray[np.floating], right: NDArray[np.floating], block_size: int = 8192
) -> Floats:
    """Return ``left @ right.T`` summed in double precision, block by block of columns.

    Parameters
    ----------
    left : ndarray of shape (n_left, n_features)
    right : ndarray of shape (n_right, n_features)
    block_size : int
        Columns that are copied to double precision at a time.

    Returns
    -------
    ndarray of shape (n_left, n_right)
    """
    total = np.zeros((len(left), len(right)))
    for start in range(0, left.shape[1], block_size):
        block = left[:, start : start + block_size].astype(np.float64, copy=False)
        other = block
        if right is not left:
            other = right[:, start : start + block_size].astype(np.float64, copy=False)
        total += block @ other.T
    return total


def centred(gram: Floats) -> Floats:
    """Return the inner products of the same rows, (n, n), after their mean has been subtracted.

    What rounding leaves of rows that are all equal is set to 0.
    """
    means = gram.mean(axis=0)
    result = gram - means - means[:, None] + means.mean()
    result = (result + result.T) / 2
    blank = np.trace(result) <= len(gram) * 1e-14 * np.trace(gram)
    return np.zeros_like(result) if blank else result


def centred_cross(cross: Floats, gram: Floats) -> Floats:
    """Return inner products of new rows with the fitted rows, both minus the fitted rows' mean.

    Parameters
    ----------
    cross : ndarray of shape (n_new, n)
        Inner products of new rows with the fitted rows, not centred.
    gram : ndarray of shape (n, n)
        Inner products of the fitted rows with one another, not centred.
    """
    means = gram.mean(axis=0)
    return cross - cross.mean(axis=1, keepdims=True) - means + means.mean()


def principal_axes(gram: Floats) -> tuple[Floats, Floats]:
    """Return the left singular vectors (n, rank) and singular values (rank,) of the rows."""
    values, vectors = np.linalg.eigh(gram)
    kept = np.flatnonzero(values > 1e-12 * max(values[-1], 0.0))[::-1]
    return vectors[:, kept], np.sqrt(values[kept])
