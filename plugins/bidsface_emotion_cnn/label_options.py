"""Options of labels: where a volume's emotion comes from. Both analyses of the plugin use them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from bidsface.analysis import AnalysisOptions
from bidsface.entities import name_key
from bidsface.errors import RecipeError
from bidsface.files import located

OF_ANNOTATIONS = ("files", "columns", "threshold", "ties", "segments", "repetition_time")
"""Options that have no meaning for labels from events.tsv."""


class AnnotationColumns(AnalysisOptions):
    """Names of the columns of an observer's table."""

    start: str = "start"
    """Start of an annotation (s of the film)."""
    end: str = "end"
    """Its end (s of the film)."""
    emotion: str = "emotion"
    """The emotion; rows without one are skipped."""
    valence: str | None = None
    """Numbers, or `POS` and `NEG` (1 and -1); null for none."""
    arousal: str | None = None
    """Numbers, or `HIGH` and `LOW` (1 and -1); null for none."""


class FilmSegment(AnalysisOptions):
    """The part of a film that a run shows."""

    start: float = Field(ge=0)
    """Second of the film with which the run starts."""
    end: float
    """Second of the film with which it ends."""
    run: str | None = None
    """The run that shows it: its `run-` label, or several entities, such as `ses-2_run-1`. Null:
    the first segment is shown by `run-1`, the second one by `run-2`, ...
    """

    @model_validator(mode="after")
    def _has_a_length(self) -> FilmSegment:
        if not self.end > self.start:
            raise ValueError(f"a segment has to end after its start, {self.start:g} s")
        return self


class LabelOptions(AnalysisOptions):
    """Which emotion every volume is labelled with."""

    source: Literal["events", "annotations"] = "events"
    """`events`: the classes of events.tsv; `annotations`: what several observers noted while they
    watched the film.
    """
    files: tuple[str, ...] = ()
    """Tables of the observers, one file each (.csv or .tsv), by path or by pattern, such as
    `bids::stimuli/annotations/*.csv`, which lie in the data set; else absolute, or relative to the
    folder that bidsface is started in.
    """
    columns: AnnotationColumns = AnnotationColumns()
    """Columns of these tables."""
    threshold: int | None = Field(default=None, ge=1)
    """Observers who have to choose a volume's most frequent emotion; null for more than half of all
    (five of nine).
    """
    ties: Literal["alphabetical", "drop"] = "alphabetical"
    """Of emotions that are equally frequent in a volume, take the first by alphabet, or none."""
    segments: tuple[FilmSegment, ...] = ()
    """Which part of the film every run shows, in order, such as
    `[{start: 0, end: 902}, {start: 886, end: 1768}]`. Where segments overlap, the first half of the
    overlap belongs to the one run, the second half to the other. Empty: the only run shows the film
    from its start.
    """
    repetition_time: float | None = Field(default=None, gt=0)
    """Length of the volumes that the film is divided into (s); null for the repetition time of the
    runs, which then has to be the same for all of them.
    """
    shift: float = Field(default=4.0, ge=0)
    """Haemodynamic delay (s): a volume has the label of what was shown so long before."""
    classes: tuple[str, ...] = ()
    """Emotions to keep; empty means all. The others take part in the vote of the observers."""
    minimum: int = Field(default=1, ge=1)
    """Volumes that an emotion must have to be kept: of the film, or of a participant's events."""
    per_class: int | None = Field(default=None, ge=1)
    """Volumes to draw of every emotion and participant, the same ones for participants who have
    the same volumes; null for all.
    """

    @model_validator(mode="after")
    def _fit_together(self) -> LabelOptions:
        if self.source == "annotations" and not self.files:
            raise ValueError("source: annotations needs the files of the observers")
        given = [name for name in OF_ANNOTATIONS if name in self.model_fields_set]
        if self.source == "events" and given:
            raise ValueError(f"{', '.join(given)}: of no use unless source is annotations")
        starts = [segment.start for segment in self.segments]
        if starts != sorted(set(starts)):
            raise ValueError("segments have to be in the order of their starts")
        names = self.segment_names
        if len(set(names)) < len(names):
            raise ValueError(f"segments: two have the same run, of {', '.join(names)}")
        return self

    @property
    def segment_names(self) -> tuple[str, ...]:
        """The run of every segment: as given, else its number from 1."""
        return tuple(
            str(number) if segment.run is None else segment.run
            for number, segment in enumerate(self.segments, start=1)
        )


def annotation_paths(options: LabelOptions, bids_dir: Path | None = None) -> tuple[Path, ...]:
    """Return the observers' files, absolute: patterns in turn, what each matches by name.

    Parameters
    ----------
    options : LabelOptions
    bids_dir : Path or None
        The data set, which paths that begin with `bids::` lie in.

    Raises
    ------
    RecipeError
        If a path is no file, a pattern matches none, or a file is named twice.
    """
    found = [path for pattern in options.files for path in _matches(pattern, bids_dir)]
    twice = next((path for path in found if found.count(path) > 1), None)
    if twice is not None:
        raise RecipeError(f"files: {twice} is named twice, and every observer has one file")
    return tuple(found)


def check_labels(
    options: LabelOptions, bids_dir: Path | None = None, analysis_key: str = "labels"
) -> None:
    """Refuse files that are not there, and thresholds that no volume can reach.

    Parameters
    ----------
    options : LabelOptions
    bids_dir : Path or None
        As for `annotation_paths`.
    analysis_key : str
        Name of the option that holds them.

    Raises
    ------
    RecipeError
        With the key, and what would be allowed.
    """
    if options.source == "events":
        return
    try:
        n_observers = len(annotation_paths(options, bids_dir))
    except RecipeError as error:
        raise RecipeError(f"{analysis_key}.{error}") from error
    if options.threshold is not None and options.threshold > n_observers:
        raise RecipeError(
            f"{analysis_key}.threshold: {options.threshold} observers have to agree, but there are "
            f"files of {n_observers}"
        )


def needed_votes(options: LabelOptions, n_observers: int) -> int:
    """Return how many observers have to choose a label."""
    return n_observers // 2 + 1 if options.threshold is None else options.threshold


def _matches(pattern: str, bids_dir: Path | None) -> Sequence[Path]:
    path = located(pattern, bids_dir)
    if path.is_file():
        return [path]
    root = Path(path.anchor)
    try:
        files = [match for match in root.glob(str(path.relative_to(root))) if match.is_file()]
    except ValueError:  # two stars that are no folder's name of their own, say
        files = []
    if not files:
        raise RecipeError(
            f"files: {pattern} is no file and matches none, wanted an observer's table (.csv, .tsv)"
        )
    return sorted(files, key=lambda file: name_key(str(file)))
