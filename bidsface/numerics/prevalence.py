"""Prevalence inference: how many people of the population have an effect.

Allefeld, Görgen and Haynes (2016), NeuroImage 141:378-392. A test of the mean is significant when
some participants carry information. The smallest value over participants tells more: if an effect
is absent in a part 1 - gamma of the population, one of N participants will probably lack it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidsface.numerics.map_tests import MapTest

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prevalence:
    """What the smallest value over participants says about a population.

    Attributes
    ----------
    gamma : ndarray of shape (n_voxels,)
        Largest prevalence that is rejected at ``alpha``, corrected over voxels: with confidence
        1 - alpha, more than this part of the population has the effect. NaN where not even the
        global null hypothesis (no effect in anyone) is rejected.
    p, p_fwe : ndarray of shape (n_voxels,)
        Of the hypothesis that the prevalence is at most ``gamma0``, uncorrected and corrected.
    gamma0, alpha : float
    largest_gamma : float
        Largest value that ``gamma`` can take with so many participants and draws.
    """

    gamma: Floats
    p: Floats
    p_fwe: Floats
    gamma0: float
    alpha: float
    largest_gamma: float


def infer_prevalence(
    test: MapTest, n_participants: int, gamma0: float = 0.5, alpha: float = 0.05
) -> Prevalence:
    """Turn the test of the smallest value (`minimum_map_test`) into statements on prevalence.

    With p the uncorrected p-value of the global null hypothesis, the prevalence null has
    ``((1 - gamma0) p^(1/N) + gamma0)^N`` (eq. 14 there); correction over voxels replaces a p by
    ``p_fwe + (1 - p_fwe) p`` (eq. 20), and solving for gamma0 at alpha gives ``gamma``.

    Parameters
    ----------
    test : MapTest
    n_participants : int
    gamma0 : float
        Prevalence to test against, 0 (the global null hypothesis) to less than 1.
    alpha : float

    Raises
    ------
    ValueError
        If gamma0 or alpha is out of range.
    """
    if not 0 <= gamma0 < 1 or not 0 < alpha < 1:
        raise ValueError(f"needs 0 <= gamma0 < 1 and 0 < alpha < 1, found {gamma0} and {alpha}")
    p = prevalence_p(test.p, n_participants, gamma0)
    corrected = test.p_fwe + (1.0 - test.p_fwe) * p
    gamma = rejected_prevalence(test.p, test.p_fwe, n_participants, alpha)
    smallest = np.array([test.smallest_p])
    largest = float(rejected_prevalence(smallest, smallest, n_participants, alpha)[0])
    return Prevalence(gamma, p, corrected, gamma0, alpha, largest)


def prevalence_p(p: ArrayLike, n_participants: int, gamma0: float) -> Floats:
    """Return p-values of "the prevalence is at most gamma0" from those of the global null."""
    root = np.asarray(p, dtype=np.float64) ** (1.0 / n_participants)
    return np.asarray(((1.0 - gamma0) * root + gamma0) ** n_participants)


def rejected_prevalence(
    p: ArrayLike, p_fwe: ArrayLike, n_participants: int, alpha: float
) -> Floats:
    """Return the largest prevalence whose corrected p-value is at most alpha; NaN for none.

    Parameters
    ----------
    p, p_fwe : array of shape (n_voxels,)
        Of the global null hypothesis, uncorrected and corrected.
    n_participants : int
    alpha : float
    """
    p, p_fwe = np.asarray(p, dtype=np.float64), np.asarray(p_fwe, dtype=np.float64)
    # What is left of alpha after the correction, for the uncorrected p of the prevalence null.
    left = np.maximum((alpha - p_fwe) / np.maximum(1.0 - p_fwe, np.finfo(float).tiny), 0.0)
    root, limit = p ** (1.0 / n_participants), left ** (1.0 / n_participants)
    gamma = (limit - root) / np.maximum(1.0 - root, np.finfo(float).tiny)
    return np.where((p_fwe < alpha) & (gamma >= 0), gamma, np.nan)
