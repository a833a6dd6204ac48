"""What people read of the prediction: tables, summaries and sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Summary, Table
from bidsface_facs.metrics import METRICS
from bidsface_facs.options import FacsOptions
from bidsface_facs.outcomes import Outcome
from bidsface_facs.solving import Solved
from bidsface_facs.study import Study
from bidsface_facs.tables import ALL, MEAN

SCALES = {"none": "{}", "log1p": "log(1 + {})", "rank": "normal score of {}"}
"""How the target is called as the model sees it."""

SHOWN = {
    "r2": "R2",
    "mae": "MAE",
    "pearson": "r",
    "within_pearson": "r within",
    "between_pearson": "r between",
}
"""Scores in the summaries, and what they are called there."""


def label_of(name: str) -> str:
    """Return a name as an entity's value: letters and digits only."""
    return re.sub(r"[^0-9a-zA-Z]", "", name) or "other"


def variance_text(study: Study) -> str:
    """Say how much of the target's variance lies between participants, and how much is zero."""
    parts = []
    for name, one in study.cohorts.items():
        target, people = one.target, one.people
        means = pd.Series(target).groupby(people).transform("mean").to_numpy()
        total = float(target.var())
        share = float(means.var()) / total if total else np.nan
        whose = f"{name}: " if len(study.cohorts) > 1 else ""
        parts.append(
            f"{whose}{100 * float(np.mean(target == 0)):.0f} % of {len(target)} values are zero, "
            f"{_percent(share)} of the variance lies between the {len(set(people))} participants"
        )
    return "; ".join(parts) + "."


def shift_tables(solved: Sequence[Solved], study: Study, entities: Entities) -> list[Table]:
    """Return the accuracy of telling data sets apart; no table where there is one data set."""
    rows = [
        {
            "roi_name": one.name,
            "dataset": name,
            "fold": fold,
            "value": value,
            "p": shift.p if fold == MEAN else np.nan,
            "p_min": shift.smallest_p if fold == MEAN else np.nan,
            "n": int(counts.sum()),
        }
        for one in solved
        for name, shift in one.shifts.items()
        for fold, value, counts in [
            *(
                (str(n), value, counts)
                for n, (value, counts) in enumerate(
                    zip(shift.folds, shift.confusion, strict=True), 1
                )
            ),
            (MEAN, shift.accuracy, shift.counts),
        ]
    ]
    if not rows:
        return []
    columns = {
        "roi_name": Column("Input: the voxels that the classifier sees"),
        "dataset": Column(f"Data set that is told from {study.names[0]}"),
        "fold": Column("Fold, `mean` for the mean over folds"),
        "value": Column("Balanced accuracy, 0 to 1; chance is 0.5"),
        "p": Column("One-tailed p, participants being exchanged between the data sets"),
        "p_min": Column("Smallest value that `p` can take"),
        "n": Column("Number of images that were classified"),
    }
    text = "Accuracy of telling which data set images of new participants come from"
    return [Table("comparisons", pd.DataFrame(rows), columns, entities, text)]


def summaries(
    frame: pd.DataFrame, study: Study, solved: Sequence[Solved], options: FacsOptions
) -> list[Summary]:
    """Return the scores of the models, and those in other data sets."""
    own = frame[(frame["scale"] == "model") & (frame["fold"] == MEAN)]
    models = [(one.name, outcome) for one in solved for outcome in one.outcomes]
    rows = [_model_row(own, name, outcome, options) for name, outcome in models]
    label = SCALES[options.transform].format(options.target)
    caption = "Scores of all held-out images together; (folds): mean over folds ± its SD."
    if options.permutations:
        caption += (
            f" p: of the {METRICS[options.test_metric].description} averaged over folds, by "
            f"{options.permutations} permutations, adjusted over inputs and regressions by the "
            "false discovery rate."
        )
    found = [Summary(f"Prediction of {label} in new participants", pd.DataFrame(rows), caption)]
    other = frame[(frame["scale"] == "model") & (frame["fold"] == ALL)]
    if len(other):
        found.append(_transfer_summary(other, label))
    return found


def _model_row(
    frame: pd.DataFrame, name: str, outcome: Outcome, options: FacsOptions
) -> dict[str, object]:
    rows = frame[(frame["roi_name"] == name) & (frame["estimator"] == outcome.estimator)]
    by_metric = rows.set_index("metric")
    row: dict[str, object] = {"Input": name, "Regression": outcome.estimator}
    for metric, title in SHOWN.items():
        row[title] = round(outcome.pooled.scores[metric], 3)
    value, spread = by_metric.loc["r2", ["value", "sd"]].to_numpy(float)
    row["R2 (folds)"] = "n/a" if np.isnan(value) else f"{value:.3f} ± {spread:.3f}"
    for kind in options.shuffles if options.permutations else ():
        p = float(by_metric[f"p_{kind}_fdr"][options.test_metric])
        row[f"p ({kind})"] = float(f"{p:.3g}")
    return row


def _transfer_summary(frame: pd.DataFrame, label: str) -> Summary:
    wide = frame.pivot_table(
        index=["dataset", "roi_name", "estimator"], columns="metric", values="value", sort=False
    ).reset_index()
    names = {"dataset": "Data set", "roi_name": "Input", "estimator": "Regression", **SHOWN}
    kept = [name for name in names if name in wide]
    return Summary(
        f"Prediction of {label} in other data sets",
        wide[kept].rename(columns=names),
        "By models that were fitted to all participants of the first data set.",
    )


def highlights(
    frame: pd.DataFrame, study: Study, solved: Sequence[Solved], options: FacsOptions
) -> Iterator[str]:
    """Yield the findings, a sentence each."""
    own = frame[(frame["scale"] == "model") & (frame["fold"] == MEAN)]
    metric = METRICS[options.test_metric]
    yield f"{options.target}: {variance_text(study)}"
    for one in solved:
        best = max(one.outcomes, key=lambda outcome: _mean_score(outcome, options))
        row = own[
            (own["roi_name"] == one.name)
            & (own["estimator"] == best.estimator)
            & (own["metric"] == options.test_metric)
        ].iloc[0]
        tests = ", ".join(
            f"p_fdr {kind} participants = {row[f'p_{kind}_fdr']:.2g}"
            for kind in (options.shuffles if options.permutations else ())
            if not np.isnan(row[f"p_{kind}_fdr"])
        )
        yield (
            f"{one.name} ({one.n_voxels:,} voxels): best {best.estimator}, {metric.description} "
            f"{_number(best.pooled.scores[options.test_metric])} in new participants"
            f"{_folds(row)}{f'; {tests}' if tests else ''}."
        )
        for name, tested in best.transfers.items():
            score = tested.scores[options.test_metric]
            yield f"{one.name}, data set {name}: {metric.description} {_number(score)}."
        for name, shift in one.shifts.items():
            yield (
                f"{one.name}: images of {study.names[0]} and {name} are told apart with a balanced "
                f"accuracy of {100 * shift.accuracy:.0f} %{p_text(shift.p)}."
            )


def _percent(share: float) -> str:
    return "n/a" if np.isnan(share) else f"{100 * share:.0f} %"


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.2f}"


def _folds(row: pd.Series) -> str:
    """Return mean and spread over folds, if there are any with a score."""
    if np.isnan(row["value"]):
        return ""
    spread = "" if np.isnan(row["sd"]) else f" ± {row['sd']:.2f}"
    return f", {row['value']:.2f}{spread} over folds"


def _mean_score(outcome: Outcome, options: FacsOptions) -> float:
    """Return the mean over folds of the tested score, of which large values are good."""
    values = outcome.values(options.test_metric)
    return METRICS[options.test_metric].sign * float(values.mean()) if len(values) else -np.inf


def p_text(p: float) -> str:
    """Return a p-value for the end of a sentence; nothing where there is none."""
    return "" if np.isnan(p) else f", p = {p:.2g}"
