"""Data sets of images that exist already, one per trial, for the tests of reading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from trees import MNI, describe, join, write
from volumes import AFFINE, SHAPE, write_tsv

from bidsface.files import Run

CLASSES = ("anger", "joy")
NATIVE = ""


def trial_events(n_trials: int, seed: int = 0) -> pd.DataFrame:
    """Events of two classes in random order, each with a name of its own."""
    labels = np.random.default_rng(seed).permutation(np.resize(CLASSES, n_trials))
    names = [f"trial_{number:03d}" for number in range(1, n_trials + 1)]
    onsets = 10.0 * np.arange(n_trials)
    return pd.DataFrame({"onset": onsets, "duration": 4.0, "trial_type": labels, "name": names})


def image_values(labels: Sequence[str], seed: int, amplitude: float = 3.0) -> np.ndarray:
    """Noise whose first slab follows the class: (*SHAPE, n_images)."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(99).normal(size=(len(CLASSES), *SHAPE[1:]))
    values = rng.normal(0, 1, (*SHAPE, len(labels)))
    for number, label in enumerate(labels):
        values[0, ..., number] += amplitude * patterns[CLASSES.index(label)]
    return values.astype(np.float32)


def save_image(path: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


@dataclass(frozen=True)
class ImageStudy:
    """A raw data set with events, and a derivative of single images as FitLins names them."""

    participants: Sequence[str] = ("01", "02")
    runs: Sequence[str] = ("1", "2", "3")
    n_trials: int = 8
    space: str = MNI
    four_dimensional: bool = False
    amplitude: float = 3.0
    folder: str = ""
    """Folder of the images within the participant's; FitLins has none."""

    def write(self, folder: Path) -> Path:
        """Write both data sets and return the root of the raw one."""
        raw = folder / "bids"
        describe(raw, Name="pain faces", DatasetType="raw")
        images = raw / "derivatives" / "fitlins"
        describe(images, Name="FitLins", DatasetType="derivative")
        for number, label in enumerate(self.participants):
            for run in self.runs:
                self._write_run(raw, images, label, run, 10 * number + int(run))
        return raw

    def _write_run(self, raw: Path, images: Path, label: str, run: str, seed: int) -> None:
        stem = f"sub-{label}_task-pain_run-{run}"
        events = trial_events(self.n_trials, seed)
        write_tsv(raw / f"sub-{label}" / "func" / f"{stem}_events.tsv", events)
        values = image_values(list(events["trial_type"]), seed, self.amplitude)
        own = images / f"sub-{label}" / self.folder
        named = join(stem, self.space and f"space-{self.space}")
        if self.four_dimensional:
            save_image(own / f"{named}_stat-effect_statmap.nii.gz", values)
            return
        for number, name in enumerate(events["name"]):
            contrast = name.replace("_", "")
            volume = values[..., number]
            save_image(own / f"{named}_contrast-{contrast}_stat-effect_statmap.nii.gz", volume)


def touch(root: Path, *names: str, folder: str = "sub-01/func") -> list[Path]:
    """Write empty files."""
    return [write(root / folder / name) for name in names]


def image_run(folder: Path, values: np.ndarray, events: pd.DataFrame | None, **changes) -> Run:
    """Return a run with one 3-D file per image, called contrast-trial1 and so on."""
    stem = "sub-01_task-pain_run-1"
    paths = tuple(
        save_image(folder / f"{stem}_contrast-trial{n}_stat-effect_statmap.nii.gz", volume)
        for n, volume in enumerate(np.moveaxis(values, 3, 0), start=1)
    )
    own = {
        "bold": paths[0],
        "entities": {"sub": "01", "task": "pain", "run": "1"},
        "repetition_time": float("nan"),
        "events": None if events is None else write_tsv(folder / f"{stem}_events.tsv", events),
        "images": paths,
    }
    return Run(**{**own, **changes})
