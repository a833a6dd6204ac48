"""Dissimilarities of classes in the layers of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_emotion_cnn.class_rdms import DrawnMeans
from bidsface_emotion_cnn.networks import SequentialNetwork
from bidsface_emotion_cnn.prediction import pooled_features
from bidsface_emotion_cnn.volume_set import VolumeSet

Floats = NDArray[np.float64]
CHUNK = 32
"""Volumes whose activations are in memory at a time."""


def layer_rdms(
    model: SequentialNetwork,
    volumes: VolumeSet,
    index: NDArray[np.int64],
    layers: Sequence[str],
    seed: np.random.SeedSequence,
    device: str,
) -> dict[str, Floats]:
    """Return 1 - r of the classes' mean activations, from equally many volumes of every class.

    Parameters
    ----------
    model : SequentialNetwork
    volumes : VolumeSet
    index : ndarray of int
        Which volumes.
    layers : sequence of str
        Names of ``model.layers()``.
    seed : SeedSequence
        Of the draws whose RDMs are averaged; the same volumes for all layers.
    device : str

    Returns
    -------
    mapping of str to ndarray of shape (n_pairs,)
        By layer; NaN for pairs with a class without a volume, or that activates nothing.

    Raises
    ------
    InputError
        If the network has no such layer.
    """
    known = [name for name, _ in model.layers()]
    unknown = [name for name in layers if name not in known]
    if unknown:
        raise InputError(f"layers: the network has no layer {unknown[0]!r}, but {', '.join(known)}")
    # Neither people nor runs become a difference of classes.
    blocks = volumes.participants[index] * len(volumes.run_labels) + volumes.runs[index]
    found = {}
    for layer in layers:
        means = DrawnMeans(volumes.codes[index], blocks, len(volumes.classes), seed)
        for start in range(0, len(index), CHUNK):
            part = index[start : start + CHUNK]
            means.add(start, pooled_features(model, volumes, part, layer=layer, device=device))
        found[layer] = means.rdm()
    return found
