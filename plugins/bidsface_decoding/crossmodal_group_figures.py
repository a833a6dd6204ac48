"""The figures of a group's cross-modal decoding, from what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from bidsface.analysis import Figure
from bidsface_decoding.comparisons import REALIGNMENT
from bidsface_decoding.condition_drawing import (
    ClassPanel,
    Estimate,
    GainPanel,
    GainRow,
    MotionPanel,
)
from bidsface_decoding.condition_panels import (
    AnyPanel,
    bars_figure,
    classes_figure,
    gains_figure,
    motion_figure,
)
from bidsface_decoding.conditions import REGRESSED, Setting, camel_case
from bidsface_decoding.crossmodal_group_grids import (
    CONTROL_NAME,
    Confusions,
    confusion_figures,
    displacement_figure,
)
from bidsface_decoding.crossmodal_scores import control_of
from bidsface_decoding.figures import Bar, BarPanel
from bidsface_decoding.findings import Findings, Row
from bidsface_decoding.options import MOTION

COLUMNS = 3
STARS_TEXT = "(* < 0.05, ** < 0.01, *** < 0.001)"


def group_figures(found: Findings, confusions: Confusions) -> Iterator[Figure]:
    """Yield the figures of every kind of samples and classifier."""
    for samples, estimator in found.views:
        settings = found.settings(samples, estimator)
        entities = {"contrast": camel_case(samples, estimator)}
        about = f"({estimator}, {samples})"
        for make in (_accuracy, _gains, _classes, _motion, displacement_figure):
            yield from make(found, settings, entities, about)
        yield from confusion_figures(found, settings, confusions, entities, about)


def arrange(settings: Sequence[Setting]) -> list[list[Setting]]:
    """Return rows of settings.

    Where it comes out even, there is a column within tasks and one per direction across tasks, so
    that realigned stands below not realigned; else settings follow one another.
    """
    keys = [
        (one.condition.is_within or (one.condition.train_task, one.condition.test_task), one)
        for one in settings
    ]
    blocks = [[one for _, one in members] for _, members in groupby(keys, key=lambda key: key[0])]
    if len(blocks) <= COLUMNS and len(set(map(len, blocks))) == 1:
        return [list(row) for row in zip(*blocks, strict=True)]
    return [list(settings[start : start + COLUMNS]) for start in range(0, len(settings), COLUMNS)]


def _filled(
    grid: Sequence[Sequence[Setting]], make: Callable[[Setting], AnyPanel]
) -> list[list[AnyPanel]]:
    return [[make(one) for one in row] for row in grid]


def estimate(row: Row, p: str = "p_fdr", value: str = "value") -> Estimate:
    """Return the mean, interval and p of a row."""
    return Estimate(row[value], (row["ci_low"], row["ci_high"]), row[p])


def known_rows(found: Findings, setting: Setting) -> list[Row]:
    """Return the rows of a setting's regions that somebody has a score in."""
    return [row for row in found.rows(setting) if not np.isnan(row["value"])]


def points(found: Findings, setting: Setting, region: str) -> list[float]:
    """Return the participants' scores."""
    return found.families[setting].scores[region].dropna().tolist()


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


def _gain_panel(found: Findings, setting: Setting, changes: Mapping[str, Row]) -> GainPanel:
    before = Setting(
        setting.condition.without_aligner(), setting.estimator, setting.samples, setting.motion
    )
    nothing = Estimate(np.nan, (np.nan, np.nan), np.nan)
    rows = []
    for row in known_rows(found, setting):
        region = row["roi_name"]
        first = found.row(before, region)
        change = changes.get(region)
        rows.append(
            GainRow(
                region,
                nothing if first is None or change is None else estimate(first),
                estimate(row),
                [] if change is None else points(found, before, region),
                points(found, setting, region),
                nothing if change is None else estimate(change, value="difference"),
            )
        )
    return GainPanel(setting.condition.words, rows, found.chance(setting))


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
        return ClassPanel(setting.condition.words, rows, found.chance(setting))

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
        return MotionPanel(setting.condition.words, rows, alone, found.chance(setting))

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
