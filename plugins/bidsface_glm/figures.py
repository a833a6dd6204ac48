"""Figures of design matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.figures import FAINT, INK, WIDTH, style

MOST_NAMES = 48
"""More columns than this are not named one by one."""


def design_figure(
    matrix: NDArray[np.float64],
    names: Sequence[str],
    n_events: int,
    contrasts: Mapping[str, NDArray[np.float64]],
    title: str,
) -> Figure:
    """Draw a design matrix, and the contrasts' weights of the regressors of events under it.

    Parameters
    ----------
    matrix : ndarray of shape (n_volumes, n_regressors)
        Every column is drawn in units of its largest size.
    names : sequence of str
    n_events : int
        How many columns, the first ones, model events.
    contrasts : mapping of str to ndarray of shape (n_regressors,)
    title : str
    """
    largest = np.abs(matrix).max(axis=0)
    scaled = matrix / np.where(largest > 0, largest, 1.0)
    rows = 0.17 * max(len(contrasts), 1)
    with style():
        figure = Figure(figsize=(WIDTH, 4.2 + rows), layout="constrained")
        top, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, rows))
        top.imshow(scaled, aspect="auto", interpolation="none", cmap="gray", vmin=-1.1, vmax=1.1)
        top.set(title=title, ylabel="volume")
        _name_columns(top, names, n_events)
        _draw_weights(below, contrasts, n_events, len(names))
    return figure


def _name_columns(axes: Axes, names: Sequence[str], n_events: int) -> None:
    shown = names if len(names) <= MOST_NAMES else names[:n_events]
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0, top=True, labeltop=True, labelbottom=False)
    axes.set_xticks(range(len(shown)), shown, rotation=90, fontsize=6.5)
    if len(shown) < len(names):
        middle = (n_events + len(names) - 1) / 2
        rest = f"{len(names) - n_events} confounds and drifts"
        axes.annotate(rest, (middle, -0.5), (0, 4), textcoords="offset points", ha="center", size=7)
    axes.axvline(n_events - 0.5, color=FAINT, linewidth=0.8)
    axes.spines[:].set_visible(False)


def _draw_weights(
    axes: Axes, contrasts: Mapping[str, NDArray[np.float64]], n_events: int, n_columns: int
) -> None:
    if not contrasts:
        axes.set_axis_off()
        return
    weights = np.full((len(contrasts), n_columns), np.nan)
    for row, vector in zip(weights, contrasts.values(), strict=True):
        row[:n_events] = vector[:n_events]
    size = np.nanmax(np.abs(weights))
    axes.imshow(weights, aspect="auto", interpolation="none", cmap="RdBu_r", vmin=-size, vmax=size)
    for (row, column), weight in np.ndenumerate(weights):
        if weight and not np.isnan(weight):
            colour = "white" if abs(weight) > 0.6 * size else INK
            text = f"{weight:.2g}"
            if n_columns <= MOST_NAMES:
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=5.5)
    axes.set_yticks(range(len(contrasts)), list(contrasts))
    axes.tick_params(axis="x", bottom=False, labelbottom=False, top=False, labeltop=False)
    axes.tick_params(axis="y", length=0, labelsize=7)
    axes.spines[:].set_visible(False)
