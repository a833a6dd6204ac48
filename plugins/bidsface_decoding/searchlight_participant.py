"""The searchlight of one participant: plan, maps, results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bidsface.analysis import Map, Participant, Region, Results, usable_tasks
from bidsface.backgrounds import mean_map
from bidsface.errors import InputError
from bidsface.numerics.sphere_data import SphereClassifier
from bidsface_decoding import searchlight_report, searchlight_text
from bidsface_decoding.crossmodal_plan import CrossPlan, plan_crossmodal
from bidsface_decoding.scoring import METRICS
from bidsface_decoding.searchlight import SearchlightOptions
from bidsface_decoding.searchlight_maps import (
    Direction,
    DirectionMaps,
    ParticipantMaps,
    find_directions,
    find_maps,
)


@dataclass(frozen=True, eq=False)
class Found:
    """Everything that was found in one participant.

    Attributes
    ----------
    region : Region
    plan : CrossPlan
    maps : ParticipantMaps or None
        None where nothing can be decoded.
    warnings : sequence of str
    """

    region: Region
    plan: CrossPlan
    maps: ParticipantMaps | None
    warnings: Sequence[str]


def searchlight_participant(
    participant: Participant,
    classifier: SphereClassifier,
    options: SearchlightOptions,
    seed: np.random.SeedSequence,
    device: str,
) -> Results:
    """Map within and across the tasks of a participant.

    Parameters
    ----------
    participant : Participant
    classifier : SphereClassifier
    options : SearchlightOptions
    seed : SeedSequence
        Of the permutations.
    device : str

    Raises
    ------
    InputError
        If the participant lacks the region or all tasks.
    """
    found = map_participant(participant, classifier, options, seed, device)
    if found.maps is None:
        return Results(warnings=list(dict.fromkeys(found.warnings)))
    return _results(participant, found, found.maps, options)


def map_participant(
    participant: Participant,
    classifier: SphereClassifier,
    options: SearchlightOptions,
    seed: np.random.SeedSequence,
    device: str = "cpu",
) -> Found:
    """Return the maps of a participant and their tests; see `searchlight_participant`."""
    region = find_region(participant, options)
    named = dict.fromkeys(task for pair in options.directions for task in pair)
    tasks, notes = usable_tasks(participant, named or options.tasks, "decoded")
    name = options.samples or participant.sample_names[0]
    kinds = {task: [participant.samples(name, task)] for task in tasks}
    plan = plan_crossmodal(kinds, options.permutations, seed, aligned=False)
    notes.extend([*plan.warnings, *_exhausted(plan, options)])
    if not plan.problems:
        return Found(region, plan, None, notes)
    directions = find_directions(options, tasks)
    maps = find_maps(
        participant,
        plan.problems[name],
        region,
        directions,
        len(plan.classes),
        classifier,
        options,
        device,
        plan.entities,
    )
    notes.extend(_missing(directions, maps.maps))
    return Found(region, plan, maps, notes)


def find_region(participant: Participant, options: SearchlightOptions) -> Region:
    """Return the wanted region, or the largest one; raises InputError where there is none."""
    wanted = [] if options.region is None else [options.region]
    regions = list(participant.select_regions(wanted))
    if not regions:
        raise InputError(f"sub-{participant.label}: the region of the searchlight was not found")
    return max(regions, key=lambda region: len(region.columns))


def _missing(directions: Sequence[Direction], maps: Sequence[DirectionMaps]) -> list[str]:
    found = [one.direction for one in maps]
    return [
        f"{one.title}: no run can be left out, so that there is no map"
        for one in directions
        if one not in found
    ]


def _results(
    participant: Participant, everything: Found, found: ParticipantMaps, options: SearchlightOptions
) -> Results:
    methods = searchlight_text.participant_methods(options, everything.region.name)
    maps = [item for one in found.maps for item in maps_of(one, found, options)]
    return Results(
        maps=[mean_map(participant, found.entities), size_map(found), *maps],
        tables=[searchlight_report.score_table(found, options)],
        figures=list(searchlight_report.participant_figures(participant, found, options)),
        summaries=[searchlight_report.peak_summary(one, found, options) for one in found.maps],
        methods=methods,
        citations=searchlight_text.citations_of(methods),
        highlights=list(searchlight_report.participant_highlights(found, options)),
        warnings=list(dict.fromkeys(everything.warnings)),
    )


def _exhausted(plan: CrossPlan, options: SearchlightOptions) -> list[str]:
    """Tell where there are no more labellings than were asked for."""
    permuted = plan.relabellings
    if permuted is None or not permuted.exhaustive or not options.permutations:
        return []
    return [
        f"events can be relabelled within runs in {len(permuted.codes) + 1} ways only, which were "
        f"all used; the smallest p that can be reached is {permuted.smallest_p:.3g}"
    ]


def size_map(found: ParticipantMaps) -> Map:
    """Return the number of voxels of every sphere: positive wherever there is a centre."""
    text = "Number of voxels in the sphere around every centre"
    return Map("size", found.sizes.astype(np.float32), found.voxels, found.entities, text)


def maps_of(one: DirectionMaps, found: ParticipantMaps, options: SearchlightOptions) -> list[Map]:
    """Return the maps of a direction: score, p, corrected p, and the permuted scores."""
    entities = {**one.entities, "contrast": one.direction.contrast}
    label = METRICS[options.metric].description
    what = f"{label} of decoding {one.direction.title} in spheres of {options.radius:g} mm"

    def make(stat: str, values: np.ndarray, text: str, volumes: Sequence[str] = ()) -> Map:
        return Map(stat, values, found.voxels, entities, text, volumes)

    maps = [make("accuracy", one.scores[0], f"Cross-validated {what}")]
    if one.test is not None:
        permuted = one.scores[1:]
        names = [f"perm{number}" for number in range(1, len(permuted) + 1)]
        maps += [
            make("p", one.test.p, f"One-tailed permutation p of the {what}"),
            make("pfwe", one.test.p_fwe, f"p of the {what}, corrected over voxels by the maximum"),
            make("permuted", permuted.T, f"Permutations of the events' labels: {what}", names),
        ]
    return maps
