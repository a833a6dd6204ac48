"""Where peaks lie: coordinates in mm, and names of structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Grid, StoredMap, Voxels
from bidsface.errors import InputError
from bidsface.regions.freesurfer import APARCASEG
from bidsface.volumes import read_volume, to_grid

UNLABELLED = "unlabelled"


def millimetres(voxels: Voxels, column: int) -> tuple[float, float, float]:
    """Return the coordinates of a voxel (mm)."""
    index = np.array(np.unravel_index(voxels.index[column], voxels.grid.shape))
    x, y, z = voxels.grid.affine[:3, :3] @ index + voxels.grid.affine[:3, 3]
    return float(x), float(y), float(z)


def flat_index(grid: Grid, point: Sequence[float]) -> int | None:
    """Return the flat index of the voxel at coordinates (mm); None outside the grid."""
    index = np.linalg.solve(grid.affine, [*point, 1.0])[:3].round().astype(int)
    if (index < 0).any() or (index >= grid.shape).any():
        return None
    return int(np.ravel_multi_index(tuple(index), grid.shape))


@dataclass(frozen=True, eq=False)
class Atlas:
    """Names of places.

    Attributes
    ----------
    grid : Grid
    indices : ndarray of shape (n_grid_voxels,), int
        Index of the structure of every voxel of the grid.
    names : mapping of int to str
    source : str
        Where the names come from, for captions.
    """

    grid: Grid
    indices: NDArray[np.integer]
    names: Mapping[int, str]
    source: str

    def name(self, point: Sequence[float]) -> str:
        """Return the structure at coordinates (mm)."""
        flat = flat_index(self.grid, point)
        return UNLABELLED if flat is None else self.names.get(int(self.indices[flat]), UNLABELLED)


def freesurfer_names() -> dict[int, str]:
    """Return FreeSurfer's names by index, sides included."""
    names: dict[int, str] = {}
    for name, indices in APARCASEG.items():
        if len(indices) == 1:
            names.setdefault(indices[0], name)
    return names


def most_frequent(indices: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return the commonest index of every column, the smallest of equally common ones.

    Index 0 (no structure) counts only where there is no other.

    Parameters
    ----------
    indices : ndarray of shape (n_participants, n_voxels)
    """
    best = np.zeros(indices.shape[1], dtype=np.intp)
    most = np.zeros(indices.shape[1], dtype=np.intp)
    for index in np.unique(indices[indices != 0]):
        count = (indices == index).sum(axis=0)
        better = count > most
        best[better], most[better] = index, count[better]
    return best


def participants_atlas(maps: Sequence[StoredMap], grid: Grid) -> Atlas:
    """Return the structure that each voxel belongs to in most participants."""
    n_voxels = int(np.prod(grid.shape))
    indices = np.zeros((len(maps), n_voxels), dtype=np.int16)
    for row, stored in zip(indices, maps, strict=True):
        row[:] = stored.load(Voxels(grid, np.arange(n_voxels))).round()
    source = f"FreeSurfer's structure in most of {len(maps)} participants"
    return Atlas(
        grid,
        most_frequent(indices),
        freesurfer_names(),
        source if maps else "no participant has a segmentation",
    )


def file_atlas(path: str, lookup: str | None, grid: Grid) -> Atlas:
    """Return the labels of an atlas image, which is brought to the grid.

    Raises
    ------
    InputError
        If the image or its lookup table cannot be read.
    """
    image = Path(path).expanduser()
    if not image.is_file():
        raise InputError(f"{image}: no such file (option atlas)")
    beside = image.with_name(f"{image.name.split('.')[0]}.tsv")
    names = _read_lookup(Path(lookup).expanduser() if lookup else beside)
    values = to_grid(*read_volume(image), grid, "nearest")
    return Atlas(grid, values.ravel().round().astype(np.int64), names, f"atlas {image.name}")


def _read_lookup(path: Path) -> dict[int, str]:
    try:
        table = pd.read_csv(path, sep="\t", dtype={"name": str}, keep_default_na=False)
        return dict(zip(table["index"].astype(int), table["name"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as a lookup table with columns index and name, which the "
            "option atlas needs"
        ) from error
