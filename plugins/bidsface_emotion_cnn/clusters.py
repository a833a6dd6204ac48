"""Clusters of positions by what they do to the classes, and whether other seeds find them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed
from bidsface.statistics import permutation_p
from bidsface_emotion_cnn.embedding import PUBLISHED, UmapSettings, umap_embedding

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

NOISE = -1
"""Label of points in no cluster."""

FEWEST_SETS = 19
"""From so many sets of unrelated maps on there is a p-value."""

MOST_PAIRED = 3000
"""Silhouettes of more points than this are computed from a sample of so many."""


@dataclass(frozen=True, eq=False)
class Clustering:
    """Clusters of points.

    Attributes
    ----------
    labels : ndarray of shape (n_points,), int
        From 0, the largest cluster first; -1 for points in none.
    silhouette : float
        Mean silhouette of the points in clusters; NaN with fewer than two clusters.
    tried : mapping of int to float
        Silhouette by number of clusters, where the number was chosen.
    """

    labels: Labels
    silhouette: float
    tried: Mapping[int, float]

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.labels.max()) + 1 if len(self.labels) else 0


class Method(Protocol):
    """How points are clustered."""

    def __call__(self, vectors: Floats, seed: int) -> Clustering:
        """Return the clusters of vectors, of shape (n_points, n_features)."""


def cluster_by_k_means(vectors: Floats, seed: int, most: int = 8) -> Clustering:
    """Cluster by k-means; the number of clusters has the largest silhouette.

    The silhouette (Rousseeuw 1987, J Comput Appl Math 20:53-65) cannot tell two clusters from none:
    look at its size, and at `stability`.

    Parameters
    ----------
    vectors : ndarray of shape (n_points, n_features)
    seed : int
    most : int
        Largest number of clusters that is tried.
    """
    largest = min(most, len(np.unique(vectors, axis=0)) - 1) if len(vectors) else 0
    found = {k: k_means(vectors, k, seed) for k in range(2, largest + 1)}
    tried = {k: _silhouette(vectors, labels, seed) for k, labels in found.items()}
    if not tried:
        return Clustering(np.zeros(len(vectors), dtype=np.intp), float("nan"), {})
    best = max(tried, key=lambda k: (tried[k], -k))
    return Clustering(found[best], tried[best], tried)


def cluster_by_density(vectors: Floats, seed: int) -> Clustering:
    """Cluster by HDBSCAN (Campello, Moulavi and Sander 2013), which finds the number itself.

    The smallest cluster holds 2 % of the points, at least 5.

    Parameters
    ----------
    vectors : ndarray of shape (n_points, n_features)
    seed : int
        Of the sample that the silhouette is computed from; the clusters do not depend on it.
    """
    smallest = max(5, len(vectors) // 50)
    if len(vectors) < 2 * smallest:
        return Clustering(np.full(len(vectors), NOISE, dtype=np.intp), float("nan"), {})
    from sklearn.cluster import HDBSCAN

    labels = _largest_first(HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(vectors))
    kept = labels != NOISE
    return Clustering(labels, _silhouette(vectors[kept], labels[kept], seed), {})


METHODS: Mapping[str, Method] = {
    "k-means": cluster_by_k_means,
    "hdbscan": cluster_by_density,
}


def k_means(vectors: Floats, n_clusters: int, seed: int, n_starts: int = 10) -> Labels:
    """Return the cluster of every point, the best of some k-means++ starts."""
    from sklearn.cluster import KMeans

    model = KMeans(n_clusters, n_init=n_starts, random_state=seed)
    return _largest_first(model.fit_predict(vectors))


def _largest_first(labels: NDArray[np.integer]) -> Labels:
    """Return clusters numbered by their size, equal ones by their first point."""
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = [n for n in np.lexsort((first, -sizes)) if names[n] != NOISE]
    out = np.full(len(labels), NOISE, dtype=np.intp)
    for number, place in enumerate(order):
        out[labels == names[place]] = number
    return out


def _silhouette(vectors: Floats, labels: Labels, seed: int) -> float:
    if not 2 <= len(np.unique(labels)) < len(labels):
        return float("nan")
    from sklearn.metrics import silhouette_score

    sample = MOST_PAIRED if len(labels) > MOST_PAIRED else None
    return float(silhouette_score(vectors, labels, sample_size=sample, random_state=seed))


class Partition(Protocol):
    """What is repeated with other seeds."""

    def __call__(self, vectors: Floats, seed: int) -> NDArray[np.integer]:
        """Return a label for every point."""


@dataclass(frozen=True)
class OneStart:
    """k-means of the vectors from one start, which the seed decides on."""

    n_clusters: int

    def __call__(self, vectors: Floats, seed: int) -> Labels:
        """Return a label for every point."""
        return k_means(vectors, self.n_clusters, seed, n_starts=1)


@dataclass(frozen=True)
class InEmbedding:
    """k-means of the vectors' UMAP; the seed decides on the embedding, too."""

    n_clusters: int
    settings: UmapSettings = PUBLISHED

    def __call__(self, vectors: Floats, seed: int) -> Labels:
        """Return a label for every point."""
        return k_means(umap_embedding(vectors, seed, self.settings), self.n_clusters, seed)


@dataclass(frozen=True, eq=False)
class Stability:
    """How well clusterings with different seeds agree.

    Attributes
    ----------
    agreement : ndarray of shape (n_pairs,)
        Adjusted Rand index of each pair of seeds: 1 for the same clusters, 0 on average for
        random ones.
    null : ndarray of shape (n_sets,)
        Mean agreement in each set of unrelated maps; 0 where these have no clusters.
    """

    agreement: Floats
    null: Floats

    @property
    def mean(self) -> float:
        """Mean agreement over pairs."""
        return float(self.agreement.mean())

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest agreement of a pair."""
        return float(self.agreement.min()), float(self.agreement.max())

    @property
    def p(self) -> float:
        """How often unrelated maps give clusters as stable as these.

        NaN with fewer than 19 sets of them, which cannot give a p of 0.05.
        """
        return set_p(self.mean, self.null)


def set_p(value: float, null: Floats) -> float:
    """Return how often sets have at least a value, the observed set included.

    Parameters
    ----------
    value : float
    null : ndarray of shape (n_sets,)
        NaN is returned for fewer than 19.
    """
    if len(null) < FEWEST_SETS:
        return float("nan")
    return float(permutation_p([value], null)[0])


def stability(
    vectors: Floats,
    partition: Partition,
    seed: np.random.SeedSequence,
    n_seeds: int = 10,
    null: Iterable[tuple[Floats, Partition | None]] = (),
) -> Stability:
    """Cluster again with other seeds, and compare each pair by the adjusted Rand index.

    Agreement of 1 alone proves nothing (Hubert and Arabie 1985, J Classif 2:193-218, for the
    index): points without any structure may be cut the same way every time, and positions that were
    chosen for the drops of single classes fall into clusters by that choice alone. What belongs to
    the choice has to be repeated for the null.

    Parameters
    ----------
    vectors : ndarray of shape (n_points, n_features)
    partition : callable
        `OneStart`, `InEmbedding` or any other; called `n_seeds` times.
    seed : SeedSequence
    n_seeds : int
        At least 2.
    null : iterable of (vectors, partition)
        What unrelated maps have in their place, chosen and divided in the same way; None where
        they have no clusters.
    """
    seeds = [int(word) for word in child_seed(seed, 0).generate_state(n_seeds)]
    means = [0.0 if own is None else _agreement(points, own, seeds).mean() for points, own in null]
    return Stability(_agreement(vectors, partition, seeds), np.array(means, dtype=np.float64))


def _agreement(vectors: Floats, partition: Partition, seeds: list[int]) -> Floats:
    from sklearn.metrics import adjusted_rand_score

    found = [partition(vectors, seed) for seed in seeds]
    return np.array([adjusted_rand_score(one, other) for one, other in combinations(found, 2)])
