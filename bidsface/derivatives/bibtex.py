"""Reading one BibTeX entry, as far as it takes to print a reference."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bidsface.errors import BidsfaceError

ACCENTS = {
    **{"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303"},
    **{"=": "\u0304", ".": "\u0307", "c": "\u0327", "v": "\u030c", "u": "\u0306"},
    **{"H": "\u030b", "k": "\u0328", "r": "\u030a"},
}
LETTERS = {"ss": "ß", "o": "ø", "O": "Ø", "ae": "æ", "AE": "Æ", "aa": "å", "l": "ł", "i": "i"}

_HEAD = re.compile(r"\s*@(\w+)\s*\{\s*([^,\s]+)\s*,")
_FIELD = re.compile(r"\s*([\w-]+)\s*=\s*")
_ACCENT = re.compile(r"\\(['`^\"~=.]|[cvuHkr](?![a-zA-Z]))\s*\{?\s*\\?([a-zA-Z])\}?")
_LETTER = re.compile(r"\\(ss|o|O|ae|AE|aa|l|i)(?![a-zA-Z])\s?")


@dataclass(frozen=True)
class Entry:
    """A BibTeX entry; names of fields are lower case, values are as they are printed."""

    kind: str
    key: str
    fields: Mapping[str, str]

    def formatted(self) -> str:
        """Return the entry as a reference: authors (year). Title. Where. Link."""
        year = f"({self.fields['year']})" if "year" in self.fields else ""
        head = " ".join(part for part in (self.fields.get("author", ""), year) if part)
        parts = (head, self.fields.get("title", ""), self._where())
        sentences = (
            part if part.endswith((".", "?", "!")) else f"{part}." for part in parts if part
        )
        return " ".join((*sentences, self._link())).strip()

    def _where(self) -> str:
        names = ("journal", "booktitle", "publisher", "howpublished")
        where = next((self.fields[name] for name in names if name in self.fields), "")
        number = f"({self.fields['number']})" if "number" in self.fields else ""
        volume = self.fields.get("volume", "") + number
        pages = self.fields.get("pages", "").replace("--", "–")
        located = ":".join(part for part in (volume, pages) if part)
        return ", ".join(part for part in (where, located) if part)

    def _link(self) -> str:
        if "doi" in self.fields:
            return "https://doi.org/" + re.sub(
                r"^(https?://(dx\.)?doi\.org/)", "", self.fields["doi"]
            )
        return self.fields.get("url", "")


def parse(text: str) -> Entry:
    """Read one entry.

    Raises
    ------
    BidsfaceError
        If the text is not a BibTeX entry.
    """
    head = _HEAD.match(text)
    if head is None:
        raise BidsfaceError(f"not a BibTeX entry (wanted @kind{{key, ...}}): {text.strip()[:60]!r}")
    raw = {name.lower(): value for name, value in _fields(text, head.end())}
    fields = {name: _plain(value) for name, value in raw.items() if name != "author"}
    if "author" in raw:
        fields["author"] = _authors(raw["author"][1:-1])
    return Entry(head[1].lower(), head[2], fields)


def _fields(text: str, start: int) -> Iterator[tuple[str, str]]:
    while (name := _FIELD.match(text, start)) is not None:
        end = _value_end(text, name.end())
        yield name[1], text[name.end() : end].strip()
        start = end + 1 if text[end : end + 1] == "," else end


def _value_end(text: str, start: int) -> int:
    """Return where a value ends: at a comma or brace outside braces and quotes."""
    depth, quoted = 0, False
    for position in range(start, len(text)):
        sign = text[position]
        if depth == 0 and not quoted and sign in ",}":
            return position
        if sign == '"' and depth == 0:
            quoted = not quoted
        depth += {"{": 1, "}": -1}.get(sign, 0)
    raise BidsfaceError(f"a BibTeX entry does not end: {text.strip()[:60]!r}")


def _plain(value: str) -> str:
    """Return a value without delimiters, braces and TeX accents."""
    value = value[1:-1] if value[:1] in {"{", '"'} else value
    value = _ACCENT.sub(
        lambda found: unicodedata.normalize("NFC", found[2] + ACCENTS[found[1]]), value
    )
    value = _LETTER.sub(lambda found: LETTERS[found[1]], value)
    value = re.sub(r"\\([&%$#_])", r"\1", value)
    return " ".join(value.replace("{", "").replace("}", "").replace("~", " ").split())


def _authors(field: str) -> str:
    """Return ``Family, Given and Given Family`` as ``Family G, Family G``."""
    return ", ".join(
        _author(name.strip()) for name in re.split(r"\s+and\s+", field) if name.strip()
    )


def _author(name: str) -> str:
    if name.startswith("{") and name.endswith("}"):  # an institution
        return _plain(name)
    name = _plain(f"{{{name}}}")
    if name.lower() == "others":
        return "et al."
    family, given = _family_and_given(name)
    initials = "".join(part[0] for part in re.split(r"[\s.-]+", given) if part)
    return f"{family} {initials}".strip()


def _family_and_given(name: str) -> tuple[str, str]:
    if "," in name:
        family, given = name.split(",", 1)
        return family.strip(), given
    words = name.split()
    # The family name is the last word and the particles before it, which are lower case.
    first = next((at for at, word in enumerate(words) if word[0].islower()), len(words) - 1)
    return " ".join(words[first:]), " ".join(words[:first])
