"""Embeddings of the positions that matter most: by place, and by what they do to the classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_emotion_cnn.positions import BoxGrid, Positions, most_affected_class
from bidsface_emotion_cnn.valence_arousal import valence_arousal

Floats = NDArray[np.float64]

FEWEST = 5
"""Fewer points are not embedded by UMAP."""


@dataclass(frozen=True)
class UmapSettings:
    """Settings of UMAP; the defaults are those of the published analysis."""

    n_neighbors: int = 30
    min_dist: float = 0.1


PUBLISHED = UmapSettings()


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components.

    Attributes
    ----------
    scores : ndarray of shape (n_points, n_components)
        The largest weight of each component is positive.
    explained : ndarray of shape (n_components,)
        Share of the variance (0 to 1).
    weights : ndarray of shape (n_components, n_features)
        Unit vectors.
    """

    scores: Floats
    explained: Floats
    weights: Floats


def umap_embedding(
    points: NDArray[np.floating], seed: int, settings: UmapSettings = PUBLISHED
) -> Floats:
    """Embed points in two dimensions by UMAP (McInnes, Healy and Melville 2018, arXiv 1802.03426).

    It begins with the first two principal components, which keeps the arrangement of distant groups
    (Kobak and Linderman 2021, Nat Biotechnol 39:156-157), and runs in one thread, so that a seed
    gives the same embedding every time.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
    seed : int
        From 0 to 2^32 - 1.
    settings : UmapSettings
        ``n_neighbors`` is at most the number of other points.

    Returns
    -------
    ndarray of shape (n_points, 2)
        NaN where there are fewer than 5 points, which cannot be embedded.

    Raises
    ------
    InputError
        If umap-learn is not installed.
    """
    n = len(points)
    if n < FEWEST:
        return np.full((n, 2), np.nan)
    model = _umap_class()(
        n_components=2,
        n_neighbors=max(2, min(settings.n_neighbors, n - 1)),
        min_dist=settings.min_dist,
        init=_beginning(points, seed),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # umap-learn before 0.5.8 calls scikit-learn by an argument's old name.
        warnings.filterwarnings("ignore", "'force_all_finite' was renamed", FutureWarning)
        return np.asarray(model.fit_transform(np.asarray(points, np.float32)), np.float64)


def _umap_class() -> Any:
    try:
        with warnings.catch_warnings():
            # Tells that the neural variant of UMAP, which is not used, lacks tensorflow.
            warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
            from umap import UMAP
    except ModuleNotFoundError as error:
        raise InputError(
            f"embeddings of occlusion need umap-learn ({error}): pip install 'bidsface[cnn]'"
        ) from error
    return UMAP


def _beginning(points: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """Return principal components within +-10, with a little noise so that no two are the same."""
    scores = principal_components(points).scores
    largest = np.abs(scores).max() or 1.0
    noise = np.random.default_rng(seed).normal(scale=1e-4, size=scores.shape)
    return np.asarray(10.0 * scores / largest + noise, dtype=np.float32)


def principal_components(points: NDArray[np.floating], n_components: int = 2) -> Components:
    """Return the scores of points on their first principal components, by SVD.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
        Not scaled: features with larger variance count more.
    n_components : int
        Components that there are not have scores and shares of 0.
    """
    centred = np.asarray(points, np.float64) - np.mean(points, axis=0, dtype=np.float64)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    # Signs of singular vectors are arbitrary; this makes them a function of the data.
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    kept = min(n_components, len(singular))
    scores = np.zeros((len(centred), n_components))
    weights = np.zeros((n_components, centred.shape[1]))
    explained = np.zeros(n_components)
    scores[:, :kept] = (left * singular * signs)[:, :kept]
    weights[:kept] = (right * signs[:, None])[:kept]
    explained[:kept] = (singular**2)[:kept] / ((singular**2).sum() or 1.0)
    return Components(scores, explained, weights)


@dataclass(frozen=True, eq=False)
class EmbeddedPositions:
    """The positions that matter most to any class, and their embeddings.

    Attributes
    ----------
    positions : ndarray of shape (n_points,), int
        Numbers of the positions, ascending.
    centres : ndarray of shape (n_points, 3)
        mm.
    vectors : ndarray of shape (n_points, n_classes)
        Change of each class's probability.
    affected : ndarray of shape (n_points,), int
        Class with the largest drop.
    spatial, functional : ndarray of shape (n_points, 2)
        UMAP of the centres, and of the vectors.
    components : Components
        Of the vectors.
    feelings : ndarray of shape (n_points, 2)
        Valence and arousal, weighted by the drops; NaN where no class with coordinates drops.
    """

    positions: Positions
    centres: Floats
    vectors: Floats
    affected: NDArray[np.intp]
    spatial: Floats
    functional: Floats
    components: Components
    feelings: Floats


def top_vectors(maps: NDArray[np.floating], tops: Sequence[Positions]) -> tuple[Positions, Floats]:
    """Return the positions that are among the top ones of any class, and what they change.

    Parameters
    ----------
    maps : ndarray of shape (n_classes, n_positions)
        As for `embed_positions`.
    tops : sequence of ndarray of int
        Of `top_positions`.

    Returns
    -------
    positions : ndarray of shape (n_points,), int
        Ascending.
    vectors : ndarray of shape (n_points, n_classes)
    """
    positions = np.unique(np.concatenate([*tops, np.empty(0, dtype=np.intp)])).astype(np.intp)
    # A class that was not occluded has no drop anywhere.
    return positions, np.nan_to_num(np.asarray(maps, np.float64)[:, positions].T, nan=0.0)


def embed_positions(
    maps: NDArray[np.floating],
    grid: BoxGrid,
    tops: Sequence[Positions],
    coordinates: Floats,
    seed: np.random.SeedSequence,
    settings: UmapSettings = PUBLISHED,
) -> EmbeddedPositions:
    """Embed the positions that are among the top ones of any class.

    Parameters
    ----------
    maps : ndarray of shape (n_classes, n_positions)
        Mean change of each class's probability in its own volumes; NaN for a class without any.
    grid : BoxGrid
    tops : sequence of ndarray of int
        Of `top_positions`.
    coordinates : ndarray of shape (n_classes, 2)
        Valence and arousal of the classes, NaN where they have none.
    seed : SeedSequence
    settings : UmapSettings
    """
    positions, vectors = top_vectors(maps, tops)
    centres = grid.centres_mm[positions]
    number = int(seed.generate_state(1)[0])
    return EmbeddedPositions(
        positions,
        centres,
        vectors,
        most_affected_class(vectors.T),
        umap_embedding(centres, number, settings),
        umap_embedding(vectors, number, settings),
        _components(vectors),
        valence_arousal(vectors, coordinates),
    )


def _components(vectors: Floats) -> Components:
    if len(vectors):
        return principal_components(vectors)
    return Components(np.zeros((0, 2)), np.zeros(2), np.zeros((2, vectors.shape[1])))
