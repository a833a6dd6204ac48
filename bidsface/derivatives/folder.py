"""The output folder: the only writer of results, and the reader that later steps use.

A unit of work is first written to a scratch folder. Then its receipt is replaced by one that says
"writing" and names every file that is about to appear or disappear, the files move into place one
by one, and the finished receipt replaces that one. Whenever the process is killed, every file in
place is whole, and a receipt that says "done" vouches for exactly the files that are there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from bidsface.analysis import ParticipantResults, Results, StoredResults
from bidsface.derivatives import description
from bidsface.derivatives.artifacts import Description
from bidsface.derivatives.citations import check_citations
from bidsface.derivatives.locks import locked, remove_abandoned, scratch_folder
from bidsface.derivatives.reading import is_intact, stored_results
from bidsface.derivatives.receipts import Receipt, ReceiptFolder
from bidsface.derivatives.staging import Staged, stage
from bidsface.derivatives.units import Provenance, Unit
from bidsface.errors import BidsfaceError, InputError

__all__ = ["OutputFolder", "Provenance", "Unit"]


class OutputFolder:
    """A BIDS derivative data set that bidsface writes; several processes may use it at once.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.state = self.root / ".bidsface"
        self._receipts = ReceiptFolder(self.state / "receipts")

    def prepare(
        self,
        roots: Mapping[str, Path],
        descriptions: Mapping[str, Mapping[str, Any]] | None = None,
        links: Mapping[str, str] | None = None,
    ) -> None:
        """Make the folder a data set, and clear away what killed processes left.

        Parameters
        ----------
        roots : mapping of str to Path
            Input data sets by the name that BIDS URIs give them.
        descriptions : mapping of str to mapping
            Their ``dataset_description.json``.
        links : mapping of str to str
            DOI or URL of inputs, where the user says so.

        Raises
        ------
        UsageError
            If the folder is an input, belongs to other software or cannot be written to.
        """
        description.check_output_folder(self.root, roots)
        files = description.root_files(self.root, roots, descriptions or {}, links or {})
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            with locked(self.state / "locks" / "root.lock"):
                for name, content in files.items():
                    self._write_if_new(name, content)
            remove_abandoned(self._scratch)
        except OSError as error:
            raise description.unwritable(self.root, error) from error

    def is_done(self, unit: Unit) -> bool:
        """Tell whether a unit is up to date: every file is there and as its receipt says."""
        receipt = self._receipts.get(unit)
        return (
            receipt is not None
            and receipt.status == "done"
            and receipt.unit == unit
            and all(is_intact(self.root, record) for record in receipt.files)
        )

    def write(self, unit: Unit, results: Results, provenance: Provenance) -> Receipt:
        """Write everything a unit found; what an earlier result left behind goes.

        Raises
        ------
        BidsfaceError
            If something cannot be named, described or written as BIDS wants it, two results have
            one name, a name belongs to another unit, or the disk refuses. No file in place has
            been touched then, but when it is the disk.
        """
        check_citations(results.methods, results.citations, unit.analysis)
        try:
            with scratch_folder(self._scratch) as scratch:
                staged = list(stage(Description(unit, provenance), results, scratch))
                with locked(self._lock_of(unit)):
                    self._refuse_taken(unit, staged)
                    return self._commit(Receipt.begin(unit, results, provenance), staged, scratch)
        except OSError as error:
            raise BidsfaceError(f"cannot write results of {_name(unit)}: {error}") from error

    def record_failure(
        self,
        unit: Unit,
        message: str,
        traceback_text: str | None,
        provenance: Provenance | None = None,
    ) -> Receipt:
        """Record that a unit failed; with a traceback, also write a crash file to ``logs/``.

        Files of an earlier success stay, but no receipt vouches for them any more.
        """
        known = provenance or Provenance((), {}, None, {}, "", {})
        now = datetime.now(UTC)
        crash_file = ""
        if traceback_text is not None:
            crash_file = f"logs/crash-{now:%Y%m%d-%H%M%S}-{unit.owner}-{unit.analysis}.txt"
            self.write_text(crash_file, f"{_name(unit)}: {message}\n\n{traceback_text}")
        receipt = replace(
            Receipt.begin(unit, Results(), known),
            status="failed",
            message=message,
            crash_file=crash_file,
        )
        with locked(self._lock_of(unit)), scratch_folder(self._scratch) as scratch:
            earlier = self._receipts.get(unit)
            receipt = replace(receipt, leftovers=sorted(earlier.paths) if earlier else ())
            self._receipts.put(receipt, scratch / "receipt")
        return receipt

    def receipts(
        self,
        level: str | None = None,
        participant: str | None = None,
        analysis: str | None = None,
    ) -> list[Receipt]:
        """Return the receipts of finished and failed units, participants before the group."""
        found = self._receipts.find(level, participant, analysis)
        return [receipt for receipt in found if receipt.status != "writing"]

    def begun(self) -> list[str]:
        """Return the labels of all participants that work was begun on, finished or not."""
        return self._receipts.participants()

    def is_current(self, page: str, participant: str | None = None) -> bool:
        """Tell whether a page is there and newer than every receipt that it is made of.

        Parameters
        ----------
        page : str
            File name of a report.
        participant : str, optional
            Only this participant's receipts matter; otherwise all do.
        """
        try:
            written = self._target(page).stat().st_mtime_ns
        except OSError:
            return False
        return written >= self._receipts.newest(participant)

    def participant_results(
        self, analysis: str, labels: Sequence[str] = ()
    ) -> list[ParticipantResults]:
        """Return what an analysis wrote for participants; tables and maps are read when asked for.

        Parameters
        ----------
        analysis : str
        labels : sequence of str
            Participants, in this order; empty for all that finished, in order of their labels.

        Raises
        ------
        InputError
            If a participant has not finished, or a file of it is missing or has changed.
        """
        done = {
            receipt.unit.participant or "": receipt
            for receipt in self.receipts(level="participant", analysis=analysis)
            if receipt.status == "done"
        }
        absent = [label for label in labels if label not in done]
        if absent:
            raise InputError(
                f"analysis {analysis} has no results for participants {', '.join(absent)}; "
                f"run the participant level for them first (there are {', '.join(done) or 'none'})"
            )
        return [stored_results(self.root, label, done[label]) for label in labels or done]

    def group_results(self, labels: Iterable[str]) -> dict[str, StoredResults]:
        """Return what the group level of analyses wrote, of those among them that finished.

        Raises
        ------
        InputError
            If a file of it is missing or has changed.
        """
        done = {
            receipt.unit.analysis: receipt
            for receipt in self.receipts(level="group")
            if receipt.status == "done"
        }
        return {
            label: stored_results(self.root, "group", done[label])
            for label in labels
            if label in done
        }

    def write_text(self, path: str, text: str) -> Path:
        """Write a text file, such as a report or a log, at one stroke; return its full path."""
        target = self._target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(self._scratch) as scratch:
            (scratch / "text").write_bytes(text.encode())
            (scratch / "text").replace(target)
        return target

    @property
    def _scratch(self) -> Path:
        return self.state / "tmp"

    def _lock_of(self, unit: Unit) -> Path:
        return self.state / "locks" / f"{unit.level}-{unit.owner}.lock"

    def _target(self, path: str) -> Path:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts:
            raise BidsfaceError(f"{path} lies outside the output folder")
        return self.root / parts

    def _write_if_new(self, name: str, content: str) -> None:
        target = self.root / name
        if not target.is_file() or target.read_text() != content:
            self.write_text(name, content)

    def _refuse_taken(self, unit: Unit, staged: Iterable[Staged]) -> None:
        names = {item.record.path for item in staged}
        for other in self._receipts.neighbours(unit):
            taken = sorted(names & other.paths)
            if taken:
                raise BidsfaceError(
                    f"{taken[0]} of analysis {unit.analysis} is already a file of analysis "
                    f"{other.unit.analysis}"
                )

    def _commit(self, receipt: Receipt, staged: Sequence[Staged], scratch: Path) -> Receipt:
        earlier = self._receipts.get(receipt.unit)
        old = earlier.paths if earlier is not None else set()
        new = {item.record.path for item in staged}
        journal = Receipt(receipt.unit, "writing", leftovers=sorted(old | new))
        self._receipts.put(journal, scratch / "receipt")
        # Old sidecars go first: none may stand, even for a moment, beside newer data.
        data = {item.record.path for item in staged if item.record.kind != "sidecar"}
        for path in sorted(old - data):
            self._target(path).unlink(missing_ok=True)
        for item in sorted(staged, key=lambda item: item.record.kind == "sidecar"):
            target = self._target(item.record.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            item.source.replace(target)
        finished = replace(
            receipt,
            status="done",
            files=tuple(item.record for item in staged),
            seconds=_seconds_since(receipt.started),
        )
        self._receipts.put(finished, scratch / "receipt")
        return finished


def _name(unit: Unit) -> str:
    return f"{unit.owner}, analysis {unit.analysis}"


def _seconds_since(started: str) -> float:
    return round(time.time() - datetime.fromisoformat(started).timestamp(), 3)
