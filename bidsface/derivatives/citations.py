"""The methods section of exactly what ran, with its references."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bidsface.derivatives import bibtex
from bidsface.derivatives.receipts import Receipt
from bidsface.errors import BidsfaceError

if TYPE_CHECKING:
    from pathlib import Path

    from bidsface.derivatives.folder import OutputFolder

GROUP = re.compile(r"\[(@[^\]]+)\]")
KEY = re.compile(r"@([\w:.-]*\w)")


@dataclass(frozen=True)
class Reference:
    """A numbered reference; ``text`` and ``html`` are the formatted entry."""

    number: int
    key: str
    text: str
    html: str
    bibtex: str


@dataclass(frozen=True)
class MethodsText:
    """The methods section.

    Attributes
    ----------
    paragraphs : tuple of str
        With citations as ``[@key]``.
    html_paragraphs : tuple of str
        The same, escaped, with citations as numbers that link to ``#ref-NUMBER``.
    references : tuple of Reference
        In order of first citation.
    """

    paragraphs: tuple[str, ...]
    html_paragraphs: tuple[str, ...]
    references: tuple[Reference, ...]


def cited_keys(text: str) -> list[str]:
    """Return the keys that a text cites as ``[@key]`` or ``[@one; @other]``, in order."""
    return [key for group in GROUP.findall(text) for key in KEY.findall(group)]


def check_citations(text: str, citations: Mapping[str, str], analysis: str) -> None:
    """Raise BidsfaceError unless every cited key has a BibTeX entry that can be read."""
    missing = sorted(set(cited_keys(text)) - set(citations))
    if missing:
        raise BidsfaceError(
            f"the methods text of analysis {analysis} cites {', '.join(missing)} without giving "
            "a BibTeX entry"
        )
    for key, entry in citations.items():
        found = bibtex.parse(entry).key
        if found != key:
            raise BidsfaceError(
                f"the BibTeX entry of citation {key} of analysis {analysis} has key {found}"
            )


def methods_text(receipts: Iterable[Receipt]) -> MethodsText:
    """Collect the methods texts of finished units, each text once, with numbered references.

    Where participants differ in what was done to their data, each text says whose it is.
    """
    done = [receipt for receipt in receipts if receipt.status == "done"]
    paragraphs = tuple(_paragraphs(done))
    entries: dict[str, str] = {}
    for receipt in done:
        entries |= receipt.citations
    keys = list(dict.fromkeys(key for text in paragraphs for key in cited_keys(text)))
    numbers = {key: number for number, key in enumerate(keys, start=1)}
    return MethodsText(
        paragraphs,
        tuple(_as_html(text, numbers) for text in paragraphs),
        tuple(_reference(number, key, entries[key]) for key, number in numbers.items()),
    )


def write_citations(output: OutputFolder) -> tuple[Path, Path]:
    """Write ``logs/CITATION.md`` and ``logs/CITATION.bib``; return their paths."""
    found = methods_text(output.receipts())
    return (
        output.write_text("logs/CITATION.md", _markdown(found)),
        output.write_text(
            "logs/CITATION.bib",
            "\n\n".join(item.bibtex.strip() for item in found.references) + "\n",
        ),
    )


def _paragraphs(receipts: Sequence[Receipt]) -> Iterable[str]:
    owners: dict[tuple[str, str], dict[str, list[str]]] = {}
    for receipt in receipts:
        if receipt.methods.strip():
            texts = owners.setdefault((receipt.unit.level, receipt.unit.analysis), {})
            texts.setdefault(receipt.methods.strip(), []).append(receipt.unit.owner)
    seen = set()
    for texts in owners.values():
        for text, whose in texts.items():
            paragraph = text if len(texts) == 1 else f"({', '.join(whose)}) {text}"
            if paragraph not in seen:
                seen.add(paragraph)
                yield paragraph


def _as_html(text: str, numbers: Mapping[str, int]) -> str:
    def linked(group: re.Match[str]) -> str:
        found = [numbers[key] for key in KEY.findall(group[1])]
        links = [f'<a href="#ref-{number}">{number}</a>' for number in found]
        return f'<span class="citation">[{", ".join(links)}]</span>'

    return GROUP.sub(linked, html.escape(text, quote=False))


def _reference(number: int, key: str, entry: str) -> Reference:
    text = bibtex.parse(entry).formatted()
    return Reference(number, key, text, _with_links(text), entry)


def _with_links(text: str) -> str:
    return re.sub(
        r"https?://[^\s<>]*[^\s<>.,;)]",
        lambda url: f'<a href="{url[0]}">{url[0]}</a>',
        html.escape(text),
    )


def _markdown(found: MethodsText) -> str:
    if not found.paragraphs:
        return "# Methods\n\nNothing has been computed yet.\n"
    references = [f"- **@{item.key}**: {item.text}" for item in found.references]
    parts = [
        "# Methods",
        "This text was written by bidsface from what it did. You may use it in a publication as "
        "it is (CC0); the references are in `CITATION.bib`.",
        *found.paragraphs,
    ]
    if references:
        parts += ["# References", "\n".join(references)]
    return "\n\n".join(parts) + "\n"
