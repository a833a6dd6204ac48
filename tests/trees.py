"""Fake raw and fMRIPrep data sets: true names, sidecars and events, but empty images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidsface.dataset import Dataset, open_dataset
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles
from bidsface.recipe import Inputs
from bidsface.settings import Settings

MNI = "MNI152NLin2009cAsym"
EVENTS = "onset\tduration\ttrial_type\n10.0\t6.0\tjoy\n30.0\t6.0\tanger\n"
CONFOUNDS = "trans_x\ttrans_y\n0.0\t0.1\n"


@dataclass(frozen=True)
class Tree:
    """What to write; spaces are such as ``MNI152NLin2009cAsym_res-2``, native is empty."""

    participants: Sequence[str] = ("01", "02")
    sessions: Sequence[str] = ("",)
    tasks: Sequence[str] = ("display",)
    runs: Sequence[str] = ("1", "2")
    extra: str = ""
    """Further entities of every run, such as ``acq-fast`` (they stand before ``run``)."""
    echoes: Sequence[str] = ("",)
    raw_echoes: Sequence[str] = ("",)
    spaces: Sequence[str] = (MNI,)
    confounds: str = "timeseries"
    segmentations: bool = True
    anatomical_sessions: bool = False
    """Whether anatomical files lie in the first session's folder."""
    surfaces: bool = False
    figures: int = 0
    html: bool = False
    repetition_time: float | None = 2.0
    preproc: Mapping[str, Any] = field(default_factory=dict)
    """Further content of the preprocessed images' sidecars."""

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both data sets, the derivative inside the raw one; return their roots."""
        raw = folder / "bids"
        fmriprep = raw / "derivatives" / "fmriprep"
        self.write_raw(raw)
        self.write_fmriprep(fmriprep)
        return raw, fmriprep

    def write_raw(self, root: Path) -> None:
        describe(root, Name="fake faces", DatasetType="raw")
        rows = "".join(f"sub-{label}\t{20 + n}\n" for n, label in enumerate(self.participants))
        write(root / "participants.tsv", "participant_id\tage\n" + rows)
        for task in self.tasks:
            sidecar = {"TaskName": task}
            if self.repetition_time is not None:
                sidecar["RepetitionTime"] = self.repetition_time
            write(root / f"task-{task}_bold.json", json.dumps(sidecar))
        for folder, stem in self.scans(root):
            write(folder / f"{stem}_events.tsv", EVENTS)
            for echo in self.raw_echoes:
                write(folder / f"{join(stem, echo and f'echo-{echo}')}_bold.nii.gz")
        for label in self.participants:
            write(root / f"sub-{label}" / "anat" / f"sub-{label}_T1w.nii.gz")

    def write_fmriprep(self, root: Path) -> None:
        generated = [{"Name": "fMRIPrep", "Version": "24.1.1"}]
        describe(root, Name="fMRIPrep", DatasetType="derivative", GeneratedBy=generated)
        for folder, stem in self.scans(root):
            self._write_run(folder, stem)
        for label in self.participants:
            self._write_anatomy(root, label)
            for number in range(self.figures):
                write(root / f"sub-{label}" / "figures" / f"sub-{label}_desc-{number}_bold.svg")
            if self.html:
                write(root / f"sub-{label}.html")

    def scans(self, root: Path) -> Iterator[tuple[Path, str]]:
        """Yield the folder and the entities of every run."""
        for label in self.participants:
            for session in self.sessions:
                folder = root / f"sub-{label}"
                if session:
                    folder = folder / f"ses-{session}"
                for task in self.tasks:
                    for run in self.runs:
                        yield (
                            folder / "func",
                            join(
                                f"sub-{label}",
                                session and f"ses-{session}",
                                f"task-{task}",
                                self.extra,
                                run and f"run-{run}",
                            ),
                        )

    def _write_run(self, folder: Path, stem: str) -> None:
        table = f"{stem}_desc-confounds_{self.confounds}"
        write(folder / f"{table}.tsv", CONFOUNDS)
        write(folder / f"{table}.json", "{}")
        write(folder / f"{stem}_from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt")
        sidecar = {"SkullStripped": False, **self.preproc}
        if self.repetition_time is not None:
            sidecar["RepetitionTime"] = self.repetition_time
        for space in self.spaces:
            entity = space and f"space-{space}"
            for echo in self.echoes:
                named = join(stem, echo and f"echo-{echo}", entity)
                write(folder / f"{named}_desc-preproc_bold.nii.gz")
                write(folder / f"{named}_desc-preproc_bold.json", json.dumps(sidecar))
            named = join(stem, entity)
            write(folder / f"{named}_boldref.nii.gz")
            write(folder / f"{named}_desc-brain_mask.nii.gz")
            write(folder / f"{named}_desc-brain_mask.json", "{}")
            if space and self.segmentations:
                for desc in ("aparcaseg", "aseg"):
                    write(folder / f"{named}_desc-{desc}_dseg.nii.gz")
        if self.surfaces:
            for hemi in "LR":
                write(folder / f"{stem}_hemi-{hemi}_space-fsaverage_bold.func.gii")
            write(folder / f"{stem}_space-fsLR_den-91k_bold.dtseries.nii")

    def _write_anatomy(self, root: Path, label: str) -> None:
        folder, stem = root / f"sub-{label}", f"sub-{label}"
        if self.anatomical_sessions:
            folder, stem = folder / f"ses-{self.sessions[0]}", f"{stem}_ses-{self.sessions[0]}"
        spaces = ["", *(space for space in self.spaces if space not in {"", "T1w"})]
        for space in spaces:
            named = folder / "anat" / join(stem, space and f"space-{space}")
            for tissue in ("GM", "WM", "CSF"):
                write(Path(f"{named}_label-{tissue}_probseg.nii.gz"))
            for desc in ("preproc_T1w", "brain_mask"):
                write(Path(f"{named}_desc-{desc}.nii.gz"))
                write(Path(f"{named}_desc-{desc}.json"), "{}")
            write(Path(f"{named}_dseg.nii.gz"))
        for desc in ("aparcaseg", "aseg"):
            write(folder / "anat" / f"{stem}_desc-{desc}_dseg.nii.gz")
        for hemi in "LR":
            for surface in ("white", "pial", "midthickness", "inflated", "sphere"):
                write(folder / "anat" / f"{stem}_hemi-{hemi}_{surface}.surf.gii")


PLAIN = Tree(
    participants=("01", "02", "10"),
    sessions=("a", "b"),
    tasks=("display", "observe"),
    runs=("01", "02"),
    spaces=(MNI, "T1w", ""),
    html=True,
    figures=2,
)
"""A data set in which nothing is odd."""


def describe(root: Path, **content: object) -> None:
    """Write the description of a data set."""
    write(root / "dataset_description.json", json.dumps({"BIDSVersion": "1.10.0", **content}))


def join(*parts: str) -> str:
    """Join the parts of a file name that are not empty."""
    return "_".join(part for part in parts if part)


def write(path: Path, text: str = "") -> Path:
    """Write a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def settings(folder: Path, **changes: Any) -> Settings:
    """Return settings for a written tree."""
    own = {"bids_dir": folder / "bids", "output_dir": folder / "out", "levels": ("participant",)}
    return Settings(**{**own, **changes})


def opened(folder: Path, inputs: Inputs | None = None, **changes: Any) -> Dataset:
    """Open a written tree."""
    return open_dataset(settings(folder, **changes), inputs or Inputs())


def found(dataset: Dataset, label: str = "01") -> ParticipantFiles:
    """Return a participant's files."""
    outcome = dataset.files([label])[label]
    assert isinstance(outcome, ParticipantFiles), outcome
    return outcome


def refused(dataset: Dataset, label: str = "01") -> str:
    """Return why a participant has no files."""
    outcome = dataset.files([label])[label]
    assert isinstance(outcome, InputError), outcome
    return str(outcome)


def spelled(files: ParticipantFiles) -> list[str]:
    """Spell the entities of every run."""
    return [join(*(f"{k}-{v}" for k, v in run.entities.items())) for run in files.runs]


def files_of(root):
    """Relative path and hash of every file."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
