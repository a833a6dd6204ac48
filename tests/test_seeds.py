"""Seeds that are derived from others."""

import numpy as np

from bidsface.numerics.seeds import child_seed


def test_children_are_those_that_a_fresh_sequence_spawns():
    seed = np.random.SeedSequence(5, spawn_key=(2, 7))
    spawned = np.random.SeedSequence(5, spawn_key=(2, 7)).spawn(3)
    for number, theirs in enumerate(spawned):
        for _ in range(2):  # asked again, it is the same one
            own = child_seed(seed, number)
            np.testing.assert_array_equal(own.generate_state(4), theirs.generate_state(4))
    assert seed.n_children_spawned == 0
