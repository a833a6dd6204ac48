"""What each layer does to the windows of a batch of boxes.

Windows are tensors of shape (elements, boxes, channels), in one of two forms: new values, or
changes, which are 0 for all that lies outside the grid. A pointwise layer needs nothing else. A
convolution is linear, so that the change of its output is the convolution of the change of its
input, which is 0 outside the window: no neighbours have to be fetched; new values are those of the
unchanged volume plus the change.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bidsface_emotion_cnn.occlusion_base import Base
from bidsface_emotion_cnn.occlusion_layers import (
    Activation,
    Affine,
    Form,
    Pointwise,
    Reaches,
)
from bidsface_emotion_cnn.occlusion_space import Space

Step = Callable[[Tensor, Space], Tensor]
"""Takes windows and memory, gives windows."""

Slices = tuple[slice, slice, slice]
Connection = tuple[int, Slices, Slices]
"""A tap of a kernel (flat index), the outputs of a window and the inputs that it connects."""


class ToValue:
    """New values from changes."""

    def __init__(self, base: Base) -> None:
        self.base = base

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        before = self.base.windows(space.batch)
        x.view(before.shape).add_(before)
        return x


class ToChange:
    """Changes from new values."""

    def __init__(self, base: Base) -> None:
        self.base = base

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        before = self.base.windows(space.batch)
        x.view(before.shape).sub_(before)
        space.clear_outside(x, self.base.level)
        return x


class PointwiseStep:
    """Linear map of channels."""

    def __init__(self, layer: Pointwise, form: Form) -> None:
        self.weight = layer.weight.T.contiguous()
        self.bias = layer.bias if form == "value" else None

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        flat = x.view(-1, x.shape[2])
        out = space.following((len(flat), self.weight.shape[1]), x.dtype)
        if self.bias is None:
            torch.mm(flat, self.weight, out=out)
        else:
            torch.addmm(self.bias, flat, self.weight, out=out)
        return out.view(x.shape[0], x.shape[1], -1)


class AffineStep:
    """Scale and shift of channels."""

    def __init__(self, layer: Affine, form: Form) -> None:
        self.scale = layer.scale
        self.shift = layer.shift if form == "value" else torch.zeros_like(layer.shift)

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        return x.mul_(self.scale).add_(self.shift)


class ActivationStep:
    """Element by element."""

    def __init__(self, layer: Activation) -> None:
        self.layer = layer

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        return self.layer.inplace(x)


class Kernel:
    """A linear layer with a kernel, from the level `source` to the level `target`.

    Parameters
    ----------
    weight : Tensor
        Of all taps of the kernel, first axis.
    reaches : three Reach
    source, target : int
    base : Base or None
        Output for the unchanged volume; with it the output is new values, without it changes.
    """

    def __init__(
        self, weight: Tensor, reaches: Reaches, source: int, target: int, base: Base | None
    ) -> None:
        self.weight, self.reaches = weight, reaches
        self.source, self.target, self.base = source, target, base
        self.matrices: dict[object, Tensor] = {}

    def __call__(self, x: Tensor, space: Space) -> Tensor:  # noqa: D102
        size = space.batch.size(self.target)
        n_elements, n_channels = prod(size), self.weight.shape[-1]
        out = space.following((n_elements, x.shape[1], n_channels), x.dtype)
        if self.base is not None:
            before = self.base.windows(space.batch)
            out.view(before.shape).copy_(before)
            self.add(x, out, space)
        else:
            out.zero_()
            self.add(x, out, space)
            space.clear_outside(out, self.target)
        return out

    def add(self, x: Tensor, out: Tensor, space: Space) -> None:
        """Add the layer's output for changes `x` to `out`."""
        raise NotImplementedError

    def geometry(self, space: Space) -> tuple[tuple[int, int, int], ...]:
        """Return, per dimension, the offset of the windows, and their sizes."""
        source, target = self.source, self.target
        return tuple(
            (
                reach.offset(part.first[source], part.first[target]),
                part.sizes[source],
                part.sizes[target],
            )
            for reach, part in zip(self.reaches, space.batch.parts, strict=True)
        )

    def connections(self, geometry: tuple[tuple[int, int, int], ...]) -> list[Connection]:
        """Return what all taps connect."""
        taps = [reach.taps(*sizes) for reach, sizes in zip(self.reaches, geometry, strict=True)]
        return [
            (
                (x.index * self.reaches[1].kernel + y.index) * self.reaches[2].kernel + z.index,
                (x.outputs, y.outputs, z.outputs),
                (x.inputs, y.inputs, z.inputs),
            )
            for x, y, z in product(*taps)
        ]

    def matrix(self, geometry: tuple[tuple[int, int, int], ...]) -> Tensor:
        """Return weights of all pairs of elements: (outputs, inputs, *shape of a tap's)."""
        if geometry not in self.matrices:
            inputs, outputs = (_numbered([sizes[i] for sizes in geometry]) for i in (1, 2))
            shape = (outputs.size, inputs.size, *self.weight.shape[1:])
            matrix = self.weight.new_zeros(shape)
            for tap, to, source in self.connections(geometry):
                matrix[outputs[to].reshape(-1), inputs[source].reshape(-1)] = self.weight[tap]
            self.matrices[geometry] = self.arranged(matrix)
        return self.matrices[geometry]

    def arranged(self, matrix: Tensor) -> Tensor:
        """Return the matrix as `add` wants it."""
        return matrix


def _numbered(size: list[int]) -> NDArray[np.int64]:
    return np.arange(int(np.prod(size))).reshape(size)


class Depthwise(Kernel):
    """Every channel by itself, by shifted multiplication and addition: weight (taps, channels)."""

    def add(self, x: Tensor, out: Tensor, space: Space) -> None:  # noqa: D102
        x = repeated(x, out.shape[2])
        geometry = self.geometry(space)

        def views() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
            inputs = x.view(*(sizes[1] for sizes in geometry), *x.shape[1:])
            outputs = out.view(*(sizes[2] for sizes in geometry), *out.shape[1:])
            taps = self.connections(geometry)
            return (
                [outputs[to] for _, to, _ in taps],
                [inputs[source] for _, _, source in taps],
                [self.weight[tap] for tap, _, _ in taps],
            )

        found = space.views((id(self), geometry, x.shape[1]), x, out, views)
        # one call for all taps, which are worked off one after another
        if found[0]:
            torch._foreach_addcmul_(*found)


class DepthwiseProduct(Depthwise):
    """The same by one product of matrices per channel, for small windows: few calls, for GPUs."""

    MOST = 2**24
    """Numbers in the matrices."""

    def add(self, x: Tensor, out: Tensor, space: Space) -> None:  # noqa: D102
        if x.shape[0] * out.shape[0] * out.shape[2] > self.MOST:
            super().add(x, out, space)
            return
        x = repeated(x, out.shape[2])
        product = torch.bmm(self.matrix(self.geometry(space)), x.permute(2, 0, 1))
        out.add_(product.permute(1, 2, 0))

    def arranged(self, matrix: Tensor) -> Tensor:  # noqa: D102
        return matrix.permute(2, 0, 1).contiguous()


def repeated(x: Tensor, n_channels: int) -> Tensor:
    """Return channels as often as a depthwise layer with several outputs per channel needs."""
    if x.shape[2] == 1:
        return x.expand(-1, -1, n_channels)
    times = n_channels // x.shape[2]
    return x if times == 1 else x.repeat_interleave(times, dim=2)


class Dense(Kernel):
    """All channels of a tap by one product of matrices: weight (taps, in, out)."""

    def add(self, x: Tensor, out: Tensor, space: Space) -> None:  # noqa: D102
        geometry = self.geometry(space)
        inputs = x.view(*(sizes[1] for sizes in geometry), *x.shape[1:])
        outputs = out.view(*(sizes[2] for sizes in geometry), *out.shape[1:])
        for tap, to, source in self.connections(geometry):
            part = inputs[source]
            change = part.reshape(-1, x.shape[2]) @ self.weight[tap]
            outputs[to].add_(change.view(*part.shape[:-1], -1))


def kernel_step(
    weight: Tensor, groups: int, reaches: Reaches, place: tuple[int, int], base: Base | None
) -> Kernel:
    """Return the step of a convolution.

    Parameters
    ----------
    weight : Tensor of shape (out, in / groups, kx, ky, kz)
    groups : int
    reaches : three Reach
    place : pair of ints
        Levels of input and output.
    base : Base or None
        As in `Kernel`.
    """
    n_out, n_each = weight.shape[:2]
    flat = weight.reshape(n_out, n_each, -1)
    if n_each == 1:
        taps = flat[:, 0].T.contiguous()
        kind: type[Kernel] = Depthwise if taps.device.type == "cpu" else DepthwiseProduct
        return kind(taps, reaches, *place, base)
    full = flat.new_zeros(groups, n_out // groups, groups, n_each, flat.shape[2])
    each = torch.arange(groups)
    full[each, :, each] = flat.reshape(groups, n_out // groups, n_each, -1)
    taps = full.reshape(n_out, groups * n_each, -1).permute(2, 1, 0).contiguous()
    return Dense(taps, reaches, *place, base)
