"""Where voxels lie: grids, the voxels of a data matrix, and regions of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Grid:
    """A voxel grid in a named space.

    Attributes
    ----------
    shape : tuple of int
        Number of voxels along the three axes.
    affine : ndarray of shape (4, 4)
        Voxel indices to mm.
    space : str or None
        BIDS ``space-`` label; None for native space without an entity.
    resolution : str or None
        BIDS ``res-`` label.
    source : str or None
        File that the grid was read from, to be named where grids differ.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    space: str | None = None
    resolution: str | None = None
    source: str | None = None


@dataclass(frozen=True, eq=False)
class Voxels:
    """The voxels that the columns of a data matrix stand for.

    Attributes
    ----------
    grid : Grid
    index : ndarray of shape (n_voxels,)
        Flat (C-order) indices into ``grid``.
    """

    grid: Grid
    index: NDArray[np.intp]

    def take(self, columns: NDArray[np.intp]) -> Voxels:
        """Return the voxels of some columns."""
        return Voxels(self.grid, self.index[columns])


@dataclass(frozen=True, eq=False)
class Region:
    """A named region of interest.

    Attributes
    ----------
    name : str
        Letters and digits only; becomes the ``label-`` entity and ``roi_name``.
    columns : ndarray of shape (n_region_voxels,)
        Ascending positions within the participant's ``voxels``.
    description : str
        Where the region comes from, for the methods section and the sidecar.
    """

    name: str
    columns: NDArray[np.intp]
    description: str
