"""BIDS entities: their order, long and short names, and when two labels are the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

LONG_NAMES: Mapping[str, str] = {
    "sub": "subject",
    "ses": "session",
    "task": "task",
    "acq": "acquisition",
    "ce": "ceagent",
    "rec": "reconstruction",
    "dir": "direction",
    "run": "run",
    "echo": "echo",
    "part": "part",
    "hemi": "hemi",
    "space": "space",
    "cohort": "cohort",
    "recording": "recording",
    "chunk": "chunk",
    "seg": "segmentation",
    "res": "resolution",
    "den": "density",
    "label": "label",
    "desc": "description",
}
"""Long names by short key, in the order in which entities stand in a file name."""

SHORT_KEYS: Mapping[str, str] = {
    **{long: short for short, long in LONG_NAMES.items()},
    **{short: short for short in LONG_NAMES},
}
"""Short keys by long or short name."""

INDICES = frozenset({"run", "echo"})
"""Entities that are numbers: ``run-1`` and ``run-01`` are the same."""


def strip_prefix(entity: str, label: str) -> str:
    """Return a label without its prefix: ``sub-01`` and ``01`` are both ``01``."""
    return label.removeprefix(f"{entity}-")


def same_label(entity: str, first: str | None, second: str | None) -> bool:
    """Tell whether two labels (None: the entity is absent) mean the same."""
    if first == second:
        return True
    if first is None or second is None or entity not in INDICES:
        return False
    return first.isdecimal() and second.isdecimal() and int(first) == int(second)


def is_subset(entities: Mapping[str, str], of: Mapping[str, str]) -> bool:
    """Tell whether all entities stand, with the same labels, among others."""
    return all(same_label(key, label, of.get(key)) for key, label in entities.items())


def equal(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Tell whether two sets of entities mean the same."""
    return first.keys() == second.keys() and is_subset(first, second)


def shared(entities: Sequence[Mapping[str, str]], besides: Iterable[str] = ()) -> dict[str, str]:
    """Return the entities that all names have with the same label, but for some keys."""
    left_out = set(besides)
    return {
        key: label
        for key, label in entities[0].items()
        if key not in left_out and all(own.get(key) == label for own in entities)
    }


def without(entities: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Return the other entities."""
    dropped = set(keys)
    return {key: label for key, label in entities.items() if key not in dropped}


def in_order(entities: Mapping[str, str]) -> dict[str, str]:
    """Return entities in BIDS order."""
    return {key: entities[key] for key in LONG_NAMES if key in entities}


def joined(entities: Mapping[str, str]) -> str:
    """Spell entities as in a file name."""
    return "_".join(f"{key}-{label}" for key, label in entities.items())


def from_name(name: str) -> dict[str, str]:
    """Return the entities of a file name, in BIDS order."""
    return in_order(every_entity(name))


def every_entity(name: str) -> dict[str, str]:
    """Return what a file name says as ``key-label``, BIDS entities or not, in the name's order."""
    parts = (part.partition("-") for part in name.split(".")[0].split("_"))
    return {key: label for key, dash, label in parts if dash}


def natural_key(label: str) -> tuple[int, int, str]:
    """Sort key that puts numbers first and in numerical order."""
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def name_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key for whole names: what is between digits as text, numbers as numbers."""
    return tuple(
        (int(part), part) if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    )


def listing(labels: Iterable[str], limit: int = 20) -> str:
    """Return labels in natural order for a message, abbreviated where there are many."""
    ordered: Sequence[str] = sorted(set(labels), key=natural_key)
    if not ordered:
        return "none"
    more = f", ... ({len(ordered)} in all)" if len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more
