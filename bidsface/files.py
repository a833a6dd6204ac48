"""The files of one participant that a run reads: values only, made by `dataset/`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidsface.entities import SHORT_KEYS, is_subset, joined, natural_key, strip_prefix
from bidsface.errors import RecipeError

PHENOTYPE = "phenotype/"
IN_DATASET = "bids::"
"""Beginning of a BIDS URI of the data set itself."""
_SUFFIX = re.compile(rf"[0-9a-zA-Z]+|{PHENOTYPE}[0-9a-zA-Z_+-]+")


def located(path: str, bids_dir: Path | None) -> Path:
    """Return the file or pattern that an option names.

    Parameters
    ----------
    path : str
        ``bids::stimuli/film.csv`` lies in the data set; anything else is a path, relative to the
        working directory unless it is absolute.
    bids_dir : Path or None
        The data set.

    Raises
    ------
    RecipeError
        If the path lies in the data set, and there is none.
    """
    if not path.startswith(IN_DATASET):
        return Path(path).expanduser().absolute()
    if bids_dir is None:
        raise RecipeError(f"{path}: there is no data set that it could lie in")
    return bids_dir.absolute() / path.removeprefix(IN_DATASET)


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


@dataclass(frozen=True)
class TableFilter:
    """Which tables of a participant an analysis reads.

    Attributes
    ----------
    suffix : str
        BIDS suffix, such as ``beh`` or ``physio``; or ``phenotype/NAME`` for the participant's
        rows of ``phenotype/NAME.tsv`` at the root of the data set.
    dataset : str or None
        Name of a data set, as ``--derivatives`` gives it; None is the raw one.
    entities : mapping
        Labels that the names must have, by entity (``ses`` or ``session``); all values of the
        other entities are allowed.

    Raises
    ------
    RecipeError
        If there is no such entity, or the suffix cannot be one.
    """

    suffix: str
    dataset: str | None = None
    entities: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if _SUFFIX.fullmatch(self.suffix) is None:
            raise RecipeError(
                f"tables {self.suffix!r}: a suffix, such as beh, or {PHENOTYPE}NAME is wanted"
            )
        known = {name: key for name, key in SHORT_KEYS.items() if key != "sub"}
        unknown = [name for name in self.entities if name not in known]
        if unknown:
            there = ", ".join(dict.fromkeys(known.values()))
            raise RecipeError(f"tables {self.suffix}: no entity {unknown[0]!r}; there are: {there}")
        if self.entities and self.phenotype is not None:
            raise RecipeError(f"tables {self.suffix}: files of phenotype have no entities")
        labels = {known[name]: str(label) for name, label in self.entities.items()}
        short = {key: strip_prefix(key, label) for key, label in labels.items()}
        object.__setattr__(self, "entities", short)

    def __str__(self) -> str:
        text = f"tables {self.suffix}"
        if self.entities:
            text += f" with {joined(self.entities)}"
        return text if self.dataset is None else f"{text} of the data set {self.dataset}"

    @property
    def phenotype(self) -> str | None:
        """NAME of ``phenotype/NAME``; None for a participant's own files."""
        return self.suffix.removeprefix(PHENOTYPE) if self.suffix.startswith(PHENOTYPE) else None

    def covers(self, other: TableFilter) -> bool:
        """Tell whether everything that another filter finds is found by this one."""
        same = (self.suffix, self.dataset) == (other.suffix, other.dataset)
        return same and is_subset(self.entities, other.entities)


@dataclass(frozen=True)
class TableFile:
    """A table that an analysis asks for.

    Attributes
    ----------
    path : Path
    entities : mapping
        BIDS entities of the name by their short key, without ``sub``.
    sidecar : mapping
        What the JSON files say that apply to it.
    participant : str or None
        Whose rows are wanted, where the table is of many participants.
    """

    path: Path
    entities: Mapping[str, str]
    sidecar: Mapping[str, Any]
    participant: str | None = None

    @property
    def order(self) -> tuple[tuple[tuple[int, int, str], ...], str]:
        """Sort key: by session, task and run, then by name."""
        labels = (self.entities.get(key, "") for key in ("ses", "task", "run"))
        return tuple(map(natural_key, labels)), self.path.name


@dataclass(frozen=True)
class FoundTables:
    """The tables of one participant that a filter finds."""

    asked: TableFilter
    files: tuple[TableFile, ...]
