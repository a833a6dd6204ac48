"""Bootstrap and jackknife of coefficients over participants, without a map for every resample.

The coefficients of voxels are ``X.T @ a`` with one weight ``a`` per image. Means and covariances of
these few hundred weights give mean and variance of every voxel's coefficient: the variance of voxel
v is ``x_v' Cov(a) x_v``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface.numerics.linear import Floats
from bidsface.statistics import fdr
from bidsface_facs.components import principal_components
from bidsface_facs.inference import Run
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.shuffles import child_seed

BLOCK = 100
"""Resamples at a time."""
VOXELS = 8192
"""Voxels at a time."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Weights of images: those of all participants, and their moments over resamples.

    Attributes
    ----------
    observed : ndarray of shape (n_images,)
        Fitted to all participants once.
    mean : ndarray of shape (n_images,)
        Over resamples.
    factor : ndarray of shape (n_images, r)
        ``factor @ factor.T`` is the covariance of the weights' sampling errors.
    n_resamples : int
    """

    observed: Floats
    mean: Floats
    factor: Floats
    n_resamples: int


@dataclass(frozen=True, eq=False)
class Resampling(ABC):
    """A regression on components, to be fitted to resampled participants.

    Attributes
    ----------
    gram : ndarray of shape (n_images, n_images)
        Inner products of all images.
    participants : ndarray of shape (n_images,)
    values : ndarray of shape (n_images,)
        Target in the scale that the regression sees.
    regressor : ComponentRegressor
        With options that stay the same in all resamples.
    variance : float or None
        Share of the variance that components keep, of every resample anew.
    """

    gram: Floats
    participants: NDArray[Any]
    values: Floats
    regressor: ComponentRegressor
    variance: float | None

    @abstractmethod
    def counts(self, number: int) -> Floats:
        """Return how often a resample has every image, (n_images,)."""

    def weights(self, counts: Floats | None = None) -> Floats:
        """Return the weights of images (n_images,) of a fit to repeated images."""
        every = np.arange(len(self.gram))
        components = principal_components(self.gram, every, every[:0], self.variance, counts)
        fitted = self.regressor.fit(components, self.values[:, None])
        return components.dual(fitted.coef)[:, 0]

    def __call__(self, block: tuple[int, int]) -> Floats:
        """Return the weights of some resamples, (n_images, n)."""
        first, n = block
        every = [self.weights(self.counts(number)) for number in range(first, first + n)]
        return np.column_stack(every)

    def moments(self, n: int, scale: float, block_size: int, run: Run) -> Moments:
        """Return moments over n resamples.

        Parameters
        ----------
        n : int
        scale : float
            By which squared deviations from the mean, summed over resamples, are multiplied.
        block_size, run
            As for `bootstrap`.
        """
        observed = self.weights()
        size = len(observed)
        first, second = np.zeros(size), np.zeros((size, size))
        blocks = [(start, min(block_size, n - start)) for start in range(0, n, block_size)]
        for block in run(self, blocks):
            # Around the observed weights, which are near the mean, nothing cancels.
            away = block - observed[:, None]
            first += away.sum(axis=1)
            second += away @ away.T
        squares, vectors = np.linalg.eigh(scale * (second - np.outer(first, first) / n))
        kept = squares > max(squares[-1], 0.0) * size * np.finfo(np.float64).eps
        factor = vectors[:, kept] * np.sqrt(squares[kept])
        return Moments(observed, observed + first / n, factor, n)


@dataclass(frozen=True, eq=False)
class Drawn(Resampling):
    """As many participants as there are, drawn with replacement.

    Attributes
    ----------
    seed : SeedSequence
        Every resample has a stream of its own.
    """

    seed: np.random.SeedSequence

    def counts(self, number: int) -> Floats:
        """Return how often a resample has every image: as often as it drew its participant."""
        names, codes = np.unique(self.participants, return_inverse=True)
        rng = np.random.default_rng(child_seed(self.seed, number))
        drawn = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        return drawn[codes].astype(np.float64)


@dataclass(frozen=True, eq=False)
class LeftOut(Resampling):
    """All participants but one."""

    def counts(self, number: int) -> Floats:
        """Return 0 for the images of one participant, and 1 for all others."""
        left_out = np.unique(self.participants)[number]
        return (self.participants != left_out).astype(np.float64)


def bootstrap(
    gram: Floats,
    participants: NDArray[Any],
    values: Floats,
    regressor: ComponentRegressor,
    variance: float | None,
    n_bootstraps: int,
    seed: np.random.SeedSequence,
    *,
    block_size: int = BLOCK,
    run: Run = map,
) -> Moments:
    """Resample participants, find components and regress anew, and keep moments of the weights.

    A participant is drawn with all of its images, which resemble each other (cluster bootstrap;
    Davison and Hinkley 1997, section 3.8). Weights, not maps, are accumulated: the cost does not
    depend on the number of voxels.

    Where the penalty is weak for the number of images, z is too large: a model that nearly fits
    every image does not notice repeats of them, and the coefficients of resampled people scatter
    less than those of new people would (El Karoui and Purdom 2018, J Mach Learn Res 19:1).
    `jackknife` does not have this flaw.

    Parameters
    ----------
    gram : ndarray of shape (n_images, n_images)
    participants : ndarray of shape (n_images,)
    values : ndarray of shape (n_images,)
        Target in the scale that the regression sees.
    regressor : ComponentRegressor
    variance : float or None
    n_bootstraps : int
        At least 2.
    seed : SeedSequence
        Every resample has a stream of its own.
    block_size : int
        Resamples at a time; changes nothing but memory.
    run : callable
        As for `inference.permutation_tests`.

    Raises
    ------
    ValueError
        With fewer than two resamples or participants.
    """
    n_participants = len(np.unique(participants))
    if n_bootstraps < 2 or n_participants < 2:
        raise ValueError(
            f"a bootstrap needs 2 resamples and 2 participants at least, found {n_bootstraps} and "
            f"{n_participants}"
        )
    drawn = Drawn(gram, participants, values, regressor, variance, seed)
    return drawn.moments(n_bootstraps, 1 / (n_bootstraps - 1), block_size, run)


def jackknife(
    gram: Floats,
    participants: NDArray[Any],
    values: Floats,
    regressor: ComponentRegressor,
    variance: float | None,
    *,
    block_size: int = BLOCK,
    run: Run = map,
) -> Moments:
    """Leave out every participant in turn, and keep moments of the weights.

    The covariance is ``(n - 1) / n`` times the sum over participants (Efron and Stein 1981, Ann
    Stat 9:586, who show that it is too large rather than too small). Fits to all participants but
    one are like the fit to all, whatever the penalty, which bootstraps are not.

    Parameters
    ----------
    gram, participants, values, regressor, variance, block_size, run
        As for `bootstrap`.

    Raises
    ------
    ValueError
        With fewer than three participants.
    """
    n = len(np.unique(participants))
    if n < 3:
        raise ValueError(f"a jackknife needs 3 participants at least, found {n}")
    left_out = LeftOut(gram, participants, values, regressor, variance)
    return left_out.moments(n, (n - 1) / n, block_size, run)


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
    z = np.divide(observed, sd, out=np.full_like(observed, np.nan), where=sd > 0)
    p = 2 * stats.norm.sf(np.abs(z))
    return CoefficientMaps(observed, mean, sd, z, p, fdr(p))


def _parts(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
