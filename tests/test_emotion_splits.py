"""Splits of volumes: nothing is ever in two parts, and groups stay together."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from bidsface_emotion_cnn.splits import SCHEMES, make_folds

SEED = np.random.SeedSequence(4)
KEYWORDS = {"n_folds": None, "test_share": 0.2, "seed": SEED}


def design(n_people=6, n_runs=4, n_classes=3, most=5, seed=0):
    """Return codes, participants and runs; every class is in every run of everyone."""
    rng = np.random.default_rng(seed)
    cells = np.array(list(np.ndindex(n_people, n_runs, n_classes)))
    rows = np.repeat(cells, rng.integers(1, most + 1, len(cells)), axis=0)
    rows = rng.permutation(rows)
    return rows[:, 2], rows[:, 0], rows[:, 1]


def split(scheme, parts, **changes):
    return make_folds(scheme, *parts, **{**KEYWORDS, **changes})


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("shape", "n_folds"),
    [((3, 3, 2), None), ((6, 4, 3), None), ((7, 9, 4), 3), ((5, 5, 5), 4), ((15, 8, 5), 5)],
)
def test_no_volume_is_in_two_parts_and_groups_stay_together(scheme, shape, n_folds):
    for seed in range(3):
        codes, people, runs = design(*shape, seed=seed)
        folds = split(scheme, (codes, people, runs), n_folds=n_folds)
        for fold in folds:
            parts = (fold.train, fold.validation, fold.test)
            together = np.concatenate(parts)
            np.testing.assert_array_equal(np.sort(together), np.arange(len(codes)))
            assert all(len(part) and part.dtype == np.int64 for part in parts)
            assert set(codes[fold.train]) == set(codes)
            if scheme != "random":
                units = {"runs": runs, "participants": people}[scheme]
                sets = [set(units[part]) for part in parts]
                assert len(set.union(*sets)) == sum(map(len, sets))
        if scheme != "random":
            tested = np.concatenate([fold.test for fold in folds])
            np.testing.assert_array_equal(np.sort(tested), np.arange(len(codes)))
        assert len({fold.name for fold in folds}) == len(folds)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_seed_gives_the_same_folds_again(scheme):
    parts = design()
    first, again = (split(scheme, parts, n_folds=3) for _ in range(2))
    other = split(scheme, parts, n_folds=3, seed=np.random.SeedSequence(5))
    for one, two in zip(first, again, strict=True):
        for name in ("train", "validation", "test"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    same = [np.array_equal(one.test, two.test) for one, two in zip(first, other, strict=True)]
    assert all(same) == (scheme == "runs")


def test_every_run_is_tested_alone_and_validates_once():
    codes, people, runs = design(n_runs=5)
    names = [f"run-{number}" for number in range(1, 6)]
    folds = split("runs", (codes, people, runs), unit_names=names)
    assert [fold.name for fold in folds] == names
    assert [set(runs[fold.test]) for fold in folds] == [{number} for number in range(5)]
    validated = [set(runs[fold.validation]) for fold in folds]
    assert validated == [{1}, {2}, {3}, {4}, {0}]


def test_groups_of_runs_are_neighbours():
    codes, people, runs = design(n_runs=8)
    folds = split("runs", (codes, people, runs), n_folds=3)
    assert [set(runs[fold.test]) for fold in folds] == [{0, 1, 2}, {3, 4, 5}, {6, 7}]
    assert [fold.name for fold in folds] == ["0+1+2", "3+4+5", "6+7"]
    assert all(len(set(runs[fold.validation])) == 1 for fold in folds)


@pytest.mark.parametrize(
    ("n_people", "n_groups", "n_validation"), [(3, 3, 1), (15, 5, 2), (9, 5, 1)]
)
def test_participants_are_dealt_into_groups(n_people, n_groups, n_validation):
    codes, people, runs = design(n_people=n_people, n_runs=2)
    folds = split("participants", (codes, people, runs))
    sizes = [len(set(people[fold.test])) for fold in folds]
    assert len(folds) == n_groups
    assert sum(sizes) == n_people
    assert max(sizes) - min(sizes) <= 1
    assert {len(set(people[fold.validation])) for fold in folds} <= {n_validation, n_validation + 1}


def test_names_of_large_groups_are_short():
    folds = split("participants", design(n_people=12, n_runs=1), n_folds=2)
    assert [fold.name for fold in folds] == ["group 1", "group 2"]


def test_random_split_is_that_of_the_publication():
    codes = np.repeat(np.arange(5), 70)
    blank = np.zeros_like(codes)
    (fold,) = split("random", (codes, blank, blank))
    _, theirs = train_test_split(np.arange(350), test_size=0.2, stratify=codes, random_state=0)
    np.testing.assert_array_equal(np.bincount(codes[fold.test]), np.bincount(codes[theirs]))
    np.testing.assert_array_equal(np.bincount(codes[fold.validation]), 5 * [11])
    assert fold.name == "repeat 1"


def test_repeats_of_the_random_split_differ():
    folds = split("random", design(), n_folds=3)
    assert len({tuple(fold.test) for fold in folds}) == 3


def test_validation_never_takes_the_last_volumes_of_a_class():
    codes, people, runs = design(n_runs=4, n_classes=2)
    codes = np.where((codes == 1) & np.isin(runs, (2, 3)), 0, codes)  # class 1 in two runs only
    folds = split("runs", (codes, people, runs))
    validated = [int(runs[fold.validation][0]) for fold in folds]
    assert validated == [2, 2, 3, 0]
    codes = np.where((codes == 1) & (runs == 1), 0, codes)
    with pytest.raises(ValueError, match=r"fold 0: .* class grief"):
        split("runs", (codes, people, runs), class_names=("joy", "grief"))


@pytest.mark.parametrize(
    ("scheme", "shape", "changes", "message"),
    [
        ("runs", (4, 1, 2), {}, "at least 3 of them.*found 1"),
        ("runs", (4, 2, 2), {}, "at least 3 of them.*found 2"),
        ("participants", (1, 4, 2), {}, "at least 3 of them.*found 1"),
        ("runs", (4, 4, 2), {"n_folds": 5}, "2 to 4 groups, found 5"),
        ("participants", (4, 4, 2), {"n_folds": 1}, "2 to 4 groups, found 1"),
        ("runs", (4, 3, 2), {"n_folds": 2}, "leave one"),
        ("random", (4, 3, 2), {"test_share": 1.0}, "between 0 and 1, found 1"),
        ("random", (4, 3, 2), {"n_folds": 0}, "at least one"),
        ("random", (1, 2, 2, 1), {}, "at least 3 volumes of every class; class 0, 1"),
        ("seasons", (4, 3, 2), {}, "no split called 'seasons', there is: runs, participants"),
    ],
)
def test_what_cannot_be_split_says_why(scheme, shape, changes, message):
    with pytest.raises(ValueError, match=message):
        split(scheme, design(*shape), **changes)
