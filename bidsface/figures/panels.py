"""Slices side by side: where the panels of a figure lie, and what is drawn in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bidsface.figures.scene import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    Colouring,
    Layout,
    Panel,
    Scene,
    layout_of,
    rows_of_panels,
)

WIDTH = 7.5  # inches, of a figure that fills the report's text column
CHARACTER = 0.095  # inches, of a title's average letter
MAX_SLICES = 7
NAMES = {AXIAL: "z", CORONAL: "y", SAGITTAL: "x"}
SIDES = {AXIAL: ("L", "R"), CORONAL: ("L", "R"), SAGITTAL: ("P", "A")}


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure with its panels; ``right``, ``bottom`` and ``tall`` (inches) place its key."""

    figure: Figure
    right: float
    bottom: float
    tall: float

    def beside(self) -> Axes:
        """Return axes for a colour bar, right of the first row."""
        return self.figure.add_axes(
            _box(self.figure, self.right + 0.1, self.bottom, 0.11, self.tall)
        )


def draw_panels(scene: Scene, colouring: Colouring, title: str, below: float = 0.0) -> Drawn:
    """Draw slices under a title whose lines are broken already.

    Parameters
    ----------
    below : float
        Room to leave under the slices (inches).
    """
    rows = rows_of_panels(scene, MAX_SLICES)
    lines = title.split("\n")
    layout = layout_of(rows, WIDTH, 0.28 + 0.16 * len(lines))
    heights = [layout.height(row) for row in rows]
    spaces = len(rows) * layout.foot + (len(rows) - 1) * layout.sides
    total = layout.head + max(sum(heights) + spaces, 1.1) + below
    right = layout.left + max(sum(map(layout.pitch, row)) for row in rows)
    longest = 0.2 + CHARACTER * max(map(len, lines))
    figure = Figure(figsize=(min(WIDTH, max(right + 0.95, longest)), total))
    figure.text(*_point(figure, layout.left, total - 0.1), title, va="top", weight="bold", size=10)
    top = total - layout.head
    for row, height in zip(rows, heights, strict=True):
        _draw_row(figure, scene, colouring, layout, row, top - height)
        top -= height + layout.foot + layout.sides
    tall = max(heights[0], 0.9)
    return Drawn(figure, right, total - layout.head - tall, tall)


def _draw_row(
    figure: Figure,
    scene: Scene,
    colouring: Colouring,
    layout: Layout,
    row: Sequence[Panel],
    bottom: float,
) -> None:
    left = layout.left
    for panel in row:
        width, height = (extent * layout.inches_per_mm for extent in (panel.width, panel.height))
        indent = (layout.pitch(panel) - layout.gap - width) / 2
        axes = figure.add_axes(_box(figure, left + indent, bottom, width, height))
        _draw_panel(axes, scene, colouring, panel)
        left += layout.pitch(panel)


def _point(figure: Figure, left: float, bottom: float) -> tuple[float, float]:
    """Turn inches into fractions of the figure."""
    return _box(figure, left, bottom, 0, 0)[:2]


def _box(
    figure: Figure, left: float, bottom: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """Turn inches into fractions of the figure."""
    across, up = figure.get_size_inches()
    return left / across, bottom / up, width / across, height / up


def _draw_panel(axes: Axes, scene: Scene, colouring: Colouring, panel: Panel) -> None:
    picture = scene.picture(panel.axis, panel.position, colouring)
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()
    millimetres = scene.millimetres(panel.axis, panel.position)
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "size": 7}
    text = f"{NAMES[panel.axis]} = {millimetres:.0f} mm"
    axes.annotate(text, (0.5, 0), (0, -3), ha="center", va="top", **place)
    if panel.first:
        near, far = SIDES[panel.axis]
        axes.annotate(near, (0, 1), (0, 2), ha="left", va="bottom", **place)
        axes.annotate(far, (1, 1), (0, 2), ha="right", va="bottom", **place)
