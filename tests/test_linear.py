"""Gram-space classification equals scikit-learn's, fold by fold and permutation by permutation."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from bidsface.numerics.discriminant import Spectrum, fit_discriminants
from bidsface.numerics.linear import (
    FoldKernel,
    KernelEstimator,
    batches,
    fold_kernels,
    one_hot,
    ridge_operator,
    standardize,
)
from bidsface.numerics.patterns import weights_and_patterns
from bidsface_decoding.estimators import ESTIMATORS, Ridge, ShrinkageLDA
from bidsface_decoding.rotated import LinearSVM, Logistic

IN_GRAM_SPACE = [name for name, one in ESTIMATORS.items() if isinstance(one(), KernelEstimator)]


def class_centred(X, codes):
    return X - np.stack([X[codes == code].mean(axis=0) for code in codes])


class PooledLDA(ClassifierMixin, BaseEstimator):
    """LDA of scikit-learn with the pooled Ledoit-Wolf shrinkage that it lacks."""

    def fit(self, X, y):
        shrinkage = ledoit_wolf_shrinkage(class_centred(X, y), assume_centered=True)
        self.lda_ = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X, y)
        return self

    def predict(self, X):
        return self.lda_.predict(X)


class FeatureRidge(RidgeClassifier):
    """Ridge of scikit-learn with the number of features as penalty."""

    def fit(self, X, y):
        self.alpha = X.shape[1]
        return super().fit(X, y)


REFERENCES = {
    "ridge": (Ridge(alpha=3.0), lambda: RidgeClassifier(alpha=3.0)),
    "ridge-default": (Ridge(), FeatureRidge),
    "svm": (LinearSVM(C=0.3), lambda: SVC(kernel="linear", C=0.3)),
    "lda-fixed": (
        ShrinkageLDA(shrinkage=0.4),
        lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.4),
    ),
    "lda": (ShrinkageLDA(), PooledLDA),
    "logistic": (
        Logistic(C=0.1, tol=1e-8),
        lambda: LogisticRegression(C=0.1, tol=1e-8, max_iter=1000),
    ),
}


def problem(n_classes, n_features, seed=0, n_runs=4, per_class=5):
    rng = np.random.default_rng(seed)
    codes = np.tile(np.repeat(np.arange(n_classes), per_class), n_runs)
    runs = np.repeat(np.arange(n_runs), n_classes * per_class)
    X = rng.standard_normal((len(codes), n_features)) * rng.uniform(0.5, 4.0, n_features)
    X += 0.7 * rng.standard_normal((n_classes, n_features))[codes] + rng.normal(0, 9, n_features)
    X[:, 3] = 7.0  # a voxel without variance
    permuted = [np.concatenate([rng.permutation(codes[runs == run]) for run in range(n_runs)])]
    permuted += [rng.permutation(codes) for _ in range(4)]  # class counts differ between folds
    labellings = np.stack([codes, *permuted]).astype(np.int16)
    folds = [(np.flatnonzero(runs != run), np.flatnonzero(runs == run)) for run in range(n_runs)]
    return X, labellings, folds


@pytest.mark.parametrize("n_features", [8, 300])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("name", REFERENCES)
def test_predictions_equal_scikit_learn(name, n_classes, n_features):
    estimator, reference = REFERENCES[name]
    X, labellings, folds = problem(n_classes, n_features)
    kernels = fold_kernels(X, np.arange(n_features), folds)
    for (train, test), kernel in zip(folds, kernels, strict=True):
        predicted = estimator.predict_permuted(kernel, labellings[:, train], n_classes)
        for labels, ours in zip(labellings, predicted, strict=True):
            pipeline = make_pipeline(StandardScaler(), reference())
            theirs = pipeline.fit(X[train], labels[train]).predict(X[test])
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("n_features", [8, 300])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_ridge_decisions_equal_scikit_learn(n_classes, n_features):
    X, labellings, folds = problem(n_classes, n_features)
    kernels = fold_kernels(X, np.arange(n_features), folds)
    for (train, test), kernel in zip(folds, kernels, strict=True):
        pipeline = make_pipeline(StandardScaler(), RidgeClassifier(alpha=2.0, solver="cholesky"))
        theirs = pipeline.fit(X[train], labellings[0][train]).decision_function(X[test])
        targets = 2 * one_hot(labellings[:1, train], n_classes)[0] - 1
        ours = ridge_operator(kernel, 2.0) @ targets.T
        expected = theirs if n_classes > 2 else np.stack([-theirs, theirs], axis=1)
        np.testing.assert_allclose(ours, expected, atol=1e-10)


@pytest.mark.parametrize("n_features", [8, 300])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", REFERENCES)
def test_fitted_estimators_equal_scikit_learn(name, n_classes, n_features):
    estimator, reference = REFERENCES[name]
    X, labellings, folds = problem(n_classes, n_features, seed=1)
    train, test = folds[0]
    y = np.array(["anger", "disgust", "joy"])[labellings[0]]
    ours = make_pipeline(StandardScaler(), estimator).fit(X[train], y[train])
    theirs = make_pipeline(StandardScaler(), reference()).fit(X[train], y[train])
    np.testing.assert_array_equal(ours.predict(X[test]), theirs.predict(X[test]))
    if name != "lda":
        decisions = ours.decision_function(X[test]), theirs.decision_function(X[test])
        np.testing.assert_allclose(*decisions, atol=2e-3 if name == "svm" else 1e-6)


@pytest.mark.parametrize("n_features", [8, 300])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", [name for name in REFERENCES if name != "lda"])
def test_dual_weights_equal_coefficients(name, n_classes, n_features):
    estimator, reference = REFERENCES[name]
    X, labellings, _ = problem(n_classes, n_features, seed=2)
    Z = StandardScaler().fit_transform(X)
    dual = estimator.dual_weights(Z @ Z.T, labellings[0], n_features)
    fitted = estimator.fit(Z, labellings[0])
    np.testing.assert_allclose(dual @ Z, fitted.coef_, atol=1e-3 if name == "svm" else 1e-6)
    if name != "svm" or n_classes == 2:  # SVC has a row per pair of classes
        expected = reference().fit(Z, labellings[0]).coef_.reshape(fitted.coef_.shape)
        if name.startswith("lda") and n_features > len(Z):
            # Columns without variance have no weight of their own in either.
            expected = np.where(Z.std(axis=0) == 0, 0.0, expected)
        np.testing.assert_allclose(fitted.coef_, expected, atol=1e-3 if name == "svm" else 1e-6)


@pytest.mark.parametrize("n_classes", [3, 4])
def test_svm_weights_are_means_of_pairs(n_classes):
    X, labellings, _ = problem(n_classes, 8)
    Z = StandardScaler().fit_transform(X)
    pairs = SVC(kernel="linear").fit(Z, labellings[0]).coef_
    coef = LinearSVM().fit(Z, labellings[0]).coef_
    first = pairs[: n_classes - 1].mean(axis=0)  # pairs of class 0 come first
    np.testing.assert_allclose(coef[0], first, atol=1e-3)
    np.testing.assert_allclose(coef.sum(axis=0), 0, atol=1e-12)


def test_ledoit_wolf_shrinkage_equals_scikit_learn():
    X, labellings, _ = problem(3, 40)
    centred = X - X.mean(axis=0)
    training = Spectrum.of(centred @ centred.T, 40)
    fitted = fit_discriminants(training, labellings, 3, None)
    expected = [
        ledoit_wolf_shrinkage(class_centred(X, labels), assume_centered=True)
        for labels in labellings
    ]
    np.testing.assert_allclose(fitted.shrinkage, expected, rtol=1e-9)


@pytest.mark.parametrize("name", IN_GRAM_SPACE)
def test_class_missing_from_training_is_never_predicted(name):
    X, labellings, folds = problem(3, 60)
    train, _ = folds[0]
    kernel = next(fold_kernels(X, np.arange(60), folds))
    codes = labellings[:, train].copy()
    codes[codes == 1] = 2
    predicted = ESTIMATORS[name]().predict_permuted(kernel, codes, 3)
    assert set(np.unique(predicted)) == {0, 2}
    binary = ESTIMATORS[name]().predict_permuted(kernel, codes // 2, 2)
    np.testing.assert_array_equal(predicted, 2 * binary)


@pytest.mark.parametrize("name", IN_GRAM_SPACE)
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_without_signal_the_commonest_training_class_is_predicted(name, value):
    X = np.full((30, 60), value, dtype=np.float32)
    train, test = np.arange(20), np.arange(20, 30)
    kernel = next(fold_kernels(X, np.arange(60), [(train, test)]))
    assert kernel.is_blank
    codes = np.array(
        [[0] * 6 + [1] * 8 + [2] * 6, [2] * 7 + [1] * 7 + [0] * 6, [2] * 20], dtype=np.int16
    )
    predicted = ESTIMATORS[name]().predict_permuted(kernel, codes, 3)
    np.testing.assert_array_equal(predicted, np.repeat([[1], [1], [2]], 10, axis=1))
    assert predicted.dtype == np.int16


@pytest.mark.parametrize("name", IN_GRAM_SPACE)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("n_features", [5, 60])
def test_without_signal_there_are_no_weights(name, classes, n_features):
    codes = np.array([0, 1, 1, 1, 1, 0, 0, 2, 1, 1]) % classes
    rows = 1 if classes == 2 else classes
    estimator = ESTIMATORS[name]()
    dual = estimator.dual_weights(np.zeros((10, 10)), codes, n_features)
    X = np.full((10, n_features), 3.0)
    maps = weights_and_patterns(X, np.arange(n_features), dual, np.zeros((10, 10)))
    for values in maps:
        np.testing.assert_array_equal(values, np.zeros((n_features, rows)))
    fitted = estimator.fit(X, codes)
    np.testing.assert_array_equal(fitted.coef_, np.zeros((rows, n_features)))
    commonest = np.bincount(codes).argmax()
    np.testing.assert_array_equal(fitted.predict(X[:4]), np.full(4, commonest))


@pytest.mark.parametrize("name", IN_GRAM_SPACE)
def test_labellings_do_not_touch_each_other(name):
    X, labellings, folds = problem(3, 50)
    kernel = next(fold_kernels(X, np.arange(50), folds))
    codes = labellings[:, folds[0][0]]
    estimator = ESTIMATORS[name]()
    alone = [estimator.predict_permuted(kernel, row[None], 3)[0] for row in codes]
    np.testing.assert_array_equal(estimator.predict_permuted(kernel, codes, 3), alone)


def test_batches_hold_every_labelling_once():
    codes = np.arange(35).reshape(7, 5)
    for max_elements, sizes in ((1, [1] * 7), (30, [2, 2, 2, 1]), (10_000, [7])):
        parts = list(batches(codes, 3, max_elements))
        assert [len(part) for part in parts] == sizes
        np.testing.assert_array_equal(np.concatenate(parts), codes)


def test_kernels_equal_scaled_data_in_any_blocks():
    X, _, folds = problem(3, 50)
    columns = np.arange(0, 50, 2)
    kernels = list(fold_kernels(X.astype(np.float32), columns, folds, block_size=7))
    for kernel, (train, test) in zip(kernels, folds, strict=True):
        scaler = StandardScaler().fit(X[train][:, columns])
        known, held_out = (scaler.transform(X[part][:, columns]) for part in (train, test))
        np.testing.assert_allclose(kernel.train, known @ known.T, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(kernel.test, held_out @ known.T, rtol=1e-4, atol=1e-4)
    few = list(fold_kernels(X, columns, folds, max_elements=1))
    many = list(fold_kernels(X, columns, folds))
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one.train, other.train)
        np.testing.assert_array_equal(one.test, other.test)


def test_scaling_sees_only_the_training_part():
    X, _, folds = problem(3, 50)
    _, test = folds[1]
    poisoned = X.copy()
    poisoned[test] = 1e6
    clean = next(fold_kernels(X, np.arange(50), [folds[1]]))
    spoilt = next(fold_kernels(poisoned, np.arange(50), [folds[1]]))
    np.testing.assert_array_equal(clean.train, spoilt.train)
    assert not np.allclose(clean.test, spoilt.test)


def test_values_that_are_not_finite_are_refused():
    X, _, folds = problem(3, 50)
    X[2, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        list(fold_kernels(X, np.arange(50), folds))


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e-3])
def test_standardize_equals_standard_scaler(offset):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 5)) * np.array([1.0, 1e-3, 10, 0, 0]) + offset
    X[:, 4] = 0.1  # not representable: its computed variance is not exactly 0
    scaler = StandardScaler().fit(X[:20])
    known, held_out = X[:20].copy(), X[20:].copy()
    standardize(known, held_out)
    np.testing.assert_allclose(known, scaler.transform(X[:20]), atol=1e-8)
    np.testing.assert_allclose(held_out, scaler.transform(X[20:]), atol=1e-8)


@pytest.mark.parametrize("n_decisions", [1, 3])
def test_patterns_equal_the_formula(n_decisions):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 12)) @ rng.standard_normal((12, 12))
    Z = StandardScaler().fit_transform(X)
    dual = rng.standard_normal((n_decisions, 30))
    weights, patterns = weights_and_patterns(X, np.arange(12), dual, Z @ Z.T, block_size=5)
    np.testing.assert_allclose(weights, Z.T @ dual.T, atol=1e-4)
    W = Z.T @ dual.T
    cov = np.cov(Z, rowvar=False)
    np.testing.assert_allclose(patterns, cov @ W @ np.linalg.inv(W.T @ cov @ W), atol=1e-4)


def test_pattern_shows_signal_where_weights_show_noise():
    """Haufe's example: the second channel holds noise only, and yet it gets weight."""
    rng = np.random.default_rng(4)
    codes = np.tile([0, 1], 200)
    noise = rng.standard_normal(400)
    X = np.stack([2.0 * codes - 1 + 2 * noise, noise + 0.01 * rng.standard_normal(400)], axis=1)
    Z = StandardScaler().fit_transform(X)
    dual = Ridge(alpha=1e-3).dual_weights(Z @ Z.T, codes, 2)
    weights, patterns = weights_and_patterns(X, np.arange(2), dual, Z @ Z.T)
    assert abs(weights[1, 0]) > 0.5 * abs(weights[0, 0])
    assert abs(patterns[1, 0]) < 0.2 * abs(patterns[0, 0])


def test_kernel_needs_no_more_than_gram_matrices():
    """The number of features enters penalties and shrinkage, and nothing else does."""
    X, labellings, folds = problem(3, 50)
    kernel = next(fold_kernels(X, np.arange(50), folds))
    codes = labellings[:, folds[0][0]]
    padded = FoldKernel(kernel.train, kernel.test, 500)
    ridge = Ridge(alpha=5.0)
    np.testing.assert_array_equal(
        ridge.predict_permuted(kernel, codes, 3), ridge.predict_permuted(padded, codes, 3)
    )


@parametrize_with_checks([Ridge(), LinearSVM(), ShrinkageLDA(), Logistic()])
def test_estimators_keep_scikit_learns_rules(estimator, check):
    check(estimator)
