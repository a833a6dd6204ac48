"""Maps that have nothing in common, as smooth as real ones, and places that classes share."""

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from bidsface_emotion_cnn.clusters import OneStart, cluster_by_k_means, stability
from bidsface_emotion_cnn.embedding import top_vectors
from bidsface_emotion_cnn.positions import top_positions
from bidsface_emotion_cnn.unrelated_maps import Sharing, unrelated_maps, unrelated_tops

SHAPE = (10, 12, 9)
SEED = np.random.SeedSequence(8)
PLACES = np.indices(SHAPE).reshape(3, -1).T
INSIDE = np.linalg.norm((PLACES - 4.5) / [5, 6, 4.5], axis=1) < 1


def smooth_maps(rng, n_classes=3, width=1.3):
    maps = [
        gaussian_filter(rng.standard_normal(SHAPE), width, mode="wrap").ravel()
        for _ in range(n_classes)
    ]
    return np.where(INSIDE, maps, 0.0)


def neighbours_correlation(values):
    """Of neighbours along the first axis that both lie inside."""
    volume, inside = values.reshape(SHAPE), INSIDE.reshape(SHAPE)
    both = inside[1:] & inside[:-1]
    return np.corrcoef(volume[1:][both], volume[:-1][both])[0, 1]


def test_values_stay_and_smoothness_too():
    maps = smooth_maps(np.random.default_rng(0))
    found = unrelated_maps(maps, SHAPE, INSIDE, SEED)
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(maps, axis=1))
    np.testing.assert_array_equal(found[:, ~INSIDE], 0)
    for own, drawn in zip(maps, found, strict=True):
        assert neighbours_correlation(drawn) == pytest.approx(neighbours_correlation(own), abs=0.2)
        assert abs(np.corrcoef(own[INSIDE], drawn[INSIDE])[0, 1]) < 0.6
    again = unrelated_maps(maps, SHAPE, INSIDE, SEED)
    np.testing.assert_array_equal(found, again)
    assert not np.array_equal(found, unrelated_maps(maps, SHAPE, INSIDE, np.random.SeedSequence(9)))


def test_maps_that_are_not_there_or_flat():
    maps = smooth_maps(np.random.default_rng(1))
    maps[1], maps[2] = np.nan, 0.0
    found = unrelated_maps(maps, SHAPE, INSIDE, SEED)
    assert np.isnan(found[1]).all()
    assert not found[2].any()
    (one,) = unrelated_tops(maps, SHAPE, INSIDE, 20, 1, SEED)
    assert len(one.positions) == 20
    assert INSIDE[one.positions].all()
    assert not one.vectors[:, 1:].any()
    assert len(unrelated_tops(maps, SHAPE, None, 20, 2, SEED)) == 2


def sharing_of(maps, n_sets, seed):
    positions, _ = top_vectors(maps, top_positions(maps, 60, INSIDE))
    sets = unrelated_tops(maps, SHAPE, INSIDE, 60, n_sets, np.random.SeedSequence(seed))
    return Sharing(len(positions), np.array([len(one.positions) for one in sets]))


def test_smooth_noise_shares_positions_in_the_nominal_share():
    n = 40
    p = []
    for seed in range(n):
        one = sharing_of(smooth_maps(np.random.default_rng(seed)), 9, seed)
        p.append((1 + np.sum(one.null <= one.n_positions)) / 10)
        assert np.isnan(one.p)  # of nine sets
    assert np.mean(np.array(p) <= 0.1) <= stats.binom.isf(1e-4, n, 0.1) / n
    assert abs(np.mean(p) - 0.55) < 4 * 0.29 / np.sqrt(n)


def test_shared_places_are_found():
    maps = smooth_maps(np.random.default_rng(3))
    maps /= 2 * maps.std()
    for centre, classes in (((4, 5, 4), [0, 1]), ((6, 8, 5), [1, 2])):
        blob = np.exp(-np.sum((PLACES - centre) ** 2, axis=1) / 6)
        maps[classes] -= 4 * blob
    one = sharing_of(maps, 19, 3)
    assert one.n_positions < one.null.mean() - 10
    assert one.p == pytest.approx(1 / 20)


@pytest.mark.parametrize("seed", [0, 1])
def test_clusters_of_independent_noise_are_not_more_stable_than_others(seed):
    # White maps: the choice of top positions makes one crisp cluster per class.
    maps = np.random.default_rng(seed).standard_normal((3, 2000))
    everywhere, grid = np.ones(2000, bool), (20, 10, 10)
    _, vectors = top_vectors(maps, top_positions(maps, 25))
    sets = unrelated_tops(maps, grid, everywhere, 25, 19, np.random.SeedSequence(seed))

    def chosen(points):
        return OneStart(cluster_by_k_means(points, seed, most=4).n_clusters)

    null = [(one.vectors, chosen(one.vectors)) for one in sets]
    found = stability(vectors, chosen(vectors), np.random.SeedSequence(seed), 4, null)
    assert found.mean > 0.9  # the clusters are there all the same
    assert found.p > 0.1
