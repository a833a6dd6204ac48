"""The folder of a synthetic study: written whole, kept if it is there, never mixed with another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsface import __version__
from bidsface.errors import UsageError

TRUTH = Path("truth/truth.json")


def writer_of(study: str) -> str:
    """Return what the truth about a study says of who wrote it."""
    return f"bidsface-demo {__version__}, study {study}"


@dataclass(frozen=True)
class StudyFolder:
    """Where a study is, or is going to be.

    Attributes
    ----------
    root : Path
    study : str
        Which study.
    design : mapping
        What its `truth.json` says under `design`.
    data_sets : tuple of Path
        Its raw data sets, relative to the root; the first is the main one.
    """

    root: Path
    study: str
    design: Mapping[str, Any]
    data_sets: tuple[Path, ...] = (Path("bids"),)

    def ensure(self, write: Callable[[Path], None]) -> Path:
        """Write the study, unless the very same one is there already.

        Parameters
        ----------
        write : callable
            Gets an empty folder and writes into it the data sets and `truth/truth.json`.

        Returns
        -------
        Path
            The main raw data set.

        Raises
        ------
        UsageError
            If a data set is there that is not of this study.
        """
        missing = [path for path in self.data_sets if not (self.root / path).exists()]
        if len(missing) < len(self.data_sets):
            self._require_same()
        if missing:
            self._fill(write, missing)
        return self.root / self.data_sets[0]

    def _fill(self, write: Callable[[Path], None], missing: list[Path]) -> None:
        unfinished = self.root / ".unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        write(unfinished)
        shutil.rmtree(self.root / TRUTH.parent, ignore_errors=True)
        # The data sets come last, so that none is ever there without its truth.
        (unfinished / TRUTH.parent).rename(self.root / TRUTH.parent)
        for path in reversed(missing):
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / path).rename(self.root / path)
        shutil.rmtree(unfinished)

    def _require_same(self) -> None:
        """Raise UsageError unless the folder holds this very study."""
        found = self._found()
        if found is None:
            there = next(path for path in self.data_sets if (self.root / path).exists())
            raise UsageError(
                f"{self.root / there} exists and is not a synthetic study: name a new folder"
            )
        wanted = {"version": writer_of(self.study), **self.design}
        differences = [
            f"{key} {found[key]} instead of {wanted[key]}"
            for key in wanted
            if key in found and found[key] != wanted[key]
        ]
        if differences:
            raise UsageError(
                f"{self.root} holds another study ({', '.join(differences)}): name a new folder"
            )

    def _found(self) -> dict[str, Any] | None:
        """Return who wrote the study that is there, and its design if we did."""
        try:
            truth = json.loads((self.root / TRUTH).read_text(encoding="utf-8"))
            found = {"version": truth["generated_by"]}
            if found["version"] == writer_of(self.study):
                # A design without one of our keys is another one.
                found.update(dict.fromkeys(self.design), **truth["design"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found
