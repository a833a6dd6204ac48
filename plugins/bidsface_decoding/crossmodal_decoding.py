"""Decoding within and across tasks of one participant: every samples, region and classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface_decoding.conditions import KEPT, REGRESSED, Condition, Setting
from bidsface_decoding.crossmodal_kernels import View
from bidsface_decoding.crossmodal_options import (
    CROSS,
    NO_ALIGNER,
    REALIGNED,
    WITHIN,
    CrossmodalOptions,
)
from bidsface_decoding.crossmodal_outcomes import CrossDecoding, CrossOutcome, TaskRegion
from bidsface_decoding.crossmodal_plan import CrossPlan, CrossProblem
from bidsface_decoding.crossmodal_prediction import Toolbox, predict_crossmodal
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.options import MOTION
from bidsface_decoding.scoring import METRICS, score
from bidsface_decoding.task import add_p_values

Seed = Callable[..., np.random.SeedSequence]
Mapper = Callable[[Callable[[Any], Any], Sequence[Any]], Sequence[Any]]


def all_conditions(tasks: Sequence[str], options: CrossmodalOptions) -> list[Condition]:
    """Return the conditions that options ask for: within, across, and realigned by each aligner."""
    pairs = list(permutations(tasks, 2))
    across = {
        CROSS: [Condition(train, test, NO_ALIGNER) for train, test in pairs],
        REALIGNED: [
            Condition(train, test, name)
            for name in dict.fromkeys(options.aligners)
            for train, test in pairs
        ],
        WITHIN: [Condition(task, task) for task in tasks],
    }
    wanted = (kind for kind in (WITHIN, CROSS, REALIGNED) if kind in options.conditions)
    return [condition for kind in wanted for condition in across[kind]]


def decode_crossmodal(
    plan: CrossPlan,
    regions: Sequence[TaskRegion],
    estimators: Mapping[str, Any],
    aligners: Mapping[str, Any],
    options: CrossmodalOptions,
    mapper: Mapper,
    seed: Seed,
) -> CrossDecoding:
    """Decode the classes within and across tasks.

    Parameters
    ----------
    plan : CrossPlan
        With one problem at least.
    regions : sequence of TaskRegion
    estimators, aligners : mapping of str to unfitted estimator
    options : CrossmodalOptions
    mapper : callable
        ``participant.map``.
    seed : callable
        Random stream by names.
    """
    tools = Toolbox(estimators, aligners, options.conditions, len(plan.classes), options.pairings)
    variants, notes = _variants(plan, options)
    jobs = [(problem, motion, region) for problem, motion in variants for region in regions]

    def decode(job: tuple[CrossProblem, str, TaskRegion]) -> list[CrossOutcome]:
        return _decode_region(*job, tools, options.metric, seed)

    every = [outcome for found in mapper(decode, jobs) for outcome in found]
    conditions = all_conditions(plan.tasks, options)
    outcomes = _ordered(every, variants, list(estimators), conditions)
    if options.motion_control:
        motion, said = _decode_motion(plan, options, seed)
        outcomes, notes = [*outcomes, *motion], [*notes, *said]
    return CrossDecoding(plan, outcomes, {}, [*plan.warnings, *notes, *_exhausted(plan, options)])


def _variants(
    plan: CrossPlan, options: CrossmodalOptions
) -> tuple[list[tuple[CrossProblem, str]], list[str]]:
    """Return problems with what becomes of head motion, and notes on what cannot be."""
    variants, notes = [], []
    for problem in plan.problems.values():
        variants.append((problem, KEPT))
        if not options.motion_regressed:
            continue
        lack = _why_not_regressed(problem)
        if lack:
            notes.append(f"samples {problem.name}: head motion was not regressed out, for {lack}")
        else:
            variants.append((problem, REGRESSED))
    return variants, notes


def _why_not_regressed(problem: CrossProblem) -> str | None:
    """Say what regressing head motion out of samples lacks, if anything."""
    for task, samples in problem.samples.items():
        n_parameters = samples.motion.shape[1]
        if not n_parameters:
            return f"task {task} has no head-motion parameters"
        fewest = min(
            (len(fold.parts[task].train) for fold in problem.folds if task in fold.parts), default=0
        )
        if fewest < n_parameters + 3:
            return (
                f"task {task} has only {fewest} training samples in some fold, too few for "
                f"{n_parameters} parameters"
            )
    return None


def _ordered(
    outcomes: Sequence[CrossOutcome],
    variants: Sequence[tuple[CrossProblem, str]],
    estimators: Sequence[str],
    conditions: Sequence[Condition],
) -> list[CrossOutcome]:
    """Return outcomes family by family, with p-values corrected over the family's regions."""
    families: dict[Setting, list[CrossOutcome]] = {
        Setting(condition, name, problem.name, motion): []
        for problem, motion in variants
        for name in estimators
        for condition in conditions
    }
    for outcome in outcomes:
        families[outcome.setting].append(outcome)
    return [one for members in families.values() if members for one in add_p_values(members)]


def _decode_region(
    problem: CrossProblem,
    motion: str,
    region: TaskRegion,
    tools: Toolbox,
    metric: str,
    seed: Seed,
) -> list[CrossOutcome]:
    """Return the outcome of every classifier and condition in a region."""
    views = {
        task: View(samples.X, region.columns[task], samples.motion if motion == REGRESSED else None)
        for task, samples in problem.samples.items()
    }
    predictions = predict_crossmodal(
        problem,
        views,
        region.shared,
        tools,
        lambda fold: seed("aligner", problem.name, motion, region.name, fold),
    )
    return list(_scored(problem, predictions, region.name, motion, tools.n_classes, metric))


def _scored(
    problem: CrossProblem,
    predictions: Mapping[tuple[str, Condition], tuple[NDArray[np.integer], ...]],
    region: str,
    motion: str,
    n_classes: int,
    metric: str,
) -> Iterator[CrossOutcome]:
    for (name, condition), predicted in predictions.items():
        tested = problem.direction(
            condition.train_task, condition.test_task, condition.is_realigned
        )
        scores = score(
            tested.folds,
            tested.codes,
            predicted,
            n_classes,
            METRICS[metric],
            problem.observed[condition.train_task],
        )
        yield CrossOutcome(problem.name, name, region, scores, condition=condition, motion=motion)


def _decode_motion(
    plan: CrossPlan, options: CrossmodalOptions, seed: Seed
) -> tuple[list[CrossOutcome], list[str]]:
    """Decode from the motion parameters alone, with the same folds and permutations."""
    # There is nothing to realign: motion goes over to the other task as it is.
    conditions = dict.fromkeys(CROSS if kind == REALIGNED else kind for kind in options.conditions)
    tools = Toolbox({"ridge": Ridge()}, {}, conditions, len(plan.classes))
    outcomes: list[CrossOutcome] = []
    notes = []
    for problem in plan.problems.values():
        parameters = {task: samples.motion for task, samples in problem.samples.items()}
        widths = {motion.shape[1] for motion in parameters.values()}
        if widths == {0} or len(widths) > 1:
            counts = ", ".join(f"{task} {one.shape[1]}" for task, one in parameters.items())
            notes.append(
                f"samples {problem.name}: no head-motion parameters that all tasks have "
                f"({counts}), so that the accuracy from motion alone is unknown"
            )
            continue
        moved = problem.replace_data(
            {task: motion.astype(np.float32) for task, motion in parameters.items()}
        )
        region = TaskRegion(MOTION, dict.fromkeys(plan.tasks, np.arange(widths.pop())))
        found = _decode_region(moved, KEPT, region, tools, options.metric, seed)
        outcomes.extend(
            replace(tested, p_fdr=np.nan, p_fwe=np.nan)
            for one in found
            for tested in add_p_values([one])
        )
    return outcomes, notes


def _exhausted(plan: CrossPlan, options: CrossmodalOptions) -> list[str]:
    if not options.permutations or plan.relabellings is None or not plan.relabellings.exhaustive:
        return []
    return [
        f"events of the tasks can be relabelled within runs in {len(plan.relabellings.codes) + 1} "
        "ways only, which were all used; the smallest p that can be reached across tasks is "
        f"{plan.relabellings.smallest_p:.3g}"
    ]
