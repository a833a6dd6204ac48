"""Folds over runs of several tasks: run k is left out of every task at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.numerics.linear import Codes
from bidsface_decoding.crossvalidation import Fold


@dataclass(frozen=True, eq=False)
class RunFold:
    """Samples of every task to train on and to test on, when one run number is left out.

    Attributes
    ----------
    name : str
        Number of the run.
    parts : mapping of task to Fold
        Tasks whose training part has two classes at least. The test part is empty in a task that
        lacks the run.
    """

    name: str
    parts: Mapping[str, Fold]


def number_runs(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, str]]:
    """Give the runs of every task numbers: the same one stands for the same fold.

    Runs go by their own numbers (the entity ``run``) where these are unique within every task and
    two of them, at least, occur in all; else by their order within the task.

    Parameters
    ----------
    tables : mapping of task to DataFrame
        ``block`` and ``run_index``, in the order of the runs.

    Returns
    -------
    dict of task to dict of block to number
    """
    labels = {
        task: dict(zip(table["block"].astype(str), table["run_index"].astype(str), strict=True))
        for task, table in tables.items()
    }
    unique = all(len(set(runs.values())) == len(runs) for runs in labels.values())
    common = set.intersection(*(set(runs.values()) for runs in labels.values()))
    if unique and len(common) > 1:
        return labels
    return {
        task: {block: str(number) for number, block in enumerate(runs, start=1)}
        for task, runs in labels.items()
    }


def run_folds(
    tables: Mapping[str, pd.DataFrame],
    codes: Mapping[str, Codes],
    numbers: Mapping[str, Mapping[str, str]],
) -> tuple[RunFold, ...]:
    """Leave out every run number in turn.

    Parameters
    ----------
    tables : mapping of task to DataFrame
        Tables of the samples.
    codes : mapping of task to ndarray of int, shape (n_samples,)
        Observed classes.
    numbers : mapping of task to mapping of block to number
        See `number_runs`.
    """
    runs = {task: table["block"].astype(str).map(numbers[task]) for task, table in tables.items()}
    orders = {task: _time_order(table, numbers[task]) for task, table in tables.items()}
    folds = []
    for name in dict.fromkeys(run for one in numbers.values() for run in one.values()):
        parts = {
            task: _part(name, (own == name).to_numpy(), orders[task]) for task, own in runs.items()
        }
        kept = {
            task: part
            for task, part in parts.items()
            if len(np.unique(codes[task][part.train])) > 1
        }
        if any(len(part.test) for part in kept.values()):
            folds.append(RunFold(name, kept))
    return tuple(folds)


def _time_order(table: pd.DataFrame, numbers: Mapping[str, str]) -> NDArray[np.intp]:
    """Return the samples in order of run and time; those of one time stay in their order."""
    positions = {block: position for position, block in enumerate(numbers)}
    return np.lexsort((table["time"].to_numpy(float), table["block"].astype(str).map(positions)))


def _part(name: str, held_out: NDArray[np.bool_], order: NDArray[np.intp]) -> Fold:
    return Fold(name, order[~held_out[order]], order[held_out[order]])


def unmatched_runs(numbers: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Tell of runs that some tasks lack."""
    notes = []
    every = dict.fromkeys(run for one in numbers.values() for run in one.values())
    for run in every:
        lacking = [task for task, one in numbers.items() if run not in one.values()]
        if lacking:
            notes.append(
                f"run {run}: not there in task {', '.join(lacking)}, where nothing is left out in "
                "that fold and nothing is tested"
            )
    return notes


def missing_parts(
    name: str, folds: Sequence[RunFold], tasks: Sequence[str], runs: Sequence[str]
) -> list[str]:
    """Tell of folds in which a kind of samples of a task cannot be trained on."""
    parts = {fold.name: fold.parts for fold in folds}
    return [
        f"task {task}, samples {name}: fold {run} has one class only, or none, to train on, so "
        "that the task takes no part in it"
        for run in runs
        for task in tasks
        if task not in parts.get(run, {})
    ]
