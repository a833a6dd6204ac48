"""Pairs of samples of two tasks that show the same class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Codes

Indices = NDArray[np.intp]


def pair_by_class(first: Codes, second: Codes, pairings: int = 1) -> tuple[Indices, Indices]:
    """Pair the k-th sample of a class with the k-th sample of that class, for every class.

    Parameters
    ----------
    first, second : ndarray of int, shape (n_first,) and (n_second,)
        Classes of two sets of samples, each in the order of time.
    pairings : int
        Partners of every sample, at most as many as its class has: first the k-th of the class,
        then those that are equally far apart from it in the order of time, round in a circle.

    Returns
    -------
    first, second : ndarray of int, shape (n_pairs,)
        Positions, pairing by pairing and class by class. What a class has more of in one set than
        in the other is left out.
    """
    members = []
    for code in np.intersect1d(first, second):
        ones, others = np.flatnonzero(first == code), np.flatnonzero(second == code)
        size = min(len(ones), len(others))
        members.append((ones[:size], others[:size]))
    pairs = [
        (ones, np.roll(others, -(turn * len(ones) // min(pairings, len(ones)))))
        for turn in range(pairings)
        for ones, others in members
        if turn < len(ones)
    ]
    if not pairs:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    return np.concatenate([one for one, _ in pairs]), np.concatenate([two for _, two in pairs])
