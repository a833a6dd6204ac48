"""Tested coefficients of voxels, from moments of weights of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface.numerics.linear import Floats
from bidsface.statistics import fdr
from bidsface_facs.bootstrap import Moments

VOXELS = 8192
"""Voxels at a time."""


@dataclass(frozen=True, eq=False)
class CoefficientMaps:
    """Coefficients of voxels; every array (n_voxels,).

    Attributes
    ----------
    observed : ndarray
        Of the model that was fitted to all participants.
    mean, sd : ndarray
        Of the weights' moments: over resamples, and of sampling errors.
    z : ndarray
        Observed over sd; NaN where images do not vary, or resamples agree.
    p : ndarray
        Two-tailed, by the normal distribution.
    p_fdr : ndarray
        Adjusted over voxels.
    """

    observed: Floats
    mean: Floats
    sd: Floats
    z: Floats
    p: Floats
    p_fdr: Floats


def coefficient_maps(
    moments: Moments, X: NDArray[np.floating], block_size: int = VOXELS
) -> CoefficientMaps:
    """Turn weights of images into maps.

    Parameters
    ----------
    moments : Moments
    X : ndarray of shape (n_images, n_voxels)
        The images whose inner products the weights come from.
    block_size : int
        Voxels at a time; changes nothing but memory.
    """
    observed, mean, sd = np.empty((3, X.shape[1]))
    for part in _parts(X.shape[1], block_size):
        images = np.asarray(X[:, part], dtype=np.float64)
        observed[part], mean[part] = moments.observed @ images, moments.mean @ images
        spread = np.linalg.norm(moments.factor.T @ images, axis=0)
        rounding = 1e-12 * np.abs(images).max(axis=0, initial=0.0)
        sd[part] = np.where(images.std(axis=0) > rounding, spread, 0.0)
    return _tested(observed, mean, sd)


def with_larger_sd(one: CoefficientMaps, other: CoefficientMaps) -> CoefficientMaps:
    """Test the first maps' coefficients by the larger of two standard deviations in every voxel.

    Of bootstrap and jackknife, for example: the former is too small where the penalty is weak.
    """
    return _tested(one.observed, one.mean, np.maximum(one.sd, other.sd))


def _tested(observed: Floats, mean: Floats, sd: Floats) -> CoefficientMaps:
    z = np.divide(observed, sd, out=np.full_like(observed, np.nan), where=sd > 0)
    p = 2 * stats.norm.sf(np.abs(z))
    return CoefficientMaps(observed, mean, sd, z, p, fdr(p))


def _parts(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
