"""Figures of regions by conditions: confusion matrices, scores against framewise displacement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.figures import INK, PALETTE, WIDTH, style
from bidsface_decoding.condition_drawing import DASHES
from bidsface_decoding.labels import fit, wrap

Floats = NDArray[np.float64]

LETTER = 0.062  # inches, of a class's name
MATRIX = 1.15  # inches, of the largest matrix
GAP = 0.05
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

    moved: Floats
    scores: Floats
    text: str


def confusion_grid(
    matrices: Mapping[tuple[str, str], Floats],
    regions: Sequence[str],
    conditions: Sequence[str],
    classes: Sequence[str],
    largest: float = 1.0,
) -> Figure:
    """Draw row-normalized confusion matrices, regions by conditions.

    Parameters
    ----------
    matrices : mapping of (region, condition) to ndarray of shape (n_classes, n_classes)
        A cell without one stays empty.
    regions, conditions, classes : sequence of str
    largest : float
        Share that gets the darkest colour.
    """
    named = 0.08 + LETTER * max(map(len, classes))
    left = 0.55 + named
    side = min(MATRIX, (WIDTH - left - 0.1 + GAP) / len(conditions) - GAP)
    titles = [fit(condition, side, 4, 7.5) for condition in conditions]
    head = 0.15 + 0.125 * (1 + max(title.count("\n") for title, _ in titles))
    with style():
        figure, axes = _inches_grid(
            len(regions),
            len(conditions),
            (side, side),
            (0.05, 0.05),
            (left, 0.1, named + 0.3, head),
        )
        for (row, column), ax in np.ndenumerate(axes):
            found = matrices.get((regions[row], conditions[column]))
            _draw_matrix(ax, found, classes, side / len(classes), largest)
            _name_classes(ax, classes, column == 0, row == len(regions) - 1)
            if column == 0:
                _name_row(ax, *fit(regions[row], side, 3, 7), (named + 0.06) / side)
            if row == 0:
                ax.set_title(titles[column][0], fontsize=titles[column][1], loc="center")
        _name_axes(figure, "predicted class", "true class")
    return figure


def _inches_grid(
    n_rows: int,
    n_columns: int,
    size: tuple[float, float],
    gap: tuple[float, float],
    margins: tuple[float, float, float, float],
    **shared: Any,
) -> tuple[Figure, NDArray[np.object_]]:
    """Return a figure of equal axes; all in inches, margins left, right, bottom, top.

    Many small axes take the layout engine seconds, and their places are known.
    """
    left, right, bottom, top = margins
    width = left + right + n_columns * size[0] + (n_columns - 1) * gap[0]
    height = bottom + top + n_rows * size[1] + (n_rows - 1) * gap[1]
    figure = Figure(figsize=(width, height))
    places = {
        "left": left / width,
        "right": 1 - right / width,
        "bottom": bottom / height,
        "top": 1 - top / height,
        "wspace": gap[0] / size[0],
        "hspace": gap[1] / size[1],
    }
    axes = figure.subplots(n_rows, n_columns, squeeze=False, gridspec_kw=places, **shared)
    return figure, axes


def _name_row(ax: Axes, name: str, size: float, distance: float) -> None:
    """Write a name left of a row of axes."""
    ax.text(
        -distance,
        0.5,
        name,
        transform=ax.transAxes,
        rotation=90,
        ha="right",
        va="center",
        multialignment="center",
        fontsize=size,
        weight="bold",
    )


def _name_axes(figure: Figure, x: str, y: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.5, 0.05 / height, x, ha="center", va="bottom", fontsize=8.5)
    figure.text(0.04 / width, 0.5, y, ha="left", va="center", rotation=90, fontsize=8.5)


def _draw_matrix(
    ax: Axes, matrix: Floats | None, classes: Sequence[str], cell: float, largest: float
) -> None:
    n = len(classes)
    ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
    ax.spines[:].set_visible(False)
    if matrix is None:
        ax.text((n - 1) / 2, (n - 1) / 2, "–", ha="center", va="center", color=INK)
        return
    ax.imshow(matrix, cmap="Blues", vmin=0, vmax=largest)
    if cell < LEGIBLE:
        return
    size = min(7.5, 30 * cell)
    for (row, column), share in np.ndenumerate(matrix):
        if not np.isnan(share):
            colour = "white" if share > 0.65 * largest else INK
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
    columns, rows = len(regions), len(conditions)
    titles = [wrap(region, 92 // columns - 3) for region in regions]
    head = 0.3 + 0.14 * (1 + max(title.count("\n") for title in titles))
    width = (WIDTH - 1.15 - 0.12 * (columns - 1)) / columns
    with style():
        figure, axes = _inches_grid(
            rows,
            columns,
            (width, 0.92),
            (0.12, 0.4),
            (1.05, 0.1, 0.5, head),
            sharex="row",
            sharey="row",
        )
        for (row, column), ax in np.ndenumerate(axes):
            found = clouds.get((conditions[row], regions[column]))
            _draw_cloud(ax, found, chances[conditions[row]], column == columns - 1)
            if column == 0:
                _name_row(ax, *fit(conditions[row], 1.2, 3, 7), 0.4 / width)
            if row == 0:
                ax.set_title(titles[column], fontsize=8.5, pad=14)
        _name_axes(figure, "mean framewise displacement of the tested task (mm)", label)
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
    ax.text(1, 1.03, cloud.text, transform=ax.transAxes, ha="right", va="bottom", fontsize=6.5)
