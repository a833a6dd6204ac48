"""Tables that an analysis asks for: which of those that were found, and what they hold."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from bidsface.analysis import InputTable
from bidsface.entities import is_subset, strip_prefix
from bidsface.errors import InputError, PluginError
from bidsface.files import FoundTables, TableFile, TableFilter

MISSING = "n/a"
KEY = "participant_id"


def requested_tables(
    found: Sequence[FoundTables], asked: TableFilter, label: str
) -> tuple[InputTable, ...]:
    """Return the tables of one participant that an analysis asks for, by session, task and run.

    Parameters
    ----------
    found : sequence of FoundTables
        What was found for the filters that the analysis's ``tables_used`` names.
    asked : TableFilter
        One of them, or a narrower one.
    label : str
        The participant's, for messages.

    Raises
    ------
    PluginError
        If ``tables_used`` names no such filter: nobody would know when such a table changes.
    """
    covering = [one for one in found if one.asked.covers(asked)]
    if not covering:
        named = "; ".join(str(one.asked) for one in found) or "none"
        raise PluginError(
            f"sub-{label}: an analysis asks for {asked}, but its tables_used names {named}"
        )
    files = {
        file.path: file
        for one in covering
        for file in one.files
        if is_subset(asked.entities, file.entities)
    }
    ordered = sorted(files.values(), key=lambda file: file.order)
    return tuple(_input_table(file) for file in ordered)


def _input_table(file: TableFile) -> InputTable:
    return InputTable(file.path, file.entities, file.sidecar, partial(read_table, file))


def read_table(file: TableFile) -> pd.DataFrame:
    """Read a table: every column as text, missing values as ``n/a``.

    Of a table of many participants, only the rows of one are kept (none, where it has none).

    Raises
    ------
    InputError
        If the file cannot be read as a table or is empty; if a table without header
        (``.tsv.gz``) has no, or other, ``Columns`` in its sidecar; if a table of many participants
        has no column ``participant_id``.
    """
    extension = "." + file.path.name.partition(".")[2]
    frame = READERS[extension](file)
    if frame.empty:
        raise InputError(f"{file.path}: holds no rows")
    frame = frame.fillna(MISSING).replace("", MISSING)
    return frame if file.participant is None else _rows_of(frame, file, file.participant)


def _with_header(file: TableFile, options: Mapping[str, Any]) -> pd.DataFrame:
    frame = _parse(file, options)
    if not isinstance(frame.index, pd.RangeIndex):  # pandas then takes the first column for names
        raise InputError(f"{file.path}: its rows have more cells than there are columns")
    return frame.rename(columns=str.strip)


def _without_header(file: TableFile) -> pd.DataFrame:
    columns = _described_columns(file)
    frame = _parse(file, {"sep": "\t", "header": None})
    if frame.shape[1] != len(columns):
        raise InputError(
            f"{file.path}: {frame.shape[1]} columns, but its sidecar's Columns are "
            f"{', '.join(columns)}"
        )
    if list(frame.iloc[0]) == columns:
        raise InputError(
            f"{file.path}: begins with the names of its columns; a compressed table has no header"
        )
    return frame.set_axis(columns, axis="columns")


def _described_columns(file: TableFile) -> list[str]:
    columns = file.sidecar.get("Columns")
    if columns is None:
        raise InputError(
            f"{file.path}: no Columns in a JSON sidecar, such as "
            f"{file.path.name.partition('.')[0]}.json; a compressed table has no header"
        )
    names = columns if isinstance(columns, list) else []
    if not names or len(set(map(str, names))) < len(names):
        raise InputError(
            f"{file.path}: Columns of its sidecar has to be a list of different names, "
            f"found {columns!r}"
        )
    return [str(name) for name in names]


def _parse(file: TableFile, options: Mapping[str, Any]) -> pd.DataFrame:
    try:
        return pd.read_csv(
            file.path, dtype=str, keep_default_na=False, encoding="utf-8-sig", **options
        )
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{file.path}: is empty") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file.path}: cannot be read as a table ({reason})") from error


def _rows_of(frame: pd.DataFrame, file: TableFile, participant: str) -> pd.DataFrame:
    if KEY not in frame.columns:
        raise InputError(f"{file.path}: no column {KEY}; it has {', '.join(frame.columns)}")
    own = frame[KEY].map(lambda label: strip_prefix("sub", label.strip())) == participant
    return frame[own].reset_index(drop=True)


READERS: Mapping[str, Callable[[TableFile], pd.DataFrame]] = {
    ".tsv": partial(_with_header, options={"sep": "\t"}),
    # OpenFace puts a blank behind every comma.
    ".csv": partial(_with_header, options={"sep": ",", "skipinitialspace": True}),
    ".tsv.gz": _without_header,
}
