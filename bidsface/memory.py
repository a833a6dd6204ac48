"""How much memory and disk a run will take, estimated from image headers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsface.files import ParticipantFiles
from bidsface.settings import Settings

BRAIN_FRACTION = 0.35
"""Part of a bounding box in MNI space that is brain, rounded up."""

BASE_MB = 600
"""A process with its libraries loaded."""

MAPS_PER_PARTICIPANT = 12
"""Float images of the size of one volume that a participant's output holds, after compression."""


@dataclass(frozen=True)
class StudyCost:
    """Memory (MB) of the largest participant, and disk (MB) of all output."""

    memory_mb: int
    disk_mb: int


def study_cost(participants: Sequence[ParticipantFiles]) -> StudyCost:
    """Estimate what participants need.

    A run is read whole (float32) and masked twice, before and after cleaning; of all runs the
    samples are kept, at most as much as the masked runs.
    """
    memory, disk = BASE_MB, 1
    for files in participants:
        shapes = [_shape(run.bold) for run in files.runs]
        sizes = [math.prod(shape) * 4 / 2**20 for shape in shapes]
        need = max(sizes, default=0) * (1 + 2 * BRAIN_FRACTION) + sum(sizes) * BRAIN_FRACTION
        memory = max(memory, BASE_MB + math.ceil(need))
        volume = max((math.prod(shape[:3]) * 4 / 2**20 for shape in shapes), default=0)
        disk += math.ceil(MAPS_PER_PARTICIPANT * volume * BRAIN_FRACTION) + 2
    return StudyCost(memory, disk)


def processes_that_fit(settings: Settings, participants: Sequence[ParticipantFiles]) -> int:
    """Return how many participants may be in work at once within ``--mem``; at least one."""
    if settings.memory_mb is None or not participants:
        return settings.nprocs
    fits = settings.memory_mb // study_cost(participants).memory_mb
    return max(1, min(settings.nprocs, fits))


def _shape(path: Path) -> tuple[int, ...]:
    import nibabel

    try:
        return tuple(nibabel.load(path).shape)
    except Exception:  # unreadable images are reported where they are read
        return (0,)
