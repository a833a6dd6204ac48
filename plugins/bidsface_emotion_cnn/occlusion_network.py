"""A network over one volume: what it computes without a box, and how a box changes that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bidsface.errors import InputError
from bidsface_emotion_cnn.occlusion_base import Axes, Base
from bidsface_emotion_cnn.occlusion_layers import (
    Activation,
    Affine,
    AveragePool,
    Convolution,
    Flatten,
    Form,
    GlobalAverage,
    Layer,
    MaximumPool,
    Pointwise,
    Reaches,
    SkipEnd,
    SkipStart,
)
from bidsface_emotion_cnn.occlusion_levels import Integers, Level
from bidsface_emotion_cnn.occlusion_pooling import (
    AveragePoolStep,
    DivisionStep,
    FlattenStep,
    GlobalSumStep,
    Grid,
    MaximumPoolStep,
    SkipEndStep,
    SkipStartStep,
    row_steps,
)
from bidsface_emotion_cnn.occlusion_space import Space
from bidsface_emotion_cnn.occlusion_steps import (
    ActivationStep,
    AffineStep,
    PointwiseStep,
    Step,
    ToChange,
    ToValue,
    kernel_step,
)
from bidsface_emotion_cnn.occlusion_windows import Axis, Batch, Neighbours

Levels = tuple[Level, Level, Level]


class Network:
    """A network's layers, turned into steps on windows while a volume passes through them.

    Parameters
    ----------
    layers : sequence of Layer
    volume : Tensor of shape (X, Y, Z)
        Its type and device are those of the computation; what follows a mean over the whole grid
        is computed in double precision.

    Attributes
    ----------
    steps : list of Step
        What is done to windows of a batch.
    last : list of Step
        The rest, which may be done to many batches at once.
    levels : list of triples of Level
    channels : list of int
        The most channels that a level has.
    logits : Tensor of shape (n_classes,)
        Output for the volume, float64.

    Raises
    ------
    InputError
        If the network does not end in one number per class, or does not fit the volume.
    """

    def __init__(self, layers: Sequence[Layer], volume: Tensor) -> None:
        self.x = volume[None, ..., None].permute(0, 4, 1, 2, 3)
        self.bases: list[Base] = []
        self.volume = self._base(0)
        self.form: Form = "change"
        self.steps: list[Step] = []
        self.levels: list[Levels] = [_levels(self.grid)]
        self.channels = [1]
        self.left: list[tuple[int, Tensor]] = []
        self.insides: dict[Grid, Tensor] = {}
        for place, layer in enumerate(layers):
            self._add(layer, wanted(layers[place + 1 :]))
        self._turn("change")
        if self.grid != (1, 1, 1) or self.left:
            raise InputError(
                "occlusion needs a network that ends in one number per class; this one ends in "
                f"{self.x.shape[1]} channels on a grid of {self.grid}"
            )
        self.logits = self.x.reshape(-1).double()
        del self.x, self.left
        self.steps, self.last = _divided(self.steps)

    # Building

    @property
    def grid(self) -> Grid:
        """The grid of the present activations."""
        x, y, z = self.x.shape[2:]
        return x, y, z

    @property
    def level(self) -> int:
        """The present level."""
        return len(self.levels) - 1

    def _base(self, level: int, reaches: Reaches | None = None) -> Base:
        """Keep the present activations."""
        self.bases.append(Base(self.x, level, reaches))
        return self.bases[-1]

    def _turn(self, form: Form) -> None:
        """Go over to another form, which takes the activations of the unchanged volume."""
        if form != self.form:
            kind = ToChange if form == "change" else ToValue
            self.steps.append(kind(self._base(self.level)))
            self.form = form

    def _add(self, layer: Layer, coming: Form) -> None:
        if layer.needs is not None:
            self._turn(layer.needs)
        layer = layer.to(self.x.dtype, self.x.device)
        if self.x.dtype == torch.float32:  # for which torch has fast convolutions
            self.x = self.x.contiguous(memory_format=torch.channels_last_3d)
        try:
            ADDERS[type(layer)](self, layer, coming)
        except RuntimeError as error:
            found = f"{self.x.shape[1]} channels on a grid of {self.grid}"
            message = str(error).splitlines()[0]
            raise InputError(f"a {type(layer).__name__} does not fit {found}: {message}") from error
        self.channels[-1] = max(self.channels[-1], self.x.shape[1])

    def _grow(self, y: Tensor, reaches: Reaches | None, joined: int | None = None) -> None:
        """Begin a level with output `y`."""
        source = self.level
        self.x = y
        self.levels.append(_levels(self.grid, source, reaches, joined))
        self.channels.append(y.shape[1])

    def _pointwise(self, layer: Pointwise, coming: Form) -> None:
        self.x = layer.whole(self.x)
        self.steps.append(PointwiseStep(layer, self.form))

    def _affine(self, layer: Affine, coming: Form) -> None:
        self.x = layer.whole(self.x)
        self.steps.append(AffineStep(layer, self.form))

    def _activation(self, layer: Activation, coming: Form) -> None:
        self.x = layer.whole(self.x)
        self.steps.append(ActivationStep(layer))

    def _convolution(self, layer: Convolution, coming: Form) -> None:
        source = self.level
        self._grow(layer.whole(self.x), layer.reaches)
        base = self._base(self.level) if coming == "value" else None
        place = (source, self.level)
        self.steps.append(kernel_step(layer.weight, layer.groups, layer.reaches, place, base))
        self.form = coming

    def _average_pool(self, layer: AveragePool, coming: Form) -> None:
        x, source = self.x, self.level
        self._grow(layer.whole(x), layer.reaches)
        step = AveragePoolStep(layer.module, x, layer.reaches, (source, self.level))
        self.bases.append(step.share)
        self.steps.append(step)

    def _maximum_pool(self, layer: MaximumPool, coming: Form) -> None:
        grid, source = self.grid, self.level
        base = self._base(source + 1, layer.reaches)
        self._grow(layer.whole(self.x), layer.reaches)
        self.steps.append(MaximumPoolStep(base, grid, layer.reaches, (source, self.level)))

    def _global_average(self, layer: GlobalAverage, coming: Form) -> None:
        n = int(np.prod(self.grid))
        self._grow(layer.whole(self.x.double()), None)
        self.steps += [GlobalSumStep(), DivisionStep(n)]

    def _flatten(self, layer: Flatten, coming: Form) -> None:
        n, source = int(np.prod(self.grid)), self.level
        self._grow(layer.whole(self.x.double()), None)
        self.steps.append(FlattenStep(n, source))

    def _skip_start(self, layer: SkipStart, coming: Form) -> None:
        self.left.append((self.level, self.x))
        self.steps.append(SkipStartStep())

    def _skip_end(self, layer: SkipEnd, coming: Form) -> None:
        if not self.left:
            raise InputError("the network has a SkipEnd without a SkipStart")
        start, x = self.left.pop()
        if x.shape != self.x.shape:
            raise InputError(
                f"a residual branch ends in {tuple(self.x.shape[1:])} channels and places; it "
                f"began with {tuple(x.shape[1:])}"
            )
        branch = self.level
        self._grow(self.x + x, None, start)
        self.steps.append(SkipEndStep(branch, start, self.level))

    # Use

    def axes(self, starts: Sequence[Integers], box: Grid) -> Axes:
        """Return the positions of a box, given its first voxels along each axis."""
        grids = [tuple(level.n for level in levels) for levels in self.levels]
        steps = [row_steps((n[0], n[1], n[2])) for n in grids]
        x, y, z = (
            Axis(
                starts[axis],
                box[axis],
                [levels[axis] for levels in self.levels],
                [step[axis] for step in steps],
            )
            for axis in range(3)
        )
        return x, y, z

    def prepare(self, all_axes: Sequence[Axes]) -> None:
        """Get ready for boxes at these positions, and for no others."""
        self.insides.clear()
        for base in self.bases:
            base.prepare(all_axes)

    def widest(self, sizes: NDArray[np.int64]) -> int:
        """Return the most numbers that windows of these sizes hold per box, at any level."""
        return int((sizes * np.array(self.channels)).max())

    def changes(
        self, batch: Batch, space: Space, value: float, mask: NDArray[np.bool_] | None = None
    ) -> Tensor:
        """Return changes of what the last steps start from, (1, n_boxes, channels).

        Parameters
        ----------
        batch : Batch
        space : Space
        value : float
            What the box is filled with.
        mask : ndarray of shape (X, Y, Z), optional
            Only these voxels of the box are filled.
        """
        space.begin(batch)
        before = self.volume.windows(batch)
        n_elements = prod(batch.size(0))
        x = space.following((n_elements, batch.n, 1), before.dtype)
        torch.neg(before, out=x.view(before.shape)).add_(value)
        if batch.neighbours is not None:
            x.view(before.shape).mul_(self._inside(batch.neighbours, batch.size(0)))
        if mask is not None:
            kept = space.index(mask.reshape(-1)[batch.rows(0)].astype(np.int64))
            x.mul_(kept.view(x.shape))
        space.clear_outside(x, 0)
        for step in self.steps:
            x = step(x, space)
        return x if self.last else x.clone()

    def _inside(self, neighbours: Neighbours, size: Grid) -> Tensor:
        """Return 1 for the voxels of windows that each box holds, (*size, n, 1, 1, 1, 1)."""
        if size not in self.insides:
            inside = torch.from_numpy(neighbours.inside(size)).to(self.volume.values)
            self.insides[size] = inside[..., None, None, None, None]
        return self.insides[size]

    def finish(self, found: Sequence[Tensor], space: Space) -> Tensor:
        """Return changes of the logits, (n_boxes, n_classes), from `changes` of batches."""
        x = torch.cat(list(found), dim=1)
        for step in self.last:
            x = step(x, space)
        return x[0].double()


ADDERS: dict[type[Layer], Callable[[Network, Any, Form], None]] = {
    Pointwise: Network._pointwise,
    Affine: Network._affine,
    Activation: Network._activation,
    Convolution: Network._convolution,
    AveragePool: Network._average_pool,
    MaximumPool: Network._maximum_pool,
    GlobalAverage: Network._global_average,
    Flatten: Network._flatten,
    SkipStart: Network._skip_start,
    SkipEnd: Network._skip_end,
}


def wanted(layers: Sequence[Layer]) -> Form:
    """Return the form that the next layer needs which does not work on either."""
    needs = (layer.needs for layer in layers if layer.needs is not None)
    return next(needs, "change")


def _levels(
    grid: Grid, source: int = -1, reaches: Reaches | None = None, joined: int | None = None
) -> Levels:
    """Return a level in each dimension."""
    x, y, z = (
        Level(n, source, None if reaches is None else reaches[axis], joined)
        for axis, n in enumerate(grid)
    )
    return x, y, z


def _divided(steps: list[Step]) -> tuple[list[Step], list[Step]]:
    """Return steps, and apart from them the last ones if these need no batch.

    Operations on one vector per box are so small that they are best done to many batches at once.
    """
    at = next((k for k, step in enumerate(steps) if isinstance(step, DivisionStep)), len(steps))
    if all(isinstance(step, PointwiseStep) for step in steps[at + 1 :]):
        return steps[:at], steps[at:]
    return steps, []
