"""Figures of RDMs: heat maps, places of classes in a plane, similarity with models."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, stars, style

Floats = NDArray[np.float64]

MOST_PANELS = 12
PANEL_COLUMNS = 4
MOST_NUMBERS = 6
"""Classes up to which cells of a heat map carry their values."""

MOST_NAMES = 8
"""Classes up to which their names stand beside their places; numbers stand there for more."""

LETTER = 0.085
"""Width of an average letter of a title (inches)."""

BAND = "#d0d7de"


def rdm_figure(rdms: Mapping[str, Floats], classes: Sequence[str], label: str) -> Figure:
    """Draw RDMs as heat maps with one scale, the first dozen of them.

    Parameters
    ----------
    rdms : mapping of str to ndarray of shape (n_classes, n_classes)
        By region; NaN for pairs that are not known.
    classes : sequence of str
    label : str
        Of the colour bar.
    """
    shown = dict(list(rdms.items())[:MOST_PANELS])
    every = np.concatenate([own[~np.eye(len(own), dtype=bool)] for own in shown.values()])
    known = every[np.isfinite(every)]
    low, high = float(known.min(initial=0.0)), float(known.max() if len(known) else 1.0)
    with style():
        figure, axes = _grid(len(shown), 0.25 + 0.07 * max(map(len, classes)))
        for number, (ax, (name, rdm)) in enumerate(zip(axes, shown.items(), strict=True)):
            picture = np.where(np.eye(len(rdm), dtype=bool), np.nan, rdm)
            image = ax.imshow(picture, cmap="viridis", vmin=low, vmax=high)
            ax.set_title(_title(name, _side(len(shown))), fontsize=8)
            ax.spines[:].set_visible(False)
            ax.tick_params(length=0, labelsize=7)
            n_columns = _n_columns(len(shown))
            # Only the last row, though it may be short: names below others would tear rows apart.
            lowest = number // n_columns == (len(shown) - 1) // n_columns
            leftmost = number % n_columns == 0
            ticks, nothing = range(len(classes)), [""] * len(classes)
            ax.set_xticks(ticks, classes if lowest else nothing, rotation=90)
            ax.set_yticks(ticks, classes if leftmost else nothing)
            if len(classes) <= MOST_NUMBERS:
                _write_values(ax, picture, 0.5 * (low + high), len(shown))
        figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, label=label, aspect=25)
    return figure


def _write_values(ax: Axes, picture: Floats, middle: float, n_panels: int) -> None:
    size = 7 if n_panels <= 2 else 5
    for (row, column), value in np.ndenumerate(picture):
        if not np.isnan(value):
            colour = "white" if value < middle else INK
            ax.text(
                column, row, f"{value:.2g}", ha="center", va="center", color=colour, fontsize=size
            )


def scaling_figure(
    places: Mapping[str, Floats], shares: Mapping[str, float], classes: Sequence[str]
) -> Figure:
    """Draw classes as places in a plane whose distances are like those of RDMs.

    Parameters
    ----------
    places : mapping of str to ndarray of shape (n_classes, 2)
        By region; the first dozen is drawn.
    shares : mapping of str to float
        Share of the squared distances that the plane has.
    classes : sequence of str
    """
    shown = dict(list(places.items())[:MOST_PANELS])
    names, key = list(classes), ""
    if len(classes) > MOST_NAMES:
        names = [str(number) for number in range(1, len(classes) + 1)]
        key = ", ".join(f"{number} {name}" for number, name in zip(names, classes, strict=True))
    lines = textwrap.wrap(key, 110)
    with style():
        figure, axes = _grid(len(shown), 0.25 + 0.14 * len(lines))
        figure.supxlabel("\n".join(lines), fontsize=7)
        for ax, (name, points) in zip(axes, shown.items(), strict=True):
            share = shares[name]
            title = name if np.isnan(share) else f"{name} ({100 * share:.0f}\u00a0%)"
            ax.set_title(_title(title, _side(len(shown))), fontsize=8)
            reach = 1.25 * max(float(np.abs(points).max()), 1e-12)
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
            ax.axhline(0, color=BAND, linewidth=0.6, zorder=0)
            ax.axvline(0, color=BAND, linewidth=0.6, zorder=0)
            for number, (x, y) in enumerate(points):
                ax.plot(x, y, "o", color=PALETTE[number % len(PALETTE)], markersize=4.5)
                # Towards the middle, so that names stay inside.
                side = "right" if x > 0 else "left"
                shift = (-5 if x > 0 else 5, 0)
                ax.annotate(
                    names[number],
                    (x, y),
                    shift,
                    textcoords="offset points",
                    ha=side,
                    va="center",
                    fontsize=6.5,
                )
    return figure


@dataclass(frozen=True, eq=False)
class ModelBar:
    """Similarity of one region with one model.

    Attributes
    ----------
    name : str
        Of the region.
    value : float
    points : sequence of float
        Participants' similarities.
    interval : (low, high)
        Confidence interval; NaN for none.
    band : (low, high)
        Noise ceiling, or spread of permutations; NaN for none.
    p : float
        Decides on the stars; NaN for none.
    """

    name: str
    value: float
    points: Sequence[float]
    interval: tuple[float, float]
    band: tuple[float, float]
    p: float


def model_figure(panels: Mapping[str, Sequence[ModelBar]], label: str) -> Figure:
    """Draw the similarity of regions with models, one panel per model.

    Parameters
    ----------
    panels : mapping of str to sequence of ModelBar
    label : str
        Name of the similarity.
    """
    names = list(dict.fromkeys(bar.name for bars in panels.values() for bar in bars))
    columns = min(PANEL_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    room = (WIDTH - LETTER * max(map(len, names))) / columns
    titles = {model: _title(model, room) for model in panels}
    lines = 1 + max(title.count("\n") for title in titles.values())
    with style():
        height = rows * (0.8 + 0.15 * lines + 0.27 * len(names))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for number, (ax, (model, bars)) in enumerate(zip(axes.flat, panels.items(), strict=False)):
            ax.set_title(titles[model], fontsize=8.5)
            ax.axvline(0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
            for bar in bars:
                _draw_bar(ax, bar, names.index(bar.name), PALETTE[0])
            ax.tick_params(axis="y", length=0)
            if number + columns >= len(panels):
                ax.set_xlabel(label)
                ax.tick_params(labelbottom=True)
        axes[0, 0].set_yticks(range(len(names)), names)
        axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
        low, high = axes[0, 0].get_xlim()
        axes[0, 0].set_xlim(low, high + 0.08 * (high - low))
    return figure


def _draw_bar(ax: Axes, bar: ModelBar, row: int, colour: str) -> None:
    low, high = bar.band
    if np.isfinite([low, high]).all():
        ax.barh(row, high - low, left=low, height=0.8, color=BAND, zorder=0)
        # Its ends are seen also where it is narrow.
        ax.vlines([low, high], row - 0.4, row + 0.4, color=FAINT, linewidth=1.0, zorder=2)
    ax.barh(row, bar.value, height=0.5, color=colour, alpha=0.3, zorder=1)
    ax.plot(bar.points, np.full(len(bar.points), row), ".", color=FAINT, markersize=3.5, zorder=2)
    ax.plot(bar.interval, [row, row], color=colour, linewidth=1.8, zorder=3)
    ax.plot(bar.value, row, "o", color=colour, markersize=5, zorder=4)
    right = float(np.nanmax([bar.value, bar.interval[1], bar.band[1], 0.0, *bar.points]))
    ax.annotate(
        stars(bar.p), (right, row), (4, -3.5), textcoords="offset points", color=INK, fontsize=9
    )


def _n_columns(n_panels: int) -> int:
    return min(PANEL_COLUMNS, n_panels)


def _grid(n_panels: int, margin: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of square panels, with room (inches) for what stands beside them."""
    n_columns = _n_columns(n_panels)
    n_rows = -(-n_panels // n_columns)
    side = _side(n_panels)
    width = n_columns * side + margin + 0.8
    height = n_rows * (side + 0.45) + margin
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for ax in axes[n_panels:]:
        ax.set_axis_off()
    return figure, axes[:n_panels]


def _side(n_panels: int) -> float:
    """Return the side of a square panel (inches); a few panels do not fill the width."""
    return {1: 2.6, 2: 2.4, 3: 1.9}.get(n_panels, 1.45)


def _title(text: str, inches: float) -> str:
    """Break a title into lines that fit a panel."""
    return textwrap.fill(text, max(8, int(inches / LETTER)))
