"""Nothing of a test run reaches what is learned without it; permutations refit everything."""

from dataclasses import replace

import numpy as np
import pytest
from crossmodal_study import FAST, decode, make_two_tasks, replace_samples, shuffle_labels
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier

from bidsface_decoding.aligners import ALIGNERS
from bidsface_decoding.crossmodal import Crossmodal
from bidsface_decoding.crossmodal_alignment import align
from bidsface_decoding.crossmodal_kernels import View, fold_views, scaled_blocks
from bidsface_decoding.crossmodal_plan import plan_crossmodal
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.pairing import pair_by_class

TASKS = ("display", "observe")
N_RUNS = 4
TOYS = {"arrays": 1, "inner": 0, "aligners": len(ALIGNERS)}
"""Toy problems, on which options are tried out before anything else."""

SEED = np.random.SeedSequence(5)


def poison(participant, run, seed):
    """Garbage for samples, head motion and labels of one run of every task."""
    rng = np.random.default_rng(seed)
    kinds = {}
    for key, samples in participant.kinds.items():
        own = (samples.table["run_index"] == run).to_numpy()
        X, motion = samples.X.copy(), samples.motion.copy()
        X[own] = 1e4 * rng.standard_normal((own.sum(), X.shape[1]))
        motion[own] = 1e3 * rng.standard_normal((own.sum(), motion.shape[1]))
        labels = samples.table["trial_type"].to_numpy().copy()
        labels[own] = rng.choice(["anger", "disgust", "joy"], own.sum())
        table = samples.table.assign(trial_type=labels)
        kinds[key] = replace(samples, X=X, motion=motion, table=table)
    return replace_samples(participant, kinds)


def state(value):
    """Everything that a fitted object holds, as bytes."""
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return tuple((name, state(item)) for name, item in sorted(vars(value).items()))
    if isinstance(value, tuple | list):
        return tuple(map(state, value))
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    return repr(value)


def recorded(participant, **options):
    """What every classifier and aligner learned, in the order of the folds."""
    log = {"arrays": [], "inner": [], "aligners": []}

    class RecordingArrays(RidgeClassifier):
        def fit(self, X, y):
            fitted = super().fit(X, y)
            log["arrays"].append((X.tobytes(), y.tobytes(), state(fitted)))
            return fitted

    class RecordingInner(Ridge):
        def predict_permuted(self, kernel, codes, n_classes):
            dual = self.dual_weights(kernel.train, codes[0], kernel.n_features)
            log["inner"].append((kernel.train.tobytes(), codes.tobytes(), dual.tobytes()))
            return super().predict_permuted(kernel, codes, n_classes)

    def recording(base):
        class RecordingAligner(base):
            def fit_grams(self, grams, n_features):
                fitted = super().fit_grams(grams, n_features)
                log["aligners"].append((state(grams), state(fitted)))
                return fitted

        return RecordingAligner

    analysis = Crossmodal(
        "crossmodal",
        1,
        {
            "arrays": RecordingArrays,
            "inner": RecordingInner,
            **{f"recording-{name}": recording(base) for name, base in ALIGNERS.items()},
        },
    )
    chosen = Crossmodal.Options(
        **{
            **FAST,
            "regions": ["turned"],
            "estimators": ["arrays", "inner"],
            "aligners": [f"recording-{name}" for name in ALIGNERS],
            "aligner_options": {
                "recording-bcca": {"n_components": 4, "n_restarts": 2, "max_iter": 10}
            },
            "motion_control": False,
            **options,
        }
    )
    analysis.participant(participant, chosen)
    return {name: items[TOYS[name] :] for name, items in log.items()}


@pytest.mark.parametrize(("run", "regressed"), [("1", False), ("3", True)])
def test_a_poisoned_test_run_changes_nothing_that_its_fold_learns(run, regressed):
    participant = make_two_tasks(effect=0.5)
    clean, poisoned = (
        recorded(one, motion_regressed=regressed)
        for one in (participant, poison(participant, run, 0))
    )
    variants = 2 if regressed else 1
    per_fold = {"arrays": 2, "inner": 4 + 2 * len(ALIGNERS), "aligners": len(ALIGNERS)}
    fold = int(run) - 1
    for name, count in per_fold.items():
        assert len(clean[name]) == len(poisoned[name]) == variants * N_RUNS * count
        for variant in range(variants):
            for number in range(N_RUNS):
                start = (variant * N_RUNS + number) * count
                pairs = zip(
                    clean[name][start : start + count],
                    poisoned[name][start : start + count],
                    strict=True,
                )
                same = [one == other for one, other in pairs]
                assert all(same) if number == fold else not any(same)


@pytest.mark.parametrize("regressed", [False, True])
def test_a_poisoned_test_run_changes_nothing_of_the_scaling(regressed):
    participant = make_two_tasks(effect=0.5)
    learned = []
    for one in (participant, poison(participant, "2", 1)):
        kinds = {task: [one.kinds["averages", task]] for task in TASKS}
        plan = plan_crossmodal(kinds, 0, SEED)
        problem = plan.problems["averages"]
        views = {
            task: View(samples.X, np.arange(100), samples.motion if regressed else None)
            for task, samples in problem.samples.items()
        }
        folds = [list(scaled_blocks(views, fold.parts)) for fold in problem.folds]
        learned.append(
            [
                state([(one.mean, one.scale, one.motion, one.train) for one in blocks.values()])
                for ((_, blocks),) in folds
            ]
        )
    same = [one == other for one, other in zip(*learned, strict=True)]
    assert same == [False, True, False, False]


def permuted_participant(participant, plan, number):
    """The participant as it would be had the events had the labels of a permutation."""
    kinds = {}
    for task, codes in plan.problems["averages"].codes.items():
        samples = participant.kinds["averages", task]
        labels = np.array(plan.classes)[codes[number]]
        kinds["averages", task] = replace(samples, table=samples.table.assign(trial_type=labels))
    return replace_samples(participant, kinds)


@pytest.mark.parametrize("aligner", ["ridge-alignment", "bcca"])
def test_a_permutation_scores_what_its_labels_would_have_scored(aligner):
    """Pairs, alignment and classifiers are those of the permuted labels, from the start."""
    participant = make_two_tasks(effect=0.4, n_runs=3, per_class=3)
    options = {
        "regions": ["turned"],
        "aligners": [aligner],
        "aligner_options": {"bcca": {"n_components": 3, "n_restarts": 1, "max_iter": 10}}
        if aligner == "bcca"
        else {},
    }
    found = decode(participant, permutations=3, **options)
    analysis = Crossmodal("crossmodal", 1)
    kinds = {task: [participant.kinds["averages", task]] for task in TASKS}
    plan = plan_crossmodal(kinds, 3, analysis.seed("01", "permutations"))
    for number in range(1, 4):
        alone = decode(permuted_participant(participant, plan, number), **options)
        for test, outcome in found.items():
            assert outcome.scores.null[number - 1] == pytest.approx(alone[test].scores.mean), test


def test_an_alignment_that_had_seen_the_true_labels_has_another_null():
    """Were samples paired before labels are permuted, the null would not be that of the test."""
    participant = make_two_tasks(effect=0.0, n_runs=3)
    kinds = {task: [participant.kinds["averages", task]] for task in TASKS}
    plan = plan_crossmodal(kinds, 30, SEED)
    problem = plan.problems["averages"]
    views = {task: View(samples.X, np.arange(80, 120)) for task, samples in problem.samples.items()}
    differing = 0
    for fold in problem.folds:
        scaled = fold_views(views, fold.parts, shared=True, keep=False)
        operators = [
            align(
                scaled,
                fold.parts,
                TASKS,
                {task: codes[number] for task, codes in problem.codes.items()},
                ALIGNERS["ridge-alignment"](),
            ).operators["display", "observe"]
            for number in range(31)
        ]
        labels = problem.codes["display"][:, fold.parts["display"].train]
        refitted, frozen = (
            np.vstack(
                [
                    Ridge().predict_permuted(
                        scaled.mapped_kernel("display", operators[used]), labels[[number]], 3
                    )
                    for number, used in enumerate(numbers)
                ]
            )
            for numbers in (range(31), [0] * 31)
        )
        assert (refitted[0] == frozen[0]).all()
        differing += (refitted[1:] != frozen[1:]).mean()
    assert differing / len(problem.folds) > 0.3


def test_the_permutation_test_holds_its_level():
    """Without classes in the data, p <= 0.1 no more often than in a tenth of the data sets."""
    p = []
    for seed in range(24):
        participant = make_two_tasks(seed=seed, effect=0.0, n_runs=3, per_class=2)
        found = decode(
            participant, permutations=9, regions=["noise"], conditions=["realigned"],
            motion_control=False,
        )  # fmt: skip
        p.extend(outcome.p for outcome in found.values())
    assert len(p) == 48
    assert np.mean(np.array(p) <= 0.1) < 0.25  # P < 0.001 by the binomial distribution


def test_the_level_holds_where_one_task_knows_the_classes_and_the_other_does_not():
    rng = np.random.default_rng(7)
    p = []
    for seed in range(16):
        participant = make_two_tasks(seed=seed, effect=1.0, n_runs=3, per_class=2)
        found = decode(
            shuffle_labels(participant, "observe", rng),
            permutations=9, regions=["shared"], conditions=["cross", "realigned"],
            motion_control=False,
        )  # fmt: skip
        p.extend(one.p for test, one in found.items() if test[2] == "observe")
    assert np.mean(np.array(p) <= 0.1) < 0.3


def test_a_sample_in_several_pairs_has_the_sum_of_their_weights():
    participant = make_two_tasks(effect=1.0, n_runs=3)
    kinds = {task: [participant.kinds["averages", task]] for task in TASKS}
    problem = plan_crossmodal(kinds, 0, SEED).problems["averages"]
    views = {task: View(samples.X, np.arange(80, 120)) for task, samples in problem.samples.items()}
    fold = problem.folds[0]
    scaled = fold_views(views, fold.parts, shared=True, keep=True)
    for name in ALIGNERS:
        aligner = ALIGNERS[name]()
        if name == "bcca":
            aligner.set_params(n_restarts=1, random_state=0)
        found = align(scaled, fold.parts, TASKS, problem.observed, aligner, pairings=3)
        labels = (problem.observed[task][fold.parts[task].train] for task in TASKS)
        pairs = pair_by_class(*labels, 3)
        rows = [scaled.scaled[task][0][own] for task, own in zip(TASKS, pairs, strict=True)]
        plain = clone(aligner).fit([row.astype(float) for row in rows])
        wanted = plain.predict(0, {1: scaled.scaled[TASKS[1]][1].astype(float)})
        mapped = found.operators[TASKS] @ scaled.scaled[TASKS[0]][0]
        np.testing.assert_allclose(mapped, wanted, atol=1e-4)
