"""Leakage audits: data in which moments linger are flagged, independent ones are not."""

import numpy as np
import pytest
from scipy import special
from sklearn.neighbors import KNeighborsClassifier

from bidsface_emotion_cnn.audit_tables import (
    AUDIT_COLUMNS,
    audit_summary,
    audit_table,
    calibration_table,
    overlap_summary,
)
from bidsface_emotion_cnn.evaluation import Evaluation, EvaluationSettings
from bidsface_emotion_cnn.evaluation_figures import (
    audit_figure,
    confusion_figure,
    participant_figure,
    reliability_figure,
    roc_figure,
)
from bidsface_emotion_cnn.evaluation_tables import Evaluated
from bidsface_emotion_cnn.evaluation_text import CITATIONS, citations_of, methods
from bidsface_emotion_cnn.held_out import HeldOut
from bidsface_emotion_cnn.leakage_audit import PAIRS, LeakageAudit, _refuse_more_training
from bidsface_emotion_cnn.leakage_text import overlap_text, verdict, warnings_of
from bidsface_emotion_cnn.overlap import overlap_report
from bidsface_emotion_cnn.splits import SCHEMES, Fold, make_folds
from bidsface_emotion_cnn.training_sizes import equal_training, mean_size

SEED = np.random.SeedSequence(11)
QUICK = EvaluationSettings(n_resamples=200, n_shifts=99)
N_PEOPLE, N_RUNS, N_TIMES, N_CLASSES = 8, 4, 40, 3
CLASSES = ("anger", "fear", "joy")
FEW = EvaluationSettings(n_resamples=100, n_shifts=9)


def watch(seed, memory, shared, effect=0.0, n_runs=N_RUNS):
    """Return features, codes, participants, runs and times (s) of people who see a film.

    ``memory`` is how much of a volume is left in the next one, ``shared`` how much of the variance
    is the same in all participants; ``effect`` is the size of class patterns.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.integers(N_CLASSES, size=(n_runs, N_TIMES // 5)), 5, axis=1)
    labels[:, : 2 * N_CLASSES] = np.arange(2 * N_CLASSES) % N_CLASSES  # all classes in all runs
    series = rng.standard_normal((N_PEOPLE + 1, n_runs, N_TIMES, 12))
    for step in range(1, N_TIMES):
        series[:, :, step] *= np.sqrt(1 - memory**2)
        series[:, :, step] += memory * series[:, :, step - 1]
    X = np.sqrt(shared) * series[:1] + np.sqrt(1 - shared) * series[1:]
    X += effect * rng.standard_normal((N_CLASSES, 12))[labels]
    people, runs, times = np.indices((N_PEOPLE, n_runs, N_TIMES)).reshape(3, -1)
    return X.reshape(-1, 12), labels[runs, times], people, runs, 2.0 * times


def folds_of(data, seed=SEED):
    """Return the folds of all schemes, as they are and with training parts of like sizes."""
    _, codes, people, runs, _ = data
    every = {
        scheme: make_folds(scheme, codes, people, runs, n_folds=None, test_share=0.2, seed=seed)
        for scheme in SCHEMES
    }
    return every, equal_training(every, codes, seed)


def neighbours(X, codes, tested):
    """Return probabilities of a classifier that remembers volumes."""
    return KNeighborsClassifier(3).fit(X, codes).predict_proba(tested)


def class_centres(X, codes, tested):
    """Return probabilities of a classifier that knows the classes' mean volumes."""
    centres = np.stack([X[codes == code].mean(axis=0) for code in range(N_CLASSES)])
    return special.softmax(2 * tested @ centres.T - (centres**2).sum(axis=1), axis=1)


def evaluate(data, folds=None, classify=neighbours, settings=QUICK):
    """Return evaluations under all schemes; without folds, those of training parts alike."""
    X, *rest = data
    found = {}
    for scheme, own in (folds or folds_of(data)[1]).items():
        parts = [classify(X[fold.train], rest[0][fold.train], X[fold.test]) for fold in own]
        found[scheme] = Evaluation.of(HeldOut.of(scheme, own, parts, *rest), SEED, settings)
    return found


@pytest.fixture(scope="module")
def lingering():
    return evaluate(watch(1, memory=0.95, shared=0.5))


@pytest.fixture(scope="module")
def independent():
    return evaluate(watch(2, memory=0.0, shared=0.0, effect=0.8))


def difference(audit, first, second, metric="balanced_accuracy"):
    (found,) = (
        one
        for one in audit.differences
        if (one.first, one.second, one.metric) == (first, second, metric)
    )
    return found


def test_data_that_linger_are_flagged(lingering):
    audit = LeakageAudit.of(lingering, SEED)
    for metric in ("balanced_accuracy", "auc"):
        found = difference(audit, "random", "runs", metric)
        assert found.excessive
        assert found.difference > 0.2
        assert found.low > 0.1
    assert {one.second for one in audit.leaks} >= {"runs"}
    assert audit.film_leaks  # the moments of the film are alike in people
    text = verdict("network", audit)
    assert "network: the random split's score is inflated by leakage" in text
    assert "film segments held out" in text
    first, second = warnings_of("network", audit)
    assert "do not report its scores" in first
    assert "part of the score is the moment" in second
    assert lingering["random"].pooled.balanced_accuracy > 0.6
    assert abs(lingering["runs"].pooled.balanced_accuracy - 1 / 3) < 0.1


def test_independent_data_with_an_effect_are_not(independent):
    audit = LeakageAudit.of(independent, SEED)
    assert all(one.pooled.balanced_accuracy > 0.5 for one in independent.values())
    assert not audit.leaks
    assert not audit.film_leaks
    assert warnings_of("network", audit) == []
    assert "no leakage was found beyond 0.05" in verdict("network", audit)
    assert len(audit.differences) == 6


def test_training_parts_are_of_like_sizes():
    data = watch(2, 0.0, 0.0, n_runs=3)
    codes = data[1]
    every, alike = folds_of(data)
    assert mean_size(every["runs"]) == len(codes) / 3
    assert mean_size(every["random"]) > 1.9 * mean_size(every["runs"])
    assert alike["runs"] is every["runs"]
    wanted = [np.bincount(codes[fold.train]) for fold in every["runs"]]
    for scheme, n in (("participants", 5), ("random", 3)):
        assert len({fold.name for fold in alike[scheme]}) == len(alike[scheme]) == n
        for number, own in enumerate(alike[scheme]):
            whole = every[scheme][number % len(every[scheme])]
            assert set(own.train) <= set(whole.train)
            np.testing.assert_array_equal(own.test, whole.test)
            np.testing.assert_array_equal(own.validation, whole.validation)
            there = np.bincount(codes[whole.train])
            counts = np.minimum(wanted[number % 3], there)
            np.testing.assert_array_equal(np.bincount(codes[own.train]), counts)
    for one, again in zip(alike["random"], folds_of(data)[1]["random"], strict=True):
        np.testing.assert_array_equal(one.train, again.train)
    # With many segments there is nothing to draw.
    every, alike = folds_of(watch(2, 0.0, 0.0, n_runs=8))
    assert alike == every


def test_larger_folds_and_rare_classes():
    codes = np.array([0] * 60 + [1] * 3 + [0] * 40 + [1] * 3)
    nothing = np.array([], int)
    parts = np.arange(63, 106), np.array([0, 1, 62])
    runs = [Fold(str(number), part, nothing, nothing) for number, part in enumerate(parts)]
    random = [Fold("repeat 1", np.arange(106), nothing, nothing)]
    found = equal_training({"random": random, "runs": runs}, codes, SEED)
    # A fold of 43 is taken for one of the mean size, 23, with its shares of classes.
    counts = [np.bincount(codes[fold.train]).tolist() for fold in found["random"]]
    assert counts == [[20, 2], [2, 1]]


def test_the_audit_takes_what_was_made_alike():
    # 2,112 volumes: up to 2,217 pass for alike, also beside a scheme with 2,200.
    codes, nothing = np.arange(3000) % 5, np.zeros(0, np.int64)
    for sizes in ((2200, 2112, 2254), (2112, 2200, 2254), (2200, 2112, 2217), (900, 950, 1000)):
        folds = {
            scheme: [Fold(str(number), np.arange(size), nothing, nothing) for number in range(3)]
            for scheme, size in zip(SCHEMES, sizes, strict=True)
        }
        equal = equal_training(folds, codes, SEED)
        found = {scheme: mean_size(own) for scheme, own in equal.items()}
        for pair in PAIRS:
            _refuse_more_training(pair, found)
        unchanged = tuple(found[scheme] for scheme in SCHEMES) == sizes
        assert unchanged is (max(sizes) <= 1.05 * min(sizes))


def test_more_training_does_not_pass_for_leakage():
    data = watch(2, 0.0, 0.0, 0.8, n_runs=3)
    with pytest.raises(ValueError, match=r"random left 614 volumes to train on, .* 320"):
        LeakageAudit.of(evaluate(data, folds_of(data)[0]), SEED)


def differences(memory, shared, effect, classify, n):
    """Return differences of accuracy, random less runs, of films of three segments; warnings."""
    found = []
    for number in range(n):
        data = watch((6, number), memory, shared, effect, n_runs=3)
        folds = folds_of(data, np.random.SeedSequence(number))[1]
        folds.pop("participants")
        audit = LeakageAudit.of(evaluate(data, folds, classify, FEW), SEED, n_resamples=300)
        found.append((difference(audit, "random", "runs").difference, bool(audit.leaks)))
    return np.array(found).T


def test_audits_of_three_segments_warn_of_leakage_only():
    away, warned = differences(0.0, 0.0, 0.3, class_centres, 40)
    # Of 100 data sets 0.000 and 3 %; with training parts as they are 0.015 and 12 %.
    assert abs(away.mean()) < 0.015
    assert warned.sum() <= 5
    away, warned = differences(0.95, 0.5, 0.0, neighbours, 4)
    assert away.mean() > 0.15
    assert warned.all()


def test_volumes_that_linger_in_people_alone_leak_from_people_only():
    audit = LeakageAudit.of(evaluate(watch(3, memory=0.95, shared=0.0)), SEED)
    assert difference(audit, "random", "participants").excessive
    assert not audit.film_leaks


def plain_scores(held_out):
    """Return balanced accuracies of participants by loops over folds."""
    right = held_out.predicted == held_out.codes
    found = []
    for person in range(N_PEOPLE):
        shares = []
        for code in range(N_CLASSES):
            own = (held_out.participants == person) & (held_out.codes == code)
            folds = np.unique(held_out.folds[own])
            shares.append(np.mean([right[own & (held_out.folds == fold)].mean() for fold in folds]))
        found.append(np.mean(shares))
    return np.array(found)


def test_differences_are_means_over_the_same_people(lingering):
    audit = LeakageAudit.of(lingering, SEED, n_resamples=400)
    found = difference(audit, "random", "runs")
    scores = {name: plain_scores(one.held_out) for name, one in lingering.items()}
    away = scores["random"] - scores["runs"]
    assert found.difference == pytest.approx(away.mean())
    assert found.first_score == pytest.approx(scores["random"].mean())
    # One report holds one area under the curve.
    area = difference(audit, "random", "runs", "auc")
    assert area.first_score == pytest.approx(lingering["random"].auc.macro)
    assert area.second_score == pytest.approx(lingering["runs"].auc.macro)
    # Percentiles, expanded, are near Student's interval where differences have no tails.
    half = 2.365 * away.std(ddof=1) / np.sqrt(len(away))
    assert found.high - found.low == pytest.approx(2 * half, rel=0.25)
    np.testing.assert_allclose(audit.scores, np.stack(list(scores.values())))


def test_a_threshold_above_the_difference_lets_it_pass(lingering):
    assert not LeakageAudit.of(lingering, SEED, threshold=0.9).leaks


def test_audits_need_two_splits_and_common_people(lingering):
    with pytest.raises(ValueError, match="at least two splits, found runs"):
        LeakageAudit.of({"runs": lingering["runs"]}, SEED)
    honest = {name: lingering[name] for name in ("runs", "participants")}
    assert "nothing to compare" in verdict("network", LeakageAudit.of(honest, SEED))


def plain_overlap(folds, people, runs, times, tr, seconds):
    """Count by loops over volumes."""
    near = same = either = n = 0
    for fold in folds:
        seen = np.concatenate([fold.train, fold.validation])
        for volume in fold.test:
            own_run = runs[seen] == runs[volume]
            away = np.abs(times[seen] - times[volume])
            own = people[seen] == people[volume]
            is_near = (own_run & own & (away <= seconds)).any()
            is_same = (own_run & ~own & (away <= tr / 2)).any()
            near, same = near + is_near, same + is_same
            either, n = either + (is_near or is_same), n + 1
    return n, near, same, either


@pytest.mark.parametrize("scheme", SCHEMES)
def test_overlap_is_that_of_plain_loops(scheme):
    rng = np.random.default_rng(4)
    n = 150
    codes, people = rng.integers(2, size=n), rng.integers(4, size=n)
    runs, times = rng.integers(3, size=n) + 5, np.round(rng.random(n) * 60, 1)
    folds = make_folds(scheme, codes, people, runs, n_folds=None, test_share=0.3, seed=SEED)
    found = overlap_report(folds, people, runs, times, 2.0, seconds=5.0)
    counts = (found.n_tested, found.n_near, found.n_same_second, found.n_either)
    assert counts == plain_overlap(folds, people, runs, times, 2.0, 5.0)


def test_what_every_split_knows_of_its_test_part():
    _, codes, people, runs, times = watch(5, 0.5, 0.5)
    found = {
        scheme: overlap_report(
            make_folds(scheme, codes, people, runs, n_folds=None, test_share=0.2, seed=SEED),
            people,
            runs,
            times,
            2.0,
        )
        for scheme in SCHEMES
    }
    assert found["runs"].n_either == 0
    assert found["participants"].n_near == 0
    assert found["participants"].n_same_second == len(codes)
    assert found["random"].share(found["random"].n_near) > 0.95
    assert "100 % the same second" in overlap_text(found)
    summary = overlap_summary(found)
    assert summary.frame["either"].tolist()[0] == "0 (0 %)"


def test_overlap_says_what_is_wrong():
    fold = Fold("none", np.array([0]), np.array([1]), np.array([], dtype=int))
    parts = np.zeros(2, int), np.zeros(2, int), np.arange(2.0)
    with pytest.raises(ValueError, match="must be positive, found 0 and 10"):
        overlap_report([fold], *parts, 0.0)
    with pytest.raises(ValueError, match="no volume is tested"):
        overlap_report([fold], *parts, 2.0)


def test_tables_and_text(lingering):
    audit = LeakageAudit.of(lingering, SEED)
    table = audit_table({"network": audit, "logistic": audit}, {"task": "movie"}, "movie")
    assert list(table.frame) == list(AUDIT_COLUMNS)
    assert len(table.frame) == 12
    row = table.frame.iloc[0]
    assert (row["scheme_a"], row["scheme_b"], row["excessive"]) == ("random", "runs", True)
    assert audit_summary({"network": audit}).frame["excessive"].tolist().count("yes") == len(
        audit.leaks + audit.film_leaks
    )
    items = [Evaluated("network", one, CLASSES) for one in lingering.values()]
    bins = calibration_table(items, {"task": "movie"}, "movie", scaled=items[:1]).frame
    counted = bins.groupby(["scheme", "probabilities", "binning"])["n"].sum()
    assert counted["random", "raw", "width"] == len(lingering["random"].held_out.codes)
    assert counted["runs", "scaled", "mass"] == len(lingering["runs"].held_out.codes)


def test_methods_cite_what_they_name():
    text = methods(
        {"runs": 8, "participants": 5, "random": 1},
        0.2,
        QUICK,
        film=True,
        threshold=0.05,
        scaled=True,
    )
    assert set(citations_of(text)) == set(CITATIONS)
    assert "20 % tested" in text
    own = methods({"runs": 8, "participants": 5, "random": 1}, 0.2, QUICK, film=False)
    assert "wilcoxon1945" in citations_of(own)
    assert "kauppi2010" not in citations_of(own)
    assert "film" not in own
    assert "shift" not in own
    plain = methods({"random": 1}, 0.2, QUICK, film=True)
    assert not {"kauppi2010", "wilcoxon1945"} & set(citations_of(plain))


def test_figures_have_a_panel_for_everything(lingering):
    items = [Evaluated("network", one, CLASSES) for one in lingering.values()]
    audit = LeakageAudit.of(lingering, SEED)
    curves = roc_figure(items[:2])
    assert [len(ax.lines) for ax in curves.axes] == [4, 4]
    texts = [text.get_text() for text in curves.axes[0].get_legend().get_texts()]
    assert texts[1].startswith(f"fear {lingering['runs'].auc.auc[1]:.2f} (")
    matrices = confusion_figure(items)
    assert len(matrices.axes) == 3
    assert len(matrices.axes[0].texts) == 9
    audits = audit_figure({"network": audit, "logistic": audit})
    assert [ax.get_title(loc="left") for ax in audits.axes] == ["network", "logistic"]
    people = participant_figure(items, [f"{number:02d}" for number in range(1, 9)])
    assert [len(ax.patches) for ax in people.axes] == [8, 8, 8]
    calibration = {"raw": items[0].evaluation.calibration}
    assert len(reliability_figure({"network": calibration}).axes[0].lines) == 2
