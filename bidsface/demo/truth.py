"""The truth about a synthetic study, written beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsface.demo.anatomy import STRUCTURES, Anatomy, structure_mask
from bidsface.demo.images import write_json, write_table
from bidsface.demo.patterns import CONTROL, MAPPED, PLANTED, SHARED, TASKS
from bidsface.demo.simulation import (
    NOISE_SHARE,
    FacesDesign,
    RunSummary,
    SyntheticParticipant,
)
from bidsface.demo.study_folder import writer_of
from bidsface.demo.trials import EXPRESSIONS

STUDY = "faces"
PLANS = {
    **dict.fromkeys(SHARED, "shared"),
    **dict.fromkeys(MAPPED, "mapped"),
    **dict.fromkeys(CONTROL, "none"),
}
EXPLANATIONS = {
    "shared": "Both tasks have the same class patterns, drawn for each participant.",
    "mapped": (
        "Each task has its own class patterns, orthogonal to the other's. "
        "observe = display @ R.T, up to the tasks' strength, with R = Q P Q.T: Q a random "
        "orthogonal matrix of the participant's region, P a cyclic shift by three axes. "
        "What is peculiar to a single trial is mapped by the same R."
    ),
    "none": "No response and no pattern; the labels are in the signal only through movement.",
}


@dataclass(frozen=True)
class ParticipantTruth:
    """What is true of one participant.

    Attributes
    ----------
    label : str
    regions : list of dict
        Rows of `regions.tsv`.
    patterns : DataFrame
        Region, voxel, and the pattern of every task and expression.
    movement : dict
        Mean framewise displacement by task (mm), and mean movement with each expression.
    """

    label: str
    regions: list[dict[str, Any]]
    patterns: pd.DataFrame
    movement: dict[str, Any]


def participant_truth(
    participant: SyntheticParticipant, anatomy: Anatomy, runs: Sequence[RunSummary]
) -> ParticipantTruth:
    """Collect what was planted in a participant and how it compares with the noise."""
    noise = {task: np.mean([r.noise_sd for r in runs if r.task == task], axis=0) for task in TASKS}
    rows = []
    for name, structures in {**PLANTED, **CONTROL}.items():
        row: dict[str, Any] = {"participant_id": f"sub-{participant.label}", "region": name}
        row["plan"] = PLANS[name]
        row["n_voxels"] = int(structure_mask(participant.aparcaseg, structures).sum())
        for task in TASKS:
            row[f"snr_{task}"] = _snr(participant, name, task, noise[task])
        rows.append(row)
    movement = {
        "framewise_displacement_mm": {
            task: round(float(np.mean([r.mean_fd for r in runs if r.task == task])), 4)
            for task in TASKS
        },
        "display_habits_mm": {
            expression: [round(float(value), 4) for value in habit]
            for expression, habit in zip(EXPRESSIONS, participant.habits["display"], strict=True)
        },
    }
    return ParticipantTruth(participant.label, rows, _patterns(participant, anatomy), movement)


def write_truth(folder: Path, design: FacesDesign, truths: Sequence[ParticipantTruth]) -> None:
    """Write `truth.json`, `regions.tsv` and every participant's patterns."""
    regions = pd.DataFrame([row for truth in truths for row in truth.regions])
    write_table(folder / "regions.tsv", regions, digits=4)
    for truth in truths:
        path = folder / f"sub-{truth.label}_patterns.tsv"
        write_table(path, truth.patterns, digits=5)
    write_json(folder / "truth.json", _summary(design, regions, truths))


def read_snr(folder: Path) -> dict[str, dict[str, float]]:
    """Return the mean signal-to-noise ratio of every region and task from a `truth` folder."""
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    return {name: region["snr"] for name, region in truth["regions"].items()}


def _snr(participant: SyntheticParticipant, name: str, task: str, noise: np.ndarray) -> float:
    planted = participant.planted.get(name)
    if planted is None:
        return 0.0
    ratio = planted.patterns[task].std(axis=1).mean() / noise[planted.voxels].mean()
    return float(ratio)


def _patterns(participant: SyntheticParticipant, anatomy: Anatomy) -> pd.DataFrame:
    indices = np.argwhere(anatomy.brain)
    parts = []
    for name, planted in participant.planted.items():
        part = pd.DataFrame(indices[planted.voxels], columns=["i", "j", "k"])
        part.insert(0, "region", name)
        for task in TASKS:
            for expression, pattern in zip(EXPRESSIONS, planted.patterns[task], strict=True):
                part[f"{task}_{expression}"] = pattern
        parts.append(part)
    return pd.concat(parts)


def _summary(
    design: FacesDesign, regions: pd.DataFrame, truths: Sequence[ParticipantTruth]
) -> dict[str, Any]:
    means = regions.groupby("region", sort=False)[["n_voxels", "snr_display", "snr_observe"]].mean()
    labels = {item.name: item.index for item in STRUCTURES}
    entries = {
        name: {
            "plan": PLANS[name],
            "structures": list(structures),
            "labels": [index for structure in structures for index in labels[structure]],
            "mean_voxels": round(float(means.loc[name, "n_voxels"]), 1),  # type: ignore[arg-type]
            "snr": {task: round(float(means.loc[name, f"snr_{task}"]), 4) for task in TASKS},  # type: ignore[arg-type]
        }
        for name, structures in {**PLANTED, **CONTROL}.items()
    }
    return {
        "generated_by": writer_of(STUDY),
        "design": design.as_dict(),
        "classes": list(EXPRESSIONS),
        "tasks": list(TASKS),
        "labels_shuffled": design.shuffle_labels,
        "plans": EXPLANATIONS,
        "regions": entries,
        "units": {
            "snr": "standard deviation of the class patterns over voxels, at the peak of one "
            "trial's haemodynamic response, divided by the temporal standard deviation of one "
            "volume's noise after regressing out six motion parameters, a line and cosines",
            "patterns": f"standard deviations of the white-spectrum noise, {NOISE_SHARE:.0%} "
            "of a voxel's baseline",
        },
        "movement": {f"sub-{truth.label}": truth.movement for truth in truths},
    }
