"""The participant level of the cross-modal analysis: choose, decode, put into results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bidsface.analysis import Map, Participant, Region, Results
from bidsface.errors import InputError, RecipeError
from bidsface_decoding import crossmodal_report, crossmodal_tables, crossmodal_text
from bidsface_decoding.crossmodal_decoding import Seed, decode_crossmodal
from bidsface_decoding.crossmodal_options import REALIGNED, CrossmodalOptions
from bidsface_decoding.crossmodal_outcomes import CrossDecoding, TaskRegion
from bidsface_decoding.crossmodal_plan import CrossPlan, plan_crossmodal
from bidsface_decoding.maps import weight_maps
from bidsface_decoding.options import refuse_control_name


def decode_participant_crossmodal(
    participant: Participant,
    estimators: Mapping[str, Any],
    aligners: Mapping[str, Any],
    options: CrossmodalOptions,
    seed: Seed,
) -> Results:
    """Decode a participant's tasks within and across one another.

    Parameters
    ----------
    participant : Participant
    estimators, aligners : mapping of str to unfitted estimator
    options : CrossmodalOptions
    seed : callable
        Random stream of the participant by further names.

    Raises
    ------
    RecipeError
        If a region is called like the head-motion control or like a pair of regions, or if a pair
        lacks a task.
    InputError
        If the participant lacks a task or all of the regions.
    """
    tasks = _tasks(participant, options)
    regions, notes = _regions(participant, tasks, options)
    names = options.samples or tuple(participant.sample_names)
    kinds = {task: [participant.samples(name, task) for name in names] for task in tasks}
    aligned = REALIGNED in options.conditions
    plan = plan_crossmodal(kinds, options.permutations, seed("permutations"), aligned)
    if not plan.problems:
        return Results(warnings=[*notes, *plan.warnings])
    found = decode_crossmodal(plan, regions, estimators, aligners, options, participant.map, seed)
    if options.motion_control:
        found = replace(
            found, displacement={task: participant.mean_displacement(task) for task in tasks}
        )
    maps, said = _maps(participant, plan, estimators, options)
    return _results(participant, found, maps, [*notes, *found.warnings, *said], options)


def _tasks(participant: Participant, options: CrossmodalOptions) -> tuple[str, ...]:
    present = tuple(participant.tasks)
    tasks = options.tasks or present
    missing = [task for task in tasks if task not in present]
    if missing or len(tasks) < 2:
        wanted = f"the tasks {', '.join(tasks)}" if options.tasks else "two tasks at least"
        raise InputError(
            f"sub-{participant.label}: decoding across tasks needs usable runs of {wanted}, found "
            f"{', '.join(present) or 'none'}"
        )
    return tasks


def _regions(
    participant: Participant, tasks: Sequence[str], options: CrossmodalOptions
) -> tuple[list[TaskRegion], list[str]]:
    """Return the regions and pairs of regions, and notes on pairs that cannot be made."""
    chosen = list(participant.select_regions(options.regions))
    refuse_control_name(chosen)
    regions = [TaskRegion.same(region, tasks) for region in chosen]
    notes = []
    for name, pair in options.region_pairs.items():
        lacking = [task for task in tasks if task not in pair]
        if lacking:
            raise RecipeError(f"region_pairs.{name}: no region for task {lacking[0]}")
        if name in participant.regions:
            raise RecipeError(f"region_pairs.{name}: a region has that name, too")
        absent = [pair[task] for task in tasks if pair[task] not in participant.regions]
        if absent:
            notes.append(f"region pair {name} left out: there is no region {absent[0]}")
            continue
        columns = {task: participant.regions[pair[task]].columns for task in tasks}
        regions.append(TaskRegion(name, columns, shared=False))
    if not regions:
        raise InputError(f"sub-{participant.label}: none of the wanted regions was found")
    return regions, notes


def _maps(
    participant: Participant,
    plan: CrossPlan,
    estimators: Mapping[str, Any],
    options: CrossmodalOptions,
) -> tuple[list[Map], list[str]]:
    """Return weight maps and patterns of every task, and what there is to say about them."""
    if not options.maps:
        return [], []
    chosen = list(participant.select_regions(options.map_regions))
    if not options.map_regions:
        chosen = _largest(participant.select_regions(options.regions))
    maps: list[Map] = []
    notes: list[str] = []
    for problem in plan.problems.values():
        for task, samples in problem.samples.items():
            made, said = weight_maps(
                participant, task, samples, chosen, estimators, samples.entities
            )
            maps.extend(made)
            notes.extend(said)
    return maps, list(dict.fromkeys(notes))


def _largest(regions: Sequence[Region]) -> list[Region]:
    return [max(regions, key=lambda region: len(region.columns))] if regions else []


def _results(
    participant: Participant,
    found: CrossDecoding,
    maps: Sequence[Map],
    warnings: Sequence[str],
    options: CrossmodalOptions,
) -> Results:
    methods = crossmodal_text.participant_methods(options)
    permutations = crossmodal_tables.permutation_table(found)
    return Results(
        maps=maps,
        tables=[
            crossmodal_tables.score_table(found, options.metric),
            crossmodal_tables.prediction_table(found),
            *([] if permutations is None else [permutations]),
        ],
        matrices=crossmodal_tables.confusion_matrices(found),
        figures=[
            *crossmodal_report.score_figures(found, options),
            *crossmodal_report.map_figures(participant, found, maps),
        ],
        summaries=list(crossmodal_report.summaries(found, options)),
        methods=methods,
        citations=crossmodal_text.citations_of(methods),
        highlights=list(crossmodal_report.highlights(found, options)),
        warnings=list(dict.fromkeys(warnings)),
    )
