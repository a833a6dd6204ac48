"""Comparisons of settings within participants: differences, intervals, signed-rank tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Table
from bidsface_decoding.conditions import KEPT, REGRESSED, Setting
from bidsface_decoding.crossmodal_scores import ALIGNER_COLUMN, Families
from bidsface_decoding.family import moments, wilcoxon_columns
from bidsface_decoding.options import MOTION

Pairs = Iterator[tuple[Setting, Setting]]

REALIGNMENT, ESTIMATORS = "realignment", "estimators"


@dataclass(frozen=True)
class Comparison:
    """Setting A less setting B, in every region that has both."""

    kind: str
    first: Setting
    second: Setting

    @property
    def two_tailed(self) -> bool:
        """Whether differences of both signs count; realignment is expected to gain."""
        return self.kind != REALIGNMENT


def _same(first: Setting, second: Setting, *fields: str) -> bool:
    """Tell whether two settings are alike but for some fields."""
    return replace(first, **{name: getattr(second, name) for name in fields}) == second


def _pairs(settings: Sequence[Setting], *fields: str) -> Pairs:
    """Yield pairs, in order, that differ in nothing but some fields."""
    for first, second in combinations(settings, 2):
        if _same(first, second, *fields):
            yield first, second


def _realignment(settings: Sequence[Setting]) -> Pairs:
    for setting in settings:
        if setting.condition.is_realigned:
            yield setting, replace(setting, condition=setting.condition.without_aligner())


def _tasks(settings: Sequence[Setting]) -> Pairs:
    yield from _pairs([one for one in settings if one.condition.is_within], "condition")


def _transfer(settings: Sequence[Setting]) -> Pairs:
    within = [one for one in settings if one.condition.is_within]
    across = [one for one in settings if not one.condition.is_within]
    for first in within:
        for second in across:
            same_test = first.condition.test_task == second.condition.test_task
            if same_test and _same(first, second, "condition"):
                yield first, second


def _directions(settings: Sequence[Setting]) -> Pairs:
    for first, second in _pairs(settings, "condition"):
        one, other = first.condition, second.condition
        reverse = (one.train_task, one.test_task) == (other.test_task, other.train_task)
        if reverse and not one.is_within and one.aligner == other.aligner:
            yield first, second


def _aligners(settings: Sequence[Setting]) -> Pairs:
    realigned = [one for one in settings if one.condition.is_realigned]
    for first, second in _pairs(realigned, "condition"):
        if first.condition.direction == second.condition.direction:
            yield first, second


def _motion(settings: Sequence[Setting]) -> Pairs:
    for setting in settings:
        if setting.motion == KEPT:
            yield setting, replace(setting, motion=REGRESSED)


def _estimators(settings: Sequence[Setting]) -> Pairs:
    yield from _pairs(settings, "estimator")


KINDS: Mapping[str, Callable[[Sequence[Setting]], Pairs]] = {
    REALIGNMENT: _realignment,
    "tasks": _tasks,
    "transfer": _transfer,
    "directions": _directions,
    "aligners": _aligners,
    "motion": _motion,
    ESTIMATORS: _estimators,
}

MEANINGS: Mapping[str, str] = {
    REALIGNMENT: "across tasks, with an aligner (A) against without (B)",
    "tasks": "within one task (A) against within another (B)",
    "transfer": "within a task (A) against across tasks, tested on the same task (B)",
    "directions": "one direction across tasks (A) against the other (B)",
    "aligners": "one aligner (A) against another (B)",
    "motion": "samples as they are (A) against samples with head motion regressed out (B)",
    ESTIMATORS: "one classifier (A) against another (B)",
}

_SIDES = {
    "condition": "The condition in words",
    "estimator": "Classifier, by its name in the recipe",
    "motion": "What became of the samples' head motion: kept or regressed",
    "train_task": "Task that the classifier was trained on",
    "test_task": "Task that the classifier was tested on",
    "aligner": ALIGNER_COLUMN.description,
}

COMPARISON_COLUMNS: Mapping[str, Column] = {
    "comparison": Column("What is compared: setting A less setting B", levels=MEANINGS),
    "roi_name": Column("Region of interest"),
    "samples": Column("Kind of samples, by its name in the recipe"),
    **{
        f"{name}_{side}": Column(f"{meaning} (setting {side.upper()})")
        for side in "ab"
        for name, meaning in _SIDES.items()
    },
    "metric": Column("The score that is compared"),
    "mean_a": Column("Mean score of setting A over the participants who have both"),
    "mean_b": Column("Mean score of setting B over the participants who have both"),
    "difference": Column("Mean of the participants' differences, A less B"),
    "sd": Column("Standard deviation of the differences"),
    "ci_low": Column("Lower end of the t-based 95 % confidence interval of the difference"),
    "ci_high": Column("Upper end of the t-based 95 % confidence interval of the difference"),
    "tail": Column(
        "Alternative hypothesis",
        levels={"greater": "A scores more than B", "two-sided": "A and B differ"},
    ),
    "p": Column("Exact Wilcoxon signed-rank test of the differences"),
    "p_fdr": Column("`p` adjusted by Benjamini and Hochberg over the regions of one comparison"),
    "p_min": Column("Smallest value that `p` can take with so many participants"),
    "n": Column("Number of participants who have both"),
}


def find_comparisons(kinds: Iterable[str], families: Families) -> list[Comparison]:
    """Return the comparisons of some kinds that the families allow.

    Parameters
    ----------
    kinds : iterable of str
        Keys of `KINDS`.
    families : mapping of Setting to Family
    """
    settings = [setting for setting in families if not setting.control]
    return [
        Comparison(kind, first, second)
        for kind in dict.fromkeys(kinds)
        for first, second in KINDS[kind](settings)
        if first in families and second in families
    ]


def comparison_frame(
    comparisons: Sequence[Comparison], families: Families, metric: str
) -> pd.DataFrame:
    """Return a row per comparison and region that both settings have."""
    rows = [row for one in comparisons for row in _rows(one, families, metric)]
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))


def comparison_table(frame: pd.DataFrame, entities: Entities) -> Table:
    """Wrap the frame of `comparison_frame`."""
    text = "Differences between scores of the same participants, by region"
    return Table("comparisons", frame, COMPARISON_COLUMNS, entities, text)


def _rows(comparison: Comparison, families: Families, metric: str) -> Iterator[dict[str, Any]]:
    first, second = families[comparison.first].scores, families[comparison.second].scores
    regions = [name for name in first.columns if name in second.columns and name != MOTION]
    labels = first.index.intersection(second.index)
    if not regions or not len(labels):
        return
    a, b = first.loc[labels, regions], second.loc[labels, regions]
    differences = (a - b).to_numpy(float)
    tests = wilcoxon_columns(differences, two_tailed=comparison.two_tailed)
    keys = _keys(comparison) | {"metric": metric}
    for column, region in enumerate(regions):
        found = moments(differences[:, column])
        both = ~np.isnan(differences[:, column])
        if not both.any():
            continue
        yield {
            **keys,
            "roi_name": region,
            "mean_a": float(a.loc[both, region].mean()),
            "mean_b": float(b.loc[both, region].mean()),
            "difference": found.pop("value"),
            **found,
            **{name: values[column] for name, values in tests.items()},
        }


def _keys(comparison: Comparison) -> dict[str, Any]:
    sides = {
        f"{name}_{side}": value
        for side, setting in (("a", comparison.first), ("b", comparison.second))
        for name, value in _side(setting).items()
    }
    return {
        "comparison": comparison.kind,
        "samples": comparison.first.samples,
        "tail": "two-sided" if comparison.two_tailed else "greater",
        **sides,
    }


def _side(setting: Setting) -> dict[str, Any]:
    return {
        "condition": setting.condition.words,
        "estimator": setting.estimator,
        "motion": setting.motion,
        **setting.condition.columns,
    }


def rows_of(comparison: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a comparison."""
    wanted = _keys(comparison)
    same = [
        frame[name].isna() if value != value else frame[name] == value
        for name, value in wanted.items()
    ]
    return frame[np.logical_and.reduce(same)]
