"""Tests, corrections and intervals against SciPy, brute force, and their nominal rates."""

from itertools import product
from math import factorial

import numpy as np
import pytest
from scipy import stats

from bidsface.numerics.permutations import count_labellings, relabel
from bidsface.statistics import (
    fdr,
    group_permutation,
    max_statistic_p,
    mean_interval,
    permutation_p,
    signed_rank_p,
    smallest_signed_rank_p,
)

SEED = np.random.SeedSequence(0)


def test_permutation_p_counts_ties_and_the_observed_labelling():
    null = np.array([[0.1], [0.2], [0.3], [0.3 + 1e-15]])
    np.testing.assert_allclose(permutation_p([0.3], null), 3 / 5)
    np.testing.assert_allclose(permutation_p([0.3 + 5e-13], null), 3 / 5)
    np.testing.assert_allclose(permutation_p([0.31], null), 1 / 5)
    np.testing.assert_allclose(permutation_p([0.0, np.nan], np.hstack([null, null])), [1, np.nan])


def test_max_statistic_uses_the_largest_of_every_permutation():
    null = np.array([[0.1, 0.9], [0.2, 0.1], [0.8, 0.3]])
    np.testing.assert_allclose(max_statistic_p([0.85, 0.25], null), [2 / 4, 3 / 4])
    with_gap = np.hstack([null, np.full((3, 1), 5.0)])
    np.testing.assert_allclose(max_statistic_p([0.85, 0.25, np.nan], with_gap), [0.5, 0.75, np.nan])
    single = np.random.default_rng(0).standard_normal((99, 1))
    np.testing.assert_allclose(max_statistic_p([1.0], single), permutation_p([1.0], single))


@pytest.mark.parametrize("n", [1, 2, 17])
def test_fdr_equals_scipy_and_skips_missing(n):
    p = np.random.default_rng(n).uniform(size=n) ** 2
    np.testing.assert_allclose(fdr(p), stats.false_discovery_control(p))
    gaps = np.insert(p, n // 2, np.nan)
    np.testing.assert_allclose(np.delete(fdr(gaps), n // 2), stats.false_discovery_control(p))
    assert np.isnan(fdr(gaps)[n // 2])


@pytest.mark.parametrize("n", [1, 3, 8, 20, 45])
def test_signed_rank_equals_scipys_exact_test(n):
    differences = np.random.default_rng(n).standard_normal(n) + 0.2
    expected = stats.wilcoxon(differences, alternative="greater", method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shift", [-0.6, -0.1, 0.0, 0.3])
@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_two_tailed_signed_rank_equals_scipys_exact_test(n, shift):
    differences = np.random.default_rng(n).standard_normal(n) + shift
    expected = stats.wilcoxon(differences, alternative="two-sided", method="exact").pvalue
    assert signed_rank_p(differences, two_tailed=True) == pytest.approx(expected, rel=1e-9)
    assert signed_rank_p(-differences, two_tailed=True) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_signed_rank_is_exact_with_ties_and_zeros(seed):
    differences = np.random.default_rng(seed).integers(-2, 4, 10) / 7
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    signs = np.array(list(product([0, 1], repeat=len(kept))))
    expected = np.mean(signs @ ranks >= ranks[kept > 0].sum() - 1e-9)
    assert signed_rank_p(differences) == pytest.approx(expected)
    method = stats.PermutationMethod(n_resamples=np.inf)
    theirs = stats.wilcoxon(kept, alternative="greater", method=method).pvalue
    assert signed_rank_p(differences) == pytest.approx(theirs)
    sums = np.maximum(signs @ ranks, (1 - signs) @ ranks)
    larger = max(ranks[kept > 0].sum(), ranks[kept < 0].sum())
    both = np.mean(sums >= larger - 1e-9)
    assert signed_rank_p(differences, two_tailed=True) == pytest.approx(both)


def test_signed_rank_sees_ties_through_rounding():
    chance = 1 / 3
    scores = np.array([0.1 + 0.2, 0.3, 1 / 3, 0.5, 0.5])
    assert 0.1 + 0.2 != 0.3
    exact = np.array([-1, -1, 0, 5, 5])
    assert signed_rank_p(scores - chance) == pytest.approx(signed_rank_p(exact))


def test_signed_rank_extremes():
    assert signed_rank_p([0.1, 0.2, 0.3]) == pytest.approx(smallest_signed_rank_p(3)) == 1 / 8
    assert signed_rank_p([0.0, 0.0]) == 1.0
    assert np.isnan(signed_rank_p([np.nan]))
    assert np.isnan(smallest_signed_rank_p(0))
    two_tailed = signed_rank_p([-0.1, -0.2, -0.3], two_tailed=True)
    assert two_tailed == pytest.approx(smallest_signed_rank_p(3, two_tailed=True)) == 1 / 4
    assert signed_rank_p([0.0, 0.0], two_tailed=True) == 1.0
    assert signed_rank_p([0.4], two_tailed=True) == smallest_signed_rank_p(1, two_tailed=True) == 1


def test_mean_interval_equals_scipy():
    values = np.array([0.4, 0.5, 0.45, np.nan, 0.6])
    expected = stats.ttest_1samp(values[~np.isnan(values)], 0).confidence_interval()
    np.testing.assert_allclose(mean_interval(values), [expected.low, expected.high])
    assert np.isnan(mean_interval([0.5])).all()


def test_group_permutation_finds_an_effect_that_no_participant_shows_alone():
    rng = np.random.default_rng(1)
    nulls = [rng.standard_normal((200, 2)) for _ in range(16)]
    observed = np.column_stack([np.full(16, 1.0), np.zeros(16)])
    test = group_permutation(observed, nulls, 2000, SEED)
    assert permutation_p(observed[0, :1], nulls[0][:, :1])[0] > 0.05
    assert test.p[0] < 0.01
    assert test.p[1] > 0.2
    assert (test.p_fwe >= test.p).all()
    assert test.smallest_p == 1 / 2001
    assert test.null.std() == pytest.approx(0.25, rel=0.1)


def test_group_permutation_handles_missing_tests_and_few_permutations():
    nulls = [np.array([[0.1, 0.0]]), np.array([[0.0, 0.0], [0.2, 0.0]])]
    observed = np.array([[0.5, np.nan], [0.6, 0.9]])
    test = group_permutation(observed, nulls, 6000, SEED)
    assert test.smallest_p == pytest.approx(1 / 6)  # 2 x 3 combinations
    assert test.p[0] == pytest.approx(1 / 6, abs=0.02)
    assert test.p[1] == pytest.approx(1 / 3, abs=0.02)


@pytest.mark.parametrize("n_tests", [1, 4])
def test_p_values_of_null_data_hold_their_level(n_tests):
    """Exact tests reject 5 % of null data sets, within the 99.9 % binomial interval."""
    rng = np.random.default_rng(n_tests)
    n_sets, rejected = 600, np.zeros(4)
    for number in range(n_sets):
        pools = rng.standard_normal((3, 40, n_tests))  # 39 permutations and the observed one
        scores, nulls = pools[:, 0], pools[:, 1:]
        group = group_permutation(scores, list(nulls), 199, np.random.SeedSequence(number))
        rejected += [
            permutation_p(scores[0], nulls[0])[0] <= 0.05,
            max_statistic_p(scores[0], nulls[0]).min() <= 0.05,
            group.p[0] <= 0.05,
            group.p_fwe.min() <= 0.05,
        ]
    low, high = stats.binom.interval(0.999, n_sets, 0.05)
    assert (rejected >= low).all()
    assert (rejected <= high).all()


CODES = np.array([0, 0, 1, 2, 0, 1, 1])
BLOCKS = np.array(["a", "a", "a", "a", "b", "b", "b"])


def test_labels_stay_within_their_block():
    drawn = relabel(CODES, BLOCKS, 20, SEED)
    assert drawn.codes.shape == (20, 7)
    assert not drawn.exhaustive
    assert drawn.smallest_p == 1 / 21
    for block in "ab":
        members = block == BLOCKS
        np.testing.assert_array_equal(
            np.sort(drawn.codes[:, members], axis=1), np.tile(np.sort(CODES[members]), (20, 1))
        )
    assert len(np.unique(drawn.codes, axis=0)) > 10
    np.testing.assert_array_equal(drawn.codes, relabel(CODES, BLOCKS, 20, SEED).codes)


def test_few_labellings_are_enumerated():
    n_labellings = (factorial(4) // 2) * 3
    assert count_labellings(CODES, BLOCKS) == n_labellings
    every = relabel(CODES, BLOCKS, n_labellings - 1, SEED)
    assert every.exhaustive
    assert len(np.unique(every.codes, axis=0)) == len(every.codes) == n_labellings - 1
    assert not (every.codes == CODES).all(axis=1).any()
    assert every.smallest_p == 1 / n_labellings
    assert not relabel(CODES, BLOCKS, n_labellings - 2, SEED).exhaustive


def test_renaming_classes_limits_the_smallest_p():
    codes, blocks = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    every = relabel(codes, blocks, 100, SEED)
    assert len(every.codes) == 3
    assert every.smallest_p == 2 / 4  # swapping the two names everywhere changes no score


def test_renaming_classes_limits_the_smallest_p_of_a_group():
    """Two participants with 6 labellings each, which are 3 but for the names of two classes."""
    codes, blocks = np.array([0, 1, 0, 1]), np.zeros(4)
    every = relabel(codes, blocks, 100, SEED)
    assert len(every.codes) == 5
    labellings = np.vstack([codes, every.codes])
    rng = np.random.default_rng(0)
    pools = []
    for _ in range(2):
        signal = rng.standard_normal((4, 2))
        scores = np.abs((2.0 * labellings - 1) @ signal)  # does not ask for names
        best = scores[:, 0].argmax()
        pools.append(np.vstack([scores[best], np.delete(scores, best, axis=0)]))
    test = group_permutation([pool[0] for pool in pools], [pool[1:] for pool in pools], 5000, SEED)
    means = np.add.outer(pools[0][:, 0], pools[1][:, 0]) / 2
    reached = (means >= means[0, 0] - 1e-12).mean()  # over all 36 combinations
    assert test.smallest_p == pytest.approx(reached) == pytest.approx(every.smallest_p**2)
    assert test.p[0] == pytest.approx(reached, abs=0.02)
