"""The synthetic pain study: valid, deterministic, with the scores and patterns that it plans."""

import gzip
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.signal import clean
from scipy.stats import skew
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from trees import files_of
from validator import validator_issues

from bidsface.demo.__main__ import STUDIES, main
from bidsface.demo.anatomy import draw_segmentation, load_anatomy, structure_mask
from bidsface.demo.pain.action_units import DETECTED, GROUPS, RATED, draw_actions
from bidsface.demo.pain.design import DATA_SETS, MAIN, SECOND, PainDesign
from bidsface.demo.pain.patterns import CONTROL, draw_maps
from bidsface.demo.pain.scores import draw_expressiveness
from bidsface.demo.pain.simulation import draw_participant, simulate_run
from bidsface.demo.pain.study import write_study
from bidsface.demo.pain.trials import DURATION, draw_trials
from bidsface.demo.pain.truth import score_statistics
from bidsface.demo.simulation import UNSTEADY_VOLUMES
from bidsface.demo.trials import REPETITION_TIME, volume_times

TINY = {
    "participants": 2,
    "second_participants": 1,
    "runs": 1,
    "painful": 3,
    "innocuous": 1,
    "voxel_size_mm": 9.0,
}
FOLDERS = {item.name: item.bids for item in DATA_SETS}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("pain")
    write_study(root, seed=11, **TINY)
    return root


# --- the files ------------------------------------------------------------------------------


@pytest.mark.parametrize("data_set", FOLDERS)
@pytest.mark.parametrize("part", ["", "derivatives/fmriprep", "derivatives/openface"])
def test_validator_finds_no_error(study, data_set, part):
    assert validator_issues(study / FOLDERS[data_set] / part) == []


def test_files_do_not_depend_on_processes(study, tmp_path):
    write_study(tmp_path, seed=11, n_jobs=2, **TINY)
    assert files_of(tmp_path) == files_of(study)


def test_a_participant_does_not_depend_on_the_others(study, tmp_path):
    write_study(tmp_path, seed=11, **{**TINY, "participants": 1})
    alone, among = files_of(tmp_path), files_of(study)
    own = [name for name in alone if "sub-01" in name]
    assert len(own) >= 50
    assert {name: alone[name] for name in own} == {name: among[name] for name in own}


def test_seeds_and_data_sets_differ(study, tmp_path):
    write_study(tmp_path, seed=12, **TINY)
    first, second = files_of(study), files_of(tmp_path)
    changing = [
        "derivatives/fmriprep/sub-01/func/sub-01_task-pain_run-1_space-MNI152NLin2009cAsym_"
        "desc-preproc_bold.nii.gz",
        "derivatives/openface/sub-01/func/sub-01_task-pain_run-1_recording-openface_physio.tsv.gz",
        "sub-01/func/sub-01_task-pain_run-1_events.tsv",
    ]
    for name in changing:
        files = [f"{folder}/{name}" for folder in FOLDERS.values()]
        hashes = [hashes_of[file] for hashes_of in (first, second) for file in files]
        assert len(set(hashes)) == 4
    maps = ("main_facs", "second_facs", "temperature", "activation", "scanner_shift")
    assert all(first[f"truth/{n}.nii.gz"] != second[f"truth/{n}.nii.gz"] for n in maps)


def test_events_have_stimuli_and_scores(study):
    for folder in FOLDERS.values():
        description = json.loads((study / folder / "task-pain_events.json").read_text())
        for path in (study / folder).glob("sub-*/func/*_events.tsv"):
            events = pd.read_csv(path, sep="\t")
            assert list(events) == list(description)
            assert events["trial_type"].value_counts().to_dict() == {"painful": 3, "innocuous": 1}
            painful = events["trial_type"] == "painful"
            assert events.loc[painful, "temperature"].between(46, 49).all()
            assert (events.loc[~painful, "temperature"] <= 40).all()
            assert (events.loc[~painful, "facs"] == 0).all()
            assert (np.diff(events["onset"]) >= DURATION + 9).all()
        assert description["facs"]["Units"]
        assert description["temperature"]["Units"] == "°C"


def test_truth_lists_what_is_in_the_files(study):
    truth = json.loads((study / "truth/truth.json").read_text())
    assert truth["design"]["seed"] == 11
    trials = pd.read_csv(study / "truth/trials.tsv", sep="\t")
    for name, folder in FOLDERS.items():
        own = trials[trials["data_set"] == name]
        written = [pd.read_csv(p, sep="\t") for p in sorted((study / folder).rglob("*_events.tsv"))]
        columns = ["onset", "trial_type", "temperature", "facs"]
        pd.testing.assert_frame_equal(
            own[columns].reset_index(drop=True), pd.concat(written, ignore_index=True)[columns]
        )
        assert truth["data_sets"][name]["painful_trials"] == (own["trial_type"] == "painful").sum()
    bold = next((study / "bids/derivatives/fmriprep").rglob("*_desc-preproc_bold.nii.gz"))
    for name in truth["maps"]:
        image = nib.load(study / "truth" / name)
        np.testing.assert_array_equal(image.affine, nib.load(bold).affine)
        assert image.shape == nib.load(bold).shape[:3]
    for name in ("main_facs", "second_facs", "temperature"):
        values = nib.load(study / f"truth/{name}.nii.gz").get_fdata()
        assert np.abs(values).max() == pytest.approx(1, abs=1e-3)


# --- scores and faces -----------------------------------------------------------------------


def scores_of(seed, data_set):
    """Scores and participants of the painful trials of a whole data set."""
    design = PainDesign(seed=seed)
    scores, participants = [], []
    people = draw_expressiveness(
        design.stream("people", data_set), data_set.expressiveness, len(design.labels(data_set))
    )
    for label, expressiveness in zip(design.labels(data_set), people, strict=True):
        for run in range(1, design.runs + 1):
            trials = draw_trials(
                design.stream("trials", data_set, label, run), design, expressiveness
            )
            painful = trials.loc[trials["trial_type"] == "painful", "facs"]
            scores += list(painful)
            participants += [label] * len(painful)
    return np.array(scores), np.array(participants)


@pytest.mark.parametrize("data_set", DATA_SETS, ids=FOLDERS)
def test_scores_are_distributed_as_real_ones(data_set):
    found = []
    for seed in range(8):
        scores, participants = scores_of(seed, data_set)
        assert len(scores) == len(set(participants)) * 16
        means = np.array([scores[participants == label].mean() for label in participants])
        expected = {
            "zeros": (scores == 0).mean(),
            "skew": skew(scores),
            "between": 1 - ((scores - means) ** 2).sum() / ((scores - scores.mean()) ** 2).sum(),
        }
        found.append(score_statistics(scores, participants))
        assert found[-1] == pytest.approx(expected)
    zeros, skewness, between = pd.DataFrame(found)[["zeros", "skew", "between"]].mean()
    assert 0.48 < zeros < 0.6
    assert 1.7 < skewness < 2.4
    assert 0.68 < between < 0.82


def test_statistics_of_scores_without_variance_are_numbers():
    assert score_statistics(np.zeros(4), np.arange(4)) == {"zeros": 1, "skew": 0, "between": 0}


def test_hotter_stimuli_bring_higher_scores():
    design = PainDesign(seed=1, painful=400, innocuous=1)
    trials = draw_trials(np.random.default_rng(1), design, 1.0)
    painful = trials[trials["trial_type"] == "painful"]
    r = np.corrcoef(painful["temperature"], painful["facs"])[0, 1]
    assert 0.25 < r < 0.65


def test_actions_add_up_to_the_score():
    rng = np.random.default_rng(0)
    for score in range(65):
        actions = draw_actions(rng, score, 20.0, np.array([0.4, 0.3, 0.2, 0.1]))
        # Frequency times mean intensity, summed over the groups.
        assert sum(action.intensity for action in actions) == score
        assert all(1 <= action.intensity <= 5 for action in actions)
        for group in GROUPS:
            own = sorted((a for a in actions if a.group == group), key=lambda a: a.onset)
            ends = [action.onset + action.duration for action in own]
            assert all(late.onset - end > 0.2 for end, late in zip(ends, own[1:], strict=False))
            assert all(
                action.onset >= 20 and end <= 20 + DURATION
                for action, end in zip(own, ends, strict=True)
            )


def read_film(folder, stem):
    path = folder / f"derivatives/openface/{stem.split('_')[0]}/func"
    name = f"{stem}_recording-openface_physio"
    sidecar = json.loads((path / f"{name}.json").read_text())
    with gzip.open(path / f"{name}.tsv.gz") as file:
        table = pd.read_csv(file, sep="\t", header=None, names=sidecar["Columns"])
    return table, sidecar


def test_films_have_openface_s_columns(study):
    for folder in FOLDERS.values():
        bids = study / folder
        table, sidecar = read_film(bids, "sub-01_task-pain_run-1")
        assert list(table)[:4] == ["frame", "timestamp", "confidence", "success"]
        assert list(table)[4:] == [f"{u}_r" for u in RATED] + [f"{u}_c" for u in DETECTED]
        assert set(table) <= set(sidecar)
        assert not table.isna().any().any()
        intensities = table.filter(regex="_r$").to_numpy()
        assert ((intensities >= 0) & (intensities <= 5)).all()
        assert table.filter(regex="_c$").isin([0, 1]).all().all()
        steps = np.diff(table["timestamp"])
        np.testing.assert_allclose(steps, 1 / sidecar["SamplingFrequency"], atol=1e-6)
        events = pd.read_csv(bids / "sub-01/func/sub-01_task-pain_run-1_events.tsv", sep="\t")
        last = sidecar["StartTime"] + table["timestamp"].iloc[-1]
        assert last > events["onset"].iloc[-1] + DURATION


def composites(film, start, rate, trials):
    """Sum over groups of frequency times mean intensity: by onsets, and by share of frames."""
    times = start + np.arange(len(film)) / rate
    by_onsets, by_share = [], []
    for onset in trials["onset"]:
        frames = film[(times >= onset) & (times < onset + DURATION) & (film["success"] == 1)]
        counted = shared = 0.0
        for units in GROUPS.values():
            present = frames[[f"{unit}_c" for unit in units]].max(axis=1).to_numpy()
            if present.any():
                intensity = frames[[f"{unit}_r" for unit in units]].max(axis=1)[present == 1].mean()
                counted += (np.diff(present, prepend=0) == 1).sum() * intensity
                shared += present.mean() * intensity
        by_onsets.append(counted)
        by_share.append(shared)
    return np.array(by_onsets), np.array(by_share)


@pytest.fixture(scope="module")
def coarse():
    return load_anatomy(9.0)


@pytest.fixture(scope="module")
def films(coarse):
    """Scores of all trials, and both composites of them, of some participants."""
    from bidsface.demo.pain.action_units import FRAME_RATE, START

    design = PainDesign(seed=2, runs=1)
    maps = draw_maps(design, coarse)
    rows = []
    for label in design.labels(MAIN)[:8]:
        participant = draw_participant(design, MAIN, coarse, label)
        run = simulate_run(design, MAIN, coarse, maps, participant, 1)
        trials = run.scan.trials
        rows.append([trials["facs"], *composites(run.film, START, FRAME_RATE, trials)])
    return np.concatenate(rows, axis=1)


def test_composites_of_action_units_reproduce_the_scores(films):
    scores, by_onsets, by_share = films
    assert (scores > 0).sum() > 20
    assert np.corrcoef(scores, by_onsets)[0, 1] > 0.95
    assert np.corrcoef(scores, by_share)[0, 1] > 0.95
    # Counted onsets are on the scores' own scale.
    assert np.polyfit(scores, by_onsets, 1)[0] == pytest.approx(1, abs=0.15)
    assert by_onsets[scores == 0].mean() < 1


# --- brains ---------------------------------------------------------------------------------


class Images:
    """Images of painful trials: means of four volumes from 5 s after onset on, cleaned."""

    def __init__(self, design, data_set, anatomy, participants):
        maps = draw_maps(design, anatomy)
        images, tables = [], []
        for label in design.labels(data_set)[:participants]:
            participant = draw_participant(design, data_set, anatomy, label)
            for number in range(1, design.runs + 1):
                scan = simulate_run(design, data_set, anatomy, maps, participant, number).scan
                painful = scan.trials[scan.trials["trial_type"] == "painful"]
                images.append(images_of(scan, painful))
                tables.append(painful.assign(label=label, fd=scan.summary.mean_fd))
        self.maps = maps
        self.images = np.vstack(images)
        self.trials = pd.concat(tables, ignore_index=True)
        self.scores = np.log1p(self.trials["facs"].to_numpy())

    def within(self, values):
        """Take the mean of every participant out of values by trial."""
        frame = pd.DataFrame(values)
        return (frame - frame.groupby(self.trials["label"]).transform("mean")).to_numpy()

    def slopes(self, regressors):
        """Slopes of every voxel on regressors within participants, shape (n_regressors, p)."""
        return np.linalg.lstsq(self.within(regressors), self.within(self.images), rcond=None)[0]


def images_of(scan, trials):
    series = clean(
        scan.data[UNSTEADY_VOLUMES:],
        confounds=scan.parameters.to_numpy()[UNSTEADY_VOLUMES:],
        t_r=REPETITION_TIME,
        standardize="zscore_sample",
    )
    times = volume_times(scan.trials, DURATION)[UNSTEADY_VOLUMES:]
    first = np.searchsorted(times, trials["onset"].to_numpy() + 5)
    return np.stack([series[start : start + 4].mean(axis=0) for start in first])


@pytest.fixture(scope="module")
def scanned(coarse):
    design = PainDesign(seed=5, voxel_size_mm=9.0)
    return {item.name: Images(design, item, coarse, 20) for item in DATA_SETS}


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


@pytest.mark.parametrize("name", FOLDERS)
def test_planted_patterns_are_where_the_truth_says(scanned, name):
    data = scanned[name]
    between = data.scores - data.scores.mean()
    slope = between @ data.images / (between @ between)
    assert correlation(slope, data.maps.facs[name]) > 0.5
    within, heat = data.slopes(np.column_stack([data.scores, data.trials["temperature"]]))
    assert correlation(within, data.maps.facs[name]) > 0.25
    assert correlation(heat, data.maps.temperature) > 0.2
    patterns = np.column_stack([data.maps.temperature, data.maps.facs[name]])
    of_heat, of_score = np.linalg.lstsq(patterns, heat, rcond=None)[0]  # they overlap a little
    assert of_heat > 4 * abs(of_score)
    other = data.maps.facs[SECOND.name if name == MAIN.name else MAIN.name]
    assert abs(correlation(within, other)) < 0.25


def test_nothing_is_planted_in_the_control_structure(coarse, scanned):
    maps = scanned["main"].maps
    for seed in range(4):
        aparcaseg = draw_segmentation(coarse, np.random.default_rng(seed))
        control = structure_mask(aparcaseg, (CONTROL,))[coarse.brain]
        assert control.sum() > 20
        for pattern in (*maps.facs.values(), maps.temperature):
            assert np.abs(pattern[control]).mean() < 0.01 < np.abs(pattern).mean()
    within = scanned["main"].slopes(scanned["main"].scores[:, None])[0]
    planted = np.abs(maps.facs["main"]) > 0.3
    assert np.std(within[control]) < 0.5 * np.sqrt((within[planted] ** 2).mean())


def test_without_strength_no_pattern_follows_the_scores(coarse):
    design = PainDesign(seed=5, voxel_size_mm=9.0, strength=0.0)
    data = Images(design, MAIN, coarse, 8)
    within = data.slopes(np.column_stack([data.scores, data.trials["temperature"]]))[0]
    assert abs(correlation(within, data.maps.facs["main"])) < 0.15


def test_heads_move_with_the_expression(scanned):
    for data in scanned.values():
        means = data.trials.groupby("label")[["fd"]].mean()["fd"]
        scores = pd.Series(data.scores).groupby(data.trials["label"]).mean()
        assert 0.2 < correlation(means, scores) < 0.95


def test_a_model_of_the_main_data_set_fails_on_the_second(scanned):
    """Scores of new participants of the same data set are predicted, those of the other not."""
    main, second = scanned["main"], scanned["second"]
    x, other = (standardized(data.images) for data in (main, second))
    ridge = RidgeCV(np.logspace(2, 6, 9))
    new = cross_val_predict(ridge, x, main.scores, groups=main.trials["label"], cv=GroupKFold(5))
    assert r2_score(main.scores, new) > 0.3
    model = ridge.fit(x, main.scores)
    assert r2_score(second.scores, model.predict(other)) < 0


def standardized(images):
    centred = images - images.mean(axis=1, keepdims=True)
    return centred / centred.std(axis=1, keepdims=True)


def test_scanners_differ(scanned):
    """Images of the second data set share a map that those of the first one do not have."""
    main, second = scanned["main"], scanned["second"]
    difference = second.images.mean(axis=0) - main.images.mean(axis=0)
    assert correlation(difference, main.maps.shift) > 0.5


# --- the command ----------------------------------------------------------------------------


def calls_of(monkeypatch, tmp_path, codes, *arguments):
    """Run the command on a study that is there; return what it asked of bidsface."""
    calls = []

    def bidsface(argv):
        calls.append(argv)
        return codes[len(calls) - 1]

    monkeypatch.setattr("bidsface.__main__.main", bidsface)
    (tmp_path / "bids").mkdir(exist_ok=True)
    for name, study in STUDIES.items():
        monkeypatch.setitem(STUDIES, name, replace(study, write=lambda options: tmp_path / "bids"))
    code = main([str(tmp_path), "--nprocs", "1", *arguments])
    return code, [[part.replace(str(tmp_path), "DIR") for part in call] for call in calls]


def test_both_data_sets_are_analysed_and_then_the_group(monkeypatch, tmp_path):
    code, calls = calls_of(monkeypatch, tmp_path, [0, 1, 0], "--study", "pain")
    end = ["--recipe", "facs-regression", "--nprocs", "1", "--set"]
    end += [f"analyses.facs.{name}=1000" for name in ("permutations", "bootstraps")]
    end += ["analyses.facs.covariates=[temperature]"]
    second = "DIR/second/bidsface"
    assert calls == [
        ["DIR/bids", "DIR/bidsface", "participant", *end],
        ["DIR/second/bids", second, "participant", *end],
        ["DIR/bids", "DIR/bidsface", "group", "--derivatives", f"second={second}", *end],
    ]
    assert code == 1


def test_a_usage_error_ends_the_analysis(monkeypatch, tmp_path):
    code, calls = calls_of(
        monkeypatch, tmp_path, [2], "--study", "pain", "--recipe", "some/other.yaml"
    )
    assert code == 2
    assert len(calls) == 1
    end = ["--recipe", "some/other.yaml", "--nprocs", "1"]  # none of the settings of its own recipe
    assert calls[0] == ["DIR/bids", "DIR/bidsface-other", "participant", *end]


def test_faces_are_the_default(monkeypatch, tmp_path):
    _, calls = calls_of(monkeypatch, tmp_path, [0])
    end = ["--recipe", "decode-tasks", "--nprocs", "1"]
    assert calls == [["DIR/bids", "DIR/bidsface", "participant", "group", *end]]


def test_the_same_study_is_left_alone_and_others_refused(study, capsys):
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    assert write_study(study, seed=11, **TINY) == study / "bids"
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before
    for arguments, words in (
        (["--study", "pain", "--participants", "2", "--seed", "11"], "second_participants 1"),
        (["--study", "faces"], "study pain instead of"),
    ):
        assert main([str(study), "--write-only", *arguments]) == 2
        message = capsys.readouterr().err
        assert words in message
        assert message.count("\n") == 1


def test_somebody_else_s_second_data_set_is_not_touched(tmp_path, capsys):
    (tmp_path / "second/bids").mkdir(parents=True)
    (tmp_path / "second/bids/README").write_text("mine")
    assert main([str(tmp_path), "--study", "pain", "--write-only"]) == 2
    assert "second/bids exists and is not a synthetic study" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["second", "bids", "README"]


def test_a_data_set_that_is_missing_is_written_again(study, tmp_path):
    small = {**TINY, "participants": 1}
    write_study(tmp_path, seed=11, **small)
    before = files_of(tmp_path)
    (tmp_path / "bids").rename(tmp_path / "gone")
    assert write_study(tmp_path, seed=11, **small) == tmp_path / "bids"
    (tmp_path / "bids").rename(tmp_path / "again")
    after = files_of(tmp_path)
    assert {
        n.replace("again/", "bids/", 1): h for n, h in after.items() if "gone" not in n
    } == before
    assert files_of(tmp_path / "again") == files_of(tmp_path / "gone")
