"""Sites of features: a weight's scale-mixture prior as Gaussians of the weight, u and v."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface_decoding.propagation.scale_mixture import ScaleMixture

SMALLEST = 1e-10
"""Smallest precision of a site, and of the data's part in a cavity, against what it is added to."""


@dataclass(frozen=True, eq=False)
class FeatureSites:
    """Gaussian factors of every weight, and a common one of its two auxiliary variables.

    Attributes
    ----------
    precision, linear : ndarray of shape (n_features,)
        Factor ``exp(linear * w - precision * w**2 / 2)`` of the weight w.
    auxiliary : ndarray of shape (n_features,)
        Precision that the site adds to that of u, and of v; it may be negative.
    """

    precision: Floats
    linear: Floats
    auxiliary: Floats

    def towards(self, other: FeatureSites, step: float) -> FeatureSites:
        """Return sites that went a part of the way to others."""
        return FeatureSites(
            self.precision + step * (other.precision - self.precision),
            self.linear + step * (other.linear - self.linear),
            self.auxiliary + step * (other.auxiliary - self.auxiliary),
        )


@dataclass(frozen=True, eq=False)
class Weights:
    """Marginals of the weights under the approximation, each of shape (n_features,).

    Attributes
    ----------
    mean, variance : ndarray
    data_precision : ndarray
        ``1 / variance`` less the precision of the feature's own site, without loss of digits.
    """

    mean: Floats
    variance: Floats
    data_precision: Floats


@dataclass(frozen=True, eq=False)
class FeatureProposal:
    """What matching moments of every feature gave.

    Attributes
    ----------
    sites : FeatureSites
    log_evidence : float
        Sum over features of (log Z_j + Phi(cavity) - Phi(marginal)) / fraction.
    improper : ndarray of bool, shape (n_features,)
        Where the cavity of u and v had no positive precision and a broad one stood in for it.
    """

    sites: FeatureSites
    log_evidence: float
    improper: NDArray[np.bool_]


def propose_feature_sites(
    sites: FeatureSites,
    weights: Weights,
    auxiliary_variance: Floats,
    mixture: ScaleMixture,
    fraction: float,
) -> FeatureProposal:
    """Match the moments of every weight and of its auxiliary variables.

    Parameters
    ----------
    sites : FeatureSites
        That the marginals include.
    weights : Weights
    auxiliary_variance : ndarray of shape (n_features,)
        Marginal variance of u, which is also that of v.
    mixture : ScaleMixture
        For the same fraction.
    fraction : float
    """
    own = (1.0 - fraction) * sites.precision
    cavity = 1.0 / np.maximum(weights.data_precision + own, SMALLEST * sites.precision)
    centre = cavity * (weights.mean / weights.variance - fraction * sites.linear)
    auxiliary = 1.0 / auxiliary_variance
    left = auxiliary - fraction * sites.auxiliary
    improper = left <= 0
    rate = np.where(improper, 1e-3 * auxiliary, left)

    c, b = fraction * cavity * rate / 2, fraction * centre**2 * rate / 4
    found = mixture.moments(c, b)
    # The weight's mean and variance are those of its cavity times the share and times the ratio;
    # written so, natural parameters follow without subtracting nearly equal numbers.
    pull = 2 * b * found.reciprocal_variance
    ratio = found.share + c * pull
    precision = rate / 2 * (found.reciprocal_mean - pull) / ratio
    linear = -centre * rate / 2 * pull / ratio
    proposal = FeatureSites(
        np.maximum(precision, SMALLEST / cavity),
        linear,
        _auxiliary_precision(sites.auxiliary, auxiliary, rate / found.mean, fraction),
    )
    log_mass = found.log_mass - fraction / 2 * np.log(4 * np.pi / rate)
    terms = log_mass + 0.5 * (
        np.log(cavity / weights.variance) + centre**2 / cavity - weights.mean**2 / weights.variance
    )
    return FeatureProposal(
        proposal, float((terms + np.log(auxiliary / rate)).sum()) / fraction, improper
    )


def _auxiliary_precision(site: Floats, marginal: Floats, tilted: Floats, fraction: float) -> Floats:
    """Return new sites of u and v from precisions of their marginal and tilted distributions.

    The full step could leave the marginal without positive precision where the tilted variance is
    much larger; half of the tilted precision is then as far as it goes.
    """
    full = (tilted - (1.0 - fraction) * marginal) / fraction
    return site + np.maximum(full, tilted / 2) - marginal
