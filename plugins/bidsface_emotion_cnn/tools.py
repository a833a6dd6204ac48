"""What the group level is given by its host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bidsface.analysis import Mapper


@dataclass(frozen=True)
class Tools:
    """Seeds, processors, a line to the person who waits, and the device.

    Attributes
    ----------
    seed : callable
        Returns a SeedSequence of names.
    map : callable
        Applies a function to items on the processors that there are.
    tell : callable
        Shows a line.
    device : str
        ``cpu`` or ``cuda``.
    """

    seed: Callable[..., np.random.SeedSequence]
    map: Mapper
    tell: Callable[[str], None]
    device: str
