"""Which parts of the brain the networks' answers depend on: boxes, regions and gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_emotion_cnn.cross_validation import FoldOutcome, SchemeOutcome
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.group_occlusion import (
    ChosenVolumes,
    GroupOcclusion,
    chosen_volumes,
    group_occlusion,
    participant_maps,
)
from bidsface_emotion_cnn.occlusion import occlude_masks, occlusion_map
from bidsface_emotion_cnn.options import OcclusionOptions
from bidsface_emotion_cnn.positions import BoxGrid
from bidsface_emotion_cnn.saliency import integrated_gradients, smooth_grad
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.torch_devices import one_thread

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
        For the volume's own class.
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
    chosen : ChosenVolumes
        Numbers are rows of the tested volumes.
    maps : ndarray of shape (n_participants, n_classes, n_positions)
        Participants' mean change of a class's probability in its own volumes.
    tested : GroupOcclusion
    region_names : sequence of str
    regions : ndarray of shape (n_participants, n_classes, n_regions)
        The same for regions that were emptied.
    gradients : mapping of str to ndarray of shape (n_classes, X, Y, Z)
        Means over participants.
    """

    grid: BoxGrid
    chosen: ChosenVolumes
    maps: Floats
    tested: GroupOcclusion
    region_names: tuple[str, ...]
    regions: Floats
    gradients: Mapping[str, Floats]


def occlude(
    outcome: SchemeOutcome, cohort: Cohort, options: OcclusionOptions, tools: Tools
) -> Occluded | None:
    """Occlude held-out volumes; None where no volume is recognized well enough.

    Parameters
    ----------
    outcome : SchemeOutcome
        Whose networks and held-out volumes are used.
    cohort : Cohort
    options : OcclusionOptions
    tools : Tools

    Raises
    ------
    InputError
        If the box does not fit into the volumes.
    """
    volumes = cohort.volumes
    tested, folds = outcome.tested, outcome.fold_numbers
    chosen = chosen_volumes(
        np.concatenate(outcome.predictions["network"].test),
        volumes.codes[tested],
        options.per_class,
        options.above,
        seed=tools.seed("occlusion", "volumes"),
        participants=volumes.participants[tested],
        classes=volumes.classes,
    )
    if not len(chosen.index):
        return None
    shape = volumes.shape
    grid = BoxGrid(shape, cohort.grid.affine, options.box, options.stride, options.pad)
    rows = list(chosen.index)
    names = tuple(name for name, mask in cohort.regions.items() if mask.any())
    masks = np.array([cohort.regions[name] for name in names]).reshape(-1, *shape)
    tools.tell(f"occlusion: {len(rows)} volumes, {grid.n_positions:,} positions each")

    def look(row: int) -> Seen:
        fold = outcome.folds[folds[row]]
        return _look(int(tested[row]), fold, cohort, masks, grid, options, tools)

    seen = [look(row) for row in rows] if tools.device == "cuda" else list(tools.map(look, rows))
    return _occluded(seen, chosen, grid, names, cohort, options, tools)


def _look(
    number: int,
    fold: FoldOutcome,
    cohort: Cohort,
    masks: NDArray[np.bool_],
    grid: BoxGrid,
    options: OcclusionOptions,
    tools: Tools,
) -> Seen:
    one_thread()
    model, volume = fold.network.model, cohort.volumes.read(np.array([number]))[0]
    boxes = occlusion_map(
        model, volume, options.box, options.stride, pad=options.pad, device=tools.device
    )
    if boxes.shape[1:] != grid.grid_shape:
        raise InputError(f"occlusion: {boxes.shape[1:]} positions, {grid.grid_shape} expected")
    regions = np.zeros((0, len(cohort.volumes.classes)))
    if len(masks):
        regions = occlude_masks(model, volume, masks, device=tools.device)
    own = int(cohort.volumes.codes[number])
    gradients = {}
    if "integrated-gradients" in options.gradients:
        gradients["integrated-gradients"] = integrated_gradients(
            model, volume, own, device=tools.device
        )
    if "smooth-grad" in options.gradients:
        seed = tools.seed("smooth-grad", str(number))
        gradients["smooth-grad"] = smooth_grad(model, volume, own, seed=seed, device=tools.device)
    return Seen(number, grid.flatten(boxes).astype(np.float32), regions, gradients)


def _occluded(
    seen: list[Seen],
    chosen: ChosenVolumes,
    grid: BoxGrid,
    names: tuple[str, ...],
    cohort: Cohort,
    options: OcclusionOptions,
    tools: Tools,
) -> Occluded:
    volumes = cohort.volumes
    index = np.array([one.volume for one in seen])
    codes, people = volumes.codes[index], volumes.participants[index]
    n_people, n_classes = len(volumes.participant_labels), len(volumes.classes)

    def averaged(changes: Iterator[NDArray[np.floating]]) -> Floats:
        return participant_maps(changes, codes, people, n_people, n_classes)

    maps = averaged(one.boxes for one in seen)
    regions = averaged(one.regions.T for one in seen)
    tested = group_occlusion(
        maps, FLIPS, tools.seed("occlusion", "flips"), grid.inside(cohort.inside)
    )
    gradients: dict[str, Floats] = {}
    for name in options.gradients:
        spread = averaged(
            np.broadcast_to(one.gradients[name].ravel(), (n_classes, volumes.data[0].size))
            for one in seen
        )
        present = ~np.isnan(spread[:, :, 0])
        total = np.nansum(spread, axis=0) / np.maximum(present.sum(axis=0), 1)[:, None]
        total[~present.any(axis=0)] = np.nan
        gradients[name] = total.reshape(n_classes, *volumes.shape)
    return Occluded(grid, chosen, maps, tested, names, regions, gradients)
