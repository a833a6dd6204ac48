"""What the benchmark of the film study takes for success."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def film():
    pytest.importorskip("torch")
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("film_recovery")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def row(film):
    """A seed that found what it should."""
    values = {
        f"{scheme} {name}": 0.3 for scheme in film.SCHEMES for name in ("network", "logistic")
    }
    found = film.Displaced(0.6, 0.03, 0.2, 0.002)
    lucky = film.Displaced(0.1, 0.03, 0.2, 0.3)
    return {
        "seed": 1,
        "planted": {
            **values,
            "random network": 0.6,
            "runs network p": 0.001,
            "seconds": 500.0,
            "dice": dict.fromkeys(film.EMOTIONS, found),
        },
        "shuffled": {
            **values,
            "runs network p": 0.4,
            "seconds": 500.0,
            "dice": dict.fromkeys(film.EMOTIONS, lucky),
        },
    }


def changed(row, part, **given):
    return {**row, part: {**row[part], **given}}


def test_what_is_good(film, row):
    assert film.good(row)
    # No volume of the shuffled study was recognized well enough.
    blank = dict.fromkeys(film.EMOTIONS, film.UNKNOWN)
    assert film.good(changed(row, "shuffled", dice=blank))
    assert "0.60-0.60" in film.section([row])


@pytest.mark.parametrize("part", ["planted", "shuffled"])
def test_what_takes_too_long(film, row, part):
    assert not film.good(changed(row, part, seconds=601.0))


def test_every_emotion_has_to_be_found(film, row):
    first, *_ = film.EMOTIONS
    found = row["planted"]["dice"]
    for one in (film.UNKNOWN, replace(found[first], dice=0.39)):
        for place in film.EMOTIONS:
            assert not film.good(changed(row, "planted", dice={**found, place: one}))
    lucky = {name: replace(one, p=0.5) for name, one in found.items()}
    assert not film.good(changed(row, "planted", dice=lucky))


def test_nothing_may_be_found_with_shuffled_labels(film, row):
    assert not film.good(changed(row, "shuffled", dice=row["planted"]["dice"]))
    assert not film.good(changed(row, "shuffled", **{"runs network p": 0.04}))
    # Not all of them, but more than luck.
    mixed = {**row["shuffled"]["dice"]}
    for name in list(film.EMOTIONS)[:3]:
        mixed[name] = film.Displaced(0.3, 0.03, 0.2, 0.002)
    assert not film.good(changed(row, "shuffled", dice=mixed))


def test_missing_emotions_are_shown(film, row):
    first, *_ = film.EMOTIONS
    dice = {**row["planted"]["dice"], first: film.UNKNOWN}
    text = film.section([changed(row, "planted", dice=dice)])
    assert "| 0.60-0.60, 1 n/a |" in text
    blank = dict.fromkeys(film.EMOTIONS, film.UNKNOWN)
    assert "| 5 n/a | 5 n/a | n/a |" in film.section([changed(row, "shuffled", dice=blank)])


def test_as_many_positions_are_compared_as_a_mask_has_room_for(film):
    grid = film.BoxGrid((9, 9, 9), np.eye(4), 2, 1)
    mask, inside = np.zeros((9, 9, 9), bool), np.ones((9, 9, 9), bool)
    mask[:2, :2, :4] = True  # 16 voxels: two boxes that do not overlap, or three that do
    apart, beside = np.array([0, 2, 4, 6]), np.array([0, 1, 2, 3, 4])
    assert film.as_large(grid, apart, mask, inside).tolist() == [0, 2]
    assert film.as_large(grid, beside, mask, inside).tolist() == [0, 1, 2]
    assert film.as_large(grid, apart[:1], mask, inside).tolist() == [0]
