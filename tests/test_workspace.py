"""The workspace of long analyses: it outlives a crash, and goes once results are written."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from bidsface import __version__
from bidsface.__main__ import main
from bidsface.analysis import Analysis, AnalysisOptions, Column, Results, Table
from bidsface.cli import CACHES
from bidsface.demo.faces import write_study
from bidsface.plugins import PluginRecord, Plugins
from bidsface.regions import HOST_SOURCES
from bidsface.workspace import workspace

COLUMN = {"value": Column("Number of calls that the group level took")}


class Slow(Analysis):
    """Fails at its first call at the group level, and says what it found at the second."""

    name = "slow"

    class Options(AnalysisOptions):
        factor: int = 1

    def participant(self, participant, options):
        return one_number(0)

    def group(self, participants, options):
        with self.workspace() as folder:
            calls = len(list(folder.iterdir())) + 1
            (folder / f"call-{calls}").touch()
        self.tell(f"call {calls} of the group level")
        if calls < 2:
            raise RuntimeError("the power went")
        return one_number(calls * options.factor)


def one_number(value):
    frame = pd.DataFrame({"value": [value]})
    return Results(tables=[Table("scores", frame, COLUMN, {"task": "display"}, "Calls")])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    write_study(folder, seed=3, participants=2, runs=1, trials_per_class=2, voxel_size_mm=12.0)
    recipe = {
        "description": "an analysis that takes long",
        "inputs": {"tasks": ["display"]},
        "samples": {"averages": {"kind": "average", "shift": 5}},
        "regions": {"brain": {"source": "brain-mask"}},
        "analyses": {"slow": {"analysis": "slow"}},
    }
    (folder / "slow.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    def only_slow():
        return Plugins({"slow": Slow}, HOST_SOURCES, {}, {}, (PluginRecord("x", __version__),))

    monkeypatch.setattr("bidsface.app.load_plugins", only_slow)
    monkeypatch.setattr("bidsface.participant_level.load_plugins", only_slow)


def run(study, out, *argv):
    recipe = study / "slow.yaml"
    command = (study / "bids", out, "participant", "group", "--recipe", recipe, "--nprocs", 1)
    return main([str(word) for word in (*command, *argv)])


def value(out):
    table = pd.read_csv(next(out.glob("func/*_scores.tsv")), sep="\t")
    return table["value"].item()


def left_over(folder):
    return sorted(path.name for path in folder.rglob("call-*"))


def test_the_next_run_finds_what_was_kept_and_then_it_goes(study, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(study, out) == 1
    assert left_over(out) == ["call-1"]
    assert run(study, out) == 0
    assert value(out) == 2
    assert left_over(out) == []
    assert "call 2 of the group level" in capsys.readouterr().out


def test_other_options_never_go_on_from_it(study, tmp_path):
    out = tmp_path / "out"
    assert run(study, out) == 1
    assert run(study, out, "--set", "analyses.slow.factor=10") == 1, "it went on from another run"
    assert run(study, out, "--set", "analyses.slow.factor=10") == 0
    assert value(out) == 20


def test_it_lies_in_the_work_folder_where_there_is_one(study, tmp_path, monkeypatch):
    for name in CACHES:
        monkeypatch.setenv(name, str(tmp_path))
    out, work = tmp_path / "out", tmp_path / "work"
    assert run(study, out, "--work-dir", work) == 1
    assert (left_over(work), left_over(out)) == (["call-1"], [])
    assert run(study, out, "--work-dir", work) == 0
    assert left_over(work) == []


def test_without_a_name_it_is_temporary():
    analysis = Slow("slow", 1)
    with analysis.workspace() as folder:
        np.save(folder / "array.npy", np.arange(3))
        assert folder.is_dir()
    assert not folder.exists()
    analysis.tell("nobody listens")


def test_with_a_name_it_stays(tmp_path):
    with workspace(tmp_path / "a" / "b") as folder:
        (folder / "kept").touch()
    assert re.search(r"a/b$", str(folder))
    assert (folder / "kept").exists()
