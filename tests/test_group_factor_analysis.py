"""Updates, bound and rotation of group factor analysis equal the published ones of full size."""

import numpy as np
import pytest
from paired_views import planted_views
from plain_bcca import PlainBCCA
from scipy.optimize import approx_fprime, minimize

from bidsface_decoding.group_factor_analysis import PRIOR, GroupFactorAnalysis
from bidsface_decoding.inner_products import centred
from bidsface_decoding.repeated_samples import find_repeats
from bidsface_decoding.rotation import RotationProblem

TWO = {"p": (40, 25), "n_specific": (2, 2)}
THREE = {"p": (40, 25, 30), "n_specific": (2, 1, 0)}


def gram_model(views):
    grams = np.stack([centred(view @ view.T) for view in views])
    return GroupFactorAnalysis(grams, np.array([float(view.shape[1]) for view in views]))


def plain_state(views, model, posterior):
    """Put a posterior of the Gram model into the plain implementation."""
    plain = PlainBCCA(views, posterior.scores.shape[1], np.random.default_rng(0))
    plain.Z, plain.cov_Z = posterior.scores, posterior.scores_covariance
    plain.W = [x.T @ dual for x, dual in zip(plain.X, posterior.dual, strict=True)]
    plain.cov_W = list(posterior.loadings_covariance)
    plain.b_tau, plain.b_alpha = list(posterior.noise_rate), list(posterior.loadings_rate)
    return plain


@pytest.mark.parametrize("shape", [TWO, THREE])
def test_sweeps_are_the_published_updates(shape):
    views = planted_views(1, n=30, **shape).views
    model = gram_model(views)
    posterior = model.start(6, np.random.default_rng(4))
    plain = PlainBCCA(views, 6, np.random.default_rng(4), rotate=False)
    for _ in range(15):
        posterior = model.sweep(posterior, rotation_steps=0)
        plain.sweep()
        np.testing.assert_allclose(model.bound(posterior), plain.elbo(), rtol=1e-9)
    np.testing.assert_allclose(posterior.scores, plain.Z, rtol=1e-6, atol=1e-9)
    for view, W in enumerate(plain.W):
        np.testing.assert_allclose(plain.X[view].T @ posterior.dual[view], W, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [TWO, THREE])
def test_bound_after_rotation_is_that_of_the_plain_formulas(shape):
    views = planted_views(2, n=30, **shape).views
    model = gram_model(views)
    posterior = model.start(6, np.random.default_rng(0))
    for _ in range(8):
        posterior = model.sweep(posterior, rotation_steps=3)
        plain = plain_state(views, model, posterior)
        np.testing.assert_allclose(model.bound(posterior), plain.elbo(), rtol=1e-10)
        for view in range(len(views)):
            np.testing.assert_allclose(posterior.loadings_moment[view], plain.WW(view), rtol=1e-8)
            np.testing.assert_allclose(posterior.residual[view], plain.squared_error(view))
        np.testing.assert_allclose(posterior.scores_moment, plain.ZZ(), rtol=1e-8, atol=1e-8)


def rotation_example(seed=0, n_views=2, k=5):
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n_views, k + 3, k)) * rng.uniform(0.1, 3, (n_views, 1, k))
    loadings = np.swapaxes(factors, 1, 2) @ factors
    scores = rng.standard_normal((30, k)) @ rng.standard_normal((k, k))
    problem = RotationProblem(np.array([50.0, 80.0, 20.0])[:n_views], 30, PRIOR, PRIOR)
    return problem, loadings, scores.T @ scores


@pytest.mark.parametrize("n_views", [2, 3])
def test_rotation_reaches_the_minimum_that_lbfgs_finds(n_views):
    problem, loadings, scores = rotation_example(n_views=n_views)
    k = len(scores)

    def cost(flat):
        R = flat.reshape(k, k)
        inverse = np.linalg.inv(R)
        lengths = PRIOR + np.einsum("jk,mjl,lk->mk", R, loadings, R) / 2
        value = ((PRIOR + problem.n_features / 2) @ np.log(lengths)).sum()
        value += np.trace(inverse @ scores @ inverse.T) / 2
        return value - (problem.n_features.sum() - 30) * np.linalg.slogdet(R)[1]

    turned = problem.minimize(loadings, scores, max_steps=200, tol=1e-10)
    ours = cost(turned.rotation.ravel())
    np.testing.assert_allclose(problem.value(turned), ours, rtol=1e-10)
    reference = minimize(cost, np.eye(k).ravel(), options={"maxiter": 2000, "gtol": 1e-3})
    assert ours <= reference.fun + 1e-3
    slopes = [np.abs(approx_fprime(at.ravel(), cost)).max() for at in (np.eye(k), turned.rotation)]
    assert slopes[1] < 1e-3 * slopes[0]


@pytest.mark.parametrize("n_steps", [1, 2, 10])
def test_every_rotation_step_lowers_the_cost_and_keeps_the_fit(n_steps):
    problem, loadings, scores = rotation_example(seed=1)
    before = problem.minimize(loadings, scores, max_steps=n_steps - 1)
    after = problem.minimize(loadings, scores, max_steps=n_steps)
    assert problem.value(after) < problem.value(before)
    np.testing.assert_allclose(after.rotation @ after.inverse, np.eye(5), atol=1e-10)
    np.testing.assert_allclose(after.log_determinant, np.linalg.slogdet(after.rotation)[1])
    # <ZZ'> and <W'W> enter the expected error by their product alone.
    for ours, theirs in zip(after.loadings, loadings, strict=True):
        np.testing.assert_allclose(np.trace(ours @ after.scores), np.trace(theirs @ scores))


def test_samples_in_several_pairs_are_multiplied_once():
    views = planted_views(3, n=20, **TWO).views
    rng = np.random.default_rng(0)
    rows = [np.concatenate([np.arange(20), rng.permutation(20), [3, 5, 5]]) for _ in views]
    whole = gram_model([view[own] for view, own in zip(views, rows, strict=True)])
    # Rows that repeat are found in the products of the repeated samples, after centring, too.
    grams = [(view @ view.T)[np.ix_(own, own)] for view, own in zip(views, rows, strict=True)]
    centred_grams = np.stack([centred(gram) for gram in grams])
    repeats = find_repeats(centred_grams)
    assert repeats is not None
    assert repeats.first.shape == (2, 20)
    reduced = GroupFactorAnalysis(repeats.reduce(centred_grams), whole.n_features, repeats)
    np.testing.assert_allclose(reduced.total, whole.total, rtol=1e-12)
    one, other = (model.start(6, np.random.default_rng(1)) for model in (whole, reduced))
    for _ in range(10):
        one, other = whole.sweep(one), reduced.sweep(other)
        np.testing.assert_allclose(reduced.bound(other), whole.bound(one), rtol=1e-9)
    np.testing.assert_allclose(repeats.gather(one.scores), other.scores, rtol=1e-5, atol=1e-8)
    for view, own in enumerate(rows):
        centred_view = views[view][own] - views[view][own].mean(axis=0)
        loadings = centred_view.T @ repeats.divide(other.dual)[view]
        np.testing.assert_allclose(loadings, centred_view.T @ one.dual[view], rtol=1e-5, atol=1e-8)


def test_nothing_is_reduced_where_samples_are_distinct_or_views_differ():
    grams = gram_model(planted_views(3, n=10, **TWO).views).grams
    assert find_repeats(grams) is None
    rows = np.r_[np.arange(9), 0]
    assert find_repeats(np.stack([grams[0], grams[1][np.ix_(rows, rows)]])) is None
