"""Figures: planted values appear where they must, whatever the grid; files are small and stable."""

import re
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from nibabel import affines
from numpy.testing import assert_allclose, assert_array_equal

from bidsface.analysis import Grid, Voxels
from bidsface.figures import drawing as figures
from bidsface.figures.carpets import REMOVED
from bidsface.figures.scene import AXIAL, CORONAL, SAGITTAL, Scale, Scene, layout_of, rows_of_panels
from bidsface.figures.views import interactive_view

SHAPE = (20, 24, 16)
AFFINE = np.array([[4.0, 0, 0, -38], [0, 4.0, 0, -46], [0, 0, 4.0, -30], [0, 0, 0, 1]])


def ball(shape=SHAPE, affine=AFFINE, radius=28.0):
    places = affines.apply_affine(affine, np.indices(shape).reshape(3, -1).T)
    return np.flatnonzero(np.linalg.norm(places, axis=1) < radius)


def head(affine=AFFINE, shape=SHAPE):
    return Voxels(Grid(shape, affine, "MNI152NLin2009cAsym"), ball(shape, affine))


def images(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def reoriented(values, voxels, flips, order):
    """Return the same map stored with other axes."""
    volume = np.full(voxels.grid.shape, np.nan)
    volume.flat[voxels.index] = values
    matrix = np.eye(4)
    for axis in flips:
        volume = np.flip(volume, axis)
        turn = np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, voxels.grid.shape[axis] - 1
        matrix = matrix @ turn
    volume = volume.transpose(order)
    shuffle = np.zeros((4, 4))
    shuffle[[*order, 3], range(4)] = 1
    index = np.flatnonzero(np.isfinite(volume))
    grid = Grid(volume.shape, voxels.grid.affine @ matrix @ shuffle, voxels.grid.space)
    return volume.ravel()[index], Voxels(grid, index)


@pytest.mark.parametrize(
    ("flips", "order"),
    [((0,), (0, 1, 2)), ((0, 1), (0, 1, 2)), ((), (2, 0, 1)), ((1, 2), (1, 0, 2))],
)
def test_the_picture_does_not_depend_on_how_the_axes_are_stored(flips, order):
    voxels = head()
    values = np.random.default_rng(0).standard_normal(len(voxels.index))
    other_values, other_voxels = reoriented(values, voxels, flips, order)
    one = figures.render_svg(figures.slices(values, voxels, "a map"))
    assert figures.render_svg(figures.slices(other_values, other_voxels, "a map")) == one


def test_a_planted_voxel_is_drawn_on_its_side_at_its_coordinate():
    voxels = head()
    places = affines.apply_affine(AFFINE, np.array(np.unravel_index(voxels.index, SHAPE)).T)
    target = np.array([18.0, -10.0, 2.0])
    planted = np.flatnonzero((places == target).all(axis=1))
    values = np.zeros(len(voxels.index))
    values[planted] = 5.0
    scene = Scene.of(values, voxels, None)
    scale = Scale("RdBu_r", -5.0, 5.0, 2.0, False)
    for axis, expected in ((AXIAL, (18, -10)), (SAGITTAL, (-10, 2)), (CORONAL, (18, 2))):
        positions = range(scene.values.shape[axis])
        there = [p for p in positions if scene.millimetres(axis, p) == target[axis]]
        picture = scene.picture(axis, there[0], scale).astype(int)
        red = np.argwhere(picture[..., 0] - picture[..., 2] > 60)
        assert len(red) == 1
        across, up = (other for other in range(3) if other != axis)
        column, row = red[0][1], picture.shape[0] - 1 - red[0][0]
        found = (scene.millimetres(across, column), scene.millimetres(up, row))
        assert found == expected


def test_left_is_left_and_the_sides_are_named():
    figure = figures.slices(np.ones(len(head().index)), head(), "a map")
    found = texts(figure)
    assert found.count("L") == found.count("R") == 2
    assert found.index("L") < found.index("R")
    assert found.count("P") == found.count("A") == 1
    assert any(text.startswith("z = ") and text.endswith(" mm") for text in found)
    scene = Scene.of(np.ones(len(head().index)), head(), None)
    assert scene.millimetres(SAGITTAL, 0) < scene.millimetres(SAGITTAL, 1)


@pytest.mark.parametrize(
    ("shape", "letter"), [((40, 20, 1), "z"), ((1, 40, 20), "x"), ((40, 1, 20), "y")]
)
def test_a_grid_of_one_slice_gives_one_panel(shape, letter):
    grid = Grid(shape, np.diag([-3.1, 3.75, 3.75, 1.0]))
    voxels = Voxels(grid, np.arange(100, 500))
    figure = figures.slices(np.arange(400.0), voxels, "one slice", background=np.ones(shape))
    coordinates = [text for text in texts(figure) if text.endswith(" mm")]
    assert coordinates == [f"{letter} = 0 mm"]
    assert len(images(figure)) == 2  # the slice and the colour bar
    assert len(figures.render_svg(figure)) < 30_000


def test_slices_of_a_region_in_two_halves_show_no_empty_slice():
    places = affines.apply_affine(AFFINE, np.indices(SHAPE).reshape(3, -1).T)
    sides = np.minimum(*(np.linalg.norm(places - (x, 0, 0), axis=1) for x in (-24, 24)))
    voxels = Voxels(Grid(SHAPE, AFFINE), np.flatnonzero(sides < 9))
    scene = Scene.of(np.ones(len(voxels.index)), voxels, None)
    for axis in (AXIAL, CORONAL, SAGITTAL):
        for position in scene.positions(axis, 5):
            assert np.take(scene.support, position, axis).any()


def test_panels_never_leave_the_figure():
    for voxels in (head(), Voxels(Grid(SHAPE, AFFINE), ball(radius=6.0))):
        figure = figures.slices(np.ones(len(voxels.index)), voxels, "a map", label="accuracy")
        boxes = np.array([axes.get_position().extents for axes in figure.axes])
        assert boxes.min() >= 0
        assert boxes.max() <= 1


def test_missing_values_show_the_background():
    voxels = head()
    background = np.full(SHAPE, 100.0)
    scene = Scene.of(np.full(len(voxels.index), np.nan), voxels, background)
    scale = Scale.of(np.array([-1.0, 1.0]), symmetric=True, threshold=None)
    picture = scene.picture(AXIAL, 5, scale)
    assert (picture == picture[..., :1]).all()
    assert picture.max() == round(0.85 * 255)


def test_a_background_with_missing_values_is_drawn():
    background = np.random.default_rng(0).random(SHAPE)
    background[:5] = np.nan
    figure = figures.slices(np.ones(len(head().index)), head(), "a map", background, "t")
    assert b"<svg" in figures.render_svg(figure)


@pytest.mark.parametrize("values", [np.zeros(4), np.full(4, np.nan), np.full(4, 7.0)])
@pytest.mark.parametrize("symmetric", [True, False])
def test_scales_of_degenerate_maps_have_a_width(values, symmetric):
    scale = Scale.of(values, symmetric, None)
    assert scale.low < scale.high
    assert np.isfinite(scale.colours(values)).all()


def test_values_below_the_threshold_fade_and_those_above_do_not():
    scale = Scale.of(np.linspace(-4, 4, 801), symmetric=True, threshold=2.0)
    assert_allclose(scale.opacity(np.array([0, 1, -1, 2, -3, np.nan])), [0, 0.25, 0.25, 1, 1, 0])
    one_sided = Scale.of(np.linspace(0, 1, 101), symmetric=False, threshold=None)
    assert_array_equal(one_sided.opacity(np.array([0.0, 0.5, np.nan])), [1, 1, 0])


def test_the_layout_keeps_proportions():
    scene = Scene.of(np.ones(len(head().index)), head(), None)
    rows = rows_of_panels(scene, 7)
    layout = layout_of(rows, figures.WIDTH, 0.4)
    assert [len(row) for row in rows] == [7, 6]
    assert max(sum(map(layout.pitch, row)) for row in rows) < figures.WIDTH - 0.8


def test_carpet_shows_a_planted_spike_in_its_volume_only():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((120, 900))
    values[70] += 6
    displacement = np.full(120, 0.1)
    displacement[0] = np.nan
    figure = figures.carpet(values, displacement, np.arange(120) * 2.0 + 1, "run 1", 0.5)
    picture = next(image for image in images(figure) if image.shape[1] == 120)
    brightness = picture[..., 0].mean(axis=0)
    assert brightness.argmax() == 70
    assert brightness[70] > 250
    assert np.delete(brightness, 70).max() < 160
    line = figure.axes[0].lines[0]
    assert_array_equal(line.get_xdata(), np.arange(120) * 2.0 + 1)
    left, right, *_ = figure.axes[1].images[0].get_extent()
    assert (left, right) == (0, 240)


def test_carpet_leaves_gaps_where_volumes_were_left_out():
    kept = np.delete(np.arange(50), [10, 11, 30])
    values = np.random.default_rng(4).standard_normal((47, 20))
    displacement = np.linspace(0.1, 0.2, 47)
    figure = figures.carpet(values, displacement, kept * 1.7 + 0.85, "censored")
    picture = next(image for image in images(figure) if image.shape[1] == 50)
    orange = (picture == REMOVED).all(axis=(0, 2))
    assert_array_equal(np.flatnonzero(orange), [10, 11, 30])
    assert_allclose(figure.axes[0].lines[0].get_ydata()[kept], displacement)
    assert "left out" in figure.axes[1].get_xlabel()


def test_carpet_takes_constant_voxels_and_unknown_motion():
    values = np.zeros((30, 5))
    figure = figures.carpet(values, np.full(30, np.nan), np.arange(30.0), "still")
    assert "not available" in texts(figure)
    picture = next(image for image in images(figure) if image.shape[:2] == (5, 30))
    assert np.ptp(picture) <= 1


@pytest.mark.parametrize(("n_volumes", "n_voxels"), [(121, 20_000), (900, 4_000)])
def test_figures_of_noise_stay_small(n_volumes, n_voxels):
    values = np.random.default_rng(2).standard_normal((n_volumes, n_voxels)).astype(np.float32)
    figure = figures.carpet(values, np.zeros(n_volumes), np.arange(n_volumes) * 1.0, "noise")
    assert len(figures.render_svg(figure)) < 150_000


def test_rendering_is_deterministic_and_leaves_settings_alone():
    before = dict(mpl.rcParams)
    values = np.random.default_rng(3).standard_normal(len(head().index))
    svgs = {figures.render_svg(figures.slices(values, head(), "a & <b>")) for _ in range(2)}
    assert len(svgs) == 1
    assert b"a &amp; &lt;b&gt;" in svgs.pop()
    assert dict(mpl.rcParams) == before


def test_long_titles_are_broken_into_lines():
    figure = figures.slices(np.ones(len(head().index)), head(), "many words " * 20)
    assert figure.texts[0].get_text().count("\n") >= 2


def test_stars_stand_for_p_below_their_limits():
    values = (0.0009, 0.001, 0.009, 0.01, 0.049, 0.05, float("nan"))
    assert [figures.stars(p) for p in values] == ["***", "**", "**", "*", "*", "", ""]


def test_drawing_does_not_import_pyplot():
    code = (
        "import sys, numpy as np; from bidsface import figures; "
        "f = figures.carpet(np.ones((9, 4)), np.ones(9), np.arange(9.0), 'run'); "
        "figures.render_svg(f); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_interactive_view_is_one_page_that_loads_nothing_and_is_always_the_same():
    voxels = head()
    values = np.linspace(-1, 1, len(voxels.index))
    pages = [
        interactive_view(values, voxels, "a & <b>", np.ones(SHAPE, np.float32), 0.5)
        for _ in range(2)
    ]
    assert pages[0] == pages[1]
    assert "a &amp; &lt;b&gt;" in pages[0]
    assert "<b>" not in pages[0]
    assert not re.findall(r'<(?:link|script|img)[^>]*(?:src|href)="http', pages[0])
    other = interactive_view(-values, voxels, "a & <b>", np.ones(SHAPE, np.float32), 0.5)
    assert other != pages[0]
