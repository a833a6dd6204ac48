"""What head motion could explain of a group's scores: a table and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Summary
from bidsface.numerics.rank_correlation import smallest_noticed
from bidsface_decoding.conditions import KEPT, REGRESSED, Setting
from bidsface_decoding.crossmodal_group_report import about
from bidsface_decoding.findings import Findings, Row

SIGNIFICANT = 0.05


def motion_summary(found: Findings) -> Summary | None:
    """Return a row per condition; None where nothing about head motion was computed."""
    settings = [one for one in found.families if one.motion == KEPT and not one.control]
    rows = [_row(found, setting) for setting in settings]
    frame = pd.DataFrame(rows).dropna(axis=1, how="all")
    if len(frame.columns) < 3:
        return None
    return Summary("Could head motion explain the scores?", frame, _caption(found))


def _row(found: Findings, setting: Setting) -> dict[str, Any]:
    rows = [row for row in found.rows(setting) if not np.isnan(row["value"])]
    control, kept, strongest = found.control(setting), _kept(found, setting), None
    correlations = _correlations(found, setting)
    if correlations:
        strongest = max(correlations, key=lambda row: abs(row["rho"]))
    inference = any(not np.isnan(row["p"]) for row in rows)
    above = sum(row["p_fdr"] < SIGNIFICANT for row in rows) if inference else np.nan
    changes = _changes(found, setting)
    return {
        "Condition": f"{setting.condition.words}{about(found, setting)}",
        f"Head motion alone: {found.metric}": np.nan if control is None else control["value"],
        "Its p": np.nan if control is None else float(f"{control['p']:.3g}"),
        "Regions above chance": f"{above} of {len(rows)}" if inference else np.nan,
        "of these still with motion regressed out": np.nan if kept is None else str(len(kept)),
        "Mean change by regression": float(np.mean(changes)) if changes else np.nan,
        "Strongest correlation with displacement": np.nan
        if strongest is None
        else f"{strongest['rho']:.2f} ({strongest['roi_name']})".replace("-", "−"),
        "Its p (FDR)": np.nan if strongest is None else float(f"{strongest['p_fdr']:.3g}"),
        "Regions correlated": np.nan
        if strongest is None
        else str(len({row["roi_name"] for row in correlations if row["p_fdr"] < SIGNIFICANT})),
    }


def _regressed(setting: Setting) -> Setting:
    return Setting(setting.condition, setting.estimator, setting.samples, REGRESSED)


def _kept(found: Findings, setting: Setting) -> list[str] | None:
    """Return regions above chance before and after regressing motion out; None if not known."""
    other = _regressed(setting)
    if other not in found.families or found.n < 2:
        return None
    pairs = [(row, found.row(other, row["roi_name"])) for row in found.rows(setting)]
    return [
        str(row["roi_name"])
        for row, after in pairs
        if after is not None and row["p_fdr"] < SIGNIFICANT and after["p_fdr"] < SIGNIFICANT
    ]


def _changes(found: Findings, setting: Setting) -> list[float]:
    """Return what regressing motion out changes, in every region that has both."""
    pairs = [
        (row["value"], found.row(_regressed(setting), row["roi_name"]))
        for row in found.rows(setting)
    ]
    changes = [after["value"] - value for value, after in pairs if after is not None]
    return [float(change) for change in changes if not np.isnan(change)]


def _correlations(found: Findings, setting: Setting) -> list[Row]:
    """Return correlations with displacement of the tested and of the trained task."""
    tasks = dict.fromkeys((setting.condition.test_task, setting.condition.train_task))
    rows = [
        found.correlation(setting, region, task)
        for region in found.families[setting].scores.columns
        for task in tasks
    ]
    return [row for row in rows if row is not None and not np.isnan(row["rho"])]


def _caption(found: Findings) -> str:
    sentences = [
        "Where head motion alone is above chance, people move differently with the classes, and "
        "a score in the brain may come from that. Regions that stay above chance with motion "
        "regressed out hold information beyond what the motion parameters explain linearly. A "
        "positive correlation with framewise displacement would mean that those who move more are "
        "decoded better. None of the three rules out effects of motion that the parameters do not "
        "describe."
    ]
    known = found.correlations.dropna(subset=["rho"])
    if len(known):
        n = int(known["n"].max())
        sentences.append(
            f"Spearman's correlation over {n} participants, with the tested and the trained task's "
            f"mean framewise displacement; the smallest p that can be reached is "
            f"{known['p_min'].min():.2g}, and with so few participants only correlations beyond "
            f"about ±{smallest_noticed(n):.2f} reach p < 0.05, before any correction."
        )
    return " ".join(sentences)


def motion_highlights(found: Findings) -> Iterator[str]:
    """Yield a sentence per classifier and kind of samples."""
    for samples, estimator in found.views:
        settings = found.settings(samples, estimator)
        parts = [
            part
            for part in (
                _alone_text(found, settings),
                _regressed_text(found, settings),
                _displacement_text(found, settings),
            )
            if part
        ]
        if parts:
            yield f"Head motion{about(found, settings[0])}: {'; '.join(parts)}."


def _alone_text(found: Findings, settings: list[Setting]) -> str:
    rows = {}
    for setting in settings:
        row = found.control(setting)
        if row is not None and not setting.condition.is_realigned:
            rows[setting.condition.words] = row
    if not rows:
        return ""
    if not any(row["p_min"] < SIGNIFICANT for row in rows.values()):
        scores = [f"{row['value']:.2f} {words}" for words, row in rows.items()]
        return f"alone it gives a {found.metric} of {', '.join(scores)}"
    above = [
        f"{words} ({found.metric} {row['value']:.2f}, p = {row['p']:.2g})"
        for words, row in rows.items()
        if row["p"] < SIGNIFICANT
    ]
    if not above:
        return "alone it decodes no condition above chance"
    return f"alone it decodes above chance: {', '.join(above)}"


def _regressed_text(found: Findings, settings: list[Setting]) -> str:
    kept = {setting: _kept(found, setting) for setting in settings}
    tested = [setting for setting, names in kept.items() if names is not None]
    above = sum(row["p_fdr"] < SIGNIFICANT for setting in tested for row in found.rows(setting))
    if not above:
        return ""
    remain = sum(len(kept[setting] or ()) for setting in tested)
    return (
        f"with motion regressed out, {remain} of the {above} scores above chance (regions and "
        "conditions) remain so"
    )


def _displacement_text(found: Findings, settings: list[Setting]) -> str:
    rows = [row for setting in settings for row in _correlations(found, setting)]
    if not rows:
        return ""
    n_found = sum(row["p_fdr"] < SIGNIFICANT for row in rows)
    count = "no score is" if not n_found else f"{n_found} of {len(rows)} scores are"
    return f"{count} correlated with framewise displacement at p_fdr < 0.05"
