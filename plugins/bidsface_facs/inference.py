"""Permutation tests of predictions that respect participants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface.statistics import permutation_p
from bidsface_facs.metrics import METRICS, Scored, mean_of_known
from bidsface_facs.prediction import Fold, Grid, Prediction, Tuning, one_each, predict
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.shuffles import shuffled_targets
from bidsface_facs.targets import Scale

BLOCK = 500
"""Permutations at a time, which bounds memory."""


@dataclass(frozen=True, eq=False)
class Scoring:
    """How targets are predicted and scored: the statistic of a permutation test.

    Attributes
    ----------
    folds : sequence of Fold
    regressors : sequence of ComponentRegressor
        One for every fold, with options that stay the same for all targets.
    scored : Scored
        Participant, and covariates for partial correlations, of every image.
    metrics : tuple of str
        Keys of `METRICS`.
    scale : Scale
        Transform of targets, and covariates that predict before brain activity does.
    tuning : Tuning or None
        If given, options are chosen anew for every target, and `regressors` are not used.
    grids : sequence of sequence of ComponentRegressor
        With `tuning`, the candidates of every fold.
    """

    folds: Sequence[Fold]
    regressors: Sequence[ComponentRegressor]
    scored: Scored
    metrics: tuple[str, ...] = ("r2",)
    scale: Scale = field(default_factory=Scale)
    tuning: Tuning | None = None
    grids: Sequence[Grid] = ()

    def ready(self, values: Floats) -> tuple[Floats, Scoring]:
        """Return the observed target (n_images,) in the scale of permutations, and how to score it.

        Candidates are those of the observed target for all of its permutations: a grid is wide, and
        where it lies depends on nothing but how much the training values vary.
        """
        values, scale = self.scale.ahead(values)
        if self.tuning is None:
            return values, replace(self, scale=scale)
        tuning = replace(self.tuning, scale=scale)
        grids = [tuning.grid(fold, values) for fold in self.folds]
        return values, replace(self, scale=scale, tuning=tuning, grids=grids)

    def predict(self, targets: Floats) -> list[Prediction]:
        """Predict targets (n_images, m) in every fold."""
        if self.tuning is not None:
            return self.tuning.predict(self.folds, targets, self.grids)
        return predict(self.folds, self.regressors, targets, self.scale)

    def scores(self, targets: Floats) -> Floats:
        """Return scores of targets (n_images, m), shape (n_metrics, n_folds, m)."""
        predictions = self.predict(targets)
        return np.array(
            [
                [
                    found.score(metric, self.scored[fold.test])
                    for fold, found in zip(self.folds, predictions, strict=True)
                ]
                for metric in self.metrics
            ]
        )


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """A score and what it is for permuted targets.

    Attributes
    ----------
    metric : str
    observed : float
        Mean over the folds that have a score.
    folds : ndarray of shape (n_folds,)
    null : ndarray of shape (n_permutations,)
    null_folds : ndarray of shape (n_permutations, n_folds)
    p : float
        ``(1 + #{null as good or better}) / (1 + n_permutations)``; NaN if nothing is observed.
    """

    metric: str
    observed: float
    folds: Floats
    null: Floats
    null_folds: Floats
    p: float


@dataclass(frozen=True, eq=False)
class Permutations:
    """Permutations of one target.

    Attributes
    ----------
    values : ndarray of shape (n_images,)
    kind : str
        A key of `SHUFFLES`.
    n : int
    seed : SeedSequence
    covariates : ndarray of shape (n_images, q) or None
        What they predict stays with every image (see `shuffled_targets`).
    """

    values: Floats
    kind: str
    n: int
    seed: np.random.SeedSequence
    covariates: Floats | None = None

    def blocks(self, size: int) -> list[tuple[int, int]]:
        """Return first and number of the permutations of every block."""
        return [(first, min(size, self.n - first)) for first in range(0, self.n, size)]


Run = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Applies a function to items and returns the outcomes in their order, such as ``map``."""


def permutation_tests(
    scoring: Scoring, permutations: Permutations, block_size: int = BLOCK, run: Run = map
) -> dict[str, PermutationTest]:
    """Test the mean score over folds against that of permuted targets, for several metrics.

    Whatever does not depend on the target is found once; permutations are columns. Every permuted
    target goes the whole way of the observed one: its transform is fitted, covariates are regressed
    out, and options are chosen if `scoring` says so. Options that were chosen for the observed
    target and then kept are an advantage that permuted targets do not have; the test is exact only
    if they were fixed beforehand or are chosen anew (`Scoring.tuning`).

    Parameters
    ----------
    scoring : Scoring
    permutations : Permutations
    block_size : int
        Permutations at a time; changes nothing but memory.
    run : callable
        Works on blocks, in other processes where it wants to; changes nothing either.

    Returns
    -------
    dict of str to PermutationTest
        By metric.
    """
    values, scoring = scoring.ready(permutations.values)
    block = _Block(scoring, replace(permutations, values=values))
    found = list(run(block, permutations.blocks(block_size)))
    observed = scoring.scores(values[:, None])[:, :, 0]
    shape = (len(scoring.metrics), len(scoring.folds), 0)
    null = np.concatenate(found, axis=2) if found else np.empty(shape)
    return {
        metric: _test(metric, folds, permuted.T)
        for metric, folds, permuted in zip(scoring.metrics, observed, null, strict=True)
    }


@dataclass(frozen=True, eq=False)
class _Block:
    scoring: Scoring
    permutations: Permutations

    def __call__(self, block: tuple[int, int]) -> Floats:
        """Return the scores of some permutations, (n_metrics, n_folds, m)."""
        (first, n), own = block, self.permutations
        targets = shuffled_targets(
            own.values,
            self.scoring.scored.participants,
            own.kind,
            n,
            own.seed,
            own.covariates,
            first,
        )
        return self.scoring.scores(targets)


def _test(metric: str, folds: Floats, null_folds: Floats) -> PermutationTest:
    observed, null = mean_of_known(folds), mean_of_known(null_folds.T)
    compared = METRICS[metric].permuted(np.append(observed, null))
    p = permutation_p(compared[0], compared[1:])[0]
    return PermutationTest(
        metric,
        float(observed),
        folds,
        null,
        null_folds,
        float("nan") if np.isnan(observed) else float(p),
    )


def permutation_test(
    folds: Sequence[Fold],
    regressor: ComponentRegressor | Sequence[ComponentRegressor],
    values: Floats,
    participants: NDArray[Any],
    kind: str,
    n_permutations: int,
    seed: np.random.SeedSequence,
    metric: str = "r2",
    *,
    scale: Scale | None = None,
    covariates: Floats | None = None,
    tuning: Tuning | None = None,
    block_size: int = BLOCK,
    run: Run = map,
) -> PermutationTest:
    """Test one metric by permutations; see `permutation_tests`.

    Parameters
    ----------
    folds : sequence of Fold
    regressor : ComponentRegressor or sequence of ComponentRegressor
        With options that stay the same for all permutations.
    values : ndarray of shape (n_images,)
        Target in its own scale.
    participants : ndarray of shape (n_images,)
    kind : str
        ``within``, ``between`` or ``both``; see `shuffles`.
    n_permutations : int
    seed : SeedSequence
    metric : str
    scale : Scale, optional
    covariates : ndarray of shape (n_images, q), optional
        Test what brain activity says beyond them.
    tuning : Tuning, optional
        Choose options anew for the observed and every permuted target, instead of `regressor`.
    block_size, run
        As for `permutation_tests`.
    """
    scored = Scored(np.asarray(participants), covariates)
    regressors = one_each(regressor, len(folds))
    scoring = Scoring(folds, regressors, scored, (metric,), scale or Scale(), tuning)
    permutations = Permutations(values, kind, n_permutations, seed, covariates)
    return permutation_tests(scoring, permutations, block_size, run)[metric]
