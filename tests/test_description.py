"""The files at the root of the output."""

import json
import os
from pathlib import Path

import pytest
from example_results import example_results

from bidsface import __version__
from bidsface.derivatives import OutputFolder
from bidsface.derivatives.description import CONTAINER_VARIABLES, dataset_description
from bidsface.derivatives.names import NEW_SUFFIXES
from bidsface.errors import UsageError


@pytest.fixture
def study(tmp_path):
    for name in ("bids", "bids/derivatives/fmriprep"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture(autouse=True)
def no_container(monkeypatch):
    for variable in CONTAINER_VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def described(root, inputs=None, **more):
    OutputFolder(root).prepare(inputs or {}, **more)
    return json.loads((root / "dataset_description.json").read_text())


def test_says_what_it_is(study):
    found = described(
        study / "out",
        {"raw": study / "bids"},
        descriptions={"raw": {"Name": "F", "License": "CC0"}},
    )
    assert found["Name"] == "bidsface: F"
    assert found["DatasetType"] == "derivative"
    assert found["License"] == "CC0"
    assert "CITATION" in found["HowToAcknowledge"]
    (made_by,) = found["GeneratedBy"]
    assert made_by["Version"] == __version__
    assert "Container" not in made_by


def test_names_the_container(study, monkeypatch):
    monkeypatch.setenv("BIDSFACE_CONTAINER_TYPE", "docker")
    monkeypatch.setenv("BIDSFACE_CONTAINER_TAG", "bidsface:0.1.0")
    (made_by,) = described(study / "out")["GeneratedBy"]
    assert made_by["Container"] == {"Type": "docker", "Tag": "bidsface:0.1.0"}


@pytest.mark.parametrize(
    ("output", "links"),
    [
        ("out", {"raw": "../bids", "fmriprep": "../bids/derivatives/fmriprep"}),
        ("bids/derivatives/bidsface", {"raw": "../..", "fmriprep": "../fmriprep"}),
        ("bids/derivatives/fmriprep/bidsface", {"raw": "../../..", "fmriprep": ".."}),
    ],
)
def test_links_are_relative(study, output, links):
    inputs = {"raw": study / "bids", "fmriprep": study / "bids/derivatives/fmriprep"}
    assert described(study / output, inputs)["DatasetLinks"] == links


def test_links_over_a_mount_are_identifiers():
    """/proc is mounted in /: a path from there to another place says nothing elsewhere."""
    inputs = {"raw": Path("/proc/self"), "fmriprep": Path("/proc"), "other": Path("/sys")}
    descriptions = {
        "raw": {"DatasetDOI": "doi:10.18112/openneuro.ds1"},
        "fmriprep": {"SourceDatasets": [{"URL": "/data", "DOI": "doi:10.1/x"}, {"URL": "/data"}]},
    }
    links = {"other": "https://example.org/data"}
    found = dataset_description(Path("/nowhere/out"), inputs, descriptions, links)
    assert found["DatasetLinks"] == {
        "raw": "doi:10.18112/openneuro.ds1",
        "other": "https://example.org/data",
    }
    assert found["SourceDatasets"] == [
        {"DOI": "doi:10.18112/openneuro.ds1"},
        {"DOI": "doi:10.1/x"},
        {"URL": "https://example.org/data"},
    ]


def test_what_the_user_says_goes_before(study):
    links = {"raw": "doi:10.1/mine"}
    found = described(study / "out", {"raw": study / "bids"}, links=links)
    assert found["DatasetLinks"] == links
    assert found["SourceDatasets"] == [{"DOI": "doi:10.1/mine"}]


def test_ignores_what_bids_has_not_adopted_and_keeps_own_lines(study):
    root = study / "out"
    root.mkdir()
    (root / ".bidsignore").write_text("mine\n*.html\n")
    for _ in range(2):
        OutputFolder(root).prepare({})
    lines = (root / ".bidsignore").read_text().splitlines()
    assert lines[:2] == ["mine", "*.html"]
    assert {f"*_{suffix}.*" for suffix in NEW_SUFFIXES} | {"figures", "logs"} <= set(lines)
    assert len(lines) == len(set(lines))


def test_a_second_time_nothing_is_written(study):
    OutputFolder(study / "out").prepare({})
    before = {path: path.stat() for path in (study / "out").iterdir() if path.is_file()}
    OutputFolder(study / "out").prepare({})
    for path, stat in before.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def test_readme_of_the_user_stays(study):
    (study / "out").mkdir()
    (study / "out" / "README").write_text("mine")
    OutputFolder(study / "out").prepare({})
    assert not (study / "out" / "README.md").exists()


@pytest.mark.parametrize("spelling", ["bids", "bids/", "bids/../bids", "link"])
def test_the_input_is_no_output(study, spelling):
    (study / "link").symlink_to(study / "bids")
    with pytest.raises(UsageError, match="is the input data set raw"):
        OutputFolder(study / spelling).prepare({"raw": study / "bids"})
    assert not (study / "bids" / ".bidsface").exists()


def test_data_sets_of_others_are_no_output(study):
    other = study / "bids" / "derivatives" / "fmriprep"
    (other / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(UsageError, match="made by fMRIPrep"):
        OutputFolder(other).prepare({})
    (other / "dataset_description.json").write_text("[")
    with pytest.raises(UsageError, match="an unknown program"):
        OutputFolder(other).prepare({})


def test_a_file_is_no_output(study):
    (study / "file").write_text("")
    for path in (study / "file", study / "file" / "out"):
        with pytest.raises(UsageError, match="file"):
            OutputFolder(path).prepare({})


def test_a_folder_that_cannot_be_made_is_a_clear_error():
    with pytest.raises(UsageError, match="cannot write to the output folder /proc/bidsface"):
        OutputFolder(Path("/proc/bidsface")).prepare({})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_a_clear_error(study):
    (study / "out").mkdir(mode=0o500)
    with pytest.raises(UsageError, match="cannot write to the output folder"):
        OutputFolder(study / "out").prepare({})


def test_constructing_touches_nothing(study):
    OutputFolder(study / "out")
    assert not (study / "out").exists()
    assert example_results().maps
