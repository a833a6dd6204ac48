"""Tables and matrices of cross-modal results, and the descriptions of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Matrix, Table
from bidsface_decoding.conditions import KEPT
from bidsface_decoding.crossmodal_outcomes import CrossDecoding, CrossOutcome
from bidsface_decoding.crossmodal_scores import DISPLACEMENT, with_conditions
from bidsface_decoding.options import MOTION
from bidsface_decoding.tables import (
    PREDICTION_COLUMNS,
    SCORE_COLUMNS,
    count_frame,
    predicted_rows,
    score_rows,
)

_FAMILY = "of the same tasks, aligner, samples, classifier and treatment of head motion"
_KEYS = ("roi_name", "estimator", "aligner", "motion", "samples", "train_task", "test_task")
_ORDER = (*_KEYS, "metric", "class", "fold", "value", "chance", "p", "p_fdr", "p_fwe", "n")
_WORDS: Mapping[str, Column] = {
    **with_conditions(SCORE_COLUMNS),
    "fold": Column("Number of the run that was left out of all tasks; `mean` for the mean"),
    "value": Column("The score, 0 to 1, or framewise displacement in mm"),
    "p": Column(
        "One-tailed p-value of the score, from permuting the labels of events within the runs of "
        "all tasks, aligners refitted to every permutation"
    ),
    "p_fdr": Column(f"p-value adjusted by Benjamini and Hochberg over the regions {_FAMILY}"),
    "p_fwe": Column(
        f"p-value corrected by the largest score of every permutation over the regions {_FAMILY}"
    ),
}
CROSS_SCORE_COLUMNS: Mapping[str, Column] = {name: _WORDS[name] for name in _ORDER}

_PREDICTION_WORDS: Mapping[str, Column] = {
    **PREDICTION_COLUMNS,
    **{name: _WORDS[name] for name in ("aligner", "motion", "fold")},
}
CROSS_PREDICTION_COLUMNS: Mapping[str, Column] = {
    name: _PREDICTION_WORDS[name]
    for name in (*_KEYS, *(name for name in PREDICTION_COLUMNS if name not in _KEYS))
}


def _keys(outcome: CrossOutcome) -> dict[str, Any]:
    return {
        "roi_name": outcome.roi_name,
        "estimator": outcome.estimator,
        "motion": outcome.motion,
        "samples": outcome.samples,
        **outcome.condition.columns,
    }


def score_table(found: CrossDecoding, metric: str) -> Table:
    """Return every score in long format, and the tasks' framewise displacement."""
    classes = found.plan.classes
    rows = [
        row
        for outcome in found.outcomes
        for row in score_rows(_keys(outcome), outcome, found.problem(outcome), classes, metric)
    ]
    rows.extend(_displacement_rows(found.displacement))
    frame = pd.DataFrame(rows, columns=list(CROSS_SCORE_COLUMNS))
    text = (
        f"Cross-validated scores of decoding {', '.join(classes)} within and across the tasks "
        f"{', '.join(found.plan.tasks)}"
    )
    return Table("scores", frame, CROSS_SCORE_COLUMNS, found.plan.entities, text)


def _displacement_rows(displacement: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    for task, value in displacement.items():
        keys = {"roi_name": MOTION, "train_task": task, "test_task": task}
        yield {**keys, "metric": DISPLACEMENT, "value": value}


def prediction_table(found: CrossDecoding) -> Table:
    """Return the prediction of every held-out sample, head motion not regressed out."""
    frames = [
        predicted_rows(_keys(outcome), outcome, found.problem(outcome), found.plan.classes)
        for outcome in found.outcomes
        if outcome.motion == KEPT
    ]
    frame = pd.concat(frames, ignore_index=True)[list(CROSS_PREDICTION_COLUMNS)]
    text = f"Predicted classes of held-out samples of the tasks {', '.join(found.plan.tasks)}"
    return Table("predictions", frame, CROSS_PREDICTION_COLUMNS, found.plan.entities, text)


def permutation_table(found: CrossDecoding) -> Table | None:
    """Return the scores of every permutation, a column per test; None without permutations."""
    tests = [outcome for outcome in found.outcomes if outcome.motion == KEPT]
    if found.plan.relabellings is None or not len(found.plan.relabellings.codes):
        return None
    frame = pd.DataFrame({item.test_name: item.scores.null for item in tests})
    columns = {
        item.test_name: Column(
            f"Score of {item.estimator} in {item.roi_name} from {item.samples}, "
            f"{item.condition.words}, labels permuted"
        )
        for item in tests
    }
    text = (
        "Scores with the labels of events permuted within the runs of all tasks; a row is one "
        "permutation, the same in all columns"
    )
    return Table("permutations", frame, columns, found.plan.entities, text)


def confusion_matrices(found: CrossDecoding) -> list[Matrix]:
    """Return the confusion matrix (counts of samples) of every test, motion not regressed out."""
    return [
        Matrix(
            count_frame(outcome, found.problem(outcome), found.plan.classes),
            {
                **found.plan.entities,
                "label": outcome.roi_name,
                "contrast": outcome.setting.label,
            },
            f"Confusion matrix of {outcome.estimator} in {outcome.roi_name} from "
            f"{outcome.samples}, {outcome.condition.words}: numbers of samples by true class "
            "(rows) and predicted class (columns)",
        )
        for outcome in found.outcomes
        if outcome.motion == KEPT
    ]


def confusion_shares(outcome: CrossOutcome, found: CrossDecoding) -> np.ndarray:
    """Return shares of the true class (rows) that were taken for the predicted one (columns)."""
    counts = count_frame(outcome, found.problem(outcome), found.plan.classes).to_numpy(float)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
