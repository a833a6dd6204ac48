"""Occlusion of a group: participants' maps, and the test of drops."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from bidsface.statistics import fdr
from bidsface_emotion_cnn.group_occlusion import (
    group_occlusion,
    participant_maps,
    participants_mean,
    sign_flip_test,
    sign_flips,
)

SEED = np.random.SeedSequence(7)


# --- maps of participants


def test_maps_are_means_over_the_volumes_of_the_class():
    changes = np.random.default_rng(0).standard_normal((5, 2, 3))
    codes, people = np.array([0, 0, 1, 0, 1]), np.array([0, 0, 0, 1, 0])
    found = participant_maps(iter(changes), codes, people, 2, 2)
    np.testing.assert_allclose(found[0, 0], changes[:2, 0].mean(axis=0))
    np.testing.assert_allclose(found[0, 1], changes[[2, 4], 1].mean(axis=0))
    np.testing.assert_allclose(found[1, 0], changes[3, 0])
    assert np.isnan(found[1, 1]).all()
    with pytest.raises(ValueError, match="no volume"):
        participant_maps([], codes[:0], people[:0], 1, 2)


# --- the test


def test_t_and_p_are_those_of_all_flips():
    values = np.random.default_rng(1).standard_normal((6, 9)) + 0.4
    found = sign_flip_test(values, 1000, SEED)
    expected = stats.ttest_1samp(values, 0.0)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-10)
    flips = np.array(list(product((1, -1), repeat=6)))[..., None] * values
    null = stats.ttest_1samp(flips, 0.0, axis=1).statistic
    reached = expected.statistic - 1e-9
    np.testing.assert_allclose(found.p, (null >= reached).mean(axis=0), rtol=1e-12)
    largest = null.max(axis=1)
    np.testing.assert_allclose(found.p_fwe, (largest[:, None] >= reached).mean(axis=0), rtol=1e-12)
    assert found.smallest_p == 1 / 64
    np.testing.assert_allclose(np.sort(found.largest), np.sort(largest[1:]), rtol=1e-9)


def test_p_of_random_flips_agrees_with_scipy():
    values = np.random.default_rng(2).standard_normal((12, 3)) + 0.3
    found = sign_flip_test(values, 2000, SEED)
    expected = stats.permutation_test(
        (values,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        n_resamples=5000,
        alternative="greater",
        rng=np.random.default_rng(0),
        vectorized=True,
        axis=0,
    )
    np.testing.assert_allclose(found.p, expected.pvalue, atol=0.03)
    assert found.smallest_p == pytest.approx(1 / 2001)


def test_blocks_of_positions_change_nothing():
    values = np.random.default_rng(3).standard_normal((5, 700))
    whole = sign_flip_test(values, 400, SEED)
    parts = [
        sign_flip_test(values[:, part], 400, SEED) for part in (slice(0, 300), slice(300, 700))
    ]
    np.testing.assert_allclose(whole.p, np.concatenate([part.p for part in parts]))
    np.testing.assert_allclose(whole.largest, np.maximum(parts[0].largest, parts[1].largest))


def test_positions_without_values_are_not_tested():
    values = np.random.default_rng(4).standard_normal((5, 4))
    values[:, 1] = 0.0
    values[2, 2] = np.nan
    found = sign_flip_test(values, 100, SEED)
    assert np.isnan(found.p).tolist() == [False, True, True, False]
    alone = sign_flip_test(values[:, [0, 3]], 100, SEED)
    np.testing.assert_array_equal(found.p_fwe[[0, 3]], alone.p_fwe)


@pytest.mark.parametrize("value", [0.3, 0.25, 1e-9])
@pytest.mark.parametrize("n", [2, 3, 4, 7])
def test_equal_values_have_a_large_t_and_the_smallest_p(value, n):
    found = sign_flip_test(np.full((n, 1), value), 1000, SEED)
    assert 1e6 < found.statistic[0] < 1e9
    assert np.isfinite(found.largest).all()
    assert (found.p[0], found.p_fwe[0]) == (0.5**n, 0.5**n)
    # Maps are written in single precision, and without infinite values.
    assert np.isfinite(np.float32(found.statistic)).all()


def test_last_digits_are_no_changes():
    # Of a network that is very sure, which loses the same last digit in everybody.
    maps = np.full((4, 2, 3), -1.1e-16)
    maps[:, 0, 1] = -np.array([0.1, 0.2, 0.3, 0.4])
    maps[0, 1, 2] = -1e-3
    found = group_occlusion(maps, 100, SEED)
    assert np.isnan(found.p[0]).tolist() == [True, False, True]
    assert np.isnan(found.t[1]).tolist() == [True, True, False]
    assert found.p[1, 2] == 0.5
    assert np.isfinite(found.t[~np.isnan(found.p)]).all()
    np.testing.assert_array_equal(found.mean, participants_mean(maps))


def test_signs():
    every, exhaustive = sign_flips(3, 7, SEED)
    assert exhaustive
    assert len({tuple(row) for row in every}) == 7
    assert (1.0, 1.0, 1.0) not in {tuple(row) for row in every}
    some, exhaustive = sign_flips(3, 6, SEED)
    assert not exhaustive
    assert some.shape == (6, 3)
    assert set(np.unique(some)) == {-1.0, 1.0}


def test_planted_drops_are_found_where_they_are():
    generator = np.random.default_rng(5)
    maps = generator.normal(scale=0.02, size=(14, 3, 300))
    maps[:, 0, 40:60] -= 0.06
    maps[:, 1, 200:210] += 0.06  # a rise is no drop
    maps[0, 2] = np.nan  # who has no volume of the class
    found = group_occlusion(maps, 999, SEED)
    assert (found.p_fwe[0, 40:60] < 0.05).all()
    assert found.p_fwe[0, :40].min() > 0.05
    assert found.p_fwe[1, 200:210].min() > 0.9
    assert found.n_participants.tolist() == [14, 14, 13]
    np.testing.assert_allclose(found.mean[2], maps[1:, 2].mean(axis=0))
    np.testing.assert_allclose(found.t[0], stats.ttest_1samp(maps[:, 0], 0).statistic)
    np.testing.assert_allclose(found.p_fdr[0], fdr(found.p[0]))
    assert (found.p_fdr[0, 40:60] < 0.05).all()


def test_positions_outside_the_brain_do_not_count():
    maps = np.random.default_rng(6).normal(size=(6, 1, 50))
    inside = np.arange(50) % 2 == 0
    found = group_occlusion(maps, 100, SEED, inside)
    assert np.isnan(found.p[0, ~inside]).all()
    assert np.isnan(found.p_fdr[0, ~inside]).all()
    assert not np.isnan(found.mean).any()
    alone = group_occlusion(maps[:, :, inside], 100, SEED)
    np.testing.assert_array_equal(found.p_fwe[0, inside], alone.p_fwe[0])


def test_one_participant_has_means_and_no_inference():
    maps = np.random.default_rng(7).normal(size=(2, 2, 5))
    maps[0, 1] = np.nan
    maps[:, 0] = np.nan
    found = group_occlusion(maps, 100, SEED)
    np.testing.assert_array_equal(found.mean[1], maps[1, 1])
    assert np.isnan(found.mean[0]).all()
    assert np.isnan(found.p).all()
    assert np.isnan(found.smallest_p).all()
    assert found.n_participants.tolist() == [0, 1]


def test_false_positives_over_positions_are_at_their_rate():
    generator = np.random.default_rng(8)
    n = 2000
    hits = 0
    for number in range(n):
        # Neighbours depend on each other, and tails are heavy.
        noise = generator.standard_t(3, size=(8, 42))
        values = noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]
        seed = np.random.SeedSequence(number)
        hits += sign_flip_test(values, 99, seed).p_fwe.min() <= 0.05
    # 0.05 within four standard errors.
    assert abs(hits / n - 0.05) < 4 * np.sqrt(0.05 * 0.95 / n)
