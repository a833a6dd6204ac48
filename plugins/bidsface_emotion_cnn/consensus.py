"""From annotated intervals to one label per volume: observers' labels and their consensus.

Arrays in, arrays out. Classes are numbered in alphabetical order, so that the first of several
equally frequent classes is the alphabetically first one; -1 is no label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]

NONE = -1
"""Code of a volume without a label."""

ROUNDING = 1e-6
"""Volumes by which times may miss the edge of a volume: 0.3 s / 0.1 s is a little less than 3."""


def grid_length(ends: Floats, repetition_time: float) -> int:
    """Return the number of volumes that hold all annotations, ceil(last end / TR).

    Parameters
    ----------
    ends : ndarray of shape (n_rows,)
        s; of the rows with an emotion, of all observers.
    repetition_time : float
        s.
    """
    return int(np.ceil(np.max(ends) / repetition_time - ROUNDING))


def covering_rows(starts: Floats, ends: Floats, n_volumes: int, repetition_time: float) -> Codes:
    """Return the annotation that holds in every volume; a later row overwrites an earlier one.

    A row covers the volumes floor(start / TR) to ceil(end / TR) - 1.

    Parameters
    ----------
    starts, ends : ndarray of shape (n_rows,)
        s; in the order of the observer's file.
    n_volumes : int
    repetition_time : float
        s.

    Returns
    -------
    ndarray of shape (n_volumes,)
        Rows; -1 where there is none.
    """
    first = np.floor(starts / repetition_time + ROUNDING).astype(np.int64)
    stop = np.ceil(ends / repetition_time - ROUNDING).astype(np.int64)
    rows = np.full(n_volumes, NONE, dtype=np.int64)
    for number, (begin, end) in enumerate(zip(np.maximum(first, 0), stop, strict=True)):
        rows[begin : max(begin, end)] = number
    return rows


def observer_labels(
    starts: Floats, ends: Floats, codes: Codes, n_volumes: int, repetition_time: float
) -> Codes:
    """Return one observer's class of every volume, (n_volumes,); -1 where there is none.

    Parameters
    ----------
    starts, ends : ndarray of shape (n_rows,)
        s; in the order of the observer's file.
    codes : ndarray of shape (n_rows,)
        Class of every row.
    n_volumes : int
    repetition_time : float
        s.
    """
    rows = covering_rows(starts, ends, n_volumes, repetition_time)
    return at_rows(codes, rows, NONE)


def at_rows(values: NDArray, rows: Codes, missing: float) -> NDArray:
    """Return what the row of every volume holds, ``missing`` where there is no row."""
    if not len(values):
        return np.full(rows.shape, missing, dtype=values.dtype)
    return np.where(rows == NONE, missing, values[rows]).astype(values.dtype)


def class_counts(codes: Codes, n_classes: int) -> Codes:
    """Return how many observers chose every class, (n_volumes, n_classes).

    Parameters
    ----------
    codes : ndarray of shape (n_observers, n_volumes)
    n_classes : int
    """
    _, volumes = np.nonzero(codes != NONE)
    cells = volumes * n_classes + codes[codes != NONE]
    size = codes.shape[1] * n_classes
    return np.bincount(cells, minlength=size).reshape(codes.shape[1], n_classes)


@dataclass(frozen=True, eq=False)
class Consensus:
    """What observers agree on, per volume.

    Attributes
    ----------
    labels : ndarray of shape (n_volumes,)
        The most frequent class where enough observers chose it, else -1.
    leading : ndarray of shape (n_volumes,)
        The most frequent class, however few chose it; -1 where nobody noted anything.
    votes : ndarray of shape (n_volumes,)
        Observers who chose it.
    voters : ndarray of shape (n_volumes,)
        Observers who noted any class.
    tied : ndarray of shape (n_volumes,), bool
        Where another class was as frequent.
    """

    labels: Codes
    leading: Codes
    votes: Codes
    voters: Codes
    tied: NDArray[np.bool_]


def consensus(
    codes: Codes,
    threshold: int,
    n_classes: int,
    ties: Literal["alphabetical", "drop"] = "alphabetical",
) -> Consensus:
    """Return the observers' most frequent class of every volume, if enough of them chose it.

    Parameters
    ----------
    codes : ndarray of shape (n_observers, n_volumes)
        Classes in alphabetical order; -1 for none.
    threshold : int
        Observers who have to agree, at least 1; Labs et al. (2015, F1000Research 4:92) had nine
        observers, of whom five are a majority.
    n_classes : int
    ties : {"alphabetical", "drop"}
        Of equally frequent classes take the first, or leave the volume without a label.
    """
    counts = class_counts(codes, n_classes)
    votes = counts.max(axis=1)
    tied = (votes > 0) & ((counts == votes[:, None]).sum(axis=1) > 1)
    kept = votes >= max(threshold, 1)
    if ties == "drop":
        kept &= ~tied
    leading = np.where(votes > 0, counts.argmax(axis=1), NONE)
    return Consensus(
        np.where(kept, leading, NONE), leading, votes, counts.sum(axis=1), np.asarray(tied)
    )


def of_choosers(codes: Codes, values: Floats, labels: Codes) -> Floats:
    """Return the mean of what those observers noted who chose a volume's label.

    Parameters
    ----------
    codes : ndarray of shape (n_observers, n_volumes)
    values : ndarray of shape (n_observers, n_volumes)
        Such as valence; NaN where it is not known.
    labels : ndarray of shape (n_volumes,)

    Returns
    -------
    ndarray of shape (n_volumes,)
        NaN where there is no label or no value.
    """
    used = (codes == labels) & (labels != NONE) & ~np.isnan(values)
    total = np.where(used, values, 0.0).sum(axis=0)
    count = used.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def frequent_classes(codes: Codes, minimum: int, n_classes: int) -> NDArray[np.bool_]:
    """Tell which classes have at least so many volumes, (n_classes,)."""
    return np.bincount(codes[codes != NONE], minlength=n_classes) >= minimum


def restricted(codes: Codes, allowed: NDArray[np.bool_]) -> Codes:
    """Return the codes without those of classes that are not allowed.

    Parameters
    ----------
    codes : ndarray of shape (n_volumes,)
    allowed : ndarray of shape (n_classes,), bool
    """
    return np.where((codes != NONE) & np.append(allowed, False)[codes], codes, NONE)


def balanced_selection(
    codes: Codes, per_class: int | None, seed: np.random.SeedSequence
) -> NDArray[np.int64]:
    """Draw as many volumes of every class, without replacement.

    What is drawn of a class depends on the seed, its number and its volumes only.

    Parameters
    ----------
    codes : ndarray of shape (n_volumes,)
        -1 is never drawn.
    per_class : int or None
        Volumes per class; a class that has fewer keeps them all. None: all volumes.
    seed : SeedSequence

    Returns
    -------
    ndarray of shape (n_drawn,)
        Positions of the drawn volumes, ascending.
    """
    labelled = np.flatnonzero(codes != NONE)
    if per_class is None:
        return labelled
    drawn = [labelled[:0]]
    for code in np.unique(codes[labelled]):
        own = np.flatnonzero(codes == code)
        if len(own) > per_class:
            rng = np.random.default_rng(child_seed(seed, int(code)))
            own = rng.choice(own, per_class, replace=False)
        drawn.append(own)
    return np.sort(np.concatenate(drawn))
