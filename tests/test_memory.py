"""Memory that participants are expected to need, from headers and events."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from bidsface.files import ParticipantFiles, Run
from bidsface.memory import BASE_MB, BRAIN_FRACTION, MODEL_COPIES, processes_that_fit, study_cost
from bidsface.recipe import SampleSpec
from bidsface.settings import Settings

SHAPE, N_VOLUMES, N_EVENTS = (32, 32, 32), 64, 5
VOLUME_MB = np.prod(SHAPE) * 4 / 2**20
RUN_MB = MODEL_COPIES * BRAIN_FRACTION * N_VOLUMES * VOLUME_MB
AVERAGES, TRIPLES = SampleSpec(kind="average"), SampleSpec(kind="volumes", count=3)
"""One sample and three samples of every event."""
EVERY = SampleSpec(kind="volumes")
"""As many samples as an event's duration holds, which headers do not tell."""


@pytest.fixture
def files(tmp_path) -> ParticipantFiles:
    bold, events = tmp_path / "bold.nii", tmp_path / "events.tsv"
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, N_VOLUMES), np.float32), np.eye(4)), bold)
    events.write_text("onset\tduration\ttrial_type\n" + "1\t1\tjoy\n" * (N_EVENTS - 1))
    return ParticipantFiles("01", tuple(Run(bold, {}, 2.0, events=events) for _ in range(2)))


def samples_mb(files: ParticipantFiles, *kinds: SampleSpec) -> float:
    return study_cost([files], kinds).memory_mb - BASE_MB - RUN_MB


@pytest.mark.parametrize(
    ("kinds", "per_run"),
    [
        ((), 0),
        ((AVERAGES,), N_EVENTS),
        ((AVERAGES, TRIPLES), 4 * N_EVENTS),
        ((EVERY,), N_VOLUMES),
    ],
)
def test_samples_of_all_runs_count(files, kinds, per_run):
    expected = 2 * BRAIN_FRACTION * 2 * per_run * VOLUME_MB
    assert samples_mb(files, *kinds) == pytest.approx(expected, abs=1)


def test_volumes_that_analyses_keep_count(files):
    seen = []

    def count(runs):
        seen.extend(runs)
        return 40

    cost = study_cost([files], [], [count, lambda runs: 10])
    assert [(run.n_volumes, run.repetition_time) for run in seen] == [(N_VOLUMES, 2.0)] * 2
    # Analyses follow one another, but what they write stays.
    held = BRAIN_FRACTION * VOLUME_MB
    plain = study_cost([files], [])
    assert cost.memory_mb - plain.memory_mb == pytest.approx(40 * held, abs=1)
    assert cost.disk_mb - plain.disk_mb == pytest.approx(50 * held, abs=1)


def test_files_that_cannot_be_read_are_told_of_elsewhere(files):
    missing = Run(Path("/nowhere/bold.nii"), {}, 2.0, events=Path("/nowhere/events.tsv"))
    cost = study_cost([files, ParticipantFiles("02", (missing,))], [AVERAGES])
    assert cost.memory_mb == study_cost([files], [AVERAGES]).memory_mb


@pytest.mark.parametrize(("allowed", "expected"), [(1, 1), (1.9, 1), (3.1, 3), (9, 4), (None, 4)])
def test_participants_at_once_stay_within_the_limit(files, tmp_path, allowed, expected):
    one = study_cost([files], [AVERAGES]).memory_mb
    limit = None if allowed is None else int(allowed * one)
    settings = Settings(tmp_path, tmp_path / "out", ("participant",), nprocs=4, memory_mb=limit)
    assert processes_that_fit(settings, [files], [AVERAGES]) == expected
    if expected == 3:
        # An analysis that keeps as much again leaves room for fewer.
        many = [lambda runs: int(one / (BRAIN_FRACTION * VOLUME_MB))]
        assert processes_that_fit(settings, [files], [AVERAGES], many) == 1
