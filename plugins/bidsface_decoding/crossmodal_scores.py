"""Scores of a group across tasks: families of regions, and their table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, ParticipantResults, Table
from bidsface_decoding.conditions import (
    CONDITION_COLUMNS,
    KEPT,
    REGRESSED,
    Condition,
    Setting,
    permutation_column,
)
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.family import (
    Family,
    by_region,
    family_rows,
    moments,
    permutation_test,
)
from bidsface_decoding.group import GROUP_COLUMNS, collect
from bidsface_decoding.options import MOTION
from bidsface_decoding.tables import ALL_FOLDS, RECALL

DISPLACEMENT = "framewise_displacement"
"""Metric of rows that hold a task's mean framewise displacement (mm)."""

ALIGNER_COLUMN = Column(
    "Aligner, by its name in the recipe, that mapped the tested task's samples into the space of "
    "the trained one's; `none` across tasks without one, n/a within a task"
)
MOTION_COLUMN = Column(
    "What became of the samples' head motion",
    levels={
        KEPT: "Samples as the recipe cleaned them",
        REGRESSED: "Head-motion parameters of the samples were regressed out of them, with "
        "coefficients from training runs",
    },
)


def with_conditions(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return columns of scores with those that tell conditions apart, and one metric more."""
    levels = {
        **(columns["metric"].levels or {}),
        DISPLACEMENT: "Mean framewise displacement (mm) of a task",
    }
    return {
        **columns,
        "aligner": ALIGNER_COLUMN,
        "motion": MOTION_COLUMN,
        "metric": Column(columns["metric"].description, levels=levels),
    }


_WORDS: Mapping[str, Column] = {
    **with_conditions(GROUP_COLUMNS),
    "value": Column("Mean of the participants: a score, 0 to 1, or framewise displacement in mm"),
    "p_fdr": Column(
        "`p` adjusted by Benjamini and Hochberg over the regions of the same tasks, aligner, "
        "samples, classifier and treatment of motion (and class)"
    ),
}
_ORDER = (
    *("roi_name", "estimator", "aligner", "motion", "samples", "train_task", "test_task"),
    *("metric", "class", "fold", "value", "chance", "p", "p_fdr", "p_fwe", "n", "sd", "ci_low"),
    *("ci_high", "p_min", "p_permutation", "p_permutation_min"),
)
CROSSMODAL_COLUMNS: Mapping[str, Column] = {name: _WORDS[name] for name in _ORDER}

Families = Mapping[Setting, Family]


def collect_filled(participants: Sequence[ParticipantResults], suffix: str) -> pd.DataFrame:
    """Return a table of all participants; the aligner is an empty text within a task."""
    table = collect(participants, suffix)
    if table.empty:
        return table
    filled = table["aligner"].astype(object).where(table["aligner"].notna(), "")
    return table.assign(aligner=filled, motion=table["motion"].astype(object))


def find_families(
    scores: pd.DataFrame,
    permutations: Mapping[str, pd.DataFrame],
    options: CrossmodalOptions,
    seed: Callable[..., np.random.SeedSequence],
) -> dict[Setting, Family]:
    """Test every family of regions; the head-motion control is a family of its own.

    Parameters
    ----------
    scores : DataFrame
        Scores of all participants, from `collect_filled`.
    permutations : mapping of participant to DataFrame
    options : CrossmodalOptions
    seed : callable
        Random stream of a condition's tasks and aligner.

    Returns
    -------
    dict of Setting to Family
        Within tasks first, then across tasks, every realigned condition after its direction.
    """
    means = scores[(scores["metric"] == options.metric) & (scores["fold"] == ALL_FOLDS)]
    found = {}
    for setting, rows in by_settings(means):
        values, chance = by_region(rows)
        test = None
        if setting.motion == KEPT:
            columns = [permutation_column(setting, region) for region in values.columns]
            stream = seed("draws", setting.condition.label)
            test = permutation_test(
                values, chance, columns, permutations, options.group_draws, stream
            )
        found[setting] = Family(setting.keys, values, chance, test)
    order = _order(found)
    return {setting: found[setting] for setting in sorted(found, key=order.__getitem__)}


def by_settings(rows: pd.DataFrame) -> Iterator[tuple[Setting, pd.DataFrame]]:
    """Yield the rows of every setting."""
    keys = [*CONDITION_COLUMNS, "estimator", "samples", "motion"]
    control = rows["roi_name"] == MOTION
    for (train, test, aligner, estimator, samples, motion, alone), members in rows.assign(
        control=control
    ).groupby([*keys, "control"], sort=False):
        condition = Condition(str(train), str(test), str(aligner))
        yield Setting(condition, str(estimator), str(samples), str(motion), bool(alone)), members


def _order(settings: Mapping[Setting, Family]) -> dict[Setting, tuple[int, ...]]:
    """Return sort keys that keep the tables' order of tasks, aligners, samples and classifiers."""
    tasks = _ranks(
        task
        for setting in settings
        for task in (setting.condition.train_task, setting.condition.test_task)
    )
    aligners = _ranks(setting.condition.aligner for setting in settings)
    samples = _ranks(setting.samples for setting in settings)
    estimators = _ranks(setting.estimator for setting in settings)
    return {
        setting: (
            samples[setting.samples],
            setting.control,
            estimators[setting.estimator],
            setting.motion != KEPT,
            not setting.condition.is_within,
            tasks[setting.condition.train_task],
            tasks[setting.condition.test_task],
            setting.condition.is_realigned,
            aligners[setting.condition.aligner],
        )
        for setting in settings
    }


def _ranks(names: Iterator[str]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(dict.fromkeys(names))}


def control_of(families: Families, setting: Setting) -> tuple[Setting, Family] | None:
    """Return the decoding from head motion alone of a setting's tasks; None where there is none."""
    condition = setting.condition.without_aligner()
    found = (
        (other, family)
        for other, family in families.items()
        if other.control and other.samples == setting.samples and other.condition == condition
    )
    return next(found, None)


def crossmodal_frame(families: Families, scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the group's scores in long format, classes and framewise displacement included."""
    rows = [row for family in families.values() for row in family_rows(family, metric)]
    rows.extend(_class_rows(scores))
    rows.extend(_displacement_rows(scores))
    frame = pd.DataFrame(rows, columns=list(CROSSMODAL_COLUMNS))
    return frame.assign(aligner=frame["aligner"].replace("", np.nan))


def crossmodal_table(frame: pd.DataFrame, entities: Entities) -> Table:
    """Wrap the frame of `crossmodal_frame`."""
    text = "Cross-validated scores of decoding within and across tasks, over participants"
    return Table("scores", frame, CROSSMODAL_COLUMNS, entities, text)


def _class_rows(scores: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the accuracy of every class in every region, tested like the scores."""
    chosen = scores[(scores["metric"] == RECALL) & (scores["fold"] == ALL_FOLDS)]
    for setting, members in by_settings(chosen):
        for name, rows in members.groupby("class", sort=True):
            values, chance = by_region(rows)
            for row in family_rows(Family(setting.keys, values, chance, None), RECALL):
                yield row | {"class": name}


def _displacement_rows(scores: pd.DataFrame) -> Iterator[dict[str, Any]]:
    chosen = scores[scores["metric"] == DISPLACEMENT]
    for task, rows in chosen.groupby("train_task", sort=False):
        keys = {"roi_name": MOTION, "train_task": task, "test_task": task, "fold": ALL_FOLDS}
        yield {**keys, "metric": DISPLACEMENT, **moments(rows["value"].to_numpy(float))}


def displacements(scores: pd.DataFrame) -> pd.DataFrame:
    """Return mean framewise displacement (mm), participants by tasks."""
    rows = scores[scores["metric"] == DISPLACEMENT]
    return rows.pivot_table(index="participant_id", columns="train_task", values="value")
