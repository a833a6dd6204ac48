"""Positions of an occluding box, and maps over positions put back on voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidsface.errors import InputError

Triple = tuple[int, int, int]


def triple(value: ArrayLike, name: str) -> Triple:
    """Return three sizes from one number or three; `InputError` unless whole numbers above 0."""
    sizes = np.asarray(value)
    if sizes.shape not in ((), (3,)) or sizes.dtype.kind not in "iu" or (sizes < 1).any():
        raise InputError(
            f"{name}: wanted a whole number above 0, or three of them; found {value!r}"
        )
    first, second, third = (int(size) for size in np.broadcast_to(sizes, 3))
    return first, second, third


def position_counts(shape: Triple, box: Triple, stride: Triple, pad: bool = False) -> Triple:
    """Return the number of positions per axis.

    ``floor((n - box) / stride) + 1``, so that every box lies in the volume; with `pad`
    ``ceil((n - box) / stride) + 1``, so that the last voxels are covered, by boxes that stick out.

    Raises
    ------
    InputError
        If the box is larger than the volume.
    """
    if any(size > n for size, n in zip(box, shape, strict=True)):
        raise InputError(f"a box of {box} voxels is larger than the volume of {shape}")
    spare = np.subtract(shape, box) + (np.subtract(stride, 1) if pad else 0)
    first, second, third = (int(count) for count in spare // np.asarray(stride) + 1)
    return first, second, third


def position_starts(counts: Triple, stride: Triple) -> NDArray[np.int64]:
    """Return the first voxel of every box, (n_positions, 3), the last axis fastest."""
    axes = [np.arange(count) * step for count, step in zip(counts, stride, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def map_to_volume(
    grid_map: ArrayLike,
    shape: Triple,
    box: int | Triple = 2,
    stride: int | Triple = 2,
    *,
    fill: float = 0.0,
) -> NDArray[np.float64]:
    """Put a map over positions back on voxels: the mean over the boxes that cover a voxel.

    Parameters
    ----------
    grid_map : array-like of shape (..., gx, gy, gz)
        Values per position, as `occlusion_map` returns them, padded or not.
    shape : tuple of three ints
        Shape of the volume.
    box, stride : int or tuple of three ints
        As given to `occlusion_map`, voxels.
    fill : float
        Value of voxels that no box covers.

    Returns
    -------
    ndarray of shape (..., X, Y, Z)
    """
    box, stride = triple(box, "box"), triple(stride, "stride")
    values = np.asarray(grid_map, dtype=np.float64)
    most = position_counts(shape, box, stride, pad=True)
    if values.ndim < 3 or any(g > m for g, m in zip(values.shape[-3:], most, strict=True)):
        raise InputError(
            f"a map over positions of {shape} voxels: wanted at most {most}, found {values.shape}"
        )
    n_boxes = np.ones(())
    for axis in range(3):
        covers = _covers(shape[axis], values.shape[axis - 3], box[axis], stride[axis])
        values = np.moveaxis(np.moveaxis(values, axis - 3, -1) @ covers.T, -1, axis - 3)
        n_boxes = np.multiply.outer(n_boxes, covers.sum(axis=1))
    return np.where(n_boxes > 0, values / np.maximum(n_boxes, 1), fill)


def _covers(n: int, count: int, box: int, stride: int) -> NDArray[np.float64]:
    """Return which of n voxels (rows) which box (columns) covers, as ones."""
    offset = np.arange(n)[:, None] - np.arange(count) * stride
    return ((offset >= 0) & (offset < box)).astype(np.float64)
