"""The participant level: gather the images of events and their targets for the group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import (
    Column,
    Figure,
    Map,
    Participant,
    Results,
    Summary,
    Table,
    usable_tasks,
)
from bidsface.backgrounds import mean_map
from bidsface.errors import InputError
from bidsface.numerics.linear import Floats
from bidsface_facs import text
from bidsface_facs.figures import target_figure
from bidsface_facs.images import TrialImages, event_images, joined, numbers, without_missing
from bidsface_facs.inputs import wanted_inputs
from bidsface_facs.options import FacsOptions
from bidsface_facs.target_sources import task_target

IMAGES, MEMBERS = "effect", "regions"
"""``stat`` of the maps that hold the images, and the regions as volumes of ones and zeros."""

COVARIATE, MOTION = "covariate_", "motion_"
"""How the names of columns begin in the table of trials."""

TRIAL_COLUMNS = {
    "task_name": Column("Task"),
    "trial_type": Column("Class of the event"),
    "event": Column("Number of the event within the participant"),
    "block": Column("Run"),
    "session_name": Column("Session"),
    "run_index": Column("Number of the run"),
    "onset": Column("Onset of the event", units="s"),
    "target": Column("What is predicted, as measured"),
}


def gather_images(participant: Participant, options: FacsOptions) -> Results:
    """Return the images of a participant's events, with target, covariates and head motion.

    Parameters
    ----------
    participant : Participant
    options : FacsOptions

    Raises
    ------
    InputError
        If the participant lacks the tasks, the target or the regions.
    """
    tasks, notes = usable_tasks(participant, options.tasks, "used")
    parts = []
    for task in tasks:
        part, said = _task_images(participant, task, options)
        parts.append(part)
        notes.extend(said)
    wanted: dict[str, Callable[[TrialImages], Floats]] = {options.target: _target}
    for number, name in enumerate(options.covariates):
        wanted[name] = partial(_covariate, number)
    images, more = without_missing(joined(parts), wanted)
    notes.extend(more)
    if not len(images.table):
        raise InputError(
            f"sub-{participant.label}: no event has a value of {' and '.join(wanted)} in "
            f"{', '.join(tasks)}"
            f"{''.join(f'; {line}' for line in notes)}"
        )
    return _results(participant, images, options, notes)


def _target(images: TrialImages) -> Floats:
    return images.target


def _covariate(number: int, images: TrialImages) -> Floats:
    return images.covariates[:, number]


def _task_images(
    participant: Participant, task: str, options: FacsOptions
) -> tuple[TrialImages, list[str]]:
    samples = participant.samples(options.samples or participant.sample_names[0], task)
    who = f"sub-{participant.label}, task {task}"
    columns = [numbers(samples.events, name, who) for name in options.covariates]
    covariates = np.column_stack(columns) if columns else np.empty((len(samples.table), 0))
    target, notes = task_target(participant, samples, task, options)
    return event_images(samples, task, target, covariates), notes


def _results(
    participant: Participant, images: TrialImages, options: FacsOptions, notes: Sequence[str]
) -> Results:
    columns, names, members = _regions(participant, options)
    voxels = participant.voxels.take(columns)
    entities = images.entities
    volumes = [f"event{number}" for number in range(1, len(images.table) + 1)]
    methods = text.participant_methods(options)
    target = images.target
    return Results(
        maps=[
            mean_map(participant, entities),
            Map(
                IMAGES,
                images.X[:, columns].T,
                voxels,
                entities,
                "Images of events, in the order of the table of trials",
                volumes,
            ),
            Map(MEMBERS, members, voxels, entities, "Regions: 1 inside, 0 outside", names),
        ],
        tables=[trial_table(images, options)],
        figures=[
            Figure(
                "target",
                target_figure(target, images.table["block"].to_numpy(), options.target),
                f"{options.target} by event",
                f"Every bar is an event, in order; colours are runs. {_zeros(target)}",
                entities,
            )
        ],
        summaries=[_summary(images, options)],
        methods=methods,
        citations=text.citations_of(methods),
        highlights=[
            f"{len(target)} images of events; {options.target} from {target.min():.3g} to "
            f"{target.max():.3g}, mean {target.mean():.3g}. {_zeros(target)}"
        ],
        warnings=[*dict.fromkeys(notes), *_warnings(target, options)],
    )


def _zeros(target: NDArray[np.float64]) -> str:
    return f"{100 * float(np.mean(target == 0)):.0f} % of the values are zero."


def _warnings(target: NDArray[np.float64], options: FacsOptions) -> list[str]:
    if options.transform == "log1p" and (target <= -1).any():
        raise InputError(
            f"{options.target} has values of -1 or less, of which there is no log1p; "
            "use transform: rank or none"
        )
    if np.ptp(target) == 0:
        return [f"{options.target} is the same in all events of this participant"]
    return []


def _regions(
    participant: Participant, options: FacsOptions
) -> tuple[NDArray[np.intp], list[str], NDArray[np.float32]]:
    """Return the columns that inputs need, and which region has which of them."""
    known = list(participant.regions)
    inputs = wanted_inputs(options, known)
    wanted = [name for item in inputs.values() for name in (item.region, *item.without)]
    names = [name for name in dict.fromkeys(wanted) if name in known]
    inside = np.zeros((len(participant.voxels.index), len(names)), np.float32)
    for number, name in enumerate(names):
        inside[participant.regions[name].columns, number] = 1.0
    columns = np.flatnonzero(inside.any(axis=1))
    if not len(columns):
        raise InputError(
            f"sub-{participant.label}: none of the regions {', '.join(dict.fromkeys(wanted))} "
            "was found"
        )
    return columns, names, inside[columns]


def trial_table(images: TrialImages, options: FacsOptions) -> Table:
    """Return one row per image: what it is, target, covariates and head motion."""
    frame = images.table.assign(target=images.target)
    columns = dict(TRIAL_COLUMNS)
    for number, name in enumerate(options.covariates):
        frame[COVARIATE + name] = images.covariates[:, number]
        columns[COVARIATE + name] = Column(f"Column {name} of events.tsv")
    for number in range(images.motion.shape[1]):
        name = f"{MOTION}{number + 1}"
        frame[name] = images.motion[:, number]
        columns[name] = Column(
            f"Head-motion parameter {number + 1}, filtered and weighted as the image was"
        )
    return Table(
        "trials",
        frame[list(columns)],
        columns,
        images.entities,
        f"Events and their {options.target}",
    )


def _summary(images: TrialImages, options: FacsOptions) -> Summary:
    frame = images.table.assign(target=images.target)
    rows = [
        {
            "Run": block,
            "Events": len(own),
            "Mean": float(f"{own['target'].mean():.3g}"),
            "Smallest": float(f"{own['target'].min():.3g}"),
            "Largest": float(f"{own['target'].max():.3g}"),
            "Zeros": int((own["target"] == 0).sum()),
        }
        for block, own in frame.groupby("block", sort=False)
    ]
    return Summary(f"{options.target} by run", pd.DataFrame(rows))
