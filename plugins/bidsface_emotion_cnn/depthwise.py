"""Depthwise convolution of 3 x 3 x 3 voxels with a gradient that is fast on processors.

Torch's gradient with respect to the input of a depthwise convolution with stride 2, and of any
depthwise convolution in three dimensions, takes several times as long as the convolution itself.
Here all 27 taps become one product of 8 x 8 matrices: along an axis, padded voxel t = 2 u + a
(a = 0, 1) meets output u with tap a, and output u - 1 with tap a + 2, of which a = 1 has none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NO_TAP = 3
TAPS = torch.tensor([[0, 2], [1, NO_TAP]])
"""Tap between input 2 u + a and output u - s, by a and s."""


class DepthwiseConv3d(nn.Conv3d):
    """A `torch.nn.Conv3d` of 3 x 3 x 3 voxels within channels, padding 1, without bias.

    Parameters
    ----------
    channels : int
    stride : int
        1 or 2.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        if stride not in GRADIENTS:
            raise ValueError(f"stride must be 1 or 2, found {stride}")
        super().__init__(channels, channels, 3, stride, 1, groups=channels, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """Convolve (n, channels, X, Y, Z)."""
        if values.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(values)
        found: Tensor = _Convolution.apply(values, self.weight, self.stride[0])
        return found


class _Convolution(torch.autograd.Function):
    """The convolution by torch, its gradients by `GRADIENTS`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, stride: int) -> Tensor:
        """Return torch's convolution."""
        ctx.save_for_backward(values, weight)
        ctx.stride = stride
        return functional.conv3d(values, weight, None, stride, 1, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients with respect to values and weight."""
        return *GRADIENTS[ctx.stride](gradient, *ctx.saved_tensors), None


def _gradients_of_stride_1(
    gradient: Tensor, values: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradient with respect to the input is a convolution with the mirrored kernel."""
    back = functional.conv3d(gradient, weight.flip(2, 3, 4), None, 1, 1, 1, len(weight))
    own = torch.ops.aten.convolution_backward(
        gradient, values, weight, None, [1] * 3, [1] * 3, [1] * 3, False, [0] * 3, len(weight),
        [False, True, False],
    )[1]
    return back, own


def _gradients_of_stride_2(
    gradient: Tensor, values: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Both gradients from products of 8 x 8 matrices, see above."""
    n, channels, *size = values.shape
    cells = [extent + 1 for extent in gradient.shape[2:]]
    kinds = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    moved = gradient.new_zeros(n, channels, 8, *cells)
    inputs = values.new_zeros(n, channels, 8, *cells)
    for place, kind in enumerate(kinds):
        to = [slice(s, s + extent) for s, extent in zip(kind, gradient.shape[2:], strict=True)]
        moved[:, :, place, *to] = gradient
        _parity(inputs, place, kind, size).copy_(values[:, :, *_voxels(kind)])
    flat_moved, flat_inputs = moved.flatten(3).flatten(0, 1), inputs.flatten(3).flatten(0, 1)
    products = (flat_inputs @ flat_moved.mT).view(n, channels, 8, 8).sum(0)
    index = [TAPS[a][:, None, None] for a in (0, 1)]
    own = torch.zeros(channels, 4, 4, 4)
    kernel = functional.pad(weight[:, 0], (0, 1, 0, 1, 0, 1))
    taps = torch.tensor([[[TAPS[i, j].item() for i, j in zip(a, s)] for s in kinds] for a in kinds])
    own[:, taps[..., 0], taps[..., 1], taps[..., 2]] = products
    matrix = kernel[:, taps[..., 0], taps[..., 1], taps[..., 2]]
    spread = (matrix @ moved.flatten(3)).view(n, channels, 8, *cells)
    back = torch.empty_like(values)
    for place, kind in enumerate(kinds):
        back[:, :, *_voxels(kind)] = _parity(spread, place, kind, size)
    return back, own[:, None, :3, :3, :3]


def _voxels(kind):
    # Padded voxel t is voxel t - 1: of even t those with odd numbers.
    return [slice(1 - a, None, 2) for a in kind]


def _parity(cells, place, kind, size):
    extents = [(s - (1 - a) + 1) // 2 for a, s in zip(kind, size, strict=True)]
    starts = [1 - a for a in kind]
    return cells[:, :, place, *(slice(b, b + e) for b, e in zip(starts, extents, strict=True))]


GRADIENTS = {1: _gradients_of_stride_1, 2: _gradients_of_stride_2}
