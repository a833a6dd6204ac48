"""What a person sees while bidsface works: a live bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any


class Console(ABC):
    """Messages and progress of one run.

    Parameters
    ----------
    verbosity : int
        0 says what was done and what failed, 1 also details of every participant.
    """

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity

    def __enter__(self) -> Console:
        """Start showing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop showing."""
        return None

    def detail(self, message: str) -> None:
        """Show a message if ``-v`` was given."""
        if self.verbosity > 0:
            self.say(message)

    @abstractmethod
    def say(self, message: str) -> None:
        """Show a message."""

    @abstractmethod
    def begin(self, what: str, total: int) -> None:
        """Begin to count ``total`` pieces of work."""

    @abstractmethod
    def advance(self) -> None:
        """Count one piece as ended."""


class PlainConsole(Console):
    """Plain lines with the time, for logs and batch systems."""

    def __init__(self, verbosity: int = 0) -> None:
        super().__init__(verbosity)
        self._what, self._total, self._done = "", 0, 0

    def say(self, message: str) -> None:
        """Print a line."""
        # As one piece: lines of several threads must not run into each other.
        print(f"{time.strftime('%H:%M:%S')} {message}\n", end="", flush=True)

    def begin(self, what: str, total: int) -> None:
        """Remember what is counted."""
        self._what, self._total, self._done = what, total, 0

    def advance(self) -> None:
        """Print how far the work has come."""
        self._done += 1
        self.say(f"{self._what}: {self._done} of {self._total}")


class RichConsole(Console):
    """A live progress bar."""

    def __init__(self, verbosity: int = 0) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        super().__init__(verbosity)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            transient=True,
        )
        self._task: Any = None

    def __enter__(self) -> Console:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *problem: Any) -> None:
        """Remove the bar."""
        self._progress.stop()

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(message, markup=False, highlight=False)

    def begin(self, what: str, total: int) -> None:
        """Show a bar of ``total`` steps."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(what, total=total)

    def advance(self) -> None:
        """Move the bar by one."""
        self._progress.advance(self._task)


def make_console(verbosity: int) -> Console:
    """Return the console that suits where standard output goes."""
    return RichConsole(verbosity) if sys.stdout.isatty() else PlainConsole(verbosity)
