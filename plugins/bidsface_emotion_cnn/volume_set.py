"""Labelled volumes of all participants, on disk or in memory, and how they are scaled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Shape = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class VolumeSet:
    """Volumes with what is known of each.

    Attributes
    ----------
    data : ndarray of shape (n_volumes, X, Y, Z)
        float32; possibly a memory map. It is only read.
    codes : ndarray of shape (n_volumes,)
        int64, class numbers: places in ``classes``.
    participants : ndarray of shape (n_volumes,)
        int64, places in ``participant_labels``.
    runs : ndarray of shape (n_volumes,)
        int64, places in ``run_labels``: the film segment, which has the same number in every
        participant.
    times : ndarray of shape (n_volumes,)
        float64, s within the run.
    classes, participant_labels, run_labels : tuple of str
    """

    data: Floats
    codes: Indices
    participants: Indices
    runs: Indices
    times: NDArray[np.float64]
    classes: tuple[str, ...]
    participant_labels: tuple[str, ...]
    run_labels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if self.data.ndim != 4 or self.data.dtype != np.float32:
            raise ValueError(
                "data must have shape (n_volumes, X, Y, Z) and type float32, found "
                f"{self.data.shape}, {self.data.dtype}"
            )
        if min(self.data.shape[1:]) < 1:
            raise ValueError(f"volumes must have voxels, found shape {self.data.shape[1:]}")
        for name, labels in (
            ("codes", self.classes),
            ("participants", self.participant_labels),
            ("runs", self.run_labels),
        ):
            self._check_codes(name, labels)
        if self.times.shape != (len(self.data),) or self.times.dtype != np.float64:
            raise ValueError(
                f"times must be float64 of shape ({len(self.data)},), found {self.times.dtype}, "
                f"{self.times.shape}"
            )
        if not np.isfinite(self.times).all():
            raise ValueError("times must be finite")

    def _check_codes(self, name: str, labels: tuple[str, ...]) -> None:
        codes = getattr(self, name)
        if codes.shape != (len(self.data),) or codes.dtype != np.int64:
            raise ValueError(
                f"{name} must be int64 of shape ({len(self.data)},), found {codes.dtype}, "
                f"{codes.shape}"
            )
        if len(set(labels)) != len(labels):
            raise ValueError(f"labels of {name} must differ, found {', '.join(labels)}")
        if codes.size and not 0 <= codes.min() <= codes.max() < len(labels):
            raise ValueError(
                f"{name} must be from 0 to {len(labels) - 1}, found {codes.min()} to {codes.max()}"
            )

    def __len__(self) -> int:
        """Return the number of volumes."""
        return len(self.data)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along the three axes."""
        return self.data.shape[1], self.data.shape[2], self.data.shape[3]

    def read(self, index: NDArray[np.integer]) -> Floats:
        """Return volumes in memory, (len(index), X, Y, Z), in the order of ``index``.

        They are read in the order in which they lie on disk.
        """
        order = np.argsort(index, kind="stable")
        found = np.empty((len(index), *self.shape), np.float32)
        for place in order:
            found[place] = self.data[index[place]]
        return found


def cached_volumes(path: Path, shape: Shape, blocks: Iterable[NDArray[np.floating]]) -> Floats:
    """Write volumes to an uncompressed ``.npy`` file block by block, and map it read-only.

    Only one block at a time is in memory when ``blocks`` makes them as they are asked for. The file
    gets its name when it is complete: there is never a part of one at ``path``.

    Parameters
    ----------
    path : Path
        Its folder must exist.
    shape : (n_volumes, X, Y, Z)
    blocks : iterable of ndarray of shape (k, X, Y, Z)
        Consecutive volumes, such as those of one participant, any k.

    Raises
    ------
    ValueError
        If blocks do not have that shape, are too few or too many, or hold values that are not
        finite.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}
    temporary = path.with_name(path.name + ".part")
    written = 0
    # Not through a writable memory map: a full disk would end the process without a message.
    with temporary.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for block in blocks:
            _check_block(block, written, shape)
            stream.write(np.ascontiguousarray(block, "<f4").data)
            written += len(block)
        stream.flush()
        os.fsync(stream.fileno())
    if written != shape[0]:
        temporary.unlink()
        raise ValueError(f"{shape[0]} volumes were to come, found {written}")
    temporary.replace(path)
    return np.load(path, mmap_mode="r")


def _check_block(block: NDArray[np.floating], written: int, shape: Shape) -> None:
    if block.ndim != 4 or block.shape[1:] != tuple(shape[1:]):
        raise ValueError(f"volumes must have shape {tuple(shape[1:])}, found {block.shape[1:]}")
    if written + len(block) > shape[0]:
        raise ValueError(f"{shape[0]} volumes were to come, found at least {written + len(block)}")
    finite = np.isfinite(block).all(axis=(1, 2, 3))
    if not finite.all():
        raise ValueError(
            f"volume {written + int(np.argmin(finite))} holds values that are not finite"
        )


def scaled_volumes(
    values: NDArray[np.floating], inside: NDArray[np.bool_], scaling: str = "volume"
) -> Floats:
    """Scale the volumes of one run over the voxels of the brain; outside it they become 0.

    Parameters
    ----------
    values : ndarray of shape (n_volumes, X, Y, Z)
    inside : ndarray of shape (X, Y, Z)
        Where the brain is. The publication scaled over the whole volume: all voxels.
    scaling : str
        A key of `SCALINGS`: ``volume`` brings every volume to mean 0 and standard deviation 1 over
        its voxels, ``voxel`` every voxel over the volumes of the run, ``both`` does the latter and
        then the former, ``none`` nothing. What does not vary becomes 0.

    Raises
    ------
    ValueError
        If there is no voxel inside, a value inside is not finite, or the scaling is unknown.
    """
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {', '.join(SCALINGS)}, found {scaling!r}")
    if not inside.any():
        raise ValueError("no voxel is inside the brain")
    brain = values[:, inside].astype(np.float64)
    if not np.isfinite(brain).all():
        raise ValueError("a volume holds values inside the brain that are not finite")
    found = np.zeros(values.shape, np.float32)
    found[:, inside] = SCALINGS[scaling](brain)
    return found


def _standardized(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    centred = values - values.mean(axis=axis, keepdims=True)
    deviation = centred.std(axis=axis, keepdims=True)
    # Rounding leaves a constant with a tiny deviation, which must not be blown up.
    flat = deviation <= 1e-12 * np.abs(values).max(axis=axis, keepdims=True)
    return np.where(flat, 0.0, centred / np.where(flat, 1.0, deviation))


def over_voxels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring every row of (n_volumes, n_voxels) to mean 0 and standard deviation 1."""
    return _standardized(values, 1)


def over_time(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring every column of (n_volumes, n_voxels) to mean 0 and standard deviation 1."""
    return _standardized(values, 0)


SCALINGS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "volume": over_voxels,
    "voxel": over_time,
    "both": lambda values: over_voxels(over_time(values)),
    "none": lambda values: values,
}
"""How the volumes of a run (n_volumes, n_voxels) may be scaled."""
