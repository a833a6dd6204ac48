"""Scores, intervals and tests of held-out predictions: references, planted effects, nulls."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics

from bidsface_emotion_cnn.above_chance import compare_with_chance, sign_flip_p
from bidsface_emotion_cnn.circular_shift import WIDER, circular_shift_test
from bidsface_emotion_cnn.confusions import Scores, confusions
from bidsface_emotion_cnn.curves import (
    PairWins,
    bootstrap_auc,
    macro,
    one_vs_rest_auc,
    roc_curve,
)
from bidsface_emotion_cnn.evaluation import Evaluation, EvaluationSettings
from bidsface_emotion_cnn.evaluation_summary import evaluation_summary, headline
from bidsface_emotion_cnn.evaluation_tables import SCORE_COLUMNS, Evaluated, score_table
from bidsface_emotion_cnn.film_moments import FilmUnits, in_a_film
from bidsface_emotion_cnn.held_out import HeldOut
from bidsface_emotion_cnn.held_out_tables import confusion_matrices, prediction_table
from bidsface_emotion_cnn.resampling import participant_weights, percentile_interval
from bidsface_emotion_cnn.splits import Fold, make_folds

SEED = np.random.SeedSequence(7)
QUICK = EvaluationSettings(n_resamples=200, n_shifts=199)
CLASSES = ("anger", "fear", "joy")


def predictions(n=240, n_classes=3, n_people=6, effect=1.0, seed=0, digits=2):
    """Return probabilities with ties, classes and participants."""
    rng = np.random.default_rng(seed)
    codes, people = rng.integers(n_classes, size=n), rng.integers(n_people, size=n)
    scores = rng.standard_normal((n, n_classes)) + effect * np.eye(n_classes)[codes]
    probabilities = np.round(special.softmax(scores, axis=1), digits)
    return probabilities, codes, people


@pytest.mark.parametrize("digits", [1, 12])
def test_curves_are_those_of_scikit_learn(digits):
    probabilities, codes, _ = predictions(digits=digits)
    for code in range(3):
        found = roc_curve(probabilities[:, code], codes == code)
        theirs = metrics.roc_curve(codes == code, probabilities[:, code])
        for ours, expected in zip(
            (found.false_positive, found.true_positive, found.thresholds), theirs, strict=True
        ):
            np.testing.assert_allclose(ours, expected)
        assert found.auc == pytest.approx(
            metrics.roc_auc_score(codes == code, probabilities[:, code])
        )
    flat = roc_curve(np.ones(4), np.array([True, False, True, False]))
    assert flat.auc == 0.5
    with pytest.raises(ValueError, match="found 4 of 4"):
        roc_curve(np.arange(4.0), np.ones(4, bool))


def test_areas_are_those_of_scikit_learn():
    probabilities, codes, _ = predictions()
    found = one_vs_rest_auc(probabilities, codes)
    theirs = [metrics.roc_auc_score(codes == code, probabilities[:, code]) for code in range(3)]
    np.testing.assert_allclose(found, theirs)
    exact, _, _ = predictions(digits=15)
    exact /= exact.sum(axis=1, keepdims=True)
    assert macro(one_vs_rest_auc(exact, codes)) == pytest.approx(
        metrics.roc_auc_score(codes, exact, multi_class="ovr", average="macro")
    )


def test_area_of_a_class_that_is_not_there_is_missing():
    probabilities, codes, _ = predictions(n_classes=4)
    codes = np.where(codes == 2, 1, codes)
    found = one_vs_rest_auc(probabilities, codes)
    assert np.isnan(found).tolist() == [False, False, True, False]
    assert macro(found) == pytest.approx(np.nanmean(found))
    assert np.isnan(macro(np.full(3, np.nan)))


def test_resampled_areas_are_those_of_repeated_volumes():
    probabilities, codes, people = predictions(n=90, n_people=5)
    codes[people == 4] = 1  # who has seen one class only
    weights = participant_weights(5, 40, SEED)
    assert (weights.sum(axis=1) == 5).all()
    found = PairWins.of(probabilities, codes, people, 5).auc(weights)
    for resample, areas in zip(weights, found, strict=True):
        rows = np.repeat(np.arange(90), resample[people])
        np.testing.assert_allclose(areas, one_vs_rest_auc(probabilities[rows], codes[rows]))


def test_areas_within_folds_compare_no_volumes_of_two_folds():
    probabilities, codes, people = predictions(n=60, n_people=3)
    folds = np.arange(60) % 3
    found = PairWins.within(folds, probabilities, codes, people, 3).auc(np.ones((1, 3)))[0]
    for code in range(3):
        wins, n = 0.0, 0
        for a, b in itertools.product(range(60), range(60)):
            if folds[a] == folds[b] and codes[a] == code != codes[b]:
                one, other = probabilities[[a, b], code]
                wins, n = wins + (one > other) + 0.5 * (one == other), n + 1
        assert found[code] == pytest.approx(wins / n)


def test_intervals_of_areas_are_percentiles_of_the_resamples():
    probabilities, codes, people = predictions()
    folds = np.arange(240) // 60
    found = bootstrap_auc(probabilities, codes, people + 3, folds, n_resamples=300, seed=SEED)
    pairs = PairWins.within(folds, probabilities, codes, people, 6)
    draws = pairs.auc(participant_weights(6, 300, SEED))
    low, high = percentile_interval(draws, 6)
    np.testing.assert_allclose([found.low, found.high], [low, high])
    assert (found.low < found.auc).all()
    assert (found.auc < found.high).all()
    assert found.macro_low < found.macro < found.macro_high
    nobody = np.zeros(240, int)
    alone = bootstrap_auc(probabilities, codes, nobody, folds, n_resamples=9, seed=SEED)
    assert np.isnan([*alone.low, alone.macro_low, alone.macro_high]).all()
    np.testing.assert_allclose(alone.auc, found.auc)


def test_areas_are_one_half_where_folds_know_how_frequent_classes_are():
    rng = np.random.default_rng(4)
    within, over = [], []
    for _ in range(60):
        folds = np.repeat(np.arange(6), 40)
        codes = (rng.random(240) < rng.uniform(0.2, 0.8, size=6)[folds]).astype(int)
        # All that a fold's network knows is how frequent the class was in training.
        frequent = np.array([codes[folds != fold].mean() for fold in range(6)])[folds]
        score = np.clip(frequent + 0.02 * rng.standard_normal(240), 0, 1)
        probabilities = np.stack([1 - score, score], axis=1)
        people = np.arange(240) % 4
        found = bootstrap_auc(probabilities, codes, people, folds, n_resamples=2, seed=SEED)
        within.append(found.macro)
        over.append(macro(one_vs_rest_auc(probabilities, codes)))
    assert abs(np.mean(within) - 0.5) < 0.015
    assert np.mean(over) < 0.35


def test_intervals_of_eight_people_hold_the_mean_as_often_as_they_say():
    n_studies, n = 2000, 8
    data = np.random.default_rng(1).standard_normal((n_studies, n))
    draws = participant_weights(n, 999, SEED) @ data.T / n
    low, high = percentile_interval(draws, n)
    held = np.mean((low < 0) & (high > 0))
    assert abs(held - 0.95) < 0.02
    plain = np.quantile(draws, [0.025, 0.975], axis=0)
    assert np.mean((plain[0] < 0) & (plain[1] > 0)) < 0.91


def test_resamples_without_a_value_are_left_out():
    draws = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])
    low, high = percentile_interval(draws, 4)
    assert 1 <= low[0] <= high[0] <= 2
    assert np.isnan([low[1], high[1]]).all()


def test_scores_of_confusion_matrices_are_those_of_scikit_learn():
    probabilities, codes, people = predictions()
    predicted = probabilities.argmax(axis=1)
    matrices = confusions(codes, predicted, people, 6, 3)
    found = Scores.of(matrices)
    for person in range(6):
        true, said = codes[people == person], predicted[people == person]
        np.testing.assert_array_equal(
            matrices[person], metrics.confusion_matrix(true, said, labels=range(3))
        )
        assert found.accuracy[person] == pytest.approx(metrics.accuracy_score(true, said))
        assert found.balanced_accuracy[person] == pytest.approx(
            metrics.balanced_accuracy_score(true, said)
        )
        np.testing.assert_allclose(
            found.recalls[person], metrics.recall_score(true, said, average=None)
        )
    np.testing.assert_array_equal(found.chance, np.full(6, 1 / 3))
    np.testing.assert_array_equal(found.n, np.bincount(people))


@pytest.mark.parametrize("codes", [(0, 0, 1, 1, 2, 2), (0, 0, 0, 1, 1, 1)])
def test_chance_is_the_mean_over_all_orders_of_the_classes(codes):
    predicted = np.array([0, 2, 1, 0, 2, 2])
    orders = set(itertools.permutations(codes))
    every = [confusions(np.array(order), predicted, np.zeros(6, int), 1, 3)[0] for order in orders]
    null = Scores.of(np.stack(every))
    observed = Scores.of(every[0])
    assert observed.chance == pytest.approx(null.balanced_accuracy.mean())
    assert observed.accuracy_chance == pytest.approx(null.accuracy.mean())
    tested = np.unique(codes)
    np.testing.assert_allclose(observed.recall_chance[tested], null.recalls[:, tested].mean(axis=0))


def test_participants_are_compared_with_chance_as_scipy_does():
    rng = np.random.default_rng(2)
    scores = 0.35 + 0.1 * rng.standard_normal(9)
    chance = np.full(9, 1 / 3)
    found = compare_with_chance(scores, chance, n_flips=10_000, seed=SEED)
    away = scores - chance
    assert found.p_t == pytest.approx(stats.ttest_1samp(away, 0, alternative="greater").pvalue)
    assert found.p_signed_rank == pytest.approx(stats.wilcoxon(away, alternative="greater").pvalue)
    means = [np.mean(np.array(signs) * away) for signs in itertools.product((1, -1), repeat=9)]
    assert found.p_sign_flip == pytest.approx(np.mean(np.array(means) >= away.mean() - 1e-12))
    assert found.smallest_p == 2.0**-9
    assert found.low < found.mean < found.high
    drawn = sign_flip_p(away, 400, SEED)
    assert drawn == pytest.approx(found.p_sign_flip, abs=0.08)


def test_participants_far_above_chance_and_odd_numbers_of_them():
    chance = np.full(6, 0.2)
    found = compare_with_chance(
        chance + np.array([0.2, 0.3, 0.25, 0.1, 0.15, np.nan]), chance, n_flips=99, seed=SEED
    )
    assert found.n == 5
    assert found.p_signed_rank == found.p_sign_flip == 1 / 32
    assert found.p_t < 0.01
    one = compare_with_chance(np.array([0.5]), np.array([0.2]), n_flips=99, seed=SEED)
    assert np.isnan([one.p_t, one.low]).all()
    assert one.p_signed_rank == one.p_sign_flip == 0.5
    none = compare_with_chance(np.array([np.nan]), np.array([0.2]), n_flips=9, seed=SEED)
    assert none.n == 0
    assert np.isnan(none.p_signed_rank)


def test_participants_at_chance_are_rarely_found_above():
    rng = np.random.default_rng(3)
    p = []
    for _ in range(300):
        found = compare_with_chance(rng.standard_normal(8), np.zeros(8), n_flips=255, seed=SEED)
        p.append((found.p_signed_rank, found.p_t, found.p_sign_flip))
    rates = (np.array(p) <= 0.05).mean(axis=0)
    assert (rates < 0.1).all()
    assert (rates > 0.015).all()


def film(rng, n_runs=4, n_blocks=12, n_classes=3, gap=3):
    """Return labels, runs and times of a film: blocks of volumes with gaps where labels change."""
    rows, time = [], 0
    for run in range(n_runs):
        label, time = 0, 0
        for _ in range(n_blocks):
            label = (label + rng.integers(1, n_classes)) % n_classes
            length = rng.integers(2, 8)
            rows += [(label, run, time + step) for step in range(length)]
            time += length + gap
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def respond(rng, runs, times, n_people, shared=0.7, memory=0.9, n_classes=3):
    """Return scores of classes that linger in time and are alike in people, and know no label."""
    span = int(times.max()) + 1
    series = rng.standard_normal((n_people + 1, runs.max() + 1, span, n_classes))
    for step in range(1, span):
        series[:, :, step] *= np.sqrt(1 - memory**2)
        series[:, :, step] += memory * series[:, :, step - 1]
    own = np.sqrt(shared) * series[:1] + np.sqrt(1 - shared) * series[1:]
    return own[:, runs, times]


def watched(rng, n_people=4, effect=0.0, **keywords):
    """Return probabilities, codes, runs and times of volumes of people who saw one film."""
    labels, runs, times = film(rng, **keywords)
    scores = respond(rng, runs, times, n_people) + effect * np.eye(3)[labels]
    tiled = [np.tile(part, n_people) for part in (labels, runs, times)]
    return special.softmax(scores.reshape(-1, 3), axis=1), *tiled


@pytest.mark.parametrize("unit", ["blocks", "volumes"])
def test_circular_shifts_are_those_of_a_plain_loop(unit):
    rng = np.random.default_rng(5)
    probabilities, codes, runs, times = watched(rng, 2, 0.5, n_runs=2, n_blocks=3)
    order = rng.permutation(len(codes))
    kept = order[: len(order) - 3]  # participants need not have the same volumes
    parts = probabilities[kept], codes[kept], runs[kept], times[kept].astype(float)
    found = circular_shift_test(*parts, n_shifts=10_000, seed=SEED, unit=unit)
    null, areas = plain_shifts(*parts, unit)
    np.testing.assert_allclose(np.sort(np.append(found.null, null[0])), np.sort(null))
    assert found.balanced_accuracy == pytest.approx(null[0])
    assert found.p == pytest.approx(plain_p(null))
    np.testing.assert_allclose(found.auc_p, [plain_p(own) for own in areas.T])
    assert found.macro_auc_p == pytest.approx(plain_p(areas.mean(axis=1)))


def test_areas_of_shifts_are_of_pairs_within_folds():
    parts = watched(np.random.default_rng(15), 2, 0.5, n_runs=3, n_blocks=3)
    folds = np.where(parts[2] == 2, 9, 4)
    found = circular_shift_test(*parts, n_shifts=10_000, seed=SEED, folds=folds)
    null, areas = plain_shifts(*parts, "blocks", folds)
    assert found.p == pytest.approx(plain_p(null))
    np.testing.assert_allclose(found.auc_p, [plain_p(own) for own in areas.T])
    assert found.macro_auc_p == pytest.approx(plain_p(areas.mean(axis=1)))


def plain_p(scores):
    """Return p of the first of all scores; the others are moved away from their mean."""
    others = [np.mean(scores[1:]) + np.sqrt(2) * (one - np.mean(scores[1:])) for one in scores[1:]]
    return (1 + sum(one >= scores[0] - 1e-12 for one in others)) / len(scores)


def plain_shifts(probabilities, codes, runs, times, unit, folds=None):
    """Return balanced accuracies and areas of all shifts; the first is none."""
    folds = np.zeros(len(codes), int) if folds is None else folds
    predicted = probabilities.argmax(axis=1)
    label_of = {(run, time): code for run, time, code in zip(runs, times, codes, strict=True)}
    units = []  # of every run: lists of moments
    for run in np.unique(runs):
        own, last = [], None
        for moment in sorted(key for key in label_of if key[0] == run):
            if unit == "volumes" or label_of[moment] != last:
                own.append([])
            own[-1].append(moment)
            last = label_of[moment]
        units.append(own)
    null, areas = [], []
    for shifts in itertools.product(*(range(len(own)) for own in units)):
        shifted = {}
        for own, shift in zip(units, shifts, strict=True):
            for number, moments in enumerate(own):
                label = label_of[own[(number + shift) % len(own)][0]]
                shifted.update(dict.fromkeys(moments, label))
        new = np.array([shifted[run, time] for run, time in zip(runs, times, strict=True)])
        null.append(metrics.balanced_accuracy_score(new, predicted))
        pairs = PairWins.within(folds, probabilities, new, np.zeros(len(new), int), 1)
        areas.append(pairs.auc(np.ones((1, 1)))[0])
    return np.array(null), np.array(areas)


def test_drawn_shifts_are_some_of_all():
    parts = watched(np.random.default_rng(6), 2, n_runs=2, n_blocks=6)
    every = circular_shift_test(*parts, n_shifts=35, seed=SEED)
    drawn = circular_shift_test(*parts, n_shifts=30, seed=SEED)
    assert len(every.null) == 35
    assert len(drawn.null) == 30
    values = np.append(every.null, every.balanced_accuracy)
    assert np.abs(drawn.null[:, None] - values).min(axis=1).max() < 1e-12


def test_circular_shifts_find_a_planted_effect():
    parts = watched(np.random.default_rng(7), effect=1.0)
    found = circular_shift_test(*parts, n_shifts=999, seed=SEED)
    assert found.p <= 0.005
    assert (found.recall_p <= 0.05).all()
    assert (found.auc_p <= 0.05).all()
    assert found.smallest_p == 0.001


def test_circular_shifts_hold_their_level_where_volumes_and_viewers_are_not_exchangeable():
    rng = np.random.default_rng(8)
    shifts, permuted, people = [], [], []
    for _ in range(200):
        probabilities, codes, runs, times = watched(rng, n_people=6, n_runs=3)
        parts = probabilities, codes, runs, times
        # What is predicted here knows no label.
        found = circular_shift_test(*parts, n_shifts=99, seed=SEED, wider=1.0)
        shifts.append(found.p)
        predicted = probabilities.argmax(axis=1)
        orders = rng.permuted(np.tile(codes, (39, 1)), axis=1)
        numbers = np.repeat(np.arange(39), len(codes))
        null = Scores.of(confusions(orders.ravel(), np.tile(predicted, 39), numbers, 39, 3))
        permuted.append((1 + (null.balanced_accuracy >= found.balanced_accuracy).sum()) / 40)
        owners = np.repeat(np.arange(6), len(codes) // 6)
        each = Scores.of(confusions(codes, predicted, owners, 6, 3)).balanced_accuracy
        people.append(compare_with_chance(each, np.full(6, 1 / 3), n_flips=63, seed=SEED).p_t)
    most = stats.binom.isf(1e-4, 200, 0.05) / 200
    assert 0.01 < np.mean(np.array(shifts) <= 0.05) < most
    assert np.mean(np.array(permuted) <= 0.05) > 0.15
    assert np.mean(np.array(people) <= 0.05) > 0.15


def test_circular_shifts_hold_their_level_where_folds_have_trained_each_other():
    rng = np.random.default_rng(16)
    runs, times = np.repeat([0, 1], 30), np.tile(np.arange(30.0), 2)
    p = []
    for _ in range(200):
        codes = np.cumsum(rng.integers(1, 3, size=60)) % 3
        X = rng.standard_normal((60, 40))
        scores = np.empty((60, 3))
        for run in (0, 1):
            own = runs == run
            means = np.stack([X[~own & (codes == code)].mean(axis=0) for code in range(3)])
            scores[own] = (X[own] @ means.T) - (means**2).sum(axis=1) / 2
        parts = special.softmax(scores, axis=1), codes, runs, times
        p.append(
            [
                circular_shift_test(
                    *parts, n_shifts=59, seed=SEED, folds=runs, wider=wider
                ).macro_auc_p
                for wider in (1.0, WIDER)
            ]
        )
    plain, widened = (np.array(p) <= 0.05).mean(axis=0)
    assert plain > 0.08  # both folds gain or lose by the same chance
    assert widened < stats.binom.isf(1e-3, 200, 0.05) / 200


def own_labels(rng, n_people=6, n_runs=3, offset=0.1):
    """Return what people see at times, and in an order, of their own: labels, runs, times (s)."""
    parts = []
    for person in range(n_people):
        labels, runs, steps = film(rng, n_runs=n_runs)
        parts.append((labels, runs, 2.0 * steps + offset * person, np.full(len(labels), person)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.35])
def test_labels_of_their_own_are_not_a_film_whatever_the_grids(offset):
    rng = np.random.default_rng(17)
    settings = EvaluationSettings(n_resamples=2, n_shifts=9, step=2.0)
    p = []
    for _ in range(30):
        codes, runs, times, people = own_labels(rng, offset=offset)
        assert not in_a_film(codes, runs, times, 2.0).all()
        folds = [
            Fold(str(run), np.flatnonzero(runs != run), np.array([], int), np.flatnonzero(own))
            for run, own in ((run, runs == run) for run in range(3))
        ]
        parts = [rng.dirichlet(np.ones(3), len(fold.test)) for fold in folds]
        held_out = HeldOut.of("runs", folds, parts, codes, people, runs, times)
        found = Evaluation.of(held_out, SEED, settings)
        assert found.shift is None
        p.append(found.p)
    assert np.mean(np.array(p) <= 0.05) <= stats.binom.isf(1e-3, 30, 0.05) / 30


@pytest.mark.parametrize(
    ("starts", "steps"),
    [
        ((0.0, 0.1, 0.9, 1.0), (2.0, 2.0, 2.0, 2.0)),
        ((0.0, 0.0, 0.0, 0.0), (2.0, 2.001, 1.999, 2.0)),
        ((0.0, 0.5, 1.0, 0.3), (2.0, 1.5, 2.0, 1.5)),
    ],
)
def test_a_film_is_one_whatever_the_grids(starts, steps):
    rng = np.random.default_rng(18)
    order, runs, seconds = film(rng, n_runs=2, gap=0)
    ends = [int(seconds[runs == run].max()) for run in (0, 1)]
    parts = []
    for start, step in zip(starts, steps, strict=True):
        for run in (0, 1):
            times = np.arange(start, 2.0 * ends[run], step)
            labels = order[runs == run][(times / 2.0).astype(int)]
            parts.append((labels, np.full(len(times), run), times))
    codes, runs, times = (np.concatenate(column) for column in zip(*parts, strict=True))
    assert in_a_film(codes, runs, times, 2.0).all()
    units = FilmUnits.of(codes, runs, times, 2.0)
    one = FilmUnits.of(order, np.repeat([0, 1], np.add(ends, 1)), seconds, 1.0)
    np.testing.assert_array_equal(units.labels, one.labels)  # the same blocks, none of them torn
    np.testing.assert_array_equal(units.labels[units.units], codes)


def test_volumes_at_edges_of_films_that_are_divided_a_little_differently_are_left_out():
    rng = np.random.default_rng(19)
    probabilities, codes, runs, times = watched(rng, n_runs=3)
    people = np.repeat(np.arange(4), len(codes) // 4)
    odd = np.flatnonzero((runs == 1) & (people == 2))[5]
    codes = codes.copy()
    codes[odd] = (codes[odd] + 1) % 3
    folds = [
        Fold(str(run), np.flatnonzero(runs != run), np.array([], int), np.flatnonzero(runs == run))
        for run in range(3)
    ]
    parts = [probabilities[fold.test] for fold in folds]
    held_out = HeldOut.of("runs", folds, parts, codes, people, runs, times)
    assert Evaluation.of(held_out, SEED, QUICK).shift is None
    found = Evaluation.of(held_out, SEED, replace(QUICK, film=True, step=1.0))
    assert found.shift is not None
    assert in_a_film(codes, runs, times, 1.0).sum() == len(codes) - 1


def test_labels_that_do_not_belong_to_the_film_cannot_be_shifted():
    probabilities, codes, runs, times = watched(np.random.default_rng(9), n_runs=2)
    codes = codes.copy()
    codes[0] = (codes[0] + 1) % 3
    with pytest.raises(ValueError, match="different labels at the same moment"):
        circular_shift_test(probabilities, codes, runs, times, n_shifts=9, seed=SEED)
    people = np.repeat(np.arange(4), len(codes) // 4)
    fold = Fold("2", np.flatnonzero(runs == 0), np.array([], int), np.flatnonzero(runs == 1))
    own = codes.copy()
    own[people == 3] = (own[people == 3] + 1) % 3
    for labels, tested in ((own, False), (codes, True)):
        parts = labels, people, runs, times
        held_out = HeldOut.of("runs", [fold], [probabilities[fold.test]], *parts)
        found = Evaluation.of(held_out, SEED, QUICK)
        assert (found.shift is not None) == tested
        assert found.p == (found.shift.p if tested else found.above_chance.p_signed_rank)


def study(scheme, effect=1.0, seed=10):
    """Return the held-out predictions of people who saw a film."""
    rng = np.random.default_rng(seed)
    probabilities, codes, runs, times = watched(rng, 5, effect)
    people = np.repeat(np.arange(5), len(codes) // 5)
    folds = make_folds(
        scheme, codes, people, runs, n_folds=None, test_share=0.3, seed=np.random.SeedSequence(1)
    )
    parts = [probabilities[fold.test] for fold in folds]
    return HeldOut.of(scheme, folds, parts, codes, people, runs, 2.0 * times)


@pytest.mark.parametrize("scheme", ["runs", "participants", "random"])
def test_an_evaluation_says_what_scikit_learn_says(scheme):
    held_out = study(scheme)
    found = Evaluation.of(held_out, SEED, QUICK)
    true, said = held_out.codes, held_out.predicted
    assert found.pooled.accuracy == pytest.approx(metrics.accuracy_score(true, said))
    balanced = metrics.balanced_accuracy_score(true, said)
    assert found.pooled.balanced_accuracy == pytest.approx(balanced)
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(true, said))
    assert found.balanced_accuracy.low < balanced < found.balanced_accuracy.high
    assert (found.recalls.low <= found.pooled.recalls).all()
    pairs = PairWins.within(held_out.folds, held_out.probabilities, true, 0 * true, 1)
    np.testing.assert_allclose(found.auc.auc, pairs.auc(np.ones((1, 1)))[0])
    assert found.auc.macro == pytest.approx(found.auc.auc.mean())
    for number in range(len(held_out.fold_names)):
        own = held_out.folds == number
        assert found.folds.balanced_accuracy[number] == pytest.approx(
            metrics.balanced_accuracy_score(true[own], said[own])
        )
    assert (found.shift is None) == (scheme != "runs")
    assert {"runs": found.p < 0.01, "participants": found.p == 1 / 32}.get(
        scheme, np.isnan(found.p)
    )
    again = Evaluation.of(held_out, SEED, QUICK)
    assert again.balanced_accuracy.low == found.balanced_accuracy.low


def test_accuracy_is_resampled_as_volumes_of_people_are():
    held_out = study("participants")
    found = Evaluation.of(held_out, SEED, QUICK)
    weights = participant_weights(
        5, 200, np.random.SeedSequence(SEED.entropy, spawn_key=(*SEED.spawn_key, 0))
    )
    draws = []
    for resample in weights:
        rows = np.repeat(np.arange(len(held_out.codes)), resample[held_out.participants])
        draws.append(
            metrics.balanced_accuracy_score(held_out.codes[rows], held_out.predicted[rows])
        )
    expected = percentile_interval(np.array(draws), 5)
    np.testing.assert_allclose(
        [found.balanced_accuracy.low, found.balanced_accuracy.high], expected
    )


def test_predictions_that_are_none_are_refused():
    fold = Fold("one", np.array([0]), np.array([1]), np.array([2, 3]))
    rest = [np.zeros(4, int)] * 3 + [np.arange(4.0)]
    good = np.full((2, 3), 1 / 3)
    assert HeldOut.of("runs", [fold], [good], *rest).n_classes == 3
    for bad, message in (
        (good[:1], "tests 2 volumes, found predictions of shape"),
        (np.full((2, 3), np.nan), "fold one: predictions are not finite"),
        (2 * good, "sum to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            HeldOut.of("runs", [fold], [bad], *rest)
    with pytest.raises(ValueError, match="1 folds and 0 predictions"):
        HeldOut.of("runs", [fold], [], *rest)
    with pytest.raises(ValueError, match="class number 3 has no column"):
        HeldOut.of("runs", [fold], [good], np.arange(4), *rest[1:])


@pytest.fixture(scope="module")
def evaluated():
    return [
        Evaluated("EmotionCNN3D", Evaluation.of(study(scheme), SEED, QUICK), CLASSES)
        for scheme in ("runs", "random")
    ]


def test_tables_hold_what_was_found(evaluated):
    table = score_table(evaluated, {"task": "movie"}, roi_name="brain", task="movie")
    assert list(table.frame) == list(SCORE_COLUMNS)
    frame = table.frame
    keys = ["scheme", "metric", "class", "fold"]
    assert not frame.duplicated(keys).any()
    assert set(frame["metric"]) == set(SCORE_COLUMNS["metric"].levels)
    runs = frame[frame["scheme"] == "runs"]
    found = evaluated[0].evaluation
    pooled = runs[(runs["metric"] == "balanced_accuracy") & (runs["fold"] == "pooled")].iloc[0]
    assert pooled["value"] == found.pooled.balanced_accuracy
    assert (pooled["p"], pooled["chance"], pooled["n"]) == (
        found.shift.p,
        1 / 3,
        len(found.held_out.codes),
    )
    assert pooled["p_min"] == found.shift.smallest_p == 1 / 200
    people = runs[(runs["metric"] == "balanced_accuracy") & (runs["fold"] == "participants")]
    assert (people["p"].item(), people["p_min"].item()) == (1 / 32, 1 / 32)
    fear = runs[(runs["metric"] == "auc") & (runs["class"] == "fear") & (runs["fold"] == "pooled")]
    assert fear["value"].item() == found.auc.auc[1]
    assert fear["p_fdr"].item() >= fear["p"].item()
    mean = runs[(runs["metric"] == "balanced_accuracy") & (runs["fold"] == "mean")]
    assert mean["value"].item() == pytest.approx(found.folds.balanced_accuracy.mean())
    assert frame[frame["scheme"] == "random"]["p"].isna().all()


def test_people_read_scores_with_what_they_mean(evaluated):
    runs, other = (headline(item) for item in evaluated)
    found = evaluated[0].evaluation
    assert f"accuracy {found.pooled.balanced_accuracy:.3f} (95 % CI" in runs
    assert "film segments held out" in runs
    assert "chance 0.333, p = 0.005; mean area" in runs
    assert "p =" not in other
    summary = evaluation_summary(evaluated, film=True).frame
    assert summary["p"].tolist() == ["0.0050", "n/a"]
    assert summary["smallest p"].tolist() == ["0.005", "n/a"]
    assert "circular shifts" in evaluation_summary(evaluated, film=True).caption
    assert "circular shifts" not in evaluation_summary(evaluated, film=False).caption


def test_every_tested_volume_has_a_row(evaluated):
    table = prediction_table(
        evaluated,
        {"task": "movie"},
        participant_labels=[f"0{number}" for number in range(1, 6)],
        run_labels=["1", "2", "3", "4"],
        task="movie",
    )
    assert set(table.frame) == set(table.columns)
    assert len(table.frame) == sum(len(item.evaluation.held_out.codes) for item in evaluated)
    names = [f"probability_{name}" for name in CLASSES]
    best = table.frame[names].to_numpy().argmax(axis=1)
    assert (np.array(CLASSES)[best] == table.frame["predicted"]).all()
    matrices = confusion_matrices(evaluated, {"task": "movie"}, "movie")
    names = [matrix.entities["contrast"] for matrix in matrices]
    assert names == ["runsEmotionCNN3D", "randomEmotionCNN3D"]
    first = table.frame[table.frame["scheme"] == "runs"]
    assert (
        matrices[0].frame.loc["fear", "joy"]
        == ((first["class"] == "fear") & (first["predicted"] == "joy")).sum()
    )
