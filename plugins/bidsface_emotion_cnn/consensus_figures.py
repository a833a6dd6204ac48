"""Figures of the analysis ``consensus``: labels over time as coloured strips, and their counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, style
from bidsface_emotion_cnn.consensus import NONE, Codes, Floats

COLOURS = (
    *(colour for colour in PALETTE if colour != "#7F7F7F"),
    *("#332288", "#117733", "#882255", "#999933", "#44AA99", "#AA4499", "#661100"),
    *("#6699CC", "#DDCC77", "#CC6677"),
)
"""The palette without its grey, then colours of Paul Tol's schemes: one per class."""

OTHER = "#C9CDD2"
"""Of classes beyond the colours."""

LINE = 0.16
"""inches; height of a strip."""

LONGEST_LINE = 1800.0
"""s; a film that is longer is broken into lines."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Labels over time.

    Attributes
    ----------
    name : str
    codes : ndarray of shape (n_volumes,)
        Positions of names; -1 for none, larger ones than there are names for other labels.
    step : float
        s; length of a volume.
    """

    name: str
    codes: Codes
    step: float


def colours(n_names: int) -> tuple[str, ...]:
    """Return a colour for each of some names, grey for those beyond the colours."""
    return (*COLOURS[:n_names], *[OTHER] * (n_names - len(COLOURS)))


def strip_figure(strips: Sequence[Strip], names: Sequence[str], label: str) -> Figure:
    """Draw labels over time: one line per strip, one colour per name.

    Parameters
    ----------
    strips : sequence of Strip
    names : sequence of str
        The most important first; those beyond the colours are grey.
    label : str
        Of the axis of time.
    """
    with style():
        height = 0.6 + LINE * len(strips) + _legend_height(names)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        _draw_strips(axes, strips, names, (0.0, _length(strips)))
        axes.set_xlabel(label)
        _draw_legend(figure, strips, names)
    return figure


def timeline_figure(strips: Sequence[Strip], names: Sequence[str], label: str) -> Figure:
    """Draw labels over a long time, broken into lines, as `strip_figure`."""
    length = _length(strips)
    n_lines = int(np.ceil(length / LONGEST_LINE))
    with style():
        height = 0.5 + n_lines * (LINE * len(strips) + 0.3) + _legend_height(names)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        panels = figure.subplots(n_lines, 1, squeeze=False)[:, 0]
        for number, axes in enumerate(panels):
            start = number * LONGEST_LINE
            end = length if n_lines == 1 else start + LONGEST_LINE
            _draw_strips(axes, strips, names, (start, end))
        panels[-1].set_xlabel(label)
        _draw_legend(figure, strips, names)
    return figure


def count_figure(
    names: Sequence[str], before: Codes, after: Codes, alpha: Floats, low: Floats, high: Floats
) -> Figure:
    """Draw volumes by class before and after the threshold, beside the agreement on the class.

    Parameters
    ----------
    names : sequence of str
        Of the classes, from top to bottom.
    before, after : ndarray of shape (n_classes,)
        Volumes whose most frequent class it is, and those that enough observers chose.
    alpha, low, high : ndarray of shape (n_classes,)
        Krippendorff's alpha of the class against the rest, and its interval.
    """
    places = np.arange(len(names))
    with style():
        figure = Figure(figsize=(WIDTH, 1.0 + 0.2 * len(names)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.6, 1))
        left.barh(places, before, 0.75, color="white", edgecolor=FAINT, linewidth=0.8)
        left.barh(places, after, 0.75, color=colours(len(names)))
        for place, (many, few) in enumerate(zip(before.tolist(), after.tolist(), strict=True)):
            where = {"xytext": (3, 0), "textcoords": "offset points", "va": "center"}
            left.annotate(f"{few:,} of {many:,}", (many, place), size=7, color=INK, **where)
        left.set(yticks=places, xlabel="volumes of the film", xlim=(0, 1.22 * max(before.max(), 1)))
        left.set_yticklabels(names)
        left.invert_yaxis()
        right.axvline(0, color=FAINT, linewidth=0.8, linestyle="--")
        right.hlines(places, low, high, color=INK, linewidth=1)
        right.scatter(alpha, places, s=22, color=colours(len(names)), edgecolor=INK, zorder=3)
        right.set_xlabel("alpha, emotion against the rest")
        right.tick_params(left=False)
    return figure


def _length(strips: Sequence[Strip]) -> float:
    return max(strip.step * len(strip.codes) for strip in strips)


def _draw_strips(
    axes: Axes, strips: Sequence[Strip], names: Sequence[str], limits: tuple[float, float]
) -> None:
    table = np.array([*map(to_rgb, colours(len(names))), to_rgb(OTHER), to_rgb("white")])
    for place, strip in enumerate(strips):
        first = int(np.floor(limits[0] / strip.step))
        shown = strip.codes[first : int(np.ceil(limits[1] / strip.step))]
        if not len(shown):
            continue
        code = np.where(shown == NONE, len(names) + 1, np.minimum(shown, len(names)))
        edges = (first * strip.step, (first + len(shown)) * strip.step)
        axes.imshow(
            table[code][None],
            aspect="auto",
            interpolation="none",
            extent=(*edges, place + 0.42, place - 0.42),
        )
    axes.set(xlim=limits, ylim=(len(strips) - 0.5, -0.5), yticks=range(len(strips)))
    axes.set_yticklabels([strip.name for strip in strips], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _legend_height(names: Sequence[str]) -> float:
    return 0.17 * int(np.ceil((len(names) + 1) / _legend_columns(names)))


def _legend_columns(names: Sequence[str]) -> int:
    longest = max(map(len, names), default=1)
    return max(1, min(6, int(95 / (longest + 6))))


def _draw_legend(figure: Figure, strips: Sequence[Strip], names: Sequence[str]) -> None:
    patches = [
        Patch(color=colour, label=name)
        for name, colour in zip(names, colours(len(names)), strict=True)
    ]
    if any((strip.codes >= len(names)).any() for strip in strips):
        patches.append(Patch(color=OTHER, label="another label"))
    figure.legend(
        handles=patches, loc="outside lower center", ncols=_legend_columns(names), fontsize=7
    )
