"""Weights of networks as arrays by name, and reading them from files of this and other software."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bidsface.errors import InputError
from bidsface_emotion_cnn.networks import NETWORKS, SequentialNetwork

Arrays = Mapping[str, NDArray[Any]]

CONVERT = (
    "convert it where you trust it: `safetensors.torch.save_file(model.state_dict(), "
    '"weights.safetensors")`'
)
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under these keys training scripts keep the state dictionary beside other things."""


def network_arrays(model: SequentialNetwork) -> dict[str, NDArray[Any]]:
    """Return all weights and running statistics by their name in the state dictionary."""
    return {
        name: value.detach().cpu().contiguous().numpy().copy()
        for name, value in model.state_dict().items()
    }


def network_info(
    network: str, classes: tuple[str, ...], shape: tuple[int, int, int]
) -> dict[str, Any]:
    """Return what has to be known, beside the arrays, to apply a network.

    Parameters
    ----------
    network : str
        A key of `NETWORKS`.
    classes : tuple of str
    shape : tuple of int
        Of the volumes that it was trained on.
    """
    return {"network": network, "classes": list(classes), "shape": list(shape)}


def network_from_arrays(
    arrays: Arrays, network: str = "emotion-cnn", source: str = "the weights"
) -> SequentialNetwork:
    """Return a network with weights, in evaluation mode; the inverse of `network_arrays`.

    The number of classes is that of the last layer.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    network : str
        A key of `NETWORKS`.
    source : str
        What messages call the weights, such as the name of their file.

    Raises
    ------
    InputError
        If names, shapes or values do not fit.
    """
    if network not in NETWORKS:
        raise InputError(f"network must be one of {', '.join(NETWORKS)}, found {network!r}")
    last = np.asarray(arrays.get("fc.weight", np.zeros(0)))
    n_classes = len(last) if last.ndim == 2 else 1
    # Without memory: nothing is drawn for weights that are replaced.
    with torch.device("meta"):
        model = NETWORKS[network](max(n_classes, 1))
    _check(arrays, model.state_dict(), f"{source}: not weights of network {network}")
    state = {
        name: torch.from_numpy(np.array(arrays[name], copy=True)).to(value.dtype)
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state, assign=True)
    return model.eval()


def _check(arrays: Arrays, wanted: Mapping[str, Tensor], what: str) -> None:
    for kind, names in (
        ("lack", [name for name in wanted if name not in arrays]),
        ("have besides", [name for name in arrays if name not in wanted]),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise InputError(f"{what}: they {kind} {', '.join(names[:3])}{more}")
    for name, value in wanted.items():
        array = np.asarray(arrays[name])
        if array.shape != tuple(value.shape) or array.dtype.kind not in "fiu":
            raise InputError(
                f"{what}: {name} must be numbers of shape {tuple(value.shape)}, found "
                f"{array.dtype} of shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{what}: {name} holds values that are not finite")


def load_network(path: Path, network: str = "emotion-cnn") -> SequentialNetwork:
    """Return a network with the weights of a file, in evaluation mode.

    Parameters
    ----------
    path : Path
        ``.safetensors``, ``.npz`` as bidsface writes it, or ``.pt`` or ``.pth`` with a state
        dictionary, by itself or within a checkpoint.
    network : str
        A key of `NETWORKS`.

    Raises
    ------
    InputError
        If the file cannot be read without running code from it, or is not of that network.
    """
    return network_from_arrays(load_arrays(path), network, str(path))


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; formats and errors are those of `load_network`."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path}: weights are read from {', '.join(READERS)}, found {path.suffix or 'no'} "
            f"ending; {CONVERT}"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return reader(path)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return _as_arrays(load_file(path), path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from error


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz file of arrays; {CONVERT}") from error


def _read_torch(path: Path) -> dict[str, NDArray[Any]]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    # What damaged or foreign bytes make an unpickler raise can be anything.
    except Exception as error:
        raise InputError(
            f"{path}: holds more than arrays, or is damaged; files whose reading would run code "
            f"are not opened; {CONVERT}"
        ) from error
    for key in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    return _as_arrays(loaded, path)


def _as_arrays(loaded: Any, path: Path) -> dict[str, NDArray[Any]]:
    """Return arrays by name, without the prefix that parallel training adds."""
    if not isinstance(loaded, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided
        for name, value in loaded.items()
    ):
        raise InputError(f"{path}: must hold a state dictionary (arrays by name); {CONVERT}")
    return {
        name.removeprefix("module."): (
            value.detach().float() if value.is_floating_point() else value
        ).numpy()
        for name, value in loaded.items()
    }


READERS: Mapping[str, Callable[[Path], dict[str, NDArray[Any]]]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
}
