"""Where arrays live: NumPy on the processor, or torch on a graphics card, behind one interface.

Numerics that are written against `Device` run unchanged on both: functions that NumPy and torch
name alike are taken from ``xp``, the few others are methods.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from bidsface.numerics.lapack import in_c_order, solve_in_place

Array = Any
"""An array of the device's library."""


class Device(Protocol):
    """An array library and the place where its arrays are.

    Attributes
    ----------
    name : str
    xp : module
        ``numpy`` or ``torch``.
    batch : int
        Bytes that the data of one batch should have: what a cache holds, or what fills a GPU.
    """

    name: str
    batch: int

    @property
    def xp(self) -> Any:
        """See above."""

    def workspace(self) -> Device:
        """Return the device for one thread: results of its methods are then overwritten."""

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

    def products(self, left: Array, right: Array) -> Array:
        """Return ``left' @ right`` of matrices (s, p, m) and (s, p, n), shape (s, m, n)."""

    def add_to_diagonals(self, stack: Array, values: Array) -> None:
        """Add ``values`` (s,) times I to square matrices (s, n, n), in place."""

    def solve_positive(self, systems: Array, rows: Array) -> Array:
        """Return ``rows @ inv(systems)`` for positive definite matrices.

        Parameters
        ----------
        systems : array of shape (s, n, n)
            In single precision they have to be well conditioned. They are overwritten.
        rows : array of shape (s, m, n)
            Of the same precision. They are overwritten.
        """


class Processor:
    """NumPy on the processor."""

    name = "cpu"
    batch = 4 << 20

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    @property
    def xp(self) -> Any:
        """See `Device`."""
        return np

    def workspace(self) -> Device:
        """Return a processor with buffers of its own: fresh memory costs more than the work."""
        return Processor()

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
        out = self._buffer("rows", (*index.shape, array.shape[1]), array.dtype)
        return np.take(array, index, axis=0, out=out, mode="clip")

    def products(self, left: Array, right: Array) -> Array:
        """See `Device`."""
        shape = (len(left), left.shape[2], right.shape[2])
        out = self._buffer("products", shape, left.dtype)
        return np.matmul(left.transpose(0, 2, 1), right, out=out)

    def add_to_diagonals(self, stack: Array, values: Array) -> None:
        """See `Device`."""
        np.einsum("kii->ki", stack)[...] += values[:, None]

    def solve_positive(self, systems: Array, rows: Array) -> Array:
        """See `Device`; raises LinAlgError where a matrix is not positive definite."""
        if systems.dtype == np.float64:
            return np.linalg.solve(systems, rows.transpose(0, 2, 1)).transpose(0, 2, 1)
        # NumPy's solver is an LU decomposition, and no faster in single precision.
        systems, rows = in_c_order(systems), in_c_order(rows)
        solve_in_place(systems, rows)
        return rows

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = int(np.prod(shape))
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size or buffer.dtype != dtype:
            self._buffers[name] = buffer = np.empty(size, dtype)
        return buffer[:size].reshape(shape)


class Torch:
    """The library torch on one of its devices, such as ``cuda`` or ``cpu``."""

    batch = 128 << 20

    def __init__(self, name: str) -> None:
        self.name = name
        self._torch = import_module("torch")

    @property
    def xp(self) -> Any:
        """See `Device`."""
        return self._torch

    def workspace(self) -> Device:
        """Return the device itself: torch keeps memory for reuse."""
        return self

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

    def products(self, left: Array, right: Array) -> Array:
        """See `Device`."""
        return left.mT @ right

    def add_to_diagonals(self, stack: Array, values: Array) -> None:
        """See `Device`."""
        stack.diagonal(dim1=1, dim2=2).add_(values[:, None].to(stack.dtype))

    def solve_positive(self, systems: Array, rows: Array) -> Array:
        """See `Device`."""
        return self.xp.linalg.solve(systems, rows.mT).mT


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
