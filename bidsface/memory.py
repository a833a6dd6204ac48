"""How much memory and disk a run will take, estimated from image headers."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsface.files import ParticipantFiles
from bidsface.measurements import RunSize
from bidsface.recipe import SampleSpec
from bidsface.settings import Settings

BRAIN_FRACTION = 0.35
"""Part of a bounding box in MNI space that is brain, rounded up."""

BASE_MB = 600
"""A process with its libraries loaded."""

MODEL_COPIES = 3
"""Arrays of the size of a masked run that reading and modelling it holds at once."""

MAPS_PER_PARTICIPANT = 12
"""Float images of the size of one volume that a participant's output holds, after compression."""


VolumeCounter = Callable[[Sequence[RunSize]], int]
"""``volumes_kept`` of an analysis with its options."""


@dataclass(frozen=True)
class StudyCost:
    """Memory (MB) of the largest participant, and disk (MB) of all output."""

    memory_mb: int
    disk_mb: int


def study_cost(
    participants: Sequence[ParticipantFiles],
    samples: Collection[SampleSpec],
    counters: Collection[VolumeCounter] = (),
) -> StudyCost:
    """Estimate what participants need.

    A run is read in blocks and cleaned in place; a model of it takes as much again. The samples of
    all runs stay, and analyses scale a copy of them. Analyses follow one another, so that the one
    that keeps the most volumes counts; on disk all of them do.

    Parameters
    ----------
    participants : sequence of ParticipantFiles
    samples : collection of SampleSpec
        Kinds of samples of the recipe.
    counters : collection of callable
        How many volumes each analysis keeps of a participant.
    """
    memory, disk = BASE_MB, 1
    for files in participants:
        shapes = [_shape(run.bold) for run in files.runs]
        volumes = [math.prod(shape[:3]) * 4 / 2**20 for shape in shapes]
        lengths = [
            math.prod(shape[3:]) * len(run.volume_files)
            for run, shape in zip(files.runs, shapes, strict=True)
        ]
        largest = max((one * n for one, n in zip(volumes, lengths, strict=True)), default=0)
        kept = sum(
            one * (n * len(samples) if run.images else _n_samples(run.events, n, samples))
            for run, one, n in zip(files.runs, volumes, lengths, strict=True)
        )
        sizes = [
            RunSize(run.entities, n, run.repetition_time)
            for run, n in zip(files.runs, lengths, strict=True)
        ]
        counts = [counter(sizes) for counter in counters]
        volume = max(volumes, default=0)
        held = max(counts, default=0) * volume
        need = BRAIN_FRACTION * (MODEL_COPIES * largest + 2 * kept + held)
        memory = max(memory, BASE_MB + math.ceil(need))
        disk += math.ceil((MAPS_PER_PARTICIPANT + sum(counts)) * volume * BRAIN_FRACTION) + 2
    return StudyCost(memory, disk)


def processes_that_fit(
    settings: Settings,
    participants: Sequence[ParticipantFiles],
    samples: Collection[SampleSpec],
    counters: Collection[VolumeCounter] = (),
) -> int:
    """Return how many participants may be in work at once within ``--mem``; at least one."""
    if settings.memory_mb is None or not participants:
        return settings.nprocs
    fits = settings.memory_mb // study_cost(participants, samples, counters).memory_mb
    return max(1, min(settings.nprocs, fits))


def _n_samples(events: Path | None, n_volumes: int, samples: Collection[SampleSpec]) -> int:
    """Return how many samples a run has at most, of all kinds together."""
    try:
        n_events = events.read_bytes().count(b"\n") if events is not None else 0
    except OSError:  # reported where it is read
        n_events = 0
    return sum(min(n_volumes, _per_event(spec, n_volumes) * n_events) for spec in samples)


def _per_event(spec: SampleSpec, n_volumes: int) -> int:
    if spec.kind != "volumes":
        return 1
    return n_volumes if spec.count is None else spec.count


def _shape(path: Path) -> tuple[int, ...]:
    import nibabel

    try:
        return tuple(nibabel.load(path).shape)
    except Exception:  # unreadable images are reported where they are read
        return (0,)
