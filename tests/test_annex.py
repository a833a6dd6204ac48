import os
from pathlib import Path

import pytest
from trees import MNI, Tree, opened, refused, write

from bidsface.dataset import file_state
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles

ANNEX = "../.git/annex/objects/Xx/Yy/MD5E-s9--abc.nii.gz/MD5E-s9--abc.nii.gz"


def annexed(path: Path) -> Path:
    """Replace a file by a link into an annex, without content."""
    path.unlink()
    path.symlink_to(ANNEX)
    return path


def test_dangling_annexed_image(tmp_path):
    _, fmriprep = Tree().write(tmp_path)
    func = fmriprep / "sub-01/func"
    path = annexed(func / f"sub-01_task-display_run-2_space-{MNI}_desc-preproc_bold.nii.gz")
    outcomes = opened(tmp_path).files(["01", "02"])
    assert f"datalad get {path}" in str(outcomes["01"])
    assert isinstance(outcomes["02"], ParticipantFiles)


def test_many_missing_files_give_one_command(tmp_path):
    _, fmriprep = Tree().write(tmp_path)
    for path in fmriprep.glob("sub-01/*/*.nii.gz"):
        annexed(path)
    folders = " ".join(str(fmriprep / "sub-01" / name) for name in ("anat", "func"))
    message = refused(opened(tmp_path))
    assert message.endswith(f"datalad get {folders}")
    assert "(and of 8 more files)" in message


@pytest.mark.parametrize("name", ["preproc_bold.json", "confounds_timeseries.tsv"])
def test_unlocked_pointer(tmp_path, name):
    _, fmriprep = Tree().write(tmp_path)
    path = next((fmriprep / "sub-01/func").glob(f"*run-1*_desc-{name}"))
    write(path, "/annex/objects/MD5E-s9--abc.json\n")
    assert f"datalad get {path}" in refused(opened(tmp_path))


def test_annexed_events(tmp_path):
    raw, _ = Tree().write(tmp_path)
    path = annexed(raw / "sub-01/func/sub-01_task-display_run-1_events.tsv")
    assert f"datalad get {path}" in refused(opened(tmp_path))


def test_state_of_plain_files_changes_with_size_and_time(tmp_path):
    path = write(tmp_path / "a.tsv", "x")
    os.utime(path, ns=(1, 5_000))
    first = file_state(path)
    assert first == "1:5000"
    os.utime(path, ns=(1, 6_000))
    assert file_state(path) != first


def test_state_of_annexed_files_is_their_key(tmp_path):
    key = "MD5E-s9--abc.nii.gz"
    content = write(tmp_path / f".git/annex/objects/Xx/Yy/{key}/{key}", "some data")
    folder = tmp_path / "sub-01"
    folder.mkdir()
    (folder / "a.nii.gz").symlink_to(ANNEX)
    (folder / "b.nii.gz").symlink_to("a.nii.gz")
    assert {file_state(folder / "a.nii.gz"), file_state(folder / "b.nii.gz")} == {key}
    content.unlink()
    with pytest.raises(InputError, match="datalad get"):
        file_state(folder / "b.nii.gz")


def test_state_of_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="file is missing"):
        file_state(tmp_path / "none")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match="link to a missing file"):
        file_state(tmp_path / "link")
