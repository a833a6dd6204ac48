"""Where peaks lie: coordinates in mm, and names of structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import (
    Entities,
    Grid,
    Map,
    Participant,
    ParticipantResults,
    StoredMap,
    Voxels,
)
from bidsface.errors import InputError
from bidsface.regions.freesurfer import APARCASEG
from bidsface.volumes import open_image, read_volume, to_grid

UNLABELLED = "unlabelled"

STAT = "index"
"""``stat-`` of the maps that `structure_map` makes."""


def millimetres(voxels: Voxels, column: int) -> tuple[float, float, float]:
    """Return the coordinates of a voxel (mm)."""
    index = np.array(np.unravel_index(voxels.index[column], voxels.grid.shape))
    x, y, z = voxels.grid.affine[:3, :3] @ index + voxels.grid.affine[:3, 3]
    return float(x), float(y), float(z)


def flat_indices(grid: Grid, points: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the flat index of the voxel at every point; -1 outside the grid.

    Parameters
    ----------
    grid : Grid
    points : ndarray of shape (n_points, 3)
        mm.
    """
    places = np.column_stack([points, np.ones(len(points))]).T
    index = np.linalg.solve(grid.affine, places)[:3].round().astype(int)
    inside = ((index >= 0) & (index < np.array(grid.shape)[:, None])).all(axis=0)
    flat = np.full(len(points), -1, dtype=np.intp)
    flat[inside] = np.ravel_multi_index(tuple(index[:, inside]), grid.shape)
    return flat


def flat_index(grid: Grid, point: Sequence[float]) -> int | None:
    """Return the flat index of the voxel at coordinates (mm); None outside the grid."""
    (flat,) = flat_indices(grid, np.array([point], dtype=np.float64))
    return None if flat < 0 else int(flat)


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

    def at(self, points: NDArray[np.floating]) -> NDArray[np.integer]:
        """Return the index of the structure at every point, 0 outside the grid.

        Parameters
        ----------
        points : ndarray of shape (n_points, 3)
            mm.
        """
        flat = flat_indices(self.grid, points)
        return np.where(flat < 0, 0, self.indices[flat])

    def name(self, point: Sequence[float]) -> str:
        """Return the structure at coordinates (mm)."""
        flat = flat_index(self.grid, point)
        return UNLABELLED if flat is None else self.names.get(int(self.indices[flat]), UNLABELLED)


def structure_map(participant: Participant, entities: Entities) -> Map | None:
    """Return FreeSurfer's index of every voxel of the brain, for `find_atlas` at the group level.

    None where fMRIPrep wrote no segmentation.

    Parameters
    ----------
    participant : Participant
    entities : mapping
        What the participant's results have in common.
    """
    if participant.structures is None:
        return None
    return Map(
        STAT,
        participant.structures.astype(float),
        participant.brain,
        entities,
        "FreeSurfer's index of the structure that each voxel of the brain belongs to "
        "(aparc+aseg); the group level names peaks by it.",
    )


def find_atlas(
    participants: Sequence[ParticipantResults],
    grid: Grid,
    path: str | None = None,
    lookup: str | None = None,
) -> Atlas:
    """Return the atlas of a file or, without one, the structures of most participants.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    grid : Grid
        Where the names are wanted; the participants' segmentations lie on it.
    path : str, optional
        Image of labels, on any grid.
    lookup : str, optional
        Its table of names, as for `file_atlas`.

    Raises
    ------
    InputError
        If the image or its lookup table cannot be read.
    """
    if path is not None:
        return file_atlas(path, lookup, grid)
    maps = [stored for one in participants for stored in one.maps if stored.stat == STAT]
    return participants_atlas(maps, grid)


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

    Parameters
    ----------
    path : str
    lookup : str or None
        Table with columns `index` and `name`; None for the one beside the image, `X.tsv` for
        `X.nii.gz`.
    grid : Grid

    Raises
    ------
    InputError
        If the image or its lookup table cannot be read.
    """
    names = check_atlas(path, lookup)
    image, _ = atlas_files(path, lookup)
    values = to_grid(*read_volume(image), grid, "nearest")
    return Atlas(grid, values.ravel().round().astype(np.int64), names, f"atlas {image.name}")


def atlas_files(path: str, lookup: str | None) -> tuple[Path, Path]:
    """Return an atlas's image and its table of names, absolute; arguments as of `file_atlas`."""
    image = Path(path).expanduser().absolute()
    beside = image.with_name(f"{image.name.split('.')[0]}.tsv")
    return image, Path(lookup).expanduser().absolute() if lookup else beside


def check_atlas(path: str, lookup: str | None) -> dict[int, str]:
    """Return the names of an atlas whose image can be opened; arguments as of `file_atlas`.

    Raises
    ------
    InputError
        If the image or its lookup table cannot be read.
    """
    image, table = atlas_files(path, lookup)
    if not image.is_file():
        raise InputError(f"{image}: no such file (option atlas)")
    names = _read_lookup(table)
    shape = open_image(image).shape
    if len(shape) < 3 or shape[3:] not in ((), (1,)):
        raise InputError(f"{image}: wanted one volume of labels (option atlas), found {shape}")
    return names


def _read_lookup(path: Path) -> dict[int, str]:
    try:
        table = pd.read_csv(path, sep="\t", dtype={"name": str}, keep_default_na=False)
        return dict(zip(table["index"].astype(int), table["name"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as a lookup table with columns index and name, which the "
            "option atlas needs"
        ) from error
