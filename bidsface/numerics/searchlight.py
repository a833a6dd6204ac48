"""Cross-validated classification in every sphere of a mask, for many labellings at once.

A sphere and fold need their data only through inner products: of the training samples with one
another and with the test samples where the sphere has more voxels than there are samples, of the
voxels with one another where it has fewer. Their factorization does not depend on labels, so that
permuted labels are further right-hand sides of it. Many spheres go through every step at once.

Products are in single precision and solutions in double precision. Spheres whose observed
labelling comes near a tie are done again in double precision throughout, so that the observed
accuracies are those of double precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.devices import Array, Device, Processor
from bidsface.numerics.linear import Codes, Floats, standardize
from bidsface.numerics.neighbourhoods import Indices, Spheres

DOUBTFUL = 2e-5
"""Lead of the largest decision, relative to their size, under which products are repeated."""

GRAIN = 2.0**20
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Test:
    """Samples to test on.

    Attributes
    ----------
    samples : ndarray of int
    scaling : ndarray of int
        Samples whose mean and standard deviation scale the test samples.
    score : int
        Number of the map that the test belongs to.
    """

    __test__ = False  # it is no test of pytest's

    samples: Indices
    scaling: Indices
    score: int


@dataclass(frozen=True, eq=False)
class Split:
    """Samples to train on, and one or more sets of samples to test on."""

    train: Indices
    tests: tuple[Test, ...]


@dataclass(frozen=True, eq=False)
class SphereData:
    """Scaled data of several spheres in one fold.

    Attributes
    ----------
    values : array of shape (n_spheres, n_voxels, n_train + n_test)
        Training samples first; rows of zeros fill spheres that have fewer voxels.
    n_train : int
    sizes : array of shape (n_spheres,), float64
        Voxels of every sphere.
    device : Device
    """

    values: Array
    n_train: int
    sizes: Array
    device: Device

    @property
    def n_test(self) -> int:
        """Number of test samples."""
        return int(self.values.shape[2]) - self.n_train

    @property
    def is_wide(self) -> bool:
        """Whether there are more voxels than training samples."""
        return int(self.values.shape[1]) > self.n_train

    def kernels(self) -> tuple[Array, Array]:
        """Return inner products of samples, (s, n_train, n_train) and (s, n_test, n_train)."""
        products = self.device.xp.swapaxes(self.values, 1, 2) @ self.values
        n = self.n_train
        return products[:, :n, :n], products[:, n:, :n]

    def scatter(self) -> Array:
        """Return inner products of voxels over the training samples, (s, n_voxels, n_voxels)."""
        known = self.values[:, :, : self.n_train]
        return known @ self.device.xp.swapaxes(known, 1, 2)


@dataclass(frozen=True, eq=False)
class Labels:
    """Class indicators of the training samples of one fold, for many labellings.

    Attributes
    ----------
    codes : ndarray of int, shape (n_labellings, n_train)
    indicators : array of shape (n_train, n_classes * n_labellings)
        0 and 1; all labellings of the first class come first.
    counts : array of shape (n_classes, n_labellings)
    """

    codes: Codes
    indicators: Array
    counts: Array

    @classmethod
    def of(cls, codes: Codes, n_classes: int, device: Device, dtype: Any) -> Labels:
        """Make indicators of ``codes`` (n_labellings, n_train)."""
        hot = (codes.T[:, None, :] == np.arange(n_classes)[:, None]).astype(dtype)
        counts = device.send(hot.sum(axis=0, dtype=np.float64))
        return cls(codes, device.send(hot.reshape(len(hot), -1)), counts)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.counts.shape[0])

    @property
    def n_labellings(self) -> int:
        """Number of labellings."""
        return int(self.counts.shape[1])


class SphereClassifier(Protocol):
    """A classifier that works on many spheres and labellings at once."""

    def decisions(self, spheres: SphereData, labels: Labels) -> Array:
        """Return decisions of shape (n_spheres, n_test, n_classes, n_labellings)."""


@dataclass(frozen=True, eq=False)
class Searchlight:
    """Maps of cross-validated scores.

    Attributes
    ----------
    data : ndarray of shape (n_voxels, n_samples), float32
        Samples of all tasks; a voxel's samples lie together.
    spheres : Spheres
    splits : sequence of Split
    codes : ndarray of int, shape (n_labellings, n_samples)
        The first labelling is the observed one.
    n_classes : int
    classifier : SphereClassifier
    balanced : bool
        Whether scores are the mean recall of the classes, or the fraction of correct samples.
    device : Device
    precise : bool
        Compute everything in double precision.
    """

    data: NDArray[np.floating]
    spheres: Spheres
    splits: Sequence[Split]
    codes: Codes
    n_classes: int
    classifier: SphereClassifier
    balanced: bool = True
    device: Device = field(default_factory=Processor)
    precise: bool = False

    @property
    def n_maps(self) -> int:
        """Number of maps."""
        return 1 + max(test.score for split in self.splits for test in split.tests)

    def scores(self, centres: Indices) -> NDArray[np.float32]:
        """Return the mean score over folds, (n_maps, n_labellings, n_centres).

        Depends on nothing but the arguments: the same centres give the same bits in any process.

        Parameters
        ----------
        centres : ndarray of int
            Voxels whose spheres are wanted, some thousands at most: neighbours in the mask share
            the scaling of their voxels.
        """
        dtype = np.float64 if self.precise else np.float32
        found, doubtful = self._score(centres, self.codes, dtype)
        again = np.flatnonzero(doubtful)
        if len(again) and not self.precise:
            exact, _ = self._score(centres[again], self.codes[:1], np.float64)
            found[:, :1, again] = exact
        # The same fraction may come out of sums that differ in the last bit. No fraction of small
        # numbers is near a multiple of the grain plus the golden ratio's part, so that the steps
        # of a grid that is shifted by it make equals of them; they are exact in single precision.
        return (np.floor(found * GRAIN + GOLDEN) / GRAIN).astype(np.float32)

    def _score(
        self, centres: Indices, codes: Codes, dtype: Any
    ) -> tuple[Floats, NDArray[np.bool_]]:
        members = self.spheres.members(centres)
        used, local = _renumber(members, self.spheres.n_voxels)
        data = np.take(self.data, used, axis=0).astype(np.float64)
        if not np.isfinite(data).all():
            raise ValueError("the data hold values that are not finite")
        totals = np.zeros((self.n_maps, len(codes), len(centres)))
        doubtful = np.zeros(len(centres), dtype=bool)
        folds = np.zeros(self.n_maps)
        batches = self._batches(local, len(used), dtype)
        for split in self.splits:
            values = self.device.send(scaled(data, split, dtype))
            fold = _Fold(self, split, codes, dtype)
            folds[[test.score for test in split.tests]] += 1
            for batch, columns, sizes in batches:
                sphere = SphereData(
                    self.device.rows(values, columns), len(split.train), sizes, self.device
                )
                doubtful[batch] |= fold.add_scores(sphere, totals, batch)
        return totals / folds[:, None, None], doubtful

    def _batches(
        self, local: NDArray[np.int32], n_used: int, dtype: Any
    ) -> list[tuple[Indices, Array, Array]]:
        """Return spheres of like size in batches: their numbers, voxels and sizes."""
        sizes = (local < n_used).sum(axis=1)
        order = np.argsort(sizes, kind="stable")
        widest = max(len(s.train) + sum(len(t.samples) for t in s.tests) for s in self.splits)
        each = local.shape[1] * widest * np.dtype(dtype).itemsize
        step = max(1, self.device.batch // each)
        found = []
        for start in range(0, len(order), step):
            batch = order[start : start + step]
            # Places of the padded grid outside the mask come last, and few of them are kept.
            columns = np.sort(local[batch], axis=1)[:, : sizes[batch[-1]]].astype(np.int64)
            found.append(
                (batch, self.device.send(columns), self.device.send(sizes[batch].astype(float)))
            )
        return found


class _Fold:
    """Labels, truth and weights of one fold, on the device."""

    def __init__(self, light: Searchlight, split: Split, codes: Codes, dtype: Any) -> None:
        self.light, self.split = light, split
        self.labels = Labels.of(codes[:, split.train], light.n_classes, light.device, dtype)
        self.truths = []
        for test in split.tests:
            truth = codes[:, test.samples]
            weights = sample_weights(truth, light.n_classes, light.balanced)
            self.truths.append((light.device.send(truth.T.copy()), light.device.send(weights.T)))

    def add_scores(
        self, spheres: SphereData, totals: Floats, batch: Indices
    ) -> NDArray[np.bool_]:
        """Add the fold's scores to ``totals``; tell which spheres come near a tie."""
        xp, device = spheres.device.xp, spheres.device
        decisions = self.light.classifier.decisions(spheres, self.labels)
        size = 1.0 + xp.amax(xp.amax(xp.abs(decisions[..., 0]), 2), 1)
        present = self.labels.counts > 0
        if not bool(present.all()):
            decisions = xp.where(present, decisions, -xp.inf)
        winners, lead = largest_decision(decisions, xp)
        start = 0
        for test, (truth, weights) in zip(self.split.tests, self.truths, strict=True):
            part = winners[:, start : start + len(test.samples)]
            scores = xp.where(part == truth, weights, 0.0).sum(1)
            totals[test.score][:, batch] += device.fetch(scores).T
            start += len(test.samples)
        return np.asarray(device.fetch(xp.amin(lead, 1) < DOUBTFUL * size))


def largest_decision(decisions: Array, xp: Any) -> tuple[Array, Array]:
    """Return the class of the largest decision, of several the first, and its lead.

    Parameters
    ----------
    decisions : array of shape (n_spheres, n_test, n_classes, n_labellings)
    xp : module

    Returns
    -------
    winners : array of shape (n_spheres, n_test, n_labellings)
    lead : array of shape (n_spheres, n_test)
        Of the first labelling's largest decision over its second.
    """
    best = decisions[:, :, 0]
    winners = xp.zeros_like(best, dtype=xp.int16)
    for code in range(1, decisions.shape[2]):
        rival = decisions[:, :, code]
        winners = xp.where(rival > best, code, winners)
        best = xp.maximum(best, rival)
    first = decisions[..., 0]
    # NumPy and torch sort alike, but torch returns places, too.
    ordered = first[..., :0]
    top = xp.amax(first, 2)
    is_top = xp.cumsum(first == top[..., None], 2)
    rest = xp.where((is_top == 1) & (first == top[..., None]), -xp.inf, first)
    del ordered
    return winners, top - xp.amax(rest, 2)


def sample_weights(truth: Codes, n_classes: int, balanced: bool) -> Floats:
    """Return what every test sample adds to the score if it is recognized.

    Parameters
    ----------
    truth : ndarray of int, shape (n_labellings, n_test)
    n_classes : int
    balanced : bool
        For the mean recall of the classes that the test part has; else for the fraction correct.

    Returns
    -------
    ndarray of shape (n_labellings, n_test)
    """
    if not balanced:
        return np.full(truth.shape, 1.0 / truth.shape[1])
    counts = (truth[:, :, None] == np.arange(n_classes)).sum(axis=1)
    n_present = (counts > 0).sum(axis=1, keepdims=True)
    return 1.0 / (n_present * np.take_along_axis(counts, truth.astype(np.intp), axis=1))


def scaled(data: Floats, split: Split, dtype: Any) -> NDArray[Any]:
    """Return training and test samples of a fold, scaled, with a row of zeros at the end.

    Parameters
    ----------
    data : ndarray of shape (n_voxels, n_samples)
    split : Split
    dtype : type

    Returns
    -------
    ndarray of shape (n_voxels + 1, n_train + n_test)
    """
    known = data[:, split.train]
    parts = [known]
    own = [test for test in split.tests if test.scaling is split.train]
    held_out = {id(test): data[:, test.samples] for test in split.tests}
    standardize(known.T, *(held_out[id(test)].T for test in own))
    for test in split.tests:
        if test.scaling is not split.train:
            standardize(data[:, test.scaling].T, held_out[id(test)].T)
        parts.append(held_out[id(test)])
    values = np.concatenate(parts, axis=1, dtype=dtype, casting="same_kind")
    return np.concatenate([values, np.zeros((1, values.shape[1]), dtype=dtype)])


def _renumber(
    members: NDArray[np.int32], n_voxels: int
) -> tuple[Indices, NDArray[np.int32]]:
    """Return the voxels that occur, and members by their numbers among these."""
    occurs = np.zeros(n_voxels + 1, dtype=bool)
    occurs[members] = True
    occurs[n_voxels] = False
    used = np.flatnonzero(occurs)
    number = np.full(n_voxels + 1, len(used), dtype=np.int32)
    number[used] = np.arange(len(used))
    return used, number[members]
