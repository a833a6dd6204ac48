"""events.tsv: reading it, and turning its events into classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bidsface.errors import InputError
from bidsface.recipe import Classes

MISSING = ("n/a", "")
BASELINE = ("n/a", "rest", "fixation", "baseline")
"""Events that a GLM leaves to its constant: as regressors they would span the whole run."""


@dataclass(frozen=True, eq=False)
class Events:
    """The events of a run, split into trials and the rest.

    Attributes
    ----------
    trials : DataFrame
        Events of a class, by onset: ``onset``, ``duration`` (s) and ``trial_type`` (the class),
        then the other columns of the file as text.
    others : DataFrame
        Events that are not of a class but evoke responses; a GLM of single trials models them.
    left_out : mapping of str to int
        How many events of each value are not of a class.
    values : frozenset of str
        Values of the class column before merging.
    rows : DataFrame
        The rows of ``trials`` as they stand in the file: every column, as text; missing is ``n/a``.
    """

    trials: pd.DataFrame
    others: pd.DataFrame
    left_out: Mapping[str, int]
    values: frozenset[str]
    rows: pd.DataFrame

    @classmethod
    def none(cls) -> Events:
        """Return the events of a run that has none."""
        trials = pd.DataFrame(
            {
                "onset": pd.Series(dtype=float),
                "duration": pd.Series(dtype=float),
                "trial_type": pd.Series(dtype=str),
            }
        )
        return cls(trials, trials, {}, frozenset(), trials.astype(str))


def read_events(path: Path, classes: Classes) -> Events:
    """Read events and decide which are trials.

    Values are merged first; then excluded ones are left out (without regard to case), then those
    that are not included. Events whose class is missing are always left out.

    Raises
    ------
    InputError
        If the file is empty or unreadable, a column is missing, an onset is not a number of at
        least 0, or a duration is neither ``n/a`` nor such a number.
    """
    return classified(*read_rows(path, classes.column), classes)


def read_rows(path: Path, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every event of a file.

    Returns
    -------
    frame : DataFrame
        By onset: ``onset``, ``duration`` (s) and ``trial_type`` (from ``column``), then the other
        columns as text; its index are the labels of ``rows``.
    rows : DataFrame
        The file as it is: every column, as text; missing is ``n/a``.

    Raises
    ------
    InputError
        As `read_events`.
    """
    rows = _read(path, column)
    return _parse(path, rows, column).sort_values("onset", kind="stable"), rows


def not_excluded(values: pd.Series, classes: Classes) -> pd.Series:
    """Tell which values of the class column are not among those that are no classes."""
    excluded = {value.lower() for value in (*classes.exclude, *MISSING)}
    return ~_merged(values, classes).str.lower().isin(excluded)


def are_trials(values: pd.Series, classes: Classes) -> pd.Series:
    """Tell which values of the class column are of a class of the recipe."""
    chosen = not_excluded(values, classes)
    return chosen & _merged(values, classes).isin(classes.include) if classes.include else chosen


def _merged(values: pd.Series, classes: Classes) -> pd.Series:
    merged = {old: new for new, olds in classes.merge.items() for old in olds}
    return values.map(lambda value: merged.get(value, value))


def classified(frame: pd.DataFrame, rows: pd.DataFrame, classes: Classes) -> Events:
    """Split events, as `read_rows` returns them, into trials and the rest."""
    values = frame["trial_type"]
    is_trial = are_trials(values, classes)
    frame = frame.assign(trial_type=_merged(values, classes))
    modelled = ~is_trial & ~frame["trial_type"].str.lower().isin((*BASELINE, *MISSING))
    return Events(
        trials=frame[is_trial].reset_index(drop=True),
        others=frame[modelled].reset_index(drop=True),
        left_out=Counter(frame.loc[~is_trial, "trial_type"]),
        values=frozenset(values),
        rows=rows.loc[frame.index[is_trial]].reset_index(drop=True),
    )


def _read(path: Path, column: str) -> pd.DataFrame:
    """Return every column as text, missing values as ``n/a``."""
    try:
        frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as an events file ({reason})") from error
    missing = [name for name in ("onset", "duration", column) if name not in frame.columns]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(frame.columns)}"
        )
    if frame.empty:
        raise InputError(f"{path}: holds no events")
    if not isinstance(frame.index, pd.RangeIndex):  # pandas then takes the first column for names
        raise InputError(f"{path}: its rows have more cells than there are columns")
    return frame.fillna("").apply(lambda cells: cells.str.strip()).replace("", "n/a")


def _parse(path: Path, rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return onset, duration and trial_type (from ``column``), then the other columns as text."""
    own = {
        "onset": _seconds(path, rows["onset"], "onset"),
        "duration": _seconds(path, rows["duration"].replace("n/a", "0"), "duration"),
        "trial_type": rows[column],
    }
    return pd.DataFrame(own).join(rows.drop(columns=list(own), errors="ignore"))


def _seconds(path: Path, column: pd.Series, name: str) -> pd.Series:
    seconds = pd.to_numeric(column, errors="coerce")
    wrong = ~(np.isfinite(seconds) & (seconds >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{path}: {name} in row {row + 2} has to be a number of seconds of at least 0, "
            f"found {column.iloc[row]!r}"
        )
    return seconds.astype(float)
