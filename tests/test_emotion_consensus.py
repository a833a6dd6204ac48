"""The consensus of observers, and the analysis that reports it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from decoding_study import store
from emotion_observers import (
    FILM_SEGMENTS,
    TR,
    MemoryParticipant,
    make_run,
    published_consensus,
    published_labels,
    random_observers,
    write_observers,
)
from matplotlib.figure import Figure as Drawing

from bidsface.analysis import Results
from bidsface.derivatives.tables import check_columns
from bidsface.errors import InputError, RecipeError
from bidsface_emotion_cnn.agreement import krippendorff_alpha
from bidsface_emotion_cnn.annotation_files import read_observers
from bidsface_emotion_cnn.consensus import (
    NONE,
    balanced_selection,
    class_counts,
    consensus,
    covering_rows,
    frequent_classes,
    grid_length,
    observer_labels,
    of_choosers,
    restricted,
)
from bidsface_emotion_cnn.consensus_analysis import Consensus, ConsensusOptions
from bidsface_emotion_cnn.consensus_figures import (
    COLOURS,
    OTHER,
    Strip,
    colours,
    strip_figure,
    timeline_figure,
)
from bidsface_emotion_cnn.film_labels import film_labels
from bidsface_emotion_cnn.label_options import LabelOptions, annotation_paths

SEED = np.random.SeedSequence(5)

COUNTS = {
    **{"FEAR": 236, "SADNESS": 235, "HAPPINESS": 206, "ANGERRAGE": 143, "LOVE": 78},
    **{"DISAPPOINTMENT": 25, "ADMIRATION": 18, "CONTEMPT": 12, "PRIDE": 11, "COMPASSION": 10},
    **{"SHAME": 10, "REMORSE": 9, "GLOATING": 6, "GRATITUDE": 4, "RELIEF": 3, "HATE": 2},
    "HOPE": 2,
}
"""Volumes of 2 s that five of the nine observers of Labs et al. (2015) agree on."""


def labels_of(tables, repetition_time):
    """Our labels of observers and their consensus, as names."""
    named = [[row for row in rows if row[2].strip()] for rows in tables]
    ends = np.array([row[1] for rows in named for row in rows])
    n_volumes = grid_length(ends, repetition_time)
    names = sorted({row[2] for rows in named for row in rows})
    codes = np.array(
        [
            observer_labels(
                np.array([row[0] for row in rows]),
                np.array([row[1] for row in rows]),
                np.array([names.index(row[2]) for row in rows]),
                n_volumes,
                repetition_time,
            )
            for rows in named
        ]
    )
    return codes, names


def as_names(codes, names):
    return [None if code == NONE else names[code] for code in codes]


@pytest.mark.parametrize("repetition_time", [2.0, 1.5, 0.75])
@pytest.mark.parametrize("whole", [True, False])
def test_labels_equal_the_published_rule(repetition_time, whole):
    for seed in range(4):
        tables = random_observers(seed, whole=whole)
        expected = published_labels(tables, repetition_time)
        codes, names = labels_of(tables, repetition_time)
        assert [as_names(own, names) for own in codes] == expected
        for threshold in (1, 2, 3):
            found = consensus(codes, threshold, len(names))
            assert as_names(found.labels, names) == published_consensus(expected, threshold)


def test_rows_cover_what_they_touch_and_later_ones_overwrite():
    starts, ends = np.array([0.0, 3.0, 3.0, 8.0]), np.array([10.0, 5.0, 4.0, 8.0])
    rows = covering_rows(starts, ends, 5, 2.0)
    np.testing.assert_array_equal(rows, [0, 2, 1, 0, 0])
    # An edge that rounding puts just beside a volume's edge is that edge.
    np.testing.assert_array_equal(
        covering_rows(np.array([0.3]), np.array([0.7]), 9, 0.1), [NONE] * 3 + [0] * 4 + [NONE] * 2
    )
    assert grid_length(np.array([1.1, 0.7]), 0.1) == 11
    assert not len(covering_rows(starts[:0], ends[:0], 0, 2.0))
    np.testing.assert_array_equal(
        observer_labels(starts[:0], ends[:0], np.empty(0, np.int64), 2, 2.0), [NONE, NONE]
    )


def test_planted_agreement_is_found():
    """Volume v is labelled 1 by v of nine observers; the others note different things, or none."""
    codes = np.full((9, 10), NONE)
    for volume in range(10):
        codes[:volume, volume] = 1
    codes[8, :9] = 0
    found = consensus(codes, 5, 3)
    np.testing.assert_array_equal(found.labels, [NONE] * 5 + [1] * 5)
    np.testing.assert_array_equal(found.leading, [0, 0, *[1] * 8])
    np.testing.assert_array_equal(found.votes, [1, 1, *range(2, 10)])
    np.testing.assert_array_equal(found.voters, [1, 2, 3, 4, 5, 6, 7, 8, 9, 9])
    np.testing.assert_array_equal(found.tied, [False, True, *[False] * 8])
    assert class_counts(codes, 3)[6].tolist() == [1, 6, 0]


def test_ties_go_by_alphabet_or_are_dropped():
    codes = np.array([[2, 1, 0, NONE], [1, 1, 0, NONE], [2, 0, 1, NONE], [1, 0, 1, NONE]])
    np.testing.assert_array_equal(consensus(codes, 2, 3).labels, [1, 0, 0, NONE])
    np.testing.assert_array_equal(consensus(codes, 2, 3, "drop").labels, [NONE] * 4)
    np.testing.assert_array_equal(consensus(codes[:3], 2, 3, "drop").labels, [2, 1, 0, NONE])
    # Nobody's vote is no vote, however low the threshold.
    assert consensus(codes, 0, 3).labels[3] == NONE


def test_ratings_are_of_those_who_chose_the_label():
    codes = np.array([[0, 1, NONE], [0, 0, NONE], [1, 1, 1]])
    values = np.array([[1.0, -1.0, 1.0], [0.0, 1.0, 1.0], [-1.0, np.nan, 1.0]])
    found = of_choosers(codes, values, np.array([0, 1, NONE]))
    np.testing.assert_array_equal(found, [0.5, -1.0, np.nan])


def test_as_many_volumes_are_drawn_of_every_class():
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 4, size=400)
    codes[codes == 3] = NONE
    codes[:5] = 3
    drawn = balanced_selection(codes, 30, SEED)
    assert Counter(codes[drawn].tolist()) == {0: 30, 1: 30, 2: 30, 3: 5}
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, balanced_selection(codes, 30, SEED))
    assert drawn.tolist() != balanced_selection(codes, 30, np.random.SeedSequence(6)).tolist()
    np.testing.assert_array_equal(
        balanced_selection(codes, None, SEED), np.flatnonzero(codes != NONE)
    )
    # A class does not depend on the others.
    fewer = np.where(codes == 1, NONE, codes)
    kept = balanced_selection(fewer, 30, SEED)
    np.testing.assert_array_equal(kept, drawn[codes[drawn] != 1])
    assert not len(balanced_selection(np.full(3, NONE), 2, SEED))
    # Nor do two classes share their draw.
    halves = balanced_selection(np.repeat([0, 1], 50), 20, SEED)
    assert (halves[:20] + 50).tolist() != halves[20:].tolist()


def test_every_volume_of_a_class_can_be_drawn():
    codes = np.zeros(20, np.int64)
    times = np.zeros(20)
    for seed in range(400):
        times[balanced_selection(codes, 5, np.random.SeedSequence(seed))] += 1
    assert times.min() > 60
    assert times.max() < 140


def test_rare_and_unwanted_classes_are_left_out():
    codes = np.array([0, 0, 1, NONE, 2, 2, 2])
    enough = frequent_classes(codes, 2, 4)
    np.testing.assert_array_equal(enough, [True, False, True, False])
    np.testing.assert_array_equal(restricted(codes, enough), [0, 0, NONE, NONE, 2, 2, 2])


@pytest.fixture
def observers(tmp_path):
    """Nine observers of 400 s: fear and love in turn, noted by seven, and noise."""
    rng = np.random.default_rng(4)
    tables = []
    for number in range(9):
        rows = [
            (start + rng.integers(2), start + 18, ("FEAR", "LOVE", "A B")[start // 20 % 3])
            for start in range(0, 400, 20)
            if rng.random() < 0.8
        ]
        if number < 2:
            rows = [(start, end, str(rng.choice(["FEAR", "LOVE"]))) for start, end, _ in rows]
        tables.append([*rows, (390, 395, "")])
    return write_observers(tmp_path / "annotations", tables)


SEGMENTS = [{"start": 0, "end": 216}, {"start": 200, "end": 400}]


def options_of(pattern, bootstraps=50, block=40.0, **labels):
    labels = {"source": "annotations", "files": [pattern], "segments": SEGMENTS, **labels}
    content = {"labels": labels, "bootstraps": bootstraps, "block": block}
    return ConsensusOptions.model_validate(content)


def person(label="01", runs=(1, 2)):
    return MemoryParticipant(label, {"film": [make_run(n, n_volumes=110) for n in runs]})


def rows_of(options):
    return [
        list(zip(one.starts, one.ends, one.emotions, strict=True))
        for one in read_observers(annotation_paths(options), options.columns)
    ]


def the_table(results, suffix):
    (found,) = [item for item in results.tables if item.suffix == suffix]
    check_columns(found.frame, found.columns, suffix)
    return found.frame


def test_participants_get_the_labels_of_the_film(observers):
    options = options_of(observers, columns={"arousal": None})
    analysis = Consensus("consensus", 0)
    results = analysis.participant(person(), options)
    assert results.methods.startswith(f"{len(rows_of(options.labels))} observers had noted")
    frame = the_table(results, "labels")
    assert set(frame["trial_type"]) == {"FEAR", "LOVE", "A B"}
    assert set(frame["task_name"]) == {"film"}
    expected = published_consensus(published_labels(rows_of(options.labels), TR), 5)
    found = dict(zip(frame["film_volume"], frame["trial_type"], strict=True))
    assert found == {v: name for v, name in enumerate(expected) if name is not None}
    assert (frame["votes"] >= 5).all()
    assert (frame["votes_share"] == frame["votes"] / 9).all()
    (figure,) = results.figures
    assert isinstance(figure.draw, Drawing)
    (summary,) = results.summaries
    assert summary.frame["Volumes"].sum() == len(frame)
    assert {"labs2015", "hanke2016"} <= set(results.citations)
    assert list(results.tables[0].entities) == ["task"]
    assert not results.warnings


def test_a_run_without_segment_is_reported_and_the_others_are_labelled(observers):
    results = Consensus("consensus", 0).participant(person(runs=(2, 3)), options_of(observers))
    assert set(the_table(results, "labels")["block"]) == {"task-film_run-2"}
    (note,) = results.warnings
    assert "task-film_run-3" in note
    assert "segments are of run 1, 2" in note
    with pytest.raises(InputError, match=r"^no volume has a label; task-film_run-3"):
        Consensus("consensus", 0).participant(person(runs=(3,)), options_of(observers))


def test_group_measures_agreement(observers):
    options = options_of(observers)
    analysis = Consensus("consensus", 0)
    stored = [store(label, analysis.participant(person(label), options)) for label in ("01", "02")]
    results = analysis.group(stored, options)
    frame = the_table(results, "agreement")
    assert frame["scope"].tolist() == ["presence", "all", *["emotion"] * 3]
    labels = published_labels(rows_of(options.labels), TR)
    noted = np.array([[label is not None for label in own] for own in labels]).astype(np.int64)
    assert frame["alpha"][0] == pytest.approx(krippendorff_alpha(noted, 2))
    assert frame["n"][0] == len(labels[0])
    total = frame.iloc[1]
    assert 0.4 < total["ci_low"] < total["alpha"] < total["ci_high"] < 1
    emotions = frame[frame["scope"] == "emotion"]
    assert total["kept"] == emotions["kept"].sum()
    assert (emotions["kept"] <= emotions["leading"]).all()
    assert (emotions["leading"] <= emotions["volumes"]).all()
    participant = the_table(analysis.participant(person(), options), "labels")
    counts = participant["trial_type"].value_counts()
    assert emotions.set_index("trial_type")["labelled"].to_dict() == counts.to_dict()
    film = the_table(results, "labels")
    assert film["kept"].sum() == total["kept"]
    merged = film[film["used"]].merge(participant, on="film_volume", suffixes=("", "_own"))
    assert (merged["volume_index"] == merged["volume_index_own"]).all()
    assert (merged["segment"] == merged["segment_own"]).all()
    assert len(merged) == len(participant)
    assert {figure.name for figure in results.figures} == {"timeline", "counts"}
    (matrix,) = results.matrices
    assert matrix.frame.shape == (9, 9)
    assert {"hayes2007", "carlstein1986"} <= set(results.citations)
    assert "at least 5 of 9" in results.highlights[0]
    assert any("intervals are too narrow" in note for note in results.warnings)
    again = the_table(analysis.group(stored, options), "agreement")
    pd.testing.assert_frame_equal(frame, again)


def test_group_counts_the_classes_that_are_used(observers):
    options = options_of(observers, classes=["FEAR"], segments=[{"start": 0, "end": 300}])
    analysis = Consensus("consensus", 0)
    results = analysis.group([store("01", analysis.participant(person(), options))], options)
    frame = the_table(results, "agreement").set_index("trial_type")
    assert (frame.loc[["LOVE", "A B"], "kept"] > 0).all()
    assert (frame.loc[["LOVE", "A B"], "used"] == 0).all()
    assert frame.loc["FEAR", "used"] == frame.loc["FEAR", "kept"]
    assert frame.loc["FEAR", "labelled"] < frame.loc["FEAR", "used"]
    film = the_table(results, "labels")
    outside = film["film_time"] >= 300
    assert film["volume_index"].isna().equals(outside)
    assert film["segment"].isna().equals(outside)
    assert set(film.loc[film["used"], "trial_type"]) == {"FEAR"}
    assert any("labelled volumes of the film are in no segment" in one for one in results.warnings)


def test_group_without_labels_says_so(observers):
    nobody = [store("01", Results())]
    results = Consensus("consensus", 0).group(nobody, options_of(observers))
    assert results.warnings == ["no participant has labelled volumes"]


def test_observers_who_agree_on_nothing_make_no_labels(tmp_path):
    tables = random_observers(3, n_observers=9, emotions="ABCDEFGHIJKL")
    pattern = write_observers(tmp_path / "noise", tables)
    options = options_of(pattern, threshold=9)
    with pytest.raises(InputError, match="no volume has a label"):
        Consensus("consensus", 0).participant(person(), options)


def test_one_volume_is_drawn_per_class_and_for_everybody_the_same(observers):
    options = options_of(observers, per_class=7)
    analysis = Consensus("consensus", 3)
    first, second = (the_table(analysis.participant(person(n), options), "labels") for n in "12")
    assert set(first["trial_type"].value_counts()) == {7}
    pd.testing.assert_frame_equal(first, second)


def test_agreement_is_refused_where_there_is_one_observer(observers, tmp_path):
    analysis = Consensus("consensus", 0)
    analysis.check(options_of(observers), (), ())
    assert len(analysis.files_used(options_of(observers))) == 9
    assert analysis.regions_used(options_of(observers)) == ()
    with pytest.raises(RecipeError, match=r"labels\.source: .* wanted annotations .* found events"):
        analysis.check(ConsensusOptions(labels=LabelOptions()), (), ())
    one = write_observers(tmp_path / "one", [[(0, 2, "LOVE")]])
    with pytest.raises(RecipeError, match="at least 2 observers, found 1"):
        analysis.check(options_of(one), (), ())
    with pytest.raises(RecipeError, match=r"labels\.threshold: 10"):
        analysis.check(options_of(observers, threshold=10), (), ())


def test_more_classes_than_colours_are_grey():
    assert len(set(COLOURS)) == len(COLOURS) == 17
    assert colours(19) == (*COLOURS, OTHER, OTHER)
    strip = Strip("a", np.array([NONE, 0, 1, 2, 5]), 2.0)
    figure = strip_figure([strip], ["A", "B"], "time (s)")
    (image,) = figure.axes[0].images
    pixels = np.round(np.asarray(image.get_array())[0] * 255).astype(int)
    assert pixels[0].tolist() == [255, 255, 255]
    assert pixels[3].tolist() == pixels[4].tolist() == [0xC9, 0xCD, 0xD2]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["A", "B", "another label"]
    long = replace(strip, codes=np.zeros(2000, np.int64))
    lines = timeline_figure([long, strip], ["A"], "time (s)").axes
    assert [len(axes.images) for axes in lines] == [2, 1, 1]


@pytest.mark.shared_data
def test_labels_of_the_studyforrest_film(shared_data):
    folder = shared_data / "studyforrest-emotions"
    options = LabelOptions(source="annotations", files=(str(folder / "*.csv"),), threshold=5)
    observers = read_observers(annotation_paths(options), options.columns)
    film = film_labels(observers, options, 2.0)
    assert film.codes.shape == (9, 3526)
    found = dict(zip(film.classes, film.count(film.found.labels).tolist(), strict=True))
    assert {name: count for name, count in found.items() if count} == COUNTS
    assert sum(COUNTS.values()) == 1010
    assert not (film.found.tied & (film.found.labels != NONE)).any()
    expected = published_consensus(published_labels(rows_of(options), 2.0), 5)
    assert as_names(film.found.labels, film.classes) == expected
    # The classes that the publication used.
    frequent = film_labels(observers, options.model_copy(update={"minimum": 70}), 2.0)
    assert set(frequent.names) == {"", "FEAR", "SADNESS", "HAPPINESS", "ANGERRAGE", "LOVE"}


@pytest.mark.shared_data
def test_the_film_in_eight_runs_from_annotations_to_the_group(shared_data):
    folder = shared_data / "studyforrest-emotions"
    labels = {
        "source": "annotations",
        "files": [str(folder / "*.csv")],
        "segments": [{"start": start, "end": end} for start, end in FILM_SEGMENTS],
        "columns": {"valence": "valence", "arousal": "arousal"},
        "shift": 0.0,
    }
    options = ConsensusOptions.model_validate({"labels": labels, "bootstraps": 50})
    runs = [
        make_run(number, n_volumes=(end - start) // 2)
        for number, (start, end) in enumerate(FILM_SEGMENTS, start=1)
    ]
    analysis = Consensus("consensus", 0)
    results = analysis.participant(MemoryParticipant("01", {"film": runs}), options)
    frame = the_table(results, "labels")
    # Every second of the film is shown and without a delay none is lost or seen twice.
    assert frame["film_volume"].is_unique
    assert frame["trial_type"].value_counts().to_dict() == COUNTS
    assert frame["block"].nunique() == 8
    group = the_table(analysis.group([store("01", results)], options), "agreement")
    total = group.set_index("scope").loc["all"]
    assert 0.3 < total["ci_low"] < total["alpha"] < total["ci_high"] < 0.8
    rated = group.set_index("trial_type")
    assert rated.loc["FEAR", "valence"] < -0.5
    assert rated.loc["HAPPINESS", "valence"] > 0.5
    assert rated.loc["ANGERRAGE", "arousal"] > rated.loc["SADNESS", "arousal"]
