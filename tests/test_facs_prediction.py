"""Predictions of held-out participants equal scikit-learn's, and see nothing of them before."""

import warnings

import numpy as np
import pytest
from facs_images import make_images
from scipy import stats
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from bidsface_facs import metrics
from bidsface_facs.baselines import (
    covariate_prediction,
    oracle_mean,
    stacked_prediction,
    training_mean,
)
from bidsface_facs.metrics import METRICS, Scored
from bidsface_facs.prediction import Tuning, predict, prepare, prepare_standardized
from bidsface_facs.regressors import REGRESSORS
from bidsface_facs.splits import (
    GroupFolds,
    GroupShuffle,
    LeaveOneParticipantOut,
    inner_splits,
    never_tested,
)
from bidsface_facs.targets import NormalScores, Scale

REFERENCES = {
    "lasso": lambda **options: Lasso(tol=1e-12, max_iter=100_000, **options),
    "ridge": lambda **options: Ridge(**options),
    "svr": lambda **options: SVR(kernel="linear", tol=1e-10, **options),
    "elastic_net": lambda **options: ElasticNet(tol=1e-12, max_iter=100_000, **options),
    "pls": lambda **options: PLSRegression(scale=False, **options),
}
OPTIONS = {"lasso": {"alpha": 0.05}, "elastic_net": {"alpha": 0.05}}
UNEQUAL = (7, 5, 6, 4, 8, 6, 5, 3, 6, 7, 5, 6)


def reference(name, **options):
    """Make the published pipeline."""
    return make_pipeline(PCA(0.8, svd_solver="full"), REFERENCES[name](**options))


def scored_r2(folds, found, data):
    scored = Scored(data.participants)
    return np.array(
        [one.score("r2", scored[fold.test]) for fold, one in zip(folds, found, strict=True)]
    )


@pytest.mark.parametrize("n_voxels", [15, 300])
@pytest.mark.parametrize("name", REFERENCES)
def test_published_folds_equal_scikit_learn(name, n_voxels):
    data = make_images(1, UNEQUAL, n_voxels, trial=0.3, person=0.3)
    X = (data.X - data.X.mean(axis=1, keepdims=True)) / data.X.std(axis=1, keepdims=True)
    X *= 3 / np.sqrt(n_voxels)
    splits = GroupShuffle().split(data.participants)
    folds = prepare(X @ X.T, splits)
    options = OPTIONS.get(name, {})
    found = predict(folds, REGRESSORS[name](**options), data.values[:, None])
    published = GroupShuffleSplit(5, test_size=0.3, random_state=42)
    theirs = []
    for train, test in published.split(X, groups=data.participants):
        model = reference(name, **options).fit(X[train], data.values[train])
        theirs.append(r2_score(data.values[test], np.ravel(model.predict(X[test]))))
    assert all(np.ptp(one.predicted) > 0.1 for one in found)  # there is something to compare
    np.testing.assert_allclose(scored_r2(folds, found, data)[:, 0], theirs, atol=1e-6)


def test_standardized_voxels_equal_scikit_learn():
    data = make_images(2, UNEQUAL, trial=0.3)
    X = data.X * np.linspace(0.1, 9, data.X.shape[1]) + 5
    X[:, 3] = 7.0
    splits = GroupFolds(4).split(data.participants)
    folds = prepare_standardized(X, splits, 0.8)
    (*found,) = predict(folds, REGRESSORS["ridge"](), data.values[:, None])
    for (train, test), one in zip(splits, found, strict=True):
        model = make_pipeline(StandardScaler(), reference("ridge"))
        theirs = model.fit(X[train], data.values[train]).predict(X[test])
        np.testing.assert_allclose(one.predicted[:, 0], theirs, atol=1e-8)


@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize(("name", "grid"), [("ridge", (500.0, 5.0)), ("lasso", (0.4, 0.1, 0.01))])
def test_nested_choice_equals_grid_search(name, grid, standardized):
    data = make_images(3, UNEQUAL, n_voxels=30, trial=0.3, person=0.2)
    splits = GroupFolds(3).split(data.participants)
    inner = inner_splits(splits, data.participants, GroupFolds(4))
    folds = (
        prepare_standardized(data.X, splits, 0.8, inner)
        if standardized
        else prepare(data.gram, splits, 0.8, inner)
    )
    candidates = tuple(REGRESSORS[name](alpha=alpha) for alpha in grid)
    tuning = Tuning(REGRESSORS[name](), Scored(data.participants), candidates=candidates)
    tuned = tuning.tuned(folds, data.values)
    found = predict(folds, tuned, data.values[:, None])
    steps = [StandardScaler()] if standardized else []
    pipeline = make_pipeline(*steps, PCA(0.8, svd_solver="full"), REFERENCES[name]())
    for (train, test), fold, regressor, one in zip(splits, folds, tuned, found, strict=True):
        search = GridSearchCV(
            pipeline, {f"{pipeline.steps[-1][0]}__alpha": grid}, cv=GroupKFold(4), scoring="r2"
        ).fit(data.X[train], data.values[train], groups=data.participants[train])
        scores = tuning.scores(fold, data.values[:, None], candidates)[:, 0]
        np.testing.assert_allclose(scores, search.cv_results_["mean_test_score"], atol=1e-6)
        assert regressor.alpha == search.best_params_[f"{pipeline.steps[-1][0]}__alpha"]
        theirs = search.predict(data.X[test])
        np.testing.assert_allclose(one.predicted[:, 0], theirs, atol=1e-6)


@pytest.mark.parametrize("name", REGRESSORS)
def test_every_target_is_tuned_by_itself(name):
    data = make_images(4, UNEQUAL, n_voxels=20, trial=0.2)
    splits = GroupFolds(2).split(data.participants)
    inner = inner_splits(splits, data.participants, GroupFolds(2))
    folds = prepare(data.gram, splits, 0.8, inner)
    rng = np.random.default_rng(4)
    targets = np.column_stack([data.values, data.X[:, 0], rng.standard_normal((len(data.X), 2))])
    tuning = Tuning(REGRESSORS[name](), Scored(data.participants))
    grids = [tuning.grid(fold, data.values) for fold in folds]
    together = tuning.predict(folds, targets, grids)
    for column in range(targets.shape[1]):
        target = targets[:, [column]]
        tuned = [
            grid[tuning.choose(fold, target, grid)[0]]
            for fold, grid in zip(folds, grids, strict=True)
        ]
        alone = predict(folds, tuned, target)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one.predicted[:, [column]], other.predicted, atol=1e-6)


def test_grids_follow_the_training_values_alone():
    data = make_images(4, trial=0.3)
    splits = GroupFolds(2).split(data.participants)
    fold = prepare(data.gram, splits)[0]
    tuning = Tuning(REGRESSORS["lasso"](), Scored(data.participants))
    alphas = [one.alpha for one in tuning.grid(fold, data.values)]
    values = data.values.copy()
    values[fold.test] *= 100
    assert [one.alpha for one in tuning.grid(fold, values)] == alphas
    np.testing.assert_allclose(
        [one.alpha for one in tuning.grid(fold, 10 * values)], 10 * np.array(alphas)
    )


def test_equally_good_candidates_give_the_simplest():
    data = make_images(5)
    splits = GroupFolds(2).split(data.participants)
    folds = prepare(data.gram, splits, 0.8, inner_splits(splits, data.participants, GroupFolds(3)))
    candidates = tuple(REGRESSORS["lasso"](alpha=alpha) for alpha in (1e6, 1e5, 1e4))
    tuning = Tuning(REGRESSORS["lasso"](), Scored(data.participants), candidates=candidates)
    assert [one.alpha for one in tuning.tuned(folds, data.values)] == [1e6, 1e6]
    with pytest.raises(ValueError, match="without inner folds"):
        tuning.tuned(prepare(data.gram, splits), data.values)


def fitted_state(X, values, covariates, participants, transform, standardized):
    """Return everything that is learnt in the first fold."""
    splits = GroupFolds(3).split(participants)
    inner = inner_splits(splits, participants, GroupFolds(3))
    if standardized:
        fold = prepare_standardized(X, splits[:1], 0.8, inner[:1])[0]
    else:
        fold = prepare(X @ X.T, splits[:1], 0.8, inner[:1])[0]
    scale = Scale(transform, covariates)
    candidates = tuple(REGRESSORS["ridge"](alpha=alpha) for alpha in (1e4, 1e2, 1.0))
    scored = Scored(participants, covariates)
    tuning = Tuning(REGRESSORS["ridge"](), scored, scale, candidates=candidates)
    regressor = tuning.tuned([fold], values)[0]
    own = scale.fold(values[:, None], fold.train, fold.test)
    fit = regressor.fit(fold.components, own.train)
    parts = [fold.components, *(one.components for one in fold.inner)]
    return [
        own.train,
        own.transform.transform(values[fold.train][:, None]),
        tuning.scores(fold, values[:, None], candidates),
        np.array(regressor.alpha),
        fit.intercept,
        np.abs(fit.coef),
        fold.components.dual(fit.coef),
        *(np.abs(part.scores) for part in parts),
        *(part.singular_values for part in parts),
        *(np.abs(part.weights) for part in parts),
    ]


@pytest.mark.parametrize("standardized", [False, True])
@pytest.mark.parametrize("transform", ["none", "log1p", "rank"])
def test_nothing_of_test_participants_is_seen(transform, standardized):
    data = make_images(6, UNEQUAL, trial=0.3)
    values = np.abs(data.values)
    covariates = np.random.default_rng(6).standard_normal((len(values), 2))
    test = GroupFolds(3).split(data.participants)[0][1]
    poisoned = [data.X.copy(), values.copy(), covariates.copy()]
    poisoned[0][test] = 1e4 * np.arange(data.X.shape[1])
    poisoned[1][test] = 1e5 + np.arange(len(test))
    poisoned[2][test] = -1e3
    rest = (data.participants, transform, standardized)
    clean = fitted_state(data.X, values, covariates, *rest)
    for one, other in zip(clean, fitted_state(*poisoned, *rest), strict=True):
        np.testing.assert_array_equal(one, other)


def test_splits_equal_scikit_learn():
    people = make_images(7, UNEQUAL).participants
    blank = np.empty((len(people), 0))
    pairs = [
        (GroupShuffle(4, 0.2, 3), GroupShuffleSplit(4, test_size=0.2, random_state=3)),
        (GroupFolds(4), GroupKFold(4)),
        (GroupFolds(4, random_state=1), GroupKFold(4, shuffle=True, random_state=1)),
        (LeaveOneParticipantOut(), LeaveOneGroupOut()),
    ]
    for ours, theirs in pairs:
        expected = theirs.split(blank, groups=people)
        for one, other in zip(ours.split(people), expected, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    assert not len(never_tested(GroupFolds(4).split(people), people))
    few = GroupShuffle(1, 0.25).split(people)
    assert len(never_tested(few, people)) == 9


@pytest.mark.parametrize(
    ("splitter", "n", "words"),
    [
        (GroupFolds(5), 4, "5 groups of participants need as many participants, found 4"),
        (GroupFolds(2), 1, "at least 2 participants"),
        (LeaveOneParticipantOut(), 1, "at least 2 participants"),
        (GroupShuffle(test_size=0.9), 3, "holding out 0.9 of 3 participants"),
    ],
)
def test_too_few_participants(splitter, n, words):
    with pytest.raises(ValueError, match=words):
        splitter.split(np.repeat(np.arange(n), 3))


def test_splitters_have_names():
    assert GroupShuffle() == GroupShuffle(5, 0.3, 42)


@pytest.mark.parametrize("original", [False, True])
def test_logarithm_equals_scikit_learn(original):
    data = make_images(8, UNEQUAL, trial=0.3)
    values = np.maximum(np.exp(data.values) - 1, 0)
    splits = GroupFolds(3).split(data.participants)
    found = predict(
        prepare(data.gram, splits), REGRESSORS["ridge"](), values[:, None], Scale("log1p")
    )
    for (train, test), one in zip(splits, found, strict=True):
        if original:
            model = TransformedTargetRegressor(
                reference("ridge"), func=np.log1p, inverse_func=np.expm1
            )
            expected = model.fit(data.X[train], values[train]).predict(data.X[test])
            one, truth = one.original(), values[test]
        else:
            model = reference("ridge").fit(data.X[train], np.log1p(values[train]))
            expected, truth = model.predict(data.X[test]), np.log1p(values[test])
        np.testing.assert_allclose(one.predicted[:, 0], expected, atol=1e-8)
        np.testing.assert_allclose(one.truth[:, 0], truth)


def test_logarithm_refuses_what_it_cannot_take():
    with pytest.raises(ValueError, match="above -1, found -2"):
        Scale("log1p").ahead(np.array([1.0, -2.0]))


def test_normal_scores_of_training_values():
    rng = np.random.default_rng(9)
    train = rng.poisson(1.5, (40, 3)) * rng.random(3)
    fitted = NormalScores.fit(train)
    scores = fitted.transform(train)
    for values, own in zip(train.T, scores.T, strict=True):
        expected = stats.norm.ppf(stats.rankdata(values) / 41)
        np.testing.assert_allclose(own, expected)
    np.testing.assert_allclose(fitted.inverse(scores), train, atol=1e-12)
    low, high = np.sort(np.unique(train[:, 0]))[:2]
    between = fitted.transform(np.full((1, 3), (low + high) / 2))[0, 0]
    of = dict(zip(train[:, 0], scores[:, 0], strict=True))
    assert between == pytest.approx((of[low] + of[high]) / 2)
    beyond = fitted.transform(np.array([[-1e9] * 3, [1e9] * 3]))
    np.testing.assert_allclose(beyond, [scores.min(axis=0), scores.max(axis=0)])
    blind = NormalScores.fit(np.full((5, 1), 2.0)).transform(np.array([[1.0], [2.0], [9.0]]))
    np.testing.assert_allclose(blind, 0.0, atol=1e-12)


def test_metrics_equal_references():
    rng = np.random.default_rng(10)
    truth, predicted = rng.standard_normal((2, 30, 4))
    truth = np.round(truth, 1)
    people = np.repeat(np.arange(6), 5)
    covariates = rng.standard_normal((30, 2))
    for column in range(4):
        y, f = truth[:, column], predicted[:, column]
        own = [(y[people == one], f[people == one]) for one in range(6)]
        means = np.array([[a.mean(), b.mean()] for a, b in own]).T
        design = LinearRegression().fit(covariates, np.column_stack([y, f]))
        left = np.column_stack([y, f]) - design.predict(covariates)
        expected = {
            "r2": r2_score(y, f),
            "mae": mean_absolute_error(y, f),
            "mse": mean_squared_error(y, f),
            "rmse": mean_squared_error(y, f) ** 0.5,
            "pearson": stats.pearsonr(y, f).statistic,
            "spearman": stats.spearmanr(y, f).statistic,
            "within_pearson": np.mean([stats.pearsonr(a, b).statistic for a, b in own]),
            "within_spearman": np.mean([stats.spearmanr(a, b).statistic for a, b in own]),
            "between_pearson": stats.pearsonr(*means).statistic,
            "between_spearman": stats.spearmanr(*means).statistic,
            "partial_pearson": stats.pearsonr(*left.T).statistic,
        }
        assert set(expected) == set(METRICS)
        for name, value in expected.items():
            found = METRICS[name].score(truth, predicted, Scored(people, covariates))
            assert found[column] == pytest.approx(value, abs=1e-12), name


def test_scores_without_a_meaning_are_missing():
    truth = np.column_stack([np.full(9, 0.1), np.arange(9.0)])
    predicted = np.column_stack([np.arange(9.0), np.full(9, 1e6 / 3)])
    people = np.repeat([0, 1], [2, 7])
    scored = Scored(people, np.column_stack([np.arange(9.0)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {name: one.score(truth, predicted, scored) for name, one in METRICS.items()}
    assert np.isnan(found["r2"][0])
    assert found["r2"][1] < 0
    for name in set(METRICS) - {"r2", "mae", "mse", "rmse"}:
        assert np.isnan(found[name]).all(), name
    within = metrics.within_participants(truth[:, 1:], truth[:, 1:], people)
    assert (within.mean, within.n_left_out) == (pytest.approx(1.0), 1)
    with pytest.raises(ValueError, match="needs covariates"):
        METRICS["partial_pearson"].score(truth, predicted, Scored(people))


def test_baselines_equal_plain_computations():
    data = make_images(11, UNEQUAL, trial=0.4)
    rng = np.random.default_rng(11)
    covariates = rng.standard_normal((len(data.values), 3))
    covariates[:, 2] = covariates[:, 0] * 2 + 1  # says nothing new
    values = data.values + covariates[:, 0]
    splits = GroupFolds(3).split(data.participants)
    folds = prepare(data.gram, splits)
    targets, people = values[:, None], data.participants
    means, oracle = training_mean(splits, targets, people), oracle_mean(folds, targets, people)
    known = covariate_prediction(splits, targets, covariates)
    stacked = stacked_prediction(folds, REGRESSORS["ridge"](), targets, covariates)
    for (train, test), mean, own, line, both in zip(
        splits, means, oracle, known, stacked, strict=True
    ):
        of = {name: values[people == name].mean() for name in np.unique(people)}
        expected = np.mean([of[name] for name in np.unique(people[train])])
        np.testing.assert_allclose(mean.predicted, expected)
        np.testing.assert_allclose(own.predicted[:, 0], [of[name] for name in people[test]])
        model = LinearRegression().fit(covariates[train], values[train])
        theirs = model.predict(covariates[test])
        np.testing.assert_allclose(line.predicted[:, 0], theirs)
        left = values[train] - model.predict(covariates[train])
        theirs = theirs + reference("ridge").fit(data.X[train], left).predict(data.X[test])
        np.testing.assert_allclose(both.predicted[:, 0], theirs, atol=1e-8)
    assert scored_r2(folds, means, data).max() <= 0
    assert scored_r2(folds, stacked, data).mean() > scored_r2(folds, known, data).mean() + 0.02


def test_tuning_of_what_covariates_leave():
    """Options are chosen for residuals, with covariates regressed out in every inner fold."""
    data = make_images(12, trial=0.4)
    covariates = np.random.default_rng(12).standard_normal((len(data.values), 1))
    values = data.values + 3 * covariates[:, 0]
    splits = GroupFolds(2).split(data.participants)
    inner = inner_splits(splits, data.participants, GroupFolds(3))
    folds = prepare(data.gram, splits, 0.8, inner)
    candidates = tuple(REGRESSORS["ridge"](alpha=alpha) for alpha in (1e4, 10.0))
    tuning = Tuning(
        REGRESSORS["ridge"](),
        Scored(data.participants),
        Scale("none", covariates),
        candidates=candidates,
    )
    scores = tuning.scores(folds[0], values[:, None], candidates)[:, 0]
    for alpha, score in zip((1e4, 10.0), scores, strict=True):
        expected = []
        for train, test in inner[0]:
            model = LinearRegression().fit(covariates[train], values[train])
            left = values[train] - model.predict(covariates[train])
            brain = reference("ridge", alpha=alpha).fit(data.X[train], left)
            predicted = brain.predict(data.X[test]) + model.predict(covariates[test])
            expected.append(r2_score(values[test], predicted))
        assert score == pytest.approx(np.mean(expected), abs=1e-8)
