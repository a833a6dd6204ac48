import gzip
import json
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from trees import MNI, Tree, found, opened, refused, spelled, write

from bidsface.files import ParticipantFiles
from bidsface.recipe import Inputs


def test_entities_stay_in_bids_order_as_spelled(tmp_path):
    extra = "acq-fast_ce-x_rec-y_dir-AP"
    Tree(runs=("007",), extra=extra, sessions=("w1",)).write(tmp_path)
    files = found(opened(tmp_path))
    assert spelled(files) == [f"sub-01_ses-w1_task-display_{extra}_run-007_space-{MNI}"]
    assert files.runs[0].confounds is not None
    assert files.runs[0].mask is not None


def test_older_confounds(tmp_path):
    Tree(confounds="regressors").write(tmp_path)
    assert found(opened(tmp_path)).runs[0].confounds.name.endswith("confounds_regressors.tsv")


def test_padding_of_runs_may_differ_between_data_sets(tmp_path):
    Tree(runs=("01", "02")).write_raw(tmp_path / "bids")
    Tree(runs=("1", "2")).write_fmriprep(tmp_path / "bids/derivatives/fmriprep")
    files = found(opened(tmp_path))
    assert [run.entities["run"] for run in files.runs] == ["1", "2"]
    assert files.runs[1].events.name == "sub-01_task-display_run-02_events.tsv"
    assert files.notes == ()


def test_combined_echoes(tmp_path):
    Tree(echoes=("", "1", "2"), raw_echoes=("1", "2"), spaces=("",)).write(tmp_path)
    files = found(opened(tmp_path))
    assert [run.block for run in files.runs] == ["task-display_run-1", "task-display_run-2"]
    assert files.notes == ()
    second = found(opened(tmp_path, bids_filters={"bold": {"echo": 2}}))
    assert [run.entities["echo"] for run in second.runs] == ["2", "2"]
    assert second.runs[0].mask == files.runs[0].mask
    assert second.runs[0].confounds == files.runs[0].confounds
    assert second.runs[0].events == files.runs[0].events


def test_single_echoes_are_never_runs_of_their_own(tmp_path):
    Tree(echoes=("1", "2"), spaces=("",)).write(tmp_path)
    assert "only single echoes, 1, 2; choose one" in refused(opened(tmp_path))


def test_events_are_inherited(tmp_path):
    raw, _ = Tree(sessions=("a", "b"), runs=("1",), tasks=("x", "y")).write(tmp_path)
    for path in raw.glob("sub-*/ses-*/func/*_events.tsv"):
        path.unlink()
    root = write(raw / "task-x_events.tsv", "onset\tduration\n")
    participant = write(raw / "sub-01/sub-01_task-x_events.tsv", "onset\tduration\n")
    session = write(raw / "sub-01/ses-b/func/sub-01_ses-b_task-x_events.tsv", "onset\n")
    first, second = found(opened(tmp_path)).runs
    assert (first.events, second.events) == (participant, session)
    assert {run.events for run in found(opened(tmp_path), "02").runs} == {root}


def test_runs_without_events_are_left_out_with_a_note(tmp_path):
    raw, _ = Tree(tasks=("rest", "display")).write(tmp_path)
    for path in raw.glob("sub-01/func/*rest*_events.tsv"):
        path.unlink()
    for path in raw.glob("sub-02/func/*_events.tsv"):
        path.unlink()
    outcomes = opened(tmp_path).files(["01", "02"])
    assert {run.entities["task"] for run in outcomes["01"].runs} == {"display"}
    assert outcomes["01"].notes == tuple(
        f"left out: sub-01_task-rest_run-{run}_space-{MNI}_desc-preproc_bold.nii.gz: "
        "no events.tsv applies to it"
        for run in "12"
    )
    assert "sub-02: no usable run" in str(outcomes["02"])


def test_raw_runs_that_were_not_preprocessed_are_noted(tmp_path):
    Tree(runs=("1", "2", "3"), raw_echoes=("1", "2")).write_raw(tmp_path / "bids")
    Tree(runs=("1", "2")).write_fmriprep(tmp_path / "bids/derivatives/fmriprep")
    files = found(opened(tmp_path))
    assert files.notes == ("task-display_run-3: in the raw data set but not preprocessed",)


@pytest.mark.parametrize("space", ["T1w", MNI, ""])
def test_anatomical_files_stand_in(tmp_path, space):
    _, fmriprep = Tree(spaces=(space,), segmentations=False).write(tmp_path)
    write(fmriprep / f"sub-01/anat/sub-01_space-{MNI}_desc-aseg_dseg.nii.gz")
    files = found(opened(tmp_path, Inputs(space=space or "native")))
    names = {name: path.name for name, path in files.runs[0].segmentations.items()}
    expected = {
        "T1w": {n: f"sub-01_desc-{n}_dseg.nii.gz" for n in ("aparcaseg", "aseg")},
        MNI: {"aseg": f"sub-01_space-{MNI}_desc-aseg_dseg.nii.gz"},
        "": {},
    }
    grey_matter = {
        "T1w": "sub-01_label-GM_probseg.nii.gz",
        MNI: f"sub-01_space-{MNI}_label-GM_probseg.nii.gz",
        "": None,
    }
    assert names == expected[space]
    assert (files.grey_matter and files.grey_matter.name) == grey_matter[space]


def test_anatomy_in_another_session(tmp_path):
    Tree(sessions=("a", "b"), anatomical_sessions=True).write(tmp_path)
    files = found(opened(tmp_path, session_label=("b",)))
    assert files.grey_matter.parent.parent.name == "ses-a"
    assert files.notes == ()


def test_anatomy_of_every_session(tmp_path):
    _, fmriprep = Tree(sessions=("a", "b"), anatomical_sessions=True).write(tmp_path)
    own = write(fmriprep / f"sub-01/ses-b/anat/sub-01_ses-b_space-{MNI}_label-GM_probseg.nii.gz")
    assert found(opened(tmp_path, session_label=("b",))).grey_matter == own
    both = found(opened(tmp_path))
    assert both.notes == ("grey matter of session a is used for all sessions",)


def test_the_nearest_sidecar_wins(tmp_path):
    raw, fmriprep = Tree(repetition_time=None, participants=("01",)).write(tmp_path)
    write(raw / "task-display_bold.json", json.dumps({"RepetitionTime": 3.0}))
    assert {run.repetition_time for run in found(opened(tmp_path)).runs} == {3.0}
    write(raw / "sub-01/func/sub-01_task-display_run-1_bold.json", '{"RepetitionTime": 1.5}')
    assert [run.repetition_time for run in found(opened(tmp_path)).runs] == [1.5, 3.0]
    stem = fmriprep / f"sub-01/func/sub-01_task-display_run-2_space-{MNI}_desc-preproc_bold"
    write(Path(f"{stem}.json"), '{"RepetitionTime": 1.25}')
    assert [run.repetition_time for run in found(opened(tmp_path)).runs] == [1.5, 1.25]


def test_sidecars_of_echoes_count_for_the_combined_run(tmp_path):
    raw, _ = Tree(repetition_time=None, participants=("01",)).write(tmp_path)
    for run in "12":
        name = f"sub-01_task-display_run-{run}_echo-1_bold.json"
        write(raw / "sub-01/func" / name, '{"RepetitionTime": 1.1}')
    assert {run.repetition_time for run in found(opened(tmp_path)).runs} == {1.1}


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [("sec", 2.5, 2.5), ("msec", 2500.0, 2.5), ("usec", 2.5e6, 2.5), ("unknown", 2.5, None)],
)
def test_header_with_units(tmp_path, unit, value, expected):
    _, fmriprep = Tree(repetition_time=None, participants=("01",)).write(tmp_path)
    for path in fmriprep.glob("sub-01/func/*run-1*_desc-preproc_bold.nii.gz"):
        image = nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.int16), np.eye(4))
        image.header.set_zooms((1, 1, 1, value))
        image.header.set_xyzt_units("mm", unit)
        image.to_filename(path)
    dataset = opened(tmp_path)
    if expected is None:
        assert "no RepetitionTime in a sidecar" in refused(dataset)
        return
    files = found(dataset)
    assert [run.repetition_time for run in files.runs] == [pytest.approx(expected)]
    assert "no RepetitionTime" in files.notes[0]


def test_torn_image(tmp_path):
    _, fmriprep = Tree(repetition_time=None, participants=("01",)).write(tmp_path)
    for path in fmriprep.glob("sub-01/func/*_desc-preproc_bold.nii.gz"):
        path.write_bytes(gzip.compress(struct.pack("<i", 348) + bytes(400))[:30])
    assert "no usable run" in refused(opened(tmp_path))


@pytest.mark.parametrize("value", ["2 s", 0, -1, None, True])
def test_impossible_repetition_time(tmp_path, value):
    Tree(repetition_time=None, preproc={"RepetitionTime": value}).write(tmp_path)
    assert f"RepetitionTime of its sidecar is {value!r}" in refused(opened(tmp_path))


@pytest.mark.parametrize(
    ("sidecar", "expected", "noted"),
    [
        ({}, 0.0, False),
        ({"SliceTimingCorrected": False}, 0.0, False),
        ({"SliceTimingCorrected": True, "StartTime": 0.975}, 0.975, False),
        ({"SliceTimingCorrected": True, "SliceTiming": [0, 1.9, 0.95]}, 0.95, False),
        ({"SliceTimingCorrected": True}, 1.0, True),
    ],
)
def test_start_time(tmp_path, sidecar, expected, noted):
    Tree(preproc=sidecar).write(tmp_path)
    files = found(opened(tmp_path))
    assert {run.start_time for run in files.runs} == {expected}
    assert bool(files.notes) == noted


def test_slice_timing_of_the_raw_sidecar(tmp_path):
    raw, _ = Tree(preproc={"SliceTimingCorrected": True}).write(tmp_path)
    content = {"RepetitionTime": 2.0, "SliceTiming": [0.1, 1.5]}
    write(raw / "task-display_bold.json", json.dumps(content))
    assert found(opened(tmp_path)).runs[0].start_time == 0.8


@pytest.mark.parametrize("content", ["{", "[1, 2]", "\x00\x01"])
def test_broken_sidecar_is_one_participants_error(tmp_path, content):
    _, fmriprep = Tree().write(tmp_path)
    name = f"sub-01_task-display_run-2_space-{MNI}_desc-preproc_bold.json"
    write(fmriprep / "sub-01/func" / name, content)
    outcomes = opened(tmp_path).files(["01", "02"])
    assert name in str(outcomes["01"])
    assert isinstance(outcomes["02"], ParticipantFiles)
