"""The group level of `crossmodal`, from tables with known effects."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from crossmodal_study import make_two_tasks
from crossmodal_tables import CONDITIONS, WITHIN_DISPLAY, WITHIN_OBSERVE, Study, make_participants
from decoding_study import store
from example_results import example_provenance, example_unit
from scipy import stats

from bidsface.analysis import ParticipantResults, StoredTable
from bidsface.derivatives.artifacts import Description
from bidsface.statistics import group_permutation
from bidsface_decoding.comparisons import (
    KINDS,
    Comparison,
    comparison_frame,
    find_comparisons,
)
from bidsface_decoding.conditions import Condition, Setting, permutation_column
from bidsface_decoding.crossmodal import Crossmodal
from bidsface_decoding.crossmodal_group import crossmodal_group
from bidsface_decoding.crossmodal_group_report import group_highlights, group_summaries
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.family import Family, family_rows
from bidsface_decoding.findings import find
from bidsface_decoding.motion_report import motion_highlights, motion_summary

REGIONS = ("shared", "realigned", "control", "displayobserve")
EFFECTS = {
    ("shared",): 0.5,
    ("control",): 1 / 3,
    ("realigned", "display", "observe", "none"): 1 / 3,
    ("realigned", "observe", "display", "none"): 1 / 3,
    ("realigned", "display", "observe", "bcca"): 0.48,
    ("realigned", "observe", "display", "bcca"): 0.48,
}
STUDY = Study(n=9, regions=REGIONS, effects=EFFECTS, per_class=12, spread=0.01, control=1 / 3)
OPTIONS = CrossmodalOptions(group_draws=500)
KEYS = ["train_task", "test_task", "aligner", "estimator", "samples", "motion"]


def seed(*keys):
    return np.random.SeedSequence(len("".join(keys)))


def analyse(participants, options=OPTIONS):
    return crossmodal_group(participants, options, seed)


def numbers(participants, options=OPTIONS):
    """What is found, without drawing it."""
    return find(participants, options, seed)


@pytest.fixture(scope="module")
def participants():
    return make_participants(STUDY)


@pytest.fixture(scope="module")
def results(participants):
    return analyse(participants)


@pytest.fixture(scope="module")
def found(participants):
    return numbers(participants)


def table(results, suffix):
    return next(item.frame for item in results.tables if item.suffix == suffix)


def overall(found):
    return found.scores[found.scores["metric"] == "balanced_accuracy"]


def key_of(row, name=None):
    label = row.get("class") if name is None else name
    return (*(str(row[key]) for key in ("roi_name", "metric", *KEYS)), str(label))


def own_scores(participants):
    """The participants' scores by what a row of the group is about."""
    scores = {}
    for participant in participants:
        frame = participant.table("scores")
        for row in frame[frame["fold"] == "mean"].to_dict("records"):
            scores.setdefault(key_of(row), []).append(row["value"])
    return {key: np.array(values) for key, values in scores.items()}


def exact(differences, alternative):
    kept = np.round(differences, 12)
    method = stats.PermutationMethod(n_resamples=np.inf)
    return stats.wilcoxon(kept[kept != 0], alternative=alternative, method=method).pvalue


def test_moments_and_tests_equal_scipy(participants, found):
    rows, own = overall(found), own_scores(participants)
    assert len(rows) == 2 * (4 * 4 + 2 * 3) + 4  # every condition kept and regressed, and motion
    for row in rows.to_dict("records")[::4]:
        values = own[key_of(row)]
        interval = stats.ttest_1samp(values, 0).confidence_interval()
        assert row["value"] == pytest.approx(values.mean())
        assert row["sd"] == pytest.approx(values.std(ddof=1))
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(interval))
        assert row["p"] == pytest.approx(exact(values - 1 / 3, "greater"))
        assert (row["n"], row["p_min"]) == (9, 0.5**9)
        assert row["chance"] == pytest.approx(1 / 3)


def test_classes_are_tested_over_their_own_regions(participants, found):
    recalls, own = found.scores[found.scores["metric"] == "recall"], own_scores(participants)
    for row in recalls.to_dict("records")[::11]:
        values = own[key_of(row)]
        assert row["value"] == pytest.approx(values.mean())
        assert row["p"] == pytest.approx(exact(values - 1 / 3, "greater"))
    for _, rows in recalls[recalls["roi_name"] != "motion"].groupby([*KEYS, "class"], dropna=False):
        np.testing.assert_allclose(rows["p_fdr"], stats.false_discovery_control(rows["p"]))


def test_fdr_is_over_the_regions_of_one_setting_without_motion(found):
    rows = overall(found)
    control = rows["roi_name"] == "motion"
    assert rows.loc[control, ["p_fdr", "p_fwe"]].isna().all().all()
    assert rows.loc[control, "p"].notna().all()
    families = list(rows[~control].groupby(KEYS, dropna=False))
    assert len(families) == 12
    for _, family in families:
        np.testing.assert_allclose(family["p_fdr"], stats.false_discovery_control(family["p"]))


def test_planted_regions_are_found_and_the_control_is_not(found):
    rows = overall(found)
    for train in ("display", "observe"):
        chosen = (rows["motion"] == "kept") & (rows["train_task"] == train)
        across = rows[chosen].set_index(["aligner", "roi_name"])["p_fdr"].to_dict()
        assert across["none", "shared"] < 0.05
        assert across["bcca", "realigned"] < 0.05
        assert across["none", "realigned"] > 0.05
        assert across["none", "control"] > 0.05
        assert across["bcca", "control"] > 0.05
        assert ("none", "displayobserve") not in across
        assert across["bcca", "displayobserve"] < 0.05


def test_gains_are_found_where_planted(found):
    frame = found.differences
    gains = frame[(frame["comparison"] == "realignment") & (frame["motion_a"] == "kept")]
    assert set(gains["tail"]) == {"greater"}
    for direction, rows in gains.groupby("condition_b"):
        p = rows.set_index("roi_name")["p_fdr"]
        assert set(p.index) == {"shared", "realigned", "control"}, direction
        assert p["realigned"] < 0.05
        assert p["shared"] > 0.05
        assert p["control"] > 0.05
        np.testing.assert_allclose(p, stats.false_discovery_control(rows["p"]))


def test_differences_equal_scipy(participants, found):
    frame, own = found.differences, own_scores(participants)
    assert set(frame["comparison"]) == {"realignment", "tasks", "transfer", "motion"}
    for row in frame.to_dict("records")[::5]:
        sides = []
        for side in "ab":
            keys = {key: row.get(f"{key}_{side}", row.get(key)) for key in KEYS}
            keys |= {"roi_name": row["roi_name"], "metric": row["metric"]}
            sides.append(own[key_of(keys, np.nan)])
        differences = sides[0] - sides[1]
        assert row["mean_a"] == pytest.approx(sides[0].mean())
        assert row["mean_b"] == pytest.approx(sides[1].mean())
        assert row["difference"] == pytest.approx(differences.mean())
        assert row["sd"] == pytest.approx(differences.std(ddof=1))
        assert row["p"] == pytest.approx(exact(differences, row["tail"]))
        smallest = 0.5**9 if row["tail"] == "greater" else 0.5**8
        assert (row["n"], row["p_min"]) == (9, smallest)


def random_families(rng, n=9, n_regions=20):
    """Two settings without effect, of the same participants."""
    shared = rng.standard_normal((n, 1))  # participants differ; their difference does not
    families = {}
    for aligner in ("bcca", "none"):
        setting = Setting(Condition("display", "observe", aligner), "ridge", "volumes")
        scores = pd.DataFrame(0.33 + 0.02 * (shared + rng.standard_normal((n, n_regions))))
        chance = pd.DataFrame(np.full(scores.shape, 0.33))
        families[setting] = Family(setting.keys, scores, chance, None)
    return families


def test_without_effect_five_percent_of_tests_are_significant():
    rng = np.random.default_rng(3)
    p = {"gain": [], "change": [], "score": []}
    for _ in range(20):
        families = random_families(rng)
        first, second = families
        for name, kind in (("gain", "realignment"), ("change", "aligners")):
            comparison = Comparison(kind, first, second)
            p[name].extend(comparison_frame([comparison], families, "accuracy")["p"])
        independent = replace(families[first], chance=families[second].scores)
        p["score"].extend(row["p"] for row in family_rows(independent, "accuracy"))
    for name, values in p.items():
        # Steps of an exact test lie below its level: the largest reachable p is what counts.
        level = max(value for value in values if value <= 0.05)
        low, high = stats.binom.interval(0.9999, len(values), level)
        assert low <= np.count_nonzero(np.array(values) <= 0.05) <= high, name


def without_region(participant, region):
    frame = participant.table("scores")
    kept = frame[frame["roi_name"] != region]
    others = [one for one in participant.tables if one.suffix != "scores"]
    first = participant.tables[0]
    return replace(
        participant, tables=(StoredTable("scores", first.entities, lambda: kept), *others)
    )


def test_participants_without_a_region_are_left_out_there(participants):
    some = numbers([without_region(participants[0], "shared"), *participants[1:]])
    rows = overall(some).set_index("roi_name")
    assert (rows.loc["shared", "n"] == 8).all()
    assert (rows.loc["shared", "p_min"] == 0.5**8).all()
    assert (rows.loc["control", "n"] == 9).all()
    frame = some.differences.set_index("roi_name")
    assert (frame.loc["shared", "n"] == 8).all()
    assert (frame.loc["control", "n"] == 9).all()
    rest = {key_of(row): row for row in overall(numbers(participants[1:])).to_dict("records")}
    for row in overall(some).to_dict("records"):
        if row["roi_name"] == "shared":
            twin = rest[key_of(row)]
            assert (row["value"], row["p"]) == (twin["value"], twin["p"])


def test_permutations_of_the_participants_are_combined():
    study = replace(STUDY, n=5, permutations=30, conditions=CONDITIONS[:4])
    participants = make_participants(study)
    results = numbers(participants)
    rows, own = overall(results), own_scores(participants)
    kept = rows[rows["motion"] == "kept"]
    assert kept["p_permutation"].notna().all()
    assert rows.loc[rows["motion"] == "regressed", "p_permutation"].isna().all()
    setting = Setting(Condition("display", "observe", "bcca"), "bayes", "volumes")
    columns = [permutation_column(setting, region) for region in REGIONS]
    assert columns[0] == "volumes_bayes_displaytoobserve_bcca_shared"
    nulls = [one.table("permutations")[columns].to_numpy() - 1 / 3 for one in participants]
    found = kept[(kept["aligner"] == "bcca") & (kept["train_task"] == "display")]
    above = np.column_stack([own[key_of(row)] for row in found.to_dict("records")]) - 1 / 3
    expected = group_permutation(above, nulls, 500, seed("draws", setting.condition.label))
    np.testing.assert_allclose(found["p_permutation"], expected.p)
    np.testing.assert_allclose(found["p_fwe"], expected.p_fwe)
    assert "permutation 0.002" in next(group_summaries(results)).caption
    pair = make_participants(replace(study, n=2, regions=("shared",), conditions=CONDITIONS[:1]))
    everything = analyse(pair)
    assert "stelzer2013" in everything.citations
    assert not everything.warnings
    partial = analyse([pair[0], without_permutations(pair[1])])
    assert table(partial, "scores")["p_permutation"].isna().all()
    assert "sub-02 without permutations" in partial.warnings[0]
    assert "stelzer2013" not in partial.citations


def without_permutations(participant):
    tables = tuple(one for one in participant.tables if one.suffix != "permutations")
    return replace(participant, tables=tables)


def test_every_kind_of_comparison_pairs_what_it_says():
    conditions = (*CONDITIONS, ("display", "observe", "srm"))
    study = replace(
        STUDY, n=2, regions=("shared",), conditions=conditions, estimators=("ridge", "bayes")
    )
    everything = CrossmodalOptions(comparisons=tuple(KINDS))
    frame = numbers(make_participants(study), everything).differences
    kept = frame[(frame["motion_a"] == "kept") & (frame["roi_name"] == "shared")]
    counts = kept["comparison"].value_counts().to_dict()
    per_estimator = {
        "realignment": 3,
        "tasks": 1,
        "transfer": 5,
        "directions": 2,
        "aligners": 1,
        "motion": 7,
    }
    assert counts == {kind: 2 * n for kind, n in per_estimator.items()} | {"estimators": 7}
    directions = kept[kept["comparison"] == "directions"]
    assert (directions["train_task_a"] == directions["test_task_b"]).all()
    assert (directions["aligner_a"] == directions["aligner_b"]).all()
    transfer = kept[kept["comparison"] == "transfer"]
    assert (transfer["test_task_a"] == transfer["test_task_b"]).all()
    assert transfer["aligner_a"].isna().all()
    only = numbers(make_participants(study), CrossmodalOptions(comparisons=("tasks",)))
    assert set(only.differences["comparison"]) == {"tasks"}


def test_three_tasks_are_compared_pair_by_pair():
    settings = {
        Setting(Condition(task, task), "ridge", "volumes"): None for task in ("a", "b", "c")
    }
    found = find_comparisons(["tasks"], settings)
    pairs = [(one.first.condition.train_task, one.second.condition.train_task) for one in found]
    assert pairs == list(combinations("abc", 2))


def test_scores_that_follow_displacement_are_found():
    study = replace(STUDY, n=11, pull=3.0, effects={("control",): 0.4}, per_class=40)
    participants = make_participants(study)
    results, own = numbers(participants), own_scores(participants)
    frame = results.correlations
    kept = frame[(frame["motion"] == "kept") & (frame["roi_name"] == "control")]
    tested = kept[kept["displacement_task"] == kept["test_task"]]
    assert len(tested) == 6
    assert (tested["p_fdr"] < 0.05).all()
    for row in kept.to_dict("records"):
        values = own[key_of(row, np.nan)]
        moved = [displacement(one, row["displacement_task"]) for one in participants]
        linear = stats.pearsonr(moved, values)
        assert row["rho"] == pytest.approx(stats.spearmanr(moved, values).statistic)
        assert row["r"] == pytest.approx(linear.statistic)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(linear.confidence_interval()))
        assert (row["n"], row["p_min"]) == (11, 1 / 501)
    control = frame[frame["roi_name"] == "motion"]
    assert control["p_fdr"].isna().all()
    assert control["p"].notna().all()
    sentence = next(motion_highlights(results))
    assert "scores are correlated with framewise displacement" in sentence


def displacement(participant, task):
    frame = participant.table("scores")
    chosen = (frame["metric"] == "framewise_displacement") & (frame["train_task"] == task)
    return frame.loc[chosen, "value"].item()


def test_report_says_what_head_motion_explains(participants):
    """Samples know the class by their motion alone: nothing is left when it is regressed out."""
    study = replace(STUDY, control=0.6, effects={(region,): 0.55 for region in REGIONS})
    frames = make_participants(study)
    chance = make_participants(replace(study, effects={(region,): 1 / 3 for region in REGIONS}))
    mixed = [mix(one, other) for one, other in zip(frames, chance, strict=True)]
    results = numbers(mixed)
    told = motion_summary(results)
    assert told.title == "Could head motion explain the scores?"
    above = told.frame.set_index("Condition")["Regions above chance"]
    assert above["within display"] == "4 of 4"
    left = told.frame["of these still with motion regressed out"].astype(int)
    assert left.sum() <= 2
    assert (told.frame["Its p"] < 0.01).all()
    assert (told.frame["Mean change by regression"] < -0.15).all()
    sentence = next(motion_highlights(results))
    assert "alone it decodes above chance: within display (balanced accuracy 0." in sentence
    assert f"{left.sum()} of the 22 scores above chance" in sentence
    assert "reach p < 0.05, before any correction" in told.caption


def mix(kept, regressed):
    """Scores of one with motion kept, of the other with motion regressed out."""
    first, second = kept.table("scores"), regressed.table("scores")
    frame = pd.concat(
        [first[first["motion"] != "regressed"], second[second["motion"] == "regressed"]]
    )
    others = kept.tables[1:]
    return replace(
        kept, tables=(StoredTable("scores", kept.tables[0].entities, lambda: frame), *others)
    )


def test_without_regressed_samples_and_control_nothing_is_said_of_them():
    study = replace(STUDY, n=3, motions=("kept",), control=None, conditions=CONDITIONS[:2])
    results = analyse(make_participants(study))
    assert "motion" not in [figure.name for figure in results.figures]
    assert "motion" not in set(table(results, "comparisons")["comparison"])
    assert "Motion regressed out" not in results.summaries[1].frame
    assert "regressed out" not in results.methods


def test_one_participant_is_reported_without_inference(participants):
    results = analyse(participants[:1])
    tests = ["p", "p_fdr", "p_min", "p_permutation", "ci_low", "sd"]
    assert table(results, "scores")[tests].isna().all().all()
    assert table(results, "scores")["value"].notna().all()
    assert table(results, "comparisons")["p"].isna().all()
    assert "correlations" not in [item.suffix for item in results.tables]
    assert results.warnings == ["one participant only, so there is no inference"]
    assert not any("p_fdr" in line for line in results.highlights)
    assert "One participant only" in results.summaries[0].caption
    assert not results.citations


def test_two_participants_hear_that_no_test_can_succeed(participants):
    results = numbers(participants[:2])
    assert "(no p below 0.25 can be reached)" in next(group_highlights(results))
    assert "alone it gives a balanced accuracy of" in next(motion_highlights(results))


def test_nobody_has_scores():
    results = analyse([ParticipantResults("01")])
    assert not results.tables
    assert results.warnings == ["no participant has scores of this analysis"]


def test_unknown_chance_is_told():
    participants = make_participants(replace(STUDY, n=4, conditions=CONDITIONS[:1]))
    unknown = participants[2].table("scores").assign(chance=np.nan)
    tables = (StoredTable("scores", {}, lambda: unknown), *participants[2].tables[1:])
    participants[2] = replace(participants[2], tables=tables)
    results = analyse(participants)
    assert "the Wilcoxon test leaves out sub-03" in results.warnings[0]
    scores = table(results, "scores")
    scores = scores[scores["metric"] == "balanced_accuracy"]
    assert (scores["p_min"] == 0.5**3).all()
    assert (scores["n"] == 4).all()


def test_order_of_participants_does_not_matter(participants, found):
    again = numbers(participants[::-1])
    pd.testing.assert_frame_equal(again.scores, found.scores)
    pd.testing.assert_frame_equal(again.differences, found.differences)
    pd.testing.assert_frame_equal(again.correlations, found.correlations)


def test_results_can_be_written_under_names_of_their_own(results):
    description = Description(example_unit(None), example_provenance())
    artifacts = list(description.artifacts(replace(results, figures=())))
    paths = [str(artifact.path) for artifact in artifacts]
    assert len(set(paths)) == len(paths) == 3 + len(results.matrices)
    assert any(path.endswith("_comparisons.tsv") for path in paths)
    for artifact in artifacts:
        assert artifact.encode()
    figures = [(figure.name, tuple(sorted(figure.entities.items()))) for figure in results.figures]
    assert len(set(figures)) == len(figures)
    for summary in results.summaries:
        assert len(summary.frame)


def test_mean_confusions_are_shares(results):
    assert len(results.matrices) == 4 * 4 + 2 * 3 + 4
    for matrix in results.matrices:
        np.testing.assert_allclose(matrix.frame.sum(axis=1), 1)


def test_sentences_count_what_the_table_holds(found, results):
    rows = overall(found)
    within = rows[
        (rows["train_task"] == "display")
        & (rows["test_task"] == "display")
        & (rows["motion"] == "kept")
        & (rows["roi_name"] != "motion")
    ]
    n_found = (within["p_fdr"] < 0.05).sum()
    best = within.loc[within["value"].idxmax()]
    assert results.highlights[0] == (
        f"Within display: {n_found} of 4 regions above chance at p_fdr < 0.05; best "
        f"{best['roi_name']}, mean balanced accuracy {best['value']:.2f} (chance 0.333, "
        "9 participants)."
    )
    gain = next(line for line in results.highlights if line.startswith("Realignment by bcca"))
    assert "in 1 of 3 regions from display to observe (most in realigned, +0.1" in gain


def test_publication_table_has_a_cell_per_region_and_condition(found, results):
    summary = results.summaries[0]
    frame = summary.frame.set_index("Region")
    assert list(frame.columns) == [
        "within display",
        "within observe",
        "display to observe",
        "display to observe, realigned (bcca)",
        "observe to display",
        "observe to display, realigned (bcca)",
    ]
    row = overall(found).iloc[0]
    assert frame.loc["shared", "within display"] == (
        f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]**"
    )
    assert frame.loc["displayobserve", "display to observe"] == "n/a"
    assert frame.index[-1] == "head motion alone"


def test_within_tasks_only():
    study = replace(STUDY, n=3, regions=REGIONS[:2], conditions=(WITHIN_DISPLAY, WITHIN_OBSERVE))
    results = analyse(make_participants(study))
    assert "realignment" not in [figure.name for figure in results.figures]
    assert not any("Realignment" in line for line in results.highlights)
    assert set(table(results, "comparisons")["comparison"]) == {"tasks", "motion"}


def test_tables_of_the_participant_level_are_understood():
    options = Crossmodal.Options(
        permutations=4, group_draws=200, aligners=("ridge-alignment",), maps=False
    )
    analysis = Crossmodal("crossmodal", 1)
    participants = [
        store(
            label,
            analysis.participant(make_two_tasks(label, number, n_runs=3, per_class=3), options),
        )
        for number, label in enumerate(("01", "02", "03"))
    ]
    results = analysis.group(participants, options)
    rows = table(results, "scores")
    rows = rows[(rows["metric"] == "balanced_accuracy") & (rows["roi_name"] != "motion")]
    assert len(rows) == 6 * 2 * 3
    assert (rows["n"] == 3).all()
    kept = rows["motion"] == "kept"
    assert rows.loc[kept, "p_permutation"].notna().all()
    shared = rows[kept & (rows["roi_name"] == "shared") & (rows["aligner"] == "none")]
    assert (shared["value"] > 0.7).all()
    assert len(results.matrices) == 6 * 3 + 4
    assert len(table(results, "correlations"))
    assert results.tables[0].entities == {"space": "MNI152NLin2009cAsym"}
    paths = [
        item.path
        for item in Description(example_unit(None), example_provenance()).artifacts(results)
    ]
    assert len(set(paths)) == len(paths)
