"""The prior that couples neighbours: exact sparse algebra, and what it does to a posterior."""

import numpy as np
import pytest
from propagation_study import BIAS_SCALE, chain, fit, problem
from scipy import sparse
from scipy.special import expit

from bidsface_decoding.propagation.coupled import CoupledPrior
from bidsface_decoding.propagation.tridiagonal import BlockTridiagonal


def test_block_elimination_equals_dense_algebra():
    rng = np.random.default_rng(0)
    p = 400
    edges = np.triu(rng.random((p, p)) < 1.5 / p, 1)  # many components, isolated variables too
    edges[:5] = edges[:, :5] = 0
    adjacency = sparse.csr_array((edges | edges.T).astype(float))
    matrix = sparse.csr_array(sparse.eye_array(p) + sparse.csgraph.laplacian(adjacency))
    added = rng.uniform(-0.3, 2.0, p)
    dense = matrix.toarray() + np.diag(added)
    blocks = BlockTridiagonal.of(matrix)
    assert len(blocks.levels) > 2
    assert sorted(np.concatenate(blocks.levels)) == list(range(p))
    diagonal, log_det = blocks.inverse_diagonal(added)
    np.testing.assert_allclose(diagonal, np.diag(np.linalg.inv(dense)), rtol=1e-10)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(dense)[1], rtol=1e-10)
    with pytest.raises(np.linalg.LinAlgError):
        blocks.inverse_diagonal(np.full(p, -2.0))


@pytest.mark.parametrize("fraction", [0.9, 1.0])
def test_coupling_of_nothing_is_the_decoupled_prior(fraction):
    X, signs = problem(30, 60, 0.1)
    expected = fit(X, signs, 0.1, fraction)
    prior = CoupledPrior.of(np.append(np.full(60, 0.1), BIAS_SCALE), chain(60), 1e-12)
    found = fit(X, signs, 0.1, fraction, prior=prior)
    np.testing.assert_allclose(found.log_evidence, expected.log_evidence, atol=1e-8)
    np.testing.assert_allclose(
        found.last.weights.mean, expected.last.weights.mean, rtol=0, atol=1e-8
    )
    np.testing.assert_allclose(found.importance, expected.importance, rtol=1e-8)


@pytest.mark.parametrize("coupling", [0.3, 30.0])
def test_coupled_prior_keeps_prior_variances(coupling):
    scale = np.append(np.full(50, 0.2), BIAS_SCALE)
    prior = CoupledPrior.of(scale, chain(50), coupling)
    variance, log_ratio = prior.marginals(np.zeros(51))
    np.testing.assert_allclose(variance, scale, rtol=1e-10)
    np.testing.assert_allclose(log_ratio, 0, atol=1e-9)


def test_coupling_finds_a_run_of_weak_neighbours():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 120))
    signs = np.where(rng.random(300) < expit(0.35 * X[:, 40:52].sum(axis=1)), 1.0, -1.0)
    scale = np.append(np.full(120, 0.01), BIAS_SCALE)
    loose, tight = (
        fit(X, signs, 0.01, prior=CoupledPrior.of(scale, chain(120), coupling))
        for coupling in (1e-9, 10.0)
    )
    assert loose.converged
    assert tight.converged
    assert tight.log_evidence > loose.log_evidence + 1
    loose_hits, tight_hits = (
        np.isin(np.argsort(-one.importance[:-1])[:12], np.arange(40, 52)).sum()
        for one in (loose, tight)
    )
    assert tight_hits == 12 > loose_hits


def test_strong_coupling_takes_shorter_steps_and_converges():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((200, 50))
    signs = np.where(rng.random(200) < expit(1.5 * X[:, 5:9].sum(axis=1)), 1.0, -1.0)
    prior = CoupledPrior.of(np.append(np.full(50, 1e-3), BIAS_SCALE), chain(50), 1e3)
    assert fit(X, signs, 1e-3, prior=prior).converged
