"""Which part of a film every run of a participant shows."""

from __future__ import annotations

from collections.abc import Sequence

from bidsface.analysis import BoldRun, Entities
from bidsface.entities import every_entity, is_subset, same_label
from bidsface.errors import InputError
from bidsface_emotion_cnn.film_labels import refuse_other_grids
from bidsface_emotion_cnn.label_options import LabelOptions


def check_film_runs(runs: Sequence[BoldRun], options: LabelOptions) -> list[str]:
    """Refuse runs that cannot all show the film, and return notes on the tasks that do.

    Parameters
    ----------
    runs : sequence of BoldRun
        Those of all tasks that are used: of each task by itself, one that does not show the film
        looks like one that does.
    options : LabelOptions
        Nothing is checked where labels come from events.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If there are several runs and nothing says what each shows, two runs would show one part of
        the film, or their repetition times differ.
    """
    if options.source != "annotations" or not runs:
        return []
    _refuse_one_film_twice(runs, options)
    refuse_other_grids({run.block: run.repetition_time for run in runs}, options)
    tasks = list(dict.fromkeys(run.entities.get("task", "n/a") for run in runs))
    if len(tasks) < 2:
        return []
    return [f"tasks {', '.join(tasks)} are all taken to show the film; option tasks chooses"]


def segment_of(entities: Entities, options: LabelOptions) -> int | None:
    """Return the position of the segment that a run shows; None if there is none.

    Without segments, and for a single segment and runs without number, it is the first one.

    Parameters
    ----------
    entities : mapping
        BIDS entities of the run, by their short key.
    options : LabelOptions
    """
    if not options.segments:
        return 0
    for position, name in enumerate(options.segment_names):
        if "-" in name:
            if is_subset(every_entity(name), entities):
                return position
        elif same_label("run", name, entities.get("run")):
            return position
    unnamed = len(options.segments) == 1 and options.segments[0].run is None
    return 0 if unnamed and "run" not in entities else None


def _refuse_one_film_twice(runs: Sequence[BoldRun], options: LabelOptions) -> None:
    if not options.segments and len(runs) > 1:
        raise InputError(
            f"{len(runs)} runs ({', '.join(run.block for run in runs)}), but labels.segments does "
            "not say which part of the film each of them shows"
        )
    shown: dict[int, str] = {}
    for run in runs:
        segment = segment_of(run.entities, options)
        if segment is None:
            continue
        if segment in shown:
            # Such as runs of another task or session, whose volumes are not of the film.
            raise InputError(
                f"{shown[segment]} and {run.block} would both show the part of the film that "
                f"labels.segments gives to run {options.segment_names[segment]}; keep one by "
                "option tasks, or name the run in full there, such as run: ses-2_run-1"
            )
        shown[segment] = run.block
