"""Tables of observers' annotations: what is read of them, and what is said of broken ones."""

import numpy as np
import pytest
from emotion_observers import write_table
from pydantic import ValidationError

from bidsface.errors import InputError, RecipeError
from bidsface_emotion_cnn.annotation_files import read_annotations, read_observers
from bidsface_emotion_cnn.label_options import (
    AnnotationColumns,
    LabelOptions,
    annotation_paths,
    check_labels,
    needed_votes,
)

ROWS = [
    ("192.0", "260.5", ""),
    (" 310.0", "311.0 ", "FEAR"),
    ("300.0", "320.0", "LOVE  HAPPINESS"),
    ("bad", "", "n/a"),
]


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t"), (".CSV", ",")])
def test_rows_stand_in_the_order_of_the_file(tmp_path, ending, separator):
    path = write_table(tmp_path / f"av1o01{ending}", ROWS, separator=separator)
    found = read_annotations(path)
    assert found.observer == "av1o01"
    np.testing.assert_array_equal(found.starts, [310.0, 300.0])
    np.testing.assert_array_equal(found.ends, [311.0, 320.0])
    assert found.emotions == ("FEAR", "LOVE HAPPINESS")
    assert found.valence is None
    assert found.arousal is None


def test_columns_have_other_names_and_words_are_numbers(tmp_path):
    header = ("from", "to", "what", "feel", "level", "who")
    rows = [
        (0, 2, "FEAR", "NEG", "high", "X"),
        (2, 4, "LOVE", "0.25", "LOW", "Y"),
        (4, 5, "LOVE", "", "n/a", "Y"),
    ]
    path = write_table(tmp_path / "a.csv", rows, header)
    columns = AnnotationColumns(
        start="from", end="to", emotion="what", valence="feel", arousal="level"
    )
    found = read_annotations(path, columns)
    np.testing.assert_array_equal(found.valence, [-1.0, 0.25, np.nan])
    np.testing.assert_array_equal(found.arousal, [1.0, -1.0, np.nan])


def test_marks_of_the_encoding_quotes_and_blank_lines_do_no_harm(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfstart,end,emotion\r\n\r\n1, 2,"LOVE"\r\n,,\r\n')
    assert read_annotations(path).emotions == ("LOVE",)


HEADER = "start,end,emotion,valence\n"
BROKEN = {
    "empty": ("", "empty file"),
    "no rows": (HEADER, "rows with an emotion"),
    "no emotion": (HEADER + "1,2,,NEG\n", "rows with an emotion in column emotion"),
    "column missing": ("start,stop,emotion,valence\n1,2,LOVE,POS\n", "no column 'end'"),
    "columns twice": ("start,end,end,emotion,valence\n1,2,3,LOVE,POS\n", "2 columns 'end'"),
    "words": (HEADER + "\n1,2,LOVE,POS\none,2,LOVE,POS\n", "start in row 4 .* 'one'"),
    "no time": (HEADER + "1,,LOVE,POS\n", "end in row 2 .* ''"),
    "negative": (HEADER + "-1,2,LOVE,POS\n", "start in row 2 .* '-1'"),
    "infinite": (HEADER + "1,inf,LOVE,POS\n", "end in row 2 .* 'inf'"),
    "not a number": (HEADER + "nan,2,LOVE,POS\n", "start in row 2 .* 'nan'"),
    "milliseconds": (HEADER + "192000,260000,LOVE,POS\n", "from 0 to 86,400, found '192000'"),
    "backwards": (HEADER + "5,2,LOVE,POS\n", "end in row 2 .* at least start, 5 s, found 2"),
    "torn": (HEADER + "1,2,LOVE,POS\n3,4\n", "row 3 has 2 cells, wanted 4"),
    "too long": (HEADER + "1,2,LOVE,POS,9\n", "row 2 has 5 cells, wanted 4"),
    "rating": (HEADER + "1,2,LOVE,GOOD\n", "valence in row 2 .* 'GOOD'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_has_one_message(tmp_path, case):
    content, message = BROKEN[case]
    path = tmp_path / "av1o01.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_annotations(path, AnnotationColumns(valence="valence"))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_no_table_has_one_message(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        read_annotations(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"start,end,emotion\n1,2,JOY\xff\n")
    with pytest.raises(InputError, match=r"latin\.csv: cannot be read as a table"):
        read_annotations(tmp_path / "latin.csv")
    (tmp_path / "sheet.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"ends in \.csv or \.tsv, found \.xlsx"):
        read_annotations(tmp_path / "sheet.xlsx")


def test_observers_are_called_like_their_files(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_table(tmp_path / folder / "film.csv", [(1, 2, "LOVE")])
    write_table(tmp_path / "third.csv", [(1, 2, "LOVE")])
    paths = [tmp_path / "a" / "film.csv", tmp_path / "b" / "film.csv", tmp_path / "third.csv"]
    found = read_observers(paths, AnnotationColumns())
    assert [one.observer for one in found] == ["a/film", "b/film", "third"]


def annotated(*files, **given):
    return LabelOptions.model_validate({"source": "annotations", "files": files, **given})


def test_patterns_find_files_in_the_order_of_numbers(tmp_path, monkeypatch):
    for number in (10, 2, 1):
        write_table(tmp_path / f"o{number}.csv", [(1, 2, "LOVE")])
    odd = write_table(tmp_path / "o[1].tsv", [(1, 2, "LOVE")])
    monkeypatch.chdir(tmp_path)
    found = annotation_paths(annotated("*.csv", "o[1].tsv"))
    assert found == (*(tmp_path / f"o{number}.csv" for number in (1, 2, 10)), odd)
    assert annotation_paths(annotated(str(tmp_path / "o?.csv"))) == (
        tmp_path / "o1.csv",
        tmp_path / "o2.csv",
    )
    for pattern in ("*.txt", "o3.csv", "", "a**b", str(tmp_path)):
        with pytest.raises(RecipeError, match="is no file and matches none"):
            annotation_paths(annotated(pattern))
    with pytest.raises(RecipeError, match=r"o1\.csv is named twice"):
        annotation_paths(annotated("o*.csv", "o1.csv"))


def test_options_are_checked_before_anything_is_read(tmp_path):
    files = [str(write_table(tmp_path / f"o{n}.csv", [(1, 2, "LOVE")])) for n in range(4)]
    check_labels(LabelOptions())
    check_labels(annotated(*files, threshold=4))
    with pytest.raises(RecipeError, match=r"labels\.threshold: 5 .* files of 4"):
        check_labels(annotated(*files, threshold=5))
    with pytest.raises(RecipeError, match=r"labels\.files: .*none\.csv"):
        check_labels(annotated(str(tmp_path / "none.csv")))


def test_a_majority_is_more_than_half():
    votes = [needed_votes(LabelOptions(), n_observers) for n_observers in (1, 2, 3, 4, 9)]
    assert votes == [1, 2, 2, 3, 5]
    assert needed_votes(annotated("a.csv", threshold=4), 9) == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "annotations"}, "needs the files"),
        ({"files": ["a.csv"]}, "files: of no use unless source is annotations"),
        ({"segments": [], "threshold": 3}, "threshold, segments: of no use"),
        ({"segments": [{"start": 5, "end": 5}]}, "end after its start"),
        ({"shift": -1}, "greater than or equal to 0"),
        ({"minimum": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_mean_nothing_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        LabelOptions.model_validate(given)


def test_segments_have_an_order_and_one_run_each():
    first, second = {"start": 0, "end": 10}, {"start": 8, "end": 20}
    with pytest.raises(ValidationError, match="order of their starts"):
        annotated("a.csv", segments=[second, first])
    with pytest.raises(ValidationError, match="same run"):
        annotated("a.csv", segments=[{**first, "run": "2"}, second])
    named = annotated("a.csv", segments=[{**first, "run": "ses-2_run-1"}, second])
    assert named.segment_names == ("ses-2_run-1", "2")
