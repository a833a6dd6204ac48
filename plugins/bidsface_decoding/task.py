"""Decoding within one task of one participant: every kind of samples, region and classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, Participant, Region, Samples
from bidsface.numerics.linear import Codes
from bidsface.numerics.permutations import Relabellings, relabel
from bidsface.statistics import fdr, max_statistic_p, permutation_p
from bidsface_decoding.crossvalidation import SPLITTERS, Fold, predict, trainable
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.options import MOTION, DecodingOptions
from bidsface_decoding.scoring import METRICS, Scores, score, tests_all_classes


@dataclass(frozen=True, eq=False)
class Problem:
    """One kind of samples of a task, ready to be decoded.

    Attributes
    ----------
    samples : Samples
    codes : ndarray of int, shape (1 + n_permutations, n_samples)
        Classes of the samples; the first row is the observed labelling.
    folds : tuple of Fold
    """

    samples: Samples
    codes: Codes
    folds: tuple[Fold, ...]

    @property
    def name(self) -> str:
        """Name of the kind of samples."""
        return self.samples.name


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


@dataclass(frozen=True, eq=False)
class TaskPlan:
    """What is to be decoded in one task.

    Attributes
    ----------
    task : str
    classes : tuple of str
        Names of the classes by code.
    problems : mapping of str to Problem
        By kind of samples; none when the task cannot be decoded.
    relabellings : Relabellings or None
        None when the task cannot be decoded.
    warnings : sequence of str
        Say, among others, why something cannot be decoded.
    """

    task: str
    classes: tuple[str, ...]
    problems: Mapping[str, Problem]
    relabellings: Relabellings | None
    warnings: Sequence[str]


@dataclass(frozen=True, eq=False)
class TaskDecoding:
    """Everything that was found in one task.

    Attributes
    ----------
    task, classes, problems, relabellings, warnings
        See `TaskPlan`.
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


def event_table(kinds: Sequence[Samples]) -> pd.DataFrame:
    """Return one row per event of any kind of samples: event, block, trial_type."""
    columns = ["event", "block", "trial_type"]
    tables = pd.concat([samples.table[columns] for samples in kinds], ignore_index=True)
    return tables.drop_duplicates("event").sort_values("event", ignore_index=True)


def plan_task(
    task: str, kinds: Sequence[Samples], options: DecodingOptions, seed: np.random.SeedSequence
) -> TaskPlan:
    """Make the folds and permutations of a task.

    Parameters
    ----------
    task : str
    kinds : sequence of Samples
        All kinds of samples of the task; they share event numbers and so their permutations.
    options : DecodingOptions
    seed : SeedSequence
    """
    events = event_table(kinds)
    names, codes = np.unique(events["trial_type"].to_numpy(str), return_inverse=True)
    classes = tuple(str(name) for name in names)
    if len(classes) < 2:
        text = f"task {task} has one class only ({', '.join(classes)}) and was not decoded"
        return TaskPlan(task, classes, {}, None, [text])
    codes = codes.astype(np.int16)
    permuted = relabel(codes, events["block"].to_numpy(str), options.permutations, seed)
    labellings = np.vstack([codes[None], permuted.codes])
    problems, warnings = _problems(task, kinds, events, labellings, names, options)
    found = {problem.name: problem for problem in problems}
    return TaskPlan(task, classes, found, permuted if found else None, warnings)


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
        for outcome in _family([found[problem.name, region.name][name] for region in regions])
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


def _problems(
    task: str,
    kinds: Sequence[Samples],
    events: pd.DataFrame,
    labellings: Codes,
    names: NDArray[np.str_],
    options: DecodingOptions,
) -> tuple[list[Problem], list[str]]:
    """Split every kind of samples; kinds that cannot be split or trained are told of."""
    problems, warnings = [], []
    positions = pd.Series(events.index, index=events["event"])
    for samples in kinds:
        codes = labellings[:, positions[samples.table["event"]].to_numpy()]
        every = SPLITTERS[options.cross_validation](samples.table, options.n_splits)
        folds = trainable(every, codes[0])
        where = f"task {task}, samples {samples.name}"
        if len(every) < 2 or not folds:
            wanted = "sessions" if options.cross_validation == "leave-one-session-out" else "runs"
            found = ", ".join(fold.name for fold in every) or "none"
            warnings.append(
                f"{where}: {options.cross_validation} needs two {wanted} at least with two "
                f"classes to train on, found {found}; not decoded"
            )
            continue
        warnings.extend(_class_warnings(where, every, folds, codes[0], names, len(codes) > 1))
        problems.append(Problem(samples, codes, folds))
    return problems, warnings


def _class_warnings(
    where: str,
    every: Sequence[Fold],
    folds: Sequence[Fold],
    codes: Codes,
    names: NDArray[np.str_],
    permuted: bool,
) -> list[str]:
    """Tell of folds that had to be left out and of classes that are missing from others."""
    kept = {fold.name for fold in folds}
    notes = [
        f"{where}: fold {fold.name} has one class only to train on and was left out"
        for fold in every
        if fold.name not in kept
    ]
    for fold in folds:
        for part, members in (("training", fold.train), ("test", fold.test)):
            missing = np.setdiff1d(np.unique(codes), codes[members])
            if len(missing):
                notes.append(
                    f"{where}: the {part} part of fold {fold.name} has no "
                    f"{', '.join(names[missing])}; its score is over the classes that it has"
                )
    if not tests_all_classes(folds, codes):
        level = "the permutations' mean score" if permuted else "not known without permutations"
        notes.append(f"{where}: as folds lack classes, the chance level is {level}")
    return notes


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


def _family(outcomes: Sequence[Outcome]) -> list[Outcome]:
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
            replace(tested, p_fdr=np.nan, p_fwe=np.nan) for tested in _family([outcome])
        )
    return outcomes, notes


def task_samples(participant: Participant, task: str, options: DecodingOptions) -> list[Samples]:
    """Return the kinds of samples to decode, in the recipe's order."""
    names = options.samples or tuple(participant.sample_names)
    return [participant.samples(name, task) for name in names]
