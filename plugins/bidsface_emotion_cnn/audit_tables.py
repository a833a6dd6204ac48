"""Tables of calibration, of leakage audits and of what test and training parts have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bidsface.analysis import Column, Entities, Summary, Table
from bidsface_emotion_cnn.calibration import Reliability
from bidsface_emotion_cnn.evaluation_tables import SCHEME, Evaluated
from bidsface_emotion_cnn.leakage_audit import METRICS, NAMES, LeakageAudit
from bidsface_emotion_cnn.overlap import Overlap
from bidsface_emotion_cnn.resampling import interval_text

CALIBRATION_COLUMNS: Mapping[str, Column] = {
    "estimator": Column("Network, or baseline"),
    "scheme": SCHEME,
    "probabilities": Column(
        "Whose probabilities",
        levels={
            "raw": "The classifier's own",
            "scaled": "At the temperature that fits the validation part of the fold best",
        },
    ),
    "binning": Column(
        "How predictions were put into bins, by the probability of the predicted class",
        levels={"width": "Bins of equal width", "mass": "Bins of equally many predictions"},
    ),
    "bin": Column("Number of the bin, from 1; empty bins have no row"),
    "confidence": Column("Mean probability of the predicted class"),
    "accuracy": Column("Fraction of the predictions that are right"),
    "n": Column("Number of predictions"),
}

AUDIT_COLUMNS: Mapping[str, Column] = {
    "estimator": Column("Network, or baseline"),
    "metric": Column(
        "What is compared",
        levels={
            "balanced_accuracy": "Mean of the participants' balanced accuracies, in which the "
            "share recognized of a class is the mean over folds",
            "auc": "Mean over classes of the area under the receiver operating characteristic, of "
            "pairs of volumes that the same fold tested",
        },
    ),
    "scheme_a": SCHEME,
    "scheme_b": SCHEME,
    "value_a": Column("Score under `scheme_a`"),
    "value_b": Column("Score under `scheme_b`"),
    "n_train_a": Column(
        "Training volumes of a fold under `scheme_a`, mean over folds; where it would have more "
        "than a more honest scheme, classifiers were trained again on as many"
    ),
    "n_train_b": Column("Training volumes of a fold under `scheme_b`, likewise"),
    "difference": Column("`value_a` - `value_b`"),
    "ci_low": Column(
        "Lower end of the confidence interval of the difference, over participants that were "
        "resampled for both alike"
    ),
    "ci_high": Column("Upper end of the same interval"),
    "excessive": Column(
        "Whether the interval is above 0 and the difference above the threshold of the options"
    ),
    "n": Column("Number of participants"),
}


def calibration_table(
    items: Sequence[Evaluated],
    entities: Entities,
    task: str,
    scaled: Sequence[Evaluated] = (),
) -> Table:
    """Return the bins of reliability diagrams; ``scaled``: with temperatures fitted."""
    rows = [
        {"estimator": item.estimator, "scheme": item.scheme, "probabilities": name, **row}
        for name, some in (("raw", items), ("scaled", scaled))
        for item in some
        for binning in ("width", "mass")
        for row in _bin_rows(binning, getattr(item.evaluation.calibration, binning))
    ]
    frame = pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))
    text = f"Reliability of the probabilities of held-out volumes of task {task}"
    return Table("scores", frame, CALIBRATION_COLUMNS, entities, text)


def _bin_rows(binning: str, found: Reliability) -> Iterator[dict[str, Any]]:
    for number, confidence, accuracy, count in zip(
        found.bins, found.confidence, found.accuracy, found.counts, strict=True
    ):
        yield {
            "binning": binning,
            "bin": int(number) + 1,
            "confidence": float(confidence),
            "accuracy": float(accuracy),
            "n": int(count),
        }


def audit_table(audits: Mapping[str, LeakageAudit], entities: Entities, task: str) -> Table:
    """Return the differences between splits, of classifiers by name."""
    rows = [
        {
            "estimator": name,
            "metric": one.metric,
            "scheme_a": one.first,
            "scheme_b": one.second,
            "value_a": one.first_score,
            "value_b": one.second_score,
            "n_train_a": one.first_train,
            "n_train_b": one.second_train,
            "difference": one.difference,
            "ci_low": one.low,
            "ci_high": one.high,
            "excessive": one.excessive,
            "n": len(audit.participant_codes),
        }
        for name, audit in audits.items()
        for one in audit.differences
    ]
    frame = pd.DataFrame(rows, columns=list(AUDIT_COLUMNS))
    text = f"Leakage audit of task {task}: the same classifiers under several splits"
    return Table("comparisons", frame, AUDIT_COLUMNS, entities, text)


def audit_summary(audits: Mapping[str, LeakageAudit]) -> Summary:
    """Return the differences between splits for people."""
    rows = [
        {
            "classifier": name,
            "score": METRICS[one.metric],
            "comparison": f"{NAMES[one.first]} - {NAMES[one.second]}",
            "scores": f"{one.first_score:.3f} - {one.second_score:.3f}",
            "training volumes": f"{one.first_train:,.0f}, {one.second_train:,.0f}",
            "difference": f"{one.difference:+.3f}",
            "95 % CI": interval_text(one.low, one.high),
            "excessive": "yes" if one.excessive else "no",
        }
        for name, audit in audits.items()
        for one in audit.differences
    ]
    audit = next(iter(audits.values()))
    caption = (
        f"Excessive: the confidence interval over {len(audit.participant_codes)} participants is "
        f"above 0 and the difference above {audit.threshold:g}. Where a split left more volumes to "
        "train on than a more honest one, classifiers were trained again on as many. Scores are "
        "means over folds and participants, not of all volumes together as in the table of "
        "held-out scores."
    )
    return Summary("Leakage audit", pd.DataFrame(rows), caption)


def overlap_summary(overlaps: Mapping[str, Overlap]) -> Summary:
    """Return, by split, how many tested volumes were known from training."""
    rows = [
        {
            "split": NAMES[scheme],
            "tested volumes": f"{one.n_tested:,}",
            f"same participant within {one.seconds:g} s": _counted(one, one.n_near),
            "same second, other participant": _counted(one, one.n_same_second),
            "either": _counted(one, one.n_either),
        }
        for scheme, one in overlaps.items()
    ]
    caption = (
        "Tested volumes with such a volume in the training or validation part of the same fold, "
        "by the time in the film where labels are those of a film, across runs."
    )
    return Summary("What was known of the tested volumes", pd.DataFrame(rows), caption)


def _counted(one: Overlap, count: int) -> str:
    return f"{count:,} ({100 * one.share(count):.0f} %)"
