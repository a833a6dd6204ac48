"""Predictions of held-out volumes, whatever has made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.resampling import Floats, Indices
from bidsface_emotion_cnn.splits import Fold
from bidsface_emotion_cnn.training_sizes import mean_size

SUM_ERROR = 1e-3
"""Probabilities in half precision sum to 1 only so well."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a classifier said of volumes that it had not seen, fold after fold.

    Attributes
    ----------
    scheme : str
        Kind of split, a key of `splits.SCHEMES`.
    fold_names : tuple of str
    probabilities : ndarray of float64, shape (n_tested, n_classes)
    index : ndarray of int64, shape (n_tested,)
        Volumes; repeats of a random split test some more than once.
    folds : ndarray of int64, shape (n_tested,)
        Number of the fold.
    codes, participants, runs : ndarray of int64, shape (n_tested,)
    times : ndarray of float64, shape (n_tested,)
        Within the run (s).
    separate_runs : bool
        Whether no fold tests a film segment that it was trained or validated on.
    n_train : float
        Training volumes of a fold, mean over folds.
    """

    scheme: str
    fold_names: tuple[str, ...]
    probabilities: Floats
    index: Indices
    folds: Indices
    codes: Indices
    participants: Indices
    runs: Indices
    times: Floats
    separate_runs: bool
    n_train: float

    @classmethod
    def of(
        cls,
        scheme: str,
        folds: Sequence[Fold],
        probabilities: Sequence[NDArray[Any]],
        codes: NDArray[Any],
        participants: NDArray[Any],
        runs: NDArray[Any],
        times: NDArray[Any],
    ) -> HeldOut:
        """Put the predictions of folds together.

        Parameters
        ----------
        scheme : str
        folds : sequence of Fold
        probabilities : sequence of ndarray of shape (n_test, n_classes)
            Of every fold's test part, in its order.
        codes, participants, runs, times : ndarray of shape (n_volumes,)
            Of all volumes.

        Raises
        ------
        ValueError
            If shapes do not fit, or values are no probabilities.
        """
        if not folds or len(folds) != len(probabilities):
            raise ValueError(
                f"every fold needs its predictions, found {len(folds)} folds and "
                f"{len(probabilities)} predictions"
            )
        for fold, part in zip(folds, probabilities, strict=True):
            _check(fold, np.asarray(part))
        index = np.concatenate([fold.test for fold in folds]).astype(np.int64)
        every = np.concatenate([np.asarray(part, dtype=np.float64) for part in probabilities])
        if np.max(codes) >= every.shape[1]:
            raise ValueError(
                f"class number {np.max(codes)} has no column in probabilities of {every.shape[1]} "
                "classes"
            )
        return cls(
            scheme=scheme,
            fold_names=tuple(fold.name for fold in folds),
            probabilities=every,
            index=index,
            folds=np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds]),
            codes=np.asarray(codes, dtype=np.int64)[index],
            participants=np.asarray(participants, dtype=np.int64)[index],
            runs=np.asarray(runs, dtype=np.int64)[index],
            times=np.asarray(times, dtype=np.float64)[index],
            separate_runs=all(_separate(fold, np.asarray(runs)) for fold in folds),
            n_train=mean_size(folds),
        )

    @property
    def n_classes(self) -> int:
        """Number of classes that the classifier knows."""
        return self.probabilities.shape[1]

    @property
    def predicted(self) -> Indices:
        """Most probable class of every volume, (n_tested,)."""
        return np.argmax(self.probabilities, axis=1).astype(np.int64)


def _check(fold: Fold, probabilities: NDArray[Any]) -> None:
    if probabilities.ndim != 2 or len(probabilities) != len(fold.test):
        raise ValueError(
            f"fold {fold.name} tests {len(fold.test)} volumes, found predictions of shape "
            f"{probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError(f"fold {fold.name}: predictions are not finite; training has diverged")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if (probabilities < 0).any() or np.abs(sums - 1).max(initial=0) > SUM_ERROR:
        raise ValueError(
            f"fold {fold.name}: predictions must be probabilities that sum to 1 over classes"
        )


def _separate(fold: Fold, runs: NDArray[Any]) -> bool:
    seen = np.concatenate([fold.train, fold.validation])
    return not np.isin(runs[fold.test], runs[seen]).any()
