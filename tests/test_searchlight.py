"""Searchlight maps equal nilearn's and scikit-learn's, sphere by sphere and label by label."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest
from nilearn.decoding import SearchLight
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bidsface.numerics.devices import Processor, Torch, find_device
from bidsface.numerics.neighbourhoods import Spheres, sphere_offsets
from bidsface.numerics.searchlight import Searchlight, batches, rounded
from bidsface.numerics.sphere_classifiers import SphereNaiveBayes, SphereRidge
from bidsface.numerics.sphere_data import Probe, Split, sample_weights
from bidsface.numerics.sphere_discriminant import SphereDiscriminant

SHAPE = (9, 8, 7)
AFFINE = np.array([[0, -3.0, 0, 20], [3.0, 0, 0, -10], [0, 0, 4.0, 3], [0, 0, 0, 1]])
N_RUNS, N_CLASSES, PER_CLASS = 4, 3, 3


class FeatureRidge(RidgeClassifier):
    """Ridge of scikit-learn with the number of features as penalty."""

    def fit(self, X, y):
        self.alpha = X.shape[1]
        return super().fit(X, y)


class PooledLDA(ClassifierMixin, BaseEstimator):
    """LDA of scikit-learn with the pooled Ledoit-Wolf shrinkage that it lacks."""

    def fit(self, X, y):
        centred = X - np.stack([X[y == label].mean(axis=0) for label in y])
        shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True)
        self.lda_ = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X, y)
        return self

    def predict(self, X):
        return self.lda_.predict(X)


CLASSIFIERS = {
    "ridge": (SphereRidge(), FeatureRidge),
    "ridge-fixed": (SphereRidge(alpha=0.5), lambda: RidgeClassifier(alpha=0.5)),
    "gnb": (SphereNaiveBayes(), GaussianNB),
    "gnb-smooth": (SphereNaiveBayes(0.3), lambda: GaussianNB(var_smoothing=0.3)),
    "lda": (SphereDiscriminant(), PooledLDA),
    "lda-fixed": (
        SphereDiscriminant(0.4),
        lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.4),
    ),
}
RADII = {"narrow": 4.0, "wide": 8.5}  # fewer and more voxels than the 27 training samples


def mask_index(rng):
    """A ragged mask, so that nearly every sphere is cut."""
    return np.flatnonzero(rng.random(np.prod(SHAPE)) < 0.8)


def design(rng, n_runs=N_RUNS, per_class=PER_CLASS):
    runs = np.repeat(np.arange(n_runs), N_CLASSES * per_class)
    once = np.repeat(np.arange(N_CLASSES), per_class)
    return np.concatenate([rng.permutation(once) for _ in range(n_runs)]).astype(np.int16), runs


def labellings_of(codes, runs, n, rng):
    rows = [codes]
    for _ in range(n):
        parts = [rng.permutation(codes[runs == run]) for run in np.unique(runs)]
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def within(runs, samples=None, score=0):
    samples = np.arange(len(runs)) if samples is None else samples
    splits = []
    for run in np.unique(runs):
        train, test = samples[runs != run], samples[runs == run]
        splits.append(Split(train, (Probe(test, train, score),)))
    return splits


def make_light(classifier, radius, n_permutations=0, seed=0, **options):
    rng = np.random.default_rng(seed)
    index = mask_index(rng)
    codes, runs = design(rng)
    data = rng.standard_normal((len(index), len(codes))) * rng.uniform(0.5, 4, (len(index), 1))
    data += rng.normal(0, 9, (len(index), 1))
    data += 0.6 * rng.standard_normal((len(index), N_CLASSES))[:, codes]
    data[7] = 3.0  # a voxel that does not vary
    labellings = labellings_of(codes, runs, n_permutations, rng)
    spheres = Spheres.of(SHAPE, AFFINE, index, radius)
    light = Searchlight(
        data.astype(np.float32), spheres, within(runs), labellings, N_CLASSES, classifier, **options
    )
    return light, index, runs


def plain_scores(light, reference, centre, labels, metric=balanced_accuracy_score):
    """The score of one sphere, computed by scikit-learn."""
    members = light.spheres.members(np.array([centre]))[0]
    X = light.data[members[members < light.spheres.n_voxels]].T.astype(np.float64)
    found = []
    for split in light.splits:
        (test,) = split.tests
        model = make_pipeline(StandardScaler(), reference()).fit(
            X[split.train], labels[split.train]
        )
        found.append(metric(labels[test.samples], model.predict(X[test.samples])))
    return np.mean(found)


@pytest.mark.parametrize("width", RADII)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_equal_scikit_learn_for_every_labelling(name, width):
    classifier, reference = CLASSIFIERS[name]
    light, index, _ = make_light(classifier, RADII[width], n_permutations=10)
    centres = np.array([0, 8, len(index) - 1])
    found = light.scores(centres)
    assert found.shape == (1, 11, 3)
    for position, centre in enumerate(centres):
        chosen = [0, 1, 10]
        expected = [plain_scores(light, reference, centre, light.codes[row]) for row in chosen]
        np.testing.assert_allclose(found[0, chosen, position], expected, atol=2e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_few_and_many_labellings_agree(name):
    """One labelling is solved for itself, many through the test samples."""
    for radius in RADII.values():
        light, _, _ = make_light(CLASSIFIERS[name][0], radius, n_permutations=20)
        centres = np.arange(40)
        many = light.scores(centres)
        for row in (0, 5, 20):
            alone = replace(light, codes=light.codes[[row]]).scores(centres)
            np.testing.assert_array_equal(alone[0, 0], many[0, row])


@pytest.mark.filterwarnings("ignore:Use a custom estimator")
@pytest.mark.parametrize(("name", "radius"), [("ridge-fixed", 9.0), ("gnb", 6.0)])
def test_maps_equal_nilearn(name, radius):
    classifier, reference = CLASSIFIERS[name]
    light, index, runs = make_light(classifier, radius, balanced=False)
    volume = np.zeros((np.prod(SHAPE), len(runs)))
    volume[index] = light.data
    mask = np.zeros(SHAPE, dtype=np.int8)
    mask.flat[index] = 1
    process = np.zeros(SHAPE, dtype=np.int8)
    centres = np.arange(0, len(index), 9)
    process.flat[index[centres]] = 1
    theirs = SearchLight(
        nib.Nifti1Image(mask, AFFINE),
        process_mask_img=nib.Nifti1Image(process, AFFINE),
        radius=radius,
        estimator=make_pipeline(StandardScaler(), reference()),
        cv=LeaveOneGroupOut(),
    )
    image = nib.Nifti1Image(volume.reshape(*SHAPE, -1), AFFINE)
    theirs.fit(image, light.codes[0], groups=runs)
    expected = theirs.scores_.ravel()[index[centres]]
    np.testing.assert_allclose(light.scores(centres)[0, 0], expected, atol=2e-6)


def test_sphere_membership_is_by_distance_in_mm():
    rng = np.random.default_rng(3)
    index = mask_index(rng)
    places = np.stack(np.unravel_index(index, SHAPE), axis=1) @ AFFINE[:3, :3].T
    for radius in (2.0, 3.0, 5.0, 8.0):
        spheres = Spheres.of(SHAPE, AFFINE, index, radius)
        members = spheres.members(np.arange(len(index)))
        for centre in range(len(index)):
            near = np.flatnonzero(np.linalg.norm(places - places[centre], axis=1) <= radius + 1e-9)
            found = np.sort(members[centre][members[centre] < len(index)])
            np.testing.assert_array_equal(found, near)
        np.testing.assert_array_equal(spheres.sizes(50), (members < len(index)).sum(axis=1))
    assert len(sphere_offsets(np.diag([2.0, 2, 2, 1]), 8.0)) == 257
    with pytest.raises(ValueError, match="positive"):
        sphere_offsets(AFFINE, 0.0)


@pytest.mark.parametrize("name", ["ridge", "gnb", "lda"])
def test_only_spheres_that_reach_the_planted_voxel_find_it(name):
    rng = np.random.default_rng(4)
    shape, affine = (11, 11, 11), np.diag([2.0, 2, 2, 1])
    index = np.arange(np.prod(shape))
    codes, runs = design(rng, per_class=8)
    data = rng.standard_normal((len(index), len(codes)))
    planted = np.ravel_multi_index((5, 5, 5), shape)
    data[planted] += 9.0 * codes
    spheres = Spheres.of(shape, affine, index, 2.0)
    light = Searchlight(data, spheres, within(runs), codes[None], N_CLASSES, CLASSIFIERS[name][0])
    scores = light.scores(index)[0, 0]
    reached = np.zeros(len(index), dtype=bool)
    reached[spheres.members(np.array([planted]))[0]] = True
    assert scores[reached].min() > 0.62
    assert scores[~reached].max() < 0.58


def test_scores_do_not_depend_on_blocks_threads_or_company():
    light, index, _ = make_light(SphereRidge(), 7.0, n_permutations=5)
    light = replace(light, device=Small())
    whole = light.scores(np.arange(len(index)))
    parts = [np.arange(a, b) for a, b in pairwise([0, 50, 51, 200, len(index)])]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(light.scores, parts))
    np.testing.assert_array_equal(np.concatenate(found, axis=2), whole)


class Small(Processor):
    """A processor that works on few spheres at once."""

    batch = 20_000

    def workspace(self):
        return Small()


def test_near_ties_are_decided_in_double_precision():
    """Classes mirror one another, so that decisions tie but for a shift below single precision."""
    rng = np.random.default_rng(5)
    codes = np.tile([0, 1], 24).astype(np.int16)
    runs = np.repeat(np.arange(4), 12)
    half = 50 * rng.standard_normal((60, 24))
    data = np.repeat(half, 2, axis=1) + 1e-6 * rng.standard_normal((60, 48))
    spheres = Spheres.of((60, 1, 1), np.eye(4), np.arange(60), 100.0)
    light = Searchlight(data, spheres, within(runs), codes[None], 2, SphereRidge())
    centres = np.array([0, 30])
    exact = replace(light, precise=True).scores(centres)
    np.testing.assert_array_equal(light.scores(centres), exact)
    expected = plain_scores(light, FeatureRidge, 0, codes)
    np.testing.assert_allclose(exact[0, 0, 0], expected, atol=2e-6)


def two_tasks(rng, effect=1.0):
    """Samples of two tasks in one array, the second in other units and with another baseline."""
    first, runs = design(rng)
    second, _ = design(rng)
    codes = np.concatenate([first, second])
    data = rng.standard_normal((90, 72))
    data += effect * rng.standard_normal((90, N_CLASSES))[:, codes]
    data[:, 36:] = 5.0 * data[:, 36:] + 40.0
    return data, codes, runs


def cross_splits(runs):
    """Train on one task; test on the left-out run of both."""
    splits = []
    for run in np.unique(runs):
        train, test = np.flatnonzero(runs != run), np.flatnonzero(runs == run)
        probes = Probe(test, train, 0), Probe(test + 36, train + 36, 1)
        splits.append(Split(train, probes))
    return splits


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_cross_decoding_scales_the_other_task_by_its_own_training_runs(name):
    classifier, reference = CLASSIFIERS[name]
    data, codes, runs = two_tasks(np.random.default_rng(6))
    spheres = Spheres.of((90, 1, 1), np.eye(4), np.arange(90), 20.0)
    light = Searchlight(data, spheres, cross_splits(runs), codes[None], N_CLASSES, classifier)
    centres = np.array([0, 45, 89])
    found = light.scores(centres)
    for position, centre in enumerate(centres):
        members = spheres.members(np.array([centre]))[0]
        X = data[members[members < 90]].T
        shares = []
        for run in range(N_RUNS):
            train, test = np.flatnonzero(runs != run), np.flatnonzero(runs == run) + 36
            model = reference().fit(StandardScaler().fit_transform(X[train]), codes[train])
            other = StandardScaler().fit(X[train + 36]).transform(X[test])
            shares.append(balanced_accuracy_score(codes[test], model.predict(other)))
        np.testing.assert_allclose(found[1, 0, position], np.mean(shares), atol=2e-6)
        alone = replace(light, splits=within(runs))
        np.testing.assert_array_equal(found[0], alone.scores(centres)[0])


def test_labels_of_test_samples_reach_the_score_only():
    """Poisoned test samples change nothing about the training of their own fold."""
    data, codes, runs = two_tasks(np.random.default_rng(7))
    spheres = Spheres.of((90, 1, 1), np.eye(4), np.arange(90), 20.0)
    split = cross_splits(runs)[0]
    light = Searchlight(data, spheres, [split], codes[None], N_CLASSES, SphereRidge())
    poisoned = data.copy()
    for test in split.tests[1:]:
        poisoned[:, test.samples] = 1e3
    other = replace(light, data=poisoned).scores(np.arange(90))
    np.testing.assert_array_equal(other[0], light.scores(np.arange(90))[0])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_spheres_without_variance_guess_the_commonest_class(name):
    codes = np.tile([2, 0, 1, 1, 2, 1, 1], 4).astype(np.int16)
    runs = np.repeat(np.arange(4), 7)
    spheres = Spheres.of((30, 1, 1), np.eye(4), np.arange(30), 20.0)
    light = Searchlight(
        np.full((30, 28), 0.1),
        spheres,
        within(runs),
        codes[None],
        3,
        CLASSIFIERS[name][0],
        balanced=False,
    )
    expected = np.mean([codes[s.tests[0].samples] == 1 for s in light.splits])
    np.testing.assert_allclose(light.scores(np.arange(30)), expected, atol=2e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_class_missing_from_training_is_never_predicted(name):
    rng = np.random.default_rng(8)
    codes, runs = design(rng)
    codes[runs > 0] %= 2  # the third class is in the first run only
    data = rng.standard_normal((30, len(codes))) + 2.0 * codes
    spheres = Spheres.of((30, 1, 1), np.eye(4), np.arange(30), 20.0)
    light = Searchlight(
        data, spheres, within(runs)[:1], codes[None], 3, CLASSIFIERS[name][0], balanced=False
    )
    fewer = codes.copy()
    fewer[codes == 2] = 7
    light_two = replace(light, codes=fewer[None], n_classes=2, balanced=False)
    np.testing.assert_array_equal(light.scores(np.arange(30)), light_two.scores(np.arange(30)))


def test_data_that_are_not_finite_are_refused():
    light, _, _ = make_light(SphereRidge(), 6.0)
    light.data[11, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        light.scores(np.arange(len(light.data)))


def test_equal_fractions_become_equal_scores():
    fractions = np.array([[a / b for b in (3, 7, 24, 128, 1000)] for a in range(3)])
    shaken = fractions + 1e-15 * np.random.default_rng(0).standard_normal((50, *fractions.shape))
    found = rounded(shaken)
    np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape))
    np.testing.assert_allclose(found[0], fractions, atol=1e-6)


def test_weights_of_samples_make_balanced_accuracy():
    rng = np.random.default_rng(9)
    truth = rng.integers(0, 3, (5, 20)).astype(np.int16)
    truth[4][truth[4] == 1] = 0  # one labelling lacks a class
    predicted = rng.integers(0, 3, (5, 20))
    weights = sample_weights(truth, 3, True)
    for row in range(4):
        expected = balanced_accuracy_score(truth[row], predicted[row])
        np.testing.assert_allclose(weights[row][truth[row] == predicted[row]].sum(), expected)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(sample_weights(truth, 3, False), 0.05)


def test_batches_hold_every_sphere_once_by_size():
    sizes = np.array([5, 1, 9, 3, 9, 2])
    found = list(batches(sizes, row=10, target=200))
    assert [list(sizes[batch]) for batch in found] == [[1, 2], [3, 5], [9, 9]]
    assert len(list(batches(sizes, row=10, target=1))) == 6


def test_devices_are_found_by_name():
    assert find_device("cpu").name == "cpu"
    assert find_device("auto").name in ("cpu", "cuda")
    with pytest.raises(ValueError, match="device must be"):
        find_device("gpu")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_torch_equals_numpy(name):
    pytest.importorskip("torch")
    for radius in RADII.values():
        light, index, _ = make_light(CLASSIFIERS[name][0], radius, n_permutations=10)
        centres = np.arange(len(index))
        found = replace(light, device=Torch("cpu")).scores(centres)
        expected = light.scores(centres)
        np.testing.assert_array_equal(found[:, 0], expected[:, 0])
        # A permuted labelling that ties in single precision may fall either way.
        assert (found == expected).mean() > 0.9999


def test_torch_is_left_alone_without_need():
    import subprocess
    import sys

    code = "import sys, bidsface.numerics.searchlight; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
