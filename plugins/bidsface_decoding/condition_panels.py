"""Figures of cross-modal decoding in a group: panels of regions, one per condition."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, style
from bidsface_decoding.figures import BarPanel, draw_bars, stars

ROW = 0.2  # inches, of a region with one line of text
LINE = 0.125
REGION_WIDTH = 20  # letters
TITLE_WIDTH = 96  # letters over the whole width of a figure
DASHES = (0, (4, 3))
BAND = "#f3f5f7"
PALE = "#b8c0c8"


class Titled(Protocol):
    """A panel of any kind."""

    @property
    def title(self) -> str:
        """Stands above the panel."""


AnyPanel = TypeVar("AnyPanel", bound=Titled)
Grid = Sequence[Sequence[AnyPanel | None]]


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval (NaN for none) and the p that decides on its stars."""

    value: float
    interval: tuple[float, float]
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether p is below 5 %."""
        return self.p < 0.05


@dataclass(frozen=True)
class GainRow:
    """A region before and after realignment; ``gain`` is the difference with its own p."""

    name: str
    before: Estimate
    after: Estimate
    points_before: Sequence[float]
    points_after: Sequence[float]
    gain: Estimate


@dataclass(frozen=True)
class GainPanel:
    """Regions of one direction, before and after realignment."""

    title: str
    rows: Sequence[GainRow]
    chance: float


@dataclass(frozen=True)
class ClassPanel:
    """Accuracy per class (values) of regions (keys)."""

    title: str
    rows: Mapping[str, Mapping[str, Estimate]]
    chance: float


@dataclass(frozen=True)
class MotionPanel:
    """Regions with head motion as it is and regressed out, and head motion alone.

    Attributes
    ----------
    title : str
    rows : mapping of region to (kept, regressed)
        None where a region was not decoded that way.
    alone : Estimate or None
    chance : float
    """

    title: str
    rows: Mapping[str, tuple[Estimate, Estimate | None]]
    alone: Estimate | None
    chance: float


def bars_figure(grid: Grid[BarPanel], label: str) -> Figure:
    """Draw mean scores by region, a panel per condition.

    Parameters
    ----------
    grid : sequence of rows of BarPanel or None
    label : str
        Name of the score.
    """
    names = _names((bar.name for bar in panel.bars) for panel in _panels(grid))
    return _panel_grid(grid, names, label, lambda ax, panel: draw_bars(ax, panel, names, False))


def gains_figure(grid: Grid[GainPanel], label: str) -> Figure:
    """Draw scores before and after realignment as pairs of bars, and what was gained."""
    names = _names((row.name for row in panel.rows) for panel in _panels(grid))
    legend = [
        Patch(facecolor=PALE, label="without aligner"),
        Patch(facecolor=PALETTE[0], alpha=0.55, label="realigned"),
        _dash("chance"),
    ]
    return _panel_grid(
        grid, names, label, lambda ax, panel: _draw_gains(ax, panel, names), 1.45, legend
    )


def classes_figure(grid: Grid[ClassPanel], classes: Sequence[str], label: str) -> Figure:
    """Draw the accuracy of every class by region; filled where above chance."""
    names = _names(panel.rows for panel in _panels(grid))
    legend = [_marker(name, _colour(index)) for index, name in enumerate(classes)]
    legend += [_marker("p ≥ 0.05", INK, "white"), _dash("chance")]

    def draw(ax: Axes, panel: ClassPanel) -> None:
        _draw_classes(ax, panel, names, classes)

    return _panel_grid(grid, names, label, draw, max(1.0, 0.35 * len(classes)), legend)


def motion_figure(grid: Grid[MotionPanel], label: str) -> Figure:
    """Draw scores with and without head motion beside those of head motion alone."""
    names = _names(panel.rows for panel in _panels(grid))
    legend = [
        _marker("samples as they are", PALETTE[0]),
        _marker("motion regressed out", PALETTE[2], "white"),
        Patch(facecolor=PALETTE[1], alpha=0.25, label="head motion alone (95 % CI)"),
        _dash("chance"),
    ]
    return _panel_grid(
        grid, names, label, lambda ax, panel: _draw_motion(ax, panel, names), 1.15, legend
    )


def wrap(text: str, width: int) -> str:
    """Break a text into lines, long words too."""
    return "\n".join(textwrap.wrap(text, max(width, 6)))


def _panels(grid: Grid[AnyPanel]) -> list[AnyPanel]:
    return [panel for row in grid for panel in row if panel is not None]


def _names(each: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in each for name in names))


def _panel_grid(
    grid: Grid[AnyPanel],
    names: Sequence[str],
    label: str,
    draw: Callable[[Axes, AnyPanel], None],
    stretch: float = 1.0,
    legend: Sequence[Patch | Line2D] = (),
) -> Figure:
    """Draw panels that share their regions (from top to bottom) and their scale.

    Parameters
    ----------
    stretch : float
        Height of a region in units of a line of text.
    """
    n_columns = max(map(len, grid))
    title_width = TITLE_WIDTH // n_columns - 4
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
        _finish(axes, texts, label)
        if legend:
            figure.legend(handles=legend, loc="outside upper center", ncols=len(legend))
    return figure


def _padded(grid: Grid[AnyPanel], n_columns: int) -> list[AnyPanel | None]:
    return [panel for row in grid for panel in (*row, *([None] * (n_columns - len(row))))]


def _finish(axes: NDArray[np.object_], texts: Sequence[str], label: str) -> None:
    """Set the shared scales; label the lowest panel of a column and the first of a row."""
    first = axes[0, 0]
    first.set_yticks(range(len(texts)), texts)
    first.set_ylim(len(texts) - 0.4, -0.6)
    filled = np.array([[ax.axison for ax in row] for row in axes])
    for column, found in enumerate(filled.T):
        lowest = axes[np.flatnonzero(found)[-1], column]
        lowest.set_xlabel(label)
        lowest.tick_params(labelbottom=True)
    for row, found in zip(axes, filled, strict=True):
        row[np.flatnonzero(found)[0]].tick_params(labelleft=True)


def _draw_gains(ax: Axes, panel: GainPanel, names: Sequence[str]) -> None:
    _draw_bands(ax, len(names))
    _draw_chance(ax, panel.chance)
    for row in panel.rows:
        place = names.index(row.name)
        _draw_bar(ax, row.before, row.points_before, place - 0.2, PALE)
        _draw_bar(ax, row.after, row.points_after, place + 0.2, PALETTE[0])
        if not np.isnan(row.gain.value):
            _draw_gain(ax, row.gain, place)


def _draw_bar(ax: Axes, found: Estimate, points: Sequence[float], y: float, fill: str) -> None:
    if np.isnan(found.value):
        return
    alpha = 1.0 if fill == PALE else 0.55
    ax.barh(y, found.value, height=0.36, color=fill, alpha=alpha, linewidth=0, zorder=1)
    ax.plot(points, np.full(len(points), y), ".", color=INK, alpha=0.35, markersize=2.4, zorder=3)
    ax.plot(found.interval, [y, y], color=INK, linewidth=1.1, zorder=4)


def _draw_gain(ax: Axes, gain: Estimate, place: int) -> None:
    """Write the gain beside the panel, bold where it is significant."""
    text = f"{gain.value:+.2f} {stars(gain.p)}".replace("-", "−").rstrip()
    weight, colour = ("bold", INK) if gain.is_significant else ("normal", FAINT)
    ax.text(
        1.01,
        place,
        text,
        transform=ax.get_yaxis_transform(),
        va="center",
        fontsize=7,
        fontweight=weight,
        color=colour,
    )


def _draw_classes(
    ax: Axes, panel: ClassPanel, names: Sequence[str], classes: Sequence[str]
) -> None:
    _draw_bands(ax, len(names))
    _draw_chance(ax, panel.chance)
    offsets = np.linspace(-0.28, 0.28, len(classes)) if len(classes) > 1 else np.zeros(1)
    for name, found in panel.rows.items():
        for index, one in enumerate(classes):
            if one in found:
                y = names.index(name) + offsets[index]
                _draw_dot(ax, found[one], y, _colour(index), found[one].is_significant)


def _draw_motion(ax: Axes, panel: MotionPanel, names: Sequence[str]) -> None:
    _draw_bands(ax, len(names))
    _draw_chance(ax, panel.chance)
    if panel.alone is not None:
        ax.axvline(panel.alone.value, color=PALETTE[1], linewidth=1.2, zorder=1)
        if not np.isnan(panel.alone.interval).any():
            ax.axvspan(*panel.alone.interval, color=PALETTE[1], alpha=0.16, linewidth=0, zorder=0.5)
    for name, (kept, regressed) in panel.rows.items():
        place = names.index(name)
        _draw_dot(ax, kept, place - 0.17, PALETTE[0], True, stars(kept.p))
        if regressed is not None:
            _draw_dot(ax, regressed, place + 0.17, PALETTE[2], False, stars(regressed.p))


def _draw_dot(
    ax: Axes, found: Estimate, y: float, colour: str, filled: bool, mark: str = ""
) -> None:
    fill = colour if filled else "white"
    ax.plot(found.interval, [y, y], color=colour, linewidth=1, zorder=3)
    ax.plot(found.value, y, "o", color=colour, mfc=fill, ms=3.8, mew=0.9, zorder=4)
    if mark:
        right = np.nanmax([found.value, found.interval[1]])
        ax.annotate(
            mark, (right, y), (2, -4), textcoords="offset points", color=colour, fontsize=6.5
        )


def _draw_bands(ax: Axes, n: int) -> None:
    """Shade every other region, so that the eye keeps its row."""
    for row in range(0, n, 2):
        ax.axhspan(row - 0.5, row + 0.5, color=BAND, linewidth=0, zorder=0)


def _draw_chance(ax: Axes, level: float) -> None:
    if not np.isnan(level):
        ax.axvline(level, color=INK, linewidth=0.9, linestyle=DASHES, zorder=2)


def _colour(index: int) -> str:
    return PALETTE[index % 7]


def _marker(label: str, colour: str, fill: str | None = None) -> Line2D:
    return Line2D(
        [], [], marker="o", linestyle="", ms=4.5, color=colour, mfc=fill or colour, label=label
    )


def _dash(label: str) -> Line2D:
    return Line2D([], [], color=INK, linewidth=0.9, linestyle=DASHES, label=label)
