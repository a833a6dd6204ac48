"""What happens when in the film: episodes of emotion, scenes, and shots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.demo.film.design import EMOTIONS, OVERLAP, REPETITION_TIME, FilmDesign

EMOTIONAL_SHARE = 0.76
"""Share of the film's time in which somebody in it has an emotion."""
LONGEST_MEAN = 18.0
"""Duration (s) that the episodes of one emotion in one run have on average at most."""
UNEVEN = (0.7, 1.3)
"""How much the durations of episodes differ from each other."""
SHORTEST_GAP = 1.0
"""Between two episodes (s)."""
SCENES, SHOTS = (20.0, 60.0), (4.0, 10.0)
"""Shortest and longest scene and shot (s)."""
CHARACTERS = ("LEAD", "MOTHER", "FRIEND", "OFFICER")
CHARACTER_SHARES = (0.55, 0.15, 0.2, 0.1)


@dataclass(frozen=True)
class Episode:
    """A character has an emotion.

    Attributes
    ----------
    start, end : float
        Film time (s).
    emotion : str
        Key of `EMOTIONS`.
    character : str
    """

    start: float
    end: float
    emotion: str
    character: str


@dataclass(frozen=True, eq=False)
class Film:
    """What happens in the film; times are film times (s).

    Attributes
    ----------
    episodes : tuple of Episode
        In order; no two of them overlap.
    scenes, shots : ndarray of shape (n, 2)
        Starts and ends; they follow each other without gaps, and not where episodes change.
    """

    episodes: tuple[Episode, ...]
    scenes: NDArray[np.float64]
    shots: NDArray[np.float64]

    @property
    def spans(self) -> NDArray[np.float64]:
        """Starts and ends of the episodes, shape (n_episodes, 2)."""
        return np.array([(episode.start, episode.end) for episode in self.episodes])

    @property
    def emotions(self) -> NDArray[np.intp]:
        """Numbers of the episodes' emotions, shape (n_episodes,)."""
        names = list(EMOTIONS)
        return np.array([names.index(item.emotion) for item in self.episodes], dtype=np.intp)

    def emotion_at(self, time: float) -> str | None:
        """Return the emotion at a film time (s)."""
        found = (item.emotion for item in self.episodes if item.start <= time < item.end)
        return next(found, None)


def draw_film(design: FilmDesign) -> Film:
    """Draw what happens in the film: each run's own part of it has every emotion.

    What two runs share belongs to the first of them in its first half and to the second in the
    other; no episode crosses its middle.
    """
    rng = design.stream("film")
    margin = OVERLAP / 2 * REPETITION_TIME
    duration = (design.volumes - OVERLAP) * REPETITION_TIME
    episodes = tuple(
        episode
        for start in design.starts
        for episode in _draw_episodes(rng, start * REPETITION_TIME + margin, duration)
    )
    return Film(
        episodes=episodes,
        scenes=_draw_spans(rng, design.length, SCENES),
        shots=_draw_spans(rng, design.length, SHOTS),
    )


def _draw_episodes(rng: np.random.Generator, start: float, duration: float) -> list[Episode]:
    """Draw the episodes of one part of the film; its length in each emotion is fixed."""
    names, lengths = [], []
    for emotion, share in EMOTIONS.items():
        total = share * EMOTIONAL_SHARE * duration
        parts = rng.uniform(*UNEVEN, int(np.ceil(total / LONGEST_MEAN)))
        names += [emotion] * len(parts)
        lengths += list(total * parts / parts.sum())
    order = _draw_order(rng, names)
    n_gaps = len(names) + 1
    spare = duration - sum(lengths) - n_gaps * SHORTEST_GAP
    gaps = SHORTEST_GAP + max(spare, 0.0) * rng.dirichlet(np.full(n_gaps, 3.0))
    episodes, time = [], start
    for gap, index in zip(gaps[:-1], order, strict=True):
        begin, end = time + gap, time + gap + lengths[index]
        character = str(rng.choice(CHARACTERS, p=CHARACTER_SHARES))
        episodes.append(Episode(round(begin, 2), round(end, 2), names[index], character))
        time = end
    return episodes


def _draw_order(rng: np.random.Generator, names: Sequence[str]) -> NDArray[np.intp]:
    """Draw an order in which no emotion follows itself."""
    kinds = np.array(names)
    while True:
        order = rng.permutation(len(kinds))
        if (kinds[order][1:] != kinds[order][:-1]).all():
            return order


def _draw_spans(
    rng: np.random.Generator, length: float, limits: tuple[float, float]
) -> NDArray[np.float64]:
    """Cut the film into spans of uniformly distributed durations."""
    durations = rng.uniform(*limits, int(np.ceil(length / limits[0])))
    ends = np.cumsum(durations)
    ends = np.append(ends[ends < length], length)
    return np.column_stack([np.append(0.0, ends[:-1]), ends])
