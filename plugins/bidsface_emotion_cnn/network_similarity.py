"""Whether classes that are alike in the brain are alike in the network, in other scenes.

A layer's activations are computed from volumes, and are like them down to their noise, whatever the
network has learned. So every network's RDM, of the runs that it never saw, is compared with the
brain's RDMs of all other runs; only then there is a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.dissimilarity import pairs_of
from bidsface.numerics.rdm_comparison import noise_ceiling
from bidsface_emotion_cnn.brain_rdms import BrainRdms, brain_rdms
from bidsface_emotion_cnn.class_rdms import mean_rdm
from bidsface_emotion_cnn.cross_validation import FoldOutcome, SchemeOutcome
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.split_similarity import split_ceiling, split_mantel, split_similarity
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.volume_set import VolumeSet

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
WHOLE_BRAIN = "brain"
FEWEST = 3
"""Two classes have one dissimilarity, which has nothing to be compared with."""
MOST_NAMED = 6
"""Pairs of classes that a warning names."""
NAN = float("nan")


@dataclass(frozen=True)
class Likeness:
    """How alike a region and a layer are.

    Attributes
    ----------
    region, layer : str
    r : float
        Pearson's r, mean over participants and held-out parts.
    p, p_min : float
        Of the Mantel test, and the smallest that it can have; NaN without a test.
    n_permutations : int
    exhaustive : bool
        Whether these were all orders of the classes.
    ceiling : (float, float)
        What the brains of others reach in the layer's place, and what nothing exceeds.
    n : int
        Participants who have all pairs.
    """

    region: str
    layer: str
    r: float
    p: float
    p_min: float
    n_permutations: int
    exhaustive: bool
    ceiling: tuple[float, float]
    n: int


@dataclass(frozen=True, eq=False)
class Similarity:
    """Dissimilarities of classes in the brain and in the network, and their comparison.

    Attributes
    ----------
    brain : mapping of str to ndarray of shape (n_participants, n_pairs)
        By region, of all volumes; NaN for pairs that a participant lacks.
    network : mapping of str to ndarray of shape (n_pairs,)
        By layer; mean over folds, of held-out volumes; NaN for pairs that no fold has.
    found : sequence of Likeness
    apart : bool
        Whether brain and network were compared across runs, and the network's had not been trained
        on; without that there is no test.
    notes : sequence of str
    """

    brain: Mapping[str, Floats]
    network: Mapping[str, Floats]
    found: Sequence[Likeness]
    apart: bool
    notes: Sequence[str]


@dataclass(frozen=True, eq=False)
class _Sides:
    """The RDMs of one region and one layer that are compared."""

    models: Floats
    brain: BrainRdms
    apart: bool

    @property
    def complete(self) -> Mask:
        """Which participants have all pairs, (n_participants,)."""
        rdms = self.brain.others if self.apart else self.brain.every[None]
        return np.asarray(np.isfinite(rdms).all(axis=(0, 2)))


def compared(outcomes: Sequence[SchemeOutcome], volumes: VolumeSet) -> SchemeOutcome:
    """Return the first scheme whose networks have not seen the runs they are tested on.

    Without one it is the first of all.
    """
    return next((one for one in outcomes if _is_apart(one, volumes)), outcomes[0])


def compare(
    outcome: SchemeOutcome, cohort: Cohort, n_permutations: int, tools: Tools
) -> Similarity | None:
    """Compare the classes' dissimilarities; None with fewer than three classes.

    Parameters
    ----------
    outcome : SchemeOutcome
        Of `compared`.
    cohort : Cohort
    n_permutations : int
        Orders of the classes; all of them where there are not more.
    tools : Tools
    """
    volumes = cohort.volumes
    if len(volumes.classes) < FEWEST:
        return None
    apart = _is_apart(outcome, volumes)
    tested = [np.unique(volumes.runs[one.fold.test]) for one in outcome.folds]
    parts = [np.isin(volumes.runs, runs) for runs in tested] if apart else []
    masks = {WHOLE_BRAIN: cohort.inside, **cohort.regions}
    brain = brain_rdms(volumes, cohort.inside, masks, parts, tools.seed("similarity", "draws"))
    layers = {
        layer: np.stack([one.layers[layer] for one in outcome.folds])
        for layer in outcome.folds[0].layers
    }
    sides = {
        (region, layer): _Sides(models, own, apart)
        for region, own in brain.items()
        for layer, models in layers.items()
    }
    found = [
        _likeness(*names, both, n_permutations, tools.seed("mantel", *names))
        for names, both in sides.items()
    ]
    return Similarity(
        {name: own.every for name, own in brain.items()},
        {layer: mean_rdm(models) for layer, models in layers.items()},
        [one for one in found if np.isfinite(one.r)],
        apart,
        list(dict.fromkeys(_notes(sides, found, volumes))),
    )


def _is_apart(outcome: SchemeOutcome, volumes: VolumeSet) -> bool:
    return all(_unseen(one, volumes) for one in outcome.folds)


def _unseen(one: FoldOutcome, volumes: VolumeSet) -> bool:
    used = np.concatenate([one.fold.train, one.fold.validation])
    return not np.isin(volumes.runs[one.fold.test], volumes.runs[used]).any()


def _likeness(
    region: str,
    layer: str,
    sides: _Sides,
    n_permutations: int,
    seed: np.random.SeedSequence,
) -> Likeness:
    kept = sides.complete
    if not sides.apart:
        every = sides.brain.every[kept]
        stack = np.broadcast_to(every, (len(sides.models), *every.shape))
        r, ceiling = split_similarity(sides.models, stack), noise_ceiling(every)
        return Likeness(region, layer, r, NAN, NAN, 0, False, ceiling, int(kept.sum()))
    others = sides.brain.others[:, kept]
    test = split_mantel(sides.models, others, n_permutations=n_permutations, seed=seed)
    if test is None:
        return Likeness(region, layer, NAN, NAN, NAN, 0, False, (NAN, NAN), int(kept.sum()))
    ceiling = split_ceiling(sides.brain.held_out[:, kept], others, sides.models)
    return Likeness(
        region,
        layer,
        test.r,
        test.p,
        test.smallest_p,
        test.n_permutations,
        test.exhaustive,
        ceiling,
        int(kept.sum()),
    )


def _notes(
    sides: Mapping[tuple[str, str], _Sides], found: Sequence[Likeness], volumes: VolumeSet
) -> Iterator[str]:
    """Yield what the reader has to know: pairs, people and comparisons that are left out."""
    classes = volumes.classes
    for (_, layer), both in sides.items():
        lacking = np.flatnonzero(~np.isfinite(both.models).any(axis=0))
        if len(lacking):
            yield (
                f"similarity of brain and network, layer {layer}: {_pairs(lacking, classes)} are "
                "left out, since no held-out part has both classes"
            )
        absent = np.flatnonzero(~both.complete)
        if len(absent):
            names = ", ".join(f"sub-{volumes.participant_labels[row]}" for row in absent)
            yield (
                f"similarity of brain and network: {names} left out, for lack of volumes of every "
                "class" + (" beside each held-out part" if both.apart else "")
            )
    for one in found:
        if not np.isfinite(one.r):
            yield (
                f"similarity of brain and network: {one.region} and layer {one.layer} are not "
                "compared; it takes a participant with all classes, and a held-out part with "
                "three of them"
            )


def _pairs(numbers: NDArray[np.intp], classes: Sequence[str]) -> str:
    rows, columns = pairs_of(len(classes))
    names = [f"{classes[rows[one]]} and {classes[columns[one]]}" for one in numbers[:MOST_NAMED]]
    more = len(numbers) - len(names)
    return "; ".join(names) + (f"; and {more} more pairs" if more else "")
