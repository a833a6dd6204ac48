"""Calibration of probabilities: references, identities, planted temperatures."""

import numpy as np
import pytest
from scipy import optimize, special
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from bidsface_emotion_cnn.calibration import (
    COLDEST,
    HOTTEST,
    Brier,
    Calibration,
    Reliability,
    apply_temperature,
    fit_temperature,
    log_loss,
    scale_folds,
)


def draw(n=3000, n_classes=4, sharpness=1.5, seed=0):
    """Return probabilities, and classes that are drawn by them."""
    rng = np.random.default_rng(seed)
    probabilities = special.softmax(sharpness * rng.standard_normal((n, n_classes)), axis=1)
    steps = probabilities.cumsum(axis=1)
    return probabilities, (steps < rng.random((n, 1))).sum(axis=1).clip(max=n_classes - 1)


@pytest.mark.parametrize("digits", [12, 1])
def test_bins_of_equal_width_are_those_of_scikit_learn(digits):
    rng = np.random.default_rng(1)
    confidence = np.round(rng.random(400), digits)
    correct = rng.random(400) < confidence
    found = Reliability.of(confidence, correct, 10)
    true, mean = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose(found.accuracy, true)
    np.testing.assert_allclose(found.confidence, mean)
    assert found.counts.sum() == 400


def test_bins_of_equal_mass():
    rng = np.random.default_rng(2)
    confidence = rng.random(120) ** 3
    found = Reliability.of(confidence, rng.random(120) < 0.5, 8, "mass")
    assert found.counts.tolist() == 8 * [15]
    assert (np.diff(found.confidence) > 0).all()
    tied = Reliability.of(np.repeat([0.2, 0.4], [3, 5]), np.ones(8), 4, "mass")
    assert tied.counts.tolist() == [3, 5]


def test_expected_error_by_hand():
    confidence = np.array([0.55, 0.65, 0.95, 0.85])
    found = Reliability.of(confidence, np.array([True, False, True, True]), 2)
    assert found.bins.tolist() == [1]
    assert found.expected_error == pytest.approx(0.0)
    found = Reliability.of(confidence, np.array([True, False, True, True]), 4)
    assert found.expected_error == pytest.approx(0.5 * abs(0.6 - 0.5) + 0.5 * abs(0.9 - 1.0))
    assert found.largest_error == pytest.approx(0.1)


def test_who_says_the_truth_is_calibrated_and_who_exaggerates_is_not():
    probabilities, codes = draw()
    honest = Calibration.of(probabilities, codes)
    bold = Calibration.of(apply_temperature(probabilities, 0.3), codes)
    for binning in ("width", "mass"):
        assert getattr(honest, binning).expected_error < 0.04
        assert getattr(bold, binning).expected_error > 0.15
    assert honest.brier.score < bold.brier.score
    assert honest.brier.reliability < 0.02 < bold.brier.reliability
    assert honest.log_loss < bold.log_loss


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_brier_score_and_its_parts(binning):
    probabilities, codes = draw(300, 3)
    found = Brier.of(probabilities, codes, 7, binning)
    theirs = sum(brier_score_loss(codes == code, probabilities[:, code]) for code in range(3))
    assert found.score == pytest.approx(theirs)
    total = found.reliability - found.resolution + found.uncertainty + found.within
    assert total == pytest.approx(found.score)
    assert found.resolution > 0.05


def test_brier_score_of_overall_frequencies_is_the_uncertainty():
    codes = np.repeat([0, 1, 2], [20, 30, 50])
    found = Brier.of(np.tile([0.2, 0.3, 0.5], (100, 1)), codes)
    assert found.score == pytest.approx(found.uncertainty)
    assert found.uncertainty == pytest.approx(1 - 0.04 - 0.09 - 0.25)
    assert abs(found.reliability) + abs(found.resolution) + abs(found.within) < 1e-12


def test_log_loss_is_that_of_scikit_learn():
    probabilities, codes = draw(200, 3)
    assert log_loss(probabilities, codes) == pytest.approx(sklearn_log_loss(codes, probabilities))
    assert np.isfinite(log_loss(np.eye(3), np.array([1, 1, 2])))


@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_temperature_is_recovered(planted):
    probabilities, codes = draw(4000, 5, seed=3)
    distorted = apply_temperature(probabilities, 1 / planted)
    found = fit_temperature(distorted, codes)
    assert found == pytest.approx(planted, rel=0.06)
    np.testing.assert_array_equal(
        apply_temperature(distorted, found).argmax(axis=1), distorted.argmax(axis=1)
    )

    def loss(log_temperature):
        return log_loss(apply_temperature(distorted, np.exp(log_temperature)), codes)

    best = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    assert np.log(found) == pytest.approx(best.x, abs=1e-3)


def test_scaled_probabilities_are_those_of_scaled_scores():
    scores = np.random.default_rng(4).standard_normal((6, 3))
    found = apply_temperature(special.softmax(scores, axis=1), 2.5)
    np.testing.assert_allclose(found, special.softmax(scores / 2.5, axis=1))


def test_temperatures_without_an_optimum_stay_in_their_range():
    sure = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    assert fit_temperature(sure, np.array([0, 1])) == COLDEST
    assert fit_temperature(sure, np.array([1, 0])) == HOTTEST
    assert fit_temperature(sure[:0], np.array([], dtype=int)) == 1.0
    certain = np.eye(2, dtype=np.float32)
    assert np.isfinite(apply_temperature(certain, fit_temperature(certain, np.array([0, 0])))).all()


def test_every_fold_has_a_temperature_of_its_own():
    (first, codes), (second, others) = (draw(2000, 3, seed=seed) for seed in (5, 6))
    bold = apply_temperature(second, 0.5)
    scaled, temperatures = scale_folds([first, bold], [first, bold], [codes, others])
    np.testing.assert_allclose(temperatures, [1, 2], rtol=0.15)
    np.testing.assert_allclose(scaled[1], apply_temperature(bold, temperatures[1]))
    assert log_loss(scaled[1], others) < log_loss(bold, others)
