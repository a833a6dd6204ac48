"""Sites of samples: the logistic likelihood of one label, as a Gaussian of its activation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bidsface.numerics.linear import Floats

NODES, NODE_WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(52))
REACH = 8.0
"""Standard deviations of the cavity on either side of the mode that are integrated over."""
BEND = 14.0
"""Activation beyond which the sigmoid is 1 or an exponential, so that all is Gaussian."""


@dataclass(frozen=True, eq=False)
class SampleSites:
    """Gaussian factors ``exp(linear * f - precision * f**2 / 2)`` of activations f.

    Attributes
    ----------
    precision, linear : ndarray of shape (n_samples,)
    """

    precision: Floats
    linear: Floats

    @classmethod
    def empty(cls, n_samples: int) -> SampleSites:
        """Return sites that say nothing."""
        return cls(np.zeros(n_samples), np.zeros(n_samples))

    def towards(self, other: SampleSites, step: float) -> SampleSites:
        """Return sites that went a part of the way to others."""
        return SampleSites(
            self.precision + step * (other.precision - self.precision),
            self.linear + step * (other.linear - self.linear),
        )


@dataclass(frozen=True, eq=False)
class Activations:
    """Marginals of the activations under the approximation, each of shape (n_samples,).

    Attributes
    ----------
    mean, variance : ndarray
    freedom : ndarray
        ``1 - precision * variance`` of the sample's site, computed without loss of digits: what is
        left of the activation's precision when its own site is taken away.
    """

    mean: Floats
    variance: Floats
    freedom: Floats


def logistic_moments(
    mean: Floats, variance: Floats, fraction: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """Return log mass, mean and variance of ``N(f; mean, variance) expit(f)**fraction``.

    Gauss-Legendre points on both sides of the sigmoid's bend and within it. Gauss-Hermite would
    need ever more points as activations become wide against the sigmoid: with 150,000 features of
    scale 1 their standard deviation is several hundred, and a step then falls between nodes.

    Parameters
    ----------
    mean, variance : ndarray of shape (n,)
    fraction : float

    Returns
    -------
    log_mass, mean, variance : ndarray of shape (n,)
    """
    deviation = np.sqrt(variance)
    mode = _mode(mean, variance, fraction)
    peak = fraction * _log_sigmoid(mode) - 0.5 * ((mode - mean) / deviation) ** 2
    # Everything is relative to the mode, so that nothing overflows and no digits cancel.
    rows, away, lengths = _points(mode, REACH * deviation)
    f = away + mode[rows, None]
    standard = (f - mean[rows, None]) / deviation[rows, None]
    density = fraction * _log_sigmoid(f) - 0.5 * standard**2 - peak[rows, None]
    np.exp(density, out=density)

    def total(integrand: Floats) -> Floats:
        parts = lengths * (integrand @ NODE_WEIGHTS)
        return np.asarray(np.bincount(rows, parts, len(mean)), dtype=np.float64)

    mass = total(density)
    density *= away
    first = total(density) / mass
    density *= away
    second = total(density) / mass - first**2
    log_mass = np.log(mass) + peak - 0.5 * np.log(2 * np.pi * variance)
    return log_mass, mode + first, second


def _log_sigmoid(f: Floats) -> Floats:
    """Return log(expit(f)) to rounding of 1, several times as fast as scipy's to the last digit."""
    return np.minimum(f, 0.0) - np.log(1.0 + np.exp(-np.abs(f)))


def _points(mode: Floats, reach: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return where to evaluate around the modes, in up to three parts that end at the bends.

    Returns
    -------
    rows : ndarray of int, shape (n_parts,)
        Whose part it is; parts of no length are left out.
    away : ndarray of shape (n_parts, n_points)
        Points, relative to the mode.
    lengths : ndarray of shape (n_parts,)
    """
    bends = [np.clip(bend - mode, -reach, reach) for bend in (-BEND, BEND)]
    edges = np.stack([-reach, *bends, reach], axis=1)
    lengths = np.diff(edges, axis=1)
    rows, parts = np.nonzero(lengths > 0)
    kept = lengths[rows, parts]
    return rows, edges[rows, parts, None] + kept[:, None] * (NODES + 0.5), kept


def _mode(mean: Floats, variance: Floats, fraction: float) -> Floats:
    """Find the mode to a tenth of the cavity's standard deviation (Newton, safeguarded).

    The density is log-concave; its mode lies between the mean and mean + fraction * variance.
    """
    low, high = mean, mean + fraction * variance
    mode = np.clip(0.0, low, high)  # the sigmoid's bend, or what is nearest to it
    for _ in range(60):
        gradient = fraction * expit(-mode) - (mode - mean) / variance
        curvature = fraction * expit(mode) * expit(-mode) + 1.0 / variance
        low, high = np.where(gradient > 0, mode, low), np.where(gradient > 0, high, mode)
        newton = mode + gradient / curvature
        inside = (newton > low) & (newton < high)
        moved, mode = mode, np.where(inside, newton, 0.5 * (low + high))
        if (np.abs(mode - moved) <= 0.1 * np.sqrt(variance)).all():
            break
    return mode


def propose_sample_sites(
    sites: SampleSites, marginals: Activations, signs: Floats, fraction: float
) -> tuple[SampleSites, float]:
    """Match moments of every sample; return its new sites and the samples' part of the evidence.

    Parameters
    ----------
    sites : SampleSites
        That the marginals include.
    marginals : Activations
    signs : ndarray of shape (n_samples,)
        Labels, -1 and 1.
    fraction : float

    Returns
    -------
    proposal : SampleSites
    log_evidence : float
        Sum over samples of (log Z_i + Phi(cavity) - Phi(marginal)) / fraction, Phi being the log
        normalizer of a Gaussian.
    """
    mean, variance, freedom = marginals.mean, marginals.variance, marginals.freedom
    cavity = variance / (freedom + (1.0 - fraction) * (1.0 - freedom))
    centre = cavity * (mean / variance - fraction * sites.linear)
    log_mass, tilted, spread = logistic_moments(signs * centre, cavity, fraction)
    terms = log_mass + 0.5 * (np.log(cavity / variance) + centre**2 / cavity - mean**2 / variance)
    # The likelihood is log-concave: no precision is negative but by rounding.
    precision = np.maximum(1.0 / spread - 1.0 / cavity, 1e-12 / cavity) / fraction
    linear = (signs * tilted / spread - centre / cavity) / fraction
    return SampleSites(precision, linear), float(terms.sum()) / fraction
