"""Correlations against SciPy, brute force and their nominal rate."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from bidsface.numerics.rank_correlation import (
    orders_of,
    pearson_interval,
    smallest_noticed,
    smallest_spearman_p,
    spearman,
)

SEED = np.random.SeedSequence(3)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [4, 6, 7])
def test_spearman_is_exact_over_all_orders(n, ties):
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal(n), rng.standard_normal(n)
    if ties:
        y = np.round(y)
    rho, p = spearman(x, y, *orders_of(n, 10, SEED))
    expected = stats.spearmanr(x, y).statistic
    every = [abs(stats.spearmanr(x, y[list(order)]).statistic) for order in permutations(range(n))]
    assert rho == pytest.approx(expected)
    assert p == pytest.approx(np.mean(np.array(every) >= abs(expected) - 1e-9))


def test_many_values_are_permuted_at_random():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(14)
    y = 0.5 * x + rng.standard_normal(14)
    orders, complete = orders_of(14, 20_000, SEED)
    assert not complete
    rho, p = spearman(x, y, orders, complete)
    theirs = stats.spearmanr(x, y)
    assert rho == pytest.approx(theirs.statistic)
    assert p == pytest.approx(theirs.pvalue, abs=0.02)
    assert spearman(x, x, orders, complete) == pytest.approx((1.0, 1 / 20_001))
    assert smallest_spearman_p(14, 20_000) == 1 / 20_001


@pytest.mark.parametrize("n", [3, 5, 8])
def test_smallest_p_is_reached(n):
    rho, p = spearman(np.arange(n), np.arange(n)[::-1], *orders_of(n, 10, SEED))
    assert (rho, p) == pytest.approx((-1.0, smallest_spearman_p(n, 10)))


def test_null_rate_is_nominal():
    rng = np.random.default_rng(5)
    orders = orders_of(10, 999, SEED)
    p = [spearman(*rng.standard_normal((2, 10)), *orders)[1] for _ in range(400)]
    low, high = stats.binom.interval(0.999, 400, 0.05)
    assert low <= (np.array(p) <= 0.05).sum() <= high


def test_pearson_equals_scipy():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 12))
    theirs = stats.pearsonr(x, y)
    interval = theirs.confidence_interval()
    assert pearson_interval(x, y) == pytest.approx((theirs.statistic, interval.low, interval.high))
    assert pearson_interval(x, 2 * x + 1)[0] == pytest.approx(1.0)
    assert np.isnan(pearson_interval(x, 2 * x + 1)[1:]).all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_values(n):
    values = np.arange(n, dtype=float)
    assert np.isnan(spearman(values, values, *orders_of(n, 10, SEED))).all()
    assert np.isnan(pearson_interval(values, values)).all()
    assert np.isnan(smallest_spearman_p(n, 10))


def test_values_that_do_not_vary():
    x = np.arange(6.0)
    assert np.isnan(spearman(x, np.full(6, 0.1), *orders_of(6, 10, SEED))).all()
    assert np.isnan(pearson_interval(x, np.full(6, 0.1))).all()


def test_smallest_noticed_correlation_has_p_of_five_percent():
    n = 12
    x = np.random.default_rng(4).standard_normal(n)
    noise = np.random.default_rng(5).standard_normal(n)
    x = (x - x.mean()) / np.linalg.norm(x - x.mean())
    noise -= noise.mean() + x * (noise @ x)
    r = smallest_noticed(n)
    y = r * x + np.sqrt(1 - r**2) * noise / np.linalg.norm(noise)
    assert stats.pearsonr(x, y).pvalue == pytest.approx(0.05)
    assert np.isnan(smallest_noticed(2))
