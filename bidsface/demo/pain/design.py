"""What the pain study consists of: its two data sets, and the sizes of everything in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

TASK = "pain"
STREAMS: Mapping[str, int] = {
    "maps": 0,
    "people": 1,
    "participant": 2,
    "trials": 3,
    "scan": 4,
    "film": 5,
    "images": 6,
}


@dataclass(frozen=True)
class Scanner:
    """What a scanner makes of the same brain.

    Attributes
    ----------
    response : float
        Factor of every response.
    noise : float
        Factor of the noise.
    smoothness_mm : float
        Standard deviation of the Gaussian (mm) that blurs the noise; 0 leaves it independent.
    brightness : float
        Factor of the baseline.
    shifted : bool
        Whether the scanner shift is added to every response.
    """

    response: float = 1.0
    noise: float = 1.0
    smoothness_mm: float = 0.0
    brightness: float = 1.0
    shifted: bool = False


@dataclass(frozen=True)
class DataSet:
    """One of the two data sets.

    Attributes
    ----------
    name : str
    number : int
        Distinguishes the random numbers of the data sets.
    bids : Path
        Raw data set, relative to the study's folder.
    scanner : Scanner
    expressiveness : float
        What a score's latent variable is on average over participants, in standard deviations
        between participants.
    facs_weights : mapping of str to float
        Which structures follow the expression, and how.
    """

    name: str
    number: int
    bids: Path
    scanner: Scanner
    expressiveness: float
    facs_weights: Mapping[str, float]


MAIN = DataSet(
    name="main",
    number=0,
    bids=Path("bids"),
    scanner=Scanner(),
    expressiveness=0.05,
    facs_weights={
        "insula": 1.0,
        "caudalanteriorcingulate": 1.0,
        "rostralanteriorcingulate": 0.7,
        "Thalamus": 0.8,
        "precuneus": -0.8,
        "superiorfrontal": -0.7,
        "middletemporal": -0.6,
    },
)
SECOND = DataSet(
    name="second",
    number=1,
    bids=Path("second/bids"),
    scanner=Scanner(response=0.8, noise=1.2, smoothness_mm=5.0, brightness=1.4, shifted=True),
    expressiveness=-0.05,
    facs_weights={
        "insula": 0.4,
        "caudalanteriorcingulate": -0.8,
        "Amygdala": 1.0,
        "fusiform": -0.8,
        "superiorparietal": 0.8,
        "lateraloccipital": -0.7,
    },
)
DATA_SETS = (MAIN, SECOND)


@dataclass(frozen=True)
class PainDesign:
    """What a synthetic pain study consists of; equal designs give equal files.

    Attributes
    ----------
    seed : int
    participants, second_participants : int
        Of the main and of the second data set.
    runs : int
    painful, innocuous : int
        Trials in every run.
    voxel_size_mm : float
        Edge of a voxel of the BOLD runs.
    strength : float
        Response at the peak of the pattern to one unit of log(1 + score), in standard deviations
        of the noise. 0 leaves nothing to be predicted but through movement and temperature.
    motion_mm : float
        Displacement of the head for one unit of log(1 + score).
    """

    seed: int
    participants: int = 20
    second_participants: int = 12
    runs: int = 2
    painful: int = 8
    innocuous: int = 4
    voxel_size_mm: float = 6.0
    strength: float = 1.0
    motion_mm: float = 0.08

    def labels(self, data_set: DataSet) -> tuple[str, ...]:
        """Labels of a data set's participants."""
        number = self.participants if data_set == MAIN else self.second_participants
        width = max(2, len(str(number)))
        return tuple(f"{n:0{width}d}" for n in range(1, number + 1))

    def stream(
        self, what: str, data_set: DataSet = MAIN, label: str = "0", run: int = 0
    ) -> np.random.Generator:
        """Return the random numbers of one unit of work; they depend on no other unit."""
        return np.random.default_rng([self.seed, STREAMS[what], data_set.number, int(label), run])

    def as_dict(self) -> dict[str, Any]:
        """Return the design as JSON would give it back."""
        return asdict(self)
