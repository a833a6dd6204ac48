"""Regressions on components equal scikit-learn's, and hold where scikit-learn's do not end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR
from sklearn.utils.estimator_checks import parametrize_with_checks

from bidsface_facs import interior_point, support_vectors
from bidsface_facs.components import principal_components
from bidsface_facs.regressors import REGRESSORS, PrincipalComponentRegressor
from bidsface_facs.shrinkage import ElasticNet, Lasso, PartialLeastSquares, Ridge
from bidsface_facs.support_vectors import SupportVectors, fit_support_vectors

NAMES = list(REGRESSORS)
REFERENCES = {
    "lasso": lambda **options: linear_model.Lasso(tol=1e-13, max_iter=100_000, **options),
    "ridge": lambda **options: linear_model.Ridge(**options),
    "elastic_net": lambda **options: linear_model.ElasticNet(
        tol=1e-13, max_iter=100_000, **options
    ),
    # libsvm keeps inner products in single precision, and need not end with a smaller tolerance.
    "svr": lambda **options: SVR(kernel="linear", tol=1e-7, max_iter=10**6, **options),
    "pls": lambda **options: PLSRegression(scale=False, **options),
}


def facs_scores(rng, n, m):
    """Draw scores with a heavy tail, ties and about half zeros."""
    scores = np.round(2 * np.exp(rng.normal(size=(n, m))), 1)
    scores[rng.random((n, m)) < 0.5] = 0.0
    return scores


def images(rng, n, n_voxels, latent=12):
    """Draw images with some strong latent patterns and a mean that is not 0."""
    patterns = rng.normal(size=(latent, n_voxels)) * np.linspace(3, 1, latent)[:, None]
    signal = rng.normal(size=(n, latent)) @ patterns
    return 2.0 + (signal + 0.5 * rng.normal(size=(n, n_voxels))) / np.sqrt(80 * n_voxels)


def components_of(X, n_train, variance=0.8, sample_weight=None):
    rows = np.arange(len(X))
    return principal_components(X @ X.T, rows[:n_train], rows[n_train:], variance, sample_weight)


# Components


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("variance", [0.3, 0.8, 0.999])
def test_components_are_those_of_pca_of_repeated_images(variance, weighted):
    rng = np.random.default_rng(1)
    X = images(rng, 40, 90)
    counts = rng.integers(0, 4, 30) if weighted else np.ones(30, dtype=int)
    found = components_of(X, 30, variance, counts if weighted else None)
    pca = PCA(variance, svd_solver="full").fit(np.repeat(X[:30], counts, axis=0))
    axes = X[:30].T @ found.weights
    signs = np.sign((axes * pca.components_.T).sum(axis=0))
    assert found.n_components == pca.n_components_
    np.testing.assert_allclose(found.singular_values, pca.singular_values_, rtol=1e-10)
    np.testing.assert_allclose(axes * signs, pca.components_.T, atol=1e-9)
    np.testing.assert_allclose(found.scores * signs, pca.transform(X[:30]), atol=1e-9)
    np.testing.assert_allclose(found.test_scores * signs, pca.transform(X[30:]), atol=1e-9)
    np.testing.assert_allclose(found.weights.sum(axis=0), 0, atol=1e-10)
    products = found.scores.T @ (counts[:, None] * found.scores)
    np.testing.assert_allclose(products, np.diag(found.singular_values**2), atol=1e-9)


@pytest.mark.parametrize(("shape", "rank"), [((20, 50), 19), ((50, 6), 6)])
def test_all_components_are_as_many_as_the_rank(shape, rank):
    X = np.random.default_rng(2).normal(size=shape) + 100.0
    assert components_of(X, shape[0], None).n_components == rank
    model = PrincipalComponentRegressor(variance=None).fit(X, X[:, 0])
    assert model.n_components_ == rank


@pytest.mark.parametrize("name", NAMES)
def test_equal_images_leave_the_intercept(name):
    components = components_of(np.full((9, 4), 0.1), 6)
    fitted = REGRESSORS[name]().fit(components, np.arange(12.0).reshape(6, 2))
    assert components.n_components == 0
    np.testing.assert_allclose(fitted.predict(components.test_scores), [[5.0, 6.0]] * 3)
    grid = REGRESSORS[name]().grid(components, np.ones((6, 1)))
    assert all(np.isfinite(fit.intercept).all() for fit in _fit_all(grid, components))


def _fit_all(grid, components):
    return grid[0].fit_grid(components, np.ones((len(components.scores), 1)), grid)


@pytest.mark.parametrize("variance", [0, 1, 1.5, -0.1])
def test_a_share_of_variance_is_between_0_and_1(variance):
    with pytest.raises(ValueError, match="between 0 and 1"):
        components_of(np.eye(5), 5, variance)


@pytest.mark.parametrize("weight", [[1, 1], [1, -1, 1], [0, 0, 0], [1, np.nan, 1]])
def test_weights_that_mean_nothing_are_refused(weight):
    with pytest.raises(ValueError, match="weights"):
        components_of(np.eye(4), 3, 0.8, weight)


# Equality with scikit-learn

OPTIONS = [
    ("ridge", {}),
    ("ridge", {"alpha": 0.0}),
    ("ridge", {"alpha": 30.0}),
    ("lasso", {"alpha": 0.003}),
    ("lasso", {"alpha": 0.05}),
    ("lasso", {}),
    ("elastic_net", {"alpha": 0.02}),
    ("elastic_net", {"alpha": 0.01, "l1_ratio": 0.9}),
    ("elastic_net", {}),
    ("svr", {}),
    ("svr", {"C": 0.05, "epsilon": 0.5}),
    ("pls", {}),
    ("pls", {"n_components": 1}),
    ("pls", {"n_components": 5}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("shape", [(40, 600), (120, 15)], ids=["p > n", "n > p"])
def test_the_estimator_equals_a_pipeline_of_scikit_learn(name, options, shape):
    rng = np.random.default_rng(3)
    X, X_new = np.split(images(rng, shape[0] + 20, shape[1]), [shape[0]])
    y = facs_scores(rng, shape[0], 1)[:, 0] / 3
    pipeline = make_pipeline(PCA(0.8, svd_solver="full"), REFERENCES[name](**options)).fit(X, y)
    model = PrincipalComponentRegressor(name, parameters=options).fit(X, y)
    assert model.coef_.shape == (shape[1],)
    assert model.n_components_ == pipeline[0].n_components_ > 4
    np.testing.assert_allclose(model.predict(X_new), pipeline.predict(X_new), atol=1e-6)
    np.testing.assert_allclose(X_new @ model.coef_ + model.intercept_, model.predict(X_new))


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_those_of_scikit_learn(name):
    mine, theirs = REGRESSORS[name](), REFERENCES[name]()
    for parameter, value in vars(mine).items():
        assert theirs.get_params()[parameter] == value


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_every_target_is_fitted_by_itself(name, options):
    rng = np.random.default_rng(4)
    components, targets = components_of(images(rng, 50, 200), 35), facs_scores(rng, 35, 7)
    together = REGRESSORS[name](**options).fit(components, targets)
    for column in range(7):
        alone = REGRESSORS[name](**options).fit(components, targets[:, [column]])
        np.testing.assert_allclose(alone.coef[:, 0], together.coef[:, column], atol=1e-8)
        np.testing.assert_allclose(alone.intercept[0], together.intercept[column], atol=1e-8)


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_weights_equal_repeated_images(name, options):
    rng = np.random.default_rng(5)
    X, targets = images(rng, 50, 120), facs_scores(rng, 35, 3)
    counts = rng.integers(0, 4, 35)
    again = np.repeat(np.arange(35), counts)
    weighted = components_of(X, 35, 0.8, counts)
    repeated = components_of(np.concatenate([X[again], X[35:]]), len(again))
    one = REGRESSORS[name](**options).fit(weighted, targets)
    other = REGRESSORS[name](**options).fit(repeated, targets[again])
    np.testing.assert_allclose(
        one.predict(weighted.test_scores), other.predict(repeated.test_scores), atol=1e-7
    )
    in_voxels = X[:35].T @ weighted.dual(one.coef)
    np.testing.assert_allclose(in_voxels, X[again].T @ repeated.dual(other.coef), atol=1e-6)
    np.testing.assert_allclose(
        X[35:] @ in_voxels - (counts @ X[:35] / len(again)) @ in_voxels,
        weighted.test_scores @ one.coef,
        atol=1e-9,
    )


@pytest.mark.parametrize("n_components", [1, 2, 4, 7, 9, 10])
def test_partial_least_squares_at_every_length(n_components):
    rng = np.random.default_rng(6)
    T = rng.normal(size=(60, 10)) * np.geomspace(1, 1e-2, 10)
    y = facs_scores(rng, 60, 1)[:, 0]
    components = components_of(np.vstack([T, T]), 60, None)
    fitted = PartialLeastSquares(n_components).fit(components, y[:, None])
    expected = PLSRegression(n_components, scale=False).fit(T, y).predict(T)
    predicted = fitted.predict(components.test_scores)[:, 0]
    np.testing.assert_allclose(predicted, expected, atol=1e-8)


def test_partial_least_squares_stops_where_nothing_is_left():
    rng = np.random.default_rng(7)
    components = components_of(images(rng, 30, 50), 30)
    k = components.n_components
    targets = np.column_stack(
        [2 * components.scores[:, 0], np.full(30, 0.1), facs_scores(rng, 30, 1)[:, 0]]
    )
    fitted = PartialLeastSquares(k + 5).fit(components, targets)
    expected = np.linalg.lstsq(components.scores, targets - targets.mean(axis=0), rcond=None)[0]
    np.testing.assert_allclose(fitted.coef, expected, atol=1e-8)
    assert k > 2


# Support vectors


@pytest.mark.parametrize("C", [1e-4, 0.01, 1.0, 10.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 3.0, 100.0])
def test_support_vectors_equal_libsvm(C, epsilon):
    rng = np.random.default_rng(8)
    # Inner products that are exact in libsvm's single precision.
    T = rng.integers(-8, 9, size=(40, 6)) / 4
    targets = facs_scores(rng, 40, 3)
    fitted = fit_support_vectors(T, targets, C, epsilon)
    for column, y in enumerate(targets.T):
        expected = SVR(kernel="linear", C=C, epsilon=epsilon, tol=1e-10, max_iter=10**6).fit(T, y)
        predicted = T @ fitted.coef[:, column] + fitted.intercept[column]
        np.testing.assert_allclose(predicted, expected.predict(T), atol=1e-6)


def test_support_vectors_equal_libsvm_where_the_intercept_is_an_interval():
    T, y = np.array([[-1.0], [-1.0], [1.0], [1.0]]), np.array([0.0, 5.0, 1.0, 9.0])
    for C in (1e-3, 1e-2):
        for epsilon in (0.0, 0.25):
            fitted = fit_support_vectors(T, y[:, None], C, epsilon)
            expected = SVR(kernel="linear", C=C, epsilon=epsilon, tol=1e-12).fit(T, y)
            np.testing.assert_allclose(fitted.intercept, expected.intercept_, atol=1e-8)
            np.testing.assert_allclose(fitted.coef[0], expected.coef_[0], atol=1e-8)


def optimality(T, targets, C, epsilon, fit):
    """Return the relative duality gap and what the dual coefficients violate, per target."""
    residual = targets - T @ fit.coef - fit.intercept
    loss = (C * np.clip(np.abs(residual) - epsilon, 0, None)).sum(axis=0)
    primal = (fit.coef**2).sum(axis=0) / 2 + loss
    length = ((T.T @ fit.dual) ** 2).sum(axis=0)
    dual = (targets * fit.dual).sum(axis=0) - epsilon * np.abs(fit.dual).sum(axis=0) - length / 2
    over = (np.abs(fit.dual) / C).max(axis=0) - 1
    unbalanced = np.abs(fit.dual.sum(axis=0)) / np.sum(C)
    apart = np.abs(T.T @ fit.dual - fit.coef).max(axis=0) / np.abs(C * T).sum()
    return (primal - dual) / primal, np.max([over, unbalanced, apart])


@pytest.mark.parametrize("variance", [0.8, None])
@pytest.mark.parametrize("C", [1e-7, 1e-3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_support_vectors_are_optimal_at_the_scale_of_images(variance, C, weighted):
    rng = np.random.default_rng(9)
    X = images(rng, 120, 400, latent=60)
    X *= np.sqrt(2e5 / (X**2).sum(axis=1).mean())
    counts = rng.multinomial(120, np.full(120, 1 / 120)) if weighted else np.ones(120, dtype=int)
    components = components_of(X, 120, variance, counts)
    T, targets = components.scores, facs_scores(rng, 120, 4)
    fit = fit_support_vectors(T, targets, C, 0.1, components.sample_weight)
    kept = counts > 0
    assert not fit.dual[~kept].any()
    known = replace(fit, dual=fit.dual[kept])
    gap, violation = optimality(T[kept], targets[kept], C * counts[kept, None], 0.1, known)
    assert np.abs(gap).max() < 1e-7
    assert violation < 1e-10


def test_support_vectors_do_not_depend_on_the_blocks_of_targets(monkeypatch):
    rng = np.random.default_rng(10)
    T, targets = rng.normal(size=(25, 4)), facs_scores(rng, 25, 11)
    C, epsilon = np.geomspace(0.01, 10, 11), np.linspace(0, 1, 11)
    at_once = fit_support_vectors(T, targets, C, epsilon)
    monkeypatch.setattr(support_vectors, "BLOCK_VALUES", 3 * 25)
    in_blocks = fit_support_vectors(T, targets, C, epsilon)
    np.testing.assert_allclose(at_once.coef, in_blocks.coef, atol=1e-8)
    np.testing.assert_allclose(at_once.intercept, in_blocks.intercept, atol=1e-8)


def test_support_vectors_of_targets_without_errors_or_spread():
    T = np.random.default_rng(11).normal(size=(20, 3))
    coef = np.array([1.0, -2.0, 0.5])
    targets = np.column_stack([1e4 * (T @ coef) + 3e6, np.full(20, 0.1), np.zeros(20)])
    fitted = fit_support_vectors(T, targets, 1e8, 1e-3)
    np.testing.assert_allclose(T @ fitted.coef + fitted.intercept, targets, atol=1.1e-3)
    np.testing.assert_allclose(fitted.coef[:, 1:], 0, atol=1e-6)


def test_mostly_zeros_without_an_effect_are_predicted_as_constant():
    rng = np.random.default_rng(17)
    T, targets = rng.normal(size=(90, 4)), facs_scores(rng, 90, 6)
    targets[rng.random((90, 6)) < 0.4] = 0.0
    for C in (1e-3, 1.0, 1e6):
        fitted = fit_support_vectors(T, targets, C, 0.1)
        np.testing.assert_allclose(fitted.coef, 0, atol=1e-9)
        np.testing.assert_allclose(fitted.intercept, 0.1, atol=1e-9)


def test_support_vectors_that_have_not_converged_are_reported(monkeypatch):
    rng = np.random.default_rng(18)
    monkeypatch.setattr(interior_point, "MAX_STEPS", 3)
    with pytest.warns(ConvergenceWarning, match="2 support vector regressions"):
        fit_support_vectors(rng.normal(size=(20, 3)), facs_scores(rng, 20, 2))


# Grids


@pytest.mark.parametrize("name", NAMES)
def test_candidates_go_from_the_null_model_to_no_restraint(name):
    rng = np.random.default_rng(12)
    components, targets = components_of(images(rng, 45, 150), 45), facs_scores(rng, 45, 5)
    regressor = REGRESSORS[name]()
    grid = regressor.grid(components, targets)
    assert grid == regressor.grid(components, rng.permuted(targets, axis=0))
    assert all(type(own) is type(regressor) for own in grid)
    assert len(set(grid)) == len(grid)
    fits = regressor.fit_grid(components, targets, grid)
    for own, fit in zip(grid, fits, strict=True):
        alone = own.fit(components, targets)
        np.testing.assert_allclose(fit.coef, alone.coef, atol=1e-8)
        np.testing.assert_allclose(fit.intercept, alone.intercept, atol=1e-8)
    lengths = np.array([(fit.coef**2).sum(axis=0) for fit in fits])
    assert (np.diff(lengths, axis=0) >= -1e-6 * lengths[-1]).all()
    free = replace(grid[-1], C=1e3 * grid[-1].C) if name == "svr" else Ridge(0.0)
    sizes = [
        np.sum((components.scores @ fit.coef) ** 2)
        for fit in (fits[0], fits[-1], free.fit(components, targets))
    ]
    if name != "pls":
        assert sizes[0] < 0.01 * sizes[2]
    assert 0.9 * sizes[2] < sizes[1] < 1.1 * sizes[2]


@pytest.mark.parametrize("regressor", [Ridge(), Lasso(), SupportVectors(epsilon=0.0)])
@pytest.mark.parametrize("scale", [1e-4, 300.0])
def test_candidates_follow_the_scale_of_images_and_targets(regressor, scale):
    rng = np.random.default_rng(13)
    X, targets = images(rng, 45, 150), facs_scores(rng, 30, 3)
    one, other = components_of(X, 30), components_of(scale * X, 30)
    for mine, theirs in zip(
        regressor.grid(one, targets), regressor.grid(other, 7 * targets), strict=True
    ):
        np.testing.assert_allclose(
            7 * mine.fit(one, targets).predict(one.test_scores),
            theirs.fit(other, 7 * targets).predict(other.test_scores),
            atol=1e-5,
        )


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
def test_candidates_of_the_elastic_net_span_the_path_at_every_scale(scale):
    rng = np.random.default_rng(14)
    components, targets = components_of(scale * images(rng, 45, 150), 45), facs_scores(rng, 45, 2)
    first, *_, last = ElasticNet().grid(components, targets)
    squares = components.scores @ Ridge(0.0).fit(components, targets).coef
    assert np.abs(first.fit(components, targets).coef).max() == 0
    predicted = components.scores @ last.fit(components, targets).coef
    assert np.sum(predicted**2) > 0.9 * np.sum(squares**2)


# Planted effects and none


def r2(truth, predicted):
    return 1 - ((truth - predicted) ** 2).sum(axis=0) / ((truth - truth.mean(axis=0)) ** 2).sum(
        axis=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_effect_is_found_and_none_is_not(name):
    rng = np.random.default_rng(15)
    X = images(rng, 160, 300)
    latent = PCA(3).fit_transform(X)
    planted = latent[:, 0] / latent[:, 0].std() + 0.3 * rng.normal(size=160)
    targets = np.column_stack([planted, *rng.normal(size=(5, 160))])
    outer, inner = components_of(X, 100), components_of(X[:100], 65)
    grid = REGRESSORS[name]().grid(outer, targets[:100])
    fits = grid[0].fit_grid(inner, targets[:65], grid)
    scores = [r2(targets[65:100], fit.predict(inner.test_scores)) for fit in fits]
    chosen = np.argmax(scores, axis=0)
    found = np.array(
        [
            r2(
                targets[100:, [column]],
                grid[best].fit(outer, targets[:100, [column]]).predict(outer.test_scores),
            )[0]
            for column, best in enumerate(chosen)
        ]
    )
    assert found[0] > 0.75
    assert found[1:].max() < 0.1


# Bad input, and the rules of scikit-learn


@pytest.mark.parametrize("name", NAMES)
def test_targets_that_do_not_fit_are_refused(name):
    components = components_of(np.eye(6), 5)
    with pytest.raises(ValueError, match=r"5 training images need targets"):
        REGRESSORS[name]().fit(components, np.zeros(5))
    with pytest.raises(ValueError, match=r"5 training images need targets"):
        REGRESSORS[name]().fit(components, np.zeros((6, 1)))
    with pytest.raises(ValueError, match="finite"):
        REGRESSORS[name]().fit(components, np.full((5, 1), np.nan))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ridge", {"alpha": -1.0}),
        ("lasso", {"alpha": float("nan")}),
        ("elastic_net", {"alpha": float("inf")}),
        ("elastic_net", {"l1_ratio": 0.0}),
        ("svr", {"C": 0.0}),
        ("svr", {"epsilon": -0.1}),
        ("pls", {"n_components": 0}),
        ("pls", {"n_components": 1.5}),
    ],
)
def test_parameters_that_mean_nothing_are_refused(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        REGRESSORS[name](**options)


def test_a_regressor_may_be_given_as_an_object():
    rng = np.random.default_rng(16)
    X, y = images(rng, 30, 60), rng.normal(size=30)
    model = PrincipalComponentRegressor(Lasso(0.01), variance=0.5)
    again = clone(model).fit(X, y)
    assert again.get_params()["regressor"] == Lasso(0.01)
    named = PrincipalComponentRegressor("lasso", 0.5, {"alpha": 0.01}).fit(X, y)
    np.testing.assert_array_equal(again.coef_, named.coef_)
    with pytest.raises(ValueError, match="given by name"):
        model.set_params(parameters={"alpha": 1.0}).fit(X, y)


@parametrize_with_checks(
    [
        PrincipalComponentRegressor(),
        # A default alpha of 1 leaves no component of the few and scaled features of the checks.
        PrincipalComponentRegressor("lasso", parameters={"alpha": 0.01}),
        PrincipalComponentRegressor(ElasticNet(0.01)),
        PrincipalComponentRegressor("svr", variance=None),
        PrincipalComponentRegressor(PartialLeastSquares()),
    ]
)
def test_the_estimator_keeps_scikit_learns_rules(estimator, check):
    check(estimator)
