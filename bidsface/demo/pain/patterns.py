"""Which maps over the brain follow what: expression, temperature, any pain, the scanner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.demo.anatomy import STRUCTURES, Anatomy, structure_distance
from bidsface.demo.maps import draw_smooth_maps
from bidsface.demo.pain.design import MAIN, SECOND, PainDesign

CONTROL = "precentral"
"""The structure in which nothing follows the expression or the temperature."""
TEMPERATURE_WEIGHTS: Mapping[str, float] = {
    "postcentral": 1.0,
    "Thalamus": 0.6,
    "superiorparietal": 0.8,
    "superiortemporal": -0.5,
}
REACH = 1.5
"""Distance from a structure's centre, in its radii, at which a pattern has faded out."""
MARGIN_MM = 6.0
"""Width of what is left empty around the control structure, which moves between participants."""
UNEVENNESS = 0.3
"""Standard deviation over voxels of a pattern's random modulation."""
ACTIVATION = 0.5
"""Standard deviation over the brain of the response to any painful stimulus (noise SD)."""
SHIFT, SHIFT_ON_PATTERN = 0.4, 1.0
"""Of the scanner shift: standard deviation of its smooth random part, and its part along the main
data set's pattern of expression (noise SD)."""


@dataclass(frozen=True)
class PlantedMaps:
    """The maps of a study; all are arrays of shape (p,) over the brain's voxels.

    Attributes
    ----------
    facs : mapping of data set to ndarray
        Follows log(1 + score); its largest absolute value is 1.
    temperature : ndarray
        Follows the temperature; its largest absolute value is 1.
    activation : ndarray
        Response to any painful stimulus (noise standard deviations).
    shift : ndarray
        What the second scanner adds to every response (noise standard deviations).
    """

    facs: Mapping[str, NDArray[np.float32]]
    temperature: NDArray[np.float32]
    activation: NDArray[np.float32]
    shift: NDArray[np.float32]


def draw_maps(design: PainDesign, anatomy: Anatomy) -> PlantedMaps:
    """Draw the maps of a study, which all its participants share."""
    rng = design.stream("maps")
    main = _pattern(rng, anatomy, MAIN.facs_weights)
    second = _orthogonal(_pattern(rng, anatomy, SECOND.facs_weights), main)
    facs = {MAIN.name: main, SECOND.name: second}
    temperature = _pattern(rng, anatomy, TEMPERATURE_WEIGHTS)
    activation, shift = draw_smooth_maps(rng, anatomy, 2, 20.0)
    grey = 0.3 + 0.7 * anatomy.grey[anatomy.brain]
    return PlantedMaps(
        facs=facs,
        temperature=temperature,
        activation=np.float32(ACTIVATION) * grey * activation,
        shift=np.float32(SHIFT) * shift + np.float32(SHIFT_ON_PATTERN) * main,
    )


def _pattern(
    rng: np.random.Generator, anatomy: Anatomy, weights: Mapping[str, float]
) -> NDArray[np.float32]:
    """Draw a pattern: soft spheres around structures, uneven within, none near the control."""
    points, still = anatomy.coordinates, np.zeros((2, 3))
    pattern = np.zeros(len(points))
    for structure in STRUCTURES:
        distance = structure_distance(structure, points, still)
        if structure.name in weights:
            sphere = np.clip(1 - (distance / REACH) ** 2, 0, None)
            pattern += weights[structure.name] * sphere
        if structure.name == CONTROL:
            outside = distance > 1 + MARGIN_MM / structure.radius
    uneven = 1 + UNEVENNESS * draw_smooth_maps(rng, anatomy, 1, 6.0)[0]
    pattern = pattern * anatomy.grey[anatomy.brain] * uneven * outside
    return (pattern / np.abs(pattern).max()).astype(np.float32)


def _orthogonal(pattern: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take another pattern's share out of a pattern; the largest absolute value is 1 again."""
    rest = pattern - other * (pattern @ other) / (other @ other)
    return np.asarray(rest / np.abs(rest).max(), dtype=np.float32)
