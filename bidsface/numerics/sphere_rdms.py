"""RDMs of all spheres of a mask, from sums over voxels: sparse products, in blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse import csr_array

from bidsface.numerics.dissimilarity import pairs_of
from bidsface.numerics.map_tests import Run, blocks
from bidsface.numerics.neighbourhoods import Spheres, renumber

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CENTRES = 2048
"""Spheres of one piece of work."""

PAIRS = 256
"""Pairs of conditions that it computes at once."""

OfPairs = Callable[[Indices, Indices], Floats]


@dataclass(frozen=True, eq=False)
class SphereRdms:
    """RDMs of spheres from sums, over the voxels of each sphere, of what every voxel has.

    What voxels have is made for the voxels around some centres and for some pairs at a time: with
    many conditions there are thousands of pairs.

    Attributes
    ----------
    spheres : Spheres
    patterns : sequence of array of shape (n_voxels, n_conditions) or (n_voxels, n_folds, ...)
        The RDM of a sphere is the mean over them.
    dissimilarity : str
    """

    spheres: Spheres
    patterns: Sequence[Floats]
    dissimilarity: str

    @property
    def n_pairs(self) -> int:
        """Number of pairs of conditions."""
        n = self.patterns[0].shape[-1]
        return n * (n - 1) // 2

    def __call__(self, centres: Indices) -> Floats:
        """Return the RDMs around some voxels, (n_centres, n_pairs); NaN where there is none."""
        voxels, members = renumber(self.spheres.members(centres), self.spheres.n_voxels)
        inside = members < len(voxels)
        starts = np.concatenate([[0], inside.sum(axis=1).cumsum()])
        shape = (len(centres), len(voxels))
        sphere = csr_array((np.ones(starts[-1]), members[inside], starts), shape=shape)
        sizes = np.diff(starts)[:, None].astype(float)
        rows, columns = pairs_of(self.patterns[0].shape[-1])
        found = np.zeros((len(centres), len(rows)))
        for own in self.patterns:
            of_pairs = DISSIMILARITIES[self.dissimilarity](sphere, own[voxels], sizes)
            for some in blocks(len(rows), PAIRS):
                found[:, some] += of_pairs(rows[some], columns[some])
        found /= len(self.patterns)
        return found


def sphere_rdms(spheres: Spheres, patterns: ArrayLike, dissimilarity: str) -> SphereRdms:
    """Return the RDMs of all spheres, to be computed where they are asked for.

    They are those of `bidsface.numerics.dissimilarity` of the voxels of each sphere. Of the
    correlation of two patterns a sphere only needs sums over its voxels: of every pattern, its
    square, and the products of pairs; squared distances and cross-validated ones are sums over
    voxels by themselves.

    Parameters
    ----------
    spheres : Spheres
    patterns : array of shape (n_conditions, n_voxels)
        Or (n_draws, n_conditions, n_voxels), for the mean RDM of several sets of patterns;
        ``crossnobis``: (n_folds, n_conditions, n_voxels). Divide voxels by the standard deviation
        of their noise before; a covariance of its own for every sphere is not offered.
    dissimilarity : {"correlation", "euclidean", "crossnobis"}
    """
    values = np.asarray(patterns, np.float64)
    if dissimilarity == "correlation":
        # A level that all voxels share drops out, but costs digits.
        values = values - values.mean(axis=-1, keepdims=True)
    each = [values] if values.ndim == 2 or dissimilarity == "crossnobis" else list(values)
    by_voxel = [np.ascontiguousarray(np.moveaxis(own, -1, 0)) for own in each]
    return SphereRdms(spheres, by_voxel, dissimilarity)


def all_sphere_rdms(
    found: SphereRdms, run: Run = map, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Return the RDMs of all spheres, (n_voxels, n_pairs).

    ``run`` applies a function to items, in threads where it wants to. With many conditions single
    precision (``dtype``) halves what is by far the largest array.
    """
    every = np.empty((found.spheres.n_voxels, found.n_pairs), dtype)

    def fill(part: slice) -> None:
        every[part] = found(np.arange(part.start, part.stop))

    list(run(fill, list(blocks(len(every), CENTRES))))
    return every


def _correlation(sphere: csr_array, values: Floats, sizes: Floats) -> OfPairs:
    """Return 1 - r from sums of patterns, of their squares and of their products."""
    total, squares = np.asarray(sphere @ values), np.asarray(sphere @ values**2)
    variances = squares - total**2 / sizes
    # Rounding leaves a little of patterns that do not vary within a sphere.
    flat = variances <= 1e-12 * squares
    scale = np.sqrt(np.where(flat, np.nan, variances))

    def of_pairs(rows: Indices, columns: Indices) -> Floats:
        products = np.asarray(sphere @ (values[:, rows] * values[:, columns]))
        covariances = products - total[:, rows] * total[:, columns] / sizes
        return np.asarray(1.0 - covariances / (scale[:, rows] * scale[:, columns]))

    return of_pairs


def _euclidean(sphere: csr_array, values: Floats, sizes: Floats) -> OfPairs:
    def of_pairs(rows: Indices, columns: Indices) -> Floats:
        squared = (values[:, rows] - values[:, columns]) ** 2
        return np.asarray(sphere @ squared) / sizes

    return of_pairs


def _crossnobis(sphere: csr_array, values: Floats, sizes: Floats) -> OfPairs:
    """Return the mean product of differences in two different folds."""

    def of_pairs(rows: Indices, columns: Indices) -> Floats:
        differences = values[..., rows] - values[..., columns]  # voxel, fold, pair
        known = ~np.isnan(differences)
        differences = np.where(known, differences, 0.0)
        n = known.sum(axis=1)
        products = differences.sum(axis=1) ** 2 - (differences**2).sum(axis=1)
        mean = np.divide(products, n * (n - 1), out=np.full_like(products, np.nan), where=n > 1)
        return np.asarray(sphere @ mean) / sizes

    return of_pairs


DISSIMILARITIES: Mapping[str, Callable[[csr_array, Floats, Floats], OfPairs]] = {
    "correlation": _correlation,
    "euclidean": _euclidean,
    "crossnobis": _crossnobis,
}
"""From which voxels a sphere has, their patterns and sizes of spheres to dissimilarities."""
