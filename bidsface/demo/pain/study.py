"""Writing the pain study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bidsface.demo.anatomy import ANATOMICAL_VOXEL_MM, Anatomy, load_anatomy
from bidsface.demo.fmriprep_files import (
    DERIVATIVE,
    write_preprocessed_anatomy,
    write_preprocessed_root,
    write_preprocessed_run,
)
from bidsface.demo.pain import openface_files
from bidsface.demo.pain.design import DATA_SETS, TASK, DataSet, PainDesign
from bidsface.demo.pain.patterns import PlantedMaps, draw_maps
from bidsface.demo.pain.simulation import draw_participant, simulate_run
from bidsface.demo.pain.text import TEXTS
from bidsface.demo.pain.truth import STUDY, PainTruth, participant_truth, write_truth
from bidsface.demo.raw_files import (
    write_participants,
    write_raw_anatomy,
    write_raw_root,
    write_raw_run,
)
from bidsface.demo.study_folder import StudyFolder
from bidsface.demo.visits import Visit
from bidsface.execution import run_jobs


def write_study(
    root: Path,
    *,
    seed: int,
    participants: int = PainDesign.participants,
    second_participants: int = PainDesign.second_participants,
    runs: int = PainDesign.runs,
    painful: int = PainDesign.painful,
    innocuous: int = PainDesign.innocuous,
    voxel_size_mm: float = PainDesign.voxel_size_mm,
    strength: float = PainDesign.strength,
    motion_mm: float = PainDesign.motion_mm,
    n_jobs: int = 1,
) -> Path:
    """Write the pain study, unless the very same one is there already.

    Parameters
    ----------
    root : Path
        Gets the folders `bids` and `second/bids` (with `derivatives/fmriprep` and
        `derivatives/openface`) and `truth`.
    seed : int
        The files depend on it and the other parameters, not on `n_jobs`.
    participants, second_participants : int
        Of the main and of the second data set.
    runs : int
    painful, innocuous : int
        Trials in every run.
    voxel_size_mm : float
        Edge of a voxel of the BOLD runs (mm).
    strength : float
        Response at the peak of the planted pattern to one unit of log(1 + score), in standard
        deviations of the noise; 0 plants nothing.
    motion_mm : float
        Displacement of the head (mm) for one unit of log(1 + score).
    n_jobs : int
        Processes.

    Returns
    -------
    Path
        The main raw data set, `root/bids`.

    Raises
    ------
    UsageError
        If `root/bids` or `root/second/bids` exists and is not of this study.
    """
    design = PainDesign(
        seed=seed,
        participants=participants,
        second_participants=second_participants,
        runs=runs,
        painful=painful,
        innocuous=innocuous,
        voxel_size_mm=voxel_size_mm,
        strength=strength,
        motion_mm=motion_mm,
    )
    places = tuple(data_set.bids for data_set in DATA_SETS)
    folder = StudyFolder(root, STUDY, design.as_dict(), places)
    return folder.ensure(partial(_write, design=design, n_jobs=n_jobs))


@dataclass(frozen=True, eq=False)
class _ParticipantFolder:
    """Job: one participant's files."""

    folder: Path
    design: PainDesign
    anatomy: Anatomy
    fine: Anatomy
    maps: PlantedMaps


def _write(folder: Path, *, design: PainDesign, n_jobs: int) -> None:
    for data_set in DATA_SETS:
        bids = folder / data_set.bids
        write_raw_root(bids, TEXTS[data_set.name])
        write_participants(bids, design.labels(data_set), design.stream("people", data_set, run=1))
        write_preprocessed_root(bids / DERIVATIVE)
        openface_files.write_openface_root(bids / openface_files.DERIVATIVE)
    anatomy = load_anatomy(design.voxel_size_mm)
    maps = draw_maps(design, anatomy)
    job = _ParticipantFolder(folder, design, anatomy, load_anatomy(ANATOMICAL_VOXEL_MM), maps)
    people = [(item, label) for item in DATA_SETS for label in design.labels(item)]
    truths = run_jobs(partial(_write_participant, job), people, processes=n_jobs)
    ordered = sorted(truths, key=lambda truth: (truth.data_set, truth.label))
    write_truth(folder / "truth", design, anatomy, maps, ordered)


def _write_participant(job: _ParticipantFolder, who: tuple[DataSet, str]) -> PainTruth:
    """Write everything of one participant."""
    data_set, label = who
    bids, visit = job.folder / data_set.bids, Visit(label)
    participant = draw_participant(job.design, data_set, job.anatomy, label)
    rng = job.design.stream("images", data_set, label)
    write_raw_anatomy(bids, visit, job.fine, rng)
    write_preprocessed_anatomy(bids / DERIVATIVE, visit, job.fine, rng)
    name = TEXTS[data_set.name].tasks[TASK].name
    runs = []
    for number in range(1, job.design.runs + 1):
        run = simulate_run(job.design, data_set, job.anatomy, job.maps, participant, number)
        write_raw_run(bids, job.anatomy, visit, run.scan)
        write_preprocessed_run(
            bids / DERIVATIVE, job.anatomy, visit, participant.aparcaseg, run.scan, name
        )
        openface_files.write_film(bids / openface_files.DERIVATIVE, visit, number, run.film)
        runs.append(run)
    return participant_truth(data_set, participant, runs)
