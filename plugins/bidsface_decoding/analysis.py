"""The analysis ``decoding``: which class an event had, from the brain's response to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Figure,
    Map,
    Matrix,
    Participant,
    ParticipantResults,
    Region,
    Results,
)
from bidsface.errors import InputError, RecipeError
from bidsface_decoding import group, group_report, report, tables, text
from bidsface_decoding.estimators import ESTIMATORS
from bidsface_decoding.maps import weight_maps
from bidsface_decoding.options import MOTION, DecodingOptions, build_estimators
from bidsface_decoding.task import TaskDecoding, decode_task, task_samples


class Decoding(Analysis):
    """Cross-validated classification within tasks, tested by permutation."""

    name: ClassVar[str] = "decoding"
    Options: ClassVar[type[AnalysisOptions]] = DecodingOptions

    def check(self, options: DecodingOptions) -> dict[str, Any]:
        """Return the unfitted classifiers that the options name.

        Raises
        ------
        RecipeError
            If a classifier or an option of it does not exist, or its value is refused.
        """
        return build_estimators(options, {**ESTIMATORS, **self.estimators})

    def participant(self, participant: Participant, options: DecodingOptions) -> Results:
        """Decode every task of a participant.

        Raises
        ------
        RecipeError
            If the options name a classifier, kind of samples or region that does not exist.
        InputError
            If the participant has none of the tasks.
        """
        estimators = self.check(options)
        _check_samples(participant, options)
        regions = list(participant.select_regions(options.regions))
        if not regions:
            raise InputError(f"sub-{participant.label}: none of the wanted regions was found")
        if options.motion_control and MOTION in (region.name for region in regions):
            raise RecipeError(
                f"a region is called {MOTION!r}, the name of the head-motion control; rename the "
                "region or set motion_control to false"
            )
        found: list[TaskDecoding] = []
        tasks, warnings = _tasks(participant, options)
        for task in tasks:
            kinds = task_samples(participant, task, options)
            seed = self.seed(participant.label, task)
            result = decode_task(task, kinds, regions, estimators, options, seed, participant.map)
            if isinstance(result, str):
                warnings.append(result)
            else:
                found.append(result)
                warnings.extend(result.warnings)
        maps, notes = self._maps(participant, found, regions, estimators, options)
        return _participant_results(participant, found, maps, [*warnings, *notes], options)

    def _maps(
        self,
        participant: Participant,
        found: Sequence[TaskDecoding],
        regions: Sequence[Region],
        estimators: dict[str, Any],
        options: DecodingOptions,
    ) -> tuple[list[Map], list[str]]:
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

    def group(
        self, participants: Sequence[ParticipantResults], options: DecodingOptions
    ) -> Results:
        """Average scores over participants and test them against chance."""
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
            {task: self.seed("group", task) for task in tasks},
        )
        parts = [
            _group_task(
                task, [one for one in families if one.task == task], scores, predictions, options
            )
            for task in tasks
        ]
        methods = text.group_methods(options)
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


def _check_samples(participant: Participant, options: DecodingOptions) -> None:
    unknown = [name for name in options.samples if name not in participant.sample_names]
    if unknown:
        raise RecipeError(
            f"unknown kind of samples {unknown[0]!r}; the recipe has "
            f"{', '.join(participant.sample_names)}"
        )


def _tasks(participant: Participant, options: DecodingOptions) -> tuple[list[str], list[str]]:
    """Return the tasks to decode, and warnings about those that the participant lacks."""
    wanted = options.tasks or tuple(participant.tasks)
    present = [task for task in wanted if task in participant.tasks]
    if not present:
        raise InputError(
            f"sub-{participant.label}: none of the tasks {', '.join(wanted) or '(any)'} has usable "
            f"runs, found {', '.join(participant.tasks) or 'none'}"
        )
    missing = [task for task in wanted if task not in present]
    return present, [f"task {task} has no usable runs and was not decoded" for task in missing]


def _participant_results(
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
        figures.extend(report.pattern_figures(participant, task, own))
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


def _group_task(
    task: str,
    families: Sequence[group.Family],
    scores: Any,
    predictions: Any,
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
        if not group_report.is_control(family):
            figures.append(group_report.group_confusion_figure(family, confusions))
    alone = all(len(family.scores) < 2 for family in families)
    return Results(
        tables=[table],
        matrices=matrices,
        figures=figures,
        summaries=[group_report.group_summary(task, families, table.frame, options)],
        highlights=list(group_report.group_highlights(families, table.frame, options)),
        warnings=[f"task {task}: one participant only, so there is no inference"] if alone else [],
    )
