"""Decoding within and across tasks of one participant: effects, nulls, folds, outputs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from crossmodal_study import (
    CLASSES,
    FAST,
    REGIONS,
    WIDE,
    TwoTaskParticipant,
    decode,
    drop_samples,
    frame_of,
    make_two_tasks,
    means_of,
    replace_samples,
    shuffle_labels,
)
from sklearn.linear_model import RidgeClassifier

from bidsface.analysis import Region
from bidsface.errors import InputError, RecipeError
from bidsface.figures import render_svg
from bidsface_decoding.crossmodal import Crossmodal
from bidsface_decoding.crossmodal_folds import number_runs
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.pairing import pair_by_class


def analyse(participant, factories=None, **options):
    analysis = Crossmodal("crossmodal", 1, factories)
    return analysis.participant(participant, Crossmodal.Options(**{**FAST, **options}))


@pytest.fixture(scope="module")
def planted():
    participant = make_two_tasks(effect=0.8)
    return analyse(
        participant,
        aligners=("ridge-alignment", "procrustes"),
        permutations=19,
        maps=True,
        motion_regressed=True,
    )


@pytest.mark.parametrize("tasks", [("display", "observe"), ("observe", "display")])
def test_shared_patterns_go_over_and_turned_ones_only_after_realignment(planted, tasks):
    scores = means_of(planted).loc["ridge"]
    assert scores.loc[(*tasks, "none", "shared"), "value"] > 0.7
    assert scores.loc[(*tasks, "none", "turned"), "value"] < 0.55
    for aligner in ("ridge-alignment", "procrustes"):
        for region in ("shared", "turned"):
            row = scores.loc[(*tasks, aligner, region)]
            assert row["value"] > 0.7
            assert row["p"] == 1 / 20
        assert scores.loc[(*tasks, aligner, "noise"), "p_fdr"] > 0.05
    within = scores.loc[tasks[0], tasks[0], ""]["value"]
    assert within["shared"] > 0.7
    assert within["turned"] > 0.7


def test_regions_without_classes_are_at_chance_in_every_condition():
    found = [decode(make_two_tasks(seed=seed), regions=["noise"]) for seed in range(12)]
    tests = [test for test in found[0] if test[-1] == "noise"]
    assert len(tests) == 6
    for test in tests:
        mean = np.mean([one[test].scores.mean for one in found])
        assert abs(mean - 1 / 3) < 0.1  # 576 samples; a standard error is 0.02


def test_realignment_carries_the_classes_of_the_tested_task_only():
    """Pairs of samples know the classes, so that patterns of the training task need not.

    Labels of ``observe`` are permuted: it has no patterns that tell them apart. Tested there,
    nothing is decoded; trained there and tested on ``display``, an aligner makes up for the lack.
    """
    rng = np.random.default_rng(0)
    participants = [
        shuffle_labels(make_two_tasks(seed=seed, effect=1.0), "observe", rng) for seed in range(8)
    ]
    found = [decode(participant, regions=["shared"]) for participant in participants]

    def mean(train, test, aligner):
        key = ("ridge", train, test, aligner, "kept", "shared")
        return np.mean([one[key].scores.mean for one in found])

    assert abs(mean("observe", "observe", "") - 1 / 3) < 0.1
    assert abs(mean("display", "observe", "ridge-alignment") - 1 / 3) < 0.1
    assert abs(mean("observe", "display", "none") - 1 / 3) < 0.1
    assert mean("observe", "display", "ridge-alignment") > 0.8


def test_scores_of_a_region_equal_those_within_its_predictions(planted):
    scores, predictions = frame_of(planted, "scores"), frame_of(planted, "predictions")
    assert list(scores.columns) == [
        *("roi_name", "estimator", "aligner", "motion", "samples", "train_task", "test_task"),
        *("metric", "class", "fold", "value", "chance", "p", "p_fdr", "p_fwe", "n"),
    ]
    assert set(predictions["motion"]) == {"kept"}
    keys = ["roi_name", "aligner", "train_task", "test_task", "fold"]
    right = predictions["trial_type"] == predictions["predicted"]
    filled = predictions.assign(aligner=predictions["aligner"].fillna(""), right=right)
    accuracy = filled.groupby(keys)["right"].mean()  # classes are balanced
    folds = scores[
        (scores["metric"] == "balanced_accuracy")
        & (scores["fold"] != "mean")
        & (scores["motion"] == "kept")
    ]
    folds = folds.assign(aligner=folds["aligner"].fillna("")).set_index(keys)["value"]
    pd.testing.assert_series_equal(accuracy, folds.reindex(accuracy.index), check_names=False)
    assert len(folds) == len(accuracy) == 4 * (3 * 8 + 4)


def test_displacement_stands_beside_the_scores(planted):
    scores = frame_of(planted, "scores")
    moved = scores[scores["metric"] == "framewise_displacement"].set_index("train_task")
    assert moved["value"].to_dict() == {"display": 0.1, "observe": 0.2}
    assert set(moved["roi_name"]) == {"motion"}
    assert moved[["class", "fold", "chance", "p", "estimator", "aligner"]].isna().all(axis=None)


def test_everything_is_described_and_has_a_name_of_its_own(planted):
    for table in planted.tables:
        assert set(table.columns) == set(table.frame.columns)
        assert table.entities == {"space": "MNI152NLin2009cAsym"}
    for items in (planted.matrices, planted.maps, planted.figures):
        names = [
            (getattr(one, "stat", ""), getattr(one, "name", ""), *sorted(one.entities.items()))
            for one in items
        ]
        assert len(set(names)) == len(names) > 0
    matrix = next(
        one
        for one in planted.matrices
        if one.entities["contrast"] == "displayToObserveProcrustesAveragesRidge"
        and one.entities["label"] == "turned"
    )
    assert matrix.frame.to_numpy().sum() == 48
    assert list(matrix.frame.index) == list(CLASSES)
    for one in planted.matrices:
        assert one.entities["label"].isalnum()
        assert one.entities["contrast"].isalnum()


def test_permutations_are_a_column_per_test(planted):
    table = frame_of(planted, "permutations")
    assert len(table) == 19
    assert "averages_ridge_displaytoobserve_procrustes_turned" in table
    assert "averages_ridge_displaytodisplay_noise" in table
    assert "averages_ridge_displaytoobserve_motion" in table
    assert len(table.columns) == 3 * 8 + 4


def test_a_person_reads_every_condition(planted):
    text = " ".join(planted.highlights)
    for words in (
        "Within display",
        "Display to observe, averages",
        "Observe to display, realigned (procrustes)",
        "without realignment",
        "with head motion regressed out",
        "from head motion alone",
    ):
        assert words in text
    assert {"volynets2020", "haxby2011", "haufe2014", "phipson2010"} <= set(planted.citations)
    assert all(f"@{key}" in planted.methods for key in planted.citations)
    assert [len(one.frame) for one in planted.summaries] == [4, 3]


def test_figures_can_be_drawn(planted):
    names = [figure.name for figure in planted.figures]
    assert names.count("conditions") == 2
    assert names.count("confusion") == 1
    assert names.count("patternjoy") == 2
    for figure in planted.figures:
        assert render_svg(figure.draw).startswith(b"<?xml")


def test_maps_are_made_for_every_task(planted):
    assert {(one.entities["task"], one.stat) for one in planted.maps} == {
        (task, stat) for task in ("display", "observe") for stat in ("weight", "pattern")
    }


@dataclass(frozen=True)
class Threaded(TwoTaskParticipant):
    """Works on regions at the same time."""

    def map(self, function, items):
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(function, items))


def test_results_do_not_depend_on_workers_or_their_order():
    options = {
        "aligners": ("bcca", "ridge-alignment"),
        "aligner_options": {"bcca": {"n_components": 3, "n_restarts": 2, "max_iter": 20}},
        "permutations": 2,
        "regions": ["turned", "noise"],
    }
    forth = make_two_tasks(n_runs=3, per_class=2)
    back = make_two_tasks(n_runs=3, per_class=2, reverse=True)
    threaded = Threaded(*(getattr(forth, name) for name in forth.__dataclass_fields__))
    one, *others = (analyse(each, **options) for each in (forth, back, threaded))
    for other in others:
        for mine, theirs in zip(one.tables, other.tables, strict=True):
            pd.testing.assert_frame_equal(mine.frame, theirs.frame)


def test_labels_that_move_the_head_are_gone_when_motion_is_regressed_out():
    found = [
        decode(
            make_two_tasks(seed=seed, effect=0.0, motion_effect=2.0, per_class=6),
            regions=["noise", "shared"],
            motion_regressed=True,
        )
        for seed in range(6)
    ]
    means = {test: np.mean([one[test].scores.mean for one in found]) for test in found[0]}
    assert all(mean > 0.7 for test, mean in means.items() if test[-1] == "motion")
    within = [test for test in means if test[1] == test[2] and test[4] == "kept"]
    assert all(means[test] > 0.6 for test in within)
    regressed = [test for test in means if test[4] == "regressed"]
    assert len(regressed) == 12
    assert all(abs(means[test] - 1 / 3) < 0.12 for test in regressed)  # 432 samples


def test_regions_of_a_pair_differ_in_size_and_need_an_aligner():
    participant = make_two_tasks(effect=0.8, regions={**REGIONS, "wide": WIDE})
    results = analyse(
        participant,
        regions=["shared"],
        region_pairs={"pair": {"display": "turned", "observe": "wide"}},
        aligners=("ridge-alignment", "procrustes"),
    )
    scores = means_of(results).loc["ridge"]["value"]
    pair = scores.xs("pair", level="roi_name")
    assert len(pair) == 6
    assert "none" not in pair.index.get_level_values("aligner")
    assert (pair > 0.7).all()
    alone = analyse(participant, regions=["turned", "wide"])
    same = means_of(alone).loc["ridge"]["value"]
    assert pair["display", "display", ""] == same["display", "display", "", "turned"]
    assert pair["observe", "observe", ""] == same["observe", "observe", "", "wide"]


def test_a_pair_whose_region_is_not_there_is_told_of():
    results = analyse(
        make_two_tasks(), region_pairs={"pair": {"display": "turned", "observe": "elsewhere"}}
    )
    assert "region pair pair left out: there is no region elsewhere" in results.warnings
    assert "pair" not in set(frame_of(results, "scores")["roi_name"])


def test_conditions_are_those_asked_for():
    scores = means_of(analyse(make_two_tasks(), conditions=["realigned"], motion_control=False))
    assert set(scores.index.get_level_values("aligner")) == {"ridge-alignment"}
    scores = means_of(analyse(make_two_tasks(), conditions=["within", "cross"]))
    assert set(scores.index.get_level_values("aligner")) == {"", "none"}


def test_three_tasks_are_six_directions():
    participant = make_two_tasks(tasks=("display", "observe", "imagine"), effect=0.8)
    results = analyse(participant, regions=["turned", "shared"])
    scores = means_of(results).loc["ridge"]["value"]
    assert len(scores.xs("shared", level="roi_name")) == 3 + 6 + 6
    realigned = scores.xs("ridge-alignment", level="aligner")
    assert (realigned > 0.6).all()
    assert len([one for one in results.figures if one.name == "conditions"]) == 1
    render_svg(results.figures[0].draw)


def test_tasks_that_are_not_there_are_an_error():
    with pytest.raises(InputError, match="usable runs of the tasks display, imagine, found disp"):
        analyse(make_two_tasks(), tasks=["display", "imagine"])
    with pytest.raises(InputError, match="two tasks at least, found display"):
        analyse(make_two_tasks(tasks=("display",)))
    with pytest.raises(ValueError, match="two different tasks"):
        Crossmodal.Options(tasks=["display"])


def test_tasks_without_two_classes_in_common_are_told_of():
    participant = make_two_tasks(
        classes={"display": ("anger", "joy"), "observe": ("disgust", "joy")}
    )
    results = analyse(participant)
    assert not results.tables
    assert "share too few classes (joy)" in results.warnings[-1]


def test_classes_of_one_task_only_are_left_out():
    results = analyse(make_two_tasks(classes={"observe": ("anger", "joy")}, effect=0.8))
    assert "task display: disgust left out, as not all tasks have it" in results.warnings
    scores = means_of(results).loc["ridge"]
    assert (scores["chance"] == 0.5).all()
    assert (scores["n"] == 32).all()
    assert scores.loc[("display", "observe", "ridge-alignment", "turned"), "value"] > 0.7


def test_surplus_samples_have_no_partner_and_runs_without_a_match_are_tested_within():
    participant = make_two_tasks(runs={"observe": 3}, effect=0.8)
    fewer = drop_samples(
        participant, "averages", "observe", lambda table: ~table["event"].isin([50, 51])
    )
    results = analyse(fewer)
    text = " ".join(results.warnings)
    assert "run 4: not there in task observe" in text
    assert "have no partner" in text
    scores = means_of(results).loc["ridge"]
    numbers = scores["n"].xs("shared", level="roi_name")
    assert numbers["display", "display", ""] == 48
    assert numbers["display", "observe", "none"] == 34
    assert numbers["observe", "display", "none"] == 48
    for test in (("display", "observe"), ("observe", "display")):
        assert scores.loc[(*test, "ridge-alignment", "turned"), "value"] > 0.6


def test_a_class_that_a_run_lacks_does_not_count_there():
    participant = make_two_tasks(effect=0.8)
    events = participant.kinds["averages", "observe"].table
    without = drop_samples(
        participant,
        "averages",
        "observe",
        lambda table: (table["trial_type"] != "joy") | (table["run_index"] != "2"),
    )
    results = analyse(without, permutations=9)
    assert any("the test part of fold 2 has no joy" in line for line in results.warnings)
    scores = frame_of(results, "scores")
    chosen = scores[(scores["test_task"] == "observe") & (scores["fold"] == "mean")]
    assert len(events) == 48
    assert chosen.loc[chosen["metric"] == "balanced_accuracy", "n"].eq(44).all()
    assert means_of(results)["value"].notna().all()


def test_a_task_of_one_run_can_be_tested_by_the_other_only():
    results = analyse(make_two_tasks(runs={"observe": 1}, effect=0.8))
    scores = means_of(results).loc["ridge"]["value"]
    assert ("observe", "observe", "", "shared") not in scores.index
    assert scores["display", "display", "", "shared"] > 0.7
    assert scores["observe", "display", "none", "shared"] > 0.6
    assert any("fold 1 has one class only, or none" in line for line in results.warnings)


def test_samples_without_head_motion_do_without_its_rows():
    results = analyse(make_two_tasks(n_parameters=0), motion_regressed=True)
    scores = frame_of(results, "scores")
    assert set(scores["motion"].dropna()) == {"kept"}
    assert set(scores.loc[scores["roi_name"] == "motion", "metric"]) == {"framewise_displacement"}
    text = " ".join(results.warnings)
    assert "accuracy from motion alone is unknown" in text
    assert "head motion was not regressed out, for task display has no" in text


def test_too_few_samples_for_the_regression_are_told_of():
    results = analyse(
        make_two_tasks(n_runs=2, per_class=2), motion_regressed=True, regions=["shared"]
    )
    assert any("only 6 training samples in some fold" in line for line in results.warnings)


def test_regions_where_nothing_varies_are_guessed():
    participant = make_two_tasks()
    flat = {}
    for key, samples in participant.kinds.items():
        X = samples.X.copy()
        X[:, 80:120] = 3.0
        flat[key] = replace(samples, X=X)
    scores = means_of(analyse(replace_samples(participant, flat), regions=["noise"])).loc["ridge"]
    assert np.allclose(scores["value"].drop("motion", level="roi_name"), 1 / 3)


def test_volumes_and_averages_are_both_decoded():
    participant = make_two_tasks(sample_names=("averages", "volumes"), effect=0.8)
    results = analyse(participant, regions=["turned"])
    scores = frame_of(results, "scores")
    chosen = scores[
        (scores["fold"] == "mean")
        & (scores["aligner"] == "ridge-alignment")
        & (scores["metric"] == "balanced_accuracy")
    ].set_index(["samples", "train_task"])
    assert len(chosen) == 4
    assert (chosen["value"] > 0.7).all()
    assert chosen.loc[("volumes", "display"), "n"] == 96


def test_names_that_do_not_exist_are_refused_before_data_are_read():
    analysis = Crossmodal("crossmodal", 1)

    def check(**options):
        analysis.check(Crossmodal.Options(**options), ["averages"], ["turned", "wide"])

    check(region_pairs={"pair": {"display": "turned", "observe": "wide"}})
    with pytest.raises(RecipeError, match=r"region_pairs.pair: no 'narrow' in the recipe"):
        check(region_pairs={"pair": {"display": "turned", "observe": "narrow"}})
    with pytest.raises(RecipeError, match=r"region_pairs.wide: a region of the recipe"):
        check(region_pairs={"wide": {"display": "turned", "observe": "wide"}})
    with pytest.raises(RecipeError, match=r"region_pairs.pair: no region for task imagine"):
        check(tasks=["display", "imagine"], region_pairs={"pair": {"display": "turned"}})
    with pytest.raises(ValueError, match="letters and digits"):
        check(region_pairs={"display-observe": {}})
    with pytest.raises(RecipeError, match="unknown aligner 'twist'"):
        check(aligners=["twist"])
    with pytest.raises(RecipeError, match=r"aligner_options.ridge-alignment: .*options are alpha"):
        check(aligners=["ridge-alignment"], aligner_options={"ridge-alignment": {"beta": 1}})
    with pytest.raises(RecipeError, match="unknown aligner 'ridge'; there are bcca"):
        check(aligners=["ridge"])
    with pytest.raises(RecipeError, match="unknown estimator"):
        check(estimators=["twist"])
    with pytest.raises(RecipeError, match=r"aligner_options.wrong: Ridge is not an aligner"):
        Crossmodal("crossmodal", 1, {"wrong": Ridge}).check(
            Crossmodal.Options(aligners=["wrong"]), [], []
        )
    check(conditions=["within"], aligners=["not-looked-at"])


def test_a_region_called_motion_is_refused():
    regions = {"motion": Region("motion", np.arange(10), "")}
    with pytest.raises(RecipeError, match="the name of the head-motion control"):
        analyse(make_two_tasks(regions=regions))


def test_regions_that_are_used_include_those_of_pairs():
    analysis = Crossmodal("crossmodal", 1)
    pairs = {"pair": {"display": "turned", "observe": "wide"}}
    chosen = Crossmodal.Options(regions=["shared"], region_pairs=pairs)
    assert set(analysis.regions_used(chosen)) == {"shared", "turned", "wide"}
    assert analysis.regions_used(Crossmodal.Options(region_pairs=pairs)) is None


@pytest.mark.parametrize(
    ("display", "observe", "expected"),
    [
        (["1", "2", "3"], ["2", "3", "4"], ["2", "3", "4"]),  # numbers of their own
        (["1", "2", "3"], ["4", "5", "6"], ["1", "2", "3"]),  # nothing in common: by order
        (["1", "2", "3"], ["1", "1", "1"], ["1", "2", "3"]),  # not unique: by order
    ],
)
def test_runs_match_by_number_or_by_order(display, observe, expected):
    tables = {
        task: pd.DataFrame({"block": [f"{task}{k}" for k in range(3)], "run_index": runs})
        for task, runs in (("display", display), ("observe", observe))
    }
    numbers = number_runs(tables)
    assert list(numbers["display"].values()) == ["1", "2", "3"]
    assert list(numbers["observe"].values()) == expected


def test_samples_are_paired_in_their_order():
    first, second = pair_by_class(np.array([2, 0, 0, 1, 0]), np.array([0, 1, 0, 1, 3]))
    assert first.tolist() == [1, 2, 3]
    assert second.tolist() == [0, 2, 1]
    none, _ = pair_by_class(np.array([0, 0]), np.array([1]))
    assert none.tolist() == []


def test_further_partners_are_of_the_class_and_all_different():
    first, second = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([2, 1, 0, 0, 1, 0, 1, 0])
    ones, others = pair_by_class(first, second, pairings=3)
    assert (first[ones] == second[others]).all()
    assert len(set(zip(ones, others, strict=True))) == len(ones) == 3 * 4 + 2 * 2 + 1
    once = pair_by_class(first, second)
    assert ones[: len(once[0])].tolist() == once[0].tolist()
    assert others[: len(once[1])].tolist() == once[1].tolist()
    partners_of_first = others[ones == 0]
    assert partners_of_first.tolist() == [2, 3, 5]  # 0, 1 and 2 of four ahead


def test_classifiers_of_other_plugins_are_fitted_once_per_task_and_fold():
    log = []

    class Counting(RidgeClassifier):
        def fit(self, X, y):
            log.append(X.shape)
            assert X.dtype == np.float32 or X.shape == (24, 4)  # a toy problem comes first
            return super().fit(X, y)

    results = analyse(
        make_two_tasks(effect=0.8),
        {"counting": Counting},
        estimators=["counting"],
        aligners=("ridge-alignment", "procrustes"),
        regions=["turned"],
    )
    assert log == [(24, 4)] + [(36, 40)] * 8
    assert len(means_of(results).loc["counting"]) == 2 + 2 + 4


def test_the_bayesian_classifier_decodes_and_has_maps_of_importance():
    results = analyse(
        make_two_tasks(effect=1.5, n_runs=3, per_class=3),
        estimators=["bayes"],
        regions=["turned"],
        map_regions=["turned"],
        maps=True,
        motion_control=False,
    )
    scores = means_of(results).loc["bayes"]["value"]
    assert scores["display", "observe", "ridge-alignment", "turned"] > 0.7
    assert scores["display", "observe", "none", "turned"] < 0.7
    assert [one.stat for one in results.maps] == ["weight", "pattern", "importance"] * 2
    assert {one.values.shape for one in results.maps} == {(40, 3)}
    assert "vangerven2010" in results.citations
