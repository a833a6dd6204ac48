import json

import numpy as np
import pandas as pd
import pytest
from nilearn.interfaces.fmriprep import load_confounds
from volumes import confounds_table, haxby_files, make_run, write_tsv

from bidsface.confounds import MOTION6, MOTION24, read_confounds
from bidsface.errors import InputError
from bidsface.recipe import Cleaning

T = 64


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


def read(run, **cleaning):
    return read_confounds(run, T, Cleaning(**cleaning))


@pytest.mark.parametrize(("name", "model"), [("motion6", "basic"), ("motion24", "full")])
def test_motion_equals_nilearn(run, name, model):
    expected, _ = load_confounds(str(run.bold), strategy=["motion"], motion=model, demean=False)
    selected = read(run, confounds=name).selected
    assert sorted(selected) == sorted(expected)
    np.testing.assert_allclose(selected[expected.columns], expected)


def test_motion24_is_parameters_derivatives_and_squares(run):
    selected = read(run, confounds="motion24").selected
    assert tuple(selected.columns) == MOTION24
    moved = np.diff(selected["rot_y"])
    np.testing.assert_allclose(selected["rot_y_derivative1"][1:], moved)
    np.testing.assert_allclose(selected["rot_y_derivative1_power2"][1:], moved**2)
    assert selected["rot_y_derivative1"][0] == selected["rot_y_derivative1"][1]


def test_names_groups_and_strategies_mix_without_repeating(run):
    selected = read(run, confounds=("csf", "motion6", "strategy:wm_csf")).selected
    assert list(selected) == ["csf", *MOTION6, "white_matter"]


def test_absent_column_lists_what_is_there(run):
    with pytest.raises(
        InputError, match=r"timeseries.tsv: no column gloabl; it has trans_x, .*csf"
    ):
        read(run, confounds=("gloabl",))


def test_unknown_strategy_lists_strategies(run):
    with pytest.raises(InputError, match=r"no strategy wmcsf; nilearn has motion, .*compcor"):
        read(run, confounds=("strategy:wmcsf",))


def test_strategy_without_its_columns_is_an_input_error(run):
    with pytest.raises(InputError, match=r"timeseries.tsv: nilearn's strategies global_signal"):
        read(run, confounds=("strategy:global_signal",))


def test_compcor_brings_the_cosines_it_was_computed_with(tmp_path):
    table = confounds_table(T)
    rng = np.random.default_rng(1)
    for name in ("a_comp_cor_00", "a_comp_cor_01", "cosine00", "cosine01"):
        table[name] = rng.normal(size=T)
    run = make_run(tmp_path, confounds=table)
    meta = {
        name: {"Method": "aCompCor", "Mask": "combined", "Retained": True, "SingularValue": 1.0}
        for name in ("a_comp_cor_00", "a_comp_cor_01")
    }
    run.confounds.with_suffix(".json").write_text(json.dumps(meta))
    selected = read(run, confounds=("strategy:compcor",)).selected
    assert set(selected) == {"a_comp_cor_00", "a_comp_cor_01", "cosine00", "cosine01"}


def test_scrub_censors_volumes_and_honours_the_threshold(tmp_path):
    table = confounds_table(T)
    table["std_dvars"] = np.r_[np.nan, np.ones(T - 1)]
    table.loc[30, "framewise_displacement"] = 0.4
    run = make_run(tmp_path, confounds=table)
    assert not read(run, confounds=("strategy:scrub",)).scrubbed.any()
    scrubbed = read(run, confounds=("strategy:scrub",), fd_threshold=0.3).scrubbed
    assert list(np.flatnonzero(scrubbed)) == [30]


def test_older_file_name_and_non_steady_state(tmp_path):
    table = confounds_table(T)
    for volume in range(2):
        table[f"non_steady_state_outlier0{volume}"] = (np.arange(T) == volume).astype(int)
    run = make_run(tmp_path, confounds=table)
    older = run.confounds.with_name(run.confounds.name.replace("timeseries", "regressors"))
    run.confounds.rename(older)
    run = type(run)(**{**vars(run), "confounds": older})
    confounds = read(run, confounds=("strategy:motion",))
    assert list(np.flatnonzero(~confounds.steady)) == [0, 1]
    assert confounds.selected.shape == (T, 24)


def test_wrong_length_names_both_files(run):
    with pytest.raises(InputError, match=r"timeseries.tsv: 64 rows, but .*bold.nii.gz has 60 vol"):
        read_confounds(run, 60, Cleaning())


def test_gap_after_the_first_row_is_named(tmp_path):
    table = confounds_table(T)
    table.loc[5, "rot_x"] = np.nan
    with pytest.raises(InputError, match=r"after the first row in rot_x"):
        read(make_run(tmp_path, confounds=table))


@pytest.mark.parametrize("limit", [{"fd_threshold": 0.5}, {"max_mean_fd": 0.3}])
def test_limits_need_displacement(tmp_path, limit):
    run = make_run(tmp_path, confounds=confounds_table(T).drop(columns="framewise_displacement"))
    assert read(run).framewise_displacement is None
    with pytest.raises(InputError, match="no column framewise_displacement"):
        read(run, **limit)


def test_no_file_is_fine_only_where_nothing_is_asked(run):
    bare = type(run)(**{**vars(run), "confounds": None})
    confounds = read(bare, confounds="none")
    assert confounds.selected.shape == (T, 0)
    assert confounds.motion.shape == (T, 0)
    with pytest.raises(InputError, match=r"bold.nii.gz: no confounds file"):
        read(bare)


def test_unreadable_table(tmp_path, run):
    run.confounds.write_text("")
    with pytest.raises(InputError, match=r"timeseries.tsv: cannot be read as a table"):
        read(run)


def test_motion_needs_no_request(tmp_path):
    table = confounds_table(T)
    run = make_run(tmp_path, confounds=table)
    motion = read(run, confounds="none").motion
    np.testing.assert_allclose(motion, table[list(MOTION6)])
    write_tsv(run.confounds, table.drop(columns="rot_z"))
    assert read(run, confounds="none").motion.shape == (T, 0)


@pytest.mark.shared_data
def test_real_motion24_equals_nilearn():
    run = haxby_files().runs[0]
    expected, _ = load_confounds(str(run.bold), strategy=["motion"], motion="full", demean=False)
    selected = read_confounds(run, 121, Cleaning(confounds="motion24")).selected
    pd.testing.assert_frame_equal(selected[list(expected)], expected)
