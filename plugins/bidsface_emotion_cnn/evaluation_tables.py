"""The table of scores of evaluations, and the descriptions of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Table
from bidsface_emotion_cnn.circular_shift import CircularShiftTest
from bidsface_emotion_cnn.confusions import Scores
from bidsface_emotion_cnn.curves import macro
from bidsface_emotion_cnn.evaluation import Evaluation

ALL_FOLDS, POOLED, PEOPLE = "mean", "pooled", "participants"
BALANCED, ACCURACY, RECALL, AUC = "balanced_accuracy", "accuracy", "recall", "auc"

SCHEME = Column(
    "What was held out",
    levels={
        "runs": "Runs (segments of a film), in all participants",
        "participants": "Participants, in all runs",
        "random": "Volumes drawn at random: neighbours in time, and the same second of the film of "
        "other participants, are in the training part; for comparison only",
    },
)

KEY_COLUMNS: Mapping[str, Column] = {
    "roi_name": Column("Region of interest whose voxels were seen"),
    "estimator": Column("Network, or baseline"),
    "samples": Column("Kind of samples: single volumes"),
    "train_task": Column("Task that the classifier was trained on"),
    "test_task": Column("Task that the classifier was tested on"),
    "scheme": SCHEME,
}

SCORE_COLUMNS: Mapping[str, Column] = {
    **KEY_COLUMNS,
    "metric": Column(
        "What `value` is",
        levels={
            BALANCED: "Mean over classes of the fraction of volumes recognized",
            ACCURACY: "Fraction of volumes recognized",
            RECALL: "Accuracy per class: fraction of the volumes of `class` that were recognized",
            AUC: "Area under the receiver operating characteristic of `class` against all others, "
            f"where fold is `{POOLED}` of all pairs of volumes that the same fold tested; without "
            "class the mean over classes",
            "calibration_error_width": "Expected calibration error in bins of equal width",
            "calibration_error_mass": "Expected calibration error in bins of equal mass",
            "brier": "Brier score, 0 to 2; small is good. brier = brier_reliability - "
            "brier_resolution + brier_uncertainty + brier_within",
            "brier_reliability": "Distance of probabilities from frequencies in bins of equal mass",
            "brier_resolution": "Distance of frequencies in the bins from overall frequencies",
            "brier_uncertainty": "Brier score of the overall frequencies of the classes",
            "brier_within": "What the Brier score loses or gains within bins",
            "log_loss": "Mean negative logarithm of the true class's probability, in nats",
        },
    ),
    "class": Column("Class that the row is about; n/a for all classes together"),
    "fold": Column(
        f"What was held out; `{POOLED}` for all held-out volumes together, `{ALL_FOLDS}` for the "
        f"mean of folds, `{PEOPLE}` for the mean of the participants' scores"
    ),
    "value": Column("The score"),
    "chance": Column(
        "Score to expect of predictions that have nothing to do with the classes; n/a where it "
        "depends on the probabilities"
    ),
    "ci_low": Column(
        "Lower end of the 95 % confidence interval: over resampled participants for pooled "
        "volumes, t-based for the mean of participants"
    ),
    "ci_high": Column("Upper end of the same interval"),
    "p": Column(
        "One-tailed p-value: for pooled volumes from circular shifts of the film's labels within "
        "runs, widened since folds train each other, which makes it conservative (only where runs "
        f"were held out and labels belong to a film that all have seen), for `{PEOPLE}` from the "
        "exact Wilcoxon signed-rank test of their scores against chance (not for the random split)"
    ),
    "p_fdr": Column(
        "p-value adjusted by Benjamini and Hochberg over the classes of the same metric, scheme "
        "and estimator"
    ),
    "p_min": Column("Smallest value that `p` can take with such a film, or so many participants"),
    "n": Column(f"Number of volumes that were tested; of participants where fold is `{PEOPLE}`"),
}

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An evaluation and the names that belong to it.

    Attributes
    ----------
    estimator : str
        Name of the network, or of the baseline.
    evaluation : Evaluation
    classes : sequence of str
        By class number.
    """

    estimator: str
    evaluation: Evaluation
    classes: Sequence[str]

    @property
    def scheme(self) -> str:
        """Kind of split."""
        return self.evaluation.held_out.scheme


def score_table(
    items: Sequence[Evaluated],
    entities: Entities,
    *,
    roi_name: str,
    task: str,
    samples: str = "volumes",
) -> Table:
    """Return every score of all classifiers and splits in long format."""
    rows = []
    for item in items:
        keys = {
            "roi_name": roi_name,
            "estimator": item.estimator,
            "samples": samples,
            "train_task": task,
            "test_task": task,
            "scheme": item.scheme,
        }
        rows += [{**keys, "class": np.nan, **row} for row in score_rows(item)]
    frame = pd.DataFrame(rows, columns=list(SCORE_COLUMNS))
    classes = ", ".join(items[0].classes)
    text = f"Scores of held-out volumes of task {task}, classes {classes}"
    return Table("scores", frame, SCORE_COLUMNS, entities, text)


def score_rows(item: Evaluated) -> Iterator[Row]:
    """Yield all scores of an evaluation."""
    yield from _accuracy_rows(item.evaluation)
    yield from _recall_rows(item.evaluation, item.classes)
    yield from _auc_rows(item.evaluation, item.classes)
    yield from _calibration_rows(item.evaluation)


def _shift_p(shift: CircularShiftTest | None, name: str, code: int | None = None) -> Row:
    """Return a p-value of the circular shifts, of a class where the test has one for each."""
    if shift is None:
        return {}
    p = getattr(shift, name)
    return {"p": float(p if code is None else p[code]), "p_min": shift.smallest_p}


def _accuracy_rows(found: Evaluation) -> Iterator[Row]:
    people, pooled = found.above_chance, found.pooled
    tested = found.held_out.scheme != "random"
    yield {
        "metric": BALANCED,
        "fold": PEOPLE,
        "value": people.mean,
        "chance": people.chance,
        "ci_low": people.low,
        "ci_high": people.high,
        "p": people.p_signed_rank if tested else np.nan,
        "p_min": people.smallest_p if tested else np.nan,
        "n": people.n,
    }
    for metric, chance, interval in (
        (BALANCED, "chance", found.balanced_accuracy),
        (ACCURACY, "accuracy_chance", found.accuracy),
    ):
        yield {
            "metric": metric,
            "fold": POOLED,
            "value": float(getattr(pooled, metric)),
            "chance": float(getattr(pooled, chance)),
            "ci_low": float(interval.low),
            "ci_high": float(interval.high),
            **(_shift_p(found.shift, "p") if metric == BALANCED else {}),
            "n": int(pooled.n),
        }
        yield from _fold_rows({"metric": metric}, found, metric, chance)


def _fold_rows(keys: Row, found: Evaluation, metric: str, chance: str) -> Iterator[Row]:
    """Yield the mean of folds, and every fold."""
    values, levels = getattr(found.folds, metric), getattr(found.folds, chance)
    yield from _series(keys, found, values, levels, found.folds.n)


def _series(keys: Row, found: Evaluation, values: Any, levels: Any, counts: Any) -> Iterator[Row]:
    """Yield the mean of the folds' values, and every one that there is."""
    every = {**keys, "fold": ALL_FOLDS, "n": int(np.sum(counts))}
    known = ~np.isnan(values)
    yield {**every, "value": float(macro(values)), "chance": float(macro(levels[known]))}
    for number, name in enumerate(found.held_out.fold_names):
        if known[number]:
            scores = {"value": float(values[number]), "chance": float(levels[number])}
            yield {**keys, "fold": name, **scores, "n": int(counts[number])}


def _recall_rows(found: Evaluation, classes: Sequence[str]) -> Iterator[Row]:
    pooled: Scores = found.pooled
    for code, name in enumerate(classes):
        keys = {"metric": RECALL, "class": name}
        yield {
            **keys,
            "fold": POOLED,
            "value": float(pooled.recalls[code]),
            "chance": float(pooled.recall_chance[code]),
            "ci_low": float(found.recalls.low[code]),
            "ci_high": float(found.recalls.high[code]),
            **_shift_p(found.shift, "recall_p", code),
            "p_fdr": float(found.recall_p_fdr[code]),
            "n": int(pooled.counts[code]),
        }
        recalls, levels = found.folds.recalls[:, code], found.folds.recall_chance[:, code]
        yield from _series(keys, found, recalls, levels, found.folds.counts[:, code])


def _auc_rows(found: Evaluation, classes: Sequence[str]) -> Iterator[Row]:
    auc, n = found.auc, int(found.pooled.n)
    half = np.full(len(found.held_out.fold_names), 0.5)
    overall = {"metric": AUC, "fold": POOLED, "chance": 0.5, "n": n}
    yield {
        **overall,
        "value": auc.macro,
        "ci_low": auc.macro_low,
        "ci_high": auc.macro_high,
        **_shift_p(found.shift, "macro_auc_p"),
    }
    yield from _series({"metric": AUC}, found, macro(found.fold_auc), half, found.folds.n)
    for code, name in enumerate(classes):
        yield {
            **overall,
            "class": name,
            "value": float(auc.auc[code]),
            "ci_low": float(auc.low[code]),
            "ci_high": float(auc.high[code]),
            **_shift_p(found.shift, "auc_p", code),
            "p_fdr": float(found.auc_p_fdr[code]),
        }
        keys = {"metric": AUC, "class": name}
        yield from _series(keys, found, found.fold_auc[:, code], half, found.folds.n)


def _calibration_rows(found: Evaluation) -> Iterator[Row]:
    calibration, brier = found.calibration, found.calibration.brier
    values = {
        "calibration_error_width": calibration.width.expected_error,
        "calibration_error_mass": calibration.mass.expected_error,
        "brier": brier.score,
        "brier_reliability": brier.reliability,
        "brier_resolution": brier.resolution,
        "brier_uncertainty": brier.uncertainty,
        "brier_within": brier.within,
        "log_loss": calibration.log_loss,
    }
    for metric, value in values.items():
        yield {"metric": metric, "fold": POOLED, "value": value, "n": int(found.pooled.n)}
