"""Plain references of expectation propagation, written for clarity: dense algebra, closed forms."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit, log_ndtr, logsumexp


@dataclass(frozen=True)
class Reference:
    """Marginals of the weights, the bias last, and the log evidence."""

    mean: np.ndarray
    variance: np.ndarray
    log_evidence: float


def laplace_moments(mean, variance, scale):
    """Return log mass, mean and variance of N(w; mean, variance) times a Laplace density.

    The density has variance 2 * scale; each side of 0 gives a truncated normal.
    """
    width, sigma = np.sqrt(scale), np.sqrt(variance)
    parts = []
    for side in (1.0, -1.0):
        centre = side * mean - variance / width  # of the side, mirrored to be the positive one
        alpha = centre / sigma
        log_mass = -side * mean / width + variance / (2 * scale) + log_ndtr(alpha)
        hazard = np.exp(-0.5 * alpha**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(alpha))
        first = centre + sigma * hazard
        second = variance * (1 - hazard * (alpha + hazard)) + first**2
        parts.append((log_mass, side * first, second))
    log_mass = logsumexp([part[0] for part in parts], axis=0)
    shares = [np.exp(part[0] - log_mass) for part in parts]
    first = sum(share * part[1] for share, part in zip(shares, parts, strict=True))
    second = sum(share * part[2] for share, part in zip(shares, parts, strict=True))
    return log_mass - np.log(2 * width), first, second - first**2


def logistic_moments(mean, variance):
    """Return log mass, mean and variance of N(f; mean, variance) expit(f), by a fine grid."""
    x = np.linspace(-12, 12, 1201)
    f = mean[:, None] + np.sqrt(variance)[:, None] * x
    log_density = log_expit(f) - 0.5 * x**2 - 0.5 * np.log(2 * np.pi) + np.log(x[1] - x[0])
    log_mass = logsumexp(log_density, axis=1)
    density = np.exp(log_density - log_mass[:, None])
    first = (density * f).sum(axis=1)
    return log_mass, first, (density * (f - first[:, None]) ** 2).sum(axis=1)


def laplace_ep(X, signs, scale, bias_scale, step=0.5, sweeps=200):
    """Return the fixed point of EP with Laplace priors as they are, without auxiliary variables."""
    A = np.column_stack([X, np.ones(len(X))])
    scales = np.append(np.full(X.shape[1], scale), bias_scale)
    kinds = [
        (A, lambda m, v: _mirrored(signs, m, v)),
        (np.eye(len(scales)), lambda m, v: laplace_moments(m, v, scales)),
    ]
    sites = [[np.full(len(X), 0.1), np.zeros(len(X))], [1 / (2 * scales), np.zeros(len(scales))]]
    for _ in range(sweeps):
        mean, covariance = _posterior(kinds, sites)
        terms = 0.0
        for (rows, moments), site in zip(kinds, sites, strict=True):
            m, v = rows @ mean, np.einsum("ij,jk,ik->i", rows, covariance, rows)
            cavity = 1 / (1 / v - site[0])
            centre = cavity * (m / v - site[1])
            log_mass, first, second = moments(centre, cavity)
            terms += (log_mass + _phi(centre, cavity) - _phi(m, v)).sum()
            site[0] = site[0] + step * (1 / second - 1 / cavity - site[0])
            site[1] = site[1] + step * (first / second - centre / cavity - site[1])
    joint = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    joint += 0.5 * mean @ np.linalg.solve(covariance, mean)
    return Reference(mean, np.diag(covariance), float(joint + terms))


def _mirrored(signs, mean, variance):
    log_mass, first, second = logistic_moments(signs * mean, variance)
    return log_mass, signs * first, second


def _posterior(kinds, sites):
    precision = sum(
        rows.T @ (site[0][:, None] * rows) for (rows, _), site in zip(kinds, sites, strict=True)
    )
    linear = sum(rows.T @ site[1] for (rows, _), site in zip(kinds, sites, strict=True))
    covariance = np.linalg.inv(precision)
    return covariance @ linear, covariance


def _phi(mean, variance):
    return 0.5 * np.log(2 * np.pi * variance) + mean**2 / (2 * variance)


def quadrature(X, signs, scale, bias_scale, n=48):
    """Return the exact log evidence of one or two weights and the bias, on a grid."""
    axes = [_axis(scale, n)] * X.shape[1] + [_axis(bias_scale, n)]
    grids = np.meshgrid(*[axis[0] for axis in axes], indexing="ij")
    logs = sum(np.meshgrid(*[axis[1] for axis in axes], indexing="ij"))
    for row, sign in zip(np.column_stack([X, np.ones(len(X))]), signs, strict=True):
        logs = logs + log_expit(sign * sum(g * x for g, x in zip(grids, row, strict=True)))
    return float(logsumexp(logs))


def _axis(scale, n):
    """Return nodes on both sides of 0, and logarithms of weight times Laplace density."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    nodes, weights = (nodes + 1) / 2, weights / 2
    reach = min(36 * np.sqrt(scale), 60.0)
    right, log_weight = reach * nodes**2, np.log(2 * reach * nodes * weights)
    places = np.concatenate([-right[::-1], right])
    logs = np.concatenate([log_weight[::-1], log_weight])
    return places, logs - np.abs(places) / np.sqrt(scale) - np.log(2 * np.sqrt(scale))
