"""The preprocessed part of a synthetic study, in the names and folders of fMRIPrep's output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.demo.anatomy import (
    STRUCTURES,
    TISSUE_LABELS,
    Anatomy,
    subcortical_segmentation,
)
from bidsface.demo.confound_table import confound_table
from bidsface.demo.images import write_image, write_json, write_table
from bidsface.demo.raw_files import write_derivative_description
from bidsface.demo.simulation import UNSTEADY_VOLUMES, SyntheticRun
from bidsface.demo.visits import Visit

DERIVATIVE = Path("derivatives/fmriprep")
"""Folder of the derivative in a raw data set."""
SPACE = "space-MNI152NLin2009cAsym"
BOLD_STEP = 0.5
"""Difference between neighbouring stored values; the noise deviates by about 10."""
PROBABILITY_STEP = 1 / 4096
IGNORED = ("*_desc-confounds_timeseries.*", "*_boldref.*")
README = """# Synthetic data in the layout of fMRIPrep's output

`bidsface-demo` drew these data from random numbers, in the space of the MNI152 template. They
have the names, folders, sidecars and confounds that fMRIPrep writes, so that whatever reads
fMRIPrep's output reads them; fMRIPrep itself was not run. The template is the ICBM 2009a one that
nilearn ships; it differs from MNI152NLin2009cAsym by less than a voxel of these images.
"""


def write_preprocessed_root(root: Path) -> None:
    """Write what describes the derivative, and the tables of the segmentations' labels."""
    write_derivative_description(
        root,
        "bidsface-demo synthetic data in the fMRIPrep layout",
        "Synthetic data in the fMRIPrep layout; fMRIPrep was not run.",
    )
    (root / ".bidsignore").write_text("\n".join(IGNORED) + "\n", encoding="utf-8")
    (root / "README.md").write_text(README, encoding="utf-8")
    labels = dict([*TISSUE_LABELS, *(pair for item in STRUCTURES for pair in item.labels)])
    for name in ("aparcaseg", "aseg"):
        rows = sorted((i, label) for i, label in labels.items() if name == "aparcaseg" or i < 1000)
        write_table(root / f"desc-{name}_dseg.tsv", pd.DataFrame(rows, columns=["index", "name"]))


def write_preprocessed_anatomy(
    root: Path, visit: Visit, anatomy: Anatomy, rng: np.random.Generator
) -> None:
    """Write a participant's normalized T1-weighted image, brain mask and tissue fractions.

    Parameters
    ----------
    root : Path
        Of the derivative.
    visit : Visit
        The one that the T1-weighted image is from.
    anatomy : Anatomy
        On the anatomical grid, which is finer than the BOLD runs'.
    rng : numpy.random.Generator
    """
    folder = root / f"sub-{visit.label}/anat"
    stem = f"sub-{visit.label}_{SPACE}"
    sources = {"Sources": [f"bids:raw:{visit.folder.as_posix()}/anat/{visit.stem}_T1w.nii.gz"]}
    t1w = np.where(
        anatomy.brain,
        np.clip(1000 * anatomy.t1w + rng.normal(0, 10, anatomy.t1w.shape), 0, None),
        0,
    )
    write_image(folder / f"{stem}_desc-preproc_T1w.nii.gz", t1w, anatomy.affine, step=1.0)
    write_json(folder / f"{stem}_desc-preproc_T1w.json", {"SkullStripped": True, **sources})
    mask = anatomy.brain.astype(np.uint8)
    write_image(folder / f"{stem}_desc-brain_mask.nii.gz", mask, anatomy.affine)
    write_json(folder / f"{stem}_desc-brain_mask.json", {"Type": "Brain", **sources})
    for tissue, values in (("GM", anatomy.grey), ("WM", anatomy.white), ("CSF", anatomy.csf)):
        name = f"{stem}_label-{tissue}_probseg.nii.gz"
        write_image(folder / name, values, anatomy.affine, step=PROBABILITY_STEP)


def write_preprocessed_run(
    root: Path,
    anatomy: Anatomy,
    visit: Visit,
    aparcaseg: NDArray[np.int16],
    run: SyntheticRun,
    task_name: str,
) -> None:
    """Write everything that fMRIPrep writes for a run in one space."""
    folder, stem = root / visit.folder / "func", visit.run(run.task, run.number)
    source = {"Sources": [f"bids:raw:{visit.folder.as_posix()}/func/{stem}_bold.nii.gz"]}
    timing = {
        "RepetitionTime": run.repetition_time,
        "StartTime": run.repetition_time / 2,
        "SliceTimingCorrected": True,
        "SkullStripped": True,
        "TaskName": task_name,
    }
    images: tuple[tuple[str, NDArray, dict[str, Any], dict[str, Any]], ...] = (
        (
            "desc-preproc_bold",
            volumes(run, anatomy),
            {"step": BOLD_STEP, "repetition_time": run.repetition_time},
            {**timing, **source},
        ),
        ("boldref", reference(run, anatomy), {"step": BOLD_STEP}, source),
        ("desc-brain_mask", run.mask.astype(np.uint8), {}, {"Type": "Brain", **source}),
        ("desc-aparcaseg_dseg", aparcaseg, {}, source),
        ("desc-aseg_dseg", subcortical_segmentation(aparcaseg), {}, source),
    )
    for name, values, storage, sidecar in images:
        path = folder / f"{stem}_{SPACE}_{name}.nii.gz"
        write_image(path, values, anatomy.affine, **storage)
        write_json(path.with_name(f"{stem}_{SPACE}_{name}.json"), sidecar)
    table, description = confound_table(
        run.data, anatomy, run.parameters, UNSTEADY_VOLUMES, run.repetition_time
    )
    write_table(folder / f"{stem}_desc-confounds_timeseries.tsv", table)
    write_json(folder / f"{stem}_desc-confounds_timeseries.json", description)


def volumes(run: SyntheticRun, anatomy: Anatomy) -> NDArray[np.float32]:
    """Return the run as volumes (x, y, z, t), zero outside of its brain mask."""
    filled = np.zeros((*anatomy.brain.shape, len(run.data)), dtype=np.float32)
    filled[anatomy.brain] = run.data.T
    filled[~run.mask] = 0
    return filled


def reference(run: SyntheticRun, anatomy: Anatomy) -> NDArray[np.float32]:
    """Return the mean volume of the steady state."""
    filled = np.zeros(anatomy.brain.shape, dtype=np.float32)
    filled[anatomy.brain] = run.data[UNSTEADY_VOLUMES:].mean(axis=0)
    return np.where(run.mask, filled, 0)
