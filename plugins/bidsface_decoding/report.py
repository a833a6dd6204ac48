"""What people see of a participant's decoding: figures, summaries and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import pandas as pd

from bidsface.analysis import Figure, Map, Participant, Summary
from bidsface_decoding.figures import Bar, BarPanel, accuracy_figure, confusion_figure
from bidsface_decoding.options import MOTION, DecodingOptions
from bidsface_decoding.scoring import METRICS
from bidsface_decoding.tables import confusion_frame, variant
from bidsface_decoding.task import Outcome, TaskDecoding

NULL_QUANTILES = (0.025, 0.975)


def motion_outcome(found: TaskDecoding, samples: str) -> Outcome | None:
    """Return the head-motion control of a kind of samples."""
    controls = (one for one in found.outcomes if one.roi_name == MOTION and one.samples == samples)
    return next(controls, None)


def families(found: TaskDecoding) -> list[tuple[str, str, list[Outcome]]]:
    """Return (samples, estimator, outcomes of the regions) without the head-motion control."""
    regions = [outcome for outcome in found.outcomes if outcome.roi_name != MOTION]
    grouped = groupby(regions, key=lambda outcome: (outcome.samples, outcome.estimator))
    return [(samples, estimator, list(members)) for (samples, estimator), members in grouped]


def score_figures(found: TaskDecoding, options: DecodingOptions) -> Iterator[Figure]:
    """Yield a figure of scores per classifier, and one of confusions per kind of samples."""
    label = METRICS[options.metric].description
    estimators = dict.fromkeys(estimator for _, estimator, _ in families(found))
    for estimator in estimators:
        panels = [
            _panel(found, samples, members)
            for samples, name, members in families(found)
            if name == estimator
        ]
        yield Figure(
            "accuracy",
            accuracy_figure(panels, label, null_bands=True),
            f"Task {found.task}: {label} by region ({estimator})",
            f"Dots: mean over folds; small dots: folds. Dashed line: chance. Grey bands: central "
            f"95 % of {len(found.relabellings.codes)} permutations of the events' labels. Stars: "
            "p adjusted over regions by the false discovery rate (* < 0.05, ** < 0.01, "
            "*** < 0.001). Open diamond: ridge on head-motion parameters alone (stars: its own p).",
            {**found.entities, "contrast": variant("by", estimator)["contrast"]},
        )
    for samples, estimator, members in families(found):
        ordered = sorted(members, key=lambda outcome: -outcome.scores.mean)
        matrices = {}
        for outcome in ordered:
            counts = confusion_frame(outcome, found).to_numpy(float)
            totals = counts.sum(axis=1, keepdims=True)
            empty = np.full_like(counts, np.nan)
            matrices[outcome.roi_name] = np.divide(counts, totals, out=empty, where=totals > 0)
        yield Figure(
            "confusion",
            confusion_figure(matrices, found.classes),
            f"Task {found.task}: confusion matrices ({estimator}, {samples})",
            "Percentage of the samples of the true class (rows) that were taken for the predicted "
            f"class (columns), of the {min(12, len(matrices))} regions with the highest scores.",
            {**found.entities, **variant(samples, estimator)},
        )


def _panel(found: TaskDecoding, samples: str, members: Sequence[Outcome]) -> BarPanel:
    control = motion_outcome(found, samples)
    bars = [_bar(outcome, outcome.p_fdr) for outcome in members]
    if control is not None:
        bars.append(_bar(control, control.p))
    return BarPanel(samples, bars)


def _bar(outcome: Outcome, p: float) -> Bar:
    null = outcome.scores.null
    band = tuple(np.quantile(null, NULL_QUANTILES)) if len(null) else (np.nan, np.nan)
    control = outcome.roi_name == MOTION
    name = "head motion" if control else outcome.roi_name
    scores = outcome.scores
    return Bar(name, scores.mean, scores.folds.tolist(), band, p, outcome.chance, control)


def pattern_figures(
    participant: Participant, task: str, outcomes: Sequence[Outcome], maps: Sequence[Map]
) -> Iterator[Figure]:
    """Yield the patterns of the best classifier and kind of samples of every mapped region."""
    from bidsface.figures import slices

    best = {}
    for outcome in sorted(outcomes, key=lambda one: one.scores.mean):
        best[outcome.roi_name] = variant(outcome.samples, outcome.estimator)["contrast"]
    for item in maps:
        contrast = item.entities["contrast"]
        if item.stat != "pattern" or contrast != best.get(item.entities["label"], contrast):
            continue
        for number, volume in enumerate(item.volumes):
            name = "".join(letter for letter in volume if letter.isalnum() and letter.isascii())
            title = f"Task {task}: activation pattern of {volume}"
            yield Figure(
                f"pattern{name}",
                slices(
                    item.values[:, number],
                    item.voxels,
                    title,
                    background=participant.background,
                    label="pattern",
                ),
                f"{title}, region {item.entities['label']}",
                item.description + " Shown for the samples and classifier that scored best here.",
                item.entities,
            )


def score_summary(found: TaskDecoding, options: DecodingOptions) -> Summary:
    """Return scores of every region, with the head-motion control beside each."""
    rows = []
    for samples, estimator, members in families(found):
        control = motion_outcome(found, samples)
        for outcome in members:
            rows.append(
                {
                    "Region": outcome.roi_name,
                    "Samples": samples,
                    "Classifier": estimator,
                    METRICS[options.metric].description.capitalize(): round(outcome.scores.mean, 3),
                    "Chance": round(outcome.chance, 3),
                    "p": _rounded(outcome.p),
                    "p (FDR)": _rounded(outcome.p_fdr),
                    "p (FWE)": _rounded(outcome.p_fwe),
                    "Head motion alone": np.nan
                    if control is None
                    else round(control.scores.mean, 3),
                    "p of head motion": np.nan if control is None else _rounded(control.p),
                }
            )
    reachable = (
        f" The smallest p that the permutations can reach is {found.relabellings.smallest_p:.3g}."
        if len(found.relabellings.codes)
        else ""
    )
    frame, constants = without_constants(pd.DataFrame(rows), ("Samples", "Classifier", "Chance"))
    return Summary(
        f"Decoding within task {found.task}",
        frame,
        f"{constants}FDR: adjusted over regions by Benjamini and Hochberg; FWE: by the largest "
        f"score of every permutation.{reachable}",
    )


def without_constants(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Drop columns that say the same in every row; return what they say as a sentence."""
    constant = [name for name in columns if len(set(frame[name])) == 1]
    said = ", ".join(f"{name.lower()} {frame[name].iloc[0]}" for name in constant)
    sentence = f"{said[0].upper()}{said[1:]} in every row. " if said else ""
    return frame.drop(columns=constant), sentence


def _rounded(p: float) -> float:
    return float(f"{p:.3g}")


def chance_text(chance: float) -> str:
    """Say a chance level."""
    return "chance not known" if np.isnan(chance) else f"chance {chance:.3g}"


def highlights(found: TaskDecoding, options: DecodingOptions) -> Iterator[str]:
    """Yield a sentence per kind of samples and classifier."""
    label = METRICS[options.metric].description
    for samples, estimator, members in families(found):
        best = max(members, key=lambda outcome: outcome.scores.mean)
        text = (
            f"Task {found.task}, {samples}, {estimator}: {label} up to {best.scores.mean:.2f} "
            f"(region {best.roi_name}; {chance_text(best.chance)}"
        )
        text += f"; p = {best.p:.3g} before correction)" if best.p == best.p else ")"
        if best.p == best.p:
            n_found = sum(outcome.p_fdr < 0.05 for outcome in members)
            text += f"; {n_found} of {len(members)} regions with p_fdr < 0.05"
        control = motion_outcome(found, samples)
        if control is not None:
            text += f"; head motion alone {control.scores.mean:.2f}"
            text += f" (p = {control.p:.3g})" if control.p == control.p else ""
        yield f"{text}."
