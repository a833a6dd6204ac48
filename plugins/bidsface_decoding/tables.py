"""Tables and matrices of decoding results, and the descriptions of their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Matrix, Table
from bidsface_decoding.plan import Problem
from bidsface_decoding.task import Outcome, TaskDecoding

ALL_FOLDS = "mean"
RECALL = "recall"

KEY_COLUMNS: Mapping[str, Column] = {
    "roi_name": Column(
        "Region of interest; `motion` stands for the head-motion parameters alone, which no "
        "correction over regions counts"
    ),
    "estimator": Column("Classifier, by its name in the recipe"),
    "samples": Column("Kind of samples, by its name in the recipe"),
    "train_task": Column("Task that the classifier was trained on"),
    "test_task": Column("Task that the classifier was tested on"),
}

SCORE_COLUMNS: Mapping[str, Column] = {
    **KEY_COLUMNS,
    "metric": Column(
        "What `value` is",
        levels={
            "balanced_accuracy": "Mean over classes of the fraction of samples recognized",
            "accuracy": "Fraction of samples recognized",
            RECALL: "Accuracy per class: fraction of the samples of `class` that were recognized",
        },
    ),
    "class": Column("Class that the row is about; n/a for all classes together"),
    "fold": Column("Run, session or group of runs that was held out; `mean` for the mean of folds"),
    "value": Column("The score, 0 to 1"),
    "chance": Column(
        "Score to expect by chance; where the test part of a fold lacks a class, the mean score of "
        "the permutations, and n/a without permutations"
    ),
    "p": Column("One-tailed p-value of the score, from permuting the labels of events within runs"),
    "p_fdr": Column(
        "p-value adjusted by Benjamini and Hochberg over the regions of the same task, samples "
        "and classifier"
    ),
    "n": Column("Number of samples that were tested"),
}

PREDICTION_COLUMNS: Mapping[str, Column] = {
    **KEY_COLUMNS,
    "fold": Column("Run, session or group of runs that was held out when the sample was predicted"),
    "event": Column("Number of the event that the sample belongs to"),
    "run_index": Column("Run of the sample"),
    "onset": Column("Onset of the event within its run", units="s"),
    "time": Column("Time of the sample within its run", units="s"),
    "trial_type": Column("Class of the event"),
    "predicted": Column("Class that was predicted"),
}


def variant(samples: str, estimator: str) -> Entities:
    """Return the entity that tells results of several samples and classifiers apart."""
    words = re.findall(r"[0-9a-zA-Z]+", estimator)
    return {"contrast": samples + "".join(word[:1].upper() + word[1:] for word in words)}


def score_table(found: TaskDecoding, metric: str) -> Table:
    """Return every score of a task in long format."""
    rows = [
        row
        for outcome in found.outcomes
        for row in score_rows(
            _keys(found, outcome), outcome, found.problems[outcome.samples], found.classes, metric
        )
    ]
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    text = f"Cross-validated scores of decoding {', '.join(found.classes)} in task {found.task}"
    return Table("scores", frame, SCORE_COLUMNS, found.entities, text)


def _keys(found: TaskDecoding, outcome: Outcome) -> dict[str, Any]:
    return {
        "roi_name": outcome.roi_name,
        "estimator": outcome.estimator,
        "samples": outcome.samples,
        "train_task": found.task,
        "test_task": found.task,
    }


def score_rows(
    keys: Mapping[str, Any],
    outcome: Outcome,
    problem: Problem,
    classes: Sequence[str],
    metric: str,
) -> Iterator[dict[str, Any]]:
    """Yield the mean, the folds, and both for every class; ``keys`` start every row."""
    scores, codes = outcome.scores, problem.codes[0]
    tests = [codes[fold.test] for fold in problem.folds]
    overall, chance = {**keys, "metric": metric, "class": np.nan}, scores.chance
    yield {
        **overall,
        "chance": chance.mean,
        "fold": ALL_FOLDS,
        "value": scores.mean,
        "p": outcome.p,
        "p_fdr": outcome.p_fdr,
        "p_fwe": outcome.p_fwe,
        "n": sum(map(len, tests)),
    }
    for number, (fold, test) in enumerate(zip(problem.folds, tests, strict=True)):
        values = {"value": float(scores.folds[number]), "chance": float(chance.folds[number])}
        yield {**overall, **values, "fold": fold.name, "n": len(test)}
    for code in np.unique(codes):
        shares = scores.recalls[:, code]
        counts = [int((test == code).sum()) for test in tests]
        row = {**keys, "metric": RECALL, "class": classes[code]}
        tested = shares[~np.isnan(shares)]
        mean = float(tested.mean()) if len(tested) else np.nan
        expected = float(chance.classes[code])
        yield {**row, "chance": expected, "fold": ALL_FOLDS, "value": mean, "n": sum(counts)}
        for number, fold in enumerate(problem.folds):
            values = {"value": float(shares[number]), "chance": float(chance.recalls[number, code])}
            yield {**row, **values, "fold": fold.name, "n": counts[number]}


def prediction_table(found: TaskDecoding) -> Table:
    """Return the prediction of every held-out sample."""
    frames = [
        predicted_rows(
            _keys(found, outcome), outcome, found.problems[outcome.samples], found.classes
        )
        for outcome in found.outcomes
    ]
    text = f"Predicted classes of held-out samples in task {found.task}"
    return Table(
        "predictions",
        pd.concat(frames, ignore_index=True)[list(PREDICTION_COLUMNS)],
        PREDICTION_COLUMNS,
        found.entities,
        text,
    )


def predicted_rows(
    keys: Mapping[str, Any], outcome: Outcome, problem: Problem, classes: Sequence[str]
) -> pd.DataFrame:
    """Return the predictions of held-out samples; ``keys`` are columns with one value."""
    samples = problem.samples.table
    folds = np.full(len(samples), "", dtype=object)
    for fold in problem.folds:
        folds[fold.test] = fold.name
    tested = outcome.scores.predicted >= 0
    return samples.loc[tested, ["event", "run_index", "onset", "time", "trial_type"]].assign(
        **keys,
        fold=folds[tested],
        predicted=np.array(classes, dtype=object)[outcome.scores.predicted[tested]],
    )


def permutation_table(found: TaskDecoding) -> Table | None:
    """Return the scores of every permutation, a column per test; None without permutations."""
    if not len(found.relabellings.codes):
        return None
    frame = pd.DataFrame({item.test_name: item.scores.null for item in found.outcomes})
    columns = {
        item.test_name: Column(
            f"Score of {item.estimator} in {item.roi_name} from {item.samples}, labels permuted"
        )
        for item in found.outcomes
    }
    text = (
        f"Scores of task {found.task} with the labels of events permuted within runs; a row is "
        "one permutation, the same in all columns"
    )
    return Table("permutations", frame, columns, found.entities, text)


def confusion_matrices(found: TaskDecoding) -> list[Matrix]:
    """Return the confusion matrix (counts of samples) of every test."""
    return [
        Matrix(
            confusion_frame(outcome, found),
            {
                **found.entities,
                "label": outcome.roi_name,
                **variant(outcome.samples, outcome.estimator),
            },
            f"Confusion matrix of {outcome.estimator} in {outcome.roi_name} from "
            f"{outcome.samples} of task {found.task}: numbers of samples by true class (rows) and "
            "predicted class (columns)",
        )
        for outcome in found.outcomes
    ]


def confusion_frame(outcome: Outcome, found: TaskDecoding) -> pd.DataFrame:
    """Return counts of samples by true (rows) and predicted (columns) class."""
    return count_frame(outcome, found.problems[outcome.samples], found.classes)


def count_frame(outcome: Outcome, problem: Problem, classes: Sequence[str]) -> pd.DataFrame:
    """Return counts of samples by true (rows) and predicted (columns) class."""
    counts = outcome.scores.confusion(problem.codes[0])
    return pd.DataFrame(counts, index=list(classes), columns=list(classes))
