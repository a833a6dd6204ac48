"""The saved state of a training that may be interrupted: one file, whole or not there.

The file is in the format safetensors, arrays by name, with everything else as JSON in its header:
nothing in it can run code, and one renaming replaces all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from bidsface_emotion_cnn.training_options import TrainingOptions
from bidsface_emotion_cnn.volume_set import Indices, VolumeSet

N_HASHED = 16


@dataclass(frozen=True, eq=False)
class Saved:
    """What a checkpoint holds.

    Attributes
    ----------
    tensors : mapping of str to Tensor
        On the processor.
    state : mapping
        What JSON can hold.
    """

    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of one training.

    Attributes
    ----------
    folder : Path
        Made when first written to; it belongs to this training alone.
    fingerprint : str
        Of everything that decides on the result, see `fingerprint_of`.
    """

    folder: Path
    fingerprint: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "training.safetensors"

    def save(self, saved: Saved) -> None:
        """Replace the checkpoint at one stroke."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in saved.tensors.items()}
        header = {"fingerprint": self.fingerprint, "state": json.dumps(saved.state)}
        temporary = self.path.with_name(self.path.name + ".part")
        with temporary.open("wb") as stream:
            stream.write(save(tensors, header))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.path)

    def load(self) -> tuple[Saved | None, str]:
        """Return what was saved, and None with the reason where that cannot be used."""
        if not self.path.exists():
            return None, "there was no checkpoint"
        try:
            with safe_open(self.path, framework="pt") as stream:
                header = stream.metadata() or {}
                if header.get("fingerprint") != self.fingerprint:
                    return None, f"{self.path} is of other options, data or software"
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            return Saved(tensors, json.loads(header["state"])), ""
        except (SafetensorError, OSError, KeyError, ValueError):
            return None, f"{self.path} cannot be read"


def fingerprint_of(
    volumes: VolumeSet,
    train: Indices,
    validation: Indices,
    options: TrainingOptions,
    **settings: Any,
) -> str:
    """Return a hash of all that decides on the result of a training.

    Of the data these are shape, class numbers and parts, and the values of some volumes.

    Parameters
    ----------
    volumes : VolumeSet
    train, validation : ndarray of int
    options : TrainingOptions
    **settings
        Further settings, such as the seed.
    """
    chosen = options.model_dump(mode="json", exclude={"checkpoint_steps"})
    text = {"options": chosen, "shape": volumes.shape, "torch": str(torch.__version__), **settings}
    found = hashlib.sha256(json.dumps(text, sort_keys=True).encode())
    for part in (train, validation):
        for array in (part, volumes.codes[part]):
            found.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    used = np.concatenate([train, validation])
    for place in np.linspace(0, len(used) - 1, min(N_HASHED, len(used))).astype(int):
        found.update(np.ascontiguousarray(volumes.data[used[place]]).tobytes())
    return found.hexdigest()
