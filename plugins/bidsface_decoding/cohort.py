"""The group level: collect participants' scores, test them, and put the findings into results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from bidsface.analysis import Figure, Matrix, ParticipantResults, Results, Table
from bidsface.entities import shared
from bidsface_decoding import group, group_report, text
from bidsface_decoding.family import Family
from bidsface_decoding.options import DecodingOptions

Named = TypeVar("Named", Table, Matrix, Figure)


def decode_group(
    participants: Sequence[ParticipantResults],
    options: DecodingOptions,
    seed: Callable[[str], np.random.SeedSequence],
) -> Results:
    """Average scores over participants and test them against chance.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : DecodingOptions
    seed : callable
        Random stream of a task.
    """
    scores = group.collect(participants, "scores")
    if scores.empty:
        return Results(warnings=["no participant has scores of this analysis"])
    predictions = group.collect(participants, "predictions")
    tasks = list(dict.fromkeys(scores["train_task"]))
    families = group.find_families(
        scores,
        group.collect_permutations(participants),
        options.metric,
        options.group_draws,
        {task: seed(task) for task in tasks},
    )
    parts = [
        with_entities(
            _group_task(
                task, [one for one in families if one.task == task], scores, predictions, options
            ),
            shared_entities(participants, task),
        )
        for task in tasks
    ]
    methods = text.group_methods(options.permutations > 0, options.group_draws)
    return Results(
        tables=[table for part in parts for table in part.tables],
        matrices=[matrix for part in parts for matrix in part.matrices],
        figures=[figure for part in parts for figure in part.figures],
        summaries=[summary for part in parts for summary in part.summaries],
        highlights=[line for part in parts for line in part.highlights],
        warnings=[line for part in parts for line in part.warnings],
        methods=methods,
        citations=text.citations_of(methods),
    )


def shared_entities(
    participants: Sequence[ParticipantResults], task: str | None = None
) -> dict[str, str]:
    """Return the entities that the scores (of a task) have in common over participants."""
    found = [
        table.entities
        for participant in participants
        for table in participant.tables
        if table.suffix == "scores" and task in (None, table.entities.get("task"))
    ]
    return shared(found, ("sub", "desc"))


def with_entities(results: Results, entities: Mapping[str, str]) -> Results:
    """Return results whose items carry further entities in their names."""
    return replace(
        results,
        tables=[_with(item, entities) for item in results.tables],
        matrices=[_with(item, entities) for item in results.matrices],
        figures=[_with(item, entities) for item in results.figures],
    )


def _with(item: Named, entities: Mapping[str, str]) -> Named:
    return replace(item, entities={**entities, **item.entities})


def _group_task(
    task: str,
    families: Sequence[Family],
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    options: DecodingOptions,
) -> Results:
    table = group.group_table(task, families, scores, options.metric)
    matrices: list[Matrix] = []
    figures = list(group_report.group_figures(task, families, table.frame, options))
    for family in families:
        confusions = group.mean_confusions(predictions, family)
        matrices.extend(
            group.confusion_matrix(family, region, frame) for region, frame in confusions.items()
        )
        if not family.is_control:
            figures.append(group_report.group_confusion_figure(family, confusions))
    return Results(
        tables=[table],
        matrices=matrices,
        figures=figures,
        summaries=[group_report.group_summary(task, families, table.frame, options)],
        highlights=list(group_report.group_highlights(families, table.frame, options)),
        warnings=_warnings(task, families),
    )


def _warnings(task: str, families: Sequence[Family]) -> list[str]:
    """Tell of tests that could not be made."""
    if all(len(family.scores) < 2 for family in families):
        return [f"task {task}: one participant only, so there is no inference"]
    return [
        f"task {task}, {family.samples}, {family.estimator}: the Wilcoxon test leaves out "
        f"{', '.join(f'sub-{label}' for label in family.without_chance)}: some folds lack a class, "
        "and without permutations the chance level is not known there"
        for family in families
        if family.without_chance and not family.is_control
    ]
