"""Labels that runs must have: those of the command line, the recipe and filter files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bidsface.dataset.indexing import IndexedFile
from bidsface.entities import LONG_NAMES, SHORT_KEYS, listing, same_label, strip_prefix
from bidsface.errors import InputError, UsageError

NATIVE = "native"
SPACE_KEYS = ("space", "cohort", "res")
FILE_PARTS = ("datatype", "suffix", "extension")
"""What a filter file may name beside entities."""
FMRIPREP_FILTERS = frozenset(
    ("bold", "t1w", "t2w", "flair", "fmap", "sbref", "asl", "m0scan", "pet", "anat", "roi", "dwi")
)
"""Sections of fMRIPrep's filter files; those other than ``bold`` choose what fMRIPrep reads."""
ANY = "*"
RUN = "preprocessed run"
"""What is chosen, unless it is images."""
ALLOWED = (str, int, type(None))

Survey = Callable[[], Sequence[IndexedFile]]


@dataclass(frozen=True)
class Constraint:
    """Labels that an entity may have.

    Attributes
    ----------
    key : str
        Entity (short key), or ``suffix``, ``extension``, ``datatype``.
    labels : tuple of str or None
        None allows files without the entity, ``*`` every file with it.
    origin : str
        The option that asks for it, for messages.
    each : bool
        Whether every one of the labels must exist, or only one of them.
    """

    key: str
    labels: tuple[str | None, ...]
    origin: str
    each: bool = True

    def allows(self, label: str | None) -> bool:
        """Tell whether a label (None: no such entity) is asked for."""
        if label is not None and ANY in self.labels:
            return True
        return any(same_label(self.key, label, wanted) for wanted in self.labels)

    def unknown(self, existing: Iterable[str | None]) -> list[str | None]:
        """Return the labels that do not exist; none if one of them does and that is enough."""
        present = list(existing)
        missing = [
            wanted
            for wanted in self.labels
            if not any(Constraint(self.key, (wanted,), "").allows(label) for label in present)
        ]
        return missing if self.each or len(missing) == len(self.labels) else []

    def message(
        self, labels: Sequence[str | None], existing: Iterable[str | None], noun: str
    ) -> str:
        """Say which labels do not exist, and which do; ``noun`` is what has them."""
        return (
            f"{self.origin}: no {noun} with {self.key} "
            f"{spelled(labels, self.key)}; there are: {spelled(existing, self.key)}"
        )


def check_known(
    constraints: Iterable[Constraint],
    files: Sequence[IndexedFile],
    elsewhere: Survey,
    noun: str = RUN,
) -> None:
    """Raise UsageError for a label that no participant has.

    Parameters
    ----------
    constraints : iterable of Constraint
    files : sequence of IndexedFile
        Preprocessed runs, or images, of the selected participants.
    elsewhere : callable
        Returns those of the other participants; called only if the files lack a label.
    noun : str
        What one of the files is.
    """
    others: Sequence[IndexedFile] | None = None
    for constraint in constraints:
        existing = {tag(file, constraint.key) for file in files}
        if not constraint.unknown(existing):
            continue
        others = elsewhere() if others is None else others
        existing |= {tag(file, constraint.key) for file in others}
        unknown = constraint.unknown(existing)
        if unknown and existing:
            raise UsageError(constraint.message(unknown, existing, noun))


def allowed(constraints: Iterable[Constraint], files: Iterable[IndexedFile]) -> list[IndexedFile]:
    """Return the files that every constraint allows."""
    asked = list(constraints)
    return [file for file in files if all(c.allows(tag(file, c.key)) for c in asked)]


def apply(
    constraints: Iterable[Constraint], files: Sequence[IndexedFile], noun: str = RUN
) -> list[IndexedFile]:
    """Return the files that every constraint allows; raises InputError if none is left."""
    left = list(files)
    for constraint in constraints:
        existing = {tag(file, constraint.key) for file in left}
        left = allowed([constraint], left)
        if not left:
            raise InputError(constraint.message(constraint.labels, existing, noun))
    return left


def tag(file: IndexedFile, key: str) -> str | None:
    """Return an entity, or a part of the name that filters know like one."""
    parts = {"datatype": "func", "suffix": file.suffix, "extension": file.extension}
    return parts.get(key, file.entities.get(key))


def read_filters(content: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str | None, ...]]:
    """Return the labels that the ``bold`` section of a filter file allows, by short key."""
    unknown = set(content) - FMRIPREP_FILTERS
    if unknown:
        raise UsageError(
            f"--bids-filter-file: unknown section {listing(unknown)}; runs are chosen by 'bold'"
        )
    filters = {}
    for name, value in content.get("bold", {}).items():
        key = name if name in FILE_PARTS else SHORT_KEYS.get(name)
        if key is None:
            known = ", ".join([*LONG_NAMES.values(), *FILE_PARTS])
            raise UsageError(f"--bids-filter-file: unknown entity {name!r}; there are: {known}")
        filters[key] = _labels(name, key, value)
    return filters


def _labels(name: str, key: str, value: Any) -> tuple[str | None, ...]:
    """Read one label or a list of labels; a text is one label, never a list of letters."""
    values = value if isinstance(value, list | tuple) else [value]
    if not values or any(isinstance(v, bool) or not isinstance(v, ALLOWED) for v in values):
        raise UsageError(
            f"--bids-filter-file: {name!r} wants a label, null or a list of them, not {value!r}"
        )
    return tuple(None if v is None else strip_prefix(key, str(v)) for v in values)


def spelled(labels: Iterable[str | None], key: str) -> str:
    """Spell labels; files without a space or resolution are native."""
    absent = NATIVE if key in SPACE_KEYS else f"none (files without {key}-)"
    return listing(absent if label is None else label for label in labels)
