"""Training of a network over volumes: repeatable, and resumable after any interruption.

The same seed, options, volumes and number of threads on the same kind of processor give the same
weights to the bit, whatever else runs in the process, and whether or not the training was killed
and begun again in between. Sums over a batch depend in their last bits on the number of threads:
torch's is left as it is found. On a GPU runs may differ in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsface.errors import InputError
from bidsface_emotion_cnn.checkpoints import Checkpoint, fingerprint_of
from bidsface_emotion_cnn.history import EpochRecord, best_epoch
from bidsface_emotion_cnn.networks import SequentialNetwork
from bidsface_emotion_cnn.torch_devices import exact_arithmetic, torch_device
from bidsface_emotion_cnn.trainer import StepDone, Trainer
from bidsface_emotion_cnn.training_options import TrainingOptions
from bidsface_emotion_cnn.volume_set import Indices, VolumeSet

Progress = Callable[[EpochRecord], None]


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network after training.

    Attributes
    ----------
    model : SequentialNetwork
        On the processor, in evaluation mode, with the weights of the best epoch.
    history : tuple of EpochRecord
        Every epoch that was trained.
    best_epoch : int
        From 1: the epoch whose weights the model has.
    started : str
        Where this call began: at the beginning, and why, or at a checkpoint.
    """

    model: SequentialNetwork
    history: tuple[EpochRecord, ...]
    best_epoch: int
    started: str


def train_network(
    volumes: VolumeSet,
    train: Indices,
    validation: Indices,
    options: TrainingOptions,
    *,
    n_classes: int,
    seed: int,
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    step_done: StepDone | None = None,
) -> TrainedNetwork:
    """Train a network on some volumes, and keep the weights that are best on others.

    Parameters
    ----------
    volumes : VolumeSet
        Read batch by batch.
    train, validation : ndarray of int
        Volumes to learn from, and to choose the epoch by; without the latter the last epoch counts.
    options : TrainingOptions
    n_classes : int
    seed : int
        Of initial weights, order, augmentation and dropout.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    checkpoint : Path, optional
        Folder for the state of this training alone. Where it holds the state of the same training,
        that goes on; a state of other options or data is replaced.
    progress : callable, optional
        Called after every epoch, when its state is saved.
    step_done : callable, optional
        Called with epoch and step, both from 1, after every step.

    Raises
    ------
    InputError
        If the device or the precision cannot be had, volumes are too small for the network or too
        few, or the loss is no longer finite.
    ValueError
        If the parts overlap or lie outside the volumes, or a class number is not below n_classes.
    """
    train, validation = _checked_parts(volumes, train, validation, n_classes)
    place = torch_device(device)
    trainer = Trainer(volumes, train, validation, options, n_classes, seed, place)
    if checkpoint is not None:
        settings = {"n_classes": n_classes, "seed": seed, "device": place.type}
        mark = fingerprint_of(volumes, train, validation, options, **settings)
        trainer.resume(Checkpoint(checkpoint, mark))
    with exact_arithmetic(place):
        while not trainer.finished:
            trainer.run_epoch(step_done)
            if progress is not None:
                progress(trainer.course.history[-1])
    history = tuple(trainer.course.history)
    best = best_epoch(history, options.monitor)
    assert best is not None
    return TrainedNetwork(trainer.best_model(), history, best, trainer.started)


def _checked_parts(
    volumes: VolumeSet, train: Indices, validation: Indices, n_classes: int
) -> tuple[Indices, Indices]:
    train, validation = (np.sort(np.asarray(part, np.int64)) for part in (train, validation))
    both = np.concatenate([train, validation])
    if len(np.unique(both)) != len(both):
        raise ValueError("a volume is twice in the training and validation parts")
    if both.size and not 0 <= both.min() <= both.max() < len(volumes):
        raise ValueError(f"parts must be from 0 to {len(volumes) - 1}")
    if both.size and volumes.codes[both].max() >= n_classes:
        raise ValueError(f"class numbers must be below {n_classes}")
    if len(train) < 2:
        raise InputError(f"training needs at least 2 volumes, found {len(train)}")
    return train, validation
