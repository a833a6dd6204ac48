"""Cross-modal predictions against a plain loop over arrays, written with scikit-learn alone."""

import numpy as np
import pytest
from crossmodal_study import REGIONS, decode, make_two_tasks
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bidsface_decoding.aligners import ALIGNERS
from bidsface_decoding.crossmodal_decoding import decode_crossmodal
from bidsface_decoding.crossmodal_kernels import View, fold_views, scaled_blocks
from bidsface_decoding.crossmodal_options import CrossmodalOptions, build_aligners
from bidsface_decoding.crossmodal_outcomes import TaskRegion
from bidsface_decoding.crossmodal_plan import plan_crossmodal
from bidsface_decoding.crossvalidation import Fold
from bidsface_decoding.estimators import ESTIMATORS
from bidsface_decoding.motion_regression import MotionRegression

TASKS = ("display", "observe")
CLASSIFIERS = {
    "ridge": lambda n_voxels: RidgeClassifier(alpha=n_voxels),
    "svm": lambda n_voxels: SVC(kernel="linear"),
    "lda": lambda n_voxels: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3),
}


def halves(samples, run, columns, regress):
    """Training samples, their labels, and test samples of one run; scaled on the training part."""
    table = samples.table.assign(row=np.arange(len(samples.table)))
    table = table.sort_values(["run_index", "time", "row"])
    known = table.loc[table["run_index"] != run, "row"].to_numpy()
    left_out = table.loc[table["run_index"] == run, "row"].to_numpy()
    train, test = (samples.X[np.ix_(rows, columns)].astype(float) for rows in (known, left_out))
    if regress:
        model = LinearRegression().fit(samples.motion[known], train)
        train = train - model.predict(samples.motion[known])
        test = test - model.predict(samples.motion[left_out])
    scaler = StandardScaler().fit(train)
    labels = samples.table["trial_type"].to_numpy()[known]
    return scaler.transform(train), labels, scaler.transform(test)


def paired(labels, other_labels, partners):
    """Rows of both sets: the k-th of a class with the k-th of that class, and with others of it."""
    rows, others = [], []
    for label in sorted(set(labels) & set(other_labels)):
        own = [row for row, one in enumerate(labels) if one == label]
        theirs = [row for row, one in enumerate(other_labels) if one == label]
        size = min(len(own), len(theirs))
        for k in range(size):
            for turn in range(partners):
                rows.append(own[k])
                others.append(theirs[(k + turn * size // partners) % size])
    return rows, others


def ridge_aligned(target, source, new):
    """New samples of the source as the target would have had them."""
    centred = source - source.mean(axis=0)
    penalty = np.square(centred).sum() / len(source)
    return Ridge(alpha=penalty, solver="cholesky").fit(source, target).predict(new)


def expected(participant, region, name, train, test, aligned, regress, partners):
    """Predicted classes of the test task's samples, run by run."""
    predictions = []
    for run in ("1", "2", "3", "4"):
        (trained, labels, _), (other, other_labels, new) = (
            halves(participant.kinds["volumes", task], run, region.columns, regress)
            for task in (train, test)
        )
        if aligned:
            rows, others = paired(labels, other_labels, partners)
            new = ridge_aligned(trained[rows], other[others], new)
        model = CLASSIFIERS[name](len(region.columns)).fit(trained, labels)
        predictions.append(model.predict(new))
    return np.concatenate(predictions)


@pytest.fixture(scope="module")
def participant():
    return make_two_tasks(effect=0.35, motion_effect=0.3, sample_names=("volumes",), seed=3)


@pytest.mark.parametrize(("motion", "partners"), [("kept", 1), ("kept", 4), ("regressed", 4)])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_predictions_equal_those_of_a_plain_loop(participant, name, motion, partners):
    outcomes = decode(
        participant,
        estimators=[name],
        estimator_options={"lda": {"shrinkage": 0.3}} if name == "lda" else {},
        regions=["turned"] if name == "lda" else ["turned", "shared"],
        motion_regressed=True,
        motion_control=False,
        pairings=partners,
    )
    labels = np.array(["anger", "disgust", "joy"])
    chosen = {test: one for test, one in outcomes.items() if test[4] == motion}
    assert len(chosen) == (6 if name == "lda" else 12)
    for (_, train, test, aligner, _, region), outcome in chosen.items():
        found = labels[outcome.scores.predicted]
        aligned, regress = aligner == "ridge-alignment", motion == "regressed"
        wanted = expected(
            participant, REGIONS[region], name, train, test, aligned, regress, partners
        )
        # Samples lie in order of runs and time, as the loop has them.
        assert (found == wanted).all(), (train, test, aligner, region)


def test_fitted_arrays_give_what_inner_products_give(participant):
    """A classifier that needs the samples themselves takes the other path to the same classes."""
    region = REGIONS["turned"]
    kinds = {task: [participant.kinds["volumes", task]] for task in TASKS}
    options = CrossmodalOptions(
        aligners=("ridge-alignment", "procrustes", "srm"),
        permutations=2,
        motion_control=False,
    )
    found = decode_crossmodal(
        plan_crossmodal(kinds, 2, np.random.SeedSequence(1)),
        [TaskRegion.same(region, TASKS)],
        {
            "inner": ESTIMATORS["ridge"](),
            "arrays": RidgeClassifier(alpha=len(region.columns), solver="cholesky"),
        },
        build_aligners(options, ALIGNERS),
        options,
        lambda function, items: [function(item) for item in items],
        lambda *keys: np.random.SeedSequence(2),
    )
    inner, arrays = (
        {(one.condition, one.motion): one.scores for one in found.outcomes if one.estimator == name}
        for name in ("inner", "arrays")
    )
    assert len(inner) == len(arrays) == 2 * (2 + 2 + 6)
    for key, scores in inner.items():
        assert (scores.predicted == arrays[key].predicted).all(), key
        np.testing.assert_allclose(scores.null, arrays[key].null, atol=1e-12)


def parts_of(sizes):
    return {
        task: Fold("1", np.arange(n_train), np.arange(n_train, n_train + n_test))
        for task, (n_train, n_test) in sizes.items()
    }


def test_inner_products_are_those_of_the_scaled_samples_whatever_the_blocks():
    rng = np.random.default_rng(0)
    X = {task: rng.normal(3, 2, (20, 30)).astype(np.float32) for task in TASKS}
    columns = {"display": np.arange(3, 24), "observe": np.arange(12)}
    motion = {task: rng.normal(size=(20, 4)) for task in TASKS}
    views = {task: View(X[task], columns[task], motion[task]) for task in TASKS}
    parts = parts_of({"display": (14, 6), "observe": (13, 7)})
    found = fold_views(views, parts, shared=False, keep=True)
    blocks = list(scaled_blocks(views, parts, block_size=5))
    for task in TASKS:
        train, test = (
            np.hstack([getattr(block[task], half) for _, block in blocks if task in block])
            for half in ("train", "test")
        )
        model = LinearRegression().fit(motion[task][parts[task].train], X[task][parts[task].train])
        residual = (X[task] - model.predict(motion[task]))[:, columns[task]]
        scaler = StandardScaler().fit(residual[parts[task].train])
        np.testing.assert_allclose(train, scaler.transform(residual[parts[task].train]), atol=1e-5)
        np.testing.assert_allclose(test, scaler.transform(residual[parts[task].test]), atol=1e-5)
        np.testing.assert_allclose(found.train[task], train @ train.T, atol=1e-9)
        np.testing.assert_allclose(found.test[task, task], test @ train.T, atol=1e-9)
        np.testing.assert_allclose(found.scaled[task][0], train, atol=1e-6)
    assert ("display", "observe") not in found.test


def test_data_that_are_not_finite_are_refused():
    X = np.ones((6, 3), np.float32)
    X[1, 1] = np.nan
    views = {task: View(X, np.arange(3)) for task in TASKS}
    with pytest.raises(ValueError, match="not finite"):
        fold_views(views, parts_of(dict.fromkeys(TASKS, (4, 2))), shared=True, keep=False)


def test_motion_is_regressed_out_by_least_squares_on_training_samples():
    rng = np.random.default_rng(1)
    motion, other = rng.normal(5, 3, (15, 6)), rng.normal(5, 3, (4, 6))
    motion[:, 5], other[:, 5] = 2.0, 2.0  # never moves
    train, test = rng.normal(2, 1, (15, 8)), rng.normal(2, 1, (4, 8))
    model = LinearRegression().fit(motion, train)
    wanted = train - model.predict(motion), test - model.predict(other)
    MotionRegression(motion).clean(train, test, other)
    np.testing.assert_allclose(train, wanted[0], atol=1e-10)
    np.testing.assert_allclose(test, wanted[1], atol=1e-10)
