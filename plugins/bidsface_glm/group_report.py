"""Figures, tables and sentences of the report on the group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Figure, Results, Summary, Table
from bidsface.anatomy import Atlas, millimetres
from bidsface.figures import slices
from bidsface_glm.clusters import cluster_rows, cluster_table
from bidsface_glm.corrections import Corrected
from bidsface_glm.options import GlmOptions
from bidsface_glm.overlap import find_overlaps, overlap_figure, overlap_summary

if TYPE_CHECKING:
    from bidsface_glm.group import GroupCell, Tested

Background = NDArray[np.float32] | None


def report(
    cells: Sequence[GroupCell], atlas: Atlas, background: Background, options: GlmOptions
) -> Results:
    """Return the figures, tables, summaries and highlights of all contrasts of all tasks."""
    pairs = [(cell, tested) for cell in cells for tested in cell.tested]
    tables = [_table(cell, tested, atlas, options) for cell, tested in pairs]
    figures = [figure for pair in pairs for figure in _figures(*pair, background)]
    summaries = [_summary(pairs, atlas)]
    if options.corrections:
        overlaps = list(find_overlaps(cells))
        threshold = cells[0].tested[0].corrected[0].description
        drawn = [overlap_figure(overlap, threshold, background) for overlap in overlaps]
        figures.extend(figure for figure in drawn if figure is not None)
        shared = overlap_summary(overlaps, threshold)
        summaries.extend([] if shared is None else [shared])
    return Results(
        tables=[table for table in tables if table is not None],
        figures=figures,
        summaries=summaries,
        highlights=_highlights(cells, atlas),
    )


def _table(cell: GroupCell, tested: Tested, atlas: Atlas, options: GlmOptions) -> Table | None:
    t = tested.group.found.t
    frames = [
        cluster_rows(t, cell.voxels, corrected, atlas, options.peak_distance)
        for corrected in tested.corrected
    ]
    what = f"{tested.meaning}, contrast {cell.cell.contrast}, task {cell.cell.task}"
    entities = {**cell.cell.entities, "contrast": tested.label}
    return cluster_table(frames, entities, f"{what}; structures: {atlas.source}")


def _figures(cell: GroupCell, tested: Tested, background: Background) -> list[Figure]:
    found = tested.group.found
    name = f"Group, task {cell.cell.task}, contrast {tested.label}"
    entities = {**cell.cell.entities, "contrast": tested.label}
    drawn = [
        Figure(
            "group",
            slices(found.t, cell.voxels, name, background=background, label="t"),
            name,
            f"t of the {tested.meaning} ({found.dof:g} degrees of freedom); not thresholded, weak "
            "effects fade out.",
            entities,
        )
    ]
    return [
        *drawn,
        *(
            _thresholded(cell, tested, corrected, background)
            for corrected in tested.corrected
            if corrected.significant.any()
        ),
    ]


def _thresholded(
    cell: GroupCell, tested: Tested, corrected: Corrected, background: Background
) -> Figure:
    name = f"Group, task {cell.cell.task}, contrast {tested.label}: {corrected.description}"
    shown = np.where(corrected.significant, tested.group.found.t, np.nan)
    return Figure(
        f"group{corrected.end}",
        slices(shown, cell.voxels, name, background=background, label="t", threshold=0.0),
        name,
        f"t of the {tested.meaning} in the {int(corrected.significant.sum())} voxels with "
        f"{corrected.description}.",
        {**cell.cell.entities, "contrast": tested.label},
    )


def _summary(pairs: Sequence[tuple[GroupCell, Tested]], atlas: Atlas) -> Summary:
    rows = []
    for cell, tested in pairs:
        row: dict[str, object] = {
            "task": cell.cell.task,
            "contrast": tested.label,
            "participants": len(cell.cell.labels),
            "voxels": len(cell.voxels.index),
            **_peak(cell, tested, atlas),
        }
        for corrected in tested.corrected:
            row[f"voxels, {corrected.name}"] = int(corrected.significant.sum())
        rows.append(row)
    return Summary(
        "Group maps",
        pd.DataFrame(rows),
        f"The largest t (in size) of every map, its place ({atlas.source}), and how many voxels "
        "each correction leaves.",
    )


def _peak(cell: GroupCell, tested: Tested, atlas: Atlas) -> dict[str, object]:
    t = tested.group.found.t
    column = int(np.argmax(np.abs(t)))
    point = millimetres(cell.voxels, column)
    return {
        "peak t": round(float(t[column]), 2),
        "x, y, z (mm)": ", ".join(f"{value:.0f}" for value in point),
        "structure": atlas.name(point),
    }


def _highlights(cells: Sequence[GroupCell], atlas: Atlas) -> list[str]:
    """Return a sentence per task about the mean of its first contrast."""
    lines, told = [], set()
    for cell in cells:
        if cell.cell.task in told:
            continue
        told.add(cell.cell.task)
        mean = cell.tested[0]
        peak = _peak(cell, mean, atlas)
        counts = "; ".join(
            f"{int(one.significant.sum())} of {len(cell.voxels.index)} voxels with "
            f"{one.description}"
            for one in mean.corrected
        )
        lines.append(
            f"Task {cell.cell.task}, contrast {mean.label}, {len(cell.cell.labels)} participants: "
            f"peak t = {peak['peak t']} at ({peak['x, y, z (mm)']}) mm, {peak['structure']}"
            f"{f'; {counts}' if counts else ''}."
        )
    return lines
