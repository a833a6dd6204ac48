"""Valence and arousal of classes by their names, and of positions by the classes that they hit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]

HAPPY, SURPRISED, AFRAID, ANGRY, DISGUSTED, SAD = (
    (0.80, 0.35),
    (0.15, 0.75),
    (-0.60, 0.70),
    (-0.60, 0.60),
    (-0.65, 0.30),
    (-0.70, -0.30),
)

COORDINATES: Mapping[str, Point] = {
    **dict.fromkeys(("happy", "happiness", "joy"), HAPPY),
    **dict.fromkeys(("surprise", "surprised"), SURPRISED),
    **dict.fromkeys(("fear", "afraid", "fearful"), AFRAID),
    **dict.fromkeys(("anger", "angry", "rage", "angerrage"), ANGRY),
    **dict.fromkeys(("disgust", "disgusted"), DISGUSTED),
    **dict.fromkeys(("sad", "sadness"), SAD),
    "neutral": (0.0, 0.0),
    "love": (0.85, 0.30),
}
"""Valence and arousal (-1 to 1) by convention, after the circumplex of Russell (1980, J Pers Soc
Psychol 39:1161-1178). They are conventions and no measurements: options override them."""


def plain(name: str) -> str:
    """Return a name as the table has it: small letters only, so that ANGER/RAGE is angerrage."""
    return re.sub(r"[^a-z]", "", name.casefold())


def class_coordinates(
    classes: Sequence[str], given: Mapping[str, Point] | None = None
) -> tuple[Floats, tuple[str, ...]]:
    """Return valence and arousal of classes, and what to say of those that have none.

    Parameters
    ----------
    classes : sequence of str
    given : mapping of str to (float, float), optional
        Coordinates that go before the conventional ones; names are compared without regard to
        case, blanks and signs.

    Returns
    -------
    coordinates : ndarray of shape (n_classes, 2)
        NaN for a class without coordinates.
    notes : tuple of str
    """
    table = {**COORDINATES, **{plain(name): point for name, point in (given or {}).items()}}
    nowhere = (float("nan"), float("nan"))
    found = np.array([table.get(plain(name), nowhere) for name in classes]).reshape(-1, 2)
    missing = [name for name in classes if plain(name) not in table]
    if not missing:
        return found, ()
    note = (
        f"{', '.join(missing)}: no conventional valence and arousal, left out of the "
        "valence-arousal overlay; give coordinates in the options"
    )
    return found, (note,)


def valence_arousal(vectors: NDArray[np.floating], coordinates: Floats) -> Floats:
    """Return the valence and arousal of positions: those of the classes, weighted by the drops.

    Parameters
    ----------
    vectors : ndarray of shape (n_points, n_classes)
        Changes of probability; drops (negative changes) count by their size, rises do not.
    coordinates : ndarray of shape (n_classes, 2)
        NaN for classes that do not count.

    Returns
    -------
    ndarray of shape (n_points, 2)
        NaN where no class with coordinates drops.
    """
    known = ~np.isnan(coordinates).any(axis=1)
    drops = np.maximum(-np.asarray(vectors, np.float64)[:, known], 0.0)
    size = drops.sum(axis=1, keepdims=True)
    out = np.full((len(drops), 2), np.nan)
    return np.divide(drops @ coordinates[known], size, out=out, where=size > 0)
