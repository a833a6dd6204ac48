"""Figures of the report: style, carpet plots and maps on slices."""

from bidsface.figures.categories import categories
from bidsface.figures.drawing import (
    FAINT,
    INK,
    PALETTE,
    carpet,
    render_svg,
    slices,
    stars,
    style,
)
from bidsface.figures.panels import WIDTH

__all__ = [
    "FAINT",
    "INK",
    "PALETTE",
    "WIDTH",
    "carpet",
    "categories",
    "render_svg",
    "slices",
    "stars",
    "style",
]
