"""Similarity of RDMs across parts of the data: a model's in one part, participants' in the others.

What is computed from volumes resembles them whatever it is, down to their noise: a random
projection has an RDM that is like that of the very volumes it was applied to. So the two RDMs that
are compared come from different volumes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.dissimilarity import count_conditions
from bidsface.numerics.mantel import MantelTest, run_test
from bidsface.numerics.rdm_comparison import noise_ceiling
from bidsface.numerics.rdm_statistics import FEWEST_PAIRS, STATISTICS, lookup_of, reorder

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

PEARSON = STATISTICS["pearson"]
SAME = 1e-12
"""RDMs whose standardized values differ by less are the same."""


def split_mantel(
    models: Floats,
    rdms: Floats,
    *,
    n_permutations: int,
    seed: np.random.SeedSequence,
) -> MantelTest | None:
    """Test whether a model's RDMs in some parts are like participants' RDMs of other volumes.

    The statistic is the mean of Pearson's r over participants and parts, a part counting by the
    pairs that its model knows. The orders of the classes are permuted in all of the participants'
    RDMs alike (Mantel 1967), so that these have to be from equal numbers of samples; the model's
    need not be.

    Parameters
    ----------
    models : ndarray of shape (n_parts, n_pairs)
        NaN for pairs that a part lacks; parts with fewer than three pairs are left out.
    rdms : ndarray of shape (n_parts, n_participants, n_pairs)
        Without missing pairs.
    n_permutations : int
        All orders where there are not more.
    seed : SeedSequence

    Returns
    -------
    MantelTest or None
        None where no part, or no participant, is left.
    """
    used = _used(models)
    if not len(used) or not rdms.shape[1]:
        return None
    n_classes = count_conditions(models.shape[1])
    lookup = lookup_of(n_classes)
    weights = np.isfinite(models[used]).sum(axis=1)
    weights = weights / weights.sum()
    means = PEARSON.vectors(rdms[used]).mean(axis=1)

    def statistics(orders: Indices) -> tuple[Floats, NDArray[np.bool_]]:
        index = reorder(orders, lookup)
        total = np.zeros(len(orders))
        same = np.ones(len(orders), dtype=bool)
        for weight, part, mean in zip(weights, used, means, strict=True):
            total += weight * _similarities(models[part], rdms[part], index)
            same &= (np.abs(mean[index] - mean) <= SAME).all(axis=1)
        return total, same

    size = models.shape[1] * rdms.shape[1]
    return run_test(statistics, n_classes, n_permutations, seed, "greater", size)


def _similarities(model: Floats, rdms: Floats, index: Indices) -> Floats:
    """Return the mean similarity of RDMs in other orders, (n_orders,), with a model."""
    known = np.isfinite(model)
    own = PEARSON.vectors(model[known])
    if known.all():
        return np.asarray(PEARSON.vectors(rdms).mean(axis=0)[index] @ own)
    total = np.zeros(len(index))
    for rdm in rdms:
        total += PEARSON.vectors(rdm[index[:, known]]) @ own
    return total / len(rdms)


def _used(models: Floats) -> Indices:
    return np.flatnonzero(np.isfinite(models).sum(axis=1) >= FEWEST_PAIRS)


def split_similarity(models: Floats, rdms: Floats) -> float:
    """Return the statistic of `split_mantel`; NaN where there is none."""
    used = _used(models)
    if not len(used) or not rdms.shape[1]:
        return float("nan")
    index = np.arange(models.shape[1])[None]
    values = [float(_similarities(models[part], rdms[part], index)[0]) for part in used]
    return float(np.average(values, weights=np.isfinite(models[used]).sum(axis=1)))


def split_ceiling(held_out: Floats, rdms: Floats, models: Floats) -> tuple[float, float]:
    """Return what the statistic of `split_mantel` could be.

    Parameters
    ----------
    held_out : ndarray of shape (n_parts, n_participants, n_pairs)
        Participants' RDMs in the parts themselves; NaN for pairs that they lack.
    rdms : ndarray of shape (n_parts, n_participants, n_pairs)
        Their RDMs of the other volumes, without missing pairs.
    models : ndarray of shape (n_parts, n_pairs)
        Whose pairs and parts count.

    Returns
    -------
    others, best : float
        The similarity of participants' RDMs with the mean RDM of all other participants in the
        part, in place of the model's; and with the best RDM that there is for the very RDMs that
        they are compared with, the mean of these (Nili et al. 2014, PLoS Comput Biol 10:e1003553),
        which no model exceeds. NaN with fewer than two participants; people whom nobody else can
        be compared with in a part do not count there.
    """
    used = _used(models)
    n = rdms.shape[1]
    if n < 2 or not len(used):
        return float("nan"), float("nan")
    lower, upper = [], []
    for part in used:
        known = np.isfinite(models[part])
        brains, own = held_out[part][:, known], rdms[part][:, known]
        others = [_mean_of(np.delete(brains, person, axis=0)) for person in range(n)]
        alike = (PEARSON.vectors(np.array(others)) * PEARSON.vectors(own)).sum(axis=1)
        lower.append(_average(alike, np.ones(n)))
        upper.append(noise_ceiling(own)[1])
    weights = np.isfinite(models[used]).sum(axis=1)
    return _average(np.array(lower), weights), _average(np.array(upper), weights)


def _average(values: Floats, weights: NDArray[np.number]) -> float:
    """Return the weighted mean of the values that are known; NaN where there is none."""
    known = np.isfinite(values)
    return float(np.average(values[known], weights=weights[known])) if known.any() else np.nan


def _mean_of(rdms: Floats) -> Floats:
    """Return the mean of complete RDMs; NaN where there is none."""
    complete = rdms[np.isfinite(rdms).all(axis=1)]
    return complete.mean(axis=0) if len(complete) else np.full(rdms.shape[1], np.nan)
