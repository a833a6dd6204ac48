"""Seeds that are derived from others by numbers, so that streams belong to what they are for."""

from __future__ import annotations

import numpy as np


def child_seed(seed: np.random.SeedSequence, number: int) -> np.random.SeedSequence:
    """Return a seed derived from another one by a number; unlike ``spawn`` it has no memory.

    Parameters
    ----------
    seed : SeedSequence
        It stays as it is.
    number : int
        0 or more. The child is the one that ``spawn`` of a fresh sequence gives at that place.
    """
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, number))
