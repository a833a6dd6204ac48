"""Which voxels a network's answer comes from, by gradients: integrated and smoothed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bidsface_emotion_cnn.networks import SequentialNetwork
from bidsface_emotion_cnn.torch_devices import applied

Floats = NDArray[np.float32]

OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "probability": lambda scores: scores.softmax(1),
    "score": lambda scores: scores,
}
"""What is explained: the probability of a class, or its score before the softmax."""

BATCH_SIZE = 4


def integrated_gradients(
    model: SequentialNetwork,
    volume: NDArray[np.floating],
    target: int | None,
    *,
    baseline: float | NDArray[np.floating] = 0.0,
    steps: int = 64,
    output: str = "probability",
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
) -> Floats:
    """Attribute the output of a class to voxels by integrated gradients.

    Sundararajan, Taly & Yan (2017), ICML, equation 1: ``(x - b) * integral of dF(b + a (x - b))/dx
    over a from 0 to 1``, the integral by Gauss-Legendre quadrature. The attributions sum to the
    output for the volume less that for the baseline, which tells whether there are enough steps:
    a network of rectified layers bends along the way, and the error shrinks as 1 / steps.

    Parameters
    ----------
    model : SequentialNetwork
        Left as it was.
    volume : ndarray of shape (X, Y, Z)
    target : int or None
        Class; None for all, which costs less than one after the other.
    baseline : float or ndarray of shape (X, Y, Z)
        What stands for nothing; 0 is the mean of a scaled volume.
    steps : int
        Points of the quadrature.
    output : str
        A key of `OUTPUTS`.
    batch_size : int
        Points computed at a time; it changes results in their last bits only.
    device : str
        ``auto``, ``cpu`` or ``cuda``.

    Returns
    -------
    ndarray of shape (X, Y, Z), or (n_classes, X, Y, Z) without a target
    """
    _check(model, target, output)
    if steps < 1:
        raise ValueError(f"steps must be at least 1, found {steps}")
    volume = np.asarray(volume, np.float32)
    start = np.broadcast_to(np.asarray(baseline, np.float32), volume.shape)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    places = ((nodes + 1) / 2).astype(np.float32)

    def points(first: int, last: int) -> Floats:
        return start + places[first:last, None, None, None] * (volume - start)

    total = _summed_gradients(
        model, points, weights / 2, target, output=output, batch_size=batch_size, device=device
    )
    return (total * (volume - start)).astype(np.float32)


def smooth_grad(
    model: SequentialNetwork,
    volume: NDArray[np.floating],
    target: int | None,
    *,
    n_samples: int = 32,
    noise: float = 0.15,
    seed: int | np.random.SeedSequence,
    output: str = "score",
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
) -> Floats:
    """Return the gradient of a class's output at the volume, averaged over noise.

    Smilkov, Thorat, Kim, Viegas & Wattenberg (2017), arXiv:1706.03825.

    Parameters
    ----------
    model, volume, target, batch_size, device
        As for `integrated_gradients`.
    n_samples : int
        Noisy copies of the volume.
    noise : float
        Standard deviation of the Gaussian noise as a share of the range of the volume's values;
        the publication recommends 0.1 to 0.2. Voxels that are 0, outside the brain, stay 0.
    seed : int or SeedSequence
        Of the noise, which is the same on all devices.
    output : str
        A key of `OUTPUTS`; the score, unlike the probability, has a gradient also where the network
        is certain.

    Returns
    -------
    ndarray of shape (X, Y, Z), or (n_classes, X, Y, Z) without a target
    """
    _check(model, target, output)
    if n_samples < 1 or noise < 0:
        raise ValueError(
            f"n_samples must be at least 1 and noise not below 0, found {n_samples} and {noise}"
        )
    volume = np.asarray(volume, np.float32)
    rng = np.random.default_rng(seed)
    deviation = np.where(volume != 0, np.float32(noise * np.ptp(volume)), np.float32(0))

    def points(first: int, last: int) -> Floats:
        drawn = rng.standard_normal((last - first, *volume.shape), dtype=np.float32)
        return np.asarray(volume + deviation * drawn, np.float32)

    weights = np.full(n_samples, 1 / n_samples)
    return _summed_gradients(
        model, points, weights, target, output=output, batch_size=batch_size, device=device
    ).astype(np.float32)


def _check(model: SequentialNetwork, target: int | None, output: str) -> None:
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, found {output!r}")
    if target is not None and not 0 <= target < model.n_classes:
        raise ValueError(f"target must be from 0 to {model.n_classes - 1}, found {target}")


def _summed_gradients(
    model: SequentialNetwork,
    points: Callable[[int, int], Floats],
    weights: NDArray[np.float64],
    target: int | None,
    *,
    output: str,
    batch_size: int,
    device: str,
) -> NDArray[np.float64]:
    """Return the weighted sum of gradients at points, which are made as they are needed."""
    targets = range(model.n_classes) if target is None else (target,)
    found: list[NDArray[np.float64] | float] = [0.0 for _ in targets]
    with applied(model, device) as place, torch.enable_grad():
        for first in range(0, len(weights), batch_size):
            last = min(first + batch_size, len(weights))
            inputs = torch.from_numpy(points(first, last))[:, None].to(place).requires_grad_()
            # In evaluation mode volumes of a batch do not mix: the gradient of the sum holds those
            # of all.
            sums = OUTPUTS[output](model(inputs)).sum(0)
            for row, number in enumerate(targets):
                (gradient,) = torch.autograd.grad(
                    sums[number], inputs, retain_graph=row + 1 < len(targets)
                )
                rows = gradient[:, 0].cpu().numpy().astype(np.float64)
                found[row] = found[row] + np.tensordot(weights[first:last], rows, 1)
    stacked = np.stack([np.asarray(one) for one in found])
    return stacked if target is None else stacked[0]
