"""What can be predicted without brain activity, on the same folds, and what brain activity adds.

Every baseline returns predictions like those of `prediction.predict`, to be scored likewise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface_facs.covariates import participant_means
from bidsface_facs.prediction import Fold, Prediction, predict
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.splits import Split
from bidsface_facs.targets import Scale

Names = NDArray[Any]
Splits = Sequence[Split] | Sequence[Fold]


def training_mean(
    splits: Splits, targets: Floats, participants: Names, scale: Scale | None = None
) -> list[Prediction]:
    """Predict the mean of the training participants: all that is known of somebody new.

    Every training participant counts once, whatever the number of its images.

    Parameters
    ----------
    splits : sequence of (train, test) or Fold
    targets : ndarray of shape (n_images, m)
        In their own scale.
    participants : ndarray of shape (n_images,)
    scale : Scale, optional
        Its transform is used, its covariates are not.
    """
    found = []
    for train, test in _rows(splits):
        own = _plain(scale).fold(targets, train, test)
        _, first = np.unique(participants[train], return_index=True)
        means = participant_means(own.train, participants[train])[first]
        found.append(Prediction.of(own, np.mean(means, axis=0, keepdims=True)))
    return found


def oracle_mean(
    splits: Splits, targets: Floats, participants: Names, scale: Scale | None = None
) -> list[Prediction]:
    """Predict every test participant's own mean, which only an oracle knows.

    It uses the very values that are scored: no prediction, but the most that can be reached by who
    somebody is without anything on single trials.

    Parameters
    ----------
    splits, targets, participants, scale
        As for `training_mean`.
    """
    found = []
    for train, test in _rows(splits):
        own = _plain(scale).fold(targets, train, test)
        found.append(Prediction.of(own, participant_means(own.truth, participants[test])))
    return found


def covariate_prediction(
    splits: Splits, targets: Floats, covariates: Floats, scale: Scale | None = None
) -> list[Prediction]:
    """Predict by least squares on covariates, such as those of the stimulus or head motion.

    Parameters
    ----------
    splits : sequence of (train, test) or Fold
    targets : ndarray of shape (n_images, m)
        In their own scale.
    covariates : ndarray of shape (n_images, q)
    scale : Scale, optional
        Its transform is used.
    """
    own = replace(_plain(scale), covariates=covariates)
    return [Prediction.of(own.fold(targets, train, test)) for train, test in _rows(splits)]


def stacked_prediction(
    folds: Sequence[Fold],
    regressors: ComponentRegressor | Sequence[ComponentRegressor],
    targets: Floats,
    covariates: Floats,
    scale: Scale | None = None,
) -> list[Prediction]:
    """Predict by covariates first, and by brain activity what these leave of the target.

    The target is regressed on covariates in the training images, the brain's regression is fitted
    to its residuals, and both predictions are added: what it gains over `covariate_prediction` is
    what brain activity says beyond covariates that come first in everything they share. Images are
    not residualized, and regularization never touches covariates. To choose the regression's
    options for these residuals, use ``Tuning(..., scale=Scale(transform, covariates))``.

    Parameters
    ----------
    folds : sequence of Fold
    regressors : ComponentRegressor or sequence of ComponentRegressor
    targets, covariates, scale
        As for `covariate_prediction`.
    """
    return predict(folds, regressors, targets, replace(_plain(scale), covariates=covariates))


def _plain(scale: Scale | None) -> Scale:
    return replace(scale or Scale(), covariates=None)


def _rows(splits: Splits) -> list[Split]:
    return [(one.train, one.test) if isinstance(one, Fold) else one for one in splits]
