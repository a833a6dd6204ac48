"""Masking: the regions of one participant within the brain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bidsface.analysis import Grid, Region, Voxels
from bidsface.errors import InputError, RecipeError
from bidsface.files import ParticipantFiles
from bidsface.recipe import Recipe, RegionSpec
from bidsface.regions.sources import Mask, RegionSource
from bidsface.volumes import common_brain


@dataclass(frozen=True, eq=False)
class FoundRegions:
    """The regions of one participant.

    Attributes
    ----------
    voxels : Voxels
        Union of the regions.
    regions : mapping of str to Region
        In recipe order.
    notes : tuple of str
        Which optional regions are left out, and why.
    """

    voxels: Voxels
    regions: Mapping[str, Region]
    notes: tuple[str, ...]


def find_regions(
    files: ParticipantFiles, grid: Grid, recipe: Recipe, sources: Mapping[str, RegionSource]
) -> FoundRegions:
    """Find a recipe's regions within the brain.

    Raises
    ------
    InputError
        If a region that is not optional lacks its files or has no voxel in the brain, or if no
        region is left.
    """
    brain = common_brain(files.runs, grid)
    masks: dict[str, Mask] = {}
    notes = []
    for name, spec in recipe.regions.items():
        try:
            masks[name] = _find(name, spec, files, grid, sources, brain)
        except InputError as error:
            if not spec.optional:
                raise InputError(f"region {name}: {error}") from error
            notes.append(f"region {name} is left out: {error}")
    if not masks:
        raise InputError(f"sub-{files.label}: no region is left ({'; '.join(notes)})")
    union = np.flatnonzero(np.logical_or.reduce(list(masks.values())))
    regions = {
        name: Region(
            name=name,
            columns=np.searchsorted(union, np.flatnonzero(mask)),
            description=_describe(recipe.regions[name], sources),
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
) -> Mask:
    if spec.source not in sources:
        raise RecipeError(f"region {name}: no source {spec.source}; there are {', '.join(sources)}")
    source = sources[spec.source]
    mask = source.masks(files, grid, source.Options.model_validate(spec.options))
    if brain is not None:
        mask = mask & brain
    if not mask.any():
        raise InputError(f"sub-{files.label}: {_describe(spec, sources)} has no voxel in the brain")
    return mask


def _describe(spec: RegionSpec, sources: Mapping[str, RegionSource]) -> str:
    source = sources[spec.source]
    return source.describe(source.Options.model_validate(spec.options))
