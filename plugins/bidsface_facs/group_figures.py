"""Figures and interactive views of the group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Entities, Figure, View
from bidsface.figures import slices
from bidsface.figures.views import interactive_view
from bidsface_facs.controls import CONTROLS
from bidsface_facs.figures import (
    ScoreColumn,
    baseline_figure,
    confusion_figure,
    distribution_figure,
    prediction_figure,
    score_figure,
)
from bidsface_facs.maps import Weights, above_percentile, entities_of
from bidsface_facs.metrics import METRICS, within_participants
from bidsface_facs.options import FacsOptions
from bidsface_facs.outcomes import Outcome
from bidsface_facs.report import SCALES, label_of, p_text, variance_text
from bidsface_facs.solving import Solved
from bidsface_facs.study import Study

Background = NDArray[np.float32] | None
LABELS = {"z": "Coefficients, divided by their standard deviations,", "coefficient": "Coefficients"}


def figures(
    study: Study, solved: Sequence[Solved], background: Background, options: FacsOptions
) -> Iterator[Figure]:
    """Yield all figures of the group."""
    entities = study.own.entities
    yield _distribution(study, options, entities)
    yield _scores(solved, options, entities)
    yield from _controls(solved, options, entities)
    for one in solved:
        for outcome, weights in zip(one.outcomes, one.weights, strict=True):
            yield _predictions(outcome, weights, study, options)
            if weights.final.any():
                yield _slices(weights, background, entities, options)
    for one in solved:
        for name, shift in one.shifts.items():
            yield Figure(
                "confusion",
                confusion_figure(shift.counts, [study.names[0], name]),
                f"Data sets {study.names[0]} and {name} told apart from {one.name}",
                "Images of participants that the classifier has not seen, by data set. Balanced "
                f"accuracy {100 * shift.accuracy:.1f} % (chance 50 %){p_text(shift.p)}.",
                {**entities, "label": one.name, "contrast": label_of(name)},
            )


def _distribution(study: Study, options: FacsOptions, entities: Entities) -> Figure:
    targets = {
        name: [own["target"].to_numpy(float) for _, own in one.table.groupby("participant_id")]
        for name, one in study.cohorts.items()
    }
    return Figure(
        "distribution",
        distribution_figure(targets, options.target),
        f"Distribution of {options.target}",
        f"Left: all events. Right: events (dots) and mean (line) of every participant. "
        f"{variance_text(study)}",
        entities,
    )


def _scores(solved: Sequence[Solved], options: FacsOptions, entities: Entities) -> Figure:
    metric = options.test_metric
    kind = options.shuffles[0] if options.shuffles else None
    panels = {}
    for one in solved:
        panels[one.name] = [_column(outcome, kind, metric) for outcome in one.outcomes]
    null = (
        f" Grey: means over folds of {options.permutations} permutations `{kind}`; stars: p of "
        "that test (* < 0.05, ** < 0.01, *** < 0.001)."
        if kind is not None and options.permutations
        else ""
    )
    return Figure(
        "scores",
        score_figure(panels, METRICS[metric].description),
        f"{METRICS[metric].description} by input and regression",
        f"Dots: folds of participants that were held out; lines: their mean.{null}",
        entities,
    )


def _column(outcome: Outcome, kind: str | None, metric: str) -> ScoreColumn:
    test = None if kind is None else outcome.tests.get((kind, metric))
    null = np.empty(0) if test is None else test.null
    p = float("nan") if test is None else test.p
    return ScoreColumn(outcome.estimator, outcome.values(metric), null, p)


def _controls(
    solved: Sequence[Solved], options: FacsOptions, entities: Entities
) -> Iterator[Figure]:
    """Yield, per input, what else predicts the target beside the models."""
    metric = options.test_metric
    plain = [one for one in solved[0].controls if one.estimator is None]
    for one in solved:
        rows = [(outcome.estimator, outcome.values(metric)) for outcome in one.outcomes]
        rows += [
            (f"{CONTROLS[own.name]} ({own.estimator})", own.values(metric))
            for own in one.controls
            if own.estimator is not None
        ]
        rows += [(CONTROLS[own.name], own.values(metric)) for own in plain]
        yield Figure(
            "baselines",
            baseline_figure(rows, METRICS[metric].description),
            f"{one.name}: brain activity beside what else predicts {options.target}",
            "Dots: folds of participants that were held out; lines: their mean. Where brain "
            "activity comes second, it predicts what the first leaves.",
            {**entities, "label": one.name},
        )


def _predictions(outcome: Outcome, weights: Weights, study: Study, options: FacsOptions) -> Figure:
    rows = np.concatenate([fold.rows for fold in outcome.folds])
    observed = np.concatenate([fold.transformed.truth[:, 0] for fold in outcome.folds])
    predicted = np.concatenate([fold.transformed.predicted[:, 0] for fold in outcome.folds])
    people = study.own.people[rows]
    within = within_participants(observed[:, None], predicted[:, None], people).mean[0]
    label = SCALES[options.transform].format(options.target)
    return Figure(
        "predictions",
        prediction_figure(observed, predicted, people, label),
        f"Observed and predicted {options.target}: {weights.name}",
        "Every image was predicted by a model that saw nothing of its participant. Left: images, "
        f"with a line per participant (mean r within participants {within:.2f}). Right: means of "
        "participants. Dashed: perfect prediction.",
        entities_of(weights, study.own.entities),
    )


def _slices(
    weights: Weights, background: Background, entities: Entities, options: FacsOptions
) -> Figure:
    """Draw z where there is a bootstrap, else the mean coefficients."""
    if weights.tested is not None and np.isfinite(weights.tested.z).any():
        significant = np.abs(weights.tested.z[weights.tested.p_fdr < 0.05])
        threshold = float(significant.min()) if len(significant) else None
        values, label = np.nan_to_num(weights.tested.z), "z"
        fading = (
            "Voxels whose p, adjusted by the false discovery rate, is above 0.05 fade out."
            if threshold is not None
            else "No voxel has an adjusted p (FDR) below 0.05; weak values fade out."
        )
    else:
        values, label = weights.mean, "coefficient"
        _, threshold = above_percentile(values, options.map_percentile)
        fading = f"Values below the {options.map_percentile:g}th percentile of their size fade out."
    title = f"Signature of {options.target}: {weights.name}"
    drawing = slices(
        values, weights.voxels, title, background=background, label=label, threshold=threshold
    )
    caption = f"{LABELS[label]} of the voxels. {fading}"
    return Figure("weights", drawing, title, caption, entities_of(weights, entities))


def views(
    study: Study, solved: Sequence[Solved], background: Background, options: FacsOptions
) -> Iterator[View]:
    """Yield an interactive view of the mean coefficients of every model."""
    for weights in (own for one in solved for own in one.weights):
        strongest, limit = above_percentile(weights.mean, options.map_percentile)
        if not strongest.any():
            continue
        title = f"Mean coefficients: {weights.name}"
        yield View(
            "weights",
            interactive_view(strongest, weights.voxels, title, background, limit or None),
            title,
            f"Those whose size is at least its {options.map_percentile:g}th percentile.",
            entities_of(weights, study.own.entities),
        )
