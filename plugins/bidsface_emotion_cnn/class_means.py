"""Mean activations of a network's layers by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_emotion_cnn.networks import SequentialNetwork
from bidsface_emotion_cnn.prediction import pooled_features
from bidsface_emotion_cnn.volume_set import VolumeSet

CHUNK = 32
"""Volumes whose activations are in memory at a time."""


def class_means(
    model: SequentialNetwork,
    volumes: VolumeSet,
    index: NDArray[np.int64],
    layers: Sequence[str],
    device: str,
) -> dict[str, NDArray[np.float64]]:
    """Return the mean activations of layers over the volumes of every class.

    Parameters
    ----------
    model : SequentialNetwork
    volumes : VolumeSet
    index : ndarray of int
        Which volumes.
    layers : sequence of str
        Names of ``model.layers()``.
    device : str

    Returns
    -------
    mapping of str to ndarray of shape (n_classes, n_features)
        By layer; NaN for classes without a volume.

    Raises
    ------
    InputError
        If the network has no such layer.
    """
    known = [name for name, _ in model.layers()]
    unknown = [name for name in layers if name not in known]
    if unknown:
        raise InputError(f"layers: the network has no layer {unknown[0]!r}, but {', '.join(known)}")
    return {name: _means(model, volumes, index, name, device) for name in layers}


def _means(
    model: SequentialNetwork,
    volumes: VolumeSet,
    index: NDArray[np.int64],
    layer: str,
    device: str,
) -> NDArray[np.float64]:
    n_classes = len(volumes.classes)
    counts = np.bincount(volumes.codes[index], minlength=n_classes)
    totals: NDArray[np.float64] | None = None
    for start in range(0, len(index), CHUNK):
        part = index[start : start + CHUNK]
        found = pooled_features(model, volumes, part, layer=layer, device=device)
        if totals is None:
            totals = np.zeros((n_classes, found.shape[1]))
        np.add.at(totals, volumes.codes[part], found)
    if totals is None:
        raise ValueError("there is no volume")
    empty = np.full_like(totals, np.nan)
    return np.divide(totals, counts[:, None], out=empty, where=counts[:, None] > 0)
