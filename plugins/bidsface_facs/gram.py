"""Inner products of images, from which everything else follows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats


def gram_matrix(
    X: NDArray[np.floating], columns: NDArray[np.intp] | None = None, block_size: int = 8192
) -> Floats:
    """Return ``X @ X.T`` in double precision, whatever that of ``X``.

    Voxels are taken in blocks, so that nothing of the size of ``X`` is copied.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_voxels)
    columns : ndarray of int, optional
        Voxels to use; all by default.
    block_size : int
        Voxels per block.

    Raises
    ------
    ValueError
        If ``X`` holds values that are not finite.
    """
    gram = np.zeros((len(X), len(X)))
    for start in range(0, X.shape[1] if columns is None else len(columns), block_size):
        part = slice(start, start + block_size)
        block = np.asarray(X[:, part if columns is None else columns[part]], dtype=np.float64)
        gram += block @ block.T
    if not np.isfinite(gram).all():
        raise ValueError("images hold values that are not finite")
    return gram
