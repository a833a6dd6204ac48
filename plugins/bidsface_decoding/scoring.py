"""Scores of predictions: per fold and class, and the null distribution of their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Codes, Floats
from bidsface_decoding.crossvalidation import Fold


@dataclass(frozen=True, eq=False)
class Chance:
    """What is to be expected of each score where the data know nothing of the classes.

    Attributes
    ----------
    mean : float
        Of the mean over folds; NaN where it is not known.
    folds : ndarray of shape (n_folds,)
    classes : ndarray of shape (n_classes,)
        Of the accuracy per class, mean over the folds that test the class.
    recalls : ndarray of shape (n_folds, n_classes)
    """

    mean: float
    folds: Floats
    classes: Floats
    recalls: Floats

    @classmethod
    def constant(cls, value: float, recall: float, n_folds: int, n_classes: int) -> Chance:
        """Return the same level for all folds and for all classes."""
        classes = np.full(n_classes, recall)
        return cls(value, np.full(n_folds, value), classes, np.tile(classes, (n_folds, 1)))


@dataclass(frozen=True, eq=False)
class Scores:
    """How well one classifier did in one region.

    Attributes
    ----------
    folds : ndarray of shape (n_folds,)
        Score of every fold with the observed labels.
    recalls : ndarray of shape (n_folds, n_classes)
        Accuracy per class; NaN where the fold's test part lacks the class.
    mean : float
        Mean of ``folds``, the statistic that is tested.
    null : ndarray of shape (n_permutations,)
        The same statistic for permuted labels.
    predicted : ndarray of int, shape (n_samples,)
        Predicted classes with the observed labels; -1 for samples that were never held out.
    chance : Chance
    """

    folds: Floats
    recalls: Floats
    mean: float
    null: Floats
    predicted: Codes
    chance: Chance

    def confusion(self, codes: Codes) -> NDArray[np.intp]:
        """Count samples by true (rows) and predicted (columns) class."""
        n_classes = self.recalls.shape[1]
        tested = self.predicted >= 0
        counts = np.zeros((n_classes, n_classes), dtype=np.intp)
        np.add.at(counts, (codes[tested], self.predicted[tested]), 1)
        return counts


def recalls(truth: Codes, predicted: Codes, n_classes: int) -> Floats:
    """Return the fraction of every class that was recognized, NaN for a class without samples.

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (n_labellings, n_samples)

    Returns
    -------
    ndarray of shape (n_labellings, n_classes)
    """
    shares = np.full((len(truth), n_classes), np.nan)
    right = truth == predicted
    for code in range(n_classes):
        members = truth == code
        count = members.sum(axis=1)
        hits = (right & members).sum(axis=1)
        np.divide(hits, count, out=shares[:, code], where=count > 0)
    return shares


def balanced_accuracy(truth: Codes, predicted: Codes, n_classes: int) -> Floats:
    """Return the mean recall over the classes that the truth has, shape (n_labellings,)."""
    shares = recalls(truth, predicted, n_classes)
    return np.nansum(shares, axis=1) / (~np.isnan(shares)).sum(axis=1)


def accuracy(truth: Codes, predicted: Codes, n_classes: int) -> Floats:
    """Return the fraction of samples that were recognized, shape (n_labellings,)."""
    return (truth == predicted).mean(axis=1)


def uniform_chance(codes: Codes, n_classes: int) -> float:
    """Return 1/K: what any guess scores when the test part has all classes.

    Where it lacks some, a guess of one of those is wrong without costing a class its recall, and
    what is to be expected depends on how often the classifier guesses them; see `chance_level`.
    """
    return 1.0 / n_classes


def majority_chance(codes: Codes, n_classes: int) -> float:
    """Return the share of the commonest class: what always guessing it scores."""
    return float(np.bincount(codes, minlength=n_classes).max() / len(codes))


@dataclass(frozen=True)
class Metric:
    """A score, and its chance level where every test part has all classes."""

    score: Callable[[Codes, Codes, int], Floats]
    chance: Callable[[Codes, int], float]
    description: str


METRICS: Mapping[str, Metric] = {
    "balanced_accuracy": Metric(balanced_accuracy, uniform_chance, "balanced accuracy"),
    "accuracy": Metric(accuracy, majority_chance, "accuracy"),
}


def tests_all_classes(folds: Sequence[Fold], codes: Codes) -> bool:
    """Tell whether the test part of every fold has all classes that the samples have."""
    n_classes = len(np.unique(codes))
    return all(len(np.unique(codes[fold.test])) == n_classes for fold in folds)


def chance_level(
    folds: Sequence[Fold],
    codes: Codes,
    predictions: Sequence[Codes],
    values: Floats,
    n_classes: int,
    metric: Metric,
    trained: Codes,
) -> Chance:
    """Return the chance level: the metric's own, or that of the permutations.

    Permuted labels have the very same folds and classes, so that their mean score is what is to be
    expected by chance also where folds lack classes. Without permutations nothing is known there.
    The same holds for the recall of single classes where they are not equally frequent in training:
    a classifier that knows nothing then answers with the commonest.

    Parameters
    ----------
    folds, codes, predictions, n_classes, metric, trained
        As for `score`.
    values : ndarray of shape (n_folds, 1 + n_permutations)
        Scores of every fold and labelling.
    """
    size = len(folds), n_classes
    complete = tests_all_classes(folds, codes[0])
    n_present = len(np.unique(codes[0]))
    even = complete and all(is_even(trained[fold.train]) for fold in folds)
    own = metric.chance(codes[0], n_present) if complete else np.nan
    found = Chance.constant(own, 1.0 / n_present if even else np.nan, *size)
    if len(codes) == 1 or even:
        return found
    shares = np.stack(
        [
            mean_of_known(recalls(codes[1:, fold.test], predicted[1:], n_classes))
            for fold, predicted in zip(folds, predictions, strict=True)
        ]
    )
    found = replace(found, classes=mean_of_known(shares), recalls=shares)
    if complete:
        return found
    null = values[:, 1:]
    return replace(found, mean=float(null.mean()), folds=null.mean(axis=1))


def is_even(codes: Codes) -> bool:
    """Tell whether all classes that there are have equally many samples."""
    counts = np.unique(codes, return_counts=True)[1]
    return len(np.unique(counts)) == 1


def mean_of_known(values: Floats) -> Floats:
    """Return the mean over the first axis, NaN not counting; NaN where there is no number."""
    count = (~np.isnan(values)).sum(axis=0)
    empty = np.full(values.shape[1:], np.nan)
    return np.divide(np.nansum(values, axis=0), count, out=empty, where=count > 0)


def score(
    folds: Sequence[Fold],
    codes: Codes,
    predictions: Sequence[Codes],
    n_classes: int,
    metric: Metric,
    trained: Codes | None = None,
) -> Scores:
    """Score predictions; the first labelling is the observed one.

    Parameters
    ----------
    folds : sequence of Fold
    codes : ndarray of int, shape (1 + n_permutations, n_samples)
    predictions : sequence of ndarray of int, shape (1 + n_permutations, n_test)
        One per fold.
    n_classes : int
    metric : Metric
    trained : ndarray of int, shape (n_samples_of_training,), optional
        Classes that the folds' training parts point to, if not those of ``codes``.
    """
    values = np.stack(
        [
            metric.score(codes[:, fold.test], predicted, n_classes)
            for fold, predicted in zip(folds, predictions, strict=True)
        ]
    )
    observed = np.full(codes.shape[1], -1, dtype=np.int16)
    for fold, predicted in zip(folds, predictions, strict=True):
        observed[fold.test] = predicted[0]
    per_class = [
        recalls(codes[:1, fold.test], predicted[:1], n_classes)[0]
        for fold, predicted in zip(folds, predictions, strict=True)
    ]
    means = values.mean(axis=0)
    known = codes[0] if trained is None else trained
    chance = chance_level(folds, codes, predictions, values, n_classes, metric, known)
    return Scores(values[:, 0], np.stack(per_class), float(means[0]), means[1:], observed, chance)
