"""The classifier: rules of scikit-learn, planted effects, nulls, several classes, odd data."""

import subprocess
import sys

import numpy as np
import pytest
from propagation_study import chain
from scipy import sparse
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import bidsface_decoding
from bidsface_decoding import BayesianLogisticRegression


def planted(n, p, seed=0, weights=(1.5, -1.5, 1.5)):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    activation = X[:, : len(weights)] @ np.asarray(weights)
    return X, np.where(rng.random(n) < expit(activation), "joy", "anger")


@parametrize_with_checks([BayesianLogisticRegression()])
def test_keeps_scikit_learns_rules(estimator, check):
    check(estimator)


def test_is_imported_when_asked_for_only():
    code = "import sys, bidsface_decoding; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = bidsface_decoding.Nothing


@pytest.mark.parametrize(("n", "p"), [(200, 60), (150, 400)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_planted_effect_is_the_most_important(n, p, dtype):
    X, y = planted(n, p)
    found = BayesianLogisticRegression(scale=0.01).fit(X.astype(dtype), y)
    assert found.converged_.all()
    assert set(np.argsort(-found.importance_[0])[:3]) == {0, 1, 2}
    assert (found.importance_[0, :3] > 1.2).all()
    assert np.median(found.importance_[0]) < 1.0
    np.testing.assert_array_equal(np.sign(found.coef_[0, :3]), [1, -1, 1])
    assert found.coef_ is found.coef_mean_
    shapes = [found.coef_mean_, found.coef_var_, found.importance_]
    assert [one.shape for one in shapes] == [(1, p)] * 3
    rows = [found.intercept_, found.intercept_var_, found.log_evidence_, found.scale_]
    assert [one.shape for one in [*rows, found.n_iter_, found.converged_]] == [(1,)] * 6
    other, labels = planted(400, p, seed=1)
    assert (found.predict(other) == labels).mean() > 0.7


def test_evidence_finds_the_scale_of_the_weights():
    rng = np.random.default_rng(0)
    scales = [1e-4, 1e-2, 1.0, 100.0]
    for truth in (1e-2, 1.0):
        X = rng.standard_normal((400, 60))
        activation = X @ rng.laplace(scale=np.sqrt(truth), size=60)
        y = rng.random(400) < expit(activation)
        found = BayesianLogisticRegression(scale=scales).fit(X, y)
        assert found.scale_ == truth
        alone = [BayesianLogisticRegression(scale=one).fit(X, y) for one in scales]
        np.testing.assert_allclose(found.log_evidence_, max(one.log_evidence_ for one in alone))
        best = alone[scales.index(truth)]
        np.testing.assert_array_equal(found.coef_, best.coef_)
        np.testing.assert_array_equal(found.predict_proba(X), best.predict_proba(X))


def test_no_effect_gives_chance_accuracy():
    rng = np.random.default_rng(0)
    hits = []
    for _ in range(20):
        X = rng.standard_normal((54, 200)).astype(np.float32)
        y = rng.permutation(np.repeat(np.arange(3), 18))
        found = BayesianLogisticRegression().fit(X[:36], y[:36])
        hits.append((found.predict(X[36:]) == y[36:]).mean())
    error = np.std(hits, ddof=1) / np.sqrt(len(hits))
    assert abs(np.mean(hits) - 1 / 3) < 3 * error


def test_three_classes_are_three_problems():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((90, 120)), np.repeat([3, 5, 9], 30)
    X[y == 5, 0] += 2
    X[y == 9, 1] += 2
    found = BayesianLogisticRegression(scale=0.1).fit(X, y)
    assert found.coef_.shape == (3, 120)
    odds = found.decision_function(X)
    for column, label in enumerate(found.classes_):
        alone = BayesianLogisticRegression(scale=0.1).fit(X, y == label)
        np.testing.assert_array_equal(found.coef_[column], alone.coef_[0])
        np.testing.assert_array_equal(found.log_evidence_[column], alone.log_evidence_[0])
        np.testing.assert_allclose(odds[:, column], alone.decision_function(X), atol=1e-12)
    np.testing.assert_array_equal(found.predict(X), found.classes_[odds.argmax(axis=1)])
    probability = found.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_allclose(probability, expit(odds) / expit(odds).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("n", "p"), [(40, 15), (40, 100)])
def test_probabilities_average_over_the_posterior(n, p):
    X, y = planted(n, p, seed=2)
    found = BayesianLogisticRegression(scale=0.5).fit(X, y)
    T = planted(6, p, seed=3)[0]
    # The posterior again, from its sites: its weights are jointly normal.
    posterior = found._posteriors[0]
    A = np.column_stack([X, np.ones(n)])
    mean = np.append(found.coef_[0], found.intercept_[0])
    sites = posterior.sites.precision if p < n else posterior.prior.sites.precision
    precision = (1 - posterior.activations.freedom) / posterior.activations.variance
    covariance = np.linalg.inv(np.diag(sites) + A.T @ (precision[:, None] * A))
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, 40_000)
    sampled = expit(draws @ np.column_stack([T, np.ones(6)]).T)
    error = sampled.std(axis=0) / np.sqrt(len(draws))
    probability = found.predict_proba(T)[:, 1]
    np.testing.assert_array_less(np.abs(probability - sampled.mean(axis=0)), 4.5 * error)
    plain = expit(T @ found.coef_[0] + found.intercept_[0])
    assert (np.abs(probability - 0.5) < np.abs(plain - 0.5)).all()


@pytest.mark.parametrize("scale", [0.01, 1.0, 1e4])
def test_separable_samples_converge(scale):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 20))
    y = X[:, 0] > 0
    found = BayesianLogisticRegression(scale=scale).fit(X, y)
    assert found.converged_.all()
    assert np.isfinite(found.coef_var_).all()
    assert (found.predict(X) == y).mean() > 0.95


@pytest.mark.parametrize("fraction", [0.9, 1.0])
@pytest.mark.parametrize("p", [6, 200])
def test_repeated_and_constant_data_are_fine(p, fraction):
    X, y = planted(40, p)
    X[:, 1], X[:, 2], X[:, 3] = X[:, 0], 0.0, 5.0
    X, y = np.vstack([X, X, X]), np.concatenate([y, y, y])
    found = BayesianLogisticRegression(fraction=fraction).fit(X, y)
    assert found.converged_.all()
    np.testing.assert_allclose(found.coef_[0, 1], found.coef_[0, 0], rtol=1e-6)
    np.testing.assert_allclose(found.coef_[0, 2], 0, atol=1e-12)
    np.testing.assert_allclose(found.importance_[0, 2], 1, rtol=1e-6)


def test_without_signal_the_commonest_class_is_predicted():
    X = np.zeros((30, 50), dtype=np.float32)
    y = np.repeat(["a", "b", "c"], [8, 13, 9])
    found = BayesianLogisticRegression().fit(X, y)
    np.testing.assert_array_equal(found.coef_, 0)
    assert set(found.predict(X)) == {"b"}
    tied = BayesianLogisticRegression().fit(X, np.tile(["c", "a", "b"], 10))
    assert set(tied.predict(X)) == {"a"}


def test_predictions_do_not_depend_on_what_becomes_of_the_training_array():
    X, y = planted(30, 80)
    X = X.astype(np.float32)
    T = planted(10, 80, seed=1)[0]
    found = BayesianLogisticRegression().fit(X, y)
    expected = found.predict_proba(T)
    X[:] = 0
    np.testing.assert_array_equal(found.predict_proba(T), expected)
    assert found.predict_proba(T).dtype == np.float64


def test_coupling_zero_is_decoupled_and_coupling_smooths_importance():
    X, y = planted(80, 60, weights=[0.0] * 20 + [0.8] * 8)
    fits = {
        coupling: BayesianLogisticRegression(0.05, coupling=coupling, neighbours=chain(60)).fit(
            X, y
        )
        for coupling in (0.0, 10.0)
    }
    plain = BayesianLogisticRegression(0.05).fit(X, y)
    np.testing.assert_array_equal(fits[0.0].coef_, plain.coef_)
    rough, smooth = (np.abs(np.diff(one.importance_[0])).mean() for one in fits.values())
    assert smooth < 0.8 * rough


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": -1.0}, "scale"),
        ({"scale": [1.0, 0.0]}, "scale must be a positive number"),
        ({"scale": []}, "scale must be a positive number"),
        ({"fraction": 1.5}, "fraction"),
        ({"coupling": 1.0}, "coupling needs neighbours"),
        ({"coupling": 1.0, "neighbours": chain(5)}, r"shape \(20, 20\)"),
        ({"coupling": 1.0, "neighbours": -chain(20)}, "symmetric and without negative"),
        ({"coupling": 1.0, "neighbours": sparse.tril(chain(20))}, "symmetric and without"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    X, y = planted(30, 20)
    with pytest.raises(ValueError, match=message):
        BayesianLogisticRegression(**options).fit(X, y)


def test_values_that_are_not_finite_are_refused():
    X, y = planted(30, 20)
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        BayesianLogisticRegression().fit(X, y)


def test_too_few_sweeps_are_told():
    X, y = planted(30, 20)
    with pytest.warns(ConvergenceWarning, match="did not converge in 2 sweeps"):
        found = BayesianLogisticRegression(max_iter=2).fit(X, y)
    assert not found.converged_.any()
    assert (found.n_iter_ == 2).all()
