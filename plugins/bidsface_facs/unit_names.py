"""Names of facial action units, and of the columns of a table that hold them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["intensity", "presence", "frequency"]

KINDS: dict[str, Kind] = {
    "r": "intensity",
    "intensity": "intensity",
    "c": "presence",
    "presence": "presence",
    "frequency": "frequency",
    "count": "frequency",
}
"""What a column holds, by the end of its name; without an end it holds intensities."""

MERGED = ((1, 2), (6, 7), (9, 10), (25, 26, 27), (25, 26), (25, 27), (26, 27))
"""Units that coders report as one. Others are no merged units: in `AU12_1`, what is the 1?"""

WANTED = (
    "AU06 or AU06_r or AU06_intensity (how strong), AU06_c or AU06_presence (0 or 1), "
    "AU06_frequency or AU06_count (how often in a trial), merged units as AU01_02, AU06_07, "
    "AU09_10, AU25_26_27"
)

_UNIT = re.compile(r"au_?(\d{1,2}(?:_\d{1,2})*)(?:_([a-z]+))?", re.IGNORECASE)
_LIKE_UNIT = re.compile(r"au[ _.-]?\d|action unit", re.IGNORECASE)
_FACEREADER = re.compile(r"action unit (\d{1,2}) - \D*", re.IGNORECASE)
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)


@dataclass(frozen=True)
class UnitName:
    """An action unit, or several that count as one, and what is said of it.

    Attributes
    ----------
    members : tuple of int
        Numbers of the Facial Action Coding System, ascending.
    kind : {"intensity", "presence", "frequency"}
    """

    members: tuple[int, ...]
    kind: Kind = "intensity"

    @property
    def text(self) -> str:
        """The unit's name, such as ``AU04`` or ``AU06_07``."""
        return "AU" + "_".join(f"{number:02d}" for number in self.members)


def looks_like_unit(name: str) -> bool:
    """Tell whether a column's name begins as that of an action unit does."""
    return _LIKE_UNIT.match(name.strip()) is not None


def parse_column(name: str) -> UnitName | None:
    """Return what a column holds; None if it is no action unit's.

    Case, leading zeros, blanks and the characters that separate numbers (``AU6/7``, ``AU6+7``)
    make no difference. Columns of FaceReader for one side of the face are left out.

    Raises
    ------
    ValueError
        If the name begins as an action unit's does but cannot be told; without a message.
    """
    name = name.strip()
    if not looks_like_unit(name):
        return None
    if found := _FACEREADER.fullmatch(name):
        return None if _SIDE.search(name) else UnitName((_number(found[1]),))
    if name.lower().startswith("action unit") and _SIDE.search(name):
        return None
    return parse_unit(name)


def parse_unit(name: str) -> UnitName:
    """Return the unit that a name means, such as ``AU04``, ``au4``, ``AU43_c`` or ``AU06_07``.

    Raises
    ------
    ValueError
        If it means none; without a message.
    """
    found = _UNIT.fullmatch(re.sub(r"[ /+.-]+", "_", name.strip()))
    if found is None:
        raise ValueError
    members = tuple(_number(text) for text in found[1].split("_"))
    if len(members) > 1 and members not in MERGED:
        raise ValueError
    kind = KINDS.get((found[2] or "r").lower())
    if kind is None:
        raise ValueError
    return UnitName(members, kind)


def _number(text: str) -> int:
    number = int(text)
    if number == 0:
        raise ValueError
    return number
