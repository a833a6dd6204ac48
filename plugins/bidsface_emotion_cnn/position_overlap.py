"""How well the positions that matter most agree with a region."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from bidsface_emotion_cnn.positions import BoxGrid, Positions

Mask = NDArray[np.bool_]


def dice(grid: BoxGrid, positions: Positions, truth: Mask, within: Mask | None = None) -> float:
    """Return Dice's coefficient of the voxels that boxes cover with those of a mask.

    ``2 |A n B| / (|A| + |B|)`` (Dice 1945, Ecology 26:297-302); NaN where both are empty.

    Parameters
    ----------
    grid : BoxGrid
    positions : ndarray of int
    truth : ndarray of the volume's shape, bool
    within : ndarray of the volume's shape, bool, optional
        Voxels that count at all, such as the brain.
    """
    covered = grid.covered(positions)
    if within is not None:
        covered, truth = covered & within, truth & within
    size = np.count_nonzero(covered) + np.count_nonzero(truth)
    return 2.0 * np.count_nonzero(covered & truth) / size if size else float("nan")


@dataclass(frozen=True)
class Chance:
    """Dice's coefficient of random positions: mean and 95th percentile over draws."""

    mean: float
    upper: float


def chance_dice(
    grid: BoxGrid,
    n_top: int,
    truth: Mask,
    inside: NDArray[np.bool_],
    seed: np.random.SeedSequence,
    n_draws: int = 200,
    within: Mask | None = None,
) -> Chance:
    """Return what `dice` would be if the positions were drawn at random.

    Random positions are scattered, while those of a map lie in clusters: a map that knows nothing
    of the region has about this mean, but varies more than ``upper`` tells.

    Parameters
    ----------
    grid : BoxGrid
    n_top : int
        Positions in a draw (all of those inside, where there are fewer).
    truth : ndarray of the volume's shape, bool
    inside : ndarray of shape (n_positions,), bool
        Positions to draw from.
    seed : SeedSequence
    n_draws : int
    within : ndarray of the volume's shape, bool, optional
        As for `dice`.
    """
    generator = np.random.default_rng(seed)
    candidates = np.flatnonzero(inside)
    n = min(n_top, len(candidates))
    drawn = [
        dice(grid, generator.choice(candidates, n, replace=False), truth, within)
        for _ in range(n_draws)
    ]
    return Chance(float(np.mean(drawn)), float(np.quantile(drawn, 0.95)))


LEAST_INSIDE = 0.9
"""Part of a mask that has to be left in the brain where it is moved to."""


@dataclass(frozen=True)
class Displaced:
    """Dice's coefficient with a mask where it is, and wherever else it fits.

    Attributes
    ----------
    dice : float
    mean, upper : float
        Mean and 95th percentile over all places.
    p : float
        Share of the places, its own included, where the mask agrees at least as well. NaN where
        there is nothing to compare.
    """

    dice: float
    mean: float
    upper: float
    p: float


def displaced_dice(grid: BoxGrid, positions: Positions, truth: Mask, within: Mask) -> Displaced:
    """Compare positions with a mask, and with the same mask moved over the brain.

    Boxes of a smooth map lie in clusters, which random positions do not: where they agree with a
    mask by luck they do so by much. A mask that is moved by whole voxels, and mirrored along any
    of the axes, keeps its shape, and the map stays as it is: where the map has nothing to do with
    the mask, its own place is one of many.

    Parameters
    ----------
    grid : BoxGrid
    positions : ndarray of int
    truth : ndarray of the volume's shape, bool
    within : ndarray of the volume's shape, bool
        The brain. A place counts if at least `LEAST_INSIDE` of the mask lie in it.
    """
    covered, mask = grid.covered(positions) & within, truth & within
    own = dice(grid, positions, truth, within)
    if not covered.any() or not mask.any():
        return Displaced(own, float("nan"), float("nan"), float("nan"))
    found = []
    for signs in product((1, -1), repeat=3):
        mirrored = mask[tuple(slice(None, None, sign) for sign in signs)]
        # Convolution with a mask that is reversed counts what it has in common, at every place.
        common, left = (
            np.rint(fftconvolve(image.astype(float), mirrored[::-1, ::-1, ::-1].astype(float)))
            for image in (covered, within)
        )
        fits = left >= LEAST_INSIDE * mask.sum()
        found.append(2.0 * common[fits] / (covered.sum() + left[fits]))
    every = np.concatenate(found)
    p = float((every >= own - 1e-9).mean())
    return Displaced(own, float(every.mean()), float(np.quantile(every, 0.95)), p)
