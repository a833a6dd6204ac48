"""Tables of scores, predictions and permutations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column, Entities, Table
from bidsface.statistics import fdr
from bidsface_facs.controls import CONTROLS, Control
from bidsface_facs.metrics import METRICS
from bidsface_facs.options import FacsOptions
from bidsface_facs.outcomes import Outcome, Tested
from bidsface_facs.solving import Solved
from bidsface_facs.study import Study

MEAN, POOLED, ALL = "mean", "pooled", "all"
KINDS = ("within", "between", "both")

P_COLUMNS = {
    f"p_{kind}": Column(
        f"One-tailed permutation p of the mean over folds, null hypothesis `{kind}`: "
        + {
            "within": "images say nothing about the trials of a participant",
            "between": "images say nothing about whose trials they are",
            "both": "images say neither",
        }[kind]
    )
    for kind in KINDS
}

SCORE_COLUMNS: Mapping[str, Column] = {
    "roi_name": Column("Input: the voxels that the model sees"),
    "estimator": Column("Regression, or what else the target was predicted by", levels=CONTROLS),
    "dataset": Column("Data set that was predicted"),
    "scale": Column(
        "Scale of the values that are compared",
        levels={"model": "transformed, as the model sees it", "target": "as measured"},
    ),
    "metric": Column("Score", levels={name: one.description for name, one in METRICS.items()}),
    "fold": Column(
        "Fold; `mean`: mean over the folds that have the score; `pooled`: the images of all folds "
        "together; `all`: a whole other data set"
    ),
    "value": Column("Value of the score"),
    "sd": Column("Standard deviation over folds"),
    **P_COLUMNS,
    **{
        f"{name}_fdr": Column(
            f"`{name}` adjusted by Benjamini and Hochberg over inputs and regressions"
        )
        for name in P_COLUMNS
    },
    "p_min": Column("Smallest value that p can take"),
    "n": Column("Number of images"),
}

PREDICTION_COLUMNS: Mapping[str, Column] = {
    "roi_name": SCORE_COLUMNS["roi_name"],
    "estimator": Column("Regression"),
    "dataset": SCORE_COLUMNS["dataset"],
    "fold": Column("Fold in which the image was predicted, `all` for another data set"),
    "participant_id": Column("Participant"),
    "block": Column("Run"),
    "event": Column("Number of the event within the participant"),
    "onset": Column("Onset of the event", units="s"),
    "observed": Column("Target as measured"),
    "predicted": Column("Prediction in the scale of the target"),
    "observed_model": Column("Target as the model sees it"),
    "predicted_model": Column("Prediction in that scale"),
}


def score_table(
    solved: Sequence[Solved], study: Study, options: FacsOptions, entities: Entities
) -> Table:
    """Return the scores of all models and controls, in long format."""
    rows: list[dict[str, Any]] = []
    for one in solved:
        for outcome in one.outcomes:
            facts = {"roi_name": one.name, "estimator": outcome.estimator}
            tests = {(kind, metric): test.p for (kind, metric), test in outcome.tests.items()}
            rows.extend(_fold_rows(facts, study.names[0], outcome, tests, options))
            for name, tested in outcome.transfers.items():
                rows.extend(_rows({**facts, "dataset": name, "fold": ALL}, tested))
        for control in one.controls:
            if control.estimator is None and one is not solved[0]:
                continue
            name = (
                control.name
                if control.estimator is None
                else (f"{control.name}_{control.estimator}")
            )
            where = np.nan if control.estimator is None else one.name
            own: dict[str, Any] = {"roi_name": where, "estimator": name}
            rows.extend(_fold_rows(own, study.names[0], control, {}, options))
    frame = _adjusted(pd.DataFrame(rows).reindex(columns=list(SCORE_COLUMNS)), options)
    described = _with_controls(solved)
    return Table(
        "scores",
        frame,
        {name: described[name] for name in frame.columns},
        entities,
        f"Scores of predicting {options.target} in participants that models were not trained on",
    )


def _with_controls(solved: Sequence[Solved]) -> dict[str, Column]:
    """Return the columns' descriptions, every control's among them."""
    levels = {
        (one.name if one.estimator is None else f"{one.name}_{one.estimator}"): CONTROLS[one.name]
        + ("" if one.estimator is None else f" ({one.estimator})")
        for own in solved
        for one in own.controls
    }
    levels |= {one.estimator: "regression on components" for own in solved for one in own.outcomes}
    text = SCORE_COLUMNS["estimator"].description
    return {**SCORE_COLUMNS, "estimator": Column(text, levels=levels)}


def _fold_rows(
    facts: Mapping[str, Any],
    dataset: str,
    found: Outcome | Control,
    tests: Mapping[tuple[str, str], float],
    options: FacsOptions,
) -> Iterator[dict[str, Any]]:
    own, folds = {**facts, "dataset": dataset}, found.folds
    yield from _rows({**own, "fold": POOLED}, found.pooled)
    for number, fold in enumerate(folds, 1):
        yield from _rows({**own, "fold": str(number)}, fold)
    for scale in ("model", "target"):
        for metric in folds[0].scores:
            values = np.array([_scores(fold, scale)[metric] for fold in folds])
            known = values[~np.isnan(values)]
            row = {
                **own,
                "scale": scale,
                "metric": metric,
                "fold": MEAN,
                "value": known.mean() if len(known) else np.nan,
                "sd": known.std(ddof=1) if len(known) > 1 else np.nan,
                "n": sum(len(fold.rows) for fold in folds),
            }
            tested = {f"p_{kind}": p for (kind, name), p in tests.items() if name == metric}
            if scale == "model" and tested:
                row |= {**tested, "p_min": 1.0 / (1 + options.permutations)}
            yield row


def _rows(facts: Mapping[str, Any], tested: Tested) -> Iterator[dict[str, Any]]:
    for scale in ("model", "target"):
        for metric, value in _scores(tested, scale).items():
            yield {
                **facts,
                "scale": scale,
                "metric": metric,
                "value": value,
                "n": len(tested.rows),
            }


def _scores(tested: Tested, scale: str) -> Mapping[str, float]:
    return tested.scores if scale == "model" else tested.original_scores


def _adjusted(frame: pd.DataFrame, options: FacsOptions) -> pd.DataFrame:
    """Adjust p over the models of one metric."""
    for kind in KINDS:
        adjusted = np.full(len(frame), np.nan)
        for _, rows in frame.groupby("metric", sort=False).indices.items():
            adjusted[rows] = fdr(frame[f"p_{kind}"].to_numpy(float)[rows])
        frame[f"p_{kind}_fdr"] = adjusted
    asked = options.shuffles if options.permutations else ()
    unused = [f"p_{kind}" for kind in KINDS if kind not in asked]
    return frame.drop(columns=[name for one in unused for name in (one, f"{one}_fdr")])


def prediction_table(
    solved: Sequence[Solved], study: Study, options: FacsOptions, entities: Entities
) -> Table:
    """Return one row per model and predicted image."""
    frames = []
    for outcome in (outcome for one in solved for outcome in one.outcomes):
        parts = [(study.names[0], str(n), fold) for n, fold in enumerate(outcome.folds, 1)]
        parts += [(name, ALL, tested) for name, tested in outcome.transfers.items()]
        frames += [_prediction_frame(outcome, study, *part) for part in parts]
    frame = pd.concat(frames, ignore_index=True)
    text = f"Predictions of {options.target} for every image by models that did not see it"
    return Table("predictions", frame[list(PREDICTION_COLUMNS)], PREDICTION_COLUMNS, entities, text)


def _prediction_frame(
    outcome: Outcome, study: Study, dataset: str, fold: str, tested: Tested
) -> pd.DataFrame:
    labels = np.concatenate([one.people for one in study.cohorts.values()])
    facts = [one.table[["block", "event", "onset"]] for one in study.cohorts.values()]
    own = pd.concat(facts, ignore_index=True).iloc[tested.rows]
    return pd.DataFrame(
        {
            "roi_name": outcome.input_name,
            "estimator": outcome.estimator,
            "dataset": dataset,
            "fold": fold,
            "participant_id": [f"sub-{label}" for label in labels[tested.rows]],
            **{name: own[name].to_numpy() for name in own},
            "observed": tested.original.truth[:, 0],
            "predicted": tested.original.predicted[:, 0],
            "observed_model": tested.transformed.truth[:, 0],
            "predicted_model": tested.transformed.predicted[:, 0],
        }
    )


def permutation_table(
    solved: Sequence[Solved], options: FacsOptions, entities: Entities
) -> Table | None:
    """Return the mean scores of permuted targets, a column per test; None without tests."""
    columns: dict[str, np.ndarray] = {}
    described: dict[str, Column] = {}
    for outcome in (outcome for one in solved for outcome in one.outcomes):
        for (kind, metric), test in outcome.tests.items():
            name = f"{kind}_{metric}_{outcome.input_name}_{outcome.estimator}"
            columns[name] = test.null
            described[name] = Column(
                f"Mean over folds of {METRICS[metric].description} of {outcome.estimator} in "
                f"{outcome.input_name}, null hypothesis `{kind}`"
            )
    if not columns:
        return None
    text = f"Scores of {options.permutations} permutations of {options.target}"
    return Table("permutations", pd.DataFrame(columns), described, entities, text)
