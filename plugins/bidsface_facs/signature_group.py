"""The expression of signature maps over participants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Figure, ParticipantResults, Results, Summary, Table
from bidsface.entities import shared
from bidsface.statistics import fdr, mean_interval, signed_rank_p, smallest_signed_rank_p
from bidsface_facs import text
from bidsface_facs.cohort import NOT_SHARED
from bidsface_facs.expression import MEASURES
from bidsface_facs.signature import SignatureOptions
from bidsface_facs.signature_figures import expression_figure

FEWEST = 3
"""With fewer images of a participant there is no correlation to speak of."""

MOMENTS = {
    "ci_low": Column("Lower end of the t-based 95 % confidence interval of the mean"),
    "ci_high": Column("Upper end of the t-based 95 % confidence interval of the mean"),
    "p": Column("Exact two-tailed Wilcoxon signed-rank test over participants against 0"),
    "p_fdr": Column("`p` adjusted by Benjamini and Hochberg over the rows of the table"),
    "p_min": Column("Smallest value that `p` can take with so many participants"),
    "n": Column("Number of participants"),
}

SCORE_COLUMNS = {
    "signature": Column("Name of the signature map"),
    "trial_type": Column("Class of the events"),
    "measure": Column("How expression was measured", levels=MEASURES),
    "value": Column("Mean over participants of their mean expression"),
    **MOMENTS,
}

CORRELATION_COLUMNS = {
    "signature": Column("Name of the signature map"),
    "measure": Column("How expression was measured", levels=MEASURES),
    "value": Column(
        "Mean over participants of Spearman's correlation, over a participant's images, of "
        "expression and target"
    ),
    **MOMENTS,
}


def signature_group(
    participants: Sequence[ParticipantResults], options: SignatureOptions
) -> Results:
    """Average expression over participants, by class, and its correlation with the target.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : SignatureOptions
    """
    frames = [one.table("predictions").assign(participant_id=one.label) for one in participants]
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return Results(warnings=["no participant has results of this analysis"])
    frame = pd.concat(filled, ignore_index=True)
    stored = [item.entities for one in participants for item in one.tables]
    entities = shared(stored, NOT_SHARED)
    scores = _class_rows(frame)
    tables = [Table("scores", scores, SCORE_COLUMNS, entities, "Expression of signatures by class")]
    summaries = [_summary(scores, "Expression of signatures (correlation)", "trial_type")]
    related = _target_rows(frame) if options.target is not None else pd.DataFrame()
    notes = []
    if len(related):
        title = f"Correlation of expression with {options.target}, within participants"
        tables.append(Table("correlations", related, CORRELATION_COLUMNS, entities, title))
        summaries.append(_summary(related, title, None))
    elif options.target is not None:
        notes.append(f"no participant has enough values of {options.target} to correlate")
    if frame["participant_id"].nunique() < 2:
        notes.append("one participant only, so there is no inference")
    methods = text.signature_group_methods(options)
    return Results(
        tables=tables,
        figures=[
            _figure(name, own, entities) for name, own in frame.groupby("signature", sort=False)
        ],
        summaries=summaries,
        methods=methods,
        citations=text.citations_of(methods),
        highlights=[*_highlights(scores, ""), *_highlights(related, str(options.target))],
        warnings=notes,
    )


def _class_rows(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["signature", "trial_type"]
    rows: list[dict[str, Any]] = []
    for (signature, kind), own in frame.groupby(keys, sort=False):
        means = own.groupby("participant_id")[list(MEASURES)].mean()
        for measure in MEASURES:
            facts = {"signature": signature, "trial_type": kind, "measure": measure}
            rows.append(facts | _moments(means[measure].to_numpy(float)))
    return _adjusted(rows, SCORE_COLUMNS)


def _target_rows(frame: pd.DataFrame) -> pd.DataFrame:
    known = frame.dropna(subset=["target"])
    rows: list[dict[str, Any]] = []
    for signature, own in known.groupby("signature", sort=False):
        for measure in MEASURES:
            found = [
                one["target"].corr(one[measure], method="spearman")
                for _, one in own.groupby("participant_id")
                if len(one) >= FEWEST and np.ptp(one["target"]) > 0
            ]
            if found:
                facts = {"signature": signature, "measure": measure}
                rows.append(facts | _moments(np.array(found, dtype=float)))
    return _adjusted(rows, CORRELATION_COLUMNS)


def _moments(values: np.ndarray) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    low, high = mean_interval(known)
    return {
        "value": float(known.mean()) if len(known) else np.nan,
        "ci_low": low,
        "ci_high": high,
        "p": signed_rank_p(known, two_tailed=True) if len(known) > 1 else np.nan,
        "p_min": smallest_signed_rank_p(len(known), two_tailed=True) if len(known) > 1 else np.nan,
        "n": len(known),
    }


def _adjusted(rows: list[dict[str, Any]], columns: dict[str, Column]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.assign(p_fdr=fdr(frame["p"].to_numpy(float)))


def _summary(frame: pd.DataFrame, title: str, by: str | None) -> Summary:
    own = frame[frame["measure"] == "correlation"] if by is not None else frame
    rows = [
        {
            "Signature": row["signature"],
            **({"Class": row[by]} if by is not None else {"Measure": row["measure"]}),
            "Mean": float(f"{row['value']:.3g}"),
            "95 % CI": "n/a"
            if np.isnan(row["ci_low"])
            else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
            "p (Wilcoxon)": float(f"{row['p']:.3g}"),
            "p (FDR)": float(f"{row['p_fdr']:.3g}"),
            "Participants": int(row["n"]),
        }
        for _, row in own.iterrows()
    ]
    smallest = frame["p_min"].min()
    caption = "" if np.isnan(smallest) else f"Smallest p that can be reached: {smallest:.3g}."
    return Summary(title, pd.DataFrame(rows), caption)


def _figure(name: Any, frame: pd.DataFrame, entities: Entities) -> Figure:
    means = frame.groupby(["participant_id", "trial_type"], sort=False)["correlation"].mean()
    flat = means.reset_index()
    return Figure(
        "expression",
        expression_figure(
            flat["trial_type"], flat["correlation"], "correlation with the signature"
        ),
        f"Expression of {name}",
        "Dots: participants' mean correlation of images with the signature; lines: mean over "
        "participants.",
        {**entities, "contrast": str(name)},
    )


def _highlights(frame: pd.DataFrame, target: str) -> list[str]:
    if frame.empty:
        return []
    chosen = frame[frame["measure"] == ("dot" if target else "correlation")]
    lines = []
    for _, row in chosen.iterrows():
        what = (
            f"dot product correlates with {target} within participants, mean rho"
            if target
            else f"{row['trial_type']}: mean correlation with images"
        )
        p = "" if np.isnan(row["p"]) else f" (p = {row['p']:.2g}, {row['n']} participants)"
        lines.append(f"Signature {row['signature']}, {what} {row['value']:.2f}{p}.")
    return lines
