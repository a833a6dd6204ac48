"""The figures of a group's cross-modal decoding, from what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from bidsface.analysis import Figure
from bidsface_decoding.comparisons import REALIGNMENT
from bidsface_decoding.condition_panels import (
    AnyPanel,
    ClassPanel,
    Estimate,
    GainPanel,
    GainRow,
    MotionPanel,
    bars_figure,
    classes_figure,
    gains_figure,
    motion_figure,
)
from bidsface_decoding.conditions import REGRESSED, Setting, camel_case
from bidsface_decoding.crossmodal_panels import Cloud, cloud_grid, confusion_grid
from bidsface_decoding.crossmodal_scores import control_of
from bidsface_decoding.figures import Bar, BarPanel
from bidsface_decoding.findings import Findings, Row
from bidsface_decoding.options import MOTION

COLUMNS = 3
REGIONS_PER_PAGE = 6
MAIN_REGIONS = 3
CONTROL_NAME = "head motion alone"
STARS_TEXT = "(* < 0.05, ** < 0.01, *** < 0.001)"

Confusions = Mapping[tuple[Setting, str], pd.DataFrame]


def group_figures(found: Findings, confusions: Confusions) -> Iterator[Figure]:
    """Yield the figures of every kind of samples and classifier."""
    for samples, estimator in found.views:
        settings = found.settings(samples, estimator)
        entities = {"contrast": camel_case(samples, estimator)}
        about = f"({estimator}, {samples})"
        for make in (_accuracy, _gains, _classes, _motion, _displacement):
            yield from make(found, settings, entities, about)
        yield from _confusions(found, settings, confusions, entities, about)


def arrange(settings: Sequence[Setting]) -> list[list[Setting | None]]:
    """Return rows of settings: a column within tasks, then one per direction across tasks."""
    keys = [
        (one.condition.is_within or (one.condition.train_task, one.condition.test_task), one)
        for one in settings
    ]
    blocks = [[one for _, one in members] for _, members in groupby(keys, key=lambda key: key[0])]
    rows: list[list[Setting | None]] = []
    for start in range(0, len(blocks), COLUMNS):
        chosen = blocks[start : start + COLUMNS]
        for number in range(max(map(len, chosen))):
            rows.append([block[number] if number < len(block) else None for block in chosen])
    return rows


def _filled(
    grid: Sequence[Sequence[Setting | None]], make: Callable[[Setting], AnyPanel]
) -> list[list[AnyPanel | None]]:
    return [[None if one is None else make(one) for one in row] for row in grid]


def estimate(row: Row, p: str = "p_fdr", value: str = "value") -> Estimate:
    """Return the mean, interval and p of a row."""
    return Estimate(row[value], (row["ci_low"], row["ci_high"]), row[p])


def known_rows(found: Findings, setting: Setting) -> list[Row]:
    """Return the rows of a setting's regions that somebody has a score in."""
    return [row for row in found.rows(setting) if not np.isnan(row["value"])]


def points(found: Findings, setting: Setting, region: str) -> list[float]:
    """Return the participants' scores."""
    return found.families[setting].scores[region].dropna().tolist()


def chance_of(found: Findings, setting: Setting) -> float:
    """Return the mean chance level of a setting; NaN where none is known."""
    levels = found.families[setting].chance.to_numpy(float)
    return float(np.nanmean(levels)) if np.isfinite(levels).any() else float("nan")


def _accuracy(
    found: Findings, settings: Sequence[Setting], entities: Mapping[str, str], about: str
) -> Iterator[Figure]:
    def panel(setting: Setting) -> BarPanel:
        bars = [
            _bar(row["roi_name"], row, points(found, setting, row["roi_name"]), row["p_fdr"])
            for row in known_rows(found, setting)
        ]
        control = control_of(found.families, setting)
        row = found.control(setting)
        if control is not None and row is not None and not np.isnan(row["value"]):
            values = points(found, control[0], MOTION)
            bars.append(_bar(CONTROL_NAME, row, values, row["p"], control=True))
        return BarPanel(setting.condition.words, bars)

    yield Figure(
        "accuracy",
        bars_figure(_filled(arrange(settings), panel), found.metric),
        f"{found.metric.capitalize()} by region and condition {about}",
        "Bars and dots: mean over participants, with 95 % confidence interval; small dots: "
        "participants. Dashed line: chance. Stars: one-tailed Wilcoxon signed-rank test against "
        f"chance, p adjusted over regions by the false discovery rate {STARS_TEXT}. Open diamond: "
        "ridge on head-motion parameters alone, without aligner (stars: its own p).",
        entities,
    )


def _bar(name: str, row: Row, values: Sequence[float], p: float, control: bool = False) -> Bar:
    interval = (row["ci_low"], row["ci_high"])
    return Bar(name, row["value"], values, interval, p, row["chance"], control)


def _gains(
    found: Findings, settings: Sequence[Setting], entities: Mapping[str, str], about: str
) -> Iterator[Figure]:
    chosen = {
        one.first: found.changes(one)
        for one in found.comparisons
        if one.kind == REALIGNMENT and one.first in settings
    }
    if not chosen:
        return
    panels = [_gain_panel(found, setting, changes) for setting, changes in chosen.items()]
    grid = [panels[start : start + 2] for start in range(0, len(panels), 2)]
    yield Figure(
        "realignment",
        gains_figure(grid, found.metric),
        f"Before and after functional realignment {about}",
        "Bars: mean over participants without an aligner (grey) and realigned (blue), with 95 % "
        "confidence interval; dots: participants; dashed line: chance. Numbers: mean gain; bold "
        "with stars where a one-tailed Wilcoxon signed-rank test of the participants' gains is "
        f"significant, p adjusted over regions by the false discovery rate {STARS_TEXT}. Regions "
        "that differ between tasks can only be decoded after realignment.",
        entities,
    )


def _gain_panel(found: Findings, setting: Setting, changes: pd.DataFrame) -> GainPanel:
    before = Setting(
        setting.condition.without_aligner(), setting.estimator, setting.samples, setting.motion
    )
    nothing = Estimate(np.nan, (np.nan, np.nan), np.nan)
    rows = []
    for row in known_rows(found, setting):
        region = row["roi_name"]
        first = found.row(before, region)
        changed = region in changes.index and first is not None
        rows.append(
            GainRow(
                region,
                estimate(first) if first is not None and changed else nothing,
                estimate(row),
                points(found, before, region) if changed else [],
                points(found, setting, region),
                estimate(changes.loc[region].to_dict(), value="difference") if changed else nothing,
            )
        )
    return GainPanel(setting.condition.words, rows, chance_of(found, setting))


def _classes(
    found: Findings, settings: Sequence[Setting], entities: Mapping[str, str], about: str
) -> Iterator[Figure]:
    def panel(setting: Setting) -> ClassPanel:
        rows: dict[str, dict[str, Estimate]] = {}
        for region in found.families[setting].scores.columns:
            each = {name: found.row(setting, region, name) for name in found.classes}
            rows[region] = {
                name: estimate(row)
                for name, row in each.items()
                if row is not None and not np.isnan(row["value"])
            }
        return ClassPanel(setting.condition.words, rows, chance_of(found, setting))

    yield Figure(
        "classes",
        classes_figure(_filled(arrange(settings), panel), found.classes, "accuracy of the class"),
        f"Accuracy per class {about}",
        "Mean over participants of the share of a class's samples that were recognized, with 95 % "
        "confidence interval; dashed line: chance. Filled: above chance by a one-tailed Wilcoxon "
        "signed-rank test, p < 0.05 adjusted over regions by the false discovery rate.",
        entities,
    )


def _motion(
    found: Findings, settings: Sequence[Setting], entities: Mapping[str, str], about: str
) -> Iterator[Figure]:
    def panel(setting: Setting) -> MotionPanel:
        other = Setting(setting.condition, setting.estimator, setting.samples, REGRESSED)
        rows = {}
        for row in known_rows(found, setting):
            region = row["roi_name"]
            after = found.row(other, region)
            rows[region] = (estimate(row), None if after is None else estimate(after))
        control = found.control(setting)
        alone = None if control is None else estimate(control, "p")
        return MotionPanel(setting.condition.words, rows, alone, chance_of(found, setting))

    has_control = any(found.control(one) is not None for one in settings)
    if not has_control and not any(one.motion == REGRESSED for one in found.families):
        return
    yield Figure(
        "motion",
        motion_figure(_filled(arrange(settings), panel), found.metric),
        f"{found.metric.capitalize()} and head motion {about}",
        "Mean over participants with 95 % confidence interval, from the samples as they are and "
        "after their head-motion parameters were regressed out, beside what the parameters alone "
        "give away (orange line, band: 95 % confidence interval). Dashed line: chance. Stars: "
        "one-tailed Wilcoxon signed-rank test against chance, p adjusted over regions by the false "
        f"discovery rate {STARS_TEXT}.",
        entities,
    )


def main_regions(found: Findings, settings: Sequence[Setting]) -> list[str]:
    """Return the regions with the highest mean score over conditions, best first."""
    means = pd.concat([found.families[one].scores.mean() for one in settings], axis=1)
    best = means.dropna().mean(axis=1).sort_values(ascending=False, kind="stable")
    return [str(name) for name in best.index[:MAIN_REGIONS]]


def _displacement(
    found: Findings, settings: Sequence[Setting], entities: Mapping[str, str], about: str
) -> Iterator[Figure]:
    if found.correlations.empty:
        return
    regions = main_regions(found, settings)
    clouds, chances = {}, {}
    for setting in settings:
        words = setting.condition.words
        chances[words] = chance_of(found, setting)
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


def _cloud(found: Findings, setting: Setting, region: str, p: str) -> Cloud:
    scores = found.families[setting].scores[region]
    task = setting.condition.test_task
    moved = (
        found.displacement[task].reindex(scores.index)
        if task in found.displacement
        else pd.Series(np.nan, scores.index)
    )
    row = found.correlation(setting, region, task)
    text = "" if row is None or np.isnan(row["rho"]) else f"ρ = {row['rho']:.2f}, p = {row[p]:.2g}"
    return Cloud(moved.to_numpy(float), scores.to_numpy(float), text.replace("-", "−"))


def _confusions(
    found: Findings,
    settings: Sequence[Setting],
    confusions: Confusions,
    entities: Mapping[str, str],
    about: str,
) -> Iterator[Figure]:
    drawn = [one for one in settings if any(key == one for key, _ in confusions)]
    regions = [
        name for name in found.regions(drawn) if any((one, name) in confusions for one in drawn)
    ]
    pages = [
        regions[start : start + REGIONS_PER_PAGE]
        for start in range(0, len(regions), REGIONS_PER_PAGE)
    ]
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
            confusion_grid(matrices, page, words, list(next(iter(confusions.values())).columns)),
            f"Confusion matrices by region and condition {about}{which}",
            "Percentage of the samples of the true class (rows) that were taken for the predicted "
            "class (columns), mean over participants.",
            entities,
        )
