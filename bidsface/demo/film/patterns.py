"""Where the brain follows what: maps of the emotions, of the scenes and of the shots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.demo.anatomy import Anatomy
from bidsface.demo.film.design import EMOTIONS, FilmDesign
from bidsface.demo.film.timeline import Film
from bidsface.demo.maps import draw_smooth_maps

Point = tuple[float, float, float]

# Chosen to be more than two radii apart from each other and within the brain; nothing is claimed
# about where real emotions are.
PLACES: Mapping[str, tuple[tuple[str, Point], ...]] = {
    "FEAR": (
        ("left amygdala", (-22.0, -4.0, -20.0)),
        ("right amygdala", (22.0, -4.0, -20.0)),
    ),
    "SADNESS": (
        ("rostral anterior cingulate", (4.0, 42.0, 6.0)),
        ("left temporo-parietal junction", (-52.0, -44.0, 26.0)),
    ),
    "HAPPINESS": (
        ("right middle frontal gyrus", (40.0, 30.0, 24.0)),
        ("left fusiform gyrus", (-36.0, -66.0, -14.0)),
    ),
    "ANGERRAGE": (
        ("left anterior insula", (-46.0, 14.0, -2.0)),
        ("right postcentral gyrus", (48.0, -22.0, 46.0)),
    ),
    "LOVE": (
        ("precuneus", (6.0, -64.0, 36.0)),
        ("right middle temporal gyrus", (54.0, -14.0, -14.0)),
    ),
}
"""Names and centres (MNI, mm) of the places of each emotion."""
RADIUS_MM = 16.0
EDGE_SHARE = 0.5
"""Response at the edge of a place relative to its centre; beyond it there is none."""
UNEVENNESS, GRAIN_MM = 0.5, 4.0
"""Standard deviation over voxels of a pattern's random modulation, and its smoothness (mm)."""
SCENE_MM, SHOT_MM = 12.0, 9.0
"""Smoothness of the maps of scenes and shots: standard deviation of a Gaussian (mm)."""


@dataclass(frozen=True, eq=False)
class FilmMaps:
    """Maps over the brain's voxels, which all participants share.

    Attributes
    ----------
    places : ndarray of bool, shape (n_emotions, p)
        Where each emotion is planted.
    patterns : ndarray of float32, shape (n_emotions, p)
        Response to a long episode at its peak; 0 outside of the emotion's places, on average 1
        within.
    scenes : ndarray of float32, shape (n_scenes, p)
        Response to each scene; unit variance.
    shots : ndarray of float32, shape (n_shots, p)
        The same of each shot.
    """

    places: NDArray[np.bool_]
    patterns: NDArray[np.float32]
    scenes: NDArray[np.float32]
    shots: NDArray[np.float32]


def draw_maps(design: FilmDesign, anatomy: Anatomy, film: Film) -> FilmMaps:
    """Draw the maps of a study."""
    rng = design.stream("maps")
    grain = draw_smooth_maps(rng, anatomy, len(EMOTIONS), GRAIN_MM)
    distances = np.stack([_distance(anatomy, emotion) for emotion in EMOTIONS])
    places = distances < 1
    profile = np.where(places, 1 - (1 - EDGE_SHARE) * distances**2, 0)
    patterns = profile * (1 + UNEVENNESS * grain)
    means = np.stack([row[here].mean() for row, here in zip(patterns, places, strict=True)])
    return FilmMaps(
        places=places,
        patterns=(patterns / means[:, None]).astype(np.float32),
        scenes=draw_smooth_maps(rng, anatomy, len(film.scenes), SCENE_MM),
        shots=draw_smooth_maps(rng, anatomy, len(film.shots), SHOT_MM),
    )


def _distance(anatomy: Anatomy, emotion: str) -> NDArray[np.float64]:
    """Return how far from the nearest centre of an emotion each voxel is, in radii."""
    centres = np.array([centre for _, centre in PLACES[emotion]])
    offsets = anatomy.coordinates[:, None] - centres
    return np.asarray(np.linalg.norm(offsets, axis=2).min(axis=1) / RADIUS_MM)
