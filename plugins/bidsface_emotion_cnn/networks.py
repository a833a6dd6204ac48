"""Networks over volumes: convolutional classifiers that are known layer by layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn


class SkipStart(nn.Module):
    """Marks where a residual branch leaves: its input is added at the next `SkipEnd`."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values


class SkipEnd(nn.Module):
    """Marks where a residual branch comes back: the input of the last `SkipStart` is added."""

    def forward(self, values: Tensor, kept: Tensor) -> Tensor:
        """Return the sum."""
        return values + kept


class SeededDropout(nn.Dropout):
    """Dropout that draws from a generator of its own, so that trainings in threads do not mix.

    Attributes
    ----------
    generator : torch.Generator or None
        On the device of the values; None draws from torch's own, as `torch.nn.Dropout` does.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Set values to 0 with probability p, and scale the others by 1 / (1 - p)."""
        if not self.training or self.p == 0 or self.generator is None:
            return super().forward(values)
        kept = torch.empty_like(values).bernoulli_(1 - self.p, generator=self.generator)
        return values * kept / (1 - self.p)


def apply_layers(layers: Iterable[tuple[str, nn.Module]], values: Tensor) -> Tensor:
    """Apply layers in order; between `SkipStart` and `SkipEnd` lies a residual branch."""
    kept: list[Tensor] = []
    for _, layer in layers:
        if isinstance(layer, SkipStart):
            kept.append(values)
        values = layer(values, kept.pop()) if isinstance(layer, SkipEnd) else layer(values)
    return values


class Chain(nn.Module):
    """Modules that are applied in the order in which they are registered."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)

    def layers(self) -> list[tuple[str, nn.Module]]:
        """Return names and modules in order of application, those of inner chains in their place.

        A module with parameters has the name that its parameters have in the state dictionary.
        """
        found: list[tuple[str, nn.Module]] = []
        for name, child in self.named_children():
            inner = child.layers() if isinstance(child, Chain) else None
            found += [(name, child)] if inner is None else [(f"{name}.{n}", m) for n, m in inner]
        return found

    def forward(self, values: Tensor) -> Tensor:
        """Apply the modules in order."""
        return apply_layers(self.layers(), values)


class SequentialNetwork(Chain):
    """A classifier of volumes: (n, 1, X, Y, Z) to scores (n, n_classes), before the softmax.

    `layers` is all there is to it: `forward` applies just these in order. They are of the types
    `Conv3d`, `BatchNorm3d`, `ReLU6`, `ReLU`, `AvgPool3d`, `MaxPool3d`, `AdaptiveAvgPool3d` (to one
    value), `Flatten`, `Dropout` and `Linear` of torch, `SkipStart` and `SkipEnd`.

    Attributes
    ----------
    smallest : int
        Voxels that a volume must have along every axis.
    n_classes : int
    """

    smallest = 1

    def __init__(self, modules: Mapping[str, nn.Module], n_classes: int) -> None:
        super().__init__(modules)
        self.n_classes = n_classes


class NetworkFactory(Protocol):
    """What makes a network."""

    def __call__(self, n_classes: int = 5, dropout: float = 0.3) -> SequentialNetwork:
        """Return a network with weights from torch's generator."""


def depthwise_block(n_in: int, n_out: int, stride: int = 2, expansion: int = 2) -> Chain:
    """Return an inverted residual block (Sandler et al. 2018, CVPR) in three dimensions.

    A pointwise convolution widens to ``expansion`` times the channels, a depthwise one of 3 x 3 x 3
    voxels works within channels, a pointwise one projects to ``n_out``. The input is added where
    stride and channels allow it.
    """
    hidden = expansion * n_in
    modules: dict[str, nn.Module] = {
        "expand": nn.Conv3d(n_in, hidden, 1, bias=False),
        "bn1": nn.BatchNorm3d(hidden),
        "relu1": nn.ReLU6(),
        "dwconv": nn.Conv3d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
        "bn2": nn.BatchNorm3d(hidden),
        "relu2": nn.ReLU6(),
        "project": nn.Conv3d(hidden, n_out, 1, bias=False),
        "bn3": nn.BatchNorm3d(n_out),
    }
    if stride == 1 and n_in == n_out:
        modules = {"skip_start": SkipStart(), **modules, "skip_end": SkipEnd()}
    return Chain(modules)


def _head(n_features: int, n_classes: int, dropout: float) -> dict[str, nn.Module]:
    return {
        "pool": nn.AdaptiveAvgPool3d(1),
        "flatten": nn.Flatten(),
        "dropout": SeededDropout(dropout),
        "fc": nn.Linear(n_features, n_classes),
    }


def _stem(n_out: int) -> dict[str, nn.Module]:
    return {
        "conv1": nn.Conv3d(1, n_out, 3, padding=1, bias=False),
        "bn1": nn.BatchNorm3d(n_out),
        "relu1": nn.ReLU6(),
    }


class EmotionCNN3D(SequentialNetwork):
    """The published emotion network: a convolution and four depthwise-separable blocks.

    424,549 parameters for five classes; modules are called as in published checkpoints.

    Parameters
    ----------
    n_classes : int
    dropout : float
        Probability with which a pooled feature is left out in training.
    """

    def __init__(self, n_classes: int = 5, dropout: float = 0.3) -> None:
        blocks = {
            "ds1": depthwise_block(32, 64),
            "ds2": depthwise_block(64, 128),
            "ds3": depthwise_block(128, 256),
            "ds4": depthwise_block(256, 256),
        }
        super().__init__({**_stem(32), **blocks, **_head(256, n_classes, dropout)}, n_classes)


class SmallEmotionCNN3D(SequentialNetwork):
    """The emotion network with fewer channels and blocks, the last one residual, for less data.

    Parameters
    ----------
    n_classes : int
    dropout : float
        As in `EmotionCNN3D`.
    """

    def __init__(self, n_classes: int = 5, dropout: float = 0.3) -> None:
        blocks = {
            "ds1": depthwise_block(12, 24),
            "ds2": depthwise_block(24, 48),
            "ds3": depthwise_block(48, 48, stride=1),
        }
        super().__init__({**_stem(12), **blocks, **_head(48, n_classes, dropout)}, n_classes)


class PlainCNN3D(SequentialNetwork):
    """Convolutions of 3 x 3 x 3 voxels, each followed by a mean over 2 x 2 x 2: the textbook kind.

    Parameters
    ----------
    n_classes : int
    dropout : float
        As in `EmotionCNN3D`.
    """

    smallest = 8

    def __init__(self, n_classes: int = 5, dropout: float = 0.3) -> None:
        channels = (1, 16, 32, 64)
        blocks = {
            f"block{place}": Chain(
                OrderedDict(
                    conv=nn.Conv3d(n_in, n_out, 3, padding=1, bias=False),
                    bn=nn.BatchNorm3d(n_out),
                    relu=nn.ReLU(),
                    pool=nn.AvgPool3d(2),
                )
            )
            for place, (n_in, n_out) in enumerate(pairwise(channels), 1)
        }
        super().__init__({**blocks, **_head(channels[-1], n_classes, dropout)}, n_classes)


NETWORKS: Mapping[str, NetworkFactory] = {
    "emotion-cnn": EmotionCNN3D,
    "emotion-cnn-small": SmallEmotionCNN3D,
    "plain-cnn": PlainCNN3D,
}
"""Networks by the names that recipes give them."""


def layer_names(network: str) -> tuple[str, ...]:
    """Return the names of a network's layers, in order of application.

    Parameters
    ----------
    network : str
        A key of `NETWORKS`.
    """
    # Without memory, and without a draw from torch's generator: no weight is looked at.
    with torch.device("meta"):
        model = NETWORKS[network](2)
    return tuple(name for name, _ in model.layers())
