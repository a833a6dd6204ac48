"""Maps of classes that have nothing in common, as smooth as real ones, and their top positions.

Positions next to each other lower a class's probability together, since boxes and the receptive
fields of a network overlap. Values that are shuffled one by one lose that, and whatever is measured
of them differs from the real maps for this reason alone. Top positions have to be chosen anew, too:
positions that were chosen for the drops of one class differ from those of another by that alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bidsface.numerics.seeds import child_seed
from bidsface_emotion_cnn.clusters import set_p
from bidsface_emotion_cnn.embedding import top_vectors
from bidsface_emotion_cnn.positions import Positions, top_positions

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

WIDEST = 4.0
"""Standard deviation of the widest Gaussian that smooths a field further (positions)."""
N_STEPS = 10
"""Of the search for its width, to a thousandth of the widest."""


@dataclass(frozen=True, eq=False)
class Unrelated:
    """Top positions of unrelated maps, and their vectors (n_points, n_classes)."""

    positions: Positions
    vectors: Floats


@dataclass(frozen=True, eq=False)
class Sharing:
    """How many different positions the top ones of all classes are.

    Attributes
    ----------
    n_positions : int
        The fewer, the more do classes share.
    null : ndarray of shape (n_sets,)
        The same of unrelated maps.
    """

    n_positions: int
    null: NDArray[np.int64]

    @property
    def p(self) -> float:
        """How often unrelated maps share as many; NaN with fewer than 19 sets of them."""
        return set_p(-float(self.n_positions), -self.null.astype(np.float64))


def unrelated_tops(
    maps: Floats,
    grid_shape: tuple[int, int, int],
    inside: Mask | None,
    top: int,
    n_sets: int,
    seed: np.random.SeedSequence,
) -> list[Unrelated]:
    """Return the top positions of sets of unrelated maps.

    Parameters
    ----------
    maps : ndarray of shape (n_classes, n_positions)
        NaN for a class without any.
    grid_shape : tuple of three ints
    inside : ndarray of shape (n_positions,), bool, or None
        Positions that may be top ones; all of them for None.
    top : int
        Positions per class.
    n_sets : int
    seed : SeedSequence
    """
    allowed = np.ones(maps.shape[1], bool) if inside is None else inside
    found = []
    for number in range(n_sets):
        own = unrelated_maps(maps, grid_shape, allowed, child_seed(seed, number))
        found.append(Unrelated(*top_vectors(own, top_positions(own, top, allowed))))
    return found


def unrelated_maps(
    maps: Floats,
    grid_shape: tuple[int, int, int],
    allowed: Mask,
    seed: np.random.SeedSequence,
) -> Floats:
    """Return maps with the values and the smoothness of others, each put together independently.

    A field with the Fourier amplitudes of the map, its values made normal by their ranks, and with
    random phases (Theiler et al. 1992, Physica D 58:77-94) is smoothed until neighbours are as
    alike as in the map, which the edge of the brain takes from it (as Burt et al. 2020, NeuroImage
    220:117038, match variograms); the map's values are then put in its order.

    Parameters
    ----------
    maps : ndarray of shape (n_classes, n_positions)
        Maps with NaN, or with one value only, stay as they are.
    grid_shape : tuple of three ints
        Positions along the axes.
    allowed : ndarray of shape (n_positions,), bool
        Positions whose values are put together anew; the others keep theirs.
    seed : SeedSequence
    """
    places = _Places(grid_shape, allowed)
    found = np.array(maps, dtype=np.float64)
    for code, values in enumerate(found):
        own = values[allowed]
        if len(own) and np.isfinite(own).all() and np.ptp(own) > 0:
            rng = np.random.default_rng(child_seed(seed, code))
            found[code, allowed] = np.sort(own)[_unrelated_ranks(own, places, rng)]
    return found


class _Places:
    """Where the allowed positions lie, and which of them are neighbours."""

    def __init__(self, grid_shape: tuple[int, int, int], allowed: Mask) -> None:
        self.shape, self.allowed = grid_shape, allowed
        number = np.full(len(allowed), -1)
        number[allowed] = np.arange(int(allowed.sum()))
        volume = number.reshape(grid_shape)
        ends = [
            (np.delete(volume, -1, axis).ravel(), np.delete(volume, 0, axis).ravel())
            for axis in range(3)
        ]
        one, other = (np.concatenate(side) for side in zip(*ends, strict=True))
        both = (one >= 0) & (other >= 0)
        self.first, self.second = one[both], other[both]
        axes = [np.fft.fftfreq(n) for n in grid_shape[:2]] + [np.fft.rfftfreq(grid_shape[2])]
        self.squares = sum(np.square(axis) for axis in np.meshgrid(*axes, indexing="ij"))

    def spectrum(self, values: Floats) -> NDArray[np.complex128]:
        volume = np.zeros(len(self.allowed))
        volume[self.allowed] = values
        return np.asarray(np.fft.rfftn(volume.reshape(self.shape)))

    def field(self, spectrum: NDArray[np.complex128], width: float) -> Floats:
        """Return the values of a field, smoothed by a Gaussian."""
        smoothed = spectrum * np.exp(-2 * (np.pi * width) ** 2 * self.squares)
        volume = np.fft.irfftn(smoothed, self.shape, axes=(0, 1, 2))
        return np.asarray(volume.ravel()[self.allowed])

    def likeness(self, scores: Floats) -> float:
        """Return how alike neighbours are: the mean product of their normal scores."""
        return float(np.mean(scores[self.first] * scores[self.second]))


def _unrelated_ranks(values: Floats, places: _Places, rng: np.random.Generator) -> Positions:
    n = len(values)
    normal = special.ndtri((np.arange(n) + 0.5) / n)
    # Equal values, such as those of boxes that change nothing, have no order of their own.
    mixed = rng.permutation(n)
    scores = np.empty(n)
    scores[mixed] = normal[_ranks(values[mixed])]
    noise = np.fft.rfftn(rng.standard_normal(places.shape))
    phases = noise / np.maximum(np.abs(noise), np.finfo(float).tiny)
    spectrum = np.abs(places.spectrum(scores)) * phases
    if not len(places.first):
        return _ranks(places.field(spectrum, 0.0))
    wanted, low, high = places.likeness(scores), 0.0, WIDEST
    for _ in range(N_STEPS):
        width = 0.5 * (low + high)
        rough = places.likeness(normal[_ranks(places.field(spectrum, width))]) < wanted
        low, high = (width, high) if rough else (low, width)
    return _ranks(places.field(spectrum, low))


def _ranks(values: Floats) -> Positions:
    """Return ranks from 0; of equal values the first comes first."""
    ranks = np.empty(len(values), dtype=np.intp)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks
