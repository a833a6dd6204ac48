"""How well observers agree: Krippendorff's alpha with missing labels, and its uncertainty.

Arrays in, arrays out. Everything is a ratio of sums over units (volumes of a film), so that
resampling blocks of units needs the sums of blocks only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.consensus import NONE, Codes, Floats, class_counts

FEWEST_FINITE = 0.5
"""Share of resamples that need to have an alpha, for an interval."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over units with at least two observers; the first column of three is of all classes.

    Attributes
    ----------
    disagreement : ndarray of shape (..., 1 + n_classes)
        Pairs of different labels, each unit's divided by its number of labels less 1.
    agreeing, pairs : ndarray of shape (..., 1 + n_classes)
        Ordered pairs of equal labels, and all of them; of a class: those whose first label it is.
    totals : ndarray of shape (..., n_classes)
        Labels of every class.
    """

    disagreement: Floats
    agreeing: Floats
    pairs: Floats
    totals: Floats

    def added(self, weights: Floats) -> Sums:
        """Return sums over rows, (n_resamples, n_rows) weights giving how often each counts."""
        return Sums(
            weights @ self.disagreement,
            weights @ self.agreeing,
            weights @ self.pairs,
            weights @ self.totals,
        )

    def alpha(self) -> Floats:
        """Return alpha of all classes and of every class against the rest, (..., 1 + n_classes).

        alpha = 1 - D_o / D_e; NaN where only one class occurs.
        """
        n = self.totals.sum(axis=-1, keepdims=True)
        of_all = n**2 - (self.totals**2).sum(axis=-1, keepdims=True)
        of_classes = 2 * self.totals * (n - self.totals)
        expected = np.concatenate([of_all, of_classes], axis=-1)
        return 1 - _ratio((n - 1) * self.disagreement, expected)

    def agreement(self) -> Floats:
        """Return the share of pairs of labels that are equal, (..., 1 + n_classes).

        Of a class: how probable it is, where one observer chose it, that another one did too.
        """
        return _ratio(self.agreeing, self.pairs)


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement on all classes together (first) and on every class, each (1 + n_classes,).

    Attributes
    ----------
    alpha, low, high : ndarray
        Krippendorff's alpha and its confidence interval; NaN where there is none.
    observed : ndarray
        Share of pairs of labels that are equal.
    n_units : int
        Units with at least two observers.
    n_blocks : int
        Blocks that were resampled.
    """

    alpha: Floats
    low: Floats
    high: Floats
    observed: Floats
    n_units: int
    n_blocks: int


def krippendorff_alpha(codes: Codes, n_classes: int) -> float:
    """Return Krippendorff's alpha for nominal labels with missing ones.

    Parameters
    ----------
    codes : ndarray of shape (n_observers, n_units)
        -1 where an observer has no label; units with fewer than two labels do not count.
    n_classes : int

    Returns
    -------
    float
        1 for perfect agreement, 0 for that of chance; NaN where only one class occurs.

    References
    ----------
    Hayes and Krippendorff (2007), Communication Methods and Measures 1:77-89.
    """
    return float(_total(codes, n_classes).alpha()[0])


def class_alphas(codes: Codes, n_classes: int) -> Floats:
    """Return alpha of every class against the rest, (n_classes,); see `krippendorff_alpha`."""
    return _total(codes, n_classes).alpha()[1:]


def observer_pairs(codes: Codes) -> Floats:
    """Return the share of equal labels of every pair of observers, (n_observers, n_observers).

    Only units count for which both have a label; NaN where there is none.
    """
    known = codes != NONE
    both = known[:, None] & known[None]
    equal = (codes[:, None] == codes[None]) & both
    return _ratio(equal.sum(axis=-1).astype(float), both.sum(axis=-1).astype(float))


def measure_agreement(
    codes: Codes,
    n_classes: int,
    *,
    block: int,
    resamples: int,
    level: float,
    seed: np.random.SeedSequence,
) -> Agreement:
    """Return alpha, overall and per class, with intervals from resampled blocks of units.

    Neighbouring volumes of a film have the same labels, so blocks of them are resampled (Carlstein
    1986, Ann Stat 14:1171-1179) and not volumes.

    Parameters
    ----------
    codes : ndarray of shape (n_observers, n_units)
        In order of time; -1 where an observer has no label.
    n_classes : int
    block : int
        Units per block; the last one may be shorter.
    resamples : int
        0 for no interval.
    level : float
        Of the percentile interval, such as 0.95.
    seed : SeedSequence
    """
    units = unit_sums(class_counts(codes, n_classes))
    starts = np.arange(0, codes.shape[1], block)
    blocks = Sums(
        *(
            np.add.reduceat(values, starts, axis=0)
            for values in (units.disagreement, units.agreeing, units.pairs, units.totals)
        )
    )
    total = blocks.added(np.ones(len(starts)))
    weights = np.random.default_rng(seed).multinomial(
        len(starts), np.full(len(starts), 1 / len(starts)), size=resamples
    )
    low, high = _interval(blocks.added(weights.astype(float)).alpha(), level)
    return Agreement(
        total.alpha(),
        low,
        high,
        total.agreement(),
        int((units.pairs[:, 0] > 0).sum()),
        len(starts),
    )


def unit_sums(counts: Codes) -> Sums:
    """Return the terms of single units.

    Parameters
    ----------
    counts : ndarray of shape (n_units, n_classes)
        How many observers chose every class.
    """
    labels = counts.sum(axis=1, keepdims=True)
    pairable = labels > 1
    own = np.where(pairable, counts, 0).astype(float)
    others = np.where(pairable, labels - 1, 1).astype(float)
    equal = own * (own - 1)
    pairs = own * np.where(pairable, labels - 1, 0)
    different = 2 * own * (np.where(pairable, labels, 0) - own) / others
    # Every pair of different labels is one of both its classes.
    return Sums(
        _with_sum(different, different.sum(axis=1, keepdims=True) / 2),
        _with_sum(equal, equal.sum(axis=1, keepdims=True)),
        _with_sum(pairs, pairs.sum(axis=1, keepdims=True)),
        own,
    )


def _total(codes: Codes, n_classes: int) -> Sums:
    return unit_sums(class_counts(codes, n_classes)).added(np.ones(codes.shape[1]))


def _with_sum(of_classes: Floats, of_all: Floats) -> Floats:
    return np.concatenate([of_all, of_classes], axis=1)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def _interval(values: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the percentile interval of every column, NaN where many resamples have no value."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    ends = np.full((2, values.shape[1]), np.nan)
    for number, column in enumerate(values.T):
        known: NDArray = column[np.isfinite(column)]
        if len(known) > FEWEST_FINITE * len(column):
            ends[:, number] = np.quantile(known, tails)
    return ends[0], ends[1]
