"""Names that fit their places in figures: broken into lines, smaller where they are long."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

LETTER = 0.66
"""Width of an average bold letter, in units of the size of the font."""

POINTS = 72.0  # per inch
SMALLEST = 4.75  # points


def wrap(text: str, width: int) -> str:
    """Break a text into lines of at most ``width`` letters.

    It is broken behind its first comma, if it has one; words that are too long are broken before
    capitals, if they have any, else anywhere.
    """
    first, comma, rest = text.partition(", ")
    if comma and len(text) > width:
        return f"{wrap(f'{first},', width)}\n{wrap(rest, width)}"
    lines = [""]
    for word in text.split():
        for number, piece in enumerate(_pieces(word, max(width, 4))):
            gap = " " if lines[-1] and number == 0 else ""
            if len(lines[-1]) + len(gap) + len(piece) > max(width, 4) and lines[-1]:
                lines.append(piece)
            else:
                lines[-1] += gap + piece
    return "\n".join(lines)


def _pieces(word: str, width: int) -> Iterator[str]:
    if len(word) <= width:
        yield word
        return
    for piece in _chunks(word):
        yield from (piece[start : start + width] for start in range(0, len(piece), width))


def _chunks(word: str) -> list[str]:
    """Return the parts of a word that begin with capitals."""
    return re.findall(r"[A-Z]*[^A-Z]+|[A-Z]+", word)


def fit(text: str, inches: float, lines: int, largest: float) -> tuple[str, float]:
    """Return a text in lines, and the largest size of the font (points) at which it fits.

    Parameters
    ----------
    text : str
    inches : float
        Room for a line.
    lines : int
        Most lines.
    largest : float
        Size to begin with; below `SMALLEST`, words are broken anywhere.
    """
    chunks = [piece for word in text.split() for piece in _chunks(word)]
    longest = max(map(len, chunks), default=0)
    for size in np.arange(largest, SMALLEST, -0.25):
        width = int(POINTS * inches / (LETTER * size))
        broken = wrap(text, width)
        if longest <= width and broken.count("\n") < lines:
            return broken, float(size)
    return wrap(text, int(POINTS * inches / (LETTER * SMALLEST))), SMALLEST


def two_digits(number: float, signed: bool = False) -> str:
    """Return a number with two decimals; with its sign, where rounding leaves anything."""
    text = f"{number:{'+.2f' if signed else '.2f'}}"
    return text.replace("-", "−") if float(text) else "0.00"
