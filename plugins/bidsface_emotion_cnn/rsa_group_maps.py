"""The searchlight of a group: mean similarity of spheres and models, and its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Entities, Map, ParticipantResults, StoredMap, Voxels
from bidsface.errors import InputError
from bidsface.numerics.map_tests import MapTest, Run
from bidsface.numerics.rdm_statistics import STATISTICS
from bidsface.numerics.searchlight_rsa import sphere_model_test
from bidsface.volumes import BLOCK_VALUES
from bidsface_emotion_cnn.rsa import RsaOptions
from bidsface_emotion_cnn.rsa_cohort import Cohort, shared
from bidsface_emotion_cnn.rsa_maps import RDMS, SIZES, model_maps, pair_names
from bidsface_emotion_cnn.rsa_memory import refuse_too_large

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupSpheres:
    """Maps of one task over participants.

    Attributes
    ----------
    labels : tuple of str
        Participants.
    voxels : Voxels
        Centres that all of them have.
    tests : mapping of str to MapTest
        By model; the statistic is the mean similarity.
    entities : mapping
    what, where : str
        Description of the similarity and of the spheres.
    """

    labels: tuple[str, ...]
    voxels: Voxels
    tests: Mapping[str, MapTest]
    entities: Entities
    what: str
    where: str


def find_group_spheres(
    participants: Sequence[ParticipantResults],
    cohort: Cohort,
    models: Mapping[str, Floats],
    options: RsaOptions,
    seed: Callable[..., np.random.SeedSequence],
    run: Run,
) -> tuple[GroupSpheres | None, list[str]]:
    """Test the mean similarity of participants' spheres with every model.

    Returns
    -------
    spheres : GroupSpheres or None
        None without a searchlight, models or voxels that all participants have, such as in a study
        in the participants' own spaces.
    notes : list of str
    """
    light = options.searchlight
    pairs = pair_names(cohort.classes)
    present = {one.key: _maps(one, cohort.task) for one in participants}
    maps = {
        key: own
        for key, own in present.items()
        if RDMS in own and SIZES in own and set(pairs) <= set(own[RDMS].volumes)
    }
    if light is None or not models or not maps:
        return None, []
    try:
        voxels, notes = _common_voxels(maps, cohort.task)
        refuse_too_large(len(voxels.index), len(cohort.classes), len(maps))
    except InputError as error:
        # Regions need no common grid, nor much memory: their results stay.
        return None, [f"task {cohort.task}: there are no maps of the group, {error}"]
    if not len(voxels.index):
        return None, [f"task {cohort.task}: there is no sphere that all participants have", *notes]
    rdms = [_load(own[RDMS], pairs, voxels) for own in maps.values()]
    tests = {
        name: sphere_model_test(
            rdms,
            model,
            statistic=options.statistic,
            n_permutations=options.permutations,
            seed=seed("spheres"),
            shared=options.group_orders == "shared",
            run=run,
        )
        for name, model in models.items()
    }
    entities = shared([own[RDMS].entities for own in maps.values()])
    where = f"spheres of {light.radius:g} mm"
    what = f"mean over {len(maps)} participants of {STATISTICS[options.statistic].description}"
    return GroupSpheres(tuple(maps), voxels, tests, entities, what, where), notes


def _maps(participant: ParticipantResults, task: str) -> dict[str, StoredMap]:
    return {
        item.stat: item
        for item in participant.maps
        if item.entities.get("task") == task and item.stat in (RDMS, SIZES)
    }


def _common_voxels(
    maps: Mapping[str, Mapping[str, StoredMap]], task: str
) -> tuple[Voxels, list[str]]:
    """Return the centres that every participant has, and a note on the others."""
    grid = next(iter(maps.values()))[SIZES].grid()
    every = Voxels(grid, np.arange(int(np.prod(grid.shape))))
    inside = [own[SIZES].load(every) > 0 for own in maps.values()]
    common, some = np.logical_and.reduce(inside), np.logical_or.reduce(inside)
    notes = []
    if common.sum() < some.sum():
        notes.append(
            f"task {task}: {int(common.sum()):,} spheres are there in all {len(maps)} participants "
            f"and were tested; {int(some.sum() - common.sum()):,} others are missing in some"
        )
    return every.take(np.flatnonzero(common)), notes


def _load(stored: StoredMap, pairs: Sequence[str], voxels: Voxels) -> NDArray[np.float32]:
    """Return the RDMs of spheres, (n_spheres, n_pairs), of the classes that all participants have.

    Nothing of the size of a participant's map is in memory beside them.
    """
    column = {pair: number for number, pair in enumerate(pairs)}
    names = list(stored.volumes)
    found = np.empty((len(voxels.index), len(pairs)), np.float32)
    start = 0
    for block in stored.blocks(voxels, max(1, BLOCK_VALUES // int(np.prod(voxels.grid.shape)))):
        for name, values in zip(names[start:], block.T, strict=False):
            if name in column:
                found[:, column[name]] = values
        start += block.shape[1]
    return found


def group_maps_of(spheres: GroupSpheres) -> Iterator[Map]:
    """Yield, for every model, mean similarity, p and corrected p."""
    for name, test in spheres.tests.items():
        yield from model_maps(
            name, test, spheres.voxels, spheres.entities, spheres.what, spheres.where
        )
