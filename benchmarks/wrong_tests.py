"""Tests that the analyses do not offer, because they find effects in noise."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from bidsface.statistics import permutation_p
from bidsface_decoding.aligners import RidgeAligner
from bidsface_decoding.crossmodal_alignment import align
from bidsface_decoding.crossmodal_kernels import View, fold_views
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.crossmodal_plan import CrossPlan, plan_crossmodal
from bidsface_decoding.crossvalidation import Fold
from bidsface_decoding.estimators import Ridge

sys.path.insert(0, str(Path(__file__).parent))
from noise_tasks import REGIONS, TASKS, Decoder, event_table, fill

N_PERMUTATIONS = 19
FIRST = REGIONS[:1]
PLAIN = {"motion_control": False, "motion_regressed": False}
ALONE = Decoder(CrossmodalOptions(conditions=("within",), **PLAIN), FIRST)


def naive_p(seed: np.random.SeedSequence) -> float:
    """Return p of a test that takes every volume for an event of its own."""
    rng = np.random.default_rng(seed)
    volumes = {task: fill(task, event_table(task, rng), rng, kind=1) for task in TASKS}
    alone = {
        task: [replace(own, table=own.table.assign(event=range(len(own.table))))]
        for task, own in volumes.items()
    }
    return ALONE.decode(plan_crossmodal(alone, N_PERMUTATIONS, seed), seed).outcomes[0].p


def leaked_p(plan: CrossPlan) -> float:
    """Return p of realigned decoding by an aligner that knew the test runs and their labels.

    Labels are permuted after the samples were paired, and the aligner is not refitted.
    """
    problem = plan.problems["averages"]
    samples, codes = problem.samples, [problem.codes[task] for task in TASKS]
    views = {task: View(samples[task].X, FIRST[0].columns[task]) for task in TASKS}
    scores = np.zeros(1 + N_PERMUTATIONS)
    for fold in problem.folds:
        all_samples = np.arange(codes[0].shape[1])
        parts = {task: Fold(fold.name, all_samples, part.test) for task, part in fold.parts.items()}
        scaled = fold_views(views, parts, shared=True, keep=True)
        aligned = align(scaled, parts, TASKS, problem.observed, RidgeAligner())
        rows, known = scaled.scaled["display"][0], fold.parts["display"].train
        mapped = aligned.operators[TASKS] @ rows
        for number, (train, test) in enumerate(zip(*codes, strict=True)):
            predicted = Ridge().fit(rows[known], train[known]).predict(mapped)
            scores[number] += (predicted == test[fold.parts["observe"].test]).mean()
    return float(permutation_p(scores[0], scores[1:])[0])
