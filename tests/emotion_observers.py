"""Observers of a film, and the runs that show it, for tests of labels."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bidsface.analysis import BoldRun

TR = 2.0
FILM_SEGMENTS = (
    *((0, 902), (886, 1768), (1752, 2628), (2612, 3588)),
    *((3572, 4496), (4480, 5358), (5342, 6426), (6410, 7086)),
)
"""s; which part of the film of studyforrest.org each run shows."""

NOBODY = pd.DataFrame({"onset": [], "duration": [], "trial_type": []})


def write_table(path, rows, header=("start", "end", "emotion"), separator=","):
    lines = [header, *rows]
    path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines))
    return path


def write_observers(folder, observers):
    """Write tables of rows (start, end, emotion); return a pattern that finds them in order."""
    folder.mkdir(exist_ok=True)
    for number, rows in enumerate(observers, start=1):
        write_table(folder / f"observer{number}.csv", rows)
    return str(folder / "*.csv")


def published_labels(observers, repetition_time):
    """The published rule, written out volume by volume: labels of observers, None for none."""
    named = [[row for row in rows if row[2].strip()] for rows in observers]
    n_volumes = math.ceil(max(row[1] for rows in named for row in rows) / repetition_time)
    labels = []
    for rows in named:
        own = [None] * n_volumes
        for start, end, emotion in rows:
            volume = math.floor(start / repetition_time)
            while volume <= math.ceil(end / repetition_time) - 1:
                own[volume] = emotion
                volume += 1
        labels.append(own)
    return labels


def published_consensus(labels, threshold):
    """The most frequent label of every volume, if enough observers chose it, else None."""
    found = []
    for own in zip(*labels, strict=True):
        counts = Counter(label for label in own if label is not None)
        most = max(counts.values(), default=0)
        tied = sorted(label for label, count in counts.items() if count == most)
        found.append(tied[0] if tied and most >= threshold else None)
    return found


def random_observers(seed, n_observers=5, n_rows=30, length=200.0, emotions="ABC", whole=True):
    """Tables of annotations that overlap, some of them without an emotion."""
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(n_observers):
        starts = rng.uniform(0, length, n_rows)
        ends = starts + rng.uniform(0, length / 8, n_rows)
        if whole:
            starts, ends = np.floor(starts), np.floor(ends)
        names = rng.choice([*emotions, "A B", ""], n_rows)
        tables.append(
            [(float(a), float(b), str(n)) for a, b, n in zip(starts, ends, names, strict=True)]
        )
    return tables


def make_run(number=1, n_volumes=20, interval=TR, begin=0.0, task="film", **parts):
    """A run; ``kept`` says which volumes are neither dropped nor censored."""
    times = begin + interval * np.arange(n_volumes)
    kept = parts.get("kept", np.ones(n_volumes, bool))
    entities = {"task": task, "space": "MNI152NLin2009cAsym"}
    if number is not None:
        entities["run"] = str(number)
    entities |= parts.get("entities", {})
    block = "_".join(f"{key}-{value}" for key, value in entities.items() if key != "space")

    def load(fwhm):
        raise AssertionError("labels read no volumes")

    return BoldRun(
        block,
        entities,
        interval,
        times[kept],
        parts.get("events", NOBODY),
        NOBODY,
        pd.DataFrame(index=range(int(kept.sum()))),
        load,
    )


def make_events(*rows):
    return pd.DataFrame(rows, columns=["onset", "duration", "trial_type"])


@dataclass(frozen=True)
class MemoryParticipant:
    """Implements what labels ask of `bidsface.analysis.Participant`."""

    label: str
    runs: dict[str, list[BoldRun]] = field(default_factory=dict)

    @property
    def tasks(self):
        return tuple(self.runs)

    def bold_runs(self, task):
        return self.runs[task]
