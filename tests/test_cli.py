import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bidsface.__main__ import main
from bidsface.arguments import build_parser, hyphenated
from bidsface.cli import read_settings
from bidsface.errors import UsageError

HEAVY = ("numpy", "pandas", "bids", "nilearn", "nibabel", "matplotlib", "sklearn", "torch", "scipy")


def settings(*argv):
    return read_settings(build_parser(), hyphenated(["in", "out", "participant", *argv]))


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys; from bidsface.__main__ import main; main(['--version']); main(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("listing", ["--list-plugins", "--recipe-schema", "--help", "--version"])
def test_a_reader_that_leaves_early_is_no_error(listing, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    # With a buffer the error comes at the end, without one while printing.
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(
        [sys.executable, "-m", "bidsface", listing],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("flag", "values", "field", "wanted"),
    [
        ("--participant-label", ["sub-01", "02"], "participant_label", ("01", "02")),
        ("--participant_label", ["01"], "participant_label", ("01",)),
        ("--session-label", ["ses-a", "b"], "session_label", ("a", "b")),
        ("-t", ["task-display"], "task_id", ("display",)),
        ("--task_id", ["display"], "task_id", ("display",)),
        ("--run", ["run-1", "2"], "run", ("1", "2")),
        ("--space", ["space-T1w"], "space", ("T1w",)),
        ("--n-cpus", ["3"], "nprocs", 3),
        ("--nthreads", ["3"], "nprocs", 3),
        ("--omp_nthreads", ["2"], "omp_nthreads", 2),
        ("--mem", ["16g"], "memory_mb", 16384),
        ("--mem", ["16GB"], "memory_mb", 16384),
        ("--mem-mb", ["16000"], "memory_mb", 16000),
        ("--mem-gb", ["2"], "memory_mb", 2048),
        ("--dataset-links", ["raw=doi:10.1/x"], "dataset_links", {"raw": "doi:10.1/x"}),
        ("--set", ["a.b=1", "c=2"], "overrides", ("a.b=1", "c=2")),
    ],
)
def test_flags_read_as_users_of_fmriprep_expect(flag, values, field, wanted):
    assert getattr(settings(flag, *values), field) == wanted


def test_several_set_flags_add_up():
    assert settings("--set", "a=1", "--set", "b=2").overrides == ("a=1", "b=2")


def test_derivatives_have_names(tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir()
    second.mkdir()
    found = settings("--derivatives", str(first), f"second={second}").derivatives
    assert found == {"fmriprep": first, "second": second}
    assert settings("--datasets", f"fmriprep={first}").derivatives == {"fmriprep": first}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--derivatives", "fmriprep=/no/such/folder"], "no folder /no/such/folder"),
        (["--config-file", "/no/such/file"], "cannot be read"),
        (["--bids-filter-file", "/no/such/file"], "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(argv, message):
    with pytest.raises(UsageError, match=message):
        settings(*argv)


@pytest.mark.parametrize(
    "argv",
    [[], ["in", "out"], ["in", "out", "subject"], ["in", "out", "participant", "--mem", "much"]],
)
def test_usage_errors_exit_with_2(argv, capsys):
    assert main(argv) == 2
    assert "usage: bidsface" in capsys.readouterr().err


def test_a_missing_data_set_is_one_line_and_exit_2(tmp_path, capsys):
    assert main([str(tmp_path / "nothing"), str(tmp_path / "out"), "participant"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "nothing" in message


@pytest.fixture
def config(tmp_path):
    """Return a function that writes the configuration of an earlier run."""

    def write(**arguments):
        path = tmp_path / "config.json"
        filters = {"bold": {"run": 1}}
        content = {"bidsface": "0", "arguments": arguments, "bids_filters": filters, "recipe": {}}
        path.write_text(json.dumps(content))
        return str(path)

    return write


def test_a_configuration_is_replayed_and_flags_win(config):
    path = config(participant_label=["01"], random_seed=7)
    replayed = settings("--config-file", path, "--random-seed", "8")
    assert replayed.participant_label == ("01",)
    assert replayed.random_seed == 8
    assert replayed.bids_filters == {"bold": {"run": 1}}
    assert replayed.recipe == path


def test_an_unknown_setting_in_a_configuration_is_named(config):
    with pytest.raises(UsageError, match="unknown settings colour"):
        settings("--config-file", config(colour="red"))


def test_the_work_folder_may_not_lie_in_the_input(tmp_path, capsys):
    bids = tmp_path / "bids"
    bids.mkdir()
    argv = [str(bids), str(tmp_path / "out"), "participant", "-w", str(bids / "work")]
    assert main(argv) == 2
    assert "lies in the input" in capsys.readouterr().err
    assert not (bids / "work").exists()


@pytest.mark.parametrize(
    ("flag", "wanted"),
    [
        ("--list-recipes", "decode-tasks"),
        ("--list-plugins", "analysis decoding"),
        ("--recipe-schema", '"analyses"'),
    ],
)
def test_listings_need_no_data(flag, wanted, capsys):
    assert main([flag]) == 0
    assert wanted in capsys.readouterr().out


def test_every_flag_stands_in_the_documentation():
    text = (Path(__file__).parents[1] / "docs" / "usage.md").read_text()
    for action in build_parser()._actions:
        for flag in action.option_strings:
            assert f"`{flag}" in text, flag
