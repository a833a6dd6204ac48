"""Tiny runs in fMRIPrep's naming, for the tests of reading and cleaning."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bidsface.files import ParticipantFiles, Run
from bidsface.recipe import Recipe

SHAPE = (5, 4, 3)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
AFFINE[:3, 3] = (-6.0, -4.5, -3.0)
TR = 2.0
CLASSES = ("anger", "disgust", "joy")


def save(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def confounds_table(n_volumes: int, seed: int = 0) -> pd.DataFrame:
    """Motion columns in fMRIPrep's sense, white matter and csf, and framewise displacement."""
    rng = np.random.default_rng(seed)
    table = {}
    for name in ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"):
        values = np.cumsum(rng.normal(0, 0.02, n_volumes))
        derivative = np.r_[np.nan, np.diff(values)]
        table |= {
            name: values,
            f"{name}_derivative1": derivative,
            f"{name}_power2": values**2,
            f"{name}_derivative1_power2": derivative**2,
        }
    table["white_matter"] = 100 + rng.normal(size=n_volumes)
    table["csf"] = 200 + rng.normal(size=n_volumes)
    table["framewise_displacement"] = np.r_[np.nan, rng.uniform(0.05, 0.2, n_volumes - 1)]
    return pd.DataFrame(table)


def events_table(n_trials: int = 9, spacing: float = 12.0, duration: float = 4.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "onset": 6.0 + spacing * np.arange(n_trials),
            "duration": duration,
            "trial_type": [CLASSES[i % 3] for i in range(n_trials)],
        }
    )


def write_tsv(path: Path, table: pd.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    return path


def make_run(
    folder: Path,
    run: str = "1",
    values: np.ndarray | None = None,
    *,
    task: str = "display",
    events: pd.DataFrame | None = None,
    confounds: pd.DataFrame | None = None,
    mask: np.ndarray | None = None,
    affine: np.ndarray = AFFINE,
    n_volumes: int = 64,
    space: str | None = None,
    start_time: float = 0.0,
    tr: float = TR,
) -> Run:
    """Write a run of noise (or of given values) and return its description."""
    if values is None:
        rng = np.random.default_rng(int(run))
        values = 1000 + rng.normal(0, 10, (*SHAPE, n_volumes))
    values = values.astype(np.float32)
    entities = {"sub": "01", "task": task, "run": run} | ({"space": space} if space else {})
    stem = "_".join(f"{key}-{value}" for key, value in entities.items())
    plain = f"sub-01_task-{task}_run-{run}"
    mask = np.ones(values.shape[:3]) if mask is None else mask
    table = confounds_table(values.shape[3], int(run)) if confounds is None else confounds
    (folder / f"{plain}_desc-confounds_timeseries.json").write_text(json.dumps({}))
    return Run(
        bold=save(folder / f"{stem}_desc-preproc_bold.nii.gz", values, affine),
        entities=entities,
        repetition_time=tr,
        start_time=start_time,
        mask=save(folder / f"{stem}_desc-brain_mask.nii.gz", mask.astype(np.uint8), affine),
        confounds=write_tsv(folder / f"{plain}_desc-confounds_timeseries.tsv", table),
        events=write_tsv(
            folder / f"{plain}_events.tsv", events_table() if events is None else events
        ),
    )


def make_recipe(**parts: object) -> Recipe:
    """Return a recipe of single volumes in the brain mask, with some parts replaced."""
    return Recipe.model_validate(
        {
            "name": "small",
            "description": "small",
            "samples": {"volumes": {"kind": "volumes"}},
            "regions": {"brain": {"source": "brain-mask"}},
            "analyses": {},
        }
        | parts
    )


def haxby_files() -> ParticipantFiles:
    """Return the real slice of Haxby et al. (2001), or skip the test."""
    root = os.environ.get("BIDSFACE_SHARED_DATA")
    if root is None:
        pytest.skip("BIDSFACE_SHARED_DATA is not set, so there are no real data to read")
    raw = Path(root) / "haxby2001-slice" / "bids" / "sub-01" / "func"
    func = Path(root) / "haxby2001-slice" / "fmriprep" / "sub-01" / "func"
    runs = []
    for number in range(1, 13):
        stem = f"sub-01_task-objectviewing_run-{number:02d}"
        runs.append(
            Run(
                bold=func / f"{stem}_desc-preproc_bold.nii.gz",
                entities={"sub": "01", "task": "objectviewing", "run": f"{number:02d}"},
                repetition_time=2.5,
                mask=func / f"{stem}_desc-brain_mask.nii.gz",
                confounds=func / f"{stem}_desc-confounds_timeseries.tsv",
                events=raw / f"{stem}_events.tsv",
            )
        )
    return ParticipantFiles("01", tuple(runs))
