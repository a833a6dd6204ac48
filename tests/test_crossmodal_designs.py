"""Unusual but legal data: unequal classes, lost voxels, designs that can hardly be permuted."""

from dataclasses import replace

import numpy as np
import pytest
from crossmodal_study import (
    CLASSES,
    REGIONS,
    Design,
    decode,
    drop_samples,
    make_two_tasks,
    replace_samples,
)

from bidsface.analysis import Region
from bidsface.errors import RecipeError
from bidsface.statistics import signed_rank_p
from bidsface_decoding.crossmodal import Crossmodal
from bidsface_decoding.crossvalidation import Fold, predict
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.scoring import METRICS, score

TWO = dict.fromkeys(("display", "observe"), CLASSES[:2])


def noise_scores(seed, permutations=0):
    """Scores of noise in which one class is twice as frequent as the others."""
    rng = np.random.default_rng(seed)
    codes = np.tile(np.repeat([0, 1, 2], [12, 6, 6]), 4).astype(np.int16)
    runs = np.repeat(np.arange(4), 24)
    folds = [Fold(str(k), np.flatnonzero(runs != k), np.flatnonzero(runs == k)) for k in range(4)]
    permuted = [
        np.concatenate([rng.permutation(codes[runs == run]) for run in range(4)])
        for _ in range(permutations)
    ]
    labellings = np.vstack([codes, *permuted]).astype(np.int16)
    X = rng.standard_normal((96, 60)).astype(np.float32)
    predicted = predict(X, np.arange(60), folds, labellings, 3, {"ridge": Ridge()})["ridge"]
    return score(folds, labellings, predicted, 3, METRICS["balanced_accuracy"])


def test_recall_of_the_commonest_class_has_no_chance_of_a_kth():
    alone = noise_scores(0)
    assert alone.chance.mean == pytest.approx(1 / 3)
    assert np.isnan(alone.chance.classes).all()
    found = [noise_scores(seed, permutations=40) for seed in range(10)]
    chances = np.array([one.chance.classes for one in found])
    assert chances[:, 0].min() > 0.5
    recalls = np.array([one.recalls.mean(axis=0) for one in found])
    assert all(signed_rank_p(recalls[:, k] - chances[:, k]) > 0.01 for k in range(3))


def test_recall_across_tasks_goes_by_the_classes_of_the_training_task():
    uneven = make_two_tasks(per_class=4)

    def all_but_one_joy(table):
        joy = table[table["trial_type"] == "joy"]
        return ~table["event"].isin(joy.groupby("block")["event"].max())

    participant = drop_samples(uneven, "averages", "display", all_but_one_joy)
    found = decode(participant, regions=["noise"], conditions=["cross"], motion_control=False)
    to_observe = found["ridge", "display", "observe", "none", "kept", "noise"].scores
    to_display = found["ridge", "observe", "display", "none", "kept", "noise"].scores
    assert np.isnan(to_observe.chance.classes).all()
    assert to_display.chance.classes == pytest.approx(1 / 3)


def test_head_motion_is_a_control_of_realigned_scores_without_the_direct_ones():
    found = decode(make_two_tasks(), regions=["noise"], conditions=["within", "realigned"])
    tested = {test[1:3] for test in found if test[-1] == "motion"}
    assert len(tested) == 4


def test_the_name_of_the_control_is_refused_always():
    motion = Region("motion", np.arange(20), "a region")
    participant = make_two_tasks(design=Design(regions={**REGIONS, "motion": motion}))
    options = Crossmodal.Options(motion_control=False, aligners=("procrustes",), maps=False)
    with pytest.raises(RecipeError, match="rename the region"):
        Crossmodal("crossmodal", 1).participant(participant, options)


@pytest.mark.parametrize("level", [0.0, 700.0])
@pytest.mark.parametrize("regressed", ["kept", "regressed"])
def test_voxels_that_training_has_not_seen_count_for_nothing(level, regressed):
    """They are constant in the training run of one task, and vary in its test run."""
    participant = make_two_tasks(n_runs=2, per_class=6, effect=0.7)
    lost = np.arange(0, 40, 4)
    kinds, without = {}, {}
    for task in participant.tasks:
        samples = participant.kinds["averages", task]
        X = 30 * samples.X
        if task == "observe":
            X[np.ix_((samples.table["run_index"] == "1").to_numpy(), lost)] = level
        kinds["averages", task] = replace(samples, X=X)
        blank = X.copy()
        blank[:, lost] = 0.0
        without["averages", task] = replace(samples, X=blank)
    options = {
        "conditions": ["cross"],
        "regions": ["shared"],
        "motion_control": False,
        "motion_regressed": True,
    }
    found, wanted = (
        decode(replace_samples(participant, each), **options) for each in (kinds, without)
    )
    test = ("ridge", "display", "observe", "none", regressed, "shared")
    # The fold that tests run 2 learned its scaling from run 1, where the voxels are lost.
    assert found[test].scores.folds[1] == wanted[test].scores.folds[1]


def without_events(per_block):
    """Two runs of two classes, of which averages lack events: permuted labels may lack a class."""
    participant = make_two_tasks(
        n_runs=2, per_class=2, sample_names=("averages", "volumes"), classes=TWO
    )

    def keep(table):
        lost = []
        for _, own in table.groupby("block"):
            for name in CLASSES[1::-1][:per_block]:
                lost.append(own.loc[own["trial_type"] == name, "event"].iloc[0])
        return ~table["event"].isin(lost)

    for task in participant.tasks:
        participant = drop_samples(participant, "averages", task, keep)
    return participant


@pytest.mark.parametrize("estimator", ["bayes", "svm"])
def test_permuted_labels_of_one_class_can_be_learned(estimator):
    found = decode(
        without_events(2),
        estimators=[estimator],
        conditions=["within", "cross"],
        permutations=20,
        motion_control=False,
        regions=["noise"],
    )
    assert all(0 < one.p <= 1 for one in found.values() if not np.isnan(one.p))


@pytest.mark.parametrize("per_block", [1, 2])
def test_permuted_labels_that_cannot_be_aligned_are_scored(per_block):
    found = decode(
        without_events(per_block),
        conditions=["realigned"],
        permutations=20,
        motion_control=False,
        regions=["noise"],
        samples=["averages", "volumes"],
    )
    for one in found.values():
        null = one.scores.null
        assert ((null >= 0) & (null <= 1)).all()
