"""Dissimilarities of classes in the brains of participants: of all volumes, and of parts of them.

Of volumes only inner products are needed, once for every participant and region; the mean patterns
of any classes, runs and draws are combinations of volumes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed
from bidsface_emotion_cnn.class_rdms import N_DRAWS, product_rdm
from bidsface_emotion_cnn.equal_counts import equal_draws
from bidsface_emotion_cnn.volume_set import VolumeSet

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CHUNK = 64
"""Volumes that are read at a time."""
SLAB = 2048
"""Voxels that are held in double precision at a time."""


@dataclass(frozen=True, eq=False)
class BrainRdms:
    """RDMs of participants in one region; NaN for pairs that a participant lacks.

    Attributes
    ----------
    every : ndarray of shape (n_participants, n_pairs)
        Of all volumes.
    held_out, others : ndarray of shape (n_parts, n_participants, n_pairs)
        Of the volumes of a part, and of those that are not in it.
    """

    every: Floats
    held_out: Floats
    others: Floats


def brain_rdms(
    volumes: VolumeSet,
    inside: Mask,
    regions: Mapping[str, Mask],
    parts: Sequence[Mask],
    seed: np.random.SeedSequence,
) -> dict[str, BrainRdms]:
    """Return the RDMs of participants, each from equally many volumes of every class.

    Every voxel is z-scored over the participant's volumes.

    Parameters
    ----------
    volumes : VolumeSet
        Memory holds those of one participant.
    inside : ndarray of bool, shape (X, Y, Z)
        Where the brain is.
    regions : mapping of str to ndarray of bool, shape (X, Y, Z)
        Those of fewer than two voxels in the brain are left out.
    parts : sequence of ndarray of bool, shape (n_volumes,)
    seed : SeedSequence
    """
    columns = {name: mask[inside] for name, mask in regions.items()}
    columns = {name: own for name, own in columns.items() if own.sum() > 1}
    n_people, n_classes = len(volumes.participant_labels), len(volumes.classes)
    blank = np.full((1 + 2 * len(parts), n_people, n_classes * (n_classes - 1) // 2), np.nan)
    found = {name: blank.copy() for name in columns}
    for person in range(n_people):
        rows = np.flatnonzero(volumes.participants == person)
        if not len(rows):
            continue
        products = _products(volumes, rows, inside, columns)
        every = np.ones(len(rows), bool)
        kinds = [every, *(kept for part in parts for kept in (part[rows], ~part[rows]))]
        for place, kept in enumerate(kinds):
            if not kept.any():
                continue
            codes, runs = volumes.codes[rows[kept]], volumes.runs[rows[kept]]
            draws = equal_draws(codes, runs, N_DRAWS, child_seed(child_seed(seed, person), place))
            for name, own in products.items():
                part_products = own[np.ix_(kept, kept)]
                found[name][place, person] = product_rdm(part_products, codes, draws, n_classes)
    return {name: BrainRdms(own[0], own[1::2], own[2::2]) for name, own in found.items()}


def _products(
    volumes: VolumeSet, rows: NDArray[np.intp], inside: Mask, columns: Mapping[str, Mask]
) -> dict[str, Floats]:
    """Return inner products of z-scored volumes less their mean over voxels, by region."""
    values = np.empty((len(rows), int(inside.sum())), np.float32)
    for start in range(0, len(rows), CHUNK):
        values[start : start + CHUNK] = volumes.read(rows[start : start + CHUNK])[:, inside]
    products = {name: np.zeros((len(rows), len(rows))) for name in columns}
    totals = {name: np.zeros(len(rows)) for name in columns}
    for start in range(0, values.shape[1], SLAB):
        slab = _z_scores(values[:, start : start + SLAB].astype(np.float64))
        for name, own in columns.items():
            part = slab[:, own[start : start + SLAB]]
            products[name] += part @ part.T
            totals[name] += part.sum(axis=1)
    return {
        name: own - np.multiply.outer(totals[name], totals[name]) / columns[name].sum()
        for name, own in products.items()
    }


def _z_scores(values: Floats) -> Floats:
    """Return z-scores of columns; 0 where nothing varies."""
    centred = values - values.mean(axis=0)
    variance = (centred**2).mean(axis=0)
    varies = variance > 1e-12
    return centred * np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), 0.0)
