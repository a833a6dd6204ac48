"""Participants in memory whose images follow a score, for tests of the plugin facs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from decoding_study import store

from bidsface.analysis import Grid, InputTable, Region, Samples, Voxels

GRID = Grid((10, 9, 8), np.diag([4.0, 4.0, 4.0, 1.0]), "MNI152NLin2009cAsym", "2")
GRID.affine[:3, 3] = [-18.0, -16.0, -14.0]
BRAIN = Voxels(GRID, np.arange(20, 700))
N_VOXELS = len(BRAIN.index)
M1 = np.arange(600, 660)
"""Columns of the control region, which knows nothing of the score."""
REGIONS = {
    "brain": Region("brain", np.arange(N_VOXELS), "all voxels"),
    "m1": Region("m1", M1, "control"),
}


def planted_pattern(seed=99):
    """Pattern over voxels that follows log(1 + score); 0 in the control region."""
    pattern = np.random.default_rng(seed).standard_normal(N_VOXELS)
    pattern[M1] = 0.0
    pattern[300:] = 0.0
    return pattern


@dataclass(frozen=True)
class MemoryParticipant:
    """Implements what `bidsface_facs` asks of `bidsface.analysis.Participant`."""

    label: str
    kinds: dict[str, Samples]
    regions: dict[str, Region] = field(default_factory=lambda: dict(REGIONS))
    input_tables: tuple[InputTable, ...] = ()
    voxels: Voxels = BRAIN
    sample_names: tuple[str, ...] = ("trials",)

    @property
    def tasks(self):
        return tuple(self.kinds)

    @property
    def brain(self):
        return self.voxels

    @property
    def background(self):
        return np.ones(self.voxels.grid.shape, dtype=np.float32)

    def samples(self, name, task):
        return self.kinds[task]

    def tables(self, suffix, dataset=None, **entities):
        return self.input_tables


def scores_of(rng, n, level):
    """Scores with a heavy tail and many zeros, around a participant's level."""
    return np.round(np.maximum(0.0, np.expm1(level + 0.8 * rng.standard_normal(n))), 2)


def make_samples(rng, scores, effect=1.0, task="pain", n_runs=2, person=None, shift=0.0):
    """One image per event."""
    n = len(scores)
    warmth = 45 + rng.standard_normal(n)
    X = rng.standard_normal((n, N_VOXELS)) + shift
    X += effect * np.outer(np.log1p(scores), planted_pattern())
    if person is not None:
        X += person
    runs = np.repeat(np.arange(1, n_runs + 1), -(-n // n_runs))[:n]
    onsets = 10.0 + 20.0 * np.arange(n)
    table = pd.DataFrame(
        {
            "trial_type": "painful",
            "event": np.arange(n),
            "block": [f"task-{task}_run-{run}" for run in runs],
            "session": "n/a",
            "run_index": [str(run) for run in runs],
            "onset": onsets,
            "time": onsets,
        }
    )
    events = pd.DataFrame(
        {
            "onset": onsets.astype(str),
            "duration": "5",
            "trial_type": "painful",
            "facs": [f"{score:g}" for score in scores],
            "temperature": [f"{value:.3f}" for value in warmth],
        }
    )
    motion = 0.1 * rng.standard_normal((n, 6))
    entities = {"task": task, "space": GRID.space}
    return Samples("trials", X.astype(np.float32), table, motion, entities, events)


def make_participant(label="01", seed=0, n=12, effect=0.25, task="pain", spread=0.6, shift=0.0):
    rng = np.random.default_rng([seed, int(label)])
    level = spread * rng.standard_normal() + 0.3
    scores = scores_of(rng, n, level)
    person = 0.3 * rng.standard_normal(N_VOXELS)
    return MemoryParticipant(
        label, {task: make_samples(rng, scores, effect, task, person=person, shift=shift)}
    )


def gathered(analysis, participants, options):
    """What the participant level wrote, as the group level sees it."""
    return [store(one.label, analysis.participant(one, options)) for one in participants]


def of_data_set(found, name):
    """The same results as those of another data set."""
    return [replace(one, dataset=name) for one in found]
