"""What is written is BIDS: by the stock validator, by the extended schema, and for pybids."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bids import BIDSLayout
from bids.layout.models import Config
from bidsschematools.schema import load_schema
from example_results import example_provenance, example_results, example_unit
from validator import validator_issues

from bidsface.analysis import Column, Results, Table
from bidsface.derivatives import OutputFolder
from bidsface.derivatives.citations import write_citations
from bidsface.derivatives.names import ENTITY_ORDER, TABLE_SUFFIXES, file_path
from bidsface.derivatives.tables import RESERVED
from bidsface.schema import build, pybids_config_path, schema_path

STRICT = ("figures", "*.html", "logs")


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    for name in ("raw", "fmriprep"):
        (root / name).mkdir()
    folder = OutputFolder(root / "out")
    folder.prepare({name: root / name for name in ("raw", "fmriprep")})
    for label in ("01", "02", None):
        folder.write(example_unit(label), example_results(), example_provenance(label or "01"))
    others = {"native": None, "anatomical": "T1w", "infants": "MNIInfant", "study": "study1"}
    for name, space in others.items():
        folder.write(example_unit("01", name), example_results(space=space), example_provenance())
    frame = example_results().tables[0].frame[["value"]]
    each = [Table(suffix, frame, {"value": Column("x")}, {}, "One") for suffix in TABLE_SUFFIXES]
    folder.write(example_unit("01", "all"), Results(tables=each), example_provenance())
    folder.record_failure(example_unit("02", "broken"), "no data", "Traceback ...")
    folder.write_text("sub-01.html", "<html></html>")
    write_citations(folder)
    return folder


@pytest.fixture
def copied(output, tmp_path):
    shutil.copytree(output.root, tmp_path / "out")
    return tmp_path / "out"


def test_stock_validator_finds_no_error(output):
    assert validator_issues(output.root) == []


def test_extended_schema_finds_no_error(output):
    assert validator_issues(output.root, schema=schema_path(), ignore=STRICT) == []


def test_stock_schema_needs_the_ignored_suffixes(output):
    """The extended schema is what makes the difference, not the list of ignored files."""
    issues = validator_issues(output.root, ignore=STRICT)
    assert {code for _, code in issues} >= {"NOT_INCLUDED"}


RENAMED = [
    ("_desc-within_stat-z_", "_stat-z_desc-within_"),
    ("_stat-weight_statmap", "_statmap"),
    ("_desc-within_scores", "_scores"),
    ("_predictions.", "_predictionss."),
    ("_desc-native_", "_desc-nat-ive_"),
    ("_model.npz", "_model.pkl"),
    ("_relmat.tsv", "_relmat.csv"),
    ("_label-B_", "_roi-B_"),
    ("func/sub-01_desc-all_scores.json", "func/sub-1_desc-all_scores.json"),
]


def test_extended_schema_finds_wrong_names(copied):
    wrong = set()
    for right, misnamed in RENAMED:
        files = (path for path in sorted(copied.rglob("sub-01/**/*.*")) if right in str(path))
        path = next(path for path in files if path.parent.name != "figures")
        renamed = Path(str(path).replace(right, misnamed))
        path.rename(renamed)
        wrong.add(str(renamed)[len(str(copied)) :])
    issues = validator_issues(copied, schema=schema_path(), ignore=STRICT)
    assert wrong <= {location for location, _ in issues}


def test_extended_schema_wants_sidecars(copied):
    next(copied.glob("sub-01/func/*_scores.json")).unlink()
    issues = validator_issues(copied, schema=schema_path(), ignore=STRICT)
    assert {code for _, code in issues} == {"SIDECAR_KEY_REQUIRED"}


def test_shipped_schema_is_what_is_built():
    shipped = json.loads(schema_path().read_text())
    if shipped["schema_version"] != load_schema()["schema_version"]:
        pytest.skip("another version of bidsschematools is installed")
    assert shipped == json.loads(json.dumps(build()))


def test_schema_command_builds_and_prints(tmp_path):
    command = [sys.executable, "-m", "bidsface.schema"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == [schema_path().as_uri(), str(pybids_config_path())]
    subprocess.run([*command, "--build", str(tmp_path / "schema.json")], check=True)
    assert "statmap" in json.loads((tmp_path / "schema.json").read_text())["objects"]["suffixes"]


def test_entities_stand_in_the_order_of_the_schema():
    schema = json.loads(schema_path().read_text())
    names = schema["objects"]["entities"]
    order = [names[entity]["name"] for entity in schema["rules"]["entities"]]
    assert [key for key in order if key in ENTITY_ORDER] == list(ENTITY_ORDER)


def test_reserved_columns_are_those_of_pybids():
    known = {name for config in ("bids", "derivatives") for name in Config.load(config).entities}
    assert known <= RESERVED


@pytest.fixture(scope="module")
def layout(output):
    config = ["bids", "derivatives", str(pybids_config_path())]
    return BIDSLayout(output.root, validate=False, config=config)


def test_pybids_finds_every_file_by_its_entities(output, layout):
    long_names = {"sub": "subject", "ses": "session"}
    for receipt in output.receipts():
        for record in receipt.files:
            wanted = {long_names.get(key, key): value for key, value in record.entities.items()}
            wanted["run"] = int(wanted["run"]) if "run" in wanted else None
            for key in ("subject", "session", "task", "label", "contrast", "stat", "space"):
                wanted.setdefault(key, None)
            extension = "." + record.path.rsplit("/", 1)[1].split(".", 1)[1]
            found = layout.get(
                **wanted, suffix=record.suffix, extension=extension, return_type="filename"
            )
            assert found == [str(output.root / record.path)]


def test_described_columns_do_not_become_entities(layout):
    for file in layout.get(suffix="scores", extension=".tsv"):
        entities = file.get_entities()
        assert all(isinstance(value, str) for key, value in entities.items() if key != "run")


def test_every_figure_and_model_is_listed(output):
    kinds = {record.kind for receipt in output.receipts() for record in receipt.files}
    assert kinds == {"map", "mask", "table", "matrix", "model", "figure", "view", "sidecar"}


def test_names_have_entities_in_order():
    entities = {"stat": "z", "sub": "01", "run": "2", "desc": "x", "ses": "a", "rec": "r"}
    shuffled = dict(sorted(entities.items()))
    path = str(file_path(shuffled, "statmap", ".nii.gz", "func"))
    assert path == "sub-01/ses-a/func/sub-01_ses-a_rec-r_run-2_desc-x_stat-z_statmap.nii.gz"
