"""The course of a training: what is known of every epoch, and which was the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a training.

    Losses are cross-entropies (nats), accuracies shares of volumes from 0 to 1; both weigh classes
    as the training does. Those of the training part are means over the epoch's batches, with
    dropout and augmentation and while the weights changed. Those of the validation part are NaN
    where there is none.

    Attributes
    ----------
    epoch : int
        From 1.
    learning_rate, loss, accuracy, validation_loss, validation_accuracy : float
    """

    epoch: int
    learning_rate: float
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


MONITORS: Mapping[str, Callable[[EpochRecord], tuple[float, float]]] = {
    "accuracy": lambda record: (record.validation_accuracy, -record.validation_loss),
    "loss": lambda record: (-record.validation_loss, record.validation_accuracy),
}
"""What tells how good an epoch is, large being good; the second number decides between equals."""


def best_epoch(history: Sequence[EpochRecord], monitor: str) -> int | None:
    """Return the first of the best epochs on the validation part.

    Parameters
    ----------
    history : sequence of EpochRecord
    monitor : str
        A key of `MONITORS`.

    Returns
    -------
    int or None
        The last epoch where there is no validation part; None before the first.
    """
    if not history:
        return None
    if math.isnan(history[-1].validation_loss):
        return history[-1].epoch
    return max(history, key=MONITORS[monitor]).epoch
