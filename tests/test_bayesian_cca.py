"""Bayesian CCA in Gram space: the published model, its bound, and what was planted is found."""

import numpy as np
import pytest
from paired_views import agreement, planted_views
from plain_bcca import best_plain
from scipy.linalg import subspace_angles
from scipy.stats import ortho_group
from sklearn.base import clone

import bidsface_decoding
from bidsface_decoding.bayesian_cca import BayesianCCA

TWO = {"p": (40, 25), "n_specific": (2, 2)}
THREE = {"p": (40, 25, 30), "n_specific": (2, 1, 0)}


@pytest.mark.parametrize("rotation_steps", [0, 1, 6])
@pytest.mark.parametrize("shape", [TWO, THREE, {"p": (4, 300), "n_specific": (1, 4)}])
def test_bound_never_falls(shape, rotation_steps):
    views = planted_views(3, n=40, **shape).views
    found = BayesianCCA(
        8, n_restarts=2, random_state=0, rotation_steps=rotation_steps, tol=1e-7
    ).fit(views)
    assert found.n_iter_ == len(found.elbo_trace_) > 20
    assert np.diff(found.elbo_trace_).min() >= -1e-11 * abs(found.elbo_)
    assert found.elbo_ == found.elbo_trace_[-1] == found.restart_elbos_.max()


def angles(found, planted):
    return np.degrees(subspace_angles(found, planted).max())


@pytest.mark.parametrize(
    ("shape", "n_components"),
    [
        ({"p": (400, 300), "n_specific": (2, 3)}, 12),
        ({"p": (300, 300, 200), "n_specific": (1, 0, 2), "n_shared": 3}, 10),
        ({"p": (2000, 3000), "n_specific": (4, 4), "n_shared": 3, "strength": 0.1}, 20),
    ],
)
def test_planted_components_are_found(shape, n_components):
    data = planted_views(5, n=80, **shape)
    found = BayesianCCA(n_components, n_restarts=4, random_state=1).fit(data.views)
    n_shared = shape.get("n_shared", 2)
    # Noise of variance 1 / n in loadings of variance s, and correlations of 1 / sqrt(n) between
    # components by chance.
    expected = np.degrees(np.arctan(np.sqrt((1 / shape.get("strength", 0.3) + 1) / 80)))
    assert len(found.shared_) == n_shared
    assert found.active_[:, found.shared_].all()
    np.testing.assert_array_equal(
        found.active_.sum(axis=1), n_shared + np.array(shape["n_specific"])
    )
    for view, (shared, specific) in enumerate(zip(data.shared, data.specific, strict=True)):
        loadings = found.loadings(view)
        own = found.active_[view] & (found.active_.sum(axis=0) == 1)
        assert angles(loadings[:, found.shared_], shared) < 1.3 * expected
        if own.any():
            assert angles(loadings[:, own], specific) < 1.3 * expected
        assert found.activity_[view, ~found.active_[view]].sum() < 0.01


def test_independent_views_share_nothing():
    for seed in range(5):
        data = planted_views(seed, p=(300, 200), n_shared=0, n_specific=(3, 2))
        found = BayesianCCA(10, n_restarts=3, random_state=seed).fit(data.views)
        assert not len(found.shared_)
        assert found.active_.sum(axis=1).tolist() == [3, 2]
        predicted = found.predict(0, {1: data.new[1]})
        mean = data.views[0].mean(axis=0)
        assert (predicted - mean).var() < 0.01 * data.views[0].var(axis=0).mean()


def test_noise_alone_has_no_components():
    rng = np.random.default_rng(0)
    found = BayesianCCA(10, n_restarts=3, random_state=0).fit(
        [rng.standard_normal((50, p)) for p in (200, 80)]
    )
    assert not found.active_.any()
    np.testing.assert_allclose(1 / found.noise_precision_, 1, rtol=0.05)


@pytest.mark.parametrize(
    ("shape", "n_components", "rotate"),
    [
        (TWO, 7, False),
        ({"p": (60, 90), "n_specific": (1, 1), "n_shared": 1}, 5, False),
        ({"p": (30, 20), "n_specific": (1, 1), "n_shared": 1}, 4, True),
    ],
)
def test_predictions_are_as_good_as_the_best_of_ten_plain_runs(shape, n_components, rotate):
    data = planted_views(7, n=40, **shape)
    ours = BayesianCCA(n_components, n_restarts=10, random_state=3).fit(data.views)
    plain = best_plain(data.views, n_components, seed=3, n_restarts=10, rotate=rotate)
    assert ours.elbo_ >= plain.bounds[-1] - 1e-4 * abs(plain.bounds[-1])
    for view, other in ((0, 1), (1, 0)):
        mean = data.views[view].mean(axis=0)
        mine, theirs = (
            agreement(model.predict(view, {other: data.new[other]}), data.shared_truth[view], mean)
            for model in (ours, plain)
        )
        assert mine > 0.5
        assert mine >= theirs - 0.005


def test_scores_given_all_views_follow_the_shared_signal_of_each():
    data = planted_views(8, p=(200, 300), n_shared=1, n_specific=(0, 0))
    found = BayesianCCA(5, n_restarts=2, random_state=0).fit(data.views)
    (shared,) = found.shared_
    alone = found.transform({0: data.new[0]})[:, shared]
    missing = found.transform([data.new[0], None])[:, shared]
    both = found.transform(data.new)[:, shared]
    np.testing.assert_array_equal(alone, missing)
    assert np.corrcoef(alone, both)[0, 1] > 0.97
    assert both.shape == (200,)


def test_result_does_not_depend_on_the_axes_of_the_voxels():
    data = planted_views(9, n=40, p=(50, 30))
    turn = ortho_group.rvs(50, random_state=0)
    plain = BayesianCCA(8, n_restarts=2, random_state=0).fit(data.views)
    turned = BayesianCCA(8, n_restarts=2, random_state=0).fit([data.views[0] @ turn, data.views[1]])
    np.testing.assert_allclose(turned.elbo_, plain.elbo_, rtol=1e-8)
    np.testing.assert_allclose(
        turned.predict(0, {1: data.new[1]}),
        plain.predict(0, {1: data.new[1]}) @ turn,
        atol=1e-5,
    )


def test_result_does_not_depend_on_the_order_of_the_pairs():
    data = planted_views(10, n=50, p=(80, 60))
    order = np.random.default_rng(0).permutation(50)
    options = {"n_components": 7, "n_restarts": 4, "random_state": 0, "tol": 1e-9}
    plain = BayesianCCA(**options).fit(data.views)
    other = BayesianCCA(**options).fit([view[order] for view in data.views])
    np.testing.assert_allclose(other.elbo_, plain.elbo_, rtol=1e-5)
    mean = data.views[0].mean(axis=0)
    predicted = [one.predict(0, {1: data.new[1]}) for one in (plain, other)]
    assert agreement(*predicted, mean) > 0.999


def test_units_of_a_view_only_shift_the_bound():
    data = planted_views(11, n=40, p=(50, 30))
    plain = BayesianCCA(8, n_restarts=2, random_state=0).fit(data.views)
    scaled = BayesianCCA(8, n_restarts=2, random_state=0).fit([1e3 * data.views[0], data.views[1]])
    np.testing.assert_allclose(scaled.elbo_, plain.elbo_ - 40 * 50 * np.log(1e3), rtol=1e-6)
    np.testing.assert_allclose(scaled.activity_, plain.activity_, atol=1e-4)
    np.testing.assert_allclose(
        scaled.predict(0, {1: data.new[1]}) / 1e3, plain.predict(0, {1: data.new[1]}), atol=2e-3
    )


def test_seeds():
    views = planted_views(12, n=30, **TWO).views
    sequence = np.random.SeedSequence(5)

    def trace(state, n_restarts=3):
        return BayesianCCA(6, n_restarts, state).fit(views).restart_elbos_

    np.testing.assert_array_equal(trace(5), trace(5))
    np.testing.assert_array_equal(trace(sequence), trace(sequence))
    np.testing.assert_array_equal(trace(5), trace(sequence))
    np.testing.assert_array_equal(trace(5)[:2], trace(5, n_restarts=2))
    assert len(np.unique(trace(5))) == 3
    assert not np.array_equal(trace(5), trace(6))
    children = sequence.spawn(2)
    assert not np.array_equal(trace(children[0]), trace(children[1]))
    generator = np.random.default_rng(0)
    assert not np.array_equal(trace(generator), trace(generator))
    np.testing.assert_array_equal(trace(np.random.default_rng(0)), trace(np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("n", "p"),
    [(40, (2, 3)), (40, (1, 1)), (40, (1, 200)), (3, (50, 20)), (5, (50, 20)), (30, (20, 8, 1))],
)
def test_small_problems_have_finite_answers(n, p):
    data = planted_views(13, n=n, p=p, n_shared=1, n_specific=(0,) * len(p), strength=1.0)
    found = BayesianCCA(10, n_restarts=2, random_state=0).fit(data.views)
    assert found.n_components_ == min(10, max(n - 2, 1))
    assert np.isfinite(found.elbo_)
    assert np.diff(found.elbo_trace_).min() >= -1e-10 * abs(found.elbo_)
    others = {view: x for view, x in enumerate(data.new) if view}
    predicted = found.predict(0, others)
    assert predicted.shape == (200, p[0])
    assert np.isfinite(predicted).all()
    if n > 5:
        assert agreement(predicted, data.shared_truth[0], data.views[0].mean(axis=0)) > 0.3


def test_samples_without_noise_end_in_a_perfect_prediction():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, 2))
    views = [Z @ rng.standard_normal((2, p)) for p in (30, 20)]
    found = BayesianCCA(4, n_restarts=2, random_state=0).fit([view[:40] for view in views])
    assert found.converged_
    np.testing.assert_allclose(found.predict(0, {1: views[1][40:]}), views[0][40:], atol=1e-2)


@pytest.mark.parametrize("constant", [0, 1, 2])
def test_a_view_that_does_not_vary_is_left_out(constant):
    data = planted_views(14, n=40, p=(50, 40, 30), n_specific=(0, 0, 0))
    views, new = list(data.views), list(data.new)
    views[constant], new[constant] = np.full((40, 7), 3.3), np.full((200, 7), 3.3)
    found = BayesianCCA(6, n_restarts=2, random_state=0).fit(views)
    assert not found.active_[constant].any()
    assert len(found.shared_) == 2
    others = {view: x for view, x in enumerate(new) if view != constant}
    np.testing.assert_allclose(found.predict(constant, others), 3.3)
    a, b = others
    alone = found.predict(a, {b: new[b]})
    np.testing.assert_allclose(found.predict(a, {b: new[b], constant: new[constant]}), alone)
    np.testing.assert_allclose(
        found.predict(a, {constant: new[constant]}), np.tile(views[a].mean(axis=0), (200, 1))
    )


def test_views_that_do_not_vary_at_all():
    found = BayesianCCA(4).fit([np.ones((10, 3)), np.zeros((10, 2))])
    np.testing.assert_allclose(found.predict(0, {1: np.zeros((5, 2))}), 1)
    assert found.converged_
    assert not found.active_.any()
    assert len(found.shared_) == 0


def test_too_few_sweeps_are_told():
    views = planted_views(15, n=40, **TWO).views
    found = BayesianCCA(6, n_restarts=1, random_state=0, max_iter=3).fit(views)
    assert not found.converged_
    assert found.n_iter_ == 3
    assert BayesianCCA(6, n_restarts=1, random_state=0).fit(views).converged_


@pytest.mark.parametrize(
    "wrong", [{"n_components": 0}, {"n_restarts": 0}, {"tol": -1}, {"random_state": "x"}]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BayesianCCA(**wrong).fit(planted_views(0, n=20, **TWO).views)


def test_it_is_public_and_can_be_cloned():
    assert bidsface_decoding.BayesianCCA is BayesianCCA
    assert clone(BayesianCCA(7, random_state=2)).get_params()["n_components"] == 7
    with pytest.raises(AttributeError, match="no attribute 'BayesianCCB'"):
        bidsface_decoding.BayesianCCB  # noqa: B018
