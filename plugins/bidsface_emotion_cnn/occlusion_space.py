"""Memory of one thread: two blocks that steps read from and write to by turns, and a spare one.

Used again and again, they stay in the processor's cache, and views of them can be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bidsface_emotion_cnn.occlusion_windows import Batch, Run

SPARE = 2
MOST_VIEWS = 1024
"""Sets of views that are kept at most."""


class Space:
    """Memory for one batch after another.

    Attributes
    ----------
    batch : Batch
        The present batch.
    saved : list of Tensor
        What residual branches left.
    """

    batch: Batch

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.saved: list[Tensor] = []
        self._blocks: dict[tuple[int, torch.dtype], Tensor] = {}
        self._current = 0
        self._views: dict[Any, Any] = {}

    def begin(self, batch: Batch) -> None:
        """Turn to another batch."""
        self.batch = batch
        self.saved.clear()

    def index(self, values: NDArray[np.int64]) -> Tensor:
        """Return an index on the device."""
        return torch.from_numpy(values).to(self.device)

    def clear_outside(self, x: Tensor, level: int) -> None:
        """Set what lies outside the grid to 0."""
        outside = self.batch.outside(level)
        if any(outside):
            shape = (*self.batch.size(level), self.batch.each, *self.batch.boxes, x.shape[-1])
            fill_outside(x.view(shape), outside, 0.0)

    def following(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return memory for the output of a step; its input stays as it is."""
        self._current = 1 - self._current
        return self._block(self._current, shape, dtype)

    def spare(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return memory for use within a step."""
        return self._block(SPARE, shape, dtype)

    def views(self, key: Any, x: Tensor, out: Tensor, make: Callable[[], Any]) -> Any:
        """Return views of `x` and `out`, kept for the next time if both lie in this memory."""
        places = (x.data_ptr(), out.data_ptr())
        held = {block.data_ptr() for block in self._blocks.values()}
        if not held.issuperset(places):
            return make()
        key = (key, x.dtype, *places)
        if key not in self._views:
            if len(self._views) >= MOST_VIEWS:
                self._views.clear()
            self._views[key] = make()
        return self._views[key]

    def _block(self, which: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        n = prod(shape)
        block = self._blocks.get((which, dtype))
        if block is None or block.numel() < n:
            self._views.clear()
            block = self._blocks[which, dtype] = torch.empty(n, dtype=dtype, device=self.device)
        return block[:n].view(*shape)


def fill_outside(x: Tensor, outside: Sequence[Sequence[Run]], value: float) -> None:
    """Fill what lies outside of windows, (*size, boxes each, *windows per axis, channels)."""
    for axis, runs in enumerate(outside):
        for element, boxes in runs:
            index: list[int | slice] = [slice(None)] * 7
            index[axis], index[4 + axis] = element, boxes
            x[tuple(index)].fill_(value)
