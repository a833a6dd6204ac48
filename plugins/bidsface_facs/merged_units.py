"""Action units that count as one: the strongest of those that a table has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_facs.unit_names import UnitName, parse_unit
from bidsface_facs.unit_table import UnitTable

Floats = NDArray[np.float64]


def parts_of(wanted: UnitName, names: Iterable[str]) -> list[str]:
    """Return the units that make up a wanted one, among those that a table has.

    Parameters
    ----------
    wanted : UnitName
    names : iterable of str
        Such as ``AU06`` and ``AU06_07``.
    """
    return [name for name in names if set(parse_unit(name).members) <= set(wanted.members)]


def absent_members(wanted: UnitName, parts: Sequence[str]) -> list[str]:
    """Return the members of a unit that its parts do not cover."""
    covered = {number for name in parts for number in parse_unit(name).members}
    return [UnitName((number,)).text for number in wanted.members if number not in covered]


def strongest(values: Mapping[str, Floats], parts: Sequence[str]) -> Floats:
    """Return the largest value of some units in every row, NaN where one is unknown."""
    return np.asarray(np.maximum.reduce([values[name] for name in parts]))


def complete(units: UnitTable, wanted: UnitName, purpose: str) -> Floats:
    """Return the intensity of a unit, the stronger of its members, all of which are needed.

    Raises
    ------
    InputError
        If the table lacks a member.
    """
    parts = parts_of(wanted, units.intensity)
    if absent := absent_members(wanted, parts):
        raise lacks(units, absent[0], purpose)
    return strongest(units.intensity, parts)


def lacks(units: UnitTable, wanted: str, purpose: str) -> InputError:
    """Return the error that a table lacks a unit."""
    presence = (f"{name}_c" for name in units.presence if name not in units.intensity)
    held = ", ".join((*units.intensity, *presence))
    return InputError(f"{units.source}: {purpose} wants {wanted}; there is {held or 'no unit'}")
