"""The images of all participants, in the voxels that all of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, ParticipantResults, StoredMap, Voxels
from bidsface.entities import shared
from bidsface.errors import InputError
from bidsface.numerics.linear import Floats
from bidsface_facs.inputs import Mask
from bidsface_facs.participant import COVARIATE, IMAGES, MEMBERS, MOTION

NOT_SHARED = ("sub", "desc", "stat", "space", "res", "run")
"""Entities that the writer sets, or that tell files of one participant apart."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """Images of the participants of one data set.

    Attributes
    ----------
    images : ndarray of shape (n_images, n_voxels), float32
    table : DataFrame of n_images rows
        As the participants' tables of trials, with ``participant_id``.
    voxels : Voxels
    regions : mapping of str to ndarray of shape (n_voxels,), bool
        Where at least half of the participants have the region.
    entities : mapping
        What all results have in common.
    """

    images: NDArray[np.float32]
    table: pd.DataFrame
    voxels: Voxels
    regions: Mapping[str, Mask]
    entities: Entities

    @property
    def people(self) -> NDArray[np.str_]:
        """Label of every image's participant."""
        return self.table["participant_id"].to_numpy(str)

    @property
    def target(self) -> Floats:
        """What is predicted, (n_images,)."""
        return self.table["target"].to_numpy(float)

    @property
    def covariates(self) -> Floats:
        """Covariates of the stimulus, (n_images, n_covariates)."""
        return self._columns(COVARIATE)

    @property
    def motion(self) -> Floats:
        """Head-motion parameters, (n_images, n_parameters)."""
        return self._columns(MOTION)

    def _columns(self, prefix: str) -> Floats:
        names = [name for name in self.table.columns if name.startswith(prefix)]
        return self.table[names].to_numpy(float)


def read_cohorts(
    data_sets: Mapping[str, Sequence[ParticipantResults]],
) -> tuple[dict[str, Cohort], list[str]]:
    """Return the images of the participants of every data set, and what there is to say of voxels.

    Parameters
    ----------
    data_sets : mapping of str to sequence of ParticipantResults
        All participants with images; regions are those of the first data set.

    Raises
    ------
    InputError
        If there is no voxel that all participants have, or images lie on different grids.
    """
    inside, regions, notes = _members(next(iter(data_sets.values())))
    for others in list(data_sets.values())[1:]:
        inside += _members(others)[0]
    if len({len(mask) for mask in inside}) > 1:
        raise InputError("the images of the data sets lie on different grids")
    common = np.logical_and.reduce(inside)
    voxels = Voxels(_map(next(iter(data_sets.values()))[0], MEMBERS).grid(), np.flatnonzero(common))
    if not len(voxels.index):
        raise InputError("there is no voxel that all participants have")
    cohorts = {
        name: _cohort(participants, voxels, regions) for name, participants in data_sets.items()
    }
    return cohorts, [*_lost(inside, common), *notes]


def _cohort(
    participants: Sequence[ParticipantResults], voxels: Voxels, regions: Mapping[str, Mask]
) -> Cohort:
    parts = [_map(one, IMAGES).load(voxels).T.astype(np.float32) for one in participants]
    tables = [one.table("trials").assign(participant_id=one.label) for one in participants]
    return Cohort(
        np.vstack(parts),
        _without_partial(pd.concat(tables, ignore_index=True)),
        voxels,
        {name: mask[voxels.index] for name, mask in regions.items()},
        shared([_map(one, IMAGES).entities for one in participants], NOT_SHARED),
    )


def with_images(participants: Sequence[ParticipantResults]) -> list[ParticipantResults]:
    """Return the participants that have images."""
    return [one for one in participants if any(item.stat == IMAGES for item in one.maps)]


def _map(participant: ParticipantResults, stat: str) -> StoredMap:
    return next(item for item in participant.maps if item.stat == stat)


def _members(
    participants: Sequence[ParticipantResults],
) -> tuple[list[Mask], dict[str, Mask], list[str]]:
    """Return where every participant has voxels, where the regions are, and notes on regions."""
    grid = _map(participants[0], MEMBERS).grid()
    everywhere = Voxels(grid, np.arange(int(np.prod(grid.shape))))
    inside: list[Mask] = []
    votes: dict[str, NDArray[np.int32]] = {}
    owners: dict[str, int] = {}
    for one in participants:
        stored = _map(one, MEMBERS)
        values = stored.load(everywhere) > 0.5
        inside.append(np.asarray(values.any(axis=1)))
        for number, name in enumerate(stored.volumes):
            votes.setdefault(name, np.zeros(len(values), np.int32))
            votes[name] += values[:, number]
            owners[name] = owners.get(name, 0) + 1
    regions = {name: 2 * count >= owners[name] for name, count in votes.items()}
    notes = [
        f"region {name} is there in {n} of {len(participants)} participants"
        for name, n in owners.items()
        if n < len(participants)
    ]
    return inside, regions, notes


def _lost(inside: Sequence[Mask], common: Mask) -> list[str]:
    some = np.logical_or.reduce(inside)
    if common.sum() == some.sum():
        return []
    return [
        f"{int(common.sum()):,} voxels are there in all {len(inside)} participants and were used; "
        f"{int(some.sum() - common.sum()):,} others are missing in some"
    ]


def _without_partial(table: pd.DataFrame) -> pd.DataFrame:
    """Drop head-motion parameters if some participants do not have them all."""
    motion = [name for name in table.columns if name.startswith(MOTION)]
    return table.drop(columns=motion) if table[motion].isna().any(axis=None) else table
