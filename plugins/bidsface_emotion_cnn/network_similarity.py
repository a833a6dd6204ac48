"""Whether classes that are alike in the brain are alike in the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.dissimilarity import correlation_rdm
from bidsface.numerics.rdm_comparison import MantelTest, mantel_test, noise_ceiling
from bidsface_emotion_cnn.cross_validation import SchemeOutcome
from bidsface_emotion_cnn.gathering import Cohort
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.volume_set import VolumeSet

Floats = NDArray[np.float64]
WHOLE_BRAIN = "brain"
CHUNK = 64
FEWEST = 3
"""Two classes have one dissimilarity, which has nothing to be compared with."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """Dissimilarities of classes in the brain and in the network, and their comparison.

    Attributes
    ----------
    brain : mapping of str to ndarray of shape (n_participants, n_pairs)
        By region; NaN for pairs that a participant lacks.
    network : mapping of str to ndarray of shape (n_pairs,)
        By layer; mean over folds, of held-out volumes.
    tests : mapping of (str, str) to MantelTest
        By region and layer.
    ceilings : mapping of str to (float, float)
        Noise ceiling of each region.
    """

    brain: Mapping[str, Floats]
    network: Mapping[str, Floats]
    tests: Mapping[tuple[str, str], MantelTest]
    ceilings: Mapping[str, tuple[float, float]]


def compare(
    outcome: SchemeOutcome, cohort: Cohort, n_permutations: int, tools: Tools
) -> Similarity | None:
    """Compare the classes' dissimilarities; None with fewer than three classes.

    Parameters
    ----------
    outcome : SchemeOutcome
    cohort : Cohort
    n_permutations : int
        Orders of the classes; all of them where there are not more.
    tools : Tools
    """
    if len(cohort.volumes.classes) < FEWEST:
        return None
    patterns = class_patterns(cohort.volumes, cohort.inside)
    masks = {WHOLE_BRAIN: cohort.inside, **cohort.regions}
    brain = {}
    for name, mask in masks.items():
        columns = mask[cohort.inside]
        if columns.sum() > 1:
            brain[name] = correlation_rdm(patterns[:, :, columns])
    network = {layer: _mean_rdm(outcome, layer) for layer in outcome.folds[0].layers}
    tests = {
        (region, layer): mantel_test(
            mean_rdm(rdms),
            own,
            n_permutations=n_permutations,
            seed=tools.seed("mantel", region, layer),
        )
        for region, rdms in brain.items()
        for layer, own in network.items()
        if np.isfinite(own).all() and np.isfinite(mean_rdm(rdms)).all()
    }
    ceilings = {name: _ceiling(rdms) for name, rdms in brain.items()}
    return Similarity(brain, network, tests, ceilings)


def mean_rdm(rdms: Floats) -> Floats:
    """Return the mean over those who have a pair; NaN where nobody has it."""
    known = np.isfinite(rdms)
    total = np.where(known, rdms, 0.0).sum(axis=0)
    counts = known.sum(axis=0)
    return np.divide(total, counts, out=np.full(len(total), np.nan), where=counts > 0)


def _mean_rdm(outcome: SchemeOutcome, layer: str) -> Floats:
    # Features of different networks have no common axes, but their dissimilarities do.
    return mean_rdm(np.stack([correlation_rdm(one.layers[layer]) for one in outcome.folds]))


def _ceiling(rdms: Floats) -> tuple[float, float]:
    complete = rdms[np.isfinite(rdms).all(axis=1)]
    return noise_ceiling(complete) if len(complete) > 1 else (float("nan"), float("nan"))


def class_patterns(volumes: VolumeSet, inside: NDArray[np.bool_]) -> Floats:
    """Return participants' mean volumes of classes, each voxel z-scored over the participant's.

    Parameters
    ----------
    volumes : VolumeSet
        Read in chunks.
    inside : ndarray of bool, shape (X, Y, Z)

    Returns
    -------
    ndarray of shape (n_participants, n_classes, n_inside)
        NaN where a participant has no volume of a class.
    """
    n_people, n_classes = len(volumes.participant_labels), len(volumes.classes)
    found = np.full((n_people, n_classes, int(inside.sum())), np.nan)
    for person in range(n_people):
        rows = np.flatnonzero(volumes.participants == person)
        if not len(rows):
            continue
        totals = np.zeros((n_classes, found.shape[2]))
        squares = np.zeros(found.shape[2])
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            values = volumes.read(part)[:, inside].astype(np.float64)
            np.add.at(totals, volumes.codes[part], values)
            squares += (values**2).sum(axis=0)
        counts = np.bincount(volumes.codes[rows], minlength=n_classes)[:, None]
        mean = totals.sum(axis=0) / len(rows)
        variance = np.maximum(squares / len(rows) - mean**2, 0.0)
        varies = variance > 1e-12
        scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
        means = np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)
        found[person] = (means - mean) * scale
    return found
