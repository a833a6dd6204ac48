"""Masking: the regions of one participant within the brain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bidsface.analysis import Grid, Region, Voxels
from bidsface.errors import InputError, RecipeError
from bidsface.files import ParticipantFiles
from bidsface.recipe import Recipe, RegionSpec
from bidsface.regions.source import NOTHING, Earlier, Mask, RegionSource
from bidsface.volumes import common_brain


@dataclass(frozen=True, eq=False)
class FoundRegions:
    """The regions of one participant.

    Attributes
    ----------
    voxels : Voxels
        Union of the regions; the whole brain where there are none.
    regions : mapping of str to Region
        In recipe order.
    notes : tuple of str
        Which optional regions are left out, and why.
    """

    voxels: Voxels
    regions: Mapping[str, Region]
    notes: tuple[str, ...]


def find_regions(
    files: ParticipantFiles,
    grid: Grid,
    recipe: Recipe,
    sources: Mapping[str, RegionSource],
    earlier: Earlier = NOTHING,
) -> FoundRegions:
    """Find a recipe's regions within the brain.

    Regions that are made of group results which are not there yet are left out, with a note. Where
    there is no region, the voxels are the whole brain.

    Raises
    ------
    InputError
        If a region that is not optional lacks its files or has no voxel in the brain.
    """
    brain = common_brain(files.runs, grid)
    masks: dict[str, Mask] = {}
    made_of: dict[str, str] = {}
    notes = []
    for name, spec in recipe.regions.items():
        wanted = [label for way in spec.ways for label in _requires(way, sources)]
        missing = [label for label in wanted if label not in earlier]
        if missing:
            notes.append(f"region {name} waits for the group level of {', '.join(missing)}")
            continue
        for way in spec.ways:
            try:
                masks[name] = _find(name, way, files, grid, sources, brain, earlier)
                made_of[name] = _describe(way, sources)
                break
            except InputError as error:
                if way.otherwise is not None:
                    other = _describe(way.otherwise, sources)
                    notes.append(f"region {name} is made of {other}: {error}")
                elif spec.optional:
                    notes.append(f"region {name} is left out: {error}")
                else:
                    raise InputError(f"region {name}: {error}") from error
    if not masks:
        whole = np.arange(math.prod(grid.shape)) if brain is None else np.flatnonzero(brain)
        return FoundRegions(Voxels(grid, whole), {}, tuple(notes))
    union = np.flatnonzero(np.logical_or.reduce(list(masks.values())))
    regions = {
        name: Region(
            name=name,
            columns=np.searchsorted(union, np.flatnonzero(mask)),
            description=made_of[name],
        )
        for name, mask in masks.items()
    }
    return FoundRegions(Voxels(grid, union), regions, tuple(notes))


def _find(
    name: str,
    spec: RegionSpec,
    files: ParticipantFiles,
    grid: Grid,
    sources: Mapping[str, RegionSource],
    brain: Mask | None,
    earlier: Earlier,
) -> Mask:
    if spec.source not in sources:
        raise RecipeError(f"region {name}: no source {spec.source}; there are {', '.join(sources)}")
    source = sources[spec.source]
    mask = source.masks(files, grid, source.Options.model_validate(spec.options), earlier)
    if brain is not None:
        mask = mask & brain
    if not mask.any():
        raise InputError(f"sub-{files.label}: {_describe(spec, sources)} has no voxel in the brain")
    return mask


def _requires(spec: RegionSpec, sources: Mapping[str, RegionSource]) -> tuple[str, ...]:
    source = sources.get(spec.source)
    return () if source is None else source.requires(source.Options.model_validate(spec.options))


def _describe(spec: RegionSpec, sources: Mapping[str, RegionSource]) -> str:
    source = sources[spec.source]
    return source.describe(source.Options.model_validate(spec.options))
