"""Labels of volumes: which part of a film a run shows, and events, delayed and overlapping."""

import math

import numpy as np
import pytest
from emotion_observers import (
    FILM_SEGMENTS,
    TR,
    make_events,
    make_run,
    published_consensus,
    published_labels,
    random_observers,
    write_observers,
)

from bidsface.errors import InputError
from bidsface_emotion_cnn.consensus_text import CITATIONS, citations_of, label_methods
from bidsface_emotion_cnn.film_labels import film_labels
from bidsface_emotion_cnn.film_runs import segment_of
from bidsface_emotion_cnn.label_options import LabelOptions
from bidsface_emotion_cnn.segments import locate, owners, shown_volumes
from bidsface_emotion_cnn.volume_labels import label_runs, label_volumes, read_label_sources

SEED = np.random.SeedSequence(2)
STARTS, ENDS = np.array(FILM_SEGMENTS, dtype=float).T


def plain_owner(middle, starts, ends):
    """The segment whose nearer edge is farther; None where none shows that time."""
    best, found = -1.0, None
    for segment, (start, end) in enumerate(zip(starts, ends, strict=True)):
        depth = min(middle - start, end - middle)
        if start <= middle < end and depth > best:
            best, found = depth, segment
    return found


@pytest.mark.parametrize("interval", [2.0, 1.3])
def test_every_volume_of_the_film_is_in_one_segment(interval):
    n_volumes = int(7086 / interval)
    found = owners(n_volumes, interval, STARTS, ENDS)
    expected = [plain_owner((v + 0.5) * interval, STARTS, ENDS) for v in range(n_volumes)]
    assert found.tolist() == expected
    assert (np.diff(found) >= 0).all()
    assert set(found) == set(range(8))


def test_overlaps_are_split_in_the_middle_and_gaps_belong_to_nobody():
    found = owners(3600, 2.0, STARTS, ENDS)
    assert np.flatnonzero(found == 0)[-1] * 2.0 == 892  # of the overlap from 886 to 902
    assert np.flatnonzero(found == 1)[0] * 2.0 == 894
    assert (found[3543:] == -1).all()
    gap = owners(10, 1.0, np.array([0.0, 6.0]), np.array([3.0, 8.0]))
    assert gap.tolist() == [0, 0, 0, -1, -1, -1, 1, 1, -1, -1]
    three = owners(6, 1.0, np.array([0.0, 1.0, 2.0]), np.array([6.0, 6.0, 6.0]))
    assert three.tolist() == [0] * 6


def test_runs_and_film_have_each_their_clock():
    for segment, (start, end) in enumerate(FILM_SEGMENTS):
        n_volumes = int((end - start) / TR) + 3
        for shift, begin in ((0.0, 0.0), (4.0, 0.0), (4.0, 1.0)):
            times = begin + TR * np.arange(n_volumes)
            film = shown_volumes(times, start, end, TR, shift)
            late = int(shift / TR)
            first, last = start // 2, end // 2 - 1
            assert film[:late].tolist() == [-1] * late
            assert film[late] == first
            assert film.max() == last
            own = np.flatnonzero((film >= 0) & (owners(3600, TR, STARTS, ENDS)[film] == segment))
            where = locate((film[own] + 0.5) * TR, STARTS, ENDS, TR, shift)
            np.testing.assert_array_equal(where[0], segment)
            np.testing.assert_array_equal(where[1], own)
    outside = locate(np.array([7086.0, 8000.0, 0.0]), STARTS, ENDS, TR)
    assert [list(found) for found in outside] == [[-1, -1, 0], [-1, -1, 0]]
    assert not len(locate(np.empty(0), STARTS, ENDS, TR)[0])


def test_edges_between_volumes_of_the_grid_are_respected():
    """A run that starts within a volume of the grid has not shown its first part."""
    starts, ends = np.array([3.0]), np.array([9.0])
    film = shown_volumes(0.5 * np.arange(14), 3.0, 9.0, 2.0, 0.0)
    assert film.tolist() == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, -1, -1]
    segments, volumes = locate(np.array([2.5, 3.5, 8.5, 9.5]), starts, ends, 2.0)
    assert segments.tolist() == [-1, 0, -1, -1]  # the middle of the last volume is not shown
    assert volumes.tolist() == [-1, 0, -1, -1]
    longer = locate(np.array([9.4, 9.7]), starts, np.array([9.5]), 2.0)
    assert [list(found) for found in longer] == [[0, -1], [3, -1]]


def labelled(run, **given):
    return label_volumes(run, LabelOptions.model_validate(given)).frame


def test_events_label_what_follows_them_after_the_delay():
    run = make_run(events=make_events((0, 4, "JOY"), (10, 6, "FEAR")))
    frame = labelled(run, shift=4.0)
    assert frame["volume_index"].tolist() == [2, 3, 7, 8, 9]
    assert frame["time"].tolist() == [4.0, 6.0, 14.0, 16.0, 18.0]
    assert frame["trial_type"].tolist() == ["JOY", "JOY", "FEAR", "FEAR", "FEAR"]
    assert set(frame["block"]) == set(frame["segment"]) == {"task-film_run-1"}
    assert labelled(run, shift=0.0)["volume_index"].tolist() == [0, 1, 5, 6, 7]
    # Volumes are acquired in the middle of the interval that fMRIPrep corrects slices to.
    assert labelled(make_run(events=run.events, begin=1.0))["volume_index"].tolist() == [
        *(2, 3, 7, 8, 9)
    ]
    # Rounded onsets are those of the volumes.
    early = make_run(events=make_events((3.9999, 4, "JOY"), (10.0004, 4, "FEAR")))
    assert labelled(early, shift=0)["volume_index"].tolist() == [2, 3, 5, 6]


def test_later_events_win_and_other_classes_label_nothing():
    run = make_run(events=make_events((0, 20, "JOY"), (4, 4, "FEAR"), (6, 6, "LOVE")))
    frame = labelled(run, shift=0)
    expected = ["JOY"] * 2 + ["FEAR"] + ["LOVE"] * 3 + ["JOY"] * 4
    assert frame["trial_type"].tolist() == expected
    kept = labelled(run, shift=0, classes=["JOY", "LOVE"])
    assert kept["volume_index"].tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    assert "FEAR" not in set(kept["trial_type"])


def test_volumes_that_are_left_out_keep_their_numbers():
    kept = np.ones(20, bool)
    kept[[0, 1, 6]] = False
    run = make_run(events=make_events((8, 8, "JOY")), kept=kept)
    frame = labelled(run)
    assert frame["volume_index"].tolist() == [7, 8, 9]
    assert frame["kept_index"].tolist() == [4, 5, 6]
    np.testing.assert_array_equal(run.times[frame["kept_index"]], frame["time"])


def test_events_without_duration_are_reported():
    run = make_run(events=make_events((0, 0, "JOY"), (10, 4, "FEAR")))
    found = label_volumes(run, LabelOptions())
    assert found.frame["trial_type"].tolist() == ["FEAR", "FEAR"]
    assert found.notes == ("task-film_run-1: 1 events of duration 0 label no volume",)
    nothing = make_run(events=make_events((0, 0, "JOY")))
    with pytest.raises(InputError, match=r"no volume has a label; task-film_run-1: 1 events"):
        label_runs([nothing], LabelOptions(), (), SEED)


def test_classes_that_no_run_has_are_told():
    first = make_run(1, events=make_events((0, 8, "JOY"), (10, 6, "FEAR")))
    second = make_run(2, events=make_events((0, 8, "LOVE")))
    found = label_runs([first, second], LabelOptions(classes=["JOY", "LOVE", "FAER"]), (), SEED)
    assert found.notes == (
        "labels.classes: no event of the runs is FAER; there are FEAR, JOY, LOVE",
    )
    assert label_runs([first, second], LabelOptions(classes=["JOY"]), (), SEED).notes == ()
    with pytest.raises(
        InputError, match=r"no volume has a label; labels\.classes: no event .* Joy"
    ):
        label_runs([first], LabelOptions(classes=["Joy"]), (), SEED)


def test_rare_classes_of_events_are_left_out_and_others_drawn():
    first = make_run(1, events=make_events((0, 8, "JOY"), (10, 6, "FEAR")))
    second = make_run(2, events=make_events((0, 8, "JOY"), (10, 2, "LOVE"), (20, 6, "FEAR")))
    found = label_runs([first, second], LabelOptions(minimum=2, per_class=7), (), SEED)
    assert found.frame["trial_type"].value_counts().to_dict() == {"JOY": 7, "FEAR": 6}
    assert found.notes == (
        "fewer than 2 volumes, left out: LOVE",
        "FEAR: 6 volumes, and not 7, were there to draw",
    )
    enough = label_runs([first, second], LabelOptions(minimum=2, per_class=6), (), SEED)
    assert enough.notes == found.notes[:1]
    everything = label_runs([first, second], LabelOptions(), (), SEED)
    assert len(everything.frame) == 15
    assert everything.frame["segment"].nunique() == 2
    with pytest.raises(InputError, match="no volume with a label is left; fewer than 99"):
        label_runs([first], LabelOptions(minimum=99), (), SEED)


@pytest.fixture
def film(tmp_path):
    """Five observers of 220 s, and the file pattern of their tables."""
    tables = random_observers(7, n_rows=25)
    return tables, write_observers(tmp_path / "film", tables)


EDGES = [(0, 90), (80, 170), (150, 230)]


def film_options(pattern, edges=EDGES, **given):
    segments = [{"start": start, "end": end} for start, end in edges]
    content = {"source": "annotations", "files": [pattern], "threshold": 2, "segments": segments}
    return LabelOptions.model_validate({**content, **given})


def plain_film_labels(tables, options, run, segment, repetition_time):
    """Label a run's volumes one by one: the film's time, its volume, whose it is, its label."""
    labels = published_consensus(published_labels(tables, repetition_time), options.threshold)
    starts, ends = zip(*EDGES, strict=True)
    found = {}
    for time in run.times:
        film_time = starts[segment] + time - options.shift
        volume = math.floor(film_time / repetition_time)
        if not starts[segment] <= film_time < ends[segment] or volume >= len(labels):
            continue
        if plain_owner((volume + 0.5) * repetition_time, starts, ends) != segment:
            continue
        if labels[volume] is not None:
            found[float(time)] = (volume, labels[volume])
    return found


@pytest.mark.parametrize(("interval", "grid"), [(2.0, None), (1.25, 2.0), (2.0, 1.5)])
def test_labels_of_a_film_equal_a_plain_implementation(film, interval, grid):
    tables, pattern = film
    options = film_options(pattern, shift=3.0, repetition_time=grid)
    sources = read_label_sources(options)
    seen = []
    for segment, (start, end) in enumerate(EDGES):
        run = make_run(segment + 1, int((end - start) / interval) + 4, interval)
        frame = label_volumes(run, options, sources).frame
        expected = plain_film_labels(tables, options, run, segment, grid or interval)
        pairs = zip(frame["film_volume"].tolist(), frame["trial_type"], strict=True)
        assert dict(zip(frame["time"].tolist(), pairs, strict=True)) == expected
        assert set(frame["segment"]) == {str(segment + 1)}
        seen.append(set(frame["film_volume"]))
    assert all(len(own) > 5 for own in seen)
    assert not seen[0] & seen[1] | seen[1] & seen[2] | seen[0] & seen[2]


def test_votes_stand_beside_the_labels(film):
    tables, pattern = film
    options = film_options(pattern, shift=0.0)
    frame = label_volumes(make_run(1, 45), options, read_label_sources(options)).frame
    labels = published_labels(tables, TR)
    for row in frame.itertuples():
        own = [observer[row.film_volume] for observer in labels]
        assert row.votes == own.count(row.trial_type)
        assert row.voters == sum(label is not None for label in own)
        assert row.votes_share == row.votes / 5
    assert set(frame["label_duration"]) == {TR}
    assert "valence" not in frame


def test_segments_belong_to_runs_by_number_or_name(film):
    options = film_options(film[1])
    found = [segment_of({"task": "film", "run": run}, options) for run in ("1", "02", "3", "4")]
    assert found == [0, 1, 2, None]
    assert segment_of({"task": "film"}, options) is None
    assert segment_of({"task": "film"}, film_options(film[1], [(0, 90)])) == 0
    assert segment_of({"task": "film"}, film_options(film[1], [])) == 0
    names = ["ses-1_run-1", "ses-2_run-1", "b"]
    named = [
        {"start": start, "end": end, "run": name}
        for (start, end), name in zip(EDGES, names, strict=True)
    ]
    options = film_options(film[1], segments=named)
    assert segment_of({"ses": "2", "run": "01"}, options) == 1
    assert segment_of({"ses": "1", "run": "1"}, options) == 0
    assert segment_of({"ses": "1", "run": "2"}, options) is None
    assert segment_of({"run": "b"}, options) == 2


def test_a_participant_who_lacks_a_run_keeps_the_segments_of_the_others(film):
    options = film_options(film[1])
    sources = read_label_sources(options)
    whole = label_runs([make_run(n, 50) for n in (1, 2, 3)], options, sources, SEED)
    part = label_runs([make_run(n, 50) for n in (1, 3)], options, sources, SEED)
    expected = whole.frame[whole.frame["segment"] != "2"]
    assert part.frame.equals(expected.reset_index(drop=True))
    more = label_runs([make_run(n, 50) for n in (1, 9)], options, sources, SEED)
    assert any("task-film_run-9: labels.segments names no part" in note for note in more.notes)


def test_a_film_in_several_runs_needs_segments(film):
    options = film_options(film[1], [])
    sources = read_label_sources(options)
    with pytest.raises(InputError, match=r"2 runs .* labels\.segments does not say"):
        label_runs([make_run(1), make_run(2)], options, sources, SEED)
    alone = label_runs([make_run(None, 115)], options, sources, SEED)
    labels = published_consensus(published_labels(film[0], TR), 2)
    expected = [v for v, name in enumerate(labels) if name is not None]
    assert alone.frame["film_volume"].tolist() == expected
    np.testing.assert_array_equal(alone.frame["time"], alone.frame["film_time"] + 4.0)


def test_runs_that_divide_a_film_differently_are_refused(film):
    options = film_options(film[1])
    sources = read_label_sources(options)
    runs = [make_run(1, 50), make_run(2, 40, 2.5)]
    message = (
        r"differ \(2 s in task-film_run-1, 2.5 s in task-film_run-2\).* labels\.repetition_time"
    )
    with pytest.raises(InputError, match=message):
        label_runs(runs, options, sources, SEED)
    label_runs([runs[0], make_run(2, 40, 2.001)], options, sources, SEED)
    divided = film_options(film[1], repetition_time=2.0)
    label_runs(runs, divided, sources, SEED)


@pytest.mark.parametrize(
    ("first", "second"),
    [({"task": "film"}, {"task": "localizer"}), ({"ses": "1"}, {"ses": "2"}), ({}, {"run": "02"})],
)
def test_two_runs_do_not_show_one_segment(film, first, second):
    options = film_options(film[1])
    runs = [
        make_run(2, 50, entities=first),
        make_run(1, 50, entities=first),
        make_run(2, 50, entities=second),
    ]
    names = f"{runs[0].block} and {runs[2].block}"
    with pytest.raises(InputError, match=rf"^{names} would both .* run 2; .* tasks, .*ses-2_run-1"):
        label_runs(runs, options, read_label_sources(options), SEED)
    # Runs that are named in full are told apart.
    named = film_options(film[1], segments=[{"start": 0, "end": 90, "run": "ses-2_run-2"}])
    if "ses" in second:
        found = label_runs(runs, named, read_label_sources(named), SEED)
        assert set(found.frame["block"]) == {runs[2].block}


def test_tasks_that_show_the_same_film_are_named(film):
    options = film_options(film[1])
    runs = [make_run(1, 50), make_run(2, 50, task="rest")]
    notes = label_runs(runs, options, read_label_sources(options), SEED).notes
    assert "tasks film, rest are all taken to show the film; option tasks chooses" in notes


def test_emotions_are_chosen_after_the_vote(film):
    tables, pattern = film
    options = film_options(pattern, classes=["A", "B"], minimum=15)
    found = film_labels(read_label_sources(options), options, TR)
    everything = published_consensus(published_labels(tables, TR), 2)
    counts = {name: everything.count(name) for name in ("A", "B")}
    assert min(counts.values()) < 15 <= max(counts.values())  # else this tests nothing
    expected = [name if counts.get(name, 0) >= 15 else "" for name in everything]
    assert found.names.tolist() == expected
    notes = label_volumes(make_run(1, 50), options, read_label_sources(options)).notes
    assert notes[0].startswith("fewer than 15 volumes of the film, left out: ")
    unknown = film_options(pattern, classes=["A", "Z"])
    with pytest.raises(InputError, match=r"no observer noted Z; they noted A, A B, B, C"):
        label_volumes(make_run(1), unknown, read_label_sources(unknown))


def test_annotations_that_do_not_last_are_refused(tmp_path):
    pattern = write_observers(tmp_path / "short", [[(0, 0, "A")], [(0, 0, "B")]])
    options = film_options(pattern)
    with pytest.raises(InputError, match=r"observer1\.csv: wanted annotations that last"):
        label_volumes(make_run(), options, read_label_sources(options))


def test_events_need_no_files():
    assert read_label_sources(LabelOptions()) == ()


def test_methods_say_what_was_done(film):
    events = label_methods(LabelOptions(shift=3.0, per_class=70, minimum=5, classes=("JOY",)))
    for part in ("3 s", "70 volumes", "fewer than 5", "JOY", "later one counted"):
        assert part in events
    assert citations_of(events) == {}
    text = label_methods(film_options(film[1], ties="drop"))
    for part in ("at least 2 observers", "3 runs", "4 s later", "equally frequent emotions were"):
        assert part in text
    assert set(citations_of(text)) == {"labs2015", "hanke2016"}
    for entry in CITATIONS.values():
        assert entry.count("{") == entry.count("}")
