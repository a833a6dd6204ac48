"""What people see of a group's cross-modal decoding: tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import Summary
from bidsface.figures import stars
from bidsface_decoding.comparisons import ESTIMATORS, MEANINGS, REALIGNMENT, Comparison
from bidsface_decoding.conditions import KEPT, REGRESSED, Setting
from bidsface_decoding.crossmodal_group_grids import CONTROL_NAME
from bidsface_decoding.findings import Findings, Row
from bidsface_decoding.labels import two_digits
from bidsface_decoding.report import chance_text, without_constants

MOST_CLASSES = 4
"""Of more, accuracies stand in the figure and in the table of scores."""

STARS_TEXT = "* p < 0.05, ** p < 0.01, *** p < 0.001"
FDR_TEXT = "adjusted over regions by the false discovery rate"


def group_summaries(found: Findings) -> Iterator[Summary]:
    """Yield a table of all conditions, one per condition, and one per kind of comparison."""
    for samples, estimator in found.views:
        yield _publication(found, samples, estimator)
    for setting in found.families:
        if setting.motion == KEPT and not setting.control:
            yield _condition(found, setting)
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in found.comparisons:
        if one.first.motion == KEPT:
            estimator = "" if one.kind == ESTIMATORS else one.first.estimator
            groups.setdefault((one.kind, one.first.samples, estimator), []).append(one)
    for members in groups.values():
        yield _comparisons(found, members)


def about(found: Findings, setting: Setting) -> str:
    """Say which classifier and samples a setting has, where there are several."""
    several = len(found.views) > 1
    return f" ({setting.estimator}, {setting.samples})" if several else ""


def _publication(found: Findings, samples: str, estimator: str) -> Summary:
    """Return regions by conditions, for a paper."""
    settings = found.settings(samples, estimator)
    rows = []
    for region in found.regions(settings):
        cells = {one.condition.words: _cell(found.row(one, region)) for one in settings}
        rows.append({"Region": region, **cells})
    controls = {one.condition.words: found.control(one) for one in settings}
    if any(row is not None for row in controls.values()):
        cells = {words: _cell(row, "p") for words, row in controls.items()}
        rows.append({"Region": CONTROL_NAME, **cells})
    return Summary(
        f"{found.metric.capitalize()} by region and condition ({estimator}, {samples})",
        pd.DataFrame(rows),
        f"{_tests_text(found)}{CONTROL_NAME.capitalize()}: ridge on the head-motion parameters, "
        f"without aligner, p not adjusted. {_reachable(found, settings)}",
    )


def _tests_text(found: Findings) -> str:
    if found.n < 2:
        return ""
    return (
        f"Mean [95 % confidence interval] of {found.n} participants. Exact one-tailed Wilcoxon "
        f"signed-rank test against chance, {FDR_TEXT}: {STARS_TEXT}. "
    )


def _cell(row: Row | None, p: str = "p_fdr", value: str = "value", signed: bool = False) -> str:
    """Return 'mean [low, high]stars'."""
    if row is None or np.isnan(row[value]):
        return "n/a"
    text = two_digits(row[value], signed)
    if not np.isnan(row["ci_low"]):
        text += f" [{two_digits(row['ci_low'], signed)}, {two_digits(row['ci_high'], signed)}]"
    return f"{text}{stars(row[p])}"


def _reachable(found: Findings, settings: Sequence[Setting]) -> str:
    """Say the smallest p that the tests of settings can reach."""
    if found.n < 2:
        return "One participant only: no inference."
    rows = [row for one in settings for row in found.rows(one)]
    tests = {"Wilcoxon": "p_min", "permutation": "p_permutation_min"}
    smallest = {
        name: min((row[column] for row in rows if not np.isnan(row[column])), default=np.nan)
        for name, column in tests.items()
    }
    reached = [f"{name} {p:.3g}" for name, p in smallest.items() if not np.isnan(p)]
    return f"Smallest p that can be reached: {', '.join(reached)}." if reached else ""


def _condition(found: Findings, setting: Setting) -> Summary:
    """Return everything about one condition, by region."""
    regressed = Setting(setting.condition, setting.estimator, setting.samples, REGRESSED)
    control = found.control(setting)
    rows = []
    for row in found.rows(setting):
        region = row["roi_name"]
        each = {name: found.row(setting, region, name) for name in found.classes[:MOST_CLASSES]}
        each = each if len(found.classes) <= MOST_CLASSES else {}
        classes = {name.capitalize(): _cell(one) for name, one in each.items() if one is not None}
        after = found.row(regressed, region)
        rows.append(
            {
                "Region": region,
                found.metric.capitalize(): round(row["value"], 3),
                "95 % CI": _interval(row),
                "p (Wilcoxon)": _rounded(row["p"]),
                "p (FDR)": _rounded(row["p_fdr"]),
                "p (permutation)": _rounded(row["p_permutation"]),
                "p (FWE)": _rounded(row["p_fwe"]),
                **classes,
                "Motion regressed out": _cell(after),
                "Head motion alone": np.nan if control is None else round(control["value"], 3),
                "Chance": round(row["chance"], 3),
                "Participants": int(row["n"]),
            }
        )
    computed = _without_empty(pd.DataFrame(rows))
    often = [name for name in ("Head motion alone", "Chance", "Participants") if name in computed]
    frame, constants = without_constants(computed, often)
    words = setting.condition.words
    return Summary(
        f"{words[0].upper()}{words[1:]}{about(found, setting)}",
        frame,
        f"{constants}{_stars_text(found)}{_reachable(found, [setting])}",
    )


def _stars_text(found: Findings) -> str:
    if found.n < 2:
        return ""
    return f"Stars of classes and of motion regressed out: {FDR_TEXT}, {STARS_TEXT}. "


def _without_empty(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop columns of what was not computed."""
    computed = [name for name in frame if not frame[name].replace("n/a", np.nan).isna().all()]
    return frame[computed]


def _interval(row: Row) -> str:
    missing = np.isnan(row["ci_low"])
    return "n/a" if missing else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}"


def _rounded(p: float) -> float:
    return float(f"{p:.3g}")


def _comparisons(found: Findings, members: Sequence[Comparison]) -> Summary:
    """Return regions by comparisons of one kind, samples as they are."""
    kind = members[0].kind
    changes = {_header(one): found.changes(one) for one in members}
    regions = found.regions([one.first for one in members])
    rows = [
        {
            "Region": region,
            **{
                name: _cell(rows.get(region), value="difference", signed=True)
                for name, rows in changes.items()
            },
        }
        for region in regions
    ]
    frame = pd.DataFrame(rows)
    told = frame[(frame[list(changes)] != "n/a").any(axis=1)]
    which = "" if kind == ESTIMATORS else about(found, members[0].first)
    return Summary(
        f"Differences: {MEANINGS[kind]}{which}",
        told,
        _comparison_caption(found, kind),
    )


def _comparison_caption(found: Findings, kind: str) -> str:
    if found.n < 2:
        return f"Difference A less B of {found.metric}; one participant only: no inference."
    tail = "one-tailed" if kind == REALIGNMENT else "two-tailed"
    smallest = found.differences.loc[found.differences["comparison"] == kind, "p_min"].min()
    return (
        f"Mean difference A less B [95 % confidence interval] of {found.metric}. Exact {tail} "
        f"Wilcoxon signed-rank test of the participants' differences, {FDR_TEXT}: {STARS_TEXT}. "
        f"Smallest p that can be reached: {smallest:.3g}."
    )


def _header(one: Comparison) -> str:
    first, second = one.first, one.second
    words = first.condition.words
    if first.condition != second.condition and one.kind != REALIGNMENT:
        words = f"{words} − {second.condition.words}"
    if first.estimator != second.estimator:
        return f"{words}: {first.estimator} − {second.estimator} ({first.samples})"
    return words


def group_highlights(found: Findings) -> Iterator[str]:
    """Yield a sentence per condition, and one per aligner on what realignment gains."""
    for setting in found.families:
        if setting.motion == KEPT and not setting.control:
            yield _condition_sentence(found, setting)
    gains = [
        one
        for one in found.comparisons
        if one.kind == REALIGNMENT and one.first.motion == KEPT and found.changes(one)
    ]
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in gains:
        key = (one.first.condition.aligner, one.first.samples, one.first.estimator)
        groups.setdefault(key, []).append(one)
    for (aligner, *_), members in groups.items():
        yield _gain_sentence(found, aligner, members)


def _condition_sentence(found: Findings, setting: Setting) -> str:
    rows = [row for row in found.rows(setting) if not np.isnan(row["value"])]
    words = setting.condition.words
    text = f"{words[0].upper()}{words[1:]}{about(found, setting)}: "
    if not rows:
        return f"{text}no scores."
    best = max(rows, key=lambda row: row["value"])
    if any(not np.isnan(row["p"]) for row in rows):
        n_found = sum(row["p_fdr"] < 0.05 for row in rows)
        text += f"{n_found} of {len(rows)} regions above chance at p_fdr < 0.05"
        smallest = min(row["p_min"] for row in rows if not np.isnan(row["p_min"]))
        text += f" (no p below {smallest:.2g} can be reached); " if smallest > 0.05 else "; "
    who = "1 participant" if found.n == 1 else f"{found.n} participants"
    return (
        f"{text}best {best['roi_name']}, mean {found.metric} {best['value']:.2f} "
        f"({chance_text(best['chance'])}, {who})."
    )


def _gain_sentence(found: Findings, aligner: str, members: Sequence[Comparison]) -> str:
    parts = []
    for one in members:
        rows = list(found.changes(one).values())
        best = max(rows, key=lambda row: row["difference"])
        gained = sum(row["p_fdr"] < 0.05 for row in rows)
        tested = any(not np.isnan(row["p"]) for row in rows)
        count = f"in {gained} of {len(rows)} regions" if tested else "most"
        most = f"most in {best['roi_name']}" if tested else f"in {best['roi_name']}"
        gain = two_digits(best["difference"], signed=True)
        parts.append(f"{count} from {one.first.condition.direction} ({most}, {gain})")
    level = " at p_fdr < 0.05" if found.n > 1 else ""
    text = f"Realignment by {aligner}{about(found, members[0].first)} raises {found.metric}{level} "
    return f"{text}{' and '.join(parts)}."
