"""The searchlight of a group: mean maps, their test by permutation, and prevalence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import (
    Map,
    ParticipantResults,
    Results,
    StoredMap,
    Voxels,
)
from bidsface.backgrounds import mean_background
from bidsface.numerics.map_tests import Run, group_map_test, mean_and_minimum_map_tests
from bidsface.numerics.prevalence import infer_prevalence
from bidsface.numerics.searchlight import GRAIN
from bidsface_decoding import searchlight_report, searchlight_text
from bidsface_decoding.searchlight import SearchlightOptions
from bidsface_decoding.searchlight_group_report import (
    GroupMaps,
    figures_of,
    highlights,
    largest_prevalence,
    summary,
)
from bidsface_decoding.searchlight_maps import Direction

NOT_IN_NAMES = ("sub", "desc", "stat", "contrast", "space", "res")
"""Entities that the writer sets, or that are set anew."""


@dataclass(frozen=True, eq=False)
class _Member:
    """What a participant has of one direction."""

    label: str
    chance: float
    accuracy: StoredMap
    permuted: StoredMap | None


def searchlight_group(
    participants: Sequence[ParticipantResults],
    options: SearchlightOptions,
    seed: Callable[..., np.random.SeedSequence],
    run: Run = map,
) -> Results:
    """Average maps over participants and test them.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : SearchlightOptions
    seed : callable
        Random stream of a direction.
    run : callable
        Applies a function to items, on several processors where it wants to.
    """
    present = [one for one in participants if any(item.stat == "size" for item in one.maps)]
    if not present:
        return Results(warnings=["no participant has maps of this analysis"])
    voxels, notes = common_voxels(present)
    if not len(voxels.index):
        return Results(warnings=["there is no voxel that all participants have", *notes])
    found: list[GroupMaps] = []
    for direction in _directions(present):
        members = [member for one in present for member in _member(one, direction)]
        one = _group_maps(direction, members, voxels, options, seed, run)
        found.append(one)
        notes.extend(_notes(one, len(present), options))
    background = mean_background(present, voxels.grid)
    methods = searchlight_text.group_methods(options)
    return Results(
        maps=[item for one in found for item in _maps(one, options)],
        figures=[figure for one in found for figure in figures_of(one, background, options)],
        summaries=[summary(one, options) for one in found],
        methods=methods,
        citations=searchlight_text.citations_of(methods),
        highlights=[line for one in found for line in highlights(one, options)],
        warnings=list(dict.fromkeys(notes)),
    )


def common_voxels(participants: Sequence[ParticipantResults]) -> tuple[Voxels, list[str]]:
    """Return the voxels in which every participant has a sphere, and a note on the others."""
    first = next(item for item in participants[0].maps if item.stat == "size")
    grid = first.grid()
    every = Voxels(grid, np.arange(int(np.prod(grid.shape))))
    inside = [
        next(item for item in one.maps if item.stat == "size").load(every) > 0
        for one in participants
    ]
    common, some = np.logical_and.reduce(inside), np.logical_or.reduce(inside)
    notes = []
    if common.sum() < some.sum():
        notes.append(
            f"{int(common.sum()):,} voxels are there in all {len(participants)} participants and "
            f"were tested; {int(some.sum() - common.sum()):,} others are missing in some"
        )
    return every.take(np.flatnonzero(common)), notes


def _directions(participants: Sequence[ParticipantResults]) -> list[Direction]:
    rows = [
        (str(row["train_task"]), str(row["test_task"]))
        for one in participants
        for _, row in one.table("scores").iterrows()
    ]
    return [Direction(*pair) for pair in dict.fromkeys(rows)]


def _member(participant: ParticipantResults, direction: Direction) -> list[_Member]:
    """Return the participant's part in a direction: one member, or none."""
    table = participant.table("scores")
    rows = table[
        (table["train_task"].astype(str) == direction.train)
        & (table["test_task"].astype(str) == direction.test)
    ]
    maps = {
        item.stat: item
        for item in participant.maps
        if item.entities.get("contrast") == direction.contrast
        and (direction.train != direction.test or item.entities.get("task") == direction.train)
    }
    if rows.empty or "accuracy" not in maps:
        return []
    chance = float(rows["chance"].iloc[0])
    return [_Member(participant.label, chance, maps["accuracy"], maps.get("permuted"))]


def _group_maps(
    direction: Direction,
    members: Sequence[_Member],
    voxels: Voxels,
    options: SearchlightOptions,
    seed: Callable[..., np.random.SeedSequence],
    run: Run,
) -> GroupMaps:
    observed = [member.accuracy.load(voxels).astype(np.float32) for member in members]
    nulls: list[NDArray[np.float32]] = [
        np.ascontiguousarray(member.permuted.load(voxels).T, dtype=np.float32)
        for member in members
        if member.permuted is not None
    ]
    test = smallest = prevalence = None
    if len(members) > 1 and len(nulls) == len(members):
        stream, n_draws = seed(direction.train, direction.test), options.group_draws
        if options.prevalence is None:
            test = group_map_test(observed, nulls, n_draws, stream, GRAIN, run)
        else:
            test, smallest = mean_and_minimum_map_tests(
                observed, nulls, n_draws, stream, GRAIN, run
            )
            prevalence = infer_prevalence(smallest, len(members), options.prevalence)
    return GroupMaps(
        direction,
        [member.label for member in members],
        voxels,
        np.mean(observed, axis=0, dtype=np.float64),
        float(np.mean([member.chance for member in members])),
        test,
        smallest,
        prevalence,
        searchlight_report.shared([one.accuracy.entities for one in members], NOT_IN_NAMES),
    )


def _notes(one: GroupMaps, n_present: int, options: SearchlightOptions) -> list[str]:
    notes = []
    if len(one.labels) == 1:
        notes.append(f"{one.direction.title}: one participant only, so there is no inference")
    elif one.test is None and options.permutations:
        notes.append(f"{one.direction.title}: not all participants have permuted maps: no test")
    if len(one.labels) < n_present:
        notes.append(f"{one.direction.title}: {len(one.labels)} of {n_present} participants")
    if one.prevalence is not None and not one.prevalence.largest_gamma > one.prevalence.gamma0:
        notes.append(
            f"{one.direction.title}: with {len(one.labels)} participants and {options.group_draws} "
            f"draws no prevalence above {largest_prevalence(one.prevalence)} can be shown"
        )
    return notes


def _maps(one: GroupMaps, options: SearchlightOptions) -> list[Map]:
    entities = {**one.entities, "contrast": one.direction.contrast}
    what = f"decoding {one.direction.title}, {len(one.labels)} participants"

    def make(stat: str, values: NDArray[np.floating], text: str) -> Map:
        return Map(stat, values, one.voxels, entities, text)

    maps = [make("accuracy", one.mean, f"Mean {options.metric} of {what}")]
    if one.test is not None:
        maps += [
            make("p", one.test.p, f"One-tailed p of the mean, from permuted maps: {what}"),
            make("pfwe", one.test.p_fwe, f"p of the mean, corrected over voxels: {what}"),
        ]
    if one.prevalence is not None:
        null = f"the hypothesis that at most {one.prevalence.gamma0:g} of the population has it"
        maps += [
            make(
                "prevalence",
                np.nan_to_num(one.prevalence.gamma),
                "Largest part of the population that is rejected as having the effect at most, at "
                f"0.05 corrected over voxels (0: none): {what}",
            ),
            make("pprevalence", one.prevalence.p_fwe, f"p of {null}, corrected: {what}"),
        ]
    return maps
