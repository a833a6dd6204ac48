"""Smooth random maps over the brain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bidsface.demo.anatomy import Anatomy


def draw_smooth_maps(
    rng: np.random.Generator, anatomy: Anatomy, number: int, sigma: float
) -> NDArray[np.float32]:
    """Draw smooth random maps of unit variance over the brain.

    Parameters
    ----------
    rng : numpy.random.Generator
    anatomy : Anatomy
    number : int
    sigma : float
        Standard deviation of the Gaussian filter (mm).

    Returns
    -------
    ndarray of shape (number, p)
    """
    noise = rng.standard_normal((number, *anatomy.brain.shape), dtype=np.float32)
    width = sigma / anatomy.voxel_size
    maps = gaussian_filter(noise, (0, width, width, width), mode="wrap")[:, anatomy.brain]
    return np.asarray(maps / maps.std(axis=1, keepdims=True), dtype=np.float32)
