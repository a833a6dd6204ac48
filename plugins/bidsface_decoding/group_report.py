"""What people see of a group's decoding: figures, summaries and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import Figure, Summary
from bidsface_decoding.family import Family
from bidsface_decoding.figures import Bar, BarPanel, accuracy_figure, confusion_figure
from bidsface_decoding.options import MOTION, DecodingOptions
from bidsface_decoding.report import chance_text, without_constants
from bidsface_decoding.scoring import METRICS
from bidsface_decoding.tables import variant


def group_figures(
    task: str, families: Sequence[Family], table: pd.DataFrame, options: DecodingOptions
) -> Iterator[Figure]:
    """Yield a figure of mean scores per classifier."""
    label = METRICS[options.metric].description
    regions = [family for family in families if not family.is_control]
    controls = {family.samples: family for family in families if family.is_control}
    overall = table[table["metric"] == options.metric]
    for estimator in dict.fromkeys(family.estimator for family in regions):
        panels = [
            _panel(family, controls.get(family.samples), overall)
            for family in regions
            if family.estimator == estimator
        ]
        yield Figure(
            "accuracy",
            accuracy_figure(panels, label, null_bands=False),
            f"Task {task}: {label} by region ({estimator})",
            "Bars and dots: mean over participants, with 95 % confidence interval; small dots: "
            "participants. Dashed line: chance. Stars: one-tailed Wilcoxon test against chance, p "
            "adjusted over regions by the false discovery rate (* < 0.05, ** < 0.01, *** < 0.001). "
            "Open diamond: ridge on head-motion parameters alone (stars: its own p).",
            {"task": task, "contrast": variant("by", estimator)["contrast"]},
        )


def _panel(family: Family, control: Family | None, table: pd.DataFrame) -> BarPanel:
    bars = [_bar(family, region, table, "p_fdr") for region in family.scores.columns]
    if control is not None:
        bars.append(_bar(control, MOTION, table, "p"))
    return BarPanel(family.samples, bars)


def _bar(family: Family, region: str, table: pd.DataFrame, p: str) -> Bar:
    row = _row(family, region, table)
    control = region == MOTION
    return Bar(
        "head motion" if control else region,
        row["value"],
        family.scores[region].dropna().tolist(),
        (row["ci_low"], row["ci_high"]),
        row[p],
        row["chance"],
        control,
    )


def _row(family: Family, region: str, table: pd.DataFrame) -> pd.Series:
    chosen = table[
        (table["roi_name"] == region)
        & (table["samples"] == family.samples)
        & (table["estimator"] == family.estimator)
    ]
    return chosen.iloc[0]


def group_confusion_figure(family: Family, confusions: Mapping[str, pd.DataFrame]) -> Figure:
    """Return the figure of mean confusion matrices of a family, best regions first."""
    order = family.scores.mean().sort_values(ascending=False, kind="stable").index
    matrices = {region: confusions[region].to_numpy() for region in order}
    classes = list(next(iter(confusions.values())).columns)
    return Figure(
        "confusion",
        confusion_figure(matrices, classes),
        f"Task {family.task}: mean confusion matrices ({family.estimator}, {family.samples})",
        "Percentage of the samples of the true class (rows) that were taken for the predicted "
        f"class (columns), mean over participants, of the {min(12, len(matrices))} regions with "
        "the highest scores.",
        {"task": family.task, **variant(family.samples, family.estimator)},
    )


def group_summary(
    task: str, families: Sequence[Family], table: pd.DataFrame, options: DecodingOptions
) -> Summary:
    """Return mean scores of every region, with the head-motion control beside each."""
    overall = table[table["metric"] == options.metric]
    controls = {one.samples: _row(one, MOTION, overall) for one in families if one.is_control}
    rows = []
    for family in families:
        if family.is_control:
            continue
        control = controls.get(family.samples)
        for region in family.scores.columns:
            row = _row(family, region, overall)
            rows.append(
                {
                    "Region": region,
                    "Samples": family.samples,
                    "Classifier": family.estimator,
                    METRICS[options.metric].description.capitalize(): round(row["value"], 3),
                    "95 % CI": _interval(row),
                    "p (Wilcoxon)": _rounded(row["p"]),
                    "p (FDR)": _rounded(row["p_fdr"]),
                    "p (permutation)": _rounded(row["p_permutation"]),
                    "p (FWE)": _rounded(row["p_fwe"]),
                    "Head motion alone": np.nan if control is None else round(control["value"], 3),
                    "Chance": round(row["chance"], 3),
                    "Participants": int(row["n"]),
                }
            )
    frame, constants = without_constants(
        pd.DataFrame(rows), ("Samples", "Classifier", "Chance", "Participants")
    )
    return Summary(f"Decoding within task {task}", frame, f"{constants}{_reachable(overall)}")


def _reachable(overall: pd.DataFrame) -> str:
    if overall["n"].max() < 2:
        return "One participant only: no inference."
    smallest = {"Wilcoxon": overall["p_min"], "permutation": overall["p_permutation_min"]}
    reached = [f"{name} {p.min():.3g}" for name, p in smallest.items() if p.notna().any()]
    return f"Smallest p that can be reached: {', '.join(reached)}." if reached else ""


def _interval(row: pd.Series) -> str:
    missing = np.isnan(row["ci_low"])
    return "n/a" if missing else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"


def _rounded(p: float) -> float:
    return float(f"{p:.3g}")


def group_highlights(
    families: Sequence[Family], table: pd.DataFrame, options: DecodingOptions
) -> Iterator[str]:
    """Yield a sentence per kind of samples and classifier, head motion beside it."""
    overall = table[table["metric"] == options.metric]
    label = METRICS[options.metric].description
    controls = {one.samples: _row(one, MOTION, overall) for one in families if one.is_control}
    for family in families:
        if family.is_control:
            continue
        rows = [_row(family, region, overall) for region in family.scores.columns]
        best = max(rows, key=lambda row: row["value"])
        text = f"Task {family.task}, {family.samples}, {family.estimator}: "
        if not np.isnan(best["p"]):
            n_found = sum(row["p_fdr"] < 0.05 for row in rows)
            text += f"{n_found} of {len(rows)} regions above chance at p_fdr < 0.05; "
        text += (
            f"best {best['roi_name']}, mean {label} {best['value']:.2f} "
            f"({chance_text(best['chance'])}, {len(family.scores)} participants)"
        )
        control = controls.get(family.samples)
        if control is not None:
            text += f"; head motion alone {control['value']:.2f}"
            text += "" if np.isnan(control["p"]) else f" (p = {control['p']:.2g})"
        yield f"{text}."
