"""Figures of regions by conditions, from what was found: framewise displacement, confusions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import Figure
from bidsface_decoding.conditions import Setting
from bidsface_decoding.crossmodal_panels import Cloud, cloud_grid, confusion_grid
from bidsface_decoding.crossmodal_scores import control_of
from bidsface_decoding.findings import Findings
from bidsface_decoding.options import MOTION

REGIONS_PER_PAGE = 6
MAIN_REGIONS = 3
CONTROL_NAME = "head motion alone"

Confusions = Mapping[tuple[Setting, str], pd.DataFrame]


def main_regions(found: Findings, settings: Sequence[Setting]) -> list[str]:
    """Return the regions with the highest mean score over conditions, best first."""
    means = pd.concat([found.families[one].scores.mean() for one in settings], axis=1)
    best = means.dropna().mean(axis=1).sort_values(ascending=False, kind="stable")
    return [str(name) for name in best.index[:MAIN_REGIONS]]


def displacement_figure(
    found: Findings, settings: Sequence[Setting], entities: Mapping[str, str], about: str
) -> Iterator[Figure]:
    """Yield scores against framewise displacement, where there is enough to correlate."""
    if found.correlations.empty:
        return
    regions = main_regions(found, settings)
    clouds, chances = {}, {}
    for setting in settings:
        words = setting.condition.words
        chances[words] = found.chance(setting)
        for region in regions:
            if region in found.families[setting].scores:
                clouds[words, region] = _cloud(found, setting, region, "p_fdr")
        control = control_of(found.families, setting)
        if control is not None:
            clouds[words, CONTROL_NAME] = _cloud(found, control[0], MOTION, "p")
    yield Figure(
        "displacement",
        cloud_grid(clouds, list(chances), [*regions, CONTROL_NAME], found.metric, chances),
        f"{found.metric.capitalize()} against framewise displacement {about}",
        f"Dots: participants; line: least squares. The {len(regions)} regions with the highest "
        "mean score, and head motion alone. Above each panel: Spearman's rank correlation and its "
        "permutation p, adjusted over regions by the false discovery rate (head motion alone: not "
        "adjusted). Dashed line: chance.",
        entities,
    )


def p_text(p: float) -> str:
    """Say a p-value."""
    return f"p = {p:.2f}" if p >= 0.01 else f"p = {p:.1g}"


def _cloud(found: Findings, setting: Setting, region: str, p: str) -> Cloud:
    scores = found.families[setting].scores[region]
    task = setting.condition.test_task
    moved = (
        found.displacement[task].reindex(scores.index)
        if task in found.displacement
        else pd.Series(np.nan, scores.index)
    )
    row = found.correlation(setting, region, task)
    text = "" if row is None or np.isnan(row["rho"]) else f"ρ = {row['rho']:.2f}, {p_text(row[p])}"
    return Cloud(np.asarray(moved, float), np.asarray(scores, float), text.replace("-", "−"))


def confusion_figures(
    found: Findings,
    settings: Sequence[Setting],
    confusions: Confusions,
    entities: Mapping[str, str],
    about: str,
) -> Iterator[Figure]:
    """Yield pages of mean confusion matrices."""
    drawn = [one for one in settings if any(key == one for key, _ in confusions)]
    regions = [
        name for name in found.regions(drawn) if any((one, name) in confusions for one in drawn)
    ]
    pages = [
        regions[start : start + REGIONS_PER_PAGE]
        for start in range(0, len(regions), REGIONS_PER_PAGE)
    ]
    chosen = [frame for (one, _), frame in confusions.items() if one in drawn]
    largest = float(np.nanmax([frame.to_numpy(float) for frame in chosen])) if chosen else 1.0
    classes = list(chosen[0].columns) if chosen else []
    for number, page in enumerate(pages, start=1):
        matrices = {
            (region, one.condition.words): confusions[one, region].to_numpy(float)
            for one in drawn
            for region in page
            if (one, region) in confusions
        }
        words = [one.condition.words for one in drawn]
        which = f", page {number} of {len(pages)}" if len(pages) > 1 else ""
        yield Figure(
            f"confusion{number}",
            confusion_grid(matrices, page, words, classes, largest),
            f"Confusion matrices by region and condition {about}{which}",
            "Percentage of the samples of the true class (rows) that were taken for the predicted "
            "class (columns), mean over participants; the darker the more, alike in all matrices.",
            entities,
        )
