"""Group maps are drawn on the mean of what participants stored."""

from dataclasses import replace

import numpy as np
from decoding_study import GRID, MemoryParticipant, store

from bidsface.analysis import Results
from bidsface.backgrounds import mean_background, mean_map


class Striped(MemoryParticipant):
    """A participant whose mean image differs over voxels."""

    @property
    def background(self):
        image = np.zeros(GRID.shape, dtype=np.float32)
        image.flat[:180] = 100 * (1 + np.arange(180) % 2) * int(self.label)
        return image


def stored(label):
    participant = Striped(label, {})
    return store(label, Results(maps=[mean_map(participant, {"space": "MNI"})]))


def test_images_of_different_brightness_count_alike():
    first = stored("1")
    np.testing.assert_allclose(first.maps[0].load(Striped("1", {}).voxels).mean(), 1.0, rtol=1e-6)
    both = mean_background([first, stored("7")], GRID)
    assert both.shape == GRID.shape
    assert both.dtype == np.float32
    np.testing.assert_allclose(both.flat[:4], np.array([1, 2, 1, 2]) / 1.5, rtol=1e-6)


def test_without_images_there_is_no_background():
    assert mean_background([replace(stored("1"), maps=[])], GRID) is None
