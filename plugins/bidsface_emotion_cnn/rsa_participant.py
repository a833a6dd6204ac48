"""The participant level: RDMs of regions and spheres, and their similarity to models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Entities, Participant, Region, Results, Samples, usable_tasks
from bidsface.errors import InputError
from bidsface.numerics.dissimilarity import pairs_of
from bidsface.numerics.rdm_comparison import MantelTest, mantel_test, partial_mantel_test
from bidsface_emotion_cnn import rsa_report, rsa_tables, rsa_text
from bidsface_emotion_cnn.annotation_files import Annotations
from bidsface_emotion_cnn.film_runs import check_film_runs
from bidsface_emotion_cnn.rsa import RsaOptions
from bidsface_emotion_cnn.rsa_draws import drawn_designs
from bidsface_emotion_cnn.rsa_maps import SphereMaps, background_map, find_spheres, maps_of
from bidsface_emotion_cnn.rsa_models import ModelRdm, read_models, usable_models
from bidsface_emotion_cnn.rsa_patterns import Design, make_design, mean_rdm, varying
from bidsface_emotion_cnn.rsa_volumes import labelled_samples
from bidsface_emotion_cnn.volume_labels import read_label_sources

Floats = NDArray[np.float64]
Seeds = Callable[..., np.random.SeedSequence]

ALONE, GIVEN_OTHERS = "none", "others"
"""Which other models are given: for the correlation, and for the partial one."""


@dataclass(frozen=True, eq=False)
class RegionRdm:
    """The RDM of a region, and its comparison with models.

    Attributes
    ----------
    name : str
    n_voxels : int
        Those that vary.
    rdm : ndarray of shape (n_pairs,)
        NaN where the region has no pattern that varies.
    tests : mapping of (model, given) to MantelTest
        ``given`` is ``none``, or ``others`` for the partial correlation.
    """

    name: str
    n_voxels: int
    rdm: Floats
    tests: Mapping[tuple[str, str], MantelTest]


@dataclass(frozen=True, eq=False)
class TaskRdms:
    """What was found in one task.

    Attributes
    ----------
    task : str
    classes : tuple of str
    regions : sequence of RegionRdm
    models : mapping of str to ndarray of shape (n_pairs,)
    spheres : SphereMaps or None
    entities : mapping
    drawn : bool
        Whether equally many samples of the classes were drawn: they did not all have as many.
    runs : DataFrame or None
        Of labelled volumes; see `bidsface_emotion_cnn.rsa_tables.runs_of`.
    """

    task: str
    classes: tuple[str, ...]
    regions: Sequence[RegionRdm]
    models: Mapping[str, Floats]
    spheres: SphereMaps | None
    entities: Entities
    drawn: bool
    runs: pd.DataFrame | None


def rsa_participant(
    participant: Participant, options: RsaOptions, seed: Seeds, bids_dir: Path | None = None
) -> Results:
    """Compute RDMs of a participant's tasks and compare them with the models.

    Parameters
    ----------
    participant : Participant
    options : RsaOptions
    seed : callable
        Random stream of some names, the participant's label among them where it is their own.
    bids_dir : Path or None
        Where files of models and of observers may lie.

    Raises
    ------
    InputError
        If the participant lacks the regions, no task has the classes that are wanted, or the runs
        of all tasks cannot show one film.
    RecipeError
        If volumes are to be labelled, and the data are no time series.
    """
    models = read_models(options, bids_dir)
    regions = list(participant.select_regions(options.regions))
    if not regions:
        raise InputError(f"sub-{participant.label}: none of the wanted regions was found")
    found: list[TaskRdms] = []
    unusable: list[str] = []
    tasks, notes = usable_tasks(participant, options.tasks, "analysed")
    notes.extend(_film_notes(participant, tasks, options))
    labels = options.labels
    annotations = () if labels is None else read_label_sources(labels, bids_dir)
    find_samples = _source_of_samples(participant, options, annotations, seed)
    own_seed = partial(seed, participant.label)
    for task in tasks:
        try:
            samples, of_labels = find_samples(task)
            notes.extend(of_labels)
            design, said = make_design(samples, task, options)
        except InputError as error:
            unusable.append(str(error))
            continue
        notes.extend(said)
        if design is not None:
            one, more = _analyse_task(
                participant, (task, samples, design), regions, models, options, own_seed
            )
            found.append(one)
            notes.extend(more)
    if unusable and not found:
        raise InputError("; ".join([*unusable, *notes]))
    left_out = [f"left out, {why}" for why in unusable]
    return _results(participant, found, [*left_out, *notes], options, len(annotations))


def _source_of_samples(
    participant: Participant,
    options: RsaOptions,
    annotations: Sequence[Annotations],
    seed: Seeds,
) -> Callable[[str], tuple[Samples, list[str]]]:
    """Return what finds the samples of a task, and notes on them."""
    labels = options.labels
    if labels is None:
        name = options.samples or participant.sample_names[0]
        return lambda task: (participant.samples(name, task), [])
    return lambda task: labelled_samples(
        participant, participant.bold_runs(task), labels, annotations, seed("labels")
    )


def _film_notes(participant: Participant, tasks: Sequence[str], options: RsaOptions) -> list[str]:
    """Check the runs of all tasks together, where a film is shown; see `check_film_runs`."""
    labels = options.labels
    if labels is None or labels.source == "events":
        return []
    return check_film_runs([run for task in tasks for run in participant.bold_runs(task)], labels)


def _analyse_task(
    participant: Participant,
    data: tuple[str, Samples, Design],
    regions: Sequence[Region],
    models: Mapping[str, ModelRdm],
    options: RsaOptions,
    seed: Seeds,
) -> tuple[TaskRdms, list[str]]:
    task, samples, design = data
    expected, notes = usable_models(models, design.classes, options.statistic, task)
    designs, said = drawn_designs(design, task, options, seed(task, "draws"))
    notes.extend(said)
    # Regions share the orders of the classes.
    analyse = partial(_region_rdm, samples, designs, expected, options, seed(task, "orders"))
    found = list(participant.map(analyse, regions))
    notes.extend(f"task {task}: {note}" for _, own in found for note in own)
    spheres = None
    try:
        spheres = find_spheres(
            participant, samples, designs, expected, options, seed(task, "spheres")
        )
    except InputError as error:
        # Regions need neither the searchlight's region nor its memory: their results stay.
        notes.append(f"task {task}: there is no searchlight, {error}")
    kept = [one for one, _ in found if np.isfinite(one.rdm).all()]
    runs = None if options.labels is None else rsa_tables.runs_of(samples.table, task)
    drawn = any(not own.used.all() for own in designs)
    return TaskRdms(
        task, design.classes, kept, expected, spheres, samples.entities, drawn, runs
    ), notes


def _region_rdm(
    samples: Samples,
    designs: Sequence[Design],
    models: Mapping[str, Floats],
    options: RsaOptions,
    seed: np.random.SeedSequence,
    region: Region,
) -> tuple[RegionRdm, list[str]]:
    rdm = np.full(len(pairs_of(len(designs[0].classes))[0]), np.nan)
    columns = varying(samples.X, region.columns, designs, options.normalization)
    try:
        if len(columns):
            rdm = mean_rdm(samples.X, columns, designs, options)
    except ValueError as error:
        return RegionRdm(region.name, 0, rdm, {}), [f"region {region.name} was left out: {error}"]
    n_voxels, notes = len(columns), []
    if not np.isfinite(rdm).all():
        notes.append(
            f"region {region.name} was left out: patterns of its {n_voxels} voxels that vary over "
            f"samples have no {options.dissimilarity} dissimilarity"
        )
        return RegionRdm(region.name, n_voxels, rdm, {}), notes
    dead = len(region.columns) - n_voxels
    if dead:
        notes.append(f"region {region.name}: {dead} voxels do not vary and were not used")
    return RegionRdm(region.name, n_voxels, rdm, compare_models(rdm, models, options, seed)), notes


def compare_models(
    rdms: Floats, models: Mapping[str, Floats], options: RsaOptions, seed: np.random.SeedSequence
) -> dict[tuple[str, str], MantelTest]:
    """Test RDMs against every model, alone and given the others; see `RegionRdm.tests`.

    ``rdms``: (n_pairs,), or (n_participants, n_pairs), whose mean similarity is tested.
    """
    tests = {
        (name, ALONE): mantel_test(
            rdms,
            model,
            statistic=options.statistic,
            n_permutations=options.permutations,
            seed=seed,
        )
        for name, model in models.items()
    }
    if options.partial and len(models) > 1:
        for name, model in models.items():
            others = np.stack([own for key, own in models.items() if key != name])
            tests[name, GIVEN_OTHERS] = partial_mantel_test(
                rdms,
                model,
                others,
                statistic=options.statistic,
                n_permutations=options.permutations,
                seed=seed,
            )
    return tests


def _results(
    participant: Participant,
    found: Sequence[TaskRdms],
    notes: Sequence[str],
    options: RsaOptions,
    n_observers: int,
) -> Results:
    if not found:
        return Results(warnings=list(dict.fromkeys(notes)))
    spheres = next((one.spheres for one in found if one.spheres is not None), None)
    drawn = any(one.drawn for one in found)
    methods = rsa_text.participant_methods(options, spheres, drawn, n_observers)
    maps = [item for one in found if one.spheres is not None for item in maps_of(one.spheres)]
    if maps:
        maps.insert(0, background_map(participant, [one.entities for one in found]))
    tables = []
    for one in found:
        tables.append(rsa_tables.dissimilarity_table(one, options))
        if one.models:
            tables.append(rsa_tables.score_table(one, options))
        if one.runs is not None:
            tables.append(rsa_tables.run_table(one.runs, one.entities))
    return Results(
        maps=maps,
        tables=tables,
        matrices=[matrix for one in found for matrix in rsa_tables.matrices(one, options)],
        figures=[
            figure
            for one in found
            for figure in rsa_report.participant_figures(participant, one, options)
        ],
        summaries=[item for one in found for item in rsa_report.summaries(one, options)],
        methods=methods,
        citations=rsa_text.citations_of(methods),
        highlights=[line for one in found for line in rsa_report.highlights(one, options)],
        warnings=list(dict.fromkeys([*notes, *rsa_report.warnings(found)])),
    )
