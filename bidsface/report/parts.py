"""Parts of a report page: tables, figures and methods text, ready for the templates."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from bidsface.derivatives.citations import methods_text

if TYPE_CHECKING:
    from bidsface.derivatives.receipts import Receipt

PX_PER_UNIT = {"pt": 96 / 72, "px": 1.0, "in": 96.0, "mm": 96 / 25.4, "": 1.0}


@dataclass(frozen=True)
class TableView:
    """A table of texts; ``numeric`` says which columns are aligned as numbers."""

    title: str
    caption: str
    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class FigureView:
    """A figure as a data URI; ``source`` is empty if the file is missing."""

    title: str
    caption: str
    path: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class LinkView:
    """An interactive view: the path of its page, and what it shows."""

    path: str
    title: str
    caption: str


def table_view(
    title: str, header: Sequence[Any], rows: Sequence[Sequence[Any]], caption: str = ""
) -> TableView:
    """Return a table with its numbers rounded for people, alike within a column."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    numeric = tuple(map(_is_numeric, columns))
    texts = zip(*map(column_texts, columns), strict=True)
    return TableView(title, caption, tuple(map(str, header)), numeric, tuple(texts))


def _is_numeric(column: Sequence[Any]) -> bool:
    present = [cell for cell in column if not _is_missing(cell)]
    return bool(present) and all(_is_number(cell) or _reads_as_number(cell) for cell in present)


def _reads_as_number(cell: Any) -> bool:
    try:
        return isinstance(cell, str) and math.isfinite(float(cell))
    except ValueError:
        return False


def column_texts(column: Sequence[Any]) -> list[str]:
    """Return the cells of a column as people read them, ``n/a`` for what is missing."""
    numbers = [float(cell) for cell in column if _is_number(cell) and not _is_missing(cell)]
    decimals = _decimals(numbers)
    return [_cell_text(cell, decimals) for cell in column]


def _decimals(numbers: Sequence[float]) -> int:
    """Return how many decimals show four digits of the largest number, and no needless zeros."""
    largest = max(map(abs, numbers), default=0.0)
    most = next((kept for kept, limit in ((3, 10), (2, 100), (1, 1000)) if largest < limit), 0)
    enough = (
        kept
        for kept in range(most)
        if all(round(number, kept) == round(number, most) for number in numbers)
    )
    return next(enough, most)


def _cell_text(cell: Any, decimals: int) -> str:
    if _is_missing(cell):
        return "n/a"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if not isinstance(cell, float):
        return str(cell)
    text = f"{cell:.{decimals}f}"
    return text if float(text) or not cell else f"{cell:.2g}"  # a small p must not become 0


def _is_missing(cell: Any) -> bool:
    return cell is None or cell == "n/a" or (isinstance(cell, float) and math.isnan(cell))


def _is_number(cell: Any) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def figure_view(root: Path, path: str, title: str, caption: str) -> FigureView:
    """Return a figure of the output folder, embedded.

    An ``img`` keeps the ids of one SVG apart from those of another, and runs no script.
    """
    try:
        svg = (root / path).read_text(encoding="utf-8")
    except OSError:
        return FigureView(title, caption, path, "", 0, 0)
    width, height = _size(svg)
    # Everything that is legal within double quotes stays: embedded images are most of the file.
    body = quote(" ".join(svg.split()), safe=" !$'()*+,-./:;=?@_~|")
    return FigureView(title, caption, path, f"data:image/svg+xml,{body}", width, height)


def _size(svg: str) -> tuple[int, int]:
    """Return width and height in CSS pixels."""
    sizes = []
    for name in ("width", "height"):
        found = re.search(rf'<svg[^>]*\s{name}="([0-9.]+)([a-z]*)"', svg)
        sizes.append(round(float(found[1]) * PX_PER_UNIT.get(found[2], 1.0)) if found else 720)
    return sizes[0], sizes[1]


@dataclass(frozen=True)
class MethodsView:
    """The methods text with numbered citations, its references and their BibTeX."""

    paragraphs: tuple[Markup, ...]
    references: tuple[Markup, ...]
    bibtex: str


def methods_view(receipts: Iterable[Receipt]) -> MethodsView:
    """Return the methods text of finished units."""
    found = methods_text(receipts)
    parts = (part for text in found.html_paragraphs for part in re.split(r"\n\s*\n", text))
    return MethodsView(
        # The texts were escaped when their citations became links.
        tuple(Markup(part) for part in parts),
        tuple(Markup(item.html) for item in found.references),
        "\n\n".join(item.bibtex.strip() for item in found.references),
    )
