"""Where arrays live: one namespace for NumPy on the processor and torch on a graphics card.

Numerics that are written against `Device` run unchanged on both: functions that NumPy and torch
name alike are taken from ``xp``, the few others are methods.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

Array = Any
"""An array of the device's library."""


class Device(Protocol):
    """An array library and the place where its arrays are."""

    name: str
    xp: Any
    batch: int
    """Bytes that one batch of spheres should have: the size of a cache, or enough to fill a GPU."""

    def send(self, array: np.ndarray) -> Array:
        """Return a NumPy array on the device, of the same type."""

    def fetch(self, array: Array) -> np.ndarray:
        """Return an array of the device as a NumPy array."""

    def double(self, array: Array) -> Array:
        """Return an array in double precision."""

    def single(self, array: Array) -> Array:
        """Return an array in single precision."""

    def rows(self, array: Array, index: Array) -> Array:
        """Return rows of a matrix, shape (*index.shape, n_columns)."""


class Processor:
    """NumPy on the processor."""

    name = "cpu"
    xp = np
    batch = 2 << 20

    def send(self, array: np.ndarray) -> Array:
        """Return the array."""
        return array

    def fetch(self, array: Array) -> np.ndarray:
        """Return the array."""
        return np.asarray(array)

    def double(self, array: Array) -> Array:
        """See `Device`."""
        return array.astype(np.float64, copy=False)

    def single(self, array: Array) -> Array:
        """See `Device`."""
        return array.astype(np.float32, copy=False)

    def rows(self, array: Array, index: Array) -> Array:
        """See `Device`."""
        return np.take(array, index, axis=0)


class Torch:
    """The library torch on one of its devices, such as ``cuda`` or ``cpu``."""

    batch = 256 << 20

    def __init__(self, name: str) -> None:
        self.name = name
        self.xp = import_module("torch")

    def send(self, array: np.ndarray) -> Array:
        """See `Device`."""
        return self.xp.from_numpy(np.ascontiguousarray(array)).to(self.name)

    def fetch(self, array: Array) -> np.ndarray:
        """See `Device`."""
        return np.asarray(array.cpu().numpy())

    def double(self, array: Array) -> Array:
        """See `Device`."""
        return array.to(self.xp.float64)

    def single(self, array: Array) -> Array:
        """See `Device`."""
        return array.to(self.xp.float32)

    def rows(self, array: Array, index: Array) -> Array:
        """See `Device`."""
        return array[index]


def find_device(wanted: str) -> Device:
    """Return the device of an option.

    Parameters
    ----------
    wanted : str
        ``cpu`` (NumPy), ``cuda`` (torch on a GPU), or ``auto``: the GPU where torch finds one.

    Raises
    ------
    ValueError
        If ``cuda`` is wanted and there is none, or the name is unknown.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, found {wanted!r}")
    if wanted == "cpu":
        return Processor()
    if find_spec("torch") is not None and import_module("torch").cuda.is_available():
        return Torch("cuda")
    if wanted == "cuda":
        raise ValueError("device cuda: torch is not installed or finds no GPU")
    return Processor()
