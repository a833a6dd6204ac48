"""Receipts: what each unit of work read, how it was computed, and every file it wrote."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from bidsface.analysis import Results, Summary
from bidsface.derivatives.units import Provenance, Unit
from bidsface.errors import BidsfaceError

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class FileRecord:
    """A file that a unit wrote.

    Attributes
    ----------
    path : str
        Relative to the output folder, with forward slashes.
    kind : str
        ``map``, ``mask``, ``table``, ``matrix``, ``figure``, ``view``, ``model`` or ``sidecar``.
    suffix : str
        BIDS suffix; of a sidecar, that of the file it describes.
    size, mtime_ns : int
        Bytes, and modification time in ns.
    sha256 : str
    title, caption : str
        For the report.
    entities : mapping
        BIDS entities of the name by their short key.
    formats : mapping
        Type of each column of a table: ``string``, ``number``, ``integer`` or ``boolean``.
    volumes : sequence of str
        Names of the volumes of a 4-D map.
    """

    path: str
    kind: str
    suffix: str
    size: int
    mtime_ns: int
    sha256: str
    title: str = ""
    caption: str = ""
    entities: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SummaryRecord:
    """A small table for the report; missing values are None."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Receipt:
    """What is known of a unit of work.

    Attributes
    ----------
    unit : Unit
    status : str
        ``done``; ``failed``; ``writing`` while files move into place, which only a killed process
        leaves behind and which readers never see.
    message : str
        Why it failed.
    crash_file : str
        Relative path of the file with the traceback, if there is one.
    inputs : mapping of str to str
        Every file that was read (BIDS URI or path) and its state.
    options : mapping
    versions : mapping of str to str
    seed : int or None
    worker : str
        ``host:pid``.
    started : str
        UTC, ISO 8601.
    seconds : float
        From the start to the last file.
    files : sequence of FileRecord
    methods : str
    citations : mapping of str to str
        BibTeX entries by key.
    highlights, warnings : sequence of str
    summaries : sequence of SummaryRecord
    leftovers : sequence of str
        Files that an earlier, an interrupted or a failed attempt at this unit may have left; the
        next success removes those that it does not write.
    """

    unit: Unit
    status: Literal["done", "failed", "writing"]
    message: str = ""
    crash_file: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    worker: str = ""
    started: str = ""
    seconds: float = 0.0
    files: Sequence[FileRecord] = ()
    methods: str = ""
    citations: Mapping[str, str] = field(default_factory=dict)
    highlights: Sequence[str] = ()
    warnings: Sequence[str] = ()
    summaries: Sequence[SummaryRecord] = ()
    leftovers: Sequence[str] = ()

    @classmethod
    def begin(cls, unit: Unit, results: Results, provenance: Provenance) -> Receipt:
        """Return the receipt of results whose files are not yet written."""
        began = time.time() if provenance.started is None else provenance.started
        return cls(
            unit,
            "writing",
            inputs=dict(provenance.inputs),
            options=dict(provenance.options),
            versions=dict(provenance.versions),
            seed=provenance.seed,
            worker=provenance.worker,
            started=datetime.fromtimestamp(began, UTC).isoformat(),
            methods=results.methods,
            citations=dict(results.citations),
            highlights=tuple(results.highlights),
            warnings=tuple(results.warnings),
            summaries=tuple(summary_record(summary) for summary in results.summaries),
        )

    @property
    def paths(self) -> set[str]:
        """Every file that this unit wrote or may have left."""
        return {record.path for record in self.files} | set(self.leftovers)

    def to_json(self) -> bytes:
        """Return the receipt as indented JSON."""
        return _adapter().dump_json(self, indent=1) + b"\n"


@cache
def _adapter() -> TypeAdapter[Receipt]:
    return TypeAdapter(Receipt)


@dataclass(frozen=True)
class ReceiptFolder:
    """The folder of receipts: ``<level>/<sub-LABEL or group>/<analysis>.json``."""

    root: Path

    def path(self, unit: Unit) -> Path:
        """Return where the receipt of a unit lies."""
        return self.root / unit.level / unit.owner / f"{unit.analysis}.json"

    def get(self, unit: Unit) -> Receipt | None:
        """Return the receipt of a unit; None if there is none that can be read."""
        return _read(self.path(unit))

    def put(self, receipt: Receipt, temporary: Path) -> None:
        """Write a receipt at one stroke, by way of ``temporary`` in the same file system."""
        path = self.path(receipt.unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(receipt.to_json())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)

    def find(
        self, level: str | None, participant: str | None, analysis: str | None
    ) -> Iterator[Receipt]:
        """Yield receipts in order of level (participants first), owner and analysis."""
        owner = "*" if participant is None else f"sub-{participant}"
        for folder in ("participant", "group") if level is None else (level,):
            for path in sorted((self.root / folder).glob(f"{owner}/{analysis or '*'}.json")):
                receipt = _read(path)
                if receipt is not None:
                    yield receipt

    def participants(self) -> list[str]:
        """Return the labels of the participants that have receipts, of whatever state."""
        found = {path.parent.name for path in (self.root / "participant").glob("sub-*/*.json")}
        return [name.removeprefix("sub-") for name in sorted(found)]

    def newest(self, participant: str | None) -> int:
        """Return when the last receipt, of a participant or of all, was written (ns)."""
        owner = "*" if participant is None else f"sub-{participant}"
        times = [path.stat().st_mtime_ns for path in self.root.glob(f"*/{owner}/*.json")]
        return max(times, default=0)

    def neighbours(self, unit: Unit) -> Iterator[Receipt]:
        """Yield the receipts of other units whose files lie in the same folders."""
        for path in sorted(self.path(unit).parent.glob("*.json")):
            receipt = _read(path) if path != self.path(unit) else None
            if receipt is not None:
                yield receipt


def _read(path: Path) -> Receipt | None:
    try:
        return _adapter().validate_json(path.read_bytes())
    except (OSError, ValidationError, BidsfaceError):
        return None  # a receipt that cannot be read vouches for nothing


def summary_record(summary: Summary) -> SummaryRecord:
    """Return a table for people as plain values, its index as the first columns if it has names."""
    frame = summary.frame
    if frame.index.names != [None] or not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return SummaryRecord(
        summary.title, [str(name) for name in frame.columns], rows, summary.caption
    )


def _cell(value: Any) -> Cell:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    return value if isinstance(value, str | int | float | bool) else str(value)
