"""Heads that move, also with the expression, and what their movement does to the images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bidsface.demo.anatomy import Anatomy
from bidsface.demo.maps import draw_smooth_maps
from bidsface.demo.trials import DURATION, EXPRESSIONS

PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
HEAD_RADIUS = 50.0
"""mm; turns a rotation into a displacement (Power et al. 2012, NeuroImage 59:2142-2154)."""
RISE, SETTLE = 0.8, 3.5
"""Time constants (s) with which a head follows a pose and comes back from it."""
ESTIMATION_ERROR = 0.003
"""Standard deviation (mm) of what the registration misreads."""
EDGE_RESIDUE = 0.3
"""Share of the change at edges that realignment and interpolation leave."""
FIELD_CHANGE = 0.018
"""Standard deviation over the brain of the smooth change, as a fraction of the baseline per mm."""


def draw_habits(rng: np.random.Generator, size: float) -> NDArray[np.float64]:
    """Draw how a participant's head moves with each expression.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : float
        Mean displacement (mm), rotations counted on a sphere of 50 mm.

    Returns
    -------
    ndarray of shape (n_expressions, 6)
        mm.
    """
    directions = rng.standard_normal((len(EXPRESSIONS), len(PARAMETERS)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return size * directions * rng.uniform(0.7, 1.3, (len(EXPRESSIONS), 1))


def draw_movement(
    rng: np.random.Generator,
    trials: pd.DataFrame,
    times: NDArray[np.float64],
    habits: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Draw a head's displacement: posture shifts, restlessness, breath, and the expressions.

    Returns
    -------
    ndarray of shape (t, 6)
        mm, the rotations on a sphere of 50 mm.
    """
    restless = draw_restlessness(rng, times)
    shown = trials[trials["trial_kind"] == "expression"]
    classes = [EXPRESSIONS.index(name) for name in shown["trial_type"]]
    strength = rng.normal(1.0, 0.3, (len(shown), 1))
    scatter = rng.standard_normal((len(shown), 6)) * np.abs(habits).mean() * 0.5
    moves = habits[classes] * strength + scatter
    return restless + courses_of_poses(shown, times, DURATION) @ moves


def draw_restlessness(rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw the displacement of a head that means to lie still: wandering, posture shifts, breath.

    Returns
    -------
    ndarray of shape (t, 6)
        mm, the rotations on a sphere of 50 mm.
    """
    n_volumes = len(times)
    steps = rng.standard_normal((n_volumes, 6)) * 0.02
    steps += (rng.random((n_volumes, 1)) < 0.01) * rng.standard_normal((n_volumes, 6)) * 0.15
    wander = np.cumsum(steps, axis=0)
    wander -= np.linspace(0, 0.7, n_volumes)[:, None] * wander[-1]
    breath = np.sin(2 * np.pi * 0.28 * times + rng.uniform(0, 2 * np.pi))
    wander[:, 1] += 0.03 * breath
    return wander


def courses_of_poses(
    trials: pd.DataFrame, times: NDArray[np.float64], duration: float
) -> NDArray[np.float64]:
    """Return how far a head has followed the pose of every trial, from 0 to 1.

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
    """
    lags = times[:, None] - trials["onset"].to_numpy()
    rise = 1 - np.exp(-np.clip(lags, 0, duration) / RISE)
    settle = np.exp(-np.clip(lags - duration, 0, None) / SETTLE)
    return np.where(lags > 0, rise * settle, 0)


def estimated_parameters(rng: np.random.Generator, movement: NDArray[np.float64]) -> pd.DataFrame:
    """Return the movement as fMRIPrep would report it: translations in mm, rotations in rad."""
    measured = movement + rng.standard_normal(movement.shape) * ESTIMATION_ERROR
    measured[:, 3:] /= HEAD_RADIUS
    return pd.DataFrame(measured.round(6), columns=list(PARAMETERS))


def framewise_displacement(parameters: pd.DataFrame) -> pd.Series:
    """Sum of the absolute changes (mm) of the six parameters (Power et al. 2012)."""
    change = parameters[list(PARAMETERS)].diff().abs()
    change[list(PARAMETERS[3:])] *= HEAD_RADIUS
    return change.sum(axis=1, skipna=False)


def draw_leak(rng: np.random.Generator, anatomy: Anatomy) -> NDArray[np.float32]:
    """Draw what a displacement does to the signal of every voxel after realignment.

    A residue of the image's spatial gradient along the displacement, largest at edges, and a
    smooth field, since the head moves through the coil's sensitivity and the magnetic field
    (Friston et al. 1996, Magn Reson Med 35:346-355; Power et al. 2014, NeuroImage 84:320-341).

    Returns
    -------
    ndarray of shape (6, p)
        Change of the signal, as a fraction of the baseline, per mm.
    """
    image = gaussian_filter(anatomy.t1w, 0.5)
    gradient = np.stack([axis[anatomy.brain] for axis in np.gradient(image, anatomy.voxel_size)])
    arms = np.cross(anatomy.coordinates / HEAD_RADIUS, gradient.T).T
    edges = -EDGE_RESIDUE * np.concatenate([gradient, arms]) / image.max()
    field = FIELD_CHANGE * draw_smooth_maps(rng, anatomy, len(PARAMETERS), 25.0)
    return (edges + field).astype(np.float32)
