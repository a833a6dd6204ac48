"""Folds over runs or sessions, and predictions of the held-out samples for many labellings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bidsface.numerics.linear import Codes, KernelEstimator, fold_kernels

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Fold:
    """Samples to train on and to test on; ``name`` says what was left out."""

    name: str
    train: Indices
    test: Indices


def _leave_one_out(groups: pd.Series) -> tuple[Fold, ...]:
    names = list(dict.fromkeys(groups))
    return tuple(_fold(str(name), (groups == name).to_numpy()) for name in names)


def _fold(name: str, held_out: NDArray[np.bool_]) -> Fold:
    return Fold(name, np.flatnonzero(~held_out), np.flatnonzero(held_out))


def leave_one_run_out(table: pd.DataFrame, n_splits: int) -> tuple[Fold, ...]:
    """Hold out every run in turn."""
    return _leave_one_out(table["block"])


def leave_one_session_out(table: pd.DataFrame, n_splits: int) -> tuple[Fold, ...]:
    """Hold out every session in turn."""
    return _leave_one_out(table["session"])


def k_fold(table: pd.DataFrame, n_splits: int) -> tuple[Fold, ...]:
    """Hold out ``n_splits`` groups of neighbouring runs in turn (fewer where runs are fewer)."""
    blocks = list(dict.fromkeys(table["block"]))
    groups = np.array_split(np.arange(len(blocks)), min(n_splits, len(blocks)))
    return tuple(
        _fold(str(number), table["block"].isin([blocks[index] for index in group]).to_numpy())
        for number, group in enumerate(groups, start=1)
    )


SPLITTERS: Mapping[str, Callable[[pd.DataFrame, int], tuple[Fold, ...]]] = {
    "leave-one-run-out": leave_one_run_out,
    "k-fold": k_fold,
    "leave-one-session-out": leave_one_session_out,
}
"""Ways to split samples; whole runs are held out in all of them, as permutations demand."""


def trainable(folds: Sequence[Fold], codes: Codes) -> tuple[Fold, ...]:
    """Return the folds whose training part has two classes at least."""
    return tuple(fold for fold in folds if len(np.unique(codes[fold.train])) > 1)


def predict(
    X: NDArray[np.floating],
    columns: Indices,
    folds: Sequence[Fold],
    codes: Codes,
    n_classes: int,
    estimators: Mapping[str, Any],
) -> dict[str, tuple[Codes, ...]]:
    """Predict the held-out samples of every fold by every estimator, for every labelling.

    Features are scaled with mean and standard deviation of the training part. Estimators with
    ``predict_permuted`` share one Gram matrix per fold; others are refitted in a plain loop.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_voxels)
    columns : ndarray of int
        Voxels to use.
    folds : sequence of Fold
    codes : ndarray of int, shape (n_labellings, n_samples)
    n_classes : int
    estimators : mapping of str to unfitted classifier

    Returns
    -------
    dict of str to tuple of ndarray of int, shape (n_labellings, n_test)
        Predictions of every fold, by name of the estimator.
    """
    fast = {name: one for name, one in estimators.items() if isinstance(one, KernelEstimator)}
    found: dict[str, list[Codes]] = {name: [] for name in estimators}
    if fast:
        kernels = fold_kernels(X, columns, [(fold.train, fold.test) for fold in folds])
        for fold, kernel in zip(folds, kernels, strict=True):
            for name, estimator in fast.items():
                labels = codes[:, fold.train]
                found[name].append(estimator.predict_permuted(kernel, labels, n_classes))
    for name in estimators.keys() - fast.keys():
        features = X[:, columns]
        found[name] = [_predict_plainly(features, fold, codes, estimators[name]) for fold in folds]
    return {name: tuple(predictions) for name, predictions in found.items()}


def _predict_plainly(
    features: NDArray[np.floating], fold: Fold, codes: Codes, estimator: Any
) -> Codes:
    """Fit a classifier anew to every labelling."""
    predicted = np.empty((len(codes), len(fold.test)), dtype=np.int16)
    for row, labels in zip(predicted, codes[:, fold.train], strict=True):
        row[:] = labels[0]
        if (labels != labels[0]).any():
            pipeline = make_pipeline(StandardScaler(), clone(estimator))
            row[:] = pipeline.fit(features[fold.train], labels).predict(features[fold.test])
    return predicted
