"""What the film study consists of, and the sizes of everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TASK = "film"
REPETITION_TIME = 2.0
"""s."""
OVERLAP = 8
"""Volumes of film time that a segment of the film shares with the next one."""
EMOTIONS: Mapping[str, float] = {
    "FEAR": 0.26,
    "SADNESS": 0.235,
    "HAPPINESS": 0.2,
    "ANGERRAGE": 0.165,
    "LOVE": 0.14,
}
"""The emotions that are planted, and the share of the emotional time that each has: about that of a
real film (Labs et al. 2015, F1000Research 4:92)."""
STREAMS: Mapping[str, int] = {
    "film": 0,
    "observer": 1,
    "maps": 2,
    "people": 3,
    "participant": 4,
    "scan": 5,
    "labels": 6,
    "images": 7,
}


@dataclass(frozen=True)
class FilmDesign:
    """What a synthetic film study consists of; equal designs give equal files.

    Attributes
    ----------
    seed : int
    participants, runs, observers : int
        A run shows a segment of the film.
    volumes : int
        Of every run.
    voxel_size_mm : float
        Edge of a voxel of the BOLD runs.
    strength : float
        Mean response over an emotion's places to a long episode, at its peak, in standard
        deviations of the noise. 0 plants nothing.
    shuffled : bool
        Draw anew, for every participant and run, which episode evokes which emotion's pattern:
        nothing in the brain then goes with the emotions that the observers see.
    """

    seed: int
    participants: int = 6
    runs: int = 4
    observers: int = 7
    volumes: int = 120
    voxel_size_mm: float = 9.0
    strength: float = 4.0
    shuffled: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """Participants' labels."""
        width = max(2, len(str(self.participants)))
        return tuple(f"{number:0{width}d}" for number in range(1, self.participants + 1))

    @property
    def starts(self) -> tuple[int, ...]:
        """Film volume that each run begins with: film time over the repetition time."""
        return tuple(number * (self.volumes - OVERLAP) for number in range(self.runs))

    @property
    def times(self) -> NDArray[np.float64]:
        """Times in a run (s) that its volumes stand for, shape (volumes,)."""
        return np.arange(0.5, self.volumes, dtype=np.float64) * REPETITION_TIME

    @property
    def film_volumes(self) -> int:
        """Length of the film in volumes."""
        return self.starts[-1] + self.volumes

    @property
    def length(self) -> float:
        """Length of the film (s)."""
        return self.film_volumes * REPETITION_TIME

    @property
    def majority(self) -> int:
        """The smallest number of observers that is more than half of them."""
        return self.observers // 2 + 1

    def stream(self, what: str, number: int = 0, run: int = 0) -> np.random.Generator:
        """Return the random numbers of one unit of work; they depend on no other unit.

        Parameters
        ----------
        what : str
            Key of `STREAMS`.
        number : int
            Of the participant or the observer.
        run : int
        """
        return np.random.default_rng([self.seed, STREAMS[what], number, run])

    def as_dict(self) -> dict[str, Any]:
        """Return the design as JSON would give it back."""
        return asdict(self)
