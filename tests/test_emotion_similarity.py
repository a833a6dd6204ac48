"""Similarity of brain and network: from other runs, from equal numbers, with what is left out."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from bidsface.analysis import Grid
from bidsface.derivatives.tables import check_columns
from bidsface.numerics.dissimilarity import correlation_rdm, pairs_of, square
from bidsface_emotion_cnn.brain_rdms import brain_rdms
from bidsface_emotion_cnn.class_rdms import DrawnMeans, mean_rdm, product_rdm
from bidsface_emotion_cnn.equal_counts import equal_draws
from bidsface_emotion_cnn.split_similarity import split_ceiling, split_mantel, split_similarity
from bidsface_emotion_cnn.volume_set import VolumeSet

SEED = np.random.SeedSequence(11)
N_CLASSES, N_PAIRS = 5, 10
NAMES = ("ANGER", "FEAR", "JOY", "LOVE", "PRIDE")


# --- equal numbers


def noise_volumes(counts, n_voxels=400, seed=0):
    codes = np.repeat(np.arange(len(counts)), counts)
    values = np.random.default_rng(seed).standard_normal((len(codes), n_voxels))
    return values, codes


def test_sizes_of_classes_do_not_make_dissimilarities():
    counts = np.array([160, 40, 20, 10, 10])
    rows, columns = pairs_of(5)
    n, total = counts, counts.sum()
    sizes = -np.sqrt(n[rows] * n[columns] / ((total - n[rows]) * (total - n[columns])))
    plain, found, drawn = [], [], []
    for seed in range(6):
        values, codes = noise_volumes(counts, seed=seed)
        values = (values - values.mean(axis=0)) / values.std(axis=0)
        means = np.array([values[codes == code].mean(axis=0) for code in range(5)])
        plain.append(1 - correlation_rdm(means))
        centred = values - values.mean(axis=1, keepdims=True)
        draws = equal_draws(codes, np.zeros_like(codes), 10, np.random.SeedSequence(seed))
        found.append(1 - product_rdm(centred @ centred.T, codes, draws, 5))
        sums = DrawnMeans(codes, np.zeros_like(codes), 5, np.random.SeedSequence(seed))
        sums.add(0, np.maximum(3.0 + values, 0.0))
        drawn.append(sums.rdm())
    # Noise alone: all that the plain RDM tells is the sizes.
    assert np.corrcoef(np.mean(plain, axis=0), sizes)[0, 1] > 0.95
    np.testing.assert_allclose(np.mean(found, axis=0), -1 / 4, atol=0.06)
    assert np.ptp(np.mean(drawn, axis=0)) < 0.15
    large = (counts[rows] > 100) | (counts[columns] > 100)
    assert abs(np.mean(found, axis=0)[large].mean() - np.mean(found, axis=0)[~large].mean()) < 0.03


def test_rdms_of_products_are_those_of_centred_means():
    values, codes = noise_volumes([7, 9, 8], n_voxels=30, seed=3)
    centred = values - values.mean(axis=1, keepdims=True)
    draws = equal_draws(codes, np.zeros_like(codes), 4, SEED)
    expected = []
    for draw in draws:
        means = np.array([values[draw][codes[draw] == code].mean(axis=0) for code in range(3)])
        expected.append(correlation_rdm(means - means.mean(axis=0)))
    found = product_rdm(centred @ centred.T, codes * 2, draws, 5)  # classes 0, 2 and 4 of five
    known = [1, 3, 8]  # their pairs
    np.testing.assert_allclose(found[known], np.mean(expected, axis=0), atol=1e-12)
    assert np.isnan(np.delete(found, known)).all()


def test_means_of_pieces_are_those_of_the_draws():
    values, codes = noise_volumes([4, 6, 9], n_voxels=12, seed=4)
    sums = DrawnMeans(codes + 1, np.zeros_like(codes), 4, SEED)
    for start in range(0, len(values), 5):
        sums.add(start, values[start : start + 5])
    expected = [
        correlation_rdm([values[draw][codes[draw] == code].mean(axis=0) for code in range(3)])
        for draw in equal_draws(codes, np.zeros_like(codes), 10, SEED)
    ]
    found = square(sums.rdm())[1:, 1:]
    np.testing.assert_allclose(found, square(np.mean(expected, axis=0)), atol=1e-5)
    assert np.isnan(square(sums.rdm())[0, 1:]).all()


# --- other runs


def several_films(n_sets, n_runs, n_people, shared, effect=0.0, seed=0, n_voxels=40):
    """Yield patterns of classes, (n_runs, n_people, n_classes, n_voxels), from one film each."""
    rng = np.random.default_rng(seed)
    for _ in range(n_sets):
        film = rng.standard_normal((n_runs, 1, N_CLASSES, n_voxels))
        own = rng.standard_normal((n_runs, n_people, N_CLASSES, n_voxels))
        # Few axes, so that some classes are more alike than others.
        true = effect * rng.standard_normal((N_CLASSES, 3)) @ rng.standard_normal((3, n_voxels))
        yield true + np.sqrt(shared) * film + np.sqrt(1 - shared) * own, rng


def untrained(patterns, rng):
    """RDMs of a random network by run, from all people's volumes."""
    weights = rng.standard_normal((patterns.shape[-1], 50))
    return correlation_rdm(np.maximum(patterns.mean(axis=1) @ weights, 0.0))


def other_runs(patterns):
    """RDMs of people by run, of all runs but this."""
    n_runs = len(patterns)
    rest = [np.delete(patterns, run, axis=0).mean(axis=0) for run in range(n_runs)]
    return correlation_rdm(np.array(rest))


def rate(n_sets, across, **film):
    found = []
    for number, (patterns, rng) in enumerate(several_films(n_sets, **film)):
        models, brain = untrained(patterns, rng), other_runs(patterns)
        if not across:
            brain = np.broadcast_to(correlation_rdm(patterns.mean(axis=0)), brain.shape)
        seed = np.random.SeedSequence(number)
        found.append(split_mantel(models, brain, n_permutations=120, seed=seed).p)
    return np.mean(np.array(found) <= 0.05)


@pytest.mark.parametrize(("n_people", "shared"), [(1, 0.0), (8, 0.5), (8, 0.0)])
def test_an_untrained_network_is_like_the_brain_in_the_nominal_share_of_noise(n_people, shared):
    n = 150
    most = stats.binom.isf(1e-4, n, 0.05) / n
    assert rate(n, True, n_runs=4, n_people=n_people, shared=shared) <= most
    if shared or n_people == 1:  # else this tests nothing
        assert rate(n, False, n_runs=4, n_people=n_people, shared=shared) > 0.15


def test_a_common_geometry_is_found():
    assert rate(30, True, n_runs=4, n_people=8, shared=0.5, effect=1.5) > 0.9


def plain_statistic(models, brain, order):
    """The mean over parts and people of r, with the brain's classes in another order."""
    values, weights = [], []
    for model, rdms in zip(models, brain, strict=True):
        known = np.isfinite(model)
        if known.sum() < 3:
            continue
        moved = [square(rdm)[np.ix_(order, order)][np.triu_indices(N_CLASSES, 1)] for rdm in rdms]
        values.append(np.mean([np.corrcoef(model[known], one[known])[0, 1] for one in moved]))
        weights.append(known.sum())
    return np.average(values, weights=weights)


def test_the_statistic_and_p_are_those_of_a_plain_loop():
    patterns, rng = next(several_films(1, n_runs=3, n_people=2, shared=0.3, effect=0.6))
    models, brain = untrained(patterns, rng), other_runs(patterns)
    rows, columns = pairs_of(N_CLASSES)
    models[1, (rows == 2) | (columns == 2)] = np.nan  # a run without a class
    models[2, rows + columns != 1] = np.nan  # one with two classes only
    test = split_mantel(models, brain, n_permutations=120, seed=SEED)
    null = [plain_statistic(models, brain, list(one)) for one in itertools.permutations(range(5))]
    assert test.r == pytest.approx(null[0])
    np.testing.assert_allclose(np.sort(test.null), np.sort(null), atol=1e-12)
    assert test.p == pytest.approx(np.mean(np.array(null) >= null[0] - 1e-12))
    assert (test.smallest_p, test.n_permutations) == (1 / 120, 120)
    assert split_similarity(models, brain) == pytest.approx(null[0])
    assert split_mantel(models[2:], brain[2:], n_permutations=120, seed=SEED) is None
    assert split_mantel(models, brain[:, :0], n_permutations=120, seed=SEED) is None
    assert np.isnan(split_similarity(models[2:], brain[2:]))


def test_a_true_model_reaches_the_noise_ceiling_and_not_more():
    lows, reached, highs = [], [], []
    for number in range(8):
        rng = np.random.default_rng(number)
        true = 1 + 0.25 * rng.standard_normal(N_PAIRS)
        noisy = true + 0.25 * rng.standard_normal((2, 4, 15, N_PAIRS))
        models = np.tile(true, (4, 1))
        low, high = split_ceiling(noisy[0], noisy[1], models)
        lows.append(low)
        highs.append(high)
        reached.append(split_similarity(models, noisy[1]))
        assert reached[-1] < high
    assert np.mean(lows) < np.mean(reached) < np.mean(highs)
    assert np.mean(highs) - np.mean(lows) < 0.15
    alone = split_ceiling(noisy[0][:, :1], noisy[1][:, :1], models)
    assert np.isnan(alone).all()


def test_the_ceiling_is_of_those_whom_others_can_be_compared_with():
    rng = np.random.default_rng(5)
    brains = 1 + 0.3 * rng.random((2, 3, 2, N_PAIRS))
    models = np.tile(rng.random(N_PAIRS), (3, 1))
    held_out, others = brains
    held_out[1, 0] = np.nan  # one of two participants lacks a part
    low, high = split_ceiling(held_out, others, models)
    # In that part nobody else is left for the second participant, but for the first.
    r = [
        [np.corrcoef(held_out[part, 1 - person], others[part, person])[0, 1] for person in (0, 1)]
        for part in range(3)
    ]
    assert low == pytest.approx(np.mean([np.mean(r[0]), r[1][0], np.mean(r[2])]))
    assert np.isfinite(high)


# --- of volumes


def film_volumes(classes_of_runs, n_people=3, shape=(3, 3, 2), seed=0, lacking=None):
    """Volumes with a pattern of every class; ``lacking`` is a person and a class to leave out."""
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((N_CLASSES, *shape))
    rows = [
        (code, person, run)
        for person in range(n_people)
        for run, classes in enumerate(classes_of_runs)
        for code in classes
        for _ in range(2 + code)
        if (person, code) != lacking
    ]
    codes, people, runs = np.array(rows).T.astype(np.int64)
    data = 5 + patterns[codes] + 0.7 * rng.standard_normal((len(rows), *shape))
    labels = (NAMES, tuple(f"0{1 + one}" for one in range(n_people)), tuple("123456"))
    times = np.arange(len(rows), dtype=float)
    return VolumeSet(data.astype(np.float32), codes, people, runs, times, *labels)


def test_brain_rdms_are_those_of_z_scored_volumes():
    volumes = film_volumes([range(5)] * 3, lacking=(1, 3))
    inside = np.random.default_rng(1).random(volumes.shape) < 0.7
    few = np.zeros(volumes.shape, bool)
    few[tuple(np.argwhere(inside)[:4].T)] = True
    one = np.zeros(volumes.shape, bool)
    one[tuple(np.argwhere(inside)[0])] = True
    parts = [volumes.runs == 1]
    regions = {"brain": inside, "few": few, "one": one}
    found = brain_rdms(volumes, inside, regions, parts, SEED)
    assert set(found) == {"brain", "few"}  # one voxel has no correlation
    for person, place in itertools.product(range(3), range(3)):
        rows = volumes.participants == person
        own = volumes.data[rows][:, inside].astype(float)
        z = (own - own.mean(axis=0)) / own.std(axis=0)
        kept = [True, parts[0][rows], ~parts[0][rows]][place] & np.ones(len(z), bool)
        codes, runs = volumes.codes[rows][kept], volumes.runs[rows][kept]
        seed = np.random.SeedSequence(SEED.entropy, spawn_key=(person, place))
        for name, columns in (("brain", slice(None)), ("few", few[inside])):
            rdms = []
            for draw in equal_draws(codes, runs, 10, seed):
                chosen, labels = z[kept][draw][:, columns], codes[draw]
                means = np.array([chosen[labels == code].mean(axis=0) for code in set(labels)])
                rdms.append(correlation_rdm(means - means.mean(axis=0)))
            every = found[name]
            rdm = (every.every[None], every.held_out, every.others)[place][0, person]
            np.testing.assert_allclose(rdm[np.isfinite(rdm)], np.mean(rdms, axis=0), atol=1e-5)
            assert np.isnan(square(rdm)[3, 0]) == (person == 1)


def outcome_of(volumes, folds, apart=True):
    """Folds that test some runs each, with an untrained layer's RDMs of them."""
    pytest.importorskip("torch")
    from bidsface_emotion_cnn.splits import Fold

    rng = np.random.default_rng(5)
    weights = rng.standard_normal((int(np.prod(volumes.shape)), 40))
    found = []
    for runs in folds:
        tested = np.isin(volumes.runs, runs)
        test, train = np.flatnonzero(tested), np.flatnonzero(~tested)
        sums = DrawnMeans(volumes.codes[test], volumes.runs[test], N_CLASSES, SEED)
        sums.add(0, np.maximum(volumes.data[test].reshape(len(test), -1) @ weights, 0))
        fold = Fold("x", train if apart else np.arange(len(tested)), train[:0], test)
        found.append(SimpleNamespace(fold=fold, layers={"pool": sums.rdm()}))
    return SimpleNamespace(scheme="runs", folds=found)


TOOLS = SimpleNamespace(seed=lambda *names: np.random.SeedSequence([len(one) for one in names]))


def cohort_of(volumes, regions=None):
    return SimpleNamespace(
        volumes=volumes,
        inside=np.ones(volumes.shape, bool),
        regions=regions or {},
        grid=Grid(volumes.shape, np.eye(4)),
        entities={"task": "film"},
    )


def compared_of(volumes, folds, apart=True, regions=None, n_permutations=120):
    outcome = outcome_of(volumes, folds, apart)
    from bidsface_emotion_cnn.network_similarity import compare
    from bidsface_emotion_cnn.similarity_results import similarity_results

    cohort = cohort_of(volumes, regions)
    found = compare(outcome, cohort, n_permutations, TOOLS)
    return found, similarity_results(found, cohort)


def test_brain_and_network_come_from_different_runs():
    volumes = film_volumes([range(5)] * 4)
    region = np.zeros(volumes.shape, bool)
    region[:2] = True
    found, results = compared_of(volumes, [[0], [1], [2, 3]], regions={"insula": region})
    (table,) = results.tables
    check_columns(table.frame, table.columns, "table")
    assert list(table.frame["roi_name"]) == ["brain", "insula"]
    first = table.frame.iloc[0]
    brain = brain_rdms(
        volumes, np.ones(volumes.shape, bool), {"brain": np.ones(volumes.shape, bool)},
        [np.isin(volumes.runs, runs) for runs in ([0], [1], [2, 3])],
        TOOLS.seed("similarity", "draws"),
    )["brain"]  # fmt: skip
    models = np.stack([one.layers["pool"] for one in outcome_of(volumes, [[0], [1], [2, 3]]).folds])
    expected = split_mantel(models, brain.others, n_permutations=120, seed=SEED)
    assert (first["r"], first["p"]) == pytest.approx((expected.r, expected.p))
    low, high = split_ceiling(brain.held_out, brain.others, models)
    assert (first["ceiling_low"], first["ceiling_high"]) == pytest.approx((low, high))
    assert first["r"] <= high
    assert first["exhaustive"]
    assert first["p_min"] == pytest.approx(1 / 120)
    assert first["n"] == 3
    larger = np.sort(table.frame["p"])
    assert sorted(table.frame["p_fdr"]) == pytest.approx([min(2 * larger[0], larger[1]), larger[1]])
    assert list(results.warnings) == []
    assert "held-out runs" in results.methods
    assert set(results.citations) == {"kriegeskorte2008", "mantel1967", "benjamini1995", "nili2014"}
    assert found.network["pool"] == pytest.approx(mean_rdm(models))


def test_networks_that_have_seen_the_runs_are_described_only():
    volumes = film_volumes([range(5)] * 3)
    _, results = compared_of(volumes, [[0, 1, 2]], apart=False)
    (table,) = results.tables
    assert table.frame["p"].isna().all()
    assert np.isfinite(table.frame["r"]).all()
    assert (table.frame["r"] <= table.frame["ceiling_high"]).all()
    assert "described and not tested" in results.warnings[0]
    assert "not tested" in results.summaries[0].title
    assert "descriptive" in results.methods
    assert "p" not in results.summaries[0].frame


def test_the_scheme_that_keeps_runs_apart_is_compared():
    volumes = film_volumes([range(5)] * 3)
    mixed, apart = outcome_of(volumes, [[0, 1, 2]], apart=False), outcome_of(volumes, [[0], [1]])
    from bidsface_emotion_cnn.network_similarity import compared

    assert compared([mixed, apart], volumes) is apart
    assert compared([mixed], volumes) is mixed


def test_classes_that_are_never_held_out_together_are_named():
    # LOVE and PRIDE share no run, and every class is in two runs.
    volumes = film_volumes([[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 4]])
    _, results = compared_of(volumes, [[0], [1], [2], [3]])
    assert len(results.tables[0].frame) == 1
    assert any("LOVE and PRIDE are left out" in line for line in results.warnings)
    rdm = next(one.frame for one in results.matrices if one.entities["contrast"] == "layer")
    assert np.isnan(rdm.loc["LOVE", "PRIDE"])


def test_people_who_lack_a_class_do_not_count():
    volumes = film_volumes([range(5)] * 3, lacking=(1, 3))
    _, results = compared_of(volumes, [[0], [1], [2]])
    assert results.tables[0].frame["n"].tolist() == [2]
    assert any("sub-02 left out, for lack of volumes" in line for line in results.warnings)


def test_few_classes_cannot_reach_the_usual_level():
    volumes = film_volumes([range(3)] * 3)
    volumes = replace(volumes, classes=NAMES[:3])
    pytest.importorskip("torch")
    from bidsface_emotion_cnn import network_similarity, similarity_results

    outcome = outcome_of(volumes, [[0], [1], [2]])
    for one in outcome.folds:
        one.layers["pool"] = one.layers["pool"][np.isfinite(one.layers["pool"])]
    found = network_similarity.compare(outcome, cohort_of(volumes), 120, TOOLS)
    results = similarity_results.similarity_results(found, cohort_of(volumes))
    assert results.tables[0].frame["p_min"].tolist() == pytest.approx([1 / 6])
    assert any("smallest p" in line and "0.167" in line for line in results.warnings)


def test_nothing_is_compared_where_two_classes_are_held_out():
    volumes = film_volumes([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0]])
    _, results = compared_of(volumes, [[0], [1], [2], [3], [4]])
    assert not results.tables
    assert any("brain and layer pool are not compared" in line for line in results.warnings)
    assert sum("ANGER and JOY; ANGER and LOVE; FEAR and LOVE" in line for line in results.warnings)
