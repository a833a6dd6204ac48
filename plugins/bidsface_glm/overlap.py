"""Where the thresholded maps of two tasks overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Figure, Summary, Voxels
from bidsface.figures import PALETTE, categories

if TYPE_CHECKING:
    from bidsface_glm.group import GroupCell

NOTHING, FIRST, SECOND, BOTH, OPPOSITE = range(5)


@dataclass(frozen=True, eq=False)
class Overlap:
    """Two tasks' maps of one contrast.

    Attributes
    ----------
    contrast : str
    tasks : pair of str
    codes : ndarray of shape (n_voxels,)
        Over the voxels that both maps have: 0 neither, 1 the first alone, 2 the second alone, 3
        both with the same sign, 4 both with opposite signs.
    voxels : Voxels
    """

    contrast: str
    tasks: tuple[str, str]
    codes: NDArray[np.intp]
    voxels: Voxels

    @property
    def counts(self) -> list[int]:
        """Number of voxels of every code."""
        return [int(count) for count in np.bincount(self.codes, minlength=5)]

    @property
    def dice(self) -> float:
        """Dice coefficient: twice the shared voxels by the sum of both; NaN if there are none."""
        _, first, second, both, opposite = self.counts
        total = first + second + 2 * (both + opposite)
        return 2 * both / total if total else float("nan")


def find_overlaps(cells: Sequence[GroupCell]) -> Iterator[Overlap]:
    """Yield the overlap of every pair of tasks that have the same contrast."""
    for one, other in combinations(cells, 2):
        if one.cell.contrast == other.cell.contrast:
            yield _overlap(one, other)


def _overlap(one: GroupCell, other: GroupCell) -> Overlap:
    shared, here, there = np.intersect1d(
        one.voxels.index, other.voxels.index, assume_unique=True, return_indices=True
    )
    first, second = one.signs[here], other.signs[there]
    codes = np.select(
        [
            (first != 0) & (first == second),
            (first != 0) & (second != 0),
            first != 0,
            second != 0,
        ],
        [BOTH, OPPOSITE, FIRST, SECOND],
        NOTHING,
    )
    tasks = (one.cell.task, other.cell.task)
    return Overlap(one.cell.contrast, tasks, codes, Voxels(one.voxels.grid, shared))


def overlap_figure(
    overlap: Overlap, threshold: str, background: NDArray[np.floating] | None
) -> Figure | None:
    """Return a figure of an overlap; None if neither map has a voxel."""
    first, second = overlap.tasks
    names = {f"{first} only": PALETTE[0], f"{second} only": PALETTE[7], "both": PALETTE[1]}
    if overlap.counts[OPPOSITE]:
        names["both, opposite signs"] = PALETTE[6]
    if not overlap.codes.any():
        return None
    title = f"{first} and {second}: {overlap.contrast}"
    name = f"overlap{first[:1].upper()}{first[1:]}{second[:1].upper()}{second[1:]}"
    return Figure(
        name,
        categories(overlap.codes, overlap.voxels, title, names, background),
        f"Overlap of {first} and {second}, contrast {overlap.contrast}",
        f"Voxels of either task's map ({threshold}), and of both with the same sign: "
        f"{overlap.counts[FIRST]}, {overlap.counts[SECOND]} and {overlap.counts[BOTH]} voxels; "
        f"Dice coefficient {overlap.dice:.2f}.",
        {"contrast": overlap.contrast},
    )


def overlap_summary(overlaps: Sequence[Overlap], threshold: str) -> Summary | None:
    """Return how many voxels tasks share; None without a pair of tasks."""
    if not overlaps:
        return None
    rows = [
        {
            "contrast": overlap.contrast,
            "first": overlap.tasks[0],
            "second": overlap.tasks[1],
            "first only": overlap.counts[FIRST],
            "second only": overlap.counts[SECOND],
            "both": overlap.counts[BOTH],
            "opposite signs": overlap.counts[OPPOSITE],
            "Dice": "n/a" if np.isnan(overlap.dice) else f"{overlap.dice:.2f}",
        }
        for overlap in overlaps
    ]
    return Summary(
        "Overlap of tasks",
        pd.DataFrame(rows),
        f"Numbers of voxels in the maps of two tasks ({threshold}). Dice counts voxels that both "
        "have with the same sign.",
    )
