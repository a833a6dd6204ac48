"""The participant level of ``consensus``: which of a participant's volumes have which label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bidsface.analysis import (
    BoldRun,
    Column,
    Entities,
    Figure,
    Participant,
    Results,
    Summary,
    Table,
    usable_tasks,
)
from bidsface.entities import shared
from bidsface_emotion_cnn import consensus_text as text
from bidsface_emotion_cnn.consensus import NONE, ROUNDING
from bidsface_emotion_cnn.consensus_analysis import ConsensusOptions
from bidsface_emotion_cnn.consensus_figures import COLOURS, Strip, strip_figure
from bidsface_emotion_cnn.volume_labels import LabelledVolumes, label_runs, read_label_sources

LABEL_COLUMNS: Mapping[str, Column] = {
    "task_name": Column("Task"),
    "block": Column("Run"),
    "segment": Column("Part of the film that the run shows"),
    "volume_index": Column("Volume, from the start of the run: 0, 1, ..."),
    "kept_index": Column("Volume among those of the run that are neither dropped nor censored"),
    "time": Column("When the volume was acquired, from the start of the run", units="s"),
    "trial_type": Column("Emotion that most observers noted"),
    "votes": Column("Observers who noted this emotion"),
    "voters": Column("Observers who noted any emotion"),
    "n_observers": Column("Observers in all"),
    "votes_share": Column("`votes` / `n_observers`"),
    "film_volume": Column("Volume of the film that the label is of: 0, 1, ..."),
    "film_time": Column("Time of the film with which that volume starts", units="s"),
    "label_duration": Column("Length of the film's volumes", units="s"),
    "valence": Column("Mean valence that those who noted the emotion gave it, -1 to 1 for words"),
    "arousal": Column("Mean arousal that those who noted the emotion gave it, -1 to 1 for words"),
}

OF_IMAGES = ("space", "cohort", "res", "run")
"""Entities that the labels of several runs do not depend on."""


def label_participant(
    participant: Participant,
    options: ConsensusOptions,
    seed: np.random.SeedSequence,
    bids_dir: Path | None = None,
) -> Results:
    """Return which volumes of a participant have which label.

    Parameters
    ----------
    participant : Participant
    options : ConsensusOptions
    seed : SeedSequence
        Of the draw of volumes; the same for all participants.
    bids_dir : Path or None
        Where the observers' tables may lie.

    Raises
    ------
    InputError
        If the participant lacks the tasks, an observer's table cannot be used, or no volume has a
        label.
    """
    tasks, notes = usable_tasks(participant, options.tasks, "labelled")
    runs = [run for task in tasks for run in participant.bold_runs(task)]
    sources = read_label_sources(options.labels, bids_dir)
    found = label_runs(runs, options.labels, sources, seed)
    entities = shared([run.entities for run in runs], OF_IMAGES)
    methods = text.participant_methods(options.labels, len(sources))
    n_volumes = sum(len(run.times) for run in runs)
    return Results(
        tables=[_table(found, runs, entities)],
        figures=[_figure(found, runs, entities)],
        summaries=[_summary(found, runs)],
        methods=methods,
        citations=text.citations_of(methods),
        highlights=[
            f"{len(found.frame):,} of {n_volumes:,} volumes have one of "
            f"{found.frame['trial_type'].nunique()} labels."
        ],
        warnings=[*notes, *found.notes],
    )


def _table(found: LabelledVolumes, runs: Sequence[BoldRun], entities: Entities) -> Table:
    tasks = {run.block: run.entities.get("task", "n/a") for run in runs}
    frame = found.frame.assign(task_name=found.frame["block"].map(tasks))
    columns = {name: column for name, column in LABEL_COLUMNS.items() if name in frame}
    return Table(
        "labels",
        frame[list(columns)],
        columns,
        entities,
        "Volumes with the emotion that observers agree on",
    )


def _figure(found: LabelledVolumes, runs: Sequence[BoldRun], entities: Entities) -> Figure:
    names = list(found.frame["trial_type"].value_counts().index)
    strips = []
    for run in runs:
        own = found.frame[found.frame["block"] == run.block]
        length = int(np.floor(run.times[-1] / run.repetition_time + ROUNDING)) + 1
        codes = np.full(length, NONE, dtype=np.int64)
        codes[own["volume_index"].to_numpy()] = own["trial_type"].map(names.index)
        strips.append(Strip(run.block.replace("_", " "), codes, run.repetition_time))
    return Figure(
        "labels",
        strip_figure(strips, names[: len(COLOURS)], "time in the run (s)"),
        "Labels of volumes by run",
        "Every line is a run; volumes without a label are white.",
        entities,
    )


def _summary(found: LabelledVolumes, runs: Sequence[BoldRun]) -> Summary:
    counts = pd.crosstab(found.frame["trial_type"], found.frame["block"])
    counts = counts.reindex(columns=[run.block for run in runs], fill_value=0)
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    rows = [
        {
            "Emotion": name,
            "Volumes": int(counts.loc[name].sum()),
            "Runs": int((counts.loc[name] > 0).sum()),
            "Mean share of votes": round(
                float(found.frame.loc[found.frame["trial_type"] == name, "votes_share"].mean()), 2
            ),
        }
        for name in order
    ]
    return Summary(
        "Labelled volumes by emotion",
        pd.DataFrame(rows),
        "An emotion that is seen in one run only cannot be tested across runs.",
    )
