import json
import os
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from trees import MNI, PLAIN, Tree, found, opened, refused, write

from bidsface.errors import InputError, UsageError


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    PLAIN.write(folder)
    return folder


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_finds_every_file_of_a_run(plain):
    before = snapshot(plain)
    dataset = opened(plain)
    files = found(dataset)
    assert dataset.participants == ("01", "02", "10")
    assert snapshot(plain) == before
    assert len(files.runs) == 8
    run = files.runs[5]
    func = plain / "bids/derivatives/fmriprep/sub-01/ses-b/func"
    stem = "sub-01_ses-b_task-display_run-02"
    assert run.bold == func / f"{stem}_space-{MNI}_desc-preproc_bold.nii.gz"
    assert run.mask == func / f"{stem}_space-{MNI}_desc-brain_mask.nii.gz"
    assert run.confounds == func / f"{stem}_desc-confounds_timeseries.tsv"
    assert run.events == plain / f"bids/sub-01/ses-b/func/{stem}_events.tsv"
    assert run.segmentations == {
        name: func / f"{stem}_space-{MNI}_desc-{name}_dseg.nii.gz" for name in ("aparcaseg", "aseg")
    }
    assert run.entities == {
        "sub": "01",
        "ses": "b",
        "task": "display",
        "run": "02",
        "space": MNI,
    }
    assert list(run.entities) == ["sub", "ses", "task", "run", "space"]
    assert (run.repetition_time, run.start_time) == (2.0, 0.0)
    assert files.grey_matter == (
        func.parents[1] / f"anat/sub-01_space-{MNI}_label-GM_probseg.nii.gz"
    )
    assert files.notes == ()


def test_runs_come_in_order_of_session_task_and_run(tmp_path):
    Tree(sessions=("2", "10"), tasks=("x",), runs=("1", "2", "10")).write(tmp_path)
    names = [run.block for run in found(opened(tmp_path)).runs]
    expected = [f"ses-{s}_task-x_run-{r}" for s in ("2", "10") for r in ("1", "2", "10")]
    assert names == expected


def test_a_batch_gives_what_single_participants_give(plain):
    dataset = opened(plain)
    batch = dataset.files(dataset.participants)
    assert list(batch) == ["01", "02", "10"]
    assert batch == {label: found(dataset, label) for label in dataset.participants}


def test_survives_pickling(plain):
    dataset = opened(plain, task_id=("display",))
    assert found(pickle.loads(pickle.dumps(dataset))) == found(dataset)


@pytest.mark.parametrize("wanted", [("01", "10"), ("sub-10", "sub-01"), ("10", "01", "01")])
def test_participant_labels_with_or_without_prefix(plain, wanted):
    assert opened(plain, participant_label=wanted).participants == ("01", "10")


def test_unknown_participant_is_told_what_exists(plain):
    with pytest.raises(UsageError, match=r"no participant 99; there are: 01, 02, 10"):
        opened(plain, participant_label=("99", "01"))


def test_hundreds_of_labels_are_abbreviated(tmp_path):
    raw, fmriprep = Tree(participants=("1",)).write(tmp_path)
    for number in range(2, 301):
        (fmriprep / f"sub-{number}").mkdir()
        (raw / f"sub-{number}").mkdir()
    with pytest.raises(UsageError, match=r"\.\.\. \(300 in all\)") as caught:
        opened(tmp_path, participant_label=("999",))
    assert len(str(caught.value)) < 250


def test_participant_without_fmriprep_output(plain, tmp_path):
    raw, _ = Tree().write(tmp_path)
    (raw / "sub-77").mkdir()
    assert opened(tmp_path).unprocessed == ("77",)
    with pytest.raises(UsageError, match="no fMRIPrep output for 77"):
        opened(tmp_path, participant_label=("77",))


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        opened(tmp_path)


def test_missing_description(tmp_path):
    raw, _ = Tree().write(tmp_path)
    (raw / "dataset_description.json").unlink()
    with pytest.raises(InputError, match=r"dataset_description\.json is missing"):
        opened(tmp_path)
    assert len(found(opened(tmp_path, skip_bids_validation=True)).runs) == 2


def test_broken_description(tmp_path):
    raw, _ = Tree().write(tmp_path)
    write(raw / "dataset_description.json", "{'Name': 1}")
    with pytest.raises(InputError, match=r"dataset_description\.json: cannot be read as JSON"):
        opened(tmp_path)


def test_older_description_of_a_derivative(tmp_path):
    _, fmriprep = Tree().write(tmp_path)
    old = {
        "Name": "fMRIPrep",
        "DatasetType": "derivative",
        "PipelineDescription": {"Name": "f"},
    }
    write(fmriprep / "dataset_description.json", json.dumps(old))
    assert len(found(opened(tmp_path)).runs) == 2


def test_no_derivative_lists_what_is_there(tmp_path):
    Tree().write_raw(tmp_path / "bids")
    with pytest.raises(UsageError, match="no such folder"):
        opened(tmp_path)
    (tmp_path / "bids/derivatives/fmriprep-20.2").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"has: fmriprep-20\.2"):
        opened(tmp_path)


def test_derivative_elsewhere_and_others_by_name(tmp_path):
    tree = Tree()
    tree.write_raw(tmp_path / "bids")
    tree.write_fmriprep(tmp_path / "prep")
    (tmp_path / "other").mkdir()
    dataset = opened(
        tmp_path, derivatives={"fmriprep": tmp_path / "prep", "atlas": tmp_path / "other"}
    )
    assert dataset.roots == {
        "raw": tmp_path / "bids",
        "fmriprep": tmp_path / "prep",
        "atlas": tmp_path / "other",
    }
    assert dataset.descriptions["fmriprep"]["GeneratedBy"][0]["Name"] == "fMRIPrep"
    assert len(found(dataset).runs) == 2


def test_derivative_without_participants(tmp_path):
    Tree().write(tmp_path)
    with pytest.raises(InputError, match="no sub-\\* folder; there are: fmriprep"):
        opened(
            tmp_path,
            derivatives={"fmriprep": tmp_path / "bids/derivatives"},
            skip_bids_validation=True,
        )


def test_derivative_as_the_only_data_set(tmp_path):
    tree = Tree(participants=("01",))
    tree.write_fmriprep(tmp_path / "bids")
    for folder, stem in tree.scans(tmp_path / "bids"):
        write(folder / f"{stem}_events.tsv", "onset\tduration\n")
    dataset = opened(tmp_path)
    assert set(dataset.roots) == {"fmriprep"}
    files = found(dataset)
    assert [run.events.parent for run in files.runs] == [tmp_path / "bids/sub-01/func"] * 2


def test_uri(plain):
    dataset = opened(plain)
    run = found(dataset).runs[0]
    stem = "sub-01/ses-a/func/sub-01_ses-a_task-display_run-01"
    assert dataset.uri(run.events) == f"bids:raw:{stem}_events.tsv"
    assert dataset.uri(run.confounds) == f"bids:fmriprep:{stem}_desc-confounds_timeseries.tsv"
    assert dataset.uri(Path("/elsewhere/atlas.nii")) == "file:///elsewhere/atlas.nii"


def test_is_reused_until_wiped(tmp_path):
    raw, _ = Tree(participants=("01",)).write(tmp_path)
    before = snapshot(raw)
    cache = {"bids_database_dir": tmp_path / "cache"}
    assert len(found(opened(tmp_path, **cache)).runs) == 2
    assert snapshot(raw) == before
    databases = sorted((tmp_path / "cache").glob("*/layout_index.sqlite"))
    assert len(databases) == 2
    Tree(participants=("01",), runs=("1", "2", "3")).write(tmp_path)
    assert len(found(opened(tmp_path, **cache)).runs) == 2
    assert len(found(opened(tmp_path)).runs) == 3
    wiped = opened(tmp_path, bids_database_wipe=True, **cache)
    assert len(found(wiped).runs) == 3
    assert sorted((tmp_path / "cache").glob("*/*.sqlite")) == databases


def test_holds_every_participant(plain, tmp_path):
    cache = {"bids_database_dir": tmp_path / "cache"}
    found(opened(plain, participant_label=("01",), **cache))
    assert found(opened(plain, **cache), "10") == found(opened(plain), "10")


def test_participant_that_is_newer_than_the_database(tmp_path):
    Tree(participants=("01",)).write(tmp_path)
    cache = {"bids_database_dir": tmp_path / "cache"}
    found(opened(tmp_path, **cache))
    Tree(participants=("02",)).write(tmp_path)
    assert "--bids-database-wipe" in refused(opened(tmp_path, **cache), "02")


def test_file_that_is_gone_since(tmp_path):
    Tree(participants=("01",)).write(tmp_path)
    cache = {"bids_database_dir": tmp_path / "cache"}
    run = found(opened(tmp_path, **cache)).runs[0]
    run.confounds.unlink()
    message = refused(opened(tmp_path, **cache))
    assert str(run.confounds) in message
    assert "--bids-database-wipe" in message


def test_is_built_once_by_several_processes(plain, tmp_path):
    dataset = opened(plain, bids_database_dir=tmp_path / "cache")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(dataset.files, [["01"], ["10"]]))
    plainly = opened(plain).files(["01", "10"])
    assert {**results[0], **results[1]} == plainly
    assert not list((tmp_path / "cache").glob("*/building-*"))


def test_never_in_the_input(plain):
    with pytest.raises(UsageError, match="lies in the input"):
        opened(plain, bids_database_dir=plain / "bids/code/cache")


def test_may_lie_in_an_output_inside_the_data_set(tmp_path):
    raw, _ = Tree().write(tmp_path)
    output = raw / "derivatives/bidsface"
    dataset = opened(tmp_path, output_dir=output, bids_database_dir=output / "cache")
    assert len(found(dataset).runs) == 2


@pytest.fixture(scope="module")
def audit():
    """Return a set that gathers every folder that is listed while it is not None."""
    state: dict[str, set[str] | None] = {"listed": None}

    def hook(event: str, arguments: tuple) -> None:
        if event in {"os.scandir", "os.listdir"} and state["listed"] is not None:
            state["listed"].add(os.fspath(arguments[0] or "."))

    sys.addaudithook(hook)
    return state


def test_other_folders_are_not_entered(tmp_path, audit):
    raw, fmriprep = Tree(figures=2, html=True).write(tmp_path)
    for folder in ("sourcedata/freesurfer/sub-01", "logs", ".git/annex", "sub-01/figures"):
        write(fmriprep / folder / "sub-01_task-display_run-9_desc-preproc_bold.nii.gz")
    Tree().write_fmriprep(raw / "derivatives/other")
    audit["listed"] = set()
    files = found(opened(tmp_path, participant_label=("01",)))
    listed = {Path(path) for path in audit["listed"]}
    audit["listed"] = None
    assert len(files.runs) == 2
    assert {path for path in listed if path.is_relative_to(tmp_path)} == {
        fmriprep,
        *(root / "sub-01" for root in (raw, fmriprep)),
        *(root / "sub-01" / kind for root in (raw, fmriprep) for kind in ("anat", "func")),
        raw,
    }


@pytest.mark.shared_data
def test_real_data(tmp_path):
    folder = os.environ.get("BIDSFACE_SHARED_DATA")
    if folder is None:
        pytest.skip("BIDSFACE_SHARED_DATA is unset: no real data")
    slice_ = Path(folder) / "haxby2001-slice"
    dataset = opened(
        tmp_path, bids_dir=slice_ / "bids", derivatives={"fmriprep": slice_ / "fmriprep"}
    )
    files = found(dataset)
    assert [run.entities["run"] for run in files.runs] == [f"{n:02d}" for n in range(1, 13)]
    assert {run.repetition_time for run in files.runs} == {2.5}
    assert all(run.mask and run.confounds and run.events for run in files.runs)
    assert all("space" not in run.entities for run in files.runs)
    assert files.grey_matter is None
    assert files.notes == ()
