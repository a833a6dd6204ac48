"""The analysis facs: what it gathers, predicts, tests and writes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from facs_study import (
    BRAIN,
    M1,
    N_VOXELS,
    gathered,
    make_participant,
    of_data_set,
    planted_pattern,
)
from pydantic import ValidationError
from sklearn.decomposition import PCA
from sklearn.linear_model import Lasso, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bidsface.analysis import InputTable
from bidsface.derivatives.tables import check_columns
from bidsface.errors import InputError, RecipeError
from bidsface_facs.analysis import Facs
from bidsface_facs.options import FacsOptions

INPUTS = {
    "wholebrain": {"region": "brain"},
    "m1": {"region": "m1"},
    "withoutm1": {"region": "brain", "without": ["m1"]},
}
QUICK = {"inputs": INPUTS, "estimators": ["ridge"], "permutations": 199, "bootstraps": 60}


def options_of(**given):
    return FacsOptions.model_validate({**QUICK, **given})


def analyse(participants, table=None, others=(), **given):
    options = options_of(**given)
    analysis = Facs("facs", 0, participants_table=table)
    own = gathered(analysis, participants, options)
    return analysis.group([*own, *others], options)


def cohort(n=12, **given):
    return [make_participant(f"{number:02d}", **given) for number in range(1, n + 1)]


def table(results, suffix):
    (found,) = [item for item in results.tables if item.suffix == suffix]
    check_columns(found.frame, found.columns, suffix)
    return found.frame


def score(results, metric="r2", roi="wholebrain", estimator="ridge", fold="mean", column="value"):
    frame = table(results, "scores")
    rows = frame[
        (frame["metric"] == metric)
        & (frame["roi_name"] == roi)
        & (frame["estimator"] == estimator)
        & (frame["fold"] == fold)
        & (frame["scale"] == "model")
    ]
    assert len(rows) == 1
    return rows[column].iloc[0]


def the_map(results, stat, roi="wholebrain", estimator="ridge"):
    (found,) = [
        item
        for item in results.maps
        if item.stat == stat
        and item.entities.get("label") == roi
        and item.entities.get("contrast") == estimator
    ]
    return found


@pytest.fixture(scope="module")
def found():
    return analyse(cohort(), covariates=["temperature"])


# --- participant level


def participant_results(participant, **given):
    return Facs("facs", 0).participant(participant, options_of(**given))


def test_images_targets_covariates_and_motion_are_kept():
    participant = make_participant()
    results = participant_results(participant, covariates=["temperature"])
    images = next(item for item in results.maps if item.stat == "effect")
    samples = participant.samples("trials", "pain")
    np.testing.assert_array_equal(images.values.T, samples.X)
    assert len(images.volumes) == 12
    frame = table(results, "trials")
    np.testing.assert_allclose(frame["target"], samples.events["facs"].astype(float))
    np.testing.assert_allclose(
        frame["covariate_temperature"], samples.events["temperature"].astype(float)
    )
    np.testing.assert_allclose(frame["motion_3"], samples.motion[:, 2])
    regions = next(item for item in results.maps if item.stat == "regions")
    assert list(regions.volumes) == ["brain", "m1"]
    np.testing.assert_array_equal(np.flatnonzero(regions.values[:, 1]), M1)


def test_several_samples_of_an_event_are_averaged():
    participant = make_participant()
    samples = participant.samples("trials", "pain")
    twice = np.repeat(np.arange(12), 2)
    noise = np.random.default_rng(0).standard_normal((12, N_VOXELS)).astype(np.float32)
    X = samples.X[twice]
    X[::2] += noise
    X[1::2] -= noise
    doubled = replace(
        samples,
        X=X,
        table=samples.table.iloc[twice].reset_index(drop=True),
        events=samples.events.iloc[twice].reset_index(drop=True),
        motion=samples.motion[twice],
    )
    results = participant_results(replace(participant, kinds={"pain": doubled}))
    images = next(item for item in results.maps if item.stat == "effect")
    np.testing.assert_allclose(images.values.T, samples.X, atol=1e-5)
    np.testing.assert_allclose(table(results, "trials")["motion_1"], samples.motion[:, 0])


def with_events(participant, **columns):
    samples = participant.samples("trials", "pain")
    events = samples.events.assign(**columns)
    return replace(participant, kinds={"pain": replace(samples, events=events)})


def test_events_without_a_target_are_left_out_and_told_of():
    participant = make_participant()
    values = participant.samples("trials", "pain").events["facs"].tolist()
    values[3] = "n/a"
    results = participant_results(with_events(participant, facs=values))
    assert list(table(results, "trials")["event"]) == [0, 1, 2, *range(4, 12)]
    assert any("1 of 12 events have no facs" in line for line in results.warnings)


@pytest.mark.parametrize(
    ("columns", "given", "words"),
    [
        ({"facs": "much"}, {}, "sub-01.*column 'facs'.*numbers or n/a.*'much'"),
        ({"facs": "n/a"}, {}, "sub-01: no event has a value of facs"),
        (
            {"temperature": "n/a"},
            {"covariates": ["temperature"]},
            "no event has a value of facs and temperature.*12 of 12 events have no temperature",
        ),
        ({}, {"target": "aus"}, "no column 'aus'; it has onset, duration"),
        ({}, {"covariates": ["heat"]}, "no column 'heat'"),
        ({"facs": "-2"}, {"transform": "log1p"}, "facs has values of -1 or less"),
    ],
)
def test_targets_that_cannot_be_used(columns, given, words):
    participant = with_events(make_participant(), **columns)
    with pytest.raises(InputError, match=words):
        participant_results(participant, **given)


# --- targets from other tables


def beh_table(frame, **entities):
    return InputTable("beh.tsv", entities, {}, lambda: frame.astype(str))


@pytest.mark.parametrize("key", [None, "onset", "trial"])
def test_targets_from_another_table(key):
    participant = with_events(make_participant(), trial=[f"t{n}" for n in range(12)])
    samples = participant.samples("trials", "pain")
    wanted = np.arange(12) * 1.5
    tables = []
    for run in ("1", "2"):
        own = (samples.table["run_index"] == run).to_numpy()
        frame = pd.DataFrame(
            {
                "rating": wanted[own],
                "trial": samples.events["trial"][own],
                "onset": samples.table["onset"][own] + 0.02,
            }
        )
        order = frame.index if key is None else frame.index[::-1]
        tables.append(beh_table(frame.loc[order], task="pain", run=f"0{run}"))
    participant = replace(participant, input_tables=tuple(tables))
    results = participant_results(
        participant, target="rating", target_table={"suffix": "beh", "key": key}
    )
    np.testing.assert_allclose(table(results, "trials")["target"], wanted)


def test_tables_that_do_not_fit_are_named():
    frame = pd.DataFrame({"rating": [1.0, 2.0]})
    short = beh_table(frame, task="pain", run="1")
    participant = replace(make_participant(), input_tables=(short,))
    given = {"target": "rating", "target_table": {"suffix": "beh"}}
    with pytest.raises(InputError, match=r"beh.tsv: 2 rows for 6 events of the run"):
        participant_results(participant, **given)
    participant = replace(participant, input_tables=(short, short))
    with pytest.raises(InputError, match="both belong to it"):
        participant_results(participant, **given)
    long = beh_table(pd.DataFrame({"rating": np.arange(6.0)}), task="pain")
    participant = replace(make_participant(), input_tables=(long,))
    with pytest.raises(InputError, match="belongs to several runs"):
        participant_results(participant, **given)
    participant = replace(participant, input_tables=())
    with pytest.raises(InputError, match="no event has a value"):
        participant_results(participant, **given)


@pytest.mark.parametrize("rating_onsets", [[10.0, 10.05], [10.0, 30.0]])
def test_onsets_that_do_not_tell_events_apart_are_refused(rating_onsets):
    participant = make_participant(n=2)
    samples = participant.samples("trials", "pain")
    own = replace(samples, table=samples.table.assign(onset=[10.0, 10.08], block="run-1"))
    frame = pd.DataFrame({"rating": [1.0, 2.0], "onset": rating_onsets})
    participant = replace(
        participant, kinds={"pain": own}, input_tables=(beh_table(frame, task="pain"),)
    )
    with pytest.raises(InputError, match="do not tell"):
        participant_results(
            participant, target="rating", target_table={"suffix": "beh", "key": "onset"}
        )


def test_one_value_for_all_events_and_runs():
    table_ = beh_table(pd.DataFrame({"rating": [3.0]}))
    participant = replace(make_participant(), input_tables=(table_,))
    results = participant_results(
        participant, target="rating", target_table={"suffix": "phenotype/scores"}
    )
    assert table(results, "trials")["target"].eq(3.0).all()


def test_runs_that_differ_in_other_entities_have_tables_of_their_own():
    participant = make_participant(n=4)
    samples = participant.samples("trials", "pain")
    blocks = ["task-pain_acq-a", "task-pain_acq-a", "task-pain_acq-b", "task-pain_acq-b"]
    own = replace(samples, table=samples.table.assign(block=blocks, run_index="1"))
    tables = tuple(
        beh_table(pd.DataFrame({"rating": values}), task="pain", acq=acq)
        for acq, values in (("a", [1.0, 2.0]), ("b", [3.0, 4.0]))
    )
    participant = replace(participant, kinds={"pain": own}, input_tables=tables)
    results = participant_results(participant, target="rating", target_table={"suffix": "beh"})
    assert table(results, "trials")["target"].tolist() == [1, 2, 3, 4]


def test_targets_from_action_units(tmp_path):
    """Frames in which AU4 is as strong as the trial's number."""
    participant = make_participant()
    samples = participant.samples("trials", "pain")
    tables = []
    for run in ("1", "2"):
        onsets = samples.table["onset"][samples.table["run_index"] == run].to_numpy()
        time = np.arange(0.0, onsets.max() + 20, 0.1)
        level = np.zeros(len(time))
        for number, onset in enumerate(onsets, 1):
            level[(time >= onset - 1e-6) & (time < onset + 5 - 1e-6)] = number / 2
        frame = pd.DataFrame(
            {
                "frame": np.arange(1, len(time) + 1),
                "timestamp": time.round(3),
                "confidence": 0.98,
                "success": 1,
                "AU04_r": level,
                "AU04_c": (level > 0).astype(int),
            }
        )
        path = tmp_path / f"sub-01_task-pain_run-{run}_openface.csv"
        frame.to_csv(path, index=False)
        tables.append(InputTable(path, {"task": "pain", "run": run}, {}, lambda frame=frame: frame))
    participant = replace(participant, input_tables=tuple(tables))
    source = {"suffix": "openface", "composite": "AU04 * 2", "aggregation": "mean"}
    results = participant_results(participant, action_units=source)
    expected = np.concatenate([np.arange(1.0, 7.0)] * 2)
    np.testing.assert_allclose(table(results, "trials")["target"], expected, atol=1e-6)


# --- group level


def test_planted_pattern_is_found_where_it_is(found):
    assert score(found) > 0.2
    assert score(found, column="p_within") == 1 / 200
    assert score(found, column="p_between") < 0.05
    assert score(found, metric="within_pearson") > 0.3
    assert score(found, roi="m1") < 0.05
    assert score(found, roi="m1", column="p_within") > 0.05
    weights = the_map(found, "weight")
    assert np.corrcoef(weights.values, planted_pattern())[0, 1] > 0.5
    z = the_map(found, "z")
    assert np.corrcoef(z.values, planted_pattern())[0, 1] > 0.5


def test_every_model_has_its_maps_and_signature(found):
    for roi, size in (("wholebrain", N_VOXELS), ("m1", 60), ("withoutm1", N_VOXELS - 60)):
        folds = the_map(found, "foldweight", roi)
        assert folds.values.shape == (size, 5)
        mean = the_map(found, "meanweight", roi).values
        np.testing.assert_allclose(mean, folds.values.mean(axis=1))
        top = the_map(found, "topweight", roi).values
        limit = np.percentile(np.abs(mean), 99)
        np.testing.assert_array_equal(top, np.where(np.abs(mean) >= limit, mean, 0))
        assert the_map(found, "pfdr", roi).values.shape == (size,)
    assert not np.isin(M1 + 20, the_map(found, "weight", "withoutm1").voxels.index).any()


def test_signature_predicts_images_by_itself(found):
    """Intercept and coefficients do what the model of all images does."""
    model = next(one for one in found.models if one.entities["label"] == "wholebrain")
    images, target = [], []
    for one in cohort():
        samples = one.samples("trials", "pain")
        X = samples.X.astype(float)
        images.append((X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True))
        target.append(np.log1p(samples.events["facs"].astype(float)))
    X, y = np.vstack(images), np.concatenate(target)
    alpha = model.info["parameters"]["alpha"]
    pipeline = make_pipeline(PCA(0.8, svd_solver="full"), Ridge(alpha)).fit(X, y)
    predicted = model.arrays["intercept"] + X @ model.arrays["coef"]
    np.testing.assert_allclose(predicted, pipeline.predict(X), atol=1e-4)
    np.testing.assert_array_equal(model.arrays["index"], BRAIN.index)


def test_every_image_is_predicted_once_by_a_model_that_did_not_see_its_participant(found):
    frame = table(found, "predictions")
    own = frame[frame["roi_name"] == "wholebrain"]
    assert len(own) == 12 * 12
    assert not own[["participant_id", "event"]].duplicated().any()
    assert len(own[["participant_id", "fold"]].drop_duplicates()) == 12


def test_controls_stand_beside_the_brain(found):
    frame = table(found, "scores")
    names = set(frame["estimator"])
    assert {"training_mean", "covariates", "motion", "oracle_mean"} <= names
    assert {"covariates_and_brain_ridge", "motion_and_brain_ridge"} <= names
    means = frame[(frame["metric"] == "r2") & (frame["fold"] == "mean")]
    means = means[means["scale"] == "model"].set_index(["roi_name", "estimator"])["value"]
    plain = means[means.index.get_level_values(0).isna()].droplevel(0)
    assert (score(found) > plain[["training_mean", "covariates", "motion"]]).all()
    assert means["wholebrain", "covariates_and_brain_ridge"] > 0.1


def test_results_can_be_drawn_and_read(found):
    names = [figure.name for figure in found.figures]
    assert {"distribution", "scores", "baselines", "predictions", "weights"} <= set(names)
    assert found.views
    assert found.summaries
    assert any("wholebrain" in line for line in found.highlights)
    for key in ("picard2021", "phipson2010", "efron1993"):
        assert key in found.citations
    for item in found.tables:
        check_columns(item.frame, item.columns, item.suffix)


def test_pooled_scores_are_those_of_all_predictions(found):
    frame = table(found, "predictions")
    own = frame[(frame["roi_name"] == "wholebrain")]
    expected = r2_score(own["observed_model"], own["predicted_model"])
    assert score(found, fold="pooled") == pytest.approx(expected)


def test_folds_without_a_score_are_left_out_of_the_mean():
    """Participants without any expression, who make up a fold."""
    people = cohort(10)
    people[0], people[5] = (with_events(people[n], facs="0") for n in (0, 5))
    results = analyse(people, inputs={"wholebrain": {"region": "brain"}}, permutations=0)
    folds = [score(results, fold=str(number)) for number in range(1, 6)]
    assert np.isnan(folds).sum() == 1
    assert score(results) == pytest.approx(np.nanmean(folds))
    assert not any("nan" in line for line in results.highlights)


def test_shuffled_targets_show_nothing():
    rng = np.random.default_rng(5)
    people = []
    for one in cohort(effect=0.25):
        values = rng.permutation(one.samples("trials", "pain").events["facs"])
        people.append(with_events(one, facs=values))
    results = analyse(people, inputs={"wholebrain": {"region": "brain"}}, shuffles=["within"])
    assert score(results, column="p_within") > 0.05


@pytest.mark.parametrize(
    ("name", "estimator"), [("lasso", Lasso(alpha=0.05)), ("ridge", Ridge(alpha=1.0))]
)
def test_published_settings_equal_scikit_learn(name, estimator):
    people = cohort()
    results = analyse(
        people,
        inputs={"wholebrain": {"region": "brain"}},
        estimators=[name],
        estimator_options={name: {"alpha": estimator.alpha}},
        tuning=[],
        transform="none",
        validation="group-shuffle-split",
        permutations=0,
        bootstraps=0,
    )
    samples = [one.samples("trials", "pain") for one in people]
    X = np.vstack([one.X for one in samples]).astype(float)
    X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    y = np.concatenate([one.events["facs"].astype(float) for one in samples])
    groups = np.repeat(np.arange(12), 12)
    splits = GroupShuffleSplit(5, test_size=0.3, random_state=42).split(X, y, groups)
    pipeline = make_pipeline(PCA(0.80, svd_solver="full"), estimator)
    for number, (train, test) in enumerate(splits, 1):
        expected = r2_score(y[test], pipeline.fit(X[train], y[train]).predict(X[test]))
        found = score(results, estimator=name, fold=str(number))
        assert found == pytest.approx(expected, abs=1e-5)


def test_voxels_scaled_on_training_images_equal_scikit_learn():
    people = cohort(6)
    results = analyse(
        people,
        inputs={"wholebrain": {"region": "brain"}},
        standardize="voxel",
        tuning=[],
        transform="none",
        validation="leave-one-participant-out",
        permutations=0,
        bootstraps=10,
    )
    samples = [one.samples("trials", "pain") for one in people]
    X = np.vstack([one.X for one in samples]).astype(float)
    y = np.concatenate([one.events["facs"].astype(float) for one in samples])
    pipeline = make_pipeline(StandardScaler(), PCA(0.8, svd_solver="full"), Ridge())
    for number in range(6):
        test = np.arange(12 * number, 12 * number + 12)
        train = np.setdiff1d(np.arange(72), test)
        expected = r2_score(y[test], pipeline.fit(X[train], y[train]).predict(X[test]))
        assert score(results, fold=str(number + 1)) == pytest.approx(expected, abs=1e-4)
    (model,) = results.models
    pipeline.fit(X, y)
    predicted = model.arrays["intercept"] + X @ model.arrays["coef"]
    np.testing.assert_allclose(predicted, pipeline.predict(X), atol=1e-3)


def test_other_data_set_is_predicted_and_told_apart():
    given = {"inputs": {"wholebrain": {"region": "brain"}}, "shift_permutations": 99}
    options = options_of(**given)
    others = [make_participant(f"{n:02d}", seed=7) for n in range(1, 7)]
    rng = np.random.default_rng(3)
    field = 3.0 * rng.standard_normal(N_VOXELS)
    moved = []
    for one in others:
        samples = one.samples("trials", "pain")
        X = (samples.X + field).astype(np.float32)
        moved.append(replace(one, kinds={"pain": replace(samples, X=X)}))
    second = of_data_set(gathered(Facs("facs", 0), moved, options), "second")
    results = analyse(cohort(8), others=second, **given)
    frame = table(results, "scores")
    transferred = frame[frame["dataset"] == "second"]
    assert set(transferred["fold"]) == {"all"}
    assert transferred["n"].eq(72).all()
    shift = table(results, "comparisons")
    mean = shift[shift["fold"] == "mean"].iloc[0]
    assert mean["value"] > 0.9
    assert mean["p"] < 0.05
    (matrix,) = results.matrices
    assert matrix.frame.sum(axis=1).to_dict() == {"main": 8 * 12, "second": 72}
    predictions = table(results, "predictions")
    assert predictions[predictions["dataset"] == "second"]["participant_id"].nunique() == 6


def test_column_of_participants_splits_data_sets():
    people = cohort(8)
    labels = [one.label for one in people]
    sites = pd.DataFrame({"site": ["a"] * 5 + ["b"] * 3}, index=labels)
    given = {
        "inputs": {"wholebrain": {"region": "brain"}},
        "dataset_column": "site",
        "train_dataset": "a",
        "permutations": 0,
        "bootstraps": 0,
        "n_splits": 3,
        "shift_permutations": 0,
    }
    results = analyse(people, table=sites, **given)
    frame = table(results, "scores")
    assert set(frame["dataset"]) == {"a", "b"}
    predictions = table(results, "predictions")
    tested = predictions[predictions["dataset"] == "b"]["participant_id"]
    assert set(tested) == {"sub-06", "sub-07", "sub-08"}
    with pytest.raises(InputError, match="no column 'site'"):
        analyse(people, table=pd.DataFrame(index=labels), **given)
    with pytest.raises(InputError, match="no participant with images has site 'c'"):
        analyse(people, table=sites, **{**given, "train_dataset": "c"})
    sites.loc["02", "site"] = "n/a"
    results = analyse(people, table=sites, **given)
    assert any("sub-02 has no site" in line for line in results.warnings)
    assert "sub-02" not in set(table(results, "predictions")["participant_id"])


def test_other_data_set_may_not_be_called_like_this_one():
    options = options_of(permutations=0, bootstraps=0)
    other = of_data_set(gathered(Facs("facs", 0), cohort(3), options), "main")
    with pytest.raises(InputError, match="main is the name of a data set of this study"):
        analyse(cohort(5), others=other, permutations=0, bootstraps=0)


def test_results_do_not_depend_on_the_order_of_the_work():
    options = options_of(inputs={"wholebrain": {"region": "brain"}}, estimators=["ridge", "lasso"])
    own = gathered(Facs("facs", 0), cohort(6), options)

    def backwards(function, items, n_threads=1):
        return [function(item) for item in list(items)[::-1]][::-1]

    results = [Facs("facs", 0, mapper=mapper).group(own, options) for mapper in (None, backwards)]
    for one, other in zip(results[0].maps, results[1].maps, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    pd.testing.assert_frame_equal(table(results[0], "scores"), table(results[1], "scores"))


def test_too_few_participants():
    results = analyse(cohort(2))
    assert not results.maps
    assert "at least 3" in results.warnings[0]
    results = analyse(cohort(4), permutations=0, bootstraps=0)
    assert set(table(results, "predictions")["fold"]) == {"1", "2", "3", "4"}
    assert any("4 participants make as many groups, not 5" in line for line in results.warnings)


@pytest.mark.parametrize("permutations", [0, 19])
def test_targets_that_are_all_zero_are_reported_without_a_traceback(permutations):
    people = [with_events(one, facs="0") for one in cohort(5)]
    results = analyse(people, permutations=permutations, bootstraps=5)
    assert np.isnan(score(results))
    assert results.figures
    assert not any("nan" in line for line in results.highlights)
    assert any("all images have the same facs" in line for line in results.warnings)


def test_one_image_per_participant():
    people = [make_participant(f"{n:02d}", n=1) for n in range(1, 11)]
    results = analyse(
        people,
        inputs={"wholebrain": {"region": "brain"}},
        validation="leave-one-participant-out",
        permutations=19,
        bootstraps=5,
    )
    assert np.isnan(score(results))
    assert np.isfinite(score(results, fold="pooled"))
    assert any("one image" in line for line in results.warnings)


def test_prediction_beyond_covariates_is_tested(found):
    assert score(found, metric="partial_pearson", column="p_within") == 1 / 200
    assert score(found, metric="partial_pearson", roi="m1", column="p_within") > 0.05


def test_missing_region_leaves_its_inputs_out():
    people = [replace(one, regions={"brain": one.regions["brain"]}) for one in cohort(5)]
    results = analyse(people, permutations=0, bootstraps=0)
    assert set(table(results, "predictions")["roi_name"]) == {"wholebrain"}
    assert sum("found in nobody" in line for line in results.warnings) == 2


def test_voxels_that_somebody_lacks_are_left_out():
    people = cohort(5)
    fewer = BRAIN.take(np.arange(50, N_VOXELS))
    samples = people[0].samples("trials", "pain")
    region = replace(people[0].regions["brain"], columns=np.arange(N_VOXELS - 50))
    people[0] = replace(
        people[0],
        voxels=fewer,
        regions={"brain": region},
        kinds={"pain": replace(samples, X=samples.X[:, 50:])},
    )
    results = analyse(
        people, inputs={"wholebrain": {"region": "brain"}}, permutations=0, bootstraps=0
    )
    np.testing.assert_array_equal(the_map(results, "weight").voxels.index, fewer.index)
    assert any("50 others are missing in some" in line for line in results.warnings)


# --- options


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"estimators": ["forest"]}, "no regression 'forest'"),
        ({"tuning": ["forest"]}, "tuning: no regression 'forest'"),
        ({"estimator_options": {"svr": {"C": 1}}}, "svr is not among the estimators"),
        ({"estimator_options": {"ridge": {"C": 1}}}, "no option 'C'; options are alpha"),
        ({"estimator_options": {"ridge": {"alpha": -1}}}, "alpha"),
        ({"samples": "volumes"}, "no 'volumes' in the recipe"),
        ({"inputs": {"x": {"region": "v1"}}}, r"inputs\.x: no 'v1'"),
        ({"inputs": {"x": {"region": "brain", "without": ["v1"]}}}, r"inputs\.x: no 'v1'"),
    ],
)
def test_options_that_cannot_be(given, words):
    with pytest.raises(RecipeError, match=words):
        Facs("facs", 0).check(options_of(**given), ["trials"], ["brain", "m1"])


def test_options_that_contradict_each_other():
    with pytest.raises(ValidationError, match="given together"):
        options_of(dataset_column="site")
    with pytest.raises(ValidationError, match="not from both"):
        options_of(target_table={"suffix": "beh"}, action_units={})
    with pytest.raises(ValidationError, match="no standard deviation"):
        options_of(bootstraps=1)
    with pytest.raises(ValidationError, match="less than 1"):
        options_of(variance=1)
