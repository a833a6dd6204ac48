"""Tests of maps over participants equal slow references and hold their level."""

import numpy as np
import pytest

from bidsface.numerics.map_tests import (
    corrected_p,
    draw_labellings,
    group_map_test,
    mean_and_minimum_map_tests,
    minimum_map_test,
    permutation_map_test,
    smallest_draw,
)
from bidsface.numerics.prevalence import infer_prevalence, prevalence_p, rejected_prevalence
from bidsface.numerics.searchlight import GRAIN, rounded
from bidsface.statistics import group_permutation, max_statistic_p, permutation_p

SEED = np.random.SeedSequence(1)


def study(n=6, n_permutations=(30, 25, 30, 40, 30, 30), n_voxels=600, effect=0.0, seed=0):
    """Maps of hits out of 24, so that there are many ties."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.25, 0.4, n_voxels)
    nulls = [rng.binomial(24, chance, (m, n_voxels)) / 24 for m in n_permutations[:n]]
    observed = [rng.binomial(24, chance + effect, n_voxels) / 24 for _ in range(n)]
    return [x.astype(np.float32) for x in observed], [x.astype(np.float32) for x in nulls]


def test_permutation_map_test_equals_the_tests_of_scores():
    observed, nulls = study(effect=0.1)
    test = permutation_map_test(observed[0], nulls[0])
    np.testing.assert_array_equal(test.p, permutation_p(observed[0], nulls[0]))
    np.testing.assert_array_equal(test.p_fwe, max_statistic_p(observed[0], nulls[0]))
    assert test.smallest_p == 1 / 31
    significant = test.p_fwe <= 0.05
    np.testing.assert_array_equal(test.statistic >= test.threshold, significant)


def test_group_map_test_equals_the_test_of_scores():
    observed, nulls = study(effect=0.05)
    test = group_map_test(observed, nulls, 700, SEED)
    expected = group_permutation(np.stack(observed), nulls, 700, SEED)
    np.testing.assert_array_equal(test.p, expected.p)
    np.testing.assert_array_equal(test.p_fwe, expected.p_fwe)
    np.testing.assert_allclose(test.statistic, np.mean(observed, axis=0, dtype=float), atol=1e-12)
    assert test.smallest_p == pytest.approx(expected.smallest_p)


def slow_prevalence(observed, nulls, picks, gamma0, alpha):
    """Voxel by voxel and draw by draw, from the paper's definitions."""
    n, n_voxels = len(observed), len(observed[0])
    pools = [np.vstack([own, null]) for own, null in zip(observed, nulls, strict=True)]
    smallest = np.min(observed, axis=0)
    drawn = np.array(
        [
            [
                min(pool[row, v] for pool, row in zip(pools, rows, strict=True))
                for v in range(n_voxels)
            ]
            for rows in picks.T
        ]
    )
    n_draws = len(drawn)
    p = np.array([(1 + (drawn[:, v] >= smallest[v]).sum()) for v in range(n_voxels)]) / (
        1 + n_draws
    )
    top = drawn.max(axis=1)
    p_fwe = np.array([(1 + (top >= value).sum()) for value in smallest]) / (1 + n_draws)
    majority = ((1 - gamma0) * p ** (1 / n) + gamma0) ** n
    corrected = p_fwe + (1 - p_fwe) * majority
    gamma = np.full(n_voxels, np.nan)
    grid = np.linspace(0, 1, 20_001)[:-1]
    for v in range(n_voxels):
        every = p_fwe[v] + (1 - p_fwe[v]) * ((1 - grid) * p[v] ** (1 / n) + grid) ** n
        rejected = grid[every <= alpha]
        gamma[v] = rejected.max() if len(rejected) else np.nan
    return p, p_fwe, majority, corrected, gamma


def test_prevalence_equals_a_slow_reference():
    observed, nulls = study(n_voxels=20, effect=0.0)
    for number, own in enumerate(observed):
        own[:8] = 0.55 + 0.05 * (number % 3) + 0.04 * np.arange(8)
    picks = draw_labellings(nulls, 300, SEED)
    test = minimum_map_test(observed, nulls, 300, SEED)
    found = infer_prevalence(test, len(observed), gamma0=0.3)
    p, p_fwe, majority, corrected, gamma = slow_prevalence(observed, nulls, picks, 0.3, 0.05)
    np.testing.assert_allclose(test.p, p)
    np.testing.assert_allclose(test.p_fwe, p_fwe)
    np.testing.assert_allclose(found.p, majority)
    np.testing.assert_allclose(found.p_fwe, corrected)
    np.testing.assert_allclose(found.gamma, gamma, atol=1e-4)
    assert np.isfinite(found.gamma).any()
    assert np.isnan(found.gamma).any()
    assert np.nanmax(found.gamma) <= found.largest_gamma + 1e-12


def test_rejected_prevalence_is_where_the_corrected_p_equals_alpha():
    p, p_fwe = np.array([1e-4, 0.002, 0.2]), np.array([1e-3, 0.03, 0.9])
    gamma = rejected_prevalence(p, p_fwe, 12, 0.05)
    for number in range(2):
        at_gamma = prevalence_p(p[number], 12, gamma[number])
        assert p_fwe[number] + (1 - p_fwe[number]) * at_gamma == pytest.approx(0.05)
    assert np.isnan(gamma[2])
    np.testing.assert_allclose(prevalence_p(p, 12, 0.0), p)
    with pytest.raises(ValueError, match="gamma0"):
        infer_prevalence(minimum_map_test(*study(), 10, SEED), 6, gamma0=1.0)


def test_results_do_not_depend_on_blocks(monkeypatch):
    observed, nulls = study()
    whole = [test(observed, nulls, 500, SEED) for test in (group_map_test, minimum_map_test)]
    monkeypatch.setattr("bidsface.numerics.map_tests.BLOCK", 37)
    monkeypatch.setattr("bidsface.numerics.map_tests.ROWS", 11)
    parts = [test(observed, nulls, 500, SEED) for test in (group_map_test, minimum_map_test)]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one.p, other.p)
        np.testing.assert_array_equal(one.p_fwe, other.p_fwe)


def test_both_tests_at_once_equal_each_alone_in_whatever_order(monkeypatch):
    observed, nulls = study()
    mean = group_map_test(observed, nulls, 500, SEED, 1e-6)
    smallest = minimum_map_test(observed, nulls, 500, SEED)
    monkeypatch.setattr("bidsface.numerics.map_tests.PART", 100)

    def backwards(function, items):
        return [function(item) for item in items[::-1]][::-1]

    both = mean_and_minimum_map_tests(observed, nulls, 500, SEED, 1e-6, backwards)
    for one, other in zip(both, (mean, smallest), strict=True):
        for name in ("statistic", "p", "p_fwe", "largest"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.smallest_p == other.smallest_p


def test_smallest_p_counts_labellings_with_equal_maps():
    observed, nulls = study(n=2)
    nulls[0][3] = observed[0]
    assert smallest_draw(observed, nulls) == pytest.approx(2 / 31 * 1 / 26)
    test = group_map_test(observed, nulls, 100_000, SEED)
    assert test.smallest_p == pytest.approx(2 / 31 * 1 / 26)


def test_corrected_p_counts_ties():
    largest = np.array([0.5, 0.6, 0.6, 0.7])
    statistic = np.array([0.6, 0.6 + 1e-14, 0.61, 0.4, 0.9])
    np.testing.assert_allclose(corrected_p(statistic, largest), np.array([4, 4, 2, 5, 1]) / 5)


def test_levels_hold_without_effect():
    """200 null studies: corrected p-values of 0.05 at most in about 5 %."""
    false = np.zeros(3)
    for seed in range(200):
        observed, nulls = study(4, (19,) * 4, n_voxels=40, seed=seed)
        tests = (
            permutation_map_test(observed[0], nulls[0]).p_fwe,
            group_map_test(observed, nulls, 199, np.random.SeedSequence(seed)).p_fwe,
            minimum_map_test(observed, nulls, 199, np.random.SeedSequence(seed)).p_fwe,
        )
        false += [p.min() <= 0.05 for p in tests]
    # 99.9 % of binomial(200, 0.05) are at most 21.
    assert (false <= 21).all()


def test_prevalence_null_holds_its_level_where_half_the_population_has_the_effect():
    """Every participant has a strong effect with chance one half."""
    rng, false = np.random.default_rng(3), 0
    for seed in range(200):
        observed, nulls = study(5, (30,) * 5, n_voxels=30, seed=1000 + seed)
        for own in observed:
            if rng.random() < 0.5:
                own[:] = 1.0
        test = minimum_map_test(observed, nulls, 300, np.random.SeedSequence(seed))
        false += infer_prevalence(test, 5, gamma0=0.5).p_fwe.min() <= 0.05
    assert false <= 21


def test_effects_in_everyone_are_found():
    observed, nulls = study(effect=0.0)
    for own in observed:
        own[5] = 0.9
    test = minimum_map_test(observed, nulls, 2000, SEED)
    found = infer_prevalence(test, 6)
    assert list(np.flatnonzero(np.isfinite(found.gamma))) == [5]
    assert found.gamma[5] > 0.3
    assert list(np.flatnonzero(test.p_fwe <= 0.05)) == [5]
    assert list(np.flatnonzero(group_map_test(observed, nulls, 2000, SEED).p_fwe <= 0.05)) == [5]


@pytest.mark.parametrize(("n_people", "denominator"), [(3, 12), (5, 24), (12, 96)])
def test_means_that_are_equal_as_fractions_are_ties(n_people, denominator):
    """Scores are rounded, so that sums of other summands differ in the last digits."""
    rng = np.random.default_rng(n_people)
    counts = rng.binomial(denominator, 1 / 3, (n_people, 41, 60)).astype(float)
    scores = rounded(counts / denominator)
    exact = group_map_test(list(counts[:, 0]), list(counts[:, 1:]), 400, SEED)
    found = group_map_test(list(scores[:, 0]), list(scores[:, 1:]), 400, SEED, GRAIN)
    np.testing.assert_array_equal(found.p, exact.p)
    np.testing.assert_array_equal(found.p_fwe, exact.p_fwe)
