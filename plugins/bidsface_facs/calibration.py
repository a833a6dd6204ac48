"""Intensities of 0-5 from scales that are like a probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from bidsface.errors import InputError
from bidsface_facs.unit_table import UnitTable

EVERY = "all"
"""Key of what holds for all units without an entry of their own."""

Table = TypeVar("Table", bound=UnitTable)


def calibrate(units: Table, begins: Mapping[str, Sequence[float]]) -> Table:
    """Return a table with intensities of 0-5.

    Parameters
    ----------
    units : UnitTable
        One that is of 0-5 already is returned as it is.
    begins : mapping of str to sequence of 5 float
        By unit, such as ``AU04``, or ``all``: where on the scale 0-1 the intensities 1 (FACS's A)
        to 5 (E) begin, ascending.

    Raises
    ------
    InputError
        If a unit of the table has no entry.
    """
    if units.scale == "0-5":
        return units
    missing = [name for name in units.intensity if name not in begins and EVERY not in begins]
    if missing:
        raise InputError(
            f"{units.source}: the option calibration has no entry for {', '.join(missing)}; it "
            f"has {', '.join(begins)}"
        )
    intensity = {}
    for name, values in units.intensity.items():
        levels = np.searchsorted(begins.get(name, begins.get(EVERY, ())), values, side="right")
        intensity[name] = np.where(np.isnan(values), np.nan, levels.astype(np.float64))
    note = (
        f"{units.source}: intensities of 0-5 were told from {units.scale} by the calibration given"
    )
    return replace(units, scale="0-5", intensity=intensity, notes=(*units.notes, note))
