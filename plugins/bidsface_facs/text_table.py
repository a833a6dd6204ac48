"""A table of text: its cells as numbers, and messages that name file, column and row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.errors import InputError

Floats = NDArray[np.float64]

MISSING = ("", "n/a", "na", "nan", "-nan", "nan(ind)", "-nan(ind)", "fit_failed", "find_failed")
"""Cells without a value, case aside: BIDS's, C++'s and FaceReader's."""

NUMBERS_ONLY: Mapping[str, float] = {}
LETTERS: Mapping[str, float] = {
    **{letter: float(number) for number, letter in enumerate("abcde", start=1)},
    "notactive": 0.0,
    "not active": 0.0,
}
"""Intensities in words, case aside: A to E of FACS, and FaceReader's word for none."""

MOST_LISTED = 12


@dataclass(frozen=True, eq=False)
class TextTable:
    """Cells of a file as text.

    Attributes
    ----------
    cells : DataFrame
        All text, one row per frame or trial; blanks around names and cells are ignored.
    path : Path
        File that messages name.
    first_row : int
        Row of the file that the first row of ``cells`` is.
    """

    cells: pd.DataFrame
    path: Path
    first_row: int = 2

    def find(self, *names: str) -> str | None:
        """Return the column with one of some names, case aside; None if there is none.

        Raises
        ------
        InputError
            If there are several.
        """
        found = [str(name) for name in self.cells.columns if str(name).strip().lower() in names]
        if len(found) > 1:
            raise InputError(
                f"{self.path}: wanted one column of {' or '.join(names)}, found {listed(found)}"
            )
        return found[0] if found else None

    def numbers(self, column: str, words: Mapping[str, float] = NUMBERS_ONLY) -> Floats:
        """Return a column as numbers, NaN where there is no value.

        Parameters
        ----------
        column : str
        words : mapping of str to float
            What some words mean, in small letters.

        Raises
        ------
        InputError
            If a cell is neither a finite number, nor one of the words, nor missing.
        """
        text = self._text(column)
        values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64, copy=True)
        worded = text.isin(list(words)).to_numpy()
        values[worded] = text[worded].map(dict(words)).to_numpy(dtype=np.float64)
        missing = text.isin(MISSING).to_numpy()
        values[missing] = np.nan
        wanted = "a number or a letter from A to E" if words else "a number"
        self.require(np.isfinite(values) | missing, column, f"{wanted}, or n/a")
        return values

    def seconds(self, column: str) -> Floats:
        """Return a column of times in s, given as numbers or as on a clock (``01:02:03.456``).

        Raises
        ------
        InputError
            If a cell is neither, or is missing.
        """
        text = self._text(column)
        if text.str.contains(":").any():
            parts = text.str.extract(r"^(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)$")
            hours = pd.to_numeric(parts[0].fillna("0"))
            values = 3600 * hours + 60 * pd.to_numeric(parts[1]) + pd.to_numeric(parts[2])
        else:
            values = pd.to_numeric(text, errors="coerce")
        seconds = values.to_numpy(dtype=np.float64)
        self.require(np.isfinite(seconds), column, "a time in s, such as 12.345 or 00:00:12.345")
        return seconds

    def require(self, right: NDArray[np.bool_], column: str, wanted: str) -> None:
        """Raise InputError, with the first wrong cell of a column, unless all are right."""
        if not right.all():
            row = int(np.flatnonzero(~right)[0])
            raise InputError(
                f"{self.path}: {column.strip()} in row {self.first_row + row} has to be {wanted}; "
                f"found {str(self.cells[column].iloc[row]).strip()!r}"
            )

    def _text(self, column: str) -> pd.Series:
        return self.cells[column].astype(str).fillna("").str.strip().str.lower()


def listed(names: Sequence[str]) -> str:
    """Return names in a row, the first ones of very many."""
    shown = ", ".join(name.strip() for name in names[:MOST_LISTED]) or "none"
    more = len(names) - MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown
