"""Tables as BIDS TSV: numbers that round-trip, ``n/a``, ``true``; and back with their types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Column
from bidsface.entities import LONG_NAMES
from bidsface.errors import BidsfaceError, InputError

MISSING = "n/a"
STRING, NUMBER, INTEGER, BOOLEAN = "string", "number", "integer", "boolean"


def encode_table(frame: pd.DataFrame) -> bytes:
    """Return a table as TSV, without its index.

    Floats are written as the shortest text that reads back as the same double, whole numbers
    without a point, truth values as ``true`` and ``false``, missing values as ``n/a``.

    Raises
    ------
    BidsfaceError
        If two columns have one name, a value is infinite or a text holds a tab or a line break.
    """
    if not frame.columns.is_unique:
        raise BidsfaceError(f"two columns of a table are called the same: {list(frame.columns)}")
    texts = [[_text(value, str(name)) for value in frame[name]] for name in frame.columns]
    rows = [[str(name) for name in frame.columns], *zip(*texts, strict=True)]
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def check_columns(frame: pd.DataFrame, columns: Mapping[str, Column], what: str) -> None:
    """Raise BidsfaceError unless names are unique, legal and described, one by one."""
    names = [str(name) for name in frame.columns]
    bare = [name for name in names if name not in columns]
    idle = [name for name in columns if name not in names]
    if bare or idle:
        raise BidsfaceError(
            f"{what}: columns without a description: {', '.join(bare) or 'none'}; descriptions of "
            f"columns that it lacks: {', '.join(idle) or 'none'}"
        )
    reserved = sorted(RESERVED & set(names))
    if reserved:
        raise BidsfaceError(
            f"{what} has columns called {', '.join(reserved)}, which BIDS and pybids keep for "
            "themselves; choose names such as roi_name or run_index, or write one table per task "
            "and so on, with what they have in common in its entities"
        )


def described(frame: pd.DataFrame, columns: Mapping[str, Column]) -> dict[str, dict[str, Any]]:
    """Return the sidecar's entries for the columns of a table.

    Reserved names have none: as keys of a sidecar they would mean something else.
    """
    return {
        str(name): _entry(frame[name], columns[str(name)])
        for name in frame.columns
        if str(name) not in RESERVED
    }


def column_formats(frame: pd.DataFrame) -> dict[str, str]:
    """Return the type of every column."""
    return {str(name): column_format(frame[name]) for name in frame.columns}


def column_format(values: pd.Series) -> str:
    """Return the BIDS ``Format`` of a column, by what its values are and not how they look."""
    kind = values.dtype.kind
    if kind in _PLAIN_KINDS:  # no need to look at every value
        return _PLAIN_KINDS[kind]
    kinds = {_kind(value) for value in values if not _is_missing(value)}
    if not kinds:
        return STRING
    if len(kinds) == 1:
        return kinds.pop()
    return NUMBER if kinds == {INTEGER, NUMBER} else STRING


def read_table(path: Path, formats: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with columns of the types that its sidecar names; ``n/a`` becomes NaN.

    Raises
    ------
    InputError
        If the file cannot be read as such a table.
    """
    try:
        texts = pd.read_csv(
            path, sep="\t", dtype=object, keep_default_na=False, na_filter=False, quoting=3
        )
        columns = {
            name: _READERS[formats.get(str(name), STRING)](texts[name]) for name in texts.columns
        }
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    return pd.DataFrame(columns, index=texts.index)


RESERVED = frozenset(
    {
        *LONG_NAMES,
        *LONG_NAMES.values(),
        *("atlas", "contrast", "datatype", "extension", "flip", "fmap", "from", "inv", "modality"),
        *("mode", "model", "mt", "nucleus", "proc", "recording", "roi", "sample", "scans"),
        *("staining", "stat", "subset", "suffix", "to", "tracer", "tracksys", "volume"),
        *("Description", "Sources", "Options", "RandomSeed", "Software"),
    }
)
"""Names that pybids would take for entities where a sidecar describes a column so called, and
the sidecar's own keys."""

# bool before int: a truth value is an int for Python.
_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bool, np.bool_), BOOLEAN),
    ((int, np.integer), INTEGER),
    ((float, np.floating), NUMBER),
)

_PLAIN_KINDS = {"b": BOOLEAN, "i": INTEGER, "u": INTEGER, "f": NUMBER}


def _kind(value: Any) -> str:
    return next((name for types, name in _KINDS if isinstance(value, types)), STRING)


def _entry(values: pd.Series, column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {"Description": column.description, "Format": column_format(values)}
    if column.units is not None:
        entry["Units"] = column.units
    if column.levels is not None:
        entry["Levels"] = dict(column.levels)
    return entry


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, str):
        return value in {"", MISSING}
    return isinstance(value, float | np.floating) and math.isnan(value)


def _text(value: Any, column: str) -> str:
    if _is_missing(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        if math.isinf(value):
            raise BidsfaceError(f"column {column} of a table has an infinite value")
        return repr(float(value))
    text = str(value)
    if any(sign in text for sign in "\t\n\r"):
        raise BidsfaceError(f"column {column} of a table has a tab or a line break in {text!r}")
    return text


def _read_strings(texts: pd.Series) -> pd.Series:
    return texts.where(texts != MISSING, np.nan)


def _read_numbers(texts: pd.Series) -> pd.Series:
    # float() is exact; pandas's own parser may differ in the last bit.
    return pd.Series([math.nan if text == MISSING else float(text) for text in texts], dtype=float)


def _read_integers(texts: pd.Series) -> pd.Series:
    if (texts == MISSING).any():
        return _read_numbers(texts)
    return pd.Series([int(text) for text in texts], dtype=np.int64)


def _read_booleans(texts: pd.Series) -> pd.Series:
    values = {"true": True, "false": False, MISSING: np.nan}
    unknown = sorted(set(texts) - set(values))
    if unknown:
        raise ValueError(f"wanted true, false or n/a, found {', '.join(unknown)}")
    found = [values[text] for text in texts]
    return pd.Series(found, dtype=object if MISSING in set(texts) else bool)


_READERS = {
    STRING: _read_strings,
    NUMBER: _read_numbers,
    INTEGER: _read_integers,
    BOOLEAN: _read_booleans,
}
