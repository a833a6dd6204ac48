"""RDMs of spheres against loops over spheres, and the tests of their similarity to models."""

import tracemalloc
from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from bidsface.numerics import searchlight_rsa
from bidsface.numerics import sphere_rdms as rdms_of_spheres
from bidsface.numerics.dissimilarity import correlation_rdm, crossnobis_rdm, euclidean_rdm
from bidsface.numerics.neighbourhoods import Spheres
from bidsface.numerics.rdm_comparison import compare_rdms, mantel_test
from bidsface.numerics.searchlight_rsa import sphere_model_test, sphere_similarities
from bidsface.numerics.sphere_rdms import all_sphere_rdms, sphere_rdms

SHAPE = (5, 4, 4)
INDEX = np.flatnonzero(np.random.default_rng(0).random(80) < 0.8)
SPHERES = Spheres.of(SHAPE, np.diag([3.0, 3.0, 3.0, 1.0]), INDEX, 3.1)
N_CONDITIONS = 5
MODEL = pdist(np.random.default_rng(1).standard_normal((N_CONDITIONS, 2)))


def make_patterns(seed=2, n_folds=None):
    shape = (N_CONDITIONS, len(INDEX))
    rng = np.random.default_rng(seed)
    return 2.0 + rng.standard_normal(shape if n_folds is None else (n_folds, *shape))


def members():
    for own in SPHERES.members(np.arange(len(INDEX))):
        yield own[own < len(INDEX)]


@pytest.mark.parametrize(
    ("name", "function", "n_folds"),
    [
        ("correlation", correlation_rdm, None),
        ("euclidean", euclidean_rdm, None),
        ("crossnobis", crossnobis_rdm, 3),
    ],
)
def test_rdms_equal_those_of_every_sphere(name, function, n_folds, monkeypatch):
    patterns = make_patterns(n_folds=n_folds)
    if n_folds:
        patterns[0, 2] = np.nan
    found = sphere_rdms(SPHERES, patterns, name)
    expected = np.stack([function(patterns[..., own]) for own in members()])
    monkeypatch.setattr(rdms_of_spheres, "CENTRES", 7)
    monkeypatch.setattr(rdms_of_spheres, "PAIRS", 3)
    np.testing.assert_allclose(all_sphere_rdms(found), expected, atol=1e-11)
    some = np.array([3, 0, 9])
    np.testing.assert_allclose(found(some), expected[some], atol=1e-11)
    short = all_sphere_rdms(found, dtype=np.float32)
    assert short.dtype == np.float32
    np.testing.assert_allclose(short, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["correlation", "euclidean"])
def test_rdms_of_several_draws_are_their_mean(name):
    draws = [make_patterns(seed) for seed in range(3)]
    found = all_sphere_rdms(sphere_rdms(SPHERES, draws, name))
    each = [all_sphere_rdms(sphere_rdms(SPHERES, own, name)) for own in draws]
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-12)


def test_many_conditions_take_little_memory_beside_their_rdms(monkeypatch):
    """4,005 pairs: no array of all voxels and pairs but the one that is returned."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(rdms_of_spheres, "CENTRES", 128)
    index = np.arange(10 * 10 * 10)
    spheres = Spheres.of((10, 10, 10), np.diag([3.0, 3.0, 3.0, 1.0]), index, 3.1)
    found = sphere_rdms(spheres, rng.standard_normal((90, len(index))), "euclidean")
    tracemalloc.start()
    try:
        whole = all_sphere_rdms(found, dtype=np.float32)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert whole.nbytes == 4 * len(index) * 4005
    assert peak < 1.8 * whole.nbytes
    where = 555
    own = spheres.members(np.array([where]))[0]
    expected = euclidean_rdm(found.patterns[0][own].T)
    np.testing.assert_allclose(whole[where], expected, rtol=1e-5)


def test_spheres_of_one_voxel_have_no_correlation():
    alone = Spheres.of(SHAPE, np.diag([3.0, 3.0, 3.0, 1.0]), np.array([0, 40, 41]), 3.1)
    patterns = make_patterns()[:, :3]
    found = all_sphere_rdms(sphere_rdms(alone, patterns, "correlation"))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()
    patterns[1] = 4.0
    flat = all_sphere_rdms(sphere_rdms(alone, patterns, "correlation"))
    np.testing.assert_array_equal(np.isnan(flat[1]), np.isin(np.arange(10), [0, 4, 5, 6]))


@pytest.mark.parametrize("statistic", ["pearson", "spearman", "kendall", "cosine"])
def test_similarities_equal_those_of_every_sphere(statistic):
    rdms = all_sphere_rdms(sphere_rdms(SPHERES, make_patterns(), "euclidean"))
    models = np.stack([MODEL, MODEL[::-1]])
    expected = compare_rdms(rdms, models, statistic)
    np.testing.assert_allclose(sphere_similarities(rdms, models, statistic), expected, atol=1e-12)
    rdms[4] = 0.0
    assert sphere_similarities(rdms, MODEL, statistic)[4] == 0.0


def test_one_participant_is_tested_as_by_mantel(monkeypatch):
    rdms = all_sphere_rdms(sphere_rdms(SPHERES, make_patterns(), "correlation"))
    found = sphere_model_test([rdms], MODEL, n_permutations=120, seed=0)
    each = [mantel_test(one, MODEL, n_permutations=120, seed=0) for one in rdms]
    np.testing.assert_allclose(found.statistic, [one.r for one in each])
    np.testing.assert_allclose(found.p, [one.p for one in each])
    largest = np.max([one.null for one in each], axis=0)
    expected = [(largest >= one.r - 1e-12).mean() for one in each]
    np.testing.assert_allclose(found.p_fwe, expected)
    assert found.smallest_p == 1 / 120
    monkeypatch.setattr(searchlight_rsa, "PERMUTED", 300)  # pieces of 30 orders and 10 spheres
    monkeypatch.setattr(searchlight_rsa, "VALUES", 300)
    again = sphere_model_test([rdms], MODEL, n_permutations=120, seed=0)
    np.testing.assert_array_equal(found.p_fwe, again.p_fwe)
    np.testing.assert_array_equal(found.p, again.p)


def test_groups_that_share_orders_equal_a_loop():
    group = [
        all_sphere_rdms(sphere_rdms(SPHERES, make_patterns(seed), "euclidean")) for seed in range(3)
    ]
    found = sphere_model_test(group, MODEL, n_permutations=120, seed=0, shared=True)
    null = []
    for order in permutations(range(N_CONDITIONS)):
        permuted = squareform(squareform(MODEL)[np.ix_(order, order)])
        null.append(np.mean([compare_rdms(one, permuted) for one in group], axis=0))
    null = np.array(null)
    np.testing.assert_allclose(found.statistic, null[0])
    np.testing.assert_allclose(found.p, (null >= null[0] - 1e-12).mean(axis=0))
    largest = null.max(axis=1)
    np.testing.assert_allclose(found.p_fwe, (largest[:, None] >= null[0] - 1e-12).mean(axis=0))


def test_groups_with_orders_of_their_own(monkeypatch):
    """With the drawn orders at hand: every participant has another one in every draw."""
    group = [
        all_sphere_rdms(sphere_rdms(SPHERES, make_patterns(seed), "euclidean")) for seed in range(2)
    ]
    found = sphere_model_test(group, MODEL, n_permutations=60, seed=5, shared=False)
    drawn = np.concatenate(list(searchlight_rsa._own_orders(N_CONDITIONS, 2, 60, 5, 1000)))
    assert drawn.shape == (60, 2, N_CONDITIONS)
    null = np.array(
        [
            np.mean(
                [
                    compare_rdms(one, squareform(squareform(MODEL)[np.ix_(order, order)]))
                    for one, order in zip(group, orders, strict=True)
                ],
                axis=0,
            )
            for orders in drawn
        ]
    )
    np.testing.assert_allclose(found.p, (1 + (null >= found.statistic - 1e-12).sum(axis=0)) / 61)
    np.testing.assert_allclose(found.largest, null.max(axis=1))
    monkeypatch.setattr(searchlight_rsa, "PERMUTED", 130)
    monkeypatch.setattr(searchlight_rsa, "VALUES", 130)
    again = sphere_model_test(group, MODEL, n_permutations=60, seed=5, shared=False)
    np.testing.assert_array_equal(found.p_fwe, again.p_fwe)


def test_planted_spheres_are_found_and_noise_is_not():
    rng = np.random.default_rng(8)
    points = rng.standard_normal((6, 1))
    model, planted = pdist(points) ** 2, INDEX % 4 < 2
    mixing = rng.standard_normal((1, planted.sum()))
    group = []
    for _ in range(4):
        patterns = 0.3 * rng.standard_normal((6, len(INDEX)))
        patterns[:, planted] += points @ mixing
        group.append(all_sphere_rdms(sphere_rdms(SPHERES, patterns, "euclidean")))
    found = sphere_model_test(group, model, n_permutations=720, seed=0, shared=True)
    inside = np.array([planted[own].all() for own in members()])
    outside = np.array([not planted[own].any() for own in members()])
    assert inside.any()
    assert outside.any()
    assert (found.p_fwe[inside] <= 0.05).all()
    assert (found.p_fwe[outside] > 0.05).all()


@pytest.mark.parametrize("shared", [True, False])
def test_level_of_the_corrected_p(shared):
    false = 0
    rng = np.random.default_rng(9)
    for _ in range(100):
        patterns = rng.standard_normal((2, N_CONDITIONS, len(INDEX)))
        group = [all_sphere_rdms(sphere_rdms(SPHERES, own, "correlation")) for own in patterns]
        test = sphere_model_test(group, MODEL, n_permutations=120, seed=1, shared=shared)
        false += test.p_fwe.min() <= 0.05
    assert false <= 13  # 99.9 % of binomial(100, 0.05) are


def test_models_that_do_not_fit_are_refused():
    rdms = np.ones((2, 10))
    with pytest.raises(ValueError, match="does not fit"):
        sphere_model_test([rdms], np.ones(6), seed=0)
    with pytest.raises(ValueError, match="does not vary"):
        sphere_model_test([rdms], np.ones(10), seed=0)
