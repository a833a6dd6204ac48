"""Gibbs sampling of logistic regression with Laplace priors: slow, exact, and nothing like EP.

Polya-Gamma augmentation of the likelihood (Polson, Scott, Windle 2013, JASA 108:1339-1349), the
Laplace prior as a scale mixture (Park, Casella 2008, JASA 103:681-686), and weights drawn through
n x n matrices (Bhattacharya, Chakraborty, Mallick 2016, Biometrika 103:985-991).
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.special import log_ndtr

CUT = 0.64


def polya_gamma(tilt, rng):
    """Draw from PG(1, tilt) for every element, by Devroye's alternating series."""
    z = np.abs(np.ravel(tilt)) / 2
    found = np.empty_like(z)
    left = np.arange(len(z))
    while len(left):
        x = _propose(z[left], rng)
        accepted = _accept(x, rng)
        found[left[accepted]] = x[accepted] / 4
        left = left[~accepted]
    return found.reshape(np.shape(tilt))


def _propose(z, rng):
    rate = np.pi**2 / 8 + z**2 / 2
    right = np.log(np.pi / (2 * rate)) - rate * CUT
    root = CUT**-0.5
    inner = np.logaddexp(
        -z + log_ndtr(root * (CUT * z - 1)), z + log_ndtr(-root * (CUT * z + 1))
    ) + np.log(2)
    tail = rng.random(len(z)) < 1 / (1 + np.exp(inner - right))
    x = CUT + rng.exponential(size=len(z)) / rate
    x[~tail] = _truncated_inverse_gaussian(z[~tail], rng)
    return x


def _truncated_inverse_gaussian(z, rng):
    """Draw inverse Gaussians with mean 1/z and shape 1, given that they are below the cut."""
    found = np.empty_like(z)
    left = np.arange(len(z))
    while len(left):
        rate = z[left]
        small = rate < 1 / CUT
        x = rng.wald(1 / np.where(small, 1.0, rate), 1.0)
        one, other = rng.exponential(size=(2, len(left)))
        chi = CUT / (1 + CUT * one) ** 2
        kept = (one**2 <= 2 * other / CUT) & (rng.random(len(left)) < np.exp(-(rate**2) * chi / 2))
        good = np.where(small, kept, x < CUT)
        found[left[good]] = np.where(small, chi, x)[good]
        left = left[~good]
    return found


def _accept(x, rng):
    """Decide by the squeezed alternating series of Jacobi's density."""
    total = _coefficient(0, x)
    level = rng.random(len(x)) * total
    undecided, accepted = np.ones(len(x), dtype=bool), np.zeros(len(x), dtype=bool)
    n = 0
    while undecided.any():
        n += 1
        total = total + (-1) ** n * _coefficient(n, x)
        if n % 2:
            accepted |= undecided & (level <= total)
            undecided &= level > total
        else:
            undecided &= level <= total
    return accepted


def _coefficient(n, x):
    half = n + 0.5
    inner = 1.5 * np.log(2 / (np.pi * x)) - 2 * half**2 / x
    return np.pi * half * np.exp(np.where(x <= CUT, inner, -(half**2) * np.pi**2 * x / 2))


@dataclass(frozen=True)
class Moments:
    """Posterior means and SDs of the weights, the bias last, with Monte Carlo standard errors."""

    mean: np.ndarray
    sd: np.ndarray
    mean_error: np.ndarray
    sd_error: np.ndarray


def sample_weights(X, signs, scale, bias_scale, n_draws, n_chains, seed):
    """Return draws (n_chains, n_draws, p + 1); the first fifth of the chains is thrown away."""
    rng = np.random.default_rng(seed)
    A = np.column_stack([X, np.ones(len(X))]).astype(float)
    scales = np.append(np.full(X.shape[1], scale), bias_scale)
    beta = rng.normal(size=(n_chains, A.shape[1])) * np.sqrt(scales) * 0.1
    burn = n_draws // 4
    draws = np.empty((n_chains, n_draws, A.shape[1]), dtype=np.float32)
    for index in range(-burn, n_draws):
        omega = polya_gamma(beta @ A.T, rng)
        # 1 / variance is inverse Gaussian given the weight
        mean = 1 / np.maximum(np.sqrt(scales) * np.abs(beta), 1e-150)
        variance = 1 / np.maximum(rng.wald(mean, 1 / scales), 1e-300)
        for chain in range(n_chains):
            beta[chain] = _draw_weights(A, signs, omega[chain], variance[chain], rng)
        if index >= 0:
            draws[:, index] = beta
    return draws


def _draw_weights(A, signs, omega, variance, rng):
    root = np.sqrt(omega)
    if A.shape[1] < len(A):
        scaled = root[:, None] * A
        factor = linalg.cholesky(scaled.T @ scaled + np.diag(1 / variance), lower=True)
        half = linalg.solve_triangular(factor, A.T @ (signs / 2), lower=True)
        half += rng.standard_normal(len(half))
        return linalg.solve_triangular(factor, half, lower=True, trans=1)
    prior = rng.standard_normal(len(variance)) * np.sqrt(variance)
    scaled = A * np.sqrt(variance)
    gram = root[:, None] * (scaled @ scaled.T) * root
    gram[np.diag_indices_from(gram)] += 1.0
    wanted = signs / 2 / root - root * (A @ prior) - rng.standard_normal(len(root))
    solved = linalg.cho_solve(linalg.cho_factor(gram), wanted)
    return prior + variance * (A.T @ (root * solved))


def moments(draws, n_batches=10):
    """Return moments, their errors by batch means."""
    n_chains, n_draws, p = draws.shape
    size = n_draws // n_batches
    mean, sd = draws.mean(axis=(0, 1), dtype=float), draws.std(axis=(0, 1), dtype=float)
    batches = draws[:, : size * n_batches].reshape(n_chains * n_batches, size, p)
    first = batches.mean(axis=1, dtype=float)
    second = ((batches - mean) ** 2).mean(axis=1, dtype=float)
    root = np.sqrt(len(batches))
    return Moments(
        mean, sd, first.std(axis=0, ddof=1) / root, second.std(axis=0, ddof=1) / root / (2 * sd)
    )
