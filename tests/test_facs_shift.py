"""Telling data sets apart: references, folds, a shift, the level of the test."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.svm import SVC

from bidsface_facs.set_classifiers import CLASSIFIERS, LinearSVM, RidgeDirection
from bidsface_facs.shift import data_set_shift, shift_splits
from bidsface_facs.splits import GroupFolds, GroupShuffle

SEED = np.random.SeedSequence(6)
COUNTS = (6, 4, 7, 5, 6, 3, 5, 8, 4, 6, 5, 6, 7, 4, 5, 6)
FOLDS = GroupFolds(4, random_state=0)


def two_sets(seed, shift=0.0, counts=COUNTS, n_second=6, n_voxels=30):
    """Make images with participant effects; the last participants are of the second set."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(counts)), counts)
    X = rng.standard_normal((len(codes), n_voxels))
    X += rng.standard_normal((len(counts), n_voxels))[codes]
    second = codes >= len(counts) - n_second
    X[second] += shift
    people = np.array([f"p{code:02d}" for code in range(len(counts))])[codes]
    order = rng.permutation(len(codes))
    return X[order], people[order], np.where(second, "Paris", "Berlin")[order]


def test_folds_hold_out_people_of_both_sets():
    _, people, sets = two_sets(1)
    for splitter in (FOLDS, GroupShuffle(5), GroupFolds(3)):
        for train, test in shift_splits(splitter, people, sets):
            assert not set(people[train]) & set(people[test])
            assert len(train) + len(test) == len(people)
            for rows in (train, test):
                assert set(sets[rows]) == {"Berlin", "Paris"}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_shift_equals_references_in_voxels(name):
    X, people, sets = two_sets(2, shift=0.4)
    X += 5
    splits = shift_splits(FOLDS, people, sets)
    found = data_set_shift(X @ X.T, people, sets, splits, CLASSIFIERS[name](0.5), 0, SEED)
    assert found.names == ("Berlin", "Paris")
    for (train, test), score, counts in zip(splits, found.folds, found.confusion, strict=True):
        predicted = REFERENCES[name](X[train], sets[train], people[train], X[test], 0.5)
        theirs = np.where(predicted > 0, "Paris", "Berlin")
        assert score == pytest.approx(balanced_accuracy_score(sets[test], theirs))
        np.testing.assert_array_equal(counts, confusion_matrix(sets[test], theirs))
    assert found.accuracy == pytest.approx(found.folds.mean())
    assert np.isnan(found.p)
    assert found.null.shape == (0,)


def plain_svm(X, sets, people, new, C):
    centred = X - X.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=1).mean())
    machine = SVC(C=C, kernel="linear", class_weight="balanced")
    return machine.fit(centred / size, sets).decision_function((new - X.mean(axis=0)) / size)


def plain_ridge(X, sets, people, new, alpha):
    """Fit anew without every participant for the threshold."""
    centred = X - X.mean(axis=0)
    alpha *= (centred**2).sum(axis=1).mean()
    y = np.where(sets == "Paris", 1.0, -1.0)
    held_out = np.empty(len(y))
    for name in np.unique(people):
        rows = people == name
        held_out[rows] = Ridge(alpha=alpha).fit(X[~rows], y[~rows]).predict(X[rows])
    middle = (held_out[y > 0].mean() + held_out[y < 0].mean()) / 2
    return Ridge(alpha=alpha).fit(X, y).predict(new) - middle


REFERENCES = {"svm": plain_svm, "ridge": plain_ridge}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_permuted_scores_equal_those_of_permuted_sets(name):
    """Exchange two people by hand: the score is that of a permutation."""
    counts = (5,) * 8
    X, people, sets = two_sets(3, 0.3, counts, n_second=4)
    splits = shift_splits(GroupFolds(2, random_state=0), people, sets)
    classifier = CLASSIFIERS[name]()
    found = data_set_shift(X @ X.T, people, sets, splits, classifier, 60, SEED)
    test = set(people[splits[0][1]])
    first, second = (sorted(test & set(people[sets == one]))[0] for one in ("Berlin", "Paris"))
    swapped = sets.copy()
    swapped[people == first], swapped[people == second] = "Paris", "Berlin"
    other = data_set_shift(X @ X.T, people, swapped, splits, classifier, 0, SEED)
    assert np.abs(found.null - other.accuracy).min() < 1e-9
    assert found.smallest_p == pytest.approx(1 / 36)  # 6 labellings of the people of each fold


@pytest.mark.parametrize("splitter", [FOLDS, GroupShuffle(3)])
def test_blocks_change_nothing(splitter):
    X, people, sets = two_sets(4, 0.2)
    splits = shift_splits(splitter, people, sets)
    rest = (X @ X.T, people, sets, splits, RidgeDirection(), 13, SEED)
    every, one, four = (data_set_shift(*rest, block_size=size) for size in (100, 1, 4))
    for other in (one, four):
        np.testing.assert_allclose(every.null, other.null)
        assert every.p == other.p


def test_shift_is_found():
    X, people, sets = two_sets(5, shift=1.2)
    splits = shift_splits(FOLDS, people, sets)
    for classifier, n in ((RidgeDirection(), 199), (LinearSVM(), 39)):
        found = data_set_shift(X @ X.T, people, sets, splits, classifier, n, SEED)
        assert found.accuracy > 0.85
        assert found.p == 1 / (1 + n)


N_STUDIES = 100
MOST = stats.binom.isf(1e-5, N_STUDIES, 0.05)


def test_level():
    """Images of a participant resemble each other; sets have nothing to do with it."""
    rejected, accuracies = 0, []
    for seed in range(N_STUDIES):
        X, people, sets = two_sets(100 + seed, n_voxels=12)
        splits = shift_splits(FOLDS, people, sets)
        found = data_set_shift(
            X @ X.T, people, sets, splits, RidgeDirection(), 19, np.random.SeedSequence(seed)
        )
        rejected += found.p <= 0.05 + 1e-9
        accuracies.append(found.accuracy)
    assert rejected <= MOST
    # The threshold favours no set, although one is larger and directions fit their images.
    assert np.mean(accuracies) == pytest.approx(0.5, abs=0.03)


def test_threshold_does_not_favour_the_larger_set():
    """In many dimensions training images are far apart; a plain threshold would follow."""
    shares = []
    for seed in range(15):
        X, people, sets = two_sets(300 + seed, 0.12, (5,) * 24, n_second=6, n_voxels=300)
        splits = shift_splits(FOLDS, people, sets)
        found = data_set_shift(X @ X.T, people, sets, splits, RidgeDirection(0.01), 0, SEED)
        counts = found.confusion.sum(axis=0)
        shares.append(np.diag(counts) / counts.sum(axis=1))
    first, second = np.mean(shares, axis=0)
    assert abs(first - second) < 0.15, (first, second)


def test_sets_that_cannot_be_compared():
    X, people, sets = two_sets(7)
    with pytest.raises(ValueError, match="two data sets are compared, found 1"):
        shift_splits(FOLDS, people, np.full(len(people), "Berlin"))
    mixed = sets.copy()
    mixed[np.flatnonzero(people == "p00")[0]] = "Paris"
    with pytest.raises(ValueError, match="participants in both data sets: p00"):
        shift_splits(FOLDS, people, mixed)
    with pytest.raises(ValueError, match="7 groups of participants need as many participants"):
        shift_splits(GroupFolds(7), people, sets)
    with pytest.raises(ValueError, match="participants in both"):
        data_set_shift(X @ X.T, people, mixed, [], RidgeDirection(), 0, SEED)
