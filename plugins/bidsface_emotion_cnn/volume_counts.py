"""How many volumes of a participant will have a label, before any is read."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from bidsface.analysis import RunSize
from bidsface.errors import InputError, RecipeError
from bidsface_emotion_cnn.film_labels import film_labels
from bidsface_emotion_cnn.label_options import LabelOptions
from bidsface_emotion_cnn.volume_labels import read_label_sources


def most_volumes(
    runs: Sequence[RunSize], options: LabelOptions, tasks: Collection[str], bids_dir: Path | None
) -> int:
    """Return about how many volumes will have a label, and rather too many than too few.

    Parameters
    ----------
    runs : sequence of RunSize
        All runs of a participant.
    options : LabelOptions
    tasks : collection of str
        Tasks that are used; empty for all.
    bids_dir : Path or None
        Where annotations may lie.
    """
    used = [run for run in runs if not tasks or run.entities.get("task") in tasks]
    found = sum(run.n_volumes for run in used)
    times = [run.repetition_time for run in used if run.repetition_time > 0]
    if options.source == "annotations" and times:
        found = min(found, _of_film(options, bids_dir, min(times), found))
    if options.per_class is not None and options.classes:
        found = min(found, options.per_class * len(options.classes))
    return found


@lru_cache(maxsize=64)  # the same for all participants who saw the film
def _of_film(
    options: LabelOptions, bids_dir: Path | None, repetition_time: float, n_volumes: int
) -> int:
    """Return how many of so many volumes show what observers agree on."""
    try:
        film = film_labels(read_label_sources(options, bids_dir), options, repetition_time)
    except (InputError, RecipeError):  # told of where the labels are made
        return n_volumes
    # Every class has its share of the film, which is shown once or several times.
    shown = max(1, round(n_volumes * repetition_time / (len(film.used) * film.repetition_time)))
    counts = np.ceil(film.count(film.used) * film.repetition_time / repetition_time * shown)
    if options.per_class is not None:
        counts = np.minimum(counts, options.per_class)
    return math.ceil(counts.sum())
