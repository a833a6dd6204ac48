"""Occlusion of a group: participants' maps, their mean, and their test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.map_tests import BLOCK, ROWS, MapTest, blocks, corrected_p
from bidsface.numerics.seeds import child_seed
from bidsface.statistics import TIE, fdr

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]

ROUNDING = 1e-12
"""Smaller changes of a probability are rounding errors. Where a network is very sure, all that
changes is the last digit, by the same amount in every participant, which a test would take for an
effect.
"""


def participant_maps(
    changes: Iterable[NDArray[np.floating]],
    codes: Codes,
    participants: Codes,
    n_participants: int,
    n_classes: int,
) -> Floats:
    """Return each participant's mean change of a class's probability in the class's own volumes.

    Parameters
    ----------
    changes : iterable of n_volumes arrays of shape (n_classes, n_positions)
        Change of every class's probability by occlusion of one volume; taken one by one.
    codes : ndarray of shape (n_volumes,), int
        Classes of the volumes.
    participants : ndarray of shape (n_volumes,), int
    n_participants, n_classes : int

    Returns
    -------
    ndarray of shape (n_participants, n_classes, n_positions)
        NaN where a participant has no volume of a class.
    """
    total: Floats | None = None
    n = np.zeros((n_participants, n_classes, 1))
    for change, code, person in zip(changes, codes, participants, strict=True):
        if total is None:
            total = np.zeros((n_participants, n_classes, change.shape[1]))
        total[person, code] += change[code]
        n[person, code] += 1
    if total is None:
        raise ValueError("there is no volume")
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)


def participants_mean(maps: NDArray[np.floating]) -> Floats:
    """Return the mean of maps over the participants who have any, NaN where nobody has.

    Parameters
    ----------
    maps : ndarray of shape (n_participants, n_classes, n_positions)
        As `participant_maps` returns them.

    Returns
    -------
    ndarray of shape (n_classes, n_positions)
    """
    known = has_maps(maps)[:, :, None]
    total, n = np.where(known, maps, 0.0).sum(axis=0), known.sum(axis=0)
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


def has_maps(maps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which participants have maps of which classes, (n_participants, n_classes)."""
    return ~np.isnan(maps).all(axis=2)


@dataclass(frozen=True, eq=False)
class GroupOcclusion:
    """Occlusion maps of a group.

    Attributes
    ----------
    mean : ndarray of shape (n_classes, n_positions)
        Mean over participants of the change of the class's probability.
    t : ndarray of the same shape
        Of the mean against 0; negative where the probability drops. Finite: where all participants
        have the same change, as large as the precision of the numbers allows.
    p, p_fwe, p_fdr : ndarray of the same shape
        Of drops, one-tailed, by sign flips: uncorrected, corrected over the positions of the class
        by the largest drop of every flip, and adjusted by Benjamini and Hochberg. NaN where
        nothing was tested.
    n_participants : ndarray of shape (n_classes,), int
        Who have volumes of the class.
    smallest_p : ndarray of shape (n_classes,)
        Smallest p that the test can reach.
    """

    mean: Floats
    t: Floats
    p: Floats
    p_fwe: Floats
    p_fdr: Floats
    n_participants: NDArray[np.intp]
    smallest_p: Floats


def group_occlusion(
    maps: NDArray[np.floating],
    n_flips: int,
    seed: np.random.SeedSequence,
    inside: NDArray[np.bool_] | None = None,
) -> GroupOcclusion:
    """Average participants' maps, and test every class's drops over participants.

    Parameters
    ----------
    maps : ndarray of shape (n_participants, n_classes, n_positions)
        Of volumes that were drawn whatever the network says of them: a test in volumes that were
        chosen for a high probability finds drops in noise. NaN for a participant without volumes
        of a class.
    n_flips : int
        Sign flips; all of them are made where there are not more.
    seed : SeedSequence
    inside : ndarray of shape (n_positions,), bool, optional
        Positions to test, such as those that touch the brain.
    """
    n_classes, n_positions = maps.shape[1:]
    tested = np.ones(n_positions, dtype=bool) if inside is None else inside
    t, p, p_fwe, p_fdr = (np.full((n_classes, n_positions), np.nan) for _ in range(4))
    smallest = np.full(n_classes, np.nan)
    known = has_maps(maps)
    for code in range(n_classes):
        own = np.asarray(maps[known[:, code], code], dtype=np.float64)
        own = np.where(np.abs(own) < ROUNDING, 0.0, own)
        if len(own) < 2:
            continue
        found = sign_flip_test(-own[:, tested], n_flips, child_seed(seed, code))
        t[code, tested] = -found.statistic
        p[code, tested], p_fwe[code, tested] = found.p, found.p_fwe
        p_fdr[code] = fdr(p[code])
        smallest[code] = found.smallest_p
    return GroupOcclusion(participants_mean(maps), t, p, p_fwe, p_fdr, known.sum(axis=0), smallest)


def sign_flip_test(values: Floats, n_flips: int, seed: np.random.SeedSequence) -> MapTest:
    """Test whether means are above 0 by flipping the signs of whole maps.

    Exact where the null distribution is symmetric about 0, whatever the dependence of positions
    (Nichols and Holmes 2002, Hum Brain Mapp 15:1-25; Winkler et al. 2014, NeuroImage 92:381-397).
    A flip changes the mean and not the sum of squares. Flips are compared by
    ``r = sum / sqrt(n * sum of squares)``; ``t = r sqrt((n - 1) / (1 - r^2))`` is monotone in it.

    Parameters
    ----------
    values : ndarray of shape (n_participants, n_positions)
        A position with NaN, or with nothing but 0, is not tested.
    n_flips : int
        Random flips of signs; all of them are made where there are not more.
    seed : SeedSequence

    Returns
    -------
    MapTest
        ``statistic`` and ``largest`` are t.
    """
    n, n_positions = values.shape
    signs, exhaustive = sign_flips(n, n_flips, seed)
    size = np.sqrt(n * (values**2).sum(axis=0))
    tested = np.flatnonzero(size > 0)
    r, exceeding = np.empty(len(tested)), np.zeros(len(tested))
    largest = np.full(len(signs), -np.inf)
    for block in blocks(len(tested), BLOCK):
        unit = values[:, tested[block]] / size[tested[block]]
        r[block] = unit.sum(axis=0)
        for rows in blocks(len(signs), ROWS):
            flipped = signs[rows] @ unit
            exceeding[block] += (flipped >= r[block] - TIE).sum(axis=0)
            np.maximum(largest[rows], flipped.max(axis=1), out=largest[rows])
    statistic, p, p_fwe = (np.full(n_positions, np.nan) for _ in range(3))
    statistic[tested] = _t_of(r, n)
    p[tested] = (1.0 + exceeding) / (1.0 + len(signs))
    p_fwe[tested] = corrected_p(r, largest)
    smallest = 0.5**n if exhaustive else max(0.5**n, 1.0 / (1 + len(signs)))
    return MapTest(statistic, p, p_fwe, smallest, _t_of(largest, n))


def _t_of(r: Floats, n: int) -> Floats:
    """Return t; where all values are the same, as large as the precision of r allows."""
    return np.asarray(r * np.sqrt((n - 1) / np.maximum(1.0 - r**2, np.finfo(float).eps)))


def sign_flips(n: int, n_flips: int, seed: np.random.SeedSequence) -> tuple[Floats, bool]:
    """Return signs, of shape (n_flips, n), and whether these are all but the observed ones.

    Parameters
    ----------
    n : int
        Participants.
    n_flips : int
        Wanted; all 2^n - 1 are made where there are not more.
    seed : SeedSequence
    """
    if n < 60 and 2**n - 1 <= n_flips:
        every = np.array(list(product((1.0, -1.0), repeat=n)))
        return every[1:], True  # the first one is the observed one
    generator = np.random.default_rng(seed)
    return generator.choice(np.array([1.0, -1.0]), size=(n_flips, n)), False
