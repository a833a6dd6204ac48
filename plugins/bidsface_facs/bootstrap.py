"""Bootstrap and jackknife of coefficients over participants, without a map for every resample.

The coefficients of voxels are ``X.T @ a`` with one weight ``a`` per image. Means and covariances of
these few hundred weights give mean and variance of every voxel's coefficient: the variance of voxel
v is ``x_v' Cov(a) x_v``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface.numerics.seeds import child_seed
from bidsface_facs.components import principal_components
from bidsface_facs.inference import Run
from bidsface_facs.regressors import ComponentRegressor

BLOCK = 100
"""Resamples at a time."""


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
    """

    observed: Floats
    mean: Floats
    factor: Floats


@dataclass(frozen=True, eq=False)
class Resampling(ABC):
    """Regressions on components, to be fitted to resampled participants.

    Attributes
    ----------
    gram : ndarray of shape (n_images, n_images)
        Inner products of all images.
    participants : ndarray of shape (n_images,)
    values : ndarray of shape (n_images,)
        Target in the scale that the regression sees.
    regressors : sequence of ComponentRegressor
        With options that stay the same in all resamples, whose components they share.
    variance : float or None
        Share of the variance that components keep, of every resample anew.
    """

    gram: Floats
    participants: NDArray[Any]
    values: Floats
    regressors: Sequence[ComponentRegressor]
    variance: float | None

    @abstractmethod
    def counts(self, number: int) -> Floats:
        """Return how often a resample has every image, (n_images,)."""

    def weights(self, counts: Floats | None = None) -> Floats:
        """Return the weights of images (n_regressors, n_images) of fits to repeated images."""
        every = np.arange(len(self.gram))
        components = principal_components(self.gram, every, every[:0], self.variance, counts)
        fits = [one.fit(components, self.values[:, None]) for one in self.regressors]
        return np.stack([components.dual(fit.coef)[:, 0] for fit in fits])

    def __call__(self, block: tuple[int, int]) -> Floats:
        """Return the weights of some resamples, (n_regressors, n_images, n)."""
        first, n = block
        every = [self.weights(self.counts(number)) for number in range(first, first + n)]
        return np.stack(every, axis=2)

    def moments(self, n: int, scale: float, block_size: int, run: Run) -> list[Moments]:
        """Return moments over n resamples, of every regression.

        Parameters
        ----------
        n : int
        scale : float
            By which squared deviations from the mean, summed over resamples, are multiplied.
        block_size, run
            As for `bootstrap`.
        """
        observed = self.weights()
        first = np.zeros_like(observed)
        second = np.zeros((*observed.shape, observed.shape[1]))
        blocks = [(start, min(block_size, n - start)) for start in range(0, n, block_size)]
        for block in run(self, blocks):
            # Around the observed weights, which are near the mean, nothing cancels.
            away = block - observed[:, :, None]
            first += away.sum(axis=2)
            second += away @ np.swapaxes(away, 1, 2)
        return [
            Moments(own, own + sums / n, _factor(scale * (squares - np.outer(sums, sums) / n)))
            for own, sums, squares in zip(observed, first, second, strict=True)
        ]


def _factor(covariance: Floats) -> Floats:
    """Return a matrix whose product with its transpose is a covariance."""
    squares, vectors = np.linalg.eigh(covariance)
    kept = squares > max(squares[-1], 0.0) * len(squares) * np.finfo(np.float64).eps
    return np.asarray(vectors[:, kept] * np.sqrt(squares[kept]))


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
    regressors: Sequence[ComponentRegressor],
    variance: float | None,
    n_bootstraps: int,
    seed: np.random.SeedSequence,
    *,
    block_size: int = BLOCK,
    run: Run = map,
) -> list[Moments]:
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
    regressors : sequence of ComponentRegressor
        They share the components of every resample.
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
    drawn = Drawn(gram, participants, values, regressors, variance, seed)
    return drawn.moments(n_bootstraps, 1 / (n_bootstraps - 1), block_size, run)


def jackknife(
    gram: Floats,
    participants: NDArray[Any],
    values: Floats,
    regressors: Sequence[ComponentRegressor],
    variance: float | None,
    *,
    block_size: int = BLOCK,
    run: Run = map,
) -> list[Moments]:
    """Leave out every participant in turn, and keep moments of the weights.

    The covariance is ``(n - 1) / n`` times the sum over participants (Efron and Stein 1981, Ann
    Stat 9:586, who show that it is too large rather than too small). Fits to all participants but
    one are like the fit to all, whatever the penalty, which bootstraps are not.

    Parameters
    ----------
    gram, participants, values, regressors, variance, block_size, run
        As for `bootstrap`.

    Raises
    ------
    ValueError
        With fewer than three participants.
    """
    n = len(np.unique(participants))
    if n < 3:
        raise ValueError(f"a jackknife needs 3 participants at least, found {n}")
    left_out = LeftOut(gram, participants, values, regressors, variance)
    return left_out.moments(n, (n - 1) / n, block_size, run)
