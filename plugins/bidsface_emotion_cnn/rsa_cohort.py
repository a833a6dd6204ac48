"""Participants' RDMs of a task, gathered from what the participant level wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, ParticipantResults
from bidsface_emotion_cnn.rsa_patterns import FEWEST_CLASSES

Floats = NDArray[np.float64]

NOT_IN_NAMES = ("sub", "desc", "label", "stat", "contrast", "space", "res")
"""Entities that the writer sets, or that are set anew."""


NOBODY = (
    f"no participant has an RDM: wanted {FEWEST_CLASSES} classes at least in the samples of a "
    "task, and a region whose voxels vary; the reports of the participants say what was found"
)


@dataclass(frozen=True, eq=False)
class RegionRdms:
    """RDMs of one region.

    Attributes
    ----------
    name : str
    labels : tuple of str
        Participants who have the region.
    rdms : ndarray of shape (n_participants, n_pairs)
    """

    name: str
    labels: tuple[str, ...]
    rdms: Floats


@dataclass(frozen=True, eq=False)
class Cohort:
    """RDMs of one task.

    Attributes
    ----------
    task : str
    labels : tuple of str
        Participants with the task.
    classes : tuple of str
        Those that all of them have.
    regions : tuple of RegionRdms
    entities : mapping
        That all of their tables share.
    notes : tuple of str
    """

    task: str
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    regions: tuple[RegionRdms, ...]
    entities: Entities
    notes: tuple[str, ...]


def read_cohorts(participants: Sequence[ParticipantResults]) -> tuple[list[Cohort], list[str]]:
    """Return the RDMs of every task, and notes on tasks that cannot be used."""
    table, entities = _read(participants)
    cohorts: list[Cohort] = []
    notes: list[str] = []
    if table.empty:
        return [], [NOBODY]
    for task, rows in table.groupby("task_name", sort=False):
        one = _cohort(str(task), rows, entities[str(task)])
        if isinstance(one, str):
            notes.append(one)
        else:
            cohorts.append(one)
    return cohorts, notes


def repetition_times(participants: Sequence[ParticipantResults]) -> dict[str, float]:
    """Return the repetition time (s) of every run of labelled volumes, by their names."""
    found: dict[str, float] = {}
    for one in participants:
        runs = one.table("runs")
        if len(runs):
            for block, step in zip(runs["block"], runs["repetition_time"], strict=True):
                found[f"sub-{one.key}, {block}"] = float(step)
    return found


def shared(entities: Sequence[Entities]) -> dict[str, str]:
    """Return the entities that all have in common, but for those that are set anew."""
    common = set.intersection(*(set(own.items()) for own in entities))
    return {
        key: value
        for key, value in entities[0].items()
        if (key, value) in common and key not in NOT_IN_NAMES
    }


def _read(
    participants: Sequence[ParticipantResults],
) -> tuple[pd.DataFrame, dict[str, list[Entities]]]:
    """Return all dissimilarities, and the entities of the tables of every task."""
    frames: list[pd.DataFrame] = []
    entities: dict[str, list[Entities]] = {}
    for one in participants:
        for stored in one.tables:
            if stored.suffix != "dissimilarities":
                continue
            frame = stored.load().dropna(subset=["value"])
            names = ["task_name", "roi_name", "class_1", "class_2"]
            frame = frame.astype(dict.fromkeys(names, str)).assign(participant_id=one.key)
            frames.append(frame)
            for task in frame["task_name"].unique():
                entities.setdefault(task, []).append(stored.entities)
    filled = [frame for frame in frames if len(frame)]
    return (pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()), entities


def _cohort(task: str, rows: pd.DataFrame, entities: Sequence[Entities]) -> Cohort | str:
    """Return the RDMs of a task, or why there are none."""
    labels = tuple(dict.fromkeys(rows["participant_id"]))
    own = {
        str(label): set(part["class_1"]) | set(part["class_2"])
        for label, part in rows.groupby("participant_id", sort=False)
    }
    common, every = set.intersection(*own.values()), set.union(*own.values())
    classes = tuple(sorted(common))
    if len(classes) < FEWEST_CLASSES:
        return (
            f"task {task}: all {len(labels)} participants share {len(classes)} classes "
            f"({', '.join(classes) or 'none'}), {FEWEST_CLASSES} at least are needed"
        )
    notes: list[str] = []
    for name in sorted(every - common):
        lacking = ", ".join(label for label, having in own.items() if name not in having)
        notes.append(
            f"task {task}: only classes that all participants have were used, without {name} "
            f"(lacking in {lacking})"
        )
    regions = tuple(_regions(rows, classes))
    for region in regions:
        if len(region.labels) < len(labels):
            notes.append(
                f"task {task}: {region.name} has RDMs of {len(region.labels)} of {len(labels)} "
                "participants"
            )
    return Cohort(task, labels, classes, regions, shared(entities), tuple(notes))


def _regions(rows: pd.DataFrame, classes: Sequence[str]) -> Iterator[RegionRdms]:
    pairs = list(combinations(classes, 2))
    # Participants may have their classes in another order.
    for name, part in rows.groupby("roi_name", sort=False):
        labels: list[str] = []
        rdms: list[list[float]] = []
        for label, own in part.groupby("participant_id", sort=False):
            values = {
                frozenset((first, second)): value
                for first, second, value in zip(
                    own["class_1"], own["class_2"], own["value"], strict=True
                )
            }
            rdm = [values.get(frozenset(pair), np.nan) for pair in pairs]
            if np.isfinite(rdm).all():
                labels.append(str(label))
                rdms.append(rdm)
        if rdms:
            yield RegionRdms(str(name), tuple(labels), np.array(rdms, np.float64))
