"""The faces study: expressions displayed and observed, with planted patterns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bidsface.demo.anatomy import ANATOMICAL_VOXEL_MM, Anatomy, load_anatomy
from bidsface.demo.faces_text import FACES
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
from bidsface.demo.simulation import (
    SESSIONS,
    FacesDesign,
    draw_participant,
    simulate_run,
)
from bidsface.demo.study_folder import StudyFolder
from bidsface.demo.truth import STUDY, ParticipantTruth, participant_truth, write_truth
from bidsface.demo.visits import Visit
from bidsface.execution import run_jobs


def write_study(
    root: Path,
    *,
    seed: int,
    participants: int = 8,
    runs: int = 4,
    trials_per_class: int = 8,
    voxel_size_mm: float = 6.0,
    snr: tuple[float, float] = FacesDesign.snr,
    motion_mm: float = FacesDesign.motion_mm,
    shuffle_labels: bool = False,
    pauses: tuple[float, float] = FacesDesign.pauses,
    n_jobs: int = 1,
) -> Path:
    """Write the faces study, unless the very same one is there already.

    Parameters
    ----------
    root : Path
        Gets the folders `bids` (with `derivatives/fmriprep`) and `truth`.
    seed : int
        The files depend on it and the other parameters, not on `n_jobs`.
    participants, runs, trials_per_class : int
        Runs are per task, trials per run.
    voxel_size_mm : float
        Edge of a voxel of the BOLD runs (mm).
    snr : tuple of float
        Nominal strength of the patterns in the displaying and the observing task (noise standard
        deviations).
    motion_mm : float
        Mean displacement of the head with a displayed expression (mm).
    shuffle_labels : bool
        Permute the expressions over the trials of every run.
    pauses : tuple of float
        Shortest and longest pause between two events (s).
    n_jobs : int
        Processes.

    Returns
    -------
    Path
        The raw data set, `root/bids`.

    Raises
    ------
    UsageError
        If `root/bids` exists and is not this study.
    """
    design = FacesDesign(
        seed=seed,
        participants=participants,
        runs=runs,
        trials_per_class=trials_per_class,
        voxel_size_mm=voxel_size_mm,
        snr=snr,
        motion_mm=motion_mm,
        shuffle_labels=shuffle_labels,
        pauses=pauses,
    )
    folder = StudyFolder(root, STUDY, design.as_dict())
    return folder.ensure(partial(_write, design=design, n_jobs=n_jobs))


@dataclass(frozen=True)
class _ParticipantFolder:
    """Job: one participant's files."""

    bids: Path
    design: FacesDesign
    anatomy: Anatomy
    fine: Anatomy


def _write(folder: Path, *, design: FacesDesign, n_jobs: int) -> None:
    bids = folder / "bids"
    write_raw_root(bids, FACES)
    write_participants(bids, design.labels, np.random.default_rng([design.seed, 0]))
    write_preprocessed_root(bids / DERIVATIVE)
    job = _ParticipantFolder(
        bids, design, load_anatomy(design.voxel_size_mm), load_anatomy(ANATOMICAL_VOXEL_MM)
    )
    truths = run_jobs(partial(_write_participant, job), design.labels, processes=n_jobs)
    write_truth(folder / "truth", design, sorted(truths, key=lambda truth: truth.label))


def _write_participant(job: _ParticipantFolder, label: str) -> ParticipantTruth:
    """Write everything of one participant."""
    bids, anatomy = job.bids, job.anatomy
    participant = draw_participant(job.design, anatomy, label)
    rng = job.design.stream(label, "images")
    first = Visit(label, SESSIONS["display"])
    write_raw_anatomy(bids, first, job.fine, rng)
    write_preprocessed_anatomy(bids / DERIVATIVE, first, job.fine, rng)
    runs = []
    for task, session in SESSIONS.items():
        visit, name = Visit(label, session), FACES.tasks[task].name
        for number in range(1, job.design.runs + 1):
            run = simulate_run(job.design, anatomy, participant, task, number)
            write_raw_run(bids, anatomy, visit, run)
            write_preprocessed_run(
                bids / DERIVATIVE, anatomy, visit, participant.aparcaseg, run, name
            )
            runs.append(run.summary)
    return participant_truth(participant, anatomy, runs)
