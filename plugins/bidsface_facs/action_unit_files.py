"""Reading files of action units: text, also gzipped, with or without a header."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from bidsface.errors import InputError
from bidsface_facs.action_units import OTHER_COLUMNS, ReadingOptions, parse_action_units
from bidsface_facs.frame_clock import Sampling
from bidsface_facs.text_table import TextTable, listed
from bidsface_facs.unit_names import WANTED, looks_like_unit, parse_column
from bidsface_facs.unit_table import ActionUnits, CodedTrials

PHYSIO_ENDING = "_physio.tsv.gz"
MOST_LINES_BEFORE_HEADER = 60
"""FaceReader writes about ten lines on the video and its settings first."""

GZIP_START = b"\x1f\x8b"
UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff")


def read_action_units(
    path: Path,
    options: ReadingOptions | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> ActionUnits | CodedTrials:
    """Read a table of action units (.csv, .tsv, .txt, any of them gzipped).

    Parameters
    ----------
    path : Path
        A file that ends in ``_physio.tsv.gz`` is a BIDS recording: its columns and clock stand in
        its sidecar. Any other has a header, below whatever lines come before it.
    options : ReadingOptions or None
    metadata : mapping or None
        The sidecar of a BIDS recording (``Columns``, ``SamplingFrequency``, ``StartTime``); None to
        read the ``.json`` file beside it.

    Raises
    ------
    InputError
        If the file cannot be read, is empty or torn, or `parse_action_units` refuses the table.
    """
    sampling, columns = None, None
    if path.name.endswith(PHYSIO_ENDING):
        sidecar = path.with_name(path.name.removesuffix(".tsv.gz") + ".json")
        if metadata is None:
            metadata = _read_json(sidecar)
        columns, sampling = _described(metadata, sidecar)
    return parse_action_units(_read_table(path, columns), options, sampling)


def _read_table(path: Path, columns: Sequence[str] | None) -> TextTable:
    try:
        with _open(path) as stream:
            return _table(path, stream, columns)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a table of action units ({reason})") from error


def _open(path: Path) -> TextIO:
    """Open a file by what it is; characters that are none do no harm in text that is not used."""
    with path.open("rb") as raw:
        opener: Any = gzip.open if raw.read(2) == GZIP_START else Path.open
    with opener(path, "rb") as raw:
        encoding = "utf-16" if raw.read(2) in UTF16_STARTS else "utf-8-sig"
    stream: TextIO = opener(path, "rt", encoding=encoding, errors="replace", newline="")
    return stream


def _table(path: Path, stream: TextIO, columns: Sequence[str] | None) -> TextTable:
    """Return what is needed of the cells; the header is the first line that names a unit."""
    head = list(islice(stream, MOST_LINES_BEFORE_HEADER))
    if not any(line.strip() for line in head):
        raise InputError(f"{path}: wanted a table of action units, found an empty file")
    if columns is not None:
        rows = csv.reader(chain(head, stream), delimiter="\t")
        return TextTable(_cells(path, rows, columns, 1), path, 1)
    start = _header_line(head)
    delimiter = max("\t,;", key=head[start].count)
    rows = csv.reader(chain(head[start:], stream), delimiter=delimiter, skipinitialspace=True)
    return TextTable(_cells(path, rows, next(rows), start + 2), path, start + 2)


def _header_line(head: Sequence[str]) -> int:
    """Return which line names an action unit, or seems to, or else the first with any text."""
    for is_header in (_names_unit, _seems_to_name_unit, str.strip):
        for number, line in enumerate(head):
            if is_header(line):
                return number
    raise ValueError("no line has any text")


def _names_unit(line: str) -> bool:
    for name in _names(line):
        try:
            if parse_column(name) is not None:
                return True
        except ValueError:
            continue
    return False


def _seems_to_name_unit(line: str) -> bool:
    return any(looks_like_unit(name) for name in _names(line))


def _names(line: str) -> list[str]:
    return [name.strip(' "\r\n') for name in re.split("[\t,;]", line)]


def _cells(
    path: Path, rows: Iterator[list[str]], header: Sequence[str], first_row: int
) -> pd.DataFrame:
    """Return the columns that matter, of many."""
    if not any(looks_like_unit(name) for name in header):
        raise InputError(
            f"{path}: wanted columns of action units, {WANTED}; found {listed(header)}"
        )
    kept = [
        place
        for place, name in enumerate(header)
        if looks_like_unit(name) or name.strip().lower() in OTHER_COLUMNS
    ]
    cells = []
    for number, row in enumerate((row for row in rows if row), start=first_row):
        if len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
            raise InputError(
                f"{path}: row {number} has {len(row)} cells, wanted {len(header)} as there are "
                "columns; is the file complete?"
            )
        cells.append([row[place] for place in kept])
    return pd.DataFrame(cells, columns=[header[place] for place in kept], dtype=object)


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: the columns and the clock of a BIDS recording stand here, and it cannot be "
            f"read ({' '.join(str(error).split())})"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: wanted a JSON object, found {type(content).__name__}")
    return content


def _described(metadata: Mapping[str, Any], sidecar: Path) -> tuple[list[str], Sampling]:
    """Return the columns and the clock that a sidecar describes."""
    columns = metadata.get("Columns")
    if not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
        raise InputError(f"{sidecar}: Columns has to be a list of names, found {columns!r}")
    frequency = _number(metadata, "SamplingFrequency", sidecar)
    if not frequency > 0:
        raise InputError(f"{sidecar}: SamplingFrequency has to be above 0, found {frequency:g}")
    return columns, Sampling(frequency, _number(metadata, "StartTime", sidecar))


def _number(metadata: Mapping[str, Any], key: str, sidecar: Path) -> float:
    value = metadata.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{sidecar}: {key} has to be a number, found {value!r}")
    return float(value)
