"""Scores of a group: means, intervals, tests against chance, mean confusion matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Column, Matrix, ParticipantResults, Table
from bidsface.statistics import (
    GroupTest,
    fdr,
    group_permutation,
    mean_interval,
    signed_rank_p,
    smallest_signed_rank_p,
)
from bidsface_decoding.options import MOTION
from bidsface_decoding.tables import (
    ALL_FOLDS,
    RECALL,
    SCORE_COLUMNS,
    confusion_of_predictions,
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


@dataclass(frozen=True, eq=False)
class Family:
    """Scores of all regions for one task, kind of samples and classifier.

    Attributes
    ----------
    scores : DataFrame
        Participants (rows) by regions (columns); NaN where a participant lacks a region.
    chance : DataFrame
        Chance levels, like ``scores``; NaN also where a participant's level is not known.
    test : GroupTest or None
        None with one participant or without permutations.
    """

    task: str
    samples: str
    estimator: str
    scores: pd.DataFrame
    chance: pd.DataFrame
    test: GroupTest | None

    @property
    def name(self) -> tuple[str, str, str]:
        """Task, samples and classifier."""
        return self.task, self.samples, self.estimator

    @property
    def without_chance(self) -> tuple[str, ...]:
        """Participants who have a score whose chance level is not known."""
        unknown = (self.scores.notna() & self.chance.isna()).any(axis=1)
        return tuple(str(label) for label in self.scores.index[unknown])


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
        task, samples, estimator = str(task), str(samples), str(estimator)
        order = list(dict.fromkeys(rows["roi_name"]))
        table = rows.pivot_table(index="participant_id", columns="roi_name", values="value")
        table = table[order]
        levels = rows.pivot_table(
            index="participant_id", columns="roi_name", values="chance", dropna=False
        )
        chance = levels.reindex(index=table.index, columns=table.columns)
        test = _permutation_test(
            table, chance, (task, samples, estimator), permutations, n_draws, seeds[task]
        )
        found.append(Family(task, samples, estimator, table, chance, test))
    return found


def _permutation_test(
    scores: pd.DataFrame,
    chance: pd.DataFrame,
    name: tuple[str, str, str],
    permutations: Mapping[tuple[str, str], pd.DataFrame],
    n_draws: int,
    seed: np.random.SeedSequence,
) -> GroupTest | None:
    task, samples, estimator = name
    if len(scores) < 2 or any((label, task) not in permutations for label in scores.index):
        return None
    columns = [f"{samples}_{estimator}_{region}" for region in scores.columns]
    nulls = [
        permutations[label, task].reindex(columns=columns).to_numpy(float) - levels
        for label, levels in zip(scores.index, chance.to_numpy(float), strict=True)
    ]
    return group_permutation(scores - chance, nulls, n_draws, seed)


def group_table(task: str, families: Sequence[Family], scores: pd.DataFrame, metric: str) -> Table:
    """Return the group's scores of one task in long format."""
    rows = [row for family in families for row in _family_rows(family, metric)]
    rows.extend(_class_rows(scores[scores["train_task"] == task]))
    frame = pd.DataFrame(rows, columns=list(GROUP_COLUMNS))
    text = f"Cross-validated scores of decoding within task {task}, over participants"
    return Table("scores", frame, GROUP_COLUMNS, {"task": task}, text)


def _family_rows(family: Family, metric: str) -> list[dict[str, Any]]:
    above = (family.scores - family.chance).to_numpy()
    inference = len(family.scores) > 1
    p = np.array([signed_rank_p(column) if inference else np.nan for column in above.T])
    control = list(family.scores.columns) == [MOTION]
    adjusted = np.full_like(p, np.nan) if control else fdr(p)
    rows = []
    for column, region in enumerate(family.scores.columns):
        row = _row(family.task, region, family.samples, family.estimator, metric, np.nan)
        row |= _moments(family.scores[region].to_numpy())
        n_tested = int(np.count_nonzero(~np.isnan(above[:, column])))
        row |= {"chance": float(family.chance[region].mean())}
        row |= {"p": p[column], "p_fdr": adjusted[column]}
        row |= {"p_min": smallest_signed_rank_p(n_tested) if inference else np.nan}
        if family.test is not None:
            row |= {
                "p_permutation": family.test.p[column],
                "p_fwe": np.nan if control else family.test.p_fwe[column],
                "p_permutation_min": family.test.smallest_p,
            }
        rows.append(row)
    return rows


def _class_rows(scores: pd.DataFrame) -> Iterator[dict[str, Any]]:
    chosen = scores[(scores["metric"] == RECALL) & (scores["fold"] == ALL_FOLDS)]
    keys = ["train_task", "samples", "estimator", "roi_name", "class"]
    for (task, samples, estimator, region, name), rows in chosen.groupby(keys, sort=False):
        row = _row(str(task), str(region), str(samples), str(estimator), RECALL, name)
        yield row | _moments(rows["value"].to_numpy()) | {"chance": float(rows["chance"].mean())}


def _row(
    task: str, region: str, samples: str, estimator: str, metric: str, name: Any
) -> dict[str, Any]:
    return {
        "roi_name": region,
        "estimator": estimator,
        "samples": samples,
        "train_task": task,
        "test_task": task,
        "metric": metric,
        "class": name,
        "fold": ALL_FOLDS,
    }


def _moments(values: NDArray[np.float64]) -> dict[str, Any]:
    values = values[~np.isnan(values)]
    low, high = mean_interval(values)
    return {
        "value": float(values.mean()) if len(values) else np.nan,
        "n": len(values),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
        "ci_low": low,
        "ci_high": high,
    }


def mean_confusions(predictions: pd.DataFrame, family: Family) -> dict[str, pd.DataFrame]:
    """Return the mean over participants of row-normalized confusion matrices, by region."""
    task, samples, estimator = family.name
    chosen = predictions[
        (predictions["train_task"] == task)
        & (predictions["samples"] == samples)
        & (predictions["estimator"] == estimator)
    ]
    classes = sorted(set(chosen["trial_type"].astype(str)))
    found = {}
    for region in family.scores.columns:
        rows = chosen[chosen["roi_name"] == region]
        each = np.stack(
            [
                confusion_of_predictions(one, classes)
                for _, one in rows.groupby("participant_id", sort=True)
            ]
        )
        count = (~np.isnan(each)).sum(axis=0)
        empty = np.full(each.shape[1:], np.nan)
        mean = np.divide(np.nansum(each, axis=0), count, out=empty, where=count > 0)
        found[region] = pd.DataFrame(mean, index=classes, columns=classes)
    return found


def confusion_matrix(family: Family, region: str, frame: pd.DataFrame) -> Matrix:
    """Wrap a mean confusion matrix."""
    return Matrix(
        frame,
        {"task": family.task, "label": region, **variant(family.samples, family.estimator)},
        f"Mean over participants of the confusion matrix of {family.estimator} in {region} from "
        f"{family.samples} of task {family.task}: share of the true class (rows) that was taken "
        "for the predicted class (columns)",
    )
