"""What comes after occlusion: top positions, their names, embeddings, clusters and stability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bidsface.anatomy import Atlas
from bidsface.numerics.seeds import child_seed
from bidsface_emotion_cnn.anatomical_names import position_names
from bidsface_emotion_cnn.clusters import (
    METHODS,
    Clustering,
    InEmbedding,
    OneStart,
    Partition,
    Stability,
    stability,
)
from bidsface_emotion_cnn.embedding import (
    FEWEST,
    PUBLISHED,
    EmbeddedPositions,
    UmapSettings,
    embed_positions,
)
from bidsface_emotion_cnn.positions import BoxGrid, Positions, top_positions
from bidsface_emotion_cnn.unrelated_maps import Sharing, Unrelated, unrelated_tops
from bidsface_emotion_cnn.valence_arousal import Point, class_coordinates

VECTORS, EMBEDDING = "vectors", "functional UMAP"
"""What is clustered again with other seeds."""


@dataclass(frozen=True)
class Repeats:
    """How often clusterings are repeated: seeds, and sets of unrelated maps."""

    n_seeds: int
    n_sets: int


@dataclass(frozen=True)
class ExplorationSettings:
    """Settings of `explore`.

    Attributes
    ----------
    top : int
        Positions per class.
    umap : UmapSettings
    clustering : str
        `k-means` or `hdbscan`.
    coordinates : mapping of str to (float, float)
        Valence and arousal of classes that go before the conventional ones.
    repeat_vectors, repeat_embedding : Repeats
        Of clusters of the vectors, and of the embedding, which takes seconds each time.
    """

    top: int = 500
    umap: UmapSettings = PUBLISHED
    clustering: str = "k-means"
    coordinates: Mapping[str, Point] = field(default_factory=dict)
    repeat_vectors: Repeats = Repeats(10, 20)
    repeat_embedding: Repeats = Repeats(5, 1)


@dataclass(frozen=True, eq=False)
class Exploration:
    """What `explore` found.

    Attributes
    ----------
    classes : tuple of str
    grid : BoxGrid
    maps : ndarray of shape (n_classes, n_positions)
        Mean change of each class's probability in its own volumes that are shown.
    tops : tuple of n_classes ndarrays of int
        Top positions, the largest drop first.
    found : EmbeddedPositions
    names : tuple of str
        Structure of each position of ``found``.
    names_source : str
        Where the names come from.
    clustering : Clustering
        Of the vectors of ``found``.
    stability : mapping of str to Stability
        By what was clustered again; empty where there are fewer than two clusters
        or five positions.
    sharing : Sharing
        How many different positions the top ones are.
    coordinates : ndarray of shape (n_classes, 2)
        Valence and arousal of the classes.
    settings : ExplorationSettings
    notes : tuple of str
        What the reader has to know.
    """

    classes: tuple[str, ...]
    grid: BoxGrid
    maps: NDArray[np.float64]
    tops: tuple[Positions, ...]
    found: EmbeddedPositions
    names: tuple[str, ...]
    names_source: str
    clustering: Clustering
    stability: Mapping[str, Stability]
    sharing: Sharing
    coordinates: NDArray[np.float64]
    settings: ExplorationSettings
    notes: tuple[str, ...]


def explore(
    maps: NDArray[np.floating],
    grid: BoxGrid,
    classes: Sequence[str],
    inside: NDArray[np.bool_] | None,
    atlas: Atlas,
    seed: np.random.SeedSequence,
    settings: ExplorationSettings,
) -> Exploration:
    """Find the top positions of every class; name, embed and cluster them.

    Parameters
    ----------
    maps : ndarray of shape (n_classes, n_positions)
        Mean change of each class's probability in its own volumes that are shown; NaN for a class
        without any.
    grid : BoxGrid
    classes : sequence of str
    inside : ndarray of shape (n_positions,), bool, or None
        Positions that may be top ones, such as those that touch the brain.
    atlas : Atlas
    seed : SeedSequence
    settings : ExplorationSettings

    Raises
    ------
    InputError
        If umap-learn is not installed.
    """
    values = np.asarray(maps, np.float64)
    tops = top_positions(values, settings.top, inside)
    coordinates, notes = class_coordinates(classes, settings.coordinates)
    found = embed_positions(values, grid, tops, coordinates, child_seed(seed, 0), settings.umap)
    number = int(child_seed(seed, 1).generate_state(1)[0])
    clustering = METHODS[settings.clustering](found.vectors, number)
    n_sets = max(settings.repeat_vectors.n_sets, settings.repeat_embedding.n_sets)
    sets = unrelated_tops(
        values, grid.grid_shape, inside, settings.top, n_sets, child_seed(seed, 4)
    )
    return Exploration(
        tuple(classes),
        grid,
        values,
        tops,
        found,
        tuple(position_names(grid, found.positions, atlas)),
        atlas.source,
        clustering,
        _stabilities(found, clustering, sets, seed, settings),
        Sharing(len(found.positions), np.array([len(one.positions) for one in sets], np.int64)),
        coordinates,
        settings,
        (*_few(tops, classes, settings.top), *notes),
    )


def _few(tops: Sequence[Positions], classes: Sequence[str], wanted: int) -> list[str]:
    return [
        f"{name}: its probability drops at {len(top)} positions only, instead of {wanted}"
        for top, name in zip(tops, classes, strict=True)
        if len(top) < wanted
    ]


def _stabilities(
    found: EmbeddedPositions,
    clustering: Clustering,
    sets: Sequence[Unrelated],
    seed: np.random.SeedSequence,
    settings: ExplorationSettings,
) -> dict[str, Stability]:
    n = clustering.n_clusters
    if n < 2 or len(found.positions) < FEWEST:
        return {}
    # Their number of clusters is chosen like that of the real ones.
    number = int(child_seed(seed, 1).generate_state(1)[0])
    numbers = [METHODS[settings.clustering](one.vectors, number).n_clusters for one in sets]

    def in_embedding(n_clusters: int) -> Partition:
        return InEmbedding(n_clusters, settings.umap)

    wanted: dict[str, tuple[Callable[[int], Partition], Repeats]] = {
        VECTORS: (OneStart, settings.repeat_vectors),
        EMBEDDING: (in_embedding, settings.repeat_embedding),
    }
    return {
        name: stability(
            found.vectors,
            divide(n),
            child_seed(seed, 2 + place),
            repeats.n_seeds,
            [
                (one.vectors, divide(own) if own > 1 else None)
                for one, own in zip(sets[: repeats.n_sets], numbers, strict=False)
            ],
        )
        for place, (name, (divide, repeats)) in enumerate(wanted.items())
    }
