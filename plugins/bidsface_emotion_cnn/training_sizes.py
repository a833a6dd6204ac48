"""Training parts of like sizes, so that splits differ in nothing but the split.

With few film segments, holding out one for the test and one for validation leaves less to train on
than a random split does: of three segments a third, in place of 64 %. More training is better
training, and the difference would pass for leakage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed
from bidsface_emotion_cnn.resampling import Indices
from bidsface_emotion_cnn.splits import SCHEMES, Fold

AnyScheme = TypeVar("AnyScheme", bound=str)

ALIKE = 1.05
"""Training parts that are larger by no more than this factor are left as they are."""


def mean_size(folds: Sequence[Fold]) -> float:
    """Return the mean number of training volumes of folds."""
    return float(np.mean([len(fold.train) for fold in folds]))


def equal_training(
    folds: Mapping[AnyScheme, Sequence[Fold]], codes: NDArray[Any], seed: np.random.SeedSequence
) -> dict[AnyScheme, Sequence[Fold]]:
    """Thin training parts until no scheme has more to train on than a more honest one.

    A scheme that has more gets as many folds as the more honest one, if it has fewer, with as many
    training volumes of every class as the folds of that have, in turn: how much a classifier knows
    depends on the draw, too, and on how evenly classes are represented.

    Parameters
    ----------
    folds : mapping of str to sequence of Fold
        By scheme, of `splits.SCHEMES`, which stand there from the most honest one on.
    codes : ndarray of int, shape (n_volumes,)
        Classes.
    seed : SeedSequence
        Of the draws.

    Returns
    -------
    dict of str to sequence of Fold
        Test and validation parts are those of ``folds``; schemes that have no more than others are
        the same objects.
    """
    found = dict(folds)
    honest: list[Sequence[Fold]] = []
    for number, name in enumerate(SCHEMES):
        for scheme in (one for one in folds if one == name):
            least = min(map(mean_size, honest), default=np.inf)
            if mean_size(folds[scheme]) > ALIKE * least:
                model = next(one for one in honest if mean_size(one) <= ALIKE * least)
                found[scheme] = _alike(folds[scheme], model, codes, child_seed(seed, number))
            honest.append(found[scheme])
    return found


def _alike(
    folds: Sequence[Fold],
    model: Sequence[Fold],
    codes: NDArray[Any],
    seed: np.random.SeedSequence,
) -> list[Fold]:
    most = int(mean_size(model))
    drawn = []
    for number in range(max(len(folds), len(model))):
        fold = folds[number % len(folds)]
        counts = np.bincount(codes[model[number % len(model)].train], minlength=codes.max() + 1)
        found = thinned(fold, codes, _at_most(counts, most), child_seed(seed, number))
        drawn.append(replace(found, name=f"{fold.name}, draw {number // len(folds) + 1}"))
    return drawn


def _at_most(counts: NDArray[Any], most: int) -> NDArray[Any]:
    """Reduce numbers in proportion until they sum to no more than ``most``; none becomes 0."""
    n, n_classes = counts.sum(), np.count_nonzero(counts)
    if n <= most:
        return counts
    return np.where(counts > 0, 1 + (counts - 1) * (most - n_classes) // (n - n_classes), 0)


def thinned(
    fold: Fold, codes: NDArray[Any], counts: NDArray[Any], seed: np.random.SeedSequence
) -> Fold:
    """Return a fold with at most so many training volumes of every class, drawn at random.

    Parameters
    ----------
    fold : Fold
    codes : ndarray of int, shape (n_volumes,)
        Classes.
    counts : ndarray of int, shape (n_classes,)
    seed : SeedSequence
    """
    rng = np.random.default_rng(seed)
    own = codes[fold.train]
    drawn: list[Indices] = [
        rng.permutation(fold.train[own == code])[:number] for code, number in enumerate(counts)
    ]
    return replace(fold, train=np.sort(np.concatenate(drawn)))
