"""What is to be decoded in a task of a participant: events, folds, permutations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Participant, Samples
from bidsface.numerics.linear import Codes
from bidsface.numerics.permutations import Relabellings, relabel
from bidsface_decoding.crossvalidation import SPLITTERS, Fold, trainable
from bidsface_decoding.options import DecodingOptions
from bidsface_decoding.scoring import is_even, tests_all_classes


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


def task_samples(participant: Participant, task: str, options: DecodingOptions) -> list[Samples]:
    """Return the kinds of samples to decode, in the recipe's order."""
    names = options.samples or tuple(participant.sample_names)
    return [participant.samples(name, task) for name in names]


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
        warnings.extend(class_warnings(where, every, folds, codes[0], names, len(codes) > 1))
        problems.append(Problem(samples, codes, folds))
    return problems, warnings


def class_warnings(
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
    level = "the permutations' mean score" if permuted else "not known without permutations"
    if not tests_all_classes(folds, codes):
        notes.append(f"{where}: as folds lack classes, the chance level is {level}")
    elif not all(is_even(codes[fold.train]) for fold in folds):
        notes.append(
            f"{where}: classes are not equally frequent in training, so that the chance level of "
            f"single classes is {level}"
        )
    return notes
