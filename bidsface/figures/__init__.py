"""Figures of the report: style, carpet plots and maps on slices."""

from bidsface.figures.drawing import (
    FAINT,
    INK,
    PALETTE,
    WIDTH,
    carpet,
    render_svg,
    slices,
    style,
)

__all__ = ["FAINT", "INK", "PALETTE", "WIDTH", "carpet", "render_svg", "slices", "style"]
