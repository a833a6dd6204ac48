"""Figures of regions by conditions: confusion matrices, scores against framewise displacement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from bidsface.figures import INK, PALETTE, WIDTH, style
from bidsface_decoding.condition_panels import DASHES, wrap

MATRIX = 1.15  # inches, of the largest matrix
LEGIBLE = 0.17  # inches, of the smallest cell with a number in it


@dataclass(frozen=True, eq=False)
class Cloud:
    """Scores of participants against their mean framewise displacement (mm).

    Attributes
    ----------
    moved, scores : ndarray of shape (n_participants,)
        NaN are left out.
    text : str
        What the correlation is.
    """

    moved: NDArray[np.float64]
    scores: NDArray[np.float64]
    text: str


def confusion_grid(
    matrices: Mapping[tuple[str, str], NDArray[np.float64]],
    regions: Sequence[str],
    conditions: Sequence[str],
    classes: Sequence[str],
) -> Figure:
    """Draw row-normalized confusion matrices, regions by conditions.

    Parameters
    ----------
    matrices : mapping of (region, condition) to ndarray of shape (n_classes, n_classes)
        A cell without one stays empty.
    regions, conditions, classes : sequence of str
    """
    side = min(MATRIX, (WIDTH - 1.4) / len(conditions))
    size = (min(WIDTH, 1.9 + side * len(conditions)), 1.35 + (side + 0.04) * len(regions))
    width = round(side / 0.075)
    with style():
        close = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)
        figure = Figure(figsize=size, layout=close)
        axes = figure.subplots(len(regions), len(conditions), squeeze=False)
        for (row, column), ax in np.ndenumerate(axes):
            found = matrices.get((regions[row], conditions[column]))
            _draw_matrix(ax, found, classes, side / len(classes))
            _name_classes(ax, classes, column == 0, row == len(regions) - 1)
            if column == 0:
                ax.set_ylabel(wrap(regions[row], round(side / 0.08)), fontsize=7.5, weight="bold")
            if row == 0:
                title = wrap(conditions[column], width)
                ax.set_title(title, fontsize=7.5, loc="center")
        figure.supxlabel("predicted class", fontsize=8)
        figure.supylabel("true class", fontsize=8)
    return figure


def _draw_matrix(
    ax: Axes, matrix: NDArray[np.float64] | None, classes: Sequence[str], cell: float
) -> None:
    n = len(classes)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    ax.spines[:].set_visible(False)
    if matrix is None:
        ax.text((n - 1) / 2, (n - 1) / 2, "–", ha="center", va="center", color=INK)
        return
    ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    if cell < LEGIBLE:
        return
    size = min(7.5, 30 * cell)
    for (row, column), share in np.ndenumerate(matrix):
        if not np.isnan(share):
            colour = "white" if share > 0.6 else INK
            text = f"{100 * share:.0f}"
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _name_classes(ax: Axes, classes: Sequence[str], leftmost: bool, lowest: bool) -> None:
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes if lowest else [""] * len(classes), rotation=90)
    ax.set_yticks(ticks, classes if leftmost else [""] * len(classes))
    ax.tick_params(length=0, labelsize=6.5, pad=1)


def cloud_grid(
    clouds: Mapping[tuple[str, str], Cloud],
    conditions: Sequence[str],
    regions: Sequence[str],
    label: str,
    chances: Mapping[str, float],
) -> Figure:
    """Draw scores against framewise displacement, conditions by regions.

    Parameters
    ----------
    clouds : mapping of (condition, region) to Cloud
    conditions, regions : sequence of str
    label : str
        Name of the score.
    chances : mapping of condition to float
    """
    size = (WIDTH, 0.7 + 1.32 * len(conditions))
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(
            len(conditions), len(regions), squeeze=False, sharex="row", sharey="row"
        )
        for (row, column), ax in np.ndenumerate(axes):
            found = clouds.get((conditions[row], regions[column]))
            _draw_cloud(ax, found, chances[conditions[row]], column == len(regions) - 1)
            if column == 0:
                ax.set_ylabel(wrap(conditions[row], 17), fontsize=7.5, weight="bold")
            if row == 0:
                ax.set_title(wrap(regions[column], 22), fontsize=8.5, pad=14)
        figure.supxlabel("mean framewise displacement of the tested task (mm)", fontsize=8.5)
        figure.supylabel(label, fontsize=8.5)
    return figure


def _draw_cloud(ax: Axes, cloud: Cloud | None, chance: float, control: bool) -> None:
    ax.tick_params(labelsize=7)
    if not np.isnan(chance):
        ax.axhline(chance, color=INK, linewidth=0.8, linestyle=DASHES, zorder=1)
    if cloud is None:
        return
    colour = PALETTE[1] if control else PALETTE[0]
    known = ~np.isnan(cloud.moved) & ~np.isnan(cloud.scores)
    x, y = cloud.moved[known], cloud.scores[known]
    ax.plot(x, y, "o", color=colour, markersize=3.6, alpha=0.75, markeredgewidth=0, zorder=3)
    if len(x) > 2 and np.ptp(x) > 0:
        slope, level = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, level + slope * ends, color=colour, linewidth=1.1, zorder=2)
    ax.set_title(cloud.text, fontsize=6.5, loc="right", weight="normal", pad=2)
