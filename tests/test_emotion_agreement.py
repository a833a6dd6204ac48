"""Agreement of observers: against published numbers, other programs and plain loops."""

from itertools import permutations

import numpy as np
import pytest

from bidsface_emotion_cnn.agreement import (
    class_alphas,
    krippendorff_alpha,
    measure_agreement,
    observer_pairs,
)

SEED = np.random.SeedSequence(1)

TEXTBOOK = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]
"""Example D of Krippendorff, Computing Krippendorff's alpha-reliability (2011)."""


def textbook():
    rows = [line.replace(".", "0").split() for line in TEXTBOOK]
    return np.array(rows, dtype=np.int64) - 1


def noisy(rng, n_observers=6, n_units=200, n_classes=4, agreement=0.6, missing=0.3):
    """Observers who note the truth, or anything, or nothing."""
    truth = rng.integers(n_classes, size=n_units)
    anything = rng.integers(n_classes, size=(n_observers, n_units))
    codes = np.where(rng.random(anything.shape) < agreement, truth, anything)
    return np.where(rng.random(anything.shape) < missing, -1, codes)


def measured(codes, n_classes=4, **given):
    options = {"block": 10, "resamples": 300, "level": 0.95, "seed": SEED, **given}
    return measure_agreement(codes, n_classes, **options)


def plain_alpha(codes):
    """1 - observed / expected disagreement, from the pairs themselves."""
    units = [unit[unit >= 0].tolist() for unit in codes.T]
    units = [unit for unit in units if len(unit) > 1]
    labels = [label for unit in units for label in unit]
    observed = sum(
        sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units
    ) / len(labels)
    expected = sum(a != b for a, b in permutations(labels, 2))
    return 1 - observed / (expected / (len(labels) * (len(labels) - 1)))


def test_alpha_of_the_textbook():
    assert krippendorff_alpha(textbook(), 5) == pytest.approx(0.743, abs=5e-4)


def test_alpha_equals_plain_loops():
    codes = noisy(np.random.default_rng(0), n_units=40)
    assert krippendorff_alpha(codes, 4) == pytest.approx(plain_alpha(codes), abs=1e-12)
    for code, alpha in enumerate(class_alphas(codes, 4)):
        against_rest = np.where(codes < 0, -1, codes == code)
        assert alpha == pytest.approx(plain_alpha(against_rest), abs=1e-12)


def test_alpha_equals_the_package_krippendorff():
    krippendorff = pytest.importorskip("krippendorff")
    rng = np.random.default_rng(1)
    for missing in (0.0, 0.4, 0.9):
        codes = noisy(rng, missing=missing)
        data = np.where(codes < 0, np.nan, codes)
        expected = krippendorff.alpha(data, level_of_measurement="nominal")
        assert krippendorff_alpha(codes, 4) == pytest.approx(expected, abs=1e-10)


def test_perfect_and_absent_agreement():
    rng = np.random.default_rng(2)
    truth = rng.integers(4, size=300)
    assert krippendorff_alpha(np.tile(truth, (5, 1)), 4) == 1.0
    nothing = noisy(rng, agreement=0.0, n_units=2000)
    found = measured(nothing)
    assert abs(found.alpha[0]) < 0.03
    assert (np.abs(found.alpha) < 0.05).all()
    assert ((found.low < 0) & (found.high > 0)).sum() >= 4
    opposed = np.array([[0, 1] * 50, [1, 0] * 50])
    assert krippendorff_alpha(opposed, 2) < -0.9


def test_no_alpha_of_a_single_class_or_observer():
    assert np.isnan(krippendorff_alpha(np.zeros((3, 10), np.int64), 1))
    alone = np.full((3, 10), -1)
    alone[0] = np.arange(10) % 2
    found = measured(alone, 2, block=1)
    for values in (found.alpha, found.low, found.high, found.observed):
        assert np.isnan(values).all()
    assert found.n_units == 0
    # A class that nobody noted has none, the others do.
    found = measured(noisy(np.random.default_rng(3), n_classes=3), 4)
    np.testing.assert_array_equal(np.isnan(found.alpha), [False] * 4 + [True])
    np.testing.assert_array_equal(np.isnan(found.low), np.isnan(found.alpha))


def test_observed_agreement_counts_pairs():
    codes = noisy(np.random.default_rng(4), n_units=60)
    units = [unit[unit >= 0] for unit in codes.T]
    pairs = [pair for unit in units for pair in permutations(unit.tolist(), 2)]
    found = measured(codes)
    assert found.observed[0] == pytest.approx(np.mean([a == b for a, b in pairs]))
    for code in range(4):
        own = [b == code for a, b in pairs if a == code]
        assert found.observed[1 + code] == pytest.approx(np.mean(own))
    assert found.n_units == sum(len(unit) > 1 for unit in units)
    assert found.n_blocks == 6


def test_pairs_of_observers_equal_plain_loops():
    codes = noisy(np.random.default_rng(5), n_observers=4, n_units=50)
    codes[3] = -1
    found = observer_pairs(codes)
    for first in range(3):
        for second in range(3):
            both = (codes[first] >= 0) & (codes[second] >= 0)
            expected = np.mean(codes[first][both] == codes[second][both])
            assert found[first, second] == pytest.approx(expected)
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()


def test_intervals_know_that_neighbours_are_alike():
    """Labels that last 20 units: single units as blocks promise far too much."""
    rng = np.random.default_rng(6)
    codes = np.repeat(noisy(rng, n_units=60), 20, axis=1)
    narrow, wide = (measured(codes, block=block) for block in (1, 60))
    np.testing.assert_allclose(narrow.alpha, wide.alpha)
    assert (wide.high - wide.low)[0] > 2.5 * (narrow.high - narrow.low)[0]
    assert wide.low[0] < wide.alpha[0] < wide.high[0]


def test_intervals_cover_the_truth():
    rng = np.random.default_rng(7)
    truth = krippendorff_alpha(noisy(rng, n_units=50_000, agreement=0.5), 4)
    covered = [
        found.low[0] <= truth <= found.high[0]
        for found in (measured(noisy(rng, n_units=150, agreement=0.5), block=1) for _ in range(60))
    ]
    assert 0.85 <= np.mean(covered) <= 1.0


def test_a_seed_gives_the_same_interval_and_none_without_resamples():
    codes = noisy(np.random.default_rng(8))
    first, again, other = (measured(codes, seed=np.random.SeedSequence(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.low, again.low)
    assert (first.low != other.low).any()
    none = measured(codes, resamples=0)
    assert np.isnan(none.low).all()
    np.testing.assert_array_equal(none.alpha, first.alpha)
