"""Comparison of RDMs: everything at hand in one place, and how similar noise lets them be.

`bidsface.numerics.rdm_statistics` defines similarities, `bidsface.numerics.mantel` and
`bidsface.numerics.partial_mantel` test them, `bidsface.numerics.rdm_bootstrap` has their intervals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bidsface.numerics.mantel import MantelTest, mantel_test
from bidsface.numerics.partial_mantel import partial_mantel_test, partial_similarities
from bidsface.numerics.rdm_bootstrap import Comparison, bootstrap_comparison
from bidsface.numerics.rdm_statistics import (
    FEWEST_PAIRS,
    STATISTICS,
    Statistic,
    compare_rdms,
    condition_orders,
)

__all__ = [
    "STATISTICS",
    "Comparison",
    "MantelTest",
    "Statistic",
    "bootstrap_comparison",
    "compare_rdms",
    "condition_orders",
    "mantel_test",
    "noise_ceiling",
    "partial_mantel_test",
    "partial_similarities",
]


def noise_ceiling(rdms: ArrayLike, statistic: str = "pearson") -> tuple[float, float]:
    """Return how similar to participants' RDMs a model can be, at least and at most.

    The best model is taken to be the mean of the participants' RDMs, each standardized (z-scored,
    ranked or scaled, by the statistic): with the participant's own, the mean similarity is too
    high; without it, too low (Nili et al. 2014, PLoS Comput Biol 10:e1003553).

    Parameters
    ----------
    rdms : array of shape (n_participants, n_pairs)
        Pairs that anyone lacks (NaN) are left out.
    statistic : {"pearson", "spearman", "kendall", "cosine"}

    Returns
    -------
    lower, upper : float
        NaN with fewer than two participants or three pairs, or where someone's RDM is flat.
    """
    values = np.asarray(rdms, np.float64)
    values = values[:, ~np.isnan(values).any(axis=0)]
    if len(values) < 2 or values.shape[1] < FEWEST_PAIRS:
        return float("nan"), float("nan")
    own = STATISTICS[statistic]
    pooled, vectors = own.pooled(values), own.vectors(values)
    total = pooled.sum(axis=0)
    upper = float((vectors @ own.vectors(total / len(values))).mean())
    others = own.vectors((total - pooled) / (len(values) - 1))
    return float((vectors * others).sum(axis=1).mean()), upper
