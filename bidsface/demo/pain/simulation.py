"""Synthetic participants in pain, and their runs: responses, noise, movement and film."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bidsface.demo.anatomy import Anatomy, draw_segmentation
from bidsface.demo.maps import draw_smooth_maps
from bidsface.demo.motion import (
    PARAMETERS,
    courses_of_poses,
    draw_leak,
    draw_restlessness,
    estimated_parameters,
)
from bidsface.demo.noise import draw_noise, saturation
from bidsface.demo.pain.action_units import draw_actions, draw_preferences, film
from bidsface.demo.pain.design import TASK, DataSet, PainDesign, Scanner
from bidsface.demo.pain.patterns import PlantedMaps
from bidsface.demo.pain.scores import draw_expressiveness
from bidsface.demo.pain.trials import DURATION, draw_trials
from bidsface.demo.simulation import (
    NOISE_SHARE,
    UNSTEADY_VOLUMES,
    SyntheticRun,
    cleaned_sd,
    draw_baseline,
    draw_run_mask,
)
from bidsface.demo.trials import haemodynamic_responses, volume_times

OWN_MAP, OWN_SIGMA = 0.3, 8.0
"""What is peculiar to a participant's response: standard deviation over the brain (noise SD), and
smoothness (mm)."""
TRIAL_MAP, TRIAL_SIGMA = 0.25, 12.0
"""The same of a single trial's response."""
TRIAL_JITTER = 0.4
"""Standard deviation over trials of the part of the pattern's response that the score does not
explain, in units of log(1 + score)."""
PER_DEGREE, THRESHOLD = 0.3, 45.0
"""Response at the peak of the temperature pattern to a degree above the pain threshold."""
INNOCUOUS_SHARE = 0.4
"""How much of the response to a painful stimulus an innocuous one evokes."""
RESTLESSNESS = (0.6, 1.6)
"""How much participants differ in moving anyway."""
MOVEMENT_SCATTER = 0.6
"""Standard deviation over trials of each component of the movement with an expression, whose mean
over trials is a vector of unit length."""


@dataclass(frozen=True, eq=False)
class PainParticipant:
    """One participant.

    Attributes
    ----------
    label : str
    expressiveness : float
        Mean of the scores' latent variable.
    preferences : ndarray of shape (n_groups,)
        How much the face uses each group of action units.
    aparcaseg : ndarray of int16, the grid's shape
    baseline : ndarray of float32, shape (p,)
    own_map : ndarray of float32, shape (p,)
        Part of every response that no other participant has (noise standard deviations).
    restlessness : float
        How much the head moves anyway, relative to others.
    direction : ndarray of shape (6,)
        Where the head goes with an expression; unit length.
    leak : ndarray of shape (6, p)
        Change of the signal per mm, as a fraction of the baseline.
    """

    label: str
    expressiveness: float
    preferences: NDArray[np.float64]
    aparcaseg: NDArray[np.int16]
    baseline: NDArray[np.float32]
    own_map: NDArray[np.float32]
    restlessness: float
    direction: NDArray[np.float64]
    leak: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PainRun:
    """One run.

    Attributes
    ----------
    scan : SyntheticRun
    amplitudes : ndarray of shape (n_trials,)
        Response of the expression's pattern, at its peak (noise standard deviations).
    film : DataFrame
        Action units by frame.
    """

    scan: SyntheticRun
    amplitudes: NDArray[np.float64]
    film: pd.DataFrame


def draw_participant(
    design: PainDesign, data_set: DataSet, anatomy: Anatomy, label: str
) -> PainParticipant:
    """Draw a participant."""
    people = design.stream("people", data_set)
    expressiveness = draw_expressiveness(people, data_set.expressiveness, int(label))[-1]
    rng = design.stream("participant", data_set, label)
    direction = rng.standard_normal(len(PARAMETERS))
    return PainParticipant(
        label=label,
        expressiveness=float(expressiveness),
        preferences=draw_preferences(rng),
        aparcaseg=draw_segmentation(anatomy, rng),
        baseline=draw_baseline(rng, anatomy) * np.float32(data_set.scanner.brightness),
        own_map=np.float32(OWN_MAP) * draw_smooth_maps(rng, anatomy, 1, OWN_SIGMA)[0],
        restlessness=rng.uniform(*RESTLESSNESS),
        direction=direction / np.linalg.norm(direction),
        leak=draw_leak(rng, anatomy),
    )


def simulate_run(
    design: PainDesign,
    data_set: DataSet,
    anatomy: Anatomy,
    maps: PlantedMaps,
    participant: PainParticipant,
    number: int,
) -> PainRun:
    """Simulate one run.

    The signal is baseline x saturation x (1 + 0.01 (noise + response) + leak x movement).
    """
    label, scanner = participant.label, data_set.scanner
    trials_rng = design.stream("trials", data_set, label, number)
    trials = draw_trials(trials_rng, design, participant.expressiveness)
    times = volume_times(trials, DURATION)
    rng = design.stream("scan", data_set, label, number)
    movement = _draw_movement(rng, design, participant, trials, times)
    parameters = estimated_parameters(rng, movement)
    unwanted = _draw_noise(rng, anatomy, times, scanner)
    unwanted += (movement @ participant.leak).astype(np.float32) / np.float32(NOISE_SHARE)
    noise_sd = cleaned_sd(unwanted[UNSTEADY_VOLUMES:], parameters[UNSTEADY_VOLUMES:])
    amplitudes = _draw_amplitudes(rng, design, trials) * scanner.response
    responses = np.float32(scanner.response) * _other_responses(
        rng, anatomy, maps, participant, trials, scanner
    )
    responses += np.outer(amplitudes, maps.facs[data_set.name]).astype(np.float32)
    unwanted += haemodynamic_responses(trials, times, DURATION) @ responses
    data = participant.baseline * (1 + np.float32(NOISE_SHARE) * unwanted)
    data *= saturation(len(times), UNSTEADY_VOLUMES)[:, None]
    mask = draw_run_mask(rng, anatomy.brain)
    scan = SyntheticRun(TASK, number, trials, parameters, data, mask, noise_sd)
    film_rng = design.stream("film", data_set, label, number)
    return PainRun(scan, amplitudes, _film(film_rng, participant, trials, float(times[-1])))


def _draw_movement(
    rng: np.random.Generator,
    design: PainDesign,
    participant: PainParticipant,
    trials: pd.DataFrame,
    times: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Draw the head's displacement (t, 6): it moves more, the more the face expresses."""
    restless = participant.restlessness * draw_restlessness(rng, times)
    scatter = MOVEMENT_SCATTER * rng.standard_normal((len(trials), len(PARAMETERS)))
    size = np.log1p(trials["facs"].to_numpy())[:, None]
    moves = design.motion_mm * size * (participant.direction + scatter)
    return restless + courses_of_poses(trials, times, DURATION) @ moves


def _draw_noise(
    rng: np.random.Generator, anatomy: Anatomy, times: NDArray[np.float64], scanner: Scanner
) -> NDArray[np.float32]:
    """Draw a scanner's noise (t, p); blurring keeps every voxel's variance."""
    noise = draw_noise(rng, anatomy, times)
    if scanner.smoothness_mm:
        spread = noise.std(axis=0)
        volumes = np.zeros((len(noise), *anatomy.brain.shape), dtype=np.float32)
        volumes[:, anatomy.brain] = noise
        width = scanner.smoothness_mm / anatomy.voxel_size
        noise = gaussian_filter(volumes, (0, width, width, width))[:, anatomy.brain]
        noise *= spread / noise.std(axis=0)
    return noise * np.float32(scanner.noise)


def _draw_amplitudes(
    rng: np.random.Generator, design: PainDesign, trials: pd.DataFrame
) -> NDArray[np.float64]:
    """Draw the response of the expression's pattern in every trial."""
    scores = np.log1p(trials["facs"].to_numpy())
    return design.strength * (scores + TRIAL_JITTER * rng.standard_normal(len(trials)))


def _other_responses(
    rng: np.random.Generator,
    anatomy: Anatomy,
    maps: PlantedMaps,
    participant: PainParticipant,
    trials: pd.DataFrame,
    scanner: Scanner,
) -> NDArray[np.float32]:
    """Draw every trial's response (n_trials, p) but for what follows the expression."""
    common = maps.activation + participant.own_map
    if scanner.shifted:
        common = common + maps.shift
    share = np.where(trials["trial_type"] == "painful", 1.0, INNOCUOUS_SHARE)
    heat = PER_DEGREE * np.clip(trials["temperature"].to_numpy() - THRESHOLD, 0, None)
    own = TRIAL_MAP * draw_smooth_maps(rng, anatomy, len(trials), TRIAL_SIGMA)
    responses = np.outer(share, common) + np.outer(heat, maps.temperature) + own
    return responses.astype(np.float32)


def _film(
    rng: np.random.Generator, participant: PainParticipant, trials: pd.DataFrame, end: float
) -> pd.DataFrame:
    actions = [
        action
        for score, onset in zip(trials["facs"], trials["onset"], strict=True)
        for action in draw_actions(rng, int(score), float(onset), participant.preferences)
    ]
    return film(rng, actions, end)
