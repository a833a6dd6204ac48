import re
import threading

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import make_first_level_design_matrix
from nilearn.maskers import NiftiMasker
from nilearn.masking import intersect_masks
from nilearn.signal import clean
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from volumes import (
    AFFINE,
    CLASSES,
    SHAPE,
    TR,
    confounds_table,
    events_table,
    haxby_files,
    make_recipe,
    make_run,
    save,
)

from bidsface.confounds import MOTION6, MOTION24
from bidsface.errors import InputError, RecipeError
from bidsface.files import ParticipantFiles
from bidsface.participant import LoadedParticipant
from bidsface.participant import volumes as volumes_module
from bidsface.regions import HOST_SOURCES

KINDS = {
    "volumes": {"kind": "volumes"},
    "averages": {"kind": "average"},
    "estimates": {"kind": "lss"},
}


def load(files, n_threads=1, **parts):
    return LoadedParticipant(files, make_recipe(**parts), HOST_SOURCES, n_threads)


def planted_run(folder, number, amplitude, task="display"):
    """A run whose first slab responds to each class with its own pattern."""
    rng = np.random.default_rng(int(number))
    events = events_table(15, spacing=12.0).sample(frac=1, random_state=int(number))
    events["onset"] = np.sort(events["onset"])
    times = TR * np.arange(100)
    values = 1000 + rng.normal(0, 10, (*SHAPE, 100))
    patterns = np.random.default_rng(99).normal(size=(3, *SHAPE[1:]))
    for onset, label in zip(events["onset"], events["trial_type"], strict=True):
        late = (times >= onset + 5) & (times < onset + 9)
        values[0][..., late] += amplitude * patterns[CLASSES.index(label)][..., None]
    confounds = confounds_table(100, int(number))
    return make_run(folder, number, values, task=task, events=events, confounds=confounds)


def accuracy(samples, columns):
    return cross_val_score(
        RidgeClassifier(alpha=10.0),
        samples.X[:, columns],
        samples.table["trial_type"],
        groups=samples.table["block"],
        cv=LeaveOneGroupOut(),
    ).mean()


@pytest.mark.parametrize(("amplitude", "low", "high"), [(15.0, 0.8, 1.0), (0.0, 0.15, 0.52)])
def test_planted_signal_is_found_and_nothing_else(tmp_path, amplitude, low, high):
    runs = tuple(planted_run(tmp_path, str(i), amplitude) for i in range(1, 5))
    participant = load(ParticipantFiles("01", runs), samples=KINDS)
    slab = participant.voxels.index < np.prod(SHAPE[1:])
    for name in participant.sample_names:
        samples = participant.samples(name, "display")
        assert low <= accuracy(samples, slab) <= high, name
        assert accuracy(samples, ~slab) <= 0.52, name


@pytest.fixture
def files(tmp_path):
    runs = [make_run(tmp_path, str(i)) for i in (1, 2)]
    runs.append(make_run(tmp_path, "3", task="observe"))
    return ParticipantFiles("01", tuple(runs), notes=("run-9 has no sidecar",))


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    missing = make_run(tmp_path)
    for path in missing.inputs:
        path.unlink()
    participant = load(ParticipantFiles("01", (missing,)))
    assert participant.label == "01"
    assert participant.sample_names == ("volumes",)
    with pytest.raises(InputError, match=r"_events.tsv: cannot be read"):
        _ = participant.tasks


def test_volumes_are_read_once_for_all_threads(files, monkeypatch):
    read = []
    original = volumes_module.read_series

    def counting(path, *arguments):
        read.append(path)
        return original(path, *arguments)

    monkeypatch.setattr(volumes_module, "read_series", counting)
    participant = load(files, n_threads=4, samples=KINDS)
    assert participant.regions.keys() == {"brain"}
    assert read == []
    pairs = [(name, task) for name in KINDS for task in ("display", "observe")]
    first = participant.map(lambda pair: participant.samples(*pair), pairs)
    again = [participant.samples(*pair) for pair in pairs]
    assert all(a is b for a, b in zip(first, again, strict=True))
    _ = participant.background
    participant.overview()
    assert read == [run.bold for run in files.runs]


def test_samples_of_two_tasks(files):
    participant = load(files, samples=KINDS)
    assert participant.tasks == ("display", "observe")
    samples = participant.samples("averages", "display")
    assert samples.X.dtype == np.float32
    assert samples.X.shape == (18, 60)
    assert samples.entities == {"task": "display"}
    assert list(samples.table.columns) == [
        "trial_type",
        "event",
        "block",
        "session",
        "run_index",
        "onset",
        "time",
    ]
    assert list(samples.table["event"]) == list(range(18))
    assert samples.motion.shape == (18, 6)
    observe = participant.samples("volumes", "observe")
    assert observe.entities == {"task": "observe", "run": "3"}
    assert set(observe.table["event"]) == set(range(18, 27))
    assert set(observe.table["block"]) == {"task-observe_run-3"}
    assert set(observe.table["session"]) == {"n/a"}
    assert set(observe.table["run_index"]) == {"3"}


def test_averages_are_means_of_volumes(files):
    participant = load(files, samples=KINDS)
    volumes = participant.samples("volumes", "display")
    averages = participant.samples("averages", "display")
    grouped = volumes.X.reshape(18, 2, 60).mean(axis=1)
    np.testing.assert_allclose(averages.X, grouped, atol=1e-6)


def test_standardized_per_run_and_standardize_off(files):
    spread = {}
    for standardize in (True, False):
        participant = load(files, cleaning={"standardize": standardize})
        spread[standardize] = participant.volumes.carpets[0].std(axis=0, ddof=1)
    np.testing.assert_allclose(spread[True], 1, atol=1e-4)
    assert np.all(spread[False] > 3)


def test_background_is_the_mean_image(files):
    import nibabel as nib

    expected = np.mean([np.asarray(nib.load(r.bold).dataobj).mean(axis=3) for r in files.runs], 0)
    np.testing.assert_allclose(load(files).background, expected, rtol=1e-5)


def test_small_blocks_change_nothing(files, monkeypatch):
    whole = load(files, cleaning={"smoothing_fwhm": 4.0}).samples("volumes", "display").X
    monkeypatch.setattr("bidsface.volumes.BLOCK_VALUES", 7 * np.prod(SHAPE))
    blocks = load(files, cleaning={"smoothing_fwhm": 4.0}).samples("volumes", "display").X
    np.testing.assert_allclose(blocks, whole, atol=1e-5)


def test_unknown_names_list_what_there_is(files):
    participant = load(files)
    with pytest.raises(RecipeError, match="no samples means; the recipe has volumes"):
        participant.samples("means", "display")
    with pytest.raises(InputError, match="no run of task rest can be used"):
        participant.samples("volumes", "rest")
    with pytest.raises(RecipeError, match="no region nose; the recipe has brain, faces"):
        load(files, region_sets={"faces": ["brain"]}).select_regions(["nose"])


def ball(x):
    return {"source": "spheres", "coordinates": [[x, -1.5, 0]], "radius": 2.0, "optional": True}


def test_select_regions(files):
    participant = load(
        files,
        regions={"left": ball(-3), "right": ball(3), "far": ball(80)},
        region_sets={"both": ["left", "right"], "lost": ["far"]},
    )

    def names(*wanted):
        return [region.name for region in participant.select_regions(wanted)]

    assert names() == ["left", "right"]
    assert names("both", "left") == ["left", "right"]
    assert names("right", "far") == ["right"]
    with pytest.raises(InputError, match=r"has none of the regions far \(region far is left out"):
        names("lost")
    assert participant.select_regions(["lost"], optional=True) == []
    assert [one.name for one in participant.select_regions((), optional=True)] == ["left", "right"]
    with pytest.raises(RecipeError, match="no region nose"):
        participant.select_regions(["nose"], optional=True)


def test_a_participant_without_any_region_is_there_for_analyses_of_the_brain(files):
    participant = load(files, regions={"far": ball(80)})
    assert participant.select_regions((), optional=True) == []
    assert participant.background.shape == participant.brain.grid.shape
    assert len(participant.bold_runs("display")) == 2
    results = participant.overview()
    assert any("region far is left out" in warning for warning in results.warnings)
    assert results.highlights[0].endswith("voxels in the brain.")
    # What works on regions never gets the voxels of the brain instead.
    for ask in (
        lambda: participant.voxels,
        lambda: participant.samples("volumes", "display"),
        lambda: participant.select_regions(()),
    ):
        with pytest.raises(InputError, match="sub-01: has none of the regions far"):
            ask()


def test_map_keeps_order(files):
    participant = load(files, n_threads=3)
    assert participant.map(lambda x: x**2, range(20)) == [x**2 for x in range(20)]
    names = set(participant.map(lambda _: threading.current_thread().name, range(20)))
    assert threading.main_thread().name not in names


def test_overview_tells_what_was_left_out(tmp_path):
    moved = confounds_table(64)
    moved["framewise_displacement"] = 1.0
    shaky = confounds_table(64)
    shaky.loc[8:9, "framewise_displacement"] = 3.0
    events = events_table(10)
    events.loc[9, ["onset", "trial_type"]] = [114.0, "catch"]
    runs = (
        make_run(tmp_path, "1", events=events, confounds=shaky),
        make_run(tmp_path, "2", confounds=moved),
    )
    participant = load(
        ParticipantFiles("01", runs, notes=("run-9 has no sidecar",)),
        samples={"averages": {"kind": "average"}},
        cleaning={"fd_threshold": 0.9, "max_mean_fd": 0.8, "drop_volumes": 2},
        classes={"include": [*CLASSES, "fear"]},
        regions={"brain": {"source": "brain-mask"}, "far": ball(80)},
    )
    results = participant.overview()
    assert [figure.name for figure in results.figures] == ["carpet"]
    assert results.figures[0].entities == {"task": "display", "run": "1"}
    tables = {summary.title: summary.frame for summary in results.summaries}
    used, left_out = tables["Runs"].to_dict("records")
    assert used["dropped"] == 2
    assert used["censored"] == 2
    assert used["lost trials"] == 0
    assert left_out["state"].startswith("left out: mean framewise displacement 1.00 mm")
    assert left_out["volumes"] == "n/a"
    counts = tables["Events and classes"].set_index("event")["count"]
    assert counts.to_dict() == {"anger": 3, "disgust": 3, "joy": 3, "catch": 1}
    assert tables["Regions"]["voxels"].tolist() == [60]
    warnings = " | ".join(results.warnings)
    for part in (
        "run-9 has no sidecar",
        "task-display_run-2 is left out",
        "region far is left out",
        "events that are not of a class: 1 catch",
        "classes of the recipe that no run has: fear",
    ):
        assert part in warnings
    assert results.parcellations[0].regions[0].name == "brain"
    assert results.highlights == (
        "1 of 2 runs were used, with 9 trials of 3 classes and 60 voxels in 1 region.",
    )


def test_a_recipe_needs_neither_samples_nor_regions(tmp_path):
    files = ParticipantFiles("01", (make_run(tmp_path),))
    participant = load(files, samples={}, regions={})
    results = participant.overview()
    assert participant.regions == {}
    assert len(participant.voxels.index) == len(participant.brain.index)
    assert [summary.title for summary in results.summaries] == ["Runs", "Events and classes"]
    assert results.summaries[0].frame["lost trials"].tolist() == [0]
    assert results.highlights[0].endswith(f"{len(participant.brain.index)} voxels in the brain.")
    assert "Regions were" not in results.methods
    with pytest.raises(RecipeError, match="regions: the recipe names none"):
        participant.select_regions(())
    assert participant.select_regions((), optional=True) == []


def test_lost_trials_are_counted(tmp_path):
    events = events_table(11)  # the last one begins with the last volume
    participant = load(ParticipantFiles("01", (make_run(tmp_path, events=events),)), samples=KINDS)
    results = participant.overview()
    assert len(participant.samples("averages", "display").X) == 10
    assert results.summaries[0].frame["lost trials"].tolist() == [1]
    assert "trials without averages samples: 1 in task-display_run-1" in results.warnings


def test_methods_cite_what_they_used(files):
    every = {name: {"kind": name} for name in ("volumes", "average", "lsa", "lss")}
    for cleaning, samples in (
        ({}, {"volumes": {"kind": "volumes"}}),
        (
            {
                "confounds": ["motion24", "csf", "strategy:wm_csf"],
                "fd_threshold": 5.0,
                "smoothing_fwhm": 4.0,
                "max_mean_fd": 1.0,
                "min_trials": 2,
                "drop_volumes": 1,
            },
            every,
        ),
    ):
        results = load(files, cleaning=cleaning, samples=samples).overview()
        cited = set(re.findall(r"\[@(\w+)\]", results.methods))
        assert cited == set(results.citations)
        assert all(f"{{{key}," in entry for key, entry in results.citations.items())
    assert {"mumford2012", "power2012", "friston1996", "wang2024"} < cited
    assert "4 mm FWHM" in results.methods
    assert "brain (intersection of the brain masks of the runs)" in results.methods


def test_class_that_a_run_lacks(tmp_path):
    events = events_table()
    runs = (
        make_run(tmp_path, "1"),
        make_run(tmp_path, "2", events=events[events["trial_type"] != "joy"]),
    )
    samples = load(ParticipantFiles("01", runs)).samples("volumes", "display")
    counts = samples.table.groupby("block")["trial_type"].nunique()
    assert counts.tolist() == [3, 2]


def test_no_usable_run(tmp_path):
    run = make_run(tmp_path, events=events_table().assign(trial_type="rest"))
    with pytest.raises(InputError, match=r"sub-01: no run can be used \(task-display_run-1: no ev"):
        _ = load(ParticipantFiles("01", (run,))).tasks
    with pytest.raises(InputError, match="there is none"):
        _ = load(ParticipantFiles("01", ())).tasks


def test_runs_on_different_grids_are_named(tmp_path):
    shifted = AFFINE.copy()
    shifted[0, 3] += 1
    runs = (make_run(tmp_path, "1"), make_run(tmp_path, "2", affine=shifted))
    with pytest.raises(InputError, match=r"run-1_.*bold.nii.gz and .*run-2_.*different grids"):
        _ = load(ParticipantFiles("01", runs)).voxels


def test_three_dimensional_run(tmp_path):
    run = make_run(tmp_path)
    save(run.bold, np.ones(SHAPE, np.float32))
    with pytest.raises(InputError, match=r"bold.nii.gz: a BOLD run needs four dimensions"):
        _ = load(ParticipantFiles("01", (run,))).tasks


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_truncated_run_is_named(tmp_path, share):
    run = make_run(tmp_path)
    content = run.bold.read_bytes()
    run.bold.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"bold.nii.gz: cannot be read as an image") as caught:
        load(ParticipantFiles("01", (run,))).samples("volumes", "display")
    assert "\n" not in str(caught.value)


def test_values_that_are_not_finite_count_as_zero(tmp_path):
    values = 1000 + np.random.default_rng(0).normal(0, 10, (*SHAPE, 64))
    values[0, 0, 0] = np.nan
    run = make_run(tmp_path, values=values)
    participant = load(ParticipantFiles("01", (run,)))
    assert np.all(participant.samples("volumes", "display").X[:, 0] == 0)
    assert participant.volumes.constant == (1,)
    assert participant.overview().summaries[0].frame["voxels without signal"].tolist() == [1]


def reference_samples(files, motion):
    """Return single volumes and labels of the real slice, by nilearn and pandas alone."""
    masks = [str(run.mask) for run in files.runs]
    mask = intersect_masks(masks, threshold=1, connected=False)
    masker = NiftiMasker(mask_img=mask, standardize=None, reports=False).fit()
    volumes, labels = [], []
    for run in files.runs:
        signals = masker.transform(str(run.bold)).astype(float)
        times = 2.5 * np.arange(len(signals))
        drifts = make_first_level_design_matrix(times, drift_model="cosine", high_pass=1 / 128)
        confounds = pd.read_csv(run.confounds, sep="\t")[motion].bfill()
        regressors = np.hstack([confounds, drifts.drop(columns="constant")])
        signals = clean(signals, confounds=regressors, filter=False)
        for event in pd.read_csv(run.events, sep="\t").itertuples():
            begin = event.onset + 5.0
            inside = (times > begin - 1e-6) & (times < begin + event.duration - 1e-6)
            volumes.append(signals[inside])
            labels.append(event.trial_type)
    return np.array(volumes), labels


@pytest.mark.shared_data
@pytest.mark.parametrize(("confounds", "motion"), [("motion6", MOTION6), ("motion24", MOTION24)])
def test_real_samples_equal_nilearn(confounds, motion):
    files = haxby_files()
    participant = load(files, samples=KINDS, cleaning={"confounds": confounds})
    volumes, labels = reference_samples(files, list(motion))
    averages = participant.samples("averages", "objectviewing")
    assert volumes.shape == (96, 9, 487)
    assert list(averages.table["trial_type"]) == labels
    np.testing.assert_allclose(averages.X, volumes.mean(axis=1), atol=1e-4)
    single = participant.samples("volumes", "objectviewing")
    np.testing.assert_allclose(single.X, volumes.reshape(-1, 487), atol=1e-4)


@pytest.mark.shared_data
def test_real_accuracy():
    participant = load(haxby_files(), samples=KINDS)
    for name, least in (("averages", 0.55), ("volumes", 0.33)):
        samples = participant.samples(name, "objectviewing")
        model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=487.0))
        labels, blocks = samples.table["trial_type"], samples.table["block"]
        scores = cross_val_score(model, samples.X, labels, groups=blocks, cv=LeaveOneGroupOut())
        assert scores.mean() >= least
