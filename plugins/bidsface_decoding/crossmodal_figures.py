"""Figures of one participant's scores within and across tasks, before and after realignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, stars, style

N_COLUMNS = 2
BAND = "#eef1f4"
SPREAD = 0.26
"""Rows; how far up and down the series of a row are moved, so that equal scores show."""


@dataclass(frozen=True)
class Mark:
    """One score.

    Attributes
    ----------
    series : str
        Which of the figure's series it belongs to.
    value : float
    p : float
        Decides on the stars; NaN for none.
    """

    series: str
    value: float
    p: float = float("nan")


@dataclass(frozen=True)
class Row:
    """The scores of one region, or of head motion (``control``)."""

    name: str
    marks: Sequence[Mark]
    chance: float
    control: bool = False


@dataclass(frozen=True)
class Panel:
    """Rows of one direction of decoding, from top to bottom."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Series:
    """How the scores of one condition are drawn.

    Attributes
    ----------
    name : str
        For the legend.
    marker, colour : str
    filled : bool
    joined : bool
        Whether a line joins it to the others that are joined: before and after realignment.
    """

    name: str
    marker: str
    colour: str
    filled: bool = True
    joined: bool = False


def series_of(within: str, across: str, aligners: Sequence[str]) -> list[Series]:
    """Return the series of a figure: within the tested task, across tasks, by each aligner."""
    colours = [PALETTE[index % len(PALETTE)] for index in (0, *range(2, 1 + len(aligners)))]
    return [
        Series(within, "s", FAINT),
        Series(across, "o", INK, filled=False, joined=True),
        *(
            Series(f"realigned ({name})", "o", colour, joined=True)
            for name, colour in zip(aligners, colours, strict=True)
        ),
    ]


def condition_figure(panels: Sequence[Panel], series: Sequence[Series], label: str) -> Figure:
    """Draw scores by region, one panel per direction, conditions side by side in every row.

    Parameters
    ----------
    panels : sequence of Panel
    series : sequence of Series
        Those without a mark are left out.
    label : str
        Name of the score.
    """
    names = list(dict.fromkeys(row.name for panel in panels for row in panel.rows))
    used = {mark.series for panel in panels for row in panel.rows for mark in row.marks}
    drawn = [one for one in series if one.name in used]
    n_columns = min(N_COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    with style():
        height = 0.7 + n_rows * (0.7 + (0.16 + 0.07 * len(drawn)) * len(names))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, sharey=True, sharex=True, squeeze=False)
        for ax, panel in zip(axes.flat, panels, strict=False):
            _draw_panel(ax, panel, names, drawn)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for ax in axes[-1]:
            ax.set_xlabel(label)
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        low, high = axes[0, 0].get_xlim()
        axes[0, 0].set_xlim(max(0.0, low - 0.02), min(1.06, high + 0.04))
        figure.legend(
            handles=[*map(_handle, drawn), _chance_handle()],
            loc="outside lower center",
            ncols=min(4, len(drawn) + 1),
            frameon=False,
        )
    return figure


def _draw_panel(ax: Axes, panel: Panel, names: Sequence[str], series: Sequence[Series]) -> None:
    for place in range(0, len(names), 2):
        ax.axhspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)
    for row in panel.rows:
        _draw_row(ax, row, names.index(row.name), series)
    ax.set_title(panel.title)
    ax.tick_params(axis="y", length=0)


def _draw_row(ax: Axes, row: Row, place: int, series: Sequence[Series]) -> None:
    if not np.isnan(row.chance):
        ends = [place - 0.5, place + 0.5]
        ax.plot([row.chance] * 2, ends, color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    values = {mark.series: mark for mark in row.marks}
    drawn = [one for one in series if one.name in values]
    heights = place + SPREAD * np.linspace(-1, 1, len(series))
    levels = {one.name: height for one, height in zip(series, heights, strict=True)}
    joined = [(values[one.name].value, levels[one.name]) for one in drawn if one.joined]
    for after in joined[1:]:
        ax.plot(*zip(joined[0], after, strict=True), color=FAINT, linewidth=0.9, zorder=2)
    for one in drawn:
        mark, level = values[one.name], levels[one.name]
        ax.plot(
            mark.value,
            level,
            "D" if row.control else one.marker,
            color=one.colour,
            markerfacecolor=one.colour if one.filled else "white",
            markersize=4 if row.control else 4.6,
            zorder=3 + one.filled,
        )
        if stars(mark.p):
            at = (mark.value, level)
            ax.annotate(
                stars(mark.p),
                at,
                (4, -3.5),
                textcoords="offset points",
                color=one.colour,
                fontsize=7,
            )


def _handle(series: Series) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=series.marker,
        color=series.colour,
        markerfacecolor=series.colour if series.filled else "white",
        markersize=5.5,
        label=series.name,
    )


def _chance_handle() -> Line2D:
    return Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (3, 2)), label="chance")
