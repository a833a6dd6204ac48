"""RDMs against rsatoolbox and plain loops, noise normalization, and places in a plane."""

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from bidsface.numerics.dissimilarity import (
    classical_scaling,
    correlation_rdm,
    count_conditions,
    crossnobis_rdm,
    euclidean_rdm,
    square,
)
from bidsface.numerics.whitening import diagonal_whitening, no_whitening, shrinkage_whitening

N_FOLDS, N_CONDITIONS, N_FEATURES = 4, 5, 30


@pytest.fixture(scope="module")
def toolbox():
    """rsatoolbox's RDM of patterns, by its method; its import warns of other libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("rsatoolbox")
        from rsatoolbox.data import Dataset
        from rsatoolbox.data.noise import prec_from_residuals
        from rsatoolbox.rdm import calc_rdm

    def rdm(patterns, method, noise=None):
        *folds, n, p = patterns.shape
        rows = patterns.reshape(-1, p)
        names = {
            "condition": np.tile(np.arange(n), len(rows) // n),
            "fold": np.repeat(np.arange(len(rows) // n), n),
        }
        options = {"cv_descriptor": "fold"} if folds else {}
        data = Dataset(rows.copy(), obs_descriptors=names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it casts NaN to integers
            found = calc_rdm(data, method=method, descriptor="condition", noise=noise, **options)
        return found.get_vectors()[0]

    rdm.precision = prec_from_residuals
    return rdm


def make_patterns(seed=0, level=3.0):
    """Patterns of folds whose conditions differ, on a level of their own."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((N_CONDITIONS, N_FEATURES))
    noise = rng.standard_normal((N_FOLDS, N_CONDITIONS, N_FEATURES))
    return level + means + noise


def make_residuals(n=40, p=N_FEATURES, seed=1):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((p, p)) / np.sqrt(p)
    return rng.standard_normal((n, p)) @ mixing + 0.3 * rng.standard_normal((n, p))


def test_correlation_and_euclidean_equal_rsatoolbox(toolbox):
    patterns = make_patterns()
    for one in patterns:
        np.testing.assert_allclose(correlation_rdm(one), toolbox(one, "correlation"), atol=1e-10)
        np.testing.assert_allclose(euclidean_rdm(one), toolbox(one, "euclidean"), atol=1e-10)
    stacked = np.stack([correlation_rdm(one) for one in patterns])
    np.testing.assert_allclose(correlation_rdm(patterns), stacked, atol=1e-14)


def test_mahalanobis_and_crossnobis_equal_rsatoolbox(toolbox):
    patterns, residuals = make_patterns(), make_residuals()
    for method, whitening in (
        ("shrinkage_eye", shrinkage_whitening(residuals, 37)),
        ("diag", diagonal_whitening(residuals, 37)),
    ):
        noise = toolbox.precision(residuals, dof=37, method=method)
        expected = toolbox(patterns[0], "mahalanobis", noise)
        np.testing.assert_allclose(euclidean_rdm(patterns[0], whitening), expected, rtol=1e-9)
        expected = toolbox(patterns, "crossnobis", noise)
        np.testing.assert_allclose(crossnobis_rdm(patterns, whitening), expected, atol=1e-9)
    expected = toolbox(patterns, "crossnobis")
    np.testing.assert_allclose(crossnobis_rdm(patterns), expected, atol=1e-10)


@pytest.mark.parametrize("p", [1, 12, 80])
def test_shrinkage_equals_the_precision_of_ledoit_and_wolf(p):
    """Few and many features: the covariance itself is never made."""
    from sklearn.covariance import ledoit_wolf

    residuals = make_residuals(25, p)
    covariance = ledoit_wolf(residuals)[0] * 25 / 20
    patterns = np.random.default_rng(2).standard_normal((4, p))
    white = shrinkage_whitening(residuals, 20)(patterns)
    expected = patterns @ np.linalg.inv(covariance) @ patterns.T
    np.testing.assert_allclose(white @ white.T, expected, rtol=1e-9, atol=1e-9)


def test_correlation_of_whitened_patterns():
    patterns, residuals = make_patterns()[0], make_residuals()
    white = shrinkage_whitening(residuals)
    expected = pdist(white(patterns), "correlation")
    np.testing.assert_allclose(correlation_rdm(patterns, white), expected, atol=1e-12)
    np.testing.assert_array_equal(no_whitening(N_FEATURES)(patterns), patterns)


def test_plain_distance_and_a_large_level():
    patterns = make_patterns(level=1e6)[0]
    expected = pdist(patterns)
    np.testing.assert_allclose(euclidean_rdm(patterns, plain=True), expected, rtol=1e-9)
    np.testing.assert_allclose(euclidean_rdm(patterns), expected**2 / N_FEATURES, rtol=1e-9)


def test_patterns_that_do_not_vary_have_no_correlation():
    patterns = make_patterns()[0]
    patterns[1] = 0.1
    found = square(correlation_rdm(patterns))
    assert np.isnan(found[1, [0, 2, 3, 4]]).all()
    assert np.isfinite(found[0, [2, 3, 4]]).all()
    np.testing.assert_array_equal(np.diag(found), 0)


def test_crossnobis_is_unbiased_and_finds_what_is_planted():
    rng = np.random.default_rng(3)
    means = np.zeros((3, 20))
    means[2, :10] = 1.0
    noise = rng.standard_normal((400, 3, 3, 20))
    found = np.stack([crossnobis_rdm(means + own) for own in noise])
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - [0, 0.5, 0.5]), 4 * error)
    assert (found[:, 0] < 0).any()


def test_crossnobis_uses_the_folds_that_have_both_conditions():
    patterns, white = make_patterns(), shrinkage_whitening(make_residuals())
    lacking = patterns.copy()
    lacking[0, 1] = np.nan
    lacking[1, 1] = np.nan
    lacking[2, 4] = np.nan
    lacking[3, 4] = np.nan
    found = square(crossnobis_rdm(lacking, white))
    assert np.isnan(found[1, 4])
    for pair, folds in (((0, 1), [2, 3]), ((0, 2), [0, 1, 2, 3]), ((3, 4), [0, 1])):
        expected = crossnobis_rdm(patterns[folds][:, list(pair)], white)
        np.testing.assert_allclose(found[pair], expected[0], rtol=1e-10)


def test_places_reproduce_squared_distances():
    points = np.random.default_rng(4).standard_normal((6, 2))
    places, share = classical_scaling(pdist(points) ** 2)
    np.testing.assert_allclose(pdist(places), pdist(points), rtol=1e-9)
    assert share == pytest.approx(1.0)
    flat, share = classical_scaling(pdist(points[:, :1]) ** 2)
    np.testing.assert_allclose(flat[:, 1], 0, atol=1e-7)
    assert share == pytest.approx(1.0)
    nothing, share = classical_scaling(np.zeros(3))
    np.testing.assert_array_equal(nothing, 0)
    assert np.isnan(share)


def test_order_of_pairs_is_that_of_squareform():
    rdm = np.arange(1.0, 11.0)
    np.testing.assert_array_equal(square(rdm), squareform(rdm))
    assert [count_conditions(n) for n in (1, 3, 6, 10, 190)] == [2, 3, 4, 5, 20]
    with pytest.raises(ValueError, match="7 dissimilarities are not the pairs"):
        count_conditions(7)


@pytest.mark.parametrize(
    ("residuals", "message"),
    [
        (np.zeros((5, 3)), "does not vary"),
        (np.ones((1, 3)), "leave 0 degrees of freedom"),
    ],
)
def test_noise_that_cannot_be_estimated_is_refused(residuals, message):
    with pytest.raises(ValueError, match=message):
        shrinkage_whitening(residuals)
    with pytest.raises(ValueError, match=message):
        diagonal_whitening(residuals)
