"""Tables that analyses ask for: finding, reading, and knowing when they change."""

import gzip
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from trees import Tree, describe, opened, settings, write
from volumes import make_recipe

from bidsface.__main__ import main
from bidsface.analyses import check_analyses
from bidsface.analysis import Analysis, AnalysisOptions, Results, TableFilter
from bidsface.derivatives import OutputFolder
from bidsface.errors import InputError, PluginError, RecipeError, UsageError
from bidsface.files import FoundTables, ParticipantFiles, TableFile
from bidsface.participant import LoadedParticipant
from bidsface.participant.tables import read_table
from bidsface.planning import Stage, plan_participant
from bidsface.plugins import Plugins
from bidsface.recipe_loading import load_recipe
from bidsface.regions import HOST_SOURCES

BEH = "trial\trating\n1\t30\n2\tn/a\n"
PHENOTYPE = "participant_id\tpcs\nsub-01\t12\n02\t7\nsub-01\t13\n"


def write_gz(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    return path


class TestFilter:
    def test_entities_may_be_long_or_short_with_or_without_prefix(self):
        long = TableFilter("beh", entities={"session": "ses-1", "task": "pain", "run": "run-01"})
        assert long == TableFilter("beh", entities={"ses": "1", "task": "task-pain", "run": "01"})

    def test_covers_what_is_narrower(self):
        wide = TableFilter("beh", entities={"run": "01"})
        assert wide.covers(TableFilter("beh", entities={"run": "1", "task": "pain"}))
        assert wide.covers(wide)
        for other in (
            TableFilter("beh"),
            TableFilter("beh", entities={"run": "2"}),
            TableFilter("beh", "openface", {"run": "1"}),
            TableFilter("physio", entities={"run": "1"}),
        ):
            assert not wide.covers(other)

    @pytest.mark.parametrize(
        "suffix", ["", "*", "../beh", "beh.tsv", "phenotype/", "phenotype/../x"]
    )
    def test_a_suffix_is_a_name(self, suffix):
        with pytest.raises(
            RecipeError, match=r"a suffix, such as beh, or phenotype/NAME is wanted"
        ):
            TableFilter(suffix)

    @pytest.mark.parametrize("name", ["tsak", "sub", "subject", "suffix"])
    def test_unknown_entities_are_told_what_exists(self, name):
        with pytest.raises(RecipeError, match=rf"no entity '{name}'; there are: ses, task, acq"):
            TableFilter("beh", entities={name: "1"})

    def test_phenotype_has_no_entities(self):
        with pytest.raises(RecipeError, match="have no entities"):
            TableFilter("phenotype/pcs", entities={"ses": "1"})

    def test_is_spelled(self):
        spelled = str(TableFilter("physio", "openface", {"task": "pain"}))
        assert spelled == "tables physio with task-pain of the data set openface"


@pytest.fixture
def study(tmp_path):
    """Two sessions of two tasks with every kind of table."""
    raw, _ = Tree(sessions=("1", "2"), tasks=("pain", "rest"), runs=("1", "2", "10")).write(
        tmp_path
    )
    for label in ("01", "02"):
        for session in ("1", "2"):
            for run in ("10", "2", "1"):
                stem = f"sub-{label}_ses-{session}_task-pain_run-{run}"
                write(raw / f"sub-{label}/ses-{session}/beh/{stem}_beh.tsv", BEH)
        stem = f"sub-{label}_ses-1_task-rest_run-1"
        write(raw / f"sub-{label}/ses-1/beh/{stem}_beh.tsv", BEH)
        for recording in ("cardiac", "respiratory"):
            name = f"{stem}_recording-{recording}_physio.tsv.gz"
            write_gz(raw / f"sub-{label}/ses-1/func/{name}", "1\t2\n3\t4\n")
        frames = "frame, AU04_r\n1, 0.50\n2, \n"
        write(
            tmp_path / f"faces/sub-{label}/sub-{label}_ses-1_task-pain_run-1_openface.csv", frames
        )
    write(raw / "phenotype/pcs.tsv", PHENOTYPE)
    write(raw / "phenotype/pcs.json", json.dumps({"pcs": {"Description": "Catastrophizing"}}))
    return tmp_path


def find(study, suffix, dataset=None, label="01", opening=None, **entities):
    dataset_ = opened(study, **(opening or {}))
    (found,) = dataset_.tables(label, [TableFilter(suffix, dataset, entities)])
    return found.files


def names(files):
    return ["_".join(f"{key}-{value}" for key, value in file.entities.items()) for file in files]


class TestFinding:
    def test_by_session_task_and_run_of_one_participant(self, study):
        runs = [f"ses-{s}_task-pain_run-{r}" for s in "12" for r in ("1", "2", "10")]
        found = find(study, "beh")
        assert names(found) == [*runs[:3], "ses-1_task-rest_run-1", *runs[3:]]
        assert all("sub-01" in file.path.name for file in found)
        assert names(find(study, "beh", task="pain", run="01", session="2")) == [runs[3]]
        assert find(study, "beh", task="heat") == ()

    def test_files_of_one_run_may_differ_in_their_recording(self, study):
        files = find(study, "physio")
        assert [file.entities["recording"] for file in files] == ["cardiac", "respiratory"]
        assert len(find(study, "physio", recording="cardiac")) == 1

    def test_a_named_derivative(self, study):
        opening = {"derivatives": {"openface": study / "faces"}}
        (file,) = find(study, "openface", "openface", opening=opening)
        assert file.path == study / "faces/sub-01/sub-01_ses-1_task-pain_run-1_openface.csv"
        assert find(study, "openface", opening=opening) == ()
        assert len(find(study, "timeseries", "fmriprep", desc="confounds")) == 12

    def test_a_data_set_that_was_not_given(self, study):
        with pytest.raises(
            UsageError,
            match=r"tables openface of the data set openface.*--derivatives openface=PATH; "
            r"there are: fmriprep, raw",
        ):
            find(study, "openface", "openface")

    def test_a_derivative_as_the_only_data_set(self, tmp_path):
        root = tmp_path / "bids"
        Tree().write_fmriprep(root)
        write(root / "sub-01/beh/sub-01_task-display_beh.tsv", BEH)
        assert names(find(tmp_path, "beh")) == ["task-display"]

    def test_what_is_no_table_of_the_participant_is_passed_over(self, study):
        folder = study / "bids/sub-01/ses-1/beh"
        expected = find(study, "beh")
        for name in (
            "._sub-01_ses-1_task-pain_run-1_beh.tsv",
            "sub-01_ses-1_task-pain_run-1_beh.json",
            "sub-01_ses-1_task-pain_run-1_beh.xlsx",
            "sub-01_ses-1_task-pain_run-3_notbeh.tsv",
            "sub-011_ses-1_task-pain_run-3_beh.tsv",
            "deeper/sub-01_ses-1_task-pain_run-3_beh.tsv",
        ):
            write(folder / name, "{}")
        assert find(study, "beh") == expected

    @pytest.mark.parametrize(
        ("opening", "entities", "expected"),
        [
            ({"session_label": ("2",)}, {}, ["ses-2_task-pain_run-1", "ses-2_task-pain_run-2"]),
            ({"session_label": ("2",)}, {"ses": "1", "task": "rest"}, ["ses-1_task-rest_run-1"]),
            ({"task_id": ("rest",)}, {}, ["ses-1_task-rest_run-1"]),
            ({"bids_filters": {"bold": {"run": ["10"]}}}, {"ses": "1"}, ["ses-1_task-pain_run-10"]),
        ],
    )
    def test_a_selection_of_runs_selects_unless_a_label_is_named(
        self, study, opening, entities, expected
    ):
        assert names(find(study, "beh", opening=opening, **entities))[:2] == expected

    def test_a_table_of_no_session_serves_every_session(self, study):
        write(study / "bids/sub-01/sub-01_sessions.tsv", "session_id\tage\nses-1\t30\n")
        assert len(find(study, "sessions", opening={"session_label": ("2",)})) == 1

    def test_sidecars_are_inherited_and_the_nearest_wins(self, study):
        raw = study / "bids"
        stem = "sub-01_ses-1_task-rest_run-1"
        columns = {"Columns": ["a", "b"], "SamplingFrequency": 1}
        write(raw / "physio.json", json.dumps({**columns, "Manufacturer": "x"}))
        write(raw / "task-rest_physio.json", json.dumps({"SamplingFrequency": 2, "StartTime": 1}))
        write(raw / "task-pain_physio.json", json.dumps({"SamplingFrequency": 3}))
        write(raw / "sub-01/ses-1/sub-01_ses-1_physio.json", json.dumps({"StartTime": 4}))
        own = raw / f"sub-01/ses-1/func/{stem}_recording-cardiac_physio.json"
        write(own, json.dumps({"Columns": ["cardiac", "trigger"]}))
        cardiac, respiratory = find(study, "physio")
        shared = {"SamplingFrequency": 2, "Manufacturer": "x", "StartTime": 4}
        assert cardiac.sidecar == shared | {"Columns": ["cardiac", "trigger"]}
        assert respiratory.sidecar == shared | {"Columns": ["a", "b"]}
        (other, _) = find(study, "physio", label="02")
        assert other.sidecar["StartTime"] == 1

    def test_a_broken_sidecar_is_named(self, study):
        write(study / "bids/task-rest_physio.json", "{")
        with pytest.raises(InputError, match=r"task-rest_physio\.json: cannot be read as JSON"):
            find(study, "physio")

    def test_phenotype(self, study):
        (file,) = find(study, "phenotype/pcs")
        assert file.sidecar["pcs"]["Description"] == "Catastrophizing"
        assert file.entities == {}
        assert find(study, "phenotype/maia_2") == ()

    def test_only_what_is_asked_for_is_listed(self, study, monkeypatch):
        listed = []
        glob = Path.glob

        def counting(path, pattern):
            listed.append(path)
            return glob(path, pattern)

        dataset = opened(study)
        monkeypatch.setattr(Path, "glob", counting)
        assert dataset.tables("01", []) == ()
        assert listed == []
        dataset.tables("01", [TableFilter("physio")])
        first = listed.count(study / "bids")
        dataset.tables("02", [TableFilter("physio")])
        assert listed.count(study / "bids") - first == first - 1  # the root's JSON files, once


def table(path: Path, participant=None, **sidecar) -> TableFile:
    return TableFile(path, {}, sidecar, participant)


class TestReading:
    def test_values_are_text_and_missing_is_one_thing(self, tmp_path):
        text = "\ufeffa\t b \n01\t\n\t2.50\nn/a\tNA\n"
        frame = read_table(table(write(tmp_path / "sub-01_beh.tsv", text)))
        assert frame.to_dict("list") == {"a": ["01", "n/a", "n/a"], "b": ["n/a", "2.50", "NA"]}

    def test_openface_headers_have_blanks(self, tmp_path):
        text = "frame, confidence, AU04_r\n1, 0.98, 1.20\n2, 0.97,\n"
        frame = read_table(table(write(tmp_path / "sub-01_openface.csv", text)))
        assert list(frame.columns) == ["frame", "confidence", "AU04_r"]
        assert frame.iloc[0].tolist() == ["1", "0.98", "1.20"]
        assert frame.iloc[1].tolist() == ["2", "0.97", "n/a"]

    def test_a_compressed_table_takes_its_columns_from_the_sidecar(self, tmp_path):
        path = write_gz(tmp_path / "sub-01_physio.tsv.gz", "1\tn/a\n2\t\n")
        frame = read_table(table(path, Columns=["cardiac", "trigger"]))
        assert frame.to_dict("list") == {"cardiac": ["1", "2"], "trigger": ["n/a", "n/a"]}

    @pytest.mark.parametrize(
        ("sidecar", "message"),
        [
            ({}, r"physio.tsv.gz: no Columns in a JSON sidecar, such as sub-01_physio\.json"),
            ({"Columns": []}, r"has to be a list of different names, found \[\]"),
            ({"Columns": "a"}, "has to be a list of different names, found 'a'"),
            ({"Columns": ["a", "a"]}, "has to be a list of different names"),
            ({"Columns": ["a"]}, "2 columns, but its sidecar's Columns are a$"),
            ({"Columns": ["x", "y"]}, "begins with the names of its columns"),
        ],
    )
    def test_columns_that_do_not_describe_the_file(self, tmp_path, sidecar, message):
        path = write_gz(tmp_path / "sub-01_physio.tsv.gz", "x\ty\n3\t4\n")
        with pytest.raises(InputError, match=message):
            read_table(table(path, **sidecar))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "sub-01_beh.tsv: is empty"),
            ("a\tb\n", "sub-01_beh.tsv: holds no rows"),
            ("a\tb\n1\t2\t3\n", "more cells than there are columns"),
            ("a\tb\n1\t2\n1\t2\t3\n", "cannot be read as a table .*line 3"),
        ],
    )
    def test_files_that_are_no_table(self, tmp_path, text, message):
        path = write(tmp_path / "sub-01_beh.tsv", text)
        with pytest.raises(InputError, match=message) as caught:
            read_table(table(path))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("cut", ["plain", "short", "empty", "torn", "gone", "latin"])
    def test_compressed_files_that_are_no_table(self, tmp_path, cut):
        rows = "".join(f"{x}\t{x}\n" for x in np.random.default_rng(0).normal(size=2000))
        path = write_gz(tmp_path / "sub-01_physio.tsv.gz", rows)
        content = path.read_bytes()
        damaged = {
            "plain": b"1\t2\n",
            "short": content[: len(content) // 2],
            "empty": gzip.compress(b""),
            "torn": content[:200] + bytes(200) + content[400:],
            "latin": gzip.compress("µ\t2\n".encode("latin-1")),
        }
        path.unlink() if cut == "gone" else path.write_bytes(damaged[cut])
        with pytest.raises(InputError, match=r"sub-01_physio\.tsv\.gz: (cannot be read|is empty)"):
            read_table(table(path, Columns=["a", "b"]))

    def test_rows_of_one_participant(self, tmp_path):
        path = write(tmp_path / "pcs.tsv", PHENOTYPE)
        assert read_table(table(path, "01"))["pcs"].tolist() == ["12", "13"]
        assert read_table(table(path, "02"))["pcs"].tolist() == ["7"]
        other = read_table(table(path, "1"))
        assert (len(other), list(other.columns)) == (0, ["participant_id", "pcs"])

    def test_rows_of_nobody(self, tmp_path):
        path = write(tmp_path / "pcs.tsv", "id\tpcs\n01\t3\n")
        with pytest.raises(InputError, match=r"pcs.tsv: no column participant_id; it has id, pcs"):
            read_table(table(path, "01"))


class TestAsking:
    @pytest.fixture
    def participant(self, tmp_path):
        files = [
            TableFile(
                write(tmp_path / f"sub-01_ses-{s}_task-{t}_run-{r}_beh.tsv", BEH),
                {"ses": s, "task": t, "run": r},
                {"rating": {"Units": "VAS"}},
            )
            for s, t, r in (("1", "pain", "1"), ("1", "pain", "2"), ("2", "rest", "1"))
        ]
        participant = LoadedParticipant(
            ParticipantFiles("01", ()), make_recipe(), HOST_SOURCES, n_threads=1
        )
        participant.offered = (
            FoundTables(TableFilter("beh", entities={"task": "rest"}), tuple(files[2:])),
            FoundTables(TableFilter("beh", entities={"task": "pain"}), tuple(files[:2])),
            FoundTables(TableFilter("beh", entities={"ses": "1"}), tuple(files[:2])),
        )
        return participant

    def test_narrower_is_allowed_and_read_when_asked_for(self, participant):
        first, second = participant.tables("beh", task="pain", ses="1")
        assert (first.entities["run"], second.entities["run"]) == ("1", "2")
        second.path.unlink()
        assert first.columns == ("trial", "rating")
        assert first.frame["rating"].tolist() == ["30", "n/a"]
        assert first.frame is first.frame
        assert first.sidecar["rating"] == {"Units": "VAS"}
        with pytest.raises(InputError, match=r"run-2_beh.tsv: cannot be read as a table"):
            _ = second.frame
        assert len(participant.tables("beh", task="pain", run="01")) == 1
        assert participant.tables("beh", task="pain", ses="3") == ()

    def test_what_the_analysis_did_not_name_is_refused(self, participant):
        for suffix, dataset, entities in (
            ("beh", None, {}),
            ("beh", None, {"run": "1"}),
            ("physio", None, {"task": "pain"}),
            ("beh", "raw", {"task": "pain"}),
        ):
            with pytest.raises(
                PluginError, match="but its tables_used names tables beh with task-"
            ):
                participant.tables(suffix, dataset, **entities)
        participant.offered = ()
        with pytest.raises(
            PluginError, match="asks for tables beh, but its tables_used names none"
        ):
            participant.tables("beh")


class Plain(Analysis):
    """An analysis that reads no tables."""

    name = "plain"

    class Options(AnalysisOptions):
        regions: tuple[str, ...] = ()

    def participant(self, participant, options):
        return Results(highlights=["plain"])

    def group(self, participants, options):
        return Results()


class Rated(Plain):
    """An analysis that reads those of its options."""

    name = "rated"

    class Options(Plain.Options):
        suffix: str = "beh"
        dataset: str | None = None
        task: str | None = None

    def tables_used(self, options):
        entities = {} if options.task is None else {"task": options.task}
        return [TableFilter(options.suffix, options.dataset, entities)]


PLUGINS = Plugins({"plain": Plain, "rated": Rated}, HOST_SOURCES, {}, {}, ())


def loaded_recipe(folder, **options):
    content = {
        "description": "tables",
        "samples": {"averages": {"kind": "average"}},
        "regions": {"brain": {"source": "brain-mask"}},
        "analyses": {"rated": {"analysis": "rated", **options}, "plain": {"analysis": "plain"}},
    }
    path = folder / "tables.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_recipe(str(path), PLUGINS)


class TestPlanning:
    def plan(self, study, options=None, label="01", **changes):
        dataset = opened(study, **changes)
        stage = Stage(("rated", "plain"), {"rated": (), "plain": ()}, {}, last=True)
        return plan_participant(
            dataset.files([label])[label],
            dataset,
            loaded_recipe(study, **(options or {})),
            PLUGINS,
            settings(study, **changes),
            OutputFolder(study / "out"),
            stage,
        )

    def fingerprints(self, study, **changes):
        return {unit.analysis: unit.fingerprint for unit in self.plan(study, **changes).pending}

    def changed(self, study, change, **changes):
        """Return the units that a change makes run again."""
        before = self.fingerprints(study, **changes)
        change()
        after = self.fingerprints(study, **changes)
        assert before.keys() == after.keys() == {"data", "rated", "plain"}
        return {analysis for analysis in before if before[analysis] != after[analysis]}

    def test_tables_are_inputs_of_the_analysis_that_reads_them(self, study):
        plan = self.plan(study)
        uri = "bids:raw:sub-01/ses-1/beh/sub-01_ses-1_task-pain_run-1_beh.tsv"
        assert uri in plan.inputs_of("rated")
        assert uri in plan.every_input
        assert uri not in plan.inputs_of("plain")
        assert uri not in plan.inputs_of("data")
        assert plan.inputs.items() < plan.inputs_of("rated").items()
        assert pickle.loads(pickle.dumps(plan)) == plan

    def test_nothing_changes_nothing(self, study):
        assert self.changed(study, lambda: None) == set()

    def test_a_changed_table(self, study):
        path = study / "bids/sub-01/ses-1/beh/sub-01_ses-1_task-pain_run-1_beh.tsv"
        assert self.changed(study, lambda: write(path, BEH + "3\t5\n")) == {"rated"}
        assert self.changed(study, lambda: os.utime(path, ns=(1, 5_000))) == {"rated"}
        assert self.changed(study, path.unlink) == {"rated"}

    def test_a_new_table(self, study):
        path = study / "bids/sub-01/ses-1/beh/sub-01_ses-1_task-pain_run-11_beh.tsv"
        assert self.changed(study, lambda: write(path, BEH)) == {"rated"}

    def test_tables_of_others_and_other_tables(self, study):
        other = study / "bids/sub-02/ses-1/beh/sub-02_ses-1_task-pain_run-1_beh.tsv"
        assert self.changed(study, lambda: write(other, BEH + "3\t5\n")) == set()
        rest = study / "bids/sub-01/ses-1/beh/sub-01_ses-1_task-rest_run-1_beh.tsv"
        pain = {"options": {"task": "pain"}}
        assert self.changed(study, lambda: write(rest, BEH + "3\t5\n"), **pain) == set()
        assert self.changed(study, lambda: write(rest, BEH)) == {"rated"}

    def test_a_changed_sidecar(self, study):
        sidecar = study / "bids/task-pain_beh.json"
        sidecars = {"options": {"suffix": "beh"}}
        assert self.changed(study, lambda: write(sidecar, '{"rating": 1}'), **sidecars) == {"rated"}
        assert self.changed(study, lambda: write(sidecar, '{"rating": 2}'), **sidecars) == {"rated"}
        assert self.changed(study, lambda: os.utime(sidecar, ns=(1, 5)), **sidecars) == set()

    def test_phenotype(self, study):
        options = {"options": {"suffix": "phenotype/pcs"}}
        assert "bids:raw:phenotype/pcs.tsv" in self.plan(study, **options).inputs_of("rated")
        path = study / "bids/phenotype/pcs.tsv"
        assert self.changed(study, lambda: write(path, PHENOTYPE + "03\t1\n"), **options) == {
            "rated"
        }

    def test_a_named_derivative(self, study):
        changes = {
            "options": {"suffix": "openface", "dataset": "openface"},
            "derivatives": {"openface": study / "faces"},
        }
        name = "sub-01/sub-01_ses-1_task-pain_run-1_openface.csv"
        assert f"bids:openface:{name}" in self.plan(study, **changes).inputs_of("rated")
        change = lambda: write(study / "faces" / name, "frame\n1\n")  # noqa: E731
        assert self.changed(study, change, **changes) == {"rated"}

    def test_content_that_is_not_here_gives_the_command(self, study):
        path = study / "bids/sub-01/ses-1/beh/sub-01_ses-1_task-pain_run-1_beh.tsv"
        path.unlink()
        path.symlink_to("../../../.git/annex/objects/Xx/Yy/MD5E-s9--abc.tsv/MD5E-s9--abc.tsv")
        with pytest.raises(InputError, match=f"datalad get {path}"):
            self.plan(study)
        assert self.plan(study, {"task": "rest"}).pending

    def test_a_filter_that_cannot_be_is_refused_before_data_are_read(self, tmp_path):
        with pytest.raises(RecipeError, match=r"key analyses\.rated: tables 'b h': a suffix"):
            check_analyses(loaded_recipe(tmp_path, suffix="b h"), PLUGINS, 1)


PLUGIN = """
import pandas as pd

from bidsface.analysis import Analysis, AnalysisOptions, Column, Results, Table, TableFilter
from bidsface.hookspecs import hookimpl


class Ratings(Analysis):
    name = "ratings"

    class Options(AnalysisOptions):
        regions: tuple[str, ...] = ("brain",)

    def tables_used(self, options):
        return [TableFilter("beh"), TableFilter("physio", "faces"), TableFilter("phenotype/pcs")]

    def participant(self, participant, options):
        rows = []
        for task in participant.tasks:
            (beh,) = participant.tables("beh", task=task)
            (face,) = participant.tables("physio", "faces", task=task)
            (pcs,) = participant.tables("phenotype/pcs")
            rows.append(
                {
                    "rating": beh.frame["rating"].astype(float).mean(),
                    "smile": face.frame["AU12_r"].astype(float).max(),
                    "pcs": float(pcs.frame["pcs"].iloc[0]),
                }
            )
        columns = {name: Column(name) for name in rows[0]}
        return Results(tables=[Table("trials", pd.DataFrame(rows), columns, {}, "Ratings")])

    def group(self, participants, options):
        return Results()


class Other(Ratings):
    name = "other"

    def tables_used(self, options):
        return []

    def participant(self, participant, options):
        return Results(highlights=["other"])


@hookimpl
def bidsface_analyses():
    return [Ratings, Other]
"""
RECIPE = {
    "description": "tables",
    "samples": {"averages": {"kind": "average"}},
    "regions": {"brain": {"source": "brain-mask"}},
    "analyses": {"ratings": {"analysis": "ratings"}, "other": {"analysis": "other"}},
}


@pytest.fixture
def app(tiny_study, tmp_path, monkeypatch):
    """Return a study with tables, and a function that runs an installed plugin on it."""
    (tmp_path / "plugin_of_ratings.py").write_text(PLUGIN)
    info = tmp_path / "plugin_of_ratings-1.0.dist-info"
    write(info / "METADATA", "Metadata-Version: 2.1\nName: plugin_of_ratings\nVersion: 1.0\n")
    write(info / "entry_points.txt", "[bidsface]\nratings = plugin_of_ratings\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    bids = Path(shutil.copytree(tiny_study, tmp_path / "bids", symlinks=True))
    faces = tmp_path / "faces"
    describe(faces, Name="faces", DatasetType="derivative")
    write(faces / "physio.json", json.dumps({"Columns": ["time", "AU12_r"]}))
    for session, task in (("1", "display"), ("2", "observe")):
        stem = f"sub-01_ses-{session}_task-{task}"
        write(bids / f"sub-01/ses-{session}/beh/{stem}_beh.tsv", f"rating\n{session}\n3\n")
        write_gz(faces / f"sub-01/ses-{session}/{stem}_physio.tsv.gz", "0\t0.5\n1\t2.5\n")
    write(bids / "phenotype/pcs.tsv", PHENOTYPE)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))

    def run(*argv):
        return main(
            [
                *map(str, (bids, tmp_path / "out", "participant")),
                *("--participant-label", "01", "--nprocs", "1"),
                *("--recipe", str(tmp_path / "recipe.yaml")),
                *("--derivatives", f"fmriprep={bids / 'derivatives/fmriprep'}", f"faces={faces}"),
                *argv,
            ]
        )

    return bids, tmp_path / "out", run


def last_line(capsys):
    return capsys.readouterr().out.strip().splitlines()[-1]


def test_an_analysis_reads_tables_and_is_redone_when_they_change(app, capsys):
    bids, out, run = app
    beh = "sub-01/ses-1/beh/sub-01_ses-1_task-display_beh.tsv"
    assert run("--dry-run") == 0
    shown = capsys.readouterr().out
    for uri in (f"bids:raw:{beh}", "bids:raw:phenotype/pcs.tsv", "bids:faces:sub-01/ses-2/"):
        assert shown.count(f"    {uri}") == 1
    assert run() == 0
    (path,) = out.glob("sub-01/**/*_desc-ratings_trials.tsv")
    found = pd.read_csv(path, sep="\t").to_dict("list")
    assert found == {"rating": [2.0, 2.5], "smile": [2.5, 2.5], "pcs": [12.0, 12.0]}
    sources = json.loads(path.with_suffix(".json").read_text())["Sources"]
    assert f"bids:raw:{beh}" in sources
    receipt = json.loads((out / ".bidsface/receipts/participant/sub-01/other.json").read_text())
    assert f"bids:raw:{beh}" not in receipt["inputs"]
    capsys.readouterr()

    assert run() == 0
    assert "everything was up to date (3)" in last_line(capsys)

    write(bids / beh, "rating\n5\n5\n")
    assert run() == 0
    assert "done: 1 computed, 2 up to date" in last_line(capsys)
    assert pd.read_csv(path, sep="\t")["rating"].tolist() == [5.0, 2.5]


def test_a_table_that_cannot_be_read_is_one_line_and_stops_nothing_else(app, capsys):
    bids, out, run = app
    write(bids / "sub-01/ses-1/beh/sub-01_ses-1_task-display_beh.tsv", "")
    assert run() == 1
    assert "task-display_beh.tsv: is empty" in last_line(capsys)
    assert "display_beh.tsv: is empty" in (out / "sub-01.html").read_text()
    receipts = out / ".bidsface/receipts/participant/sub-01"
    states = {path.stem: json.loads(path.read_text())["status"] for path in receipts.glob("*")}
    assert states == {"data": "done", "ratings": "failed", "other": "done"}
