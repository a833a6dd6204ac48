"""The raw part of a synthetic study: events, participants, and images kept small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface import __version__
from bidsface.demo.anatomy import Anatomy
from bidsface.demo.images import write_image, write_json, write_table
from bidsface.demo.simulation import SESSIONS, FacesDesign, SyntheticParticipant, SyntheticRun
from bidsface.demo.trials import REPETITION_TIME

BIDS_VERSION = "1.10.0"
BLOCK = 3
"""Voxels of the preprocessed grid along each edge of a raw voxel."""
README = """# Synthetic faces study

Nobody was scanned. `bidsface-demo` drew these data from random numbers, with known patterns in
known regions; what was planted is described in `truth.json`, in the folder `truth` beside this
data set.

Participants display joy, anger and disgust in one session (task `display`) and observe them in
another (task `observe`). Catch trials of the observing task have no expression: their
`trial_type` is `n/a`.

The data that are meant to be analysed are in `derivatives/fmriprep`, in the layout of fMRIPrep's
output. The images here only make the data set complete: the BOLD runs are those same series,
averaged over blocks of voxels, and the T1-weighted images are the MNI152 template with noise.
fMRIPrep was not run, and running it on these images is of no use.
"""
EVENT_COLUMNS = {
    "onset": {"Description": "Start of the event after the first volume.", "Units": "s"},
    "duration": {"Description": "Duration of the event.", "Units": "s"},
    "trial_type": {
        "LongName": "Expression",
        "Description": "Facial expression of the trial; n/a in catch trials.",
        "Levels": {
            "joy": "A joyful expression",
            "anger": "An angry expression",
            "disgust": "A disgusted expression",
        },
    },
    "trial_kind": {
        "Description": "What kind of trial it is.",
        "Levels": {"expression": "A trial with an expression", "catch": "A trial without one"},
    },
}
INSTRUCTIONS = {
    "display": "After the beep, pose the expression until the second beep.",
    "observe": "Watch the clips of facial expressions; press the button when there is no face.",
}
TASK_NAMES = {"display": "Displaying expressions", "observe": "Observing expressions"}


def write_raw_root(root: Path, design: FacesDesign) -> None:
    """Write what describes the data set."""
    description = {
        "Name": "Synthetic faces study with planted truth",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["bidsface-demo"],
        "GeneratedBy": [{"Name": "bidsface-demo", "Version": __version__}],
    }
    write_json(root / "dataset_description.json", description)
    (root / "README.md").write_text(README, encoding="utf-8")
    for task in SESSIONS:
        write_json(root / f"task-{task}_events.json", EVENT_COLUMNS)
        sidecar = {
            "TaskName": TASK_NAMES[task],
            "Instructions": INSTRUCTIONS[task],
            "RepetitionTime": REPETITION_TIME,
        }
        write_json(root / f"task-{task}_bold.json", sidecar)
    _write_participants(root, design)


def write_raw_anatomy(root: Path, label: str, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Write a T1-weighted image: the template and noise."""
    name = root / f"sub-{label}/ses-1/anat/sub-{label}_ses-1_T1w"
    image = 1000 * anatomy.t1w + rng.normal(20, 10, anatomy.t1w.shape)
    write_image(name.with_suffix(".nii.gz"), np.clip(image, 0, None), anatomy.affine, step=1.0)
    write_json(name.with_suffix(".json"), {"Modality": "MR", "MagneticFieldStrength": 3})


def write_raw_run(
    root: Path, anatomy: Anatomy, participant: SyntheticParticipant, run: SyntheticRun
) -> None:
    """Write a run's events and a coarse image of it."""
    session = SESSIONS[run.task]
    folder = root / f"sub-{participant.label}/ses-{session}/func"
    stem = f"sub-{participant.label}_ses-{session}_task-{run.task}_run-{run.number}"
    write_table(folder / f"{stem}_events.tsv", run.trials)
    volumes, affine = _block_means(run.data, anatomy)
    write_image(
        folder / f"{stem}_bold.nii.gz", volumes, affine, step=1.0, repetition_time=REPETITION_TIME
    )


def _write_participants(root: Path, design: FacesDesign) -> None:
    rng = np.random.default_rng([design.seed, 0])
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{label}" for label in design.labels],
            "age": rng.integers(20, 40, design.participants),
            "sex": rng.choice(["F", "M"], design.participants),
        }
    )
    write_table(root / "participants.tsv", table)
    columns = {
        "age": {"Description": "Invented age of the participant.", "Units": "year"},
        "sex": {
            "Description": "Invented sex of the participant.",
            "Levels": {"F": "female", "M": "male"},
        },
    }
    write_json(root / "participants.json", columns)


def _block_means(
    data: NDArray[np.float32], anatomy: Anatomy
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Average a run (t, p) over blocks of voxels; outside of the brain it is zero."""
    sizes = [-(-size // BLOCK) for size in anatomy.brain.shape]
    block = np.argwhere(anatomy.brain) // BLOCK
    flat = np.ravel_multi_index(tuple(block.T), tuple(sizes))
    sums = np.stack([np.bincount(flat, volume, minlength=int(np.prod(sizes))) for volume in data])
    volumes = (sums / BLOCK**3).T.reshape(*sizes, len(data)).astype(np.float32)
    affine = anatomy.affine.copy()
    affine[:3, 3] += (BLOCK - 1) / 2 * anatomy.voxel_size
    affine[:3, :3] *= BLOCK
    return volumes, affine
