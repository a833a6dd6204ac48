"""Levels of the p-values that analyses print, in short; benchmarks/null_*.py are the long forms."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bidsface.analysis import ParticipantResults, StoredTable
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.crossmodal_tables import permutation_table, score_table
from bidsface_decoding.findings import find

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def load():
    """Return a function that imports a benchmark by its name."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


def check(load, kinds, p_values, n, seed=0):
    """Every test that is offered rejects at most as often as 1 of 100,000 valid ones would."""
    part = load("calibration").Part(kinds, p_values)
    rates = load("calibration").rates_of(part, n, seed)
    most = stats.binom.isf(1e-5, n, 0.05) / n
    assert {kind.name: rate for kind, rate in rates.items() if rate > most and kind.offered} == {}
    return {kind.name: rate for kind, rate in rates.items()}


def test_decoding_across_tasks(load):
    study = load("null_crossmodal")
    kinds = load("calibration").Study(study.quick_p, study.kind_of).part()
    rates = check(load, kinds.kinds, kinds.p_values, 15)
    assert rates[study.LEAK] > 0.25  # the calibration sees a wrong procedure


def test_realigned_decoding_refits_aligners_to_permutations(load):
    study = load("null_crossmodal")
    kinds = load("calibration").Study(study.slow_p, study.kind_of).part()
    check(load, kinds.kinds, kinds.p_values, 8)


def test_searchlight(load):
    study = load("null_searchlight")
    rates = check(load, study.STUDY.part().kinds, study.STUDY, 30)
    wrong = [rate for name, rate in rates.items() if name.startswith(study.MAJORITY)]
    assert max(wrong) > 0.25


def test_task_responses(load):
    study = load("null_glm")
    rates = check(load, study.KINDS, study.p_values, 40)
    assert rates[study.CLUSTER] > 0  # a threshold for the extent of clusters is no test


def test_calibration_judges_both_limits(load):
    calibration = load("calibration")
    exact, discrete = calibration.Kind("a", True), calibration.Kind("b", False)
    wrong = calibration.Kind("c", False, offered=False)
    assert calibration.judge({exact: 0.05, discrete: 0.0, wrong: 0.9}, 1000)[1]
    assert not calibration.judge({exact: 0.01}, 1000)[1]
    assert not calibration.judge({discrete: 0.08}, 1000)[1]
    with pytest.raises(ValueError, match="not always a p-value: b"):
        calibration.rates_of(calibration.Part([discrete], lambda seed: [np.nan]), 2)


def test_rates_do_not_depend_on_processes(load):
    calibration = load("calibration")
    part = calibration.Part([calibration.Kind("a", True)], uniform)
    assert calibration.rates_of(part, 20, jobs=2) == calibration.rates_of(part, 20)


def uniform(seed):
    return [np.random.default_rng(seed).random()]


def test_calibrated_group_is_that_of_the_tables(load):
    """The calibration goes around the tables; the group's p-values are those that they lead to."""
    study, tasks = load("null_crossmodal"), load("noise_tasks")
    seed = np.random.SeedSequence(4)
    people = study.people_of(np.random.default_rng(4), effect=0.3)
    found = [study.UNALIGNED.decode(one, seed) for one in people]
    participants = [
        ParticipantResults(
            f"{number:02d}",
            tuple(
                StoredTable(table.suffix, {}, lambda table=table: table.frame)
                for table in (score_table(one, study.METRIC), permutation_table(one))
            ),
        )
        for number, one in enumerate(found)
    ]
    options = CrossmodalOptions(group_draws=tasks.N_DRAWS, comparisons=("tasks", "transfer"))
    told = find(participants, options, lambda *names: seed)
    families = tasks.families_of(found, seed)
    assert set(told.families) == set(families)
    for key, family in families.items():
        for ours, theirs in zip(
            study.family_rows(family, study.METRIC), told.rows(key), strict=True
        ):
            for column in ("value", "p", "p_fdr", "p_permutation", "p_fwe"):
                np.testing.assert_allclose(ours[column], theirs[column], err_msg=column)
    for words in (study.WITHIN, study.ACROSS):
        row = told.row(study.setting(words), "first", "anger")
        assert row["p"] == pytest.approx(study.class_p(found, words))
    (p, _) = dict(study.compared_p("tasks", families)).values()
    assert told.differences["p"].iloc[0] == pytest.approx(p)


def test_expression_scores(load):
    study = load("null_facs")
    rates = check(load, study.QUICK.part().kinds, study.QUICK, 30)
    wrong = [rate for name, rate in rates.items() if name.startswith(study.WRONG)]
    assert max(wrong) > 0.25


def test_expression_scores_with_chosen_penalties_and_coefficients(load):
    study = load("null_facs")
    check(load, study.SLOW.part().kinds, study.SLOW, 20)


def test_occlusion(load):
    study = load("null_emotion")
    rates = check(load, study.OCCLUSION.part().kinds, study.OCCLUSION, 40)
    wrong = [rate for name, rate in rates.items() if name.startswith(study.WRONG)]
    assert max(wrong) > 0.25
    assert min(rate for name, rate in rates.items() if name.startswith(study.POWER)) > 0.5
