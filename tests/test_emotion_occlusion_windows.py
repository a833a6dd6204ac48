"""Which windows change under a box, and how positions are sorted into batches."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bidsface.errors import InputError
from bidsface_emotion_cnn.occlusion_grid import (
    map_to_volume,
    position_counts,
    position_starts,
    triple,
)
from bidsface_emotion_cnn.occlusion_levels import Level, Reach, axis_windows
from bidsface_emotion_cnn.occlusion_windows import Axis, Neighbours, batches, split

REACHES = [
    Reach(3, 1, 1),
    Reach(3, 2, 1),
    Reach(5, 1, 2),
    Reach(2, 2, 0),
    Reach(2, 3, 1),
    Reach(1, 2, 0),
    Reach(3, 1, 2, 2),
    Reach(3, 2, 0, 3),
]


def reads(reach, output):
    """Return the inputs that an output reads."""
    first = reach.stride * output - reach.padding
    return {first + reach.dilation * k for k in range(reach.kernel)}


@pytest.mark.parametrize("reach", REACHES)
def test_outputs_are_those_that_read_the_window(reach):
    for start in range(-4, 9):
        for size in range(1, 6):
            first, wide = (int(n) for n in reach.outputs(np.int64(start), np.int64(size)))
            window = set(range(start, start + size))
            touched = [j for j in range(-30, 31) if reads(reach, j) & window]
            assert wide >= 1
            assert set(touched) <= set(range(first, first + wide))
            if touched and reach.dilation == 1:  # else windows have holes
                assert (touched[0], touched[-1]) == (first, first + wide - 1)


@pytest.mark.parametrize("reach", REACHES)
def test_field_is_all_that_a_window_of_the_output_reads(reach):
    for start in range(-3, 4):
        first, size = reach.field(start, 3)
        read = set.union(*(reads(reach, j) for j in range(start, start + 3)))
        assert (min(read), max(read)) == (first, first + size - 1)


@pytest.mark.parametrize("reach", REACHES)
def test_taps_connect_each_pair_once(reach):
    for start_in, size_in, start_out, size_out in [(0, 4, -1, 4), (3, 2, 1, 3), (-2, 5, 0, 2)]:
        offset = reach.offset(start_in, start_out)
        pairs = [
            (tap.index, start_out + o, start_in + i)
            for tap in reach.taps(offset, size_in, size_out)
            for o, i in zip(range(size_out)[tap.outputs], range(size_in)[tap.inputs], strict=True)
        ]
        expected = [
            (k, o, i)
            for k in range(reach.kernel)
            for o in range(start_out, start_out + size_out)
            for i in range(start_in, start_in + size_in)
            if reach.stride * o - reach.padding + reach.dilation * k == i
        ]
        assert sorted(pairs) == sorted(expected)


LEVELS = [
    Level(19),
    Level(19, 0, Reach(3, 1, 1)),
    Level(10, 1, Reach(3, 2, 1)),
    Level(10, 2, Reach(3, 1, 1)),
    Level(10, 3, None, 2),
    Level(5, 4, Reach(3, 2, 1)),
    Level(1, 5),
]


def changed(start, size):
    """Return, per level, the elements that change under a box, by passing on what reads what."""
    found = [set(range(start, start + size)) & set(range(LEVELS[0].n))]
    for level in LEVELS[1:]:
        source = found[level.source]
        if level.reach is not None:
            found.append({j for j in range(level.n) if reads(level.reach, j) & source})
        elif level.joined is not None:
            found.append(source | found[level.joined])
        else:
            found.append({0})
    return found


def test_windows_hold_all_that_changes_and_little_more():
    positions = np.arange(0, 19, 2)
    starts, sizes, signatures = axis_windows(positions, 2, LEVELS)
    assert signatures.shape == (3 * len(LEVELS), len(positions))
    for column, position in enumerate(positions):
        for level, elements in enumerate(changed(position, 2)):
            start, size = starts[level, column], sizes[level, column]
            inside = set(range(start, start + size)) & set(range(LEVELS[level].n))
            assert elements <= inside
            if position not in (positions[0], positions[-1]):
                assert elements == inside


def test_the_published_network_has_eight_signatures_at_every_second_voxel():
    n = [80, 80, 40, 20, 10, 5, 1]
    down = [Level(n[k + 1], k, Reach(3, 2, 1)) for k in range(1, 5)]
    levels = [Level(80), Level(80, 0, Reach(3, 1, 1)), *down, Level(1, 5)]
    axis = Axis(np.arange(0, 80, 2), 2, levels, [1] * len(levels))
    assert len(axis.classes) == 8
    assert sorted(np.concatenate(axis.classes)) == list(range(40))
    widths = {tuple(axis.sizes[:, some[0]]) for some in axis.classes}
    # 4 after the first layer, 3 after the first block, then 3 or 2
    assert widths == {
        (2, 4, 3, 3, 3, 3, 1),
        (2, 4, 3, 3, 3, 2, 1),
        (2, 4, 3, 3, 2, 2, 1),
        (2, 4, 3, 2, 2, 2, 1),
    }


def three_axes(shape=(19, 13, 7), step=2, size=2):
    """Return axes of a network of two levels."""
    grids = [shape, tuple((n - 1) // 2 + 1 for n in shape)]
    axes = []
    for axis, n in enumerate(shape):
        levels = [Level(n), Level(grids[1][axis], 0, Reach(3, 2, 1))]
        steps = [int(np.prod(grid[axis + 1 :], dtype=int)) for grid in grids]
        axes.append(Axis(np.arange(0, n, step), size, levels, steps))
    return tuple(axes), grids


@pytest.mark.parametrize("most", [1, 3, 7, 1000])
def test_batches_hold_every_position_once(most):
    axes, _ = three_axes()
    counts = [axis.starts.shape[1] for axis in axes]
    found = list(batches(axes, lambda sizes: most))
    assert max(batch.n for batch in found) <= most
    positions = np.concatenate([batch.positions for batch in found])
    assert sorted(positions) == list(range(int(np.prod(counts))))
    assert all(len(batch.positions) == batch.n for batch in found)


@pytest.mark.parametrize("most", [1, 4, 1000])
def test_rows_and_outside_of_windows(most):
    axes, grids = three_axes(step=3, size=3)
    counts = [axis.starts.shape[1] for axis in axes]
    for batch in batches(axes, lambda sizes: most):
        places = np.array(np.unravel_index(batch.positions, counts)).T
        for level, grid in enumerate(grids):
            rows = batch.rows(level).reshape(*batch.size(level), batch.n)
            outside = np.zeros((*batch.size(level), *batch.boxes), dtype=bool)
            for axis, runs in enumerate(batch.outside(level)):
                for element, boxes in runs:
                    index = [slice(None)] * 6
                    index[axis], index[3 + axis] = element, boxes
                    outside[tuple(index)] = True
            outside = outside.reshape(rows.shape)
            for box, place in enumerate(places):
                kept = rows[..., box][~outside[..., box]]
                window = [
                    range(
                        max(axis.starts[level, one], 0),
                        min(axis.starts[level, one] + axis.sizes[level, one], n),
                    )
                    for axis, one, n in zip(axes, place, grid, strict=True)
                ]
                expected = np.ravel_multi_index(np.meshgrid(*window, indexing="ij"), grid).reshape(
                    -1
                )
                assert sorted(kept) == sorted(expected)


@pytest.mark.parametrize("along", [(1, 1, 1), (2, 2, 2), (4, 1, 3)])
def test_neighbours_hold_every_position_once_and_their_own_voxels(along):
    shape, box, step, counts = (9, 6, 7), (2, 1, 3), (1, 2, 2), (9, 3, 3)
    near = Neighbours(along, box, step, counts)
    levels = [[Level(n)] for n in shape]
    axes = tuple(
        Axis(start, size, level, [1])
        for start, size, level in zip(near.starts, near.whole, levels, strict=True)
    )
    seen = []
    for batch in batches(axes, lambda sizes: 2, near):
        positions = batch.positions.reshape(batch.each, -1)
        assert positions.size == batch.n
        inside = near.inside(batch.size(0)).reshape(-1, near.n)
        starts = np.array(list(product(*(part.starts[0] for part in batch.parts))))
        window = np.indices(batch.size(0)).reshape(3, -1).T
        for each, window_number in np.argwhere(positions >= 0):
            place = np.unravel_index(positions[each, window_number], counts)
            seen.append(positions[each, window_number])
            voxels = window[inside[:, each]] + starts[window_number]
            first = np.array(place) * step
            held = {tuple(v) for v in voxels if (v < shape).all()}
            assert held == {
                v
                for v in product(*(range(a, a + size) for a, size in zip(first, box, strict=True)))
                if (np.array(v) < shape).all()
            }
    assert sorted(seen) == list(range(81))


def test_split_divides_short_axes_first():
    assert split([5, 5, 2], 50) == [1, 1, 1]
    assert split([5, 5, 2], 30) == [1, 1, 2]
    assert split([5, 5, 2], 1) == [5, 5, 2]
    parts = split([7, 9, 4], 10)
    assert np.prod([-(-n // k) for n, k in zip([7, 9, 4], parts, strict=True)]) <= 10


def test_positions():
    assert position_counts((80, 80, 35), (2, 2, 2), (2, 2, 2)) == (40, 40, 17)
    assert position_counts((80, 80, 35), (2, 2, 2), (2, 2, 2), pad=True) == (40, 40, 18)
    assert position_counts((5, 6, 7), (1, 2, 3), (3, 3, 3), pad=True) == (3, 3, 3)
    starts = position_starts((2, 1, 3), (2, 5, 3))
    assert starts.tolist() == [[0, 0, 0], [0, 0, 3], [0, 0, 6], [2, 0, 0], [2, 0, 3], [2, 0, 6]]
    with pytest.raises(InputError, match=r"box of \(4, 2, 2\) voxels is larger than"):
        position_counts((3, 3, 3), (4, 2, 2), (1, 1, 1))


@pytest.mark.parametrize("wrong", [0, -1, 2.0, (1, 2), "2", (2, 0, 2)])
def test_sizes_are_checked(wrong):
    with pytest.raises(InputError, match="box: wanted a whole number above 0"):
        triple(wrong, "box")


@pytest.mark.parametrize(
    ("box", "stride", "pad"), [(2, 2, False), (2, 2, True), (3, 1, False), ((1, 2, 3), 3, True)]
)
def test_map_to_volume_is_the_mean_over_covering_boxes(box, stride, pad):
    shape, rng = (7, 6, 5), np.random.default_rng(3)
    sizes, steps = triple(box, "box"), triple(stride, "stride")
    counts = position_counts(shape, sizes, steps, pad)
    values = rng.standard_normal((2, *counts))
    sums, n_boxes = np.zeros((2, *shape)), np.zeros(shape)
    starts = position_starts(counts, steps)
    for start, value in zip(starts, values.reshape(2, -1).T, strict=True):
        where = tuple(slice(a, a + n) for a, n in zip(start, sizes, strict=True))
        sums[(slice(None), *where)] += value[:, None, None, None]
        n_boxes[where] += 1
    expected = np.where(n_boxes > 0, sums / np.maximum(n_boxes, 1), -9)
    found = map_to_volume(values, shape, box, stride, fill=-9)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found == -9).any() == (n_boxes == 0).any()


def test_map_to_volume_refuses_maps_of_other_volumes():
    with pytest.raises(InputError, match=r"wanted at most \(4, 3, 3\), found \(5, 3, 3\)"):
        map_to_volume(np.zeros((5, 3, 3)), (7, 6, 5))
