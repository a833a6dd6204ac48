"""A second data set at the group level: who is read, who is left out, what follows from it."""

import hashlib
import json
import shutil
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from example_results import example_grid
from second_study import Reach, description, of_one, plugins, replace_results, run, write_recipe
from validator import validator_issues

from bidsface.analysis import Grid, Results, Voxels
from bidsface.demo.faces import write_study
from bidsface.derivatives import OutputFolder, Unit
from bidsface.schema import schema_path

SCORES = "func/task-display_desc-reach_scores"


@pytest.fixture(scope="module", autouse=True)
def analyses():
    """Let bidsface find the analyses of these tests, and no plugin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bidsface.app.load_plugins", plugins)
        patch.setattr("bidsface.participant_level.load_plugins", plugins)
        yield


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies with participants 01 and 02, whose participant level is finished."""
    root = tmp_path_factory.mktemp("studies")
    for name, seed in (("own", 3), ("other", 4)):
        folder = root / name
        bids = write_study(
            folder, seed=seed, participants=2, runs=1, trials_per_class=2, voxel_size_mm=12.0
        )
        write_recipe(folder)
        assert run(bids, folder / "out", levels=["participant"]) == 0
    return root


@pytest.fixture
def bids(studies):
    return studies / "own" / "bids"


@pytest.fixture
def out(studies, tmp_path):
    return Path(shutil.copytree(studies / "own" / "out", tmp_path / "out"))


@pytest.fixture
def other(studies, tmp_path):
    return Path(shutil.copytree(studies / "other" / "out", tmp_path / "other"))


def scores(out, analysis="reach"):
    path = out / f"{SCORES.replace('reach', analysis)}.tsv"
    return pd.read_csv(path, sep="\t", dtype={"person": str}).set_index("person")


def snapshot(root):
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in root.rglob("*")}


def group_receipt(out, analysis="reach"):
    (receipt,) = OutputFolder(out).receipts("group", analysis=analysis)
    return receipt


def map_of(out, label):
    return next(out.glob(f"sub-{label}/**/*_desc-reach_stat-effect_statmap.nii.gz"))


def test_participants_of_both_data_sets_stand_side_by_side(bids, out, other):
    before = snapshot(other)
    assert run(bids, out, "--derivatives", f"second={other}") == 0
    assert snapshot(other) == before, "the second data set was written to"
    table = scores(out)
    assert list(table.index) == ["01", "02", "second:01", "second:02"]
    assert list(table["data_set"]) == ["own", "own", "second", "second"]
    for key, folder, label in (
        *(("01", out, "01"), ("02", out, "02")),
        *(("second:01", other, "01"), ("second:02", other, "02")),
    ):
        expected = nib.load(map_of(folder, label)).get_fdata().sum()
        assert table.loc[key, "value"] == pytest.approx(expected, rel=1e-5)
    assert table["noise"].nunique() == table["value"].nunique() == 4


def test_two_more_data_sets_come_in_order_of_their_names(bids, out, other, tmp_path):
    third = Path(shutil.copytree(other, tmp_path / "third"))
    assert run(bids, out, "--derivatives", f"z={other}", f"a={third}") == 0
    assert list(scores(out).index) == ["01", "02", "a:01", "a:02", "z:01", "z:02"]


def test_an_analysis_that_does_not_ask_sees_its_own_data_set_only(bids, out, other, capsys):
    assert run(bids, out) == 0
    before = group_receipt(out, "home")
    assert run(bids, out, "--derivatives", f"second={other}") == 0
    assert list(scores(out, "home").index) == ["01", "02"]
    assert len(scores(out)) == 4
    assert group_receipt(out, "home") == before
    said = capsys.readouterr().out
    assert "group, reach: reads 2 participants of second too" in said
    assert "group, home" not in said
    # Left out again, the group is computed without it again.
    assert run(bids, out) == 0
    assert list(scores(out).index) == ["01", "02"]


def test_sources_lead_to_the_files_of_both(bids, out, other):
    assert run(bids, out, "--derivatives", f"second={other}") == 0
    links = description(out)["DatasetLinks"]
    assert (out / links["second"]).resolve() == other.resolve()
    sources = json.loads((out / f"{SCORES}.json").read_text())["Sources"]
    roots = {"": out, "second": out / links["second"]}
    found = [roots[name] / path for _, name, path in (uri.split(":") for uri in sources)]
    assert len(found) == len(set(found)) == 8
    assert all(path.is_file() for path in found)
    assert set(group_receipt(out).inputs) == {uri for uri in sources if "bids:second:" in uri}


def test_links_stay_while_results_need_them(bids, out, other):
    assert run(bids, out, "--derivatives", f"second={other}") == 0
    links = description(out)["DatasetLinks"]
    assert run(bids, out, levels=["participant"]) == 0
    assert description(out)["DatasetLinks"] == links


def test_validator_finds_no_error(bids, out, other):
    assert run(bids, out, "--derivatives", f"second={other}") == 0
    assert validator_issues(out) == []
    ignore = ("figures", "*.html", "logs")
    assert validator_issues(out, schema=schema_path(), ignore=ignore) == []


def test_the_group_is_redone_when_the_other_output_changed(bids, out, other, capsys):
    second = ("--derivatives", f"second={other}")
    assert run(bids, out, *second) == 0
    earlier = scores(out)
    capsys.readouterr()
    assert run(bids, out, *second) == 0
    assert "everything was up to date" in capsys.readouterr().out
    image = nib.load(map_of(other, "02"))
    grid = Grid(image.shape, image.affine, "MNI152NLin2009cAsym")
    replace_results(other, "02", of_one(np.full(10, 2.0), Voxels(grid, np.arange(10))))
    assert run(bids, out, *second) == 0
    assert scores(out).loc["second:02", "value"] == 20.0
    pd.testing.assert_frame_equal(scores(out).iloc[:3], earlier.iloc[:3])


def test_equal_receipts_over_other_numbers_are_noticed(bids, out, other):
    """Two outputs may differ in files alone: the hash of inputs holds those too."""
    second = ("--derivatives", f"second={other}")
    assert run(bids, out, *second) == 0
    earlier = group_receipt(out).unit.fingerprint
    victim = next(other.glob(".bidsface/receipts/participant/sub-01/reach.json"))
    content = json.loads(victim.read_text())
    table = next(file for file in content["files"] if file["kind"] == "table")
    path = other / table["path"]
    path.write_text("value\n7.5\n")
    state = path.stat()
    table |= {"size": state.st_size, "mtime_ns": state.st_mtime_ns}
    table["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    victim.write_text(json.dumps(content))
    assert run(bids, out, *second) == 1, "map and table of a participant no longer agree"
    assert group_receipt(out).unit.fingerprint != earlier


@pytest.mark.parametrize("how", ["failed", "unreadable data", "no receipt", "torn receipt"])
def test_who_has_not_finished_is_left_out_with_a_warning(bids, out, other, how, capsys):
    receipt = other / ".bidsface/receipts/participant/sub-02/reach.json"
    if how in ("failed", "unreadable data"):
        analysis = "reach" if how == "failed" else "data"
        unit = Unit("participant", analysis, "02", "")
        OutputFolder(other).record_failure(unit, "too short", None)
    elif how == "no receipt":
        receipt.unlink()
    else:
        receipt.write_text(receipt.read_text()[:200])
    assert run(bids, out, "--derivatives", f"second={other}") == 0
    assert list(scores(out).index) == ["01", "02", "second:01"]
    warning = "sub-02 of second is left out: it has not finished the analysis"
    said = capsys.readouterr().out
    assert warning in said
    assert "reads 1 participant of second too" in said
    first, second = group_receipt(out).warnings
    assert first == "A warning of the analysis."
    assert second.startswith(warning)
    assert warning in (out / "group.html").read_text()


@pytest.mark.parametrize("how", ["removed", "cut short"])
def test_who_is_torn_is_left_out_with_the_name_of_the_file(bids, out, other, how, capsys):
    second = ("--derivatives", f"second={other}")
    assert run(bids, out, *second) == 0
    victim = map_of(other, "01")
    if how == "removed":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:100])
    assert run(bids, out, *second) == 0
    assert list(scores(out).index) == ["01", "02", "second:02"]
    assert f"sub-01 of second is left out: {victim} is missing or has changed" in (
        capsys.readouterr().out
    )


def test_a_data_set_without_anybody_fails_the_analysis_and_no_other(bids, out, other, capsys):
    for label in ("01", "02"):
        unit = Unit("participant", "reach", label, "")
        OutputFolder(other).record_failure(unit, "too short", None)
    assert run(bids, out, "--derivatives", f"second={other}") == 1
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert f"--derivatives second={other}: no participant has results of analysis reach" in last
    assert "sub-01 of second is left out" in last
    assert list(scores(out, "home").index) == ["01", "02"]


def wrong_recipe(bids, out, other):
    return ["--set", "analyses.reach.scale=2"], (
        "analysis reach of sub-01 was computed with another recipe (scale is 1.0 there, 2.0 here)"
    )


def no_receipts(bids, out, other):
    shutil.rmtree(other / ".bidsface")
    return [], f"there are no receipts of participants in {other / '.bidsface'}"


def other_label(bids, out, other):
    for path in other.glob(".bidsface/receipts/participant/*/reach.json"):
        path.unlink()
    return [], "it has no results of analysis reach, only of home; run its participant level"


@pytest.mark.parametrize("spoil", [wrong_recipe, no_receipts, other_label])
def test_an_output_that_does_not_fit_gives_one_message(bids, out, other, spoil, capsys):
    argv, message = spoil(bids, out, other)
    if argv:
        assert run(bids, out, *argv, levels=["participant"]) == 0
        capsys.readouterr()
    assert run(bids, out, *argv, "--derivatives", f"second={other}") == 1
    said = capsys.readouterr()
    failed = [line for line in said.out.splitlines() if "FAILED" in line]
    assert len(failed) == 1
    assert f"--derivatives second={other}" in failed[0]
    assert message in failed[0]
    assert said.err == ""
    assert list(scores(out, "home").index) == ["01", "02"]


def test_another_selection_of_runs_is_no_other_recipe(bids, out, other):
    """Runs, tasks and sessions bear other labels in another data set."""
    for path in other.glob(".bidsface/receipts/participant/*/reach.json"):
        content = json.loads(path.read_text())
        content["options"]["selection"] = {"runs": ["1"]}
        path.write_text(json.dumps(content))
    assert run(bids, out, "--derivatives", f"second={other}") == 0
    assert len(scores(out)) == 4


def test_a_name_that_cannot_stand_in_results_is_refused(bids, out, other, capsys):
    assert run(bids, out, "--derivatives", f"my-study={other}") == 1
    assert "'my-study', so it must be letters and digits only" in capsys.readouterr().out


def test_data_sets_of_others_are_passed_over_and_named(bids, out, studies, capsys):
    fmriprep = studies / "other" / "bids" / "derivatives" / "fmriprep"
    assert run(bids, out, "--derivatives", f"second={fmriprep}") == 0
    assert list(scores(out).index) == ["01", "02"]
    said = capsys.readouterr().out
    assert f"group, reach: --derivatives second={fmriprep} gives no participants" in said
    assert "it is no output of bidsface (made by bidsface-demo" in said
    assert description(out)["DatasetLinks"].keys() == {"raw", "fmriprep", "second"}


@pytest.mark.parametrize("how", ["a bare path", "BIDS_DIR"])
def test_an_output_of_bidsface_is_not_searched_for_runs(bids, out, other, how, tmp_path, capsys):
    if how == "BIDS_DIR":
        write_recipe(tmp_path)
        assert run(other, tmp_path / "new") == 2
    else:
        assert run(bids, out, "--derivatives", other) == 2
    error = capsys.readouterr().err
    assert f"{other} holds results of bidsface, not preprocessed runs" in error
    assert f"--derivatives second={other}" in error


@pytest.mark.parametrize("what", ["space", "shape", "place"])
def test_maps_on_another_grid_name_both_files(bids, out, other, what, capsys):
    image = nib.load(map_of(other, "02"))
    affine, shape = image.affine.copy(), image.shape
    affine[0, 3] += 6.0 * (what == "place")
    grid = {
        "space": Grid(shape, affine, "MNI152NLin6Asym"),
        "shape": example_grid(),
        "place": Grid(shape, affine, "MNI152NLin2009cAsym"),
    }[what]
    replace_results(other, "02", of_one(np.ones(10), Voxels(grid, np.arange(10))))
    assert run(bids, out, "--derivatives", f"second={other}") == 1
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert str(map_of(other, "02")) in last
    assert str(map_of(out, "01")) in last
    assert "not resampled" in last
    if what == "space":
        assert "in MNI152NLin6Asym space" in last
        assert "in MNI152NLin2009cAsym space" in last


def test_a_column_of_participants_may_tell_data_sets_apart(studies, out, tmp_path, capsys):
    """The other way to hold two data sets: one folder, told apart by a column."""
    shutil.copytree(studies / "own" / "bids", tmp_path / "bids")
    write_recipe(tmp_path)
    table = tmp_path / "bids" / "participants.tsv"
    table.write_text("participant_id\tdataset\tage\nsub-01\tone\t30\nsub-02\ttwo\t31\n")
    bids, column = tmp_path / "bids", ("--set", "analyses.reach.site_column=dataset")
    assert run(bids, out, *column, levels=["participant", "group"]) == 0
    assert list(scores(out)["site"]) == ["one", "two"]
    table.write_text(table.read_text().replace("30", "40"))
    capsys.readouterr()
    assert run(bids, out, *column) == 0
    assert "everything was up to date" in capsys.readouterr().out
    table.write_text(table.read_text().replace("two", "one"))
    assert run(bids, out, *column) == 0
    assert list(scores(out)["site"]) == ["one", "one"]


class TestMap:
    def test_numbers_do_not_depend_on_processors(self, bids, out, other):
        second = ("--derivatives", f"second={other}")
        assert run(bids, out, *second) == 0
        alone = (out / f"{SCORES}.tsv").read_bytes()
        for nprocs in ("2", "3"):
            assert run(bids, out, *second, "--force", "--nprocs", nprocs) == 0
            assert (out / f"{SCORES}.tsv").read_bytes() == alone

    def test_the_group_has_the_processors_of_the_run(self, bids, out, monkeypatch):
        meeting = threading.Barrier(2, timeout=30)

        def group(self, participants, options):
            assert sorted(self.map(lambda _: meeting.wait(), range(2))) == [0, 1]
            return Results()

        monkeypatch.setattr(Reach, "group", group)
        assert run(bids, out, "--analysis", "reach", "--nprocs", "2") == 0

    def test_a_participant_shares_its_processors_with_the_analysis(self, bids, out, monkeypatch):
        meeting = threading.Barrier(2, timeout=30)

        def participant(self, participant, options):
            assert sorted(self.map(lambda _: meeting.wait(), range(2))) == [0, 1]
            return Results()

        monkeypatch.setattr(Reach, "participant", participant)
        one = ("--participant-label", "01", "--analysis", "reach", "--nprocs", "2", "--force")
        assert run(bids, out, *one, levels=["participant"]) == 0

    def test_without_an_app_items_come_one_after_the_other(self):
        names = Reach("reach", 1).map(lambda _: threading.current_thread().name, range(3))
        assert names == [threading.current_thread().name] * 3

    def test_an_error_of_an_item_is_the_analysis_s(self, bids, out, monkeypatch, capsys):
        def group(self, participants, options):
            return self.map(lambda found: 1 / 0, participants)

        monkeypatch.setattr(Reach, "group", group)
        assert run(bids, out, "--nprocs", "2") == 1
        assert "group, reach: unexpected ZeroDivisionError" in capsys.readouterr().out
