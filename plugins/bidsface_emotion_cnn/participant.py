"""The participant level: the labelled volumes of every run, for the group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
from bidsface.anatomy import structure_map
from bidsface.backgrounds import mean_map
from bidsface.entities import shared
from bidsface_emotion_cnn import emotion_text
from bidsface_emotion_cnn.cleaning import cleaned_volumes, drifts
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.volume_labels import label_runs, read_label_sources

VOLUMES, MEMBERS = "signal", "regions"
"""``stat`` of the maps that hold volumes, and regions as ones and zeros."""

COLUMNS = {
    "task_name": Column("Task"),
    "block": Column("Run"),
    "segment": Column("What the run showed; the same for all participants who saw the same"),
    "volume_index": Column("Number of the volume in its run, from 0"),
    "time": Column("When the volume was acquired, from the beginning of the run", units="s"),
    "repetition_time": Column("Time between the volumes of the run", units="s"),
    "trial_type": Column("Class of the volume"),
    "agreement": Column("Part of the observers that chose the class; 1 for events"),
}


def gather_volumes(
    participant: Participant,
    options: EmotionOptions,
    seed: np.random.SeedSequence,
    bids_dir: Path | None = None,
) -> Results:
    """Return the labelled volumes of a participant, cleaned.

    Parameters
    ----------
    participant : Participant
    options : EmotionOptions
    seed : SeedSequence
        Of the draw of volumes, where classes are to have equally many; the same for all
        participants, so that those who saw the same give the same volumes.
    bids_dir : Path or None
        Where annotations may lie.

    Raises
    ------
    InputError
        If the participant lacks the tasks, or no volume has a label.
    """
    tasks, notes = usable_tasks(participant, options.tasks, "used")
    runs = [run for task in tasks for run in participant.bold_runs(task)]
    annotations = read_label_sources(options.labels, bids_dir)
    labelled = label_runs(runs, options.labels, annotations, seed)
    frame = labelled.frame.merge(
        pd.DataFrame(
            {
                "block": [run.block for run in runs],
                "task_name": [run.entities.get("task", "n/a") for run in runs],
                "repetition_time": [float(run.repetition_time) for run in runs],
            }
        ),
        on="block",
        how="left",
        validate="many_to_one",
    )
    used = [run for run in runs if (frame["block"] == run.block).any()]
    rows = [np.flatnonzero(frame["block"] == run.block) for run in used]
    values = np.empty((len(frame), len(participant.brain.index)), np.float32)
    start = 0
    for run, own in zip(used, rows, strict=True):
        stop = start + len(own)
        _fill(values[start:stop], run, frame["kept_index"].to_numpy()[own], options)
        start = stop
    table = frame.iloc[np.concatenate(rows)].rename(columns={"votes_share": "agreement"})
    notes.extend(labelled.notes)
    return _results(
        participant,
        table[list(COLUMNS)].reset_index(drop=True),
        values.T,
        shared([run.entities for run in used], ("run",)),
        options,
        emotion_text.participant_methods(options, len(annotations)),
        notes,
    )


def _fill(
    values: NDArray[np.float32], run: BoldRun, rows: NDArray[np.integer], options: EmotionOptions
) -> None:
    """Write cleaned volumes of a run to ``values``; the run is in memory only meanwhile."""
    series = run.load(options.smoothing_fwhm)
    regressors = [drifts(run.times, run.repetition_time, options.high_pass)]
    if options.confounds and run.confounds.shape[1]:
        regressors.append(run.confounds.to_numpy(float))
    per_voxel = options.scaling in ("voxel", "both")
    cleaned_volumes(series, np.hstack(regressors), rows, per_voxel, values)


def _results(
    participant: Participant,
    table: pd.DataFrame,
    values: NDArray[np.float32],
    entities: Entities,
    options: EmotionOptions,
    methods: str,
    notes: Sequence[str],
) -> Results:
    names = [f"volume{number}" for number in range(1, len(table) + 1)]
    text = "Cleaned volumes that have a label, in the order of the table of volumes"
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
    regions = participant.select_regions(options.regions, optional=True)
    if regions:
        members = np.zeros((len(participant.voxels.index), len(regions)), np.float32)
        for number, region in enumerate(regions):
            members[region.columns, number] = 1.0
        text = "Regions: 1 inside, 0 outside"
        names = [region.name for region in regions]
        maps.append(Map(MEMBERS, members, participant.voxels, entities, text, names))
    structures = structure_map(participant, entities)
    return maps if structures is None else [*maps, structures]


def _summary(table: pd.DataFrame) -> Summary:
    counts = pd.crosstab(table["trial_type"], table["block"])
    frame = counts.assign(All=counts.sum(axis=1)).rename_axis(None, axis=1).reset_index()
    frame = frame.rename(columns={"trial_type": "Class"})
    return Summary("Labelled volumes by class and run", frame)
