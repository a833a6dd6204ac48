"""Visits of participants to the scanner, and the names that their files begin with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Visit:
    """One session of a participant, or the only visit in a study without sessions.

    Attributes
    ----------
    label : str
        The participant's.
    session : str or None
    """

    label: str
    session: str | None = None

    @property
    def folder(self) -> Path:
        """Folder of the visit, relative to the data set."""
        participant = Path(f"sub-{self.label}")
        return participant if self.session is None else participant / f"ses-{self.session}"

    @property
    def stem(self) -> str:
        """What the names of the visit's files begin with."""
        return f"sub-{self.label}" + ("" if self.session is None else f"_ses-{self.session}")

    def run(self, task: str, number: int) -> str:
        """Return what the names of a run's files begin with."""
        return f"{self.stem}_task-{task}_run-{number}"
