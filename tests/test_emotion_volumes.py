"""Sets of volumes: what fits together, the cache on disk, and scaling."""

from dataclasses import fields, replace

import numpy as np
import pytest
from network_volumes import wave_volumes
from scipy import stats

from bidsface_emotion_cnn.volume_set import SCALINGS, cached_volumes, scaled_volumes

SHAPE = (5, 3, 4, 2)


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal(SHAPE) * 3 + 50


@pytest.fixture
def inside():
    found = np.random.default_rng(1).random(SHAPE[1:]) < 0.6
    found[0, 0, 0] = False
    return found


def test_blocks_become_one_file_that_is_only_read(tmp_path, values):
    path = tmp_path / "volumes.npy"
    given = []

    def blocks():
        for rows in (slice(0, 2), slice(2, 2), slice(2, 5)):
            assert not path.exists()
            given.append(rows)
            yield values[rows]

    found = cached_volumes(path, SHAPE, blocks())
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.astype(np.float32))
    np.testing.assert_array_equal(np.load(path), found)
    assert [file.name for file in tmp_path.iterdir()] == ["volumes.npy"]
    assert len(given) == 3
    # Any layout in memory is written in C order.
    other = cached_volumes(path, SHAPE, [np.asfortranarray(values)])
    np.testing.assert_array_equal(other, found)


def test_blocks_that_do_not_fit(tmp_path, values):
    path = tmp_path / "volumes.npy"
    bad = values.copy()
    bad[3, 0, 0, 0] = np.inf
    for blocks, text in (
        ([values[:3]], "5 volumes were to come, found 3"),
        ([values, values], "5 volumes were to come, found at least 10"),
        ([values[:, :2]], r"volumes must have shape \(3, 4, 2\), found \(2, 4, 2\)"),
        ([values[0]], "volumes must have shape"),
        ([bad[:2], bad[2:]], "volume 3 holds values that are not finite"),
    ):
        with pytest.raises(ValueError, match=text):
            cached_volumes(path, SHAPE, blocks)
        assert not path.exists()


def test_volumes_are_read_in_any_order(tmp_path):
    volumes = wave_volumes(n_per_class=3, shape=SHAPE[1:])
    index = np.array([8, 1, 1, 4])
    found = volumes.read(index)
    np.testing.assert_array_equal(found, volumes.data[index])
    assert found.flags.writeable
    assert len(volumes) == 9
    assert volumes.shape == SHAPE[1:]
    mapped = cached_volumes(tmp_path / "v.npy", volumes.data.shape, [volumes.data])
    np.testing.assert_array_equal(replace(volumes, data=mapped).read(index), found)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": lambda v: v.data.astype(float)}, "float32"),
        ({"data": lambda v: v.data[0]}, "data must have shape"),
        ({"data": lambda v: v.data[..., :0]}, "must have voxels"),
        ({"codes": lambda v: v.codes + 1}, "codes must be from 0 to 2, found 1 to 3"),
        ({"codes": lambda v: v.codes[1:]}, r"codes must be int64 of shape \(9,\)"),
        ({"runs": lambda v: v.runs.astype(np.int32)}, "runs must be int64"),
        ({"participants": lambda v: v.participants - 1}, "participants must be from 0 to 2"),
        ({"classes": lambda v: ("fear", "fear", "love")}, "labels of codes must differ"),
        ({"times": lambda v: v.times.astype(np.float32)}, "times must be float64"),
        ({"times": lambda v: v.times * np.nan}, "times must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(change, text):
    volumes = wave_volumes(n_per_class=3, shape=SHAPE[1:])
    ((name, make),) = change.items()
    assert name in {field.name for field in fields(volumes)}
    with pytest.raises(ValueError, match=text):
        replace(volumes, **{name: make(volumes)})


def test_scaling_of_volumes(values, inside):
    found = scaled_volumes(values, inside)
    assert found.dtype == np.float32
    assert not found[:, ~inside].any()
    np.testing.assert_allclose(found[:, inside], stats.zscore(values[:, inside], axis=1), atol=1e-5)
    whole = scaled_volumes(values, np.ones(SHAPE[1:], bool))
    np.testing.assert_allclose(whole.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(whole.std((1, 2, 3)), 1, rtol=1e-5)


def test_other_scalings(values, inside):
    brain = values[:, inside]
    over_time = stats.zscore(brain, axis=0)
    for scaling, wanted in (
        ("voxel", over_time),
        ("both", stats.zscore(over_time, axis=1)),
        ("none", brain),
    ):
        found = scaled_volumes(values, inside, scaling)
        np.testing.assert_allclose(found[:, inside], wanted, atol=1e-5)
        assert not found[:, ~inside].any()
    assert set(SCALINGS) == {"volume", "voxel", "both", "none"}


def test_what_does_not_vary_becomes_0(values, inside):
    place = tuple(np.argwhere(inside)[0])
    values[(slice(None), *place)] = 0.1
    found = scaled_volumes(values, inside, "voxel")
    assert not found[(slice(None), *place)].any()
    assert found[:, inside].std() > 0.9
    assert not scaled_volumes(np.full(SHAPE, 0.1), inside).any()


def test_scaling_refuses(values, inside):
    with pytest.raises(ValueError, match="scaling must be one of volume, voxel, both, none"):
        scaled_volumes(values, inside, "run")
    with pytest.raises(ValueError, match="no voxel is inside"):
        scaled_volumes(values, np.zeros(SHAPE[1:], bool))
    outside = values.copy()
    outside[:, ~inside] = np.nan
    np.testing.assert_array_equal(scaled_volumes(outside, inside), scaled_volumes(values, inside))
    values[0, inside] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        scaled_volumes(values, inside)
