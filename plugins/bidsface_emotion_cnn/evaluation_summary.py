"""Evaluations for people: a sentence each, and one small table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import Summary
from bidsface_emotion_cnn.evaluation_tables import Evaluated
from bidsface_emotion_cnn.leakage_audit import NAMES
from bidsface_emotion_cnn.resampling import interval_text


def headline(item: Evaluated) -> str:
    """Say how well a classifier does under a split."""
    found = item.evaluation
    ends = found.balanced_accuracy
    interval = interval_text(float(ends.low), float(ends.high))
    within = "" if interval == "n/a" else f" (95 % CI {interval})"
    # With participants held out a response to the moment is enough for a small p.
    p = "" if found.shift is None else f", {_p(found.p)}"
    return (
        f"{item.estimator}, {NAMES[item.scheme]}: balanced accuracy "
        f"{found.pooled.balanced_accuracy:.3f}{within}, chance {found.pooled.chance:.3f}{p}; mean "
        f"area under the curves {found.auc.macro:.3f} (within folds, chance 0.5)"
    )


def evaluation_summary(items: Sequence[Evaluated], film: bool) -> Summary:
    """Return the main scores of all classifiers and splits.

    Parameters
    ----------
    items : sequence of Evaluated
    film : bool
        Whether labels belong to a film that all have seen.
    """
    rows = [
        {
            "classifier": item.estimator,
            "split": NAMES[item.scheme],
            "balanced accuracy": _score(
                float(item.evaluation.pooled.balanced_accuracy),
                float(item.evaluation.balanced_accuracy.low),
                float(item.evaluation.balanced_accuracy.high),
            ),
            "chance": f"{item.evaluation.pooled.chance:.3f}",
            "p": "n/a" if np.isnan(item.evaluation.p) else f"{item.evaluation.p:.4f}",
            "smallest p": "n/a" if np.isnan(_smallest(item)) else f"{_smallest(item):.2g}",
            "mean area under the curves": _score(
                item.evaluation.auc.macro,
                item.evaluation.auc.macro_low,
                item.evaluation.auc.macro_high,
            ),
            "calibration error": f"{item.evaluation.calibration.mass.expected_error:.3f}",
            "volumes": f"{int(item.evaluation.pooled.n):,}",
        }
        for item in items
    ]
    tests = (
        "circular shifts of the film's labels where segments of a film are held out, else signed "
        "ranks of participants, which speak of other people who see the same film: responses to "
        "its moments that people share are enough"
        if film
        else "signed ranks of participants"
    )
    caption = (
        "Of all held-out volumes together, areas of pairs of volumes that the same fold tested "
        "(chance 0.5), with 95 % confidence intervals over participants. p, of the balanced "
        f"accuracy: {tests}; none for the random split, which leaks."
    )
    return Summary("Held-out scores", pd.DataFrame(rows), caption)


def _smallest(item: Evaluated) -> float:
    """Return the smallest p that the test in the table can reach."""
    found = item.evaluation
    if np.isnan(found.p):
        return float("nan")
    return found.above_chance.smallest_p if found.shift is None else found.shift.smallest_p


def _score(value: float, low: float, high: float) -> str:
    interval = interval_text(low, high)
    return f"{value:.3f}" if interval == "n/a" else f"{value:.3f} ({interval})"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
