"""Similarity of RDMs, Mantel tests, noise ceilings and bootstraps: references, levels, effects."""

import warnings
from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from bidsface.numerics import mantel
from bidsface.numerics.rdm_bootstrap import _Data, _stream
from bidsface.numerics.rdm_comparison import (
    STATISTICS,
    bootstrap_comparison,
    compare_rdms,
    condition_orders,
    mantel_test,
    noise_ceiling,
    partial_mantel_test,
    partial_similarities,
)

NAMES = {"pearson": "corr", "spearman": "spearman", "kendall": "tau-a", "cosine": "cosine"}


@pytest.fixture(scope="module")
def toolbox():
    """What is compared with; the import of rsatoolbox warns of other libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("rsatoolbox")


def some_rdms(n, n_conditions=5, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    rdms = np.stack([pdist(rng.standard_normal((n_conditions, 6))) for _ in range(n)])
    return np.round(rdms) if ties else rdms


@pytest.mark.parametrize("statistic", NAMES)
@pytest.mark.parametrize("ties", [False, True])
def test_similarities_equal_rsatoolbox(toolbox, statistic, ties):
    from rsatoolbox.rdm import compare

    first, second = some_rdms(4, ties=ties), some_rdms(3, seed=1, ties=ties)
    expected = compare(first, second, method=NAMES[statistic])
    np.testing.assert_allclose(compare_rdms(first, second, statistic), expected, atol=1e-12)
    assert compare_rdms(first[0], second[1], statistic) == pytest.approx(expected[0, 1])


@pytest.mark.parametrize("statistic", NAMES)
def test_missing_pairs_are_left_out(statistic):
    first, second = some_rdms(1)[0], some_rdms(1, seed=1)[0]
    kept = np.arange(10) != 3
    expected = compare_rdms(first[kept], second[kept], statistic)
    lacking = np.where(kept, first, np.nan)
    assert compare_rdms(lacking, second, statistic) == pytest.approx(float(expected))
    # The vectors of single RDMs know of missing pairs, too.
    vectors = STATISTICS[statistic].vectors(np.stack([lacking, np.where(kept, second, np.nan)]))
    assert vectors[0] @ vectors[1] == pytest.approx(float(expected))


@pytest.mark.parametrize("statistic", NAMES)
def test_flat_rdms_have_no_similarity(statistic):
    flat = np.zeros(10) if statistic == "cosine" else np.full(10, 0.1)
    assert np.isnan(compare_rdms(flat, some_rdms(1)[0], statistic))
    assert np.isnan(mantel_test(flat, some_rdms(1)[0], statistic=statistic, seed=0).p)
    assert np.isnan(compare_rdms([1.0, 2.0, np.nan], [1.0, 2.0, 3.0], statistic))


def loop_p(first, second, statistic, tail):
    """Share of all orders, one by one, from whole matrices."""
    matrix, r = squareform(second), float(compare_rdms(first, second, statistic))
    values = []
    for order in permutations(range(len(matrix))):
        permuted = squareform(matrix[np.ix_(order, order)])
        values.append(float(compare_rdms(first, permuted, statistic)))
    null = np.array(values)
    signed = {"greater": null - r, "less": r - null, "two-sided": np.abs(null) - abs(r)}
    return r, (signed[tail] >= -1e-12).mean()


@pytest.mark.parametrize("statistic", NAMES)
@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
def test_five_conditions_are_enumerated(statistic, tail):
    first, second = some_rdms(2, seed=5)
    found = mantel_test(first, second, statistic=statistic, n_permutations=120, seed=0, tail=tail)
    r, p = loop_p(first, second, statistic, tail)
    assert found.r == pytest.approx(r)
    assert found.p == pytest.approx(p)
    assert found.p * 120 == pytest.approx(round(found.p * 120))
    assert found.exhaustive
    assert (found.n_permutations, found.smallest_p) == (120, 1 / 120)
    assert np.isclose(found.null, found.r).any()


def test_ties_of_a_categorical_model_limit_p():
    model = np.array([0, 0, 1, 1, 0, 1, 1, 1, 1, 0], float)  # three conditions and two others
    found = mantel_test(model, model, n_permutations=10_000, seed=0)
    assert found.p == found.smallest_p == 12 / 120
    assert found.r == pytest.approx(1.0)
    drawn = mantel_test(model, model, n_permutations=119, seed=0)
    assert not drawn.exhaustive
    assert drawn.p == drawn.smallest_p
    assert 0.03 < drawn.p < 0.2


def test_random_orders_do_not_depend_on_pieces(monkeypatch):
    first, second = some_rdms(2, n_conditions=8, seed=6)
    once = mantel_test(first, second, statistic="kendall", n_permutations=500, seed=3)
    monkeypatch.setattr(mantel, "CHUNK", 7 * 378)
    again = mantel_test(first, second, statistic="kendall", n_permutations=500, seed=3)
    np.testing.assert_allclose(once.null, again.null, atol=1e-12)
    assert not once.exhaustive
    assert once.n_permutations == 500
    assert once.p == (1 + (once.null >= once.r - 1e-12).sum()) / 501
    whole = np.concatenate(list(condition_orders(5, 50, 1)))
    pieces = np.concatenate(list(condition_orders(5, 50, 1, size=7)))
    np.testing.assert_array_equal(whole, pieces)


def test_several_rdms_share_their_orders():
    rdms, model = some_rdms(3, seed=7), some_rdms(1, seed=8)[0]
    found = mantel_test(rdms, model, n_permutations=120, seed=0)
    each = [mantel_test(one, model, n_permutations=120, seed=0) for one in rdms]
    np.testing.assert_allclose(found.null, np.mean([one.null for one in each], axis=0))
    assert found.r == pytest.approx(np.mean([one.r for one in each]))


@pytest.mark.parametrize("statistic", ["spearman", "pearson"])
def test_mantel_with_missing_pairs(statistic):
    first, second = some_rdms(2, seed=5)
    first[2] = np.nan
    found = mantel_test(first, second, statistic=statistic, n_permutations=120, seed=0)
    r, p = loop_p(first, second, statistic, "greater")
    assert found.r == pytest.approx(r)
    assert found.p == pytest.approx(p)


def test_mantel_holds_its_level_and_finds_an_effect():
    rng = np.random.default_rng(9)
    model = pdist(rng.standard_normal((6, 2)))
    p = [
        mantel_test(pdist(rng.standard_normal((6, 4))), model, n_permutations=720, seed=0).p
        for _ in range(300)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.10
    noisy = model + 0.1 * rng.standard_normal(15)
    assert mantel_test(noisy, model, n_permutations=720, seed=0).p <= 0.01


def partial_loop(first, second, third):
    """Partial correlation by regression."""
    design = np.column_stack([np.ones(len(third)), third])
    left = [one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in (first, second)]
    return np.corrcoef(*left)[0, 1]


def test_partial_mantel_equals_regression():
    first, second, third = some_rdms(3, seed=10)
    design = np.column_stack([np.ones(10), third])
    fitted = design @ np.linalg.lstsq(design, second, rcond=None)[0]
    residual = squareform(second - fitted, checks=False)
    null = [
        partial_loop(first, fitted + squareform(residual[np.ix_(o, o)], checks=False), third)
        for o in permutations(range(5))
    ]
    found = partial_mantel_test(first, second, third, n_permutations=120, seed=0)
    np.testing.assert_allclose(found.null, null, atol=1e-10)
    assert found.r == pytest.approx(partial_loop(first, second, third))
    assert found.p == pytest.approx(np.mean(np.array(null) >= found.r - 1e-12))
    several = partial_similarities(np.stack([first, second]), second, third)
    np.testing.assert_allclose(several, [found.r, 1.0])
    two = partial_similarities(first, second, np.stack([third, some_rdms(1, seed=20)[0]]))
    design = np.column_stack([design, some_rdms(1, seed=20)[0]])
    left = [one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in (first, second)]
    assert two[0] == pytest.approx(np.corrcoef(*left)[0, 1])
    ranked = [stats.rankdata(one) for one in (first, second, third)]
    spearman = partial_mantel_test(
        first, second, third, statistic="spearman", n_permutations=120, seed=0
    )
    assert spearman.r == pytest.approx(partial_loop(*ranked))


def test_partial_mantel_tells_what_a_control_explains():
    rng = np.random.default_rng(11)
    control, unique = rng.standard_normal((2, 8, 3))
    third = pdist(control)
    second = third + 0.3 * pdist(unique)
    plain = mantel_test(third, second, n_permutations=400, seed=0)
    given = partial_mantel_test(
        third + 0.05 * rng.random(28), second, third, n_permutations=400, seed=0
    )
    assert plain.p <= 0.01
    assert given.p > 0.05
    both = partial_mantel_test(third + pdist(unique), second, third, n_permutations=400, seed=0)
    assert both.p <= 0.01


@pytest.mark.parametrize("statistic", NAMES)
@pytest.mark.parametrize("n", [2, 6])
def test_noise_ceiling_equals_rsatoolbox(toolbox, statistic, n):
    from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs

    rdms = some_rdms(n, seed=12, ties=True) + some_rdms(1, seed=13)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ranks are averaged for tau-a
        expected = boot_noise_ceiling(RDMs(rdms), method=NAMES[statistic])
    np.testing.assert_allclose(noise_ceiling(rdms, statistic), expected, atol=1e-12)


def test_noise_ceiling_knows_its_limits():
    rdms = some_rdms(5)
    lower, upper = noise_ceiling(rdms)
    assert lower < upper
    assert np.isnan(noise_ceiling(rdms[:1])).all()
    assert noise_ceiling(np.tile(rdms[0], (3, 1))) == pytest.approx((1.0, 1.0))
    lacking = rdms.copy()
    lacking[0, 1] = np.nan
    kept = np.arange(10) != 1
    assert noise_ceiling(lacking) == pytest.approx(noise_ceiling(rdms[:, kept]))


def test_bootstrap_over_participants_is_that_of_means():
    rng = np.random.default_rng(14)
    models = some_rdms(2, seed=15)
    rdms = models[0] + 0.5 * rng.standard_normal((12, 10))
    found = bootstrap_comparison(rdms, models, n_draws=4000, seed=1, over="participants")
    own = compare_rdms(rdms, models)
    np.testing.assert_allclose(found.value, own.mean(axis=0))
    error = own.std(axis=0, ddof=1) / np.sqrt(12)
    half = stats.t.ppf(0.975, 11)
    np.testing.assert_allclose(found.high - found.low, 2 * half * error, rtol=0.1)
    difference = own[:, 0] - own[:, 1]
    width = found.difference_high[0, 1] - found.difference_low[0, 1]
    assert width == pytest.approx(2 * half * difference.std(ddof=1) / np.sqrt(12), rel=0.1)
    assert found.difference_low[0, 1] == pytest.approx(-found.difference_high[1, 0])
    assert found.difference_low[0, 0] == found.difference_high[0, 0] == 0
    assert found.n_used == 4000


@pytest.mark.parametrize("statistic", NAMES)
def test_bootstrap_over_conditions_leaves_out_pairs_of_a_condition_with_itself(statistic):
    """One draw after the other, from whole matrices."""
    rdms, models = some_rdms(3, n_conditions=6, seed=16), some_rdms(2, n_conditions=6, seed=17)
    data = _Data(rdms, models, statistic)
    drawn = np.array([[0, 1, 2, 3, 3, 5], [4, 4, 4, 1, 2, 2], [0, 0, 0, 0, 1, 1]])
    found = data._similarities(drawn)
    for order, own in zip(drawn[:2], found[:2], strict=True):
        pairs = [(i, j) for i in range(6) for j in range(i + 1, 6) if order[i] != order[j]]
        first, second = (
            np.array([[squareform(one)[order[i], order[j]] for i, j in pairs] for one in stack])
            for stack in (rdms, models)
        )
        np.testing.assert_allclose(own, compare_rdms(first, second, statistic), atol=1e-12)
    assert np.isnan(found[2]).all()


def test_bootstrap_over_both_equals_the_formula():
    models, rng = some_rdms(2, n_conditions=8, seed=18), np.random.default_rng(19)
    rdms = models[0] + rng.standard_normal((6, 28))
    options = {"n_draws": 400, "seed": 2}
    both, people, conditions = (
        bootstrap_comparison(rdms, models, over=over, **options)
        for over in ("both", "participants", "conditions")
    )
    assert (both.high - both.low > people.high - people.low).all()
    data = _Data(rdms, models, "pearson")
    v_both, v_people, v_conditions = (
        data.draw(kind, 400, _stream(2, kind)).var(axis=0, ddof=1)
        for kind in ("both", "participants", "conditions")
    )
    n, k = 6 / 5, 8 / 7
    variance = n * v_people + k * v_conditions - n * k * (v_both - v_people - v_conditions)
    least = np.maximum(n * v_people, k * v_conditions)
    variance = np.minimum(np.maximum(variance, least), v_both)
    half = stats.t.ppf(0.975, 5) * np.sqrt(variance)
    np.testing.assert_allclose(both.low, np.maximum(both.value - half, -1))
    np.testing.assert_allclose(both.high, np.minimum(both.value + half, 1))
    half = stats.t.ppf(0.975, 7) * np.sqrt(k * v_conditions)
    np.testing.assert_allclose(conditions.low, np.maximum(conditions.value - half, -1))
    again = bootstrap_comparison(rdms, models, over="both", **options)
    np.testing.assert_array_equal(both.low, again.low)
    # Two kinds of draws of one factor each have streams of their own.
    assert not np.array_equal(people.low, conditions.low)


def test_bootstrap_without_enough_to_draw_from():
    found = bootstrap_comparison(
        some_rdms(1), some_rdms(2, seed=3), n_draws=20, seed=0, over="participants"
    )
    assert np.isnan(found.low).all()
    assert np.isfinite(found.value).all()
    few = bootstrap_comparison(
        some_rdms(4, 3), some_rdms(1, 3, seed=3), n_draws=20, seed=0, over="both"
    )
    assert np.isnan(few.high).all()
    assert few.n_used == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mantel_test(np.ones(10), np.ones(6), seed=0), "do not fit"),
        (lambda: mantel_test(np.ones(10), np.full(10, np.nan), seed=0), "lacks pairs"),
        (lambda: mantel_test(np.full(10, np.nan), np.arange(10.0), seed=0), "3 needed"),
        (lambda: mantel_test(np.ones(7), np.ones(7), seed=0), "not the pairs of any"),
        (
            lambda: partial_mantel_test(
                np.ones(10), np.ones(10), np.ones(10), statistic="kendall", seed=0
            ),
            "pearson or spearman",
        ),
        (
            lambda: partial_mantel_test(np.ones(10), np.arange(10.0), np.full(10, np.nan), seed=0),
            "need all pairs",
        ),
        (
            lambda: partial_mantel_test(np.arange(10.0), np.arange(10.0), np.ones(10), seed=0),
            "control RDM does not vary",
        ),
        (lambda: bootstrap_comparison(np.ones(10), np.ones(10), seed=0), "do not fit"),
        (
            lambda: bootstrap_comparison(np.full((2, 10), np.nan), np.ones(10), seed=0),
            "needs all pairs",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("statistic", ["spearman", "kendall"])
def test_rounding_breaks_no_ties(statistic):
    """Distances of equally spaced numbers: three sorts of ties that rounding would take apart."""
    steps = pdist(np.array([[0.1], [0.2], [0.3], [0.4], [0.5]]))
    exact = pdist(np.array([[1.0], [2], [3], [4], [5]]))
    assert len(set(steps)) > len(set(exact)) == 4
    rdms = np.random.default_rng(0).random((6, 10))
    for scale in (1.0, 1e-9, 1e9):
        np.testing.assert_allclose(
            compare_rdms(rdms, scale * steps, statistic), compare_rdms(rdms, exact, statistic)
        )
    own = compare_rdms(steps, exact, statistic)
    assert own == pytest.approx(compare_rdms(exact, exact, statistic))
    if statistic == "spearman":
        assert own == pytest.approx(1.0)
    test = mantel_test(exact, steps, statistic=statistic, seed=0)
    assert test.p == test.smallest_p == pytest.approx(2 / 120)
