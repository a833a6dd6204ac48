"""Figures of decoding results: accuracy by region, confusion matrices, patterns on slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, stars, style

SAME_CHANCE = 1e-9
MAX_MATRICES = 12
MATRIX_COLUMNS = 4


@dataclass(frozen=True)
class Bar:
    """One row of an accuracy plot.

    Attributes
    ----------
    name : str
    value : float
    points : sequence of float
        Single scores: of folds, or of participants.
    interval : (low, high)
        Of the null distribution, or of the mean; NaN for none.
    p : float
        Decides on the stars; NaN for none.
    chance : float
        NaN where it is not known.
    control : bool
        Whether this is the head-motion control.
    """

    name: str
    value: float
    points: Sequence[float]
    interval: tuple[float, float]
    p: float
    chance: float
    control: bool = False


@dataclass(frozen=True)
class BarPanel:
    """Rows of one panel, from top to bottom."""

    title: str
    bars: Sequence[Bar]


def accuracy_figure(panels: Sequence[BarPanel], label: str, null_bands: bool) -> Figure:
    """Draw scores by region, one panel per kind of samples.

    Parameters
    ----------
    panels : sequence of BarPanel
    label : str
        Name of the score.
    null_bands : bool
        Whether intervals belong to the null distribution (drawn as grey bands) or to the mean
        (drawn as whiskers).
    """
    names = list(dict.fromkeys(bar.name for panel in panels for bar in panel.bars))
    with style():
        figure = Figure(figsize=(WIDTH, 1.1 + 0.27 * len(names)), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, sharex=True, squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            draw_bars(ax, panel, names, null_bands)
            ax.set_xlabel(label)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(len(names) - 0.4, -0.6)
        low = min(0.0, *(axes[0].get_xlim()))
        axes[0].set_xlim(low, min(1.1, axes[0].get_xlim()[1] + 0.06))
    return figure


def draw_bars(ax: Axes, panel: BarPanel, names: Sequence[str], null_bands: bool) -> None:
    """Draw the rows of a panel into axes; ``names`` are the rows from top to bottom."""
    _draw_chance(ax, panel, names)
    for bar in panel.bars:
        row = names.index(bar.name)
        colour = PALETTE[1] if bar.control else PALETTE[0]
        low, high = bar.interval
        if null_bands:
            ax.barh(row, high - low, left=low, height=0.62, color="#d0d7de", zorder=0)
        else:
            ax.barh(row, bar.value, height=0.62, color=colour, alpha=0.3, zorder=0)
            ax.plot([low, high], [row, row], color=colour, linewidth=1.8, zorder=3)
        ax.plot(
            bar.points, np.full(len(bar.points), row), ".", color=FAINT, markersize=3.5, zorder=2
        )
        marker, fill = ("D", "white") if bar.control else ("o", colour)
        ax.plot(
            bar.value, row, marker, color=colour, markerfacecolor=fill, markersize=5.5, zorder=4
        )
        right = np.nanmax([bar.value, high, *bar.points])
        ax.annotate(
            stars(bar.p), (right, row), (4, -3.5), textcoords="offset points", color=INK, fontsize=9
        )
    ax.set_title(panel.title)
    ax.tick_params(axis="y", length=0)


def _draw_chance(ax: Axes, panel: BarPanel, names: Sequence[str]) -> None:
    """Draw one line where all rows share their chance level, else a piece in every row."""
    levels = [bar.chance for bar in panel.bars]
    if np.ptp(levels) < SAME_CHANCE:
        ax.axvline(levels[0], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        return
    for bar, level in zip(panel.bars, levels, strict=True):
        row = names.index(bar.name)
        piece = [row - 0.45, row + 0.45]
        ax.plot([level, level], piece, color=INK, linewidth=0.9, linestyle=(0, (2, 1.5)), zorder=1)


def confusion_figure(matrices: Mapping[str, NDArray[np.float64]], classes: Sequence[str]) -> Figure:
    """Draw row-normalized confusion matrices, one panel per region (the first dozen).

    Parameters
    ----------
    matrices : mapping of str to ndarray of shape (n_classes, n_classes)
    classes : sequence of str
    """
    shown = list(matrices.items())[:MAX_MATRICES]
    n_columns = min(MATRIX_COLUMNS, len(shown))
    n_rows = -(-len(shown) // n_columns)
    with style():
        width = WIDTH if len(shown) > 1 else 0.55 * WIDTH
        titles = 0.35 + 0.13 * max(name.count("\n") for name, _ in shown)
        size = (width, 0.75 + n_rows * (titles + 0.85 * width / max(n_columns, 2)))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False)
        for number, ax in enumerate(axes.flat):
            ax.set_axis_off() if number >= len(shown) else _draw_matrix(
                ax,
                *shown[number],
                classes,
                number % n_columns == 0,
                number + n_columns >= len(shown),
            )
        figure.supxlabel("predicted", fontsize=9)
        figure.supylabel("true", fontsize=9)
    return figure


def _draw_matrix(
    ax: Axes,
    name: str,
    matrix: NDArray[np.float64],
    classes: Sequence[str],
    leftmost: bool,
    lowest: bool,
) -> None:
    ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    ax.set_title(name, fontsize=7.5)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ticks = range(len(classes))
    ax.set_xticks(ticks, classes if lowest else [""] * len(classes), rotation=90)
    ax.set_yticks(ticks, classes if leftmost else [""] * len(classes))
    size = 8 if len(classes) < 5 else 5
    for (row, column), share in np.ndenumerate(matrix):
        if not np.isnan(share):
            colour = "white" if share > 0.6 else INK
            text = f"{100 * share:.0f}"
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
