"""The complete recipe of displayed and observed expressions, both levels in one call."""

import json

import pandas as pd
import pytest
from bids import BIDSLayout
from validator import validator_issues

from bidsface.__main__ import main
from bidsface.schema import pybids_config_path, schema_path

pytestmark = pytest.mark.xdist_group("faces_recipe")  # one worker runs the recipe for all

QUICK = (
    "analyses.crossmodal.regions=[greymatter, functional, fusiform, thalamus]",
    "analyses.crossmodal.aligner_options={bcca: {n_restarts: 1}}",
    "analyses.crossmodal.motion_regressed=false",
    "analyses.searchlight.permutations=9",
)
ANALYSES = ("activation", "crossmodal", "searchlight")


@pytest.fixture(scope="module")
def finished(tiny_study, tmp_path_factory):
    out = tmp_path_factory.mktemp("faces") / "out"
    argv = [str(tiny_study), str(out), "participant", "group", "--recipe", "crossmodal-faces"]
    assert main([*argv, "--nprocs", "2", "--set", *QUICK]) == 0
    return out


def results(out):
    """Return what every receipt lists."""
    found = []
    for path in sorted((out / ".bidsface" / "receipts").rglob("*.json")):
        found.extend(json.loads(path.read_text())["files"])
    return found


def test_every_analysis_has_results_at_both_levels(finished):
    files = results(finished)
    for analysis in ANALYSES:
        mine = [file for file in files if file["entities"].get("desc") == analysis]
        for label in ("01", "02", "03", None):
            paths = [file["path"] for file in mine if file["entities"].get("sub") == label]
            assert any(path.endswith(".svg") for path in paths)
            assert any("/func/" in f"/{path}" for path in paths)


def test_validators_find_no_error(finished):
    assert validator_issues(finished) == []
    strict = ("figures", "*.html", "logs")
    assert validator_issues(finished, schema=schema_path(), ignore=strict) == []


def test_pybids_finds_the_files(finished):
    config = ["bids", "derivatives", str(pybids_config_path())]
    layout = BIDSLayout(finished, validate=False, config=config)
    files = results(finished)
    assert len(files) > 300
    assert {str(finished / file["path"]) for file in files} <= set(layout.files)
    for stat in ("importance", "prevalence", "pprevalence", "pfwe", "size", "variance"):
        wanted = {
            str(finished / file["path"]) for file in files if file["entities"].get("stat") == stat
        }
        assert wanted
        assert wanted <= set(layout.get(stat=stat, return_type="filename"))


def test_functional_regions_leave_their_participant_out(finished):
    sidecars = sorted(finished.glob("sub-*/anat/*label-functionalunion*_mask.json"))
    assert len(sidecars) == 3
    for path in sidecars:
        assert "without the participant" in json.loads(path.read_text())["Description"]


def test_groups_compare_before_and_after_realignment(finished):
    [path] = (finished / "func").glob("*desc-crossmodal_comparisons.tsv")
    table = pd.read_csv(path, sep="\t", na_values="n/a")
    gains = table[table["comparison"] == "realignment"]
    regions = set(gains["roi_name"])
    assert {"greymatter", "functionalunion", "fusiform", "thalamus"} <= regions
    assert "displayobserve" not in regions  # a pair of regions has no score without an aligner
    assert gains["p"].between(0, 1).all()


def test_a_second_run_computes_nothing(finished, tiny_study, capsys):
    argv = [str(tiny_study), str(finished), "participant", "group", "--recipe", "crossmodal-faces"]
    assert main([*argv, "--nprocs", "2", "--set", *QUICK]) == 0
    assert "everything was up to date" in capsys.readouterr().out
