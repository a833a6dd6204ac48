"""Activations of the unchanged volume, and windows of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bidsface_emotion_cnn.occlusion_layers import Reaches
from bidsface_emotion_cnn.occlusion_windows import Axis, Batch

Axes = tuple[Axis, Axis, Axis]


class Base:
    """Activations of the unchanged volume at a level, channels last.

    Windows of boxes that are alike lie at regular distances, so that those of a batch are a view;
    nothing is copied. For windows that stick out there are margins around the grid.

    Parameters
    ----------
    x : Tensor of shape (1, channels, X, Y, Z)
    level : int
        The level whose windows are looked at.
    reaches : three Reach, optional
        Look at all that these windows read, of a level that `x` is on.
    """

    values: Tensor

    def __init__(self, x: Tensor, level: int, reaches: Reaches | None = None) -> None:
        self.x: Tensor | None = x
        self.level, self.reaches = level, reaches
        self.margins: tuple[int, ...] = ()

    def prepare(self, all_axes: Sequence[Axes]) -> None:
        """Make margins for the windows of all positions; done once."""
        if self.x is None:
            return
        pairs = [self._margin(axis, all_axes) for axis in range(3)]
        shape = [low + n + high for (low, high), n in zip(pairs, self.x.shape[2:], strict=True)]
        inside = [slice(low, low + n) for (low, _), n in zip(pairs, self.x.shape[2:], strict=True)]
        self.values = self.x.new_zeros(*shape, self.x.shape[1])
        self.values[tuple(inside)] = self.x[0].permute(1, 2, 3, 0)
        self.margins, self.x = tuple(low for low, _ in pairs), None

    def _margin(self, axis: int, all_axes: Sequence[Axes]) -> tuple[int, int]:
        """Return by how much windows stick out in a dimension, before and behind."""
        assert self.x is not None
        low, high = 0, 0
        for axes in all_axes:
            starts, sizes = axes[axis].starts[self.level], axes[axis].sizes[self.level]
            if self.reaches is not None:
                starts, sizes = self.reaches[axis].field(starts, sizes)
            low = max(low, int(-starts.min()))
            high = max(high, int((starts + sizes).max()) - self.x.shape[2 + axis])
        return low, high

    def size(self, batch: Batch) -> tuple[int, int, int]:
        """Return the size of the windows."""
        if self.reaches is None:
            return batch.size(self.level)
        pairs = zip(self.reaches, batch.size(self.level), strict=True)
        x, y, z = (reach.field(0, size)[1] for reach, size in pairs)
        return x, y, z

    def windows(self, batch: Batch) -> Tensor:
        """Return a view of a batch's windows, (*size, boxes each, *windows per axis, channels)."""
        distances = self.values.stride()
        offset, between = 0, []
        for axis, part in enumerate(batch.parts):
            first, step = part.first[self.level], part.step[self.level]
            if self.reaches is not None:
                reach = self.reaches[axis]
                first, step = reach.stride * first - reach.padding, reach.stride * step
            offset += (first + self.margins[axis]) * distances[axis]
            between.append(step * distances[axis])
        return self.values.as_strided(
            (*self.size(batch), batch.each, *batch.boxes, self.values.shape[3]),
            (*distances[:3], 0, *between, 1),
            offset,
        )
