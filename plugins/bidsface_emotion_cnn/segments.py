"""From the time of a film to the run that shows it: segments that overlap, each second in one run.

Arrays in, arrays out; times in s. A film that is shown in several runs is cut into segments which
overlap, so that viewers find their way back in. A second that two runs show must be used in one of
them only: else what a model is trained on in one run it would be tested on in the other.
"""

from __future__ import annotations

import numpy as np

from bidsface_emotion_cnn.consensus import NONE, ROUNDING, Codes, Floats


def centres(n_volumes: int, repetition_time: float) -> Floats:
    """Return the middle of every volume of the film's grid (s)."""
    return (np.arange(n_volumes, dtype=np.float64) + 0.5) * repetition_time


def owners(n_volumes: int, repetition_time: float, starts: Floats, ends: Floats) -> Codes:
    """Return the segment that every volume of the film's grid belongs to.

    Of several segments that show a volume it is the one whose nearer edge is farther from the
    volume's middle: overlaps are split in the middle.

    Parameters
    ----------
    n_volumes : int
        Volumes of the grid, which starts with the film.
    repetition_time : float
        Their length (s).
    starts, ends : ndarray of shape (n_segments,)
        s of the film.

    Returns
    -------
    ndarray of shape (n_volumes,)
        Segments; -1 where no segment shows the volume's middle.
    """
    times = centres(n_volumes, repetition_time)
    after, before = times - starts[:, None], ends[:, None] - times
    depth = np.where((after >= 0) & (before > 0), np.minimum(after, before), -np.inf)
    return np.where(np.isfinite(depth).any(axis=0), depth.argmax(axis=0), NONE)


def shown_volumes(
    times: Floats, start: float, end: float, repetition_time: float, shift: float
) -> Codes:
    """Return which volume of the film's grid a run showed, some time before each of its volumes.

    Parameters
    ----------
    times : ndarray of shape (n_volumes,)
        When the run's volumes were acquired (s from its start).
    start, end : float
        The segment that the run shows (s of the film).
    repetition_time : float
        Length of a volume of the film's grid (s).
    shift : float
        Delay of the response (s).

    Returns
    -------
    ndarray of shape (n_volumes,)
        -1 where the run did not show its segment then.
    """
    film = start + np.asarray(times, dtype=np.float64) - shift
    edge = ROUNDING * repetition_time
    shown = (film >= start - edge) & (film < end - edge)
    return np.where(shown, np.floor(film / repetition_time + ROUNDING), NONE).astype(np.int64)


def locate(
    film_times: Floats,
    starts: Floats,
    ends: Floats,
    repetition_time: float,
    shift: float = 0.0,
) -> tuple[Codes, Codes]:
    """Return the segment that shows a time of the film, and the volume in which it is measured.

    Parameters
    ----------
    film_times : ndarray of shape (n_times,)
        s of the film, 0 or later.
    starts, ends : ndarray of shape (n_segments,)
        s of the film.
    repetition_time : float
        Of the runs, and of the grid by which `owners` splits overlaps (s).
    shift : float
        Delay of the response (s).

    Returns
    -------
    segments, volumes : ndarray of shape (n_times,)
        Volumes are counted from the start of the segment's run; both are -1 where no segment shows
        that time.
    """
    film = np.floor(np.asarray(film_times) / repetition_time + ROUNDING).astype(np.int64)
    if not len(film):
        return film, film
    segments = owners(int(film.max()) + 1, repetition_time, starts, ends)[film]
    own = np.asarray(film_times) - np.append(starts, 0.0)[segments]
    length = np.append(ends - starts, 0.0)[segments]
    edge = ROUNDING * repetition_time
    outside = (segments == NONE) | (own < -edge) | (own >= length - edge)
    volumes = np.floor((own + shift) / repetition_time + ROUNDING).astype(np.int64)
    return np.where(outside, NONE, segments), np.where(outside, NONE, volumes)
