"""Figures of what occlusion found: maps, places, embeddings, stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.analysis import Voxels
from bidsface.figures import FAINT, INK, PALETTE, WIDTH, slices, style
from bidsface_emotion_cnn.clusters import Clustering, Stability
from bidsface_emotion_cnn.embedding import EmbeddedPositions
from bidsface_emotion_cnn.position_drawing import (
    PICTURE_DPI,
    bare,
    draw_outline,
    draw_points,
    key,
)
from bidsface_emotion_cnn.positions import BoxGrid

Floats = NDArray[np.float64]

PLANES: Mapping[str, tuple[int, int, str, str]] = {
    "sagittal": (1, 2, "y (mm), back to front", "z (mm)"),
    "coronal": (0, 2, "x (mm), left to right", "z (mm)"),
    "axial": (0, 1, "x (mm), left to right", "y (mm)"),
}
"""Axes of the glass projections, and their names."""


def map_figure(
    changes: NDArray[np.floating],
    grid: BoxGrid,
    voxels: Voxels,
    title: str,
    background: NDArray[np.floating] | None = None,
) -> Figure:
    """Draw the drops of a class's probability on slices; rises are negative.

    Parameters
    ----------
    changes : ndarray of shape (n_positions,)
        NaN where not known.
    grid : BoxGrid
    voxels : Voxels
        Of the brain, on the grid of the volumes; each shows the mean of the boxes that cover it.
    title : str
    background : ndarray of the volume's shape, optional
    """
    drops = -grid.spread(changes).ravel()[voxels.index]
    return slices(drops, voxels, title, background=background, label="drop of probability")


def places_figure(
    found: EmbeddedPositions,
    classes: Sequence[str],
    grid: BoxGrid,
    inside: NDArray[np.bool_] | None = None,
) -> Figure:
    """Draw top positions in space, and beside it their projections through a glass brain.

    Parameters
    ----------
    found : EmbeddedPositions
        Colours tell the most affected class.
    classes : sequence of str
    grid : BoxGrid
    inside : ndarray of shape (n_positions,), bool, optional
        Positions in the brain, whose outline is drawn; else that of all positions.
    """
    brain = grid.centres_mm if inside is None else grid.centres_mm[inside]
    spacing = _spacing(grid)
    with style():
        figure = Figure(figsize=(WIDTH, 4.1), layout="constrained", dpi=PICTURE_DPI)
        cells = figure.add_gridspec(2, 3, width_ratios=(1.55, 1, 1))
        solid: Any = figure.add_subplot(cells[:, 0], projection="3d")
        for name, cell in zip(PLANES, (cells[0, 1], cells[0, 2], cells[1, 1]), strict=True):
            first, second, across, up = PLANES[name]
            axes = figure.add_subplot(cell)
            lines = draw_outline(axes, brain[:, [first, second]], spacing)
            draw_points(axes, found.centres[:, [first, second]], found.affected, 4.0)
            axes.set_title(name, fontsize=9)
            axes.set_xlabel(across, fontsize=7)
            axes.set_ylabel(up, fontsize=7)
            axes.tick_params(labelsize=6.5)
            axes.set_aspect("equal")
            _draw_on_wall(solid, lines, brain, (first, second))
        draw_points(solid, found.centres, found.affected, 6.0)
        _finish_solid(solid, brain)
        corner = figure.add_subplot(cells[1, 2])
        corner.set_axis_off()
        handles = key(classes, found.affected)
        corner.legend(handles=handles, loc="center left", title="largest drop of", title_fontsize=8)
    return figure


def _spacing(grid: BoxGrid) -> float:
    """Return the largest distance between neighbouring positions along an axis (mm)."""
    edges = np.linalg.norm(grid.affine[:3, :3], axis=0)
    return float((edges * grid.steps).max())


def _draw_on_wall(
    solid: Any, lines: Sequence[Floats], brain: Floats, plane: tuple[int, int]
) -> None:
    """Draw the outline of a projection on the wall behind the points."""
    (missing,) = {0, 1, 2} - set(plane)
    low, high = brain.min(axis=0), brain.max(axis=0)
    walls = (low[0], high[1], low[2])
    for line in lines:
        place = np.full((len(line), 3), walls[missing])
        place[:, list(plane)] = line
        solid.plot(*place.T, color=FAINT, linewidth=0.7)


def _finish_solid(solid: Any, brain: Floats) -> None:
    low, high = brain.min(axis=0), brain.max(axis=0)
    span = np.maximum(high - low, 1.0)
    solid.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    solid.set_box_aspect(span, zoom=1.1)
    solid.view_init(elev=22, azim=-58)
    for axis, name in zip((solid.xaxis, solid.yaxis, solid.zaxis), "xyz", strict=True):
        axis.set_label_text(f"{name} (mm)", fontsize=7)
        axis.labelpad = -6
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis.set_major_locator(_few_ticks())
    solid.tick_params(labelsize=6, pad=-2)
    solid.grid(False)


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def embedding_figure(
    found: EmbeddedPositions, classes: Sequence[str], clustering: Clustering
) -> Figure:
    """Draw top positions by place, by vectors of drops (UMAP and PCA), and their clusters.

    Parameters
    ----------
    found : EmbeddedPositions
    classes : sequence of str
        Colours of the first three panels tell the most affected class.
    clustering : Clustering
        Of the vectors; colours of the fourth panel.
    """
    shares = 100 * found.components.explained
    axes_names = ("UMAP 1", "UMAP 2")
    clusters = [f"cluster {number + 1}" for number in range(clustering.n_clusters)]
    panels = (
        ("spatial UMAP", found.spatial, found.affected, axes_names),
        ("functional UMAP", found.functional, found.affected, axes_names),
        (
            "functional PCA",
            found.components.scores,
            found.affected,
            (f"PC 1 ({shares[0]:.0f} %)", f"PC 2 ({shares[1]:.0f} %)"),
        ),
        ("functional UMAP, clusters", found.functional, clustering.labels, axes_names),
    )
    with style():
        figure = Figure(figsize=(6.6, 6.4), layout="constrained", dpi=PICTURE_DPI)
        drawn = figure.subplots(2, 2)
        for axes, (title, points, codes, names) in zip(drawn.flat, panels, strict=True):
            _draw_embedding(axes, points, codes)
            axes.set_title(title)
            bare(axes, *names)
        if clusters:
            # In the panel that the clusters are in: their colours are those of classes elsewhere.
            handles = key(clusters, clustering.labels)
            drawn[1, 1].legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.legend(
            handles=key(classes, found.affected),
            loc="outside lower center",
            ncols=min(len(classes), 5),
            title="largest drop of",
            title_fontsize=8,
        )
    return figure


def _draw_embedding(axes: Axes, points: Floats, codes: NDArray[np.integer]) -> None:
    if not len(points) or np.isnan(points).all():
        text = "too few positions"
        axes.text(0.5, 0.5, text, ha="center", color=FAINT, transform=axes.transAxes)
        return
    draw_points(axes, points, codes)


def stability_figure(found: Mapping[str, Stability], clustering: Clustering) -> Figure:
    """Draw how well clusterings with different seeds agree, and how their number was chosen.

    Parameters
    ----------
    found : mapping of str to Stability
        By what was clustered.
    clustering : Clustering
    """
    n_panels = 1 + bool(clustering.tried)
    with style():
        figure = Figure(figsize=(WIDTH, 1.5 + 0.45 * len(found)), layout="constrained")
        drawn = np.atleast_1d(figure.subplots(1, n_panels, width_ratios=(1.7, 1)[:n_panels]))
        _draw_agreement(drawn[0], found)
        if clustering.tried:
            _draw_numbers(drawn[1], clustering)
    return figure


def _draw_agreement(axes: Axes, found: Mapping[str, Stability]) -> None:
    for place, one in enumerate(found.values()):
        spread = np.linspace(-0.12, 0.12, len(one.agreement))
        up = place - 0.17 + spread[(np.arange(len(spread)) * 7) % len(spread)]
        axes.plot(one.agreement, up, "o", color=PALETTE[0], markersize=3, alpha=0.4, mew=0)
        axes.plot([one.mean] * 2, [place - 0.35, place + 0.01], color=INK, linewidth=1.8)
        axes.plot(one.null, np.full(len(one.null), place + 0.2), "|", color=FAINT, markersize=8)
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    # Of no use below the least agreement, which chance makes slightly negative.
    least = min(min(one.agreement.min(), *one.null, 0.0) for one in found.values())
    axes.set_xlim(least - 0.04, 1.04)
    axes.set_xlabel("adjusted Rand index of pairs of seeds (line: mean; grey: unrelated maps)")
    axes.set_title("do other seeds find the same clusters?")


def _draw_numbers(axes: Axes, clustering: Clustering) -> None:
    numbers, values = list(clustering.tried), list(clustering.tried.values())
    axes.plot(numbers, values, "o-", color=FAINT, markersize=4, linewidth=1)
    axes.plot(clustering.n_clusters, clustering.silhouette, "o", color=PALETTE[1], markersize=6)
    axes.set(xlabel="number of clusters", ylabel="silhouette", xticks=numbers)
    axes.set_title("number of clusters")
