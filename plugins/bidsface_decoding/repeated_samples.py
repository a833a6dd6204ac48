"""Samples that belong to several pairs, which need to be multiplied once only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from bidsface.numerics.linear import Floats

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class RepeatedSamples:
    """Which rows of every view are the same sample.

    With P_m the matrix (n, n_distinct) of zeros and ones that tells which distinct sample of view m
    every row is:

    Attributes
    ----------
    first : ndarray of shape (n_views, n_distinct)
        Row in which every distinct sample is found first.
    which : ndarray of shape (n_views, n)
        Distinct sample of every row.
    counts : ndarray of shape (n_views, n_distinct)
        Rows of every distinct sample.
    incidence : sparse array of shape (n_views * n_distinct, n_views * n_distinct)
        In block (m, l) the P_m' P_l: how often two samples are a pair.
    """

    first: Indices
    which: Indices
    counts: Indices
    incidence: csr_array

    def reduce(self, grams: Floats) -> Floats:
        """Return the inner products (n_views, n_distinct, n_distinct) of distinct samples."""
        return np.stack(
            [gram[np.ix_(rows, rows)] for gram, rows in zip(grams, self.first, strict=True)]
        )

    def gather(self, values: Floats) -> Floats:
        """Return P_m' values, (n_views, n_distinct, k), for values of the rows, (n, k)."""
        totals = np.zeros((*self.first.shape, values.shape[1]))
        for total, rows in zip(totals, self.which, strict=True):
            np.add.at(total, rows, values)
        return totals

    def gather_sum(self, parts: Floats) -> Floats:
        """Return P_m' Z, (n_views, n_distinct, k), for Z the sum of P_l parts_l over views."""
        return (self.incidence @ parts.reshape(-1, parts.shape[2])).reshape(parts.shape)

    def divide(self, values: Floats) -> Floats:
        """Share what every sample has equally among its rows, (n_views, n, k)."""
        shares = values / self.counts[:, :, None]
        return np.take_along_axis(shares, self.which[:, :, None], axis=1)


def find_repeats(grams: Floats) -> RepeatedSamples | None:
    """Find the rows that are the same to the bit.

    Parameters
    ----------
    grams : ndarray of shape (n_views, n, n)

    Returns
    -------
    RepeatedSamples or None
        None if no sample repeats, or if views differ in how many are distinct.
    """
    which = np.stack([_distinct(gram) for gram in grams])
    n_views, n = which.shape
    sizes = which.max(axis=1) + 1
    size = int(sizes[0])
    if size == n or (sizes != size).any():
        return None
    first = np.stack([np.unique(own, return_index=True)[1] for own in which])
    counts = np.stack([np.bincount(own) for own in which])
    columns = (which + size * np.arange(n_views)[:, None]).ravel()
    rows = np.tile(np.arange(n), n_views)
    membership = csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, n_views * size))
    return RepeatedSamples(first, which, counts, csr_array(membership.T @ membership))


def _distinct(gram: Floats) -> Indices:
    """Return the number of the distinct sample that every row is."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(row.tobytes(), len(seen)) for row in gram], dtype=np.intp)
