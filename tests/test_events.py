import numpy as np
import pandas as pd
import pytest
from volumes import write_tsv

from bidsface.errors import InputError
from bidsface.events import read_events
from bidsface.recipe import Classes

TABLE = pd.DataFrame(
    {
        "onset": [12.0, 0.0, 20.0, 30.0, 40.0, 50.0],
        "duration": [2.0, 2.0, 2.0, np.nan, 2.0, 2.0],
        "trial_type": ["joy", "Rest", "anger", "catch", np.nan, "fury"],
        "emotion": ["a", "b", "a", "b", "a", "b"],
    }
)


@pytest.fixture
def path(tmp_path):
    return write_tsv(tmp_path / "sub-01_task-display_events.tsv", TABLE)


def read(path, **classes):
    return read_events(path, Classes(**classes))


def test_default_keeps_all_but_rest_and_missing_by_onset(path):
    events = read(path)
    assert list(events.trials["trial_type"]) == ["joy", "anger", "catch", "fury"]
    assert list(events.trials["onset"]) == [12.0, 20.0, 30.0, 50.0]
    assert events.trials["duration"][2] == 0.0
    assert events.left_out == {"Rest": 1, "n/a": 1}
    assert events.others.empty


def test_included_classes_leave_the_rest_to_the_model(path):
    events = read(path, include=("joy", "anger"))
    assert list(events.trials["trial_type"]) == ["joy", "anger"]
    assert list(events.others["trial_type"]) == ["catch", "fury"]
    assert events.left_out == {"Rest": 1, "n/a": 1, "catch": 1, "fury": 1}


def test_exclusion_disregards_case_but_never_lets_missing_in(path):
    events = read(path, exclude=("CATCH",))
    assert list(events.trials["trial_type"]) == ["Rest", "joy", "anger", "fury"]


def test_merging_comes_first(path):
    events = read(path, merge={"angry": ("anger", "fury"), "calm": ("Rest",)}, include=("angry",))
    assert list(events.trials["trial_type"]) == ["angry", "angry"]
    assert events.left_out["calm"] == 1


def test_trials_keep_the_other_columns_as_text(path):
    trials = read(path).trials
    assert list(trials.columns) == ["onset", "duration", "trial_type", "emotion"]
    assert list(trials["emotion"]) == ["a", "a", "b", "b"]
    assert read(path, include=("joy",)).others["emotion"].tolist() == ["a", "b", "b"]


def test_rows_stand_as_in_the_file_in_the_order_of_trials(path):
    events = read(path, column="emotion", merge={"c": ("a",)}, include=("c",))
    assert list(events.trials["trial_type"]) == ["c", "c", "c"]
    assert events.rows.to_dict("list") == {
        "onset": ["12.0", "20.0", "40.0"],
        "duration": ["2.0", "2.0", "2.0"],
        "trial_type": ["joy", "anger", "n/a"],
        "emotion": ["a", "a", "a"],
    }


def test_empty_cells_are_missing_and_blanks_do_not_count(tmp_path):
    path = tmp_path / "sub-01_events.tsv"
    path.write_text(
        "onset\tduration\ttrial_type\tfacs\n5\t1\tpain\t\n3\t\t pain \t 2.50 \n9\t1\tpain\n"
    )
    events = read(path)
    assert list(events.rows["facs"]) == ["2.50", "n/a", "n/a"]
    assert list(events.rows["duration"]) == ["n/a", "1", "1"]
    assert list(events.trials["duration"]) == [0.0, 1.0, 1.0]
    assert set(events.trials["trial_type"]) == {"pain"}


def test_other_column(path):
    assert set(read(path, column="emotion").trials["trial_type"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"onset": ["x"] * 6}, r"events.tsv: onset in row 2 .* found 'x'"),
        ({"onset": [1.0, np.nan, 2, 3, 4, 5]}, r"onset in row 3 .* found 'n/a'"),
        ({"onset": [1.0, 2, 3, -4, 5, 6]}, r"onset in row 5 .* found '-4.0'"),
        ({"duration": [1.0, 2, -3, 4, 5, 6]}, r"duration in row 4 .* found '-3.0'"),
        ({"duration": ["1 s"] * 6}, r"duration in row 2 .* found '1 s'"),
    ],
)
def test_bad_numbers_are_named(tmp_path, change, message):
    path = write_tsv(tmp_path / "sub-01_events.tsv", TABLE.assign(**change))
    with pytest.raises(InputError, match=message):
        read(path)


def test_missing_column_lists_columns(path):
    with pytest.raises(
        InputError, match=r"no column expression; it has onset, duration, trial_type, emotion"
    ):
        read(path, column="expression")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as an events file"),
        ("onset\tduration\ttrial_type\n", "holds no events"),
        ("onset\tduration\ttrial_type\n1\t2\tjoy\t\n", "more cells than there are columns"),
    ],
)
def test_files_that_hold_no_table_of_events(tmp_path, text, message):
    path = tmp_path / "sub-01_events.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read(path)


def test_absent_file(tmp_path):
    with pytest.raises(InputError, match=r"gone_events.tsv: cannot be read"):
        read(tmp_path / "gone_events.tsv")
