"""Targets as a model sees them: transformed, and without what covariates predict.

Whatever has to be known of values is learnt from the training images of a fold. Columns are
targets, such as permutations of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from bidsface.numerics.linear import Floats
from bidsface_facs.covariates import CovariateRegression
from bidsface_facs.splits import Indices


class Transform(ABC):
    """A monotone change of scale."""

    @abstractmethod
    def transform(self, values: Floats) -> Floats:
        """Return values (n, m) in the new scale."""

    @abstractmethod
    def inverse(self, values: Floats) -> Floats:
        """Return values (n, m) of the new scale in the original one."""


class Unchanged(Transform):
    """Values as they are."""

    @classmethod
    def fit(cls, train: Floats) -> Unchanged:
        """Learn nothing."""
        return cls()

    def transform(self, values: Floats) -> Floats:
        """Return the values."""
        return values

    def inverse(self, values: Floats) -> Floats:
        """Return the values."""
        return values


class LogOnePlus(Transform):
    """``log(1 + x)``, which shortens a heavy tail and leaves 0 where it is."""

    @classmethod
    def fit(cls, train: Floats) -> LogOnePlus:
        """Learn nothing."""
        return cls()

    def transform(self, values: Floats) -> Floats:
        """Return ``log(1 + x)``.

        Raises
        ------
        ValueError
            If a value is -1 or less.
        """
        if values.size and values.min() <= -1:
            raise ValueError(f"log(1 + x) needs values above -1, found {values.min():g}")
        return np.log1p(values)

    def inverse(self, values: Floats) -> Floats:
        """Return ``exp(x) - 1``."""
        return np.expm1(values)


@dataclass(frozen=True, eq=False)
class NormalScores(Transform):
    """Normal scores of the ranks among the training values.

    A value of mean rank r among n becomes ``Phi^-1(r / (n + 1))`` (van der Waerden 1952). Values
    between training values are interpolated, those beyond get the score of the nearest one.

    Attributes
    ----------
    knots : tuple of (values, scores), both ndarray of shape (n_distinct,)
        One for every target.
    """

    knots: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def fit(cls, train: Floats) -> NormalScores:
        """Learn the ranks of training values (n_train, m)."""
        ranks = stats.rankdata(train, axis=0)
        scores = stats.norm.ppf(ranks / (len(train) + 1))
        knots = []
        for values, own in zip(train.T, scores.T, strict=True):
            distinct, first = np.unique(values, return_index=True)
            knots.append((distinct, own[first]))
        return cls(tuple(knots))

    def transform(self, values: Floats) -> Floats:
        """Return normal scores."""
        return self._interpolated(values, [(x, y) for x, y in self.knots])

    def inverse(self, values: Floats) -> Floats:
        """Return the training values, interpolated, that have these normal scores."""
        return self._interpolated(values, [(y, x) for x, y in self.knots])

    def _interpolated(self, values: Floats, knots: list[tuple[Floats, Floats]]) -> Floats:
        columns = zip(values.T, knots, strict=True)
        return np.column_stack([np.interp(column, x, y) for column, (x, y) in columns])


TRANSFORMS: Mapping[str, Callable[[Floats], Transform]] = {
    "none": Unchanged.fit,
    "log1p": LogOnePlus.fit,
    "rank": NormalScores.fit,
}
"""Changes of the scale of targets by name, as functions of the training values."""


@dataclass(frozen=True, eq=False)
class FoldTargets:
    """Targets of one fold.

    Attributes
    ----------
    train : ndarray of shape (n_train, m)
        What brain activity is to predict: transformed, minus what covariates predict.
    truth : ndarray of shape (n_test, m)
        Transformed values of the test images.
    offset : ndarray of shape (n_test, m) or (1, 1)
        What covariates predict of them; 0 without covariates.
    original : ndarray of shape (n_test, m)
        Values of the test images in their own scale.
    transform : Transform
    """

    train: Floats
    truth: Floats
    offset: Floats
    original: Floats
    transform: Transform


@dataclass(frozen=True, eq=False)
class Scale:
    """What is done to targets before brain activity predicts them.

    Attributes
    ----------
    transform : str
        A key of `TRANSFORMS`.
    covariates : ndarray of shape (n_images, q) or None
        They predict first, by least squares on the training images; brain activity predicts what
        they leave, and the sum of both is the prediction.
    """

    transform: str = "none"
    covariates: Floats | None = None

    def ahead(self, values: Floats) -> tuple[Floats, Scale]:
        """Return values after what needs no training values, and the scale that is left.

        Permutations that exchange participants' means, or what covariates leave, are made in that
        scale: in the original one they could leave the range of the logarithm.
        """
        if self.transform != "log1p":
            return values, self
        return LogOnePlus().transform(values), replace(self, transform="none")

    def fold(self, targets: Floats, train: Indices, test: Indices) -> FoldTargets:
        """Return the targets of one fold.

        Parameters
        ----------
        targets : ndarray of shape (n_images, m)
        train, test : ndarray of int
            Rows of the fold's images.
        """
        transform = TRANSFORMS[self.transform](targets[train])
        known, truth = transform.transform(targets[train]), transform.transform(targets[test])
        offset = np.zeros((1, 1))
        if self.covariates is not None:
            model = CovariateRegression.fit(self.covariates[train], known)
            known = known - model.predict(self.covariates[train])
            offset = model.predict(self.covariates[test])
        return FoldTargets(known, truth, offset, targets[test], transform)
