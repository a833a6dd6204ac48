"""The labels of a film: observers' annotations on a grid of volumes, and what they agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_emotion_cnn.annotation_files import Annotations
from bidsface_emotion_cnn.consensus import (
    NONE,
    Codes,
    Consensus,
    Floats,
    at_rows,
    consensus,
    covering_rows,
    frequent_classes,
    grid_length,
    of_choosers,
    restricted,
)
from bidsface_emotion_cnn.label_options import LabelOptions, needed_votes
from bidsface_emotion_cnn.segments import owners

SAME_GRID = 0.01
"""Part by which repetition times may differ so that the film is divided alike."""


@dataclass(frozen=True, eq=False)
class FilmLabels:
    """Labels of the volumes of a film, which start with it.

    Attributes
    ----------
    classes : tuple of str
        Every emotion that an observer noted, by alphabet.
    observers : tuple of str
    repetition_time : float
        Length of a volume (s).
    codes : ndarray of shape (n_observers, n_volumes)
        What each observer noted: numbers of classes, -1 for nothing.
    found : Consensus
    used : ndarray of shape (n_volumes,)
        ``found.labels`` of the emotions that are kept, else -1.
    segments : ndarray of shape (n_volumes,)
        Segment that a volume belongs to, -1 for none; all 0 where no segments are given.
    valence, arousal : ndarray of shape (n_volumes,) or None
        Mean over the observers who chose the most frequent emotion.
    """

    classes: tuple[str, ...]
    observers: tuple[str, ...]
    repetition_time: float
    codes: Codes
    found: Consensus
    used: Codes
    segments: Codes
    valence: Floats | None
    arousal: Floats | None

    @property
    def names(self) -> NDArray[np.str_]:
        """Label of every volume that is used, (n_volumes,); empty text for none."""
        return np.array([*self.classes, ""])[self.used]

    def count(self, codes: Codes) -> Codes:
        """Return how many volumes have every class, (n_classes,)."""
        return np.bincount(codes[codes != NONE], minlength=len(self.classes))


def film_labels(
    observers: Sequence[Annotations], options: LabelOptions, repetition_time: float
) -> FilmLabels:
    """Put annotations on a grid of volumes and find what observers agree on.

    Parameters
    ----------
    observers : sequence of Annotations
        At least one.
    options : LabelOptions
    repetition_time : float
        Length of the volumes (s), used unless the options set it.

    Raises
    ------
    InputError
        If no annotation lasts, or the options ask for an emotion that no observer noted.
    """
    step = options.repetition_time or repetition_time
    classes = tuple(sorted({name for one in observers for name in one.emotions}))
    _refuse_unknown(options.classes, classes)
    n_volumes = grid_length(np.concatenate([one.ends for one in observers]), step)
    if n_volumes == 0:
        raise InputError(f"{observers[0].path}: wanted annotations that last, found none")
    number = {name: code for code, name in enumerate(classes)}
    rows = [covering_rows(one.starts, one.ends, n_volumes, step) for one in observers]
    codes = np.array(
        [
            at_rows(np.array([number[name] for name in one.emotions], dtype=np.int64), own, NONE)
            for one, own in zip(observers, rows, strict=True)
        ]
    )
    found = consensus(codes, needed_votes(options, len(observers)), len(classes), options.ties)
    return FilmLabels(
        classes,
        tuple(one.observer for one in observers),
        step,
        codes,
        found,
        _used(found.labels, classes, options),
        _segments(n_volumes, step, options),
        _mean_rating([one.valence for one in observers], rows, codes, found.leading),
        _mean_rating([one.arousal for one in observers], rows, codes, found.leading),
    )


def refuse_other_grids(repetition_times: Mapping[str, float], options: LabelOptions) -> None:
    """Refuse runs that would divide one film into volumes of different lengths.

    What observers agree on, how many volumes an emotion has (`minimum`) and which half of an
    overlap is whose depend on these volumes.

    Parameters
    ----------
    repetition_times : mapping of str to float
        By the name of a run, or of whose runs they are (s).
    options : LabelOptions

    Raises
    ------
    InputError
        If they differ by more than a hundredth, and the options do not set the length.
    """
    if options.source == "events" or options.repetition_time is not None:
        return
    shortest, longest = (
        extreme(repetition_times, key=lambda name: repetition_times[name]) for extreme in (min, max)
    )
    short, long = repetition_times[shortest], repetition_times[longest]
    if long > (1 + SAME_GRID) * short:
        raise InputError(
            f"repetition times differ ({short:g} s in {shortest}, {long:g} s in {longest}), by "
            "which the film would be divided into different volumes: set labels.repetition_time "
            f"to the length of the film's volumes, such as {long:g}"
        )


def _refuse_unknown(wanted: Sequence[str], classes: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in classes]
    if unknown:
        raise InputError(
            f"labels.classes: no observer noted {', '.join(unknown)}; they noted "
            f"{', '.join(classes)}"
        )


def _used(labels: Codes, classes: Sequence[str], options: LabelOptions) -> Codes:
    wanted = np.array([not options.classes or name in options.classes for name in classes])
    return restricted(labels, wanted & frequent_classes(labels, options.minimum, len(classes)))


def _segments(n_volumes: int, repetition_time: float, options: LabelOptions) -> Codes:
    if not options.segments:
        return np.zeros(n_volumes, dtype=np.int64)
    starts, ends = segment_edges(options)
    return owners(n_volumes, repetition_time, starts, ends)


def segment_edges(options: LabelOptions) -> tuple[Floats, Floats]:
    """Return where segments start and end, each (n_segments,), s of the film."""
    edges = np.array([(segment.start, segment.end) for segment in options.segments], dtype=float)
    edges = edges.reshape(-1, 2)
    return edges[:, 0], edges[:, 1]


def _mean_rating(
    ratings: Sequence[Floats | None], rows: Sequence[Codes], codes: Codes, leading: Codes
) -> Floats | None:
    known = [rating for rating in ratings if rating is not None]
    if len(known) < len(ratings):  # the option that names the column holds for all observers
        return None
    values = [at_rows(rating, own, np.nan) for rating, own in zip(known, rows, strict=True)]
    return of_choosers(codes, np.array(values), leading)
