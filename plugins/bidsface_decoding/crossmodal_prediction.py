"""Predictions within and across tasks, with and without realignment, for many labellings.

Training is shared: a classifier is fitted once per task, fold and labelling and predicts every test
set, and an aligner is fitted once per pair of tasks, fold and labelling and serves both directions
and all classifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier

from bidsface.numerics.linear import Codes, Floats, KernelEstimator
from bidsface_decoding.conditions import Condition
from bidsface_decoding.crossmodal_alignment import align_all
from bidsface_decoding.crossmodal_folds import RunFold
from bidsface_decoding.crossmodal_kernels import FoldViews, Singles, View, fold_views
from bidsface_decoding.crossmodal_options import CROSS, NO_ALIGNER, REALIGNED, WITHIN
from bidsface_decoding.crossmodal_plan import CrossProblem

Test = tuple[str, Condition]
"""A classifier's name, and what it was trained and tested on."""

Found = dict[Test, Codes]
"""Predictions of one fold: (n_labellings, n_test) by test."""


@dataclass(frozen=True, eq=False)
class Toolbox:
    """What to decode with.

    Attributes
    ----------
    estimators : mapping of str to unfitted classifier
    aligners : mapping of str to unfitted aligner
    conditions : collection of str
        Of `within`, `cross` and `realigned`.
    n_classes : int
    pairings : int
        Partners of every training sample in an alignment.
    """

    estimators: Mapping[str, Any]
    aligners: Mapping[str, Any]
    conditions: Collection[str]
    n_classes: int
    pairings: int = 1

    @property
    def fast(self) -> dict[str, KernelEstimator]:
        """Classifiers that need inner products only."""
        return {
            name: one for name, one in self.estimators.items() if isinstance(one, KernelEstimator)
        }

    @property
    def plain(self) -> dict[str, Any]:
        """Classifiers that need the samples themselves."""
        return {
            name: one
            for name, one in self.estimators.items()
            if not isinstance(one, KernelEstimator)
        }

    def aligners_for(self, seed: np.random.SeedSequence) -> dict[str, Any]:
        """Return the aligners, those that draw numbers with a seed of their own.

        The seed does not depend on the labelling, so that a permutation test compares like with
        like.
        """
        if REALIGNED not in self.conditions:
            return {}
        return {
            name: _seeded(one, child)
            for (name, one), child in zip(
                self.aligners.items(), seed.spawn(len(self.aligners)), strict=True
            )
        }


def _seeded(aligner: Any, seed: np.random.SeedSequence) -> Any:
    if "random_state" not in aligner.get_params():
        return aligner
    return clone(aligner).set_params(random_state=int(seed.generate_state(1)[0]))


def predict_crossmodal(
    problem: CrossProblem,
    views: Mapping[str, View],
    shared: bool,
    tools: Toolbox,
    seed: Callable[[str], np.random.SeedSequence],
) -> dict[Test, tuple[Codes, ...]]:
    """Predict the held-out samples of every task in every condition.

    Parameters
    ----------
    problem : CrossProblem
    views : mapping of task to View
        The samples in one region.
    shared : bool
        Whether the tasks' views are the same voxels.
    tools : Toolbox
    seed : callable
        Random stream of a fold, by its name.

    Returns
    -------
    dict of (estimator, Condition) to tuple of ndarray of int, shape (n_labellings, n_test)
        One per fold of the problem's direction; tests without a fold are left out.
    """
    found: dict[Test, list[Codes]] = {}
    for fold in problem.folds:
        predicted = _predict_fold(problem, views, shared, tools, fold, seed(fold.name))
        for test, codes in predicted.items():
            found.setdefault(test, []).append(codes)
    return {test: tuple(codes) for test, codes in found.items()}


def _predict_fold(
    problem: CrossProblem,
    views: Mapping[str, View],
    shared: bool,
    tools: Toolbox,
    fold: RunFold,
    seed: np.random.SeedSequence,
) -> Found:
    scaled = fold_views(views, fold.parts, shared, keep=bool(tools.plain))
    codes = {task: problem.codes[task] for task in fold.parts}
    labels = {task: codes[task][:, part.train] for task, part in fold.parts.items()}
    direct = [
        condition
        for condition in _direct_conditions(fold, tools.conditions)
        if (condition.train_task, condition.test_task) in scaled.test
    ]
    found: Found = {}
    for name, estimator in tools.fast.items():
        for one in direct:
            kernel = scaled.kernel(one.train_task, one.test_task)
            found[name, one] = estimator.predict_permuted(
                kernel, labels[one.train_task], tools.n_classes
            )
    aligners = tools.aligners_for(seed)
    if not aligners and not tools.plain:
        return found
    n_labellings = len(next(iter(codes.values())))
    alignable: set[Condition] = set()  # by the observed labels
    for number in range(n_labellings):
        row = {task: own[number] for task, own in codes.items()}
        mapped = {
            Condition(*key): operator
            for key, operator in align_all(
                scaled, fold.parts, row, aligners, tools.pairings
            ).items()
            if len(operator)
        }
        if number == 0:
            alignable = set(mapped)
        mapped = {key: operator for key, operator in mapped.items() if key in alignable}
        own = {task: known[number] for task, known in labels.items()}
        for name, condition in product(tools.estimators, alignable - mapped.keys()):
            # Permuted labels that leave nothing to align: what is left is the commonest class.
            found[name, condition][number] = np.bincount(own[condition.train_task]).argmax()
        for test, predicted in _predict_labelling(scaled, direct, mapped, own, tools):
            every = found.setdefault(test, np.empty((n_labellings, len(predicted)), np.int16))
            every[number] = predicted
    return found


def _direct_conditions(fold: RunFold, conditions: Collection[str]) -> list[Condition]:
    """Return the conditions without an aligner that a fold can test."""
    tested = [task for task, part in fold.parts.items() if len(part.test)]
    within = [Condition(task, task) for task in tested if WITHIN in conditions]
    across = [
        Condition(train, test, NO_ALIGNER)
        for train in fold.parts
        for test in tested
        if train != test and CROSS in conditions
    ]
    return within + across


def _predict_labelling(
    scaled: FoldViews,
    direct: Collection[Condition],
    mapped: Mapping[Condition, Floats],
    labels: Mapping[str, Codes],
    tools: Toolbox,
) -> Iterator[tuple[Test, Codes]]:
    """Yield what one labelling of the training samples makes of the test samples.

    Classifiers in Gram space have dealt with the direct conditions, of all labellings at once.
    """
    for name, estimator in tools.fast.items():
        for one, operator in mapped.items():
            kernel = scaled.mapped_kernel(one.train_task, operator)
            own = labels[one.train_task][None]
            yield (name, one), estimator.predict_permuted(kernel, own, tools.n_classes)[0]
    for name, estimator in tools.plain.items():
        for task in labels:
            fitted = _fit(estimator, scaled.scaled[task][0], labels[task])
            for one in direct:
                if one.train_task == task:
                    yield (name, one), fitted.predict(scaled.scaled[one.test_task][1])
            for one, operator in mapped.items():
                if one.train_task == task:
                    rows = operator.astype(np.float32) @ scaled.scaled[task][0]
                    yield (name, one), fitted.predict(rows)


def _fit(estimator: Any, samples: Singles, labels: Codes) -> Any:
    """Fit a classifier; where permuted labels are of one class only, it knows that one."""
    if (labels != labels[0]).any():
        return clone(estimator).fit(samples, labels)
    return DummyClassifier(strategy="most_frequent").fit(samples, labels)
