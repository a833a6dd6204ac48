"""Positions of a box: where they are, what they cover, which matter most, how well they agree."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage, stats

from bidsface.analysis import Grid
from bidsface.anatomy import UNLABELLED, Atlas
from bidsface.errors import InputError
from bidsface.results import StoredMap, StoredResults
from bidsface_emotion_cnn.anatomical_names import (
    OWN_SPACES,
    atlas_of,
    commonest_names,
    position_names,
)
from bidsface_emotion_cnn.position_overlap import chance_dice, dice, displaced_dice
from bidsface_emotion_cnn.positions import BoxGrid, most_affected_class, top_positions

TURN = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
AFFINE = np.array([[-3.0, 0, 0, 10], [0, 3.0, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]]) @ TURN
SHAPES = [
    ((6, 5, 7), 2, 2, False),
    ((6, 5, 7), 2, 2, True),
    ((6, 5, 7), (3, 2, 1), (1, 2, 3), False),
    ((6, 5, 7), (3, 2, 1), (2, 3, 3), True),
    ((2, 2, 2), 2, 2, True),
]


def boxes(grid):
    """The voxels of every box, plainly."""
    found = []
    for number in range(grid.n_positions):
        corner = np.array(np.unravel_index(number, grid.grid_shape)) * grid.steps
        ranges = [
            range(first, min(first + edge, length))
            for first, edge, length in zip(corner, grid.edges, grid.shape, strict=True)
        ]
        mask = np.zeros(grid.shape, bool)
        mask[np.ix_(*ranges)] = True
        found.append(mask)
    return found


@pytest.fixture(params=SHAPES, ids=str)
def grid(request):
    shape, box, stride, padded = request.param
    return BoxGrid(shape, AFFINE, box, stride, padded)


def test_number_of_positions():
    assert BoxGrid((80, 80, 35), np.eye(4)).grid_shape == (40, 40, 17)
    assert BoxGrid((80, 80, 35), np.eye(4)).n_positions == 27_200
    assert BoxGrid((80, 80, 35), np.eye(4), padded=True).grid_shape == (40, 40, 18)
    assert BoxGrid((80, 80, 35), np.eye(4), padded=True).covered(np.arange(28_800)).all()
    assert not BoxGrid((80, 80, 35), np.eye(4)).covered(np.arange(27_200))[..., -1].any()


def test_centres_are_those_of_the_voxels_covered(grid):
    expected = []
    for mask in boxes(grid):
        middle = np.argwhere(mask).mean(axis=0)
        expected.append(AFFINE[:3, :3] @ middle + AFFINE[:3, 3])
    np.testing.assert_allclose(grid.centres_mm, expected, atol=1e-12)
    assert grid.index.shape == grid.grid_shape
    where = grid.index[tuple(np.array(grid.grid_shape) - 1)]
    np.testing.assert_allclose(grid.centres_mm[where], expected[-1], atol=1e-12)


def test_boxes_that_touch_the_brain(grid):
    mask = np.random.default_rng(1).random(grid.shape) < 0.1
    expected = [np.count_nonzero(box & mask) for box in boxes(grid)]
    np.testing.assert_array_equal(grid.counts(mask), expected)
    np.testing.assert_array_equal(grid.inside(mask), np.array(expected) > 0)


def test_what_boxes_cover(grid):
    chosen = np.random.default_rng(2).random(grid.n_positions) < 0.4
    masks = [box for box, kept in zip(boxes(grid), chosen, strict=True) if kept]
    expected = np.any(masks, axis=0) if masks else np.zeros(grid.shape, bool)
    np.testing.assert_array_equal(grid.covered(np.flatnonzero(chosen)), expected)


def test_values_of_boxes_are_averaged_over_the_voxels(grid):
    values = np.random.default_rng(3).standard_normal(grid.n_positions)
    masks = np.array(boxes(grid))
    with np.errstate(invalid="ignore"):
        expected = np.tensordot(values, masks, 1) / masks.sum(axis=0)
    np.testing.assert_allclose(grid.spread(values), expected, atol=1e-12)


def test_voxels_of_a_box_in_mm(grid):
    masks = boxes(grid)
    for number in (0, grid.n_positions - 1):
        places = np.argwhere(masks[number]) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
        found = grid.voxels_mm(np.array([number]))[0]
        assert found.shape == (np.prod(grid.edges), 3)
        np.testing.assert_allclose(
            np.unique(found.round(9), axis=0), np.unique(places.round(9), axis=0), atol=1e-8
        )


def test_maps_are_flattened_in_the_order_of_positions():
    grid = BoxGrid((6, 4, 8), np.eye(4))
    maps = np.arange(2 * 24).reshape(2, 3, 2, 4)
    np.testing.assert_array_equal(grid.flatten(maps)[:, grid.index[2, 1, 3]], maps[:, 2, 1, 3])
    with pytest.raises(ValueError, match="positions expected"):
        grid.flatten(maps[:, :2])


def test_a_padded_box_may_lie_wholly_behind_the_end():
    grid = BoxGrid((7, 7, 7), np.eye(4), 1, 4, padded=True)
    assert grid.grid_shape == (3, 3, 3)
    assert grid.inside(np.ones(grid.shape, bool)).sum() == 8
    assert grid.covered(np.arange(27)).sum() == 8
    assert np.count_nonzero(np.isfinite(grid.spread(np.ones(27)))) == 8


def test_boxes_without_a_place_are_refused():
    with pytest.raises(InputError, match=r"box of 2 x 2 x 8 voxels does not fit .* 6 x 4 x 7"):
        BoxGrid((6, 4, 7), np.eye(4), (2, 2, 8))
    with pytest.raises(InputError, match="at least one voxel"):
        BoxGrid((6, 4, 7), np.eye(4), 2, 0)


# --- what matters most


def test_top_positions_are_the_largest_drops():
    maps = np.array([[-0.1, 0.5, -0.3, -0.2, 0.0], [-1.0, -2.0, np.nan, -2.0, -2.0]])
    first, second = top_positions(maps, 3)
    assert first.tolist() == [2, 3, 0]
    assert second.tolist() == [1, 3, 4]  # equal drops: by number
    inside = np.array([True, False, True, True, True])
    first, second = top_positions(maps, 2, inside)
    assert (first.tolist(), second.tolist()) == ([2, 3], [3, 4])
    assert [len(top) for top in top_positions(maps, 500)] == [3, 4]


def test_most_affected_class():
    maps = np.array([[-0.1, 0.2, np.nan, -0.5, 0.0], [-0.2, 0.1, -0.1, -0.5, 0.0]])
    assert most_affected_class(maps).tolist() == [1, -1, 1, 0, -1]


# --- agreement with a region


def region(shape, first, last):
    mask = np.zeros(shape, bool)
    mask[first:last, first:last, first:last] = True
    return mask


def test_dice_by_hand():
    grid = BoxGrid((8, 8, 8), np.eye(4))
    truth = region(grid.shape, 2, 4)  # exactly the box at (1, 1, 1)
    assert dice(grid, np.array([grid.index[1, 1, 1]]), truth) == 1.0
    assert dice(grid, np.array([grid.index[0, 0, 0]]), truth) == 0.0
    assert dice(grid, np.array([grid.index[1, 1, 1], 0]), truth) == pytest.approx(16 / 24)
    assert dice(grid, np.array([grid.index[1, 1, 1], 0]), truth, truth) == 1.0
    assert np.isnan(dice(grid, np.array([], int), np.zeros(grid.shape, bool)))


def test_planted_region_is_found_and_noise_is_at_chance():
    grid = BoxGrid((20, 20, 20), np.eye(4))
    truth = region(grid.shape, 5, 13)
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((200, grid.n_positions))
    inside = np.ones(grid.n_positions, bool)
    chance = chance_dice(grid, 100, truth, inside, np.random.SeedSequence(1))
    blind = [dice(grid, top, truth) for top in top_positions(noise, 100)]
    assert np.mean(blind) == pytest.approx(chance.mean, abs=0.01)
    assert 0.02 < np.mean(np.array(blind) > chance.upper) < 0.09
    planted = noise[:1] - 5 * (grid.counts(truth) >= 4)
    (top,) = top_positions(planted, np.count_nonzero(grid.counts(truth) >= 4))
    assert dice(grid, top, truth) > 0.7 > 2 * chance.upper


def test_chance_draws_from_the_positions_allowed():
    grid = BoxGrid((8, 8, 8), np.eye(4))
    truth = region(grid.shape, 2, 4)
    inside = np.zeros(grid.n_positions, bool)
    inside[grid.index[1, 1, 1]] = True
    found = chance_dice(grid, 500, truth, inside, np.random.SeedSequence(0), n_draws=3)
    assert (found.mean, found.upper) == (1.0, 1.0)


# --- names


def stored(values, grid, space="MNI152NLin2009cAsym"):
    flat = np.asarray(values, float).ravel()
    return StoredMap("index", {"space": space}, lambda voxels: flat[voxels.index], lambda: grid)


def test_names_come_from_an_atlas_of_any_grid():
    grid = BoxGrid((8, 8, 8), np.diag([2.0, 2, 2, 1]))
    # A coarser grid that begins elsewhere: its first voxel reaches from -2 to 2 mm.
    names = np.zeros((6, 6, 6), int)
    names[0], names[1] = 7, 9  # x from -2 to 2, and from 2 to 6 mm
    atlas = Atlas(Grid((6, 6, 6), np.diag([4.0, 4, 4, 1])), names.ravel(), {7: "a", 9: "b"}, "")
    positions = np.array([grid.index[0, 1, 1], grid.index[1, 1, 1], grid.index[3, 1, 1]])
    # Voxels of the boxes along x: 0 and 2 mm; 4 and 6 mm; 12 and 14 mm.
    assert position_names(grid, positions, atlas) == ["a", "b", UNLABELLED]


def test_a_box_is_named_by_most_of_its_voxels():
    grid = BoxGrid((4, 4, 4), np.eye(4), 4, 4)
    labels = np.zeros((4, 4, 4), int)
    labels[:2], labels[2:, 0] = 5, 3  # 32 voxels, 8 voxels, and 24 without a structure
    atlas = Atlas(Grid((4, 4, 4), np.eye(4)), labels.ravel(), {5: "five", 3: "three"}, "")
    assert position_names(grid, np.array([0]), atlas) == ["five"]
    labels[:2] = 0  # any structure goes before none
    atlas = Atlas(Grid((4, 4, 4), np.eye(4)), labels.ravel(), {5: "five", 3: "three"}, "")
    assert position_names(grid, np.array([0]), atlas) == ["three"]


def test_participants_segmentations_name_positions_of_another_grid():
    grid = BoxGrid((8, 8, 8), np.diag([2.0, 2, 2, 1]))
    own = Grid((16, 16, 16), np.diag([1.0, 1, 1, 1]), "MNI152NLin2009cAsym")
    labels = np.zeros(own.shape)
    labels[:4] = 54
    others = np.zeros(own.shape)
    people = [
        StoredResults(f"{number}", maps=[stored(values, own)])
        for number, values in enumerate((labels, labels, others))
    ]
    atlas = atlas_of(people, grid)
    assert position_names(grid, np.array([0, grid.index[3, 0, 0]]), atlas) == [
        "Right-Amygdala",
        UNLABELLED,
    ]
    assert atlas.source == "FreeSurfer's structure in most of 3 participants"


def test_places_have_no_common_name_in_participants_own_spaces():
    grid = BoxGrid((8, 8, 8), np.eye(4))
    own = Grid((8, 8, 8), np.eye(4))
    people = [
        StoredResults(f"{number}", maps=[stored(np.full(own.shape, 54), own, "T1w")])
        for number in range(2)
    ]
    atlas = atlas_of(people, grid)
    assert (atlas.source, atlas.name((1, 1, 1))) == (OWN_SPACES, UNLABELLED)
    assert atlas_of(people[:1], grid).name((1, 1, 1)) == "Right-Amygdala"
    nobody = atlas_of([StoredResults("1")], grid)
    assert nobody.name((1, 1, 1)) == UNLABELLED
    assert nobody.source == "no participant has a segmentation"


def test_commonest_names():
    names = ["insula"] * 6 + ["putamen"] * 2 + ["a", "b"]
    assert commonest_names(names) == "insula 60 %, putamen 20 %, a 10 %, 1 other"
    assert commonest_names(names, 2) == "insula 60 %, putamen 20 %, 2 others"
    assert commonest_names(["insula"]) == "insula 100 %"


def smooth_map(generator, shape, at=None):
    """Noise that is smooth, and highest at a place if one is given."""
    noise = ndimage.gaussian_filter(generator.standard_normal(shape), 1.5, mode="wrap")
    noise /= noise.std()
    if at is not None:
        away = np.linalg.norm(np.indices(shape).T - np.array(at), axis=3).T
        noise += 6 * np.exp(-((away / 2.5) ** 2))
    return noise


def compact_top(grid, field, n=15):
    x, y, z = grid.grid_shape
    return np.argsort(-field[:x, :y, :z].ravel())[:n]


def test_displaced_masks_are_compared_as_counted_one_by_one():
    shape = (7, 6, 5)
    grid = BoxGrid(shape, np.eye(4), 2, 1)
    generator = np.random.default_rng(0)
    within = np.zeros(shape, bool)
    within[1:, :5] = True
    truth = np.zeros(shape, bool)
    truth[1:4, 1:3, 2] = truth[1, 1, 3] = True
    top = generator.choice(grid.n_positions, 4, replace=False)
    covered = grid.covered(top) & within
    places = []
    for axes in product((1, -1), repeat=3):
        mask = truth[tuple(slice(None, None, sign) for sign in axes)]
        for move in product(*(range(-length, length + 1) for length in shape)):
            voxels = np.argwhere(mask) + move
            kept = voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]
            kept = kept[within[tuple(kept.T)]]
            if len(kept) >= 0.9 * truth.sum():
                common = covered[tuple(kept.T)].sum()
                places.append(2 * common / (covered.sum() + len(kept)))
    found = displaced_dice(grid, top, truth, within)
    assert found.dice == pytest.approx(dice(grid, top, truth, within))
    assert found.mean == pytest.approx(np.mean(places))
    assert found.upper == pytest.approx(np.quantile(places, 0.95))
    assert found.p == pytest.approx(np.mean(np.array(places) >= found.dice - 1e-9))
    nothing = displaced_dice(grid, top, np.zeros(shape, bool), within)
    assert np.isnan([nothing.mean, nothing.p]).all()


def test_smooth_maps_agree_with_displaced_masks_as_often_as_they_should():
    shape = (14, 15, 13)
    grid = BoxGrid(shape, np.eye(4), 2, 1)
    within = np.ones(shape, bool)
    truth = np.zeros(shape, bool)
    truth[3:6, 4:8, 5:8] = True
    n, low = 80, 0
    for number in range(n):
        top = compact_top(grid, smooth_map(np.random.default_rng(number), shape))
        found = displaced_dice(grid, top, truth, within)
        low += found.p <= 0.05
    assert low <= stats.binom.ppf(0.9999, n, 0.05)
    planted = smooth_map(np.random.default_rng(0), shape, at=(4, 5.5, 6))
    found = displaced_dice(grid, compact_top(grid, planted), truth, within)
    assert found.dice > 0.4
    assert found.p < 0.01
