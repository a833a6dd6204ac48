"""Functional regions: voxels where a group map of the analysis ``glm`` exceeds a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from bidsface.analysis import AnalysisOptions, Grid, StoredMap, StoredResults, Voxels
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles
from bidsface.regions.source import NOTHING, Earlier, Mask, RegionSource

LEAVE_ONE_OUT = "LeaveOneOut"

COMBINATIONS: Mapping[str, Callable[..., Any]] = {
    "union": np.logical_or.reduce,
    "intersection": np.logical_and.reduce,
}


class MapChoice(AnalysisOptions):
    """One thresholded map."""

    task: str
    """Task."""
    contrast: str | None = None
    """Contrast; unset: the region's."""
    threshold: float = Field(ge=0)
    """t that voxels exceed."""


class FunctionalRegion(RegionSource):
    """Voxels where group maps of t, made without the participant, exceed thresholds.

    The thresholds are filters of voxels, not inference.
    """

    class Options(AnalysisOptions):
        """Options of functional regions."""

        analysis: str
        """Name of a `glm` analysis of the recipe, whose group level makes the maps."""
        maps: Annotated[
            Mapping[str, Annotated[float, Field(ge=0)]] | tuple[MapChoice, ...], Field(min_length=1)
        ]
        """t that voxels exceed, by task (`{display: 2, observe: 3}`), or a list of maps with the
        keys `task`, `threshold` and `contrast`.
        """
        contrast: str = "all"
        """Contrast of the maps."""
        combine: Literal["union", "intersection"] = "union"
        """Voxels of any of the maps, or of all of them."""
        leave_one_out: bool = True
        """Use the group without the participant, whose own data then have no part in the region.
        With `false` the region is circular: the participant's data help to choose the voxels that
        are analysed in them.
        """

    def requires(self, options: Options) -> tuple[str, ...]:
        """Return the analysis whose group level makes the maps."""
        return (options.analysis,)

    def masks(
        self, files: ParticipantFiles, grid: Grid, options: Options, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return where the maps of the other participants exceed the thresholds.

        Raises
        ------
        InputError
            If the group has no such map.
        """
        if options.analysis not in earlier:
            raise InputError(
                f"the group level of analysis {options.analysis} is not finished; run participant "
                f"and group with --analysis {options.analysis} first"
            )
        group = earlier[options.analysis]
        masks = [_mask(group, files.label, grid, choice, options) for choice in choices(options)]
        return np.asarray(COMBINATIONS[options.combine](masks), dtype=bool)

    def describe(self, options: Options) -> str:
        """Name maps and thresholds, and whether they are independent."""
        maps = [
            f"{choice.task} ({choice.contrast}) t > {choice.threshold:g}"
            for choice in choices(options)
        ]
        whose = "without the participant" if options.leave_one_out else "of all participants"
        how = f", {options.combine}" if len(maps) > 1 else ""
        return f"group maps of {options.analysis} {whose}: {', '.join(maps)}{how}"


def choices(options: FunctionalRegion.Options) -> list[MapChoice]:
    """Return the maps of a region, each with its contrast."""
    given = options.maps
    if isinstance(given, Mapping):
        given = tuple(MapChoice(task=task, threshold=t) for task, t in given.items())
    return [
        MapChoice(task=one.task, contrast=one.contrast or options.contrast, threshold=one.threshold)
        for one in given
    ]


def _mask(
    group: StoredResults,
    label: str,
    grid: Grid,
    choice: MapChoice,
    options: FunctionalRegion.Options,
) -> Mask:
    everywhere = Voxels(grid, np.arange(int(np.prod(grid.shape))))
    plain = _find(group, choice, "", options.analysis)
    values = (
        _independent(group, label, choice, options.analysis, plain, everywhere)
        if options.leave_one_out
        else plain.load(everywhere)
    )
    return np.asarray(values.reshape(grid.shape) > choice.threshold)


def _independent(
    group: StoredResults,
    label: str,
    choice: MapChoice,
    analysis: str,
    plain: StoredMap,
    everywhere: Voxels,
) -> np.ndarray:
    """Return t without the participant: of the whole group if it was not among them."""
    without = _find(group, choice, LEAVE_ONE_OUT, analysis)
    name = f"sub-{label}"
    if name not in without.volumes:
        return plain.load(everywhere)
    return without.load(everywhere)[:, list(without.volumes).index(name)]


def _find(group: StoredResults, choice: MapChoice, end: str, analysis: str) -> StoredMap:
    wanted = {"task": choice.task, "contrast": f"{choice.contrast}{end}"}
    t_maps = [stored for stored in group.maps if stored.stat == "t"]
    for stored in t_maps:
        if wanted.items() <= stored.entities.items():
            return stored
    raise InputError(
        f"the group level of analysis {analysis} has no map of t of contrast "
        f"{wanted['contrast']} in task {choice.task}; it has {_listing(t_maps)}"
        + (
            ". Maps without each participant need the option leave_one_out of that analysis, and "
            "three participants at least"
            if end
            else ""
        )
    )


def _listing(maps: Sequence[StoredMap]) -> str:
    names = [f"{one.entities.get('task')}/{one.entities.get('contrast')}" for one in maps]
    return ", ".join(sorted(names)) or "none"
