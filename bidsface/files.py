"""The files of one participant that a run reads: values only, made by `dataset/matching.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One preprocessed BOLD run, or the images of one, and the files that belong to it.

    Attributes
    ----------
    bold : Path
        The series of volumes; of a run of ``images`` the first of them.
    entities : mapping
        BIDS entities by their short key (``sub``, ``ses``, ``task``, ``acq``, ``run``, ``space``,
        ``res``, ...) in BIDS order, ``desc`` left out, values spelled as in the file name.
    repetition_time : float
        s; NaN for a run of ``images``.
    start_time : float
        Time (s) of the sample that a volume stands for after the volume's start: sidecar
        ``StartTime`` (fMRIPrep's slice timing correction), else 0.
    mask, confounds, events : Path or None
    segmentations : mapping of str to Path
        ``aparcaseg`` and ``aseg`` images in the space of the BOLD run, on its grid or another.
    images : tuple of Path
        Images that exist already, in order, where these stand in for a series of volumes: each
        file holds one volume per trial, or several.
    """

    bold: Path
    entities: Mapping[str, str]
    repetition_time: float
    start_time: float = 0.0
    mask: Path | None = None
    confounds: Path | None = None
    events: Path | None = None
    segmentations: Mapping[str, Path] = field(default_factory=dict)
    images: tuple[Path, ...] = ()

    @property
    def volume_files(self) -> tuple[Path, ...]:
        """The files that hold the volumes, in order."""
        return self.images or (self.bold,)

    @property
    def block(self) -> str:
        """Name of the run within its participant, such as ``ses-1_task-display_run-2``."""
        hidden = ("sub", "space", "cohort", "res")
        return "_".join(
            f"{key}-{value}" for key, value in self.entities.items() if key not in hidden
        )

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Every file of the run."""
        files = (self.mask, self.confounds, self.events, *self.segmentations.values())
        return (*self.volume_files, *(path for path in files if path is not None))


@dataclass(frozen=True)
class ParticipantFiles:
    """Everything that is read for one participant.

    Attributes
    ----------
    label : str
    runs : tuple of Run
        In order of session, task and run.
    grey_matter : Path or None
        Grey-matter probability map in the space of the runs.
    notes : tuple of str
        What was left out and why, for the report.
    """

    label: str
    runs: tuple[Run, ...]
    grey_matter: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Every file that is read, sorted."""
        files = {path for run in self.runs for path in run.inputs}
        if self.grey_matter is not None:
            files.add(self.grey_matter)
        return tuple(sorted(files))
