"""The films of the pain study, as a derivative in the columns of OpenFace's output."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bidsface.demo.images import write_series
from bidsface.demo.pain.action_units import DETECTED, FRAME_RATE, RATED, START
from bidsface.demo.pain.design import TASK
from bidsface.demo.raw_files import write_derivative_description
from bidsface.demo.visits import Visit

DERIVATIVE = Path("derivatives/openface")
"""Folder of the derivative in a raw data set."""
README = """# Synthetic action units in the columns of OpenFace's output

`bidsface-demo` drew these series from random numbers. They have the columns that OpenFace 2 writes
for a film (Baltrusaitis et al. 2018, 13th IEEE Conference on Automatic Face and Gesture
Recognition, 59-66); nobody was filmed, and OpenFace was not run. What a face does in a painful
trial fits the trial's score, the column `facs` of the events, but for some facial actions that are
missed, some that are not there, and frames in which the face is lost.
"""
COLUMNS = {
    "frame": {"Description": "Number of the frame, from 1."},
    "timestamp": {"Description": "Time since the first frame.", "Units": "s"},
    "confidence": {"Description": "How sure it is that the face was found, from 0 to 1."},
    "success": {
        "Description": "Whether the face was found.",
        "Levels": {"0": "no", "1": "yes; the other columns hold"},
    },
    **{
        f"{unit}_r": {"Description": f"Intensity of action unit {int(unit[2:])}, from 0 to 5."}
        for unit in RATED
    },
    **{
        f"{unit}_c": {
            "Description": f"Whether action unit {int(unit[2:])} is present.",
            "Levels": {"0": "absent", "1": "present"},
        }
        for unit in DETECTED
    },
}


def write_openface_root(root: Path) -> None:
    """Write what describes the derivative."""
    write_derivative_description(
        root,
        "bidsface-demo synthetic action units in the columns of OpenFace's output",
        "Synthetic data in OpenFace's columns; OpenFace was not run.",
    )
    (root / "README.md").write_text(README, encoding="utf-8")


def write_film(root: Path, visit: Visit, number: int, table: pd.DataFrame) -> None:
    """Write the action units of a run's film."""
    name = f"{visit.run(TASK, number)}_recording-openface_physio.tsv.gz"
    content = {
        "Description": "Facial action units by frame of the film, in the columns of OpenFace 2.",
        "SamplingFrequency": FRAME_RATE,
        "StartTime": START,
        "PhysioType": "generic",
        **COLUMNS,
    }
    write_series(root / visit.folder / "func" / name, table, content)
