"""What a network makes of volumes: probabilities of classes, and activations of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bidsface_emotion_cnn.networks import SequentialNetwork, apply_layers
from bidsface_emotion_cnn.torch_devices import applied
from bidsface_emotion_cnn.volume_set import Floats, VolumeSet

BATCH_SIZE = 8
"""Volumes at a time; of 80 x 80 x 35 voxels the published network needs 0.2 GB for each."""


def predict_probabilities(
    model: SequentialNetwork,
    volumes: VolumeSet,
    index: NDArray[np.integer],
    *,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
) -> Floats:
    """Return the probabilities of all classes, (len(index), n_classes).

    The network is applied in evaluation mode, in single precision, and left as it was.

    Parameters
    ----------
    model : SequentialNetwork
    volumes : VolumeSet
        Read batch by batch.
    index : ndarray of int
        Which volumes.
    batch_size : int
        It changes results in their last bits only.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    """
    return _outputs(
        model, lambda x: model(x).softmax(1), volumes, index, batch_size=batch_size, device=device
    )


def pooled_features(
    model: SequentialNetwork,
    volumes: VolumeSet,
    index: NDArray[np.integer],
    *,
    layer: str = "pool",
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
) -> Floats:
    """Return the activations after a layer, (len(index), n_features).

    Parameters
    ----------
    model, volumes, index, batch_size, device
        As for `predict_probabilities`.
    layer : str
        A name of ``model.layers()``; of layers before ``pool`` every channel at every position is a
        feature, in C order.

    Raises
    ------
    ValueError
        If the network has no such layer.
    """
    layers = model.layers()
    names = [name for name, _ in layers]
    if layer not in names:
        raise ValueError(f"layer must be one of {', '.join(names)}, found {layer!r}")
    upto = layers[: names.index(layer) + 1]
    return _outputs(
        model,
        lambda x: apply_layers(upto, x).flatten(1),
        volumes,
        index,
        batch_size=batch_size,
        device=device,
    )


def _outputs(
    model: SequentialNetwork,
    function: Callable[[Tensor], Tensor],
    volumes: VolumeSet,
    index: NDArray[np.integer],
    *,
    batch_size: int,
    device: str,
) -> Floats:
    index = np.asarray(index)
    order = np.argsort(index, kind="stable")
    with applied(model, device) as place, torch.no_grad():
        found = np.concatenate(
            [
                function(torch.from_numpy(batch)[:, None].to(place)).cpu().numpy()
                for batch in _batches(volumes, index[order], batch_size)
            ]
        )
    back = np.empty_like(found)
    back[order[: len(found)]] = found
    return back


def _batches(volumes: VolumeSet, index: NDArray[np.integer], batch_size: int) -> Iterator[Floats]:
    """Yield volumes; one empty batch where there are none, which has the shape of the outputs."""
    for start in range(0, max(len(index), 1), batch_size):
        yield volumes.read(index[start : start + batch_size])
