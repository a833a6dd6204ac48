"""When the frames of a table of action units were taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_facs.text_table import TextTable, listed

Floats = NDArray[np.float64]

TIME_COLUMNS = ("timestamp", "time", "video time", "approx_time")
FRAME_COLUMNS = ("frame", "frame_number")
SHORTEST_INTERVAL = 0.002
"""s; no camera of such a study takes more than 500 frames a second, but broken clocks do."""
COARSE_CLOCK = 1.5
"""s; py-feat's ``approx_time`` counts whole seconds."""


@dataclass(frozen=True)
class Sampling:
    """The regular clock that the sidecar of a recording states.

    Attributes
    ----------
    frequency : float
        Rows per s.
    start : float
        s; time of the first row after the start of the scanner run.
    """

    frequency: float
    start: float = 0.0


@dataclass(frozen=True)
class FrameClock:
    """How to tell the time of frames.

    Attributes
    ----------
    sampling : Sampling or None
        What a sidecar states; it goes before everything else.
    sampling_frequency : float or None
        Frames per s; with it, time is counted by the numbers of the frames (by rows, where a table
        has neither numbers nor times).
    first_frame : int
        Number of the first frame of a video.
    longest_interval : float
        s between frames that are still plausible.
    longest_gap : float
        s without any frame that are still accepted.
    """

    sampling: Sampling | None
    sampling_frequency: float | None
    first_frame: int
    longest_interval: float
    longest_gap: float

    def times(self, table: TextTable) -> Floats:
        """Return the time (s) of every row.

        Raises
        ------
        InputError
            If it cannot be told, does not increase from row to row, or cannot be in s; or if
            frames are missing for longer than ``longest_gap``.
        """
        times = self._told(table)
        if len(times) < 2:
            raise InputError(f"{table.path}: wanted at least 2 frames, found {len(times)}")
        if self.sampling is None:
            self._check_interval(table, times)
            self._check_gaps(table, times)
        return times

    def _told(self, table: TextTable) -> Floats:
        rows = np.arange(len(table.cells), dtype=np.float64)
        if self.sampling is not None:
            return self.sampling.start + rows / self.sampling.frequency
        time, frame = table.find(*TIME_COLUMNS), table.find(*FRAME_COLUMNS)
        if self.sampling_frequency is not None and frame is not None:
            return self._counted(table, frame, time, self.sampling_frequency)
        if time is not None:
            times = table.seconds(time)
            _require_increase(table, time, times)
            return times
        if self.sampling_frequency is not None:
            return rows / self.sampling_frequency
        raise InputError(
            f"{table.path}: wanted a column of times in s ({', '.join(TIME_COLUMNS)}), or the "
            f"option sampling_frequency; found {listed([str(name) for name in table.cells])}"
        )

    def _counted(self, table: TextTable, frame: str, time: str | None, frequency: float) -> Floats:
        numbers = table.numbers(frame)
        table.require(np.isfinite(numbers), frame, "the number of a frame")
        _require_increase(table, frame, numbers)
        times = (numbers - self.first_frame) / frequency
        if time is not None and time.strip().lower() == "approx_time":
            difference = np.abs(times - table.seconds(time))
            table.require(
                difference <= COARSE_CLOCK,
                time,
                f"near frame / sampling_frequency (at {frequency:g} frames per s)",
            )
        return times

    def _check_interval(self, table: TextTable, times: Floats) -> None:
        interval = float(np.median(np.diff(times)))
        if interval > self.longest_interval:
            raise InputError(
                f"{table.path}: wanted times in s with frames at most {self.longest_interval:g} s "
                f"apart, found {interval:g} s; does the clock count ms?"
            )
        if interval < SHORTEST_INTERVAL:
            raise InputError(
                f"{table.path}: wanted times in s with frames at least {SHORTEST_INTERVAL:g} s "
                f"apart, found {interval:g} s; the option sampling_frequency replaces a clock "
                "that is wrong"
            )

    def _check_gaps(self, table: TextTable, times: Floats) -> None:
        steps = np.diff(times)
        # Coders who look at segments of some seconds leave no gaps between them.
        longest = max(self.longest_gap, 1.5 * float(np.median(steps)))
        worst = int(np.argmax(steps))
        if steps[worst] > longest:
            raise InputError(
                f"{table.path}: frames are missing for {steps[worst]:.3g} s, from "
                f"{times[worst]:.3f} to {times[worst + 1]:.3f} s (before row "
                f"{table.first_row + worst + 1}); wanted no gap of more than {longest:g} s "
                "(option longest_gap)"
            )


def _require_increase(table: TextTable, column: str, values: Floats) -> None:
    steps = np.diff(values, prepend=-np.inf)
    table.require(
        steps >= 0, column, "later than in the row before: the clock must not run backwards"
    )
    table.require(
        steps > 0,
        column,
        "later than in the row before (one row per frame, of one face; where a clock counts whole "
        "seconds, the option sampling_frequency tells frames apart)",
    )
