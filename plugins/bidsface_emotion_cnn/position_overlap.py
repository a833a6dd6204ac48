"""How well the positions that matter most agree with a region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
