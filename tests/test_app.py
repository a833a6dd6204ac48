"""The whole app on a tiny study: what it writes, restart, failures, and the same bytes anywhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from bids import BIDSLayout
from validator import validator_issues

from bidsface.__main__ import main
from bidsface.schema import pybids_config_path, schema_path

QUICK = ("--set", "analyses.within.permutations=40")
ALL_LEVELS = ("participant", "group")


def run(bids, out, *argv, levels=ALL_LEVELS):
    return main([str(bids), str(out), *levels, *QUICK, *map(str, argv)])


def tables(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.tsv"))}


def snapshot(root):
    """Return every path below a folder with its size and time."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in root.rglob("*")}


def receipts(out, status="done"):
    found = [json.loads(path.read_text()) for path in out.glob(".bidsface/receipts/*/*/*.json")]
    return [receipt for receipt in found if receipt["status"] == status]


@pytest.fixture(scope="module")
def finished(tiny_study, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "out"
    before = snapshot(tiny_study)
    assert run(tiny_study, out, "--nprocs", "1") == 0
    assert snapshot(tiny_study) == before, "the input was written to"
    return out


@pytest.fixture
def copied(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "out"))


def test_reports_tables_and_methods_are_there(finished):
    for page in ("sub-01.html", "sub-02.html", "sub-03.html", "group.html"):
        assert (finished / page).stat().st_size > 10_000
    assert "fMRIPrep" in (finished / "logs" / "CITATION.md").read_text()
    assert list(finished.glob("sub-01/ses-1/func/*_task-display_*_desc-within_scores.tsv"))
    assert list(finished.glob("func/*_desc-within_scores.tsv"))


def test_stock_validator_finds_no_error(finished):
    assert validator_issues(finished) == []


def test_extended_schema_finds_no_error(finished):
    ignore = ("figures", "*.html", "logs")
    assert validator_issues(finished, schema=schema_path(), ignore=ignore) == []


def test_pybids_finds_every_file_by_its_entities(finished):
    config = ["bids", "derivatives", str(pybids_config_path())]
    layout = BIDSLayout(finished, validate=False, config=config)
    long_names = {"sub": "subject", "ses": "session"}
    files = [file for receipt in receipts(finished) for file in receipt["files"]]
    assert len(files) > 100
    for file in files:
        wanted = {long_names.get(key, key): value for key, value in file["entities"].items()}
        for key in ("subject", "session", "task", "label", "contrast", "stat", "space"):
            wanted.setdefault(key, None)
        extension = "." + file["path"].rsplit("/", 1)[1].split(".", 1)[1]
        found = layout.get(
            **wanted, suffix=file["suffix"], extension=extension, return_type="filename"
        )
        assert found == [str(finished / file["path"])]


def test_a_second_run_computes_nothing(copied, tiny_study, capsys):
    before = {name: state for name, state in snapshot(copied).items() if "/logs" not in name}
    assert run(tiny_study, copied) == 0
    assert "everything was up to date" in capsys.readouterr().out
    after = {name: state for name, state in snapshot(copied).items() if name in before}
    changed = [name for name in before if before[name] != after[name] and Path(name).is_file()]
    assert changed == []


def test_two_processes_write_the_same_bytes(finished, tiny_study, tmp_path):
    assert run(tiny_study, tmp_path, "--nprocs", "2") == 0
    assert tables(tmp_path) == tables(finished)
    workers = {r["worker"] for r in receipts(tmp_path) if r["unit"]["level"] == "participant"}
    assert len(workers) == 2


def test_a_dask_cluster_writes_the_same_bytes(finished, tiny_study, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        assert run(tiny_study, tmp_path, "--dask-scheduler", cluster.scheduler_address) == 0
    assert tables(tmp_path) == tables(finished)
    workers = {r["worker"] for r in receipts(tmp_path) if r["unit"]["level"] == "participant"}
    assert len(workers) == 2


def test_another_seed_gives_other_permutations(copied, finished, tiny_study):
    assert run(tiny_study, copied, "--random-seed", "5") == 0
    assert tables(copied) != tables(finished)


def test_removed_and_torn_files_are_made_again(copied, finished, tiny_study):
    victims = sorted(copied.glob("sub-02/**/*_scores.tsv"))
    victims[0].unlink()
    victims[1].write_text(victims[1].read_text()[:100])
    assert run(tiny_study, copied) == 0
    assert tables(copied) == tables(finished)


def test_force_computes_again(copied, finished, tiny_study, capsys):
    assert run(tiny_study, copied, "--force", "--participant-label", "01") == 0
    assert (
        tables(copied)["sub-01/ses-1/func/" + first_scores(copied)]
        == (finished / "sub-01/ses-1/func" / first_scores(copied)).read_bytes()
    )
    assert "up to date" in capsys.readouterr().out


def first_scores(out):
    return next(path.name for path in out.glob("sub-01/ses-1/func/*_scores.tsv"))


@pytest.fixture
def damaged(tiny_study, tmp_path):
    """Copy the study and cut a BOLD file of participant 02 short."""
    bids = Path(shutil.copytree(tiny_study, tmp_path / "bids"))
    victim = sorted(bids.glob("derivatives/fmriprep/sub-02/**/*_desc-preproc_bold.nii.gz"))[0]
    victim.write_bytes(victim.read_bytes()[:2000])
    return bids, victim


def test_one_bad_participant_does_not_stop_the_others(damaged, tiny_study, tmp_path, capsys):
    bids, victim = damaged
    out = tmp_path / "out"
    assert run(bids, out) == 1
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert victim.name in last
    assert "sub-02" in last
    assert victim.name in (out / "sub-02.html").read_text()
    assert "Traceback" not in (out / "sub-02.html").read_text()
    done = {receipt["unit"]["participant"] for receipt in receipts(out)}
    assert {"01", "03"} <= done
    # Mended, only that participant is computed again, and the group.
    source = tiny_study / victim.relative_to(bids)
    shutil.copyfile(source, victim)
    before = snapshot(out / "sub-01")
    assert run(bids, out) == 0
    assert snapshot(out / "sub-01") == before
    assert receipts(out, "failed") == []


def test_stop_on_first_crash(damaged, tmp_path):
    out = tmp_path / "out"
    assert run(damaged[0], out, "--stop-on-first-crash", "--nprocs", "1") == 1
    assert not (out / "group.html").exists()
    assert "03" not in {receipt["unit"]["participant"] for receipt in receipts(out)}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--participant-label", "99"], "01, 02, 03"),
        (["--task-id", "smile"], "display, observe"),
        (["--space", "T1w"], "MNI152NLin2009cAsym"),
        (["--session-label", "9"], "1, 2"),
        (["--analysis", "between"], "within"),
        (["--recipe", "none-such"], "decode-tasks"),
        (["--set", "analyses.within.estimators=[oracle]"], "ridge"),
        (["--set", "cleaning.confound=none"], "confounds"),
    ],
)
def test_what_does_not_exist_is_one_line_that_lists_what_does(
    tiny_study, tmp_path, argv, message, capsys
):
    assert run(tiny_study, tmp_path / "out", *argv) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_output_equal_to_input_is_refused(tiny_study, capsys):
    assert run(tiny_study, tiny_study) == 2
    assert str(tiny_study) in capsys.readouterr().err


def test_output_among_the_participants_is_refused(tiny_study, capsys):
    assert run(tiny_study, tiny_study / "sub-01" / "out") == 2
    assert "among the participants" in capsys.readouterr().err
    assert not (tiny_study / "sub-01" / "out").exists()


def test_group_without_participants_says_what_to_run(tiny_study, tmp_path, capsys):
    assert run(tiny_study, tmp_path / "out", levels=["group"]) == 2
    assert "run the participant level first" in capsys.readouterr().err


def test_group_refuses_results_made_with_other_options(copied, tiny_study, capsys):
    changed = ("--set", "cleaning.high_pass=100")
    assert run(tiny_study, copied, *changed, levels=["group"]) == 2
    assert "other options" in capsys.readouterr().err


def test_group_leaves_out_participants_that_left_the_data_set(copied, tiny_study, tmp_path, capsys):
    bids = Path(shutil.copytree(tiny_study, tmp_path / "bids", symlinks=True))
    shutil.rmtree(bids / "sub-03")
    shutil.rmtree(bids / "derivatives" / "fmriprep" / "sub-03")
    assert run(bids, copied, levels=["group"]) == 0
    assert "sub-03 is left out" in capsys.readouterr().out
    (path,) = copied.glob("func/*task-display*_desc-within_scores.tsv")
    assert pd.read_csv(path, sep="\t", na_values="n/a")["n"].max() == 2


def test_group_refuses_participants_computed_from_other_runs(copied, tiny_study, capsys):
    one = ("--participant-label", "01", "--run", "1", "2")
    assert run(tiny_study, copied, *one, levels=["participant"]) == 0
    assert run(tiny_study, copied, levels=["group"]) == 2
    assert "participant 01 was computed with other options, runs or seed" in capsys.readouterr().err


def test_group_leaves_out_a_participant_whose_data_cannot_be_read(copied, damaged, capsys):
    assert run(damaged[0], copied) == 1
    assert "sub-02 has no results" in capsys.readouterr().out
    (path,) = copied.glob("func/*task-display*_desc-within_scores.tsv")
    assert pd.read_csv(path, sep="\t", na_values="n/a")["n"].max() == 2


def test_a_corrected_sidecar_means_computing_again(copied, finished, tiny_study, tmp_path):
    bids = Path(shutil.copytree(tiny_study, tmp_path / "bids"))
    for sidecar in bids.glob(
        "derivatives/fmriprep/sub-01/**/*task-display*_desc-preproc_bold.json"
    ):
        content = json.loads(sidecar.read_text())
        sidecar.write_text(json.dumps(content | {"StartTime": content["StartTime"] + 3}))
    assert run(bids, copied) == 0
    changed = {name for name, found in tables(copied).items() if found != tables(finished)[name]}
    assert any(name.startswith("sub-01/ses-1") for name in changed)
    assert not any(name.startswith(("sub-01/ses-2", "sub-02", "sub-03")) for name in changed)


def test_a_stale_report_is_written_anew(copied, tiny_study):
    for page in ("sub-01.html", "group.html"):
        (copied / page).write_text("old")
        os.utime(copied / page, (1, 1))
    assert run(tiny_study, copied) == 0
    assert (copied / "sub-01.html").stat().st_size > 10_000
    assert (copied / "group.html").stat().st_size > 10_000


def test_reports_only_refuses_another_recipe(copied, tiny_study, capsys):
    assert run(tiny_study, copied, "--reports-only", "--set", "cleaning.high_pass=90") == 2
    assert "computed with other options" in capsys.readouterr().err


def test_folders_that_are_no_participants_are_passed_over(tiny_study, tmp_path):
    bids = Path(shutil.copytree(tiny_study, tmp_path / "bids"))
    (bids / "derivatives" / "fmriprep" / "sub-01_old").mkdir()
    assert run(bids, tmp_path / "out", "--participant-label", "01", levels=["participant"]) == 0


def test_dry_run_of_finished_results_changes_nothing(copied, damaged, tiny_study, capsys):
    before = snapshot(copied)
    assert run(tiny_study, copied, "--dry-run") == 0
    assert "0 units would be computed" in capsys.readouterr().out
    (bold,) = [path for path in [damaged[1]] if path.exists()]
    bold.unlink()
    bold.symlink_to("../.git/annex/objects/aa/bb/KEY/KEY")
    assert run(damaged[0], copied, "--dry-run") == 1
    assert snapshot(copied) == before


def test_dry_run_writes_nothing(tiny_study, tmp_path, capsys):
    assert run(tiny_study, tmp_path / "out", "--dry-run") == 0
    assert not (tmp_path / "out").exists()
    shown = capsys.readouterr().out
    assert "bids:fmriprep:sub-01" in shown
    assert "estimated memory" in shown


def test_reports_only_writes_them_anew(copied, tiny_study):
    for page in copied.glob("*.html"):
        page.unlink()
    assert run(tiny_study, copied, "--reports-only") == 0
    assert len(list(copied.glob("*.html"))) == 4


def test_boilerplate_only_writes_the_methods(copied, tiny_study):
    before = (copied / "logs" / "CITATION.md").read_text()
    (copied / "logs" / "CITATION.md").unlink()
    assert run(tiny_study, copied, "--boilerplate-only") == 0
    assert (copied / "logs" / "CITATION.md").read_text() == before


def test_a_configuration_is_replayed(finished, tiny_study, tmp_path):
    config = next(iter(finished.glob("logs/config-*.json")))
    assert main([str(tiny_study), str(tmp_path), *ALL_LEVELS, "--config-file", str(config)]) == 0
    assert tables(tmp_path) == tables(finished)


def test_little_memory_means_fewer_at_a_time(tiny_study, tmp_path, capsys):
    assert run(tiny_study, tmp_path, "--nprocs", "2", "--mem", "700m", levels=["participant"]) == 0
    assert "1 participant at a time" in capsys.readouterr().out


def start(bids, out, *argv):
    command = [sys.executable, "-m", "bidsface", str(bids), str(out), *ALL_LEVELS, *QUICK, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_several_processes_work_on_one_output(finished, tiny_study, tmp_path):
    started = [
        start(tiny_study, tmp_path, "--participant-label", label, "--nprocs", "1")
        for label in ("01", "02")
    ]
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert run(tiny_study, tmp_path) == 0
    assert tables(tmp_path) == tables(finished)


@pytest.mark.parametrize("moment", ["sub-01", "sub-02"])
def test_a_killed_run_loses_nothing(finished, tiny_study, tmp_path, moment):
    process = start(tiny_study, tmp_path, "--nprocs", "1")
    while process.poll() is None and not list(tmp_path.glob(f"{moment}/**/*.tsv")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert run(tiny_study, tmp_path) == 0
    assert tables(tmp_path) == tables(finished)


def test_group_accuracy_of_planted_regions(finished):
    (path,) = finished.glob("func/*task-display*_desc-within_scores.tsv")
    scores = pd.read_csv(path, sep="\t", na_values="n/a")
    means = scores[
        (scores["metric"] == "balanced_accuracy")
        & (scores["samples"] == "averages")
        & scores["class"].isna()
    ].set_index("roi_name")["value"]
    assert means["primarymotor"] > 1 / 3
    assert means["brain"] > 1 / 3


def test_models_of_the_time_series_need_neither_samples_nor_regions(tiny_study, tmp_path):
    recipe, out = tmp_path / "responses.yaml", tmp_path / "out"
    options = "{analysis: glm, tasks: [display], smoothing_fwhm: null, noise_model: ols}"
    nothing = "description: Responses\nsamples: {}\nregions: {}\n"
    recipe.write_text(f"{nothing}analyses: {{responses: {options}}}\n")
    command = [str(tiny_study), str(out), *ALL_LEVELS, "--recipe", str(recipe)]
    assert main([*command, "--task-id", "display"]) == 0
    effects = {path.name[:6] for path in out.rglob("sub-*_desc-responses_*stat-effect_*.nii.gz")}
    assert effects == {"sub-01", "sub-02", "sub-03"}
    assert list(out.glob("func/*_desc-responses_*stat-t_statmap.nii.gz"))
    assert not list(out.rglob("*_mask.nii.gz"))
