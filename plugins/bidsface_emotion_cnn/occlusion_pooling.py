"""What pooling, flattening and residual branches do to the windows of a batch of boxes."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bidsface_emotion_cnn.occlusion_base import Base
from bidsface_emotion_cnn.occlusion_layers import Reaches
from bidsface_emotion_cnn.occlusion_space import Space, fill_outside
from bidsface_emotion_cnn.occlusion_steps import Slices, kernel_step
from bidsface_emotion_cnn.occlusion_windows import outside_runs

Grid = tuple[int, int, int]


def row_steps(grid: Grid) -> Grid:
    """Return the distance, in the rows of a grid, of neighbours along each dimension."""
    return grid[1] * grid[2], grid[2], 1


class AveragePoolStep:
    """Mean over a kernel, of changes.

    Parameters
    ----------
    module : AvgPool3d
    x : Tensor of shape (1, channels, X, Y, Z)
        Its input for the unchanged volume.
    reaches : three Reach
    place : pair of ints
        Levels of input and output.
    """

    def __init__(
        self, module: nn.AvgPool3d, x: Tensor, reaches: Reaches, place: tuple[int, int]
    ) -> None:
        ones = torch.ones_like(x[:, :1])
        sums = functional.avg_pool3d(
            ones,
            module.kernel_size,
            module.stride,
            module.padding,
            module.ceil_mode,
            module.count_include_pad,
            divisor_override=1,
        )
        # divisors differ at the border where padded elements do not count
        self.share = Base(module(ones) / sums, place[1])
        sizes = [reach.kernel for reach in reaches]
        n_channels = x.shape[1]
        weight = x.new_ones(n_channels, 1, *sizes)
        self.kernel = kernel_step(weight, n_channels, reaches, place, None)

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        x = self.kernel(x, space)
        share = self.share.windows(space.batch)
        x.view(*share.shape[:-1], -1).mul_(share)
        return x


class MaximumPoolStep:
    """Largest value of a kernel: of the new values of a window and the old ones around it.

    Parameters
    ----------
    base : Base
        Its input for the unchanged volume, as far as windows of the output read it.
    grid : three ints
        The grid of the input.
    reaches : three Reach
    place : pair of ints
        Levels of input and output.
    """

    def __init__(self, base: Base, grid: Grid, reaches: Reaches, place: tuple[int, int]) -> None:
        self.base, self.grid, self.reaches = base, grid, reaches
        self.source, self.target = place

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        everything, size = self._field(x, space)
        target = space.batch.size(self.target)
        out = space.following((*target, *x.shape[1:]), x.dtype).fill_(-torch.inf)
        taps = [
            reach.taps(0, wide, wide_out)
            for reach, wide, wide_out in zip(self.reaches, size, target, strict=True)
        ]
        for one in taps[0]:
            for two in taps[1]:
                for three in taps[2]:
                    part = everything[one.inputs, two.inputs, three.inputs]
                    to = out[one.outputs, two.outputs, three.outputs]
                    torch.maximum(to, part, out=to)
        return out.view(-1, *x.shape[1:])

    def _field(self, x: Tensor, space: Space) -> tuple[Tensor, Grid]:
        """Return values of all that the output's window reads, -inf outside the grid."""
        batch = space.batch
        field, outside, places = self.base.size(batch), [], []
        for axis, (part, reach) in enumerate(zip(batch.parts, self.reaches, strict=True)):
            start, _ = reach.field(part.starts[self.target], part.sizes[self.target])
            outside.append(outside_runs(start, field[axis], self.grid[axis]))
            places.append(int(part.starts[self.source, 0] - start[0]))
        before = self.base.windows(batch)
        flat = space.spare((prod(field) * batch.n, x.shape[2]), x.dtype)
        flat.view(before.shape).copy_(before)
        everything = flat.view(*field, *x.shape[1:])
        window = batch.size(self.source)
        to, source = overlap(field, window, (places[0], places[1], places[2]))
        everything[to] = x.view(*window, *x.shape[1:])[source]
        fill_outside(flat.view(before.shape), outside, -torch.inf)
        return everything, field


def overlap(whole: Grid, part: Grid, place: Grid) -> tuple[Slices, Slices]:
    """Return where a window lies in another that starts `place` before it, in both."""
    to, source = [], []
    for size, wide, start in zip(whole, part, place, strict=True):
        low, high = max(start, 0), max(min(start + wide, size), max(start, 0))
        to.append(slice(low, high))
        source.append(slice(low - start, high - start))
    return (to[0], to[1], to[2]), (source[0], source[1], source[2])


class GlobalSumStep:
    """Sum over the whole grid, of changes."""

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        return x.sum(dim=0, keepdim=True)


class DivisionStep:
    """Division by the number of elements, from here on in double precision."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        return x.double() / self.n


class FlattenStep:
    """Changes of all elements of the grid, from here on in double precision."""

    def __init__(self, n: int, source: int) -> None:
        self.n, self.source = n, source

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        n_elements, n_boxes, n_channels = x.shape
        whole = x.new_zeros(self.n * n_boxes, n_channels, dtype=torch.float64)
        boxes = torch.arange(n_boxes, device=x.device).repeat(n_elements)
        # rows outside repeat the nearest row inside, with a change of 0
        rows = space.batch.rows(self.source).reshape(n_elements, 1, -1)
        each = np.repeat(rows, space.batch.each, axis=1)
        places = space.index(each.reshape(-1)) * n_boxes + boxes
        whole.index_add_(0, places, x.reshape(-1, n_channels).double())
        whole = whole.view(self.n, n_boxes, n_channels).permute(1, 2, 0)
        return whole.reshape(1, n_boxes, -1)


class SkipStartStep:
    """Keep changes for the end of a residual branch."""

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        space.saved.append(x.clone())
        return x


class SkipEndStep:
    """Add the changes that a residual branch left.

    Parameters
    ----------
    branch, left, target : int
        Levels of the branch's end, of its start, and of the sum.
    """

    def __init__(self, branch: int, left: int, target: int) -> None:
        self.branch, self.left, self.target = branch, left, target

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        batch = space.batch
        size = batch.size(self.target)
        out = space.following((*size, *x.shape[1:]), x.dtype).zero_()
        for part, level in ((x, self.branch), (space.saved.pop(), self.left)):
            starts = zip(batch.start(level), batch.start(self.target), strict=True)
            first, second, third = (start - origin for start, origin in starts)
            window = batch.size(level)
            to, source = overlap(size, window, (first, second, third))
            out[to].add_(part.view(*window, *part.shape[1:])[source])
        return out.view(-1, *x.shape[1:])
