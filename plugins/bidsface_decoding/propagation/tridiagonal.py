"""Exact diagonals of inverses of sparse matrices, by block-tridiagonal elimination.

Variables are ordered by their distance from an end of the graph: neighbours of a level are in the
levels before and after it, so that the matrix is block tridiagonal, and dense algebra on the blocks
gives the diagonal of the inverse and the determinant. With p voxels in a volume the largest levels
have about p^(2/3), so that time grows as p^(7/3) and memory as p^(5/3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components

from bidsface.numerics.linear import Floats

SMALLEST_BLOCK = 64
"""Variables per block at least; neighbouring levels are merged, as tiny ones would be slow."""

Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class BlockTridiagonal:
    """A symmetric matrix cut into levels.

    Attributes
    ----------
    levels : sequence of ndarray of int
        Variables of every level.
    diagonal : sequence of ndarray
        Blocks on the diagonal.
    below : sequence of ndarray
        Blocks below it, one fewer: rows of level i + 1, columns of level i.
    """

    levels: Sequence[Places]
    diagonal: Sequence[Floats]
    below: Sequence[Floats]

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> BlockTridiagonal:
        """Order and cut a sparse symmetric matrix (p, p)."""
        levels = _levels(matrix)
        rows = [matrix[level] for level in levels]
        return cls(
            levels,
            [row[:, level].toarray() for row, level in zip(rows, levels, strict=True)],
            [row[:, level].toarray() for row, level in zip(rows[1:], levels, strict=False)],
        )

    def inverse_diagonal(self, added: Floats) -> tuple[Floats, float]:
        """Return the diagonal of the inverse, and the log determinant.

        Parameters
        ----------
        added : ndarray of shape (p,)
            Added to the diagonal first.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the matrix is not positive definite.
        """
        inverses, links, log_det = self._eliminate(added)
        found = np.empty(len(added))
        covariance = inverses[-1]
        found[self.levels[-1]] = np.diag(covariance)
        for index in range(len(links) - 1, -1, -1):
            covariance = inverses[index] + links[index].T @ covariance @ links[index]
            found[self.levels[index]] = np.diag(covariance)
        return found, log_det

    def _eliminate(self, added: Floats) -> tuple[list[Floats], list[Floats], float]:
        """Return inverses of the Schur complements, the factors between levels, and log |.|."""
        inverses: list[Floats] = []
        links: list[Floats] = []
        log_det = 0.0
        for index, (block, level) in enumerate(zip(self.diagonal, self.levels, strict=True)):
            schur = block + np.diag(added[level])
            if index:
                schur -= links[-1] @ self.below[index - 1].T
            factor = linalg.cholesky(schur, lower=True)
            log_det += 2 * float(np.log(np.diag(factor)).sum())
            inverses.append(linalg.cho_solve((factor, True), np.eye(len(level))))
            if index < len(self.below):
                links.append(self.below[index] @ inverses[-1])
        return inverses, links, log_det


def _levels(matrix: sparse.csr_array) -> list[Places]:
    """Return levels of all components one after another, small neighbours merged."""
    n_components, component = connected_components(matrix, directed=False)
    starts = np.unique(component, return_index=True)[1]
    found: list[Places] = []
    for start in starts if n_components else ():
        end = breadth_first_order(matrix, start, directed=False)[0][-1]
        found.extend(_distances(matrix, int(end)))
    merged: list[Places] = []
    for level in found:
        if merged and len(merged[-1]) < SMALLEST_BLOCK:
            merged[-1] = np.concatenate([merged[-1], level])
        else:
            merged.append(level)
    return merged


def _distances(matrix: sparse.csr_array, start: int) -> list[Places]:
    """Return the variables at distance 0, 1, 2, ... from one of them."""
    order, parents = breadth_first_order(matrix, start, directed=False)
    depth = np.zeros(matrix.shape[0], dtype=np.intp)
    for place in order[1:]:
        depth[place] = depth[parents[place]] + 1
    edges = np.flatnonzero(np.diff(depth[order])) + 1
    return [part.astype(np.intp) for part in np.split(order, edges)]
