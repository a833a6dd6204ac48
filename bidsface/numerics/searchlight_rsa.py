"""Similarity of the RDMs of all spheres of a mask to models, in blocks of spheres and orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidsface.numerics.dissimilarity import count_conditions
from bidsface.numerics.map_tests import MapTest, Run, blocks
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
"""Spheres whose similarity is computed at once."""

VALUES = 2**21
"""Permuted similarities that a piece of work holds at once."""

PERMUTED = 2**24
"""Numbers of permuted models that are held at once. Vectors of the spheres are made anew for every
piece of orders, rather than held for all spheres, so pieces have to be large.
"""


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
    size = max(1, PERMUTED // (len(vector) * (1 if together else len(rdms))))
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
