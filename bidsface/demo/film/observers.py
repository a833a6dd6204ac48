"""The observers' annotations: what each of them writes down of the emotions in the film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.demo.film.design import EMOTIONS
from bidsface.demo.film.timeline import CHARACTERS, Episode

COLUMNS = (
    "start",
    "end",
    "character",
    "arousal",
    "valence",
    "direction",
    "emotion",
    "oncue",
    "offcue",
)
"""As in the annotations of Labs et al. (2015), F1000Research 4:92."""
NEIGHBOURS: Mapping[str, tuple[str, ...]] = {
    "FEAR": ("SADNESS", "ANGERRAGE"),
    "SADNESS": ("FEAR", "DISAPPOINTMENT"),
    "HAPPINESS": ("LOVE", "PRIDE"),
    "ANGERRAGE": ("FEAR", "CONTEMPT"),
    "LOVE": ("HAPPINESS", "ADMIRATION"),
}
"""What an emotion is taken for."""
POSITIVE = ("HAPPINESS", "LOVE", "PRIDE", "ADMIRATION")
CALM = ("SADNESS", "LOVE", "DISAPPOINTMENT", "ADMIRATION")
ON_CUES = ("FACE", "VERBAL", "GESTURE", "AUDIO", "CONTEXT", "GESTURE FACE", "FACE VERBAL")
OFF_CUES = ("EMOFADED", "EMOCHANGE", "SCENEEND", "CHARLEFT")
MISSED = (0.04, 0.16)
"""Share of the episodes that the most and the least attentive observer miss."""
READINGS: Mapping[str, float] = {"same": 0.84, "neighbour": 0.07, "both": 0.04, "none": 0.05}
"""What is written down as the emotion of an episode: it, a neighbour, both, or nothing."""
BIAS, JITTER = 0.5, 0.9
"""Standard deviations (s) of starts and ends over observers, and over an observer's episodes."""
UNNAMED_EVERY, FALSE_EVERY = 60.0, 180.0
"""How often (s) an observer notes a mood without an emotion, and an emotion that nobody has."""


@dataclass(frozen=True)
class _Note:
    """What an observer notes; an empty emotion is none."""

    start: float
    end: float
    character: str
    emotion: str


def draw_annotations(
    rng: np.random.Generator, episodes: Sequence[Episode], length: float
) -> pd.DataFrame:
    """Draw one observer's annotations of the film.

    Parameters
    ----------
    rng : numpy.random.Generator
    episodes : sequence of Episode
    length : float
        Of the film (s).

    Returns
    -------
    DataFrame
        Columns `COLUMNS`, rows in the order of their starts; times in whole seconds.
    """
    notes = _of_episodes(rng, episodes)
    notes += _of_nothing(rng, length, UNNAMED_EVERY, (5.0, 30.0), ("",))
    notes += _of_nothing(rng, length, FALSE_EVERY, (2.0, 8.0), _all_emotions())
    rows = sorted((_row(rng, note, length) for note in notes), key=lambda row: row[:2])
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_episodes(rng: np.random.Generator, episodes: Sequence[Episode]) -> list[_Note]:
    missed = rng.uniform(*MISSED)
    bias = rng.normal(0, BIAS, 2)
    notes = []
    for episode in episodes:
        shift = bias + rng.normal(0, JITTER, 2)
        emotion = _read(rng, episode.emotion)
        if rng.random() >= missed:
            start, end = episode.start + shift[0], episode.end + shift[1]
            notes.append(_Note(start, end, episode.character, emotion))
    return notes


def _read(rng: np.random.Generator, emotion: str) -> str:
    """Draw what an observer takes an emotion for."""
    neighbour = str(rng.choice(NEIGHBOURS[emotion]))
    texts = {"same": emotion, "neighbour": neighbour, "both": f"{emotion} {neighbour}", "none": ""}
    return texts[str(rng.choice(list(READINGS), p=list(READINGS.values())))]


def _of_nothing(
    rng: np.random.Generator,
    length: float,
    every: float,
    durations: tuple[float, float],
    emotions: Sequence[str],
) -> list[_Note]:
    """Draw notes that no episode is the reason of."""
    starts: NDArray[np.float64] = rng.uniform(0, length, rng.poisson(length / every))
    return [
        _Note(
            start=start,
            end=start + rng.uniform(*durations),
            character=str(rng.choice(CHARACTERS)),
            emotion=str(rng.choice(emotions)),
        )
        for start in starts
    ]


def _all_emotions() -> tuple[str, ...]:
    others = {name for names in NEIGHBOURS.values() for name in names} - set(EMOTIONS)
    return (*EMOTIONS, *sorted(others))


def _row(rng: np.random.Generator, note: _Note, length: float) -> tuple[float | str, ...]:
    """Fill in the other columns; times are whole seconds within the film."""
    start = min(max(round(note.start), 0), int(length) - 1)
    end = min(max(round(note.end), start + 1), int(length))
    first = note.emotion.split(" ")[0]
    named = bool(first)
    arousal = rng.choice(["LOW", "HIGH"]) if not named else "LOW" if first in CALM else "HIGH"
    valence = rng.choice(["POS", "NEG"]) if not named else "POS" if first in POSITIVE else "NEG"
    direction = rng.choice(["SELF", "OTHER"])
    cues = (rng.choice(ON_CUES), rng.choice(OFF_CUES))
    texts = (note.character, arousal, valence, direction, note.emotion, *cues)
    return (float(start), float(end), *(str(text) for text in texts))
