"""Draws with equally many samples of every class."""

import numpy as np
import pytest

from bidsface_emotion_cnn.equal_counts import equal_draws

SEED = np.random.SeedSequence(5)
COUNTS = np.array([[4, 4, 4], [2, 3, 0], [9, 1, 2]])  # classes, blocks


def samples_of(counts):
    """Codes of classes and blocks, mixed."""
    classes, blocks = np.indices(counts.shape)
    codes, runs = np.repeat(classes, counts.ravel()), np.repeat(blocks, counts.ravel())
    order = np.random.default_rng(0).permutation(len(codes))
    return codes[order], runs[order]


def drawn_counts(codes, blocks, draw):
    found = np.zeros(COUNTS.shape, dtype=int)
    np.add.at(found, (codes[draw], blocks[draw]), 1)
    return found


def test_every_class_has_as_many_samples_as_the_smallest_from_its_blocks():
    codes, blocks = samples_of(COUNTS)
    draws = equal_draws(codes, blocks, 20, SEED)
    assert len(draws) == 20
    for draw in draws:
        assert (np.diff(draw) > 0).all()
        found = drawn_counts(codes, blocks, draw)
        np.testing.assert_array_equal(found.sum(axis=1), [5, 5, 5])
        np.testing.assert_array_equal(found[:2], [[2, 3, 0], [2, 3, 0]])
        assert found[2, 0] >= 2
        assert found[2, 1] == 1  # all that it has there; two come from other blocks
    assert len({tuple(draw) for draw in draws}) > 10
    every = np.unique(np.concatenate(draws))
    assert len(every) == len(codes) - 4  # the first class needs none of the last block


def test_numbers_within_blocks():
    codes, blocks = samples_of(COUNTS)
    for draw in equal_draws(codes, blocks, 5, SEED, in_blocks=True):
        np.testing.assert_array_equal(drawn_counts(codes, blocks, draw), [[2, 1, 0]] * 3)
    apart = np.array([[3, 0], [0, 3]])
    with pytest.raises(ValueError, match="no block has samples of all classes"):
        equal_draws(*samples_of(apart), 5, SEED, in_blocks=True)
    with pytest.raises(ValueError, match="no samples"):
        equal_draws(codes[:0], blocks[:0], 5, SEED)


def test_equal_numbers_are_all_used():
    codes, blocks = samples_of(np.array([[3, 1], [1, 3]]))
    (draw,) = equal_draws(codes, blocks, 5, SEED)
    np.testing.assert_array_equal(draw, np.arange(8))
    assert all(len(draw) == 4 for draw in equal_draws(codes, blocks, 5, SEED, in_blocks=True))


def test_draws_depend_on_the_seed_and_their_number_only():
    codes, blocks = samples_of(COUNTS)
    few, many = equal_draws(codes, blocks, 2, SEED), equal_draws(codes, blocks, 4, SEED)
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one, other)
    other = equal_draws(codes, blocks, 2, np.random.SeedSequence(6))
    assert any((one != two).any() for one, two in zip(few, other, strict=True))
    # Classes that a participant lacks do not count.
    np.testing.assert_array_equal(equal_draws(codes + 7, blocks, 1, SEED)[0], few[0])
