"""The recipe of expression scores on the study of pain, from the command line to valid files."""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from bids import BIDSLayout
from validator import validator_issues

from bidsface.__main__ import main
from bidsface.demo.pain.study import write_study
from bidsface.schema import pybids_config_path, schema_path

pytestmark = pytest.mark.xdist_group("facs_recipe")  # one worker runs the recipe for all

STRICT = ("figures", "*.html", "logs")
QUICK = (
    "analyses.facs.permutations=19",
    "analyses.facs.bootstraps=9",
    "analyses.facs.shift_permutations=19",
    "analyses.facs.n_splits=3",
    "analyses.facs.inner_splits=3",
    "analyses.facs.covariates=[temperature]",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("pain")
    write_study(
        root,
        seed=3,
        participants=6,
        second_participants=4,
        runs=1,
        painful=6,
        innocuous=1,
        voxel_size_mm=9.0,
        n_jobs=2,
    )
    return root


def run(bids, out, *argv, recipe="facs-regression", settings=QUICK):
    command = [str(bids), str(out), *argv, "--recipe", str(recipe), "--nprocs", "2"]
    assert main([*command, "--set", *settings] if settings else command) == 0


@pytest.fixture(scope="module")
def finished(study):
    """Outputs of the first and of the second data set."""
    first, second = study / "bidsface", study / "second" / "bidsface"
    run(study / "bids", first, "participant")
    run(study / "second" / "bids", second, "participant")
    run(study / "bids", first, "group", "--derivatives", f"second={second}")
    return first, second


def table(out, suffix, label="facs"):
    (path,) = out.glob(f"func/*_desc-{label}_{suffix}.tsv")
    return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"fold": str})


def means(out, label="facs"):
    frame = table(out, "scores", label)
    chosen = frame[(frame["fold"] == "mean") & (frame["scale"] == "model")]
    return chosen.set_index(["roi_name", "estimator", "metric"])["value"]


def test_every_model_is_scored_and_the_other_data_set_predicted(finished):
    frame = table(finished[0], "scores")
    assert {"wholebrain", "m1", "withoutm1"} <= set(frame["roi_name"].dropna())
    assert {"lasso", "ridge", "svr", "training_mean", "covariates", "motion"} <= set(
        frame["estimator"]
    )
    assert set(frame["dataset"]) == {"main", "second"}
    tested = frame.dropna(subset=["p_within"])
    assert set(tested["roi_name"]) == {"wholebrain", "m1", "withoutm1"}
    assert (tested["p_min"] == 1 / 20).all()


def test_validators_find_no_error(finished):
    for out in finished:
        assert validator_issues(out) == []
        assert validator_issues(out, schema=schema_path(), ignore=STRICT) == []


def test_pybids_finds_the_maps(finished):
    config = ["bids", "derivatives", str(pybids_config_path())]
    layout = BIDSLayout(finished[0], validate=False, config=config)
    found = layout.get(
        suffix="statmap", stat="weight", label="withoutm1", contrast="svr", extension=".nii.gz"
    )
    assert len(found) == 1


def test_report_links_to_the_interactive_views(finished):
    page = (finished[0] / "group.html").read_text()
    for path in finished[0].glob("figures/*_weights.html"):
        assert f'href="figures/{path.name}"' in page


def test_images_that_exist_already_give_the_same_scores(finished, study, tmp_path):
    """The trial images that the participant level wrote, read as the images of another run."""
    recipe = yaml.safe_load(RECIPE_OF_IMAGES)
    path = tmp_path / "images.yaml"
    path.write_text(yaml.safe_dump(recipe))
    out = tmp_path / "out"
    run(
        study / "bids",
        out,
        "participant",
        "group",
        "--derivatives",
        f"made={finished[0]}",
        recipe=path,
        settings=(),
    )
    # Without the second data set, whose participants lack some voxels.
    alone = tmp_path / "alone"
    shutil.copytree(finished[0], alone)
    run(study / "bids", alone, "group")
    one, other = means(alone), means(out, "again")
    for metric in ("r2", "mae", "within_pearson"):
        for estimator in ("ridge", "lasso"):
            key = ("wholebrain", estimator, metric)
            assert other[key] == pytest.approx(one[key], abs=1e-4)
    assert validator_issues(out) == []


RECIPE_OF_IMAGES = """
name: images
description: Trial images of another output
inputs:
  images: {derivatives: made, filters: {desc: facs, stat: effect}}
classes: {include: [painful], exclude: [n/a, innocuous]}
samples:
  trials: {kind: image}
regions:
  brain: {source: brain-mask}
analyses:
  again:
    analysis: facs
    inputs: {wholebrain: {region: brain}}
    estimators: [lasso, ridge]
    n_splits: 3
    inner_splits: 3
    permutations: 0
    bootstraps: 0
"""


def test_scores_come_from_action_units(finished, study, tmp_path):
    """The composite of the films' frames is nearly the score that they were drawn from."""
    source = "{dataset: openface, entities: {recording: openface}}"
    run(
        study / "bids",
        tmp_path / "out",
        "participant",
        "--derivatives",
        f"openface={study / 'bids' / 'derivatives' / 'openface'}",
        settings=(*QUICK, f"analyses.facs.action_units={source}"),
    )
    pairs = []
    for path in sorted((tmp_path / "out").glob("sub-*/func/*_desc-facs_trials.tsv")):
        (same,) = finished[0].glob(f"{path.parent.parent.name}/func/{path.name}")
        merged = pd.read_csv(path, sep="\t").merge(
            pd.read_csv(same, sep="\t"), on=["block", "onset"]
        )
        pairs.append(merged[["target_x", "target_y"]])
    frame = pd.concat(pairs)
    assert len(frame) > 25
    assert frame["target_x"].corr(frame["target_y"]) > 0.9


def test_signature_is_expressed_in_the_data_that_it_was_trained_on(finished, study, tmp_path):
    (made,) = finished[0].glob(
        "func/*_label-wholebrain_desc-facs_contrast-ridge_stat-weight_statmap.nii.gz"
    )
    path = tmp_path / made.name
    shutil.copy(made, path)
    recipe = {
        "name": "expression",
        "description": "Expression of the signature",
        "classes": {"include": ["painful"]},
        "samples": {"trials": {"kind": "lss"}},
        "regions": {"brain": {"source": "brain-mask"}},
        "analyses": {
            "expression": {
                "analysis": "signature",
                "maps": {"facs": str(path)},
                "target": "facs",
            }
        },
    }
    (tmp_path / "expression.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "out"

    def correlation():
        levels = ("participant", "group")
        run(study / "bids", out, *levels, recipe=tmp_path / "expression.yaml", settings=())
        frame = table(out, "correlations", "expression").set_index("measure")
        return frame["value"]["dot"]

    found = correlation()
    assert found > 0.2
    assert validator_issues(out) == []
    sidecar = next(out.glob("sub-01/func/*_desc-expression_predictions.json")).read_text()
    assert path.name in sidecar
    signature = nib.load(path)
    nib.save(nib.Nifti1Image(-signature.get_fdata(), signature.affine), path)
    assert correlation() == pytest.approx(-found)


def test_models_can_be_read_and_applied(finished):
    (path,) = finished[0].glob("func/*_label-wholebrain_desc-facs_contrast-ridge_model.npz")
    with np.load(path, allow_pickle=False) as model:
        flat = np.zeros(np.prod(model["shape"]))
        flat[model["index"]] = model["coef"]
        weights = nib.load(
            next(finished[0].glob("func/*_label-wholebrain*contrast-ridge_stat-weight*.nii.gz"))
        ).get_fdata()
        np.testing.assert_allclose(flat.reshape(model["shape"]), weights, rtol=1e-5, atol=1e-9)
    info = json.loads(path.with_suffix(".json").read_text())["Model"]
    assert info["target"] == "facs"
    assert info["transform"] == "log1p"
