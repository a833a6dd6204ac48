"""Participants in memory, with planted responses, for tests of the plugin glm."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix

from bidsface.analysis import BoldRun, Grid, Map, Results, StoredMap, StoredResults, Voxels

GRID = Grid((9, 10, 8), np.diag([3.0, 3.0, 4.0, 1.0]), "MNI152NLin2009cAsym", "2")
GRID.affine[:3, 3] = [-12.0, -14.0, -10.0]
BRAIN = Voxels(GRID, np.arange(80, int(np.prod(GRID.shape))))
N_VOXELS = len(BRAIN.index)
ACTIVE = np.arange(200, 232)
"""Columns of voxels that respond to joy."""
TR = 2.0
CLASSES = ("anger", "joy")


def events_of(rng, n_events=8, classes=CLASSES, spacing=14.0, duration=4.0):
    labels = rng.permutation(np.resize(classes, n_events))
    onsets = 6.0 + spacing * np.arange(n_events) + rng.uniform(0, 3, n_events)
    return pd.DataFrame({"onset": onsets, "duration": duration, "trial_type": labels})


NOBODY = pd.DataFrame({"onset": [], "duration": [], "trial_type": []})


def make_run(rng, amplitude=1.0, number=1, task="display", n_volumes=70, rho=0.3, **parts):
    """A run whose active voxels respond to joy with some percent of their mean."""
    events = parts.get("events", events_of(rng))
    others = parts.get("others", NOBODY)
    times = TR * np.arange(n_volumes) + 0.5
    joy = events[events["trial_type"] == "joy"]
    values = 1000.0 + 4.0 * noise(rng, n_volumes, N_VOXELS, rho)
    if len(joy) and amplitude:
        response = make_first_level_design_matrix(times, joy, drift_model=None)["joy"].to_numpy()
        values[:, ACTIVE] += 10.0 * amplitude * response[:, None]
    confounds = pd.DataFrame(rng.standard_normal((n_volumes, 2)), columns=["trans_x", "rot_y"])
    values = values.astype(np.float32)
    return BoldRun(
        f"task-{task}_run-{number}",
        {"task": task, "run": str(number), "space": GRID.space, "res": GRID.resolution},
        TR,
        times,
        events,
        others,
        parts.get("confounds", confounds),
        lambda fwhm: values.copy(),
    )


def noise(rng, n_volumes, n_voxels, rho):
    values = rng.standard_normal((n_volumes, n_voxels))
    for row in range(1, n_volumes):
        values[row] += rho * values[row - 1]
    return values


def censored(run, kept):
    """The run without some volumes."""
    return replace(
        run,
        times=run.times[kept],
        confounds=run.confounds[kept].reset_index(drop=True),
        load=lambda fwhm: run.load(fwhm)[kept],
    )


@dataclass(frozen=True)
class MemoryParticipant:
    """Implements what `bidsface_glm` asks of `bidsface.analysis.Participant`."""

    label: str
    runs: dict[str, list[BoldRun]]
    brain: Voxels = BRAIN
    structures: np.ndarray | None = field(
        default_factory=lambda: np.where(np.isin(np.arange(N_VOXELS), ACTIVE), 1024, 2)
    )
    reverse: bool = False

    @property
    def tasks(self):
        return tuple(self.runs)

    @property
    def background(self):
        image = np.zeros(GRID.shape, np.float32)
        image.flat[BRAIN.index] = 500.0
        return image

    def bold_runs(self, task):
        return self.runs[task]

    def map(self, function, items):
        items = list(items)
        if not self.reverse:
            return [function(item) for item in items]
        return [function(item) for item in items[::-1]][::-1]  # another order of the work


def make_participant(label="01", amplitude=1.0, seed=0, tasks=("display",), n_runs=2, **parts):
    rng = np.random.default_rng([seed, int(label)])
    runs = {
        task: [make_run(rng, amplitude, number + 1, task, **parts) for number in range(n_runs)]
        for task in tasks
    }
    return MemoryParticipant(label, runs)


def stored_map(item: Map) -> StoredMap:
    """A map as later steps see it: an image in float32, 0 outside its voxels."""
    values = np.asarray(item.values, dtype=np.float32)
    flat = np.zeros((int(np.prod(item.voxels.grid.shape)), *values.shape[1:]))
    flat[item.voxels.index] = np.nan_to_num(values, nan=1.0 if item.stat == "p" else 0.0)
    entities = {**item.entities, "space": GRID.space}
    return StoredMap(
        item.stat,
        entities,
        lambda voxels: flat[voxels.index],
        lambda: item.voxels.grid,
        item.volumes,
    )


def store(label: str, results: Results) -> StoredResults:
    return StoredResults(label, maps=[stored_map(item) for item in results.maps])


def effect_maps(effects, variances=None, labels=None, task="display", contrast="all"):
    """Participants who have nothing but maps of one contrast."""
    labels = labels or [f"{number:02d}" for number in range(1, len(effects) + 1)]
    entities = {"task": task, "contrast": contrast}
    found = []
    for row, label in enumerate(labels):
        variance = np.ones(N_VOXELS) if variances is None else variances[row]
        maps = [
            Map("effect", effects[row], BRAIN, entities, ""),
            Map("variance", variance, BRAIN, entities, ""),
        ]
        found.append(store(label, Results(maps=maps)))
    return found


def the_map(results, stat, contrast, task="display"):
    """The only map of a kind."""
    (found,) = [
        item
        for item in results.maps
        if item.stat == stat
        and item.entities.get("contrast") == contrast
        and item.entities.get("task") == task
    ]
    return found


def image(values, voxels=BRAIN):
    flat = np.zeros((int(np.prod(voxels.grid.shape)), *np.shape(values)[1:]), np.float64)
    flat[voxels.index] = values
    return nib.Nifti1Image(flat.reshape(*voxels.grid.shape, *np.shape(values)[1:]), GRID.affine)


def mask_image(voxels=BRAIN):
    flat = np.zeros(int(np.prod(voxels.grid.shape)), np.uint8)
    flat[voxels.index] = 1
    return nib.Nifti1Image(flat.reshape(voxels.grid.shape), GRID.affine)
