"""Maps and masks as NIfTI files, and back: header codes, fill values, same bytes every time."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Grid, Map, Region, Voxels
from bidsface.errors import BidsfaceError, InputError
from bidsface.volumes import BLOCK_VALUES, describe, open_image, read_blocks, same_grid

NO_EFFECT = {"p": 1.0, "pfdr": 1.0, "pfwe": 1.0}
"""What a voxel without a value gets inside a map, by ``stat``; 0 for the others."""

SCANNER, ALIGNED, TALAIRACH, MNI = 1, 2, 3, 4

HEADER_BYTES, LEVEL = 348, 6
"""Length of a NIfTI-1 header, and how hard to compress."""


def map_file(result: Map) -> Iterator[bytes]:
    """Yield a map as a gzipped NIfTI image, float32, 0 outside its voxels, piece by piece.

    Voxels that have no value (NaN) get the value of no effect: 1 in a map of p, else 0. Memory
    holds a few volumes at a time.

    Raises
    ------
    BidsfaceError
        If the values do not fit the voxels or the names of the volumes, or are infinite.
    """
    values, grid = np.asarray(result.values), result.voxels.grid
    n_voxels, n_volumes = len(result.voxels.index), len(result.volumes)
    wanted = (n_voxels, n_volumes) if n_volumes else (n_voxels,)
    if values.shape != wanted:
        raise BidsfaceError(
            f"a map of {result.stat} has values of shape {values.shape}, wanted {wanted}: "
            "one row per voxel, and one column per named volume"
        )

    def volumes() -> Iterator[NDArray[np.float32]]:
        for block in _columns(values):
            for column in _written(block, result).T:
                yield _image(column, result.voxels.index, grid)

    yield from _encode(volumes(), (*grid.shape, *wanted[1:]), np.float32, grid)


def count_missing(result: Map) -> int:
    """Return the number of voxels without a value in at least one volume."""
    values = np.asarray(result.values)
    missing = np.zeros(len(values), bool)
    for block in _columns(values) if values.size else ():
        missing |= np.isnan(_numbers(block)).any(axis=1)
    return int(missing.sum())


def mask_file(voxels: Voxels, region: Region) -> Iterator[bytes]:
    """Yield the mask of a region as a gzipped NIfTI image of zeros and ones, piece by piece."""
    index = voxels.index[region.columns]
    image = _image(np.ones(len(index), np.uint8), index, voxels.grid)
    yield from _encode([image], voxels.grid.shape, np.uint8, voxels.grid)


def read_grid(path: Path, space: str | None, resolution: str | None) -> Grid:
    """Return the grid of an image file."""
    return _grid_of(open_image(path), path, space, resolution)


def read_map(
    path: Path, space: str | None, resolution: str | None, voxels: Voxels
) -> NDArray[np.float64]:
    """Return the values of an image file at voxels, of shape (n_voxels[, n_volumes]).

    Parameters
    ----------
    path : Path
    space, resolution : str or None
        BIDS labels of the space and resolution that the image is in.
    voxels : Voxels
        On the grid of the image: nothing is resampled.

    Raises
    ------
    InputError
        If the image lies in another space or on another grid, or cannot be read.
    """
    image = open_image(path)
    _refuse_other_grid(_grid_of(image, path, space, resolution), path, voxels)
    found = np.empty((len(voxels.index), int(np.prod(image.shape[3:]))))
    start = 0
    for block in read_blocks(path, _size(voxels.grid)):
        stop = start + block.shape[3]
        found[:, start:stop] = _at(block, voxels)
        start = stop
    return found.reshape(-1, *image.shape[3:])


def map_blocks(
    path: Path, space: str | None, resolution: str | None, voxels: Voxels, size: int
) -> Iterator[NDArray[np.float32]]:
    """Yield what `read_map` returns, (n_voxels, up to size volumes) at a time.

    The file is decompressed once, and memory holds two of these blocks.

    Raises
    ------
    InputError
        As `read_map` does.
    """
    _refuse_other_grid(_grid_of(open_image(path), path, space, resolution), path, voxels)
    for block in read_blocks(path, size):
        yield _at(block, voxels)


def _refuse_other_grid(own: Grid, path: Path, voxels: Voxels) -> None:
    wanted = voxels.grid
    if own.space != wanted.space or not same_grid(own.shape, own.affine, wanted):
        raise InputError(
            f"{path} and {wanted.source or 'the voxels to read it at'} lie on different grids "
            f"({describe(own)}; {describe(wanted)}); maps are read on one grid and not resampled: "
            "analyse all data in one space and resolution"
        )


def _at(block: NDArray[np.float32], voxels: Voxels) -> NDArray[np.float32]:
    """Return the values of volumes (X, Y, Z, k) at voxels, (n_voxels, k)."""
    found = np.empty((block.shape[3], len(voxels.index)), np.float32)
    for row, volume in zip(found, np.moveaxis(block, 3, 0), strict=True):
        row[:] = volume.ravel()[voxels.index]
    return found.T


def _size(grid: Grid) -> int:
    """Return how many volumes make a block."""
    return max(1, BLOCK_VALUES // int(np.prod(grid.shape)))


def transform_code(space: str | None) -> int:
    """Return the NIfTI code of the coordinates of a BIDS space."""
    if space is None:
        return SCANNER
    if space.startswith(("MNI", "ICBM")):
        return MNI
    return TALAIRACH if space.startswith("Talairach") else ALIGNED


def _grid_of(image: Any, path: Path, space: str | None, resolution: str | None) -> Grid:
    width, depth, height = (int(size) for size in image.shape[:3])
    return Grid((width, depth, height), image.affine, space, resolution, str(path))


def _columns(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the volumes of (n_voxels[, n_volumes]) as (n_voxels, k), a few at a time."""
    columns = values.reshape(len(values), -1)
    size = max(1, BLOCK_VALUES // max(1, len(values)))
    for start in range(0, columns.shape[1], size):
        yield columns[:, start : start + size]


def _numbers(block: NDArray[Any]) -> NDArray[np.floating]:
    return block if block.dtype == np.float32 else np.asarray(block, dtype=np.float64)


def _written(block: NDArray[Any], result: Map) -> NDArray[np.float32]:
    """Return the values that are written of some volumes, a copy of shape (n_voxels, k)."""
    with np.errstate(over="ignore"):
        # In order of volumes, for these are written one after the other.
        values = np.array(_numbers(block), dtype=np.float32, order="F")
    if np.isinf(values).any():
        raise BidsfaceError(f"a map of {result.stat} has infinite values ({result.description})")
    values[np.isnan(values)] = NO_EFFECT.get(result.stat, 0.0)
    return values


def _image(values: NDArray[Any], index: NDArray[np.intp], grid: Grid) -> NDArray[Any]:
    """Return a volume of the grid's shape that is 0 outside some voxels."""
    flat = np.zeros(int(np.prod(grid.shape)), values.dtype)
    flat[index] = values
    return flat.reshape(grid.shape)


def _encode(
    volumes: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: Any, grid: Grid
) -> Iterator[bytes]:
    """Yield a gzipped NIfTI image of volumes that come one after the other.

    The bytes are those of ``gzip.compress(image.to_bytes(), 6, mtime=0)``: a time stamp in the gzip
    header would make equal results differ.
    """
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    yield gzip.compress(b"", LEVEL, mtime=0)[:10]
    check, length = 0, 0
    for part in _raw(volumes, shape, dtype, grid):
        check, length = zlib.crc32(part, check), length + len(part)
        yield squeeze.compress(part)
    yield squeeze.flush() + struct.pack("<LL", check, length & 0xFFFFFFFF)


def _raw(
    volumes: Iterable[NDArray[Any]], shape: tuple[int, ...], dtype: Any, grid: Grid
) -> Iterator[bytes]:
    # The header of an image of one voxel, so that nothing is made of the size of all volumes.
    image = nib.Nifti1Image(np.zeros((1,) * len(shape), dtype), grid.affine)
    code = transform_code(grid.space)
    image.set_sform(grid.affine, code)
    image.set_qform(grid.affine, code)
    image.header.set_xyzt_units("mm", "sec")
    start = image.to_bytes()[: -image.get_data_dtype().itemsize]
    header = nib.Nifti1Header(start[:HEADER_BYTES])
    header.set_data_shape(shape)
    yield header.binaryblock + start[HEADER_BYTES:]
    for volume in volumes:
        yield volume.tobytes(order="F")
