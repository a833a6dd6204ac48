"""The participant level: decode every task, and put what was found into results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bidsface.analysis import Figure, Map, Participant, Region, Results, usable_tasks
from bidsface.errors import InputError
from bidsface_decoding import report, tables, text
from bidsface_decoding.maps import weight_maps
from bidsface_decoding.options import DecodingOptions, refuse_control_name
from bidsface_decoding.plan import plan_task, task_samples
from bidsface_decoding.task import TaskDecoding, decode_task


def decode_participant(
    participant: Participant,
    estimators: Mapping[str, Any],
    options: DecodingOptions,
    seed: Callable[[str], np.random.SeedSequence],
) -> Results:
    """Decode every task of a participant.

    Parameters
    ----------
    participant : Participant
    estimators : mapping of str to estimator
        Unfitted classifiers by name.
    options : DecodingOptions
    seed : callable
        Random stream of a task.

    Raises
    ------
    RecipeError
        If a region is called like the head-motion control.
    InputError
        If the participant has none of the tasks or regions.
    """
    regions = _regions(participant, options)
    found: list[TaskDecoding] = []
    tasks, warnings = usable_tasks(participant, options.tasks, "decoded")
    for task in tasks:
        kinds = task_samples(participant, task, options)
        plan = plan_task(task, kinds, options, seed(task))
        if plan.problems:
            found.append(decode_task(plan, regions, estimators, options, participant.map))
        warnings.extend(found[-1].warnings if plan.problems else plan.warnings)
    maps, notes = _maps(participant, found, regions, estimators, options)
    return _results(participant, found, maps, [*warnings, *notes], options)


def _regions(participant: Participant, options: DecodingOptions) -> list[Region]:
    regions = list(participant.select_regions(options.regions))
    if not regions:
        raise InputError(f"sub-{participant.label}: none of the wanted regions was found")
    refuse_control_name(regions)
    return regions


def _maps(
    participant: Participant,
    found: Sequence[TaskDecoding],
    regions: Sequence[Region],
    estimators: Mapping[str, Any],
    options: DecodingOptions,
) -> tuple[list[Map], list[str]]:
    """Return weight maps and patterns, and what there is to say about them."""
    if not options.maps:
        return [], []
    chosen = list(participant.select_regions(options.map_regions))
    if not options.map_regions:
        chosen = [max(regions, key=lambda region: len(region.columns))]
    maps: list[Map] = []
    notes: list[str] = []
    for task in found:
        for problem in task.problems.values():
            made, said = weight_maps(
                participant, task.task, problem.samples, chosen, estimators, task.entities
            )
            maps.extend(made)
            notes.extend(said)
    return maps, list(dict.fromkeys(notes))


def _results(
    participant: Participant,
    found: Sequence[TaskDecoding],
    maps: Sequence[Map],
    warnings: Sequence[str],
    options: DecodingOptions,
) -> Results:
    methods = text.participant_methods(options)
    written = []
    figures: list[Figure] = []
    for task in found:
        written.extend([tables.score_table(task, options.metric), tables.prediction_table(task)])
        permutations = tables.permutation_table(task)
        written.extend([] if permutations is None else [permutations])
        figures.extend(report.score_figures(task, options))
        own = [item for item in maps if item.entities.get("task") == task.task]
        figures.extend(report.pattern_figures(participant, task.task, task.outcomes, own))
    return Results(
        maps=maps,
        tables=written,
        matrices=[matrix for task in found for matrix in tables.confusion_matrices(task)],
        figures=figures,
        summaries=[report.score_summary(task, options) for task in found],
        methods=methods if found else "",
        citations=text.citations_of(methods) if found else {},
        highlights=[line for task in found for line in report.highlights(task, options)],
        warnings=list(dict.fromkeys(warnings)),
    )
