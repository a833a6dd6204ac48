"""The numerics of expectation propagation: integrals, algebra and fixed points."""

import numpy as np
import pytest
from gibbs import moments, polya_gamma, sample_weights
from plain_ep import laplace_ep, laplace_moments, quadrature
from propagation_study import BIAS_SCALE, fit, problem
from scipy import integrate
from scipy.special import expit, log_expit

from bidsface_decoding.propagation import design as design_module
from bidsface_decoding.propagation import sample_sites
from bidsface_decoding.propagation.auxiliary import IndependentPrior
from bidsface_decoding.propagation.design import Design
from bidsface_decoding.propagation.feature_sites import (
    FeatureSites,
    Weights,
    propose_feature_sites,
)
from bidsface_decoding.propagation.loop import Damping, start_from
from bidsface_decoding.propagation.sample_sites import (
    SampleSites,
    logistic_moments,
    propose_sample_sites,
)
from bidsface_decoding.propagation.sample_space import SampleSpace
from bidsface_decoding.propagation.scale_mixture import ScaleMixture
from bidsface_decoding.propagation.weight_space import WeightSpace


@pytest.mark.parametrize("fraction", [0.5, 0.9, 1.0])
def test_mixture_moments_equal_integrals_on_a_fine_grid(fraction):
    rng = np.random.default_rng(0)
    edges = [0.999, 1.001, 3.99, 4.01, 30.0, 1e6]  # where other rules take over
    c = np.concatenate([10.0 ** rng.uniform(-9, 1, 14), edges])
    b = np.concatenate([10.0 ** rng.uniform(-8, 5, 14), [0.0, 4.9, 4.9, 5.1, 0.3, 2.0]])
    found = ScaleMixture(fraction).moments(c, b)
    log_t = np.linspace(-70, 12, 200_001)
    t = np.exp(log_t)
    for index in range(len(c)):
        reciprocal = 1 / (t + c[index])
        log_density = (
            (3 - fraction) / 2 * log_t - t + 0.5 * np.log(reciprocal) - b[index] * reciprocal
        )
        density = np.exp(log_density - log_density.max())
        mass = density.sum()
        log_mass = np.log(mass * (log_t[1] - log_t[0])) + log_density.max()
        np.testing.assert_allclose(found.log_mass[index], log_mass, rtol=0, atol=1e-6)
        mean = (density * reciprocal).sum() / mass
        expected = [
            (found.share, (density * t * reciprocal).sum() / mass),
            (found.reciprocal_mean, mean),
            (found.reciprocal_variance, (density * (reciprocal - mean) ** 2).sum() / mass),
            (found.mean, (density * t).sum() / mass),
        ]
        for ours, value in expected:
            np.testing.assert_allclose(ours[index], value, rtol=1e-6)


@pytest.mark.parametrize("fraction", [0.9, 1.0])
@pytest.mark.parametrize("variance", [1e-2, 1.0, 1e2, 1e5])
def test_logistic_moments_equal_integrals_on_a_fine_grid(fraction, variance):
    deviation = np.sqrt(variance)
    means = deviation * np.array([-8.0, -1.0, 0.0, 0.3, 6.0])
    found = logistic_moments(means, np.full(5, variance), fraction)
    for index, mean in enumerate(means):
        grid = np.linspace(-12, 12, 400_001)
        values = fraction * log_expit(mean + deviation * grid) - grid**2 / 2 - np.log(2 * np.pi) / 2
        density = np.exp(values - values.max())
        mass = integrate.simpson(density, x=grid)
        first = integrate.simpson(density * grid, x=grid) / mass
        second = integrate.simpson(density * (grid - first) ** 2, x=grid) / mass
        expected = [np.log(mass) + values.max(), mean + deviation * first, variance * second]
        np.testing.assert_allclose([one[index] for one in found], expected, rtol=1e-8, atol=1e-8)


def test_sites_of_the_scale_mixture_equal_closed_form_at_fraction_one():
    rng = np.random.default_rng(1)
    scale = 10.0 ** rng.uniform(-3, 2, 200)
    cavity = scale * 10.0 ** rng.uniform(-4, 2, 200)
    centre = np.sqrt(cavity) * rng.uniform(-3, 3, 200)
    nothing = np.zeros(200)
    sites = FeatureSites(np.full(200, 1e-30), nothing, nothing)
    weights = Weights(centre, cavity, 1 / cavity)
    proposal = propose_feature_sites(sites, weights, scale, ScaleMixture(1.0), 1.0)
    log_mass, first, second = laplace_moments(centre, cavity, scale)
    precision = proposal.sites.precision + 1 / cavity
    np.testing.assert_allclose(1 / precision, second, rtol=1e-8)
    mean = (proposal.sites.linear + centre / cavity) / precision
    np.testing.assert_allclose(mean, first, atol=1e-8 * np.sqrt(cavity).max())
    np.testing.assert_allclose(proposal.log_evidence, log_mass.sum(), rtol=1e-8)


@pytest.mark.parametrize(("n", "p", "scale"), [(30, 8, 0.5), (20, 40, 0.1), (20, 40, 5.0)])
def test_fraction_one_equals_closed_form_laplace_propagation(n, p, scale):
    X, signs = problem(n, p, scale)
    expected = laplace_ep(X, signs, scale, BIAS_SCALE)
    found = fit(X, signs, scale, fraction=1.0, tol=0.0, relative_tol=0.0, max_iter=40)
    weights = found.last.weights
    np.testing.assert_allclose(weights.mean, expected.mean, rtol=0, atol=1e-8)
    np.testing.assert_allclose(weights.variance, expected.variance, rtol=1e-8)
    np.testing.assert_allclose(found.log_evidence, expected.log_evidence, atol=1e-8)


@pytest.mark.parametrize("fraction", [0.9, 1.0])
@pytest.mark.parametrize("scale", [1e-4, 0.01, 1.0, 100.0])
@pytest.mark.parametrize(("n", "p"), [(40, 120), (40, 39), (40, 41), (120, 15)])
def test_sample_space_and_weight_space_agree(n, p, scale, fraction):
    X, signs = problem(n, p, scale, seed=n + p)
    X[:, 1], X[:, 2] = X[:, 0], 0.5  # a repeated feature, and one like the bias
    X[1], X[2] = X[0], X[0]
    one, other = (fit(X, signs, scale, fraction, kind) for kind in (SampleSpace, WeightSpace))
    assert one.converged
    assert one.n_iter == other.n_iter
    np.testing.assert_allclose(one.log_evidence, other.log_evidence, rtol=1e-6)
    deviation = np.sqrt(other.last.weights.variance)
    difference = (one.last.weights.mean - other.last.weights.mean) / deviation
    np.testing.assert_allclose(difference, 0, atol=1e-6)
    np.testing.assert_allclose(one.last.weights.variance, other.last.weights.variance, rtol=1e-6)
    np.testing.assert_allclose(one.importance, other.importance, rtol=1e-6)
    T = np.random.default_rng(9).standard_normal((7, p))
    spreads = [f.last.posterior.predictive_variance(Design(X), T) for f in (one, other)]
    np.testing.assert_allclose(spreads[0], spreads[1], rtol=1e-6)
    precision = one.last.sites.precision
    covariance = np.linalg.inv(np.diag(precision) + _information(X, one.last.samples))
    A = np.column_stack([T, np.ones(7)])
    np.testing.assert_allclose(spreads[1], np.diag(A @ covariance @ A.T), rtol=1e-6)


def _information(X, samples):
    A = np.column_stack([X, np.ones(len(X))])
    return A.T @ (samples.precision[:, None] * A)


@pytest.mark.parametrize(("n", "p"), [(40, 120), (80, 10)])
def test_order_and_units_do_not_matter(n, p):
    X, signs = problem(n, p, 0.1)
    rng = np.random.default_rng(5)
    features, samples = rng.permutation(p), rng.permutation(n)
    mirror = rng.choice([-1.0, 1.0], p)
    expected = fit(X, signs, 0.1)
    other = fit(7 * (X * mirror)[samples][:, features], signs[samples], 0.1 / 49)
    assert other.n_iter == expected.n_iter
    np.testing.assert_allclose(other.log_evidence, expected.log_evidence, rtol=1e-9)
    mean = expected.last.weights.mean[:-1] * mirror
    np.testing.assert_allclose(7 * other.last.weights.mean[:-1], mean[features], atol=1e-8)
    np.testing.assert_allclose(other.importance[:-1], expected.importance[features], rtol=1e-7)


def test_blocks_do_not_matter(monkeypatch):
    X, signs = problem(30, 100, 0.1)
    expected = fit(X, signs, 0.1)
    monkeypatch.setattr(design_module, "BLOCK", 7)
    other = fit(np.asfortranarray(X), signs, 0.1)
    np.testing.assert_allclose(
        other.last.weights.mean, expected.last.weights.mean, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_single_precision_costs_nothing_that_matters(scale):
    X, signs = problem(60, 3000, scale)
    double, single = fit(X, signs, scale), fit(X.astype(np.float32), signs, scale)
    assert single.converged
    np.testing.assert_allclose(single.log_evidence, double.log_evidence, atol=1e-4)
    deviation = np.sqrt(double.last.weights.variance)
    difference = (single.last.weights.mean - double.last.weights.mean) / deviation
    np.testing.assert_allclose(difference, 0, atol=1e-4)
    np.testing.assert_allclose(
        single.last.weights.variance, double.last.weights.variance, rtol=1e-4
    )


def gauss_hermite(mean, variance, fraction):
    """The rule of the publication, here with 20 points."""
    x, weights = np.polynomial.hermite_e.hermegauss(20)
    f = mean[:, None] + np.sqrt(variance)[:, None] * x
    density = expit(f) ** fraction * weights / np.sqrt(2 * np.pi)
    mass = density.sum(axis=1)
    first = (density * f).sum(axis=1) / mass
    return np.log(mass), first, (density * (f - first[:, None]) ** 2).sum(axis=1) / mass


def simultaneous(X, signs, scale, step, sweeps, fraction=0.9):
    """Update all sites at once; return the evidence of every sweep."""
    design, mixture = Design(X), ScaleMixture(fraction)
    prior = IndependentPrior(np.append(np.full(X.shape[1], scale), BIAS_SCALE))
    start = start_from(design, prior, mixture, fraction)
    sites, samples, weights = start.sites, SampleSites.empty(len(X)), None
    found = []
    for _ in range(sweeps):
        posterior = SampleSpace.of(design, sites, weights).condition(samples)
        weights = posterior.weights(design)
        variance, log_ratio = prior.marginals(sites.auxiliary)
        proposal = propose_feature_sites(sites, weights, variance, mixture, fraction)
        proposed, evidence = propose_sample_sites(samples, posterior.activations, signs, fraction)
        evidence += posterior.log_normalizer + log_ratio + proposal.log_evidence
        found.append(evidence - start.log_normalizer)
        sites = sites.towards(proposal.sites, step)
        samples = samples.towards(proposed, step)
    return np.array(found)


@pytest.mark.parametrize(("n", "p", "scale"), [(60, 600, 1.0), (60, 600, 100.0), (60, 50, 100.0)])
def test_converges_where_gauss_hermite_points_oscillate(monkeypatch, n, p, scale):
    X, signs = problem(n, p, scale, seed=3)
    found = fit(X, signs, scale)
    assert found.converged
    assert found.n_iter < 10
    damped = simultaneous(X, signs, scale, 0.5, 60)
    np.testing.assert_allclose(found.log_evidence, damped[-1], atol=1e-4)
    monkeypatch.setattr(sample_sites, "logistic_moments", gauss_hermite)
    oscillating = simultaneous(X, signs, scale, 1.0, 60)
    assert np.abs(np.diff(oscillating)[-10:]).max() > 0.1


def test_damping_halves_the_step_of_an_oscillation_only():
    settling, oscillating, rounding = Damping(), Damping(), Damping()
    for turn in range(8):
        settling.observe(-50 - 0.3**turn)
        oscillating.observe(-50 + (-1) ** turn)
        rounding.observe(-50 + 1e-12 * (-1) ** turn)
    assert settling.step == rounding.step == 1.0
    assert oscillating.step == 0.5**6


def test_polya_gamma_draws_have_their_moments():
    rng = np.random.default_rng(0)
    for tilt in (0.0, 1.0, 6.0):
        draws = polya_gamma(np.full(60_000, tilt), rng)
        mean = np.tanh(tilt / 2) / (2 * tilt) if tilt else 0.25
        np.testing.assert_allclose(draws.mean(), mean, rtol=0.02)


@pytest.mark.parametrize(
    ("n", "p", "spread", "n_draws"), [(60, 12, 3.0, 2500), (40, 80, 2.0, 2500), (80, 60, 6.0, 2500)]
)
def test_marginals_equal_gibbs_sampling(n, p, spread, n_draws):
    scale = spread**2 / (2 * p)  # prior standard deviation of activations
    X, signs = problem(n, p, scale, seed=p)
    draws = sample_weights(X, signs, scale, BIAS_SCALE, n_draws, 1, seed=1)
    expected = moments(draws)
    weights = fit(X, signs, scale).last.weights
    error = np.abs(weights.mean - expected.mean)
    assert (error <= 0.1 * expected.sd + 3 * expected.mean_error).all()
    error = np.abs(np.sqrt(weights.variance) - expected.sd)
    assert (error <= 0.1 * expected.sd + 3 * expected.sd_error).all()


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("scale", [0.01, 0.3, 10.0])
def test_evidence_equals_quadrature(p, scale):
    X, signs = problem(25, p, 2.0, seed=4)
    expected = quadrature(X, signs, scale, BIAS_SCALE)
    for fraction in (0.9, 1.0):
        found = fit(X, signs, scale, fraction)
        np.testing.assert_allclose(found.log_evidence, expected, atol=0.08)
