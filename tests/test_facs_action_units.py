import gzip
import json
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from bidsface.errors import InputError, RecipeError
from bidsface_facs.action_unit_files import read_action_units
from bidsface_facs.action_unit_options import (
    ActionUnitOptions,
    build_composite,
    read_units,
    score_by_options,
)
from bidsface_facs.action_units import ReadingOptions, parse_action_units
from bidsface_facs.aggregations import count_episodes
from bidsface_facs.calibration import calibrate
from bidsface_facs.composites import PAIN_UNITS, FrequencyIntensity, Rowwise, pspi
from bidsface_facs.formulas import parse_formula
from bidsface_facs.text_table import TextTable
from bidsface_facs.trial_scores import score_trials
from bidsface_facs.unit_table import ActionUnits, CodedTrials

FRAMES, RATE = 200, 10.0
TIME = np.arange(FRAMES) / RATE
NUMBERS = (1, 2, 4, 6, 7, 9, 10, 25, 26)
LETTERS = dict(enumerate("ABCDE", start=1))
FACEREADER_NAMES = MappingProxyType(
    {
        number: f"Action Unit {number:02d} - {name}"
        for number, name in {
            1: "Inner Brow Raiser",
            2: "Outer Brow Raiser",
            4: "Brow Lowerer",
            6: "Cheek Raiser",
            7: "Lid Tightener",
            9: "Nose Wrinkler",
            10: "Upper Lip Raiser",
            25: "Lips Part",
            26: "Jaw Drop",
            43: "Eyes Closed",
        }.items()
    }
)


def name_of(number):
    return f"AU{number:02d}"


def smooth(rng, n_frames=FRAMES):
    """Slow fluctuations of 0-5 that are 0 about half of the time."""
    steps = np.repeat(rng.uniform(-5, 5, n_frames // 5 + 1), 5)[:n_frames]
    return np.round(np.clip(steps + rng.normal(0, 0.5, n_frames), 0, 5), 4)


@pytest.fixture
def planted():
    rng = np.random.default_rng(11)
    return {number: smooth(rng) for number in NUMBERS}


def openface_table(planted, rate=RATE):
    """OpenFace 2: blanks after the commas of the header, no AU43."""
    table = {
        "frame": np.arange(1, FRAMES + 1),
        " timestamp": np.round(np.arange(FRAMES) / rate, 3),
        " confidence": np.full(FRAMES, 0.98),
        " success": np.ones(FRAMES, int),
        " gaze_0_x": np.zeros(FRAMES),
    }
    table |= {f" {name_of(number)}_r": values for number, values in planted.items()}
    table |= {
        f" {name_of(number)}_c": (values >= 1).astype(int) for number, values in planted.items()
    }
    return pd.DataFrame(table | {" AU45_c": np.arange(FRAMES) % 20 == 0}).astype({" AU45_c": int})


def write_text(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def write_csv(path, table, sep=","):
    return write_text(path, table.to_csv(index=False, sep=sep, na_rep="n/a"))


def text_table(table, path="clip.csv"):
    return TextTable(table.astype(object).where(table.notna(), "n/a").astype(str), path)


def read_openface(planted, **options):
    return parse_action_units(text_table(openface_table(planted)), ReadingOptions(**options))


def assert_planted(units, planted, scale=1.0, atol=0.0):
    for number, values in planted.items():
        np.testing.assert_allclose(units.intensity[name_of(number)], values * scale, atol=atol)
    np.testing.assert_allclose(units.time, TIME, atol=1e-9)


# ---------------------------------------------------------------- dialects


@pytest.mark.parametrize(("suffix", "sep"), [(".csv", ","), (".tsv", "\t"), (".txt", ";")])
def test_openface(tmp_path, planted, suffix, sep):
    table = openface_table(planted)
    table.loc[3, " success"] = 0
    table.loc[5, " confidence"] = 0.7
    units = read_action_units(write_csv(tmp_path / f"clip{suffix}", table, sep))
    assert (units.dialect, units.scale, units.notes) == ("openface", "0-5", ())
    assert_planted(units, planted)
    assert list(np.flatnonzero(~units.reliable(0.8))) == [3, 5]
    assert list(np.flatnonzero(~units.reliable(0.7))) == [3]
    assert set(units.presence) == {*(name_of(number) for number in NUMBERS), "AU45"}
    np.testing.assert_array_equal(units.presence["AU04"], planted[4] >= 1)
    assert units.source.endswith(f"clip{suffix}")


@pytest.mark.parametrize("start", ["utf-8", "utf-8-sig", "utf-16"])
def test_gzipped_tables_and_other_encodings(tmp_path, planted, start):
    text = openface_table(planted).to_csv(index=False, sep="\t")
    path = tmp_path / "clip.tsv.gz"
    path.write_bytes(gzip.compress(text.encode(start)))
    assert_planted(read_action_units(path), planted)


def pyfeat_table(planted):
    frames = np.arange(FRAMES)
    return pd.DataFrame(
        {
            "FaceRectX": 331.0,
            "FaceScore": np.where(frames == 4, 0.4, 0.99),
            "Pitch": 0.1,
            **{name_of(number): values / 5 for number, values in planted.items()},
            "AU43": 0.25,
            "anger": 0.0,
            "input": "clip.mp4",
            "frame": frames,
            "approx_time": [f"00:{int(time):02d}" for time in frames / RATE],
            "Identity": "",
        }
    )


def test_pyfeat_counts_frames(tmp_path, planted):
    path = write_csv(tmp_path / "fex.csv", pyfeat_table(planted))
    units = read_action_units(path, ReadingOptions(sampling_frequency=RATE))
    assert (units.dialect, units.scale) == ("py-feat", "0-1")
    assert_planted(units, planted, scale=0.2, atol=1e-12)
    assert list(np.flatnonzero(~units.reliable(0.8))) == [4]


def test_pyfeat_with_a_finer_clock(tmp_path, planted):
    table = pyfeat_table(planted)
    table["approx_time"] = [f"00:00:{time:06.3f}" for time in TIME]
    assert_planted(read_action_units(write_csv(tmp_path / "fex.csv", table)), planted, 0.2, 1e-12)


def test_pyfeat_whole_seconds_and_a_wrong_rate_are_refused(tmp_path, planted):
    path = write_csv(tmp_path / "fex.csv", pyfeat_table(planted))
    with pytest.raises(InputError, match=r"fex.csv: approx_time in row 3 .*sampling_frequency"):
        read_action_units(path)
    with pytest.raises(InputError, match=r"approx_time in row \d+ .* 12 frames per s"):
        read_action_units(path, ReadingOptions(sampling_frequency=12.0))


def facereader_text(planted, cell):
    """A detailed log: lines on the video first, letters or numbers, failures in words."""
    closed = np.arange(FRAMES) % 7 == 0
    units = {**planted, 43: np.where(closed, 3.0, 0.0)}
    names = [FACEREADER_NAMES[number] for number in units]
    lines = [
        "Video analysis detailed log",
        "Face Model:\tGeneral",
        "Action Unit Classification:\tYes",
        "Filename:\tC:\\video\\müller.mp4",
        "",
        "\t".join(["Video Time", "Neutral", *names, f"{names[0]} - Left", "Stimulus"]),
    ]
    for frame, time in enumerate(TIME):
        clock = f"00:00:{time:06.3f}"
        values = ["FIT_FAILED" if frame == 9 else cell(units[number][frame]) for number in units]
        lines.append("\t".join([clock, "0.9", *values, "E", "heat 1"]))
    return "\n".join(lines) + "\n"


def test_facereader_letters(tmp_path, planted):
    whole = {number: np.floor(values) for number, values in planted.items()}
    text = facereader_text(whole, lambda value: LETTERS.get(int(value), "NotActive"))
    units = read_action_units(write_text(tmp_path / "Participant 1_detailed.txt", text))
    assert (units.dialect, units.scale, units.confidence) == ("facereader", "0-5", None)
    failed = {number: np.where(TIME == 0.9, np.nan, values) for number, values in whole.items()}
    assert_planted(units, failed)
    assert pspi(units)[1] == ()


def test_facereader_numbers_and_windows_lines(tmp_path, planted):
    text = facereader_text(planted, lambda value: f"{value / 5:.6f}").replace("\n", "\r\n")
    path = tmp_path / "log.txt"
    path.write_bytes(text.encode("cp1252"))
    units = read_action_units(path)
    failed = {number: np.where(TIME == 0.9, np.nan, values) for number, values in planted.items()}
    assert units.scale == "0-1"
    assert_planted(units, failed, scale=0.2, atol=1e-6)
    with pytest.raises(InputError, match=r"found a scale of 0-1, like a probability"):
        pspi(units)


def test_facereader_rows_are_those_of_the_file(tmp_path, planted):
    text = facereader_text(planted, lambda value: f"{value / 5:.6f}").split("\n")
    cells = text[8].split("\t")
    text[8] = "\t".join([*cells[:4], "high", *cells[5:]])
    path = write_text(tmp_path / "log.txt", "\n".join(text))
    with pytest.raises(InputError, match=r"Brow Lowerer in row 9 .* a letter .* found 'high'"):
        read_action_units(path)


@pytest.mark.parametrize("cell", [str, lambda value: LETTERS.get(value, "0")])
def test_coders_frames(tmp_path, planted, cell):
    whole = {number: np.floor(values).astype(int) for number, values in planted.items()}
    table = pd.DataFrame({"Time": TIME, "coder": "MK"})
    for number, values in whole.items():
        table[f"au {number} intensity"] = [cell(value) for value in values]
    units = read_action_units(write_csv(tmp_path / "coded.tsv", table, "\t"))
    assert (units.dialect, units.scale, units.presence) == ("coded", "0-5", {})
    assert_planted(units, whole)


def coded_trials_table():
    return pd.DataFrame(
        {
            "onset": [10.0, 30.0, 50.0, 70.0],
            "duration": 5.0,
            "trial_type": "pain",
            "AU4_intensity": ["C", "n/a", "A", "0"],
            "AU4_frequency": [2, 0, 1, 0],
            "AU6_7_intensity": ["E", "B", "n/a", "0"],
            "AU6_7_frequency": [1, 3, 0, 0],
            "AU9_intensity": ["0", "0", "B", "0"],
            "AU9_frequency": [0, 0, 1, 0],
            "AU10_intensity": ["0", "0", "D", "0"],
            "AU10_frequency": [0, 0, 2, 0],
            "AU25/26/27_intensity": ["0", "A", "0", "0"],
            "AU25/26/27_frequency": [0, 1, 0, 0],
        }
    )


def test_coders_trials(tmp_path):
    units = read_action_units(write_csv(tmp_path / "events.tsv", coded_trials_table(), "\t"))
    assert isinstance(units, CodedTrials)
    assert (units.dialect, units.scale) == ("coded", "0-5")
    np.testing.assert_array_equal(units.intensity["AU06_07"], [5, 2, np.nan, 0])
    np.testing.assert_array_equal(units.frequency["AU25_26_27"], [0, 1, 0, 0])
    np.testing.assert_array_equal(units.onset, [10, 30, 50, 70])


def physio_files(folder, planted, **changes):
    names = [f"{name_of(number)}_r" for number in planted]
    path = folder / "sub-01_task-pain_recording-face_physio.tsv.gz"
    rows = pd.DataFrame(planted).to_csv(index=False, header=False, sep="\t")
    path.write_bytes(gzip.compress(rows.encode()))
    sidecar = {"Columns": names, "SamplingFrequency": RATE, "StartTime": -2.5} | changes
    (folder / "sub-01_task-pain_recording-face_physio.json").write_text(
        json.dumps({key: value for key, value in sidecar.items() if value is not None})
    )
    return path, sidecar


def test_bids_recording(tmp_path, planted):
    path, sidecar = physio_files(tmp_path, planted)
    units = read_action_units(path)
    assert (units.dialect, units.scale) == ("physio", "0-5")
    np.testing.assert_allclose(units.time, TIME - 2.5, atol=1e-12)
    np.testing.assert_array_equal(units.intensity["AU10"], planted[10])
    # What a caller found by inheritance goes before the file beside it.
    inherited = read_action_units(path, metadata=sidecar | {"StartTime": 7})
    np.testing.assert_allclose(inherited.time, TIME + 7, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Columns": None}, r"physio.json: Columns has to be a list of names, found None"),
        ({"Columns": ["AU04"]}, r"physio.tsv.gz: row 1 has 9 cells, wanted 1"),
        ({"SamplingFrequency": None}, r"SamplingFrequency has to be a number, found None"),
        ({"SamplingFrequency": 0}, r"SamplingFrequency has to be above 0, found 0"),
        ({"StartTime": "0"}, r"StartTime has to be a number, found '0'"),
    ],
)
def test_bids_sidecars_that_do_not_describe(tmp_path, planted, changes, message):
    path, _ = physio_files(tmp_path, planted, **changes)
    with pytest.raises(InputError, match=message):
        read_action_units(path)


def test_bids_recording_without_sidecar_or_with_a_header(tmp_path, planted):
    path, sidecar = physio_files(tmp_path, planted)
    rows = "\t".join(sidecar["Columns"]) + "\n" + gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(rows.encode()))
    with pytest.raises(InputError, match=r"AU01_r in row 1 has to be a number.* found 'AU01_r'"):
        read_action_units(path)
    sidecar_path = path.with_name(path.name.replace(".tsv.gz", ".json"))
    sidecar_path.write_text("[]")
    with pytest.raises(InputError, match=r"physio.json: wanted a JSON object, found list"):
        read_action_units(path)
    sidecar_path.unlink()
    with pytest.raises(InputError, match=r"physio.json: .* it cannot be read"):
        read_action_units(path)


# ---------------------------------------------------------------- names of columns


@pytest.mark.parametrize(
    "spelling",
    ["AU1_r", " AU01_r", "au01", "AU01_intensity", "Au_1_R", "AU 1", "AU01.r", "au01_Intensity "],
)
def test_harmless_spellings(planted, spelling):
    table = pd.DataFrame({"timestamp": TIME, spelling: planted[1], "audio": "x", "author": "y"})
    units = parse_action_units(text_table(table))
    assert list(units.intensity) == ["AU01"]
    np.testing.assert_array_equal(units.intensity["AU01"], planted[1])


@pytest.mark.parametrize(
    ("column", "unit"),
    [("AU6_7", "AU06_07"), ("AU06/07_r", "AU06_07"), ("AU25+26+27", "AU25_26_27")],
)
def test_merged_units(planted, column, unit):
    units = parse_action_units(text_table(pd.DataFrame({"time": TIME, column: planted[6]})))
    assert list(units.intensity) == [unit]


@pytest.mark.parametrize("column", ["AU12_1", "AU06_left", "AU6a", "AU00", "AU123_r", "AU7_6"])
def test_ambiguous_spellings_are_refused(planted, column):
    table = pd.DataFrame({"time": TIME, "AU04": planted[4], column: planted[6]})
    message = rf"clip.csv: column {column} cannot be understood; wanted AU06 or AU06_r"
    with pytest.raises(InputError, match=message):
        parse_action_units(text_table(table))


@pytest.mark.parametrize(("one", "other"), [("AU06_r", "AU6_r"), ("AU06", "AU06_intensity")])
def test_two_columns_for_one_unit_are_refused(planted, one, other):
    table = pd.DataFrame({"time": TIME, one: planted[6], other: planted[7]})
    message = rf"one column with the intensity of AU06, found {one} and {other}"
    with pytest.raises(InputError, match=message):
        parse_action_units(text_table(table))


def test_order_of_columns_does_not_matter(planted):
    table = openface_table(planted)
    straight = parse_action_units(text_table(table))
    shuffled = parse_action_units(
        text_table(table[np.random.default_rng(0).permutation(table.columns)])
    )
    assert list(straight.intensity) == list(shuffled.intensity)
    np.testing.assert_array_equal(straight.time, shuffled.time)
    for composite in (FrequencyIntensity(), Rowwise(None)):
        for mine, other in zip(
            (composite.series(straight)).values, composite.series(shuffled).values, strict=True
        ):
            np.testing.assert_array_equal(mine, other)


# ---------------------------------------------------------------- malformed tables


def changed(planted, row, column, value):
    table = openface_table(planted).astype(object)
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (7, " AU04_r", "strong", r"AU04_r in row 9 has to be a number, or n/a; found 'strong'"),
        (7, " AU04_r", "C", r"AU04_r in row 9 has to be a number, or n/a; found 'C'"),
        (7, " AU04_r", "0,5", r"AU04_r in row 9 .* found '0,5'"),
        (7, " AU04_r", "inf", r"AU04_r in row 9 .* found 'inf'"),
        (7, " AU04_r", "5.2", r"AU04_r in row 9 has to be between 0 and 5; found '5.2'"),
        (7, " AU04_r", "-1", r"AU04_r in row 9 has to be between 0 and 5; found '-1'"),
        (7, " AU04_c", "2", r"AU04_c in row 9 has to be 0 or 1; found '2'"),
        (7, " success", "2", r"success in row 9 has to be 0 or 1; found '2'"),
        (7, " confidence", "98", r"confidence in row 9 has to be between 0 and 1; found '98'"),
        (7, " timestamp", "n/a", r"timestamp in row 9 has to be a time in s.* found 'n/a'"),
        (7, " timestamp", "0.55", r"timestamp in row 9 .* must not run backwards; found '0.55'"),
        (7, " timestamp", "0.6", r"timestamp in row 9 .*one row per frame.* found '0.6'"),
    ],
)
def test_wrong_cells_are_named(planted, row, column, value, message):
    with pytest.raises(InputError, match=rf"^clip.csv: {message}"):
        parse_action_units(text_table(changed(planted, row, column, value)))


def test_rows_out_of_order_are_refused(planted):
    table = openface_table(planted).iloc[::-1]
    with pytest.raises(InputError, match=r"timestamp in row 3 .* must not run backwards"):
        parse_action_units(text_table(table))
    with pytest.raises(InputError, match=r"frame in row 3 .* must not run backwards"):
        parse_action_units(text_table(table), ReadingOptions(sampling_frequency=RATE))


def test_clock_in_ms(planted):
    with pytest.raises(InputError, match=r"^clip.csv: wanted times in s .* found 100 s; .* ms\?"):
        parse_action_units(text_table(openface_table(planted, rate=RATE / 1000)))


def test_clock_that_is_too_fast_can_be_replaced(planted):
    # OpenFace writes steps of 1 ms where a video does not tell its rate.
    table = text_table(openface_table(planted, rate=1000.0))
    with pytest.raises(InputError, match=r"at least 0.002 s apart, found 0.001 s"):
        parse_action_units(table)
    units = parse_action_units(table, ReadingOptions(sampling_frequency=RATE))
    assert_planted(units, planted)


def test_missing_frames(planted):
    table = text_table(openface_table(planted).drop(index=range(50, 90)))
    message = (
        r"^clip.csv: frames are missing for 4.1 s, from 4.900 to 9.000 s \(before row 52\); "
        r"wanted no gap of more than 1 s \(option longest_gap\)$"
    )
    with pytest.raises(InputError, match=message):
        parse_action_units(table)
    with pytest.raises(InputError, match=r"frames are missing for 4.1 s"):
        parse_action_units(table, ReadingOptions(sampling_frequency=RATE))
    units = parse_action_units(table, ReadingOptions(longest_gap=5.0))
    scores = score_trials(
        units, np.array([1.0, 4.5]), np.array([2.0, 1.0]), FrequencyIntensity(), smallest_share=0.6
    )
    np.testing.assert_allclose(scores.valid_share, [1.0, 0.5])
    assert np.isfinite(scores.scores[0])
    assert np.isnan(scores.scores[1])


def test_no_clock(planted):
    table = pd.DataFrame({"AU04": planted[4], "AU06": planted[6]})
    with pytest.raises(InputError, match=r"wanted a column of times .* found AU04, AU06"):
        parse_action_units(text_table(table))
    counted = parse_action_units(text_table(table), ReadingOptions(sampling_frequency=RATE))
    np.testing.assert_allclose(counted.time, TIME)
    twice = pd.DataFrame({"time": TIME, "timestamp": TIME, "AU04": planted[4]})
    with pytest.raises(InputError, match=r"wanted one column .* found time, timestamp"):
        parse_action_units(text_table(twice))


def test_several_faces(planted):
    table = openface_table(planted).assign(face_id=[0] * 150 + [1] * 50)
    with pytest.raises(InputError, match=r"face_id in row 152 .*one face.* found '1'"):
        parse_action_units(text_table(table))


def test_all_missing(planted):
    table = pd.DataFrame({"time": TIME, "AU04": np.nan, "AU06_c": np.nan})
    with pytest.raises(InputError, match=r"^clip.csv: wanted numbers, found every .* missing"):
        parse_action_units(text_table(table))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"wanted a table of action units, found an empty file"),
        ("\n \n", r"wanted a table of action units, found an empty file"),
        ("time,AU04\n", r"wanted one row per frame or trial, found only a header"),
        ("time,AU04\n0.0,1.5\n", r"wanted at least 2 frames, found 1"),
        ("time,valence\n0,1\n", r"wanted columns of action units, .*; found time, valence"),
        ("time,AU04,AU06\n0,1,2\n0.1,1\n", r"row 3 has 2 cells, wanted 3 .* complete\?"),
        ("time,AU04\n0,1\n0.1,1,2\n", r"row 3 has 3 cells, wanted 2"),
    ],
)
def test_torn_and_empty_files(tmp_path, text, message):
    path = write_text(tmp_path / "clip.csv", text)
    with pytest.raises(InputError, match=rf"clip.csv: {message}"):
        read_action_units(path)


def test_unreadable_files(tmp_path, planted):
    with pytest.raises(InputError, match=r"gone.csv: cannot be read as a table"):
        read_action_units(tmp_path / "gone.csv")
    path = tmp_path / "clip.csv.gz"
    content = gzip.compress(openface_table(planted).to_csv(index=False).encode())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"clip.csv.gz: cannot be read as a table"):
        read_action_units(path)


@pytest.mark.parametrize(
    ("values", "scale", "noted"),
    [
        ([0, 0.4, 1, 0.2], "0-1", True),
        ([0, 1, 1, 0], "0-5", True),
        ([0, 0.4, 2, 0.2], "0-5", False),
        (["0", "A", "0", "0"], "0-5", False),
    ],
)
def test_scale_of_coders_tables(values, scale, noted):
    table = text_table(pd.DataFrame({"time": np.arange(4.0), "AU04": values}))
    units = parse_action_units(table)
    assert units.scale == scale
    assert bool(units.notes) == noted
    if scale == "0-1":
        assert parse_action_units(table, ReadingOptions(scale="0-5")).scale == "0-5"
    with pytest.raises(InputError, match="between 0 and 1; found '2'"):
        parse_action_units(
            text_table(pd.DataFrame({"time": [0, 1], "AU04": [0, 2]})), ReadingOptions(scale="0-1")
        )


# ---------------------------------------------------------------- composites


def slow_episodes(present, time, shortest_pause):
    """Walk through the frames; count a new stretch if the pause before it was long enough."""
    count, paused_since, running = 0, None, False
    for now, state in zip(time, present, strict=True):
        if state and not running:
            new = count == 0 or now - paused_since >= shortest_pause
            count += int(new)
        if running and not state:
            paused_since = now
        running = bool(state)
    return count


@pytest.mark.parametrize("pause", [0.0, 0.25, 0.5])
def test_episodes(pause):
    rng = np.random.default_rng(5)
    for _ in range(60):
        n_frames = int(rng.integers(1, 40))
        present = rng.random(n_frames) < rng.random()
        time = np.cumsum(rng.uniform(0.05, 0.2, n_frames))
        assert count_episodes(present, time, pause) == slow_episodes(present, time, pause)


def test_episodes_by_hand():
    time = np.arange(10) / 10
    seen = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 0], bool)
    assert count_episodes(seen, time) == 3
    assert count_episodes(seen, time, 0.15) == 2
    assert count_episodes(~seen, time) == 3
    assert count_episodes(np.zeros(10, bool), time) == 0
    assert count_episodes(np.ones(10, bool), time) == 1


MERGES = MappingProxyType(
    {"AU04": (4,), "AU06_07": (6, 7), "AU09_10": (9, 10), "AU25_26_27": (25, 26)}
)


def slow_frequency_intensity(planted, frames, frequency, pause=0.0):
    """Kunz's and Picard's product, frame by frame, from the planted numbers."""
    total = 0.0
    for members in MERGES.values():
        seen = [any(planted[number][frame] >= 1 for number in members) for frame in frames]
        strong = [
            max(planted[number][frame] for number in members)
            for frame, here in zip(frames, seen, strict=True)
            if here
        ]
        if not strong:
            continue
        often = slow_episodes(seen, TIME[frames], pause)
        often = often if frequency == "episodes" else len(strong) / len(frames)
        total += often * sum(strong) / len(strong)
    return total


def slow_pspi(planted, frame):
    get = {number: values[frame] for number, values in planted.items()}
    eyes = 1 if frame % 20 == 0 else 0
    return get[4] + max(get[6], get[7]) + max(get[9], get[10]) + eyes


ONSETS, DURATIONS = np.array([1.0, 5.0, 12.0, 16.5]), np.array([3.0, 5.0, 2.0, 3.0])
TRIAL_FRAMES = [range(10, 40), range(50, 100), range(120, 140), range(165, 195)]


@pytest.mark.parametrize("frequency", ["episodes", "share"])
@pytest.mark.parametrize("pause", [0.0, 0.35])
def test_frequency_times_intensity(planted, frequency, pause):
    composite = FrequencyIntensity(frequency=frequency, shortest_pause=pause)
    found = score_trials(read_openface(planted), ONSETS, DURATIONS, composite)
    expected = [
        slow_frequency_intensity(planted, list(frames), frequency, pause) for frames in TRIAL_FRAMES
    ]
    np.testing.assert_allclose(found.scores, expected)
    np.testing.assert_allclose(found.valid_share, 1.0)
    assert found.notes == ("clip.csv: there is no AU27, and AU25_26_27 was made of AU25, AU26",)


def test_frequency_times_intensity_by_hand():
    """Two frowns of intensity 2 and 4, one wrinkled nose of 3 for one frame."""
    table = pd.DataFrame(
        {"time": np.arange(10) / 10, "AU04": [0, 2, 2, 0, 0, 4, 4, 0, 0, 0], "AU09": 0, "AU06": 0}
    )
    table.loc[4, "AU09"] = 3
    units = parse_action_units(text_table(table))
    composite = FrequencyIntensity(("AU04", "AU09_10"))
    scored = score_trials(units, np.array([0.0]), np.array([1.0]), composite)
    assert scored.scores[0] == pytest.approx(2 * 3 + 1 * 3)
    composite = FrequencyIntensity(("AU04", "AU09_10"), frequency="share")
    scored = score_trials(units, np.array([0.0]), np.array([1.0]), composite)
    assert scored.scores[0] == pytest.approx(0.4 * 3 + 0.1 * 3)


def test_presence_of_the_table_or_of_a_threshold(planted):
    table = openface_table(planted)
    table[" AU04_c"] = 0
    units = parse_action_units(text_table(table))
    trial = np.array([5.0]), np.array([5.0])
    stated = score_trials(units, *trial, FrequencyIntensity(("AU04",), "share"))
    assert stated.scores[0] == 0
    wanted = planted[4][50:100]
    told = FrequencyIntensity(("AU04",), "share", presence_threshold=2.5)
    assert score_trials(units, *trial, told).scores[0] == pytest.approx(
        np.mean(wanted >= 2.5) * wanted[wanted >= 2.5].mean()
    )


def test_pspi(planted):
    units = read_openface(planted)
    values, notes = pspi(units)
    expected = [slow_pspi(planted, frame) for frame in range(FRAMES)]
    np.testing.assert_allclose(values, expected)
    assert 0 <= values.min() <= values.max() <= 16
    assert len(notes) == 1
    assert "AU45 (blink) stood in" in notes[0]
    found = score_trials(units, ONSETS, DURATIONS, Rowwise(None))
    np.testing.assert_allclose(
        found.scores, [np.mean([expected[frame] for frame in frames]) for frames in TRIAL_FRAMES]
    )
    assert notes[0] in found.notes


def test_pspi_has_its_own_eyes_closed_where_there_is_au43(planted):
    table = openface_table(planted).assign(AU43_c=1)
    values, notes = pspi(parse_action_units(text_table(table)))
    assert notes == ()
    np.testing.assert_allclose(
        values, [slow_pspi(planted, frame) - (frame % 20 == 0) + 1 for frame in range(FRAMES)]
    )


def test_pspi_is_16_at_most_and_au43_counts_once():
    names = ("AU04", "AU06", "AU07", "AU09", "AU10", "AU43")
    table = pd.DataFrame({"time": [0.0, 0.1], **{name: ["E", "0"] for name in names}})
    np.testing.assert_array_equal(pspi(parse_action_units(text_table(table)))[0], [16, 0])


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ((10,), r"clip.csv: pspi wants AU10; there is AU01, AU02, AU04, AU06, AU07, AU09, AU25"),
        ((6, 7), r"pspi wants AU06; there is AU01"),
    ],
)
def test_pspi_without_a_unit(planted, left_out, message):
    kept = {number: values for number, values in planted.items() if number not in left_out}
    with pytest.raises(InputError, match=message):
        pspi(read_openface(kept))


def test_pspi_without_eyes(planted):
    table = openface_table(planted).drop(columns=" AU45_c")
    with pytest.raises(InputError, match=r"pspi wants AU43, or AU45 in its place; there is AU01"):
        pspi(parse_action_units(text_table(table)))


def test_probabilities_need_a_calibration(planted):
    table = text_table(pyfeat_table(planted), "fex.csv")
    units = parse_action_units(table, ReadingOptions(sampling_frequency=RATE))
    with pytest.raises(InputError, match=r"^fex.csv: pspi wants intensities of 0-5.* calibration"):
        pspi(units)
    begins = (0.1, 0.3, 0.5, 0.7, 0.9)
    calibrated = calibrate(units, {"all": begins, "AU04": (0.2, 0.4, 0.6, 0.8, 1.0)})
    for number, first in ((4, 0.2), (6, 0.1)):
        expected = [
            sum(value >= first + 0.2 * step - 1e-12 for step in range(5))
            for value in planted[number] / 5
        ]
        np.testing.assert_array_equal(calibrated.intensity[name_of(number)], expected)
    values, notes = pspi(calibrated)
    assert notes == ()
    assert 0 <= values.min() < values.max() <= 15  # AU43, at 0.25, is an A
    assert "calibration" in calibrated.notes[-1]
    with pytest.raises(InputError, match=r"calibration has no entry for AU01, AU02"):
        calibrate(units, {"AU04": begins})
    assert calibrate(read_openface(planted), {}).scale == "0-5"


def test_composites_of_probabilities_are_allowed_and_use_a_half(planted):
    table = text_table(pyfeat_table(planted))
    units = parse_action_units(table, ReadingOptions(sampling_frequency=RATE))
    found = score_trials(units, ONSETS, DURATIONS, FrequencyIntensity(("AU04",), "share"))
    for score, frames in zip(found.scores, TRIAL_FRAMES, strict=True):
        wanted = planted[4][list(frames)] / 5
        wanted = np.where(wanted >= 0.5, wanted, 0)
        assert score == pytest.approx(wanted.mean())


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("mean", lambda values, times: values.mean()),
        ("max", lambda values, times: values.max()),
        ("share", lambda values, times: np.mean(values > 3)),
        ("episodes", lambda values, times: slow_episodes(values > 3, times, 0.15)),
        ("area", lambda values, times: values.sum() / RATE),
    ],
)
def test_formulas_are_aggregated(planted, aggregation, expected):
    formula = parse_formula("AU4 + max(au06, AU07_r) - 0.5 * AU45_c")
    composite = Rowwise(formula, aggregation, threshold=3.0, shortest_pause=0.15)
    found = score_trials(read_openface(planted), ONSETS, DURATIONS, composite)
    blinks = (np.arange(FRAMES) % 20 == 0).astype(float)
    values = planted[4] + np.maximum(planted[6], planted[7]) - 0.5 * blinks
    wanted = [expected(values[list(frames)], TIME[list(frames)]) for frames in TRIAL_FRAMES]
    np.testing.assert_allclose(found.scores, wanted)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("AU04", lambda a, b, c: a),
        ("-AU04 * (AU06 + 2) / 4", lambda a, b, c: -a * (b + 2) / 4),
        ("mean(AU04, AU06, AU07)", lambda a, b, c: (a + b + c) / 3),
        ("min(AU04, 2.5) - max(AU06, AU07, 1)", lambda a, b, c: min(a, 2.5) - max(b, c, 1)),
        ("AU06_07 - AU04", lambda a, b, c: max(b, c) - a),
        ("max(AU06_07)", lambda a, b, c: max(b, c)),
        ("AU04 / AU06", lambda a, b, c: a / b if b else np.nan),
    ],
)
def test_formulas_are_plain_arithmetic(planted, text, plain):
    units = read_openface(planted)
    found = Rowwise(parse_formula(text)).series(units).values[0]
    expected = [
        plain(*(float(planted[number][frame]) for number in (4, 6, 7))) for frame in range(FRAMES)
    ]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2 + 3",
        "AU04 +",
        "AU04 ** 2",
        "AU04 // 2",
        "AU04 % 2",
        "AU04 @ AU06",
        "+AU04",
        "~AU04",
        "not AU04",
        "AU04 > 1",
        "AU04 and AU06",
        "AU04 if AU06 else AU07",
        "AU04[0]",
        "AU04.real",
        "(AU04, AU06)",
        "[AU04]",
        "'AU04'",
        "AU04 + 'x'",
        "AU04 + 1j",
        "AU04 + True",
        "AU04 + None",
        "AU04 + 1e999",
        "AU04 + 1" + "0" * 400,
        "max()",
        "max(AU04, key=AU06)",
        "max(*AU04)",
        "abs(AU04)",
        "max.real(AU04)",
        "(lambda: AU04)()",
        "__import__('os').system('true')",
        "exec(AU04)",
        "[AU04 for AU04 in AU06]",
        "f'{AU04}'",
        "(AU04 := 1)",
        "AU04; AU06",
        "AU04 = 1",
        "AU04\nAU06",
        "AU04\x00",
        "max",
        "AU04_frequency",
        "AU12_1",
        "brow",
        "pspii",
        "AU04" + " + AU04" * 200,
        "-" * 450 + "AU04",
        "(" * 240 + "AU04" + ")" * 240,
    ],
)
def test_formulas_that_are_refused(text):
    with pytest.raises(RecipeError, match=r"^formula"):
        parse_formula(text)
    with pytest.raises(ValidationError):
        ActionUnitOptions(composite=text)


def test_formula_of_a_unit_that_the_table_lacks(planted):
    with pytest.raises(InputError, match=r"the formula 'AU12 \+ AU04' wants AU12; there is AU01"):
        Rowwise(parse_formula("AU12 + AU04")).series(read_openface(planted))
    with pytest.raises(InputError, match=r"wants AU43; there is .*AU26, AU45_c"):
        Rowwise(parse_formula("AU43_c + AU04")).series(read_openface(planted))


def test_units_that_the_table_lacks(planted):
    with pytest.raises(InputError, match=r"frequency_intensity wants the intensity of AU12"):
        FrequencyIntensity(("AU12",)).series(read_openface(planted))


# ---------------------------------------------------------------- trials


def test_windows_and_lag(planted):
    units = read_openface(planted)
    composite = Rowwise(parse_formula("AU04"))
    shifted = score_trials(units, ONSETS, DURATIONS, composite, window=(0.5, 2.0))
    wanted = [
        planted[4][first + 5 : first + 20].mean()
        for first in (frames[0] for frames in TRIAL_FRAMES)
    ]
    np.testing.assert_allclose(shifted.scores, wanted)
    # A table whose clock starts 100 s after the run, trials on the run's clock.
    late = score_trials(units, ONSETS + 100, DURATIONS, composite, window=(0.5, 2.0), lag=100.0)
    np.testing.assert_allclose(late.scores, shifted.scores)
    before = score_trials(units, ONSETS, DURATIONS, composite, window=(-1.0, 0.0))
    assert before.scores[0] == pytest.approx(planted[4][:10].mean())


def test_order_of_trials_does_not_matter(planted):
    units, order = read_openface(planted), [2, 0, 3, 1]
    straight = score_trials(units, ONSETS, DURATIONS, FrequencyIntensity())
    shuffled = score_trials(units, ONSETS[order], DURATIONS[order], FrequencyIntensity())
    np.testing.assert_array_equal(straight.scores[order], shuffled.scores)


def test_frames_that_cannot_be_used_are_left_out(planted):
    table = openface_table(planted)
    table.loc[10:19, " success"] = 0
    # OpenFace writes zeros where it lost the face.
    table.loc[10:19, [f" {name_of(number)}_r" for number in NUMBERS]] = 0
    table.loc[50:59, " confidence"] = 0.5
    table.loc[60:89, " AU06_r"] = np.nan
    units = parse_action_units(text_table(table))
    composite = Rowwise(parse_formula("AU04 + AU06"))
    found = score_trials(units, ONSETS, DURATIONS, composite)
    total = planted[4] + planted[6]
    np.testing.assert_allclose(found.valid_share, [2 / 3, 0.2, 1, 1])
    np.testing.assert_allclose(
        found.scores,
        [total[20:40].mean(), np.nan, total[120:140].mean(), total[165:195].mean()],
    )
    assert any("50 of 200 frames were not usable" in note for note in found.notes)
    assert any("1 of 4 trials have no score, as less than 50 %" in note for note in found.notes)
    lenient = score_trials(
        units, ONSETS, DURATIONS, composite, minimum_confidence=0.4, smallest_share=0.2
    )
    assert lenient.scores[1] == pytest.approx(total[[*range(50, 60), *range(90, 100)]].mean())
    # A unit that a composite does not need costs no frame.
    assert score_trials(units, ONSETS, DURATIONS, Rowwise(parse_formula("AU04"))).valid_share[
        1
    ] == pytest.approx(0.8)


def test_no_usable_frame(planted):
    units = parse_action_units(text_table(openface_table(planted).assign(**{" confidence": 0.3})))
    with pytest.raises(InputError, match=r"clip.csv: wanted frames with .* at least 0.8 .* 0 of"):
        score_trials(units, ONSETS, DURATIONS, FrequencyIntensity())


def test_table_that_does_not_cover_the_trials(planted):
    units = read_openface(planted)
    message = r"clip.csv: wanted frames during the trials, from 301.000 to 319.500 s; found .* 20.0"
    with pytest.raises(InputError, match=message):
        score_trials(units, ONSETS + 300, DURATIONS, FrequencyIntensity())
    # A camera that stopped early costs the last trials only.
    partly = score_trials(units, ONSETS + 7, DURATIONS, FrequencyIntensity(), smallest_share=0.6)
    assert list(np.isnan(partly.scores)) == [False, False, True, True]
    np.testing.assert_allclose(partly.valid_share, [1, 1, 0.5, 0])


def test_trial_without_a_window(planted):
    units = read_openface(planted)
    with pytest.raises(InputError, match=r"window of trial 2, from 5.000 to 5.000 s, is empty"):
        score_trials(units, ONSETS, np.array([3.0, 0, 2, 3]), FrequencyIntensity())
    assert score_trials(units, np.empty(0), np.empty(0), FrequencyIntensity()).scores.size == 0


def test_tables_without_confidence_say_so(tmp_path, planted):
    path, _ = physio_files(tmp_path, planted, StartTime=0)
    found = score_trials(read_action_units(path), ONSETS, DURATIONS, FrequencyIntensity())
    expected = [slow_frequency_intensity(planted, list(f), "episodes") for f in TRIAL_FRAMES]
    np.testing.assert_allclose(found.scores, expected)
    assert any("no confidence is given" in note for note in found.notes)


def coded(**changes):
    return parse_action_units(text_table(coded_trials_table().assign(**changes), "coded.tsv"))


def test_scores_of_coded_trials():
    # 2 x C + 1 x E; 3 x B + 1 x A; 1 x A + 2 x D (AU10 rather than AU9); nothing
    expected = np.array([2 * 3 + 5, 3 * 2 + 1, 1 + 2 * 4, 0])
    onsets = np.array([30.02, 10.0, 70.0, 50.0])
    found = score_trials(coded(), onsets, np.full(4, 5.0), FrequencyIntensity())
    np.testing.assert_array_equal(found.scores, expected[[1, 0, 3, 2]])
    np.testing.assert_array_equal(found.valid_share, 1)
    assert any("AU09, AU10 were coded apart, and of AU09_10 the larger" in n for n in found.notes)
    # 3 x A of one member and 1 x E of the other: neither their sum nor 3 x E.
    mixed = coded(AU9_frequency=3, AU9_intensity="A", AU10_frequency=1, AU10_intensity="E")
    nose = score_trials(mixed, onsets, np.full(4, 5.0), FrequencyIntensity(("AU09_10",)))
    np.testing.assert_array_equal(nose.scores, 5)
    late = score_trials(coded(), onsets + 3, np.full(4, 5.0), FrequencyIntensity(), lag=3.0)
    np.testing.assert_array_equal(late.scores, found.scores)


def test_coded_trials_by_number_or_by_order():
    table = coded_trials_table().drop(columns="onset")
    durations, onsets = np.full(5, 5.0), np.arange(5) * 20.0
    numbered = parse_action_units(text_table(table.assign(trial=[1, 2, 4, 5])))
    found = score_trials(numbered, onsets, durations, FrequencyIntensity())
    np.testing.assert_array_equal(found.scores, [11, 7, np.nan, 9, 0])
    assert "1 of 5 trials have no score in the table" in found.notes[-1]
    with pytest.raises(InputError, match=r"of the 4 trials, found trial 5"):
        score_trials(numbered, onsets[:4], durations[:4], FrequencyIntensity())
    in_order = parse_action_units(text_table(table))
    found = score_trials(in_order, onsets[:4], durations[:4], FrequencyIntensity())
    np.testing.assert_array_equal(found.scores, [11, 7, 9, 0])
    with pytest.raises(InputError, match=r"one row for each of the 5 trials; found 4 rows"):
        score_trials(in_order, onsets, durations, FrequencyIntensity())


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ([0, 1, 2, 3], r"trial in row 2 has to be the number .* from 1; found '0'"),
        ([1, 2, 2, 3], r"trial in row 4 has to be above that of the row before; found '2'"),
        ([1, 2.5, 3, 4], r"trial in row 3 .* found '2.5'"),
    ],
)
def test_numbers_of_coded_trials(trial, message):
    with pytest.raises(InputError, match=message):
        coded(trial=trial)


def test_coded_trials_that_do_not_fit():
    durations = np.full(2, 5.0)
    with pytest.raises(InputError, match=r"wanted the onsets of the trials, 500.000 to 520.000 s"):
        score_trials(coded(), np.array([500.0, 520.0]), durations, FrequencyIntensity())
    with pytest.raises(InputError, match=r"one row per trial, found one for two trials"):
        score_trials(coded(), np.array([10.0, 10.05]), durations, FrequencyIntensity())
    with pytest.raises(InputError, match=r"wants the frequency and intensity of AU12; there is"):
        score_trials(coded(), np.array([10.0, 30]), durations, FrequencyIntensity(("AU12",)))
    counts = coded_trials_table()[["onset", "AU4_frequency"]]
    with pytest.raises(InputError, match=r"wants the frequency and intensity of AU04; there is no"):
        score_trials(
            parse_action_units(text_table(counts)),
            np.array([10.0, 30]),
            durations,
            FrequencyIntensity(),
        )
    with pytest.raises(InputError, match=r"AU4_frequency in row 3 has to be at least 0"):
        coded(AU4_frequency=[0, -1, 0, 0])


def test_formulas_of_coded_trials():
    onsets, durations = np.array([10.0, 30.0, 50.0, 70.0]), np.full(4, 5.0)
    formula = parse_formula("AU04 + AU06_07")
    found = score_trials(coded(), onsets, durations, Rowwise(formula))
    np.testing.assert_array_equal(found.scores, [8, np.nan, np.nan, 0])
    with pytest.raises(InputError, match=r"table of frames, of which episodes is taken"):
        score_trials(coded(), onsets, durations, Rowwise(formula, "episodes"))
    closed = score_trials(coded(AU43_c=[1, 0, 0, 1]), onsets, durations, Rowwise(None))
    np.testing.assert_array_equal(closed.scores, [9, np.nan, np.nan, 1])


# ---------------------------------------------------------------- options


def test_options_do_what_they_say(tmp_path, planted):
    table = openface_table(planted, rate=1000.0)
    table.loc[165:194, " confidence"] = 0.6
    path = write_csv(tmp_path / "clip.csv", table)
    options = ActionUnitOptions(
        composite="AU04 + max(AU06, AU07)",
        aggregation="share",
        threshold=2.0,
        window=(0.5, 2.0),
        lag=3.0,
        minimum_confidence=0.5,
        sampling_frequency=RATE,
    )
    units = read_units(path, options)
    found = score_by_options(units, ONSETS + 3, DURATIONS, options)
    total = planted[4] + np.maximum(planted[6], planted[7])
    wanted = [np.mean(total[frames[0] + 5 : frames[0] + 20] > 2) for frames in TRIAL_FRAMES]
    np.testing.assert_allclose(found.scores, wanted)
    strict = options.model_copy(update={"minimum_confidence": 0.8})
    assert np.isnan(score_by_options(units, ONSETS + 3, DURATIONS, strict).scores[3])


def test_default_options_are_those_of_the_publications(planted):
    options = ActionUnitOptions()
    assert build_composite(options) == FrequencyIntensity(PAIN_UNITS)
    found = score_by_options(read_openface(planted), ONSETS, DURATIONS, options)
    expected = [slow_frequency_intensity(planted, list(f), "episodes") for f in TRIAL_FRAMES]
    np.testing.assert_allclose(found.scores, expected)
    assert build_composite(ActionUnitOptions(composite="pspi")) == Rowwise(None)


def test_options_pass_everything_on(tmp_path, planted):
    options = ActionUnitOptions(
        units=("AU4", "au6_7"),
        frequency="share",
        presence_threshold=2.0,
        shortest_pause=0.3,
        calibration={"all": (0.1, 0.3, 0.5, 0.7, 0.9), "AU4": (0.2, 0.4, 0.6, 0.8, 0.95)},
        sampling_frequency=RATE,
        longest_gap=3.0,
    )
    assert build_composite(options) == FrequencyIntensity(("AU04", "AU06_07"), "share", 2.0, 0.3)
    kept = np.delete(np.arange(FRAMES), range(20, 40))
    path = write_csv(tmp_path / "fex.csv", pyfeat_table(planted).iloc[kept])
    units = read_units(path, options)
    assert isinstance(units, ActionUnits)
    assert (units.scale, len(units.time)) == ("0-5", 180)
    with pytest.raises(InputError, match="frames are missing"):
        read_units(path, options.model_copy(update={"longest_gap": 1.0}))
    plain = write_csv(tmp_path / "coded.csv", pd.DataFrame({"time": TIME, "AU04": planted[4] / 5}))
    assert read_units(plain, ActionUnitOptions()).scale == "0-1"
    assert read_units(plain, ActionUnitOptions(scale="0-5")).scale == "0-5"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"composite": "pspii"}, "neither frequency_intensity nor pspi nor a formula"),
        ({"units": ()}, "at least 1 item"),
        ({"units": ("brow",)}, "'brow' is no action unit, such as AU04"),
        ({"units": ("AU04_c",)}, "'AU04_c' is no action unit"),
        ({"units": ("AU06", "AU06_07")}, "no action unit may count twice"),
        ({"units": (67,)}, "valid string"),
        ({"window": (2.0, 2.0)}, "end after it begins"),
        ({"minimum_confidence": 80}, "less than or equal to 1"),
        ({"smallest_share": -0.1}, "greater than or equal to 0"),
        ({"sampling_frequency": 0}, "greater than 0"),
        ({"calibration": {"all": (0.1, 0.3, 0.2, 0.7, 0.9)}}, "five ascending numbers"),
        ({"calibration": {}}, "five ascending numbers"),
        ({"calibration": {"every": (0.1, 0.2, 0.3, 0.4, 0.5)}}, "'every' is no action unit"),
        ({"aggregation": "median"}, "'mean', 'max', 'share', 'episodes' or 'area'"),
        ({"threshhold": 1.0}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        ActionUnitOptions(**values)


def test_every_option_is_described():
    properties = ActionUnitOptions.model_json_schema()["properties"]
    assert all(entry.get("description") for entry in properties.values())
