"""Decoding within tasks of one participant: effects, nulls, folds, options and outputs."""

import warnings

import numpy as np
import pandas as pd
import pytest
from decoding_study import REGIONS, MemoryParticipant, event_frame, make_participant, make_samples
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bidsface.analysis import Region
from bidsface.errors import InputError, RecipeError
from bidsface.figures import render_svg
from bidsface_decoding.analysis import Decoding
from bidsface_decoding.crossvalidation import SPLITTERS, Fold, predict, trainable
from bidsface_decoding.estimators import ESTIMATORS, Ridge
from bidsface_decoding.options import build_estimators
from bidsface_decoding.plan import plan_task
from bidsface_decoding.scoring import METRICS, accuracy, balanced_accuracy
from bidsface_decoding.task import decode_task

SEED = np.random.SeedSequence(5)

UNKNOWN_ESTIMATOR = "unknown estimator 'lasso'; there are bayes, lda, logistic, ridge"


def analyse(participant, **options):
    analysis = Decoding("within", 1)
    chosen = Decoding.Options(**{"permutations": 99, "maps": False, **options})
    return analysis.participant(participant, chosen)


def table(results, suffix):
    return next(item.frame for item in results.tables if item.suffix == suffix)


def means(results, metric="balanced_accuracy"):
    scores = table(results, "scores")
    chosen = scores[(scores["fold"] == "mean") & (scores["metric"] == metric)]
    return chosen.set_index(["samples", "estimator", "roi_name"])


@pytest.fixture(scope="module")
def planted():
    participant = make_participant(effect=0.8)
    return participant, analyse(participant, maps=True)


def test_planted_regions_are_found_and_the_other_is_not(planted):
    scores = means(planted[1])
    for samples in ("averages", "volumes"):
        for region in ("signal", "everything"):
            row = scores.loc[samples, "ridge", region]
            assert row["value"] > 0.6
            assert row["p"] == 1 / 100
            assert row["p_fdr"] <= 0.015 + 1e-12
        assert scores.loc[samples, "ridge", "noise"]["p_fdr"] > 0.05
        assert scores.loc[samples, "ridge", "motion"]["p"] > 0.05


@pytest.mark.parametrize("name", ["averages", "volumes"])
def test_scores_and_predictions_equal_scikit_learn(planted, name):
    participant, results = planted
    samples = participant.samples(name, "display")
    y, groups = samples.table["trial_type"], samples.table["block"]
    scores, predictions = table(results, "scores"), table(results, "predictions")
    for region in REGIONS.values():
        X = samples.X[:, region.columns].astype(float)
        pipeline = make_pipeline(StandardScaler(), RidgeClassifier(alpha=len(region.columns)))
        expected = cross_val_score(
            pipeline, X, y, groups=groups, cv=LeaveOneGroupOut(), scoring="balanced_accuracy"
        )
        rows = scores[
            (scores["roi_name"] == region.name)
            & (scores["samples"] == name)
            & (scores["metric"] == "balanced_accuracy")
        ].set_index("fold")["value"]
        np.testing.assert_allclose(rows.drop("mean"), expected)
        assert rows["mean"] == pytest.approx(expected.mean())
        guesses = cross_val_predict(pipeline, X, y, groups=groups, cv=LeaveOneGroupOut())
        chosen = (predictions["roi_name"] == region.name) & (predictions["samples"] == name)
        assert (predictions.loc[chosen, "predicted"].to_numpy() == guesses).all()


def test_tables_hold_what_the_design_promises(planted):
    _, results = planted
    scores = table(results, "scores")
    keys = ["roi_name", "estimator", "samples", "train_task", "test_task"]
    values = ["metric", "class", "fold", "value", "chance", "p", "p_fdr", "n"]
    assert list(scores.columns) == keys + values
    for item in results.tables:
        assert set(item.columns) == set(item.frame.columns)
        assert item.entities == {"task": "display"}
    averages = scores[(scores["samples"] == "averages") & (scores["roi_name"] == "signal")]
    recalls = averages[averages["metric"] == "recall"]
    assert set(recalls["class"]) == {"anger", "disgust", "joy"}
    overall = averages[averages["metric"] == "balanced_accuracy"].set_index("fold")
    by_fold = recalls.groupby("fold")["value"].mean()
    np.testing.assert_allclose(by_fold, overall["value"].loc[by_fold.index])
    assert overall.loc["mean", "n"] == 60
    assert (scores["chance"] == 1 / 3).all()


def test_permutations_are_the_same_in_all_tests(planted):
    permutations = table(planted[1], "permutations")
    assert len(permutations) == 99
    columns = permutations[["averages_ridge_everything", "volumes_ridge_everything"]]
    # Both kinds of samples hold the same events, so the same relabelling gives similar scores.
    assert columns.corr().iloc[0, 1] > 0.5
    assert "averages_ridge_motion" in permutations


def test_confusion_matrices_count_samples(planted):
    results = planted[1]
    predictions = table(results, "predictions")
    for matrix in results.matrices:
        assert list(matrix.frame.index) == list(matrix.frame.columns) == ["anger", "disgust", "joy"]
    names = [tuple(sorted(matrix.entities.items())) for matrix in results.matrices]
    assert len(set(names)) == len(names) == 8
    first = results.matrices[0]
    chosen = predictions[
        (predictions["roi_name"] == first.entities["label"])
        & (predictions["samples"] == "averages")
    ]
    expected = pd.crosstab(chosen["trial_type"], chosen["predicted"])
    np.testing.assert_array_equal(first.frame, expected)


def test_maps_of_the_largest_region_show_the_planted_voxels(planted):
    _, results = planted
    assert {item.entities["label"] for item in results.maps} == {"everything"}
    names = [tuple(sorted({"stat": item.stat, **item.entities}.items())) for item in results.maps]
    assert len(set(names)) == len(names) == 4
    for item in results.maps:
        assert item.volumes == ("anger", "disgust", "joy")
        strength = np.abs(item.values).mean(axis=1)
        assert strength[:30].mean() > 1.8 * strength[30:].mean()


def test_figures_can_be_drawn(planted):
    names = [figure.name for figure in planted[1].figures]
    assert names.count("accuracy") == 1
    assert names.count("confusion") == 2
    assert {"patternanger", "patterndisgust", "patternjoy"} <= set(names)
    for figure in planted[1].figures:
        assert render_svg(figure.draw).startswith(b"<?xml")
    keys = [(figure.name, *sorted(figure.entities.items())) for figure in planted[1].figures]
    assert len(set(keys)) == len(keys)


def test_methods_cite_what_they_name(planted):
    results = planted[1]
    for key in ("haufe2014", "ojala2010", "etzel2015", "benjamini1995"):
        assert f"@{key}" in results.methods
        assert key in results.citations
    assert "ledoit2004" not in results.citations
    assert "head motion alone" in results.highlights[0]


def test_results_do_not_depend_on_the_order_of_the_work():
    forth = make_participant(effect=0.3)
    back = MemoryParticipant(forth.label, forth.kinds, reverse=True)
    one, other = analyse(forth, permutations=20), analyse(back, permutations=20)
    for mine, theirs in zip(one.tables, other.tables, strict=True):
        pd.testing.assert_frame_equal(mine.frame, theirs.frame)


def test_seeds_differ_between_participants():
    one = make_participant("01", effect=0)
    other = MemoryParticipant("02", one.kinds)
    tables = [table(analyse(each, permutations=20), "permutations") for each in (one, other)]
    assert not tables[0].equals(tables[1])


def test_head_motion_that_follows_the_class_is_reported():
    results = analyse(make_participant(effect=0, motion_effect=2.0))
    row = means(results).loc["averages", "ridge", "motion"]
    assert row["value"] > 0.6
    assert row["p"] == 0.01
    assert np.isnan(row["p_fdr"])
    assert "motion" not in set(
        means(analyse(make_participant(), motion_control=False)).reset_index()["roi_name"]
    )


@pytest.mark.parametrize("name", [*ESTIMATORS, "third-party", "without-weights"])
@pytest.mark.parametrize("classes", [("anger", "joy"), ("anger", "disgust", "joy")])
def test_every_classifier_decodes_and_has_maps(name, classes):
    extra = {"third-party": lambda: SVC(kernel="linear"), "without-weights": GaussianNB}
    options = Decoding.Options(
        estimators=[name], permutations=4, samples=["averages"], regions=["signal", "noise"]
    )
    participant = make_participant(effect=1.0, classes=classes)
    results = Decoding("within", 1, extra).participant(participant, options)
    scores = means(results)
    assert scores.loc["averages", name, "signal"]["value"] > 0.6
    stats = [item.stat for item in results.maps]
    kinds = {"without-weights": [], "bayes": ["weight", "pattern", "importance"]}
    assert stats == kinds.get(name, ["weight", "pattern"])
    if name == "without-weights":
        assert any("no weights" in line for line in results.warnings)
    else:
        n_volumes = 1 if len(classes) == 2 else 3
        assert all(item.values.shape == (30, n_volumes) for item in results.maps)
        assert all(len(item.volumes) == n_volumes for item in results.maps)


def test_plain_loop_and_fast_path_agree():
    participant = make_participant(effect=0.3)
    extra = {"plain": RidgeClassifier}
    results = Decoding("within", 1, extra).participant(
        participant,
        Decoding.Options(
            estimators=["ridge", "plain"],
            estimator_options={"ridge": {"alpha": 1.0}},
            permutations=10,
            maps=False,
        ),
    )
    permutations = table(results, "permutations")
    for region in REGIONS:
        for kind in ("averages", "volumes"):
            fast = permutations[f"{kind}_ridge_{region}"]
            np.testing.assert_allclose(fast, permutations[f"{kind}_plain_{region}"])


def test_poisoned_test_samples_leave_training_alone():
    """A held-out sample is predicted alike whatever its neighbours in the test run are."""
    participant = make_participant(effect=0.5)
    samples = participant.samples("averages", "display")
    runs = samples.table["block"]
    test = np.flatnonzero(runs == "task-display_run-2")
    train = np.flatnonzero(runs != "task-display_run-2")
    codes = np.unique(samples.table["trial_type"], return_inverse=True)[1].astype(np.int16)[None]
    poisoned = samples.X.copy()
    poisoned[test[1:]] = 1e4  # the run's first sample is kept as it was
    fold = Fold("run-2", train, test)
    for estimator in (Ridge(), RidgeClassifier()):
        clean, spoilt = (
            predict(X, np.arange(180), [fold], codes, 3, {"one": estimator})["one"][0][0]
            for X in (samples.X, poisoned)
        )
        assert clean[0] == spoilt[0]
        assert (clean != spoilt).any()


def test_permuting_volumes_would_be_wrong_and_events_are_not_split():
    """All volumes of an event keep one label in every permutation."""
    participant = make_participant(effect=0)
    kinds = [participant.samples(name, "display") for name in ("averages", "volumes")]
    options = Decoding.Options(permutations=50)
    plan = plan_task("display", kinds, options, SEED)
    found = decode_task(plan, [REGIONS["noise"]], {"ridge": Ridge()}, options, map_in_order)
    volumes, averages = found.problems["volumes"], found.problems["averages"]
    by_event = volumes.codes.reshape(51, 60, 3)
    assert (by_event == by_event[:, :, :1]).all()
    np.testing.assert_array_equal(by_event[:, :, 0], averages.codes)
    assert (averages.codes[1:] != averages.codes[0]).any(axis=1).all()


def map_in_order(function, items):
    return [function(item) for item in items]


def test_null_p_values_hold_their_level():
    """Whole participants without effect: p <= 0.05 in about 5 %, with 3-volume trials."""
    options = Decoding.Options(permutations=39, motion_control=False)
    n_sets, rejected = 300, 0
    for number in range(n_sets):
        rng = np.random.default_rng(number)
        events = event_frame(("a", "b", "c"), 3, 3, rng)
        volumes = make_samples(events, 0.0, rng)["volumes", "display"]
        seed = np.random.SeedSequence(number)
        plan = plan_task("display", [volumes], options, seed)
        found = decode_task(plan, [REGIONS["noise"]], {"ridge": Ridge()}, options, map_in_order)
        rejected += found.outcomes[0].p <= 0.05
    # Ties make the test conservative: only the upper limit of 15 + 3.3 sd is binding.
    assert rejected <= 28


TABLE = pd.DataFrame(
    {
        "block": [f"run-{run}" for run in (1, 1, 2, 2, 3, 3, 4, 4, 5, 5)],
        "session": ["a"] * 4 + ["b"] * 6,
    }
)


@pytest.mark.parametrize(
    ("name", "n_splits", "tests"),
    [
        ("leave-one-run-out", 4, [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]),
        ("leave-one-session-out", 4, [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]),
        ("k-fold", 2, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]),
        ("k-fold", 9, [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]),
    ],
)
def test_folds(name, n_splits, tests):
    folds = SPLITTERS[name](TABLE, n_splits)
    assert [fold.test.tolist() for fold in folds] == tests
    for fold in folds:
        np.testing.assert_array_equal(np.sort(np.r_[fold.train, fold.test]), np.arange(10))


def test_folds_without_two_training_classes_are_left_out():
    folds = SPLITTERS["leave-one-run-out"](TABLE, 0)
    codes = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0, 0])
    assert [fold.name for fold in trainable(folds, codes)] == ["run-1", "run-2", "run-4", "run-5"]


def test_balanced_accuracy_equals_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, (5, 20)), rng.integers(0, 3, (5, 20))
    truth[0][truth[0] == 2] = 1  # a class that the truth lacks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of the missing class
        expected = [balanced_accuracy_score(*rows) for rows in zip(truth, predicted, strict=True)]
    np.testing.assert_allclose(balanced_accuracy(truth, predicted, 3), expected)
    np.testing.assert_allclose(accuracy(truth, predicted, 3), (truth == predicted).mean(1))
    assert METRICS["accuracy"].chance(np.array([0, 0, 0, 1]), 2) == 0.75
    assert METRICS["balanced_accuracy"].chance(np.array([0, 0, 0, 1]), 2) == 0.5


def with_events(events, **options):
    rng = np.random.default_rng(0)
    return MemoryParticipant("01", make_samples(events, 1.0, rng), **options)


def test_class_missing_from_a_run_is_told_and_scored_without():
    events = event_frame(("anger", "disgust", "joy"), 3, 4, np.random.default_rng(0))
    gone = (events["trial_type"] == "joy") & (events["run_index"] == "2")
    results = analyse(with_events(events[~gone].reset_index(drop=True)))
    assert any("test part of fold task-display_run-2 has no joy" in w for w in results.warnings)
    scores = table(results, "scores")
    joy = scores[(scores["class"] == "joy") & (scores["fold"] == "task-display_run-2")]
    assert joy["value"].isna().all()
    assert (joy["n"] == 0).all()
    assert means(results).loc["averages", "ridge", "signal"]["value"] > 0.6


def test_class_that_only_one_run_has():
    events = event_frame(("anger", "disgust", "joy"), 3, 4, np.random.default_rng(0))
    gone = (events["trial_type"] == "joy") & (events["run_index"] != "2")
    results = analyse(with_events(events[~gone].reset_index(drop=True)))
    text = "training part of fold task-display_run-2 has no joy"
    assert any(text in line for line in results.warnings)
    assert np.isfinite(means(results)["value"]).all()


def incomplete_events(rng, runs=("1", "2")):
    """Four runs; only some of them show joy."""
    events = event_frame(("anger", "disgust", "joy"), 4, 4, rng)
    gone = (events["trial_type"] == "joy") & ~events["run_index"].isin(runs)
    return events[~gone].reset_index(drop=True)


@pytest.mark.parametrize("metric", METRICS)
def test_where_folds_lack_a_class_chance_is_the_mean_of_the_permutations(metric):
    results = analyse(with_events(incomplete_events(np.random.default_rng(0))), metric=metric)
    scores, permutations = table(results, "scores"), table(results, "permutations")
    for (samples, estimator, region), row in means(results, metric).iterrows():
        null = permutations[f"{samples}_{estimator}_{region}"]
        assert row["chance"] == pytest.approx(null.mean())
        assert row["p"] == (1 + (null >= row["value"] - 1e-12).sum()) / 100
    folds = scores[(scores["fold"] != "mean") & (scores["metric"] == metric)]
    keys = ["samples", "estimator", "roi_name"]
    expected = means(results, metric)["chance"]
    np.testing.assert_allclose(folds.groupby(keys)["chance"].mean()[expected.index], expected)
    recalls = scores[(scores["metric"] == "recall") & (scores["fold"] != "mean")]
    np.testing.assert_array_equal(recalls["chance"].isna(), recalls["n"] == 0)
    told = [line for line in results.warnings if "chance level is the permutations'" in line]
    assert len(told) == 2
    for figure in results.figures:
        assert render_svg(figure.draw).startswith(b"<?xml")


def test_chance_by_class_is_the_mean_recall_of_the_permutations():
    """Recalls of a score over three classes sum to three times the score, also by chance."""
    results = analyse(with_events(incomplete_events(np.random.default_rng(1))))
    scores = table(results, "scores").query("roi_name == 'noise' and samples == 'averages'")
    for fold in ("task-display_run-1", "task-display_run-3"):
        rows = scores[scores["fold"] == fold].set_index("metric")
        by_class = rows.loc["recall", "chance"]
        assert by_class.mean() == pytest.approx(rows.loc["balanced_accuracy", "chance"])
    joy = scores[(scores["class"] == "joy") & (scores["fold"] != "mean")]
    mean = scores[(scores["class"] == "joy") & (scores["fold"] == "mean")]
    assert mean["chance"].item() == pytest.approx(joy["chance"].mean())


def test_where_folds_lack_a_class_chance_is_unknown_without_permutations():
    participant = with_events(incomplete_events(np.random.default_rng(0)))
    results = analyse(participant, permutations=0)
    assert table(results, "scores")["chance"].isna().all()
    assert any("not known without permutations" in line for line in results.warnings)
    assert all("chance not known" in line for line in results.highlights)
    for figure in results.figures:
        assert render_svg(figure.draw).startswith(b"<?xml")


def test_complete_folds_have_the_chance_of_their_classes(planted):
    scores = table(planted[1], "scores")
    assert (scores["chance"] == 1 / 3).all()
    assert not any("chance" in line for line in planted[1].warnings)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_region_without_signal_stands_beside_others(name):
    participant = make_participant(effect=1.0)
    for samples in participant.kinds.values():
        samples.X[:, 30:60] = 0.0
    options = {"estimators": [name], "permutations": 4, "samples": ["averages"]}
    options |= {"maps": True, "map_regions": ["noise", "signal"]}
    results = analyse(participant, **options)
    scores = means(results)
    blank, signal = (scores.loc["averages", name, region] for region in ("noise", "signal"))
    assert blank["value"] == pytest.approx(1 / 3)
    assert blank["p"] == 1.0
    assert signal["value"] > 0.6
    predictions = table(results, "predictions").query("roi_name == 'noise'")
    assert set(predictions["predicted"]) == {"anger"}  # all classes are as common
    for item in results.maps:
        silent = 1.0 if item.stat == "importance" else 0.0  # nothing was learned of the prior
        learned = not np.allclose(item.values, silent, atol=1e-6)
        assert learned == (item.entities["label"] == "signal")


def test_tasks_that_cannot_be_decoded_are_skipped_and_told():
    rng = np.random.default_rng(0)
    one_run = analyse(with_events(event_frame(("a", "b"), 1, 6, rng)))
    assert not one_run.tables
    assert any("needs two runs" in line for line in one_run.warnings)
    one_class = analyse(with_events(event_frame(("a",), 3, 6, rng)))
    assert any("one class only (a)" in line for line in one_class.warnings)
    one_session = analyse(make_participant(), cross_validation="leave-one-session-out")
    assert any("needs two sessions" in line for line in one_session.warnings)
    two = analyse(make_participant(sessions=2), cross_validation="leave-one-session-out")
    assert set(table(two, "scores")["fold"]) == {"mean", "s1", "s2"}


def test_few_events_are_enumerated_and_told():
    results = analyse(with_events(event_frame(("a", "b"), 2, 2, np.random.default_rng(0))))
    assert len(table(results, "permutations")) == 35
    assert any("36 ways only" in line for line in results.warnings)
    assert means(results)["p"].min() >= 2 / 36 - 1e-12


def test_missing_tasks_are_told_and_no_task_is_an_error():
    participant = make_participant()
    results = analyse(participant, tasks=["display", "observe"], permutations=0)
    assert results.warnings == ["task observe has no usable runs and was not decoded"]
    assert means(results)["p"].isna().all()
    assert {item.suffix for item in results.tables} == {"scores", "predictions"}
    with pytest.raises(InputError, match="none of the tasks observe has usable runs, found disp"):
        analyse(participant, tasks=["observe"])


def test_motion_without_parameters_is_told():
    participant = make_participant(effect=0)
    kinds = {
        key: type(one)(one.name, one.X, one.table, one.motion[:, :0], one.entities)
        for key, one in participant.kinds.items()
    }
    results = analyse(MemoryParticipant("01", kinds), permutations=5)
    assert any("no head-motion parameters" in line for line in results.warnings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"estimators": ["lasso"]},
            UNKNOWN_ESTIMATOR,
        ),
        ({"estimator_options": {"svm": {"C": 1}}}, "svm is not among the estimators ridge"),
        ({"estimator_options": {"ridge": {"C": 1}}}, "options are alpha"),
        ({"estimator_options": {"ridge": {"alpha": -1}}}, "estimator_options.ridge: .*alpha"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(RecipeError, match=message):
        analyse(make_participant(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": ["betas"]}, "samples: no 'betas' in the recipe; there is: averages"),
        ({"regions": ["nose"]}, "regions: no 'nose' in the recipe; there is: brain, faces"),
        ({"map_regions": ["nose"]}, "map_regions: no 'nose' in the recipe"),
        (
            {"estimators": ["lasso"]},
            UNKNOWN_ESTIMATOR,
        ),
    ],
)
def test_options_that_do_not_fit_the_recipe_are_refused_before_data_are_read(options, message):
    with pytest.raises(RecipeError, match=message):
        Decoding("within", 1).check(
            Decoding.Options(**options), samples=["averages"], regions=["brain", "faces"]
        )


def test_estimator_options_reach_the_classifier():
    options = Decoding.Options(estimator_options={"ridge": {"alpha": 7}})
    assert build_estimators(options, ESTIMATORS)["ridge"].alpha == 7


def test_region_called_motion_is_refused():
    participant = make_participant()
    participant.regions["motion"] = Region("motion", np.arange(9), "misnamed")
    with pytest.raises(RecipeError, match="head-motion control"):
        analyse(participant)
