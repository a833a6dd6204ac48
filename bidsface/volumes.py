"""NIfTI images: opening them, reading runs and single images, comparing and changing grids."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from bidsface.analysis import Grid
from bidsface.errors import InputError
from bidsface.files import Run

UNREADABLE = (OSError, EOFError, ValueError, zlib.error, ImageFileError)
BLOCK_VALUES = 2**22
"""Values that one block of volumes may hold while it is read (32 MiB in double precision)."""


@dataclass(frozen=True, eq=False)
class Series:
    """The volumes of a run inside a mask.

    Attributes
    ----------
    values : ndarray of shape (n_volumes, n_voxels), float32
        Columns in C order of the mask.
    mean : ndarray of the grid's shape, float32
        Mean of the kept volumes, outside the mask too.
    """

    values: NDArray[np.float32]
    mean: NDArray[np.float32]


def open_image(path: Path) -> Any:
    """Open an image without reading its data; InputError if it is not one."""
    try:
        # Blocks of a compressed file are then read in one pass, not each from the beginning.
        return nib.load(path, keep_file_open=True)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path}: cannot be read as an image, it may be truncated ({reason})")


def run_grid(run: Run) -> Grid:
    """Return the grid of a run; InputError if it is not a series of volumes, or of images."""
    image = open_image(run.bold)
    if not run.images and (len(image.shape) != 4 or image.shape[3] < 2):
        raise InputError(
            f"{run.bold}: a BOLD run needs four dimensions and at least two volumes, "
            f"found shape {image.shape}"
        )
    return Grid(
        tuple(image.shape[:3]),
        np.asarray(image.affine, float),
        run.entities.get("space"),
        run.entities.get("res"),
        str(run.bold),
    )


def count_volumes(run: Run) -> int:
    """Return the number of volumes of a run."""
    run_grid(run)
    return int(open_image(run.bold).shape[3])


def count_images(run: Run) -> tuple[int, ...]:
    """Return how many volumes each file of a run of images holds.

    Raises
    ------
    InputError
        If a file is no image of three or four dimensions, or lies on another grid than the first.
    """
    grid = run_grid(run)
    counts = []
    for path in run.images:
        image = open_image(path)
        if len(image.shape) not in (3, 4) or 0 in image.shape:
            raise InputError(
                f"{path}: one volume, or a series of them, is wanted, found shape {image.shape}"
            )
        if not same_grid(image.shape[:3], image.affine, grid):
            other = replace(grid, shape=tuple(image.shape[:3]), affine=image.affine)
            raise _different_grids(run.bold, path, grid, other)
        counts.append(int(np.prod(image.shape[3:], dtype=int)))
    return tuple(counts)


def same_grid(shape: tuple[int, ...], affine: NDArray[Any], grid: Grid) -> bool:
    """Tell whether a shape and an affine are those of a grid, to a micrometre per voxel."""
    return tuple(shape) == grid.shape and np.allclose(affine, grid.affine, rtol=1e-5, atol=1e-3)


def common_grid(runs: tuple[Run, ...]) -> Grid:
    """Return the grid that all runs share; InputError naming the first two files that differ."""
    grid = run_grid(runs[0])
    for run in runs[1:]:
        other = run_grid(run)
        if other.space != grid.space or not same_grid(other.shape, other.affine, grid):
            raise _different_grids(runs[0].bold, run.bold, grid, other)
    return grid


def _different_grids(first: Path, second: Path, grid: Grid, other: Grid) -> InputError:
    return InputError(
        f"{first} and {second} lie on different grids ({describe(grid)}; {describe(other)}); "
        "runs are pooled on one grid: choose a common space or resolution"
    )


def describe(grid: Grid) -> str:
    """Return shape, voxel size, place and space of a grid in words."""
    size = " x ".join(f"{edge:.3g}" for edge in np.linalg.norm(grid.affine[:3, :3], axis=0))
    shape = " x ".join(str(count) for count in grid.shape)
    first = ", ".join(f"{place:.4g}" for place in grid.affine[:3, 3])
    space = grid.space or "native"
    return f"{shape} voxels of {size} mm, the first at ({first}) mm, in {space} space"


def read_volume(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a three-dimensional image.

    Returns
    -------
    values : ndarray of three dimensions, float32
    affine : ndarray of shape (4, 4)

    Raises
    ------
    InputError
        If the file cannot be read or holds more than one volume.
    """
    image = open_image(path)
    try:
        values = np.asarray(image.dataobj, dtype=np.float32)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise InputError(f"{path}: one volume is wanted, found shape {values.shape}")
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), np.asarray(image.affine, float)


def common_brain(runs: tuple[Run, ...], grid: Grid) -> NDArray[np.bool_] | None:
    """Return the intersection of the brain masks of the runs that have one.

    A run of images that has none counts with the voxels in which no image is 0 or not finite.
    """
    brain: NDArray[np.bool_] | None = None
    for run in runs:
        inside = _brain_of_images(run, grid) if run.images else _brain_of_run(run, grid)
        if inside is not None:
            brain = inside if brain is None else brain & inside
    return brain


def _brain_of_run(run: Run, grid: Grid) -> NDArray[np.bool_] | None:
    if run.mask is None:
        return None
    values, affine = read_volume(run.mask)
    if not same_grid(values.shape, affine, grid):
        raise InputError(f"{run.mask}: its grid is not that of {run.bold}")
    return values > 0


def _brain_of_images(run: Run, grid: Grid) -> NDArray[np.bool_]:
    """Return the run's mask, brought to the grid of the images, or the voxels with values."""
    if run.mask is None:
        stats = [path.stat() for path in run.images]
        states = tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)
        return _with_values(run.images, states)
    return to_grid(*read_volume(run.mask), grid, "nearest") > 0


@lru_cache(maxsize=64)  # every region, and then the brain, asks for it
def _with_values(paths: tuple[Path, ...], states: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    """Return where all volumes of some images, on one grid, are finite and not 0.

    ``states`` change when the files do, for a worker may outlive them.
    """
    inside = np.ones(open_image(paths[0]).shape[:3], bool)
    for path in paths:
        for block in _blocks(path, None):
            there = block != 0
            if not there.any(axis=(0, 1, 2)).all():
                raise InputError(f"{path}: a volume holds nothing but 0 and values not finite")
            inside &= there.all(axis=3)
    inside.flags.writeable = False
    return inside


def to_grid(
    values: NDArray[np.float32], affine: NDArray[np.float64], grid: Grid, interpolation: str
) -> NDArray[np.float32]:
    """Return a volume on a grid, resampled by nilearn where the grids differ."""
    if same_grid(values.shape, affine, grid):
        return values
    from nilearn.image import resample_img

    resampled = resample_img(
        nib.Nifti1Image(values, affine),
        target_affine=grid.affine,
        target_shape=grid.shape,
        interpolation=interpolation,
        copy_header=True,
        force_resample=True,
    )
    return np.asarray(resampled.dataobj, dtype=np.float32)


def read_series(
    path: Path, mask: NDArray[np.bool_], kept: NDArray[np.bool_], fwhm: float | None
) -> Series:
    """Read a run once, block by block, and keep what lies inside a mask.

    Parameters
    ----------
    mask : ndarray of the grid's shape, bool
    kept : ndarray of shape (n_volumes,), bool
        Volumes that enter ``mean``.
    fwhm : float or None
        Full width at half maximum (mm) of a Gaussian filter over whole volumes, before masking.

    Raises
    ------
    InputError
        If the file is corrupt or ends early.
    """
    return read_images((path,), mask, kept, fwhm)


def read_images(
    paths: Sequence[Path], mask: NDArray[np.bool_], kept: NDArray[np.bool_], fwhm: float | None
) -> Series:
    """Read the volumes of several files as `read_series` does those of one.

    Parameters
    ----------
    paths : sequence of Path
        Images of three or four dimensions on the grid of ``mask``.
    mask, kept, fwhm
        As for `read_series`; ``kept`` is as long as all volumes together.
    """
    values = np.empty((len(kept), np.count_nonzero(mask)), np.float32)
    total = np.zeros(mask.shape)
    start = 0
    for block in (block for path in paths for block in _blocks(path, fwhm)):
        part = slice(start, start + block.shape[3])
        values[part] = block[mask].T
        total += block[..., kept[part]].sum(axis=3, dtype=np.float64)
        start = part.stop
    return Series(values, (total / max(1, int(np.count_nonzero(kept)))).astype(np.float32))


def read_blocks(path: Path, size: int) -> Iterator[NDArray[np.float32]]:
    """Yield the volumes of an image in order, (X, Y, Z, up to size) at a time.

    A compressed file is read in one pass, for it stays open from block to block.

    Raises
    ------
    InputError
        If the file is corrupt or ends early.
    """
    image = open_image(path)
    n_volumes = image.shape[3] if len(image.shape) > 3 else 1
    for start in range(0, n_volumes, size):
        part = slice(start, min(start + size, n_volumes))
        try:
            read = image.dataobj[..., part] if len(image.shape) > 3 else image.dataobj[...]
            block = np.array(read, dtype=np.float32)
        except UNREADABLE as error:
            raise _unreadable(path, error) from error
        yield block.reshape(*image.shape[:3], -1)


def _blocks(path: Path, fwhm: float | None) -> Iterator[NDArray[np.float32]]:
    """Yield the volumes of an image in blocks of four dimensions; no value is not finite."""
    image = open_image(path)
    for block in read_blocks(path, max(1, BLOCK_VALUES // int(np.prod(image.shape[:3])))):
        np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        yield block if fwhm is None else _smooth(block, image.affine, fwhm)


def _smooth(
    block: NDArray[np.float32], affine: NDArray[np.float64], fwhm: float
) -> NDArray[np.float32]:
    from nilearn.image import smooth_img

    smoothed = smooth_img(nib.Nifti1Image(block, affine), fwhm)
    return np.asarray(smoothed.dataobj, dtype=np.float32)
