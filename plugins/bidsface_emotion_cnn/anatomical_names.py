"""Names of the structures that boxes lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bidsface.analysis import Grid, ParticipantResults
from bidsface.anatomy import STAT, UNLABELLED, Atlas, find_atlas, most_frequent
from bidsface_emotion_cnn.positions import BoxGrid, Positions

OWN_SPACES = "participants lie in their own spaces, where a place has no common name"


def atlas_of(
    participants: Sequence[ParticipantResults],
    grid: BoxGrid,
    path: str | None = None,
    lookup: str | None = None,
) -> Atlas:
    """Return what names positions: a file's atlas, else the structures of most participants.

    Participants' segmentations keep their grid, which need not be that of the volumes. Where there
    is neither file nor segmentation, or participants lie in their own spaces, all places are
    `unlabelled`, and the atlas's ``source`` says so.

    Parameters
    ----------
    participants : sequence of ParticipantResults
        With the maps of `bidsface.anatomy.structure_map`, where there are segmentations.
    grid : BoxGrid
    path, lookup : str, optional
        Image of labels on any grid, and its table of names, as for `bidsface.anatomy.file_atlas`.

    Raises
    ------
    InputError
        If the image or its table cannot be read, or segmentations lie on different grids.
    """
    volumes = Grid(grid.shape, grid.affine)
    maps = [stored for one in participants for stored in one.maps if stored.stat == STAT]
    if path is None and maps:
        own = any(stored.entities.get("space") in (None, "T1w") for stored in maps)
        if own and len(participants) > 1:
            nowhere = np.zeros(int(np.prod(grid.shape)), dtype=np.int64)
            return Atlas(volumes, nowhere, {}, OWN_SPACES)
        return find_atlas(participants, maps[0].grid())
    return find_atlas(participants, volumes, path, lookup)


def position_names(grid: BoxGrid, positions: Positions, atlas: Atlas) -> list[str]:
    """Return the structure that most voxels of each box lie in.

    Voxels in no structure count only where there are no others; of equally common structures the
    one with the smallest index counts.

    Parameters
    ----------
    grid : BoxGrid
    positions : ndarray of int
    atlas : Atlas
        On any grid: it is asked for the middle of every voxel of a box.
    """
    points = grid.voxels_mm(positions)
    indices = atlas.at(points.reshape(-1, 3)).reshape(points.shape[:2])
    return [atlas.names.get(int(index), UNLABELLED) for index in most_frequent(indices.T)]


def commonest_names(names: Sequence[str], n: int = 3) -> str:
    """List the commonest names with their shares: ``insula 60 %, putamen 25 %, 2 others``."""
    counts = Counter(names)
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    parts = [f"{name} {100 * counts[name] / len(names):.0f} %" for name in ordered[:n]]
    others = len(ordered) - n
    if others > 0:
        parts.append(f"{others} other" + ("s" if others > 1 else ""))
    return ", ".join(parts)
