"""What stands in the panels of conditions: estimates by region, and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bidsface.figures import FAINT, INK, PALETTE, stars
from bidsface_decoding.labels import two_digits

DASHES = (0, (4, 3))
BAND = "#f3f5f7"
PALE = "#b8c0c8"


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


def draw_gains(ax: Axes, panel: GainPanel, names: Sequence[str]) -> None:
    """Draw pairs of bars, the gain written beside each."""
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
    text = f"{two_digits(gain.value, signed=True)} {stars(gain.p)}".rstrip()
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


def draw_classes(ax: Axes, panel: ClassPanel, names: Sequence[str], classes: Sequence[str]) -> None:
    """Draw a dot per class, filled where above chance."""
    _draw_bands(ax, len(names))
    _draw_chance(ax, panel.chance)
    offsets = np.linspace(-0.28, 0.28, len(classes)) if len(classes) > 1 else np.zeros(1)
    for name, found in panel.rows.items():
        for index, one in enumerate(classes):
            if one in found:
                y = names.index(name) + offsets[index]
                _draw_dot(ax, found[one], y, class_colour(index), found[one].is_significant)


def draw_motion(ax: Axes, panel: MotionPanel, names: Sequence[str]) -> None:
    """Draw scores with and without head motion on the band of head motion alone."""
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


def class_colour(index: int) -> str:
    """Return the colour of a class."""
    return (*PALETTE[:7], INK)[index % 8]
