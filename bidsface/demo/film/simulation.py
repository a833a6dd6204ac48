"""Synthetic viewers of the film, and their runs: responses to it, noise and movement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from bidsface.demo.anatomy import Anatomy, draw_segmentation
from bidsface.demo.film.design import EMOTIONS, REPETITION_TIME, TASK, FilmDesign
from bidsface.demo.film.patterns import FilmMaps
from bidsface.demo.film.timeline import Film
from bidsface.demo.maps import draw_smooth_maps
from bidsface.demo.motion import draw_leak, draw_restlessness, estimated_parameters
from bidsface.demo.noise import draw_noise, saturation
from bidsface.demo.simulation import (
    NOISE_SHARE,
    UNSTEADY_VOLUMES,
    SyntheticRun,
    cleaned_sd,
    draw_baseline,
    draw_run_mask,
)

SCENE, SHOT = 1.8, 0.9
"""Standard deviation over voxels of the response to a scene and to a shot, were they long enough
for it to reach its peak (noise SD)."""
ATTENTION = (0.7, 1.3)
"""How strongly participants respond to scenes and shots."""
SENSITIVITY = (0.8, 1.2)
"""How strongly participants respond to each emotion."""
EPISODE_GAIN = 0.25
"""Standard deviation over episodes of the gain of a response, whose mean is 1."""
WANDERING, WANDERING_MM, WANDERING_S = 1.2, 20.0, 12.0
"""Activity of a participant's own: standard deviation (noise SD), smoothness (mm), and time (s) in
which its autocorrelation falls to 1/e."""
WANDERING_MAPS = 8
RESTLESSNESS = (0.6, 1.6)
"""How much participants differ in moving."""


@dataclass(frozen=True, eq=False)
class Viewer:
    """One participant.

    Attributes
    ----------
    label : str
    aparcaseg : ndarray of int16, the grid's shape
    baseline : ndarray of float32, shape (p,)
    sensitivity : ndarray of shape (n_emotions,)
        Gain of each emotion's pattern.
    attention : float
        Gain of the responses to scenes and shots.
    restlessness : float
        How much the head moves, relative to others.
    leak : ndarray of shape (6, p)
        Change of the signal per mm, as a fraction of the baseline.
    """

    label: str
    aparcaseg: NDArray[np.int16]
    baseline: NDArray[np.float32]
    sensitivity: NDArray[np.float64]
    attention: float
    restlessness: float
    leak: NDArray[np.float32]


def draw_viewer(design: FilmDesign, anatomy: Anatomy, label: str) -> Viewer:
    """Draw a participant."""
    rng = design.stream("participant", int(label))
    return Viewer(
        label=label,
        aparcaseg=draw_segmentation(anatomy, rng),
        baseline=draw_baseline(rng, anatomy),
        sensitivity=rng.uniform(*SENSITIVITY, len(EMOTIONS)),
        attention=rng.uniform(*ATTENTION),
        restlessness=rng.uniform(*RESTLESSNESS),
        leak=draw_leak(rng, anatomy),
    )


def simulate_run(
    design: FilmDesign,
    anatomy: Anatomy,
    film: Film,
    maps: FilmMaps,
    viewer: Viewer,
    number: int,
) -> SyntheticRun:
    """Simulate one run.

    The signal is baseline x saturation x (1 + 0.01 (noise + response) + leak x movement).

    Parameters
    ----------
    design : FilmDesign
    anatomy : Anatomy
    film : Film
    maps : FilmMaps
    viewer : Viewer
    number : int
        From 1; run `number` shows segment `number` of the film.

    Returns
    -------
    SyntheticRun
        Its only event is the segment.
    """
    rng = design.stream("scan", int(viewer.label), number)
    times = design.times
    movement = viewer.restlessness * draw_restlessness(rng, times)
    parameters = estimated_parameters(rng, movement)
    unwanted = draw_noise(rng, anatomy, times)
    unwanted += draw_wandering(rng, anatomy, design.volumes)
    unwanted += (movement @ viewer.leak).astype(np.float32) / np.float32(NOISE_SHARE)
    noise_sd = cleaned_sd(unwanted[UNSTEADY_VOLUMES:], parameters[UNSTEADY_VOLUMES:])
    unwanted += _responses(rng, design, film, maps, viewer, number)
    data = viewer.baseline * (1 + np.float32(NOISE_SHARE) * unwanted)
    data *= saturation(design.volumes, UNSTEADY_VOLUMES, REPETITION_TIME)[:, None]
    mask = draw_run_mask(rng, anatomy.brain)
    events = segment_event(design, number)
    return SyntheticRun(
        TASK, number, events, parameters, data, mask, noise_sd, repetition_time=REPETITION_TIME
    )


def segment_event(design: FilmDesign, number: int) -> pd.DataFrame:
    """Return the event of a run: its segment of the film."""
    return pd.DataFrame(
        {
            "onset": [0.0],
            "duration": [design.volumes * REPETITION_TIME],
            "trial_type": ["film"],
            "film_onset": [design.starts[number - 1] * REPETITION_TIME],
        }
    )


def planted_emotions(design: FilmDesign, film: Film, label: str, number: int) -> NDArray[np.intp]:
    """Return which emotion's pattern each episode evokes, shape (n_episodes,).

    That of the episode's emotion; in a shuffled study a permutation of them that depends on the
    participant and the run.
    """
    emotions = film.emotions
    if design.shuffled:
        emotions = design.stream("labels", int(label), number).permutation(emotions)
    return emotions


def span_responses(
    spans: NDArray[np.float64], start: float, times: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the course of the response to each span of the film in a run.

    Parameters
    ----------
    spans : ndarray of shape (n, 2)
        Starts and ends in film time (s).
    start : float
        Film time (s) at which the run begins; what came before it evokes nothing.
    times : ndarray of shape (t,)
        s since the run's start.

    Returns
    -------
    ndarray of shape (t, n)
        The span's boxcar convolved with Glover's (1999) haemodynamic response, scaled so that
        that of a span of 12 s or more has a peak of 1.
    """
    from nilearn.glm.first_level import glover_hrf

    step = 0.05
    rise = np.concatenate([[0.0], np.cumsum(glover_hrf(step, oversampling=1, time_length=32.0))])
    grid, rise = np.arange(len(rise)) * step, rise / rise.max()
    begins, ends = np.clip(spans.T - start, 0, None)
    risen = np.interp(times[:, None] - begins, grid, rise)
    fallen = np.interp(times[:, None] - ends, grid, rise)
    return (risen - fallen).astype(np.float32)


def draw_wandering(
    rng: np.random.Generator, anatomy: Anatomy, n_volumes: int
) -> NDArray[np.float32]:
    """Draw activity that has nothing to do with the film: slow courses of smooth maps.

    Returns
    -------
    ndarray of shape (n_volumes, p)
        Noise standard deviations.
    """
    maps = draw_smooth_maps(rng, anatomy, WANDERING_MAPS, WANDERING_MM)
    kept = np.exp(-REPETITION_TIME / WANDERING_S)
    steps = rng.standard_normal((n_volumes, WANDERING_MAPS))
    steps[1:] *= np.sqrt(1 - kept**2)
    courses = lfilter([1.0], [1.0, -kept], steps, axis=0)
    scale = WANDERING / np.sqrt(WANDERING_MAPS)
    return np.asarray(scale * courses @ maps, dtype=np.float32)


def _responses(
    rng: np.random.Generator,
    design: FilmDesign,
    film: Film,
    maps: FilmMaps,
    viewer: Viewer,
    number: int,
) -> NDArray[np.float32]:
    """Return the responses (t, p) to scenes, shots and emotions (noise standard deviations)."""
    start = design.starts[number - 1] * REPETITION_TIME
    times = design.times
    seen = np.float32(SCENE) * (span_responses(film.scenes, start, times) @ maps.scenes)
    seen += np.float32(SHOT) * (span_responses(film.shots, start, times) @ maps.shots)
    seen *= np.float32(viewer.attention)
    emotions = planted_emotions(design, film, viewer.label, number)
    gains = design.strength * viewer.sensitivity[emotions]
    gains = gains * rng.normal(1.0, EPISODE_GAIN, len(emotions))
    felt = gains[:, None].astype(np.float32) * maps.patterns[emotions]
    return np.asarray(seen + span_responses(film.spans, start, times) @ felt, dtype=np.float32)
