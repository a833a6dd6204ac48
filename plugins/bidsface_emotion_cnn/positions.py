"""Places of an occluding box in a volume, and the places that matter most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]
Triple = tuple[int, int, int]
Size = int | Triple


@dataclass(frozen=True, eq=False)
class BoxGrid:
    """The positions that a box takes in a volume: numbered in C order of (gx, gy, gz).

    Attributes
    ----------
    shape : tuple of int
        Voxels of the volume along the three axes.
    affine : ndarray of shape (4, 4)
        Voxel indices to mm.
    box : int or tuple of int
        Edges of the box (voxels).
    stride : int or tuple of int
        Steps between positions (voxels).
    padded : bool
        Whether a box that hangs over the end of the volume covers voxels that no other one does.
        Without it 2-voxel boxes at stride 2 never cover the last of 35 slices.

    Raises
    ------
    InputError
        If an edge or a step is below 1, or the box is larger than the volume.
    """

    shape: Triple
    affine: Floats
    box: Size = 2
    stride: Size = 2
    padded: bool = False

    def __post_init__(self) -> None:
        """Refuse boxes that have no place."""
        if min(*self.edges, *self.steps) < 1:
            raise InputError(
                "occlusion: the box and its stride have to be at least one voxel, found box "
                f"{self.edges} and stride {self.steps}"
            )
        if any(edge > length for edge, length in zip(self.edges, self.shape, strict=True)):
            raise InputError(
                f"occlusion: a box of {_times(self.edges)} voxels does not fit into a volume of "
                f"{_times(self.shape)}"
            )

    @property
    def edges(self) -> Triple:
        """Edges of the box along the three axes (voxels)."""
        return _triple(self.box)

    @property
    def steps(self) -> Triple:
        """Steps between positions along the three axes (voxels)."""
        return _triple(self.stride)

    @cached_property
    def starts(self) -> tuple[Positions, Positions, Positions]:
        """First voxel of the boxes, along each axis."""
        x, y, z = (
            _starts(length, edge, step, self.padded)
            for length, edge, step in zip(self.shape, self.edges, self.steps, strict=True)
        )
        return x, y, z

    @cached_property
    def stops(self) -> tuple[Positions, Positions, Positions]:
        """Voxel after the last one of the boxes, inside the volume, along each axis."""
        x, y, z = (
            np.minimum(start + edge, length)
            for start, edge, length in zip(self.starts, self.edges, self.shape, strict=True)
        )
        return x, y, z

    @property
    def grid_shape(self) -> Triple:
        """Number of positions along the three axes."""
        x, y, z = self.starts
        return len(x), len(y), len(z)

    @property
    def n_positions(self) -> int:
        """Number of positions."""
        return int(np.prod(self.grid_shape))

    @property
    def index(self) -> Positions:
        """Number of the position at each place of the grid, of shape (gx, gy, gz)."""
        return np.arange(self.n_positions, dtype=np.intp).reshape(self.grid_shape)

    @cached_property
    def centres_mm(self) -> Floats:
        """Middle of the voxels that each box covers, of shape (n_positions, 3), in mm."""
        middles = [
            (start + stop - 1) / 2 for start, stop in zip(self.starts, self.stops, strict=True)
        ]
        places = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 3)
        return np.asarray(places @ self.affine[:3, :3].T + self.affine[:3, 3])

    def flatten(self, maps: NDArray[np.floating]) -> NDArray[np.floating]:
        """Turn maps of shape (..., gx, gy, gz) into (..., n_positions)."""
        if maps.shape[-3:] != self.grid_shape:
            raise ValueError(f"maps of {self.grid_shape} positions expected, found {maps.shape}")
        return maps.reshape(*maps.shape[:-3], self.n_positions)

    def counts(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many voxels of a mask each box covers, of shape (n_positions,).

        Parameters
        ----------
        mask : ndarray of the volume's shape, bool
        """
        total = np.asarray(mask, dtype=np.int64)
        for axis, (start, stop) in enumerate(zip(self.starts, self.stops, strict=True)):
            edge = [(int(other == axis), 0) for other in range(3)]
            summed = np.pad(np.cumsum(total, axis=axis), edge)
            total = np.take(summed, stop, axis) - np.take(summed, start, axis)
        return total.ravel()

    def inside(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which boxes touch a mask, such as the brain's, of shape (n_positions,)."""
        return self.counts(mask) > 0

    def covered(self, positions: Positions) -> NDArray[np.bool_]:
        """Return the voxels that the boxes at some positions cover, of the volume's shape."""
        chosen = np.zeros(self.n_positions, dtype=bool)
        chosen[positions] = True
        volume = np.zeros(self.shape, dtype=bool)
        for voxels, places in self._overlays():
            volume[voxels] |= chosen.reshape(self.grid_shape)[places]
        return volume

    def spread(self, values: NDArray[np.floating]) -> Floats:
        """Return for every voxel the mean of the boxes that cover it, NaN where none does.

        Parameters
        ----------
        values : ndarray of shape (n_positions,)

        Returns
        -------
        ndarray of the volume's shape
        """
        total, n = np.zeros(self.shape), np.zeros(self.shape)
        field = np.asarray(values, dtype=np.float64).reshape(self.grid_shape)
        for voxels, places in self._overlays():
            total[voxels] += field[places]
            n[voxels] += 1
        return np.divide(total, n, out=np.full(self.shape, np.nan), where=n > 0)

    def voxels_mm(self, positions: Positions) -> Floats:
        """Return the coordinates (mm) of the voxels of boxes.

        Returns
        -------
        ndarray of shape (n_positions_asked, n_box_voxels, 3)
            A box that hangs over the end of the volume repeats its last voxels.
        """
        places = np.unravel_index(positions, self.grid_shape)
        corner = np.stack([start[at] for start, at in zip(self.starts, places, strict=True)], -1)
        offsets = np.array(list(product(*map(range, self.edges))))
        voxels = np.minimum(corner[:, None] + offsets, np.array(self.shape) - 1)
        return np.asarray(voxels @ self.affine[:3, :3].T + self.affine[:3, 3])

    def _overlays(self) -> Iterator[tuple[tuple[NDArray, ...], tuple[NDArray, ...]]]:
        """Yield, for each voxel of the box, the voxels that it is and the boxes that they are of.

        Within one item no voxel is taken twice.
        """
        for offsets in product(*map(range, self.edges)):
            shifted = [start + offset for start, offset in zip(self.starts, offsets, strict=True)]
            kept = [
                np.flatnonzero(at < length) for at, length in zip(shifted, self.shape, strict=True)
            ]
            taken = [at[keep] for at, keep in zip(shifted, kept, strict=True)]
            yield np.ix_(*taken), np.ix_(*kept)


def _triple(size: Size) -> Triple:
    return (size, size, size) if isinstance(size, int) else size


def _times(lengths: Sequence[int]) -> str:
    return " x ".join(map(str, lengths))


def _starts(length: int, edge: int, step: int, padded: bool) -> Positions:
    last = length - edge
    steps = -(-last // step) if padded else last // step
    # A stride above the box may put the last padded box wholly behind the end.
    return np.minimum(step * np.arange(steps + 1, dtype=np.intp), length)


def top_positions(
    maps: NDArray[np.floating], k: int = 500, inside: NDArray[np.bool_] | None = None
) -> tuple[Positions, ...]:
    """Return the positions with the largest drops of each class, the largest first.

    Only drops (negative changes) count, so that there may be fewer than ``k``. Of equal drops the
    position with the lower number comes first.

    Parameters
    ----------
    maps : ndarray of shape (n_classes, n_positions)
        Change of each class's probability when the box is occluded; NaN where it is not known.
    k : int
    inside : ndarray of shape (n_positions,), bool, optional
        Positions that may be chosen, such as those that touch the brain.

    Returns
    -------
    tuple of n_classes ndarrays of int
    """
    allowed = np.ones(maps.shape[1], dtype=bool) if inside is None else inside
    tops = []
    for changes in maps:
        drops = np.flatnonzero(allowed & (changes < 0))
        tops.append(drops[np.argsort(changes[drops], kind="stable")[:k]])
    return tuple(tops)


def most_affected_class(maps: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the class with the largest drop at each position; -1 where no class drops.

    Parameters
    ----------
    maps : ndarray of shape (n_classes, n_positions)
        Change of each class's probability; NaN where it is not known. Of equal drops the first
        class counts.

    Returns
    -------
    ndarray of shape (n_positions,), int
    """
    known = np.where(np.isnan(maps), np.inf, maps)
    return np.where(known.min(axis=0) < 0, known.argmin(axis=0), -1)
