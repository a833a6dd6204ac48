"""The files that belong to a preprocessed run: mask, confounds, events, segmentations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bidsface.dataset.indexing import IndexedFile
from bidsface.dataset.sidecars import (
    PROCESSING_KEYS,
    Sidecars,
    UnusableRunError,
    inherited,
    repetition_time,
    start_time,
)
from bidsface.entities import equal, joined, listing, natural_key, without
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles, Run

CONFOUND_SUFFIXES = ("timeseries", "regressors")
SEGMENTATIONS = ("aparcaseg", "aseg")
ANATOMICAL_SPACE = "T1w"
"""Functional files in this space lie on the anatomical ones, whose names have no ``space-``."""


@dataclass(frozen=True)
class ParticipantIndex:
    """All indexed files of one participant.

    Attributes
    ----------
    label : str
    fmriprep_root, raw_root : Path
        ``raw_root`` is None where the derivative is the only data set.
    fmriprep, raw : tuple of IndexedFile
    """

    label: str
    fmriprep_root: Path
    fmriprep: tuple[IndexedFile, ...]
    raw_root: Path | None = None
    raw: tuple[IndexedFile, ...] = ()

    @property
    def preprocessed(self) -> list[IndexedFile]:
        """Preprocessed volumes in every space."""
        return [file for file in self.fmriprep if file.is_preprocessed]

    def require_preprocessed(self) -> list[IndexedFile]:
        """Return the preprocessed volumes; raises InputError saying what is there instead."""
        files = self.preprocessed
        if files:
            return files
        others = [file for file in self.fmriprep if file.suffix == "bold"]
        surface = [f for f in others if f.extension in {".func.gii", ".dtseries.nii"}]
        if surface:
            raise InputError(
                f"sub-{self.label}: only surface or CIFTI data, such as {surface[0].path}; volumes "
                "are needed: run fMRIPrep with --output-spaces MNI152NLin2009cAsym"
            )
        raise InputError(
            f"sub-{self.label}: no *_desc-preproc_bold.nii.gz in {self.fmriprep_root} "
            "(fMRIPrep's --level minimal does not write them)"
        )


def participant_files(
    index: ParticipantIndex, bolds: Sequence[IndexedFile], sidecars: Sidecars
) -> ParticipantFiles:
    """Collect everything that is read for one participant.

    Parameters
    ----------
    index : ParticipantIndex
    bolds : sequence of IndexedFile
        The preprocessed runs to use, all in one space.
    sidecars : Sidecars

    Raises
    ------
    InputError
        If no run can be used, with the reason for each, or if a file is broken or not here.
    """
    runs, notes = [], _unprocessed_notes(index)
    for bold in sorted(_combined_echoes(bolds), key=lambda bold: run_order(bold.entities)):
        try:
            run, own_notes = _run(index, bold, sidecars)
        except UnusableRunError as error:
            notes.append(f"left out: {error}")
            continue
        runs.append(run)
        notes += [f"{run.block}: {note}" for note in own_notes]
    if not runs:
        raise InputError(f"sub-{index.label}: no usable run; {'; '.join(notes)}")
    grey_matter, gm_notes = grey_matter_map(index, runs)
    return ParticipantFiles(index.label, tuple(runs), grey_matter, (*notes, *gm_notes))


def _combined_echoes(files: Sequence[IndexedFile]) -> list[IndexedFile]:
    """Drop single echoes of runs that have a combined image.

    Raises
    ------
    InputError
        If a run consists of several echoes only: they are one measurement, never several runs.
    """
    by_run: dict[str, list[IndexedFile]] = {}
    for file in files:
        by_run.setdefault(joined(without(file.entities, ["echo"])), []).append(file)
    kept = []
    for name, echoes in by_run.items():
        combined = [file for file in echoes if "echo" not in file.entities]
        if not combined and len(echoes) > 1:
            raise InputError(
                f"{name}: only single echoes, {listing(file.entities['echo'] for file in echoes)}; "
                'choose one in --bids-filter-file, such as {"bold": {"echo": "2"}}'
            )
        kept += combined or echoes
    return kept


def _run(index: ParticipantIndex, bold: IndexedFile, sidecars: Sidecars) -> tuple[Run, list[str]]:
    """Collect one run; raises UnusableRunError if it is to be left out."""
    entities = without(bold.entities, ["desc"])
    events = events_file(index, entities)
    if events is None:
        raise UnusableRunError(f"{bold.path.name}: no events.tsv applies to it")
    preprocessed = sidecars.metadata(index.fmriprep_root, bold.entities, index.fmriprep)
    raw = {}
    if index.raw_root is not None:
        raw = sidecars.metadata(index.raw_root, raw_entities(entities), index.raw)
    repetition = repetition_time(preprocessed, raw, bold.path)
    start, note = start_time(preprocessed, raw, repetition)
    run = Run(
        bold=bold.path,
        entities=entities,
        repetition_time=repetition,
        start_time=start,
        mask=brain_mask(index, entities),
        confounds=_confounds(index, entities),
        events=events,
        segmentations=segmentation_files(index, entities),
    )
    return run, [note] if note else []


def raw_entities(entities: Mapping[str, str]) -> dict[str, str]:
    """Return the entities that the raw file of a run has."""
    return without(entities, PROCESSING_KEYS)


def events_file(index: ParticipantIndex, entities: Mapping[str, str]) -> Path | None:
    """Return the nearest events file: of the raw data set, else beside the derivative."""
    wanted = raw_entities(entities)
    for root, files in ((index.raw_root, index.raw), (index.fmriprep_root, index.fmriprep)):
        if root is not None:
            found = inherited(root, wanted, "events", ".tsv", files)
            if found:
                return found[-1].path
    return None


def brain_mask(index: ParticipantIndex, entities: Mapping[str, str]) -> Path | None:
    """Return fMRIPrep's brain mask of a run in its space."""
    masks = [file for file in index.fmriprep if file.suffix == "mask" and file.is_image]
    return _companion(masks, entities, "brain")


def _confounds(index: ParticipantIndex, entities: Mapping[str, str]) -> Path | None:
    tables = [
        file
        for suffix in CONFOUND_SUFFIXES
        for file in index.fmriprep
        if file.suffix == suffix and file.extension == ".tsv"
    ]
    return _companion(tables, raw_entities(entities), "confounds")


def segmentation_files(index: ParticipantIndex, entities: Mapping[str, str]) -> dict[str, Path]:
    """Return segmentations on the run's grid, else the anatomical ones in its space."""
    images = [file for file in index.fmriprep if file.suffix == "dseg" and file.is_image]
    found = {}
    for name in SEGMENTATIONS:
        path = _companion([file for file in images if "task" in file.entities], entities, name)
        if path is None:
            candidates = [file for file in images if file.entities.get("desc") == name]
            anatomical = _anatomical(candidates, entities)
            path = anatomical[0].path if anatomical else None
        if path is not None:
            found[name] = path
    return found


def _companion(files: Iterable[IndexedFile], entities: Mapping[str, str], desc: str) -> Path | None:
    """Return the file of a run with some ``desc-``; echoes share what is not made per echo."""
    described = [file for file in files if file.entities.get("desc") == desc]
    for dropped in ((), ("echo",), ("echo", "part")):
        wanted = without(entities, dropped)
        for file in described:
            if equal(without(file.entities, ["desc"]), wanted):
                return file.path
    return None


def _anatomical(files: Sequence[IndexedFile], entities: Mapping[str, str]) -> list[IndexedFile]:
    """Return the anatomical files in the space of a run, the best match first.

    Files of the run's session and of no session come before those of another session, files of
    the same resolution before others.
    """
    if "space" not in entities:
        return []
    space = None if entities["space"] == ANATOMICAL_SPACE else entities["space"]
    session, resolution = entities.get("ses"), entities.get("res")

    def rank(file: IndexedFile) -> tuple[int, bool, bool, Path]:
        own = file.entities.get("ses")
        near = 0 if own == session else 1 if own is None else 2
        other = file.entities.get("res") != resolution
        return near, other, "res" in file.entities, file.path

    return sorted(
        (
            file
            for file in files
            if "task" not in file.entities
            and file.entities.get("space") == space
            and file.entities.get("cohort") == entities.get("cohort")
        ),
        key=rank,
    )


def grey_matter_map(index: ParticipantIndex, runs: Sequence[Run]) -> tuple[Path | None, list[str]]:
    """Return the grey-matter map in the space of the runs; a note says if it is one of several."""
    maps = [
        file
        for file in index.fmriprep
        if file.suffix == "probseg" and file.is_image and file.entities.get("label") == "GM"
    ]
    sessions = {run.entities.get("ses") for run in runs}
    entities = runs[0].entities if len(sessions) == 1 else without(runs[0].entities, ["ses"])
    found = _anatomical(maps, entities)
    if not found:
        return None, []
    chosen = found[0]
    anatomies = {file.entities.get("ses") for file in found}
    if len(sessions) > 1 and len(anatomies) > 1 and "ses" in chosen.entities:
        session = chosen.entities["ses"]
        return chosen.path, [f"grey matter of session {session} is used for all sessions"]
    return chosen.path, []


def _unprocessed_notes(index: ParticipantIndex) -> list[str]:
    """Name raw runs that fMRIPrep has not processed."""
    drop = ["echo", "part", "desc", *PROCESSING_KEYS]
    done = [without(file.entities, drop) for file in index.preprocessed]
    raw = {
        joined(without(file.entities, ["sub", *drop])): without(file.entities, drop)
        for file in index.raw
        if file.suffix == "bold" and file.is_image
    }
    return [
        f"{name}: in the raw data set but not preprocessed"
        for name, entities in raw.items()
        if not any(equal(entities, other) for other in done)
    ]


def run_order(entities: Mapping[str, str]) -> tuple[tuple[int, int, str], ...]:
    """Order runs by session, task and run, then by what else differs."""
    first = [entities.get(key, "") for key in ("ses", "task", "run")]
    return tuple(natural_key(label) for label in [*first, *entities.values()])
