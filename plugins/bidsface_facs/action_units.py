"""Reading tables of action units: those of OpenFace, py-feat and FaceReader, of coders, of BIDS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_facs.frame_clock import FRAME_COLUMNS, TIME_COLUMNS, FrameClock, Sampling
from bidsface_facs.text_table import LETTERS, NUMBERS_ONLY, TextTable, listed
from bidsface_facs.unit_names import WANTED, Kind, UnitName, parse_column
from bidsface_facs.unit_table import HIGHEST, ActionUnits, CodedTrials, Scale

Floats = NDArray[np.float64]
Columns = Mapping[UnitName, str]

TRIAL_COLUMNS = ("onset", "trial", "trial_number")
CONFIDENCE_COLUMNS = ("confidence", "facescore")
PY_FEAT_COLUMNS = ("facescore", "facerectx", "approx_time")
OPENFACE_COLUMNS = ("confidence", "success")
OTHER_COLUMNS = frozenset(
    (
        *TIME_COLUMNS,
        *FRAME_COLUMNS,
        *TRIAL_COLUMNS,
        *CONFIDENCE_COLUMNS,
        *PY_FEAT_COLUMNS,
        *OPENFACE_COLUMNS,
        "face_id",
    )
)
"""What is read besides action units, in small letters; a table may have hundreds more."""


@dataclass(frozen=True)
class Dialect:
    """What the maker of a table takes for granted.

    Attributes
    ----------
    name : str
    scale : {"0-5", "0-1"} or None
        Of the intensities; None where only the values tell.
    words : mapping of str to float
        Intensities in words.
    first_frame : int
        Number of a video's first frame.
    longest_interval : float
        s between frames that are still plausible.
    """

    name: str
    scale: Scale | None
    words: Mapping[str, float]
    first_frame: int = 1
    longest_interval: float = 2.0


OPENFACE = Dialect("openface", "0-5", NUMBERS_ONLY)
PY_FEAT = Dialect("py-feat", "0-1", NUMBERS_ONLY, first_frame=0)
FACEREADER = Dialect("facereader", None, LETTERS)
CODED = Dialect("coded", None, LETTERS, longest_interval=10.0)
PHYSIO = Dialect("physio", None, NUMBERS_ONLY)


@dataclass(frozen=True)
class ReadingOptions:
    """What a table itself may not tell.

    Attributes
    ----------
    sampling_frequency : float or None
        Frames per s. With it, time is counted by the numbers of the frames instead of read.
    scale : {"0-5", "0-1"} or None
        Of intensities, for tables of coders, of FaceReader and in BIDS; None to tell by the values.
    longest_gap : float
        s without any frame that are still accepted.
    """

    sampling_frequency: float | None = None
    scale: Scale | None = None
    longest_gap: float = 1.0


def parse_action_units(
    table: TextTable,
    options: ReadingOptions | None = None,
    sampling: Sampling | None = None,
) -> ActionUnits | CodedTrials:
    """Return what a table of text says of action units.

    Whose table it is, its columns tell: ``Action Unit 06 - Cheek Raiser`` (FaceReader),
    ``FaceScore`` or ``approx_time`` (py-feat), ``confidence``, ``success`` or names that end in
    ``_r`` (OpenFace); any other is taken for one of coders. It is one per trial if it has
    frequencies, or numbers or onsets of trials but no time of frames.

    Parameters
    ----------
    table : TextTable
    options : ReadingOptions or None
    sampling : Sampling or None
        The clock of a BIDS recording, from its sidecar; None for other tables.

    Raises
    ------
    InputError
        If there is no row or no action unit, a column's name or a cell cannot be understood,
        numbers are outside the scale, or `FrameClock` refuses the clock.
    """
    options = options or ReadingOptions()
    columns = unit_columns(table)
    if table.cells.empty:
        raise InputError(f"{table.path}: wanted one row per frame or trial, found only a header")
    per_trial = _is_per_trial(table, columns, sampling)
    dialect = CODED if per_trial else _dialect(table, columns, sampling)
    values = _values(table, columns, dialect)
    scale, notes = _scale(table, dialect, columns, options.scale)
    _check_values(table, columns, scale, values)
    common: dict[str, Any] = {
        "source": str(table.path),
        "dialect": dialect.name,
        "scale": scale,
        "intensity": values["intensity"],
        "presence": values["presence"],
        "notes": notes,
    }
    if per_trial:
        return CodedTrials(
            onset=_onsets(table), trial=_numbers(table), frequency=values["frequency"], **common
        )
    clock = FrameClock(
        sampling=sampling,
        sampling_frequency=options.sampling_frequency,
        first_frame=dialect.first_frame,
        longest_interval=dialect.longest_interval,
        longest_gap=options.longest_gap,
    )
    _require_one_face(table)
    return ActionUnits(
        time=clock.times(table),
        confidence=_confidence(table),
        tracked=_tracked(table),
        **common,
    )


def unit_columns(table: TextTable) -> dict[UnitName, str]:
    """Return the columns of a table that hold action units, by what they hold.

    Raises
    ------
    InputError
        If there is none, one that begins as a unit's cannot be understood, or two hold the same.
    """
    columns: dict[UnitName, str] = {}
    names = [str(name) for name in table.cells.columns]
    for name in names:
        try:
            unit = parse_column(name)
        except ValueError:
            raise InputError(
                f"{table.path}: column {name.strip()} cannot be understood; wanted {WANTED}"
            ) from None
        if unit is not None and unit in columns:
            raise InputError(
                f"{table.path}: wanted one column with the {unit.kind} of {unit.text}, found "
                f"{columns[unit].strip()} and {name.strip()}"
            )
        if unit is not None:
            columns[unit] = name
    if not columns:
        raise InputError(
            f"{table.path}: wanted columns of action units, {WANTED}; found {listed(names)}"
        )
    return columns


def _is_per_trial(table: TextTable, columns: Columns, sampling: Sampling | None) -> bool:
    if any(unit.kind == "frequency" for unit in columns):
        return True
    framed = sampling is not None or table.find(*TIME_COLUMNS) or table.find(*FRAME_COLUMNS)
    return not framed and any(table.find(name) for name in TRIAL_COLUMNS)


def _dialect(table: TextTable, columns: Columns, sampling: Sampling | None) -> Dialect:
    names = {str(name).strip().lower() for name in table.cells.columns}
    ends_as_openface = any(name.strip().lower().endswith("_r") for name in columns.values())
    if sampling is not None:
        return replace(PHYSIO, scale="0-5") if ends_as_openface else PHYSIO
    if any(name.startswith("action unit") for name in names):
        return FACEREADER
    if names.intersection(PY_FEAT_COLUMNS):
        return PY_FEAT
    return OPENFACE if ends_as_openface or names.intersection(OPENFACE_COLUMNS) else CODED


def _values(table: TextTable, columns: Columns, dialect: Dialect) -> dict[Kind, dict[str, Floats]]:
    """Return the numbers of all units, in ascending order whatever that of the columns."""
    values: dict[Kind, dict[str, Floats]] = {kind: {} for kind in get_args(Kind)}
    for unit in sorted(columns, key=lambda unit: unit.members):
        words = dialect.words if unit.kind == "intensity" else NUMBERS_ONLY
        values[unit.kind][unit.text] = table.numbers(columns[unit], words)
    return values


def _scale(
    table: TextTable, dialect: Dialect, columns: Columns, given: Scale | None
) -> tuple[Scale, tuple[str, ...]]:
    """Return the scale of the intensities, and what was assumed to tell it."""
    if dialect.scale is not None or given is not None:
        return dialect.scale or given or "0-5", ()
    names = [column for unit, column in columns.items() if unit.kind == "intensity"]
    if any(table.cells[name].str.strip().str.lower().isin(list("abcde")).any() for name in names):
        return "0-5", ()
    numbers = np.concatenate([np.zeros(0), *(table.numbers(name, dialect.words) for name in names)])
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size or numbers.max() > 1:
        return "0-5", ()
    scale: Scale = "0-1" if (numbers % 1 != 0).any() else "0-5"
    return scale, (
        f"{table.path}: no intensity is above 1, and the scale was taken to be {scale} "
        "(option scale)",
    )


def _check_values(
    table: TextTable,
    columns: Columns,
    scale: Scale,
    values: Mapping[Kind, Mapping[str, Floats]],
) -> None:
    if all(np.isnan(found).all() for kind in values.values() for found in kind.values()):
        raise InputError(f"{table.path}: wanted numbers, found every action unit missing (n/a)")
    for unit, column in columns.items():
        found = values[unit.kind][unit.text]
        missing = np.isnan(found)
        if unit.kind == "presence":
            table.require(missing | np.isin(found, (0.0, 1.0)), column, "0 or 1")
        else:
            highest = HIGHEST[scale] if unit.kind == "intensity" else np.inf
            wanted = f"between 0 and {highest:g}" if np.isfinite(highest) else "at least 0"
            table.require(missing | ((found >= 0) & (found <= highest)), column, wanted)


def _require_one_face(table: TextTable) -> None:
    column = table.find("face_id")
    if column is not None:
        faces = table.numbers(column)
        table.require(faces == faces[0], column, "that of the first row (one face per table)")


def _confidence(table: TextTable) -> Floats | None:
    column = table.find(*CONFIDENCE_COLUMNS)
    if column is None:
        return None
    confidence = table.numbers(column)
    missing = np.isnan(confidence)
    table.require(missing | ((confidence >= 0) & (confidence <= 1)), column, "between 0 and 1")
    # A face that was not found has no confidence.
    return np.where(missing, 0.0, confidence)


def _tracked(table: TextTable) -> NDArray[np.bool_]:
    column = table.find("success")
    if column is None:
        return np.ones(len(table.cells), dtype=np.bool_)
    success = table.numbers(column)
    table.require(np.isnan(success) | np.isin(success, (0.0, 1.0)), column, "0 or 1")
    return np.asarray(success == 1)


def _onsets(table: TextTable) -> Floats | None:
    column = table.find("onset")
    return None if column is None else table.seconds(column)


def _numbers(table: TextTable) -> NDArray[np.intp] | None:
    column = table.find("trial", "trial_number")
    if column is None:
        return None
    numbers = table.numbers(column)
    whole = np.isfinite(numbers) & (numbers >= 1) & (numbers % 1 == 0)
    table.require(whole, column, "the number of a trial, counted from 1")
    table.require(np.diff(numbers, prepend=0) > 0, column, "above that of the row before")
    return numbers.astype(np.intp)
