"""Figures of the report: style, colours, carpet plots and maps on slices.

Everything draws on `matplotlib.figure.Figure` objects, never through pyplot, and keeps images at
the data's own resolution so that the SVG files stay small.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.analysis import Voxels
from bidsface.figures.carpets import carpet_picture, volume_slots
from bidsface.figures.panels import WIDTH, draw_panels
from bidsface.figures.scene import Scale, Scene

PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7F7F7F",
    "#F0E442",
)
"""Colours that people with any common colour vision tell apart (Okabe & Ito 2008), grey added."""

INK = "#1f2328"
FAINT = "#8c959f"

RC = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "figure.titlesize": 10,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9,
    "image.composite_image": False,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "bidsface",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}

Z_LIMIT = 2.0
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@contextmanager
def style() -> Iterator[None]:
    """Draw, or save, under the report's style; matplotlib's settings come back afterwards.

    The settings are those of the whole process: draw in the main thread.
    """
    with mpl.rc_context(RC):
        yield


def render_svg(figure: Figure) -> bytes:
    """Return the figure as SVG; the same figure gives the same bytes."""
    buffer = BytesIO()
    with style():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def stars(p: float) -> str:
    """Return the usual stars of a p-value; none from 0.05 on, and for NaN."""
    return next((mark for limit, mark in STARS if p < limit), "")


def wrapped(title: str) -> str:
    """Break a title into lines that fit the width of a figure."""
    return "\n".join(textwrap.wrap(title, 75)) or " "


def carpet(
    values: NDArray[np.floating],
    framewise_displacement: NDArray[np.floating],
    times: NDArray[np.floating],
    title: str,
    fd_threshold: float | None = None,
) -> Figure:
    """Draw cleaned voxels over time under the framewise displacement (Power 2017).

    Parameters
    ----------
    values : ndarray of shape (n_volumes, n_voxels)
        Cleaned data; every voxel is drawn in units of its own standard deviation, and a voxel
        that does not vary as 0. Of many voxels, evenly spaced ones are drawn.
    framewise_displacement : ndarray of shape (n_volumes,)
        mm; nan where unknown.
    times : ndarray of shape (n_volumes,)
        s, ascending; where volumes are missing, a gap is drawn.
    title : str
    fd_threshold : float, optional
        Censoring threshold (mm), drawn as a line.

    Returns
    -------
    Figure
    """
    step, slots = volume_slots(np.asarray(times, dtype=np.float64))
    picture = carpet_picture(np.asarray(values, dtype=np.float64), slots, Z_LIMIT)
    displacement = np.full(slots[-1] + 1, np.nan)
    displacement[slots] = framewise_displacement
    start = float(times[0])
    with style():
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.6))
        top.set_title(wrapped(title))
        moments = start + step * np.arange(len(displacement))
        _draw_displacement(top, displacement, moments, fd_threshold)
        extent = (start - step / 2, moments[-1] + step / 2, len(picture), 0)
        below.imshow(picture, aspect="auto", interpolation="none", extent=extent)
        gaps = len(slots) <= slots[-1]
        below.set(ylabel="voxels", yticks=[])
        below.set_xlabel("time (s); volumes left out are orange" if gaps else "time (s)")
        bar = below.inset_axes((1.015, 0, 0.014, 1))
        _colour_strip(bar, "gray", (-Z_LIMIT, Z_LIMIT), "z", clipped=True)
    return figure


def _draw_displacement(
    axes: Axes,
    displacement: NDArray[np.floating],
    times: NDArray[np.floating],
    threshold: float | None,
) -> None:
    axes.plot(times, displacement, color=PALETTE[0], linewidth=1)
    known = bool(np.isfinite(displacement).any())
    largest = np.nanmax(displacement) if known else 0.0
    if not known:
        axes.text(0.5, 0.5, "not available", ha="center", color=FAINT, transform=axes.transAxes)
    if threshold is not None:
        axes.axhline(threshold, color=PALETTE[1], linewidth=0.8, linestyle="--")
    axes.set_ylim(0, 1.1 * max(float(largest), threshold or 0.0, 0.2))
    axes.set_ylabel("FD (mm)")
    axes.tick_params(labelbottom=False)


def slices(
    values: NDArray[np.floating],
    voxels: Voxels,
    title: str,
    background: NDArray[np.floating] | None = None,
    label: str = "",
    symmetric: bool = True,
    threshold: float | None = None,
) -> Figure:
    """Draw a map on axial, sagittal and coronal slices, left on the left.

    Parameters
    ----------
    values : ndarray of shape (n_voxels,)
        Not drawn where nan.
    voxels : Voxels
    title : str
    background : ndarray of the grid's shape, optional
        Drawn in grey under the map; without it the voxels' outline is filled with light grey.
    label : str
        Quantity and units, beside the colour bar.
    symmetric : bool
        Diverging colours around 0; otherwise sequential colours from the smallest value.
    threshold : float, optional
        Values (``symmetric``: absolute values) below it fade out quadratically rather than vanish
        (Taylor et al. 2023). Unset: 0.4 of the largest for symmetric maps, else no fading.

    Returns
    -------
    Figure
    """
    drawn = np.asarray(values, dtype=np.float64)
    scale = Scale.of(drawn, symmetric, threshold)
    scene = Scene.of(drawn, voxels, background)
    with style():
        return _draw_rows(scene, scale, wrapped(title), label)


def _draw_rows(scene: Scene, scale: Scale, title: str, label: str) -> Figure:
    drawn = draw_panels(scene, scale, title)
    _colour_strip(drawn.beside(), scale.cmap, (scale.low, scale.high), label, scale.clipped, scale)
    return drawn.figure


def _colour_strip(
    axes: Axes,
    cmap: str,
    limits: tuple[float, float],
    label: str,
    clipped: bool,
    scale: Scale | None = None,
) -> None:
    """Draw a colour bar as one small image; a mesh would add 30 kB to the file."""
    low, high = limits
    levels = np.linspace(high, low, 64)[:, None]
    colours = mpl.colormaps[cmap]((levels - low) / (high - low))[..., :3]
    if scale is not None:
        opacity = scale.opacity(levels)[..., None]
        colours = (1 - opacity) * 0.5 + opacity * colours
    axes.imshow(colours, aspect="auto", interpolation="none", extent=(0, 1, low, high))
    ticks = [low, (low + high) / 2, high]
    marks = ("≤ ", "", "≥ ") if clipped else ("", "", "")
    texts = [f"{mark}{tick:.2g}" for mark, tick in zip(marks, ticks, strict=True)]
    axes.set_yticks(ticks, texts)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.tick_params(length=2, labelsize=7)
    axes.spines[:].set_visible(False)
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(label, fontsize=8)
