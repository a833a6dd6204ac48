"""How strongly images express a pattern."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats

MEASURES: Mapping[str, str] = {
    "dot": "Sum over voxels of image times pattern",
    "cosine": "Cosine of the angle between image and pattern, -1 to 1",
    "correlation": "Pearson's correlation over voxels of image and pattern, -1 to 1",
}
"""Names and descriptions of the measures."""


def express(images: NDArray[np.floating], pattern: NDArray[np.floating]) -> dict[str, Floats]:
    """Return the expression of a pattern in images, by measure.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_voxels)
    pattern : ndarray of shape (n_voxels,)

    Returns
    -------
    dict of str to ndarray of shape (n_images,)
        The names of ``MEASURES``; cosine and correlation are NaN where the image or the pattern
        does not vary.
    """
    values = np.asarray(images, dtype=np.float64)
    weights = np.asarray(pattern, dtype=np.float64)
    dot = values @ weights
    centred = weights - weights.mean()
    deviations = values - values.mean(axis=1, keepdims=True)
    return {
        "dot": dot,
        "cosine": _ratio(dot, np.linalg.norm(values, axis=1) * np.linalg.norm(weights)),
        "correlation": _ratio(
            deviations @ centred, np.linalg.norm(deviations, axis=1) * np.linalg.norm(centred)
        ),
    }


def standardized(images: NDArray[np.floating]) -> Floats:
    """Return images scaled to mean 0 and standard deviation 1 over voxels; constant ones are 0.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_voxels)
    """
    values = np.asarray(images, dtype=np.float64)
    deviations = values - values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1, keepdims=True)
    return np.divide(deviations, spread, out=np.zeros_like(deviations), where=spread > 0)


def _ratio(above: Floats, below: Floats) -> Floats:
    found = np.full_like(above, np.nan)
    return np.divide(above, below, out=found, where=below > 0)
