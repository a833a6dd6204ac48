"""How the weights of a network are moved: optimizers, learning rates, weights of classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bidsface.errors import InputError
from bidsface_emotion_cnn.training_options import TrainingOptions
from bidsface_emotion_cnn.volume_set import Indices

MOMENTUM = 0.9


def _adamw(parameters: Iterable[nn.Parameter], options: TrainingOptions) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters, lr=options.learning_rate, weight_decay=options.weight_decay
    )


def _sgd(parameters: Iterable[nn.Parameter], options: TrainingOptions) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=options.learning_rate,
        momentum=MOMENTUM,
        weight_decay=options.weight_decay,
    )


OPTIMIZERS: Mapping[
    str, Callable[[Iterable[nn.Parameter], TrainingOptions], torch.optim.Optimizer]
] = {"adamw": _adamw, "sgd": _sgd}

SCHEDULES: Mapping[str, Callable[[int, int], float]] = {
    "cosine": lambda epoch, epochs: (1 + math.cos(math.pi * epoch / epochs)) / 2,
    "constant": lambda epoch, epochs: 1.0,
}
"""Share of the learning rate in an epoch, counted from 0, of so many (Loshchilov & Hutter 2017)."""


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimizer remembers, by ``parameter.name``; the inverse is `set_moments`."""
    return {
        f"{place}.{name}": value
        for place, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def set_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give back to an optimizer what `moments` found."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        place, name = key.split(".", 1)
        state.setdefault(int(place), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def class_weights(codes: Indices, n_classes: int, kind: str) -> Tensor:
    """Return the weight of every class in the loss, (n_classes,).

    Parameters
    ----------
    codes : ndarray of shape (n_train,)
        Classes of the training volumes.
    n_classes : int
    kind : str
        ``none``: 1 for all. ``balanced``: inversely proportional to the number of training volumes,
        with mean 1 over these; 0 for a class that has none.
    """
    if kind == "none":
        return torch.ones(n_classes)
    counts = np.bincount(codes, minlength=n_classes)
    share = len(codes) / np.maximum(counts, 1) / np.count_nonzero(counts)
    return torch.from_numpy(np.where(counts > 0, share, 0.0).astype(np.float32))


@dataclass
class Sums:
    """Loss and accuracy so far, over volumes weighted by class.

    Attributes
    ----------
    loss, correct, weight : float
        Weighted sums of losses and of right answers, and the sum of the weights.
    """

    loss: float = 0.0
    correct: float = 0.0
    weight: float = 0.0

    def add(self, scores: Tensor, codes: Tensor, weights: Tensor) -> Tensor:
        """Add a batch, and return its mean loss.

        Parameters
        ----------
        scores : Tensor of shape (n, n_classes)
            Before the softmax.
        codes : Tensor of shape (n,)
        weights : Tensor of shape (n_classes,)
        """
        losses = functional.cross_entropy(scores.float(), codes, weight=weights, reduction="none")
        own = weights[codes]
        total = losses.sum()
        correct = (own * (scores.argmax(1) == codes)).sum()
        found = torch.stack([total.detach(), correct, own.sum()]).tolist()
        self.loss += found[0]
        self.correct += found[1]
        self.weight += found[2]
        return total / own.sum().clamp_min(torch.finfo(torch.float32).tiny)

    def means(self) -> tuple[float, float]:
        """Return mean loss and accuracy; NaN where nothing, or nothing of weight, was added."""
        if self.weight == 0:
            return math.nan, math.nan
        return self.loss / self.weight, self.correct / self.weight


def uses_mixed_precision(precision: str, device: torch.device) -> bool:
    """Tell whether to train in mixed precision.

    Raises
    ------
    InputError
        If it is asked for where there is no GPU.
    """
    if precision == "mixed" and device.type != "cuda":
        raise InputError("precision mixed: needs a GPU, found the device cpu")
    if precision == "auto" and device.type == "cuda":
        # The first generation with fast arithmetic in bfloat16.
        return torch.cuda.get_device_capability(device)[0] >= 8
    return precision == "mixed"
