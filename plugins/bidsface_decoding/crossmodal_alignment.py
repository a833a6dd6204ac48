"""Realignment of tasks: test samples of one task as combinations of another's training samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import clone

from bidsface.numerics.linear import Codes, Floats
from bidsface_decoding.crossmodal_kernels import FoldViews
from bidsface_decoding.crossvalidation import Fold
from bidsface_decoding.pairing import pair_by_class


@dataclass(frozen=True, eq=False)
class Alignment:
    """An aligner that was fitted to the training parts of two tasks.

    Attributes
    ----------
    aligner : fitted aligner or None
        None where a task's samples do not differ, so that there is nothing to align.
    operators : mapping of (training task, test task) to ndarray of shape (n_test, n_train)
        What the test task's test samples look like in the training task's space: weights of the
        training task's training samples.
    """

    aligner: Any
    operators: Mapping[tuple[str, str], Floats]


def alignable(
    parts: Mapping[str, Fold], first: str, second: str, codes: Mapping[str, Codes]
) -> bool:
    """Tell whether two tasks can be aligned: three pairs of samples of two classes, at least.

    Parameters
    ----------
    parts : mapping of task to Fold
    first, second : str
    codes : mapping of task to ndarray of int, shape (n_samples,)
    """
    if first not in parts or second not in parts:
        return False
    one, two = (codes[task][parts[task].train] for task in (first, second))
    pairs, _ = pair_by_class(one, two)
    return len(pairs) > 2 and len(np.unique(one[pairs])) > 1


def align(
    views: FoldViews,
    parts: Mapping[str, Fold],
    tasks: tuple[str, str],
    codes: Mapping[str, Codes],
    aligner: Any,
    pairings: int = 1,
) -> Alignment:
    """Fit an aligner to the training parts of two tasks, and map both tasks' test samples.

    Training samples are paired by class. One fit serves both directions, and every classifier.

    Parameters
    ----------
    views : FoldViews
    parts : mapping of task to Fold
    tasks : (first, second)
        Views 0 and 1 of the aligner.
    codes : mapping of task to ndarray of int, shape (n_samples,)
        Those of test samples are not used.
    aligner : unfitted aligner
    pairings : int
        Partners of every training sample, see `pair_by_class`.
    """
    one, two = (codes[task][parts[task].train] for task in tasks)
    pairs = pair_by_class(one, two, pairings)
    grams = [views.train[task][np.ix_(own, own)] for task, own in zip(tasks, pairs, strict=True)]
    fitted = None
    if all(gram.any() for gram in grams):
        fitted = clone(aligner).fit_grams(grams, [views.n_features[task] for task in tasks])
    operators = {}
    for view, other in ((0, 1), (1, 0)):
        rows = views.test[tasks[other], tasks[other]][:, pairs[other]]
        operator = np.zeros((len(rows), len(views.train[tasks[view]])))
        if fitted is not None and len(rows):
            # A sample in several pairs has the sum of their weights.
            np.add.at(operator.T, pairs[view], fitted.mixing(view, {other: rows}).T)
        operators[tasks[view], tasks[other]] = operator
    return Alignment(fitted, operators)


def align_all(
    views: FoldViews,
    parts: Mapping[str, Fold],
    codes: Mapping[str, Codes],
    aligners: Mapping[str, Any],
    pairings: int = 1,
) -> dict[tuple[str, str, str], Floats]:
    """Align every pair of tasks that can be aligned, by every aligner.

    Returns
    -------
    dict of (training task, test task, aligner) to ndarray of shape (n_test, n_train)
        See `Alignment`.
    """
    found = {}
    for name, aligner in aligners.items():
        for pair in combinations(parts, 2):
            if alignable(parts, *pair, codes):
                fitted = align(views, parts, pair, codes, aligner, pairings)
                found.update({(*key, name): one for key, one in fitted.operators.items()})
    return found
