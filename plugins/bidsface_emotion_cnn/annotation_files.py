"""Reading what observers noted of a film: one table of intervals with an emotion per observer."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bidsface.errors import InputError
from bidsface_emotion_cnn.consensus import Floats
from bidsface_emotion_cnn.label_options import AnnotationColumns

DELIMITERS: Mapping[str, str] = {".csv": ",", ".tsv": "\t"}

MISSING = ("", "n/a", "na", "nan")
"""Cells without a value, case aside."""

WORDS: Mapping[str, float] = {
    **{"pos": 1.0, "positive": 1.0, "high": 1.0},
    **{"neg": -1.0, "negative": -1.0, "low": -1.0},
    "neutral": 0.0,
}
"""Valence and arousal in words, case aside."""

LONGEST = 86_400.0
"""s; times beyond a day are milliseconds, or frames."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """What one observer noted, in the order of the file, rows without an emotion left out.

    Attributes
    ----------
    observer : str
        Name of the file without its ending.
    path : Path
    starts, ends : ndarray of shape (n_rows,)
        s of the film.
    emotions : tuple of str
        A label of several words is an emotion of its own.
    valence, arousal : ndarray of shape (n_rows,) or None
        NaN where the observer noted none; None where no column is named.
    """

    observer: str
    path: Path
    starts: Floats
    ends: Floats
    emotions: tuple[str, ...]
    valence: Floats | None = None
    arousal: Floats | None = None


@dataclass(frozen=True)
class _Line:
    """One row of a file: its number there, and the cells by column."""

    path: Path
    number: int
    cells: Mapping[str, str]

    def seconds(self, column: str) -> float:
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= LONGEST:
            raise InputError(
                f"{self.path}: {column} in row {self.number} has to be a number of seconds from 0 "
                f"to {LONGEST:,.0f}, found {text!r}"
            )
        return value

    def rating(self, column: str) -> float:
        text = self.cells[column]
        if text.lower() in MISSING:
            return math.nan
        try:
            value = WORDS[text.lower()] if text.lower() in WORDS else float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(
                f"{self.path}: {column} in row {self.number} has to be a number or one of "
                f"{', '.join(WORDS)}, or n/a; found {text!r}"
            )
        return value


def read_observers(paths: Sequence[Path], columns: AnnotationColumns) -> tuple[Annotations, ...]:
    """Read the tables of several observers.

    Observers are called like their files, and where two of these have one name, with the folder.

    Raises
    ------
    InputError
        As `read_annotations`.
    """
    shared = Counter(path.stem for path in paths)
    return tuple(
        read_annotations(
            path,
            columns,
            path.stem if shared[path.stem] == 1 else f"{path.parent.name}/{path.stem}",
        )
        for path in paths
    )


def read_annotations(
    path: Path, columns: AnnotationColumns | None = None, observer: str | None = None
) -> Annotations:
    """Read one observer's table, .csv (commas) or .tsv (tabs), with a header.

    Parameters
    ----------
    path : Path
    columns : AnnotationColumns or None
        Names of the columns; None for ``start``, ``end`` and ``emotion``.
    observer : str or None
        None for the name of the file without its ending.

    Raises
    ------
    InputError
        If the file cannot be read as such a table or has no row with an emotion, a column is
        missing, a time is not a number of seconds of at least 0, or an annotation ends before it
        starts.
    """
    columns = AnnotationColumns() if columns is None else columns
    lines = [
        line for line in _lines(path, columns) if line.cells[columns.emotion].lower() not in MISSING
    ]
    if not lines:
        raise InputError(
            f"{path}: wanted rows with an emotion in column {columns.emotion}, found none"
        )
    intervals = np.array([_interval(line, columns) for line in lines])
    return Annotations(
        path.stem if observer is None else observer,
        path,
        intervals[:, 0],
        intervals[:, 1],
        tuple(" ".join(line.cells[columns.emotion].split()) for line in lines),
        _ratings(lines, columns.valence),
        _ratings(lines, columns.arousal),
    )


def _interval(line: _Line, columns: AnnotationColumns) -> tuple[float, float]:
    start, end = line.seconds(columns.start), line.seconds(columns.end)
    if end < start:
        raise InputError(
            f"{line.path}: {columns.end} in row {line.number} has to be at least {columns.start}, "
            f"{start:g} s, found {end:g}"
        )
    return start, end


def _ratings(lines: Sequence[_Line], column: str | None) -> Floats | None:
    return None if column is None else np.array([line.rating(column) for line in lines])


def _lines(path: Path, columns: AnnotationColumns) -> list[_Line]:
    rows = _rows(path)
    if not rows:
        raise InputError(f"{path}: wanted a table of annotations, found an empty file")
    header = [name.strip() for name in rows[0][1]]
    wanted = [name for name in columns.model_dump().values() if name is not None]
    for name in wanted:
        if header.count(name) != 1:
            problem = f"{header.count(name)} columns" if name in header else "no column"
            raise InputError(f"{path}: {problem} {name!r}; it has {', '.join(header)}")
    lines = []
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise InputError(
                f"{path}: row {number} has {len(row)} cells, wanted {len(header)} as there are "
                "columns; is the file complete?"
            )
        cells = dict(zip(header, row, strict=True))
        lines.append(_Line(path, number, {name: cells[name].strip() for name in wanted}))
    return lines


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows that hold anything, with their numbers in the file."""
    delimiter = DELIMITERS.get(path.suffix.lower())
    if delimiter is None:
        raise InputError(
            f"{path}: wanted a table that ends in {' or '.join(DELIMITERS)}, found "
            f"{path.suffix or 'no ending'}"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
            rows = ((reader.line_num, row) for row in reader)
            return [(number, row) for number, row in rows if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a table of annotations ({reason})") from error
