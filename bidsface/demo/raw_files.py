"""The raw part of a synthetic study: events, participants, and images kept small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface import __version__
from bidsface.demo.anatomy import Anatomy
from bidsface.demo.images import write_image, write_json, write_table
from bidsface.demo.simulation import SyntheticRun
from bidsface.demo.trials import REPETITION_TIME
from bidsface.demo.visits import Visit

BIDS_VERSION = "1.10.0"
BLOCK = 3
"""Voxels of the preprocessed grid along each edge of a raw voxel."""


@dataclass(frozen=True)
class TaskText:
    """What a data set says of a task.

    Attributes
    ----------
    name : str
    instructions : str
        To the participants.
    columns : mapping of str to mapping
        Descriptions of the columns of its events.
    """

    name: str
    instructions: str
    columns: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class StudyText:
    """What a data set says of itself.

    Attributes
    ----------
    name, readme : str
    tasks : mapping of str to TaskText
    repetition_time : float
        s.
    """

    name: str
    readme: str
    tasks: Mapping[str, TaskText]
    repetition_time: float = REPETITION_TIME


def write_raw_root(root: Path, text: StudyText) -> None:
    """Write what describes the data set."""
    description = {
        "Name": text.name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["bidsface-demo"],
        "GeneratedBy": [{"Name": "bidsface-demo", "Version": __version__}],
    }
    write_json(root / "dataset_description.json", description)
    (root / "README.md").write_text(text.readme, encoding="utf-8")
    for task, about in text.tasks.items():
        write_json(root / f"task-{task}_events.json", about.columns)
        sidecar = {
            "TaskName": about.name,
            "Instructions": about.instructions,
            "RepetitionTime": text.repetition_time,
        }
        write_json(root / f"task-{task}_bold.json", sidecar)


def write_derivative_description(root: Path, name: str, how: str) -> None:
    """Write ``dataset_description.json`` of a derivative that lies in ``derivatives/NAME``.

    Parameters
    ----------
    root : Path
    name : str
        Of the data set.
    how : str
        What was done, and was not.
    """
    description = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": "CC0",
        "GeneratedBy": [
            {"Name": "bidsface-demo", "Version": __version__, "Description": how},
        ],
        "SourceDatasets": [{"URL": "../.."}],
        "DatasetLinks": {"raw": "../.."},
    }
    write_json(root / "dataset_description.json", description)


def write_participants(root: Path, labels: Sequence[str], rng: np.random.Generator) -> None:
    """Write the table of the participants, with invented ages and sexes."""
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{label}" for label in labels],
            "age": rng.integers(20, 40, len(labels)),
            "sex": rng.choice(["F", "M"], len(labels)),
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


def write_raw_anatomy(root: Path, visit: Visit, anatomy: Anatomy, rng: np.random.Generator) -> None:
    """Write a T1-weighted image: the template and noise."""
    name = root / visit.folder / f"anat/{visit.stem}_T1w"
    image = 1000 * anatomy.t1w + rng.normal(20, 10, anatomy.t1w.shape)
    write_image(name.with_suffix(".nii.gz"), np.clip(image, 0, None), anatomy.affine, step=1.0)
    write_json(name.with_suffix(".json"), {"Modality": "MR", "MagneticFieldStrength": 3})


def write_raw_run(root: Path, anatomy: Anatomy, visit: Visit, run: SyntheticRun) -> None:
    """Write a run's events and a coarse image of it."""
    folder, stem = root / visit.folder / "func", visit.run(run.task, run.number)
    write_table(folder / f"{stem}_events.tsv", run.trials)
    volumes, affine = _block_means(run.data, anatomy)
    path, repetition_time = folder / f"{stem}_bold.nii.gz", run.repetition_time
    write_image(path, volumes, affine, step=1.0, repetition_time=repetition_time)


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
