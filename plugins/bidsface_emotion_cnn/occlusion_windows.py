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

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.occlusion_levels import Integers, Level, axis_windows

Run = tuple[int, slice]
"""An element of windows, and positions for which it lies outside the grid."""


@dataclass(frozen=True, eq=False)
class AxisPart:
    """Positions along one axis whose windows are alike.

    Attributes
    ----------
    members : ndarray of shape (m,)
        Positions along the axis.
    starts : ndarray of shape (L, m)
        Starts of their windows, at regular distances.
    first, step : tuple of L ints
        The first start, and the distance.
    sizes : tuple of L ints
    rows : tuple of L ndarrays of shape (size, m)
        Where the windows' elements lie in the flat grid, as far as this axis tells. Elements
        outside have the row of the nearest element inside.
    outside : tuple of L tuples of Run
        Which elements lie outside.
    """

    members: Integers
    starts: Integers
    first: tuple[int, ...]
    step: tuple[int, ...]
    sizes: tuple[int, ...]
    rows: tuple[Integers, ...]
    outside: tuple[tuple[Run, ...], ...]


def outside_runs(starts: Integers, size: int, n: int) -> tuple[Run, ...]:
    """Return which elements of windows, (m,) rising starts, lie outside a grid of n elements."""
    runs = []
    for element in range(size):
        before = int(np.searchsorted(starts, -element))
        behind = int(np.searchsorted(starts, n - element))
        runs += [(element, slice(0, before))] if before else []
        runs += [(element, slice(behind, None))] if behind < len(starts) else []
    return tuple(runs)


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
            places = np.arange(high - low)[:, None] + first
            rows.append(np.clip(places, 0, level.n - 1) * self.steps[index])
            outside.append(outside_runs(first, high - low, level.n))
        first_starts = tuple(starts[:, 0].tolist())
        step = starts[:, 1] - starts[:, 0] if len(members) > 1 else np.zeros_like(starts[:, 0])
        steps = tuple(step.tolist())
        return AxisPart(
            members, starts, first_starts, steps, tuple(sizes), tuple(rows), tuple(outside)
        )


@dataclass(frozen=True)
class Neighbours:
    """Boxes side by side that share a window: that of the larger box that holds them all.

    Windows that begin in the middle of a layer's step have shapes of their own. In a small volume
    there are almost as many shapes as positions, and a batch would be a single box.

    Attributes
    ----------
    along : tuple of three ints
        Boxes that share a window, along each axis.
    box, step : tuple of three ints
        Their size, and the distance between them.
    counts : tuple of three ints
        Number of boxes per axis. The last window of an axis may have places that no box is at.
    """

    along: tuple[int, int, int]
    box: tuple[int, int, int]
    step: tuple[int, int, int]
    counts: tuple[int, int, int]

    @property
    def n(self) -> int:
        """Boxes that share a window."""
        return int(np.prod(self.along))

    @property
    def places(self) -> Integers:
        """Number of each box within its window along the axes, (3, n)."""
        return np.indices(self.along).reshape(3, -1)

    @property
    def whole(self) -> tuple[int, int, int]:
        """Size of the box that holds all that share a window."""
        x, y, z = (
            size + (n - 1) * step
            for size, n, step in zip(self.box, self.along, self.step, strict=True)
        )
        return x, y, z

    @property
    def starts(self) -> list[Integers]:
        """First voxels of these boxes, along each axis."""
        return [
            np.arange(-(-count // n)) * n * step
            for count, n, step in zip(self.counts, self.along, self.step, strict=True)
        ]

    def inside(self, size: tuple[int, int, int]) -> NDArray[np.bool_]:
        """Tell which voxels of a window of some size each box holds, (*size, n)."""
        found = np.ones((*size, self.n), dtype=bool)
        for axis, places in enumerate(self.places):
            first = places * self.step[axis]
            voxels = np.arange(size[axis])[:, None]
            held = (voxels >= first) & (voxels < first + self.box[axis])
            shape = [1, 1, 1, self.n]
            shape[axis] = size[axis]
            found &= held.reshape(shape)
        return found


@dataclass(frozen=True, eq=False)
class Batch:
    """Boxes whose windows are alike at every level.

    Attributes
    ----------
    parts : tuple of three AxisPart
        Windows are at all combinations of their members.
    counts : tuple of three ints
        Number of windows per axis.
    neighbours : Neighbours or None
        Boxes that share a window; None if each has its own.
    """

    parts: tuple[AxisPart, AxisPart, AxisPart]
    counts: tuple[int, int, int]
    neighbours: Neighbours | None = None

    @cached_property
    def n(self) -> int:
        """The number of boxes."""
        return int(np.prod(self.boxes)) * self.each

    @property
    def each(self) -> int:
        """The number of boxes per window."""
        return 1 if self.neighbours is None else self.neighbours.n

    @cached_property
    def positions(self) -> Integers:
        """Flat positions of the boxes, (n,); -1 for places that no box is at."""
        members = [part.members for part in self.parts]
        if self.neighbours is None:
            return np.ravel_multi_index(np.ix_(*members), self.counts).reshape(-1)
        near, counts = self.neighbours, self.neighbours.counts
        flat, there = np.zeros((1, 1, 1, 1), dtype=np.int64), np.ones((1, 1, 1, 1), dtype=bool)
        for axis, (own, place) in enumerate(zip(members, near.places, strict=True)):
            shape = [near.n, 1, 1, 1]
            shape[1 + axis] = len(own)
            number = (place[:, None] + own * near.along[axis]).reshape(shape)
            flat, there = flat * counts[axis] + number, there & (number < counts[axis])
        return np.where(there, flat, -1).reshape(-1)

    def size(self, level: int) -> tuple[int, int, int]:
        """Return the size of the windows at a level."""
        x, y, z = (part.sizes[level] for part in self.parts)
        return x, y, z

    def start(self, level: int) -> tuple[int, int, int]:
        """Return the start of the first box's window at a level."""
        x, y, z = (part.first[level] for part in self.parts)
        return x, y, z

    @cached_property
    def boxes(self) -> tuple[int, int, int]:
        """The number of boxes along each axis."""
        x, y, z = (len(part.members) for part in self.parts)
        return x, y, z

    def rows(self, level: int) -> Integers:
        """Return where the windows' elements lie in the level's flat grid, (size * n,)."""
        x, y, z = (part.rows[level] for part in self.parts)
        both = x[:, None, None, :, None, None] + y[None, :, None, None, :, None]
        return (both + z[None, None, :, None, None, :]).reshape(-1)

    def outside(self, level: int) -> tuple[tuple[Run, ...], ...]:
        """Return which elements of the windows lie outside the grid, as far as each axis tells."""
        return tuple(part.outside[level] for part in self.parts)


def batches(
    axes: tuple[Axis, Axis, Axis],
    most: Callable[[NDArray[np.int64]], int],
    neighbours: Neighbours | None = None,
) -> Iterator[Batch]:
    """Yield batches that together hold every position once.

    Parameters
    ----------
    axes : tuple of three Axis
    most : callable
        Gives the largest number of windows in a batch from their sizes, (L,).
    neighbours : Neighbours, optional
        Boxes that share a window.
    """
    x_count, y_count, z_count = (axis.starts.shape[1] for axis in axes)
    for kinds in product(*(range(len(axis.classes)) for axis in axes)):
        members = [axis.classes[kind] for axis, kind in zip(axes, kinds, strict=True)]
        sizes = np.prod(
            [axis.sizes[:, some[0]] for axis, some in zip(axes, members, strict=True)], axis=0
        )
        n_parts = split([len(some) for some in members], most(sizes))
        chosen = zip(axes, kinds, n_parts, strict=True)
        for x, y, z in product(*(axis.parts(kind, n) for axis, kind, n in chosen)):
            yield Batch((x, y, z), (x_count, y_count, z_count), neighbours)


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
