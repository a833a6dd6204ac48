"""Pairs of samples of two tasks that show the same class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Codes

Indices = NDArray[np.intp]


def pair_by_class(first: Codes, second: Codes) -> tuple[Indices, Indices]:
    """Pair the k-th sample of a class with the k-th sample of that class, for every class.

    Parameters
    ----------
    first, second : ndarray of int, shape (n_first,) and (n_second,)
        Classes of two sets of samples, each in the order of time.

    Returns
    -------
    first, second : ndarray of int, shape (n_pairs,)
        Positions, class by class. What a class has more of in one set than in the other is left
        out.
    """
    pairs = []
    for code in np.intersect1d(first, second):
        ones, others = np.flatnonzero(first == code), np.flatnonzero(second == code)
        size = min(len(ones), len(others))
        pairs.append((ones[:size], others[:size]))
    if not pairs:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    return np.concatenate([one for one, _ in pairs]), np.concatenate([two for _, two in pairs])
