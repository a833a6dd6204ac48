"""The participant level: the labelled volumes of every run, for the group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import (
    BoldRun,
    Column,
    Entities,
    Map,
    Participant,
    Results,
    Summary,
    Table,
    usable_tasks,
)
from bidsface.backgrounds import mean_map
from bidsface.entities import shared
from bidsface.errors import InputError
from bidsface_emotion_cnn import emotion_text
from bidsface_emotion_cnn.cleaning import drifts, residuals, standardized
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.volume_labels import LabelSource

VOLUMES, MEMBERS, STRUCTURES = "signal", "regions", "index"
"""``stat`` of the maps that hold volumes, regions as ones and zeros, and indices of structures."""

COLUMNS = {
    "task_name": Column("Task"),
    "block": Column("Run"),
    "segment": Column("What the run showed; the same for all participants who saw the same"),
    "volume_index": Column("Number of the volume among those of the run that are used, from 0"),
    "time": Column("When the volume was acquired, from the beginning of the run", units="s"),
    "repetition_time": Column("Time between the volumes of the run", units="s"),
    "trial_type": Column("Class of the volume"),
    "agreement": Column("Part of the observers that chose the class; 1 for events"),
}


@dataclass(frozen=True, eq=False)
class LabelledRun:
    """The labelled volumes of a run: ``X`` (n_labelled, n_voxels) and a row of ``table`` for each.

    ``X`` is None where no volume of the run has a label.
    """

    table: pd.DataFrame
    X: NDArray[np.float32] | None
    entities: Entities


def gather_volumes(participant: Participant, options: EmotionOptions) -> Results:
    """Return the labelled volumes of a participant, cleaned.

    Parameters
    ----------
    participant : Participant
    options : EmotionOptions

    Raises
    ------
    InputError
        If the participant lacks the tasks, or no volume has a label.
    """
    tasks, notes = usable_tasks(participant, options.tasks, "used")
    source = LabelSource.of(options.labels)
    found: list[LabelledRun] = []
    for task in tasks:
        for run in participant.bold_runs(task):
            labelled = _labelled_run(run, task, source, options)
            found.append(labelled)
            if not len(labelled.table):
                notes.append(f"{run.block}: no volume has a label")
    notes.extend(source.notes)
    if not any(len(one.table) for one in found):
        raise InputError(
            f"sub-{participant.label}: no volume of {', '.join(tasks)} has a label"
            f"{''.join(f'; {line}' for line in notes)}"
        )
    return _results(participant, [one for one in found if len(one.table)], options, notes)


def _labelled_run(
    run: BoldRun, task: str, source: LabelSource, options: EmotionOptions
) -> LabelledRun:
    labels = source.of_run(run)
    table = labels.assign(
        task_name=task, block=run.block, repetition_time=float(run.repetition_time)
    )[list(COLUMNS)].reset_index(drop=True)
    if not len(table):
        return LabelledRun(table, None, run.entities)
    series = run.load(options.smoothing_fwhm)
    regressors = [drifts(run.times, run.repetition_time, options.high_pass)]
    if options.confounds and run.confounds.shape[1]:
        regressors.append(run.confounds.to_numpy(float))
    if options.scaling != "none" or options.high_pass is not None or options.confounds:
        series = _cleaned(series, np.hstack(regressors), options)
    return LabelledRun(table, series[table["volume_index"].to_numpy()], run.entities)


def _cleaned(
    series: NDArray[np.float32], regressors: NDArray[np.float64], options: EmotionOptions
) -> NDArray[np.float32]:
    """Return a run without drifts and confounds; its mean image stays unless voxels are scaled."""
    per_voxel = options.scaling in ("voxel", "both")
    mean = series.mean(axis=0, dtype=np.float64).astype(np.float32)
    left = residuals(series, regressors)
    return standardized(left) if per_voxel else left + mean


def _results(
    participant: Participant,
    runs: Sequence[LabelledRun],
    options: EmotionOptions,
    notes: Sequence[str],
) -> Results:
    table = pd.concat([one.table for one in runs], ignore_index=True)
    values = np.concatenate([one.X for one in runs if one.X is not None]).T
    entities = shared([one.entities for one in runs], ("run",))
    names = [f"volume{number}" for number in range(1, len(table) + 1)]
    text = "Cleaned volumes that have a label, in the order of the table of volumes"
    methods = emotion_text.participant_methods(options)
    return Results(
        maps=[
            mean_map(participant, entities),
            Map(VOLUMES, values, participant.brain, entities, text, names),
            *_places(participant, options, entities),
        ],
        tables=[Table("volumes", table, COLUMNS, entities, "Labelled volumes")],
        summaries=[_summary(table)],
        methods=methods,
        citations=emotion_text.citations_of(methods),
        highlights=[
            f"{len(table)} volumes of {table['block'].nunique()} runs have a label, of "
            f"{table['trial_type'].nunique()} classes."
        ],
        warnings=list(dict.fromkeys(notes)),
    )


def _places(participant: Participant, options: EmotionOptions, entities: Entities) -> list[Map]:
    """Return maps of the regions and of FreeSurfer's structures, where there are any."""
    maps = []
    regions = participant.select_regions(options.regions)
    members = np.zeros((len(participant.voxels.index), len(regions)), np.float32)
    for number, region in enumerate(regions):
        members[region.columns, number] = 1.0
    text = "Regions: 1 inside, 0 outside"
    names = [region.name for region in regions]
    maps.append(Map(MEMBERS, members, participant.voxels, entities, text, names))
    if participant.structures is not None:
        indices = participant.structures.astype(float)
        text = "FreeSurfer's index of every voxel"
        maps.append(Map(STRUCTURES, indices, participant.brain, entities, text))
    return maps


def _summary(table: pd.DataFrame) -> Summary:
    counts = pd.crosstab(table["trial_type"], table["block"])
    frame = counts.assign(All=counts.sum(axis=1)).rename_axis(None, axis=1).reset_index()
    frame = frame.rename(columns={"trial_type": "Class"})
    return Summary("Labelled volumes by class and run", frame)
