"""Predictions of held-out participants, for many targets at once.

The components of a fold do not depend on the target: they are found once, and every target, such as
a permutation, is a column that costs matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats, FoldKernel, fold_kernels
from bidsface.statistics import TIE
from bidsface_facs.components import Components, principal_components
from bidsface_facs.metrics import METRICS, Scored, mean_of_known
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.splits import Indices, Split
from bidsface_facs.targets import FoldTargets, Scale

Grid = Sequence[ComponentRegressor]


@dataclass(frozen=True, eq=False)
class Fold:
    """Images to train on and to test on, and what is known of them before the target is.

    Attributes
    ----------
    train, test : ndarray of int
        Rows of all images.
    components : Components
        Of the training images.
    inner : tuple of Fold
        Splits of the training images, to choose options of the regression by; rows are those of all
        images.
    """

    train: Indices
    test: Indices
    components: Components
    inner: tuple[Fold, ...] = ()


def prepare(
    gram: Floats,
    splits: Sequence[Split],
    variance: float | None = 0.8,
    inner: Sequence[Sequence[Split]] | None = None,
) -> list[Fold]:
    """Find the components of every fold from the inner products of all images.

    Parameters
    ----------
    gram : ndarray of shape (n_images, n_images)
    splits : sequence of (train, test)
    variance : float or None
        As in `principal_components`.
    inner : sequence of sequence of (train, test), optional
        Splits of the training images of every fold, as `inner_splits` makes them.
    """
    nested = [()] * len(splits) if inner is None else inner
    return [
        Fold(
            train,
            test,
            principal_components(gram, train, test, variance),
            tuple(prepare(gram, within, variance)),
        )
        for (train, test), within in zip(splits, nested, strict=True)
    ]


def prepare_standardized(
    X: NDArray[np.floating],
    splits: Sequence[Split],
    variance: float | None = 0.8,
    inner: Sequence[Sequence[Split]] | None = None,
) -> list[Fold]:
    """Find the components of every fold, voxels being scaled on its training images.

    Every voxel is brought to mean 0 and standard deviation 1 of the training images, as
    ``sklearn.preprocessing.StandardScaler`` does, in inner folds on those of the inner fold.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_voxels)
    splits, variance, inner
        As for `prepare`.

    Raises
    ------
    ValueError
        If ``X`` holds values that are not finite.
    """
    nested = [()] * len(splits) if inner is None else [tuple(within) for within in inner]
    every = [*splits, *(split for within in nested for split in within)]
    kernels = fold_kernels(X, np.arange(X.shape[1]), every)
    found = [
        Fold(train, test, _components(kernel, variance))
        for (train, test), kernel in zip(every, kernels, strict=True)
    ]
    rest = iter(found[len(splits) :])
    return [
        Fold(fold.train, fold.test, fold.components, tuple(next(rest) for _ in within))
        for fold, within in zip(found[: len(splits)], nested, strict=True)
    ]


def _components(kernel: FoldKernel, variance: float | None) -> Components:
    n_train, n_test = len(kernel.train), len(kernel.test)
    # Products between test images are never used.
    gram = np.zeros((n_train + n_test, n_train + n_test))
    gram[:n_train, :n_train] = kernel.train
    gram[n_train:, :n_train] = kernel.test
    return principal_components(gram, np.arange(n_train), n_train + np.arange(n_test), variance)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Values of the test images of one fold, and what was predicted.

    Attributes
    ----------
    truth, predicted : ndarray of shape (n_test, m)
        In the scale of the transformed target.
    targets : FoldTargets
    """

    truth: Floats
    predicted: Floats
    targets: FoldTargets

    @classmethod
    def of(cls, targets: FoldTargets, brain: Floats | float = 0.0) -> Prediction:
        """Add what brain activity predicts to what covariates do."""
        predicted = np.broadcast_to(targets.offset + brain, targets.truth.shape)
        return cls(targets.truth, predicted, targets)

    def original(self) -> Prediction:
        """Return values and predictions in the target's own scale."""
        predicted = self.targets.transform.inverse(self.predicted)
        return Prediction(self.targets.original, predicted, self.targets)

    def score(self, metric: str, scored: Scored) -> Floats:
        """Score by a metric, (m,).

        Parameters
        ----------
        metric : str
            A key of `METRICS`.
        scored : Scored
            What is known of the test images.
        """
        return METRICS[metric].score(self.truth, self.predicted, scored)


def predict(
    folds: Sequence[Fold],
    regressors: ComponentRegressor | Sequence[ComponentRegressor],
    targets: Floats,
    scale: Scale | None = None,
) -> list[Prediction]:
    """Fit to the training images of every fold and predict its test images.

    Parameters
    ----------
    folds : sequence of Fold
    regressors : ComponentRegressor or sequence of ComponentRegressor
        One for all folds, or one for every fold.
    targets : ndarray of shape (n_images, m)
        In their own scale.
    scale : Scale, optional
        Transform of the targets and covariates that predict first.
    """
    found = []
    for fold, regressor in zip(folds, one_each(regressors, len(folds)), strict=True):
        own = _fold_targets(fold, targets, scale)
        fitted = regressor.fit(fold.components, own.train)
        found.append(Prediction.of(own, fitted.predict(fold.components.test_scores)))
    return found


def _fold_targets(fold: Fold, targets: Floats, scale: Scale | None) -> FoldTargets:
    return (scale or Scale()).fold(targets, fold.train, fold.test)


def one_each(
    regressors: ComponentRegressor | Sequence[ComponentRegressor], n_folds: int
) -> list[ComponentRegressor]:
    """Return a regression for every fold."""
    if isinstance(regressors, ComponentRegressor):
        return [regressors] * n_folds
    return list(regressors)


@dataclass(frozen=True, eq=False)
class Tuning:
    """Choice of a regression's options by cross-validation within the training images.

    The candidate with the best mean score over the inner folds is chosen, of equally good ones the
    first, which is the simplest. Test images of the outer fold have no part in it.

    Attributes
    ----------
    regressor : ComponentRegressor
        Its ``grid`` makes the candidates of every fold unless these are given.
    scored : Scored
        What is known of all images.
    scale : Scale
    metric : str
        A key of `METRICS`.
    candidates : tuple of ComponentRegressor
        For all folds, from the simplest to the most complex.
    """

    regressor: ComponentRegressor
    scored: Scored
    scale: Scale = field(default_factory=Scale)
    metric: str = "r2"
    candidates: tuple[ComponentRegressor, ...] = ()

    def grid(self, fold: Fold, target: Floats) -> Grid:
        """Return the candidates of a fold, made for the training values of a target (n_images,)."""
        if self.candidates:
            return self.candidates
        own = self.scale.fold(target[:, None], fold.train, fold.test)
        return tuple(self.regressor.grid(fold.components, own.train))

    def scores(self, fold: Fold, targets: Floats, grid: Grid) -> Floats:
        """Return the mean score over inner folds of every candidate, (n_candidates, m).

        Large scores are good.

        Raises
        ------
        ValueError
            If the fold has no inner folds.
        """
        if not fold.inner:
            raise ValueError("a fold without inner folds has nothing to choose options by")
        found = np.empty((len(fold.inner), len(grid), targets.shape[1]))
        for row, inner in zip(found, fold.inner, strict=True):
            own = self.scale.fold(targets, inner.train, inner.test)
            fits = self.regressor.fit_grid(inner.components, own.train, grid)
            for place, fit in enumerate(fits):
                predicted = Prediction.of(own, fit.predict(inner.components.test_scores))
                row[place] = predicted.score(self.metric, self.scored[inner.test])
        return METRICS[self.metric].sign * mean_of_known(found)

    def choose(self, fold: Fold, targets: Floats, grid: Grid) -> Indices:
        """Return which candidate is best for every target, (m,)."""
        found = self.scores(fold, targets, grid)
        known = np.where(np.isnan(found), -np.inf, found)
        return np.asarray((known >= known.max(axis=0) - TIE).argmax(axis=0))

    def tuned(self, folds: Sequence[Fold], target: Floats) -> list[ComponentRegressor]:
        """Return the regression of every fold that is best for one target (n_images,)."""
        found = []
        for fold in folds:
            grid = self.grid(fold, target)
            found.append(grid[int(self.choose(fold, target[:, None], grid)[0])])
        return found

    def predict(
        self, folds: Sequence[Fold], targets: Floats, grids: Sequence[Grid]
    ) -> list[Prediction]:
        """Choose for every target anew in every fold, and predict its test images.

        Parameters
        ----------
        folds : sequence of Fold
        targets : ndarray of shape (n_images, m)
        grids : sequence of sequence of ComponentRegressor
            Candidates of every fold.
        """
        found = []
        for fold, grid in zip(folds, grids, strict=True):
            own = _fold_targets(fold, targets, self.scale)
            chosen, predicted = self.choose(fold, targets, grid), np.empty(own.truth.shape)
            for place in np.unique(chosen):
                columns = np.flatnonzero(chosen == place)
                fitted = grid[place].fit(fold.components, own.train[:, columns])
                predicted[:, columns] = fitted.predict(fold.components.test_scores)
            found.append(Prediction.of(own, predicted))
        return found
