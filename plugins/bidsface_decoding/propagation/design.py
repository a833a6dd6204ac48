"""The two passes over all features that a sweep makes, block by block, and the bias column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs

from bidsface.numerics.linear import Floats

BLOCK = 1024
"""Features per block: with a few hundred samples a block stays in the processor's cache."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Design:
    """Samples with a column of ones as their last feature, which is never stored.

    Products over all features are made in the precision of the samples, block by block; everything
    else is in double precision.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features - 1), float32 or float64
    """

    X: NDArray[np.floating]

    @property
    def n_features(self) -> int:
        """Number of features, the bias included."""
        return self.X.shape[1] + 1

    def columns(self, chosen: Mask) -> Floats:
        """Return chosen columns, (n_samples, n_chosen), in double precision."""
        some = self.X[:, chosen[:-1]].astype(np.float64)
        return np.column_stack([some, np.ones(len(self.X))]) if chosen[-1] else some

    def gram(self, variance: Floats, mean: Floats) -> tuple[Floats, Floats]:
        """Return ``X diag(variance) X'`` and ``X mean``.

        Parameters
        ----------
        variance : ndarray of shape (n_features,)
            Not negative; the bias has to have 0.
        mean : ndarray of shape (n_features,)

        Returns
        -------
        gram : ndarray of shape (n_samples, n_samples)
        shift : ndarray of shape (n_samples,)
        """
        n = len(self.X)
        gram, shift = np.zeros((n, n)), np.zeros(n)
        root, mean = np.sqrt(variance).astype(self.X.dtype), mean.astype(self.X.dtype)
        for part, block in self._blocks():
            shift += block @ mean[part]
            block *= root[part]
            gram += block @ block.T
        return gram, shift

    def project(self, factor: Floats, vector: Floats, removed: Floats) -> tuple[Floats, Floats]:
        """Return ``|L x_j|^2 - |V x_j|^2`` and ``x_j' vector`` for every column x_j but the bias.

        Parameters
        ----------
        factor : ndarray of shape (n_samples, n_samples)
            L, lower triangular.
        vector : ndarray of shape (n_samples,)
        removed : ndarray of shape (n_rows, n_samples)
            V.

        Returns
        -------
        squares, products : ndarray of shape (n_features - 1,)
        """
        dtype = self.X.dtype
        upper = np.asfortranarray(factor.T, dtype=dtype)
        rows = np.vstack([vector[None], removed]).astype(dtype)
        (trmm,) = get_blas_funcs(("trmm",), (upper,))
        squares, products = np.empty(self.X.shape[1]), np.empty(self.X.shape[1])
        for part, block in self._blocks():
            few = rows @ block
            products[part] = few[0]
            solved = trmm(1.0, upper, block.T, side=1, overwrite_b=1)
            squares[part] = np.einsum("ij,ij->i", solved, solved)
            squares[part] -= np.einsum("ij,ij->j", few[1:], few[1:])
        return squares, products

    def _blocks(self) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """Yield places of features and a copy of their columns, rows contiguous."""
        n, p = self.X.shape
        buffer = np.empty(n * min(BLOCK, p), dtype=self.X.dtype)
        for start in range(0, p, BLOCK):
            part = slice(start, min(start + BLOCK, p))
            block = buffer[: n * (part.stop - start)].reshape(n, -1)
            block[:] = self.X[:, part]
            yield part, block
