"""What the values of command-line flags may look like."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

MEMORY_UNITS = {"": 1, "m": 1, "mb": 1, "g": 1024, "gb": 1024, "k": 1 / 1024, "kb": 1 / 1024}


def label(prefix: str) -> Callable[[str], str]:
    """Return a reader of labels with or without their BIDS prefix."""

    def read(text: str) -> str:
        return text.removeprefix(f"{prefix}-")

    read.__name__ = f"{prefix} label"
    return read


def megabytes(text: str) -> int:
    """Read an amount of memory: ``16g``, ``16GB``, ``16000`` (MB, as in fMRIPrep)."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", text)
    unit = MEMORY_UNITS.get(match.group(2).lower()) if match else None
    if match is None or unit is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an amount of memory, such as 16g or 16000 (MB)"
        )
    return max(1, int(float(match.group(1)) * unit))


def gigabytes(text: str) -> int:
    """Read an amount of memory whose bare number means GB."""
    return megabytes(text if re.search("[a-zA-Z]", text) else f"{text}g")


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number
