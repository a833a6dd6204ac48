"""Correlation over participants of scores with mean framewise displacement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Table
from bidsface.numerics.rank_correlation import (
    orders_of,
    pearson_interval,
    smallest_spearman_p,
    spearman,
)
from bidsface.statistics import fdr
from bidsface_decoding.conditions import Setting
from bidsface_decoding.crossmodal_scores import CROSSMODAL_COLUMNS, Families
from bidsface_decoding.family import Family

Orders = Callable[[int], tuple[np.ndarray, bool]]

FEWEST = 3
"""With fewer participants there is no correlation to speak of."""

CORRELATION_COLUMNS: Mapping[str, Column] = {
    **{
        name: CROSSMODAL_COLUMNS[name]
        for name in (
            *("roi_name", "estimator", "aligner", "motion", "samples", "train_task", "test_task"),
            "metric",
        )
    },
    "displacement_task": Column("Task whose mean framewise displacement is correlated"),
    "rho": Column("Spearman's rank correlation of score and framewise displacement"),
    "p": Column("Two-tailed permutation p-value of `rho`"),
    "p_fdr": Column(
        "`p` adjusted by Benjamini and Hochberg over the regions of one condition, treatment of "
        "motion and task of displacement"
    ),
    "p_min": Column("Smallest value that `p` can take with so many participants"),
    "r": Column("Pearson's correlation of score and framewise displacement"),
    "ci_low": Column("Lower end of Fisher's 95 % confidence interval of `r`"),
    "ci_high": Column("Upper end of Fisher's 95 % confidence interval of `r`"),
    "n": Column("Number of participants"),
}


def correlation_frame(
    families: Families,
    displacement: pd.DataFrame,
    metric: str,
    n_draws: int,
    seed: np.random.SeedSequence,
) -> pd.DataFrame:
    """Return a row per setting, region and task of displacement.

    Parameters
    ----------
    families : mapping of Setting to Family
    displacement : DataFrame
        Mean framewise displacement (mm), participants by tasks.
    metric : str
    n_draws : int
        Orders that are drawn where there are too many participants to list them all.
    seed : SeedSequence
        The same orders serve all tests, so that p does not depend on the number of regions.
    """

    @cache
    def orders(n: int) -> tuple[np.ndarray, bool]:
        return orders_of(n, n_draws, seed)

    rows = [
        row
        for setting, family in families.items()
        for task in _moved_tasks(setting, displacement)
        for row in _rows(setting, family, displacement[task], orders, n_draws)
    ]
    return pd.DataFrame(
        [row | {"metric": metric} for row in rows], columns=list(CORRELATION_COLUMNS)
    )


def correlation_table(frame: pd.DataFrame, entities: Entities) -> Table:
    """Wrap the frame of `correlation_frame`; within a task the aligner is missing."""
    text = "Correlation over participants of scores with mean framewise displacement"
    return Table("correlations", frame, CORRELATION_COLUMNS, entities, text)


def _moved_tasks(setting: Setting, displacement: pd.DataFrame) -> list[str]:
    """Return the tested task, then the trained one, where their displacement is known."""
    tasks = dict.fromkeys((setting.condition.test_task, setting.condition.train_task))
    return [task for task in tasks if task in displacement.columns]


def _rows(
    setting: Setting, family: Family, displacement: pd.Series, orders: Orders, n_draws: int
) -> Iterator[dict[str, Any]]:
    moved = displacement.reindex(family.scores.index).to_numpy(float)
    if np.count_nonzero(~np.isnan(moved)) < FEWEST:
        return
    found = [
        _correlate(moved, family.scores[region].to_numpy(float), orders, n_draws)
        for region in family.scores.columns
    ]
    p = np.array([row["p"] for row in found])
    adjusted = np.full_like(p, np.nan) if setting.control else fdr(p)
    keys = {**setting.keys, **setting.condition.columns, "displacement_task": displacement.name}
    for region, row, p_fdr in zip(family.scores.columns, found, adjusted, strict=True):
        yield {"roi_name": region, **keys, **row, "p_fdr": p_fdr}


def _correlate(
    moved: np.ndarray, scores: np.ndarray, orders: Orders, n_draws: int
) -> dict[str, Any]:
    both = ~np.isnan(moved) & ~np.isnan(scores)
    n = int(both.sum())
    names = ("rho", "p", "r", "ci_low", "ci_high", "p_min")
    if n < FEWEST:
        return dict.fromkeys(names, np.nan) | {"n": n}
    ranked = spearman(moved[both], scores[both], *orders(n))
    linear = pearson_interval(moved[both], scores[both])
    return dict(zip(names, (*ranked, *linear, smallest_spearman_p(n, n_draws)), strict=True)) | {
        "n": n
    }
