"""Confusion matrices, and the scores that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.curves import macro
from bidsface_emotion_cnn.resampling import Floats


def confusions(
    codes: NDArray[Any],
    predicted: NDArray[Any],
    groups: NDArray[Any],
    n_groups: int,
    n_classes: int,
) -> NDArray[np.int64]:
    """Count volumes by group (folds, participants), true and predicted class.

    Returns
    -------
    ndarray of int64, shape (n_groups, n_classes, n_classes)
        Rows: true; columns: predicted.
    """
    cells = (groups * n_classes + codes) * n_classes + predicted
    counts = np.bincount(cells, minlength=n_groups * n_classes**2)
    return counts.reshape(n_groups, n_classes, n_classes).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of confusion matrices of shape (..., n_classes, n_classes).

    Attributes
    ----------
    n : ndarray of shape (...)
        Volumes.
    counts : ndarray of shape (..., n_classes)
        Volumes of every class.
    accuracy : ndarray of shape (...)
        Share of the volumes that were recognized.
    recalls : ndarray of shape (..., n_classes)
        The same per class; NaN where there is no volume of the class.
    balanced_accuracy : ndarray of shape (...)
        Mean of the recalls of the classes that there are.
    recall_chance : ndarray of shape (..., n_classes)
        Share of all volumes that were taken for the class: its recall if predictions had nothing
        to do with the classes.
    chance, accuracy_chance : ndarray of shape (...)
        Of the balanced accuracy, 1 / n_classes where all classes are tested; and of the accuracy.
    """

    n: Floats
    counts: Floats
    accuracy: Floats
    recalls: Floats
    balanced_accuracy: Floats
    recall_chance: Floats
    chance: Floats
    accuracy_chance: Floats

    @classmethod
    def of(cls, matrices: NDArray[Any]) -> Scores:
        """Return the scores of confusion matrices, counts or weighted counts."""
        matrices = np.asarray(matrices, dtype=np.float64)
        hits = np.diagonal(matrices, axis1=-2, axis2=-1)
        counts, n = matrices.sum(axis=-1), matrices.sum(axis=(-2, -1))
        recalls = _ratio(hits, counts)
        taken = _ratio(matrices.sum(axis=-2), n[..., None])
        return cls(
            n=n,
            counts=counts,
            accuracy=_ratio(hits.sum(axis=-1), n),
            recalls=recalls,
            balanced_accuracy=macro(recalls),
            recall_chance=taken,
            chance=_expected(taken, counts > 0),
            accuracy_chance=_ratio((taken * counts).sum(axis=-1), n),
        )


def _ratio(numerators: Floats, denominators: Floats) -> Floats:
    """Return quotients, NaN where there is nothing to divide by."""
    numerators, denominators = np.broadcast_arrays(numerators, denominators)
    blank = np.full(numerators.shape, np.nan)
    return np.asarray(np.divide(numerators, denominators, out=blank, where=denominators > 0))


def _expected(taken: Floats, tested: NDArray[np.bool_]) -> Floats:
    """Return the mean chance over the classes that were tested.

    Where some are not, predictions of these are lost: whoever is tested on few classes and predicts
    others has less than one over the number of those few to expect.
    """
    level = macro(np.where(tested, taken, np.nan))
    # A sum of shares is 1 but for rounding.
    return np.where(tested.all(axis=-1), 1 / tested.shape[-1], level)
