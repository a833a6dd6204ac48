"""Names that may stand in file names: letters and digits, each one only once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


def file_labels(names: Sequence[str], otherwise: str = "class") -> tuple[str, ...]:
    """Return for every name what may stand in the name of a file.

    Accents are left out, and everything that is no ASCII letter or digit. Where nothing is left,
    it is ``otherwise`` and the name's place, counted from 1; where two names are left the same, but
    for capitals, which some file systems ignore, all but one get a number. Names that are letters
    and digits only stay as they are.

    Parameters
    ----------
    names : sequence of str
        All that are to be told apart.
    otherwise : str
    """
    found: dict[int, str] = {}
    taken: set[str] = set()
    plain = [_plain(name) for name in names]
    # Stable: the plain ones go first, and keep their names.
    for place in sorted(range(len(names)), key=lambda place: plain[place] != names[place]):
        label = stem = plain[place] or f"{otherwise}{place + 1}"
        number = 2
        while label.lower() in taken:
            label, number = f"{stem}{number}", number + 1
        taken.add(label.lower())
        found[place] = label
    return tuple(found[place] for place in range(len(names)))


def label_notes(names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return what to say of names that cannot be recognized in names of files."""
    return [
        f"{name!r} is called {label} in names of files"
        for name, label in zip(names, labels, strict=True)
        if _plain(name) != label
    ]


def _plain(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub("[^0-9a-zA-Z]", "", ascii_only)
