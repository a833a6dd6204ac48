"""Which image belongs to which event."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from image_study import trial_events
from volumes import write_tsv

from bidsface.errors import InputError
from bidsface.files import Run
from bidsface.participant.pairing import pair_images, plain
from bidsface.recipe import Classes, Images

BY_NAME = Images(derivatives="fitlins", event_column="name")
BY_ORDER = Images(derivatives="fitlins")
BY_CLASS = Images(derivatives="fitlins", events=False)


def named(*labels, entity="contrast"):
    return [Path(f"sub-01_task-pain_run-1_{entity}-{label}_stat-z_statmap.nii") for label in labels]


def run_of(images, events=None, folder=None):
    path = None if events is None else write_tsv(folder / "events.tsv", events)
    entities = {"sub": "01", "task": "pain", "run": "1"}
    return Run(images[0], entities, float("nan"), events=path, images=tuple(images))


def paired(run, images=BY_ORDER, counts=None, **classes):
    return pair_images(run, counts or [1] * len(run.images), images, Classes(**classes))


def test_images_are_paired_by_their_names(tmp_path):
    events = trial_events(5)
    order = [3, 0, 4, 2, 1]
    labels = [f"trial{1 + number}" for number in order]  # without underscore and zeros
    found = paired(run_of(named(*labels), events.sample(frac=1, random_state=0), tmp_path), BY_NAME)
    assert list(found.trial) == order
    assert list(found.events.trials["trial_type"]) == list(events["trial_type"])
    assert list(found.events.rows["name"]) == list(events["name"])


def test_an_image_of_no_class_has_no_trial(tmp_path):
    events = trial_events(4).assign(trial_type=["joy", "catch", "anger", "joy"])
    run = run_of(named("trial1", "trial2", "trial3"), events, tmp_path)
    found = paired(run, BY_NAME, include=("joy", "anger"))
    assert list(found.trial) == [0, -1, 1]
    assert list(found.events.trials["onset"]) == [0.0, 20.0, 30.0]


@pytest.mark.parametrize("counts", [[1, 1, 1, 1], [4]])
def test_images_are_paired_in_order(tmp_path, counts):
    """What is excluded has no image; what is not included has one, which is not used."""
    labels = ["joy", "rest", "catch", "anger", "joy"]
    events = trial_events(5).assign(trial_type=labels)
    images = named(*(f"trial{n}" for n in range(1, 5))) if len(counts) > 1 else named("all")
    run = run_of(images, events.sample(frac=1, random_state=1), tmp_path)
    found = paired(run, counts=counts, include=("joy", "anger"))
    assert list(found.trial) == [0, -1, 1, 2]
    assert list(found.events.trials["trial_type"]) == ["joy", "anger", "joy"]


def test_another_number_of_images_than_events_is_refused(tmp_path):
    run = run_of(named("trial1", "trial2", "trial3"), trial_events(4), tmp_path)
    with pytest.raises(
        InputError, match=r"events\.tsv: 4 events .* 3 images.*trial1_stat"
    ) as error:
        paired(run)
    assert "inputs.images.event_column" in str(error.value)
    with pytest.raises(InputError, match=r"4 events .* 7 images"):
        paired(run, counts=[1, 5, 1])


@pytest.mark.parametrize("labels", [("joy", "anger"), ("joy1", "anger2"), ("trial1", "trial")])
def test_names_that_do_not_count_say_nothing_about_the_order(tmp_path, labels):
    """Alphabetical order is not that of the events: labels would be swapped without a word."""
    run = run_of(named(*labels), trial_events(2), tmp_path)
    with pytest.raises(
        InputError, match=r"contrast labels .* do not number the images.*events.tsv"
    ):
        paired(run)


def test_numbers_alone_count(tmp_path):
    run = run_of(named("1", "2", entity="trial"), trial_events(2), tmp_path)
    images = Images(derivatives="x", entity="trial")
    assert list(paired(run, images).trial) == [0, 1]


@pytest.mark.parametrize(
    ("labels", "events", "message"),
    [
        (("trial1", "trial9"), trial_events(4), r"events\.tsv: 0 of its 4 events have in name.*tr"),
        (
            ("trial1",),
            trial_events(2).assign(name="trial_1"),
            r"2 of its 2 events have in name the",
        ),
        (("trial1", "trial01"), trial_events(2), r"trial1_.* and .*trial01_.*: both are of the ev"),
        (
            ("trial1",),
            trial_events(2)[["onset", "duration", "trial_type"]],
            "no column name, which",
        ),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, labels, events, message):
    run = run_of(named(*labels), events, tmp_path)
    with pytest.raises(InputError, match=message):
        paired(run, BY_NAME)


@pytest.mark.parametrize(
    ("images", "counts", "message"),
    [
        (named("trial1"), [3], "wants one volume named by contrast-, found 3 volumes"),
        (named("1", entity="run"), [1], "found no entity contrast- in its name"),
    ],
)
def test_only_single_volumes_have_a_name(tmp_path, images, counts, message):
    run = run_of(images, trial_events(3), tmp_path)
    with pytest.raises(InputError, match=message):
        paired(run, BY_NAME, counts)


def test_classes_of_names():
    found = paired(run_of(named("joy", "anger", "rest")), BY_CLASS)
    assert list(found.trial) == [0, 1, -1]
    assert list(found.events.trials["trial_type"]) == ["joy", "anger"]
    assert found.events.trials["onset"].isna().all()
    assert list(found.events.rows["contrast"]) == ["joy", "anger"]
    assert dict(found.events.left_out) == {"rest": 1}


def test_classes_of_series_and_of_another_entity():
    found = paired(run_of(named("joy", "anger")), BY_CLASS, [2, 1], column="contrast")
    assert list(found.events.trials["trial_type"]) == ["joy", "joy", "anger"]
    unnamed = run_of([Path("sub-01_task-pain_stat-z_statmap.nii")])
    found = paired(unnamed, BY_CLASS, [3])
    assert list(found.events.trials["trial_type"]) == ["image"] * 3
    with pytest.raises(
        InputError, match=r"no entity hue- in the names .* there are: sub, task, stat"
    ):
        paired(unnamed, BY_CLASS, [3], column="hue")


@pytest.mark.parametrize(
    ("first", "second"),
    [("trial_003", "trial3"), ("Face-Joy", "faceJoy"), ("3.0", "003"), ("n_2b", "n2b")],
)
def test_labels_that_are_the_same(first, second):
    assert plain(first) == plain(second)


@pytest.mark.parametrize(("first", "second"), [("trial1", "trial10"), ("a", "b"), ("10", "1.0")])
def test_labels_that_are_not(first, second):
    assert plain(first) != plain(second)


def test_every_row_keeps_its_own_image(tmp_path):
    """Against the plain reading of the rule, on shuffled files and events."""
    rng = np.random.default_rng(5)
    events = trial_events(30, seed=2)
    chosen = rng.permutation(30)[:20]
    labels = [f"trial{n + 1:04d}" for n in chosen]
    shuffled = events.sample(frac=1, random_state=3)
    found = paired(run_of(named(*labels), shuffled, tmp_path), BY_NAME, include=("joy",))
    trials = found.events.trials
    for label, row in zip(labels, found.trial, strict=True):
        event = events[events["name"] == f"trial_{int(label[5:]):03d}"].iloc[0]
        expected = event["onset"] if event["trial_type"] == "joy" else None
        assert (None if row < 0 else trials["onset"].iloc[row]) == expected
    assert isinstance(trials, pd.DataFrame)
