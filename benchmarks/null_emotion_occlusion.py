"""How often occlusion finds places that know nothing of the classes; for ``null_emotion.py``.

Every data set is a group whose classifier is a sum over places. Its scores are noise at all places
but, in the second kind of data set, at one that knows the classes. What is emptied is a place: the
probabilities change by what it has added.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import special

from bidsface.numerics.seeds import child_seed
from bidsface.statistics import fdr
from bidsface_emotion_cnn.group_occlusion import GroupOcclusion, group_occlusion, participant_maps
from bidsface_emotion_cnn.volume_draw import draw_volumes

N_PEOPLE, N_CLASSES, N_PLACES, N_EACH = 12, 3, 20, 30
PER_CLASS, ABOVE, N_FLIPS = 24, 0.8, 1999
NOISE, LIKENESS, KNOWING = 0.6, 0.5, 2.5

WRONG = "NOT OFFERED"
POWER = "AS IT SHOULD"
CHOSEN = "tested in the volumes that were chosen for their confidence"

Found = Iterator[tuple[str, float]]


def watch(rng: np.random.Generator, knowing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores (n_volumes, n_places, n_classes), classes and participants.

    Neighbouring places are alike, as those of boxes that overlap; the first one may know the class.
    """
    codes = np.tile(np.repeat(np.arange(N_CLASSES), N_EACH), N_PEOPLE)
    people = np.repeat(np.arange(N_PEOPLE), N_CLASSES * N_EACH)
    own = rng.standard_normal((len(codes), N_PLACES + 1, N_CLASSES))
    scores = NOISE * (np.sqrt(1 - LIKENESS) * own[:, 1:] + np.sqrt(LIKENESS) * own[:, :-1])
    scores[:, 0] = NOISE * rng.standard_normal((len(codes), N_CLASSES))
    scores[np.arange(len(codes)), 0, codes] += knowing
    return scores, codes, people


def emptied(scores: np.ndarray) -> np.ndarray:
    """Return changes of probabilities, (n_volumes, n_classes, n_places)."""
    whole = scores.sum(axis=1)
    after = special.softmax(whole[:, None] - scores, axis=2)
    return np.swapaxes(after - special.softmax(whole, axis=1)[:, None], 1, 2)


def occluded(
    rng: np.random.Generator, seed: np.random.SeedSequence, knowing: float
) -> tuple[GroupOcclusion, GroupOcclusion]:
    """Return the tests in drawn volumes, as the analysis makes them, and in chosen ones."""
    scores, codes, people = watch(rng, knowing)
    probabilities = special.softmax(scores.sum(axis=1), axis=1)
    drawn = draw_volumes(
        probabilities, codes, PER_CLASS, ABOVE, seed=child_seed(seed, 0), participants=people
    )

    def test(rows: np.ndarray) -> GroupOcclusion:
        changes = emptied(scores[rows])
        maps = participant_maps(changes, codes[rows], people[rows], N_PEOPLE, N_CLASSES)
        return group_occlusion(maps, N_FLIPS, child_seed(seed, 1))

    return test(drawn.tested), test(drawn.shown)


def occlusion_p(rng: np.random.Generator, seed: np.random.SeedSequence) -> Found:
    """Yield p-values of one data set without, and of one with a place that knows the classes."""
    tested, chosen = occluded(rng, child_seed(seed, 0), 0.0)
    yield "occlusion, p of one region and class", tested.p[0, 0]
    yield "occlusion, smallest p_fdr of regions and classes", fdr(tested.p.ravel()).min()
    yield "occlusion, smallest p_fwe of boxes, one class", tested.p_fwe[0].min()
    yield "occlusion, smallest p_fdr of boxes, one class", tested.p_fdr[0].min()
    yield f"{WRONG}: occlusion, p of one region and class, {CHOSEN}", chosen.p[0, 0]
    yield (
        f"{WRONG}: occlusion, smallest p_fdr of regions and classes, {CHOSEN}",
        fdr(chosen.p.ravel()).min(),
    )
    yield (
        f"{WRONG}: occlusion, smallest p_fwe of boxes, one class, {CHOSEN}",
        chosen.p_fwe[0].min(),
    )
    tested, chosen = occluded(rng, child_seed(seed, 1), KNOWING)
    # Far enough from the first place to have nothing in common with it.
    yield "occlusion, p of a region of noise beside one that knows", tested.p[0, -1]
    yield (
        "occlusion, smallest p_fwe of boxes of noise beside one that knows",
        tested.p_fwe[0, 1:].min(),
    )
    yield (
        f"{WRONG}: occlusion, p of a region of noise beside one that knows, {CHOSEN}",
        chosen.p[0, -1],
    )
    yield f"{POWER}: occlusion, p_fwe of a box that knows", tested.p_fwe[0, 0]


REPORT = f"""
Rows of occlusion: {N_PEOPLE} participants, {N_PLACES} places that add to the scores of
{N_CLASSES} classes, up to {PER_CLASS} volumes per class, {N_FLIPS} flips. Whatever is chosen for
being high is likelier to drop than to rise: in volumes that are classified correctly with a
probability above {ABOVE:g}, which maps show, emptying a place of noise lowers the probability too.
Drops are tested in volumes that are drawn whatever the classifier says of them.
"""
"""What is said of these rows below the table."""
