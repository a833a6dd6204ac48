"""A coarser, smaller grid: the box around the brain, in blocks of voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Grid


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of voxels that cover the brain.

    Attributes
    ----------
    full : Grid
        Of the voxels.
    start : tuple of int
        First voxel of the first block.
    size : int
        Voxels of a block along each axis.
    grid : Grid
        Of the blocks; its coordinates are the blocks' centres.
    """

    full: Grid
    start: tuple[int, int, int]
    size: int
    grid: Grid

    @classmethod
    def around(cls, inside: NDArray[np.bool_], grid: Grid, size: int) -> Blocks:
        """Make the blocks that cover all voxels of a mask.

        Parameters
        ----------
        inside : ndarray of bool, shape (n_grid_voxels,)
        grid : Grid
        size : int
            Voxels of a block along each axis; blocks may stick out of the grid.
        """
        where = np.argwhere(inside.reshape(grid.shape))
        start, stop = where.min(axis=0), where.max(axis=0) + 1
        n_blocks = -(-(stop - start) // size)
        affine = grid.affine.copy()
        affine[:3, :3] *= size
        corner = start + (size - 1) / 2
        affine[:3, 3] = grid.affine[:3, :3] @ corner + grid.affine[:3, 3]
        shape = (int(n_blocks[0]), int(n_blocks[1]), int(n_blocks[2]))
        first = (int(start[0]), int(start[1]), int(start[2]))
        resolution = grid.resolution if size == 1 else None
        own = Grid(shape, affine, grid.space, resolution, grid.source)
        return cls(grid, first, size, own)

    def mean_of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return block means of columns, (n_columns, *grid.shape).

        Parameters
        ----------
        values : ndarray of shape (n_grid_voxels, n_columns)
            What lies outside the grid counts as 0.
        """
        images = np.moveaxis(values.reshape(*self.full.shape, -1), -1, 0)
        corners = tuple(
            slice(first, first + n * self.size)
            for first, n in zip(self.start, self.grid.shape, strict=True)
        )
        part = images[(slice(None), *corners)]
        if self.size == 1:
            return np.ascontiguousarray(part)
        wanted = tuple(n * self.size for n in self.grid.shape)
        missing = [(0, want - have) for want, have in zip(wanted, part.shape[1:], strict=True)]
        padded = np.pad(part, [(0, 0), *missing])
        x, y, z = self.grid.shape
        split = padded.reshape(len(padded), x, self.size, y, self.size, z, self.size)
        return np.asarray(split.mean(axis=(2, 4, 6), dtype=np.float32))

    def any_of(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which blocks hold a voxel of a mask, of the grid's shape."""
        return np.asarray(self.mean_of(inside.astype(np.float32)[:, None])[0] > 0)
