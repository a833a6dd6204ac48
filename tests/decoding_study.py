"""A participant in memory, with planted effects, for tests of the decoding plugin."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bidsface.analysis import (
    Grid,
    ParticipantResults,
    Region,
    Results,
    Samples,
    StoredMap,
    StoredTable,
    Voxels,
)
from bidsface.errors import RecipeError

GRID = Grid((6, 6, 5), np.diag([3.0, 3.0, 3.0, 1.0]), "MNI152NLin2009cAsym", "2")
REGIONS = {
    "signal": Region("signal", np.arange(0, 30), "holds the planted patterns"),
    "noise": Region("noise", np.arange(30, 60), "holds noise only"),
    "everything": Region("everything", np.arange(180), "all voxels"),
}


@dataclass(frozen=True)
class MemoryParticipant:
    """Implements `bidsface.analysis.Participant`."""

    label: str
    kinds: dict[tuple[str, str], Samples]
    tasks: tuple[str, ...] = ("display",)
    sample_names: tuple[str, ...] = ("averages", "volumes")
    regions: dict[str, Region] = field(default_factory=lambda: dict(REGIONS))
    reverse: bool = False

    @property
    def voxels(self):
        return Voxels(GRID, np.arange(180))

    @property
    def brain(self):
        return self.voxels

    @property
    def background(self):
        return np.ones(GRID.shape, dtype=np.float32)

    def samples(self, name, task):
        return self.kinds[name, task]

    def select_regions(self, names):
        unknown = [name for name in names if name not in self.regions]
        if unknown:
            raise RecipeError(f"unknown region {unknown[0]!r}")
        return [self.regions[name] for name in names or self.regions]

    def map(self, function, items):
        items = list(items)
        if not self.reverse:
            return [function(item) for item in items]
        return [function(item) for item in items[::-1]][::-1]  # another order of the work


def event_frame(classes, n_runs, per_class, rng, sessions=1):
    """Events in random order within runs."""
    rows = []
    for run in range(n_runs):
        labels = rng.permutation(np.repeat(classes, per_class))
        for number, label in enumerate(labels):
            rows.append(
                {
                    "trial_type": str(label),
                    "event": len(rows),
                    "block": f"task-display_run-{run + 1}",
                    "session": f"s{run * sessions // n_runs + 1}",
                    "run_index": str(run + 1),
                    "onset": 10.0 * number,
                    "time": 10.0 * number + 6.0,
                }
            )
    return pd.DataFrame(rows)


def make_samples(
    events, effect, rng, motion_effect=0.0, n_volumes=3, task="display", autocorrelation=0.8
):
    """Averages and volumes of events whose ``signal`` voxels follow their class."""
    codes = np.unique(events["trial_type"], return_inverse=True)[1]
    patterns = np.zeros((codes.max() + 1, 180))
    patterns[:, :30] = effect * rng.standard_normal((codes.max() + 1, 30))
    common = rng.standard_normal((len(events), 1, 180))
    own = rng.standard_normal((len(events), n_volumes, 180))
    noise = np.sqrt(autocorrelation) * common + np.sqrt(1 - autocorrelation) * own
    X = patterns[codes][:, None] + noise
    motion = rng.standard_normal((len(events), n_volumes, 6))
    motion[..., 0] += motion_effect * codes[:, None]
    volumes = events.loc[events.index.repeat(n_volumes)].reset_index(drop=True)
    volumes["time"] += np.tile(2.0 * np.arange(n_volumes), len(events))
    entities = {"task": task}
    return {
        ("averages", task): Samples(
            "averages", X.mean(1).astype(np.float32), events, motion.mean(1), entities
        ),
        ("volumes", task): Samples(
            "volumes",
            X.reshape(-1, 180).astype(np.float32),
            volumes,
            motion.reshape(-1, 6),
            entities,
        ),
    }


def make_participant(
    label="01",
    effect=0.5,
    seed=0,
    classes=("anger", "disgust", "joy"),
    n_runs=4,
    per_class=5,
    sessions=1,
    **options,
):
    rng = np.random.default_rng(seed)
    events = event_frame(classes, n_runs, per_class, rng, sessions)
    return MemoryParticipant(label, make_samples(events, effect, rng, **options))


def store(label: str, results: Results) -> ParticipantResults:
    """Tables as the group level sees them, written as text and read back, and maps."""
    return ParticipantResults(
        label,
        tuple(
            StoredTable(table.suffix, table.entities, lambda table=table: _round_trip(table.frame))
            for table in results.tables
        ),
        tuple(_stored_map(item) for item in results.maps),
    )


def _stored_map(item):
    """A map on its whole grid, in single precision, 0 where it has no voxels."""
    grid = item.voxels.grid
    values = np.asarray(item.values, dtype=np.float32)
    volume = np.zeros((np.prod(grid.shape), *values.shape[1:]))
    volume[item.voxels.index] = values

    def load(voxels):
        assert voxels.grid.shape == grid.shape
        return volume[voxels.index]

    return StoredMap(item.stat, dict(item.entities), load, lambda: grid, item.volumes)


def _round_trip(frame):
    text = frame.to_csv(sep="\t", index=False, na_rep="n/a")
    return pd.read_csv(io.StringIO(text), sep="\t", na_values=["n/a"])
