"""The trials of a run: when which stimulus comes, and what the face does."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.demo.pain.design import PainDesign
from bidsface.demo.pain.scores import draw_scores
from bidsface.demo.trials import REST_BEFORE

DURATION = 8.0
"""Of a stimulus (s)."""
PAUSES = (9.0, 13.0)
"""Shortest and longest pause between two stimuli (s)."""
PAINFUL = (46.0, 47.0, 48.0, 49.0)
INNOCUOUS = (36.0, 38.0, 40.0)
"""Temperatures (degrees Celsius)."""


def draw_trials(
    rng: np.random.Generator, design: PainDesign, expressiveness: float
) -> pd.DataFrame:
    """Draw the events of a run: all temperatures alike often, in random order.

    Returns
    -------
    DataFrame
        Columns `onset`, `duration` (s), `trial_type`, `temperature` (degrees Celsius), `facs`.
    """
    kinds = np.repeat(["painful", "innocuous"], [design.painful, design.innocuous])
    temperatures = np.concatenate(
        [np.resize(PAINFUL, design.painful), np.resize(INNOCUOUS, design.innocuous)]
    )
    order = rng.permutation(len(kinds))
    kinds, temperatures = kinds[order], temperatures[order]
    gaps = rng.uniform(*PAUSES, len(kinds)) + DURATION
    scores: NDArray[np.intp] = np.zeros(len(kinds), dtype=np.intp)
    painful = kinds == "painful"
    scores[painful] = draw_scores(rng, expressiveness, temperatures[painful])
    return pd.DataFrame(
        {
            "onset": (REST_BEFORE + np.cumsum(gaps) - gaps[0]).round(3),
            "duration": DURATION,
            "trial_type": kinds,
            "temperature": temperatures,
            "facs": scores,
        }
    )
