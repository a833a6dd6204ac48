"""Figure of the course of training: loss and accuracy over epochs, fold by fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, style
from bidsface_emotion_cnn.history import EpochRecord

Histories = Mapping[str, Sequence[EpochRecord]]
Value = Callable[[EpochRecord], float]

TRAINING, VALIDATION = PALETTE[0], PALETTE[1]


def learning_curves(
    histories: Histories, best: Mapping[str, int], chance: float | None = None
) -> Figure:
    """Draw loss and accuracy of training and validation part over epochs.

    Thin lines are folds, with a dot at the epoch whose weights were kept; thick lines are means
    over the folds, as far as all of them were trained.

    Parameters
    ----------
    histories : mapping of str to sequence of EpochRecord
        By fold.
    best : mapping of str to int
        The epoch that was kept, from 1, by fold.
    chance : float, optional
        Accuracy of guessing, drawn as a line.

    Raises
    ------
    ValueError
        If there is no fold, or one without an epoch.
    """
    if not histories or not all(histories.values()):
        raise ValueError("learning curves need folds, and epochs in each")
    with style():
        figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw(left, histories, best, lambda r: r.loss, lambda r: r.validation_loss)
        _draw(right, histories, best, lambda r: r.accuracy, lambda r: r.validation_accuracy)
        left.set(title="Loss", ylabel="cross-entropy (nats)", xlabel="epoch")
        right.set(title="Accuracy", ylabel="share of volumes", xlabel="epoch")
        if chance is not None:
            right.axhline(chance, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
            right.annotate(
                "chance",
                (1, chance),
                (-2, 2),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                color=FAINT,
                fontsize=8,
            )
        left.legend(loc="upper right")
    return figure


def _draw(
    ax: Axes, histories: Histories, best: Mapping[str, int], training: Value, validation: Value
) -> None:
    shared = min(len(history) for history in histories.values())
    longest = max(len(history) for history in histories.values())
    marker = "." if longest == 1 else None
    for value, colour, name in (
        (training, TRAINING, "training"),
        (validation, VALIDATION, "validation"),
    ):
        rows = {fold: np.array([value(r) for r in history]) for fold, history in histories.items()}
        if not any(np.isfinite(row).any() for row in rows.values()):
            continue
        for fold, row in rows.items():
            epochs = np.arange(1, len(row) + 1)
            ax.plot(epochs, row, marker=marker, color=colour, alpha=0.35, linewidth=0.8)
            if value is validation and fold in best:
                ax.plot(best[fold], row[best[fold] - 1], "o", color=colour, markersize=3.5)
        mean = np.mean([row[:shared] for row in rows.values()], axis=0)
        ax.plot(np.arange(1, shared + 1), mean, color=colour, linewidth=2, label=name)
    ax.set_xlim(0.5, longest + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
