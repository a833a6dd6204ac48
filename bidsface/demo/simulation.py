"""Synthetic participants and their runs: signal, noise and movement put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.demo.anatomy import Anatomy, draw_segmentation
from bidsface.demo.maps import draw_smooth_maps
from bidsface.demo.motion import (
    draw_habits,
    draw_leak,
    draw_movement,
    estimated_parameters,
    framewise_displacement,
)
from bidsface.demo.noise import draw_noise, saturation
from bidsface.demo.patterns import TASKS, Planted, plant
from bidsface.demo.trials import (
    CATCH_TRIALS,
    EXPRESSIONS,
    PAUSES,
    REPETITION_TIME,
    draw_trials,
    haemodynamic_responses,
    volume_times,
)

SESSIONS: Mapping[str, str] = {"display": "1", "observe": "2"}
NOISE_SHARE = 0.01
"""Standard deviation of the autocorrelated noise, as a fraction of the baseline."""
UNSTEADY_VOLUMES = 2
STREAMS: Mapping[str, int] = {"participant": 0, "display": 1, "observe": 2, "images": 3}


@dataclass(frozen=True)
class FacesDesign:
    """What a synthetic faces study consists of; equal designs give equal files.

    Attributes
    ----------
    seed : int
    participants : int
    runs : int
        Of each task.
    trials_per_class : int
        In every run.
    voxel_size_mm : float
        Edge of a voxel of the BOLD runs.
    snr : tuple of float
        Nominal strength of the planted patterns in the displaying and the observing task:
        standard deviation over voxels in units of the noise's, in a region of 60 voxels.
    motion_mm : float
        Mean displacement of the head with a displayed expression.
    shuffle_labels : bool
        Permute the expressions over the trials of every run, which leaves nothing to be decoded.
    pauses : tuple of float
        Shortest and longest pause between two events (s).
    """

    seed: int
    participants: int = 8
    runs: int = 4
    trials_per_class: int = 8
    voxel_size_mm: float = 6.0
    snr: tuple[float, float] = (0.17, 0.135)
    motion_mm: float = 0.25
    shuffle_labels: bool = False
    pauses: tuple[float, float] = PAUSES

    @property
    def labels(self) -> tuple[str, ...]:
        """Participants' labels."""
        width = max(2, len(str(self.participants)))
        return tuple(f"{number:0{width}d}" for number in range(1, self.participants + 1))

    def stream(self, label: str, what: str, number: int = 0) -> np.random.Generator:
        """Return the random numbers of one unit of work; they depend on no other unit."""
        return np.random.default_rng([self.seed, int(label), STREAMS[what], number])

    def as_dict(self) -> dict[str, Any]:
        """Return the design as JSON would give it back."""
        return {**asdict(self), "snr": list(self.snr), "pauses": list(self.pauses)}


@dataclass(frozen=True)
class SyntheticParticipant:
    """One participant: anatomy, planted patterns, ways to move.

    Attributes
    ----------
    label : str
    aparcaseg : ndarray of int16, the grid's shape
    baseline : ndarray of float32, shape (p,)
        Mean signal.
    planted : mapping of str to Planted
    habits : mapping of task to ndarray of shape (n_expressions, 6)
        Mean movement (mm) with each expression.
    leak : ndarray of shape (6, p)
        Change of the signal per mm, as a fraction of the baseline.
    """

    label: str
    aparcaseg: NDArray[np.int16]
    baseline: NDArray[np.float32]
    planted: Mapping[str, Planted]
    habits: Mapping[str, NDArray[np.float64]]
    leak: NDArray[np.float32]


@dataclass(frozen=True)
class SyntheticRun:
    """One run.

    Attributes
    ----------
    task : str
    number : int
    trials : DataFrame
        Events.
    parameters : DataFrame
        The six motion parameters, as estimated.
    data : ndarray of float32, shape (t, p)
        Signal in the brain's voxels.
    mask : ndarray of bool, the grid's shape
        Brain mask of this run.
    noise_sd : ndarray of shape (p,)
        What the noise, cleaned as the default recipe does, deviates by, in the unit in which the
        patterns are planted.
    repetition_time : float
        s.
    """

    task: str
    number: int
    trials: pd.DataFrame
    parameters: pd.DataFrame
    data: NDArray[np.float32]
    mask: NDArray[np.bool_]
    noise_sd: NDArray[np.float32]
    repetition_time: float = REPETITION_TIME

    @property
    def summary(self) -> RunSummary:
        """What the truth about the study says of the run."""
        fd = framewise_displacement(self.parameters)[UNSTEADY_VOLUMES:]
        return RunSummary(self.task, self.noise_sd, float(fd.mean()))


@dataclass(frozen=True)
class RunSummary:
    """Task, standard deviation of the cleaned noise, and mean framewise displacement (mm)."""

    task: str
    noise_sd: NDArray[np.float32]
    mean_fd: float


def draw_participant(design: FacesDesign, anatomy: Anatomy, label: str) -> SyntheticParticipant:
    """Draw a participant."""
    rng = design.stream(label, "participant")
    aparcaseg = draw_segmentation(anatomy, rng)
    vigour = rng.uniform(0.85, 1.15)
    strength = dict(zip(TASKS, vigour * np.array(design.snr), strict=True))
    planted = plant(rng, aparcaseg, anatomy.brain, strength)
    baseline = draw_baseline(rng, anatomy)
    still = np.zeros((len(EXPRESSIONS), 6))
    habits = {"display": draw_habits(rng, design.motion_mm), "observe": still}
    return SyntheticParticipant(
        label, aparcaseg, baseline, planted, habits, draw_leak(rng, anatomy)
    )


def draw_baseline(rng: np.random.Generator, anatomy: Anatomy) -> NDArray[np.float32]:
    """Draw the mean signal of every voxel, shape (p,): its tissue, seen by an uneven coil."""
    tissue = 600 + 400 * anatomy.grey + 250 * anatomy.white + 600 * anatomy.csf
    sensitivity = 1 + 0.08 * draw_smooth_maps(rng, anatomy, 1, 40.0)[0]
    return np.asarray(tissue[anatomy.brain] * sensitivity, dtype=np.float32)


def simulate_run(
    design: FacesDesign, anatomy: Anatomy, participant: SyntheticParticipant, task: str, number: int
) -> SyntheticRun:
    """Simulate one run.

    The signal is baseline x saturation x (1 + 0.01 (noise + response) + leak x movement).
    """
    rng = design.stream(participant.label, task, number)
    n_catch = CATCH_TRIALS if task == "observe" else 0
    trials = draw_trials(rng, design.trials_per_class, n_catch, design.pauses)
    times = volume_times(trials)
    movement = draw_movement(rng, trials, times, participant.habits[task])
    parameters = estimated_parameters(rng, movement)
    unwanted = draw_noise(rng, anatomy, times)
    unwanted += (movement @ participant.leak).astype(np.float32) / np.float32(NOISE_SHARE)
    noise_sd = cleaned_sd(unwanted[UNSTEADY_VOLUMES:], parameters[UNSTEADY_VOLUMES:])
    _add_responses(rng, unwanted, trials, times, participant, task)
    data = participant.baseline * (1 + np.float32(NOISE_SHARE) * unwanted)
    data *= saturation(len(times), UNSTEADY_VOLUMES)[:, None]
    mask = draw_run_mask(rng, anatomy.brain)
    if design.shuffle_labels:  # last, so that nothing else changes
        trials = _shuffled(rng, trials)
    return SyntheticRun(task, number, trials, parameters, data, mask, noise_sd)


def cleaned_sd(data: NDArray[np.float32], parameters: pd.DataFrame) -> NDArray[np.float32]:
    """Return the standard deviation that six motion parameters, a line and two cosines leave.

    Parameters
    ----------
    data : ndarray of shape (t, p)
    parameters : DataFrame of shape (t, 6)

    Returns
    -------
    ndarray of shape (p,)
    """
    x = np.linspace(0, 1, len(data))
    slow = [x**0, x, np.cos(np.pi * x), np.cos(2 * np.pi * x), np.cos(3 * np.pi * x)]
    basis, _ = np.linalg.qr(np.column_stack([*slow, parameters.to_numpy()]))
    basis = basis.astype(np.float32)
    return np.asarray((data - basis @ (basis.T @ data)).std(axis=0))


def _add_responses(
    rng: np.random.Generator,
    data: NDArray[np.float32],
    trials: pd.DataFrame,
    times: NDArray[np.float64],
    participant: SyntheticParticipant,
    task: str,
) -> None:
    """Add the responses to expressions; a catch trial gets none."""
    shown = trials[trials["trial_kind"] == "expression"]
    classes = np.array([EXPRESSIONS.index(name) for name in shown["trial_type"]], dtype=np.intp)
    courses = haemodynamic_responses(shown, times)
    for planted in participant.planted.values():
        data[:, planted.voxels] += courses @ planted.respond(rng, task, classes)


def _shuffled(rng: np.random.Generator, trials: pd.DataFrame) -> pd.DataFrame:
    """Permute the expressions over the trials that show one."""
    shown = trials["trial_kind"] == "expression"
    names = trials["trial_type"].where(~shown, None).astype(object)
    names[shown] = rng.permutation(trials.loc[shown, "trial_type"].to_numpy())
    return trials.assign(trial_type=names)


def draw_run_mask(rng: np.random.Generator, brain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Draw the brain mask of a run: every run's registration cuts a little of the rim."""
    from scipy.ndimage import binary_erosion

    rim = brain & ~binary_erosion(brain)
    return brain & ~(rim & (rng.random(brain.shape) < 0.02))
