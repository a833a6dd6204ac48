"""The group level: train over participants, evaluate, and look inside the networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bidsface.analysis import Figure, Model, ParticipantResults, Results
from bidsface.anatomy import Atlas
from bidsface.backgrounds import mean_background
from bidsface.errors import InputError
from bidsface.results import joined
from bidsface_emotion_cnn import emotion_text
from bidsface_emotion_cnn.cross_validation import SchemeOutcome, cross_validate
from bidsface_emotion_cnn.evaluating import judge, judged_results
from bidsface_emotion_cnn.fold_plan import plan_folds
from bidsface_emotion_cnn.gathering import Cohort, gather, labelled_participants, volume_table
from bidsface_emotion_cnn.leakage_audit import NAMES
from bidsface_emotion_cnn.learning_curves import learning_curves
from bidsface_emotion_cnn.network_similarity import compare, compared
from bidsface_emotion_cnn.occluding import box_grid, occlude
from bidsface_emotion_cnn.occlusion_results import (
    atlas_for,
    exploration_results,
    explored,
    occlusion_results,
)
from bidsface_emotion_cnn.optimization import uses_mixed_precision
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.positions import BoxGrid
from bidsface_emotion_cnn.similarity_results import similarity_results
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.weights import network_arrays, network_info


def analyse_group(
    participants: Sequence[ParticipantResults],
    options: EmotionOptions,
    tools: Tools,
    folder: Path,
) -> Results:
    """Return everything that is found over participants.

    Parameters
    ----------
    participants : sequence of ParticipantResults
    options : EmotionOptions
    tools : Tools
    folder : Path
        For the volumes of all participants, and checkpoints.

    Raises
    ------
    InputError
        If images lie on different grids, fewer than two classes are left, or no way of holding out
        is possible with the runs and participants that there are.
    """
    plan = plan_folds(volume_table(labelled_participants(participants)), options, tools.seed)
    cohort = gather(participants, options, folder)
    volumes = cohort.volumes
    tools.tell(
        f"{len(volumes):,} volumes of {' x '.join(map(str, volumes.shape))} voxels, "
        f"{len(volumes.classes)} classes, {len(volumes.participant_labels)} participants, "
        f"{len(volumes.run_labels)} runs"
    )
    # What does not fit is refused before hours of training.
    grid = None if options.occlusion is None else box_grid(cohort, options.occlusion)
    try:
        outcomes = cross_validate(volumes, plan, options, tools, folder)
    except ValueError as error:
        raise InputError(str(error)) from error
    parts = [
        Results(warnings=plan.notes),
        _training_results(outcomes, cohort, options, tools),
        judged_results(judge(outcomes, cohort, options, tools), cohort, options),
        *_inside_results(participants, outcomes[0], cohort, grid, options, tools),
    ]
    similarity = compare(compared(outcomes, volumes), cohort, options.permutations, tools)
    if similarity is not None:
        parts.append(similarity_results(similarity, cohort))
    return joined(parts)


def _inside_results(
    participants: Sequence[ParticipantResults],
    outcome: SchemeOutcome,
    cohort: Cohort,
    grid: BoxGrid | None,
    options: EmotionOptions,
    tools: Tools,
) -> list[Results]:
    """Return what occlusion finds, and what comes after it."""
    if options.occlusion is None or grid is None:
        return []
    occluded = occlude(outcome, cohort, grid, options.occlusion, tools)
    mean = mean_background(participants, cohort.blocks.full)
    background = None if mean is None else cohort.reduced(mean)
    found = [occlusion_results(occluded, cohort, background, options, tools)]
    if not len(occluded.drawn.shown):
        above = options.occlusion.above
        text = (
            "no held-out volume was classified correctly with a probability above "
            f"{above:g}, so that there are no maps of importance, no gradients and no positions "
            "that matter most; drops were tested all the same"
        )
        return [*found, Results(warnings=[text])]
    if options.embedding is not None:
        atlas: Atlas = atlas_for(participants, occluded, options)
        tools.tell("embedding of the positions that matter most")
        exploration = explored(occluded, cohort, atlas, options.occlusion, options.embedding, tools)
        found.append(exploration_results(exploration, cohort))
    return found


def _training_results(
    outcomes: Sequence[SchemeOutcome], cohort: Cohort, options: EmotionOptions, tools: Tools
) -> Results:
    """Return the networks of the first scheme, how all were trained, and what there is to say."""
    first, volumes = outcomes[0], cohort.volumes
    model = first.folds[0].network.model
    n_parameters = sum(int(np.prod(one.shape)) for one in model.parameters())
    mixed = uses_mixed_precision(options.training.precision, torch.device(tools.device))
    methods = emotion_text.group_methods(options, len(volumes.classes), n_parameters, mixed)
    models = [
        Model(
            network_arrays(one.network.model),
            {
                **network_info(options.training.network, volumes.classes, volumes.shape),
                "held_out": one.fold.name,
                "scheme": first.scheme,
                "affine": cohort.grid.affine.tolist(),
                "best_epoch": one.network.best_epoch,
            },
            {**cohort.entities, "contrast": f"{first.scheme}{number}"},
            f"Network that was trained without {one.fold.name} ({NAMES[first.scheme]})",
        )
        for number, one in enumerate(first.folds, start=1)
    ]
    return Results(
        models=models,
        figures=[_curves(outcome, cohort) for outcome in outcomes],
        methods=methods,
        citations=emotion_text.citations_of(methods),
        warnings=cohort.notes,
    )


def _curves(outcome: SchemeOutcome, cohort: Cohort) -> Figure:
    histories = {one.fold.name: one.network.history for one in outcome.folds}
    best = {one.fold.name: one.network.best_epoch for one in outcome.folds}
    chance = 1.0 / len(cohort.volumes.classes)
    return Figure(
        f"training{outcome.scheme}",
        learning_curves(histories, best, chance),
        f"Training, {NAMES[outcome.scheme]}",
        "Thin lines are folds, with a dot at the epoch whose weights were kept; thick lines are "
        "means over folds.",
        cohort.entities,
    )
