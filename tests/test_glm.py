"""First level: nilearn's estimates, contrasts that cannot be, and planted responses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from glm_study import (
    ACTIVE,
    BRAIN,
    N_VOXELS,
    NOBODY,
    MemoryParticipant,
    censored,
    events_of,
    image,
    make_participant,
    make_run,
    mask_image,
    the_map,
)
from nilearn.glm.contrasts import compute_fixed_effects
from nilearn.glm.first_level import FirstLevelModel, make_first_level_design_matrix, run_glm

from bidsface.errors import InputError, RecipeError
from bidsface_glm.analysis import Glm
from bidsface_glm.contrasts import default_contrasts, label_of, parse
from bidsface_glm.design import build_design
from bidsface_glm.first_level import (
    Estimate,
    autocorrelation,
    fit_run,
    fixed_effects,
    statistics_of,
)
from bidsface_glm.options import GlmOptions
from bidsface_glm.participant import model_tasks


def options(**given):
    return GlmOptions.model_validate({"smoothing_fwhm": None, **given})


def analyse(participant, **given):
    return Glm("activation", 0).participant(participant, options(**given))


def found_in(participant, task="display", **given):
    """Statistics by contrast, and warnings, without drawing figures."""
    models, warnings = model_tasks(participant, options(**given))
    (model,) = [model for model in models if model.task == task]
    return model.found, warnings


def check(**given):
    Glm("activation", 0).check(options(**given), (), ())


# --- equality with nilearn


def nilearn_model(runs, **given):
    """FirstLevelModel on the same volumes as images."""
    model = FirstLevelModel(
        mask_img=mask_image(), minimize_memory=True, smoothing_fwhm=None, standardize=False, **given
    )
    designs = [
        make_first_level_design_matrix(
            run.times,
            run.events[["onset", "duration", "trial_type"]],
            hrf_model="glover",
            drift_model="cosine",
            high_pass=1 / 128,
            add_regs=run.confounds.to_numpy(),
            add_reg_names=list(run.confounds),
        )
        for run in runs
    ]
    return model.fit([image(run.load(None).T) for run in runs], design_matrices=designs), designs


@pytest.mark.filterwarnings("ignore:.*Generation of a mask has been requested:RuntimeWarning")
@pytest.mark.parametrize("noise_model", ["ar1", "ols"])
def test_first_level_equals_nilearn(noise_model):
    participant = make_participant(n_runs=2)
    found, _ = found_in(participant, noise_model=noise_model, contrasts={"diff": "joy - anger"})
    model, _ = nilearn_model(participant.runs["display"], noise_model=noise_model)
    expected = model.compute_contrast(["joy - anger"] * 2, output_type="all")
    for stat, theirs in (
        ("effect", "effect_size"),
        ("variance", "effect_variance"),
        ("t", "stat"),
        ("z", "z_score"),
    ):
        values = expected[theirs].get_fdata().ravel()[BRAIN.index]
        np.testing.assert_allclose(getattr(found["diff"], stat), values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_fixed_effects_equal_nilearn(weighted):
    participant = make_participant(n_runs=3)
    runs = participant.runs["display"]
    estimates = []
    for run in runs:
        design = build_design(run, options())
        vector = design.vector({"joy": 1.0})
        estimates.append(fit_run(run.load(None), design.matrix, {"joy": vector})["joy"])
    ours = statistics_of(fixed_effects(estimates, weighted))
    theirs = compute_fixed_effects(
        [image(one.effect) for one in estimates],
        [image(one.variance) for one in estimates],
        mask_image(),
        precision_weighted=weighted,
        dofs=[one.dof for one in estimates],
    )
    for name, found in zip(("effect", "variance", "t", "z"), theirs, strict=True):
        values = found.get_fdata().ravel()[BRAIN.index]
        np.testing.assert_allclose(getattr(ours, name), values, rtol=1e-6)


def test_one_run_equals_run_glm_also_where_columns_repeat():
    rng = np.random.default_rng(3)
    run = make_run(rng, confounds=pd.DataFrame(rng.standard_normal((70, 2)), columns=["a", "b"]))
    run.confounds["c"] = run.confounds["a"] - run.confounds["b"]
    design = build_design(run, options())
    assert design.rank == len(design.names) - 1
    assert any("rank" in note for note in design.notes)
    vector = design.vector({"joy": 1.0})
    values = run.load(None).astype(float)
    labels, found = run_glm(100 * (values / values.mean(axis=0) - 1), design.matrix)
    ours = fit_run(run.load(None), design.matrix, {"joy": vector})["joy"]
    for label in np.unique(labels):
        theirs = found[label].Tcontrast(vector)
        np.testing.assert_allclose(ours.effect[labels == label], theirs.effect, rtol=1e-6)
        np.testing.assert_allclose(ours.variance[labels == label], theirs.sd**2, rtol=1e-6)
        assert ours.dof == theirs.df_den


def test_autocorrelation_is_that_of_yule_and_walker():
    rng = np.random.default_rng(0)
    series = rng.standard_normal((4000, 3))
    for row in range(1, 4000):
        series[row] += np.array([0.0, 0.3, 0.6]) * series[row - 1]
    np.testing.assert_allclose(autocorrelation(series), [0, 0.3, 0.6], atol=0.05)
    assert autocorrelation(np.zeros((10, 2))).tolist() == [0, 0]


def test_results_do_not_depend_on_the_order_of_the_work():
    first = make_participant()
    second = MemoryParticipant(first.label, first.runs, reverse=True)
    ours, theirs = found_in(first)[0], found_in(second)[0]
    assert list(ours) == list(theirs) == ["all", "anger", "joy"]
    for name in ours:
        np.testing.assert_array_equal(ours[name].z, theirs[name].z)


# --- planted responses


def test_planted_activation_is_found_in_its_voxels_only():
    found, _ = found_in(make_participant(amplitude=1.5, n_runs=4, rho=0.0), noise_model="ols")
    z = found["joy"].z
    assert z[ACTIVE].min() > 6
    others = np.setdiff1d(np.arange(N_VOXELS), ACTIVE)
    assert np.abs(z[others]).max() < 4.5
    assert abs(np.mean(np.abs(z[others]) > 1.96) - 0.05) < 0.025
    assert np.abs(found["anger"].z).max() < 5


def test_autoregressive_model_keeps_false_positives_down():
    participant = make_participant(amplitude=0, n_runs=2, rho=0.6, n_volumes=150)
    rates = {
        model: np.mean(np.abs(found_in(participant, noise_model=model)[0]["joy"].z) > 1.96)
        for model in ("ar1", "ols")
    }
    assert rates["ar1"] < 0.085
    assert rates["ols"] > 1.4 * rates["ar1"]


@pytest.mark.parametrize(("scaling", "expected"), [("voxel", 1.5), ("grand", 1.5), ("none", 15.0)])
def test_effects_are_in_the_units_that_the_scaling_says(scaling, expected):
    found, _ = found_in(make_participant(amplitude=1.5, n_runs=4), scaling=scaling)
    effect = found["joy"].effect[ACTIVE].mean()
    assert effect == pytest.approx(expected, rel=0.05)


def test_derivative_regressors_find_a_late_response():
    participant = make_participant(amplitude=3.0, n_runs=2)
    for run in participant.runs["display"]:
        run.events["onset"] -= 1.0  # the response is a second later than the events say
    given = {"derivatives": "dispersion", "contrasts": {"late": "joy_derivative", "joy": "joy"}}
    late = found_in(participant, **given)[0]["late"].z
    assert late[ACTIVE].max() < -3 or late[ACTIVE].min() > 3


def test_polynomial_drift_and_none_change_the_design():
    run = make_run(np.random.default_rng(0))
    columns = {
        drift: len(build_design(run, options(drift=drift, drift_order=3)).names)
        for drift in ("cosine", "polynomial", "none")
    }
    assert columns == {"cosine": 2 + 2 + 3, "polynomial": 2 + 2 + 4, "none": 2 + 2 + 1}
    assert len(build_design(run, options(confounds=False, drift="none")).names) == 3
    short = build_design(run, options(high_pass=20.0)).names
    assert len(short) > columns["cosine"]


def test_other_events_are_modelled_unless_told_otherwise():
    rng = np.random.default_rng(0)
    catch = pd.DataFrame({"onset": [50.0, 90.0], "duration": 1.0, "trial_type": "catch"})
    run = make_run(rng, others=catch)
    assert build_design(run, options()).event_names == ("anger", "catch", "joy")
    assert build_design(run, options(other_events=False)).event_names == ("anger", "joy")
    found, _ = found_in(MemoryParticipant("01", {"display": [run]}))
    assert set(found) == {"all", "anger", "joy"}
    found, _ = found_in(MemoryParticipant("01", {"display": [run]}), contrasts={"catch": "catch"})
    assert set(found) == {"catch"}


def test_smoothing_is_asked_of_the_run():
    asked = []
    run = make_run(np.random.default_rng(0))
    spy = MemoryParticipant("01", {"display": [_spying(run, asked)]})
    found_in(spy, smoothing_fwhm=6.0)
    assert asked == [6.0]


def _spying(run, asked):
    def load(fwhm):
        asked.append(fwhm)
        return run.load(None)

    return replace(run, load=load)


# --- censoring


def test_censored_volumes_leave_the_model_of_the_others_as_it_was():
    run = make_run(np.random.default_rng(1))
    kept = np.ones(70, bool)
    kept[[0, 1, 20, 21, 40]] = False
    whole = build_design(run, options(confounds=False, drift="none"))
    part = build_design(censored(run, kept), options(confounds=False, drift="none"))
    # The first volumes are gone, so that nilearn's fine time grid starts elsewhere.
    np.testing.assert_allclose(part.matrix, whole.matrix[kept], atol=0.02)
    kept[:2] = True
    part = build_design(censored(run, kept), options(confounds=False))
    whole = build_design(run, options(confounds=False))
    np.testing.assert_array_equal(part.matrix, whole.matrix[kept])


def test_voxels_that_cannot_be_modelled_have_no_value():
    participant = make_participant(n_runs=2)
    run = participant.runs["display"][0]
    values = run.load(None)
    values[:, 0], values[:, 1] = 7.0, -values[:, 1]
    values[3, 2] = np.nan
    participant.runs["display"][0] = replace(run, load=lambda fwhm: values)
    found, _ = found_in(participant)
    for stat in ("effect", "variance", "t", "z", "p"):
        values = getattr(found["joy"], stat)
        assert np.flatnonzero(np.isnan(values)).tolist() == [0, 1, 2]


# --- runs and conditions that are missing


def test_run_without_a_condition_is_left_out_of_its_contrasts():
    rng = np.random.default_rng(2)
    runs = [make_run(rng, number=number) for number in (1, 2)]
    runs.append(make_run(rng, number=3, events=events_of(rng, classes=("anger",))))
    three = MemoryParticipant("01", {"display": runs})
    two = MemoryParticipant("01", {"display": runs[:2]})
    found, warnings = found_in(three)
    assert "task display: contrast joy is without task-display_run-3 (without joy)" in warnings
    expected, _ = found_in(two)
    np.testing.assert_array_equal(found["joy"].t, expected["joy"].t)
    assert not np.allclose(found["anger"].t, expected["anger"].t)


def test_condition_that_others_explain_is_no_crash():
    rng = np.random.default_rng(2)
    twins = events_of(rng, classes=("joy",))
    both = pd.concat([twins, twins.assign(trial_type="joyAgain")], ignore_index=True)
    found, warnings = found_in(
        MemoryParticipant("01", {"display": [make_run(rng, events=both)]}),
        contrasts={"joy": "joy", "sum": "joy + joyAgain"},
    )
    assert set(found) == {"sum"}
    assert any("other regressors explain it" in warning for warning in warnings)


def test_events_after_the_last_volume_are_not_modelled():
    rng = np.random.default_rng(2)
    events = events_of(rng)
    events.loc[len(events)] = [900.0, 4.0, "late"]
    design = build_design(make_run(rng, events=events), options())
    assert design.event_names == ("anger", "joy")
    assert any("1 of 9 events lie outside" in note for note in design.notes)


def test_events_without_duration_are_told():
    rng = np.random.default_rng(2)
    design = build_design(make_run(rng, 0, events=events_of(rng, duration=0.0)), options())
    assert any("duration 0" in note for note in design.notes)


def test_run_without_events_contributes_to_nothing():
    rng = np.random.default_rng(2)
    empty = make_run(rng, number=2, events=NOBODY)
    _, warnings = found_in(MemoryParticipant("01", {"display": [make_run(rng), empty]}))
    assert any("without task-display_run-2" in warning for warning in warnings)


def test_too_few_volumes_for_the_model_are_an_error():
    rng = np.random.default_rng(0)
    names = [f"c{number}" for number in range(80)]
    run = make_run(rng, confounds=pd.DataFrame(rng.standard_normal((70, 80)), columns=names))
    with pytest.raises(InputError, match="70 volumes are too few for a model of"):
        build_design(run, options())


def test_missing_task_is_told_and_no_task_is_an_error():
    participant = make_participant()
    _, warnings = found_in(participant, tasks=("display", "observe"))
    assert "task observe has no usable runs and was not modelled" in warnings
    with pytest.raises(InputError, match="none of the tasks observe"):
        found_in(participant, tasks=("observe",))


# --- expressions


NAMES = ("anger", "disgust", "joy")


@pytest.mark.parametrize(
    ("expression", "weights"),
    [
        ("joy", {"joy": 1.0}),
        ("joy - anger", {"joy": 1.0, "anger": -1.0}),
        ("(joy + anger + disgust) / 3", dict.fromkeys(NAMES, 1 / 3)),
        ("joy - 0.5 * (anger + disgust)", {"joy": 1.0, "anger": -0.5, "disgust": -0.5}),
        ("joy + anger - joy", {"anger": 1.0}),
    ],
)
def test_expressions_give_weights(expression, weights):
    found = parse(expression, NAMES)
    assert found == pytest.approx(weights)


def test_names_that_are_no_identifiers_can_be_written():
    names = ("happy face", "1", "2")
    assert parse("happy face", names) == {"happy face": 1.0}
    assert parse("1", names) == {"1": 1.0}
    assert parse("`happy face` - `2`", names) == {"happy face": 1.0, "2": -1.0}


@pytest.mark.parametrize(
    "expression", ["joy *", "joy * anger", "joy + 1", "joy - joy", "3", "joy ** 2", "@joy", ""]
)
def test_what_is_no_weighted_sum_is_refused(expression):
    with pytest.raises(ValueError):  # noqa: PT011
        parse(expression, NAMES)
    with pytest.raises(RecipeError, match=r"contrasts\.wrong"):
        check(conditions=NAMES, contrasts={"wrong": expression})


def test_unknown_condition_is_refused_where_it_can_be_known():
    with pytest.raises(RecipeError, match=r"contrasts\.wrong.*fear.*conditions are anger"):
        check(conditions=NAMES, contrasts={"wrong": "joy - fear"})
    check(contrasts={"right": "joy - fear", "plain": "happy face"})
    check(conditions=NAMES, derivatives="time", contrasts={"right": "joy_derivative"})
    with pytest.raises(RecipeError, match=r"contrasts\.wrong"):
        check(contrasts={"wrong": "joy +"})
    with pytest.raises(InputError, match=r"fear.*task-display_run-1.*there are anger, joy"):
        found_in(make_participant(), contrasts={"wrong": "joy - fear"})


def test_condition_that_a_participant_lacks_may_be_listed():
    given = {"conditions": ("anger", "joy", "fear"), "contrasts": {"fear": "fear", "joy": "joy"}}
    found, warnings = found_in(make_participant(), **given)
    assert set(found) == {"joy"}
    assert any("contrast fear is left out" in warning for warning in warnings)
    with pytest.raises(InputError, match="no contrast could be estimated"):
        found_in(make_participant(), conditions=("fear",))


def test_labels_of_contrasts_are_kept_apart():
    assert label_of("happy_face (A)") == "happyFaceA"
    with pytest.raises(ValueError, match="happyFace"):
        default_contrasts(["happy_face", "happy face"])
    with pytest.raises(ValueError, match="'all'"):
        default_contrasts(["all", "joy"])
    with pytest.raises(RecipeError, match="may not end in Fdr"):
        check(contrasts={"joyFdr": "joy"})
    with pytest.raises(RecipeError, match="would be called joyAge"):
        check(contrasts={"joy": "joy", "joyAge": "anger"}, covariates=("age",))
    with pytest.raises(RecipeError, match="atlas_lookup"):
        check(atlas_lookup="labels.tsv")


# --- what comes out


def test_results_name_what_they_are():
    results = analyse(make_participant(tasks=("display", "observe")), p_maps=True)
    joy = the_map(results, "effect", "joy", "observe")
    assert joy.entities == {
        **{"task": "observe", "space": "MNI152NLin2009cAsym", "res": "2"},
        "contrast": "joy",
    }
    assert joy.units == "percent of the voxel's mean"
    p = the_map(results, "p", "joy").values
    assert p[ACTIVE].max() < 1e-3
    assert p.min() >= 0
    assert p.max() <= 1
    anatomy = [item for item in results.maps if item.stat in ("index", "mean")]
    assert [item.stat for item in anatomy] == ["mean", "index"]
    assert all("task" not in item.entities for item in anatomy)
    assert anatomy[1].values[ACTIVE[0]] == 1024
    (peaks,) = results.summaries
    row = peaks.frame.query("task == 'observe' and contrast == 'joy'").iloc[0]
    assert row["structure"] == "ctx-lh-precentral"
    assert row["runs"] == 2
    assert len(results.figures) == 2 * (1 + 3)
    assert set(results.citations) >= {"friston1994", "abraham2014", "glover1999"}


def test_one_sided_p_is_half_of_two_sided_p():
    participant = make_participant()
    two = found_in(participant)[0]["joy"]
    one = found_in(participant, two_sided=False)[0]["joy"]
    np.testing.assert_allclose(np.where(two.t > 0, one.p, 1 - one.p), two.p / 2)


def test_without_a_segmentation_there_are_no_structures():
    first = make_participant()
    results = analyse(
        MemoryParticipant("01", first.runs, structures=None), contrasts={"joy": "joy"}
    )
    assert not [item for item in results.maps if item.stat == "index"]
    assert set(results.summaries[0].frame["structure"]) == {"unlabelled"}


def test_variance_of_an_estimate_is_never_nought():
    nothing = Estimate(np.zeros(2), np.zeros(2), 10.0)
    found = statistics_of(fixed_effects([nothing, nothing], precision_weighted=True))
    assert np.isfinite(found.z).all()
