"""Figures of evaluations: curves, confusion matrices, reliability, participants, leakage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, style
from bidsface_emotion_cnn.calibration import Calibration
from bidsface_emotion_cnn.curves import roc_curve
from bidsface_emotion_cnn.evaluation import Evaluation
from bidsface_emotion_cnn.evaluation_tables import Evaluated
from bidsface_emotion_cnn.leakage_audit import LeakageAudit

SHORT: Mapping[str, str] = {
    "random": "random\nvolumes",
    "runs": "film\nsegments",
    "participants": "participants",
}
"""What is held out, short enough for a tick."""

HELD_OUT: Mapping[str, str] = {
    "random": "random volumes held out",
    "runs": "film segments held out",
    "participants": "participants held out",
}

LINES = ("-", "--", ":")
DASHED = (0, (4, 3))
MANY_CLASSES = 7
MANY_PEOPLE, MOST_NAMED = 12, 60


def roc_figure(items: Sequence[Evaluated]) -> Figure:
    """Draw a panel of curves, one class against all others, for every item (the first three)."""
    shown = items[:3]
    with style():
        many = max(len(item.classes) for item in shown) > MANY_CLASSES
        height = 0.6 + 0.95 * WIDTH / max(len(shown), 2)
        height += 0.2 + 0.06 * max(len(item.classes) for item in shown) if many else 0
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(1, max(len(shown), 2), sharex=True, sharey=True)
        for ax, item in zip(axes, shown, strict=False):
            _draw_curves(ax, item, many)
        for ax in axes[len(shown) :]:
            ax.set_axis_off()
        axes[0].set_ylabel("true positive rate")
    return figure


def _draw_curves(ax: Axes, item: Evaluated, many: bool) -> None:
    found, held_out = item.evaluation.auc, item.evaluation.held_out
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9, linestyle=DASHED)
    for code, name in enumerate(item.classes):
        own = held_out.codes == code
        if not 0 < own.sum() < len(own):
            continue
        curve = roc_curve(held_out.probabilities[:, code], own)
        interval = _range(found.low[code], found.high[code])
        ax.plot(
            curve.false_positive,
            curve.true_positive,
            LINES[code // len(PALETTE) % len(LINES)],
            color=PALETTE[code % len(PALETTE)],
            linewidth=1.4,
            label=f"{name} {found.auc[code]:.2f}{interval}",
        )
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel="false positive rate")
    ax.set_anchor("N")
    title = f"{item.estimator}, {HELD_OUT[item.scheme]}\nmean area {found.macro:.2f}"
    ax.set_title(title + _range(found.macro_low, found.macro_high), fontsize=8)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 2}
    place = below if many else {"loc": "lower right"}
    ax.legend(fontsize=5.5 if many else 6.5, handlelength=1.4, labelspacing=0.25, **place)


def _range(low: float, high: float) -> str:
    return "" if np.isnan(low) else f" ({low:.2f}-{high:.2f})"


def confusion_figure(items: Sequence[Evaluated]) -> Figure:
    """Draw confusion matrices in percent of their rows, a panel for every item."""
    n_columns = min(3, max(len(items), 2))
    n_rows = -(-len(items) // n_columns)
    with style():
        side = WIDTH / n_columns
        figure = Figure(figsize=(WIDTH, 0.5 + n_rows * (side + 0.25)), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False)
        for number, ax in enumerate(axes.flat):
            if number >= len(items):
                ax.set_axis_off()
                continue
            lowest = number + n_columns >= len(items)
            _draw_matrix(ax, items[number], number % n_columns == 0, lowest)
        figure.supxlabel("predicted", fontsize=9)
        figure.supylabel("true", fontsize=9)
    return figure


def _draw_matrix(ax: Axes, item: Evaluated, leftmost: bool, lowest: bool) -> None:
    counts = item.evaluation.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.set_title(f"{item.estimator}\n{HELD_OUT[item.scheme]}", fontsize=8)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=6.5)
    blank, ticks = [""] * len(item.classes), range(len(item.classes))
    ax.set_xticks(ticks, item.classes if lowest else blank, rotation=90)
    ax.set_yticks(ticks, item.classes if leftmost else blank)
    size = 7 if len(item.classes) <= MANY_CLASSES else 4.5
    for (row, column), share in np.ndenumerate(shares):
        if counts[row].any():
            colour = "white" if share > 0.6 else INK
            text = f"{100 * share:.0f}"
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def reliability_figure(panels: Mapping[str, Mapping[str, Calibration]]) -> Figure:
    """Draw reliability diagrams over histograms of the confidence.

    Parameters
    ----------
    panels : mapping of str to mapping of str to Calibration
        By the title of a panel and the name of a series, such as ``raw`` and ``scaled``.
    """
    n_columns = max(len(panels), 2)
    with style():
        figure = Figure(figsize=(WIDTH, 0.9 + 1.15 * WIDTH / n_columns), layout="constrained")
        axes = figure.subplots(
            2, n_columns, sharex=True, sharey="row", height_ratios=(3, 1), squeeze=False
        )
        for column, (title, series) in enumerate(panels.items()):
            _draw_reliability(axes[0, column], axes[1, column], series)
            axes[0, column].set_title(title, fontsize=9)
            axes[1, column].set_xlabel("probability of the predicted class")
        for ax in axes[:, len(panels) :].flat:
            ax.set_axis_off()
        axes[0, 0].set_ylabel("share that is right")
        axes[1, 0].set_ylabel("share of\npredictions")
    return figure


def _draw_reliability(upper: Axes, lower: Axes, series: Mapping[str, Calibration]) -> None:
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9, linestyle=DASHED)
    for number, (name, found) in enumerate(series.items()):
        bins, colour = found.width, PALETTE[number]
        shares = bins.counts / bins.counts.sum()
        label = f"{name}, error {bins.expected_error:.2f}"
        upper.plot(bins.confidence, bins.accuracy, "-", color=colour, linewidth=1.2, label=label)
        upper.scatter(bins.confidence, bins.accuracy, 6 + 120 * shares, color=colour, linewidths=0)
        lower.plot(bins.confidence, shares, "-o", color=colour, linewidth=1, markersize=2.5)
    upper.set(xlim=(0, 1.02), ylim=(0, 1.02))
    lower.set_ylim(bottom=0)
    upper.legend(loc="upper left", fontsize=7)


def participant_figure(items: Sequence[Evaluated], labels: Sequence[str]) -> Figure:
    """Draw the balanced accuracy of every participant, a panel for every split.

    Parameters
    ----------
    items : sequence of Evaluated
    labels : sequence of str
        Of participants, by their codes.
    """
    schemes = list(dict.fromkeys(item.scheme for item in items))
    names = list(dict.fromkeys(item.estimator for item in items))
    with style():
        figure = Figure(figsize=(WIDTH, 0.7 + 1.45 * len(schemes)), layout="constrained")
        axes = figure.subplots(len(schemes), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for ax, scheme in zip(axes, schemes, strict=True):
            for item in items:
                if item.scheme == scheme:
                    _draw_people(ax, item.evaluation, names.index(item.estimator), names)
            ax.axhline(1 / len(items[0].classes), color=INK, linewidth=0.9, linestyle=DASHED)
            ax.set_title(HELD_OUT[scheme], fontsize=9)
            ax.tick_params(axis="x", length=0)
        _name_people(axes[-1], labels)
        figure.supylabel("balanced accuracy", fontsize=9)
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=len(names))
    return figure


def _draw_people(ax: Axes, found: Evaluation, number: int, names: Sequence[str]) -> None:
    width = 0.8 / len(names)
    places = found.participant_codes + (number - (len(names) - 1) / 2) * width
    scores, colour = found.people.balanced_accuracy, PALETTE[number % len(PALETTE)]
    ax.bar(places, scores, 0.92 * width, color=colour, alpha=0.75, label=names[number])


def _name_people(ax: Axes, labels: Sequence[str]) -> None:
    ax.set_xlim(-0.6, len(labels) - 0.4)
    if len(labels) > MOST_NAMED:
        ax.set_xlabel(f"{len(labels)} participants, in order of their labels")
        ax.set_xticks([])
        return
    ax.set_xticks(range(len(labels)), labels, rotation=90 if len(labels) > MANY_PEOPLE else 0)
    ax.tick_params(axis="x", labelsize=7)


def audit_figure(audits: Mapping[str, LeakageAudit]) -> Figure:
    """Draw every participant under every split, with means and intervals, a panel a classifier.

    Parameters
    ----------
    audits : mapping of str to LeakageAudit
        By the name of the classifier.
    """
    with style():
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        axes = figure.subplots(1, max(len(audits), 2), sharey=True)
        for number, (ax, (name, audit)) in enumerate(zip(axes, audits.items(), strict=False)):
            _draw_audit(ax, audit, PALETTE[number % len(PALETTE)])
            ax.set_title(name, fontsize=9)
        for ax in axes[len(audits) :]:
            ax.set_axis_off()
        axes[0].set_ylabel("balanced accuracy")
        axes[0].set_ylim(bottom=0)
    return figure


def _draw_audit(ax: Axes, audit: LeakageAudit, colour: str) -> None:
    columns = np.arange(len(audit.schemes))
    spread = 0.22 * _ramp(audit.scores.shape[1])
    places = columns[:, None] + spread
    ax.axhline(audit.chance, color=INK, linewidth=0.9, linestyle=DASHED)
    ax.plot(places, audit.scores, "-", color=FAINT, linewidth=0.5, alpha=0.35)
    ax.plot(places.ravel(), audit.scores.ravel(), ".", color=FAINT, markersize=4)
    means = audit.scores.mean(axis=1)
    ax.vlines(columns, audit.low, audit.high, color=colour, linewidth=2)
    ax.plot(columns, means, "o", color=colour, markersize=6)
    for column, mean in zip(columns, means, strict=True):
        ax.annotate(f"{mean:.2f}", (column + 0.27, mean), va="center", fontsize=8, color=colour)
    ax.set_xticks(columns, [SHORT[scheme] for scheme in audit.schemes])
    ax.set_xlim(-0.5, len(columns) - 0.35)


def _ramp(n: int) -> NDArray[np.float64]:
    """Return places from -1 to 1, of which neighbours are not next to each other."""
    order = np.argsort((np.arange(n) * 0.618034) % 1.0, kind="stable")
    ramp = np.empty(n)
    ramp[order] = np.linspace(-1, 1, n) if n > 1 else 0.0
    return ramp
