"""Decoding within one task of one participant: every kind of samples, region and classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from bidsface.analysis import Entities, Region
from bidsface.numerics.permutations import Relabellings
from bidsface.statistics import fdr, max_statistic_p, permutation_p
from bidsface_decoding.crossvalidation import predict
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.options import MOTION, DecodingOptions
from bidsface_decoding.plan import Problem, TaskPlan
from bidsface_decoding.scoring import METRICS, Scores, score


@dataclass(frozen=True, eq=False)
class Outcome:
    """Scores of one classifier in one region, and their p-values."""

    samples: str
    estimator: str
    roi_name: str
    scores: Scores
    p: float = float("nan")
    p_fdr: float = float("nan")
    p_fwe: float = float("nan")

    @property
    def chance(self) -> float:
        """Chance level of the mean score; NaN where it is not known."""
        return self.scores.chance.mean

    @property
    def test_name(self) -> str:
        """Column of the table of permutations."""
        return f"{self.samples}_{self.estimator}_{self.roi_name}"


Tested = TypeVar("Tested", bound=Outcome)


@dataclass(frozen=True, eq=False)
class TaskDecoding:
    """Everything that was found in one task.

    Attributes
    ----------
    task, classes, problems, relabellings, warnings
        See `bidsface_decoding.plan.TaskPlan`.
    outcomes : sequence of Outcome
        By kind of samples and classifier; the motion parameters come last.
    """

    task: str
    classes: tuple[str, ...]
    problems: Mapping[str, Problem]
    outcomes: Sequence[Outcome]
    relabellings: Relabellings
    warnings: Sequence[str] = field(default=())

    @property
    def entities(self) -> Entities:
        """Entities that all kinds of samples have in common."""
        shared = [set(problem.samples.entities.items()) for problem in self.problems.values()]
        first = next(iter(self.problems.values())).samples.entities
        common = set.intersection(*shared)
        return {key: value for key, value in first.items() if (key, value) in common}


def decode_task(
    plan: TaskPlan,
    regions: Sequence[Region],
    estimators: Mapping[str, Any],
    options: DecodingOptions,
    mapper: Callable[[Callable[[Any], Any], Sequence[Any]], Sequence[Any]],
) -> TaskDecoding:
    """Decode the classes of a task.

    Parameters
    ----------
    plan : TaskPlan
    regions : sequence of Region
    estimators : mapping of str to unfitted classifier
    options : DecodingOptions
    mapper : callable
        ``participant.map``.

    Raises
    ------
    ValueError
        If the plan says that the task cannot be decoded.
    """
    if plan.relabellings is None:
        raise ValueError("; ".join(plan.warnings))
    problems, n_classes = list(plan.problems.values()), len(plan.classes)
    jobs = [(problem, region) for problem in problems for region in regions]

    def decode(job: tuple[Problem, Region]) -> dict[str, Outcome]:
        return _decode_region(*job, estimators, n_classes, options)

    found = dict(zip([(p.name, r.name) for p, r in jobs], mapper(decode, jobs), strict=True))
    outcomes = [
        outcome
        for problem in problems
        for name in estimators
        for outcome in add_p_values([found[problem.name, region.name][name] for region in regions])
    ]
    notes: list[str] = []
    if options.motion_control:
        motion, notes = _decode_motion(plan.task, problems, n_classes, options)
        outcomes.extend(motion)
    few = _permutation_warnings(plan.task, plan.relabellings, options)
    warnings = [*plan.warnings, *notes, *few]
    return TaskDecoding(
        plan.task, plan.classes, plan.problems, outcomes, plan.relabellings, warnings
    )


def _permutation_warnings(task: str, permuted: Relabellings, options: DecodingOptions) -> list[str]:
    if not options.permutations or not permuted.exhaustive:
        return []
    return [
        f"task {task}: events can be relabelled within runs in {len(permuted.codes) + 1} ways "
        f"only, which were all used; the smallest p that can be reached is "
        f"{permuted.smallest_p:.3g}"
    ]


def _decode_region(
    problem: Problem,
    region: Region,
    estimators: Mapping[str, Any],
    n_classes: int,
    options: DecodingOptions,
) -> dict[str, Outcome]:
    """Return the outcome of every classifier in a region."""
    predictions = predict(
        problem.samples.X, region.columns, problem.folds, problem.codes, n_classes, estimators
    )
    metric = METRICS[options.metric]
    return {
        name: Outcome(
            problem.name,
            name,
            region.name,
            score(problem.folds, problem.codes, predicted, n_classes, metric),
        )
        for name, predicted in predictions.items()
    }


def add_p_values(outcomes: Sequence[Tested]) -> list[Tested]:
    """Add p-values to the outcomes of one classifier, corrected over its regions."""
    null = np.stack([outcome.scores.null for outcome in outcomes], axis=1)
    if not len(null):
        return list(outcomes)
    observed = [outcome.scores.mean for outcome in outcomes]
    p = permutation_p(observed, null)
    corrected = zip(outcomes, p, fdr(p), max_statistic_p(observed, null), strict=True)
    return [
        replace(outcome, p=float(p), p_fdr=float(p_fdr), p_fwe=float(p_fwe))
        for outcome, p, p_fdr, p_fwe in corrected
    ]


def _decode_motion(
    task: str, problems: Sequence[Problem], n_classes: int, options: DecodingOptions
) -> tuple[list[Outcome], list[str]]:
    """Decode from the motion parameters alone, with the same folds and permutations."""
    outcomes: list[Outcome] = []
    notes = []
    for problem in problems:
        motion = problem.samples.motion
        if not motion.shape[1]:
            notes.append(
                f"task {task}, samples {problem.name}: no head-motion parameters, so that the "
                "accuracy from motion alone is unknown"
            )
            continue
        columns = np.arange(motion.shape[1])
        samples = replace(problem.samples, X=motion.astype(np.float32))
        moved = replace(problem, samples=samples)
        region = Region(MOTION, columns, "head-motion parameters")
        outcome = _decode_region(moved, region, {"ridge": Ridge()}, n_classes, options)["ridge"]
        outcomes.extend(
            replace(tested, p_fdr=np.nan, p_fwe=np.nan) for tested in add_p_values([outcome])
        )
    return outcomes, notes
