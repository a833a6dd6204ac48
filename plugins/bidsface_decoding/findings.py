"""What the group level of cross-modal decoding found, ready to be told and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import ParticipantResults
from bidsface_decoding.comparisons import Comparison, comparison_frame, find_comparisons, rows_of
from bidsface_decoding.conditions import KEPT, Condition, Setting
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.crossmodal_scores import (
    DISPLACEMENT,
    Families,
    collect_filled,
    control_of,
    crossmodal_frame,
    displacements,
    find_families,
)
from bidsface_decoding.displacement import correlation_frame
from bidsface_decoding.options import MOTION
from bidsface_decoding.scoring import METRICS

Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Findings:
    """Tested scores of a group.

    Attributes
    ----------
    metric : str
        In words.
    families : mapping of Setting to Family
    scores : DataFrame
        A row per setting, region and class, as it is written.
    comparisons : sequence of Comparison
    differences : DataFrame
        A row per comparison and region.
    correlations : DataFrame
        With framewise displacement: a row per setting, region and task.
    displacement : DataFrame
        Mean framewise displacement (mm), participants by tasks.
    """

    metric: str
    families: Families
    scores: pd.DataFrame
    comparisons: Sequence[Comparison]
    differences: pd.DataFrame
    correlations: pd.DataFrame
    displacement: pd.DataFrame

    @cached_property
    def n(self) -> int:
        """Number of participants."""
        return max(len(family.scores) for family in self.families.values())

    @cached_property
    def views(self) -> list[tuple[str, str]]:
        """Kinds of samples and classifiers, each of which gets its own figures and tables."""
        regions = [setting for setting in self.families if not setting.control]
        return list(dict.fromkeys((one.samples, one.estimator) for one in regions))

    def settings(self, samples: str, estimator: str, motion: str = KEPT) -> list[Setting]:
        """Return the settings of a view, controls left out."""
        return [
            one
            for one in self.families
            if (one.samples, one.estimator, one.motion) == (samples, estimator, motion)
            and not one.control
        ]

    def regions(self, settings: Sequence[Setting]) -> list[str]:
        """Return the regions of settings, in the order of the one that has most of them first."""
        fullest = sorted(settings, key=lambda one: -self.families[one].scores.shape[1])
        names = [name for one in fullest for name in self.families[one].scores.columns]
        return list(dict.fromkeys(names))

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return sorted({str(name) for name in self.scores["class"].dropna()})

    def row(self, setting: Setting, region: str, name: str = "") -> Row | None:
        """Return what was found of all classes or one; None where there is nothing."""
        return self._rows.get((setting, region, name))

    def rows(self, setting: Setting) -> list[Row]:
        """Return what was found of all classes in every region of a setting."""
        columns = self.families[setting].scores.columns
        return [self._rows[setting, region, ""] for region in columns]

    def control(self, setting: Setting) -> Row | None:
        """Return what head motion alone gives away of a setting's tasks."""
        found = control_of(self.families, setting)
        return None if found is None else self.row(found[0], MOTION)

    def chance(self, setting: Setting) -> float:
        """Return the mean chance level of a setting; NaN where none is known."""
        levels = self.families[setting].chance.to_numpy(float)
        return float(np.nanmean(levels)) if np.isfinite(levels).any() else float("nan")

    def changes(self, comparison: Comparison) -> dict[str, Row]:
        """Return what a comparison found, by region."""
        rows = rows_of(comparison, self.differences)
        return {str(row["roi_name"]): row for row in _records(rows)}

    def correlation(self, setting: Setting, region: str, task: str) -> Row | None:
        """Return the correlation of a region's scores with a task's framewise displacement."""
        return self._correlations.get((setting, region, task))

    @cached_property
    def _correlations(self) -> dict[tuple[Setting, str, str], Row]:
        return {
            (_setting(row), str(row["roi_name"]), str(row["displacement_task"])): row
            for row in _records(self.correlations)
        }

    @cached_property
    def _rows(self) -> dict[tuple[Setting, str, str], Row]:
        rows = self.scores[self.scores["metric"] != DISPLACEMENT]
        found: dict[tuple[Setting, str, str], Row] = {}
        for row in _records(rows):
            label: str = "" if pd.isna(row["class"]) else str(row["class"])
            found[_setting(row), str(row["roi_name"]), label] = row
        return found


def _records(frame: pd.DataFrame) -> list[Row]:
    records: list[Row] = frame.to_dict("records")  # type: ignore[assignment]
    return records


def _setting(row: Row) -> Setting:
    control = row["roi_name"] == MOTION
    return Setting(Condition.of(row), row["estimator"], row["samples"], row["motion"], control)


def find(
    participants: Sequence[ParticipantResults],
    options: CrossmodalOptions,
    seed: Callable[..., np.random.SeedSequence],
) -> Findings | None:
    """Test what the participants' tables hold; None where nobody has scores."""
    scores = collect_filled(participants, "scores")
    if scores.empty:
        return None
    tables = {one.label: one.table("permutations") for one in participants}
    permutations = {label: table for label, table in tables.items() if len(table)}
    families = find_families(scores, permutations, options, seed)
    if not families:
        return None
    comparisons = find_comparisons(options.comparisons, families)
    moved = displacements(scores)
    correlations = correlation_frame(
        families, moved, options.metric, options.group_draws, seed("displacement")
    )
    return Findings(
        METRICS[options.metric].description,
        families,
        crossmodal_frame(families, scores, options.metric),
        comparisons,
        comparison_frame(comparisons, families, options.metric),
        correlations,
        moved,
    )
