"""What people see of a participant's decoding within and across tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

import numpy as np
import pandas as pd

from bidsface.analysis import Figure, Map, Participant, Summary
from bidsface_decoding.conditions import KEPT, REGRESSED, Condition, Setting, camel_case
from bidsface_decoding.crossmodal_figures import Mark, Panel, Row, condition_figure, series_of
from bidsface_decoding.crossmodal_options import NO_ALIGNER, CrossmodalOptions
from bidsface_decoding.crossmodal_outcomes import CrossDecoding, CrossOutcome
from bidsface_decoding.crossmodal_tables import confusion_shares
from bidsface_decoding.figures import confusion_figure
from bidsface_decoding.report import chance_text, pattern_figures
from bidsface_decoding.scoring import METRICS

WITHIN_NAME, ACROSS_NAME = "within the tested task", "across tasks, not realigned"
MOTION_TEXTS: Mapping[str, str] = {KEPT: "", REGRESSED: ", head motion regressed out"}

Family = Sequence[CrossOutcome]


def families(found: CrossDecoding) -> dict[Setting, list[CrossOutcome]]:
    """Return the outcomes of the regions by setting; the head-motion control has its own."""
    grouped: dict[Setting, list[CrossOutcome]] = {}
    for outcome in found.outcomes:
        grouped.setdefault(outcome.setting, []).append(outcome)
    return grouped


def _variants(found: CrossDecoding) -> list[tuple[str, str, str]]:
    """Return (samples, estimator, motion) of everything but the head-motion control."""
    return list(
        dict.fromkeys(
            (one.samples, one.estimator, one.motion) for one in families(found) if not one.control
        )
    )


def _of_condition(
    found: CrossDecoding, variant: tuple[str, str, str], condition: Condition
) -> dict[str, CrossOutcome]:
    """Return outcomes by region."""
    samples, estimator, motion = variant
    setting = Setting(condition, estimator, samples, motion)
    return {one.roi_name: one for one in families(found).get(setting, ())}


def _control(found: CrossDecoding, samples: str, condition: Condition) -> CrossOutcome | None:
    """Return decoding from head motion alone in the same direction."""
    setting = Setting(condition.without_aligner(), "ridge", samples, KEPT, control=True)
    return next(iter(families(found).get(setting, ())), None)


def score_figures(found: CrossDecoding, options: CrossmodalOptions) -> Iterator[Figure]:
    """Yield a figure of scores per classifier and samples, and one of the best confusions."""
    for variant in _variants(found):
        samples, estimator, motion = variant
        where = f"{estimator}, {samples}{MOTION_TEXTS[motion]}"
        tag = "" if motion == KEPT else "motionregressed"
        yield Figure(
            "conditions",
            _condition_figure(found, variant, options),
            f"{METRICS[options.metric].description.capitalize()} within and across tasks ({where})",
            "One panel per direction: trained on the first task, tested on the second. Squares: "
            "within the tested task; open circles: across tasks, not realigned; filled circles: "
            "after realignment; diamonds: ridge on head-motion parameters alone (grey within the "
            "tested task). Dashed line: chance." + _caution(found) + _stars_text(found),
            {**found.plan.entities, "contrast": camel_case(samples, estimator, tag)},
        )
        if motion == KEPT:
            yield _confusions(found, variant)


def _caution(found: CrossDecoding) -> str:
    if not any(condition.is_realigned for condition in found.conditions):
        return ""
    return (
        " Samples are paired by class before an aligner is fitted, which lends the training task "
        "the tested task's classes: a realigned score is evidence for a common code only where "
        "the training task's own patterns tell the classes apart, too."
    )


def _stars_text(found: CrossDecoding) -> str:
    if found.plan.relabellings is None or not len(found.plan.relabellings.codes):
        return ""
    return (
        " Stars: permutation test, p adjusted over regions by the false discovery rate (* < 0.05, "
        "** < 0.01, *** < 0.001; head motion: its own p)."
    )


def _condition_figure(
    found: CrossDecoding, variant: tuple[str, str, str], options: CrossmodalOptions
) -> object:
    aligners = list(dict.fromkeys(options.aligners))
    panels = [
        Panel(f"{train} to {test}", _rows(found, variant, train, test, aligners))
        for train, test in permutations(found.plan.tasks, 2)
    ]
    series = series_of(WITHIN_NAME, ACROSS_NAME, aligners)
    return condition_figure(panels, series, METRICS[options.metric].description)


def _rows(
    found: CrossDecoding,
    variant: tuple[str, str, str],
    train: str,
    test: str,
    aligners: Sequence[str],
) -> list[Row]:
    names = {
        Condition(test, test): WITHIN_NAME,
        Condition(train, test, NO_ALIGNER): ACROSS_NAME,
        **{Condition(train, test, name): f"realigned ({name})" for name in aligners},
    }
    columns = {condition: _of_condition(found, variant, condition) for condition in names}
    regions = dict.fromkeys(region for column in columns.values() for region in column)
    rows = [
        _row(
            region,
            {names[key]: column[region] for key, column in columns.items() if region in column},
        )
        for region in regions
    ]
    if variant[2] == KEPT:
        controls = {
            names[condition]: control
            for condition in list(names)[:2]
            if (control := _control(found, variant[0], condition)) is not None
        }
        if controls:
            rows.append(_row("head motion", controls, control=True))
    return rows


def _row(name: str, outcomes: Mapping[str, CrossOutcome], control: bool = False) -> Row:
    marks = [
        Mark(series, one.scores.mean, one.p if control else one.p_fdr)
        for series, one in outcomes.items()
    ]
    return Row(name, marks, next(iter(outcomes.values())).chance, control)


def _confusions(found: CrossDecoding, variant: tuple[str, str, str]) -> Figure:
    samples, estimator, _ = variant
    matrices = {}
    for condition in found.conditions:
        outcomes = _of_condition(found, variant, condition)
        if outcomes:
            best = _best(list(outcomes.values()))
            lines = [condition.direction, best.roi_name]
            lines[1:1] = [f"by {condition.aligner}"] if condition.is_realigned else []
            title = "\n".join(lines)
            matrices[title] = confusion_shares(best, found)
    return Figure(
        "confusion",
        confusion_figure(matrices, found.plan.classes),
        f"Confusion matrices of the best region of every condition ({estimator}, {samples})",
        "Percentage of the samples of the true class (rows) that were taken for the predicted "
        "class (columns), in the region with the highest score of each condition; being the "
        "highest, these scores are larger than what new data would show.",
        {**found.plan.entities, "contrast": camel_case(samples, estimator)},
    )


def _best(outcomes: Family) -> CrossOutcome:
    return max(outcomes, key=lambda outcome: outcome.scores.mean)


def _aligner_text(condition: Condition) -> str:
    return f" ({condition.aligner})" if condition.is_realigned else ""


def map_figures(
    participant: Participant, found: CrossDecoding, maps: Sequence[Map]
) -> Iterator[Figure]:
    """Yield the activation patterns of the best classifier of every task and mapped region."""
    for task in found.plan.tasks:
        own = [item for item in maps if item.entities.get("task") == task]
        trained = [
            one
            for one in found.outcomes
            if one.condition.train_task == task and one.motion == KEPT and not one.setting.control
        ]
        within = [one for one in trained if one.condition.is_within]
        yield from pattern_figures(participant, task, within or trained, own)


def summaries(found: CrossDecoding, options: CrossmodalOptions) -> Iterator[Summary]:
    """Yield a table per classifier and samples: regions by conditions, head motion at the end."""
    for variant in _variants(found):
        samples, estimator, motion = variant
        frame = _summary_frame(found, variant)
        chance = {round(one.chance, 3) for one in found.outcomes if not np.isnan(one.chance)}
        levels = f"Chance: {', '.join(f'{level:g}' for level in sorted(chance))}." if chance else ""
        moved = ", ".join(f"{task} {value:.2f}" for task, value in found.displacement.items())
        said = f" Mean framewise displacement (mm): {moved}." if moved else ""
        yield Summary(
            f"{METRICS[options.metric].description.capitalize()} within and across tasks "
            f"({estimator}, {samples}{MOTION_TEXTS[motion]})",
            frame,
            f"{levels} p: adjusted over regions by Benjamini and Hochberg.{said}"
            if any(name.startswith("p ") for name in frame.columns)
            else f"{levels}{said}",
        )


def _summary_frame(found: CrossDecoding, variant: tuple[str, str, str]) -> pd.DataFrame:
    columns: dict[str, dict[str, float]] = {}
    for condition in found.conditions:
        outcomes = _of_condition(found, variant, condition)
        if not outcomes:
            continue
        head = f"{condition.direction}{_aligner_text(condition)}"
        values = {name: round(one.scores.mean, 3) for name, one in outcomes.items()}
        p = {name: float(f"{one.p_fdr:.3g}") for name, one in outcomes.items()}
        control = _control(found, variant[0], condition)
        if control is not None and variant[2] == KEPT and not condition.is_realigned:
            values["head motion alone"] = round(control.scores.mean, 3)
            p["head motion alone"] = float(f"{control.p:.3g}")
        columns[head] = values
        if not all(np.isnan(list(p.values()))):
            columns[f"p {head}"] = p
    names = dict.fromkeys(name for column in columns.values() for name in column)
    order = sorted(names, key=lambda name: name == "head motion alone")
    frame = pd.DataFrame(columns).reindex(order)
    return frame.rename_axis("Region").reset_index()


def highlights(found: CrossDecoding, options: CrossmodalOptions) -> Iterator[str]:
    """Yield a sentence per condition, samples and classifier, with what head motion does to it."""
    label = METRICS[options.metric].description
    for setting, members in families(found).items():
        if setting.control or setting.motion != KEPT:
            continue
        best = _best(members)
        words = setting.condition.words
        yield (
            f"{words[0].upper()}{words[1:]}, {setting.samples}, {setting.estimator}: {label} up to "
            f"{best.scores.mean:.2f} (region {best.roi_name}; {chance_text(best.chance)}"
            f"{_p_text(best)}){_company(found, best)}{_count_text(members)}."
        )


def _p_text(outcome: CrossOutcome) -> str:
    return "" if np.isnan(outcome.p) else f"; p = {outcome.p:.3g} before correction"


def _count_text(members: Family) -> str:
    if np.isnan(members[0].p):
        return ""
    n_found = sum(outcome.p_fdr < 0.05 for outcome in members)
    return f"; {n_found} of {len(members)} regions with p_fdr < 0.05"


def _company(found: CrossDecoding, best: CrossOutcome) -> str:
    """Say what the same region gives without an aligner, without head motion, and motion alone."""
    parts = []
    before = _same(found, best, condition=best.condition.without_aligner())
    if best.condition.is_realigned and before is not None:
        parts.append(f"{before.scores.mean:.2f} there without realignment")
    regressed = _same(found, best, motion=REGRESSED)
    if regressed is not None:
        parts.append(f"{regressed.scores.mean:.2f} with head motion regressed out")
    control = _control(found, best.samples, best.condition)
    if control is not None:
        parts.append(f"{control.scores.mean:.2f} from head motion alone{_p_text(control)}")
    return "".join(f"; {part}" for part in parts)


def _same(
    found: CrossDecoding,
    outcome: CrossOutcome,
    condition: Condition | None = None,
    motion: str = KEPT,
) -> CrossOutcome | None:
    """Return the outcome of the same region, samples and classifier in other circumstances."""
    variant = (outcome.samples, outcome.estimator, motion)
    return _of_condition(found, variant, condition or outcome.condition).get(outcome.roi_name)
