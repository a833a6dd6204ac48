"""Integrals over the variance of a weight, the one thing about a feature that is not Gaussian.

A weight is normal with variance ``U = u**2 + v**2``. Where u and v are normal with precision
``rate`` each, ``t = rate * U / 2`` is exponential with mean 1, and all that a feature's site needs
are moments under the density proportional to

    exp(-t) t^nu (t + c)^(-1/2) exp(-b / (t + c)),    nu = (1 - fraction) / 2,

of two numbers: ``c`` compares the variance of the weight's cavity with that of its prior, ``b`` is
the squared mean of the cavity on the same scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_genlaguerre

from bidsface.numerics.linear import Floats

NODES, NODE_WEIGHTS = (part[:, None] / 2 for part in np.polynomial.legendre.leggauss(128))
"""The rule that is good everywhere; nodes from -1/2 to 1/2."""
LAGUERRE_TIERS = ((4.0, 12), (1.0, 48))
"""Smallest ``c`` and number of points of rules whose nodes are the same for all features.

Their error falls like exp(-4 sqrt(N c)), so that the wide cavities of problems with few samples,
nearly all features there, need very few points.
"""
LARGEST_B = 5.0
DROP = 40.0
"""Decline of the logarithm of the integrand at the ends of the interval."""
BLOCK_ELEMENTS = 1 << 17
"""Elements of temporary arrays: they should stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class MixtureMoments:
    """Moments of every feature, each of shape (n_features,).

    Attributes
    ----------
    log_mass : ndarray
        Logarithm of the integral of the density above.
    share : ndarray
        Mean of ``t / (t + c)``.
    reciprocal_mean, reciprocal_variance : ndarray
        Of ``1 / (t + c)``.
    mean : ndarray
        Of ``t``.
    """

    log_mass: Floats
    share: Floats
    reciprocal_mean: Floats
    reciprocal_variance: Floats
    mean: Floats


class ScaleMixture:
    """Quadrature rules for one fraction of power expectation propagation.

    Relative errors are below 1e-6 for c from 1e-10 and b up to 1e5, and near 1e-8 for the values
    that occur in fits.

    Parameters
    ----------
    fraction : float
        Power to which the prior enters its own update, above 0 and at most 1.
    """

    def __init__(self, fraction: float) -> None:
        self.nu = (1.0 - fraction) / 2.0
        self._laguerre = [
            (smallest, *(part[:, None] for part in roots_genlaguerre(n, self.nu)))
            for smallest, n in LAGUERRE_TIERS
        ]

    def moments(self, c: Floats, b: Floats) -> MixtureMoments:
        """Return the moments for ``c`` > 0 and ``b`` >= 0, both of shape (n_features,)."""
        found = np.empty((5, len(c)))
        narrow = b > np.minimum(LARGEST_B, LARGEST_B * c)
        left = np.ones(len(c), dtype=bool)
        for smallest, nodes, weights in self._laguerre:
            chosen = left & (c >= smallest) & ~narrow
            left &= ~chosen
            for part in _parts(chosen, len(nodes)):
                found[:, part] = _fixed_rule(c[part], b[part], nodes, weights)
        for part in _parts(left, len(NODES)):
            found[:, part] = self._adapted_rule(c[part], b[part])
        return MixtureMoments(*found)

    def _adapted_rule(self, c: Floats, b: Floats) -> Floats:
        """Gauss-Legendre points in log t, between limits of every feature's own."""
        low, high = self._limits(c, b)
        log_t = low + (high - low) * (NODES + 0.5)
        t = np.exp(log_t)
        reciprocal = 1.0 / (t + c)
        log_density = (1.0 + self.nu) * log_t - t + 0.5 * np.log(reciprocal) - b * reciprocal
        peak = log_density.max(axis=0)
        density = np.exp(log_density - peak) * NODE_WEIGHTS
        found = _reduce(density, t, reciprocal)
        found[0] += np.log(high - low) + peak
        return found

    def _limits(self, c: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Return where the integrand over log t has become negligible.

        Its exponent ``-t - b / (t + c)`` falls by (t + c - root)^2 / (t + c) from its peak at
        ``t + c = root``; where that does not end it on the left, the power of t does.
        """
        root = np.sqrt(b)
        centre = np.maximum(root - c, 0.0) + 1.0
        high = centre + DROP / 2 + np.sqrt(DROP**2 / 4 + DROP * centre)
        by_exponent = root + DROP / 2 - np.sqrt(DROP**2 / 4 + DROP * root) - c
        by_power = np.minimum(np.maximum(c, 1e-14) * 1e-11 ** (1.0 / (1.0 + self.nu)), 1e-9)
        return np.log(np.maximum(by_exponent, by_power)), np.log(high)


def _parts(chosen: NDArray[np.bool_], n_points: int) -> list[NDArray[np.intp]]:
    """Return the places of the chosen features, in parts that fit the cache."""
    places = np.flatnonzero(chosen)
    size = BLOCK_ELEMENTS // n_points
    return [places[start : start + size] for start in range(0, len(places), size)]


def _fixed_rule(c: Floats, b: Floats, nodes: Floats, weights: Floats) -> Floats:
    """Gauss-Laguerre: nodes (n_points, 1) for all features."""
    reciprocal = 1.0 / (nodes + c)
    density = np.exp(-b * reciprocal)
    density *= np.sqrt(reciprocal)
    density *= weights
    return _reduce(density, nodes, reciprocal)


def _reduce(density: Floats, t: Floats, reciprocal: Floats) -> Floats:
    """Return the five moments, (5, n_features), from values at points, (n_points, n_features)."""
    mass = density.sum(axis=0)
    mean = (density.T @ t)[:, 0] if t.shape[1] == 1 else np.einsum("ij,ij->j", density, t)
    first = np.einsum("ij,ij->j", density, reciprocal) / mass
    share = np.einsum("ij,ij->j", density, t * reciprocal) / mass
    deviation = reciprocal - first
    deviation *= deviation
    second = np.einsum("ij,ij->j", density, deviation) / mass
    return np.stack([np.log(mass), share, first, second, mean / mass])
