"""The volumes of all used runs of a participant, read once: samples, the mean image, carpets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.geometry import Voxels
from bidsface.measurements import Samples
from bidsface.participant.preparation import PreparedRun, PreparedRuns
from bidsface.recipe import Cleaning, Recipe
from bidsface.samples import empty_samples
from bidsface.volumes import read_images, read_series

CARPET_VOXELS = 300
"""Voxels of each run that are kept for the carpet figure."""


@dataclass(frozen=True, eq=False)
class Volumes:
    """What is left of the volumes once they have been read.

    Attributes
    ----------
    samples : mapping of (name, task) to Samples
    background : ndarray of the grid's shape, float32
    carpets : tuple of ndarray of shape (n_kept, n_shown), float32
        Cleaned series of evenly spaced voxels of every used run.
    constant : tuple of int
        How many voxels of every used run do not vary (of images: are 0 in one of them).
    """

    samples: Mapping[tuple[str, str], Samples]
    background: NDArray[np.float32]
    carpets: tuple[NDArray[np.float32], ...]
    constant: tuple[int, ...]


def read_volumes(runs: PreparedRuns, voxels: Voxels, recipe: Recipe) -> Volumes:
    """Read, clean and sample every run once.

    Memory holds the samples of all kinds and one run at a time (float32).
    """
    mask = np.zeros(voxels.grid.shape, bool)
    mask.flat[voxels.index] = True
    n_voxels = len(voxels.index)
    shown = np.unique(np.linspace(0, n_voxels - 1, CARPET_VOXELS).astype(int))
    samples = {
        (name, task): empty_samples(name, runs.of_task(task), n_voxels)
        for task in runs.tasks
        for name in recipe.samples
    }
    filled = dict.fromkeys(samples, 0)
    background = np.zeros(voxels.grid.shape)
    carpets, constant = [], []
    for run in runs.used:
        own_mean, cleaned, empty = _read(run, mask, recipe.cleaning)
        background += own_mean
        for name in recipe.samples:
            filled[name, run.task] = _fill(
                samples[name, run.task], filled[name, run.task], run, cleaned
            )
        carpets.append(cleaned[:, shown].copy())
        constant.append(empty)
    mean = (background / len(runs.used)).astype(np.float32)
    return Volumes(samples, mean, tuple(carpets), tuple(constant))


def _read(
    run: PreparedRun, mask: NDArray[np.bool_], cleaning: Cleaning
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Return a run's mean image, its cleaned volumes, and how many voxels lack a signal."""
    kept, fwhm = run.filter.kept, cleaning.smoothing_fwhm
    if run.run.images:
        series = read_images(run.run.images, mask, kept, fwhm)
        empty = (series.values[kept] == 0).any(axis=0)
        cleaned = run.filter.clean_voxels(series.values, standardize=cleaning.standardize)
    else:
        series = read_series(run.run.bold, mask, kept, fwhm)
        cleaned = run.filter.clean_voxels(series.values, standardize=cleaning.standardize)
        empty = np.ptp(cleaned, axis=0) == 0
    return series.mean, cleaned, int(np.count_nonzero(empty))


def _fill(samples: Samples, start: int, run: PreparedRun, cleaned: NDArray[np.float32]) -> int:
    """Write the samples of a run into their rows and return where the next run's begin."""
    weights = run.selections[samples.name].weights
    stop = start + weights.shape[0]
    samples.X[start:stop] = weights @ cleaned
    return stop
