"""Batches of training volumes: which come when, and how they are varied.

Random numbers of an epoch, and of a step, come from a stream of their own that the seed and the
place of the step determine: training that begins again in the middle needs no stored generator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.training_options import AugmentationOptions
from bidsface_emotion_cnn.volume_set import Floats, Indices

INITIAL, ORDER, AUGMENTATION, DROPOUT = range(4)
"""What random numbers are for: each has its own stream."""


def stream(seed: int, *key: int) -> np.random.SeedSequence:
    """Return the random stream of a purpose, such as ``(DROPOUT, epoch, step)``."""
    return np.random.SeedSequence(seed, spawn_key=key)


def torch_seed(seed: int, *key: int) -> int:
    """Return the seed of a torch generator for a purpose."""
    return int(stream(seed, *key).generate_state(1, np.uint32)[0])


def epoch_batches(train: Indices, batch_size: int, seed: int, epoch: int) -> list[Indices]:
    """Divide the training volumes into batches, in an order that is random in every epoch.

    Parameters
    ----------
    train : ndarray of shape (n_train,)
        Sorted, so that the same volumes give the same batches.
    batch_size : int
        At least 2. A last batch of one volume, over which batch normalization has no variance,
        joins the batch before.
    seed, epoch : int
    """
    order = np.random.default_rng(stream(seed, ORDER, epoch)).permutation(train)
    edges = list(range(batch_size, len(order), batch_size))
    if edges and len(order) - edges[-1] == 1:
        edges.pop()
    return np.split(order, edges)


def varied(batch: Floats, options: AugmentationOptions, seed: np.random.SeedSequence) -> Floats:
    """Return volumes (n, X, Y, Z) moved and with noise, as the options say.

    A volume never moves by as much as its whole width, so that it is never empty.
    """
    rng = np.random.default_rng(seed)
    if options.max_shift:
        limits = np.minimum(options.max_shift, np.array(batch.shape[1:]) - 1)
        steps = rng.integers(-limits, limits + 1, size=(len(batch), 3))
        batch = np.stack([shifted(volume, by) for volume, by in zip(batch, steps, strict=True)])
    if options.noise_sd:
        noise = rng.standard_normal(batch.shape, dtype=np.float32)
        # Outside the brain volumes are 0, in training as in use.
        batch = batch + np.where(batch != 0, np.float32(options.noise_sd) * noise, 0)
    return batch


def shifted(volume: Floats, by: NDArray[np.integer]) -> Floats:
    """Move a volume (X, Y, Z) by whole voxels; zeros come in from the border."""
    moved = np.zeros_like(volume)
    to = tuple(slice(max(step, 0), size + min(step, 0)) for step, size in _steps(volume, by))
    source = tuple(slice(max(-step, 0), size - max(step, 0)) for step, size in _steps(volume, by))
    moved[to] = volume[source]
    return moved


def _steps(volume: Floats, by: NDArray[np.integer]) -> list[tuple[int, int]]:
    return [(int(step), size) for step, size in zip(by, volume.shape, strict=True)]
