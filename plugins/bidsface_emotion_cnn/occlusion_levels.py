"""Levels of a network, and the windows of every level that change under a box.

A layer's output j reads its inputs ``stride * j - padding + dilation * k`` for k below the kernel's
size, in each dimension. A box changes a window of the volume, hence windows of every level (a level
is a grid that activations live on). Dimensions are independent, so that all of this is arithmetic
on intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Tap:
    """One element of a kernel in one dimension: which outputs of a window read which inputs."""

    index: int
    outputs: slice
    inputs: slice


@dataclass(frozen=True)
class Reach:
    """What a layer reads in one dimension."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def outputs(self, starts: Integers, sizes: Integers) -> tuple[Integers, Integers]:
        """Return starts and sizes (at least 1) of the outputs that read windows of the input."""
        extent = self.dilation * (self.kernel - 1)
        first = -((extent - self.padding - starts) // self.stride)
        last = (starts + sizes - 1 + self.padding) // self.stride
        return first, np.maximum(last - first + 1, 1)

    def field(self, start: Any, size: int) -> tuple[Any, int]:
        """Return start and size of all inputs that a window of the output reads."""
        extent = self.dilation * (self.kernel - 1)
        return self.stride * start - self.padding, self.stride * (size - 1) + extent + 1

    def offset(self, start_in: int, start_out: int) -> int:
        """Return the place, in the input's window, of what the first output's first tap reads."""
        return self.stride * start_out - self.padding - start_in

    def taps(self, offset: int, size_in: int, size_out: int) -> tuple[Tap, ...]:
        """Return the taps that connect two windows."""
        return _taps(self, offset, size_in, size_out)


@lru_cache(maxsize=4096)
def _taps(reach: Reach, offset: int, size_in: int, size_out: int) -> tuple[Tap, ...]:
    found = []
    for index in range(reach.kernel):
        place = offset + reach.dilation * index
        first = max(-(place // reach.stride), 0)
        last = min((size_in - 1 - place) // reach.stride, size_out - 1)
        if first <= last:
            start = place + reach.stride * first
            stop = place + reach.stride * last + 1
            found.append(Tap(index, slice(first, last + 1), slice(start, stop, reach.stride)))
    return tuple(found)


@dataclass(frozen=True)
class Level:
    """A level in one dimension.

    Attributes
    ----------
    n : int
        Size of its grid.
    source : int
        The level it is computed from; -1 for the volume itself.
    reach : Reach or None
        What an element reads of the source. Without it and without `joined` the level is a single
        element that reads everything.
    joined : int or None
        A level of the same grid that is added to the source.
    """

    n: int
    source: int = -1
    reach: Reach | None = None
    joined: int | None = None


def axis_windows(
    starts: Integers, size: int, levels: Sequence[Level]
) -> tuple[Integers, Integers, Integers]:
    """Return the windows of boxes at every level, in one dimension.

    Parameters
    ----------
    starts : ndarray of shape (n_positions,)
        First voxel of the boxes.
    size : int
        Size of the boxes.
    levels : sequence of L levels
        The first is the volume.

    Returns
    -------
    starts, sizes : ndarray of shape (L, n_positions)
        Windows; they may lie in part outside the grid.
    signatures : ndarray of shape (3 L, n_positions)
        Equal columns are windows of equal sizes at equal relative places.
    """
    first = [np.asarray(starts, dtype=np.int64)]
    sizes = [np.full(len(first[0]), size, dtype=np.int64)]
    places = [np.zeros((2, len(first[0])), dtype=np.int64)]
    for level in levels[1:]:
        start, width = first[level.source], sizes[level.source]
        if level.reach is not None:
            begin, wide = level.reach.outputs(start, width)
            place = (level.reach.stride * begin - start, np.zeros_like(start))
        elif level.joined is not None:
            other = first[level.joined]
            begin = np.minimum(start, other)
            wide = np.maximum(start + width, other + sizes[level.joined]) - begin
            place = (start - begin, other - begin)
        else:
            begin, wide = np.zeros_like(start), np.ones_like(start)
            place = (begin, begin)
        first.append(begin)
        sizes.append(wide)
        places.append(np.stack(place))
    return np.stack(first), np.stack(sizes), np.concatenate([np.stack(sizes), *places])
