"""The volumes of all participants, gathered for training: on disk, on one grid, cropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, Grid, ParticipantResults, StoredMap, Voxels
from bidsface.entities import shared
from bidsface.errors import InputError
from bidsface_emotion_cnn.blocks import Blocks
from bidsface_emotion_cnn.file_labels import file_labels, label_notes
from bidsface_emotion_cnn.film_labels import refuse_other_grids
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.participant import MEMBERS, VOLUMES
from bidsface_emotion_cnn.volume_set import VolumeSet, cached_volumes, scaled_volumes

NOT_SHARED = ("sub", "desc", "stat", "space", "res", "run")
"""Entities that names of the group's results do not take from those of participants."""

BLOCK_VALUES = 2**23
"""Voxels of all volumes that are read together (32 MiB in single precision)."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """What the group level works on.

    Attributes
    ----------
    volumes : VolumeSet
    table : DataFrame
        One row per volume: what the participant level wrote, and ``participant_id``.
    grid : Grid
        Of ``volumes``: cropped to the brain, and coarser where volumes were downsampled.
    inside : ndarray of bool, shape ``grid.shape``
        Where any participant has a brain.
    regions : mapping of str to ndarray of bool, shape ``grid.shape``
        Regions that most of the participants who have them agree on.
    blocks : Blocks
        How ``grid`` was made of the participants' own.
    tasks : tuple of str
    repetition_time : float
        s; the longest of all runs.
    entities : mapping
        What the names of the group's results have in common with those of all participants.
    notes : sequence of str
    """

    volumes: VolumeSet
    table: pd.DataFrame
    grid: Grid
    inside: NDArray[np.bool_]
    regions: dict[str, NDArray[np.bool_]]
    blocks: Blocks
    tasks: tuple[str, ...]
    repetition_time: float
    entities: Entities
    notes: Sequence[str]

    def reduced(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring an image on the participants' grid to ``grid``."""
        return self.blocks.mean_of(image.reshape(-1, 1))[0]


def gather(
    participants: Sequence[ParticipantResults],
    options: EmotionOptions,
    folder: Path,
) -> Cohort:
    """Write the volumes of all participants to one file and return what is known of them.

    Memory holds a few volumes at a time, whatever the number of participants and of volumes.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : EmotionOptions
    folder : Path
        Where the file goes.

    Raises
    ------
    InputError
        If images lie on different grids, runs divide a film differently, or fewer than two
        classes are left.
    """
    labelled = labelled_participants(participants)
    every, known = ({one.label for one in some} for some in (participants, labelled))
    full = common_grid(labelled)
    table = volume_table(labelled)
    refuse_other_grids(_repetition_times(table), options.labels)
    everywhere = Voxels(full, np.arange(int(np.prod(full.shape))))
    brain = _brain(labelled, everywhere)
    blocks = Blocks.around(brain, full, options.downsample)
    inside = blocks.any_of(brain)
    path = folder / "volumes.npy"
    scaling = "volume" if options.scaling in ("volume", "both") else "none"

    def of_participants() -> Iterator[NDArray[np.float32]]:
        for one in labelled:
            stored = _map(one, VOLUMES)
            for values in stored.blocks(everywhere, _block_size(len(stored.volumes), full)):
                # Over voxels: it makes no difference which volumes come together.
                yield scaled_volumes(blocks.mean_of(values), inside, scaling)

    data = cached_volumes(path, (len(table), *blocks.grid.shape), of_participants())
    volumes = _volume_set(data, table)
    return Cohort(
        volumes=volumes,
        table=table,
        grid=blocks.grid,
        inside=inside,
        regions=_regions(labelled, everywhere, blocks),
        blocks=blocks,
        tasks=tuple(dict.fromkeys(table["task_name"])),
        repetition_time=float(table["repetition_time"].max()),
        entities=shared([_map(one, VOLUMES).entities for one in labelled], NOT_SHARED),
        notes=[
            *(f"sub-{name} has no labelled volumes" for name in sorted(every - known)),
            *_class_notes(volumes.classes, options.labels.classes),
        ],
    )


def _block_size(n_volumes: int, grid: Grid) -> int:
    """Return how many volumes to read together."""
    size = max(2, BLOCK_VALUES // int(np.prod(grid.shape)))
    # NumPy adds up the voxels of a single volume in another order than those of several.
    while n_volumes % size == 1 and size < n_volumes:
        size += 1
    return size


def labelled_participants(participants: Sequence[ParticipantResults]) -> list[ParticipantResults]:
    """Return those who have labelled volumes.

    Raises
    ------
    InputError
        If nobody has.
    """
    labelled = [one for one in participants if any(item.stat == VOLUMES for item in one.maps)]
    if not labelled:
        raise InputError("no participant has labelled volumes")
    return labelled


def volume_table(participants: Sequence[ParticipantResults]) -> pd.DataFrame:
    """Return the volumes of participants, a row each: what `participant.COLUMNS` describes.

    Raises
    ------
    InputError
        If there are fewer than two classes.
    """
    parts = [one.table("volumes").assign(participant_id=one.label) for one in participants]
    table = pd.concat(parts, ignore_index=True)
    classes = sorted(set(table["trial_type"]))
    if len(classes) < 2:
        raise InputError(f"a network tells classes apart, but all volumes are {classes[0]}")
    return table


def _repetition_times(table: pd.DataFrame) -> dict[str, float]:
    """Return the repetition time (s) of every run of every participant, by their names."""
    runs = table.drop_duplicates(["participant_id", "block"])
    columns = (runs[name] for name in ("participant_id", "block", "repetition_time"))
    return {
        f"sub-{label}, {block}": float(step) for label, block, step in zip(*columns, strict=True)
    }


def _volume_set(data: NDArray[np.float32], table: pd.DataFrame) -> VolumeSet:
    classes, codes = np.unique(table["trial_type"].to_numpy(str), return_inverse=True)
    people, owners = np.unique(table["participant_id"].to_numpy(str), return_inverse=True)
    runs, parts = np.unique(table["segment"].to_numpy(str), return_inverse=True)
    return VolumeSet(
        data=data,
        codes=codes.astype(np.int64),
        participants=owners.astype(np.int64),
        runs=parts.astype(np.int64),
        times=table["time"].to_numpy(float),
        classes=tuple(map(str, classes)),
        participant_labels=tuple(map(str, people)),
        run_labels=tuple(map(str, runs)),
    )


def _class_notes(classes: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return what to say of classes that nobody has, and of names that files cannot bear."""
    missing = [name for name in wanted if name not in classes]
    notes = [f"labels.classes: nobody has volumes of {', '.join(missing)}"] if missing else []
    return [*notes, *label_notes(classes, file_labels(classes))]


def _map(participant: ParticipantResults, stat: str) -> StoredMap:
    return next(item for item in participant.maps if item.stat == stat)


def common_grid(participants: Sequence[ParticipantResults]) -> Grid:
    """Return the grid of all participants' volumes.

    Raises
    ------
    InputError
        If there are several: a network needs the same place at the same voxel.
    """
    first = _map(participants[0], VOLUMES).grid()
    for one in participants[1:]:
        other = _map(one, VOLUMES).grid()
        same = other.shape == first.shape and np.allclose(other.affine, first.affine, atol=1e-3)
        if not same or other.space != first.space:
            raise InputError(
                f"volumes of sub-{one.label} lie on another grid than those of "
                f"sub-{participants[0].label} ({other.shape} in space {other.space}, "
                f"{first.shape} in space {first.space}); choose a standard space with --space"
            )
    return first


def _brain(participants: Sequence[ParticipantResults], everywhere: Voxels) -> NDArray[np.bool_]:
    """Return where any participant has a mean image."""
    found = np.zeros(len(everywhere.index), bool)
    for one in participants:
        found |= _map(one, "mean").load(everywhere) != 0
    return found


def _regions(
    participants: Sequence[ParticipantResults], everywhere: Voxels, blocks: Blocks
) -> dict[str, NDArray[np.bool_]]:
    votes: dict[str, NDArray[np.int32]] = {}
    owners: dict[str, int] = {}
    for one in participants:
        for stored in (item for item in one.maps if item.stat == MEMBERS):
            images = (image for block in stored.blocks(everywhere, 1) for image in block.T)
            for name, image in zip(stored.volumes, images, strict=True):
                votes.setdefault(name, np.zeros(len(image), np.int32))
                votes[name] += image > 0.5
                owners[name] = owners.get(name, 0) + 1
    return {
        name: blocks.mean_of((2 * count >= owners[name]).astype(np.float32)[:, None])[0] >= 0.5
        for name, count in votes.items()
    }
