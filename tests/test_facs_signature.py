"""The analysis signature: expression of known maps in the images of events."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from decoding_study import store
from facs_study import BRAIN, GRID, M1, N_VOXELS, make_participant, planted_pattern

from bidsface.derivatives.tables import check_columns
from bidsface.errors import InputError, RecipeError
from bidsface_facs.expression import express, standardized
from bidsface_facs.signature import Signature, SignatureOptions

NAME = "space-MNI152NLin2009cAsym_desc-facs_stat-weight_statmap.nii.gz"


def written(folder, values, voxels=BRAIN, name=NAME, affine=None):
    flat = np.zeros(int(np.prod(voxels.grid.shape)), np.float32)
    flat[voxels.index] = values
    image = nib.Nifti1Image(flat.reshape(voxels.grid.shape), voxels.grid.affine)
    nib.save(image if affine is None else nib.Nifti1Image(image.dataobj, affine), folder / name)
    return str(folder / name)


@pytest.fixture
def path(tmp_path):
    return written(tmp_path, planted_pattern())


def options_of(path, **given):
    return SignatureOptions.model_validate({"maps": {"planted": path}, "target": "facs", **given})


def participant_results(path, participant=None, **given):
    analysis = Signature("expression", 0)
    return analysis.participant(participant or make_participant(), options_of(path, **given))


def table(results, suffix):
    (found,) = [item for item in results.tables if item.suffix == suffix]
    check_columns(found.frame, found.columns, suffix)
    return found.frame


def test_measures_equal_numpy():
    rng = np.random.default_rng(0)
    images, pattern = rng.standard_normal((7, 30)) + 1, rng.standard_normal(30) + 2
    found = express(images, pattern)
    np.testing.assert_allclose(found["dot"], [np.dot(x, pattern) for x in images])
    lengths = np.linalg.norm(images, axis=1) * np.linalg.norm(pattern)
    np.testing.assert_allclose(found["cosine"], found["dot"] / lengths)
    np.testing.assert_allclose(
        found["correlation"], [np.corrcoef(x, pattern)[0, 1] for x in images]
    )
    scaled = standardized(np.vstack([images, np.ones((1, 30))]))
    expected = (images - images.mean(1, keepdims=True)) / images.std(1, keepdims=True)
    np.testing.assert_allclose(scaled[:-1], expected)
    assert not scaled[-1].any()
    assert np.isnan(express(np.zeros((1, 30)), pattern)["cosine"]).all()
    assert np.isnan(express(np.ones((1, 30)), pattern)["correlation"]).all()


def test_images_are_compared_where_the_map_is_not_0(path):
    participant = make_participant()
    frame = table(participant_results(path, participant), "predictions")
    X = participant.samples("trials", "pain").X
    used = planted_pattern() != 0
    expected = X[:, used].astype(float) @ planted_pattern()[used]
    np.testing.assert_allclose(frame["dot"], expected, rtol=1e-5)
    correlation = [np.corrcoef(x[used], planted_pattern()[used])[0, 1] for x in X]
    np.testing.assert_allclose(frame["correlation"], correlation, rtol=1e-5)


def test_dot_product_with_scaled_images_is_the_prediction_up_to_the_intercept(path):
    participant = make_participant()
    results = participant_results(path, participant, standardize="image")
    X = participant.samples("trials", "pain").X[:, planted_pattern() != 0].astype(float)
    X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    expected = X @ planted_pattern()[planted_pattern() != 0]
    np.testing.assert_allclose(table(results, "predictions")["dot"], expected, rtol=1e-5)


def test_space_in_a_plain_name_is_understood(tmp_path):
    name = "nps_space-MNI152NLin2009cAsym.nii.gz"
    path = written(tmp_path, planted_pattern(), name=name)
    assert len(table(participant_results(path), "predictions")) == 12


def test_maps_are_files_that_the_analysis_uses(path):
    assert [str(one) for one in Signature("expression", 0).files_used(options_of(path))] == [path]


def test_only_voxels_of_the_region_count(tmp_path):
    path = written(tmp_path, np.ones(N_VOXELS))
    participant = make_participant()
    results = participant_results(path, participant, region="m1")
    X = participant.samples("trials", "pain").X
    np.testing.assert_allclose(
        table(results, "predictions")["dot"], X[:, M1].sum(axis=1), rtol=1e-4, atol=1e-3
    )
    assert any("only 9 % of the weight of signature planted" in line for line in results.warnings)


def blob(affine, shape):
    """A smooth bump in the middle of the brain, by the coordinates (mm) of voxels."""
    places = nib.affines.apply_affine(affine, np.indices(shape).reshape(3, -1).T)
    return np.exp(-(np.linalg.norm(places, axis=1) ** 2) / (2 * 8.0**2)).reshape(shape)


def test_map_on_another_grid_is_interpolated(tmp_path):
    """The bump, stored with voxels of another size and origin."""
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -30.0
    image = nib.Nifti1Image(blob(affine, (21, 21, 21)).astype(np.float32), affine)
    nib.save(image, tmp_path / NAME)
    participant = make_participant()
    frame = table(participant_results(str(tmp_path / NAME), participant), "predictions")
    known = blob(GRID.affine, GRID.shape).ravel()[BRAIN.index]
    expected = participant.samples("trials", "pain").X.astype(float) @ known
    np.testing.assert_allclose(frame["dot"], expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        (NAME.replace("MNI152NLin2009cAsym", "T1w"), 1.0, "is in space T1w, the data are in MNI"),
        (NAME, 0.0, "is 0 in all voxels of sub-01"),
    ],
)
def test_maps_that_cannot_be_used(tmp_path, name, values, words):
    path = written(tmp_path, np.full(N_VOXELS, values), name=name)
    with pytest.raises(InputError, match=words):
        participant_results(path)


def test_options_are_checked(path, tmp_path):
    analysis = Signature("expression", 0)
    with pytest.raises(RecipeError, match=r"maps\.planted: .*is no file"):
        analysis.check(options_of(str(tmp_path / "none.nii")), ["trials"], ["brain"])
    with pytest.raises(RecipeError, match="region"):
        analysis.check(options_of(path, region="v1"), ["trials"], ["brain"])


def group_results(path, participants, **given):
    analysis, options = Signature("expression", 0), options_of(path, **given)
    stored = [store(one.label, analysis.participant(one, options)) for one in participants]
    return analysis.group(stored, options)


def test_expression_follows_the_target_in_everybody(path):
    people = [make_participant(f"{n:02d}") for n in range(1, 9)]
    results = group_results(path, people)
    frame = table(results, "correlations").set_index("measure")
    assert (frame["value"] > 0.3).all()
    assert frame["p"]["dot"] == pytest.approx(2 / 2**8)
    assert frame["n"].eq(8).all()
    reference = []
    for one in people:
        samples = one.samples("trials", "pain")
        dot = samples.X @ planted_pattern()
        facs = samples.events["facs"].astype(float)
        reference.append(pd.Series(dot).corr(facs, method="spearman"))
    assert frame["value"]["dot"] == pytest.approx(np.mean(reference), abs=1e-6)
    assert results.figures
    assert any("correlates with facs" in line for line in results.highlights)


def test_a_map_that_images_do_not_express_is_not_found(tmp_path):
    path = written(tmp_path, planted_pattern(seed=1))
    people = [make_participant(f"{n:02d}", seed=3) for n in range(1, 11)]
    frame = table(group_results(path, people), "correlations").set_index("measure")
    assert frame["p"]["dot"] > 0.05


def test_one_participant_gives_no_inference(path):
    results = group_results(path, [make_participant()])
    assert np.isnan(table(results, "scores")["p"]).all()
    assert any("one participant only" in line for line in results.warnings)


def test_targets_are_optional(path):
    people = [make_participant(f"{n:02d}") for n in range(1, 4)]
    results = group_results(path, people, target=None)
    assert [item.suffix for item in results.tables] == ["scores"]
    bare = replace(people[0], label="09")
    assert len(table(participant_results(path, bare, target=None), "predictions")) == 12
