"""The group level: predict the target in participants that models have not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Matrix, ParticipantResults, Results
from bidsface.backgrounds import mean_background
from bidsface.errors import InputError
from bidsface_facs import group_figures, report, tables, text
from bidsface_facs.cohort import read_cohorts, with_images
from bidsface_facs.datasets import split_data_sets
from bidsface_facs.inputs import input_mask, wanted_inputs
from bidsface_facs.maps import signature_model, weight_maps
from bidsface_facs.options import FacsOptions
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.shuffles import exchanges_blocks
from bidsface_facs.solving import Mapper, Seeds, Solved, solve_input
from bidsface_facs.splits import never_tested
from bidsface_facs.study import Study

FEWEST = 3
"""Participants that are needed to hold one out and still have several to train on."""


def predict_group(
    participants: Sequence[ParticipantResults],
    regressors: Mapping[str, ComponentRegressor],
    options: FacsOptions,
    seed: Seeds,
    people: pd.DataFrame,
    mapper: Mapper,
) -> Results:
    """Predict the target from the images of all participants.

    Parameters
    ----------
    participants : sequence of ParticipantResults
        Those of other data sets carry its name.
    regressors : mapping of str to ComponentRegressor
    options : FacsOptions
    seed : callable
        Random stream of some names.
    people : DataFrame
        ``participants.tsv`` by label.
    mapper : callable
        Applies a function to items, in parallel.

    Raises
    ------
    InputError
        If data sets cannot be told apart, or have no voxels or columns in common.
    """
    present = with_images(participants)
    if not present:
        return Results(warnings=["no participant has images of this analysis"])
    data_sets, left_out = split_data_sets(present, people, options)
    own = next(iter(data_sets.values()))
    if len(own) < FEWEST:
        return Results(
            warnings=[
                f"{len(own)} participant{'s' * (len(own) > 1)} with images: at least {FEWEST} are "
                "needed to predict people that a model has not seen"
            ]
        )
    cohorts, notes = read_cohorts(data_sets)
    study = Study(cohorts)
    inputs, missing = _inputs(study, options)
    largest = max(inputs, key=lambda name: len(inputs[name]))
    solved = [
        solve_input(name, columns, study, regressors, options, seed, mapper, shifts=name == largest)
        for name, columns in inputs.items()
    ]
    background = mean_background(own, study.voxels.grid)
    return _results(study, solved, background, [*left_out, *notes, *missing], options)


def _inputs(study: Study, options: FacsOptions) -> tuple[dict[str, NDArray[np.intp]], list[str]]:
    """Return the voxels of every input, and notes on inputs that cannot be had."""
    found, notes = {}, []
    regions = study.own.regions
    for name, item in wanted_inputs(options, list(regions)).items():
        mask = input_mask(item, regions)
        if mask is None:
            notes.append(f"input {name}: a region that it is made of was found in nobody")
        elif mask.sum() < 2:
            notes.append(f"input {name}: fewer than 2 of its voxels are there in all participants")
        else:
            found[name] = np.flatnonzero(mask)
    if not found:
        raise InputError("; ".join(notes))
    return found, notes


def _results(
    study: Study,
    solved: Sequence[Solved],
    background: NDArray[np.float32] | None,
    notes: Sequence[str],
    options: FacsOptions,
) -> Results:
    entities = study.own.entities
    scores = tables.score_table(solved, study, options, entities)
    permuted = tables.permutation_table(solved, options, entities)
    weights = [own for one in solved for own in one.weights]
    methods = text.group_methods(options, len(study.cohorts) > 1, any(one.shifts for one in solved))
    return Results(
        maps=[item for own in weights for item in weight_maps(own, entities, options)],
        tables=[
            scores,
            tables.prediction_table(solved, study, options, entities),
            *([] if permuted is None else [permuted]),
            *report.shift_tables(solved, study, entities),
        ],
        matrices=_matrices(solved, study),
        models=[signature_model(own, entities, options) for own in weights],
        figures=list(group_figures.figures(study, solved, background, options)),
        views=list(group_figures.views(study, solved, background, options)),
        summaries=report.summaries(scores.frame, study, solved, options),
        methods=methods,
        citations=text.citations_of(methods),
        highlights=list(report.highlights(scores.frame, study, solved, options)),
        warnings=[*notes, *_warnings(study, solved, options)],
    )


def _matrices(solved: Sequence[Solved], study: Study) -> list[Matrix]:
    found = []
    for one in solved:
        for name, shift in one.shifts.items():
            labels = [study.names[0], name]
            frame = pd.DataFrame(shift.counts, index=labels, columns=labels)
            text_ = f"Images of {one.name} by data set (rows) and the classifier's guess (columns)"
            entities = {**study.own.entities, "label": one.name, "contrast": report.label_of(name)}
            found.append(Matrix(frame, entities, text_))
    return found


def _warnings(study: Study, solved: Sequence[Solved], options: FacsOptions) -> list[str]:
    notes = []
    outcome = solved[0].outcomes[0]
    people = study.own.people
    splits = [(rows, fold.rows) for rows, fold in zip(outcome.training, outcome.folds, strict=True)]
    untested = never_tested(splits, people)
    if len(untested):
        names = ", ".join(f"sub-{name}" for name in untested)
        notes.append(f"no random set holds out {names}: nothing is known of how they are predicted")
    notes += _shuffle_notes(people, options)
    n_people = len(np.unique(people))
    if options.validation == "group-k-fold" and n_people < options.n_splits:
        notes.append(f"{n_people} participants make as many groups, not {options.n_splits}")
    counts = [np.unique(one.target).size for one in study.cohorts.values()]
    notes.extend(
        f"data set {name}: all images have the same {options.target}"
        for name, n in zip(study.names, counts, strict=True)
        if n < 2
    )
    return notes


def _shuffle_notes(people: NDArray[np.str_], options: FacsOptions) -> list[str]:
    """Say which permutation tests are approximate, or cannot find anything."""
    if not options.permutations:
        return []
    notes = []
    exchanging = [kind for kind in options.shuffles if kind in ("between", "both")]
    if exchanging and not exchanges_blocks(people):
        notes.append(
            "numbers of images differ between participants, so that the tests "
            f"{', '.join(exchanging)} exchange their means and are approximate"
        )
    if "within" in options.shuffles and len(np.unique(people)) == len(people):
        notes.append("every participant has one image, so that the test within shuffles nothing")
    return notes
