"""Participants in memory with two tasks or more, whose class patterns are shared or turned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
from decoding_study import MemoryParticipant, event_frame

from bidsface.analysis import Region, Samples
from bidsface_decoding.aligners import ALIGNERS
from bidsface_decoding.crossmodal import Crossmodal
from bidsface_decoding.crossmodal_decoding import decode_crossmodal
from bidsface_decoding.crossmodal_options import build_aligners
from bidsface_decoding.crossmodal_outcomes import TaskRegion
from bidsface_decoding.crossmodal_plan import plan_crossmodal
from bidsface_decoding.estimators import ESTIMATORS
from bidsface_decoding.options import build_estimators

FAST = {"aligners": ("ridge-alignment",), "maps": False, "motion_regressed": False}

N_VOXELS = 180
CLASSES = ("anger", "disgust", "joy")
SHARED = Region("shared", np.arange(0, 40), "class patterns are the same in all tasks")
TURNED = Region("turned", np.arange(40, 80), "class patterns of every task are unrelated")
NOISE = Region("noise", np.arange(80, 120), "holds noise only")
WIDE = Region("wide", np.arange(40, 100), "larger than the turned one")
REGIONS = {one.name: one for one in (SHARED, TURNED, NOISE)}


@dataclass(frozen=True)
class TwoTaskParticipant(MemoryParticipant):
    """A participant whose head moved by so much (mm) in every task."""

    displacement: dict[str, float] = field(default_factory=dict)

    def mean_displacement(self, task):
        return self.displacement.get(task, float("nan"))


@dataclass(frozen=True)
class Design:
    """What a participant did, and what the brain made of it."""

    tasks: tuple[str, ...] = ("display", "observe")
    effect: float = 1.0
    motion_effect: float = 0.0
    n_runs: int = 4
    per_class: int = 4
    n_volumes: int = 2
    sample_names: tuple[str, ...] = ("averages",)
    regions: dict = field(default_factory=lambda: dict(REGIONS))
    n_parameters: int = 6
    runs: dict = field(default_factory=dict)
    """Numbers of runs of single tasks, where they differ."""
    classes: dict = field(default_factory=dict)
    """Classes of single tasks, where they differ."""


def make_two_tasks(label="01", seed=0, design=None, reverse=False, **changes):
    """A participant: the same patterns in ``shared``, others in every task in ``turned``.

    With ``motion_effect`` the label moves the head, and the head moves the signal of all voxels.
    """
    design = design or Design(**changes)
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((len(CLASSES), N_VOXELS))
    kinds = {}
    first_event = 0
    for task in design.tasks:
        classes = design.classes.get(task, CLASSES)
        n_runs = design.runs.get(task, design.n_runs)
        events = event_frame(classes, n_runs, design.per_class, rng)
        events["block"] = events["block"].str.replace("display", task)
        events["event"] += first_event
        first_event += len(events)
        own = rng.standard_normal((len(CLASSES), N_VOXELS))
        patterns = np.zeros((len(CLASSES), N_VOXELS))
        patterns[:, SHARED.columns] = design.effect * shared[:, SHARED.columns]
        patterns[:, TURNED.columns] = design.effect * own[:, TURNED.columns]
        kinds.update(_samples(task, events, patterns, design, rng))
    displacement = {task: 0.1 * number for number, task in enumerate(design.tasks, start=1)}
    return TwoTaskParticipant(
        label,
        kinds,
        design.tasks,
        design.sample_names,
        dict(design.regions),
        reverse,
        displacement,
    )


def _samples(task, events, patterns, design, rng):
    codes = np.array([CLASSES.index(name) for name in events["trial_type"]])
    size = len(events), design.n_volumes
    motion = rng.standard_normal((*size, design.n_parameters))
    if design.motion_effect:
        motion[..., :3] += 2.0 * np.eye(3)[codes][:, None]
    pull = design.motion_effect * rng.standard_normal((design.n_parameters, N_VOXELS))
    common = rng.standard_normal((len(events), 1, N_VOXELS))
    noise = 0.8 * common + 0.6 * rng.standard_normal((*size, N_VOXELS))
    X = 5.0 + 0.02 * np.arange(N_VOXELS) + patterns[codes][:, None] + motion @ pull + noise
    volumes = events.loc[events.index.repeat(design.n_volumes)].reset_index(drop=True)
    volumes["time"] += np.tile(2.0 * np.arange(design.n_volumes), len(events))
    entities = {"task": task, "space": "MNI152NLin2009cAsym"}
    return {
        ("averages", task): Samples(
            "averages", X.mean(1).astype(np.float32), events, motion.mean(1), entities
        ),
        ("volumes", task): Samples(
            "volumes",
            X.reshape(-1, N_VOXELS).astype(np.float32),
            volumes,
            motion.reshape(len(volumes), design.n_parameters),
            entities,
        ),
    }


def shuffle_labels(participant, task, rng, name="averages"):
    """The same participant with the events' labels of a task permuted within runs."""
    samples = participant.kinds[name, task]
    labels = samples.table["trial_type"].to_numpy().copy()
    for block in samples.table["block"].unique():
        own = np.flatnonzero(samples.table["block"] == block)
        labels[own] = rng.permutation(labels[own])
    shuffled = replace(samples, table=samples.table.assign(trial_type=labels))
    return replace_samples(participant, {(name, task): shuffled})


def drop_samples(participant, name, task, keep):
    """The same participant without some samples; ``keep`` decides from the table of samples."""
    samples = participant.kinds[name, task]
    kept = keep(samples.table).to_numpy(bool)
    fewer = Samples(
        name,
        samples.X[kept],
        samples.table[kept].reset_index(drop=True),
        samples.motion[kept],
        samples.entities,
    )
    return replace_samples(participant, {(name, task): fewer})


def replace_samples(participant, kinds):
    """The same participant with other samples of some kinds and tasks."""
    return TwoTaskParticipant(
        participant.label,
        {**participant.kinds, **kinds},
        participant.tasks,
        participant.sample_names,
        participant.regions,
        participant.reverse,
        participant.displacement,
    )


def means_of(results, metric="balanced_accuracy", motion="kept"):
    """Mean scores, indexed by estimator, training task, test task, aligner, region."""
    frame = next(table.frame for table in results.tables if table.suffix == "scores")
    chosen = frame[
        (frame["fold"] == "mean") & (frame["metric"] == metric) & (frame["motion"] == motion)
    ]
    names = ["estimator", "train_task", "test_task", "aligner", "roi_name"]
    filled = chosen.assign(aligner=chosen["aligner"].fillna(""))
    return filled.set_index(names)[["value", "chance", "p", "p_fdr", "p_fwe", "n"]].sort_index()


def frame_of(results, suffix):
    """The table of a suffix."""
    found = [table.frame for table in results.tables if table.suffix == suffix]
    return found[0] if found else pd.DataFrame()


def decode(participant, **options):
    """Outcomes by (estimator, training task, test task, aligner, motion, region), no report."""
    analysis = Crossmodal("crossmodal", 1)
    chosen = Crossmodal.Options(**{**FAST, **options})
    tasks = participant.tasks
    names = chosen.samples or participant.sample_names
    kinds = {task: [participant.samples(name, task) for name in names] for task in tasks}
    seed = partial(analysis.seed, participant.label)
    plan = plan_crossmodal(kinds, chosen.permutations, seed("permutations"))
    found = decode_crossmodal(
        plan,
        [TaskRegion.same(region, tasks) for region in participant.select_regions(chosen.regions)],
        build_estimators(chosen, ESTIMATORS),
        build_aligners(chosen, ALIGNERS),
        chosen,
        participant.map,
        seed,
    )
    return {
        (
            one.estimator,
            one.condition.train_task,
            one.condition.test_task,
            one.condition.aligner,
            one.motion,
            one.roi_name,
        ): one
        for one in found.outcomes
    }
