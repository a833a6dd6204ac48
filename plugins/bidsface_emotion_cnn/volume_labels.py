"""Labels of the volumes of a participant's runs, from events.tsv or from the labels of a film."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bidsface.analysis import BoldRun
from bidsface.errors import InputError
from bidsface_emotion_cnn.annotation_files import Annotations, read_observers
from bidsface_emotion_cnn.consensus import (
    NONE,
    ROUNDING,
    Codes,
    balanced_selection,
    frequent_classes,
)
from bidsface_emotion_cnn.film_labels import FilmLabels, film_labels
from bidsface_emotion_cnn.film_runs import check_film_runs, segment_of
from bidsface_emotion_cnn.label_options import LabelOptions, annotation_paths
from bidsface_emotion_cnn.segments import shown_volumes

TOLERANCE = 1e-3
"""s; rounding of onsets and repetition times in BIDS files."""


@dataclass(frozen=True, eq=False)
class LabelledVolumes:
    """The labelled volumes of one run, or of several.

    Attributes
    ----------
    frame : DataFrame
        A row per labelled volume, in order of time: ``block`` (the run's name), ``segment`` (the
        same text for what shows the same film in every participant), ``volume_index`` (from the
        start of the run), ``kept_index`` (among the volumes that ``BoldRun.load`` returns),
        ``time`` (s in the run), ``trial_type`` (the label), ``votes`` and ``voters`` (observers who
        chose it, and who noted any emotion), ``n_observers`` and ``votes_share`` (votes /
        n_observers). With annotations also ``film_volume`` and ``film_time`` (s, its start),
        ``label_duration`` (s, its length), and ``valence`` and ``arousal`` where there are such
        columns.
    notes : tuple of str
        What there is to say, for the report.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_label_sources(
    options: LabelOptions, bids_dir: Path | None = None
) -> tuple[Annotations, ...]:
    """Read the observers' tables that the options name; nothing where labels are events.

    Parameters
    ----------
    options : LabelOptions
    bids_dir : Path or None
        As for `bidsface_emotion_cnn.label_options.annotation_paths`.

    Raises
    ------
    RecipeError
        If a file is not there.
    InputError
        If a file is not such a table.
    """
    if options.source == "events":
        return ()
    return read_observers(annotation_paths(options, bids_dir), options.columns)


def label_volumes(
    run: BoldRun, options: LabelOptions, annotations: Sequence[Annotations] = ()
) -> LabelledVolumes:
    """Return the labelled volumes of one run.

    Parameters
    ----------
    run : BoldRun
    options : LabelOptions
        ``per_class``, and ``minimum`` for events, are left to `label_runs`.
    annotations : sequence of Annotations
        Of the observers; not for events.
    """
    return SOURCES[options.source](run, options, annotations)


def label_runs(
    runs: Sequence[BoldRun],
    options: LabelOptions,
    annotations: Sequence[Annotations],
    seed: np.random.SeedSequence,
) -> LabelledVolumes:
    """Return the labelled volumes of all runs of a participant, as many per class as asked for.

    Parameters
    ----------
    runs : sequence of BoldRun
    options : LabelOptions
    annotations : sequence of Annotations
        As `read_label_sources` returns them.
    seed : SeedSequence
        Of the draw; with one seed, participants with the same volumes keep the same ones.

    Raises
    ------
    InputError
        If no volume has a label, there are several runs and nothing says what each shows, two runs
        would show one part of the film, or a film is divided into volumes of different lengths.
    """
    notes = check_film_runs(runs, options)
    parts = [label_volumes(run, options, annotations) for run in runs]
    notes += _class_notes(runs, options)
    notes += [note for part in parts for note in part.notes]
    notes = list(dict.fromkeys(notes))
    filled = [part.frame for part in parts if len(part.frame)]
    if not filled:
        raise InputError(f"no volume has a label{''.join(f'; {note}' for note in notes)}")
    frame, more = _chosen(pd.concat(filled, ignore_index=True), options, seed)
    if frame.empty:
        raise InputError("; ".join(["no volume with a label is left", *more, *notes]))
    return LabelledVolumes(frame, (*notes, *more))


def _class_notes(runs: Sequence[BoldRun], options: LabelOptions) -> list[str]:
    """Return which classes of events are wanted and not there; annotations refuse such names."""
    if options.source != "events":
        return []
    found = {str(name) for run in runs for name in run.events["trial_type"]}
    missing = [name for name in options.classes if name not in found]
    if not missing:
        return []
    there = ", ".join(sorted(found)) or "none"
    return [f"labels.classes: no event of the runs is {', '.join(missing)}; there are {there}"]


def _chosen(
    frame: pd.DataFrame, options: LabelOptions, seed: np.random.SeedSequence
) -> tuple[pd.DataFrame, list[str]]:
    """Leave out rare classes of events, and draw as many volumes per class as asked for."""
    classes, codes = np.unique(frame["trial_type"].to_numpy(str), return_inverse=True)
    notes = []
    if options.source == "events":
        enough = frequent_classes(codes, options.minimum, len(classes))
        rare = classes[~enough]
        if len(rare):
            notes.append(f"fewer than {options.minimum} volumes, left out: {', '.join(rare)}")
        codes = np.where(enough[codes], codes, NONE)
    counts = np.bincount(codes[codes != NONE], minlength=len(classes))
    if options.per_class is not None:
        notes.extend(
            f"{name}: {count} volumes, and not {options.per_class}, were there to draw"
            for name, count in zip(classes, counts, strict=True)
            if 0 < count < options.per_class
        )
    rows = balanced_selection(codes.astype(np.int64), options.per_class, seed)
    return frame.iloc[rows].reset_index(drop=True), notes


def _label_events(
    run: BoldRun, options: LabelOptions, annotations: Sequence[Annotations]
) -> LabelledVolumes:
    """Label what was acquired from onset to end of an event, both delayed; the later event wins."""
    labels = run.events["trial_type"].to_numpy(str)
    onsets = run.events["onset"].to_numpy(float) + options.shift
    ends = onsets + run.events["duration"].to_numpy(float)
    first, stop = (np.searchsorted(run.times, edges - TOLERANCE) for edges in (onsets, ends))
    events = np.full(len(run.times), NONE, dtype=np.int64)
    for number in range(len(labels)):
        if not options.classes or labels[number] in options.classes:
            events[first[number] : stop[number]] = number
        else:
            events[first[number] : stop[number]] = NONE
    kept = np.flatnonzero(events != NONE)
    frame = _frame(run, kept, run.block, labels[events[kept]]).assign(
        votes=1, voters=1, n_observers=1, votes_share=1.0
    )
    empty = int((run.events["duration"] <= 0).sum())
    notes = [f"{run.block}: {empty} events of duration 0 label no volume"] if empty else []
    return LabelledVolumes(frame, tuple(notes))


def _label_film(
    run: BoldRun, options: LabelOptions, annotations: Sequence[Annotations]
) -> LabelledVolumes:
    """Label volumes with what observers agree on in the part of the film that the run shows."""
    film = film_labels(annotations, options, run.repetition_time)
    segment = segment_of(run.entities, options)
    if segment is None:
        note = (
            f"{run.block}: labels.segments names no part of the film that this run shows, its "
            f"volumes have no labels; segments are of run {', '.join(options.segment_names)}"
        )
        nothing = np.empty(0, dtype=np.int64)
        return LabelledVolumes(_film_frame(run, film, nothing, nothing, ""), (note,))
    name = options.segment_names[segment] if options.segments else "1"
    shown = _shown(run, film, segment, options)
    in_film = (shown != NONE) & (shown < len(film.used))
    shown = np.where(in_film, shown, 0)
    labelled = in_film & (film.used[shown] != NONE) & (film.segments[shown] == segment)
    kept = np.flatnonzero(labelled)
    frame = _film_frame(run, film, kept, shown[kept], name)
    notes = _rare_notes(film, options)
    return LabelledVolumes(
        frame, notes if len(kept) else (*notes, f"{run.block}: no volume has a label")
    )


def _rare_notes(film: FilmLabels, options: LabelOptions) -> tuple[str, ...]:
    counts = film.count(film.found.labels)
    rare = [
        f"{name} ({count})"
        for name, count in zip(film.classes, counts, strict=True)
        if 0 < count < options.minimum and (not options.classes or name in options.classes)
    ]
    if not rare:
        return ()
    return (f"fewer than {options.minimum} volumes of the film, left out: {', '.join(rare)}",)


SOURCES: Mapping[str, Callable[[BoldRun, LabelOptions, Sequence[Annotations]], LabelledVolumes]] = {
    "events": _label_events,
    "annotations": _label_film,
}


def _shown(run: BoldRun, film: FilmLabels, segment: int, options: LabelOptions) -> Codes:
    start, end = 0.0, len(film.used) * film.repetition_time
    if options.segments:
        start, end = options.segments[segment].start, options.segments[segment].end
    return shown_volumes(run.times, start, end, film.repetition_time, options.shift)


def _film_frame(
    run: BoldRun, film: FilmLabels, kept: Codes, volumes: Codes, segment: str
) -> pd.DataFrame:
    found, n_observers = film.found, len(film.observers)
    frame = _frame(run, kept, segment, film.names[volumes]).assign(
        votes=found.votes[volumes],
        voters=found.voters[volumes],
        n_observers=n_observers,
        votes_share=found.votes[volumes] / n_observers,
        film_volume=volumes,
        film_time=volumes * film.repetition_time,
        label_duration=film.repetition_time,
    )
    for name, values in (("valence", film.valence), ("arousal", film.arousal)):
        if values is not None:
            frame[name] = values[volumes]
    return frame


def _frame(run: BoldRun, kept: Codes, segment: str, labels: np.ndarray) -> pd.DataFrame:
    times = run.times[kept]
    return pd.DataFrame(
        {
            "block": run.block,
            "segment": segment,
            "volume_index": np.floor(times / run.repetition_time + ROUNDING).astype(np.int64),
            "kept_index": kept,
            "time": times,
            "trial_type": labels,
        }
    )
