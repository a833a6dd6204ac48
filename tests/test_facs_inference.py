"""Permutation tests and bootstraps of predictions: refits, effects, levels, blocks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from facs_images import make_images
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupShuffleSplit, permutation_test_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR

from bidsface.statistics import fdr
from bidsface_facs.bootstrap import Drawn, Moments, bootstrap, jackknife
from bidsface_facs.coefficients import coefficient_maps, with_larger_sd
from bidsface_facs.inference import Permutations, Scoring, permutation_test, permutation_tests
from bidsface_facs.metrics import Scored
from bidsface_facs.prediction import Tuning, predict, prepare
from bidsface_facs.regressors import REGRESSORS
from bidsface_facs.shuffles import exchanges_blocks, shuffled_targets
from bidsface_facs.splits import GroupFolds, GroupShuffle, inner_splits
from bidsface_facs.targets import NormalScores, Scale

SEED = np.random.SeedSequence(5)
UNEQUAL = (7, 5, 6, 4, 8, 6, 5, 3, 6, 7)
MODELS = {
    "ridge": ({}, lambda: Ridge(), 1e-6),
    "lasso": ({"alpha": 0.05}, lambda: Lasso(alpha=0.05, tol=1e-10), 1e-4),
    # libsvm keeps products of images in single precision: the smaller C, the less that matters.
    "svr": ({"C": 0.1}, lambda: SVR(kernel="linear", C=0.1, tol=1e-9), 1e-6),
}


def pipeline(model):
    return make_pipeline(PCA(0.8, svd_solver="full"), model)


def scaled(data):
    """Scale images so that libsvm converges."""
    return 2 * data.X / np.sqrt(data.X.shape[1])


# Permutations


@pytest.mark.parametrize("counts", [(5,) * 8, UNEQUAL, (4, 6, 4, 6, 5, 5)])
def test_permutations_keep_what_their_hypothesis_says(counts):
    data = make_images(1, counts)
    people = data.participants[np.random.default_rng(1).permutation(len(data.values))]
    rows = [np.flatnonzero(people == name) for name in np.unique(people)]
    within, between, both, free = (
        shuffled_targets(data.values, people, kind, 20, SEED).T
        for kind in ("within", "between", "both", "free")
    )
    blocks = min(np.unique(counts, return_counts=True)[1]) > 1
    assert exchanges_blocks(people) == blocks
    original = {tuple(np.sort(data.values[own])) for own in rows}
    means = np.sort([data.values[own].mean() for own in rows])
    for values in (*within, *between, *both, *free):
        assert (values != data.values).any()
    for values in free:
        np.testing.assert_array_equal(np.sort(values), np.sort(data.values))
    for values in within:
        for own in rows:
            np.testing.assert_array_equal(np.sort(values[own]), np.sort(data.values[own]))
    for values in (*between, *both):
        np.testing.assert_allclose(np.sort([values[own].mean() for own in rows]), means)
        if blocks:
            assert {tuple(np.sort(values[own])) for own in rows} == original
    for values in between:
        for own in rows:
            if not blocks:
                away = data.values[own] - data.values[own].mean()
                np.testing.assert_allclose(values[own] - values[own].mean(), away, atol=1e-12)
            else:
                assert tuple(values[own]) in {tuple(data.values[other]) for other in rows}


def test_each_permutation_has_a_stream_of_its_own():
    data = make_images(2, UNEQUAL)
    for kind in ("within", "between", "both", "free"):
        every = shuffled_targets(data.values, data.participants, kind, 12, SEED)
        last = shuffled_targets(data.values, data.participants, kind, 4, SEED, first=8)
        np.testing.assert_array_equal(every[:, 8:], last)
        assert len(np.unique(np.round(every, 9), axis=1).T) == 12


def test_all_orders_are_equally_likely():
    """24 orders of four trials, 6 of three people."""
    people, values = np.repeat([0, 1, 2], 4), np.arange(12.0)
    for kind, rows, n_orders in (
        ("within", slice(4, 8), 24),
        ("between", slice(0, 12, 4), 6),
    ):
        drawn = shuffled_targets(values, people, kind, 4800, SEED)[rows]
        counts = np.unique(drawn, axis=1, return_counts=True)[1]
        assert len(counts) == n_orders
        assert stats.chisquare(counts).pvalue > 1e-4


def test_what_covariates_predict_stays():
    data = make_images(3, UNEQUAL)
    covariates = np.random.default_rng(3).standard_normal((len(data.values), 2))
    people = np.unique(data.participants, return_inverse=True)[1]
    for kind, extra in (("within", np.eye(people.max() + 1)[people]), ("both", None)):
        design = covariates if extra is None else np.column_stack([covariates, extra])
        model = LinearRegression().fit(design, data.values)
        fitted = model.predict(design)
        found = shuffled_targets(data.values, data.participants, kind, 3, SEED, covariates)
        for values in found.T:
            if kind == "within":
                for own in range(people.max() + 1):
                    moved = np.sort((values - fitted)[people == own])
                    rest = np.sort((data.values - fitted)[people == own])
                    np.testing.assert_allclose(moved, rest, atol=1e-10)
            assert (np.abs(values - data.values) > 1e-3).mean() > 0.5
        expected = shuffled_targets(data.values - fitted, data.participants, kind, 3, SEED)
        np.testing.assert_allclose(found, expected + fitted[:, None], atol=1e-10)


# Permutation tests


@pytest.mark.parametrize("kind", ["within", "between", "both"])
@pytest.mark.parametrize("name", MODELS)
def test_permuted_scores_equal_refits(name, kind):
    data = make_images(4, UNEQUAL, trial=0.3, person=0.3)
    options, model, tolerance = MODELS[name]
    X, people = scaled(data), data.participants
    splits = GroupShuffle(3).split(people)
    found = permutation_test(
        prepare(X @ X.T, splits), REGRESSORS[name](**options), data.values, people, kind, 4, SEED
    )
    permuted = shuffled_targets(data.values, people, kind, 4, SEED).T
    for values, scores in zip(
        (data.values, *permuted), (found.folds, *found.null_folds), strict=True
    ):
        for (train, test), score in zip(splits, scores, strict=True):
            predicted = pipeline(model()).fit(X[train], values[train]).predict(X[test])
            assert score == pytest.approx(r2_score(values[test], predicted), abs=tolerance)
    np.testing.assert_allclose(found.null, found.null_folds.mean(axis=1))
    assert found.observed == pytest.approx(found.folds.mean())
    assert found.p == (1 + (found.null >= found.observed).sum()) / 5


@pytest.mark.parametrize("name", MODELS)
def test_scores_equal_permutation_test_score(name):
    data = make_images(5, UNEQUAL, trial=0.3)
    options, model, tolerance = MODELS[name]
    X, people = scaled(data), data.participants
    observed, null, p = permutation_test_score(
        pipeline(model()),
        X,
        data.values,
        groups=people,
        cv=GroupShuffleSplit(5, test_size=0.3, random_state=42),
        scoring="r2",
        n_permutations=4,
        random_state=0,
    )
    state, targets = np.random.RandomState(0), [data.values]
    for _ in range(4):
        order = np.arange(len(people))
        for person in np.unique(people):
            order[people == person] = state.permutation(order[people == person])
        targets.append(data.values[order])
    folds = prepare(X @ X.T, GroupShuffle().split(people))
    regressors = [REGRESSORS[name](**options)] * 5
    scores = Scoring(folds, regressors, Scored(people)).scores(np.column_stack(targets))
    ours = scores[0].mean(axis=0)
    np.testing.assert_allclose(ours, [observed, *null], atol=tolerance)
    assert p == (1 + (ours[1:] >= ours[0]).sum()) / 5


@pytest.mark.parametrize("transform", ["none", "log1p", "rank"])
@pytest.mark.parametrize("tuned", [False, True])
def test_blocks_and_workers_change_nothing(transform, tuned):
    data = make_images(6, UNEQUAL, trial=0.2)
    people, values = data.participants, np.maximum(data.values, 0)
    splits = GroupFolds(3).split(people)
    folds = prepare(data.gram, splits, 0.8, inner_splits(splits, people, GroupFolds(2)))
    covariates = np.random.default_rng(6).standard_normal((len(values), 1))
    scored = Scored(people, covariates)
    tuning = Tuning(REGRESSORS["lasso"](), scored) if tuned else None
    scoring = Scoring(
        folds,
        [REGRESSORS["lasso"](alpha=0.05)] * 3,
        scored,
        ("r2", "mae", "within_spearman", "between_pearson", "partial_pearson"),
        Scale(transform, covariates),
        tuning,
    )
    permutations = Permutations(values, "both", 11, SEED, covariates)
    expected = permutation_tests(scoring, permutations)
    with ThreadPoolExecutor(2) as pool:
        for size, run in ((1, map), (4, map), (3, pool.map)):
            found = permutation_tests(scoring, permutations, size, run)
            for metric, one in expected.items():
                other = found[metric]
                np.testing.assert_allclose(one.null_folds, other.null_folds, atol=1e-10)
                assert (one.p, one.observed) == pytest.approx((other.p, other.observed))
                assert one.null.shape == (11,)


def test_errors_count_the_other_way():
    data = make_images(7, UNEQUAL, trial=0.6)
    folds = prepare(data.gram, GroupFolds(4).split(data.participants))
    scoring = Scoring(folds, [REGRESSORS["ridge"]()] * 4, Scored(data.participants), ("mse", "r2"))
    found = permutation_tests(scoring, Permutations(data.values, "within", 99, SEED))
    assert found["mse"].p == found["r2"].p == 0.01
    assert found["mse"].observed < found["mse"].null.min()


def test_constant_predictions_say_nothing():
    """A correlation without a meaning counts as none, for observed and permuted targets alike."""
    data = make_images(8)
    folds = prepare(data.gram, GroupFolds(3).split(data.participants))
    blind = REGRESSORS["lasso"](alpha=1e6)
    found = permutation_test(
        folds, blind, data.values, data.participants, "within", 9, SEED, "pearson"
    )
    assert np.isnan([found.observed, found.p, *found.null]).all()
    # In some permutations some folds keep a component: where none does the score is 0.
    weak = REGRESSORS["lasso"](alpha=0.5)
    found = permutation_test(
        folds, weak, data.values, data.participants, "within", 60, SEED, "pearson"
    )
    known = np.where(np.isnan(found.null), 0.0, found.null)
    if not np.isnan(found.observed):
        assert found.p == (1 + (known >= found.observed).sum()) / 61
    none = permutation_test(folds, weak, data.values, data.participants, "within", 0, SEED)
    assert (none.p, none.null.shape) == (1.0, (0,))


@pytest.mark.parametrize("transform", ["none", "rank"])
def test_options_are_chosen_anew_for_every_permutation(transform):
    data = make_images(9, UNEQUAL, trial=0.2)
    people = data.participants
    splits = GroupFolds(2).split(people)
    folds = prepare(data.gram, splits, 0.8, inner_splits(splits, people, GroupFolds(3)))
    candidates = tuple(REGRESSORS["ridge"](alpha=alpha) for alpha in (1e4, 1e3, 1e2, 1.0))
    scale = Scale(transform)
    tuning = Tuning(REGRESSORS["ridge"](), Scored(people), candidates=candidates)
    found = permutation_test(
        folds, candidates[0], data.values, people, "within", 6, SEED, scale=scale, tuning=tuning
    )
    own = Tuning(REGRESSORS["ridge"](), Scored(people), scale, candidates=candidates)
    chosen = []
    permuted = shuffled_targets(data.values, people, "within", 6, SEED).T
    for values, scores in zip(
        (data.values, *permuted), (found.folds, *found.null_folds), strict=True
    ):
        tuned = own.tuned(folds, values)
        chosen += [one.alpha for one in tuned]
        alone = predict(folds, tuned, values[:, None], scale)
        for fold, one, score in zip(folds, alone, scores, strict=True):
            expected = one.score("r2", Scored(people)[fold.test])[0]
            assert score == pytest.approx(expected, abs=1e-10)
    assert len(set(chosen)) > 1


def test_trial_effect_is_found_within():
    data = make_images(10, UNEQUAL, trial=0.8)
    folds = prepare(data.gram, GroupFolds(5).split(data.participants))
    for metric in ("r2", "within_pearson"):
        found = permutation_test(
            folds,
            REGRESSORS["ridge"](alpha=10.0),
            data.values,
            data.participants,
            "within",
            199,
            SEED,
            metric,
        )
        assert found.p == 0.005


@pytest.mark.parametrize("counts", [(5,) * 16, (4, 6, 5, 7, 8, 3, 5, 4) * 2 + (9,)])
def test_person_effect_is_found_between(counts):
    data = make_images(11, counts, person=1.0, own=0.5)
    folds = prepare(data.gram, GroupFolds(4).split(data.participants))
    p = {
        kind: permutation_test(
            folds,
            REGRESSORS["ridge"](alpha=10.0),
            data.values,
            data.participants,
            kind,
            199,
            SEED,
            "between_pearson",
        ).p
        for kind in ("between", "both", "within")
    }
    assert p["between"] == p["both"] == 0.005
    assert p["within"] > 0.01


N_STUDIES, N_PERMUTATIONS = 120, 19
MOST = stats.binom.isf(1e-5, N_STUDIES, 0.05)
"""More rejections of 120 than this happen to one of 100,000 valid tests."""


def rejections(kinds, metric, make, covariates=None):
    """Count p <= 0.05 of every kind of permutation over studies."""
    found = dict.fromkeys(kinds, 0)
    for number in range(N_STUDIES):
        data = make(number)
        folds = prepare(data.gram, GroupFolds(4).split(data.participants), None)
        for kind in kinds:
            seed = np.random.SeedSequence([number, len(kind)])
            known = None if covariates is None else covariates(data)
            p = permutation_test(
                folds,
                REGRESSORS["ridge"](alpha=50.0),
                data.values,
                data.participants,
                kind,
                N_PERMUTATIONS,
                seed,
                metric,
                covariates=known,
            ).p
            found[kind] += p <= 0.05 + 1e-9
    return found


@pytest.mark.parametrize("counts", [(10,) * 8, (5, 12, 8, 10, 7, 6, 14, 9, 11)])
def test_levels_with_unrelated_participant_effects(counts):
    """Images and values of a participant resemble each other, for reasons of their own."""
    kinds = ("within", "between", "both", "free")
    found = rejections(
        kinds, "pearson", lambda seed: make_images(seed, counts, 15, own=2.0, level=2.0)
    )
    assert max(found[kind] for kind in kinds[:3]) <= MOST, found
    assert found["free"] > MOST  # the naive test does not hold its level


def test_within_level_beside_a_person_effect():
    """Images tell whose level is high but nothing of single trials: `within` must not reject."""
    found = rejections(
        ("within", "free"),
        "r2",
        lambda seed: make_images(1000 + seed, (6,) * 10, 15, person=1.0, own=0.3),
    )
    assert found["within"] <= MOST, found
    assert found["free"] > 2 * MOST


def test_between_level_beside_a_trial_effect():
    """Exchanged means leave the prediction of single trials in the null distribution."""
    found = rejections(
        ("between",),
        "r2",
        lambda seed: make_images(
            2000 + seed, (6, 7, 8, 9, 10, 11, 12, 13), 15, trial=1.0, own=0.3, centred=True
        ),
    )
    assert found["between"] <= MOST, found


def through_covariate(seed):
    """Images carry a covariate that the target follows, and nothing else."""
    data = make_images(3000 + seed, (6,) * 10, 15)
    stimulus = np.random.default_rng(seed).standard_normal(len(data.values))
    data.X[:] += np.outer(stimulus, np.ones(15))
    data.values[:] += stimulus
    object.__setattr__(data, "stimulus", stimulus[:, None])
    return data


def test_level_beyond_covariates():
    plain = rejections(("within",), "r2", through_covariate)
    assert plain["within"] > N_STUDIES / 2
    known = rejections(
        ("within", "both"), "partial_pearson", through_covariate, lambda data: data.stimulus
    )
    assert max(known.values()) <= MOST, known


def test_effect_beyond_covariates_is_found():
    data = make_images(12, (8,) * 10, trial=0.8)
    covariates = np.random.default_rng(12).standard_normal((len(data.values), 1))
    values = data.values + 2 * covariates[:, 0]
    folds = prepare(data.gram, GroupFolds(5).split(data.participants))
    found = permutation_test(
        folds,
        REGRESSORS["ridge"](alpha=10.0),
        values,
        data.participants,
        "within",
        99,
        SEED,
        "partial_pearson",
        scale=Scale("none", covariates),
        covariates=covariates,
    )
    assert found.p == 0.01


# Bootstrap


def shifted(data):
    return data.X + 3.0


@pytest.mark.parametrize(
    ("name", "options", "model"),
    [
        ("ridge", {"alpha": 5.0}, Ridge(alpha=5.0)),
        ("lasso", {"alpha": 0.1}, Lasso(alpha=0.1, tol=1e-10)),
        ("elastic_net", {"alpha": 0.1}, ElasticNet(alpha=0.1, tol=1e-10)),
        ("svr", {}, SVR(kernel="linear", tol=1e-9)),
    ],
)
def test_moments_equal_refits_map_by_map(name, options, model):
    data = make_images(13, UNEQUAL, n_voxels=90, trial=0.3)
    X = 2 * shifted(data) / np.sqrt(90)
    people, values, n = data.participants, data.values, 7
    regressor = REGRESSORS[name](**options)
    (moments,) = bootstrap(X @ X.T, people, values, [regressor], 0.8, n, SEED, block_size=3)
    resampling = Drawn(X @ X.T, people, values, [regressor], 0.8, SEED)
    maps = []
    for number in range(n):
        counts = resampling.counts(number).astype(int)
        names, first = np.unique(people, return_index=True)
        assert counts[first].sum() == len(names)
        assert all(len(set(counts[people == one])) == 1 for one in names)
        fitted = pipeline(model).fit(np.repeat(X, counts, axis=0), np.repeat(values, counts))
        maps.append(np.ravel(fitted[-1].coef_) @ fitted[0].components_)
        own = X.T @ resampling.weights(resampling.counts(number))[0]
        np.testing.assert_allclose(own, maps[-1], atol=1e-6)
    whole = pipeline(model).fit(X, values)
    found = coefficient_maps(moments, X)
    expected = np.ravel(whole[-1].coef_) @ whole[0].components_
    np.testing.assert_allclose(found.observed, expected, atol=1e-6)
    np.testing.assert_allclose(found.mean, np.mean(maps, axis=0), atol=1e-6)
    np.testing.assert_allclose(found.sd, np.std(maps, axis=0, ddof=1), atol=1e-6)
    np.testing.assert_allclose(found.z, found.observed / found.sd)
    np.testing.assert_allclose(found.p, 2 * stats.norm.cdf(-np.abs(found.z)))
    np.testing.assert_allclose(found.p_fdr, fdr(found.p))


def test_jackknife_equals_refits_map_by_map():
    data = make_images(19, UNEQUAL, n_voxels=90, trial=0.3)
    X, people, values = shifted(data), data.participants, data.values
    regressor = REGRESSORS["ridge"](alpha=5.0)
    found = coefficient_maps(jackknife(X @ X.T, people, values, [regressor], 0.8)[0], X)
    maps = []
    for name in np.unique(people):
        kept = people != name
        fitted = pipeline(Ridge(alpha=5.0)).fit(X[kept], values[kept])
        maps.append(fitted[-1].coef_ @ fitted[0].components_)
    n = len(maps)
    np.testing.assert_allclose(found.mean, np.mean(maps, axis=0), atol=1e-8)
    np.testing.assert_allclose(found.sd, np.sqrt((n - 1) * np.var(maps, axis=0)), atol=1e-8)
    with pytest.raises(ValueError, match="3 participants at least, found 2"):
        jackknife(X @ X.T, people == people[0], values, [regressor], 0.8)


def test_blocks_of_resamples_and_voxels_change_nothing():
    data = make_images(14, UNEQUAL, n_voxels=50)
    X = shifted(data).astype(np.float32)
    gram = X.astype(float) @ X.T.astype(float)
    rest = (data.participants, data.values, [REGRESSORS["ridge"](alpha=5.0)], 0.8, 23, SEED)
    with ThreadPoolExecutor(2) as pool:
        every = [
            coefficient_maps(bootstrap(gram, *rest, block_size=size, run=run)[0], X, voxels)
            for size, run, voxels in ((100, map, 1000), (1, map, 7), (5, pool.map, 49))
        ]
    for name in ("observed", "mean", "sd", "z", "p", "p_fdr"):
        for other in every[1:]:
            np.testing.assert_allclose(getattr(every[0], name), getattr(other, name), rtol=1e-8)


def test_voxels_that_do_not_vary_have_no_z():
    data = make_images(15, UNEQUAL, n_voxels=20)
    X = shifted(data)
    X[:, 4], X[:, 9] = 0.0, 1e3 / 3
    rest = (data.participants, data.values, [REGRESSORS["ridge"]()], 0.8, 10, SEED)
    found = coefficient_maps(bootstrap(X @ X.T, *rest)[0], X)
    blank = np.isnan(found.z)
    np.testing.assert_array_equal(np.flatnonzero(blank), [4, 9])
    np.testing.assert_array_equal(blank, np.isnan(found.p_fdr))
    assert (found.sd[blank] == 0).all()
    none = Moments(np.zeros(len(X)), np.zeros(len(X)), np.zeros((len(X), 0)))
    assert np.isnan(coefficient_maps(none, X).z).all()


def test_planted_voxels_have_large_z():
    data = make_images(16, (8,) * 20, n_voxels=60)
    deviations = data.values - data.values.mean()
    data.X[:, :3] += 1.5 * deviations[:, None]
    rest = (data.participants, data.values, [REGRESSORS["ridge"](alpha=100.0)], None, 200, SEED)
    found = coefficient_maps(bootstrap(data.gram, *rest)[0], data.X)
    assert (found.p_fdr[:3] < 0.001).all()
    assert (found.z[:3] > 0).all()
    assert (found.p_fdr[3:] < 0.05).mean() < 0.2


def level(seeds, alpha, moments_of):
    """Return the share of voxels without effect whose p is at most 0.05."""
    shares = []
    for seed in seeds:
        data = make_images(4000 + seed, (5,) * 24, n_voxels=150)
        rest = (data.participants, data.values, [REGRESSORS["ridge"](alpha=alpha)], 0.8)
        found = coefficient_maps(moments_of(data.gram, *rest)[0], data.X)
        shares.append((found.p <= 0.05).mean())
    return np.mean(shares)


def test_levels_of_coefficients():
    """Images and values of participants resemble each other, for reasons of their own.

    A strong penalty is 10 times the largest squared singular value, a weak one fits participants'
    levels. Voxels share components, so that their p-values go together.
    """

    def resampled(*args):
        return bootstrap(*args, 60, SEED)

    strong, weak = 1e5, 100.0
    assert 0.01 < level(range(8), strong, resampled) < 0.12
    assert 0.005 < level(range(12), strong, jackknife) < 0.12
    assert level(range(12), weak, jackknife) < 0.1
    assert level(range(4), weak, resampled) > 0.12  # as its documentation warns


def test_larger_standard_deviation_of_bootstrap_and_jackknife():
    data = make_images(1, (5,) * 8)
    rest = (data.gram, data.participants, data.values, [REGRESSORS["ridge"](alpha=5.0)], 0.8)
    drawn = coefficient_maps(bootstrap(*rest, 40, SEED)[0], data.X)
    left_out = coefficient_maps(jackknife(*rest)[0], data.X)
    found = with_larger_sd(drawn, left_out)
    np.testing.assert_array_equal(found.sd, np.maximum(drawn.sd, left_out.sd))
    np.testing.assert_allclose(found.z, drawn.observed / found.sd)
    assert (found.p >= drawn.p).all()


def test_regressions_share_resamples_and_change_nothing():
    data = make_images(1, (5,) * 8)
    both = [REGRESSORS["ridge"](alpha=5.0), REGRESSORS["lasso"](alpha=0.01)]
    rest = (data.gram, data.participants, data.values)
    together = bootstrap(*rest, both, 0.8, 20, SEED)
    for one, found in zip(both, together, strict=True):
        (alone,) = bootstrap(*rest, [one], 0.8, 20, SEED)
        np.testing.assert_allclose(found.mean, alone.mean, atol=1e-12)
        covariances = [moments.factor @ moments.factor.T for moments in (found, alone)]
        np.testing.assert_allclose(*covariances, atol=1e-12)


def test_bootstraps_that_cannot_be():
    data = make_images(17)
    rest = ([REGRESSORS["ridge"]()], 0.8)
    with pytest.raises(ValueError, match="2 resamples and 2 participants at least, found 1 and 12"):
        bootstrap(data.gram, data.participants, data.values, *rest, 1, SEED)
    with pytest.raises(ValueError, match="found 10 and 1"):
        bootstrap(data.gram, np.zeros(len(data.X)), data.values, *rest, 10, SEED)


def test_normal_scores_are_refitted_to_permuted_training_values():
    data = make_images(18, UNEQUAL, trial=0.5)
    splits = GroupFolds(2).split(data.participants)
    folds = prepare(data.gram, splits)
    found = permutation_test(
        folds,
        REGRESSORS["ridge"](),
        data.values,
        data.participants,
        "between",
        3,
        SEED,
        scale=Scale("rank"),
    )
    permuted = shuffled_targets(data.values, data.participants, "between", 3, SEED).T
    for values, scores in zip(permuted, found.null_folds, strict=True):
        for (train, test), score in zip(splits, scores, strict=True):
            fitted = NormalScores.fit(values[train][:, None])
            known, truth = (fitted.transform(values[rows][:, None])[:, 0] for rows in (train, test))
            predicted = pipeline(Ridge()).fit(data.X[train], known).predict(data.X[test])
            assert score == pytest.approx(r2_score(truth, predicted), abs=1e-8)
