from dataclasses import replace
from pathlib import Path

import pytest
from trees import MNI, PLAIN, Tree, found, opened, refused, spelled

from bidsface.errors import InputError, UsageError
from bidsface.files import ParticipantFiles
from bidsface.recipe import Inputs


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    PLAIN.write(folder)
    return folder


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"session_label": ("ses-a",)}, 4),
        ({"task_id": ("display",)}, 4),
        ({"task_id": ("task-display", "observe")}, 8),
        ({"run": ("1",)}, 4),
        ({"run": ("run-02",), "session_label": ("b",)}, 2),
        ({"bids_filters": {"bold": {"session": "a"}}}, 4),
        ({"bids_filters": {"bold": {"ses": ["a", "zz"], "run": 1}}}, 2),
        ({"bids_filters": {"bold": {"acquisition": None, "suffix": "bold"}}}, 8),
        ({"bids_filters": {"bold": {"run": "*", "datatype": "func"}, "t1w": {"run": 9}}}, 8),
    ],
)
def test_labels_and_filters(plain, changes, count):
    files = found(opened(plain, **changes))
    assert len(files.runs) == count


def test_recipe_tasks(plain):
    dataset = opened(plain, Inputs(tasks=("observe",)))
    assert {run.entities["task"] for run in found(dataset).runs} == {"observe"}
    with pytest.raises(UsageError, match="not a task of the recipe"):
        opened(plain, Inputs(tasks=("observe",)), task_id=("display",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"session_label": ("c",)}, "--session-label: no .* ses c; there are: a, b"),
        ({"task_id": ("rest",)}, "--task-id: no .* task rest; there are: display, observe"),
        ({"run": ("3",)}, "--run: no .* run 3; there are: 01, 02"),
        ({"space": ("MNI",)}, f"--space: no .* there are: {MNI}, T1w, native"),
        ({"bids_filters": {"bold": {"session": "wave1"}}}, "ses wave1; there are: a, b"),
        ({"bids_filters": {"bold": {"acq": "x"}}}, "acq x; there are: none"),
    ],
)
def test_unknown_labels_are_told_what_exists(plain, changes, message):
    with pytest.raises(UsageError, match=message):
        opened(plain, **changes).files(["01"])


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"bold": {"sesion": "a"}}, "unknown entity 'sesion'"),
        ({"bld": {"session": "a"}}, "unknown section bld"),
        ({"bold": {"session": []}}, "wants a label"),
        ({"bold": {"session": {"a": 1}}}, "wants a label"),
    ],
)
def test_bad_filters(plain, filters, message):
    with pytest.raises(UsageError, match=message):
        opened(plain, bids_filters=filters)


def test_a_label_of_other_participants_only(tmp_path):
    tree = Tree(participants=("01",), sessions=("a", "b"))
    tree.write(tmp_path)
    replace(tree, participants=("02",), sessions=("a",)).write(tmp_path)
    dataset = opened(tmp_path, session_label=("b",))
    assert "no preprocessed run with ses b; there are: a" in refused(dataset, "02")
    assert len(found(dataset, "01").runs) == 2
    both = dataset.files(["01", "02"])
    assert isinstance(both["01"], ParticipantFiles)
    assert isinstance(both["02"], InputError)


@pytest.mark.parametrize(
    ("spaces", "changes", "inputs", "expected"),
    [
        ((MNI, "T1w", ""), {}, {}, MNI),
        (("T1w", ""), {}, {}, None),
        (("T1w", ""), {}, {"space": "T1w"}, "T1w"),
        ((MNI, "T1w", ""), {"space": ("native",)}, {"space": "T1w"}, None),
        ((MNI, ""), {"space": ("func",)}, {}, None),
        ((MNI, "T1w"), {"space": ("anat",)}, {}, "T1w"),
        ((MNI, "T1w"), {"bids_filters": {"bold": {"space": "T1w"}}}, {}, "T1w"),
        ((MNI, ""), {"bids_filters": {"bold": {"space": None}}}, {}, None),
    ],
)
def test_space(tmp_path, spaces, changes, inputs, expected):
    Tree(spaces=spaces).write(tmp_path)
    files = found(opened(tmp_path, Inputs(**inputs), **changes))
    assert len(files.runs) == 2
    assert {run.entities.get("space") for run in files.runs} == {expected}
    assert all(run.mask is not None for run in files.runs)


def test_other_spaces_only(tmp_path):
    Tree(spaces=("T1w", "MNI152NLin6Asym")).write(tmp_path)
    with pytest.raises(UsageError, match="one of: MNI152NLin6Asym, T1w"):
        opened(tmp_path).files(["01"])


def test_one_space_at_a_time(plain):
    with pytest.raises(UsageError, match="one at a time"):
        opened(plain, space=(MNI, "T1w"))


def test_participants_without_the_space_of_the_others(tmp_path):
    Tree(participants=("01",), spaces=(MNI,)).write(tmp_path)
    Tree(participants=("02",), spaces=("",)).write(tmp_path)
    dataset = opened(tmp_path)
    assert {run.entities["space"] for run in found(dataset, "01").runs} == {MNI}
    message = refused(dataset, "02")
    assert f"no preprocessed run in space {MNI}; there are: native" in message
    assert "space" not in found(opened(tmp_path, participant_label=("02",)), "02").runs[0].entities


def test_several_resolutions(tmp_path):
    Tree(spaces=(f"{MNI}_res-2", MNI)).write(tmp_path)
    with pytest.raises(UsageError, match=rf"2, native; choose one, such as .*{MNI}:res-2"):
        opened(tmp_path).files(["01"])
    by_flag = found(opened(tmp_path, space=(f"{MNI}:res-2",)))
    by_recipe = found(opened(tmp_path, Inputs(resolution="2")))
    assert by_flag == by_recipe
    assert {run.entities["res"] for run in by_flag.runs} == {"2"}
    assert by_flag.grey_matter.name == f"sub-01_space-{MNI}_res-2_label-GM_probseg.nii.gz"
    assert "_res-2_" in by_flag.runs[0].mask.name
    native = found(opened(tmp_path, Inputs(resolution="native")))
    assert all("res" not in run.entities for run in native.runs)
    with pytest.raises(UsageError, match=r"no .* res 3; there are: 2, native"):
        opened(tmp_path, Inputs(resolution="3")).files(["01"])


def test_cohort(tmp_path):
    space = "MNIPediatricAsym_cohort-2"
    Tree(spaces=(f"{space}_res-1",)).write(tmp_path)
    files = found(opened(tmp_path, space=("MNIPediatricAsym:cohort-2:res-1",)))
    assert spelled(files)[0] == f"sub-01_task-display_run-1_space-{space}_res-1"
    assert files.grey_matter is not None
    with pytest.raises(UsageError, match="cannot read 'size-1'"):
        opened(tmp_path, space=("MNIPediatricAsym:size-1",))


def test_surfaces_only(tmp_path):
    Tree(spaces=(), surfaces=True).write(tmp_path)
    assert "only surface or CIFTI data" in refused(opened(tmp_path))


def test_no_preprocessed_runs(tmp_path):
    Tree(spaces=()).write(tmp_path)
    assert "no *_desc-preproc_bold.nii.gz in" in refused(opened(tmp_path))
