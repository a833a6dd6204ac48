"""What is taken out of a run before its volumes are shown to a network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

COLUMNS_AT_ONCE = 4096
"""Voxels that are cleaned together; enough for matrix products, few beside a whole run."""


def drifts(times: Floats, repetition_time: float, period: float | None) -> NDArray[np.float64]:
    """Return a constant and the cosines whose period is at least a cut-off, at some times.

    Parameters
    ----------
    times : ndarray of shape (n_volumes,)
        s; gaps are allowed, where volumes were censored.
    repetition_time : float
        s.
    period : float or None
        s; None for the constant alone.

    Returns
    -------
    ndarray of shape (n_volumes, n_regressors)
    """
    start = times[0] - repetition_time / 2
    length = times[-1] + repetition_time / 2 - start
    n_cosines = 0 if period is None else int(np.floor(2 * length / period))
    order = np.arange(n_cosines + 1)
    return np.asarray(np.cos(np.pi * np.outer((times - start) / length, order)))


def residuals(series: NDArray[np.float32], regressors: Floats) -> NDArray[np.float32]:
    """Return what regressors do not explain of every column, by least squares.

    Parameters
    ----------
    series : ndarray of shape (n_volumes, n_voxels), float32
    regressors : ndarray of shape (n_volumes, n_regressors)

    Returns
    -------
    ndarray of the shape of ``series``
    """
    lengths = np.linalg.norm(regressors, axis=0)
    basis, values, _ = np.linalg.svd(
        regressors / np.where(lengths > 0, lengths, 1.0), full_matrices=False
    )
    basis = basis[:, values > values[0] * 1e-10].astype(np.float32)
    # The mean goes first: single precision would lose small signals beside it.
    centred = series - series.mean(axis=0, dtype=np.float64).astype(np.float32)
    return np.asarray(centred - basis @ (basis.T @ centred))


def standardized(series: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return columns with mean 0 and standard deviation 1; what does not vary becomes 0.

    Parameters
    ----------
    series : ndarray of shape (n_volumes, n_voxels), float32
    """
    mean = series.mean(axis=0, dtype=np.float64)
    deviation = series.std(axis=0, dtype=np.float64)
    flat = deviation <= 1e-6 * np.abs(series).max(axis=0, initial=0.0)
    scale = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, deviation))
    return np.asarray((series - mean.astype(np.float32)) * scale.astype(np.float32))


def cleaned_volumes(
    series: NDArray[np.float32],
    regressors: Floats,
    rows: NDArray[np.integer],
    per_voxel: bool,
    out: NDArray[np.float32],
) -> None:
    """Write some volumes of a run, without drifts and confounds, to an array.

    Voxels are cleaned a few thousand at a time: nothing of the size of the run is made beside it.

    Parameters
    ----------
    series : ndarray of shape (n_volumes, n_voxels), float32
    regressors : ndarray of shape (n_volumes, n_regressors)
    rows : ndarray of shape (n_rows,)
        Volumes that are wanted; all of them are used in cleaning.
    per_voxel : bool
        Bring voxels to mean 0 and standard deviation 1 over the run; else their means stay.
    out : ndarray of shape (n_rows, n_voxels), float32
    """
    for some, left in residual_blocks(series, regressors):
        if per_voxel:
            out[:, some] = standardized(left)[rows]
        else:
            mean = series[:, some].mean(axis=0, dtype=np.float64).astype(np.float32)
            out[:, some] = left[rows] + mean


def residual_blocks(
    series: NDArray[np.float32], regressors: Floats, columns: NDArray[np.integer] | None = None
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield what `residuals` returns a few thousand voxels at a time, with their places.

    Parameters
    ----------
    series : ndarray of shape (n_volumes, n_voxels), float32
    regressors : ndarray of shape (n_volumes, n_regressors)
    columns : ndarray of int, shape (n_columns,), optional
        Voxels that are wanted; all of them where there are none.

    Yields
    ------
    some : slice
        Places among the wanted voxels.
    left : ndarray of shape (n_volumes, n_some), float32
        Around 0.
    """
    n_voxels = series.shape[1] if columns is None else len(columns)
    n_blocks = max(1, -(-n_voxels // COLUMNS_AT_ONCE))
    # As equal as can be: NumPy adds up a single column in another order than one of several.
    edges = np.linspace(0, n_voxels, n_blocks + 1).round().astype(int)
    for some in (slice(first, stop) for first, stop in pairwise(edges)):
        yield some, residuals(series[:, some if columns is None else columns[some]], regressors)
