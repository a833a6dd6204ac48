"""The baseline in inner products equals scikit-learn's logistic regression on the voxels."""

import subprocess
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from network_volumes import thirds, wave_volumes
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from bidsface_emotion_cnn import logistic_baseline
from bidsface_emotion_cnn.logistic_baseline import (
    PENALTIES,
    baseline_probabilities,
    fit_baseline,
    inner_products,
)


@pytest.fixture(scope="module")
def volumes():
    """Make volumes with a pattern of each class that is always at the same place."""
    found = wave_volumes(n_per_class=32, shape=(4, 5, 3), strength=0.0)
    patterns = np.random.default_rng(1).standard_normal((3, 4, 5, 3))
    data = found.data + 0.4 * patterns[found.codes] + 2
    return replace(found, data=data.astype(np.float32))


def voxels(volumes, index):
    return volumes.data[index].reshape(len(index), -1).astype(float)


def reference(volumes, train, penalty, balanced=False):
    """Fit to the raw voxels; the penalty is in the scale of the publication's own software."""
    X = voxels(volumes, train)
    squared = ((X - X.mean(0)) ** 2).sum(1).mean()
    return LogisticRegression(
        C=1 / (penalty * len(train) * squared),
        tol=1e-10,
        max_iter=20_000,
        class_weight="balanced" if balanced else None,
    ).fit(X, volumes.codes[train])


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("penalty", [1e-1, 1e-3])
def test_equals_the_regression_on_voxels(volumes, penalty, balanced):
    train, validation, test = thirds(volumes)
    train = train[:-9]
    found = baseline_probabilities(
        volumes, train, validation, test, penalties=[penalty], balanced=balanced
    )
    wanted = reference(volumes, train, penalty, balanced).predict_proba(voxels(volumes, test))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(found, axis=0).min() > 0.1


def test_penalty_is_the_best_on_the_validation_part(volumes):
    train, validation, test = thirds(volumes)
    losses = [
        log_loss(
            volumes.codes[validation],
            reference(volumes, train, penalty).predict_proba(voxels(volumes, validation)),
        )
        for penalty in PENALTIES
    ]
    products = inner_products(volumes)
    found = fit_baseline(products, volumes.codes, 3, train, validation, test)
    best = PENALTIES[int(np.argmin(losses))]
    assert found.penalty == best
    assert 0 < PENALTIES.index(best) < len(PENALTIES) - 1
    assert found.converged
    wanted = reference(volumes, train, best).predict_proba(voxels(volumes, test))
    np.testing.assert_allclose(found.probabilities, wanted, atol=1e-4)
    # Without a validation part it is the one in the middle.
    none = fit_baseline(products, volumes.codes, 3, train, validation[:0], test)
    assert none.penalty == PENALTIES[3]


def test_test_volumes_have_no_part_in_it(volumes):
    train, validation, test = thirds(volumes)
    codes = volumes.codes.copy()
    codes[test] = (codes[test] + 1) % 3
    np.testing.assert_array_equal(
        baseline_probabilities(volumes, train, validation, test),
        baseline_probabilities(replace(volumes, codes=codes), train, validation, test),
    )


def test_learns_what_is_there_and_nothing_else(volumes):
    train, validation, test = thirds(volumes)
    found = baseline_probabilities(volumes, train, validation, test)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert np.mean(found.argmax(1) == volumes.codes[test]) > 0.8
    accuracies = []
    for seed in range(10):
        codes = np.random.default_rng(seed).permutation(volumes.codes)
        null = replace(volumes, codes=codes)
        answers = baseline_probabilities(null, train, validation, test).argmax(1)
        accuracies.append(np.mean(answers == codes[test]))
    # 240 answers: chance is 0.33, its standard deviation 0.03.
    assert abs(np.mean(accuracies) - 1 / 3) < 0.1


def test_inner_products_do_not_depend_on_how_they_are_read(volumes, monkeypatch):
    X = voxels(volumes, np.arange(len(volumes)))
    X -= X.mean(0)
    np.testing.assert_allclose(inner_products(volumes), X @ X.T, atol=1e-9)
    whole = inner_products(volumes)
    monkeypatch.setattr(logistic_baseline, "SLAB_BYTES", 1)
    np.testing.assert_allclose(inner_products(volumes), whole, atol=1e-9)
    index = np.array([5, 2, 11])
    own = voxels(volumes, index)
    own -= own.mean(0)
    np.testing.assert_allclose(inner_products(volumes, index), own @ own.T, atol=1e-9)


def test_products_of_all_volumes_serve_every_fold(volumes):
    train, validation, test = thirds(volumes, seed=3)
    shared = fit_baseline(inner_products(volumes), volumes.codes, 3, train, validation, test)
    own = baseline_probabilities(volumes, train, validation, test)
    np.testing.assert_allclose(shared.probabilities, own, atol=1e-5)


def test_classes_without_training_volumes(volumes):
    train, validation, test = thirds(volumes)
    train = train[volumes.codes[train] != 1]
    found = baseline_probabilities(volumes, train, validation, test)
    assert found.shape == (len(test), 3)
    assert not found[:, 1].any()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="at least two classes"):
        baseline_probabilities(volumes, train[volumes.codes[train] == 0], validation, test)
    alike = replace(volumes, data=np.ones_like(volumes.data))
    with pytest.raises(ValueError, match="all alike"):
        baseline_probabilities(alike, train, validation, test)


def plain_coordinates(products, train, rows):
    """Return coordinates of training volumes and of others, out of place."""
    within = products[np.ix_(train, train)]
    means, centre = within.mean(axis=0), within.mean()
    values, vectors = np.linalg.eigh(within - means - means[:, None] + centre)
    kept = values > 1e-10 * values[-1]
    lengths, basis = np.sqrt(values[kept]), vectors[:, kept]
    scale = np.sqrt(len(train) / values[kept].sum())
    across = products[np.ix_(rows, train)]
    centred = across - across.mean(axis=1, keepdims=True) - means + centre
    return basis * lengths * scale, centred @ basis / lengths * scale


def test_work_in_place_changes_nothing(volumes):
    train, _, test = thirds(volumes)
    products = inner_products(volumes)
    kept = products.copy()
    own, (there, nothing) = logistic_baseline._coordinates(products, train, (test, test[:0]))
    wanted, elsewhere = plain_coordinates(products, train, test)
    np.testing.assert_array_equal(products, kept)
    # Axes may be turned, distances and angles may not.
    np.testing.assert_allclose(own @ own.T, wanted @ wanted.T, atol=1e-10)
    np.testing.assert_allclose(there @ own.T, elsewhere @ wanted.T, atol=1e-10)
    assert own.shape == wanted.shape
    assert nothing.shape == (0, own.shape[1])


def test_a_fold_needs_little_more_than_two_matrices():
    rng = np.random.default_rng(5)
    n = 600
    X = rng.standard_normal((n + 10, 900))
    products = X @ X.T
    tracemalloc.start()
    logistic_baseline._coordinates(products, np.arange(n), (np.arange(n, n + 10),))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Matrix and eigenvectors; it was 4, without the workspace of LAPACK (2 more).
    assert peak < 2.3 * 8 * n**2


WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
import bidsface_emotion_cnn
from bidsface_emotion_cnn import history, training_options, volume_set
assert not {"sklearn", "matplotlib", "umap"} & set(sys.modules)
from bidsface_emotion_cnn import learning_curves, logistic_baseline
"""


def test_what_needs_no_torch_works_without_it():
    path = ":".join(path for path in sys.path if path)
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH], env={"PYTHONPATH": path}, check=True)
