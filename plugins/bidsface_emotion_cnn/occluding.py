"""Which parts of the brain the networks' answers depend on: boxes, regions and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_emotion_cnn.cross_validation import FoldOutcome, SchemeOutcome
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.group_occlusion import (
    GroupOcclusion,
    group_occlusion,
    has_maps,
    participant_maps,
    participants_mean,
)
from bidsface_emotion_cnn.occlusion import occlude_masks, occlusion_map
from bidsface_emotion_cnn.options import OcclusionOptions
from bidsface_emotion_cnn.positions import BoxGrid
from bidsface_emotion_cnn.saliency import integrated_gradients, smooth_grad
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.torch_devices import one_thread
from bidsface_emotion_cnn.volume_draw import DrawnVolumes, draw_volumes

FLIPS = 9_999
"""Sign flips of participants' maps."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """What occlusion of one volume changes.

    Attributes
    ----------
    volume : int
        Its number.
    boxes : ndarray of shape (n_classes, n_positions), float32
    regions : ndarray of shape (n_regions, n_classes)
    gradients : mapping of str to ndarray of shape (X, Y, Z), float32
        For the volume's own class; of volumes that are shown.
    """

    volume: int
    boxes: NDArray[np.float32]
    regions: Floats
    gradients: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Occluded:
    """Occlusion of held-out volumes by the networks that never saw them.

    Attributes
    ----------
    grid : BoxGrid
    drawn : DrawnVolumes
        Numbers are rows of the tested volumes.
    importance : ndarray of shape (n_classes, n_positions)
        Mean change of a class's probability in its own volumes that are shown, over participants;
        NaN for a class without any.
    n_shown : ndarray of shape (n_classes,), int
        Participants with such volumes.
    tested : GroupOcclusion
        Of the volumes that were drawn whatever the network says of them.
    region_names : sequence of str
    regions_shown : ndarray of shape (n_classes, n_regions)
        What ``importance`` is, for regions that were emptied.
    regions : ndarray of shape (n_participants, n_classes, n_regions)
        Participants' mean changes in the volumes that are tested.
    gradients : mapping of str to ndarray of shape (n_classes, X, Y, Z)
        Means over participants, of the volumes that are shown.
    """

    grid: BoxGrid
    drawn: DrawnVolumes
    importance: Floats
    n_shown: NDArray[np.intp]
    tested: GroupOcclusion
    region_names: tuple[str, ...]
    regions_shown: Floats
    regions: Floats
    gradients: Mapping[str, Floats]


def box_grid(cohort: Cohort, options: OcclusionOptions) -> BoxGrid:
    """Return the positions of the box; InputError if it does not fit into the volumes."""
    shape, affine = cohort.volumes.shape, cohort.grid.affine
    return BoxGrid(shape, affine, options.box, options.stride, options.pad)


def occlude(
    outcome: SchemeOutcome, cohort: Cohort, grid: BoxGrid, options: OcclusionOptions, tools: Tools
) -> Occluded:
    """Occlude held-out volumes.

    Parameters
    ----------
    outcome : SchemeOutcome
        Whose networks and held-out volumes are used.
    cohort : Cohort
    grid : BoxGrid
        Of `box_grid`.
    options : OcclusionOptions
    tools : Tools
    """
    volumes = cohort.volumes
    held_out, folds = outcome.tested, outcome.fold_numbers
    drawn = draw_volumes(
        np.concatenate(outcome.predictions["network"].test),
        volumes.codes[held_out],
        options.per_class,
        options.above,
        seed=tools.seed("occlusion", "volumes"),
        participants=volumes.participants[held_out],
        classes=volumes.classes,
    )
    names = tuple(name for name, mask in cohort.regions.items() if mask.any())
    masks = np.array([cohort.regions[name] for name in names]).reshape(-1, *volumes.shape)
    occluder = _Occluder(cohort, masks, grid, options, tools)
    rows = [int(row) for row in drawn.rows]
    shown = set(drawn.shown.tolist())
    tools.tell(f"occlusion: {len(rows)} volumes, {grid.n_positions:,} positions each")

    def look(row: int) -> Seen:
        return occluder(int(held_out[row]), outcome.folds[folds[row]], row in shown)

    seen = [look(row) for row in rows] if tools.device == "cuda" else list(tools.map(look, rows))
    return _occluded(dict(zip(rows, seen, strict=True)), drawn, names, occluder)


@dataclass(frozen=True, eq=False)
class _Occluder:
    """Occludes volumes: every box, every mask (n_masks, X, Y, Z), and gradients beside them."""

    cohort: Cohort
    masks: NDArray[np.bool_]
    grid: BoxGrid
    options: OcclusionOptions
    tools: Tools

    def __call__(self, number: int, fold: FoldOutcome, shown: bool) -> Seen:
        """Return what occlusion of a volume changes for the network of a fold."""
        one_thread()
        options, grid, device = self.options, self.grid, self.tools.device
        model = fold.network.model
        volume = self.cohort.volumes.read(np.array([number]))[0]
        boxes = occlusion_map(
            model, volume, options.box, options.stride, pad=options.pad, device=device
        )
        if boxes.shape[1:] != grid.grid_shape:
            raise InputError(f"occlusion: {boxes.shape[1:]} positions, {grid.grid_shape} expected")
        regions = np.zeros((0, len(self.cohort.volumes.classes)))
        if len(self.masks):
            regions = occlude_masks(model, volume, self.masks, device=device)
        gradients = self._gradients(number, fold, volume) if shown else {}
        return Seen(number, grid.flatten(boxes).astype(np.float32), regions, gradients)

    def _gradients(
        self, number: int, fold: FoldOutcome, volume: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float32]]:
        model, device = fold.network.model, self.tools.device
        own = int(self.cohort.volumes.codes[number])
        gradients = {}
        if "integrated-gradients" in self.options.gradients:
            gradients["integrated-gradients"] = integrated_gradients(
                model, volume, own, device=device
            )
        if "smooth-grad" in self.options.gradients:
            seed = self.tools.seed("smooth-grad", str(number))
            gradients["smooth-grad"] = smooth_grad(model, volume, own, seed=seed, device=device)
        return gradients


def _occluded(
    seen: Mapping[int, Seen], drawn: DrawnVolumes, names: tuple[str, ...], occluder: _Occluder
) -> Occluded:
    cohort, grid, tools = occluder.cohort, occluder.grid, occluder.tools
    shown = [seen[int(row)] for row in drawn.shown]
    tested = [seen[int(row)] for row in drawn.tested]
    maps = _averaged(shown, cohort, grid.n_positions, lambda one: one.boxes)
    return Occluded(
        grid,
        drawn,
        participants_mean(maps),
        has_maps(maps).sum(axis=0),
        group_occlusion(
            _averaged(tested, cohort, grid.n_positions, lambda one: one.boxes),
            FLIPS,
            tools.seed("occlusion", "flips"),
            grid.inside(cohort.inside),
        ),
        names,
        participants_mean(_averaged(shown, cohort, len(names), lambda one: one.regions.T)),
        _averaged(tested, cohort, len(names), lambda one: one.regions.T),
        {name: _mean_gradient(shown, cohort, name) for name in occluder.options.gradients},
    )


def _mean_gradient(shown: Sequence[Seen], cohort: Cohort, name: str) -> Floats:
    volumes = cohort.volumes
    n_classes, n_voxels = len(volumes.classes), int(np.prod(volumes.shape))

    def spread(one: Seen) -> NDArray[np.float32]:
        return np.broadcast_to(one.gradients[name].ravel(), (n_classes, n_voxels))

    found = participants_mean(_averaged(shown, cohort, n_voxels, spread))
    return found.reshape(n_classes, *volumes.shape)


def _averaged(
    seen: Sequence[Seen],
    cohort: Cohort,
    n_positions: int,
    changes: Callable[[Seen], NDArray[np.floating]],
) -> Floats:
    """Return participants' means over some of the volumes, as `participant_maps` does."""
    volumes = cohort.volumes
    n_people, n_classes = len(volumes.participant_labels), len(volumes.classes)
    if not seen:
        return np.full((n_people, n_classes, n_positions), np.nan)
    index = np.array([one.volume for one in seen])
    codes, people = volumes.codes[index], volumes.participants[index]
    return participant_maps(map(changes, seen), codes, people, n_people, n_classes)
