"""Volumes to occlude: those that are shown, and those that are tested."""

import numpy as np
from scipy import special, stats

from bidsface.statistics import fdr
from bidsface_emotion_cnn.group_occlusion import group_occlusion, participant_maps
from bidsface_emotion_cnn.volume_draw import draw_volumes

SEED = np.random.SeedSequence(7)


def predictions(n_per=6, n_people=4, n_classes=3, seed=0):
    """Volumes of several people; every third one is classified with less confidence."""
    generator = np.random.default_rng(seed)
    codes = np.tile(np.repeat(np.arange(n_classes), n_per), n_people)
    people = np.repeat(np.arange(n_people), n_classes * n_per)
    probabilities = np.full((len(codes), n_classes), 0.05)
    sure = np.arange(len(codes)) % 3 != 0
    probabilities[np.arange(len(codes)), codes] = np.where(sure, 0.9, 0.7)
    wrong = generator.random(len(codes)) < 0.2
    probabilities[wrong] = np.roll(probabilities[wrong], 1, axis=1)
    return probabilities, codes, people


def test_volumes_are_right_sure_and_of_all_participants():
    probabilities, codes, people = predictions()
    names = ["fear", "love", "joy"]
    found = draw_volumes(probabilities, codes, 8, seed=SEED, participants=people, classes=names)
    assert (np.diff(found.shown) > 0).all()
    own = probabilities[found.shown, codes[found.shown]]
    assert (own > 0.8).all()
    assert np.bincount(codes[found.shown]).tolist() == [8, 8, 8]
    assert found.notes == ()
    for code in range(3):
        counts = np.bincount(people[found.shown][codes[found.shown] == code], minlength=4)
        there = (probabilities[:, code] > 0.8) & (codes == code)
        available = np.bincount(people[there], minlength=4)
        # Nobody gives two more than another who still has some.
        least = min(counts[person] for person in range(4) if counts[person] < available[person])
        assert counts.max() <= least + 1


def test_fewer_volumes_than_wanted_are_told():
    probabilities, codes, people = predictions()
    probabilities[codes == 2] = 0.33
    found = draw_volumes(
        probabilities, codes, seed=SEED, participants=people, classes=["fear", "love", "joy"]
    )
    assert np.bincount(codes[found.shown], minlength=3)[2] == 0
    assert len(found.notes) == 1
    assert found.notes[0].startswith("joy: maps show 0 instead of 10 volumes")


def test_volumes_depend_on_the_seed_only():
    probabilities, codes, people = predictions()
    one, again = (
        draw_volumes(probabilities, codes, 3, seed=np.random.SeedSequence(1), participants=people)
        for _ in range(2)
    )
    other = draw_volumes(
        probabilities, codes, 3, seed=np.random.SeedSequence(2), participants=people
    )
    np.testing.assert_array_equal(one.shown, again.shown)
    assert one.shown.tolist() != other.shown.tolist()
    # A further class changes nothing for the others.
    wider = np.column_stack([probabilities, np.zeros(len(codes))])
    more = draw_volumes(wider, codes, 3, seed=np.random.SeedSequence(1), participants=people)
    np.testing.assert_array_equal(one.shown, more.shown)
    assert more.notes == (
        "class 3: maps show 0 instead of 3 volumes, since no more are classified correctly with a "
        "probability above 0.8",
        "class 3: drops are tested in 0 instead of 3 volumes, since there are no more",
    )


def test_probability_of_a_wrong_class_does_not_count():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.85, 0.15]])
    found = draw_volumes(probabilities, np.array([0, 0, 1]), 1, seed=SEED)
    assert found.shown.tolist() == [0]


def test_tested_volumes_do_not_depend_on_what_the_network_says():
    probabilities, codes, people = predictions()
    found = draw_volumes(probabilities, codes, 8, seed=SEED, participants=people)
    assert np.bincount(codes[found.tested]).tolist() == [8, 8, 8]
    for code in range(3):
        counts = np.bincount(people[found.tested][codes[found.tested] == code], minlength=4)
        assert counts.tolist() == [2, 2, 2, 2]
    noise = np.random.default_rng(1).dirichlet(np.ones(3), len(codes))
    for other in (noise, np.roll(probabilities, 1, axis=1), probabilities[::-1]):
        again = draw_volumes(other, codes, 8, 0.4, seed=SEED, participants=people)
        np.testing.assert_array_equal(found.tested, again.tested)


def test_work_is_shared():
    probabilities, codes, people = predictions()
    found = draw_volumes(probabilities, codes, 8, seed=SEED, participants=people)
    np.testing.assert_array_equal(found.rows, np.union1d(found.shown, found.tested))
    assert len(found.rows) < len(found.shown) + len(found.tested)
    # Where all volumes are recognized, those that are shown are those that are tested.
    sure = np.eye(3)[codes]
    found = draw_volumes(sure, codes, 8, seed=SEED, participants=people)
    np.testing.assert_array_equal(found.shown, found.tested)
    np.testing.assert_array_equal(found.rows, found.tested)


def test_nothing_is_shown_where_nothing_is_recognized():
    _, codes, people = predictions()
    found = draw_volumes(
        np.full((len(codes), 3), 1 / 3), codes, 100, seed=SEED, participants=people
    )
    assert len(found.shown) == 0
    assert len(found.tested) == len(found.rows) == len(codes)
    assert sum("maps show 0 instead of 100" in note for note in found.notes) == 3
    assert sum("tested in 24 instead of 100" in note for note in found.notes) == 3


# --- is the test valid?


def simulated(rng, planted=0.0, n_people=8, n_each=20, n_regions=6, n_classes=3):
    """Scores that are sums over regions, the first of which may know the class."""
    codes = np.tile(np.repeat(np.arange(n_classes), n_each), n_people)
    people = np.repeat(np.arange(n_people), n_classes * n_each)
    scores = 0.9 * rng.standard_normal((len(codes), n_regions, n_classes))
    scores[np.arange(len(codes)), 0, codes] += planted
    return scores, codes, people


def occluded(scores, rows):
    """Changes of probabilities, (n_rows, n_classes, n_regions), where regions are emptied."""
    whole = scores[rows].sum(axis=1)
    after = special.softmax(whole[:, None] - scores[rows], axis=2)
    return np.swapaxes(after - special.softmax(whole, axis=1)[:, None], 1, 2)


def regions_of(number, planted):
    seed = np.random.SeedSequence(number)
    scores, codes, people = simulated(np.random.default_rng(number), planted)
    probabilities = special.softmax(scores.sum(axis=1), axis=1)
    drawn = draw_volumes(probabilities, codes, 16, seed=seed, participants=people)

    def test(rows):
        maps = participant_maps(occluded(scores, rows), codes[rows], people[rows], 8, 3)
        return group_occlusion(maps, 499, seed)

    return test(drawn.tested), test(drawn.shown)


def test_drops_of_noise_are_at_their_rate_in_tested_volumes_and_not_in_shown_ones():
    n = 150
    hits, chosen, corrected = 0, 0, 0
    for number in range(n):
        tested, shown = regions_of(number, 0.0)
        hits += (tested.p <= 0.05).sum()
        corrected += (fdr(tested.p.ravel()) <= 0.05).any()
        chosen += (shown.p <= 0.05).sum()
    # Regions of one study depend on each other a little, as they share what probabilities sum to.
    assert hits <= stats.binom.ppf(0.9999, n * 18, 0.05)
    assert hits >= stats.binom.ppf(0.0001, n * 18, 0.05)
    assert corrected <= stats.binom.ppf(0.9999, n, 0.05)
    # What this is for: volumes that were chosen for their confidence drop in noise.
    assert chosen > 4 * hits


def test_a_region_that_matters_is_found_in_tested_volumes():
    for number in range(5):
        tested, _ = regions_of(number, planted=2.0)
        assert (tested.p_fwe[:, 0] <= 0.05).all()
        assert (tested.p[:, 1:] > 0.001).all()
