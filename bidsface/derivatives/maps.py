"""Maps and masks as NIfTI files, and back: header codes, fill values, same bytes every time."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Grid, Map, Region, Voxels
from bidsface.errors import BidsfaceError, InputError
from bidsface.volumes import describe, open_image, same_grid

NO_EFFECT = {"p": 1.0, "pfdr": 1.0, "pfwe": 1.0}
"""What a voxel without a value gets inside a map, by ``stat``; 0 for the others."""

SCANNER, ALIGNED, TALAIRACH, MNI = 1, 2, 3, 4


def map_file(result: Map) -> bytes:
    """Return a map as a gzipped NIfTI image, float32, 0 outside its voxels.

    Voxels that have no value (NaN) get the value of no effect: 1 in a map of p, else 0.

    Raises
    ------
    BidsfaceError
        If the values do not fit the voxels or the names of the volumes, or are infinite.
    """
    values = _map_values(result)
    flat = np.zeros((np.prod(result.voxels.grid.shape), *values.shape[1:]), np.float32)
    flat[result.voxels.index] = values
    return _encode(flat.reshape(*result.voxels.grid.shape, *values.shape[1:]), result.voxels.grid)


def count_missing(result: Map) -> int:
    """Return the number of voxels without a value in at least one volume."""
    missing = np.isnan(np.asarray(result.values, dtype=np.float64))
    return int(missing.reshape(len(missing), -1).any(axis=1).sum()) if missing.size else 0


def mask_file(voxels: Voxels, region: Region) -> bytes:
    """Return the mask of a region as a gzipped NIfTI image of zeros and ones."""
    flat = np.zeros(np.prod(voxels.grid.shape), np.uint8)
    flat[voxels.index[region.columns]] = 1
    return _encode(flat.reshape(voxels.grid.shape), voxels.grid)


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
    own, wanted = _grid_of(image, path, space, resolution), voxels.grid
    if own.space != wanted.space or not same_grid(own.shape, own.affine, wanted):
        raise InputError(
            f"{path} and {wanted.source or 'the voxels to read it at'} lie on different grids "
            f"({describe(own)}; {describe(wanted)}); maps are read on one grid and not resampled: "
            "analyse all data in one space and resolution"
        )
    values = image.get_fdata(dtype=np.float64)
    return values.reshape(-1, *values.shape[3:])[voxels.index]


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


def _map_values(result: Map) -> NDArray[np.float32]:
    """Return the values that are written, of shape (n_voxels,) or (n_voxels, n_volumes)."""
    given = np.asarray(result.values, dtype=np.float64)
    n_voxels, n_volumes = len(result.voxels.index), len(result.volumes)
    wanted = (n_voxels, n_volumes) if n_volumes else (n_voxels,)
    if given.shape != wanted:
        raise BidsfaceError(
            f"a map of {result.stat} has values of shape {given.shape}, wanted {wanted}: "
            "one row per voxel, and one column per named volume"
        )
    with np.errstate(over="ignore"):
        values = given.astype(np.float32)
    if np.isinf(values).any():
        raise BidsfaceError(f"a map of {result.stat} has infinite values ({result.description})")
    values[np.isnan(values)] = NO_EFFECT.get(result.stat, 0.0)
    return values


def _encode(values: NDArray[Any], grid: Grid) -> bytes:
    image = nib.Nifti1Image(values, grid.affine)
    code = transform_code(grid.space)
    image.set_sform(grid.affine, code)
    image.set_qform(grid.affine, code)
    image.header.set_xyzt_units("mm", "sec")
    # A time stamp in the gzip header would make equal results differ.
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
