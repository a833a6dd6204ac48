"""Decoding at the group level, from the tables that the participant level wrote."""

import numpy as np
import pandas as pd
import pytest
from decoding_study import (
    REGIONS,
    MemoryParticipant,
    event_frame,
    make_participant,
    make_samples,
    store,
)
from scipy import stats

from bidsface.analysis import ParticipantResults
from bidsface.figures import render_svg
from bidsface.statistics import signed_rank_p
from bidsface_decoding.analysis import Decoding
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.group import mean_confusion
from bidsface_decoding.plan import plan_task
from bidsface_decoding.task import decode_task

OPTIONS = Decoding.Options(permutations=60, maps=False, group_draws=1500)


def decode(n, effect=0.4, options=OPTIONS):
    analysis = Decoding("within", 1)
    return [
        store(label, analysis.participant(make_participant(label, effect, seed=index), options))
        for index, label in enumerate(f"{number:02d}" for number in range(1, n + 1))
    ]


@pytest.fixture(scope="module")
def participants():
    return decode(7)


@pytest.fixture(scope="module")
def results(participants):
    return Decoding("within", 1).group(participants, OPTIONS)


def overall(results):
    frame = results.tables[0].frame
    chosen = frame[frame["metric"] == "balanced_accuracy"]
    return chosen.set_index(["samples", "roi_name"])


def test_planted_regions_are_significant_and_the_other_is_not(results):
    scores = overall(results)
    for samples in ("averages", "volumes"):
        for region in ("signal", "everything"):
            row = scores.loc[samples, region]
            assert row["p"] == row["p_min"] == 0.5**7
            assert row["p_fdr"] < 0.05
            assert row["p_permutation"] == row["p_fwe"] == row["p_permutation_min"] == 1 / 1501
        assert scores.loc[samples, "noise"]["p_fdr"] > 0.05
        assert scores.loc[samples, "noise"]["p_fwe"] > 0.05


def test_means_and_tests_equal_scipy(participants, results):
    scores = overall(results)
    for samples, region in scores.index:
        values = []
        for participant in participants:
            table = participant.table("scores")
            row = table[
                (table["samples"] == samples)
                & (table["roi_name"] == region)
                & (table["metric"] == "balanced_accuracy")
                & (table["fold"] == "mean")
            ]
            values.append(row["value"].item())
        group = scores.loc[samples, region]
        assert group["value"] == pytest.approx(np.mean(values))
        assert group["sd"] == pytest.approx(np.std(values, ddof=1))
        interval = stats.ttest_1samp(values, 0).confidence_interval()
        assert (group["ci_low"], group["ci_high"]) == pytest.approx(tuple(interval))
        above = np.round(np.array(values) - 1 / 3, 12)
        method = stats.PermutationMethod(n_resamples=np.inf)
        kept = above[above != 0]
        expected = stats.wilcoxon(kept, alternative="greater", method=method).pvalue
        assert group["p"] == pytest.approx(expected)
        assert group["n"] == 7


def test_fdr_is_over_the_regions_without_motion(results):
    scores = overall(results)
    for samples in ("averages", "volumes"):
        regions = scores.loc[samples].drop("motion")
        expected = stats.false_discovery_control(regions["p"].astype(float))
        np.testing.assert_allclose(regions["p_fdr"].astype(float), expected)
        assert np.isnan(scores.loc[samples, "motion"]["p_fdr"])
        assert np.isnan(scores.loc[samples, "motion"]["p_fwe"])
        assert scores.loc[samples, "motion"]["p_permutation"] > 0.01


def test_classes_have_means_and_no_tests(results):
    frame = results.tables[0].frame
    recalls = frame[frame["metric"] == "recall"]
    assert set(recalls["class"]) == {"anger", "disgust", "joy"}
    assert recalls[["p", "p_fdr", "p_permutation", "p_fwe"]].isna().all().all()
    assert recalls[["value", "sd", "ci_low", "ci_high"]].notna().all().all()
    assert set(results.tables[0].columns) == set(frame.columns)


def test_mean_confusions_are_shares(results):
    assert len(results.matrices) == 8
    for matrix in results.matrices:
        np.testing.assert_allclose(matrix.frame.sum(axis=1), 1)
    names = [tuple(sorted(matrix.entities.items())) for matrix in results.matrices]
    assert len(set(names)) == len(names)


def test_mean_confusion_keeps_classes_without_samples():
    predictions = pd.DataFrame(
        {
            "participant_id": ["01"] * 3 + ["02"] * 2,
            "trial_type": ["a", "a", "b", "a", "b"],
            "predicted": ["a", "c", "b", "a", "a"],
        }
    )
    found = mean_confusion(predictions, ["a", "b", "c"])
    expected = [[0.75, 0, 0.25], [0.5, 0.5, 0], [np.nan] * 3]
    np.testing.assert_allclose(found, expected)


def test_figures_summaries_and_sentences(results):
    assert [figure.name for figure in results.figures] == ["accuracy", "confusion", "confusion"]
    for figure in results.figures:
        assert render_svg(figure.draw).startswith(b"<?xml")
    summary = results.summaries[0]
    assert len(summary.frame) == 6
    assert "Wilcoxon 0.00781, permutation 0.000666" in summary.caption
    assert "2 of 3 regions above chance at p_fdr < 0.05" in results.highlights[0]
    assert "head motion alone" in results.highlights[0]
    assert "stelzer2013" in results.citations


def test_order_of_participants_does_not_matter_for_means(participants, results):
    again = Decoding("within", 1).group(participants, OPTIONS)
    pd.testing.assert_frame_equal(again.tables[0].frame, results.tables[0].frame)


def test_one_participant_is_reported_without_inference(participants):
    results = Decoding("within", 1).group(participants[:1], OPTIONS)
    scores = overall(results)
    assert scores[["p", "p_fdr", "p_permutation", "p_fwe", "ci_low", "p_min"]].isna().all().all()
    assert (scores["n"] == 1).all()
    assert results.warnings == ["task display: one participant only, so there is no inference"]
    for figure in results.figures:
        render_svg(figure.draw)


def test_nobody_has_scores():
    results = Decoding("within", 1).group([ParticipantResults("01")], OPTIONS)
    assert not results.tables
    assert results.warnings == ["no participant has scores of this analysis"]


def test_without_permutations_only_wilcoxon_is_left():
    options = Decoding.Options(permutations=0, maps=False)
    results = Decoding("within", 1).group(decode(3, options=options), options)
    scores = overall(results)
    assert scores["p"].notna().all()
    assert scores["p_permutation"].isna().all()
    assert "stelzer2013" not in results.citations


def test_participant_without_a_region_is_left_out_of_its_mean():
    analysis = Decoding("within", 1)
    stored = []
    for number in range(1, 5):
        participant = make_participant(f"{number:02d}", 0.4, seed=number)
        if number == 2:
            del participant.regions["noise"]
        stored.append(store(participant.label, analysis.participant(participant, OPTIONS)))
    scores = overall(analysis.group(stored, OPTIONS))
    assert scores.loc["averages", "noise"]["n"] == 3
    assert scores.loc["averages", "noise"]["p_min"] == 1 / 8
    assert scores.loc["averages", "signal"]["n"] == 4
    assert np.isfinite(scores.loc["averages", "noise"]["p_permutation"])


def make_incomplete(rng, effect=0.0, label="01"):
    """Return a participant whose runs 3 and 4 lack joy."""
    events = event_frame(("anger", "disgust", "joy"), 4, 4, rng)
    gone = (events["trial_type"] == "joy") & events["run_index"].isin(["3", "4"])
    kinds = make_samples(events[~gone].reset_index(drop=True), effect, rng)
    return MemoryParticipant(label, kinds)


def test_wilcoxon_holds_its_level_where_folds_lack_a_class():
    """Groups without effect; against 1/K instead, far too many would be found significant."""
    options = Decoding.Options(permutations=49, motion_control=False)
    n_sets, rng = 120, np.random.default_rng(0)
    p, against_uniform = np.empty(n_sets), np.empty(n_sets)
    for number in range(n_sets):
        above, above_uniform = [], []
        for seed in np.random.SeedSequence(number).spawn(8):
            kinds = [make_incomplete(rng).samples("averages", "display")]
            plan = plan_task("display", kinds, options, seed)
            regions = [REGIONS["noise"]]
            found = decode_task(plan, regions, {"ridge": Ridge()}, options, in_order)
            outcome = found.outcomes[0]
            above.append(outcome.scores.mean - outcome.chance)
            above_uniform.append(outcome.scores.mean - 1 / 3)
        p[number], against_uniform[number] = signed_rank_p(above), signed_rank_p(above_uniform)
    low, high = stats.binom.interval(0.999, n_sets, 0.05)
    assert low <= (p <= 0.05).sum() <= high
    assert (against_uniform <= 0.05).sum() > high


def in_order(function, items):
    return [function(item) for item in items]


@pytest.fixture(scope="module")
def mixed():
    """Tables of four participants, the last of whom has runs without joy."""
    last = make_incomplete(np.random.default_rng(4), 0.4, "04")

    def decode_mixed(options):
        analysis = Decoding("within", 1)
        return [*decode(3, options=options), store("04", analysis.participant(last, options))]

    return decode_mixed


def test_group_compares_each_participant_with_its_own_chance(mixed):
    participants = mixed(OPTIONS)
    results = Decoding("within", 1).group(participants, OPTIONS)
    own = participants[3].table("scores")
    own = own[(own["fold"] == "mean") & (own["metric"] == "balanced_accuracy")]
    levels = own.set_index(["samples", "roi_name"])["chance"]
    assert np.ptp(levels) > 0.01
    for name, row in overall(results).iterrows():
        assert row["chance"] == pytest.approx((3 / 3 + levels[name]) / 4)
        assert row["p_min"] == 1 / 16
        assert np.isfinite(row["p_permutation"])
    assert not results.warnings
    for figure in results.figures:
        assert render_svg(figure.draw).startswith(b"<?xml")


def test_participants_without_a_chance_level_are_left_out_of_wilcoxon_and_named(mixed):
    options = Decoding.Options(permutations=0, maps=False)
    participants = mixed(options)
    results = Decoding("within", 1).group(participants, options)
    scores, three = (
        overall(results),
        overall(Decoding("within", 1).group(participants[:3], options)),
    )
    for name, row in scores.iterrows():
        assert row["n"] == 4
        assert row["p_min"] == 1 / 8
        assert row["p"] == three.loc[name, "p"]
        assert row["chance"] == 1 / 3
    assert len(results.warnings) == 2
    assert "Wilcoxon test leaves out sub-04" in results.warnings[0]


def test_no_wilcoxon_where_nobody_has_a_chance_level():
    options = Decoding.Options(permutations=0, maps=False)
    analysis = Decoding("within", 1)
    rng = np.random.default_rng(0)
    stored = [
        store(label, analysis.participant(make_incomplete(rng, 0.4, label), options))
        for label in ("01", "02")
    ]
    results = analysis.group(stored, options)
    scores = overall(results)
    assert scores[["p", "p_fdr", "p_min", "chance"]].isna().all().all()
    assert scores["value"].notna().all()
    assert "One participant" not in results.summaries[0].caption
    assert "chance not known" in results.highlights[0]
    for figure in results.figures:
        assert render_svg(figure.draw).startswith(b"<?xml")
