"""Modules of a network read as the layers that occlusion knows, in double precision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bidsface.errors import InputError
from bidsface_emotion_cnn.occlusion_layers import (
    Activation,
    Affine,
    AveragePool,
    Convolution,
    Flatten,
    GlobalAverage,
    Layer,
    MaximumPool,
    Pointwise,
    Reaches,
    SkipEnd,
    SkipStart,
    apply_layers,
    fused,
)
from bidsface_emotion_cnn.occlusion_levels import Reach

Grid = tuple[int, int, int]

MIDDLE = 16
"""Voxels per axis on which a network is compared with its layers."""

TOLERANCE = 1e-3
"""Largest difference of their outputs, relative to the largest output."""


def _double(parameter: Tensor) -> Tensor:
    return parameter.detach().double().cpu()


def _bias(module: nn.Conv3d | nn.Linear, n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.float64) if module.bias is None else _double(module.bias)


def _three(value: int | Sequence[int]) -> Grid:
    x, y, z = (value,) * 3 if isinstance(value, int) else value
    return x, y, z


def _convolution(name: str, module: nn.Conv3d) -> Layer:
    if module.padding_mode != "zeros":
        raise InputError(f"{name}: occlusion pads with zeros only, not by {module.padding_mode!r}")
    weight, bias = _double(module.weight), _bias(module, module.out_channels)
    kernel, stride, dilation = (
        _three(size) for size in (module.kernel_size, module.stride, module.dilation)
    )
    before, behind = _padding(module, kernel, dilation)
    x, y, z = (Reach(*sizes) for sizes in zip(kernel, stride, before, dilation, strict=True))
    single = kernel == stride == (1, 1, 1) and before == behind == (0, 0, 0)
    if module.groups == 1 and single:
        return Pointwise(weight[:, :, 0, 0, 0], bias)
    return Convolution(weight, bias, (x, y, z), module.groups, behind)


def _padding(module: nn.Conv3d, kernel: Grid, dilation: Grid) -> tuple[Grid, Grid]:
    """Return the padding before and behind; "same" puts an odd element behind."""
    if not isinstance(module.padding, str):
        return _three(module.padding), _three(module.padding)
    if module.padding == "valid":
        return (0, 0, 0), (0, 0, 0)
    total = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
    before = _three([n // 2 for n in total])
    return before, _three([n - n // 2 for n in total])


def _linear(_: str, module: nn.Linear) -> Layer:
    return Pointwise(_double(module.weight), _bias(module, module.out_features))


def _batch_norm(name: str, module: nn.BatchNorm3d) -> Layer:
    if module.running_mean is None or module.running_var is None:
        raise InputError(f"{name}: occlusion needs the running mean and variance of a batch norm")
    mean, variance = _double(module.running_mean), _double(module.running_var)
    scale = (variance + module.eps).rsqrt()
    if module.weight is not None:
        scale = scale * _double(module.weight)
    shift = -mean * scale
    return Affine(scale, shift if module.bias is None else shift + _double(module.bias))


def _activation(_: str, module: nn.Module) -> Layer:
    if isinstance(module, nn.ReLU):
        return Activation(0.0, None, None)
    if isinstance(module, nn.Hardtanh):
        return Activation(float(module.min_val), float(module.max_val), None)
    function: Any = copy.deepcopy(module)
    if hasattr(function, "inplace"):
        function.inplace = False
    return Activation(None, None, function)


def _pool_reaches(module: nn.AvgPool3d | nn.MaxPool3d, dilation: Any = 1) -> Reaches:
    sizes = [_three(one) for one in (module.kernel_size, module.stride, module.padding, dilation)]
    x, y, z = (Reach(*one) for one in zip(*sizes, strict=True))
    return x, y, z


def _average_pool(_: str, module: nn.AvgPool3d) -> Layer:
    return AveragePool(module, _pool_reaches(module))


def _maximum_pool(name: str, module: nn.MaxPool3d) -> Layer:
    if module.return_indices:
        raise InputError(f"{name}: occlusion needs a MaxPool3d that returns no indices")
    return MaximumPool(module, _pool_reaches(module, module.dilation))


def _global_average(name: str, module: nn.AdaptiveAvgPool3d) -> Layer:
    if module.output_size not in (1, (1, 1, 1)):
        raise InputError(f"{name}: occlusion needs AdaptiveAvgPool3d(1), not {module}")
    return GlobalAverage()


READERS: tuple[tuple[Any, Callable[[str, Any], Layer | None]], ...] = (
    (nn.Conv3d, _convolution),
    (nn.Linear, _linear),
    (nn.BatchNorm3d, _batch_norm),
    ((nn.ReLU, nn.Hardtanh), _activation),  # ReLU6 is a Hardtanh
    ((nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh), _activation),
    ((nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Mish), _activation),
    (nn.AvgPool3d, _average_pool),
    (nn.MaxPool3d, _maximum_pool),
    (nn.AdaptiveAvgPool3d, _global_average),
    (nn.Flatten, lambda name, module: Flatten()),
    ((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Identity), lambda *_: None),
)
"""Modules that occlusion knows."""

MARKERS: dict[str, Callable[[], Layer]] = {"SkipStart": SkipStart, "SkipEnd": SkipEnd}
"""Modules that mark a residual branch, by the name of their class."""

SUPPORTED = (
    "Conv3d, Linear, BatchNorm3d, ReLU, ReLU6 and other activations, AvgPool3d, MaxPool3d, "
    "AdaptiveAvgPool3d(1), Flatten, Dropout, Identity, SkipStart and SkipEnd"
)


def _read(name: str, module: nn.Module) -> Layer | None:
    if type(module).__name__ in MARKERS:
        return MARKERS[type(module).__name__]()
    for kinds, reader in READERS:
        if isinstance(module, kinds):
            return reader(name, module)
    raise InputError(
        f"occlusion does not know the layer {name!r}, {type(module).__name__}; it knows {SUPPORTED}"
    )


def read_layers(model: nn.Module) -> list[Layer]:
    """Return the layers of a network, folded and fused, in double precision on the CPU.

    Parameters
    ----------
    model : torch.nn.Module
        With a method ``layers()`` that gives pairs of name and module, the leaf modules in order,
        and ``SkipStart`` and ``SkipEnd`` around a residual branch; or a `torch.nn.Sequential`.

    Raises
    ------
    InputError
        If the network does not tell its layers, or has one that is not supported.
    """
    named = getattr(model, "layers", None)
    if callable(named):
        modules = list(named())
    elif isinstance(model, nn.Sequential):
        modules = [(name, one) for name, one in model.named_modules() if not list(one.children())]
    else:
        raise InputError(
            f"occlusion needs a network with a method layers(), which {type(model).__name__} "
            "does not have, or a torch.nn.Sequential"
        )
    read = [_read(name, module) for name, module in modules]
    return fused([layer for layer in read if layer is not None])


# What the network itself computes


@contextmanager
def evaluated(
    model: nn.Module, dtype: torch.dtype, device: torch.device
) -> Iterator[Callable[[Tensor], Tensor]]:
    """Give the network in evaluation mode, in a precision and place, and leave it as it was."""
    modes = [(module, module.training) for module in model.modules()]
    state = {
        name: one.detach().to(device=device, dtype=dtype if one.is_floating_point() else one.dtype)
        for name, one in [*model.named_parameters(), *model.named_buffers()]
    }
    model.eval()
    try:
        yield lambda x: functional_call(model, state, (x,))
    finally:
        for module, training in modes:
            module.training = training


def require_same_output(model: nn.Module, layers: Sequence[Layer], volume: Tensor) -> None:
    """Raise `InputError` unless a network's layers compute what the network does.

    Parameters
    ----------
    model : torch.nn.Module
    layers : sequence of Layer
        As read from it.
    volume : Tensor of shape (X, Y, Z)
        They are compared on its middle, or on all of it if the network wants just this size.
    """
    middle = [slice(max(n // 2 - MIDDLE // 2, 0), n // 2 + MIDDLE // 2) for n in volume.shape]
    with evaluated(model, volume.dtype, volume.device) as network:
        try:
            x = volume[tuple(middle)][None, None]
            wanted, found = network(x), apply_layers(layers, x)
        except RuntimeError:
            x = volume[None, None]
            wanted, found = network(x), apply_layers(layers, x)
    wanted, found = wanted.reshape(-1), found.reshape(-1)
    if wanted.shape != found.shape or not torch.allclose(
        found, wanted, rtol=0, atol=TOLERANCE * float(wanted.abs().max())
    ):
        raise InputError(
            f"layers() of {type(model).__name__} do not compute what the network does: "
            f"{_shown(found)} instead of {_shown(wanted)}"
        )


def _shown(scores: Tensor) -> str:
    return f"[{', '.join(f'{score:.4g}' for score in scores[:5].tolist())}]"
