"""Points of positions, and the outline of the brain that they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy import ndimage

from bidsface.figures import FAINT, PALETTE

Floats = NDArray[np.float64]

MARKERS = "os^Dv<>p"
"""A second round of classes through the colours gets the next marker."""

MANY = 400
"""More points than this are drawn as one picture, so that files stay small."""

PICTURE_DPI = 200
"""Of figures whose points are pictures."""

NONE = -1
"""Code of points that belong to nothing; drawn faint."""


def look(code: int) -> tuple[str, str]:
    """Return the colour and marker of a class, or of a cluster."""
    if code == NONE:
        return FAINT, "."
    return PALETTE[code % len(PALETTE)], MARKERS[(code // len(PALETTE)) % len(MARKERS)]


def key(names: Sequence[str], present: NDArray[np.integer]) -> list[Line2D]:
    """Return a legend's entries for the classes that occur."""
    handles = []
    for code, name in enumerate(names):
        if code in present:
            colour, marker = look(code)
            handles.append(
                Line2D([], [], color=colour, marker=marker, markersize=5, linestyle="", label=name)
            )
    return handles


def draw_points(axes: Any, points: Floats, codes: NDArray[np.integer], size: float = 7.0) -> None:
    """Draw points of two or three dimensions in the colours of their codes.

    Parameters
    ----------
    axes : Axes or Axes3D
    points : ndarray of shape (n_points, 2 or 3)
        Not drawn where NaN.
    codes : ndarray of shape (n_points,), int
    size : float
        Area of a point (points^2).
    """
    # Points in space would fade with their distance, and with them the colours of classes.
    solid = {"depthshade": False} if points.shape[1] == 3 else {}
    markers = {look(int(code))[1] for code in np.unique(codes)}
    for marker in sorted(markers):
        # All colours of a marker in one go: no class lies on top of all others.
        own = np.flatnonzero([look(int(code))[1] == marker for code in codes])
        axes.scatter(
            *points[own].T,
            s=size,
            c=[to_rgba(look(int(code))[0], 0.8) for code in codes[own]],
            marker=marker,
            linewidths=0,
            rasterized=len(codes) > MANY,
            **solid,
        )


def draw_values(
    axes: Any, points: Floats, values: Floats, cmap: str, limits: tuple[float, float]
) -> Any:
    """Draw points coloured by values; returns what a colour bar needs. NaN is faint."""
    known = ~np.isnan(values)
    picture = len(points) > MANY
    axes.scatter(*points[~known].T, s=5, color=FAINT, linewidths=0, rasterized=picture)
    return axes.scatter(
        *points[known].T,
        s=8,
        c=values[known],
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        linewidths=0,
        rasterized=picture,
    )


def bare(axes: Axes, across: str, up: str) -> None:
    """Name the axes of an embedding, whose numbers mean nothing."""
    axes.set(xlabel=across, ylabel=up, xticks=[], yticks=[])
    axes.set_box_aspect(1)


def draw_outline(axes: Axes, places: Floats, spacing: float) -> list[Floats]:
    """Draw the outline of places that fill a plane, and return its lines.

    Parameters
    ----------
    axes : Axes
    places : ndarray of shape (n_places, 2)
        mm.
    spacing : float
        Between neighbours (mm).

    Returns
    -------
    list of ndarray of shape (n_corners, 2)
    """
    low = places.min(axis=0) - 2.5 * spacing
    cells = np.floor((places - low) / spacing).astype(int)
    field = np.zeros(cells.max(axis=0) + 3)
    field[tuple(cells.T)] = 1.0
    # Of a grid that is oblique to the axes some cells stay empty.
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(field > 0, np.ones((3, 3))))
    smooth = ndimage.gaussian_filter(filled.astype(float), 0.7)
    across, up = (low[axis] + spacing * (np.arange(n) + 0.5) for axis, n in enumerate(field.shape))
    drawn = axes.contour(across, up, smooth.T, levels=[0.5], colors=[FAINT], linewidths=0.8)
    return [np.asarray(line) for line in drawn.allsegs[0]]
