"""Action units of a filmed face: what it does for a score, and what OpenFace would see of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

GROUPS: Mapping[str, tuple[str, ...]] = {
    "4": ("AU04",),
    "6_7": ("AU06", "AU07"),
    "9_10": ("AU09", "AU10"),
    "25_26_27": ("AU25", "AU26"),
}
"""Action units of pain; those that are hard to tell apart count as one."""
RATED = tuple(f"AU{n:02d}" for n in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45))
"""Units whose intensity (0 to 5) OpenFace estimates."""
DETECTED = (*RATED[:-1], "AU28", "AU45")
"""Units whose presence OpenFace detects."""
FRAME_RATE = 25.0
"""Hz."""
START = -2.0
"""When the film begins (s); the first volume is at 0."""
SLOTS, SLOT, FIRST_SLOT = 5, 1.5, 0.3
"""How often a group can show in a trial, how long (s) that may take, and when (s) it begins."""
SHOW, JITTER = (0.9, 1.1), 0.15
"""Duration (s) of a facial action, and how much later (s) than its slot it may begin."""
EDGE = 0.2
"""Time (s) in which a facial action rises to its full intensity, and falls."""
SHARPNESS = 4.0
"""Concentration of the participants' distributions over the groups (Dirichlet)."""
MISSED = 0.03
"""Share of facial actions that OpenFace does not see."""
FALSE_ALARMS, BLINKS, LOSSES = 1 / 90, 1 / 5, 1 / 90
"""How often (Hz) a unit is seen that is not there, eyes blink, the face is lost."""


@dataclass(frozen=True)
class Action:
    """A facial action.

    Attributes
    ----------
    group : str
        Key of `GROUPS`.
    onset, duration : float
        s.
    intensity : int
        1 to 5, for the letters A to E of the Facial Action Coding System.
    """

    group: str
    onset: float
    duration: float
    intensity: int


def draw_preferences(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw how much a participant uses each group of action units; sums to 1."""
    return rng.dirichlet(np.full(len(GROUPS), SHARPNESS))


def draw_actions(
    rng: np.random.Generator, score: int, onset: float, preferences: NDArray[np.float64]
) -> list[Action]:
    """Draw what a face does in a trial.

    The score is the sum, over the groups of action units, of how often a group shows times how
    intense it is on average: the sum of the actions' intensities. Stronger pain brings both more
    and more intense actions.

    Parameters
    ----------
    rng : numpy.random.Generator
    score : int
        0 to 64.
    onset : float
        Of the trial (s).
    preferences : ndarray of shape (n_groups,)
        How much the participant uses each group.

    Returns
    -------
    list of Action
    """
    number = min(round(score / min(1.6 + 0.05 * score, 4.0)), score)
    cells = rng.choice(
        len(GROUPS) * SLOTS, number, replace=False, p=np.repeat(preferences, SLOTS) / SLOTS
    )
    names = list(GROUPS)
    return [
        Action(
            group=names[cell // SLOTS],
            onset=onset + FIRST_SLOT + SLOT * (cell % SLOTS) + rng.uniform(0, JITTER),
            duration=rng.uniform(*SHOW),
            intensity=intensity,
        )
        for cell, intensity in zip(cells, _split(score, number), strict=True)
    ]


def film(rng: np.random.Generator, actions: Sequence[Action], end: float) -> pd.DataFrame:
    """Return the table that OpenFace would write of a run's film.

    Parameters
    ----------
    rng : numpy.random.Generator
    actions : sequence of Action
    end : float
        Of the film (s).

    Returns
    -------
    DataFrame
        One row per frame, columns as OpenFace names them: `frame`, `timestamp` (s since the
        film's start), `confidence`, `success`, intensities `AU01_r` ... and presences `AU01_c` ...
    """
    times = START + np.arange(int((end - START) * FRAME_RATE)) / FRAME_RATE
    intensity = {unit: np.zeros(len(times)) for unit in DETECTED}
    for action in actions:
        for unit, level in _units(rng, action).items():
            intensity[unit] += level * _course(times, action.onset, action.duration)
    for unit in DETECTED:
        rate, strength = (BLINKS, (2.0, 4.0)) if unit == "AU45" else (FALSE_ALARMS, (0.3, 0.9))
        for onset in _moments(rng, rate, end):
            intensity[unit] += rng.uniform(*strength) * _course(times, onset, 0.16)
    lost = np.zeros(len(times), dtype=bool)
    for onset in _moments(rng, LOSSES, end):
        lost |= (times >= onset) & (times < onset + 0.4)
    return _table(rng, times, intensity, lost)


def _split(score: int, number: int) -> NDArray[np.intp]:
    """Split a score into intensities that differ by at most one."""
    if number == 0:
        return np.zeros(0, dtype=np.intp)
    return np.diff(score * np.arange(number + 1) // number).astype(np.intp)


def _units(rng: np.random.Generator, action: Action) -> dict[str, float]:
    """Return which units of its group OpenFace sees in an action, and how intense."""
    if rng.random() < MISSED:
        return {}
    units = list(GROUPS[action.group])
    rng.shuffle(units)
    first, *others = units
    seen = {first: float(action.intensity)}
    for unit in others:
        if rng.random() < 0.5:
            seen[unit] = action.intensity * rng.uniform(0.5, 1.0)
    return seen


def _moments(rng: np.random.Generator, rate: float, end: float) -> NDArray[np.float64]:
    """Draw moments at a rate (Hz) over the film."""
    return rng.uniform(START, end, rng.poisson(rate * (end - START)))


def _course(times: NDArray[np.float64], onset: float, duration: float) -> NDArray[np.float64]:
    """Return the course of an action, from 0 to 1: half its height when it begins and ends."""
    edge = np.minimum(times - onset, onset + duration - times) / EDGE
    return np.clip(0.5 + edge, 0, 1) * (edge >= 0)


def _table(
    rng: np.random.Generator,
    times: NDArray[np.float64],
    intensity: Mapping[str, NDArray[np.float64]],
    lost: NDArray[np.bool_],
) -> pd.DataFrame:
    shape = (len(times), len(RATED))
    rated = np.stack([intensity[unit] for unit in RATED], axis=1)
    rated = np.clip(rated + rng.normal(0, 0.1, shape), 0, 5).round(2)
    present = np.stack([intensity[unit] > 0 for unit in DETECTED], axis=1)
    rated[lost], present[lost] = 0, False
    confidence = np.where(lost, 0.1, rng.uniform(0.93, 0.98, len(times)))
    head = {
        "frame": np.arange(1, len(times) + 1),
        "timestamp": (np.arange(len(times)) / FRAME_RATE).round(3),
        "confidence": confidence.round(2),
        "success": (~lost).astype(int),
    }
    return pd.concat(
        [
            pd.DataFrame(head),
            pd.DataFrame(rated, columns=[f"{unit}_r" for unit in RATED]),
            pd.DataFrame(present.astype(int), columns=[f"{unit}_c" for unit in DETECTED]),
        ],
        axis=1,
    )
