"""Images that exist already as samples: recipes, reading, and a run of the app on them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from image_study import CLASSES, ImageStudy, image_run, image_values, save_image, trial_events
from trees import MNI, describe
from validator import validator_issues
from volumes import AFFINE, SHAPE, make_recipe, make_run

from bidsface.__main__ import main
from bidsface.analyses import check_analyses
from bidsface.errors import InputError, RecipeError
from bidsface.files import ParticipantFiles
from bidsface.memory import BASE_MB, study_cost
from bidsface.participant import LoadedParticipant
from bidsface.plugins import load_plugins
from bidsface.recipe import SampleSpec
from bidsface.recipe_loading import load_recipe, recipe_schema
from bidsface.regions import HOST_SOURCES

FITLINS = {"derivatives": "fitlins", "filters": {"stat": "effect"}}
TRIALS = {"trials": {"kind": "image"}}
BRAIN = {"brain": {"source": "brain-mask"}}


def load(*runs, images=FITLINS, **parts):
    recipe = make_recipe(inputs={"images": images}, **{"samples": TRIALS, **parts})
    return LoadedParticipant(ParticipantFiles("01", runs), recipe, HOST_SOURCES, 1)


def noise(n_images=6, seed=0):
    return np.random.default_rng(seed).normal(5, 1, (*SHAPE, n_images)).astype(np.float32)


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


@pytest.fixture
def write(tmp_path):
    def write_recipe(**changes):
        path = tmp_path / "mine.yaml"
        content = {
            "description": "trial images",
            "inputs": {"images": FITLINS},
            "samples": TRIALS,
            "regions": BRAIN,
            "analyses": {"within": {"analysis": "decoding", "permutations": 20}},
        }
        path.write_text(yaml.safe_dump(content | changes))
        return str(path)

    return write_recipe


# ---------------------------------------------------------------- recipes


def test_a_recipe_of_images_cleans_nothing_unless_it_says_so(plugins, write):
    cleaning = load_recipe(write(), plugins).recipe.cleaning
    assert (cleaning.detrend, cleaning.high_pass, cleaning.standardize) == (False, None, False)
    assert cleaning.confounds == "none"
    asked = {"standardize": True, "smoothing_fwhm": 4, "min_trials": 2, "confounds": []}
    cleaning = load_recipe(write(cleaning=asked), plugins).recipe.cleaning
    assert (cleaning.standardize, cleaning.smoothing_fwhm, cleaning.min_trials) == (True, 4, 2)
    runs = load_recipe(write(inputs={}, samples={"a": {"kind": "average"}}), plugins).recipe
    assert runs.cleaning.high_pass == 128


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cleaning": {"high_pass": 100}}, r"key cleaning\.high_pass: .*no time series"),
        ({"cleaning": {"detrend": True}}, r"key cleaning\.detrend: "),
        ({"cleaning": {"confounds": "motion6"}}, r"key cleaning\.confounds: "),
        ({"cleaning": {"drop_volumes": 2}}, r"key cleaning\.drop_volumes: "),
        ({"cleaning": {"fd_threshold": 0.5}}, r"key cleaning\.fd_threshold: "),
        ({"cleaning": {"max_mean_fd": 0.5}}, r"key cleaning\.max_mean_fd: "),
        ({"cleaning": {"max_censored": 0.2}}, r"key cleaning\.max_censored: "),
        ({"cleaning": 3}, r"key cleaning: "),
        ({"inputs": 3}, r"key inputs: "),
        ({"samples": {"a": {"kind": "lss"}}}, r"key samples\.a\.kind: lss takes BOLD runs"),
        ({"samples": {"a": {"kind": "image", "shift": 3}}}, r"key samples\.a\.shift: has no mean"),
        ({"inputs": {}}, r"key samples\.trials\.kind: image takes inputs\.images"),
        ({"inputs": {"images": {}}}, r"key inputs\.images\.derivatives: required"),
        (
            {"inputs": {"images": {**FITLINS, "filter": {}}}},
            r"key inputs\.images\.filter: unknown; allowed here: .*event_column.*filters",
        ),
        (
            {"inputs": {"images": {**FITLINS, "events": False, "event_column": "name"}}},
            r"key inputs\.images: .*event_column has no meaning",
        ),
        (
            {"inputs": {"images": {**FITLINS, "filters": {"stat": []}}}},
            r"key inputs\.images\.filters\.stat",
        ),
        (
            {"inputs": {"images": {**FITLINS, "filters": {"a-b": "x"}}}},
            r"key inputs\.images\.filters\.a-b",
        ),
        ({"inputs": {"images": {**FITLINS, "entity": "con trast"}}}, r"key inputs\.images\.entity"),
    ],
)
def test_errors_point_at_the_key(plugins, write, changes, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(write(**changes), plugins)
    assert "\n" not in str(caught.value)


def test_models_of_time_series_are_refused(plugins, write):
    path = write(analyses={"task": {"analysis": "glm"}, "within": {"analysis": "decoding"}})
    with pytest.raises(RecipeError, match=r"key analyses\.task: glm models the time series"):
        check_analyses(load_recipe(path, plugins), plugins, 1)
    check_analyses(load_recipe(path, plugins, only=["within"]), plugins, 1)


def test_options_decide_whether_an_analysis_needs_time_series(plugins, write):
    path = write(
        analyses={"trials": {"analysis": "rsa"}, "volumes": {"analysis": "rsa", "labels": {}}}
    )
    with pytest.raises(RecipeError, match=r"key analyses\.volumes: rsa models the time series"):
        check_analyses(load_recipe(path, plugins), plugins, 1)
    check_analyses(load_recipe(path, plugins, only=["trials"]), plugins, 1)


def test_an_analysis_that_asks_for_time_series_all_the_same(tmp_path):
    participant = load(image_run(tmp_path, noise(), trial_events(6)))
    with pytest.raises(RecipeError, match=r"inputs\.images: single images are no time series"):
        participant.bold_runs("pain")
    assert np.isnan(participant.mean_displacement("pain"))


def test_schema(plugins, write):
    import jsonschema

    schema = json.loads(json.dumps(recipe_schema(plugins)))
    images = {**FITLINS, "entity": "trial", "event_column": "name", "filters": {"desc": [None, 2]}}
    content = yaml.safe_load(Path(write(inputs={"images": images})).read_text())
    jsonschema.validate(content, schema)
    content["inputs"]["images"]["filter"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("by_name", [True, False])
def test_every_image_is_a_sample_as_it_is(tmp_path, by_name):
    """By name, images of shuffled events; in order, the events of the file by onset."""
    events, values = trial_events(6), noise()
    order = np.array([2, 0, 1, 5, 4, 3]) if by_name else np.arange(6)
    if by_name:
        events["name"] = [f"trial_{1 + int(np.flatnonzero(order == n)[0])}" for n in range(6)]
    images = FITLINS | ({"event_column": "name"} if by_name else {})
    run = image_run(tmp_path, values, events.sample(frac=1, random_state=0))
    participant = load(run, images=images)
    samples = participant.samples("trials", "pain")
    expected = values.reshape(-1, 6).T
    for number, event in enumerate(order):
        np.testing.assert_array_equal(samples.X[event], expected[number])
    assert list(samples.table["trial_type"]) == list(events["trial_type"])
    assert list(samples.table["onset"]) == list(samples.table["time"]) == list(events["onset"])
    assert list(samples.events["name"]) == list(events["name"])
    assert samples.table["event"].tolist() == list(range(6))
    assert samples.entities == {"task": "pain", "run": "1"}
    assert samples.motion.shape == (6, 0)


def test_a_series_of_images_reads_like_single_ones(tmp_path):
    events, values = trial_events(6), noise()
    (tmp_path / "single").mkdir()
    single = image_run(tmp_path / "single", values, events)
    name = "sub-01_task-pain_run-1_stat-effect_statmap.nii.gz"
    path = save_image(tmp_path / "series" / name, values)
    series = replace(single, bold=path, images=(path,))
    parts = {"cleaning": {"smoothing_fwhm": 5.0}}
    for more in ({}, parts):
        first, second = (load(run, **more).samples("trials", "pain") for run in (single, series))
        np.testing.assert_array_equal(first.X, second.X)
        pd.testing.assert_frame_equal(first.table, second.table)
    assert np.abs(load(single, **parts).samples("trials", "pain").X - first.X).max() < 1e-6
    np.testing.assert_allclose(load(series).background, values.mean(axis=3), rtol=1e-5)


def test_classes_that_are_left_out_leave_the_others_alone(tmp_path):
    events = trial_events(6).assign(trial_type=["joy", "catch", "joy", "anger", "catch", "anger"])
    values = noise()
    run = image_run(tmp_path, values, events)
    participant = load(run, classes={"include": ["joy", "anger"]}, cleaning={"standardize": True})
    X = participant.samples("trials", "pain").X
    own = values.reshape(-1, 6).T[[0, 2, 3, 5]]
    scaled = (own - own.mean(axis=0)) / own.std(axis=0, ddof=1)
    np.testing.assert_allclose(X, scaled, atol=1e-4)
    np.testing.assert_allclose(participant.background.ravel(), own.mean(axis=0), rtol=1e-5)
    (row,) = participant.overview().summaries[0].frame.to_dict("records")
    assert (row["images"], row["of no class"], row["trials"]) == (6, 2, 4)


def test_one_image_keeps_its_values(tmp_path):
    values = noise(1)
    run = image_run(tmp_path, values, trial_events(1))
    np.testing.assert_array_equal(load(run).samples("trials", "pain").X[0], values.ravel())
    with pytest.raises(InputError, match="cannot be standardized"):
        _ = load(run, cleaning={"standardize": True}).tasks


def test_trials_without_an_image_are_lost(tmp_path):
    events = trial_events(8)
    run = image_run(tmp_path, noise(6), events)
    participant = load(run, images=FITLINS | {"event_column": "name"})
    samples = participant.samples("trials", "pain")
    assert list(samples.table["event"]) == [0, 1, 2, 3, 4, 5]
    overview = participant.overview()
    assert "trials without trials samples: 2 in task-pain_run-1" in overview.warnings
    assert overview.summaries[0].frame["trials without image"].tolist() == [2]


def test_a_mismatch_fails_with_one_message(tmp_path):
    run = image_run(tmp_path, noise(5), trial_events(6))
    with pytest.raises(InputError, match=r"6 events .* 5 images") as caught:
        _ = load(run).tasks
    assert "\n" not in str(caught.value)


def test_without_a_mask_voxels_have_a_value_in_every_image(tmp_path):
    values = noise()
    values[0, 0, 0, 2], values[1, 0, 0, 3], values[2, 0, 0, 4] = np.nan, 0.0, np.inf
    values[3, 0, 0] = 0.0
    (tmp_path / "two").mkdir()
    other = noise(seed=1)
    other[4, 0, 0, 0] = np.nan
    second = image_run(tmp_path / "two", other, trial_events(6))
    second = replace(second, entities={**second.entities, "run": "2"})
    participant = load(image_run(tmp_path, values, trial_events(6)), second)
    missing = np.ravel_multi_index(([0, 1, 2, 3, 4], [0] * 5, [0] * 5), SHAPE)
    expected = np.setdiff1d(np.arange(np.prod(SHAPE)), missing)
    np.testing.assert_array_equal(participant.voxels.index, expected)
    np.testing.assert_array_equal(participant.brain.index, expected)
    assert participant.volumes.constant == (0, 0)


def test_a_changed_image_changes_the_voxels(tmp_path):
    """Also in a worker that has read the files before."""
    values = noise()
    run = image_run(tmp_path, values, trial_events(6))
    assert len(load(run).voxels.index) == np.prod(SHAPE)
    values[0, 0, 0, 3] = np.nan
    image_run(tmp_path, values, trial_events(6))
    assert len(load(run).voxels.index) == np.prod(SHAPE) - 1


def test_an_image_of_nothing_is_named(tmp_path):
    values = noise()
    values[..., 3] = np.nan
    run = image_run(tmp_path, values, trial_events(6))
    with pytest.raises(InputError, match=r"trial4_.*: a volume holds nothing but 0"):
        _ = load(run).voxels


def test_with_a_mask_missing_values_are_zero_and_counted(tmp_path):
    values = noise()
    values[0, 0, 0, 2] = np.nan
    mask = np.ones(SHAPE, np.uint8)
    mask[4] = 0
    run = replace(
        image_run(tmp_path, values, trial_events(6)), mask=save_image(tmp_path / "m.nii", mask)
    )
    participant = load(run)
    assert len(participant.voxels.index) == mask.sum()
    assert participant.samples("trials", "pain").X[2, 0] == 0
    assert participant.volumes.constant == (1,)
    assert participant.overview().summaries[0].frame["voxels without value"].tolist() == [1]


def test_masks_and_regions_on_another_grid_are_resampled(tmp_path):
    """Each voxel of the fine grid lies within one of the images' own."""
    fine = np.diag([1.5, 1.5, 1.5, 1.0])
    fine[:3, 3] = AFFINE[:3, 3] - 0.75
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:4] = 1
    region = np.zeros(SHAPE, np.uint8)
    region[2, 1:] = 1

    def doubled(values, name):
        return save_image(tmp_path / name, values.repeat(2, 0).repeat(2, 1).repeat(2, 2), fine)

    path = doubled(region, f"space-{MNI}_mask.nii.gz")
    run = image_run(tmp_path, noise(), trial_events(6), mask=doubled(mask, "brain.nii.gz"))
    run = replace(run, entities={**run.entities, "space": MNI})
    participant = load(run, regions={**BRAIN, "own": {"source": "mask", "path": str(path)}})
    index = participant.voxels.index
    np.testing.assert_array_equal(index, np.flatnonzero(mask))
    own = participant.regions["own"]
    np.testing.assert_array_equal(index[own.columns], np.flatnonzero(region))


def test_images_on_different_grids_are_named(tmp_path):
    run = image_run(tmp_path, noise(), trial_events(6))
    shifted = AFFINE.copy()
    shifted[0, 3] += 1
    save_image(run.images[2], noise(1)[..., 0], shifted)
    with pytest.raises(InputError, match=r"trial1_.* and .*trial3_.* lie on different grids"):
        _ = load(run).tasks


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3, 2, 2)])
def test_files_that_are_no_volumes_are_named(tmp_path, shape):
    run = image_run(tmp_path, noise(), trial_events(6))
    save_image(run.images[1], np.ones(shape, np.float32))
    with pytest.raises(InputError, match=r"trial2_.*: one volume, or a series of them, is wanted"):
        _ = load(run).tasks


def test_truncated_images_are_named(tmp_path):
    run = image_run(tmp_path, noise(), trial_events(6))
    content = run.images[1].read_bytes()
    run.images[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"trial2_.*cannot be read as an image"):
        load(run).samples("trials", "pain")


def test_classes_of_names_need_no_events(tmp_path):
    run = image_run(tmp_path, noise(2), None)
    images = FITLINS | {"events": False}
    samples = load(run, images=images).samples("trials", "pain")
    assert list(samples.table["trial_type"]) == ["trial1", "trial2"]
    assert samples.table[["onset", "time"]].isna().all(axis=None)
    assert list(samples.events["stat"]) == ["effect", "effect"]
    with pytest.raises(InputError, match="no events file"):
        _ = load(run).tasks


@pytest.mark.parametrize(
    ("images", "cleaning", "words"),
    [
        ({}, {}, ["suffix statmap, stat effect", "went together in order"]),
        ({"event_column": "name"}, {"smoothing_fwhm": 4}, ["whose name in events.tsv", "4 mm"]),
        ({"events": False}, {"standardize": True}, ["told its class", "over the images of a run"]),
    ],
)
def test_overview_says_what_was_used(tmp_path, images, cleaning, words):
    run = image_run(tmp_path, noise(), trial_events(6))
    if "events" in images:
        run = replace(run, events=None)
    results = load(run, images=FITLINS | images, cleaning=cleaning).overview()
    assert results.figures == ()
    for part in ("in the data set fitlins", "these images, one for each event", *words):
        assert part in results.methods
    assert "fMRIPrep" not in results.methods
    assert set(results.citations) == ({"nilearn"} if cleaning else set())
    assert "volumes" not in results.summaries[0].frame.columns
    assert "head-motion parameters are missing" in " ".join(results.warnings)


def test_memory_of_images_is_estimated(tmp_path):
    values = np.zeros((32, 32, 32, 10), np.float32)
    files = ParticipantFiles("01", (image_run(tmp_path, values, trial_events(10)),))
    one = SampleSpec(kind="image")
    megabytes = 10 * values[..., 0].nbytes / 2**20 * 0.35
    assert study_cost([files], []).memory_mb == pytest.approx(BASE_MB + 3 * megabytes, abs=1)
    assert study_cost([files], [one]).memory_mb == pytest.approx(BASE_MB + 5 * megabytes, abs=1)


def test_runs_are_read_as_ever(tmp_path):
    """Three-dimensional files are images only where a recipe asks for them."""
    run = make_run(tmp_path)
    nib.save(nib.Nifti1Image(np.ones(SHAPE, np.float32), AFFINE), run.bold)
    recipe = make_recipe(regions=BRAIN)
    participant = LoadedParticipant(ParticipantFiles("01", (run,)), recipe, HOST_SOURCES, 1)
    with pytest.raises(InputError, match="a BOLD run needs four dimensions"):
        _ = participant.tasks


def test_planted_patterns_are_in_the_samples(tmp_path):
    events = trial_events(40)
    values = image_values(list(events["trial_type"]), seed=1, amplitude=2.0)
    participant = load(image_run(tmp_path, values, events))
    samples = participant.samples("trials", "pain")
    joy = (samples.table["trial_type"] == "joy").to_numpy()
    difference = np.abs(samples.X[joy].mean(axis=0) - samples.X[~joy].mean(axis=0))
    slab = participant.voxels.index < np.prod(SHAPE[1:])
    assert difference[slab].mean() > 1.0
    assert difference[~slab].mean() < 0.5


# ---------------------------------------------------------------- the app


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    ImageStudy().write(root)
    recipe = root / "images.yaml"
    content = {
        "description": "trial images",
        "inputs": {"images": FITLINS | {"event_column": "name"}},
        "samples": TRIALS,
        "regions": {
            "brain": {"source": "brain-mask"},
            "slab": {"source": "spheres", "coordinates": [[-6, 0, 0]], "radius": 2.9},
            "rest": {"source": "spheres", "coordinates": [[6, 0, 0]], "radius": 2.9},
        },
        "analyses": {"within": {"analysis": "decoding", "permutations": 20, "group_draws": 50}},
    }
    recipe.write_text(yaml.safe_dump(content))
    return root


@pytest.fixture(scope="module")
def finished(study):
    assert command(study, study / "out") == 0
    return study / "out"


def command(root, out, *more):
    levels = ("participant", "group")
    return main([str(root / "bids"), str(out), *levels, "--recipe", f"{root}/images.yaml", *more])


def test_dry_run_lists_the_images(study, tmp_path, capsys):
    assert command(study, tmp_path / "dry", "--dry-run") == 0
    said = capsys.readouterr().out
    assert said.count("bids:fitlins:sub-01/sub-01_task-pain_run-1_") == 8
    assert "bids:raw:sub-01/func/sub-01_task-pain_run-1_events.tsv" in said
    assert not (tmp_path / "dry").exists()


def test_images_are_decoded_end_to_end(finished):
    """The planted class is found where it was planted, and nowhere else."""
    for label in ("01", "02"):
        (path,) = finished.glob(f"sub-{label}/func/*_desc-within_scores.tsv")
        scores = pd.read_csv(path, sep="\t", na_values="n/a")
        mean = scores[(scores["fold"] == "mean") & (scores["metric"] == "balanced_accuracy")]
        accuracy = mean.groupby("roi_name")["value"].first()
        assert accuracy["slab"] > 0.85
        assert accuracy["rest"] < 0.8
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sources = [source for source in sidecar["Sources"] if "statmap" in source]
    assert len(sources) == 24
    assert all(source.startswith("bids:fitlins:sub-02/sub-02_task-pain") for source in sources)
    assert "data set fitlins" in (finished / "logs" / "CITATION.md").read_text()
    assert "trials without image" in (finished / "sub-01.html").read_text()
    description = json.loads((finished / "dataset_description.json").read_text())
    assert "fitlins" in description["DatasetLinks"]
    assert validator_issues(finished) == []


def test_conditions_are_decoded_without_events(tmp_path):
    """One image per run and condition, whose name tells the class; onsets are not known."""
    describe(tmp_path / "bids", Name="contrasts", DatasetType="derivative")
    for run in "12345":
        values = image_values(CLASSES, seed=int(run), amplitude=3.0)
        for number, label in enumerate(CLASSES):
            name = f"sub-01_task-pain_run-{run}_contrast-{label}_stat-effect_statmap.nii.gz"
            save_image(tmp_path / "bids" / "sub-01" / name, values[..., number])
    content = {
        "description": "conditions",
        "inputs": {"images": FITLINS | {"events": False}},
        "samples": TRIALS,
        "regions": BRAIN,
        "analyses": {"within": {"analysis": "decoding", "permutations": 0, "maps": False}},
    }
    (tmp_path / "images.yaml").write_text(yaml.safe_dump(content))
    out = tmp_path / "out"
    argv = ["participant", "--recipe", f"{tmp_path}/images.yaml"]
    assert main([str(tmp_path / "bids"), str(out), *argv]) == 0
    (path,) = out.glob("sub-01/func/*_desc-within_predictions.tsv")
    predictions = pd.read_csv(path, sep="\t", keep_default_na=False)
    assert set(predictions["onset"]) == {"n/a"}
    assert set(predictions["trial_type"]) == set(CLASSES)
    (path,) = out.glob("sub-01/func/*_desc-within_scores.tsv")
    scores = pd.read_csv(path, sep="\t")
    assert scores.loc[scores["fold"] == "mean", "value"].iloc[0] > 0.85
    assert validator_issues(out) == []


def test_another_image_is_computed_anew(study, finished, tmp_path, capsys):
    root = shutil.copytree(study, tmp_path / "copy")
    assert command(root, root / "out") == 0
    assert "everything was up to date" in capsys.readouterr().out
    changed = next(root.glob("bids/derivatives/fitlins/sub-01/*run-2*trial003*"))
    save_image(changed, noise(1)[..., 0])
    assert command(root, root / "out") == 0
    assert "done: 3 computed" in capsys.readouterr().out  # data, within, the group's within
