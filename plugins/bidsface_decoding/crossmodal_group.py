"""The group level of cross-modal decoding: from participants' tables to results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import Matrix, ParticipantResults, Results
from bidsface_decoding.cohort import shared_entities, with_entities
from bidsface_decoding.comparisons import comparison_table
from bidsface_decoding.conditions import KEPT, Setting
from bidsface_decoding.crossmodal_group_figures import group_figures
from bidsface_decoding.crossmodal_group_report import about, group_highlights, group_summaries
from bidsface_decoding.crossmodal_group_text import crossmodal_group_methods
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.crossmodal_scores import by_settings, collect_filled, crossmodal_table
from bidsface_decoding.displacement import correlation_table
from bidsface_decoding.findings import Findings, find
from bidsface_decoding.group import mean_confusion
from bidsface_decoding.motion_report import motion_highlights, motion_summary
from bidsface_decoding.text import citations_of


def crossmodal_group(
    participants: Sequence[ParticipantResults],
    options: CrossmodalOptions,
    seed: Callable[..., np.random.SeedSequence],
) -> Results:
    """Average scores over participants, test them against chance and compare conditions.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : CrossmodalOptions
    seed : callable
        Random stream of names.
    """
    found = find(participants, options, seed)
    if found is None:
        return Results(warnings=["no participant has scores of this analysis"])
    confusions = dict(_confusions(found, collect_filled(participants, "predictions")))
    tables = [crossmodal_table(found.scores, {})]
    if len(found.differences):
        tables.append(comparison_table(found.differences, {}))
    if len(found.correlations):
        tables.append(correlation_table(found.correlations, {}))
    motion = motion_summary(found)
    methods = crossmodal_group_methods(found, options)
    results = Results(
        tables=tables,
        matrices=[_matrix(*key, frame) for key, frame in confusions.items()],
        figures=list(group_figures(found, confusions)),
        summaries=[*group_summaries(found), *([] if motion is None else [motion])],
        highlights=[*group_highlights(found), *motion_highlights(found)],
        warnings=list(_warnings(found, participants)),
        methods=methods,
        citations=citations_of(methods),
    )
    return with_entities(results, shared_entities(participants))


def _confusions(
    found: Findings, predictions: pd.DataFrame
) -> Iterator[tuple[tuple[Setting, str], pd.DataFrame]]:
    """Yield the mean confusion matrix of every setting and region, in the order of the scores."""
    if predictions.empty:
        return
    classes = sorted(set(predictions["trial_type"].astype(str)))
    by_setting = dict(by_settings(predictions))
    for setting, family in found.families.items():
        if setting not in by_setting:
            continue
        by_region = dict(iter(by_setting[setting].groupby("roi_name", sort=False)))
        for region in family.scores.columns:
            if region in by_region:
                yield (setting, region), mean_confusion(by_region[region], classes)


def _matrix(setting: Setting, region: str, frame: pd.DataFrame) -> Matrix:
    return Matrix(
        frame,
        {"label": region, "contrast": setting.label},
        f"Mean over participants of the confusion matrix of {setting.estimator} in {region} from "
        f"{setting.samples}, {setting.condition.words}: share of the true class (rows) that was "
        "taken for the predicted class (columns)",
    )


def _warnings(found: Findings, participants: Sequence[ParticipantResults]) -> Iterator[str]:
    """Yield what could not be tested, and why."""
    if found.n < 2:
        yield "one participant only, so there is no inference"
        return
    for setting, family in found.families.items():
        if family.without_chance and not setting.control and setting.motion == KEPT:
            yield (
                f"{setting.condition.words}{about(found, setting)}: the Wilcoxon test leaves out "
                f"{_people(family.without_chance)}: some folds lack a class, and without "
                "permutations the chance level is not known there"
            )
    bare = [one.label for one in participants if not len(one.table("permutations"))]
    if 0 < len(bare) < len(participants):
        yield f"no permutation test of the group: {_people(bare)} without permutations"


def _people(labels: Sequence[str]) -> str:
    return ", ".join(f"sub-{label}" for label in labels)
