"""Groups whose samples of two tasks hold noise, and what decoding finds in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Samples
from bidsface_decoding.aligners import ALIGNERS
from bidsface_decoding.conditions import KEPT, Setting
from bidsface_decoding.crossmodal_decoding import decode_crossmodal
from bidsface_decoding.crossmodal_options import CrossmodalOptions, build_aligners
from bidsface_decoding.crossmodal_outcomes import CrossDecoding, CrossOutcome, TaskRegion
from bidsface_decoding.crossmodal_plan import CrossPlan, plan_crossmodal
from bidsface_decoding.estimators import ESTIMATORS
from bidsface_decoding.family import Family, permutation_test
from bidsface_decoding.options import build_estimators

N_RUNS, PER_CLASS, N_VOLUMES, N_VOXELS, N_MOTION = 2, 4, 4, 14, 3
CLASSES, TASKS = ("anger", "disgust", "joy"), ("display", "observe")
SHARED = 0.8  # share of the noise variance that the volumes of a trial have in common
REGIONS = (
    TaskRegion("first", dict.fromkeys(TASKS, np.arange(8))),
    TaskRegion("second", dict.fromkeys(TASKS, np.arange(5, 14))),
)
N_DRAWS, N_PLANS = 399, 200
"""Draws of group tests; plans (orders of events, permutations of labels) to choose from."""


Families = dict[Setting, Family]


def in_order(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Stand in for ``participant.map``."""
    return [function(item) for item in items]


def event_table(task: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return events in random order within runs."""
    labels = [rng.permutation(np.repeat(CLASSES, PER_CLASS)) for _ in range(N_RUNS)]
    n = len(labels[0])
    events = pd.DataFrame({"trial_type": np.concatenate(labels), "event": np.arange(N_RUNS * n)})
    events["run_index"] = np.repeat([str(run + 1) for run in range(N_RUNS)], n)
    events["block"] = f"task-{task}_run-" + events["run_index"]
    events["onset"] = events["time"] = np.tile(10.0 * np.arange(n), N_RUNS)
    return events


def fill(
    task: str,
    table: pd.DataFrame,
    rng: np.random.Generator,
    effect: float | np.ndarray = 0.0,
    kind: int = 0,
    n_voxels: int = N_VOXELS,
) -> Samples:
    """Return samples of new noise, to which patterns of the classes may be added.

    Parameters
    ----------
    task : str
    table : DataFrame
        Of the events.
    rng : Generator
    effect : float or ndarray of shape (n_voxels,)
        Size of the patterns, which are drawn anew.
    kind : int
        0 for averages, 1 for volumes that share most of the noise of their event.
    n_voxels : int
    """
    size = len(table), N_VOLUMES
    common = rng.standard_normal((len(table), 1, n_voxels))
    X = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * rng.standard_normal((*size, n_voxels))
    if np.any(effect):
        patterns = effect * rng.standard_normal((len(CLASSES), 1, n_voxels))
        X += patterns[np.searchsorted(CLASSES, table["trial_type"])]
    motion = rng.standard_normal((*size, N_MOTION))
    entities = {"task": task}
    if not kind:
        return Samples("averages", X.mean(1).astype(np.float32), table, motion.mean(1), entities)
    volumes = table.loc[table.index.repeat(N_VOLUMES)].reset_index(drop=True)
    volumes["time"] += np.tile(2.0 * np.arange(N_VOLUMES), len(table))
    flat = X.reshape(-1, n_voxels).astype(np.float32)
    return Samples("volumes", flat, volumes, motion.reshape(-1, N_MOTION), entities)


@cache
def plan_of(number: int, permutations: int) -> CrossPlan:
    """Return one of the plans, whose averages are to be filled."""
    events, draws = np.random.SeedSequence([number, 1]).spawn(2)
    rng = np.random.default_rng(events)
    kinds = {task: [fill(task, event_table(task, rng), rng)] for task in TASKS}
    return plan_crossmodal(kinds, permutations, draws)


def make_participant(
    rng: np.random.Generator,
    permutations: int,
    effect: float | np.ndarray = 0.0,
    tasks: Sequence[str] = TASKS,
    n_voxels: int = N_VOXELS,
) -> CrossPlan:
    """Return the plan of a participant with new data.

    Class patterns of size ``effect`` are drawn for each of the ``tasks`` anew.
    """
    plan = plan_of(int(rng.integers(N_PLANS)), permutations)
    problem = plan.problems["averages"]
    samples = {
        task: fill(task, own.table, rng, effect * (task in tasks), n_voxels=n_voxels)
        for task, own in problem.samples.items()
    }
    return replace(plan, problems={"averages": replace(problem, samples=samples)})


def without_permutations(plan: CrossPlan) -> CrossPlan:
    """Return the plan with the observed labelling alone."""
    problems = {
        name: replace(problem, codes={task: codes[:1] for task, codes in problem.codes.items()})
        for name, problem in plan.problems.items()
    }
    return replace(plan, problems=problems)


class Decoder:
    """Decodes participants as the analysis does, by some options."""

    def __init__(self, options: CrossmodalOptions, regions: Sequence[TaskRegion] = REGIONS) -> None:
        self.options, self.regions = options, regions
        self.estimators = build_estimators(options, ESTIMATORS)
        self.aligners = build_aligners(options, ALIGNERS)

    def decode(self, plan: CrossPlan, seed: np.random.SeedSequence) -> CrossDecoding:
        """Decode a participant; all aligners start from the same seed."""
        return decode_crossmodal(
            plan,
            self.regions,
            self.estimators,
            self.aligners,
            self.options,
            in_order,
            lambda *names: seed,
        )


def families_of(
    found: Sequence[CrossDecoding], draws: np.random.SeedSequence | None = None
) -> Families:
    """Return the families of regions of a group, as `crossmodal_scores.find_families` makes them.

    With a seed for draws the permutations are tested, too.
    """
    places: dict[Setting, list[int]] = {}
    for place, outcome in enumerate(found[0].outcomes):
        places.setdefault(outcome.setting, []).append(place)
    families = {}
    for key, own in places.items():
        table = [[one.outcomes[place] for place in own] for one in found]
        names = [outcome.roi_name for outcome in table[0]]
        scores = frame_of(table, names, lambda one: one.scores.mean)
        chance = frame_of(table, names, lambda one: one.chance)
        test = None
        if draws is not None and key.motion == KEPT:
            nulls = {label: null_frame(row) for label, row in enumerate(table)}
            test = permutation_test(scores, chance, names, nulls, N_DRAWS, draws)
        families[key] = Family(key.keys, scores, chance, test)
    return families


def frame_of(
    table: Sequence[Sequence[CrossOutcome]], names: Sequence[str], get: Callable[..., float]
) -> pd.DataFrame:
    """Return a number of every outcome, participants by regions."""
    return pd.DataFrame([[get(outcome) for outcome in row] for row in table], columns=list(names))


def null_frame(outcomes: Sequence[CrossOutcome]) -> pd.DataFrame:
    """Return the permuted scores of a participant's regions."""
    return pd.DataFrame({one.roi_name: one.scores.null for one in outcomes})
