"""Figures of the analysis ``signature``."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, style


def expression_figure(classes: pd.Series, values: pd.Series, label: str) -> Figure:
    """Draw values by class as dots, with a line at the mean.

    Parameters
    ----------
    classes : Series of str, n_values
    values : Series of float, n_values
    label : str
        Of the axis of values.
    """
    names = list(dict.fromkeys(classes.astype(str)))
    with style():
        figure = Figure(figsize=(min(WIDTH, 2.2 + 0.9 * len(names)), 2.8), layout="constrained")
        axes = figure.subplots()
        axes.axhline(0, color=FAINT, linewidth=0.8)
        for place, name in enumerate(names):
            own = values[classes.astype(str) == name].dropna().to_numpy(float)
            if not len(own):
                continue
            spread = np.linspace(-0.22, 0.22, len(own)) if len(own) > 1 else np.zeros(1)
            # Neighbours in value lie apart, so that dots do not hide each other.
            order = np.argsort(np.argsort(own, kind="stable"))
            across = place + spread[(order * 7) % len(own)]
            axes.plot(across, own, "o", color=PALETTE[0], markersize=4, alpha=0.55, mew=0)
            axes.plot([place - 0.3, place + 0.3], [own.mean()] * 2, color=INK, linewidth=2)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_ylabel(label)
    return figure
