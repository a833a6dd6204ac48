"""Functional regions: thresholds on group maps that the participant has no part in."""

import numpy as np
import pytest
from glm_study import ACTIVE, BRAIN, GRID, N_VOXELS, effect_maps, store
from pydantic import ValidationError

from bidsface.analysis import Map, Results
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles
from bidsface_glm.analysis import Glm
from bidsface_glm.functional import FunctionalRegion
from bidsface_glm.options import GlmOptions

SOURCE = FunctionalRegion()


def region(label, group, **given):
    """Columns of the brain that a region of a participant has."""
    options = FunctionalRegion.Options.model_validate({"analysis": "activation", **given})
    files = ParticipantFiles(label=label, runs=())
    mask = SOURCE.masks(files, GRID, options, {"activation": group})
    assert mask.shape == GRID.shape
    assert mask.dtype == bool
    assert not np.delete(mask.ravel(), BRAIN.index).any()
    return np.flatnonzero(mask.ravel()[BRAIN.index])


def t_map(values, task, contrast="all", volumes=()):
    return Map(
        "t", np.asarray(values, float), BRAIN, {"task": task, "contrast": contrast}, "", volumes
    )


def toy_group():
    """Group maps of two participants, a and b, with values that tell where they come from."""
    display, observe = np.zeros(N_VOXELS), np.zeros(N_VOXELS)
    display[10:20], observe[15:25] = 2.5, 3.5
    display[30], observe[30] = 2.0, 3.0  # not above the thresholds
    without = {
        task: np.stack([np.roll(values, 100), np.roll(values, 200)], axis=1)
        for task, values in (("display", display), ("observe", observe))
    }
    volumes = ("sub-a", "sub-b")
    maps = [
        t_map(display, "display"),
        t_map(observe, "observe"),
        *(t_map(values, task, "allLeaveOneOut", volumes) for task, values in without.items()),
        t_map(np.full(N_VOXELS, 9.0), "display", "joy"),
        Map("z", np.full(N_VOXELS, 9.0), BRAIN, {"task": "display", "contrast": "all"}, ""),
    ]
    return store("group", Results(maps=maps))


BOTH = {"maps": {"display": 2.0, "observe": 3.0}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"maps": {"display": 2.0}}, range(10, 20)),
        ({"maps": {"display": 2.6}}, ()),
        (BOTH, range(10, 25)),
        ({**BOTH, "combine": "intersection"}, range(15, 20)),
        ({"maps": [{"task": "display", "threshold": 2.0}]}, range(10, 20)),
        (
            {
                "maps": [
                    {"task": "display", "threshold": 2.0, "contrast": "joy"},
                    {"task": "observe", "threshold": 3.0},
                ],
                "combine": "intersection",
            },
            range(15, 25),
        ),
    ],
)
def test_regions_are_where_t_exceeds_thresholds(given, expected):
    found = region("a", toy_group(), **given, leave_one_out=False)
    assert found.tolist() == list(expected)


@pytest.mark.parametrize(("label", "shift"), [("a", 100), ("b", 200)])
def test_own_data_are_left_out(label, shift):
    found = region(label, toy_group(), **BOTH)
    assert found.tolist() == list(range(10 + shift, 25 + shift))
    found = region(label, toy_group(), **BOTH, combine="intersection")
    assert found.tolist() == list(range(15 + shift, 20 + shift))


def test_who_was_not_in_the_group_gets_the_map_of_all():
    assert region("c", toy_group(), **BOTH).tolist() == list(range(10, 25))


def test_maps_that_are_missing_are_named():
    with pytest.raises(
        InputError, match=r"activation has no map of t of contrast fear in task dis"
    ):
        region("a", toy_group(), maps={"display": 2.0}, contrast="fear")
    with pytest.raises(InputError, match=r"in task rest; it has .*display/all, .*observe/all"):
        region("a", toy_group(), maps={"rest": 2.0})
    with pytest.raises(InputError, match=r"joyLeaveOneOut.*three participants at least"):
        region("a", toy_group(), maps={"display": 2.0}, contrast="joy")
    options = FunctionalRegion.Options(analysis="activation", maps={"display": 2.0})
    with pytest.raises(InputError, match="run participant and group with --analysis activation"):
        SOURCE.masks(ParticipantFiles(label="a", runs=()), GRID, options, {})


@pytest.mark.parametrize(
    "wrong",
    [{"maps": {}}, {"maps": {"display": -1.0}}, {"maps": {"display": 2.0}, "combine": "sum"}, {}],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValidationError):
        FunctionalRegion.Options.model_validate({"analysis": "activation", **wrong})


def test_region_says_what_it_needs_and_is():
    options = FunctionalRegion.Options(analysis="activation", **BOTH)
    assert SOURCE.requires(options) == ("activation",)
    text = SOURCE.describe(options)
    assert "display (all) t > 2, observe (all) t > 3, union" in text
    assert "without the participant" in text
    circular = options.model_copy(update={"leave_one_out": False})
    assert "of all participants" in SOURCE.describe(circular)


def group_of(effects):
    labels = [f"{number:02d}" for number in range(1, len(effects) + 1)]
    options = GlmOptions(corrections=())
    return store("group", Glm("activation", 0).group(effect_maps(effects, labels=labels), options))


def test_poisoned_participant_does_not_change_its_own_region():
    rng = np.random.default_rng(0)
    effects = rng.standard_normal((8, N_VOXELS))
    effects[:, ACTIVE] += 2.0
    poisoned = effects.copy()
    poisoned[2] = 1e5 * rng.standard_normal(N_VOXELS)
    clean, spoilt = group_of(effects), group_of(poisoned)
    given = {"maps": {"display": 2.0}}
    own = region("03", clean, **given)
    assert np.isin(ACTIVE, own).mean() > 0.9
    np.testing.assert_array_equal(own, region("03", spoilt, **given))
    assert not np.array_equal(region("04", clean, **given), region("04", spoilt, **given))
    circular = [region("03", group, **given, leave_one_out=False) for group in (clean, spoilt)]
    assert not np.array_equal(*circular)


def test_circular_region_finds_effects_that_are_not_there():
    """In noise, voxels that are chosen with a participant's help have an effect in it."""
    rng = np.random.default_rng(1)
    effects = rng.standard_normal((8, N_VOXELS))
    group = group_of(effects)
    means = {
        independent: np.mean(
            [
                effects[
                    row,
                    region(
                        f"{row + 1:02d}", group, maps={"display": 1.0}, leave_one_out=independent
                    ),
                ].mean()
                for row in range(8)
            ]
        )
        for independent in (True, False)
    }
    assert abs(means[True]) < 0.1
    assert means[False] > 0.3
