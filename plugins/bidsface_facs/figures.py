"""Figures of the analysis ``facs``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bidsface.figures import FAINT, INK, PALETTE, WIDTH, style
from bidsface.numerics.linear import Floats


def target_figure(target: Floats, blocks: NDArray, label: str) -> Figure:
    """Draw the target of every event of a participant as a bar, coloured by run.

    Parameters
    ----------
    target : ndarray of shape (n_events,)
    blocks : ndarray of str, shape (n_events,)
        Run of every event.
    label : str
        Of the axis.
    """
    names = list(dict.fromkeys(blocks))
    with style():
        figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(target))
        for number, name in enumerate(names):
            own = blocks == name
            colour = PALETTE[number % len(PALETTE)]
            axes.bar(places[own], target[own], color=colour, label=str(name).replace("_", " "))
            # A value of zero is a value, and not a gap.
            zero = own & (target == 0)
            axes.plot(places[zero], np.zeros(zero.sum()), "o", color=colour, markersize=3)
        axes.axhline(0, color=FAINT, linewidth=0.8)
        axes.set(xlabel="event", ylabel=label)
        if len(names) > 1:
            figure.legend(loc="outside upper left", ncols=4)
    return figure


def distribution_figure(targets: Mapping[str, Sequence[Floats]], label: str) -> Figure:
    """Draw how a target is distributed over all events, and within every participant.

    Parameters
    ----------
    targets : mapping of str to sequence of ndarray
        For every data set, the values of each of its participants.
    label : str
        Of the target.
    """
    with style():
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
        every = np.concatenate([own for people in targets.values() for own in people])
        edges = np.linspace(min(0.0, every.min()), every.max() + 1e-9, 25)
        start = 0
        for number, (name, people) in enumerate(targets.items()):
            colour = PALETTE[number % len(PALETTE)]
            pooled = np.concatenate(list(people))
            left.hist(pooled, edges, color=colour, alpha=0.65, label=name)
            ordered = sorted(people, key=lambda own: float(own.mean()))
            for place, own in enumerate(ordered, start):
                across = np.full(len(own), place)
                right.plot(across, own, "o", color=colour, markersize=2.5, alpha=0.5, mew=0)
                right.plot([place - 0.35, place + 0.35], [own.mean()] * 2, color=INK, linewidth=1.2)
            start += len(ordered) + 1
        left.set(xlabel=label, ylabel="events")
        right.set(ylabel=label, xticks=[])
        right.set_xlabel("participants, by their mean (lines)")
        if len(targets) > 1:
            left.legend()
    return figure


@dataclass(frozen=True, eq=False)
class ScoreColumn:
    """What is drawn of one model: scores of folds, their mean, and scores under the null."""

    name: str
    folds: Floats
    null: Floats
    p: float


def score_figure(panels: Mapping[str, Sequence[ScoreColumn]], label: str) -> Figure:
    """Draw scores by input and estimator: folds as dots, the null distribution as a violin.

    Parameters
    ----------
    panels : mapping of str to sequence of ScoreColumn
        Columns by input.
    label : str
        Of the score.
    """
    with style():
        width = min(WIDTH, 1.6 + 0.75 * sum(map(len, panels.values())) + 0.3 * len(panels))
        figure = Figure(figsize=(max(width, 3.0), 3.1), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for number, (own, (name, columns)) in enumerate(zip(axes, panels.items(), strict=True)):
            _score_panel(own, columns)
            own.set_title(name)
            if number == 0:
                own.set_ylabel(label)
    return figure


def _score_panel(axes: Axes, columns: Sequence[ScoreColumn]) -> None:
    axes.axhline(0, color=FAINT, linewidth=0.8, linestyle="--")
    for place, column in enumerate(columns):
        known = column.null[np.isfinite(column.null)]
        if len(known) > 1 and np.ptp(known) > 0:
            drawn: Any = axes.violinplot(known, [place], widths=0.8, showextrema=False)
            drawn["bodies"][0].set(facecolor=FAINT, alpha=0.35, edgecolor="none")
        if not len(column.folds):
            continue
        colour = PALETTE[place % len(PALETTE)]
        spread = np.linspace(-0.12, 0.12, len(column.folds)) if len(column.folds) > 1 else [0.0]
        axes.plot(place + np.asarray(spread), column.folds, "o", color=colour, markersize=4, mew=0)
        mean = float(np.mean(column.folds))
        axes.plot([place - 0.28, place + 0.28], [mean, mean], color=INK, linewidth=2)
        stars = star_text(column.p)
        if stars:
            top = max(float(np.max(column.folds)), float(known.max()) if len(known) else -np.inf)
            axes.annotate(stars, (place, top), (0, 3), textcoords="offset points", ha="center")
    axes.set_xticks(range(len(columns)), [column.name.replace("_", "\n") for column in columns])
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.margins(y=0.12)


def star_text(p: float) -> str:
    """Return the stars of a p-value."""
    return "*" * sum(p < level for level in (0.05, 0.01, 0.001))


def prediction_figure(observed: Floats, predicted: Floats, people: NDArray, label: str) -> Figure:
    """Draw observed against predicted values, with a line of best fit for every participant.

    Parameters
    ----------
    observed, predicted : ndarray of shape (n_images,)
    people : ndarray of str, shape (n_images,)
    label : str
        Of the target.
    """
    with style():
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(predicted, observed, "o", color=PALETTE[0], markersize=3, alpha=0.4, mew=0)
        names = np.unique(people)
        for name in names:
            own = people == name
            if own.sum() > 2 and np.ptp(predicted[own]) > 0:
                slope, level = np.polyfit(predicted[own], observed[own], 1)
                ends = np.array([predicted[own].min(), predicted[own].max()])
                left.plot(ends, level + slope * ends, color=INK, linewidth=0.8, alpha=0.5)
        left.set(xlabel=f"predicted {label}", ylabel=f"observed {label}", title="images")
        means = np.array(
            [[x[people == name].mean() for name in names] for x in (predicted, observed)]
        )
        right.plot(means[0], means[1], "o", color=PALETTE[1], markersize=5, mew=0)
        for axes in (left, right):
            low = max(axes.get_xlim()[0], axes.get_ylim()[0])
            high = min(axes.get_xlim()[1], axes.get_ylim()[1])
            if low < high:
                axes.plot([low, high], [low, high], color=FAINT, linestyle="--", linewidth=1)
        right.set(xlabel=f"predicted {label}", title="means of participants")
    return figure


def baseline_figure(rows: Sequence[tuple[str, Floats]], label: str) -> Figure:
    """Draw scores of what else could predict the target beside those of the brain.

    Parameters
    ----------
    rows : sequence of (str, ndarray of shape (n_folds,))
        From top to bottom.
    label : str
        Of the score.
    """
    with style():
        figure = Figure(figsize=(WIDTH, 0.9 + 0.32 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color=FAINT, linewidth=0.8, linestyle="--")
        for place, (_, folds) in enumerate(reversed(rows)):
            axes.plot(
                folds, np.full(len(folds), place), "o", color=PALETTE[0], alpha=0.5, mew=0, ms=4
            )
            if not len(folds):
                continue
            mean = float(np.mean(folds))
            axes.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=2)
        axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(label)
    return figure


def confusion_figure(counts: NDArray[Any], names: Sequence[str]) -> Figure:
    """Draw a confusion matrix in percent of its rows.

    Parameters
    ----------
    counts : ndarray of shape (n_classes, n_classes)
        Rows: true; columns: predicted.
    names : sequence of str
    """
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    with style():
        figure = Figure(figsize=(3.4, 2.8), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        for row, column in np.ndindex(*shares.shape):
            colour = "white" if shares[row, column] > 55 else INK
            text = f"{shares[row, column]:.0f} %\n({counts[row, column]:.0f})"
            axes.text(column, row, text, ha="center", va="center", color=colour)
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names, rotation=90, va="center")
        axes.set(xlabel="predicted data set", ylabel="data set")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return figure
