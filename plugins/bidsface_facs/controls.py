"""What else predicts the target: covariates, head motion, and who somebody is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bidsface.numerics.linear import Floats
from bidsface_facs.baselines import (
    covariate_prediction,
    oracle_mean,
    stacked_prediction,
    training_mean,
)
from bidsface_facs.options import FacsOptions
from bidsface_facs.outcomes import Tested, known_scores, pool_tested, score_tested
from bidsface_facs.prediction import Prediction, Tuning
from bidsface_facs.problem import Prepared
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.study import Study
from bidsface_facs.targets import Scale

CONTROLS = {
    "training_mean": "mean of the training participants",
    "covariates": "covariates of the stimulus",
    "motion": "head motion",
    "covariates_and_brain": "covariates, then brain activity",
    "motion_and_brain": "head motion, then brain activity",
    "oracle_mean": "each participant's own mean (an oracle)",
}
"""Names and descriptions, in the order of figures."""


@dataclass(frozen=True, eq=False)
class Control:
    """Predictions from other sources than images alone, on the same folds.

    Attributes
    ----------
    name : str
        A key of ``CONTROLS``.
    estimator : str or None
        The regression, where images have a part.
    folds : sequence of Tested
    pooled : Tested
        The images of all folds together.
    """

    name: str
    estimator: str | None
    folds: Sequence[Tested]
    pooled: Tested

    def values(self, metric: str) -> Floats:
        """Return the score of every fold that has one."""
        return known_scores(self.folds, metric)


def find_controls(
    prepared: Prepared,
    regressors: Mapping[str, ComponentRegressor],
    study: Study,
    options: FacsOptions,
) -> list[Control]:
    """Return all controls of one input.

    Where covariates predict first, penalties are chosen for what they leave.

    Parameters
    ----------
    prepared : Prepared
    regressors : mapping of str to ComponentRegressor
    study : Study
    options : FacsOptions
    """
    problem, folds, scale = prepared.problem, prepared.folds, Scale(options.transform)
    target, people = problem.own_target[:, None], problem.people[: problem.n_own]

    def control(name: str, found: Sequence[Prediction], estimator: str | None = None) -> Control:
        tested = [
            score_tested(problem, fold.test, one) for fold, one in zip(folds, found, strict=True)
        ]
        return Control(name, estimator, tested, pool_tested(problem, tested))

    controls = [
        control("training_mean", training_mean(folds, target, people, scale)),
        control("oracle_mean", oracle_mean(folds, target, people, scale)),
    ]
    for name, values in (("covariates", study.own.covariates), ("motion", study.own.motion)):
        if not values.shape[1]:
            continue
        controls.append(control(name, covariate_prediction(folds, target, values, scale)))
        for estimator, regressor in regressors.items():
            chosen = [regressor] * len(folds)
            if estimator in options.tuning:
                beyond = Scale(options.transform, values)
                tuning = Tuning(regressor, problem.own_scored, beyond)
                chosen = tuning.tuned(folds, problem.own_target)
            found = stacked_prediction(folds, chosen, target, values, scale)
            controls.append(control(f"{name}_and_brain", found, estimator))
    return sorted(controls, key=lambda one: list(CONTROLS).index(one.name))
