"""The layers of a network as occlusion uses them, and how fewer of them compute the same.

A batch norm in evaluation mode is a linear map per channel and goes into the layer before it (or
the pointwise layer after it). Two pointwise linear layers in a row are one, where that costs less,
and averages over the whole volume go before pointwise linear layers, with which they commute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from bidsface_emotion_cnn.occlusion_levels import Reach

Form = Literal["value", "change"]
"""What is known of a window: its new values, or how much they changed."""

Reaches = tuple[Reach, Reach, Reach]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer; `needs` is the form of its input that it works on, None for either."""

    needs: ClassVar[Form | None] = None

    def to(self, dtype: torch.dtype, device: torch.device) -> Self:
        """Return the layer in another precision or place."""
        moved = {
            field.name: value.to(dtype=dtype, device=device)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)

    def whole(self, x: Tensor) -> Tensor:
        """Return the output for a whole volume, (1, channels, X, Y, Z) both."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Pointwise(Layer):
    """Linear map of channels at every place: weight (out, in), bias (out,)."""

    weight: Tensor
    bias: Tensor

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        flat = x.permute(0, 2, 3, 4, 1).reshape(-1, x.shape[1])
        found = torch.addmm(self.bias, flat, self.weight.T)
        return found.view(1, *x.shape[2:], -1).permute(0, 4, 1, 2, 3)


@dataclass(frozen=True, eq=False)
class Affine(Layer):
    """Scale and shift of every channel, (channels,)."""

    scale: Tensor
    shift: Tensor

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        return x * self.scale[:, None, None, None] + self.shift[:, None, None, None]


@dataclass(frozen=True, eq=False)
class Convolution(Layer):
    """Convolution with padding of zeros: weight (out, in / groups, kx, ky, kz), bias (out,)."""

    weight: Tensor
    bias: Tensor
    reaches: Reaches
    groups: int
    behind: tuple[int, int, int]
    """Padding behind; that before is `Reach.padding`."""
    needs: ClassVar[Form | None] = "change"

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        before = [reach.padding for reach in self.reaches]
        if before != list(self.behind):
            pairs = zip(reversed(before), reversed(self.behind), strict=True)
            x, before = functional.pad(x, [n for pair in pairs for n in pair]), [0, 0, 0]
        return functional.conv3d(
            x,
            self.weight,
            self.bias,
            stride=[reach.stride for reach in self.reaches],
            padding=before,
            dilation=[reach.dilation for reach in self.reaches],
            groups=self.groups,
        )


@dataclass(frozen=True, eq=False)
class Activation(Layer):
    """Element by element: cut to limits, or else any function."""

    lowest: float | None
    highest: float | None
    function: Callable[[Tensor], Tensor] | None
    needs: ClassVar[Form | None] = "value"

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.inplace(x.clone())

    def inplace(self, x: Tensor) -> Tensor:
        """Return the activation, in place where it only cuts."""
        if self.function is not None:
            return self.function(x)
        return x.clamp_(self.lowest, self.highest)


@dataclass(frozen=True, eq=False)
class AveragePool(Layer):
    """Mean over a kernel; the module tells what padded elements count."""

    module: nn.AvgPool3d
    reaches: Reaches
    needs: ClassVar[Form | None] = "change"

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.module(x)


@dataclass(frozen=True, eq=False)
class MaximumPool(Layer):
    """Largest value of a kernel."""

    module: nn.MaxPool3d
    reaches: Reaches
    needs: ClassVar[Form | None] = "value"

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.module(x)


@dataclass(frozen=True, eq=False)
class GlobalAverage(Layer):
    """Mean over the whole grid."""

    needs: ClassVar[Form | None] = "change"

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.mean(dim=(2, 3, 4), keepdim=True)


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """All elements of all channels as channels of a single place."""

    needs: ClassVar[Form | None] = "change"

    def whole(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.reshape(1, -1, 1, 1, 1)


@dataclass(frozen=True, eq=False)
class SkipStart(Layer):
    """Where a residual branch leaves."""

    needs: ClassVar[Form | None] = "change"


@dataclass(frozen=True, eq=False)
class SkipEnd(Layer):
    """Where a residual branch is added to what it left."""

    needs: ClassVar[Form | None] = "change"


def apply_layers(layers: Sequence[Layer], x: Tensor) -> Tensor:
    """Return the output for a whole volume, (1, channels, X, Y, Z) both."""
    left: list[Tensor] = []
    for layer in layers:
        if isinstance(layer, SkipStart):
            left.append(x)
        elif isinstance(layer, SkipEnd):
            x = x + left.pop()
        else:
            x = layer.to(x.dtype, x.device).whole(x)
    return x


# Fusing


def fused(layers: Sequence[Layer]) -> list[Layer]:
    """Return fewer layers that compute the same."""
    done: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Flatten) and _single(done):
            continue
        if isinstance(layer, GlobalAverage):
            at = len(done)
            while at and isinstance(done[at - 1], Pointwise | Affine):
                at -= 1
            done.insert(at, layer)
            continue
        while done and (both := _merged(done[-1], layer)) is not None:
            done.pop()
            layer = both
        done.append(layer)
    return done


def _single(layers: Sequence[Layer]) -> bool:
    """Tell whether a grid surely has a single element."""
    for layer in reversed(layers):
        if isinstance(layer, GlobalAverage | Flatten):
            return True
        if not isinstance(layer, Pointwise | Affine | Activation):
            return False
    return False


def _merged(first: Layer, second: Layer) -> Layer | None:
    """Return one layer for two in a row, or None where there is none or it would cost more."""
    if isinstance(second, Affine):
        return _scaled(first, second)
    if not isinstance(second, Pointwise):
        return None
    if isinstance(first, Affine):
        bias = second.weight @ first.shift + second.bias
        return Pointwise(second.weight * first.scale, bias)
    if isinstance(first, Pointwise):
        apart = first.weight.numel() + second.weight.numel()
        if second.weight.shape[0] * first.weight.shape[1] <= apart:
            return Pointwise(second.weight @ first.weight, second.weight @ first.bias + second.bias)
    return None


def _scaled(first: Layer, second: Affine) -> Layer | None:
    """Return a linear layer with a scale and shift of its output folded in."""
    if isinstance(first, Pointwise | Convolution):
        scale = second.scale.reshape(-1, *[1] * (first.weight.ndim - 1))
        bias = first.bias * second.scale + second.shift
        return replace(first, weight=first.weight * scale, bias=bias)
    if isinstance(first, Affine):
        return Affine(first.scale * second.scale, first.shift * second.scale + second.shift)
    return None
