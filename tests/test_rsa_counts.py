"""Unequal numbers of samples per class: what they do to RDMs of noise, and that draws mend it."""

import numpy as np
import pandas as pd
import pytest
from decoding_study import GRID, MemoryParticipant
from scipy.spatial.distance import pdist

from bidsface.analysis import Region, Samples
from bidsface.numerics.rdm_comparison import compare_rdms, mantel_test
from bidsface_emotion_cnn.rsa import Rsa, RsaOptions
from bidsface_emotion_cnn.rsa_draws import drawn_designs
from bidsface_emotion_cnn.rsa_patterns import make_design, mean_rdm, varying

CLASSES = ("anger", "fear", "joy", "love", "sadness")
FIRST = pdist([[1.0], [0], [0], [0], [0]])
EQUAL_BUT_FIRST = np.array([[6, 4, 4, 4, 4]] * 3)  # runs, classes
MANY_TO_FEW = np.array([[16, 16, 12, 8, 4]] * 3)
UNEVEN = np.array([[8, 2, 2, 4, 4], [2, 8, 6, 2, 3], [8, 8, 8, 8, 8], [9, 3, 2, 8, 5]])


def noise(rng, counts, n_voxels=40, shift=0.0):
    """Samples of noise; runs differ by a pattern of their own, of a size."""
    runs, codes = np.indices(counts.shape)
    runs, codes = np.repeat(runs, counts.ravel()), np.repeat(codes, counts.ravel())
    X = rng.standard_normal((len(runs), n_voxels))
    X += shift * rng.standard_normal((len(counts), n_voxels))[runs]
    frame = pd.DataFrame(
        {"trial_type": np.array(CLASSES)[codes], "block": [f"run-{run}" for run in runs]}
    )
    entities = {"task": "film", "space": GRID.space}
    return Samples("averages", X.astype(np.float32), frame, np.zeros((len(X), 6)), entities)


def rdms_of(n, cells, shift=0.0, **changes):
    chosen = RsaOptions(**changes)
    rng = np.random.default_rng(4)
    found = []
    for number in range(n):
        samples = noise(rng, cells, shift=shift)
        design, _ = make_design(samples, "film", chosen)
        designs, _ = drawn_designs(design, "film", chosen, np.random.SeedSequence(number))
        found.append(mean_rdm(samples.X, np.arange(samples.X.shape[1]), designs, chosen))
    return np.array(found)


def mean_fit(rdms, model):
    """Mean similarity of a model and RDMs of noise, in standard errors."""
    r = compare_rdms(rdms, model)
    return r.mean() / (r.std() / np.sqrt(len(r)))


@pytest.mark.parametrize(
    ("dissimilarity", "counts", "model"),
    [
        ("correlation", EQUAL_BUT_FIRST, FIRST),
        ("euclidean", MANY_TO_FEW, pdist(MANY_TO_FEW[:1].T.astype(float))),
    ],
)
def test_noise_fits_no_model_because_of_unequal_counts(dissimilarity, counts, model):
    every = rdms_of(150, counts, dissimilarity=dissimilarity, counts="all")
    assert mean_fit(every, model) > 8
    for draws in (1, 4):
        equal = rdms_of(150, counts, dissimilarity=dissimilarity, draws=draws)
        assert abs(mean_fit(equal, model)) < 3.5
        assert abs(mean_fit(equal, -model)) < 3.5


@pytest.mark.parametrize("standardize", ["task", "run"])
def test_runs_with_different_counts(standardize):
    """Levels of runs do not make classes differ, with equal numbers in every run."""
    chosen = {"standardize": standardize, "shift": 0.0 if standardize == "task" else 3.0}
    model = pdist(UNEVEN.sum(axis=0)[:, None].astype(float))
    every = rdms_of(150, UNEVEN, counts="all", dissimilarity="euclidean", **chosen)
    assert abs(mean_fit(every, model)) > 4
    for dissimilarity in ("euclidean", "correlation"):
        equal = rdms_of(300, UNEVEN, dissimilarity=dissimilarity, **chosen)
        # No pair of classes is more alike than another.
        z = (equal.mean(axis=0) - equal.mean()) / (equal.std(axis=0) / np.sqrt(len(equal)))
        assert np.abs(z).max() < 3.8


def test_crossnobis_does_not_depend_on_counts():
    for counts in (MANY_TO_FEW, UNEVEN):
        rdms = rdms_of(150, counts, dissimilarity="crossnobis", noise="diagonal")
        z = rdms.mean(axis=0) / (rdms.std(axis=0) / np.sqrt(len(rdms)))
        assert np.abs(z).max() < 3.8
        assert abs(mean_fit(rdms, pdist(counts.sum(axis=0)[:, None].astype(float)))) < 3.5


def test_orders_of_classes_hold_their_level_with_equal_counts():
    model = pdist(np.array([[0.0], [0.1], [0.2], [0.3], [1.4]]))
    for dissimilarity in ("euclidean", "crossnobis"):
        chosen = {"dissimilarity": dissimilarity, "noise": "none", "counts": "equal"}
        rdms = rdms_of(150, MANY_TO_FEW, **chosen)
        p = np.array([mantel_test(own, model, seed=0).p for own in rdms])
        assert (p <= 0.05).sum() <= 18  # 99.9 % of binomial(150, 0.05) are


def test_draws_come_from_the_same_runs():
    chosen = RsaOptions()
    samples = noise(np.random.default_rng(0), UNEVEN)
    design, _ = make_design(samples, "film", chosen)
    (own,), notes = drawn_designs(design, "film", chosen, np.random.SeedSequence(1))
    assert np.bincount(design.codes[own.used]).tolist() == [18] * 5
    assert notes == [
        "task film: classes have 18 (joy) to 27 (anger) samples; 18 of each were drawn, since "
        "unequal numbers alone make RDMs fit some models and not others"
    ]
    by_run = RsaOptions(standardize="run", draws=3)
    several, notes = drawn_designs(design, "film", by_run, np.random.SeedSequence(1))
    assert len(several) == 3
    cells = np.zeros(UNEVEN.shape, int)
    np.add.at(cells, (design.runs[several[1].used], design.codes[several[1].used]), 1)
    np.testing.assert_array_equal(cells, np.repeat(UNEVEN.min(axis=1)[:, None], 5, axis=1))
    assert "14 of each were drawn 3 times, and the RDMs averaged" in notes[0]


def test_what_is_said_of_all_samples():
    samples = noise(np.random.default_rng(0), UNEVEN)
    design, _ = make_design(samples, "film", RsaOptions())
    seed = np.random.SeedSequence(1)
    (own,), notes = drawn_designs(design, "film", RsaOptions(counts="all"), seed)
    assert own.used.all()
    assert "unequal numbers alone" in notes[0]
    cross = RsaOptions(dissimilarity="crossnobis")
    assert not cross.equal
    found, notes = drawn_designs(design, "film", cross, seed)
    assert found == [design]
    assert "holds its level only nearly" in notes[0]
    cross = RsaOptions(dissimilarity="crossnobis", counts="equal")
    (own,), notes = drawn_designs(design, "film", cross, seed)
    assert np.bincount(design.codes[own.used]).tolist() == [14] * 5
    assert "14 of each were drawn" in notes[0]
    same = noise(np.random.default_rng(0), np.full((3, 5), 2))
    design, _ = make_design(same, "film", RsaOptions())
    for one in (RsaOptions(), cross, RsaOptions(counts="all"), RsaOptions(standardize="run")):
        assert drawn_designs(design, "film", one, seed) == ([design], [])
    apart = noise(np.random.default_rng(0), np.array([[2, 2, 2, 0, 0], [0, 0, 0, 2, 2]]))
    design, _ = make_design(apart, "film", RsaOptions())
    designs, notes = drawn_designs(design, "film", RsaOptions(standardize="run"), seed)
    assert len(designs[0].rows) == designs[0].used.sum() == 10
    assert "and no runs with all of them, so that scaling by run alone makes" in notes[0]
    design, notes = make_design(apart, "film", cross)
    assert design is None
    some = np.array([[2, 3, 2, 2, 2], [2, 2, 0, 2, 2], [0, 2, 2, 2, 2], [2, 0, 2, 2, 2]])
    design, _ = make_design(noise(np.random.default_rng(0), some), "film", cross)
    assert drawn_designs(design, "film", cross, seed)[0] == [design]
    said = drawn_designs(design, "film", cross, seed)[1][0]
    assert "and 1 run with all of them; all samples were used, as counts: equal needs two" in said


def test_noise_is_estimated_from_all_samples():
    """One sample per class and run is drawn, which leaves no noise by itself."""
    counts = np.array([[4, 1, 1, 1, 1]] * 3)
    samples = noise(np.random.default_rng(0), counts)
    for name in ("shrinkage", "diagonal"):
        chosen = RsaOptions(noise=name)
        design, _ = make_design(samples, "film", chosen)
        designs, _ = drawn_designs(design, "film", chosen, np.random.SeedSequence(1))
        columns = varying(samples.X, np.arange(40), designs, name)
        assert len(columns) == 40
        assert np.isfinite(mean_rdm(samples.X, columns, designs, chosen)).all()


def test_participants_are_told_and_spheres_use_the_same_draws():
    samples = noise(np.random.default_rng(0), EQUAL_BUT_FIRST, GRID.shape[0] * 30)
    regions = {"all": Region("all", np.arange(60), "all")}
    person = MemoryParticipant(
        "01", {("averages", "film"): samples}, ("film",), ("averages",), regions, False
    )
    for draws in (1, 3):
        chosen = RsaOptions(draws=draws, searchlight={"radius": 100.0})
        results = Rsa("rsa", 1).participant(person, chosen)
        assert any("12 of each were drawn" in line for line in results.warnings)
        assert "as the smallest one had" in results.methods
        rdm = results.tables[0].frame["value"]
        maps = next(item for item in results.maps if item.stat == "dissimilarity")
        np.testing.assert_allclose(maps.values[0], rdm, atol=1e-5)
    assert "mean over 3 such draws" in results.methods


def test_methods_say_that_samples_were_drawn_only_where_they_were():
    even = np.full((3, 5), 2)
    one_full_run = np.array([[2, 3, 2, 2, 2], [2, 2, 0, 2, 2], [0, 2, 2, 2, 2], [2, 0, 2, 2, 2]])
    cross = {"dissimilarity": "crossnobis", "counts": "equal", "noise": "none"}
    for counts, changes, drawn in (
        (UNEVEN, {}, True),
        (UNEVEN, {"counts": "all"}, False),
        (even, {}, False),
        (UNEVEN, cross, True),
        (one_full_run, cross, False),
    ):
        samples = noise(np.random.default_rng(0), counts)
        region = {"all": Region("all", np.arange(40), "noise")}
        person = MemoryParticipant(
            "01", {("averages", "film"): samples}, ("film",), ("averages",), region
        )
        results = Rsa("rsa", 1).participant(person, RsaOptions(**changes))
        assert ("as many of every class were drawn" in results.methods) == drawn
        assert ("two runs at least had all" in results.methods) == (drawn and changes == cross)
