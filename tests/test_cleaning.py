from dataclasses import replace

import numpy as np
import pytest
from nilearn.maskers import NiftiMasker
from nilearn.signal import clean
from volumes import confounds_table, haxby_files, make_run

from bidsface.cleaning import cosine_drifts, reason_to_exclude, run_filter
from bidsface.confounds import MOTION6, read_confounds
from bidsface.recipe import Cleaning
from bidsface.volumes import read_series

T, TR = 64, 2.0


def filter_of(run, n_volumes=T, **options):
    cleaning = Cleaning(**options)
    confounds = read_confounds(run, n_volumes, cleaning)
    return run_filter(run, confounds, cleaning), confounds, cleaning


@pytest.fixture
def signals():
    rng = np.random.default_rng(3)
    return 500 + np.cumsum(rng.normal(size=(T, 6)), axis=0)


@pytest.mark.parametrize("detrend", [True, False])
@pytest.mark.parametrize("high_pass", [128.0, 50.0, None])
@pytest.mark.parametrize("confounds", ["none", ("white_matter", "csf")])
@pytest.mark.parametrize("censor", [False, True])
def test_equals_nilearn(tmp_path, signals, detrend, high_pass, confounds, censor):
    table = confounds_table(T)
    table.loc[20:22, "framewise_displacement"] = 2.0
    run = make_run(tmp_path, confounds=table)
    filter_, _, _ = filter_of(
        run,
        detrend=detrend,
        high_pass=high_pass,
        confounds=confounds,
        fd_threshold=1.0 if censor else None,
    )
    expected = clean(
        signals,
        detrend=detrend,
        standardize="zscore_sample",
        confounds=None if confounds == "none" else table[list(confounds)].to_numpy(),
        filter="cosine" if high_pass else False,
        high_pass=1 / high_pass if high_pass else None,
        t_r=TR,
        sample_mask=np.setdiff1d(np.arange(T), [20, 21, 22]) if censor else None,
    )
    np.testing.assert_allclose(filter_.clean(signals, standardize=True), expected, atol=1e-9)


def test_what_was_removed_is_gone(tmp_path, signals):
    run = make_run(tmp_path)
    filter_, confounds, _ = filter_of(run)
    cleaned = filter_.clean(signals)
    removed = np.column_stack(
        [np.ones(T), np.arange(T), cosine_drifts(T, TR, 128.0), confounds.selected]
    )
    assert np.abs(removed.T @ cleaned).max() < 1e-6


def test_high_pass_stays_when_a_confound_resembles_a_cosine(tmp_path, signals):
    """nilearn leaves all its cosines out in this case."""
    drifts = cosine_drifts(T, TR, 128.0)
    table = confounds_table(T)
    table["trans_x"] = drifts[:, 0]
    run = make_run(tmp_path, confounds=table)
    with pytest.warns(UserWarning, match="Use user supplied regressors only"):
        theirs = clean(
            signals, confounds=table[list(MOTION6)], filter="cosine", high_pass=1 / 128, t_r=TR
        )
    ours = filter_of(run)[0].clean(signals, standardize=True)
    assert np.abs(drifts.T @ ours).max() < 1e-9
    assert np.abs(drifts.T @ theirs).max() > 0.1


def test_short_runs_have_no_drifts():
    assert cosine_drifts(20, 2.0, 128.0).shape == (20, 0)
    assert cosine_drifts(64, 2.0, None).shape == (64, 0)
    assert cosine_drifts(64, 2.0, 128.0).shape == (64, 2)


def test_fmriprep_cosines_take_the_place_of_ours(tmp_path):
    table = confounds_table(T)
    table["cosine00"] = cosine_drifts(T, TR, 128.0)[:, 0]
    run = make_run(tmp_path, confounds=table)
    alone = filter_of(run, confounds=("trans_x", "cosine00", "trans_y"))[0]
    np.testing.assert_array_equal(alone.drifts, table[["cosine00"]])
    np.testing.assert_array_equal(alone.confounds, table[["trans_x", "trans_y"]])
    both = filter_of(run, confounds=("cosine00",), high_pass=60.0)[0]
    assert both.drifts.shape[1] == 1 + 4
    assert both.n_regressors == 2 + 5
    assert filter_of(run, confounds=("cosine00",), high_pass=None)[0].drifts.shape[1] == 1
    assert filter_of(run)[0].drifts.shape[1] == 2


def test_constant_voxels_stay_zero(tmp_path, signals):
    filter_, _, _ = filter_of(make_run(tmp_path))
    signals[:, 2] = 1234.567
    cleaned = filter_.clean(signals, standardize=True)
    assert np.all(cleaned[:, 2] == 0)
    assert np.allclose(np.delete(cleaned, 2, axis=1).std(axis=0, ddof=1), 1)


def test_blocks_of_voxels_equal_all_at_once(tmp_path):
    filter_, _, _ = filter_of(make_run(tmp_path), drop_volumes=3)
    values = np.random.default_rng(0).normal(100, 5, (T, 9001)).astype(np.float32)
    expected = filter_.clean(values, standardize=True)
    cleaned = filter_.clean_voxels(values.copy(), standardize=True)
    assert cleaned.dtype == np.float32
    assert cleaned.shape == (T - 3, 9001)
    np.testing.assert_allclose(cleaned, expected, atol=1e-5)


def test_times_and_kept_volumes(tmp_path):
    table = confounds_table(T)
    table["non_steady_state_outlier00"] = (np.arange(T) == 0).astype(int)
    table.loc[[0, 10], "framewise_displacement"] = 3.0
    run = make_run(tmp_path, confounds=table, start_time=0.9)
    filter_, _, _ = filter_of(run, drop_volumes=2, fd_threshold=0.5)
    assert list(np.flatnonzero(~filter_.kept)) == [0, 1, 10]
    np.testing.assert_allclose(filter_.times[:3], [0.9, 2.9, 4.9])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"max_mean_fd": 0.05}, r"mean framewise displacement 0\.1\d mm is above 0.05 mm"),
        (
            {"fd_threshold": 0.12, "max_censored": 0.1},
            r"\d+ of 64 volumes are censored for head motion, more than the fraction 0.1",
        ),
        ({"drop_volumes": 60}, "4 volumes are left, too few to remove 10 regressors"),
        ({"drop_volumes": 64}, "0 volumes are left"),
    ],
)
def test_reasons_to_exclude(tmp_path, options, reason):
    filter_, confounds, cleaning = filter_of(make_run(tmp_path), **options)
    found = reason_to_exclude(confounds, filter_, cleaning)
    if reason is None:
        assert found is None
    else:
        import re

        assert re.match(reason, found)


def test_smoothing_equals_nilearn_masker(tmp_path):
    run = make_run(tmp_path)
    mask = np.zeros((5, 4, 3), bool)
    mask[1:4, 1:3, 1] = True
    series = read_series(run.bold, mask, np.ones(T, bool), 5.0)
    import nibabel as nib

    image = nib.Nifti1Image(mask.astype(np.uint8), nib.load(run.mask).affine)
    masker = NiftiMasker(mask_img=image, smoothing_fwhm=5.0, standardize=None, reports=False)
    np.testing.assert_allclose(series.values, masker.fit_transform(str(run.bold)), rtol=1e-4)


@pytest.mark.shared_data
def test_real_data_equal_nilearn():
    import nibabel as nib

    run = haxby_files().runs[2]
    filter_, confounds, _ = filter_of(run, 121, confounds="motion24")
    mask = np.asarray(nib.load(run.mask).dataobj) > 0
    masker = NiftiMasker(mask_img=str(run.mask), standardize=None, reports=False)
    expected = clean(
        masker.fit_transform(str(run.bold)).astype(float),
        confounds=confounds.selected,
        filter="cosine",
        high_pass=1 / 128,
        t_r=2.5,
    )
    series = read_series(run.bold, mask, filter_.kept, None)
    cleaned = filter_.clean_voxels(series.values, standardize=True)
    np.testing.assert_allclose(cleaned, expected, atol=1e-4)


def test_filter_counts_its_regressors(tmp_path):
    filter_, _, _ = filter_of(make_run(tmp_path))
    assert filter_.n_regressors == 1 + 1 + 2 + 6
    assert replace(filter_, detrend=False).n_regressors == 9
