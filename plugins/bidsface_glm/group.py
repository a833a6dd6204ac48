"""The group level: test every contrast of every task over participants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Map, ParticipantResults, Results, Voxels
from bidsface.anatomy import find_atlas
from bidsface.backgrounds import mean_background
from bidsface_glm import group_report, text
from bidsface_glm.cohort import (
    Cell,
    Effects,
    common_grid,
    find_cells,
    read_covariates,
    read_effects,
)
from bidsface_glm.contrasts import label_of, with_end
from bidsface_glm.corrections import CORRECTIONS, Corrected, GroupMap
from bidsface_glm.group_maps import leave_one_out_map, tested_maps
from bidsface_glm.options import GlmOptions
from bidsface_glm.second_level import fit_group, group_design

Seed = Callable[..., np.random.SeedSequence]


@dataclass(frozen=True, eq=False)
class Tested:
    """One regressor of a group model.

    Attributes
    ----------
    label : str
        Contrast, with the covariate's name for a covariate.
    meaning : str
        What was tested, in words.
    group : GroupMap
    corrected : sequence of Corrected
    """

    label: str
    meaning: str
    group: GroupMap
    corrected: Sequence[Corrected]


@dataclass(frozen=True, eq=False)
class GroupCell:
    """What was found in one contrast of one task.

    Attributes
    ----------
    cell : Cell
    voxels : Voxels
    tested : sequence of Tested
        The mean, then the covariates.
    maps : sequence of Map
    """

    cell: Cell
    voxels: Voxels
    tested: Sequence[Tested]
    maps: Sequence[Map]

    @property
    def signs(self) -> NDArray[np.float64]:
        """Sign of the mean effect where the first correction leaves it, else 0."""
        mean = self.tested[0]
        if not mean.corrected:
            return np.zeros(len(self.voxels.index))
        return np.where(mean.corrected[0].significant, np.sign(mean.group.found.t), 0.0)


def model_group(
    participants: Sequence[ParticipantResults],
    table: pd.DataFrame,
    options: GlmOptions,
    seed: Seed,
) -> Results:
    """Test every contrast of every task over participants.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    table : DataFrame
        Rows of participants.tsv by label, for covariates.
    options : GlmOptions
    seed : callable
        Random stream of some names.

    Raises
    ------
    InputError
        If covariates are missing, or maps lie on different grids or in no standard space.
    """
    cells = find_cells(participants)
    if not cells:
        return Results(warnings=["no participant has maps of this analysis"])
    warnings = _missing(cells, [participant.label for participant in participants])
    modelled: list[GroupCell] = []
    for cell in cells:
        if len(cell.labels) < 2 + len(options.covariates):
            warnings.append(_too_few(cell, options))
            continue
        found, notes = _model_cell(cell, table, options, seed)
        warnings.extend(notes)
        modelled.extend(found)
    if not modelled:
        return Results(warnings=list(dict.fromkeys(warnings)))
    methods = text.group_methods(options)
    grid = common_grid(modelled[0].cell)
    atlas = find_atlas(participants, grid, options.atlas, options.atlas_lookup)
    parts = group_report.report(modelled, atlas, mean_background(participants, grid), options)
    return Results(
        maps=[map_ for one in modelled for map_ in one.maps],
        tables=parts.tables,
        figures=parts.figures,
        summaries=parts.summaries,
        highlights=parts.highlights,
        warnings=list(dict.fromkeys(warnings)),
        methods=methods,
        citations=text.citations_of(methods),
    )


def _missing(cells: Sequence[Cell], labels: Sequence[str]) -> list[str]:
    """Tell which participants lack which contrasts."""
    notes = []
    for cell in cells:
        without = [f"sub-{label}" for label in labels if label not in cell.labels]
        if without:
            notes.append(
                f"task {cell.task}, contrast {cell.contrast}: without {', '.join(without)}, who "
                "lack it"
            )
    return notes


def _too_few(cell: Cell, options: GlmOptions) -> str:
    n = len(cell.labels)
    what = "one participant only" if n == 1 else f"{n} participants"
    wanted = f" of {len(options.covariates)} covariate(s)" if options.covariates else ""
    return f"task {cell.task}, contrast {cell.contrast}: {what}, so there is no inference{wanted}"


def _model_cell(
    cell: Cell, table: pd.DataFrame, options: GlmOptions, seed: Seed
) -> tuple[list[GroupCell], list[str]]:
    """Return what was found in a cell (nothing without voxels in common), and notes."""
    effects = read_effects(cell)
    where = f"task {cell.task}, contrast {cell.contrast}"
    if not len(effects.voxels.index):
        return [], [f"{where}: participants have no voxel in common"]
    covariates = read_covariates(table, cell.labels, options)
    design = group_design(covariates)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return [], [f"{where}: covariates explain each other among these participants"]
    tested = list(_test(cell, effects, design, options, seed))
    maps = [map_ for one in tested for map_ in tested_maps(one, cell, options)]
    notes = []
    if options.leave_one_out:
        loo = leave_one_out_map(cell, effects, covariates)
        maps.extend(loo)
        if not loo:
            notes.append(f"{where}: {len(cell.labels)} participants are too few to leave one out")
    return [GroupCell(cell, effects.voxels, tested, maps)], notes


def _test(
    cell: Cell, effects: Effects, design: NDArray[np.float64], options: GlmOptions, seed: Seed
) -> Iterator[Tested]:
    n = len(cell.labels)
    names = [
        (cell.contrast, f"mean over {n} participants"),
        *(
            (with_end(cell.contrast, label_of(name)), f"slope of {name} over {n} participants")
            for name in options.covariates
        ),
    ]
    for column, (label, meaning) in enumerate(names):
        found = fit_group(effects.values, design, column, options.two_sided)
        group = GroupMap(effects.values, design, column, found, effects.voxels)
        stream = seed("group", cell.task, label)
        corrected = [
            one
            for name in dict.fromkeys(options.corrections)
            for one in CORRECTIONS[name](group, options, stream)
        ]
        yield Tested(label, meaning, group, corrected)
