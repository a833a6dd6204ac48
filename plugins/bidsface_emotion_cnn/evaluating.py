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
from bidsface_emotion_cnn.cross_validation import SchemeOutcome
from bidsface_emotion_cnn.evaluation import Evaluation, EvaluationSettings
from bidsface_emotion_cnn.evaluation_summary import evaluation_summary, headline
from bidsface_emotion_cnn.evaluation_tables import Evaluated, score_table
from bidsface_emotion_cnn.film_moments import in_a_film
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.held_out import HeldOut
from bidsface_emotion_cnn.held_out_tables import confusion_matrices, prediction_table
from bidsface_emotion_cnn.leakage_audit import NAMES, LeakageAudit
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.overlap import Overlap, overlap_report
from bidsface_emotion_cnn.tools import Tools

NETWORK = "network"
"""The classifier that this is about; the baseline is there to compare it with."""

WHOLE_BRAIN = "brain"


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
    """

    items: Sequence[Evaluated]
    scaled: Sequence[Evaluated]
    audits: Mapping[str, LeakageAudit]
    overlaps: Mapping[str, Overlap]


def judge(
    outcomes: Sequence[SchemeOutcome], cohort: Cohort, options: EmotionOptions, tools: Tools
) -> Judged:
    """Evaluate the network and the baseline under all schemes."""
    settings = settings_of(cohort, options)
    items, scaled = [], []
    for outcome in outcomes:
        for name, own in outcome.predictions.items():
            items.append(_evaluated(name, outcome, own.test, cohort, settings, tools))
            better, _ = scale_folds(
                own.test,
                own.validation,
                [cohort.volumes.codes[one.fold.validation] for one in outcome.folds],
            )
            scaled.append(_evaluated(name, outcome, better, cohort, settings, tools))
    overlaps = {
        outcome.scheme: overlap_report(
            [one.fold for one in outcome.folds],
            cohort.volumes.participants,
            cohort.volumes.runs,
            cohort.volumes.times,
            cohort.repetition_time,
        )
        for outcome in outcomes
    }
    return Judged(items, scaled, _audits(items, options, tools), overlaps)


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
    outcome: SchemeOutcome,
    probabilities: Sequence[NDArray[np.floating]],
    cohort: Cohort,
    settings: EvaluationSettings,
    tools: Tools,
) -> Evaluated:
    volumes = cohort.volumes
    held_out = HeldOut.of(
        outcome.scheme,
        [one.fold for one in outcome.folds],
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
    settings = settings_of(cohort, options)
    film = bool(settings.film)
    methods = evaluation_text.methods(
        counts,
        options.test_share,
        settings,
        threshold=options.leak if judged.audits else None,
        scaled=True,
        film=film,
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
                f"{leakage_text.overlap_text(judged.overlaps)} Dots are participants, bars 95 % "
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
