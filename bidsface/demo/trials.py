"""When the trials of a run come, and the course of the responses to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

EXPRESSIONS = ("joy", "anger", "disgust")
REPETITION_TIME = 1.7
"""s."""
SLICE_TIME = REPETITION_TIME / 2
"""Time after its start (s) that a slice-time corrected volume stands for."""
DURATION = 5.2
"""Of an event (s): its volumes, taken one lag later, number three."""
CATCH_TRIALS = 3
REST_BEFORE, REST_AFTER = 9.0, 13.0
PAUSES = (2.0, 4.2)
"""Shortest and longest pause between two events (s)."""


def draw_trials(
    rng: np.random.Generator, per_class: int, catch: int, pauses: tuple[float, float] = PAUSES
) -> pd.DataFrame:
    """Draw the events of a run: expressions in random order with jittered pauses between them.

    Parameters
    ----------
    rng : numpy.random.Generator
    per_class, catch : int
        Trials of every expression; catch trials, whose `trial_type` is missing.
    pauses : tuple of float
        Shortest and longest pause between two events (s).

    Returns
    -------
    DataFrame
        Columns `onset`, `duration` (s), `trial_type`, `trial_kind`.
    """
    names = np.array([*np.repeat(EXPRESSIONS, per_class), *["n/a"] * catch], dtype=object)
    names = names[rng.permutation(len(names))]
    gaps = rng.uniform(*pauses, len(names))
    onsets = REST_BEFORE + np.cumsum(gaps + DURATION) - (gaps[0] + DURATION)
    return pd.DataFrame(
        {
            "onset": onsets.round(3),
            "duration": DURATION,
            "trial_type": names,
            "trial_kind": np.where(names == "n/a", "catch", "expression"),
        }
    )


def volume_times(trials: pd.DataFrame, duration: float = DURATION) -> NDArray[np.float64]:
    """Return the times (s) that a run's volumes stand for; it ends after the last response."""
    end = float(trials["onset"].iloc[-1]) + duration + REST_AFTER
    times = np.arange(int(np.ceil(end / REPETITION_TIME))) * REPETITION_TIME + SLICE_TIME
    return times.astype(np.float64)


def haemodynamic_responses(
    trials: pd.DataFrame, times: NDArray[np.float64], duration: float = DURATION
) -> NDArray[np.float32]:
    """Return the course of the response to every trial, with a peak of 1.

    Parameters
    ----------
    trials : DataFrame
    times : ndarray of shape (t,)
        s.
    duration : float
        Of a trial (s).

    Returns
    -------
    ndarray of shape (t, n_trials)
        The event's boxcar convolved with Glover's (1999) haemodynamic response.
    """
    from nilearn.glm.first_level import glover_hrf

    step = 0.05
    hrf = glover_hrf(step, oversampling=1, time_length=32.0)
    response = np.convolve(hrf, np.ones(round(duration / step)))
    lags = times[:, None] - trials["onset"].to_numpy()
    grid = np.arange(len(response)) * step
    responses = np.interp(lags, grid, response / response.max(), left=0, right=0)
    return responses.astype(np.float32)
