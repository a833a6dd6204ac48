"""The overview of one participant's data: what was read, cleaned, sampled and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bidsface.analysis import Figure, Parcellation, Results, Summary, cited
from bidsface.participant.methods import CITATIONS, methods_text
from bidsface.participant.preparation import PreparedRun, classes_not_found
from bidsface.samples import output_entities

if TYPE_CHECKING:
    from bidsface.participant.participant import LoadedParticipant

MISSING = "n/a"
ABOUT_RUNS = (
    "Dropped volumes came before the steady state; censored ones had too much head motion. "
    "Lost trials have no volume, or too little of their response, left in a kind of samples."
)
ABOUT_IMAGES = (
    "Images of no class belong to events that are left out. Voxels without value are 0 or not "
    "finite in at least one image that is used."
)


def describe_participant(participant: LoadedParticipant) -> Results:
    """Return region masks, carpet figures, tables of runs, classes and regions, and methods."""
    regions = tuple(participant.regions.values())
    text = methods_text(participant.recipe, regions)
    return Results(
        parcellations=(Parcellation(participant.found.voxels, regions),),
        figures=() if participant.recipe.inputs.images is not None else _carpets(participant),
        summaries=(_runs(participant), _classes(participant), *_regions(participant)),
        methods=text,
        citations=cited(text, CITATIONS),
        highlights=(_highlight(participant),),
        warnings=_warnings(participant),
    )


def _highlight(participant: LoadedParticipant) -> str:
    used = participant.runs.used
    trials = sum(len(run.events.trials) for run in used)
    classes = {label for run in used for label in run.events.trials["trial_type"]}
    n_regions = len(participant.regions)
    where = f"{n_regions} region{'s' * (n_regions != 1)}" if n_regions else "the brain"
    return (
        f"{len(used)} of {len(participant.files.runs)} runs were used, with {trials} trials of "
        f"{len(classes)} classes and {len(participant.found.voxels.index)} voxels in {where}."
    )


def _runs(participant: LoadedParticipant) -> Summary:
    rows = [
        _run_row(run, constant)
        for run, constant in zip(participant.runs.used, participant.volumes.constant, strict=True)
    ]
    rows += [
        {"run": run.run.block, "state": f"left out: {run.reason}"}
        for run in participant.runs.excluded
    ]
    order = {run.block: position for position, run in enumerate(participant.files.runs)}
    frame = pd.DataFrame(rows, dtype=object).sort_values("run", key=lambda names: names.map(order))
    return Summary(
        "Runs",
        frame.where(frame.notna(), MISSING).reset_index(drop=True),
        ABOUT_RUNS if participant.recipe.inputs.images is None else ABOUT_IMAGES,
    )


def _run_row(run: PreparedRun, constant: int) -> dict[str, object]:
    if run.run.images:
        return _image_row(run, constant)
    displacement = run.confounds.framewise_displacement
    return {
        "run": run.run.block,
        "state": "used",
        "volumes": len(run.filter.kept),
        "dropped": run.n_dropped,
        "censored": run.n_censored,
        "mean displacement (mm)": MISSING if displacement is None else f"{displacement.mean():.3f}",
        "trials": len(run.events.trials),
        "lost trials": run.n_lost,
        "voxels without signal": constant,
    }


def _image_row(run: PreparedRun, empty: int) -> dict[str, object]:
    return {
        "run": run.run.block,
        "state": "used",
        "images": len(run.filter.kept),
        "of no class": int(np.count_nonzero(~run.filter.kept)),
        "trials": len(run.events.trials),
        "trials without image": run.n_lost,
        "voxels without value": empty,
    }


def _classes(participant: LoadedParticipant) -> Summary:
    rows = []
    for task in participant.tasks:
        runs = participant.runs.of_task(task)
        trials = Counter(x for run in runs for x in run.events.trials["trial_type"])
        rest = Counter[str]()
        for run in runs:
            rest.update(run.events.left_out)
        rows += [_class_row(task, name, count, "class") for name, count in sorted(trials.items())]
        rows += [_class_row(task, name, count, "left out") for name, count in sorted(rest.items())]
    return Summary("Events and classes", pd.DataFrame(rows), "Events of the runs that were used.")


def _class_row(task: str, name: str, count: int, role: str) -> dict[str, object]:
    return {"task": task, "event": name, "count": count, "role": role}


def _regions(participant: LoadedParticipant) -> Sequence[Summary]:
    if not participant.regions:
        return ()
    volume = abs(float(np.linalg.det(participant.found.voxels.grid.affine[:3, :3])))
    rows = [
        {
            "region": region.name,
            "voxels": len(region.columns),
            "volume (ml)": f"{len(region.columns) * volume / 1000:.2f}",
            "source": region.description,
        }
        for region in participant.regions.values()
    ]
    about = "Voxels within the brain masks of all runs."
    return (Summary("Regions", pd.DataFrame(rows), about),)


def _carpets(participant: LoadedParticipant) -> Sequence[Figure]:
    from bidsface.figures import carpet

    threshold = participant.recipe.cleaning.fd_threshold
    figures = []
    for run, values in zip(participant.runs.used, participant.volumes.carpets, strict=True):
        times = run.filter.times[run.filter.kept]
        displacement = run.confounds.framewise_displacement
        shown = (
            np.full(len(times), np.nan) if displacement is None else displacement[run.filter.kept]
        )
        figures.append(
            Figure(
                name="carpet",
                draw=carpet(values, shown, times, run.run.block, threshold),
                title=f"Cleaned data, {run.run.block}",
                caption=(
                    f"Framewise displacement (mm) and {values.shape[1]} of the "
                    f"{len(participant.found.voxels.index)} voxels after cleaning."
                ),
                entities=output_entities(run.run),
            )
        )
    return figures


def _warnings(participant: LoadedParticipant) -> Sequence[str]:
    runs = participant.runs
    warnings = list(participant.files.notes)
    warnings += [f"{run.run.block} is left out: {run.reason}" for run in runs.excluded]
    warnings += participant.found.notes
    for name in participant.sample_names:
        lost = {run.run.block: len(run.lost(name)) for run in runs.used if len(run.lost(name))}
        if lost:
            where = ", ".join(f"{count} in {block}" for block, count in lost.items())
            warnings.append(f"trials without {name} samples: {where}")
    rest = Counter[str]()
    for run in runs.used:
        rest.update(run.events.left_out)
    if rest:
        events = ", ".join(f"{count} {name}" for name, count in sorted(rest.items()))
        warnings.append(f"events that are not of a class: {events}")
    absent = classes_not_found(runs.used, participant.recipe)
    if absent:
        warnings.append(f"classes of the recipe that no run has: {', '.join(absent)}")
    if any(run.confounds.motion.shape[1] == 0 for run in runs.used):
        warnings.append("head-motion parameters are missing, so nothing can be decoded from them")
    return warnings
