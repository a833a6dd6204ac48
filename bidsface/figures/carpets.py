"""The picture of a carpet plot: standardized voxels over time, small enough for a report."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

MAX_PIXELS = 40_000
MAX_ROWS = 190  # about as many as the plot has pixels on a screen
MIN_ROWS = 60
GREY_LEVELS = 16  # noise at full depth would make the file ten times larger
REMOVED = (230, 159, 0)  # orange, for volumes that were left out


def volume_slots(times: NDArray[np.float64]) -> tuple[float, NDArray[np.intp]]:
    """Find the places of volumes on a regular time axis.

    Parameters
    ----------
    times : ndarray of shape (n_volumes,)
        s, ascending; multiples of one repetition time apart.

    Returns
    -------
    step : float
        Time between neighbouring places (s).
    slots : ndarray of shape (n_volumes,)
        Place of each volume; volumes that are missing leave places free.
    """
    if len(times) < 2:
        return 1.0, np.zeros(len(times), dtype=np.intp)
    step = float(np.diff(times).min())
    return step, np.round((times - times[0]) / step).astype(np.intp)


def carpet_picture(
    values: NDArray[np.float64], slots: NDArray[np.intp], limit: float
) -> NDArray[np.uint8]:
    """Colour voxels from black (-limit) to white (limit), in their own standard deviations.

    Parameters
    ----------
    values : ndarray of shape (n_volumes, n_voxels)
        A voxel that does not vary is drawn as 0; of many voxels, evenly spaced ones are drawn.
    slots : ndarray of shape (n_volumes,)
        Column of each volume; the others are orange.
    limit : float

    Returns
    -------
    ndarray of shape (n_drawn_voxels, n_columns, 3)
    """
    drawn = _spaced_columns(values)
    spread = drawn.std(axis=0)
    scores = (drawn - drawn.mean(axis=0)) / np.where(spread > 0, spread, 1)
    unit = (np.clip(scores, -limit, limit) + limit) / (2 * limit)
    levels = np.round(unit * (GREY_LEVELS - 1)) / (GREY_LEVELS - 1)
    picture = np.full((drawn.shape[1], slots[-1] + 1, 3), REMOVED, dtype=np.uint8)
    picture[:, slots] = mpl.colormaps["gray"](levels.T, bytes=True)[..., :3]
    return picture


def _spaced_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    n_volumes, n_voxels = values.shape
    n_drawn = min(n_voxels, int(np.clip(MAX_PIXELS // n_volumes, MIN_ROWS, MAX_ROWS)))
    return values[:, np.linspace(0, n_voxels - 1, n_drawn).round().astype(int)]
