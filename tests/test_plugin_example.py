"""The example of docs/plugins.md, built as its own distribution, installed apart and run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

DOCS = Path(__file__).parents[1] / "docs" / "plugins.md"
BLOCK = re.compile(r"`([\w./]+)`[^`\n]*:\n\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Write the files of the page, build a wheel of them and install it into a folder."""
    root = tmp_path_factory.mktemp("example")
    for name, content in BLOCK.findall(DOCS.read_text()):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    target = root / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*command, "--no-build-isolation", "--target", target, root], check=True, timeout=120
    )
    return root


def bidsface(example, *argv):
    environment = {**os.environ, "PYTHONPATH": str(example / "installed")}
    return subprocess.run(
        [sys.executable, "-m", "bidsface", *map(str, argv)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_example_is_listed(example):
    assert "analysis contrast" in bidsface(example, "--list-plugins").stdout


def test_the_example_runs_on_a_study(example, tiny_study, tmp_path):
    done = bidsface(
        example,
        *(tiny_study, tmp_path, "participant", "group", "--recipe", example / "contrast.yaml"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    scores = pd.read_csv(tmp_path / "func" / "task-display_desc-responses_scores.tsv", sep="\t")
    assert set(scores["class"]) == {"joy", "anger", "disgust"}
    assert set(scores["n"]) == {3}
    assert (scores["ci_low"] < scores["value"]).all()
    assert (tmp_path / "figures" / "task-display_desc-responses_responses.svg").is_file()
    assert list(tmp_path.glob("sub-01/**/*_desc-responses_contrast-joy_stat-effect_statmap.nii.gz"))


def test_a_misspelled_option_of_the_example_is_refused(example, tiny_study, tmp_path):
    done = bidsface(
        example,
        *(tiny_study, tmp_path, "participant", "--recipe", example / "contrast.yaml"),
        *("--set", "analyses.responses.scales=3"),
    )
    assert done.returncode == 2
    assert "scales: unknown; allowed here" in done.stderr
