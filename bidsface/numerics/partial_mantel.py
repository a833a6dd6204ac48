"""Partial Mantel tests: the similarity of RDMs given others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bidsface.numerics.mantel import MantelTest, Tail, check_pair, run_test
from bidsface.numerics.rdm_statistics import STATISTICS, Seed, Statistic, lookup_of, reorder
from bidsface.statistics import TIE

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def partial_similarities(
    first: ArrayLike, second: ArrayLike, controls: ArrayLike, statistic: str = "pearson"
) -> Floats:
    """Return the partial correlation of RDMs with another one, given controls.

    Parameters
    ----------
    first : array of shape (n_rdms, n_pairs)
    second : array of shape (n_pairs,)
    controls : array of shape (n_controls, n_pairs) or (n_pairs,)
    statistic : {"pearson", "spearman"}

    Returns
    -------
    ndarray of shape (n_rdms,)
        NaN where the controls leave nothing of an RDM.
    """
    own = _statistic(statistic)
    basis = _basis(own.standardize(np.atleast_2d(np.asarray(controls, np.float64))))
    rdms, model = (
        _residual(own.standardize(np.atleast_2d(np.asarray(one, np.float64))), basis)
        for one in (first, second)
    )
    return np.asarray(rdms @ model[0])


def partial_mantel_test(
    first: ArrayLike,
    second: ArrayLike,
    controls: ArrayLike,
    *,
    statistic: str = "pearson",
    n_permutations: int = 10_000,
    seed: Seed,
    tail: Tail = "greater",
) -> MantelTest:
    """Test the partial correlation of RDMs given others, by permuting the conditions of residuals.

    What the controls explain of the second RDM stays where it is, and its residuals are permuted
    (Freedman and Lane 1983; Legendre 2000, J Stat Comput Simul 67:37-73). Unlike `mantel_test` this
    is exact for many conditions only.

    Parameters
    ----------
    first : array of shape (n_pairs,) or (n_rdms, n_pairs)
        As for `mantel_test`.
    second : array of shape (n_pairs,)
    controls : array of shape (n_controls, n_pairs) or (n_pairs,)
    statistic : {"pearson", "spearman"}
        ``spearman``: partial correlation of ranks.
    n_permutations, seed, tail
        As for `mantel_test`.

    Returns
    -------
    MantelTest
        NaN where the controls leave nothing of an RDM.

    Raises
    ------
    ValueError
        If the RDMs do not fit together, some lack pairs, or the statistic has no partial form.
    """
    own = _statistic(statistic)
    rdms, model = np.atleast_2d(np.asarray(first, np.float64)), np.asarray(second, np.float64)
    others = np.atleast_2d(np.asarray(controls, np.float64))
    n_conditions = check_pair(rdms, model)
    if others.shape[1] != len(model) or not np.isfinite([*rdms, *others]).all():
        raise ValueError("partial correlations need all pairs of all RDMs")
    basis = _basis(own.standardize(others))
    left = _residual(own.standardize(rdms), basis)
    mean = left.mean(axis=0)
    residual = _left_over(own.standardize(model), basis)
    lookup = lookup_of(n_conditions)

    def statistics(orders: Indices) -> tuple[Floats, NDArray[np.bool_]]:
        permuted = residual[reorder(orders, lookup)]
        along = permuted @ basis.T
        length = np.sqrt(np.maximum((permuted**2).sum(axis=1) - (along**2).sum(axis=1), 0.0))
        product = permuted @ mean
        r = np.divide(product, length, out=np.full(len(product), np.nan), where=length > TIE)
        return r, np.asarray((np.abs(permuted - residual) <= TIE).all(axis=1))

    return run_test(statistics, n_conditions, n_permutations, seed, tail, len(mean))


def _statistic(name: str) -> Statistic:
    if name not in ("pearson", "spearman"):
        raise ValueError(f"partial correlations are pearson or spearman, found {name}")
    return STATISTICS[name]


def _basis(controls: Floats) -> Floats:
    """Return an orthonormal basis of centred controls, (rank, n_pairs)."""
    if np.isnan(controls).any():
        raise ValueError("a control RDM does not vary")
    _, sizes, basis = np.linalg.svd(controls, full_matrices=False)
    return basis[sizes > 1e-10 * sizes[0]]


def _left_over(values: Floats, basis: Floats) -> Floats:
    """Return what a basis leaves of values of length 1; NaN where that is nothing."""
    residual = values - (values @ basis.T) @ basis
    length = np.linalg.norm(residual, axis=-1, keepdims=True)
    return np.where(length > 1e-9, residual, np.nan)


def _residual(values: Floats, basis: Floats) -> Floats:
    residual = _left_over(values, basis)
    return residual / np.linalg.norm(residual, axis=-1, keepdims=True)
