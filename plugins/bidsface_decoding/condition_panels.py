"""Figures of cross-modal decoding in a group: panels of regions, one per condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bidsface.figures import INK, PALETTE, WIDTH, style
from bidsface_decoding.condition_drawing import (
    DASHES,
    PALE,
    ClassPanel,
    GainPanel,
    MotionPanel,
    class_colour,
    draw_classes,
    draw_gains,
    draw_motion,
)
from bidsface_decoding.figures import BarPanel, draw_bars
from bidsface_decoding.labels import wrap

ROW = 0.2  # inches, of a region with one line of text
LINE = 0.125
REGION_WIDTH = 22  # letters
TITLES = 6.2  # inches, of the titles of a row
TITLE_LETTER = 0.085  # inches


class Titled(Protocol):
    """A panel of any kind."""

    @property
    def title(self) -> str:
        """Stands above the panel."""


AnyPanel = TypeVar("AnyPanel", bound=Titled)
Grid = Sequence[Sequence[AnyPanel]]


def bars_figure(grid: Grid[BarPanel], label: str) -> Figure:
    """Draw mean scores by region, a panel per condition.

    Parameters
    ----------
    grid : sequence of rows of BarPanel
    label : str
        Name of the score.
    """
    names = _names((bar.name for bar in panel.bars) for panel in _panels(grid))
    return _panel_grid(
        grid,
        names,
        label,
        lambda ax, panel: draw_bars(ax, panel, names, False),
        stars_beside=True,
    )


def gains_figure(grid: Grid[GainPanel], label: str) -> Figure:
    """Draw scores before and after realignment as pairs of bars, and what was gained."""
    names = _names((row.name for row in panel.rows) for panel in _panels(grid))
    legend: list[Artist] = [
        Patch(facecolor=PALE, label="without aligner"),
        Patch(facecolor=PALETTE[0], alpha=0.55, label="realigned"),
        _dash("chance"),
    ]
    return _panel_grid(
        grid, names, label, lambda ax, panel: draw_gains(ax, panel, names), 1.45, legend
    )


def classes_figure(grid: Grid[ClassPanel], classes: Sequence[str], label: str) -> Figure:
    """Draw the accuracy of every class by region; filled where above chance."""
    names = _names(panel.rows for panel in _panels(grid))
    legend: list[Artist] = [
        _marker(name, class_colour(index)) for index, name in enumerate(classes)
    ]
    legend += [_marker("p ≥ 0.05", INK, "white"), _dash("chance")]

    def draw(ax: Axes, panel: ClassPanel) -> None:
        draw_classes(ax, panel, names, classes)

    return _panel_grid(grid, names, label, draw, max(1.0, 0.35 * len(classes)), legend)


def motion_figure(grid: Grid[MotionPanel], label: str) -> Figure:
    """Draw scores with and without head motion beside those of head motion alone."""
    names = _names(panel.rows for panel in _panels(grid))
    legend: list[Artist] = [_marker("samples as they are", PALETTE[0])]
    if any(after for panel in _panels(grid) for _, after in panel.rows.values()):
        legend.append(_marker("motion regressed out", PALETTE[2], "white"))
    alone = [panel.alone for panel in _panels(grid) if panel.alone is not None]
    if any(not np.isnan(one.interval).any() for one in alone):
        band = Patch(facecolor=PALETTE[1], alpha=0.25, label="head motion alone (95 % CI)")
        legend.append(band)
    elif alone:
        legend.append(Line2D([], [], color=PALETTE[1], lw=1.2, label="head motion alone"))
    legend.append(_dash("chance"))

    def draw(ax: Axes, panel: MotionPanel) -> None:
        draw_motion(ax, panel, names)

    return _panel_grid(grid, names, label, draw, 1.15, legend, stars_beside=True)


def _panels(grid: Grid[AnyPanel]) -> list[AnyPanel]:
    return [panel for row in grid for panel in row]


def _names(each: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in each for name in names))


def _panel_grid(
    grid: Grid[AnyPanel],
    names: Sequence[str],
    label: str,
    draw: Callable[[Axes, AnyPanel], None],
    stretch: float = 1.0,
    legend: Sequence[Artist] = (),
    stars_beside: bool = False,
) -> Figure:
    """Draw panels that share their regions (from top to bottom) and their scale.

    Parameters
    ----------
    stretch : float
        Height of a region in units of a line of text.
    legend : sequence of Artist
    stars_beside : bool
        Leave room for stars beside the longest bar.
    """
    n_columns = max(map(len, grid))
    title_width = int((TITLES / n_columns - 0.1) / TITLE_LETTER)
    texts = [wrap(name, REGION_WIDTH) for name in names]
    tallest = max((text.count("\n") for text in texts), default=0)
    height = max(len(names), 2) * max(stretch * ROW, ROW + LINE * tallest)
    lines = 1 + max(wrap(panel.title, title_width).count("\n") for panel in _panels(grid))
    size = (WIDTH, 0.7 + len(grid) * (height + 0.1 + 0.16 * lines))
    with style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(grid), n_columns, sharex=True, sharey=True, squeeze=False)
        for ax, panel in zip(axes.flat, _padded(grid, n_columns), strict=True):
            if panel is None:
                ax.set_axis_off()
                continue
            draw(ax, panel)
            ax.set_title(wrap(panel.title, title_width), fontsize=8.5)
            ax.tick_params(axis="y", length=0, labelsize=7.5)
        _finish(axes, texts, label, stars_beside)
        if legend:
            figure.legend(handles=legend, loc="outside upper center", ncols=_legend_columns(legend))
    return figure


def _legend_columns(legend: Sequence[Artist]) -> int:
    """Return how many entries fit side by side."""
    lengths = [len(str(entry.get_label())) for entry in legend]
    if sum(0.55 + 0.067 * length for length in lengths) < WIDTH:
        return len(legend)
    return min(len(legend), int((WIDTH - 0.2) / (0.5 + 0.075 * max(lengths))))


def _padded(grid: Grid[AnyPanel], n_columns: int) -> list[AnyPanel | None]:
    return [panel for row in grid for panel in (*row, *([None] * (n_columns - len(row))))]


def _finish(
    axes: NDArray[np.object_], texts: Sequence[str], label: str, stars_beside: bool
) -> None:
    """Set the shared scales; label the lowest panel of a column and the first of a row."""
    first = axes[0, 0]
    first.set_yticks(range(len(texts)), texts)
    first.set_ylim(len(texts) - 0.4, -0.6)
    low, high = np.clip(first.get_xlim(), 0, 1.02)  # wide intervals of a few participants
    beside = 0.3 * (high - low) / (WIDTH / axes.shape[1] - 0.6) if stars_beside else 0.0
    first.set_xlim(low, high + beside)
    filled = np.array([[ax.axison for ax in row] for row in axes])
    for column, found in enumerate(filled.T):
        lowest = axes[np.flatnonzero(found)[-1], column]
        lowest.set_xlabel(label)
        lowest.tick_params(labelbottom=True)
    for row, found in zip(axes, filled, strict=True):
        row[np.flatnonzero(found)[0]].tick_params(labelleft=True)


def _marker(label: str, colour: str, fill: str | None = None) -> Line2D:
    return Line2D(
        [], [], marker="o", linestyle="", ms=4.5, color=colour, mfc=fill or colour, label=label
    )


def _dash(label: str) -> Line2D:
    return Line2D([], [], color=INK, linewidth=0.9, linestyle=DASHES, label=label)
