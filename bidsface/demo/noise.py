"""What else a scanner records: autocorrelated noise, drift, and physiology."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from bidsface.demo.anatomy import Anatomy
from bidsface.demo.maps import draw_smooth_maps
from bidsface.demo.trials import REPETITION_TIME

AUTOREGRESSION = 0.35
"""Correlation of a volume's noise with the one before it."""
SLOW_SHARE = 0.25
"""Share of the autocorrelated noise's variance whose spectrum falls as one over frequency."""


def draw_noise(
    rng: np.random.Generator, anatomy: Anatomy, times: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Draw the noise of one run in units of its autocorrelated part's standard deviation.

    Parameters
    ----------
    rng : numpy.random.Generator
    anatomy : Anatomy
    times : ndarray of shape (t,)
        s.

    Returns
    -------
    ndarray of shape (t, p)
        Autocorrelated noise independent over voxels, stronger in CSF; physiological components and
        drift with smooth maps.
    """
    noise = autocorrelated_noise(rng, len(times), int(anatomy.brain.sum()))
    noise *= 1 + 0.5 * anatomy.csf[anatomy.brain]
    vessels = 0.5 + anatomy.csf[anatomy.brain]
    courses = physiology(rng, times)
    maps = draw_smooth_maps(rng, anatomy, courses.shape[1], 14.0)
    noise += courses @ (0.3 * maps * vessels + 0.15 * vessels)
    slow = drift(rng, times)
    noise += slow @ draw_smooth_maps(rng, anatomy, slow.shape[1], 25.0)
    return noise


def autocorrelated_noise(
    rng: np.random.Generator, n_volumes: int, n_voxels: int
) -> NDArray[np.float32]:
    """Draw noise of unit variance whose spectrum is the sum of an AR(1) process's and 1/f.

    Drawn twice as long as needed and cut, so that its end does not continue into its start.

    Returns
    -------
    ndarray of shape (n_volumes, n_voxels)
    """
    length = fft.next_fast_len(2 * n_volumes, real=True)
    frequencies = np.arange(length // 2 + 1) / length
    ar = 1 / np.abs(1 - AUTOREGRESSION * np.exp(-2j * np.pi * frequencies)) ** 2
    slow = 1 / np.maximum(frequencies, frequencies[1])
    power = (1 - SLOW_SHARE) * ar / ar.mean() + SLOW_SHARE * slow / slow.mean()
    white = rng.standard_normal((n_voxels, length), dtype=np.float32)
    spectrum = fft.rfft(white, axis=1) * np.sqrt(power).astype(np.float32)
    return np.asarray(fft.irfft(spectrum, length, axis=1)[:, :n_volumes].T, dtype=np.float32)


def physiology(rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Draw breath and heartbeat, aliased by the sampling, and slow vascular waves.

    Returns
    -------
    ndarray of shape (t, 5)
        Columns of about unit variance.
    """

    def quadratures(frequency: float, wobble: float) -> list[NDArray[np.float64]]:
        walk = np.cumsum(rng.normal(0, wobble, len(times)))
        phase = 2 * np.pi * frequency * times + walk + rng.uniform(0, 2 * np.pi)
        return [np.sqrt(2) * np.sin(phase), np.sqrt(2) * np.cos(phase)]

    breath = quadratures(rng.uniform(0.22, 0.33), 0.3)
    heart = quadratures(rng.uniform(0.9, 1.2), 0.5)
    vascular = autocorrelated_noise(rng, len(times), 1)[:, 0]
    return np.stack([*breath, *heart, vascular], axis=1).astype(np.float32)


def drift(rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Draw the scanner's drift: a line, a parabola and a wave longer than the run.

    Returns
    -------
    ndarray of shape (t, 3)
    """
    x = np.linspace(-1, 1, len(times))
    wave = np.sin(np.pi * 0.8 * x + rng.uniform(0, 2 * np.pi))
    return (np.stack([x, x**2, wave], axis=1) * rng.normal(0, 1.5, 3)).astype(np.float32)


def saturation(
    n_volumes: int, n_unsteady: int, repetition_time: float = REPETITION_TIME
) -> NDArray[np.float32]:
    """Signal of every volume relative to the steady state, which the first ones exceed.

    Returns
    -------
    ndarray of shape (n_volumes,)
    """
    excess = 0.35 * np.exp(-np.arange(n_volumes) * repetition_time / 1.3)
    excess[n_unsteady:] = 0
    return (1 + excess).astype(np.float32)
