"""The group level: mean RDMs, models that fit them, noise ceilings, maps of spheres."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, ParticipantResults, Results
from bidsface.errors import InputError
from bidsface.numerics.dissimilarity import count_conditions
from bidsface.numerics.map_tests import Run
from bidsface.numerics.rdm_bootstrap import Over
from bidsface.numerics.rdm_comparison import Comparison, bootstrap_comparison
from bidsface_emotion_cnn import rsa_group_report as report
from bidsface_emotion_cnn import rsa_tables, rsa_text
from bidsface_emotion_cnn.film_labels import refuse_other_grids
from bidsface_emotion_cnn.rsa import RsaOptions
from bidsface_emotion_cnn.rsa_cohort import Cohort, RegionRdms, read_cohorts, repetition_times
from bidsface_emotion_cnn.rsa_group_maps import GroupSpheres, find_group_spheres, group_maps_of
from bidsface_emotion_cnn.rsa_group_scores import difference_rows, score_rows, similarities_of
from bidsface_emotion_cnn.rsa_models import ModelRdm, read_models, usable_models

Floats = NDArray[np.float64]
Seeds = Callable[..., np.random.SeedSequence]

FACTORS: tuple[Over, Over] = ("participants", "conditions")
MOST_USED = 0.8
"""Share of draws up to which it is told how many were used."""

FEWEST_RESAMPLED = 4
"""Classes from which on they are resampled."""


@dataclass(frozen=True, eq=False)
class GroupTask:
    """What was found in one task.

    Attributes
    ----------
    task : str
    labels : tuple of str
        Participants.
    classes : tuple of str
    regions : sequence of RegionRdms
    similarities : mapping of (region, model, given) to ndarray of shape (n_participants,)
    scores, comparisons : DataFrame
        Without rows where there are no models, or one.
    resampled : str or None
        What the intervals were drawn over.
    spheres : GroupSpheres or None
    entities : mapping
    """

    task: str
    labels: tuple[str, ...]
    classes: tuple[str, ...]
    regions: Sequence[RegionRdms]
    similarities: Mapping[tuple[str, str, str], Floats]
    scores: pd.DataFrame
    comparisons: pd.DataFrame
    resampled: str | None
    spheres: GroupSpheres | None
    entities: Entities


def rsa_group(
    participants: Sequence[ParticipantResults],
    options: RsaOptions,
    seed: Seeds,
    run: Run = map,
    bids_dir: Path | None = None,
) -> Results:
    """Average RDMs over participants, and test models.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : RsaOptions
    seed : callable
        Random stream of some names.
    run : callable
        Applies a function to items, on several processors where it wants to.
    bids_dir : Path or None
        Where files of models may lie.

    Raises
    ------
    InputError
        If no participant has an RDM, they share too few classes, or their runs divide a film
        differently.
    """
    models = read_models(options, bids_dir)
    steps = repetition_times(participants)
    if options.labels is not None and steps:
        refuse_other_grids(steps, options.labels)
    cohorts, notes = read_cohorts(participants)
    if not cohorts:
        raise InputError("; ".join(notes))
    found = []
    for cohort in cohorts:
        one, said = _analyse_task(participants, cohort, models, options, seed, run)
        found.append(one)
        notes.extend([*cohort.notes, *said])
    return _results(participants, found, notes, options)


def _analyse_task(
    participants: Sequence[ParticipantResults],
    cohort: Cohort,
    models: Mapping[str, ModelRdm],
    options: RsaOptions,
    seed: Seeds,
    run: Run,
) -> tuple[GroupTask, list[str]]:
    expected, notes = usable_models(models, cohort.classes, options.statistic, cohort.task)
    spheres, said = find_group_spheres(
        participants, cohort, expected, options, lambda *keys: seed(cohort.task, *keys), run
    )
    notes.extend(said)
    resampled = resampled_over(len(cohort.labels), len(cohort.classes), options)
    rows: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    similarities: dict[tuple[str, str, str], Floats] = {}
    for region in cohort.regions if expected else ():
        values = similarities_of(region.rdms, expected, options)
        interval = _interval(region, expected, options, seed(cohort.task, region.name))
        notes.extend(_few_draws(cohort, region, interval, options))
        rows.extend(score_rows(cohort, region, values, expected, interval, options, seed))
        differences.extend(difference_rows(cohort, region, values, interval, options))
        similarities |= {(region.name, *key): own for key, own in values.items()}
    scores = pd.DataFrame(rows, columns=list(rsa_tables.GROUP_SCORE_COLUMNS))
    comparisons = pd.DataFrame(differences, columns=list(rsa_tables.COMPARISON_COLUMNS))
    if len(cohort.labels) == 1:
        notes.append(f"task {cohort.task}: one participant only, so there is no inference")
    return GroupTask(
        cohort.task,
        cohort.labels,
        cohort.classes,
        cohort.regions,
        similarities,
        rsa_tables.adjusted(scores, ("model_name", "given"), ("p", "p_classes")),
        rsa_tables.adjusted(comparisons, ()),
        resampled if expected else None,
        spheres,
        cohort.entities,
    ), notes


def resampled_over(n_participants: int, n_classes: int, options: RsaOptions) -> Over | None:
    """Return what can be resampled of what is wanted; None for nothing."""
    enough = {"participants": n_participants > 1, "conditions": n_classes >= FEWEST_RESAMPLED}
    wanted = [one for one in FACTORS if options.resample in (one, "both")]
    usable = [one for one in wanted if enough[one]] if options.bootstrap else []
    if not usable:
        return None
    return "both" if len(usable) == len(FACTORS) else usable[0]


def _interval(
    region: RegionRdms,
    models: Mapping[str, Floats],
    options: RsaOptions,
    seed: np.random.SeedSequence,
) -> Comparison | None:
    over = resampled_over(len(region.rdms), count_conditions(region.rdms.shape[1]), options)
    if over is None:
        return None
    return bootstrap_comparison(
        region.rdms,
        np.stack(list(models.values())),
        statistic=options.statistic,
        n_draws=options.bootstrap,
        seed=seed,
        over=over,
    )


def _few_draws(
    cohort: Cohort, region: RegionRdms, interval: Comparison | None, options: RsaOptions
) -> list[str]:
    """Tell where many draws could not be used: their classes were too few, or all alike."""
    if interval is None or interval.n_used > MOST_USED * options.bootstrap:
        return []
    return [
        f"task {cohort.task}, {region.name}: intervals come from {interval.n_used} of "
        f"{options.bootstrap} draws; in the others there were fewer than three different classes, "
        "or a model that does not tell them apart"
    ]


def _results(
    participants: Sequence[ParticipantResults],
    found: Sequence[GroupTask],
    notes: Sequence[str],
    options: RsaOptions,
) -> Results:
    with_spheres = [one.spheres for one in found if one.spheres is not None]
    resampled = next((one.resampled for one in found if one.resampled is not None), None)
    methods = rsa_text.group_methods(options, resampled, bool(with_spheres))
    return Results(
        maps=[item for one in with_spheres for item in group_maps_of(one)],
        tables=[table for one in found for table in rsa_tables.group_tables(one, options)],
        matrices=[matrix for one in found for matrix in rsa_tables.group_matrices(one, options)],
        figures=[
            figure for one in found for figure in report.group_figures(participants, one, options)
        ],
        summaries=[item for one in found for item in report.group_summaries(one, options)],
        methods=methods,
        citations=rsa_text.citations_of(methods),
        highlights=[line for one in found for line in report.group_highlights(one, options)],
        warnings=list(dict.fromkeys([*notes, *report.group_warnings(found)])),
    )
