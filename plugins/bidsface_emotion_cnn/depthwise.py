"""Depthwise convolution in three dimensions whose gradients are fast on processors too.

Torch's own gradients of it take several times as long as the convolution.

With stride 1, the gradient with respect to the input is a convolution with the mirrored kernel.
With stride 2, all 27 taps become one product of 8 x 8 matrices. Along an axis, let padded voxel
t = 2 u + a, with a = 0 or 1, lie in cell u. It meets output u by tap a, and output u - 1 by tap
a + 2, which only a = 0 has. So in three dimensions the 8 voxels of a cell meet the outputs of 8
cells, u - s with s = 0 or 1 along every axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]

CORNERS = tuple(product((0, 1), repeat=3))
"""The voxels a of a cell, and the cells s that their outputs lie in."""

NO_TAP = 3
TAPS = torch.tensor(
    [
        [[NO_TAP if a and s else a + 2 * s for a, s in zip(*pair, strict=True)] for pair in row]
        for row in ([(voxel, cell) for cell in CORNERS] for voxel in CORNERS)
    ]
).unbind(-1)
"""Tap along x, y and z between voxels (rows) and cells (columns)."""


class DepthwiseConv3d(nn.Conv3d):
    """A `torch.nn.Conv3d` of 3 x 3 x 3 voxels within channels, padding 1, without bias.

    Parameters
    ----------
    channels : int
    stride : int
        1 or 2.

    Raises
    ------
    ValueError
        For another stride.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        if stride not in INPUT_GRADIENTS:
            raise ValueError(f"stride must be 1 or 2, found {stride}")
        super().__init__(channels, channels, 3, stride, 1, groups=channels, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """Convolve (n, channels, X, Y, Z)."""
        if values.device.type != "cpu":
            return super().forward(values)
        found: Tensor = _Convolution.apply(values, self.weight, self.stride[0])
        return found


class _Convolution(torch.autograd.Function):
    """Torch's convolution with other gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(values, weight)
        ctx.stride = stride
        return functional.conv3d(values, weight, None, stride, 1, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, weight = ctx.saved_tensors
        wanted = zip((INPUT_GRADIENTS, KERNEL_GRADIENTS), ctx.needs_input_grad[:2], strict=True)
        of_values, of_weight = (
            functions[ctx.stride](gradient, values, weight) if needed else None
            for functions, needed in wanted
        )
        return of_values, of_weight, None


def _torch_kernel_gradient(gradient: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    found: Tensor = torch.nn.grad.conv3d_weight(
        values, weight.shape, gradient, stride=1, padding=1, groups=len(weight)
    )
    return found


def _mirrored_convolution(gradient: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    return functional.conv3d(gradient, weight.flip(2, 3, 4), None, 1, 1, 1, len(weight))


def _cells_to_voxels(gradient: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient with respect to the input: in every cell, a matrix times outputs."""
    kernel = functional.pad(weight[:, 0], (0, 1) * 3)[:, *TAPS]
    outputs = _outputs_of_cells(gradient)
    spread = (kernel @ outputs.flatten(3)).view(outputs.shape)
    found = torch.empty_like(values)
    for place, voxel in enumerate(CORNERS):
        _voxels(found, voxel).copy_(_filled(spread[:, :, place], voxel, values.shape[2:]))
    return found


def _cell_products(gradient: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient with respect to the kernel: products of voxels and outputs of cells."""
    outputs = _outputs_of_cells(gradient)
    inputs = torch.zeros_like(outputs)
    for place, voxel in enumerate(CORNERS):
        _filled(inputs[:, :, place], voxel, values.shape[2:]).copy_(_voxels(values, voxel))
    products = (inputs.flatten(3) @ outputs.flatten(3).mT).sum(0)
    found = products.new_empty(len(weight), 4, 4, 4)
    found[:, *TAPS] = products
    return found[:, None, :3, :3, :3]


def _outputs_of_cells(gradient: Tensor) -> Tensor:
    """Return what cells get from their own outputs and those before, (n, channels, 8, cells...)."""
    n, channels, *sizes = gradient.shape
    found = gradient.new_zeros(n, channels, len(CORNERS), *(size + 1 for size in sizes))
    for place, cell in enumerate(CORNERS):
        to = [slice(s, s + size) for s, size in zip(cell, sizes, strict=True)]
        found[:, :, place, *to] = gradient
    return found


def _voxels(values: Tensor, voxel: Sequence[int]) -> Tensor:
    # Padded voxel 2 u + a is voxel 2 u + a - 1.
    return values[:, :, *(slice(1 - a, None, 2) for a in voxel)]


def _filled(cells: Tensor, voxel: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """Return the cells whose voxel a is not padding."""
    return cells[
        :, :, *(slice(1 - a, 1 - a + (n + a) // 2) for a, n in zip(voxel, sizes, strict=True))
    ]


INPUT_GRADIENTS: Mapping[int, Gradient] = {1: _mirrored_convolution, 2: _cells_to_voxels}
KERNEL_GRADIENTS: Mapping[int, Gradient] = {1: _torch_kernel_gradient, 2: _cell_products}
"""Gradients by stride, from that of the output, the input and the kernel."""
