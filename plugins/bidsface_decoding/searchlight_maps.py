"""The maps of one participant: every direction of decoding, in every sphere and labelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Entities, Participant, Region, Voxels
from bidsface.numerics.devices import find_device
from bidsface.numerics.map_tests import MapTest, blocks, permutation_map_test
from bidsface.numerics.neighbourhoods import Spheres
from bidsface.numerics.searchlight import Searchlight
from bidsface.numerics.sphere_data import Probe, SphereClassifier, Split
from bidsface_decoding.crossmodal_plan import CrossProblem
from bidsface_decoding.scoring import METRICS, tests_all_classes
from bidsface_decoding.searchlight import SearchlightOptions

CENTRES = 2048
"""Spheres of one piece of work."""

WITHIN = "within"


@dataclass(frozen=True)
class Direction:
    """The task to train on and the task to test on."""

    train: str
    test: str

    @property
    def contrast(self) -> str:
        """Label of the direction in file names."""
        if self.train == self.test:
            return WITHIN
        words = ("".join(c for c in task if c.isalnum()) for task in (self.train, self.test))
        first, second = words
        return f"{first}To{second[:1].upper()}{second[1:]}"

    @property
    def title(self) -> str:
        """Name of the direction for people."""
        if self.train == self.test:
            return f"within task {self.train}"
        return f"from task {self.train} to task {self.test}"


@dataclass(frozen=True, eq=False)
class DirectionMaps:
    """Maps of one direction.

    Attributes
    ----------
    direction : Direction
    scores : ndarray of shape (1 + n_permutations, n_voxels), float32
        The first row is the observed labelling.
    chance : float
        NaN where it is not known.
    n_test : int
        Samples that were tested, over all folds.
    test : MapTest or None
        None without permutations.
    entities : mapping
        Of the files, without the contrast.
    """

    direction: Direction
    scores: NDArray[np.float32]
    chance: float
    n_test: int
    test: MapTest | None
    entities: Entities


@dataclass(frozen=True, eq=False)
class ParticipantMaps:
    """All maps of a participant.

    Attributes
    ----------
    voxels : Voxels
    sizes : ndarray of shape (n_voxels,)
        Voxels of every sphere.
    maps : sequence of DirectionMaps
    entities : mapping
        Common to all directions.
    """

    voxels: Voxels
    sizes: NDArray[np.int32]
    maps: Sequence[DirectionMaps]
    entities: Entities


def find_directions(options: SearchlightOptions, tasks: Sequence[str]) -> list[Direction]:
    """Return the wanted directions between the tasks that there are."""
    pairs = options.directions or [(train, test) for train in tasks for test in tasks]
    # Within before across.
    found = [Direction(*pair) for pair in pairs if set(pair) <= set(tasks)]
    return sorted(found, key=lambda one: one.train != one.test)


def find_maps(
    participant: Participant,
    problem: CrossProblem,
    region: Region,
    directions: Sequence[Direction],
    n_classes: int,
    classifier: SphereClassifier,
    options: SearchlightOptions,
    device: str,
    entities: Entities,
) -> ParticipantMaps:
    """Decode every direction in every sphere of a region, for every labelling.

    Parameters
    ----------
    participant : Participant
    problem : CrossProblem
    region : Region
    directions : sequence of Direction
        Those that have no fold are left out.
    n_classes : int
    classifier : SphereClassifier
    options : SearchlightOptions
    device : str
    entities : mapping
        Common to all tasks.
    """
    voxels = participant.voxels.take(region.columns)
    grid = voxels.grid
    spheres = Spheres.of(grid.shape, grid.affine, voxels.index, options.radius)
    tested = [one for one in directions if problem.direction(one.train, one.test).folds]
    data = np.concatenate([own.X[:, region.columns] for own in problem.samples.values()]).T
    light = Searchlight(
        np.ascontiguousarray(data),
        spheres,
        make_splits(problem, tested),
        np.concatenate(list(problem.codes.values()), axis=1),
        n_classes,
        classifier,
        balanced=options.metric == "balanced_accuracy",
        device=find_device(device),
    )
    scores = _all_scores(participant, light, len(voxels.index)) if tested else np.empty((0, 1, 0))
    maps = [
        _direction_maps(problem, one, own, n_classes, options, entities)
        for one, own in zip(tested, scores, strict=True)
    ]
    return ParticipantMaps(voxels, spheres.sizes(), maps, entities)


def make_splits(problem: CrossProblem, directions: Sequence[Direction]) -> list[Split]:
    """Return one split per fold and task to train on, that tests all directions from there.

    Test samples are scaled by the training runs of their own task.
    """
    starts = np.cumsum([0, *(len(own.X) for own in problem.samples.values())])
    start = dict(zip(problem.tasks, starts, strict=False))
    splits = []
    for fold in problem.folds:
        parts = fold.parts
        for train in dict.fromkeys(one.train for one in directions):
            probes = tuple(
                Probe(
                    parts[one.test].test + start[one.test],
                    parts[one.test].train + start[one.test],
                    number,
                )
                for number, one in enumerate(directions)
                if one.train == train and one.test in parts and len(parts[one.test].test)
            )
            if train in parts and probes:
                splits.append(Split(parts[train].train + start[train], probes))
    return splits


def _all_scores(participant: Participant, light: Searchlight, n_voxels: int) -> Any:
    """Return the scores of all centres, (n_maps, n_labellings, n_voxels)."""
    found = np.empty((light.n_maps, len(light.codes), n_voxels), dtype=np.float32)

    def fill(block: slice) -> None:
        found[:, :, block] = light.scores(np.arange(block.start, block.stop))

    participant.map(fill, list(blocks(n_voxels, CENTRES)))
    return found


def _direction_maps(
    problem: CrossProblem,
    direction: Direction,
    scores: NDArray[np.float32],
    n_classes: int,
    options: SearchlightOptions,
    entities: Entities,
) -> DirectionMaps:
    within = direction.train == direction.test
    tested = problem.direction(direction.train, direction.test)
    chance = float("nan")
    if tests_all_classes(tested.folds, tested.codes[0]):
        chance = METRICS[options.metric].chance(tested.codes[0], n_classes)
    elif len(scores) > 1:
        chance = float(scores[1:].mean(dtype=np.float64))
    test = None
    if len(scores) > 1:
        # Labellings that give the very map of the observed one: other names of the classes.
        same = int((scores[1:] == scores[0]).all(axis=1).sum())
        test = permutation_map_test(scores[0], scores[1:], (1 + same) / len(scores))
    own = problem.samples[direction.train].entities if within else entities
    n_test = sum(len(fold.test) for fold in tested.folds)
    return DirectionMaps(direction, scores, chance, n_test, test, own)
