"""What is to be decoded within and across the tasks of a participant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from bidsface.analysis import Entities, Samples
from bidsface.numerics.linear import Codes
from bidsface.numerics.permutations import Relabellings, relabel
from bidsface_decoding.crossmodal_alignment import alignable
from bidsface_decoding.crossmodal_folds import (
    RunFold,
    missing_parts,
    number_runs,
    run_folds,
    unmatched_runs,
)
from bidsface_decoding.crossvalidation import Fold
from bidsface_decoding.pairing import pair_by_class
from bidsface_decoding.plan import Problem, class_warnings, event_table


@dataclass(frozen=True, eq=False)
class CrossProblem:
    """One kind of samples of several tasks, ready to be decoded.

    Attributes
    ----------
    name : str
        Name of the kind of samples.
    samples : mapping of task to Samples
    codes : mapping of task to ndarray of int, shape (1 + n_permutations, n_samples)
        Classes of the samples; the first row is the observed labelling. Row b is the same
        relabelling of all tasks together.
    folds : tuple of RunFold
    """

    name: str
    samples: Mapping[str, Samples]
    codes: Mapping[str, Codes]
    folds: tuple[RunFold, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the order of the options."""
        return tuple(self.samples)

    @property
    def observed(self) -> dict[str, Codes]:
        """Observed classes of the samples of every task."""
        return {task: codes[0] for task, codes in self.codes.items()}

    def direction(self, train: str, test: str, realigned: bool = False) -> Problem:
        """Return what is decoded from one task to another: the folds that can be tested."""
        folds = [
            Fold(fold.name, fold.parts[train].train, fold.parts[test].test)
            for fold in self.folds
            if train in fold.parts
            and test in fold.parts
            and len(fold.parts[test].test)
            and (not realigned or alignable(fold.parts, train, test, self.observed))
        ]
        return Problem(self.samples[test], self.codes[test], tuple(folds))

    def replace_data(self, X: Mapping[str, np.ndarray]) -> CrossProblem:
        """Return the same problem with other data."""
        samples = {task: replace(one, X=X[task]) for task, one in self.samples.items()}
        return replace(self, samples=samples)


@dataclass(frozen=True, eq=False)
class CrossPlan:
    """What is to be decoded within and across tasks.

    Attributes
    ----------
    tasks : tuple of str
    classes : tuple of str
        Names of the classes, which all tasks have, by code.
    problems : mapping of str to CrossProblem
        By kind of samples; none when nothing can be decoded.
    relabellings : Relabellings or None
        Of the events of all tasks; None when nothing can be decoded.
    warnings : sequence of str
    """

    tasks: tuple[str, ...]
    classes: tuple[str, ...]
    problems: Mapping[str, CrossProblem]
    relabellings: Relabellings | None
    warnings: Sequence[str]

    @property
    def entities(self) -> Entities:
        """Entities that the samples of all tasks and kinds have in common."""
        every = [
            samples.entities
            for problem in self.problems.values()
            for samples in problem.samples.values()
        ]
        common = set.intersection(*(set(entities.items()) for entities in every))
        return {key: value for key, value in every[0].items() if (key, value) in common}


def plan_crossmodal(
    kinds: Mapping[str, Sequence[Samples]],
    permutations: int,
    seed: np.random.SeedSequence,
    aligned: bool = True,
) -> CrossPlan:
    """Make the folds and permutations of several tasks.

    Parameters
    ----------
    kinds : mapping of task to sequence of Samples
        The same kinds of samples for every task.
    permutations : int
    seed : SeedSequence
    aligned : bool
        Whether tasks will be realigned, so that samples without a partner are worth a warning.
    """
    tasks = tuple(kinds)
    classes, notes = _shared_classes(kinds)
    if len(classes) < 2:
        found = ", ".join(classes) or "none"
        text = f"the tasks {', '.join(tasks)} share too few classes ({found}); nothing was decoded"
        return CrossPlan(tasks, classes, {}, None, [*notes, text])
    kept = {task: [_only(samples, classes) for samples in own] for task, own in kinds.items()}
    numbers = number_runs({task: _runs(own) for task, own in kept.items()})
    labellings, relabellings = _labellings(kept, classes, permutations, seed)
    notes.extend(unmatched_runs(numbers))
    problems = {}
    for members in zip(*kept.values(), strict=True):
        samples = dict(zip(tasks, members, strict=True))
        codes = {
            task: labellings[task].loc[own.table["event"]].to_numpy().T
            for task, own in samples.items()
        }
        tables = {task: own.table for task, own in samples.items()}
        folds = run_folds(tables, {task: own[0] for task, own in codes.items()}, numbers)
        problem = CrossProblem(members[0].name, samples, codes, folds)
        notes.extend(_warnings(problem, classes, numbers))
        if aligned:
            notes.extend(_alignment_warnings(problem))
        if folds:
            problems[problem.name] = problem
    return CrossPlan(tasks, classes, problems, relabellings if problems else None, notes)


def _shared_classes(kinds: Mapping[str, Sequence[Samples]]) -> tuple[tuple[str, ...], list[str]]:
    """Return the classes that all tasks have, and notes on the others."""
    found = {task: set(event_table(own)["trial_type"].astype(str)) for task, own in kinds.items()}
    shared = set.intersection(*found.values())
    notes = [
        f"task {task}: {', '.join(sorted(own - shared))} left out, as not all tasks have it"
        for task, own in found.items()
        if own - shared
    ]
    return tuple(sorted(shared)), notes


def _only(samples: Samples, classes: Sequence[str]) -> Samples:
    """Return the samples of some classes; the same object where that is all of them."""
    wanted = samples.table["trial_type"].isin(classes).to_numpy()
    if wanted.all():
        return samples
    return replace(
        samples,
        X=samples.X[wanted],
        table=samples.table[wanted].reset_index(drop=True),
        motion=samples.motion[wanted],
        events=samples.events[wanted].reset_index(drop=True),
    )


def _runs(kinds: Sequence[Samples]) -> pd.DataFrame:
    """Return one row per run, in the order of the events: block, run_index."""
    columns = ["event", "block", "run_index"]
    tables = pd.concat([samples.table[columns] for samples in kinds], ignore_index=True)
    return tables.sort_values("event", kind="stable").drop_duplicates("block")


def _labellings(
    kinds: Mapping[str, Sequence[Samples]],
    classes: Sequence[str],
    permutations: int,
    seed: np.random.SeedSequence,
) -> tuple[dict[str, pd.DataFrame], Relabellings]:
    """Permute the labels of events within runs, of all tasks at once.

    Returns
    -------
    dict of task to DataFrame, Relabellings
        Classes of events (rows) by labelling (columns), the observed one first.
    """
    events = pd.concat({task: event_table(own) for task, own in kinds.items()}, names=["task"])
    tasks = events.index.get_level_values("task")
    codes = np.searchsorted(classes, events["trial_type"].to_numpy(str)).astype(np.int16)
    blocks = np.array(
        [f"{task} {block}" for task, block in zip(tasks, events["block"], strict=True)]
    )
    permuted = relabel(codes, blocks, permutations, seed)
    every = pd.DataFrame(np.vstack([codes[None], permuted.codes]).T, index=events["event"])
    return {task: every[tasks == task] for task in kinds}, permuted


def _warnings(
    problem: CrossProblem, classes: Sequence[str], numbers: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    names = np.array(classes)
    runs = list(dict.fromkeys(run for one in numbers.values() for run in one.values()))
    yield from missing_parts(problem.name, problem.folds, problem.tasks, runs)
    for task in problem.tasks:
        codes, folds = problem.codes[task], problem.direction(task, task).folds
        where = f"task {task}, samples {problem.name}"
        yield from class_warnings(where, folds, folds, codes[0], names, len(codes) > 1)


def _alignment_warnings(problem: CrossProblem) -> Iterator[str]:
    for first, second in combinations(problem.tasks, 2):
        yield from _pair_warnings(problem, first, second)


def _pair_warnings(problem: CrossProblem, first: str, second: str) -> Iterator[str]:
    """Tell of samples without a partner and of folds that cannot be aligned."""
    where = f"samples {problem.name}"
    surplus, total = 0, 0
    for fold in problem.folds:
        if first not in fold.parts or second not in fold.parts:
            continue
        if not alignable(fold.parts, first, second, problem.observed):
            yield (
                f"{where}: fold {fold.name} cannot be realigned, for the training runs of {first} "
                f"and {second} have fewer than three pairs of samples of two classes"
            )
            continue
        one, two = (problem.observed[task][fold.parts[task].train] for task in (first, second))
        n_pairs = len(pair_by_class(one, two)[0])
        surplus += len(one) + len(two) - 2 * n_pairs
        total += len(one) + len(two)
    if surplus:
        yield (
            f"{where}: {first} and {second} have unequal numbers of samples per class, so that "
            f"{surplus} of {total} training samples, over all folds, have no partner and do not "
            "count for the alignment"
        )
