"""The analysis `searchlight`: planted effects, nulls, groups, options."""

from dataclasses import replace

import numpy as np
import pytest
from decoding_study import GRID, MemoryParticipant, event_frame, store
from pydantic import ValidationError

from bidsface.analysis import Region, Samples, Voxels
from bidsface.derivatives.names import file_path
from bidsface.errors import InputError, RecipeError, UsageError
from bidsface.figures import render_svg
from bidsface_decoding.crossvalidation import leave_one_run_out, predict
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.scoring import METRICS, score
from bidsface_decoding.searchlight import SearchlightAnalysis, SearchlightOptions, build_classifier
from bidsface_decoding.searchlight_maps import Direction, find_directions
from bidsface_decoding.searchlight_participant import map_participant

CLASSES = ("anger", "disgust", "joy")
PLANTED = int(np.ravel_multi_index((2, 3, 2), GRID.shape))
REGIONS = {
    "mask": Region("mask", np.arange(180), "all voxels"),
    "slab": Region("slab", np.arange(60, 150), "three planes"),
    "part": Region("part", np.arange(100), "the first hundred voxels"),
}


def task_samples(task, rng, effect, run_scale=1.0):
    """Averages of one task; class k raises the planted voxel by k times the effect."""
    events = event_frame(CLASSES, 4, 6, rng)
    events["block"] = [f"task-{task}_run-{run}" for run in events["run_index"]]
    codes = np.unique(events["trial_type"], return_inverse=True)[1]
    X = rng.standard_normal((len(events), 180))
    X[:, PLANTED] += effect * codes
    X = run_scale * X + rng.normal(0, 5, 180)
    entities = {"task": task, "space": GRID.space, "ses": f"of{task}"}
    motion = rng.standard_normal((len(events), 6))
    return Samples("averages", X.astype(np.float32), events, motion, entities)


def make_participant(label="01", seed=0, effect=4.0, tasks=("display", "observe"), **options):
    rng = np.random.default_rng(seed)
    kinds = {
        ("averages", task): task_samples(task, rng, effect, 1.0 + 3.0 * number)
        for number, task in enumerate(tasks)
    }
    settings = {"sample_names": ("averages",), "regions": REGIONS, "tasks": tasks, **options}
    return MemoryParticipant(label, kinds, **settings)


def analysis(seed=1):
    return SearchlightAnalysis("light", seed, device="cpu")


def options(**changes):
    return SearchlightOptions(**{"radius": 3.0, "permutations": 40, "region": "mask"} | changes)


def maps_of(results):
    return {
        (item.stat, item.entities.get("contrast"), item.entities.get("task")): item
        for item in results.maps
    }


def planted_sphere():
    """Voxels whose sphere of one step holds the planted voxel."""
    places = np.stack(np.unravel_index(np.arange(180), GRID.shape), axis=1)
    return np.linalg.norm(places - places[PLANTED], axis=1) <= 1.0


@pytest.fixture(scope="module")
def found():
    return analysis().participant(make_participant(), options())


def test_directions_and_their_maps(found):
    maps = maps_of(found)
    cross = [("displayToObserve", None), ("observeToDisplay", None)]
    within = [("within", "display"), ("within", "observe")]
    stats = ("accuracy", "p", "pfwe", "permuted")
    wanted = {(stat, *key) for key in within + cross for stat in stats}
    assert set(maps) == wanted | {("size", None, None), ("mean", None, None)}
    permuted = maps["permuted", "within", "display"]
    assert permuted.volumes == [f"perm{number}" for number in range(1, 41)]
    assert permuted.values.shape == (180, 40)
    assert permuted.values.dtype == np.float32
    assert maps["size", None, None].values.min() >= 4
    names = [
        file_path(
            {**item.entities, "desc": "light", "sub": "01", "stat": item.stat}, "statmap", "", ""
        )
        for item in found.maps
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("estimator", ["ridge", "lda", "gnb"])
def test_the_planted_neighbourhood_is_found_and_no_other(estimator):
    results = analysis().participant(make_participant(), options(estimator=estimator))
    sphere = planted_sphere()
    for (stat, contrast, task), item in maps_of(results).items():
        if stat == "pfwe":
            np.testing.assert_array_equal(item.values <= 0.05, sphere, err_msg=f"{contrast} {task}")
        if stat == "accuracy":
            assert item.values[sphere].min() > 0.55
            assert item.values[~sphere].max() < 0.55
    assert "7 of 180 voxels" in results.highlights[0]
    peak = results.summaries[0].frame.iloc[0]
    assert abs(np.array([peak["x (mm)"], peak["y (mm)"], peak["z (mm)"]]) - [6, 9, 6]).max() <= 3


def test_a_sphere_of_everything_equals_decoding_of_the_region(found):
    """With one huge sphere all centres have the score of the whole region."""
    participant = make_participant(effect=0.8)
    wide = options(radius=100.0, permutations=0, tasks=("display",))
    item = maps_of(analysis().participant(participant, wide))["accuracy", "within", "display"]
    samples = participant.samples("averages", "display")
    folds = leave_one_run_out(samples.table, 4)
    codes = np.unique(samples.table["trial_type"], return_inverse=True)[1].astype(np.int16)[None]
    predicted = predict(samples.X, np.arange(180), folds, codes, 3, {"ridge": Ridge()})["ridge"]
    expected = score(folds, codes, predicted, 3, METRICS["balanced_accuracy"]).mean
    np.testing.assert_allclose(item.values, expected, atol=2e-6)


def test_p_values_come_from_the_permuted_maps(found):
    maps = maps_of(found)
    for contrast, task in (("within", "observe"), ("displayToObserve", None)):
        observed = maps["accuracy", contrast, task].values
        null = maps["permuted", contrast, task].values
        largest = null.max(axis=0)
        p = (1 + (null >= observed[:, None]).sum(axis=1)) / 41
        p_fwe = (1 + (largest >= observed[:, None]).sum(axis=1)) / 41
        np.testing.assert_allclose(maps["p", contrast, task].values, p)
        np.testing.assert_allclose(maps["pfwe", contrast, task].values, p_fwe)


def test_results_do_not_depend_on_the_order_of_the_work(found, monkeypatch):
    monkeypatch.setattr("bidsface_decoding.searchlight_maps.CENTRES", 17)
    again = analysis().participant(make_participant(reverse=True), options())
    for one, other in zip(found.maps, again.maps, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    other_seed = analysis(2).participant(make_participant(), options())
    same = maps_of(found)["permuted", "within", "display"].values
    assert (maps_of(other_seed)["permuted", "within", "display"].values != same).any()


def test_level_of_the_corrected_p_without_effect():
    false, chosen = 0, options(permutations=19, region="slab", tasks=("display",))
    for seed in range(100):
        participant = make_participant(seed=seed, effect=0.0, tasks=("display",))
        stream = np.random.SeedSequence(seed)
        found = map_participant(participant, build_classifier(chosen), chosen, stream)
        false += found.maps.maps[0].test.p_fwe.min() <= 0.05
    assert false <= 13  # 99.9 % of binomial(100, 0.05) are


def test_report_says_what_was_found(found):
    assert [figure.name for figure in found.figures] == ["searchlight"] * 4
    assert all(len(render_svg(figure.draw)) > 1000 for figure in found.figures)
    assert "not significant" in found.figures[0].caption
    frame = found.tables[0].frame
    assert list(frame["train_task"]) == ["display", "observe", "display", "observe"]
    assert list(frame["test_task"]) == ["display", "observe", "observe", "display"]
    np.testing.assert_allclose(frame["chance"], 1 / 3)
    np.testing.assert_allclose(frame["p_min"], 1 / 41)
    assert (frame["n_significant"] == 7).all()
    assert (frame["n"] == 72).all()
    assert set(frame.columns) == set(found.tables[0].columns)
    assert "1/41" not in found.summaries[0].caption
    assert "0.0244" in found.summaries[0].caption
    cited = {"kriegeskorte2006", "etzel2015", "phipson2010", "nichols2002"}
    assert set(found.citations) == cited


def test_without_permutations_there_are_scores_only():
    results = analysis().participant(make_participant(), options(permutations=0))
    assert {item.stat for item in results.maps} == {"accuracy", "size", "mean"}
    assert "permut" not in results.methods
    assert results.tables[0].frame["p_fwe"].isna().all()


def test_chosen_directions_only():
    chosen = options(directions=[["observe", "display"]], permutations=0)
    results = analysis().participant(make_participant(), chosen)
    assert {key[1] for key in maps_of(results)} == {None, "observeToDisplay"}
    assert find_directions(options(), ["a", "b"]) == [
        Direction("a", "a"),
        Direction("b", "b"),
        Direction("a", "b"),
        Direction("b", "a"),
    ]


def test_labels_of_directions_are_legal_in_names():
    assert Direction("my_task", "other-1").contrast == "mytaskToOther1"
    assert Direction("a", "a").contrast == "within"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius": 0}, "radius"),
        ({"estimator": "svm"}, "estimator"),
        ({"tasks": ["a"], "directions": [["a", "b"]]}, "not among the tasks"),
        ({"directions": [["a", "b"], ["a", "b"]]}, "occurs twice"),
        ({"prevalence": 1.0}, "prevalence"),
    ],
)
def test_wrong_options_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        options(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": "trials"}, "samples: no 'trials'"),
        ({"region": "thalamus"}, "region: no 'thalamus'"),
        ({"estimator_options": {"C": 1.0}}, "ridge has no option 'C', but alpha"),
        ({"estimator_options": {"alpha": -1.0}}, "alpha must be positive"),
        ({"estimator": "lda", "estimator_options": {"shrinkage": 0.0}}, "shrinkage must be above"),
        ({"estimator": "gnb", "estimator_options": {"var_smoothing": 0}}, "must be positive"),
    ],
)
def test_names_and_values_are_checked_before_data_are_read(changes, message):
    with pytest.raises(RecipeError, match=message):
        analysis().check(options(**changes), ["averages"], ["mask"])


def test_right_options_pass():
    analysis().check(options(samples="averages"), ["averages"], ["mask"])
    analysis().check(SearchlightOptions(), ["averages"], ["mask"])
    assert build_classifier(options(estimator_options={"alpha": 3.0})).alpha == 3.0
    assert analysis().regions_used(options()) == ("mask",)
    assert analysis().regions_used(SearchlightOptions()) is None


def test_participant_without_the_tasks_is_an_input_error():
    with pytest.raises(InputError, match="has usable runs"):
        analysis().participant(make_participant(), options(tasks=("rest",)))


def test_a_gpu_that_is_not_there_is_a_usage_error(monkeypatch):
    monkeypatch.setattr("bidsface.numerics.devices.find_spec", lambda name: None)
    light = SearchlightAnalysis("light", 1, device="cuda")
    with pytest.raises(UsageError, match="--device cuda: torch is not installed"):
        light.participant(make_participant(), options())


def test_a_missing_task_is_told():
    participant = make_participant(tasks=("display",))
    results = analysis().participant(participant, options(tasks=("display", "observe")))
    assert {key[1] for key in maps_of(results)} == {None, "within"}
    assert any("task observe has no usable runs" in note for note in results.warnings)


@pytest.fixture(scope="module")
def people():
    """Five participants, one of whom lacks the last voxels."""
    regions = ["mask", "mask", "mask", "mask", "part"]
    found = []
    for number, region in enumerate(regions):
        own = replace(REGIONS[region], name="mask")
        participant = make_participant(f"{number:02d}", seed=10 + number, regions={"mask": own})
        results = analysis().participant(participant, options(permutations=30))
        found.append(store(participant.label, results))
    return found


def test_group_finds_the_planted_neighbourhood(people):
    results = analysis().group(people, options(group_draws=2000))
    maps = maps_of(results)
    sphere = planted_sphere()[:100]
    assert sphere.sum() > 3
    for contrast, task in (
        ("within", "display"),
        ("within", "observe"),
        ("displayToObserve", None),
    ):
        p_fwe = maps["pfwe", contrast, task]
        np.testing.assert_array_equal(p_fwe.voxels.index, np.arange(100))
        np.testing.assert_array_equal(p_fwe.values <= 0.05, sphere)
        gamma = maps["prevalence", contrast, task].values
        np.testing.assert_array_equal(gamma > 0, sphere)
        each = [
            next(
                item
                for item in person.maps
                if item.stat == "accuracy"
                and item.entities.get("contrast") == contrast
                and item.entities.get("task") == task
            ).load(Voxels(GRID, np.arange(100)))
            for person in people
        ]
        np.testing.assert_allclose(maps["accuracy", contrast, task].values, np.mean(each, axis=0))
    assert any("100 voxels are there in all 5 participants" in note for note in results.warnings)
    assert {"stelzer2013", "allefeld2016"} <= set(results.citations)
    assert any("more than" in line and "population" in line for line in results.highlights)
    caption = results.summaries[0].caption
    assert "Smallest p that can be reached: 0.0005" in caption
    names = [figure.name for figure in results.figures]
    assert names.count("searchlight") == 4
    assert "prevalence" in names
    assert "ses" not in maps["accuracy", "displayToObserve", None].entities


def test_group_without_prevalence_or_permutations(people):
    maps = maps_of(analysis().group(people, options(prevalence=None, group_draws=50)))
    assert {key[0] for key in maps} == {"accuracy", "p", "pfwe"}
    bare = [
        replace(person, maps=[item for item in person.maps if item.stat in ("accuracy", "size")])
        for person in people
    ]
    results = analysis().group(bare, options())
    assert {item.stat for item in results.maps} == {"accuracy"}
    assert any("no test" in note for note in results.warnings)


def test_one_participant_is_reported_without_inference(people):
    results = analysis().group(people[:1], options())
    assert {item.stat for item in results.maps} == {"accuracy"}
    assert any("one participant only" in note for note in results.warnings)


def test_groups_without_maps_or_common_voxels_are_told(people):
    empty = analysis().group([store("x", analysis_results()) for _ in range(2)], options())
    assert empty.warnings == ["no participant has maps of this analysis"]
    other = make_participant("09", regions={"mask": Region("mask", np.arange(150, 180), "rest")})
    stored = store("09", analysis().participant(other, options(permutations=0)))
    apart = analysis().group([people[4], stored], options())
    assert "no voxel" in apart.warnings[0]


def analysis_results():
    from bidsface.analysis import Results

    return Results()


def test_group_with_few_participants_says_what_can_be_shown(people):
    results = analysis().group(people[:2], options(group_draws=300, prevalence=0.9))
    assert any("no prevalence above" in note for note in results.warnings)
