"""Do two data sets differ? A classifier that tells which one the images of new people come from.

A model cannot be expected to work in data that are told apart from its own at a glance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lgamma
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface.numerics.seeds import child_seed
from bidsface.statistics import permutation_p
from bidsface_facs.set_classifiers import Classifier, Signs
from bidsface_facs.splits import Indices, Split, Splitter

Names = NDArray[Any]
BLOCK = 500
"""Permutations at a time."""


@dataclass(frozen=True, eq=False)
class Shift:
    """How well data sets are told apart in people that the classifier has not seen.

    Attributes
    ----------
    names : tuple of (str, str)
        First and second data set.
    accuracy : float
        Balanced accuracy (mean share of both sets that is right; chance 0.5), mean over folds.
    folds : ndarray of shape (n_folds,)
    confusion : ndarray of int, shape (n_folds, 2, 2)
        Images by true (rows) and predicted (columns) set.
    null : ndarray of shape (n_permutations,)
        ``accuracy`` for participants exchanged between the sets.
    p : float
        One-tailed; NaN without permutations.
    smallest_p : float
        Smallest p-value that the permutations can reach.
    """

    names: tuple[str, str]
    accuracy: float
    folds: Floats
    confusion: NDArray[np.intp]
    null: Floats
    p: float
    smallest_p: float

    @property
    def counts(self) -> NDArray[np.intp]:
        """Images of all folds by true (rows) and predicted (columns) set, (2, 2)."""
        return np.asarray(self.confusion.sum(axis=0))


def shift_splits(splitter: Splitter, participants: Names, sets: Names) -> list[Split]:
    """Hold out participants of both sets: every set is split by itself, and folds are joined.

    Parameters
    ----------
    splitter : Splitter
        One that does not look at numbers of images, such as ``GroupFolds(random_state=0)`` or
        ``GroupShuffle()``, keeps the permutation test exact: these numbers belong to participants
        and are exchanged with them.
    participants, sets : ndarray of shape (n_images,)

    Raises
    ------
    ValueError
        If there are not two sets of different participants, or one has too few for the split.
    """
    _check(participants, sets)
    parts = []
    for name in np.unique(sets):
        rows = np.flatnonzero(sets == name)
        parts.append([(rows[a], rows[b]) for a, b in splitter.split(participants[rows])])
    return [
        (np.sort(np.append(first[0], second[0])), np.sort(np.append(first[1], second[1])))
        for first, second in zip(*parts, strict=True)
    ]


def data_set_shift(
    gram: Floats,
    participants: Names,
    sets: Names,
    splits: Sequence[Split],
    classifier: Classifier,
    n_permutations: int,
    seed: np.random.SeedSequence,
    block_size: int = BLOCK,
) -> Shift:
    """Tell which of two data sets images come from, and test it.

    Participants are exchanged between the sets as wholes, among those that the same folds hold out:
    so every permuted labelling has as many participants of each set in every part of every fold as
    the observed one, folds stay what they are, and the test is exact if participants of both sets
    are exchangeable.

    Parameters
    ----------
    gram : ndarray of shape (n_images, n_images)
        Inner products of the images of both sets.
    participants, sets : ndarray of shape (n_images,)
    splits : sequence of (train, test)
        As `shift_splits` makes them.
    classifier : Classifier
    n_permutations : int
    seed : SeedSequence
        Every permutation has a stream of its own.
    block_size : int
        Permutations at a time; changes nothing but memory.

    Raises
    ------
    ValueError
        If there are not two sets of different participants.
    """
    names = _check(participants, sets)
    exchange = _Exchange(participants, sets == names[1], splits)
    kernels = [_centred(gram, *split) for split in splits]

    def decisions(signs: Signs) -> list[Floats]:
        return [
            classifier.decide(*kernel, signs[train], participants[train])
            for kernel, (train, _) in zip(kernels, splits, strict=True)
        ]

    signs = exchange.observed()
    found = decisions(signs)
    confusion = np.array(
        [_confusion(one, signs[test]) for one, (_, test) in zip(found, splits, strict=True)]
    )
    folds = _scores(found, signs, splits)[:, 0]
    null = [
        _scores(decisions(permuted), permuted, splits).mean(axis=0)
        for permuted in exchange.blocks(n_permutations, seed, block_size)
    ]
    known = np.concatenate(null) if null else np.empty(0)
    p = float(permutation_p(folds.mean(), known)[0]) if len(known) else float("nan")
    smallest = max(1.0 / (1 + n_permutations), exchange.smallest_p)
    return Shift(names, float(folds.mean()), folds, confusion[..., 0], known, p, smallest)


def _check(participants: Names, sets: Names) -> tuple[str, str]:
    names = np.unique(sets)
    if len(names) != 2:
        raise ValueError(f"two data sets are compared, found {len(names)}")
    shared = np.intersect1d(participants[sets == names[0]], participants[sets == names[1]])
    if len(shared):
        raise ValueError(f"participants in both data sets: {', '.join(map(str, shared))}")
    return str(names[0]), str(names[1])


class _Exchange:
    """Participants exchanged between the sets, among those that the same folds hold out."""

    def __init__(
        self, participants: Names, second: NDArray[np.bool_], splits: Sequence[Split]
    ) -> None:
        people, self.first, self.codes = np.unique(
            participants, return_index=True, return_inverse=True
        )
        held_out = np.zeros((len(people), len(splits)), dtype=np.int8)
        for number, (_, test) in enumerate(splits):
            held_out[self.codes[test], number] = 1
        _, self.alike = np.unique(held_out, axis=0, return_inverse=True)
        self.alike = self.alike.ravel()
        self.second = second[self.first]
        self.places = np.argsort(self.alike, kind="stable")

    @property
    def smallest_p(self) -> float:
        """One over the number of different labellings."""
        members = np.bincount(self.alike)
        chosen = np.bincount(self.alike, self.second, len(members))
        ways = sum(
            lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
            for n, k in zip(members, chosen, strict=True)
        )
        return float(np.exp(-ways))

    def observed(self) -> Signs:
        """Return the observed labelling, (n_images, 1)."""
        return self._signs(self.second[None])

    def blocks(self, n: int, seed: np.random.SeedSequence, size: int) -> Iterator[Signs]:
        """Yield permuted labellings, (n_images, m) each."""
        for first in range(0, n, size):
            numbers = range(first, min(first + size, n))
            drawn = [self._permuted(child_seed(seed, number)) for number in numbers]
            yield self._signs(np.stack(drawn))

    def _permuted(self, seed: np.random.SeedSequence) -> NDArray[np.bool_]:
        keys = np.random.default_rng(seed).random(len(self.second))
        permuted = np.empty_like(self.second)
        permuted[self.places] = self.second[np.lexsort((keys, self.alike))]
        return permuted

    def _signs(self, second: NDArray[np.bool_]) -> Signs:
        return np.where(second.T[self.codes], 1.0, -1.0)


def _centred(gram: Floats, train: Indices, test: Indices) -> tuple[Floats, Floats]:
    """Return inner products of training and of test images, minus the mean of the former."""
    known, cross = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    means = known.mean(axis=0)
    middle = means.mean()
    return (
        known - means - means[:, None] + middle,
        cross - cross.mean(axis=1, keepdims=True) - means + middle,
    )


def _scores(decisions: Sequence[Floats], signs: Signs, splits: Sequence[Split]) -> Floats:
    """Return balanced accuracies, (n_folds, m)."""
    rows = []
    for decided, (_, test) in zip(decisions, splits, strict=True):
        counts = _confusion(decided, signs[test])
        rows.append(np.mean([counts[one, one] / counts[one].sum(axis=0) for one in (0, 1)], axis=0))
    return np.stack(rows)


def _confusion(decisions: Floats, signs: Signs) -> NDArray[np.intp]:
    """Count images by true and predicted set, (2, 2, m)."""
    second, said = signs > 0, decisions > 0
    return np.array(
        [[(true & guess).sum(axis=0) for guess in (~said, said)] for true in (~second, second)]
    )
