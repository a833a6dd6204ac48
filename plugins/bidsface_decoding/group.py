"""Scores of a group: means, intervals, tests against chance, mean confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Matrix, ParticipantResults, Table
from bidsface_decoding.family import Family, by_region, family_rows, moments, permutation_test
from bidsface_decoding.options import MOTION
from bidsface_decoding.scoring import mean_of_known
from bidsface_decoding.tables import (
    ALL_FOLDS,
    RECALL,
    SCORE_COLUMNS,
    variant,
)

GROUP_COLUMNS: Mapping[str, Column] = {
    **SCORE_COLUMNS,
    "value": Column("Mean score of the participants, 0 to 1"),
    "chance": Column("Mean of the participants' chance levels, where they are known"),
    "p": Column("Exact one-tailed Wilcoxon signed-rank test of the scores against chance"),
    "p_fdr": Column(
        "`p` adjusted by Benjamini and Hochberg over the regions of the same task, samples and "
        "classifier"
    ),
    "n": Column("Number of participants"),
    "sd": Column("Standard deviation of the participants' scores"),
    "ci_low": Column("Lower end of the t-based 95 % confidence interval of the mean"),
    "ci_high": Column("Upper end of the t-based 95 % confidence interval of the mean"),
    "p_min": Column(
        "Smallest value that `p` can take with so many participants, of those whose chance level "
        "is known"
    ),
    "p_permutation": Column("One-tailed p of the mean, from the participants' permutations"),
    "p_fwe": Column("`p_permutation` corrected over regions by the largest mean of every draw"),
    "p_permutation_min": Column("Smallest value that `p_permutation` and `p_fwe` can take"),
}


def collect(participants: Sequence[ParticipantResults], suffix: str) -> pd.DataFrame:
    """Return a table of all participants, with a column ``participant_id``."""
    frames = [
        participant.table(suffix).assign(participant_id=participant.label)
        for participant in participants
    ]
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame()
    table = pd.concat(filled, ignore_index=True)
    names = ("roi_name", "estimator", "samples", "train_task", "test_task")
    return table.assign(**{name: table[name].astype(str) for name in names})


def collect_permutations(
    participants: Sequence[ParticipantResults],
) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the permuted scores of every participant and task."""
    return {
        (participant.label, str(table.entities["task"])): table.load()
        for participant in participants
        for table in participant.tables
        if table.suffix == "permutations"
    }


def find_families(
    scores: pd.DataFrame,
    permutations: Mapping[tuple[str, str], pd.DataFrame],
    metric: str,
    n_draws: int,
    seeds: Mapping[str, np.random.SeedSequence],
) -> list[Family]:
    """Test every family of regions; the head-motion control is a family of its own.

    Parameters
    ----------
    scores : DataFrame
        Scores of all participants.
    permutations : mapping of (participant, task) to DataFrame
    metric : str
    n_draws : int
    seeds : mapping of task to SeedSequence
    """
    means = scores[(scores["metric"] == metric) & (scores["fold"] == ALL_FOLDS)]
    means = means.assign(control=means["roi_name"] == MOTION)
    found = []
    keys = ["train_task", "samples", "control", "estimator"]
    for (task, samples, _, estimator), rows in means.groupby(keys, sort=False):
        shared = {"estimator": str(estimator), "samples": str(samples)}
        shared |= {"train_task": str(task), "test_task": str(task)}
        values, chance = by_region(rows)
        columns = [f"{samples}_{estimator}_{region}" for region in values.columns]
        own = {label: table for (label, name), table in permutations.items() if name == task}
        test = permutation_test(values, chance, columns, own, n_draws, seeds[str(task)])
        found.append(Family(shared, values, chance, test))
    return found


def group_table(task: str, families: Sequence[Family], scores: pd.DataFrame, metric: str) -> Table:
    """Return the group's scores of one task in long format."""
    rows = [row for family in families for row in family_rows(family, metric)]
    rows.extend(_class_rows(scores[scores["train_task"] == task]))
    frame = pd.DataFrame(rows, columns=list(GROUP_COLUMNS))
    text = f"Cross-validated scores of decoding within task {task}, over participants"
    return Table("scores", frame, GROUP_COLUMNS, {"task": task}, text)


def _class_rows(scores: pd.DataFrame) -> Iterator[dict[str, Any]]:
    chosen = scores[(scores["metric"] == RECALL) & (scores["fold"] == ALL_FOLDS)]
    keys = ["train_task", "samples", "estimator", "roi_name", "class"]
    for (task, samples, estimator, region, name), rows in chosen.groupby(keys, sort=False):
        row = {"roi_name": region, "estimator": estimator, "samples": samples}
        row |= {"train_task": task, "test_task": task}
        row |= {"metric": RECALL, "class": name, "fold": ALL_FOLDS}
        yield row | moments(rows["value"].to_numpy()) | {"chance": float(rows["chance"].mean())}


def rows_with(table: pd.DataFrame, keys: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows that hold the given values."""
    chosen = np.logical_and.reduce([table[name] == value for name, value in keys.items()])
    return table[chosen]


def mean_confusions(predictions: pd.DataFrame, family: Family) -> dict[str, pd.DataFrame]:
    """Return the mean over participants of row-normalized confusion matrices, by region."""
    chosen = rows_with(predictions, family.keys)
    classes = sorted(set(chosen["trial_type"].astype(str)))
    return {
        region: mean_confusion(rows, classes)
        for region in family.scores.columns
        if len(rows := chosen[chosen["roi_name"] == region])
    }


def mean_confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Return the mean over participants of the row-normalized confusion matrix of one test."""
    people, labels = pd.factorize(predictions["participant_id"])
    codes = {name: code for code, name in enumerate(classes)}
    truth, predicted = (
        predictions[column].astype(str).map(codes).fillna(-1).to_numpy(int)
        for column in ("trial_type", "predicted")
    )
    known = (truth >= 0) & (predicted >= 0)
    counts = np.zeros((len(labels), len(classes), len(classes)))
    np.add.at(counts, (people[known], truth[known], predicted[known]), 1)
    totals = counts.sum(axis=2, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    return pd.DataFrame(mean_of_known(shares), index=list(classes), columns=list(classes))


def confusion_matrix(family: Family, region: str, frame: pd.DataFrame) -> Matrix:
    """Wrap a mean confusion matrix."""
    return Matrix(
        frame,
        {"task": family.task, "label": region, **variant(family.samples, family.estimator)},
        f"Mean over participants of the confusion matrix of {family.estimator} in {region} from "
        f"{family.samples} of task {family.task}: share of the true class (rows) that was taken "
        "for the predicted class (columns)",
    )
