"""Clusters of positions, their number, and whether other seeds find them again."""

import numpy as np
import pytest

from bidsface_emotion_cnn.clusters import (
    NOISE,
    Clustering,
    OneStart,
    cluster_by_density,
    cluster_by_k_means,
    k_means,
    stability,
)

SEED = np.random.SeedSequence(3)
CENTRES = np.array([[0.0, 0, 0], [6, 0, 0], [0, 6, 0], [6, 6, 6]])


def groups(sizes=(30, 25, 20, 15), seed=0, scale=0.6):
    generator = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    points = CENTRES[truth] + generator.normal(scale=scale, size=(len(truth), 3))
    order = generator.permutation(len(truth))
    return points[order], truth[order]


def rand_index(one, other):
    """Hubert and Arabie's index, plainly, from all pairs of points."""
    same_one = one[:, None] == one
    same_other = other[:, None] == other
    pairs = np.triu_indices(len(one), 1)
    a, b = same_one[pairs], same_other[pairs]
    expected = a.sum() * b.sum() / len(a)
    return ((a & b).sum() - expected) / ((a.sum() + b.sum()) / 2 - expected)


@pytest.mark.parametrize("method", [cluster_by_k_means, cluster_by_density])
def test_planted_groups_are_found_with_their_number(method):
    points, truth = groups()
    found = method(points, 5)
    assert found.n_clusters == 4
    kept = found.labels != NOISE
    assert kept.mean() > 0.85
    np.testing.assert_array_equal(found.labels[kept], truth[kept])  # the largest comes first
    assert found.silhouette > 0.6


def test_number_of_clusters_has_the_largest_silhouette():
    points, truth = groups()
    found = cluster_by_k_means(points, 5, most=6)
    assert list(found.tried) == [2, 3, 4, 5, 6]
    assert found.silhouette == max(found.tried.values()) == found.tried[4]
    # Silhouettes by hand.
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    means = np.array([distance[:, truth == code].mean(axis=1) for code in range(4)]).T
    sizes = np.bincount(truth)[truth]
    own = means[np.arange(len(truth)), truth] * sizes / (sizes - 1)
    means[np.arange(len(truth)), truth] = np.inf
    nearest = means.min(axis=1)
    expected = ((nearest - own) / np.maximum(nearest, own)).mean()
    assert found.silhouette == pytest.approx(expected)


def test_the_same_seed_gives_the_same_clusters():
    points = np.random.default_rng(1).random((60, 4))
    one, again = (cluster_by_k_means(points, 9) for _ in range(2))
    np.testing.assert_array_equal(one.labels, again.labels)
    assert one.tried == again.tried
    starts = {tuple(k_means(points, 5, seed, n_starts=1)) for seed in range(8)}
    assert len(starts) > 1


def test_larger_clusters_come_first_and_equal_ones_in_order():
    points = np.array([[9.0, 9]] * 2 + [[0, 0]] * 3 + [[5, 0]] * 2)
    found = k_means(points + np.arange(7)[:, None] * 1e-3, 3, 0)
    assert found.tolist() == [1, 1, 0, 0, 0, 2, 2]


@pytest.mark.parametrize("n", [0, 1, 2, 6])
def test_too_few_points_for_clusters(n):
    points = np.zeros((n, 3))  # also: all the same
    found = cluster_by_k_means(points, 0)
    assert found.labels.tolist() == [0] * n
    assert found.n_clusters == min(n, 1)
    assert np.isnan(found.silhouette)
    sparse = cluster_by_density(points, 0)
    assert sparse.labels.tolist() == [NOISE] * n
    assert sparse.n_clusters == 0


def test_noise_is_in_no_cluster_by_density():
    points = np.random.default_rng(2).random((12, 3)) * 100
    found = cluster_by_density(points, 0)
    assert found.n_clusters in (0, 2)
    assert isinstance(found, Clustering)


def test_stability_is_compared_with_what_unrelated_maps_have():
    points, _ = groups()
    blurred = np.random.default_rng(6).normal(size=(19, 90, 3))
    null = [(one, OneStart(4)) for one in blurred]
    found = stability(points, OneStart(4), SEED, 8, null)
    assert found.agreement.shape == (28,)
    assert found.mean == pytest.approx(found.agreement.mean())
    assert found.range == (found.agreement.min(), found.agreement.max())
    assert found.null.shape == (19,)
    alone = stability(blurred[3], OneStart(4), SEED, 8)
    assert found.null[3] == pytest.approx(alone.mean)
    assert found.p == pytest.approx((1 + np.sum(found.null >= found.mean)) / 20)
    assert np.isnan(alone.p)
    assert np.isnan(stability(points, OneStart(4), SEED, 8, null[:18]).p)
    # Maps without clusters do not agree on any.
    assert stability(points, OneStart(4), SEED, 2, [(points, None)]).null.tolist() == [0.0]


def test_agreement_is_the_adjusted_rand_index_of_each_pair():
    points = np.random.default_rng(4).random((50, 3))
    made = []

    def partition(vectors, seed):
        made.append(np.random.default_rng(seed).integers(0, 3, len(vectors)))
        return made[-1]

    found = stability(points, partition, SEED, n_seeds=4)
    expected = [rand_index(made[i], made[j]) for i in range(4) for j in range(i + 1, 4)]
    np.testing.assert_allclose(found.agreement, expected, atol=1e-12)
    assert np.isnan(found.p)
