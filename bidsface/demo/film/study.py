"""Writing the film study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from bidsface.demo.anatomy import ANATOMICAL_VOXEL_MM, Anatomy, load_anatomy
from bidsface.demo.film.design import TASK, FilmDesign
from bidsface.demo.film.observers import draw_annotations
from bidsface.demo.film.patterns import FilmMaps, draw_maps
from bidsface.demo.film.simulation import draw_viewer, simulate_run
from bidsface.demo.film.text import ANNOTATIONS_README, FILM
from bidsface.demo.film.timeline import Film, draw_film
from bidsface.demo.film.truth import STUDY, ViewerTruth, viewer_truth, write_truth
from bidsface.demo.fmriprep_files import (
    DERIVATIVE,
    write_preprocessed_anatomy,
    write_preprocessed_root,
    write_preprocessed_run,
)
from bidsface.demo.raw_files import (
    write_participants,
    write_raw_anatomy,
    write_raw_root,
    write_raw_run,
)
from bidsface.demo.study_folder import StudyFolder
from bidsface.demo.visits import Visit
from bidsface.execution import run_jobs

ANNOTATIONS = Path("stimuli/annotations")
"""Folder of the observers' tables in the raw data set."""


def write_film_study(
    folder: Path,
    *,
    seed: int,
    participants: int = FilmDesign.participants,
    runs: int = FilmDesign.runs,
    observers: int = FilmDesign.observers,
    volumes: int = FilmDesign.volumes,
    voxel_size_mm: float = FilmDesign.voxel_size_mm,
    strength: float = FilmDesign.strength,
    n_jobs: int = 1,
    shuffled: bool = False,
) -> Path:
    """Write the film study, unless the very same one is there already.

    Parameters
    ----------
    folder : Path
        Gets the folders `bids` (with `derivatives/fmriprep` and `stimuli/annotations`) and `truth`.
    seed : int
        The files depend on it and the other parameters, not on `n_jobs`.
    participants, runs, observers : int
        A run shows a segment of the film.
    volumes : int
        Of every run, TR 2 s.
    voxel_size_mm : float
        Edge of a voxel of the BOLD runs (mm).
    strength : float
        Mean response over an emotion's places to a long episode, at its peak, in standard
        deviations of the noise; 0 plants nothing.
    n_jobs : int
        Processes.
    shuffled : bool
        Draw anew, for every participant and run, which episode evokes which emotion's pattern.

    Returns
    -------
    Path
        The raw data set, `folder/bids`.

    Raises
    ------
    UsageError
        If `folder/bids` exists and is not this study.
    """
    design = FilmDesign(
        seed=seed,
        participants=participants,
        runs=runs,
        observers=observers,
        volumes=volumes,
        voxel_size_mm=voxel_size_mm,
        strength=strength,
        shuffled=shuffled,
    )
    study = StudyFolder(folder, STUDY, design.as_dict())
    return study.ensure(partial(_write, design=design, n_jobs=n_jobs))


@dataclass(frozen=True, eq=False)
class _ParticipantFolder:
    """Job: one participant's files."""

    bids: Path
    design: FilmDesign
    anatomy: Anatomy
    fine: Anatomy
    film: Film
    maps: FilmMaps


def _write(folder: Path, *, design: FilmDesign, n_jobs: int) -> None:
    bids = folder / "bids"
    write_raw_root(bids, FILM)
    write_participants(bids, design.labels, design.stream("people"))
    write_preprocessed_root(bids / DERIVATIVE)
    film, anatomy = draw_film(design), load_anatomy(design.voxel_size_mm)
    annotations = observe(design, film)
    _write_annotations(bids / ANNOTATIONS, annotations)
    maps = draw_maps(design, anatomy, film)
    job = _ParticipantFolder(bids, design, anatomy, load_anatomy(ANATOMICAL_VOXEL_MM), film, maps)
    truths = run_jobs(partial(_write_participant, job), design.labels, processes=n_jobs)
    ordered = sorted(truths, key=lambda truth: truth.label)
    write_truth(folder / "truth", design, anatomy, film, maps, annotations, ordered)


def observe(design: FilmDesign, film: Film) -> list[pd.DataFrame]:
    """Draw every observer's annotations; an observer does not depend on the others."""
    return [
        draw_annotations(design.stream("observer", number), film.episodes, design.length)
        for number in range(1, design.observers + 1)
    ]


def _write_annotations(folder: Path, annotations: Sequence[pd.DataFrame]) -> None:
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(ANNOTATIONS_README, encoding="utf-8")
    width = max(2, len(str(len(annotations))))
    for number, table in enumerate(annotations, start=1):
        path = folder / f"observer-{number:0{width}d}.csv"
        table.to_csv(path, index=False, float_format="%.1f", lineterminator="\n")


def _write_participant(job: _ParticipantFolder, label: str) -> ViewerTruth:
    """Write everything of one participant."""
    bids, visit = job.bids, Visit(label)
    viewer = draw_viewer(job.design, job.anatomy, label)
    rng = job.design.stream("images", int(label))
    write_raw_anatomy(bids, visit, job.fine, rng)
    write_preprocessed_anatomy(bids / DERIVATIVE, visit, job.fine, rng)
    name, runs = FILM.tasks[TASK].name, []
    for number in range(1, job.design.runs + 1):
        run = simulate_run(job.design, job.anatomy, job.film, job.maps, viewer, number)
        write_raw_run(bids, job.anatomy, visit, run)
        write_preprocessed_run(bids / DERIVATIVE, job.anatomy, visit, viewer.aparcaseg, run, name)
        runs.append(run.summary)
    return viewer_truth(job.design, job.film, viewer, runs)
