"""From the predictions of all schemes to scores, tests and the leakage audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Entities, Figure, Results, Summary
from bidsface_emotion_cnn import evaluation_figures, evaluation_text, leakage_text
from bidsface_emotion_cnn.audit_tables import (
    audit_summary,
    audit_table,
    calibration_table,
    overlap_summary,
)
from bidsface_emotion_cnn.calibration import Calibration, scale_folds
from bidsface_emotion_cnn.cross_validation import FoldOutcome, SchemeOutcome, predictions_of
from bidsface_emotion_cnn.evaluation import Evaluation, EvaluationSettings
from bidsface_emotion_cnn.evaluation_summary import evaluation_summary, headline
from bidsface_emotion_cnn.evaluation_tables import Evaluated, score_table
from bidsface_emotion_cnn.film_moments import in_a_film
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.held_out import HeldOut
from bidsface_emotion_cnn.held_out_tables import confusion_matrices, prediction_table
from bidsface_emotion_cnn.leakage_audit import NAMES, LeakageAudit
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.overlap import NEAR, Overlap, overlap_report
from bidsface_emotion_cnn.segment_borders import film_times
from bidsface_emotion_cnn.tools import Tools

NETWORK = "network"
"""The classifier that this is about; the baseline is there to compare it with."""

WHOLE_BRAIN = "brain"

AGAIN = "This holds for all training volumes; what is drawn was trained on equally many. "
"""What has to be said where classifiers were trained again for the audit."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Everything that is said of the predictions.

    Attributes
    ----------
    items : sequence of Evaluated
        Scheme after scheme, the network before the baseline.
    scaled : sequence of Evaluated
        The same with temperatures fitted to the validation parts.
    audits : mapping of str to LeakageAudit
        By classifier; empty with fewer than two schemes.
    overlaps : mapping of str to Overlap
        By scheme.
    trained_again : bool
        Whether the audits are of folds of their own, of fewer training volumes.
    settings : EvaluationSettings
        With which all this was evaluated.
    """

    items: Sequence[Evaluated]
    scaled: Sequence[Evaluated]
    audits: Mapping[str, LeakageAudit]
    overlaps: Mapping[str, Overlap]
    trained_again: bool
    settings: EvaluationSettings


def judge(
    outcomes: Sequence[SchemeOutcome], cohort: Cohort, options: EmotionOptions, tools: Tools
) -> Judged:
    """Evaluate the network and the baseline under all schemes."""
    settings = settings_of(cohort, options)
    items, scaled = [], []
    for outcome in outcomes:
        scheme, folds = outcome.scheme, outcome.folds
        for name, own in predictions_of(folds).items():
            items.append(_evaluated(name, scheme, folds, own.test, cohort, settings, tools))
            better, _ = scale_folds(
                own.test,
                own.validation,
                [cohort.volumes.codes[one.fold.validation] for one in folds],
            )
            scaled.append(_evaluated(name, scheme, folds, better, cohort, settings, tools))
    audited = [
        item for outcome in outcomes for item in _audited(outcome, items, cohort, settings, tools)
    ]
    return Judged(
        items,
        scaled,
        _audits(audited, options, tools),
        {one.scheme: _overlap(one.folds, cohort, options) for one in outcomes},
        any(one.trained_again for one in outcomes),
        settings,
    )


def _audited(
    outcome: SchemeOutcome,
    items: Sequence[Evaluated],
    cohort: Cohort,
    settings: EvaluationSettings,
    tools: Tools,
) -> list[Evaluated]:
    """Return the evaluations of a scheme that the audit compares with others."""
    if not outcome.trained_again:
        return [item for item in items if item.scheme == outcome.scheme]
    folds = outcome.audited
    return [
        _evaluated(name, outcome.scheme, folds, own.test, cohort, settings, tools)
        for name, own in predictions_of(folds).items()
    ]


def _overlap(folds: Sequence[FoldOutcome], cohort: Cohort, options: EmotionOptions) -> Overlap:
    volumes = cohort.volumes
    times = film_times(cohort.table, options.labels)
    # A film goes on across the border of two segments: they are one line of time.
    line = (volumes.runs, volumes.times) if times is None else (np.zeros_like(volumes.runs), times)
    parts = [one.fold for one in folds]
    return overlap_report(parts, volumes.participants, *line, cohort.repetition_time)


def settings_of(cohort: Cohort, options: EmotionOptions) -> EvaluationSettings:
    """Return how predictions are evaluated.

    What observers noted of a film is the same for all who see it; events are where volumes of all
    participants have the same labels at the same time.
    """
    volumes, step = cohort.volumes, cohort.repetition_time
    shown = in_a_film(volumes.codes, volumes.runs, volumes.times, step)
    return EvaluationSettings(
        n_resamples=options.bootstraps,
        n_shifts=options.shifts,
        film=options.labels.source == "annotations" or bool(shown.all()),
        step=step,
    )


def _evaluated(
    name: str,
    scheme: str,
    folds: Sequence[FoldOutcome],
    probabilities: Sequence[NDArray[np.floating]],
    cohort: Cohort,
    settings: EvaluationSettings,
    tools: Tools,
) -> Evaluated:
    volumes = cohort.volumes
    held_out = HeldOut.of(
        scheme,
        [one.fold for one in folds],
        probabilities,
        volumes.codes,
        volumes.participants,
        volumes.runs,
        volumes.times,
    )
    # One seed for all, so that differences of classifiers are not differences of draws.
    evaluation = Evaluation.of(held_out, tools.seed("evaluation"), settings)
    return Evaluated(name, evaluation, volumes.classes)


def _audits(
    items: Sequence[Evaluated], options: EmotionOptions, tools: Tools
) -> dict[str, LeakageAudit]:
    found = {}
    for name in dict.fromkeys(item.estimator for item in items):
        own = {item.scheme: item.evaluation for item in items if item.estimator == name}
        if len(own) > 1:
            found[name] = LeakageAudit.of(
                own,
                tools.seed("audit"),
                n_resamples=options.bootstraps,
                threshold=options.leak,
            )
    return found


def judged_results(judged: Judged, cohort: Cohort, options: EmotionOptions) -> Results:
    """Return tables, matrices, figures and sentences."""
    entities, task = cohort.entities, "+".join(cohort.tasks)
    volumes = cohort.volumes
    tables = [
        score_table(judged.items, entities, roi_name=WHOLE_BRAIN, task=task),
        prediction_table(
            judged.items,
            entities,
            participant_labels=volumes.participant_labels,
            run_labels=volumes.run_labels,
            task=task,
        ),
        calibration_table(
            judged.items, {**entities, "contrast": "calibration"}, task, judged.scaled
        ),
    ]
    if judged.audits:
        tables.append(audit_table(judged.audits, {**entities, "contrast": "leakage"}, task))
    counts = {item.scheme: len(item.evaluation.held_out.fold_names) for item in judged.items}
    film = bool(judged.settings.film)
    methods = evaluation_text.methods(
        counts,
        options.test_share,
        judged.settings,
        threshold=options.leak if judged.audits else None,
        scaled=True,
        film=film,
        margin=None if options.labels.source == "events" else NEAR,
        trained_again=judged.trained_again,
    )
    return Results(
        tables=tables,
        matrices=confusion_matrices(judged.items, entities, task),
        figures=list(_figures(judged, cohort, entities)),
        summaries=[evaluation_summary(judged.items, film), *_audit_summaries(judged)],
        methods=methods,
        citations=evaluation_text.citations_of(methods),
        highlights=[
            *(
                headline(item)
                for item in judged.items
                if item.estimator == NETWORK and item.scheme != "random"
            ),
            *(leakage_text.verdict(name, audit) for name, audit in judged.audits.items()),
        ],
        warnings=[
            line
            for name, audit in judged.audits.items()
            for line in leakage_text.warnings_of(name, audit)
        ],
    )


def _figures(judged: Judged, cohort: Cohort, entities: Entities) -> list[Figure]:
    first = judged.items[0].scheme
    main = [item for item in judged.items if item.scheme == first]
    labels = cohort.volumes.participant_labels
    found = [
        Figure(
            "roc",
            evaluation_figures.roc_figure(main),
            f"Receiver operating characteristic, {NAMES[first]}",
            "One class against all others, of all held-out volumes. Areas compare only volumes "
            "that the same fold tested, since networks of different folds are sure in different "
            "degrees, and may differ from what lies under the curve drawn; in brackets their 95 % "
            "confidence intervals over participants.",
            entities,
        ),
        Figure(
            "confusion",
            evaluation_figures.confusion_figure(judged.items),
            "Confusion matrices",
            "Percent of the volumes of each true class (rows).",
            entities,
        ),
        Figure(
            "people",
            evaluation_figures.participant_figure(judged.items, labels),
            "Balanced accuracy of participants",
            "Dashed: chance.",
            entities,
        ),
        Figure(
            "reliability",
            evaluation_figures.reliability_figure(_reliability(judged, first)),
            f"Reliability of probabilities, {NAMES[first]}",
            "Above: how often predictions are right, by how sure they are; below: how many there "
            "are. Scaled: by a temperature that was fitted to the validation part.",
            entities,
        ),
    ]
    if judged.audits:
        found.append(
            Figure(
                "leakage",
                evaluation_figures.audit_figure(judged.audits),
                "Leakage audit",
                f"{leakage_text.overlap_text(judged.overlaps)} "
                f"{AGAIN if judged.trained_again else ''}Dots are participants, bars 95 % "
                "confidence intervals of their mean, dashed is chance.",
                entities,
            )
        )
    return found


def _reliability(judged: Judged, scheme: str) -> dict[str, dict[str, Calibration]]:
    panels: dict[str, dict[str, Calibration]] = {}
    for name, items in (("raw", judged.items), ("scaled", judged.scaled)):
        for item in items:
            if item.scheme == scheme:
                panels.setdefault(item.estimator, {})[name] = item.evaluation.calibration
    return panels


def _audit_summaries(judged: Judged) -> list[Summary]:
    audits = [audit_summary(judged.audits)] if judged.audits else []
    return [*audits, overlap_summary(judged.overlaps)]
