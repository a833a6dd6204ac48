"""Scores of a family of regions over participants: moments, and tests against chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.statistics import (
    GroupTest,
    fdr,
    group_permutation,
    mean_interval,
    signed_rank_p,
    smallest_signed_rank_p,
)
from bidsface_decoding.options import MOTION
from bidsface_decoding.tables import ALL_FOLDS


@dataclass(frozen=True, eq=False)
class Family:
    """Scores of all regions that one correction counts.

    Attributes
    ----------
    keys : mapping of str to str
        Columns that all rows of the family share: ``estimator``, ``samples``, ``train_task``, ...
    scores : DataFrame
        Participants (rows) by regions (columns); NaN where a participant lacks a region.
    chance : DataFrame
        Chance levels, like ``scores``; NaN also where a participant's level is not known.
    test : GroupTest or None
        None with one participant or without permutations.
    """

    keys: Mapping[str, str]
    scores: pd.DataFrame
    chance: pd.DataFrame
    test: GroupTest | None

    @property
    def task(self) -> str:
        """The task that the classifier was trained on."""
        return self.keys["train_task"]

    @property
    def samples(self) -> str:
        """The kind of samples."""
        return self.keys["samples"]

    @property
    def estimator(self) -> str:
        """The classifier."""
        return self.keys["estimator"]

    @property
    def is_control(self) -> bool:
        """Whether this is the head-motion control, which no correction counts."""
        return list(self.scores.columns) == [MOTION]

    @property
    def above_chance(self) -> NDArray[np.float64]:
        """Scores less chance, shape (n_participants, n_regions)."""
        return (self.scores - self.chance).to_numpy()

    @property
    def without_chance(self) -> tuple[str, ...]:
        """Participants who have a score whose chance level is not known."""
        unknown = (self.scores.notna() & self.chance.isna()).any(axis=1)
        return tuple(str(label) for label in self.scores.index[unknown])


def by_region(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return scores and chance levels of one family, participants by regions.

    Parameters
    ----------
    rows : DataFrame
        ``participant_id``, ``roi_name``, ``value`` and ``chance``; several rows of a participant
        and region (sessions) are averaged.
    """
    order = list(dict.fromkeys(rows["roi_name"]))
    scores, chance = (
        rows.pivot_table(index="participant_id", columns="roi_name", values=name, dropna=False)
        for name in ("value", "chance")
    )
    scores = scores[order].dropna(how="all")
    return scores, chance.reindex(index=scores.index, columns=order)


def permutation_test(
    scores: pd.DataFrame,
    chance: pd.DataFrame,
    columns: Sequence[str],
    permutations: Mapping[str, pd.DataFrame],
    n_draws: int,
    seed: np.random.SeedSequence,
) -> GroupTest | None:
    """Test mean scores by combining the participants' permutations.

    Parameters
    ----------
    scores, chance : DataFrame
        Participants by regions.
    columns : sequence of str
        What the regions' columns in the tables of permutations are called.
    permutations : mapping of participant to DataFrame
    n_draws : int
    seed : SeedSequence

    Returns
    -------
    GroupTest or None
        None with one participant, or where somebody has no permutations.
    """
    if len(scores) < 2 or any(label not in permutations for label in scores.index):
        return None
    nulls = [
        permutations[label].reindex(columns=list(columns)).to_numpy(float) - levels
        for label, levels in zip(scores.index, chance.to_numpy(float), strict=True)
    ]
    return group_permutation(scores - chance, nulls, n_draws, seed)


def family_rows(family: Family, metric: str) -> list[dict[str, Any]]:
    """Return a row per region: moments, and tests where there are two participants at least."""
    wilcoxon = wilcoxon_columns(family.above_chance, corrected=not family.is_control)
    rows = []
    for column, region in enumerate(family.scores.columns):
        row: dict[str, Any] = {"roi_name": region, **family.keys}
        row |= {"metric": metric, "class": np.nan, "fold": ALL_FOLDS}
        row |= moments(family.scores[region].to_numpy())
        row |= {"chance": float(family.chance[region].mean())}
        row |= {name: values[column] for name, values in wilcoxon.items()}
        if family.test is not None:
            row |= {
                "p_permutation": family.test.p[column],
                "p_fwe": np.nan if family.is_control else family.test.p_fwe[column],
                "p_permutation_min": family.test.smallest_p,
            }
        rows.append(row)
    return rows


def wilcoxon_columns(
    differences: NDArray[np.float64], corrected: bool = True, two_tailed: bool = False
) -> dict[str, NDArray[np.float64]]:
    """Return ``p``, ``p_fdr`` (over columns) and ``p_min`` of differences from 0.

    Parameters
    ----------
    differences : ndarray of shape (n_participants, n_tests)
        NaN where a participant lacks a test.
    corrected : bool
        Whether the tests are a family; ``p_fdr`` is NaN if not.
    two_tailed : bool

    Returns
    -------
    dict of str to ndarray of shape (n_tests,)
        All NaN with one participant.
    """
    nothing = np.full(differences.shape[1], np.nan)
    if len(differences) < 2:
        return {"p": nothing, "p_fdr": nothing, "p_min": nothing}
    counts = (~np.isnan(differences)).sum(axis=0)
    p = np.array([signed_rank_p(column, two_tailed) for column in differences.T])
    smallest = np.array([smallest_signed_rank_p(int(n), two_tailed) for n in counts])
    return {"p": p, "p_fdr": fdr(p) if corrected else nothing, "p_min": smallest}


def moments(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return mean, number, standard deviation and t-based 95 % interval; NaN do not count."""
    values = values[~np.isnan(values)]
    low, high = mean_interval(values)
    return {
        "value": float(values.mean()) if len(values) else np.nan,
        "n": len(values),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
        "ci_low": low,
        "ci_high": high,
    }
