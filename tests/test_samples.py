from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel, compute_regressor, run_glm
from volumes import CLASSES, confounds_table, events_table, make_recipe, make_run

from bidsface.cleaning import RunFilter, cosine_drifts, run_filter
from bidsface.confounds import read_confounds
from bidsface.events import Events
from bidsface.measurements import Samples
from bidsface.numerics.trials import lsa_weights, lss_weights
from bidsface.participant.preparation import ExcludedRun, prepare_run
from bidsface.recipe import Cleaning, SampleSpec
from bidsface.samples import common_entities, empty_samples, select

NO_EVENTS = events_table(0)


def plain_filter(n_volumes, tr, kept=None, start=0.0):
    """A filter that removes nothing."""
    kept = np.ones(n_volumes, bool) if kept is None else kept
    empty = np.empty((n_volumes, 0))
    return RunFilter(start + tr * np.arange(n_volumes), kept, empty, empty, False)


def events_of(trials, others=NO_EVENTS):
    return Events(trials, others, {}, frozenset(trials["trial_type"]), trials.astype(str))


def chosen_times(spec, trials, filter_, tr):
    selection = select(spec, events_of(trials), filter_, tr)
    return [list(selection.time[selection.trial == i]) for i in range(len(trials))]


def trials_at(*onsets, duration=4.0):
    return pd.DataFrame({"onset": onsets, "duration": duration, "trial_type": "joy"})


def test_block_of_nine_volumes():
    trials = trials_at(15.0, duration=22.5)
    spec = SampleSpec(kind="volumes", shift=5.0)
    times = chosen_times(spec, trials, plain_filter(121, 2.5), 2.5)
    assert times == [list(np.arange(20.0, 40.1, 2.5))]


@pytest.mark.parametrize(
    ("onset", "start", "shift", "first"),
    [
        (10.0, 0.0, 5.0, 16.0),  # first volume after 15 s
        (11.0, 0.0, 5.0, 16.0),  # a volume at the very moment
        (11.0003, 0.0, 5.0, 16.0),  # rounding of the events file
        (11.1, 0.0, 5.0, 18.0),
        (10.0, 1.0, 5.0, 15.0),  # volumes stand for their middle
        (10.0, 0.0, -3.0, 8.0),
    ],
)
def test_first_volume(onset, start, shift, first):
    spec = SampleSpec(kind="volumes", shift=shift, count=2)
    times = chosen_times(spec, trials_at(onset), plain_filter(40, 2.0, start=start), 2.0)
    np.testing.assert_allclose(times, [[first, first + 2.0]])


@pytest.mark.parametrize(("duration", "count"), [(0.0, 1), (1.0, 1), (2.0, 1), (5.1, 3), (5.0, 2)])
def test_as_many_volumes_as_the_duration_holds(duration, count):
    spec = SampleSpec(kind="volumes")
    times = chosen_times(spec, trials_at(10.0, duration=duration), plain_filter(40, 1.7), 1.7)
    assert len(times[0]) == count


def test_lost_volumes_reduce_events_and_lose_them():
    kept = np.ones(20, bool)
    kept[[5, 8, 9]] = False
    filter_ = plain_filter(20, 2.0, kept)
    trials = trials_at(5.0, 11.0, 31.0, 60.0)  # from volumes 5, 8, 18 and past the end
    spec = SampleSpec(kind="volumes", count=2)
    assert chosen_times(spec, trials, filter_, 2.0) == [[12.0], [], [36.0, 38.0], []]
    selection = select(spec, events_of(trials), filter_, 2.0)
    assert list(selection.lost(4)) == [1, 3]
    average = select(SampleSpec(kind="average", count=2), events_of(trials), filter_, 2.0)
    assert list(average.trial) == [0, 2]
    assert list(average.time) == [12.0, 37.0]
    values = np.arange(17.0, dtype=np.float32)[:, None] ** 2
    np.testing.assert_allclose((average.weights @ values)[:, 0], [25.0, (15**2 + 16**2) / 2])


@pytest.mark.parametrize("kind", ["volumes", "average", "lsa", "lss"])
def test_no_trial_within_the_run(kind):
    selection = select(
        SampleSpec(kind=kind), events_of(trials_at(500.0)), plain_filter(40, 2.0), 2.0
    )
    assert list(selection.lost(1)) == [0]
    assert (selection.weights @ np.ones((40, 3), np.float32)).shape == (0, 3)


def naive_lss(X, nuisance, Y):
    """One least-squares fit per trial."""
    estimates = []
    for j in range(X.shape[1]):
        others = np.delete(X, j, axis=1).sum(axis=1)
        design = np.column_stack([X[:, j], others, nuisance])
        estimates.append(np.linalg.lstsq(design, Y, rcond=None)[0][0])
    return np.array(estimates)


@pytest.mark.parametrize("n_trials", [1, 2, 7])
def test_weights_equal_naive_fits(n_trials):
    rng = np.random.default_rng(n_trials)
    X = rng.normal(size=(50, n_trials))
    nuisance = np.column_stack([np.ones(50), rng.normal(size=(50, 3))])
    nuisance = np.column_stack([nuisance, nuisance[:, 1]])  # of deficient rank
    Y = rng.normal(size=(50, 4))
    np.testing.assert_allclose(lss_weights(X, nuisance) @ Y, naive_lss(X, nuisance, Y), atol=1e-10)
    full = np.linalg.lstsq(np.column_stack([X, nuisance]), Y, rcond=None)[0][:n_trials]
    np.testing.assert_allclose(lsa_weights(X, nuisance) @ Y, full, atol=1e-10)


def test_identical_trials_do_not_blow_up():
    x = np.random.default_rng(0).normal(size=(30, 1))
    X = np.column_stack([x, x])
    nuisance = np.ones((30, 1))
    for weights in (lsa_weights, lss_weights):
        assert np.abs(weights(X, nuisance)).max() < 10
    zero = np.column_stack([x, 0 * x])
    assert np.all(lss_weights(zero, nuisance)[1] == 0)


@pytest.fixture
def glm_run(tmp_path):
    """A run with confounds, drift, two censored volumes, a lost last trial and catch trials."""
    trials = events_table(10, spacing=11.0)
    trials.loc[9, "onset"] = 124.0
    catch = pd.DataFrame({"onset": [50.0, 90.0], "duration": 2.0, "trial_type": "catch"})
    confounds = confounds_table(64)
    confounds.loc[[25, 40], "framewise_displacement"] = 2.0
    events = pd.concat([trials, catch])
    run = make_run(tmp_path, confounds=confounds, events=events, start_time=0.7)
    cleaning = Cleaning(fd_threshold=1.0)
    table = read_confounds(run, 64, cleaning)
    return events_of(trials, catch), table, run_filter(run, table, cleaning), run


def full_design(events, table, filter_, hrf):
    """Trials, catch trials, and everything that cleaning removes, before censoring."""

    def regressor(frame):
        blocks = np.vstack([frame["onset"], frame["duration"], np.ones(len(frame))])
        return compute_regressor(blocks, hrf, filter_.times)[0]

    trials = np.hstack([regressor(events.trials.iloc[[i]]) for i in range(len(events.trials))])
    # nilearn's trend runs over the volumes that are kept
    trend = np.zeros(len(filter_.kept))
    trend[filter_.kept] = np.arange(filter_.kept.sum())
    rest = [regressor(events.others), table.selected, filter_.drifts, trend[:, None]]
    return trials, np.column_stack([*rest, np.ones(len(trials))])


@pytest.mark.parametrize("hrf", ["glover", "spm"])
@pytest.mark.parametrize("kind", ["lsa", "lss"])
def test_estimates_equal_the_model_of_everything(glm_run, kind, hrf):
    events, table, filter_, _ = glm_run
    Y = np.random.default_rng(0).normal(100, 1, size=(64, 5))
    selection = select(SampleSpec(kind=kind, hrf=hrf), events, filter_, 2.0)
    assert list(selection.lost(10)) == [9]  # it begins 4 s before the run ends
    trials, rest = (part[filter_.kept] for part in full_design(events, table, filter_, hrf))
    if kind == "lss":
        expected = naive_lss(trials, rest, Y[filter_.kept])
    else:
        design = np.column_stack([trials, rest])
        expected = np.linalg.lstsq(design, Y[filter_.kept], rcond=None)[0]
    estimates = selection.weights @ filter_.clean(Y)
    np.testing.assert_allclose(estimates, expected[:9], atol=2e-5)


@pytest.mark.filterwarnings("ignore:.*Given mask will be used:RuntimeWarning")
def test_lss_equals_nilearn_first_level_model(glm_run):
    events, table, filter_, run = glm_run
    filter_ = replace(filter_, kept=np.ones(64, bool), detrend=False)
    trial = 4
    named = events.trials.assign(trial_type="others")
    named.loc[trial, "trial_type"] = "own"
    model = FirstLevelModel(
        t_r=2.0,
        slice_time_ref=0.35,  # of 2 s: the run's start time of 0.7 s
        hrf_model="glover",
        drift_model="cosine",
        high_pass=1 / 128,
        noise_model="ols",
        signal_scaling=False,
        standardize=None,
        mask_img=str(run.mask),
        minimize_memory=True,
    )
    model.fit(str(run.bold), events=pd.concat([named, events.others]), confounds=table.selected)
    effect = model.compute_contrast("own", output_type="effect_size")
    import nibabel as nib

    Y = np.asarray(nib.load(run.bold).dataobj).reshape(-1, 64).T
    selection = select(SampleSpec(kind="lss"), events, filter_, 2.0)
    estimate = (selection.weights @ filter_.clean(Y))[list(selection.trial).index(trial)]
    np.testing.assert_allclose(estimate, np.asarray(effect.dataobj).ravel(), rtol=1e-3, atol=1e-3)


def test_lsa_equals_nilearn_run_glm(glm_run):
    events, table, filter_, _ = glm_run
    Y = np.random.default_rng(1).normal(100, 1, size=(64, 3))
    trials, rest = full_design(events, table, filter_, "glover")
    kept = filter_.kept
    labels, fits = run_glm(Y[kept], np.hstack([trials, rest])[kept], noise_model="ols")
    theta = np.column_stack([fits[label].theta for label in np.unique(labels)])
    selection = select(SampleSpec(kind="lsa"), events, filter_, 2.0)
    np.testing.assert_allclose(selection.weights @ filter_.clean(Y), theta[:9], atol=2e-5)


@pytest.mark.parametrize("kind", ["lsa", "lss"])
def test_planted_amplitudes_are_recovered(glm_run, kind):
    events, table, filter_, _ = glm_run
    trials, rest = full_design(events, table, filter_, "glover")
    amplitude = np.random.default_rng(4).normal(1, 1, 10)
    Y = (trials @ amplitude + rest @ np.random.default_rng(2).normal(size=rest.shape[1]))[:, None]
    selection = select(SampleSpec(kind=kind), events, filter_, 2.0)
    estimates = (selection.weights @ filter_.clean(Y))[:, 0]
    if kind == "lsa":
        np.testing.assert_allclose(estimates, amplitude[:9], atol=1e-4)
    else:  # the other trials' differences are noise to its model
        assert np.corrcoef(estimates, amplitude[:9])[0, 1] > 0.9


def test_estimates_of_noise_have_no_mean(glm_run):
    events, _, filter_, _ = glm_run
    Y = np.random.default_rng(5).normal(size=(64, 2000))
    for kind in ("lsa", "lss"):
        estimates = select(SampleSpec(kind=kind), events, filter_, 2.0).weights @ filter_.clean(Y)
        error = estimates.std(axis=1) / np.sqrt(2000)
        assert np.all(np.abs(estimates.mean(axis=1)) < 4.5 * error)


def test_rest_is_no_regressor(tmp_path):
    """Rest between all trials would leave the model without a baseline."""
    trials = events_table(5, spacing=24.0, duration=10.0)
    rest = pd.DataFrame({"onset": trials["onset"] + 10.0, "duration": 14.0, "trial_type": "Rest"})
    kinds = {"lsa": {"kind": "lsa"}}
    weights = []
    for number, events in enumerate((trials, pd.concat([trials, rest]))):
        run = make_run(tmp_path, str(number), events=events, confounds=confounds_table(64))
        weights.append(prepare_run(run, make_recipe(samples=kinds)).selections["lsa"].weights)
    np.testing.assert_array_equal(*weights)


ALL_KINDS = {kind: {"kind": kind} for kind in ("volumes", "average", "lsa", "lss")}


def test_motion_is_filtered_but_not_regressed_out(tmp_path):
    run = make_run(tmp_path)
    prepared = prepare_run(run, make_recipe(samples=ALL_KINDS))
    cleaned = prepared.filter.clean(prepared.confounds.motion, confounds=False)
    assert np.abs(prepared.filter.clean(prepared.confounds.motion)).max() < 1e-9
    volumes = prepared.selections["volumes"]
    positions = np.searchsorted(prepared.filter.times, volumes.time)
    np.testing.assert_allclose(prepared.motion("volumes"), cleaned[positions], rtol=1e-6)
    np.testing.assert_allclose(
        prepared.motion("average"),
        prepared.motion("volumes").reshape(9, 2, 6).mean(axis=1),
        rtol=1e-5,
        atol=1e-9,
    )
    design = np.hstack(
        [
            compute_regressor(np.vstack([[on], [4.0], [1.0]]), "glover", prepared.filter.times)[0]
            for on in prepared.events.trials["onset"]
        ]
    )
    design = prepared.filter.clean(design, confounds=False)
    expected = np.linalg.lstsq(np.column_stack([design, np.ones(64)]), cleaned, rcond=None)[0][:9]
    np.testing.assert_allclose(prepared.motion("lsa"), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("confounds", [["motion6"], ["motion6", "strategy:high_pass"]])
def test_motion_is_high_pass_filtered_whoever_made_the_cosines(tmp_path, confounds):
    table = confounds_table(64)
    cosines = cosine_drifts(64, 2.0, 128.0)
    table[["cosine00", "cosine01"]] = cosines
    table["trans_x"] += 30 * cosines[:, 0]
    cleaning = {"confounds": confounds}
    prepared = prepare_run(
        make_run(tmp_path, confounds=table), make_recipe(samples=ALL_KINDS, cleaning=cleaning)
    )
    plain = prepare_run(make_run(tmp_path, confounds=table), make_recipe(samples=ALL_KINDS))
    for kind in ALL_KINDS:
        np.testing.assert_allclose(prepared.motion(kind), plain.motion(kind), rtol=1e-4, atol=1e-6)
    motion = prepared.filter.clean(prepared.confounds.motion, confounds=False)
    assert np.abs(cosines.T @ motion).max() < 1e-9
    assert np.abs(motion).max() > 0.01


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"min_trials": 3}, None),
        ({"min_trials": 4}, "3 of 3 trials of anger are left as volumes, 4 wanted"),
        ({"drop_volumes": 12, "min_trials": 3}, "2 of 3 trials of anger are left as volumes"),
    ],
)
def test_too_few_trials(tmp_path, options, reason):
    prepared = prepare_run(make_run(tmp_path), make_recipe(cleaning=options))
    if reason is None:
        assert list(prepared.lost("volumes")) == []
    else:
        assert isinstance(prepared, ExcludedRun)
        assert prepared.reason.startswith(reason)


def test_runs_without_trials_are_left_out(tmp_path):
    run = make_run(tmp_path)
    assert prepare_run(replace(run, events=None), make_recipe()).reason == "no events file"
    missing = make_recipe(classes={"include": ["fear"]})
    assert prepare_run(run, missing).reason == (
        f"no event of a class (trial_type holds {', '.join(CLASSES)})"
    )


def test_runs_without_trials_are_kept_where_labels_come_from_elsewhere(tmp_path):
    run = make_run(tmp_path)
    for classes, own in (({}, replace(run, events=None)), ({"include": ["fear"]}, run)):
        prepared = prepare_run(own, make_recipe(classes={**classes, "optional": True}))
        assert prepared.events.trials.empty
        assert all(len(one.trial) == 0 for one in prepared.selections.values())
        assert prepared.filter.kept.any()


def test_common_entities(tmp_path):
    runs = [make_run(tmp_path, number, space="MNI152NLin2009cAsym") for number in ("1", "2")]
    space = {"space": "MNI152NLin2009cAsym"}
    assert common_entities(runs) == {"task": "display"} | space
    assert common_entities(runs[:1]) == {"task": "display", "run": "1"} | space


@pytest.mark.parametrize("kind", list(ALL_KINDS))
def test_events_are_the_rows_of_the_file(tmp_path, kind):
    """The row of every sample is that of its event, in all kinds and over runs."""
    trials = events_table(10, spacing=12.0)  # the last one is lost to the models
    trials["facs"] = np.round(np.random.default_rng(0).exponential(size=10), 3)
    shuffled = trials.sample(frac=1, random_state=1)
    runs = [make_run(tmp_path, number, events=shuffled) for number in ("1", "2")]
    prepared = [prepare_run(run, make_recipe(samples=ALL_KINDS)) for run in runs]
    prepared[1] = replace(prepared[1], first_event=10)
    samples = empty_samples(kind, prepared, 4)
    assert len(samples.events) == len(samples.X) == len(samples.table)
    event = samples.table["event"].to_numpy() % 10
    expected = trials.iloc[event].reset_index(drop=True)
    assert list(samples.events.columns) == ["onset", "duration", "trial_type", "facs"]
    assert all(isinstance(cell, str) for cell in samples.events.to_numpy().ravel())
    np.testing.assert_array_equal(samples.events["facs"].astype(float), expected["facs"])
    np.testing.assert_array_equal(samples.events["onset"].astype(float), samples.table["onset"])
    assert list(samples.events["trial_type"]) == list(expected["trial_type"])
    assert list(samples.table["trial_type"]) == list(expected["trial_type"])


def test_events_of_runs_with_different_columns(tmp_path):
    rated = events_table(3).assign(facs=[1.5, np.nan, 0.0])
    heated = events_table(4).assign(temperature=["46", "47", "48", "49"])
    recipe = make_recipe(samples={"average": {"kind": "average"}})
    runs = [
        make_run(tmp_path, number, events=events) for number, events in enumerate([rated, heated])
    ]
    events = empty_samples("average", [prepare_run(run, recipe) for run in runs], 4).events
    assert list(events.columns) == ["onset", "duration", "trial_type", "facs", "temperature"]
    assert list(events["facs"]) == ["1.5", "n/a", "0.0", *["n/a"] * 4]
    assert list(events["temperature"]) == [*["n/a"] * 3, "46", "47", "48", "49"]


def test_a_class_column_leaves_the_original_trial_type(tmp_path):
    events = events_table(3).assign(emotion=["a", "b", "a"])
    recipe = make_recipe(
        samples={"average": {"kind": "average"}},
        classes={"column": "emotion", "merge": {"both": ["a", "b"]}},
    )
    samples = empty_samples("average", [prepare_run(make_run(tmp_path, events=events), recipe)], 4)
    assert set(samples.table["trial_type"]) == {"both"}
    assert list(samples.events["trial_type"]) == list(CLASSES)
    assert list(samples.events["emotion"]) == ["a", "b", "a"]


def test_samples_without_a_file_have_rows_but_no_columns():
    table = pd.DataFrame({"trial_type": ["joy", "anger"]})
    samples = Samples("averages", np.ones((2, 1), np.float32), table, np.ones((2, 0)), {})
    assert samples.events.shape == (2, 0)
