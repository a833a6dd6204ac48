"""Spheres of voxels around voxels, in mm: arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]

EDGE = 1e-9
"""Relative slack of the radius: voxels whose distance equals it belong to the sphere."""


@dataclass(frozen=True, eq=False)
class Spheres:
    """For every voxel of a mask, the voxels of the mask that are near it.

    A voxel belongs to a sphere if the distance of the two centres is at most the radius, as in
    Kriegeskorte, Goebel and Bandettini (2006), PNAS 103:3863-3868; at the edge of the mask spheres
    are smaller. Nothing of the size (voxels x sphere) is kept.

    Attributes
    ----------
    n_voxels : int
    place : ndarray of shape (n_voxels,)
        Of every voxel in the padded grid.
    steps : ndarray of shape (n_offsets,)
        From the centre of a sphere to its voxels, in the padded grid.
    column : ndarray
        Number of the voxel at every place of the padded grid, ``n_voxels`` where there is none.
    """

    n_voxels: int
    place: Indices
    steps: Indices
    column: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        shape: tuple[int, int, int],
        affine: NDArray[np.float64],
        index: Indices,
        radius: float,
    ) -> Spheres:
        """Lay spheres around all voxels of a mask.

        Parameters
        ----------
        shape : tuple of int
            Of the grid.
        affine : ndarray of shape (4, 4)
            Voxel indices to mm.
        index : ndarray of shape (n_voxels,)
            Flat (C-order) indices of the mask's voxels.
        radius : float
            mm, positive.
        """
        offsets = sphere_offsets(affine, radius)
        margin = np.abs(offsets).max(axis=0)
        padded = np.asarray(shape) + 2 * margin
        where = np.stack(np.unravel_index(index, shape), axis=1) + margin
        strides = np.array([padded[1] * padded[2], padded[2], 1])
        place = where @ strides
        column = np.full(int(np.prod(padded)), len(index), dtype=np.int32)
        column[place] = np.arange(len(index))
        return cls(len(index), place, offsets @ strides, column)

    def members(self, centres: Indices) -> NDArray[np.int32]:
        """Return the voxels of spheres, (n_centres, n_offsets); ``n_voxels`` stands for none."""
        return self.column[self.place[centres][:, None] + self.steps]

    def sizes(self, block: int = 4096) -> NDArray[np.int32]:
        """Return the number of voxels of every sphere, (n_voxels,)."""
        starts = range(0, self.n_voxels, block)
        parts = (np.arange(start, min(start + block, self.n_voxels)) for start in starts)
        counts = [(self.members(part) < self.n_voxels).sum(axis=1) for part in parts]
        return np.concatenate(counts).astype(np.int32)


def sphere_offsets(affine: NDArray[np.float64], radius: float) -> Indices:
    """Return the steps in voxels, (n, 3), that are at most ``radius`` mm long; in C-order.

    Raises
    ------
    ValueError
        If the radius is not positive.
    """
    if not radius > 0:
        raise ValueError(f"the radius of a sphere must be positive, found {radius}")
    matrix = np.asarray(affine, dtype=np.float64)[:3, :3]
    # A step of length r in mm has at most r times this many voxels along each axis.
    reach = np.floor(radius * (1 + EDGE) * np.linalg.norm(np.linalg.inv(matrix), axis=1) + EDGE)
    axes = [np.arange(-size, size + 1) for size in reach.astype(int)]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(steps @ matrix.T, axis=1)
    return steps[lengths <= radius * (1 + EDGE)]


def renumber(members: NDArray[np.int32], n_voxels: int) -> tuple[Indices, NDArray[np.int32]]:
    """Return the voxels that occur, and members by their numbers among these.

    ``n_voxels`` stands for no voxel among ``members``, the number of voxels that occur in the
    result.
    """
    occurs = np.zeros(n_voxels + 1, dtype=bool)
    occurs[members] = True
    occurs[n_voxels] = False
    used = np.flatnonzero(occurs)
    number = np.full(n_voxels + 1, len(used), dtype=np.int32)
    number[used] = np.arange(len(used))
    return used, number[members]
