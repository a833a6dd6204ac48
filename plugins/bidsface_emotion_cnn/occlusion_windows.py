"""Batches of positions of a box under which the windows of all levels are alike.

Windows are not cut at the border: parts that lie outside are named, so that positions of a box
differ by few signatures (sizes and relative places of their windows; at a total stride of 16
voxels, eight per dimension for every second voxel) and whole batches are dense linear algebra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.occlusion_levels import Integers, Level, axis_windows


@dataclass(frozen=True, eq=False)
class AxisPart:
    """Positions along one axis whose windows are alike.

    Attributes
    ----------
    members : ndarray of shape (m,)
        Positions along the axis.
    starts : ndarray of shape (L, m)
        Starts of their windows.
    sizes : tuple of L ints
    rows : tuple of L ndarrays of shape (size, m)
        Where the windows' elements lie in the flat grid, as far as this axis tells. Elements
        outside have the row of the nearest element inside.
    outside : tuple of L ndarrays of shape (size, m), or None where all lie inside
    """

    members: Integers
    starts: Integers
    sizes: tuple[int, ...]
    rows: tuple[Integers, ...]
    outside: tuple[NDArray[np.bool_] | None, ...]


def clipped(
    starts: Integers, size: int, n: int, step: int
) -> tuple[Integers, NDArray[np.bool_] | None]:
    """Return rows (size, m) of windows in a grid of n elements, and which lie outside."""
    places = np.arange(size)[:, None] + starts
    outside = (places < 0) | (places >= n)
    return np.clip(places, 0, n - 1) * step, outside if outside.any() else None


class Axis:
    """Positions of a box along one axis, sorted by signature.

    Parameters
    ----------
    starts : array of shape (n_positions,)
        First voxel of the boxes; boxes may stick out.
    size : int
        Size of the boxes.
    levels : sequence of L levels
    steps : sequence of L ints
        Distance, in the flat grid of a level, of neighbours along this axis.
    """

    def __init__(
        self, starts: Integers, size: int, levels: Sequence[Level], steps: Sequence[int]
    ) -> None:
        self.levels, self.steps = tuple(levels), tuple(steps)
        self.starts, self.sizes, signatures = axis_windows(starts, size, levels)
        _, kinds = np.unique(signatures, axis=1, return_inverse=True)
        kinds = kinds.reshape(-1)
        self.classes = [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]
        self._parts: dict[tuple[int, int], list[AxisPart]] = {}

    def parts(self, kind: int, n_parts: int) -> list[AxisPart]:
        """Return the positions of one class in parts of about equal size."""
        key = (kind, n_parts)
        if key not in self._parts:
            members = np.array_split(self.classes[kind], n_parts)
            self._parts[key] = [self._part(some) for some in members]
        return self._parts[key]

    def _part(self, members: Integers) -> AxisPart:
        """Cut what lies outside for all members off their windows."""
        starts, sizes = self.starts[:, members].copy(), []
        rows, outside = [], []
        for index, level in enumerate(self.levels):
            first, size = starts[index], int(self.sizes[index, members[0]])
            low = int(np.clip(-first, 0, size - 1).min())
            high = max(int(np.minimum(size, level.n - first).max()), low + 1)
            first += low
            sizes.append(high - low)
            row, out = clipped(first, high - low, level.n, self.steps[index])
            rows.append(row)
            outside.append(out)
        return AxisPart(members, starts, tuple(sizes), tuple(rows), tuple(outside))


def spread(parts: Sequence[NDArray[Any]], combine: np.ufunc) -> NDArray[Any]:
    """Combine arrays (size, m) of three axes: flat over elements of windows, then positions."""
    x, y, z = parts
    both = combine(x[:, None, None, :, None, None], y[None, :, None, None, :, None])
    return combine(both, z[None, None, :, None, None, :]).reshape(-1)


@dataclass(frozen=True, eq=False)
class Batch:
    """Boxes whose windows are alike at every level.

    Attributes
    ----------
    parts : tuple of three AxisPart
        The boxes are at all combinations of their members.
    counts : tuple of three ints
        Number of positions per axis.
    """

    parts: tuple[AxisPart, AxisPart, AxisPart]
    counts: tuple[int, int, int]

    @cached_property
    def n(self) -> int:
        """The number of boxes."""
        return int(np.prod([len(part.members) for part in self.parts]))

    @cached_property
    def positions(self) -> Integers:
        """Flat positions of the boxes, (n,)."""
        members = [part.members for part in self.parts]
        return np.ravel_multi_index(np.ix_(*members), self.counts).reshape(-1)

    def size(self, level: int) -> tuple[int, int, int]:
        """Return the size of the windows at a level."""
        x, y, z = (part.sizes[level] for part in self.parts)
        return x, y, z

    def start(self, level: int) -> tuple[int, int, int]:
        """Return the start of the first box's window at a level."""
        x, y, z = (int(part.starts[level, 0]) for part in self.parts)
        return x, y, z

    def rows(self, level: int) -> Integers:
        """Return where the windows' elements lie in the level's flat grid, (size * n,)."""
        return spread([part.rows[level] for part in self.parts], np.add)

    def outside(self, level: int) -> Integers:
        """Return which elements of `rows` lie outside the grid."""
        return outside_rows([part.outside[level] for part in self.parts], self, self.size(level))


def outside_rows(
    outside: Sequence[NDArray[np.bool_] | None], batch: Batch, size: tuple[int, int, int]
) -> Integers:
    """Return which elements of windows lie outside in any dimension, given each dimension's."""
    if all(part is None for part in outside):
        return np.empty(0, dtype=np.int64)
    known = [
        np.zeros((wide, len(part.members)), dtype=bool) if one is None else one
        for one, part, wide in zip(outside, batch.parts, size, strict=True)
    ]
    return np.flatnonzero(spread(known, np.logical_or))


def batches(
    axes: tuple[Axis, Axis, Axis], most: Callable[[NDArray[np.int64]], int]
) -> Iterator[Batch]:
    """Yield batches that together hold every position once.

    Parameters
    ----------
    axes : tuple of three Axis
    most : callable
        Gives the largest number of boxes in a batch from its windows' sizes, (L,).
    """
    counts = tuple(axis.starts.shape[1] for axis in axes)
    for kinds in product(*(range(len(axis.classes)) for axis in axes)):
        members = [axis.classes[kind] for axis, kind in zip(axes, kinds, strict=True)]
        sizes = np.prod(
            [axis.sizes[:, some[0]] for axis, some in zip(axes, members, strict=True)], axis=0
        )
        n_parts = split([len(some) for some in members], most(sizes))
        chosen = zip(axes, kinds, n_parts, strict=True)
        for x, y, z in product(*(axis.parts(kind, n) for axis, kind, n in chosen)):
            yield Batch((x, y, z), counts)  # type: ignore[arg-type]


def split(counts: Sequence[int], most: int) -> list[int]:
    """Return into how many parts to divide each axis so that no batch has more than `most` boxes.

    Short axes are divided first: their borders make up most of the elements that lie outside,
    which a batch of boxes at the border leaves out.
    """
    n_parts, sizes = [1] * len(counts), list(counts)
    while np.prod(sizes) > most and max(sizes) > 1:
        axis = min((i for i in range(len(sizes)) if sizes[i] > 1), key=sizes.__getitem__)
        n_parts[axis] = min(n_parts[axis] + 1, counts[axis])
        sizes[axis] = -(-counts[axis] // n_parts[axis])
    return n_parts
