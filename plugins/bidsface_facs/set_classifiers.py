"""Linear classifiers of two data sets, fitted to many labellings of the same images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from bidsface.numerics.linear import Floats

Names = NDArray[Any]
Signs = NDArray[np.float64]
"""Data set of every image: -1 for the first, 1 for the second, shape (n_images, m)."""


class Classifier(Protocol):
    """A linear classifier of two sets."""

    def decide(self, train: Floats, test: Floats, signs: Signs, participants: Names) -> Floats:
        """Return decisions, above 0 for the second set.

        Parameters
        ----------
        train : ndarray of shape (n_train, n_train)
            Inner products of the training images, centred.
        test : ndarray of shape (n_test, n_train)
            Of test images, minus the training mean, with them.
        signs : ndarray of shape (n_train, m)
        participants : ndarray of shape (n_train,)

        Returns
        -------
        ndarray of shape (n_test, m)
        """


@dataclass(frozen=True)
class RidgeDirection:
    """Ridge regression on the sets, with a threshold midway between them.

    The threshold lies midway between the means of both sets, neither of which has an advantage from
    being larger. What counts are decisions on training participants that the direction was not
    fitted to: in so many dimensions those on its own images are too far apart, and the larger set
    would be too near the threshold. Leaving a participant out is a formula, and one factorization
    serves all labellings.

    Attributes
    ----------
    alpha : float
        Penalty, in units of the mean squared length of the centred training images.
    """

    alpha: float = 1.0

    def decide(self, train: Floats, test: Floats, signs: Signs, participants: Names) -> Floats:
        """Return decisions; see `Classifier`."""
        n = len(train)
        penalty = self.alpha * np.trace(train) / n or 1.0
        dual = np.linalg.inv(train + penalty * np.eye(n))
        # Rows of the training products sum to 0, so that the intercept is the mean of the targets.
        fitted_by = train @ dual + 1.0 / n
        held_out = _leave_out(fitted_by, signs, participants)
        second = signs > 0
        middle = (_mean(held_out, second) + _mean(held_out, ~second)) / 2
        mean = signs.mean(axis=0)
        decisions: Floats = test @ (dual @ (signs - mean)) + mean - middle
        return decisions


def _leave_out(fitted_by: Floats, targets: Floats, participants: Names) -> Floats:
    """Return what a penalized regression predicts of every participant without its images.

    With fitted values ``H y``, those of rows P fitted without them are
    ``y_P - (I - H_PP)^-1 (y_P - (H y)_P)`` (as for the leave-one-out formula; Cook and Weisberg
    1982, section 2.2).
    """
    rest = targets - fitted_by @ targets
    found = targets.copy()
    for name in np.unique(participants):
        rows = np.flatnonzero(participants == name)
        own = np.eye(len(rows)) - fitted_by[np.ix_(rows, rows)]
        found[rows] -= np.linalg.solve(own, rest[rows])
    return found


def _mean(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    return np.where(chosen, values, 0.0).sum(axis=0) / chosen.sum(axis=0)


@dataclass(frozen=True)
class LinearSVM:
    """Linear support vector machine; every labelling is fitted anew by libsvm.

    Attributes
    ----------
    C : float
        Price of an error where training images have a mean squared length of 1; errors in the
        smaller set cost more, so that both sets weigh the same.
    """

    C: float = 1.0

    def decide(self, train: Floats, test: Floats, signs: Signs, participants: Names) -> Floats:
        """Return decisions; see `Classifier`."""
        size = np.trace(train) / len(train) or 1.0
        machine = SVC(C=self.C, kernel="precomputed", class_weight="balanced")
        columns = [
            machine.fit(train / size, column).decision_function(test / size) for column in signs.T
        ]
        return np.column_stack(columns)


CLASSIFIERS: Mapping[str, type[RidgeDirection] | type[LinearSVM]] = {
    "ridge": RidgeDirection,
    "svm": LinearSVM,
}
"""Classifiers of data sets by name."""
