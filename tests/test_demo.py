"""The synthetic studies: valid, deterministic, with the truth that they say they have."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import compute_regressor
from nilearn.interfaces.fmriprep import load_confounds
from nilearn.maskers import NiftiMasker
from nilearn.signal import clean
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from trees import files_of
from validator import validator_issues

from bidsface.demo.__main__ import main
from bidsface.demo.anatomy import STRUCTURES, draw_segmentation, load_anatomy, structure_mask
from bidsface.demo.faces import write_study
from bidsface.demo.motion import PARAMETERS
from bidsface.demo.noise import AUTOREGRESSION, autocorrelated_noise
from bidsface.demo.patterns import CONTROL, MAPPED, PLANTED, SHARED, TASKS, plant
from bidsface.demo.simulation import UNSTEADY_VOLUMES, FacesDesign, draw_participant, simulate_run
from bidsface.demo.trials import (
    DURATION,
    EXPRESSIONS,
    REPETITION_TIME,
    draw_trials,
    haemodynamic_responses,
    volume_times,
)

TINY = {"participants": 2, "runs": 2, "trials_per_class": 3, "voxel_size_mm": 8.0}
CHANCE = 1 / len(EXPRESSIONS)


@pytest.fixture(scope="module")
def anatomy():
    return load_anatomy(6.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    write_study(root, seed=11, **TINY)
    return root


def bold_runs(study):
    return sorted((study / "bids/derivatives/fmriprep").rglob("*_desc-preproc_bold.nii.gz"))


# --- the files ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["bids", "bids/derivatives/fmriprep"])
def test_validator_finds_no_error(study, part):
    assert validator_issues(study / part) == []


def test_files_do_not_depend_on_processes(study, tmp_path):
    write_study(tmp_path, seed=11, n_jobs=2, **TINY)
    assert files_of(tmp_path) == files_of(study)


def test_a_participant_does_not_depend_on_the_others(study, tmp_path):
    write_study(tmp_path, seed=11, **{**TINY, "participants": 1})
    alone, among = files_of(tmp_path), files_of(study)
    own = [name for name in alone if "sub-01" in name]
    assert len(own) > 50
    assert {name: alone[name] for name in own} == {name: among[name] for name in own}


def test_seeds_differ(study, tmp_path):
    write_study(tmp_path, seed=12, **TINY)
    first, second = files_of(study), files_of(tmp_path)
    bold = "bids/derivatives/fmriprep/sub-01/ses-1/func/sub-01_ses-1_task-display_run-1"
    for end in ("_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz", "_boldref.nii.gz"):
        name = bold + end if "space" in end else bold + "_space-MNI152NLin2009cAsym" + end
        assert first[name] != second[name]


def test_images_of_a_run_share_one_grid(study):
    for path in bold_runs(study):
        bold = nib.load(path)
        assert bold.header.get_zooms() == pytest.approx((8, 8, 8, REPETITION_TIME))
        for end in ("desc-brain_mask", "desc-aparcaseg_dseg", "desc-aseg_dseg", "boldref"):
            image = nib.load(str(path).replace("desc-preproc_bold", end))
            assert image.shape == bold.shape[:3]
            np.testing.assert_array_equal(image.affine, bold.affine)


def test_raw_images_hold_the_same_series_as_the_preprocessed_ones(study):
    for path in bold_runs(study):
        stem = path.name.split("_space")[0]
        session = path.parent.parent.name
        folder = study / "bids" / path.parents[2].name / session / "func"
        raw = nib.load(folder / f"{stem}_bold.nii.gz")
        preprocessed = nib.load(path)
        assert raw.shape[3] == preprocessed.shape[3]
        assert raw.header.get_zooms()[3] == pytest.approx(REPETITION_TIME)
        ours, theirs = (image.get_fdata().sum(axis=(0, 1, 2)) for image in (raw, preprocessed))
        assert np.corrcoef(ours, theirs)[0, 1] > 0.98


@pytest.mark.parametrize(
    ("strategy", "columns"),
    [
        ({"strategy": ("motion",), "motion": "basic"}, 6),
        ({"strategy": ("motion",), "motion": "full"}, 24),
        ({"strategy": ("wm_csf",), "wm_csf": "full"}, 8),
        ({"strategy": ("global_signal",), "global_signal": "full"}, 4),
        ({"strategy": ("high_pass", "compcor"), "compcor": "anat_combined", "n_compcor": 5}, 6),
    ],
)
def test_nilearn_reads_the_confounds(study, strategy, columns):
    confounds, kept = load_confounds(str(bold_runs(study)[0]), demean=False, **strategy)
    assert confounds.shape[1] == columns
    assert confounds.notna().all().all()
    np.testing.assert_array_equal(kept[:2], [UNSTEADY_VOLUMES, UNSTEADY_VOLUMES + 1])


def test_global_signal_is_that_of_the_image(study):
    path = bold_runs(study)[0]
    table = pd.read_csv(
        path.parent / f"{path.name.split('_space')[0]}_desc-confounds_timeseries.tsv", sep="\t"
    )
    masker = NiftiMasker(str(path).replace("preproc_bold", "brain_mask"), standardize=None)
    series = masker.fit_transform(str(path)).mean(axis=1)
    # The mask of a run lacks some of the rim, from which the table was computed.
    assert np.corrcoef(series, table["global_signal"])[0, 1] > 0.999


def test_framewise_displacement_is_power_s(study):
    for path in sorted(study.rglob("*_desc-confounds_timeseries.tsv")):
        table = pd.read_csv(path, sep="\t", na_values="n/a")
        change = np.abs(np.diff(table[list(PARAMETERS)].to_numpy(), axis=0))
        expected = change[:, :3].sum(axis=1) + 50 * change[:, 3:].sum(axis=1)
        np.testing.assert_allclose(table["framewise_displacement"][1:], expected, rtol=1e-5)
        assert np.isnan(table["framewise_displacement"][0])
        assert 0.05 < expected.mean() < 0.4


def test_catch_trials_have_no_expression(study):
    for task, catch in (("display", 0), ("observe", 3)):
        for path in (study / "bids").glob(f"sub-*/ses-*/func/*_task-{task}_*_events.tsv"):
            events = pd.read_csv(path, sep="\t", keep_default_na=False)
            counts = events["trial_type"].value_counts().to_dict()
            assert counts == {**dict.fromkeys(EXPRESSIONS, 3), **({"n/a": catch} if catch else {})}
            assert ((events["trial_type"] == "n/a") == (events["trial_kind"] == "catch")).all()
            assert events["onset"].is_monotonic_increasing


def test_shuffling_changes_the_labels_only(study, tmp_path):
    write_study(tmp_path, seed=11, shuffle_labels=True, **TINY)
    before, after = files_of(study), files_of(tmp_path)
    changed = {name for name in after if after[name] != before[name]}
    events = [name for name in changed if name.endswith("_events.tsv")]
    assert len(events) >= 7  # of eight; a permutation may be the identity
    assert changed - set(events) == {"truth/truth.json"}


# --- the truth ------------------------------------------------------------------------------


def test_truth_describes_the_planted_patterns(study):
    truth = json.loads((study / "truth/truth.json").read_text())
    assert truth["design"]["seed"] == 11
    assert set(truth["regions"]) == {*PLANTED, *CONTROL}
    nominal = dict(zip(TASKS, truth["design"]["snr"], strict=True))
    for name, region in truth["regions"].items():
        for task in TASKS:
            ratio = region["snr"][task] / nominal[task]
            assert 0.7 < ratio < 1.7 if name in PLANTED else ratio == 0
    table = pd.read_csv(study / "truth/sub-01_patterns.tsv", sep="\t")
    path = bold_runs(study)[0]
    labels = nib.load(str(path).replace("desc-preproc_bold", "desc-aparcaseg_dseg"))
    for name, part in table.groupby("region"):
        found = np.asarray(labels.dataobj)[tuple(part[["i", "j", "k"]].to_numpy().T)]
        assert set(found) <= set(truth["regions"][name]["labels"])
        shared = np.allclose(
            part["display_joy"] / part["display_joy"].std(),
            part["observe_joy"] / part["observe_joy"].std(),
            atol=1e-3,
        )
        assert shared == (name in SHARED)


@pytest.fixture(scope="module")
def planted(anatomy):
    rng = np.random.default_rng(0)
    aparcaseg = draw_segmentation(anatomy, rng)
    return plant(rng, aparcaseg, anatomy.brain, {"display": 0.2, "observe": 0.1})


@pytest.mark.parametrize("name", PLANTED)
def test_patterns_of_the_tasks_relate_as_the_truth_says(planted, name):
    region = planted[name]
    display, observe = region.patterns["display"], region.patterns["observe"]
    assert display.std() / observe.std() == pytest.approx(2, rel=1e-4)
    np.testing.assert_allclose(display.sum(axis=0), 0, atol=1e-5)
    if name in SHARED:
        np.testing.assert_allclose(display, 2 * observe, atol=1e-5)
        return
    size = len(region.voxels)
    np.testing.assert_allclose(region.mapping @ region.mapping.T, np.eye(size), atol=1e-5)
    np.testing.assert_allclose(display @ region.mapping.T, 2 * observe, atol=1e-4)
    cross = display @ observe.T / np.linalg.norm(display) / np.linalg.norm(observe)
    np.testing.assert_allclose(cross, 0, atol=1e-5)
    assert set(planted) - set(SHARED) == set(MAPPED)


@pytest.mark.parametrize("seed", range(4))
def test_every_region_is_large_enough_and_on_its_side(anatomy, seed):
    aparcaseg = draw_segmentation(anatomy, np.random.default_rng(seed))
    for structure in STRUCTURES:
        assert structure_mask(aparcaseg, (structure.name,)).sum() >= 15
        for index, side in zip(structure.index, (-1, 1), strict=True):
            points = np.argwhere(aparcaseg == index) @ anatomy.affine[:3, :3].T
            assert (side * (points[:, 0] + anatomy.affine[0, 3]) > 0).all()


def test_anatomy_is_the_template_s(anatomy):
    litres = anatomy.brain.sum() * anatomy.voxel_size**3 / 1e6
    assert litres == pytest.approx(1.9, abs=0.1)
    total = (anatomy.grey + anatomy.white + anatomy.csf)[anatomy.brain]
    assert np.quantile(np.abs(total - 1), 0.95) < 0.01


# --- signal and noise -----------------------------------------------------------------------


def test_responses_equal_nilearn_s():
    trials = draw_trials(np.random.default_rng(1), 4, 0)
    times = volume_times(trials)
    found = haemodynamic_responses(trials, times).sum(axis=1)
    blocks = np.stack([trials["onset"], trials["duration"], np.ones(len(trials))])
    expected = compute_regressor(blocks, "glover", times, oversampling=50)[0][:, 0]
    assert np.corrcoef(found, expected)[0, 1] > 0.999


def test_run_lengths_are_those_of_real_runs():
    lengths = [
        len(volume_times(draw_trials(np.random.default_rng(seed), 8, catch)))
        for seed in range(20)
        for catch in (0, 3)
    ]
    assert min(lengths) >= 110
    assert max(lengths) <= 150
    assert DURATION // REPETITION_TIME == 3


def test_noise_is_autocorrelated_and_slow():
    noise = autocorrelated_noise(np.random.default_rng(2), 200, 2000).astype(float)
    assert noise.var() == pytest.approx(1, abs=0.05)
    centred = noise - noise.mean(axis=0)
    lag1 = (centred[1:] * centred[:-1]).mean() / centred.var()
    assert AUTOREGRESSION < lag1 < 0.6
    power = (np.abs(np.fft.rfft(centred, axis=0)) ** 2).mean(axis=1)
    assert power[1] > 2 * power[10] > 2 * power[-1]


def samples_of(run, series, *, cleaned):
    """Mean of the three volumes from 5 s after onset on, for every trial with an expression."""
    parameters = run.parameters.to_numpy()[UNSTEADY_VOLUMES:]
    series = clean(
        series[UNSTEADY_VOLUMES:],
        confounds=parameters if cleaned else None,
        t_r=REPETITION_TIME,
        high_pass=1 / 128,
        filter="cosine",
        standardize="zscore_sample",
    )
    times = volume_times(run.trials)[UNSTEADY_VOLUMES:]
    onsets = run.trials.loc[run.trials["trial_kind"] == "expression", "onset"]
    first = np.searchsorted(times, onsets.to_numpy() + 5)
    return np.stack([series[start : start + 3].mean(axis=0) for start in first])


def accuracy(samples, runs):
    """Leave-one-run-out accuracy."""
    labels = np.concatenate([run.trials["trial_type"] for run in runs])
    labels = labels[labels != "n/a"]
    groups = np.repeat(np.arange(len(runs)), len(labels) // len(runs))
    model = RidgeClassifier(alpha=float(samples.shape[1]))
    return cross_val_score(model, samples, labels, groups=groups, cv=LeaveOneGroupOut()).mean()


@pytest.fixture(scope="module")
def accuracies(anatomy):
    """Mean accuracy over participants, by task, cleaning and region."""
    design = FacesDesign(seed=5, participants=4)
    scores: dict = {}
    for label in design.labels:
        participant = draw_participant(design, anatomy, label)
        aparcaseg = participant.aparcaseg[anatomy.brain]
        used = np.isin(aparcaseg, [index for item in STRUCTURES for index in item.index])
        for task in TASKS:
            runs = [simulate_run(design, anatomy, participant, task, n) for n in range(1, 5)]
            motion = [samples_of(run, run.parameters.to_numpy(), cleaned=False) for run in runs]
            scores.setdefault((task, False, "motion"), []).append(accuracy(np.vstack(motion), runs))
            for cleaned in (False, True):
                parts = [samples_of(run, run.data[:, used], cleaned=cleaned) for run in runs]
                samples = np.vstack(parts)
                for name, structures in {**PLANTED, **CONTROL}.items():
                    inside = structure_mask(aparcaseg[used], structures)
                    score = accuracy(samples[:, inside], runs)
                    scores.setdefault((task, cleaned, name), []).append(score)
    return {key: np.mean(values) for key, values in scores.items()}


@pytest.mark.parametrize("task", TASKS)
def test_planted_regions_decode_and_control_regions_do_not(accuracies, task):
    # 384 trials: the standard error of a mean accuracy at chance is 0.024.
    for name in PLANTED:
        assert 0.42 < accuracies[task, True, name] < 0.75
    for name in CONTROL:
        assert abs(accuracies[task, True, name] - CHANCE) < 0.08
    assert abs(np.mean([accuracies[task, True, name] for name in CONTROL]) - CHANCE) < 0.04


def test_movement_leaks_into_control_regions_until_it_is_removed(accuracies):
    leaking = np.mean([accuracies["display", False, name] for name in CONTROL])
    assert leaking > CHANCE + 0.06
    assert accuracies["display", False, "motion"] > 0.55


def test_nobody_moves_with_observed_expressions(accuracies):
    assert abs(accuracies["observe", False, "motion"] - CHANCE) < 0.08
    still = np.mean([accuracies["observe", False, name] for name in CONTROL])
    assert abs(still - CHANCE) < 0.04


# --- the command ----------------------------------------------------------------------------


def test_the_same_study_is_left_alone_and_another_one_refused(tmp_path, capsys):
    argv = [str(tmp_path), "--write-only", "--participants", "1", "--nprocs", "1", "--seed", "3"]
    assert main(argv) == 0
    assert "truth.json" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert main(argv) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    capsys.readouterr()
    assert main([*argv[:-1], "4"]) == 2
    message = capsys.readouterr().err
    assert "seed 3 instead of 4" in message
    assert message.count("\n") == 1


def test_somebody_else_s_folder_is_not_touched(tmp_path, capsys):
    (tmp_path / "bids").mkdir()
    (tmp_path / "bids/README").write_text("mine")
    assert main([str(tmp_path), "--write-only"]) == 2
    assert "not a synthetic study" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["bids", "README"]


def test_an_interrupted_study_is_written_again(tmp_path):
    (tmp_path / ".unfinished/bids").mkdir(parents=True)
    (tmp_path / ".unfinished/bids/half").write_text("torn")
    write_study(tmp_path, seed=1, participants=1, runs=1, trials_per_class=1, voxel_size_mm=9.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bids", "truth"]
    assert not list(tmp_path.rglob("half"))
