"""Valence and arousal of positions, over their embedding and in a plane of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from bidsface.figures import FAINT, INK, WIDTH, style
from bidsface_emotion_cnn.embedding import EmbeddedPositions
from bidsface_emotion_cnn.position_drawing import (
    PICTURE_DPI,
    bare,
    draw_points,
    draw_values,
    look,
)

Floats = NDArray[np.float64]


def feelings_figure(
    found: EmbeddedPositions, classes: Sequence[str], coordinates: Floats
) -> Figure:
    """Lay valence and arousal over the functional embedding, and draw their plane.

    Parameters
    ----------
    found : EmbeddedPositions
    classes : sequence of str
    coordinates : ndarray of shape (n_classes, 2)
        Valence and arousal of the classes; NaN where they have none.
    """
    with style():
        figure = Figure(figsize=(WIDTH, 3.1), layout="compressed", dpi=PICTURE_DPI)
        drawn = figure.subplots(1, 3)
        scales = (("valence", "RdBu_r", (-1.0, 1.0)), ("arousal", "viridis", None))
        for axes, values, (name, cmap, limits) in zip(
            drawn, found.feelings.T, scales, strict=False
        ):
            shown = draw_values(axes, found.functional, values, cmap, limits or _limits(values))
            bar: Any = figure.colorbar(shown, ax=axes, location="bottom", shrink=0.8, aspect=25)
            bar.solids.set_rasterized(True)
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=7)
            axes.set_title(f"functional UMAP, {name}", fontsize=9)
            bare(axes, "UMAP 1", "UMAP 2")
        _draw_plane(drawn[2], found, classes, coordinates)
    return figure


def _limits(values: Floats) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return -1.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_plane(
    axes: Axes, found: EmbeddedPositions, classes: Sequence[str], coordinates: Floats
) -> None:
    """Draw positions at their valence and arousal, among the classes."""
    axes.axhline(0, color=FAINT, linewidth=0.6)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    draw_points(axes, found.feelings, found.affected)
    for code, (valence, arousal) in enumerate(coordinates):
        colour, marker = look(code)
        axes.plot(valence, arousal, marker, color=colour, markersize=7, mec=INK, mew=0.8)
    for side in (-1, 1):
        _name_classes(axes, classes, coordinates, side)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel="valence", ylabel="arousal")
    axes.set_title("valence and arousal", fontsize=9)
    axes.set_box_aspect(1)


def _name_classes(axes: Axes, classes: Sequence[str], coordinates: Floats, side: int) -> None:
    """Write the names of classes with negative (-1) or other valence (1) beside their points."""
    above = np.inf
    for code in np.argsort(-coordinates[:, 1], kind="stable"):
        valence, arousal = coordinates[code]
        if np.isnan(valence) or (valence < 0) != (side < 0):
            continue
        # Towards the middle, so that no name leaves the panel, and below the one before.
        above = min(arousal + 0.06, above - 0.15)
        axes.text(
            valence - 0.1 * side,
            above,
            classes[code],
            ha="left" if side < 0 else "right",
            va="center",
            fontsize=6.5,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
