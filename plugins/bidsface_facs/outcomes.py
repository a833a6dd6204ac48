"""Everything that is found in one input: predictions, scores, tests and weights of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface.numerics.seeds import child_seed
from bidsface_facs.inference import (
    Permutations,
    PermutationTest,
    Run,
    Scoring,
    permutation_tests,
)
from bidsface_facs.options import FacsOptions
from bidsface_facs.prediction import (
    Fold,
    Prediction,
    Tuning,
    predict,
)
from bidsface_facs.problem import Prepared, Problem
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.targets import Scale

REPORTED = (
    *("r2", "mae", "mse", "rmse", "pearson", "spearman"),
    *("within_pearson", "within_spearman", "between_pearson", "between_spearman"),
)
"""Metrics of every model."""

ALSO_TESTED: Mapping[str, str] = {"within": "within_pearson", "between": "between_pearson"}
"""What else is tested under a null hypothesis: what it is about."""


@dataclass(frozen=True, eq=False)
class Tested:
    """Predictions of one set of test images.

    Attributes
    ----------
    rows : ndarray of int
        The images.
    transformed, original : Prediction
        In the scale of the model, and in that of the target.
    scores : mapping of str to float
        By metric, in the scale of the model.
    original_scores : mapping of str to float
    """

    rows: NDArray[np.intp]
    transformed: Prediction
    original: Prediction
    scores: Mapping[str, float]
    original_scores: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was found with one regression in one input.

    Attributes
    ----------
    input_name, estimator : str
    regressors : sequence of ComponentRegressor
        Of every fold.
    folds : sequence of Tested
    pooled : Tested
        The images of all folds together.
    tests : mapping of (str, str) to PermutationTest
        By kind of shuffle and metric.
    duals : ndarray of shape (n_own, n_folds)
        Weights of images in the model of every fold.
    training : sequence of ndarray of int
        Training images of every fold.
    final : ComponentRegressor
        Fitted to all images of the first data set.
    final_dual : ndarray of shape (n_own,)
    final_intercept : float
        What it predicts of the mean training image, in its own scale.
    transfers : mapping of str to Tested
        By other data set.
    """

    input_name: str
    estimator: str
    regressors: Sequence[ComponentRegressor]
    folds: Sequence[Tested]
    pooled: Tested
    tests: Mapping[tuple[str, str], PermutationTest]
    duals: Floats
    training: Sequence[NDArray[np.intp]]
    final: ComponentRegressor
    final_dual: Floats
    final_intercept: float
    transfers: Mapping[str, Tested]

    def values(self, metric: str) -> Floats:
        """Return the score of every fold that has one."""
        return known_scores(self.folds, metric)


def known_scores(folds: Sequence[Tested], metric: str) -> Floats:
    """Return the score, in the scale of the model, of every fold that has one."""
    values = np.array([fold.scores[metric] for fold in folds])
    return values[~np.isnan(values)]


def find_outcome(
    prepared: Prepared,
    estimator: str,
    regressor: ComponentRegressor,
    options: FacsOptions,
    seed: np.random.SeedSequence,
    run: Run = map,
) -> Outcome:
    """Predict, score and test with one regression.

    Parameters
    ----------
    prepared : Prepared
    estimator : str
    regressor : ComponentRegressor
    options : FacsOptions
    seed : SeedSequence
        Of the permutations.
    run : callable
        Works on blocks of permutations, in threads where it wants to.
    """
    problem, folds, scale = prepared.problem, prepared.folds, Scale(options.transform)
    tuning = None
    if estimator in options.tuning:
        tuning = Tuning(regressor, problem.own_scored, scale)
    target = problem.own_target
    chosen = [regressor] * len(folds) if tuning is None else tuning.tuned(folds, target)
    final = regressor if tuning is None else tuning.tuned(prepared.final[:1], problem.target)[0]
    scoring = Scoring(folds, chosen, problem.own_scored, (), scale, tuning)
    found = predict(folds, chosen, target[:, None], scale)
    (final_dual,), (intercept,) = _fits(prepared.final[:1], [final], target, scale)
    tested = [score_tested(problem, fold.test, own) for fold, own in zip(folds, found, strict=True)]
    return Outcome(
        problem.name,
        estimator,
        chosen,
        tested,
        pool_tested(problem, tested),
        _tests(scoring, options, target, seed, run),
        np.column_stack(_fits(folds, chosen, target, scale)[0]),
        [fold.train for fold in folds],
        final,
        final_dual,
        intercept,
        _transfers(prepared, final, scale),
    )


def _fits(
    folds: Sequence[Fold], regressors: Sequence[ComponentRegressor], target: Floats, scale: Scale
) -> tuple[list[Floats], list[float]]:
    """Return weights of images (n_own,), and the intercept, of the model of every fold."""
    duals, intercepts = [], []
    for fold, regressor in zip(folds, regressors, strict=True):
        train = scale.fold(target[:, None], fold.train, fold.train[:1]).train
        fit = regressor.fit(fold.components, train)
        dual = np.zeros(len(target))
        dual[fold.train] = fold.components.dual(fit.coef)[:, 0]
        duals.append(dual)
        intercepts.append(float(fit.intercept[0]))
    return duals, intercepts


def score_tested(problem: Problem, rows: NDArray[np.intp], found: Prediction) -> Tested:
    """Score predictions of some images by every metric."""
    return _scored(problem, rows, found, found.original())


def pool_tested(problem: Problem, folds: Sequence[Tested]) -> Tested:
    """Score the images of all folds together.

    Scores of single folds scatter widely where few participants are held out at a time, and have no
    meaning where their values are all the same.
    """
    parts = ([one.transformed for one in folds], [one.original for one in folds])
    transformed, original = (
        Prediction(
            np.concatenate([one.truth for one in part]),
            np.concatenate([one.predicted for one in part]),
            part[0].targets,
        )
        for part in parts
    )
    return _scored(problem, np.concatenate([one.rows for one in folds]), transformed, original)


def _scored(
    problem: Problem, rows: NDArray[np.intp], found: Prediction, original: Prediction
) -> Tested:
    scored = problem.scored[rows]
    metrics = REPORTED if problem.covariates is None else (*REPORTED, "partial_pearson")
    return Tested(
        rows,
        found,
        original,
        {name: float(found.score(name, scored)[0]) for name in metrics},
        {name: float(original.score(name, scored)[0]) for name in metrics},
    )


def _tests(
    scoring: Scoring,
    options: FacsOptions,
    target: Floats,
    seed: np.random.SeedSequence,
    run: Run,
) -> dict[tuple[str, str], PermutationTest]:
    """Test every null hypothesis; keys are kinds of shuffles and metrics."""
    found: dict[tuple[str, str], PermutationTest] = {}
    for number, kind in enumerate(options.shuffles if options.permutations else ()):
        metrics = tuple(dict.fromkeys((options.test_metric, ALSO_TESTED.get(kind, "r2"))))
        permutations = Permutations(target, kind, options.permutations, child_seed(seed, number))
        tests = permutation_tests(replace(scoring, metrics=metrics), permutations, run=run)
        found |= {(kind, metric): test for metric, test in tests.items()}
    covariates = scoring.scored.covariates
    if "within" in {kind for kind, _ in found} and covariates is not None:
        # What they predict stays with every image (see `shuffled_targets`).
        own = child_seed(seed, len(options.shuffles))
        beyond = Permutations(target, "within", options.permutations, own, covariates)
        tests = permutation_tests(replace(scoring, metrics=("partial_pearson",)), beyond, run=run)
        found["within", "partial_pearson"] = tests["partial_pearson"]
    return found


def _transfers(prepared: Prepared, final: ComponentRegressor, scale: Scale) -> dict[str, Tested]:
    """Predict the other data sets by the model of all images of the first one."""
    problem = prepared.problem
    if not problem.others:
        return {}
    found = predict(prepared.final, final, problem.target[:, None], scale)
    return {
        name: score_tested(problem, rows, own)
        for (name, rows), own in zip(problem.others.items(), found, strict=True)
    }
