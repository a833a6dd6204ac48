"""What is taken out of runs, and how volumes of all participants come onto one grid."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bidsface.analysis import Grid, StoredMap, Voxels
from bidsface.errors import InputError, RecipeError
from bidsface.files import located
from bidsface.results import Results, StoredResults, StoredTable, joined
from bidsface_emotion_cnn.blocks import Blocks
from bidsface_emotion_cnn.cleaning import drifts, residuals, standardized

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2.5, 0, -20], [0, 0, 3.0, 5], [0, 0, 0, 1]])


def test_drifts_are_slow_and_orthogonal():
    times = np.arange(100) * 2.0
    found = drifts(times, 2.0, 50.0)
    # Periods 400, 200, ..., 50 s are at least the cut-off.
    assert found.shape == (100, 1 + 8)
    gram = found.T @ found
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-9)
    assert drifts(times, 2.0, None).shape == (100, 1)


def test_drifts_of_censored_runs_are_those_of_the_whole_run():
    times = np.arange(80) * 1.5
    kept = np.delete(np.arange(80), [3, 4, 50])
    np.testing.assert_allclose(drifts(times[kept], 1.5, 60.0), drifts(times, 1.5, 60.0)[kept])


def test_residuals_are_those_of_least_squares():
    rng = np.random.default_rng(0)
    regressors = np.hstack([np.ones((60, 1)), rng.standard_normal((60, 4))])
    regressors = np.hstack([regressors, 3 * regressors[:, 1:2] + regressors[:, 2:3]])  # collinear
    series = (1000 + rng.standard_normal((60, 7))).astype(np.float32)
    expected = series - regressors @ np.linalg.lstsq(regressors, series, rcond=None)[0]
    np.testing.assert_allclose(residuals(series, regressors), expected, atol=2e-3)


def test_standardized_leaves_out_what_does_not_vary():
    rng = np.random.default_rng(1)
    series = (50 + 3 * rng.standard_normal((40, 5))).astype(np.float32)
    series[:, 2] = 7.0
    found = standardized(series)
    assert (found[:, 2] == 0).all()
    rest = np.delete(found, 2, axis=1)
    np.testing.assert_allclose(rest.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(rest.std(axis=0), 1, atol=1e-5)


def plain_means(image, start, size, shape):
    out = np.zeros(shape)
    for place in np.ndindex(*shape):
        corner = [first + size * at for first, at in zip(start, place, strict=True)]
        block = image[tuple(slice(at, at + size) for at in corner)]
        out[place] = block.sum() / size**3
    return out


@pytest.mark.parametrize("size", [1, 2, 3])
def test_blocks_are_means_and_lie_where_their_voxels_lie(size):
    grid = Grid((9, 8, 7), AFFINE, "MNI152NLin2009cAsym", "2")
    inside = np.zeros(grid.shape, bool)
    inside[2:8, 1:6, 2:7] = True
    blocks = Blocks.around(inside.ravel(), grid, size)
    image = np.random.default_rng(2).standard_normal(grid.shape).astype(np.float32)
    found = blocks.mean_of(image.reshape(-1, 1))[0]
    expected = plain_means(image, (2, 1, 2), size, blocks.grid.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # The centre of the first block, in mm, is the mean of its voxels' coordinates.
    corners = np.array(np.meshgrid(*[np.arange(s, s + size) for s in (2, 1, 2)])).reshape(3, -1)
    centre = (AFFINE[:3, :3] @ corners + AFFINE[:3, 3:]).mean(axis=1)
    np.testing.assert_allclose(blocks.grid.affine[:3, 3], centre)
    covered = blocks.any_of(inside.ravel())
    assert covered.all() if size == 1 else covered.any()
    assert blocks.grid.resolution == ("2" if size == 1 else None)


def stored_participant(label, values, table, grid, voxels):
    def load_of(array):
        def load(wanted):
            full = np.zeros((int(np.prod(grid.shape)), *array.shape[1:]))
            full[voxels.index] = array
            return full[wanted.index]

        return load

    def stored(stat, array, names=()):
        return StoredMap(stat, {"task": "film", "stat": stat}, load_of(array), lambda: grid, names)

    mean = np.ones(len(voxels.index))
    members = (np.arange(len(voxels.index)) % 2 == 0).astype(float)[:, None]
    maps = [
        stored("signal", values, tuple(f"volume{row + 1}" for row in range(values.shape[1]))),
        stored("mean", mean),
        stored("regions", members, ("even",)),
    ]
    return StoredResults(label, [StoredTable("volumes", {"task": "film"}, lambda: table)], maps)


def volumes_table(classes, segments):
    n = len(classes)
    return pd.DataFrame(
        {
            "task_name": "film",
            "block": segments,
            "segment": segments,
            "volume_index": range(n),
            "time": np.arange(n) * 2.0,
            "repetition_time": 2.0,
            "trial_type": classes,
            "agreement": 1.0,
        }
    )


@pytest.fixture
def options():
    pytest.importorskip("torch")
    from bidsface_emotion_cnn.options import EmotionOptions

    return EmotionOptions(scaling="none")


def test_volumes_of_all_participants_are_gathered(options, tmp_path):
    from bidsface_emotion_cnn.gathering import gather

    rng = np.random.default_rng(3)
    grid = Grid((6, 5, 4), AFFINE, "MNI152NLin2009cAsym")
    voxels = Voxels(grid, np.ravel_multi_index(np.indices((3, 3, 2)).reshape(3, -1) + 1, (6, 5, 4)))
    people = {}
    for label, classes, segments in (
        ("01", ["FEAR", "LOVE", "FEAR"], ["1", "1", "2"]),
        ("02", ["LOVE", "LOVE"], ["2", "1"]),
    ):
        values = rng.standard_normal((18, len(classes)))
        people[label] = (values, volumes_table(classes, segments))
    stored = [stored_participant(key, *own, grid, voxels) for key, own in people.items()]
    cohort = gather([*stored, StoredResults("03")], options, tmp_path)
    volumes = cohort.volumes
    assert volumes.shape == (3, 3, 2)
    assert volumes.classes == ("FEAR", "LOVE")
    assert list(volumes.codes) == [0, 1, 0, 1, 1]
    assert list(volumes.participants) == [0, 0, 0, 1, 1]
    assert [volumes.run_labels[code] for code in volumes.runs] == ["1", "1", "2", "2", "1"]
    for number, (label, row) in enumerate([("01", 0), ("01", 1), ("01", 2), ("02", 0), ("02", 1)]):
        expected = people[label][0][:, row].reshape(3, 3, 2)
        np.testing.assert_allclose(volumes.data[number], expected, rtol=1e-6)
    assert cohort.inside.all()
    assert list(cohort.regions) == ["even"]
    assert cohort.regions["even"].sum() == 9
    assert cohort.notes == ["sub-03 has no labelled volumes"]
    assert cohort.entities == {"task": "film"}
    assert (cohort.repetition_time, cohort.tasks) == (2.0, ("film",))


def test_classes_that_nobody_has_and_odd_names_are_told(tmp_path):
    pytest.importorskip("torch")
    from bidsface_emotion_cnn.gathering import gather
    from bidsface_emotion_cnn.options import EmotionOptions

    grid = Grid((3, 3, 3), AFFINE)
    voxels = Voxels(grid, np.arange(27))
    table = volumes_table(["LOVE", "страх"], ["1", "2"])
    own = stored_participant("01", np.ones((27, 2)), table, grid, voxels)
    options = EmotionOptions(scaling="none", labels={"classes": ["LOVE", "страх", "FAER"]})
    assert gather([own], options, tmp_path).notes == [
        "labels.classes: nobody has volumes of FAER",
        "'страх' is called class2 in names of files",
    ]


def test_volumes_on_other_grids_are_refused(options, tmp_path):
    from bidsface_emotion_cnn.gathering import gather

    table = volumes_table(["FEAR", "LOVE"], ["1", "2"])
    stored = []
    for label, shape in (("01", (4, 4, 4)), ("02", (4, 4, 5))):
        grid = Grid(shape, AFFINE, "T1w")
        voxels = Voxels(grid, np.arange(int(np.prod(shape))))
        values = np.ones((len(voxels.index), 2))
        stored.append(stored_participant(label, values, table, grid, voxels))
    with pytest.raises(InputError, match=r"sub-02 lie on another grid than those of sub-01"):
        gather(stored, options, tmp_path)
    with pytest.raises(InputError, match="no participant has labelled volumes"):
        gather([StoredResults("01")], options, tmp_path)


def test_participants_who_divide_a_film_differently_are_refused(tmp_path):
    pytest.importorskip("torch")
    from bidsface_emotion_cnn.evaluating import settings_of
    from bidsface_emotion_cnn.gathering import gather
    from bidsface_emotion_cnn.options import EmotionOptions

    grid = Grid((3, 3, 3), AFFINE)
    voxels = Voxels(grid, np.arange(27))
    values = np.random.default_rng(5).standard_normal((27, 4))

    def of(step, labels, classes):
        first, second = (
            volumes_table(names, ["1", "1", "2", "2"])
            for names in (["FEAR", "LOVE", "FEAR", "LOVE"], classes)
        )
        second["repetition_time"] = step
        second["time"] += 0.1
        stored = [
            stored_participant(label, values, table, grid, voxels)
            for label, table in (("01", first), ("02", second))
        ]
        options = EmotionOptions(labels=labels)
        return settings_of(gather(stored, options, tmp_path), options)

    same, other = ["FEAR", "LOVE", "FEAR", "LOVE"], ["LOVE", "FEAR", "LOVE", "FEAR"]
    noted = {"source": "annotations", "files": ["noted.csv"]}
    with pytest.raises(InputError, match=r"2 s in sub-01, 1, 2\.5 s in sub-02, 1.*labels\.rep"):
        of(2.5, noted, same)
    assert of(2.5, {**noted, "repetition_time": 2.0}, same).film
    assert of(2.001, noted, same).step == 2.001
    # Events belong to a film where they are the same; what observers noted always does.
    assert of(2.0, {}, same).film
    assert not of(2.0, {}, other).film
    assert of(2.0, noted, other).film


@pytest.mark.parametrize("offset", [0.0, 0.1])
def test_the_report_names_the_test_that_was_done(offset, tmp_path):
    pytest.importorskip("torch")
    from bidsface_emotion_cnn.cross_validation import FoldOutcome, SchemeOutcome
    from bidsface_emotion_cnn.evaluating import judge, judged_results
    from bidsface_emotion_cnn.gathering import gather
    from bidsface_emotion_cnn.options import EmotionOptions
    from bidsface_emotion_cnn.splits import make_folds
    from bidsface_emotion_cnn.tools import Tools

    rng = np.random.default_rng(6)
    grid = Grid((3, 3, 3), AFFINE)
    voxels = Voxels(grid, np.arange(27))
    segments = np.repeat(["1", "2", "3"], 20)
    film = np.tile(np.repeat(["FEAR", "LOVE", "JOY", "FEAR", "JOY"], 4), 3)
    options = EmotionOptions(bootstraps=100, shifts=20, schemes=("runs",))
    tools = Tools(lambda *names: np.random.SeedSequence(3), print, map, "cpu")
    for own in (False, True):
        stored = []
        for person in range(3):
            classes = rng.permuted(film.reshape(-1, 4), axis=0).ravel() if own else film
            table = volumes_table(classes, segments)
            table["time"] += offset * person
            values = rng.standard_normal((27, 60))
            stored.append(stored_participant(f"0{person + 1}", values, table, grid, voxels))
        cohort = gather(stored, options, tmp_path)
        volumes = cohort.volumes
        folds = make_folds(
            "runs",
            volumes.codes,
            volumes.participants,
            volumes.runs,
            n_folds=None,
            test_share=0.2,
            seed=np.random.SeedSequence(1),
        )
        outcomes = []
        for fold in folds:
            parts = (rng.dirichlet(np.ones(3), len(part)) for part in (fold.test, fold.validation))
            outcomes.append(FoldOutcome(fold, None, {"network": tuple(parts)}, {}))
        judged = judge([SchemeOutcome("runs", outcomes, outcomes)], cohort, options, tools)
        assert (judged.items[0].evaluation.shift is None) == own
        results = judged_results(judged, cohort, options)
        assert ("circular shifts" in results.methods) == (not own)
        assert ("film" in results.methods) == (not own)
        held_out = next(one for one in results.summaries if one.title == "Held-out scores")
        assert ("circular shifts" in held_out.caption) == (not own)


def test_one_class_is_refused(options, tmp_path):
    from bidsface_emotion_cnn.gathering import gather

    grid = Grid((3, 3, 3), AFFINE)
    voxels = Voxels(grid, np.arange(27))
    own = stored_participant(
        "01", np.ones((27, 2)), volumes_table(["FEAR", "FEAR"], ["1", "2"]), grid, voxels
    )
    with pytest.raises(InputError, match="all volumes are FEAR"):
        gather([own], options, tmp_path)


def test_files_may_lie_in_the_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert located("bids::stimuli/a.csv", tmp_path / "bids") == tmp_path / "bids/stimuli/a.csv"
    assert located("a.csv", None) == tmp_path / "a.csv"
    assert located("/b/a.csv", tmp_path) == located("/b/a.csv", None)
    with pytest.raises(RecipeError, match=r"bids::a\.csv: there is no data set"):
        located("bids::a.csv", None)


def test_results_are_joined():
    first = Results(highlights=["one"], methods="First.", citations={"a": "@a{a}"})
    second = Results(highlights=["two"], warnings=["careful"], citations={"b": "@b{b}"})
    third = Results(methods="Third.")
    found = joined([first, second, third])
    assert list(found.highlights) == ["one", "two"]
    assert list(found.warnings) == ["careful"]
    assert found.methods == "First. Third."
    assert list(found.citations) == ["a", "b"]
    assert joined([]).methods == ""
    assert json.dumps(list(found.maps)) == "[]"


def test_a_missing_extra_is_named(monkeypatch):
    from bidsface_emotion_cnn import analysis as module

    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name == "torch" else SimpleNamespace()
    )
    own = module.EmotionCnn("emotions", 1)
    with pytest.raises(RecipeError, match=r"needs PyTorch: pip install 'bidsface\[cnn\]'"):
        own.check(own.Options(), (), ())
