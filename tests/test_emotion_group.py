"""The group level with few participants, few runs, and whatever can be held out of them."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

pytest.importorskip("torch")

from test_emotion_gathering import AFFINE, stored_participant, volumes_table

from bidsface.analysis import Grid, Voxels
from bidsface.errors import InputError
from bidsface_emotion_cnn import group
from bidsface_emotion_cnn.fold_plan import plan_folds
from bidsface_emotion_cnn.gathering import volume_table
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.tools import Tools

QUICK = {
    "training": {"network": "emotion-cnn-small", "epochs": 1, "batch_size": 16},
    "occlusion": None,
    "embedding": None,
    "shifts": 9,
    "bootstraps": 100,
}
FILM = {"source": "annotations", "files": ["a.csv"], "shift": 0}


def people(n_people, n_runs, n_per_run=12, classes=("FEAR", "LOVE")):
    """Return participants whose runs have every class, two seconds after two seconds."""
    rng = np.random.default_rng(3)
    grid = Grid((8, 8, 8), AFFINE, "MNI152NLin2009cAsym")
    voxels = Voxels(grid, np.arange(512))
    labels = list(classes) * (n_per_run // len(classes)) * n_runs
    segments = np.repeat([str(run + 1) for run in range(n_runs)], n_per_run)
    table = volumes_table(labels, segments)
    table["time"] = np.tile(2.0 * np.arange(n_per_run), n_runs)
    return [
        stored_participant(
            f"{number + 1:02d}", rng.standard_normal((512, len(table))), table, grid, voxels
        )
        for number in range(n_people)
    ]


def seed(*keys):
    return np.random.SeedSequence([len(key) for key in keys])


def plan(participants, **options):
    return plan_folds(volume_table(participants), EmotionOptions(**QUICK, **options), seed)


def analyse(participants, folder, **options):
    tools = Tools(seed, lambda function, items: [function(item) for item in items], print, "cpu")
    return group.analyse_group(participants, EmotionOptions(**QUICK, **options), tools, folder)


def table_of(results, suffix, contrast=None):
    (found,) = (
        one.frame
        for one in results.tables
        if one.suffix == suffix and one.entities.get("contrast") == contrast
    )
    return found


@pytest.mark.parametrize(("n_people", "n_folds"), [(3, 3), (4, 4), (5, 5), (8, 5)])
def test_defaults_divide_any_number_of_participants(n_people, n_folds):
    found = plan(people(n_people, 3))
    assert {scheme: len(folds) for scheme, folds in found.folds.items()} == {
        "runs": 3,
        "participants": n_folds,
        "random": 1,
    }
    assert found.notes == ()


def test_folds_that_are_not_named_keep_their_default():
    assert EmotionOptions(folds={"random": 4}).folds == {
        "runs": None,
        "participants": None,
        "random": 4,
    }
    assert len(plan(people(4, 3), folds={"random": 2}).folds["participants"]) == 4
    for wrong, text in (
        ({"runs": 1}, "runs wants 2 or more, found 1"),
        ({"random": 0}, "random wants 1 or more, found 0"),
    ):
        with pytest.raises(ValidationError, match=text):
            EmotionOptions(folds=wrong)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        EmotionOptions(shifts=0)


def test_one_participant_is_analysed(tmp_path):
    found = analyse(people(1, 3), tmp_path)
    scores = table_of(found, "scores")
    assert set(scores["scheme"]) == {"runs", "random"}
    assert set(scores["estimator"]) == {"network", "logistic"}
    (warning,) = (text for text in found.warnings if text.startswith("schemes:"))
    assert "held out by participants (a split by participants needs at least 3 of them" in warning
    assert any("with one participant it cannot be told" in text for text in found.highlights)
    audit = table_of(found, "comparisons", "leakage")
    assert set(audit["scheme_a"]) == {"random"}
    assert not audit["excessive"].any()
    # Of three segments, one is trained on; the audit's random split has no more.
    assert set(audit["n_train_b"]) == {12}
    assert (audit["n_train_a"] <= 12).all()
    assert "trained again on as many" in found.methods
    assert len(found.models) == 3


def test_a_film_of_one_run_is_analysed(tmp_path):
    found = analyse(people(3, 1), tmp_path, labels=FILM)
    assert set(table_of(found, "scores")["scheme"]) == {"participants", "random"}
    (warning,) = (text for text in found.warnings if text.startswith("schemes:"))
    assert "held out by runs (a split by runs needs at least 3 of them" in warning
    assert "found 1" in warning
    # Networks are those of the first scheme that is left.
    assert [model.entities["contrast"] for model in found.models] == [
        "participants1",
        "participants2",
        "participants3",
    ]


def test_classes_in_too_few_segments_leave_a_scheme_out():
    participants = people(3, 3)
    table = volume_table(participants)
    table.loc[table["segment"] != "1", "trial_type"] = "FEAR"
    found = plan_folds(table, EmotionOptions(**QUICK), seed)
    assert list(found.folds) == ["participants", "random"]
    assert "nothing was held out by runs (fold 1:" in found.notes[0]
    assert "class LOVE" in found.notes[0]


def test_the_random_split_alone_says_nothing():
    found = plan(people(1, 1))
    assert list(found.folds) == ["random"]
    assert found.audited == found.folds
    assert "these scores say nothing" in found.notes[-1]
    assert plan(people(1, 1), schemes=["random"]).notes == ()


def test_nothing_to_hold_out_is_said_before_volumes_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(group, "gather", None)
    with pytest.raises(
        InputError, match=r"^schemes: nothing can be held out, not by runs \(a"
    ) as no:
        analyse(people(2, 2), tmp_path, schemes=["runs", "participants"])
    assert not list(tmp_path.iterdir())
    assert "nor by participants (a split by participants needs at least 3" in str(no.value)


SEGMENTS = [{"start": 40.0 * run, "end": 40.0 * run + 48} for run in range(4)]


def test_neighbours_across_borders_of_segments_are_not_trained_on():
    participants = people(3, 4, 24)
    table = volume_table(participants)
    film = 40 * (table["segment"].astype(int) - 1) + table["time"]
    labels = {**FILM, "shift": 4, "segments": SEGMENTS}
    found = plan_folds(table, EmotionOptions(**QUICK, labels=labels), seed)
    plain = plan_folds(table, EmotionOptions(**QUICK), seed)
    for own, whole in zip(found.folds["runs"], plain.folds["runs"], strict=True):
        np.testing.assert_array_equal(own.test, whole.test)
        for part in ("train", "validation"):
            rows, every = getattr(own, part), getattr(whole, part)
            away = np.abs(film.to_numpy()[every][:, None] - film.to_numpy()[own.test]).min(axis=1)
            np.testing.assert_array_equal(rows, every[away > 10])
    # Participants and volumes at random have the same film in all parts anyhow.
    np.testing.assert_array_equal(found.folds["random"][0].train, plain.folds["random"][0].train)


def test_segments_may_be_too_short_for_that():
    table = volume_table(people(3, 4, 4))
    segments = [{"start": 8.0 * run, "end": 8.0 * run + 8} for run in range(4)]
    options = EmotionOptions(**QUICK, labels={**FILM, "segments": segments})
    found = plan_folds(table, options, seed)
    assert list(found.folds) == ["participants", "random"]
    assert "and what borders on the test part, nothing is left to train on" in found.notes[0]


def test_another_segment_validates_where_a_border_takes_a_class_away():
    # Four segments of 100 s; class C is in the last 10 s of the first one, and in the third.
    frames = []
    for run in range(4):
        time = np.arange(0, 100, 2.0)
        kind = np.where(np.arange(50) % 2, "A", "B").astype(object)
        if run == 0:
            kind[-5:] = "C"
        if run == 2:
            kind[10:15] = "C"
        frames.append(pd.DataFrame({"segment": str(run), "time": time + 4, "trial_type": kind}))
    table = pd.concat(frames, ignore_index=True).assign(participant_id="01")
    segments = [
        {"start": 100.0 * run, "end": 100.0 * run + 100, "run": str(run)} for run in range(4)
    ]
    options = EmotionOptions(**QUICK, labels={**FILM, "shift": 4, "segments": segments})
    found = plan_folds(table, options, seed)
    held_out = found.folds["runs"][1]  # it borders on the first segment
    codes = pd.Categorical(table["trial_type"]).codes
    assert set(codes[held_out.train]) == {0, 1, 2}
    assert set(table["segment"].iloc[held_out.validation]) != {"2"}


def test_the_overlap_knows_the_time_in_the_film(tmp_path):
    participants = people(3, 4, 24)
    labels = {**FILM, "segments": SEGMENTS}
    found = analyse(participants, tmp_path, labels=labels, baseline=False, schemes=["runs"])
    (known,) = (
        one for one in found.summaries if one.title == "What was known of the tested volumes"
    )
    assert known.frame.set_index("split").loc["film segments held out", "either"] == "0 (0 %)"
    assert "within 10 s of the film" in found.methods
