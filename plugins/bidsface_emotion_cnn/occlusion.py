"""Occlusion of volumes, exact, by recomputing only what a box changes.

A box of a constant slides over a volume, and the change of every class's probability says how much
the network relies on what was there (Zeiler & Fergus 2014, ECCV, 818-833). A small box changes a
small window of every layer's activations. Those outside are the same as without the box, so that
the forward pass of the unchanged volume, computed once, and the windows, computed for many boxes at
once, give what full forward passes give, at less than a hundredth of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from bidsface.errors import InputError
from bidsface_emotion_cnn.occlusion_grid import (
    Triple,
    map_to_volume,
    position_counts,
    triple,
)
from bidsface_emotion_cnn.occlusion_network import Network
from bidsface_emotion_cnn.occlusion_planning import cheapest
from bidsface_emotion_cnn.occlusion_reading import evaluated, read_layers, require_same_output
from bidsface_emotion_cnn.occlusion_running import run_batches
from bidsface_emotion_cnn.occlusion_space import Space
from bidsface_emotion_cnn.occlusion_windows import batches
from bidsface_emotion_cnn.torch_devices import exact_arithmetic

__all__ = ["brute_force_occlusion", "map_to_volume", "occlude_masks", "occlusion_map"]

CACHED = 2**19
"""Numbers that the windows of a batch hold at most on a CPU: what its cache has room for."""

ON_GPU = 2**28
"""The same on a GPU, where only memory is a limit."""

SMALL = 1 / 8
"""Masks in a box of at most this share of the volume are occluded by windows."""

Device = str | torch.device
DType = str | torch.dtype | None


def occlusion_map(
    model: nn.Module,
    volume: ArrayLike,
    box: int | Triple = 2,
    stride: int | Triple = 2,
    *,
    value: float = 0.0,
    pad: bool = False,
    device: Device = "cpu",
    batch: int | None = None,
    dtype: DType = None,
) -> NDArray[np.float64]:
    """Return the change of every class's probability when a box slides over a volume.

    Parameters
    ----------
    model : torch.nn.Module
        A network as `read_layers` wants it, with one input channel; taken in evaluation mode,
        whatever mode it is in. It is not changed.
    volume : array-like of shape (X, Y, Z)
    box, stride : int or tuple of three ints
        Size and step of the box, voxels.
    value : float
        What the box is filled with.
    pad : bool
        Add positions at the end of axes that the stride does not divide, so that the last voxels
        are covered; these boxes are cut at the border.
    device : str or torch.device
        Where to compute. On the CPU as many batches run at once as torch uses threads.
    batch : int, optional
        The most boxes in a batch; by default as many as suit the device's memory.
    dtype : str or torch.dtype, optional
        float32 or float64; by default the network's own.

    Returns
    -------
    ndarray of shape (n_classes, gx, gy, gz)
        Probability with the box minus probability without, at every position;
        ``floor((n - box) / stride) + 1`` positions per axis, `ceil` with `pad`.

    Raises
    ------
    InputError
        If the network has a layer that is not supported, or does not fit the volume.

    References
    ----------
    Zeiler & Fergus (2014), ECCV, 818-833.
    """
    size, step = triple(box, "box"), triple(stride, "stride")
    values = _checked(volume)
    counts = position_counts(_three(values.shape), size, step, pad)
    network, where = _network(model, values, device, dtype)
    room = CACHED if where.type == "cpu" else ON_GPU

    def most(sizes: NDArray[np.int64]) -> int:
        each = 1 if neighbours is None else neighbours.n
        fitting = max(room // (network.widest(sizes) * each), 1)
        return fitting if batch is None else max(min(batch // each, fitting), 1)

    n_positions = int(np.prod(counts))
    changes = torch.empty((n_positions, len(network.logits)), dtype=torch.float64, device=where)

    axes, neighbours = cheapest(network, size, step, counts, batch)
    with torch.inference_mode():
        network.prepare([axes])
    run_batches(network, batches(axes, most, neighbours), value, changes)
    difference = _probability_changes(network.logits, changes)
    return difference.T.reshape(-1, *counts)


def occlude_masks(
    model: nn.Module,
    volume: ArrayLike,
    masks: ArrayLike,
    *,
    value: float = 0.0,
    device: Device = "cpu",
    batch: int = 4,
    dtype: DType = None,
) -> NDArray[np.float64]:
    """Return the change of every class's probability when the voxels of masks are filled.

    Parameters
    ----------
    model, volume, value, device, dtype
        As for `occlusion_map`.
    masks : array-like of bool, shape (n_masks, X, Y, Z)
        Regions of an atlas, say. Small ones are occluded as boxes are, large ones by forward
        passes of whole volumes.
    batch : int
        Whole volumes in a forward pass.

    Returns
    -------
    ndarray of shape (n_masks, n_classes)
        Probability with the mask filled minus probability without.
    """
    values = _checked(volume)
    regions = np.asarray(masks).astype(bool)
    if regions.shape[1:] != values.shape:
        raise InputError(
            f"masks: wanted an array of shape (n_masks, {', '.join(map(str, values.shape))}) "
            f"as the volume's; found {regions.shape}"
        )
    network, where = _network(model, values, device, dtype)
    bounds = [_bounds(region) for region in regions]
    large = [row for row, (_, size) in enumerate(bounds) if size.prod() > SMALL * values.size]
    small = {
        row: network.axes([start[[axis]] for axis in range(3)], _three(size))
        for row, (start, size) in enumerate(bounds)
        if row not in large and size.all()
    }
    changes = torch.zeros((len(regions), len(network.logits)), dtype=torch.float64, device=where)
    with torch.inference_mode():
        network.prepare(list(small.values()))
        for row, axes in small.items():
            for one in batches(axes, lambda sizes: 1):
                space = Space(where)
                found = [network.changes(one, space, value, regions[row])]
                changes[row] = network.finish(found, space)[0]
    differences = _probability_changes(network.logits, changes)
    if large:
        volumes = (np.where(regions[row], value, values) for row in large)
        differences[large] = _forward_changes(model, values, volumes, where, batch, dtype)
    return differences


def brute_force_occlusion(
    model: nn.Module,
    volume: ArrayLike,
    positions: ArrayLike,
    box: int | Triple = 2,
    *,
    value: float = 0.0,
    device: Device = "cpu",
    batch: int = 4,
    dtype: DType = None,
) -> NDArray[np.float64]:
    """Return what `occlusion_map` returns at some positions, by full forward passes.

    The reference that the exact recomputation is held against, for any network.

    Parameters
    ----------
    model, volume, box, value, device, dtype
        As for `occlusion_map`.
    positions : array-like of int, shape (n_positions, 3)
        First voxels of the boxes.
    batch : int
        Volumes in a forward pass.

    Returns
    -------
    ndarray of shape (n_positions, n_classes)
    """
    values, size = _checked(volume), triple(box, "box")
    starts = np.asarray(positions, dtype=np.int64).reshape(-1, 3)

    def occluded() -> Iterator[NDArray[np.floating]]:
        for x, y, z in starts:
            filled = values.copy()
            filled[x : x + size[0], y : y + size[1], z : z + size[2]] = value
            yield filled

    return _forward_changes(model, values, occluded(), torch.device(device), batch, dtype)


def _checked(volume: ArrayLike) -> NDArray[np.floating]:
    """Return a volume as an array; `InputError` unless it is one and finite."""
    values = np.asarray(volume)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    if values.ndim != 3 or not values.size:
        raise InputError(f"volume: wanted three dimensions, found an array of {values.shape}")
    if not np.isfinite(values).all():
        raise InputError("volume: wanted finite numbers, found some that are not")
    return values


def _three(values: Iterable[int]) -> Triple:
    x, y, z = (int(n) for n in values)
    return x, y, z


def _bounds(region: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return start and size of the box around a mask, three numbers each; 0 for an empty one."""
    places = np.argwhere(region)
    if not len(places):
        return np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    return places.min(axis=0), np.ptp(places, axis=0) + 1


def _dtype(model: nn.Module, dtype: DType) -> torch.dtype:
    """Return the type to compute in."""
    if dtype is None:
        found = next((one.dtype for one in model.parameters()), torch.float32)
        return found if found == torch.float64 else torch.float32
    wanted = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if wanted not in (torch.float32, torch.float64):
        raise InputError(f"dtype: wanted float32 or float64, found {dtype}")
    return wanted


def _network(
    model: nn.Module, values: NDArray[np.floating], device: Device, dtype: DType
) -> tuple[Network, torch.device]:
    """Return the network over the volume, and the device that it is on."""
    where, layers = torch.device(device), read_layers(model)
    with torch.inference_mode(), exact_arithmetic(where):
        tensor = torch.tensor(values, dtype=_dtype(model, dtype), device=where)
        network = Network(layers, tensor)
        require_same_output(model, layers, tensor)
        return network, where


def _probability_changes(logits: Tensor, changes: Tensor) -> NDArray[np.float64]:
    """Return changes of probabilities, from logits (K,) and their changes (n, K)."""
    before = torch.softmax(logits, dim=-1)
    return (torch.softmax(logits + changes, dim=-1) - before).cpu().numpy()


def _forward_changes(
    model: nn.Module,
    values: NDArray[np.floating],
    volumes: Iterator[NDArray[np.floating]],
    device: torch.device,
    batch: int,
    dtype: DType,
) -> NDArray[np.float64]:
    """Return changes of probabilities by full forward passes, (n_volumes, n_classes)."""
    kind = _dtype(model, dtype)
    with (
        torch.inference_mode(),
        exact_arithmetic(device),
        evaluated(model, kind, device) as network,
    ):

        def logits(some: list[NDArray[np.floating]]) -> Tensor:
            tensor = torch.from_numpy(np.stack(some)).to(dtype=kind, device=device)
            return network(tensor[:, None]).double()

        before, found, waiting = logits([values])[0], [], []
        for one in volumes:
            waiting.append(one)
            if len(waiting) == batch:
                found.append(logits(waiting))
                waiting = []
        if waiting:
            found.append(logits(waiting))
        after = torch.cat(found) if found else before.new_empty(0, len(before))
        return _probability_changes(before, after - before)
