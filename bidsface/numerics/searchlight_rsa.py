"""RDMs of all spheres of a mask, and their similarity to models, as sparse and dense products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from bidsface.numerics.dissimilarity import count_conditions, pairs_of
from bidsface.numerics.map_tests import MapTest, Run, blocks
from bidsface.numerics.neighbourhoods import Spheres
from bidsface.numerics.rdm_statistics import (
    FEWEST_PAIRS,
    STATISTICS,
    Seed,
    condition_orders,
    is_exhaustive,
    lookup_of,
    reorder,
)
from bidsface.statistics import TIE

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CENTRES = 2048
"""Spheres of one piece of work."""

VALUES = 2**21
"""Permuted similarities that a piece of work holds at once."""


@dataclass(frozen=True, eq=False)
class SphereRdms:
    """RDMs of spheres from sums, over the voxels of each sphere, of what every voxel has.

    Attributes
    ----------
    spheres : Spheres
    terms : ndarray of shape (n_voxels, n_terms)
    finish : callable
        From sums (n_spheres, n_terms) and sizes (n_spheres, 1) to RDMs (n_spheres, n_pairs).
    """

    spheres: Spheres
    terms: Floats
    finish: Callable[[Floats, Floats], Floats]

    def __call__(self, centres: Indices) -> Floats:
        """Return the RDMs around some voxels, (n_centres, n_pairs); NaN where there is none."""
        members = self.spheres.members(centres)
        inside = members < self.spheres.n_voxels
        starts = np.concatenate([[0], inside.sum(axis=1).cumsum()])
        shape = (len(centres), self.spheres.n_voxels)
        sphere = csr_array((np.ones(starts[-1]), members[inside], starts), shape=shape)
        return self.finish(np.asarray(sphere @ self.terms), np.diff(starts)[:, None].astype(float))


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
        ``crossnobis``: (n_folds, n_conditions, n_voxels). Divide voxels by the standard deviation
        of their noise before; a covariance of its own for every sphere is not offered.
    dissimilarity : {"correlation", "euclidean", "crossnobis"}
    """
    terms, finish = TERMS[dissimilarity](np.asarray(patterns, np.float64))
    return SphereRdms(spheres, terms, finish)


def all_sphere_rdms(found: SphereRdms, run: Run = map) -> Floats:
    """Return the RDMs of all spheres, (n_voxels, n_pairs).

    ``run`` applies a function to items, in threads where it wants to.
    """
    parts = list(blocks(found.spheres.n_voxels, CENTRES))
    return np.concatenate(list(run(lambda part: found(np.arange(part.start, part.stop)), parts)))


def sphere_model_test(
    rdms: Sequence[NDArray[np.floating]],
    model: ArrayLike,
    *,
    statistic: str = "pearson",
    n_permutations: int = 10_000,
    seed: Seed,
    shared: bool = True,
    run: Run = map,
) -> MapTest:
    """Test in every sphere whether RDMs are like a model, by permuting the model's conditions.

    Corrected p-values compare with the largest similarity of any sphere in every order (Nichols and
    Holmes 2002, Hum Brain Mapp 15:1-25). All orders are used where there are not more of them.

    Parameters
    ----------
    rdms : sequence of array of shape (n_spheres, n_pairs)
        One for every participant; the statistic is the mean of their similarities with the model.
        The similarity is 0 in spheres whose RDM does not vary.
    model : array of shape (n_pairs,)
    statistic : {"pearson", "spearman", "kendall", "cosine"}
    n_permutations : int
    seed : SeedSequence or int
    shared : bool
        All participants share every order: the model could be of any order of the conditions, as in
        `mantel_test`. Else every participant has an order of its own, the observed one among them
        (Stelzer, Chen and Turner 2013, NeuroImage 65:69-82): nobody's RDM has anything to do with
        the conditions.
    run : callable
        Applies a function to parts of the spheres, in threads where it wants to.

    Raises
    ------
    ValueError
        If the model does not vary or does not fit the RDMs.
    """
    own, hypothesis = STATISTICS[statistic], np.asarray(model, np.float64)
    if hypothesis.shape != rdms[0].shape[1:] or len(hypothesis) < FEWEST_PAIRS:
        raise ValueError(f"a model of {hypothesis.shape} does not fit RDMs {rdms[0].shape}")
    vector = own.vectors(hypothesis)
    if not np.isfinite(vector).all():
        raise ValueError("the model does not vary, or lacks pairs")
    n_conditions, together = count_conditions(len(hypothesis)), shared or len(rdms) == 1
    observed = np.mean([sphere_similarities(one, hypothesis, statistic) for one in rdms], axis=0)
    exceeding, same = np.zeros(len(observed)), 0
    largest: list[Floats] = []
    size = max(1, VALUES // (len(vector) * (1 if together else len(rdms))))
    if together:
        pieces = _shared_orders(n_conditions, n_permutations, seed, size)
    else:
        pieces = _own_orders(n_conditions, len(rdms), n_permutations, seed, size)
    for orders in pieces:
        work = _Piece.of(rdms, hypothesis, statistic, orders, observed)
        step = max(1, VALUES // max(len(orders), len(vector)))
        found = list(run(work, list(blocks(len(observed), step))))
        exceeding += np.concatenate([one[0] for one in found])
        largest.append(np.maximum.reduce([one[1] for one in found]))
        same += work.same
    top = np.concatenate(largest)
    # Where all orders are there, the observed one is among them.
    beside = 0 if together and is_exhaustive(n_conditions, n_permutations) else 1
    n = beside + len(top)
    below = np.searchsorted(np.sort(top), observed - TIE, side="left")
    p, p_fwe = (beside + exceeding) / n, (n - below) / n
    return MapTest(observed, p, p_fwe, (beside + same) / n, top)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some orders of the conditions, for some of the spheres at a time.

    ``permuted``: vectors of the model in every order, (n_participants, n_orders, n), or those of
    one where all participants share them; ``same``: orders that leave the model as it is for all.
    """

    rdms: Sequence[NDArray[np.floating]]
    permuted: Floats
    statistic: str
    observed: Floats
    same: int

    @classmethod
    def of(
        cls,
        rdms: Sequence[NDArray[np.floating]],
        model: Floats,
        statistic: str,
        orders: Indices,
        observed: Floats,
    ) -> _Piece:
        """Permute the model; ``orders``: (n_orders, n_participants or 1, n_conditions)."""
        lookup = lookup_of(orders.shape[2])
        permuted = np.stack(
            [model[reorder(orders[:, number], lookup)] for number in range(orders.shape[1])]
        )
        same = (np.abs(permuted - model) <= TIE * np.abs(model).max()).all(axis=(0, 2))
        vectors = STATISTICS[statistic].vectors(permuted)
        return cls(rdms, vectors, statistic, observed, int(same.sum()))

    def __call__(self, spheres: slice) -> tuple[Floats, Floats]:
        """Return how many orders reach the observed similarity, and every order's largest one."""
        own = STATISTICS[self.statistic]
        vectors = [np.nan_to_num(own.vectors(one[spheres])) for one in self.rdms]
        if len(self.permuted) == 1:
            vectors = [np.mean(vectors, axis=0)]
        null = np.zeros((len(vectors[0]), self.permuted.shape[1]))
        for one, permuted in zip(vectors, self.permuted, strict=True):
            null += one @ permuted.T
        null /= len(vectors)
        reached = null >= self.observed[spheres, None] - TIE
        return reached.sum(axis=1).astype(np.float64), null.max(axis=0)


def _shared_orders(
    n_conditions: int, n_permutations: int, seed: Seed, size: int
) -> Iterator[Indices]:
    """Yield orders for all participants together, (n_orders, 1, n_conditions)."""
    for orders in condition_orders(n_conditions, n_permutations, seed, size):
        yield orders[:, None]


def _own_orders(
    n_conditions: int, n_participants: int, n_draws: int, seed: Seed, size: int
) -> Iterator[Indices]:
    """Yield random orders for every participant, (n_orders, n_participants, n_conditions)."""
    generator = np.random.default_rng(seed)
    for start in range(0, n_draws, size):
        shape = (min(size, n_draws - start) * n_participants, 1)
        drawn = generator.permuted(np.tile(np.arange(n_conditions), shape), axis=1)
        yield drawn.reshape(-1, n_participants, n_conditions)


def sphere_similarities(rdms: NDArray[np.floating], models: ArrayLike, statistic: str) -> Floats:
    """Return the similarity of every sphere's RDM with models.

    Parameters
    ----------
    rdms : array of shape (n_spheres, n_pairs)
    models : array of shape (n_models, n_pairs) or (n_pairs,)
    statistic : str

    Returns
    -------
    ndarray of shape (n_spheres, n_models), or (n_spheres,) for one model alone
        0 where an RDM does not vary.
    """
    own = STATISTICS[statistic]
    vectors = own.vectors(np.asarray(models, np.float64))
    parts = [
        np.nan_to_num(own.vectors(rdms[some])) @ vectors.T for some in blocks(len(rdms), CENTRES)
    ]
    return np.concatenate(parts)


Terms = tuple[Floats, Callable[[Floats, Floats], Floats]]


def _correlation_terms(patterns: Floats) -> Terms:
    """Return sums of patterns, of squares and of products; and 1 - r of them."""
    n = len(patterns)
    rows, columns = pairs_of(n)
    # A level that all voxels share drops out, but costs digits.
    centred = patterns - patterns.mean(axis=1, keepdims=True)
    terms = np.concatenate([centred, centred**2, centred[rows] * centred[columns]]).T

    def finish(sums: Floats, sizes: Floats) -> Floats:
        total, squares, products = np.split(sums, [n, 2 * n], axis=1)
        variances = squares - total**2 / sizes
        covariances = products - total[:, rows] * total[:, columns] / sizes
        # Rounding leaves a little of patterns that do not vary within a sphere.
        flat = variances <= 1e-12 * squares
        scale = np.sqrt(np.where(flat, np.nan, variances))
        return np.asarray(1.0 - covariances / (scale[:, rows] * scale[:, columns]))

    return np.ascontiguousarray(terms), finish


def _mean(sums: Floats, sizes: Floats) -> Floats:
    return sums / sizes


def _euclidean_terms(patterns: Floats) -> Terms:
    rows, columns = pairs_of(len(patterns))
    return np.ascontiguousarray(((patterns[rows] - patterns[columns]) ** 2).T), _mean


def _crossnobis_terms(patterns: Floats) -> Terms:
    """Return, per voxel and pair, the mean product of differences in two different folds."""
    rows, columns = pairs_of(patterns.shape[1])
    differences = patterns[:, rows] - patterns[:, columns]
    known = np.asarray(~np.isnan(differences).any(axis=2))
    differences = np.where(known[..., None], differences, 0.0)
    n = known.sum(axis=0)[:, None]
    products = differences.sum(axis=0) ** 2 - (differences**2).sum(axis=0)
    usable = n > 1
    mean = np.divide(products, n * (n - 1), out=np.full_like(products, np.nan), where=usable)
    return np.ascontiguousarray(mean.T), _mean


TERMS: Mapping[str, Callable[[Floats], Terms]] = {
    "correlation": _correlation_terms,
    "euclidean": _euclidean_terms,
    "crossnobis": _crossnobis_terms,
}
"""What every voxel adds to the RDM of a sphere, and what is made of the sums."""
