"""Cross-validated classification in every sphere of a mask, for many labellings at once.

A sphere and fold need their data only through inner products: of the training samples with one
another and with the test samples where the sphere has more voxels than there are samples, of the
voxels with one another where it has fewer. Their factorization does not depend on labels, so that
permuted labels are further right-hand sides of it. Many spheres go through every step at once.

Products are in single precision, and so are solutions of systems that are conditioned well.
Spheres whose observed labelling comes near a tie are done again in double precision throughout, so
that the observed scores are those of double precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.devices import Array, Device, Processor
from bidsface.numerics.linear import Codes, Floats
from bidsface.numerics.neighbourhoods import Indices, Spheres, renumber
from bidsface.numerics.sphere_data import (
    Labels,
    SphereClassifier,
    SphereData,
    Split,
    sample_weights,
    scaled,
)

GRAIN = 2.0**-20
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Searchlight:
    """Maps of cross-validated scores.

    Attributes
    ----------
    data : ndarray of shape (n_voxels, n_samples)
        Samples of all tasks; the samples of a voxel lie together.
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

        The same centres give the same bits in whatever thread or process.

        Parameters
        ----------
        centres : ndarray of int
            Voxels whose spheres are wanted, some thousands at most; those of neighbours share the
            scaling of their voxels.

        Raises
        ------
        ValueError
            If the data hold values that are not finite.
        """
        found, doubtful = self._score(centres, self.codes, np.dtype(np.float32))
        if self.precise:
            found, _ = self._score(centres, self.codes, np.dtype(np.float64))
        elif doubtful.any():
            again, _ = self._score(centres[doubtful], self.codes[:1], np.dtype(np.float64))
            found[:, :1, doubtful] = again
        return rounded(found)

    def _score(
        self, centres: Indices, codes: Codes, dtype: np.dtype
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Return scores, and which spheres come near a tie."""
        device = self.device.workspace()
        used, local = renumber(self.spheres.members(centres), self.spheres.n_voxels)
        data = np.take(self.data, used, axis=0).astype(np.float64)
        if not np.isfinite(data).all():
            raise ValueError("the data hold values that are not finite")
        totals = np.zeros((self.n_maps, len(codes), len(centres)))
        doubtful = np.zeros(len(centres), dtype=bool)
        n_folds = np.zeros(self.n_maps)
        sizes = (local < len(used)).sum(axis=1)
        # Places outside the mask have the largest number and come last.
        local = np.sort(local, axis=1)
        for split in self.splits:
            n_folds[[test.score for test in split.tests]] += 1
            fold = _Fold(self, split, codes, dtype, device)
            columns = fold.columns(data)
            for batch in batches(sizes, columns.shape[1] * dtype.itemsize, device.batch):
                index = local[batch, : sizes[batch[-1]]].astype(np.intp)
                values = device.rows(columns, device.send(index))
                width = device.send(sizes[batch].astype(np.float64))
                spheres = SphereData(values, len(split.train), split.n_test, width, device)
                doubtful[batch] |= fold.add_scores(spheres, totals, batch)
        return totals / n_folds[:, None, None], doubtful


class _Fold:
    """Labels, truth and weights of one fold, on the device."""

    def __init__(
        self, light: Searchlight, split: Split, codes: Codes, dtype: np.dtype, device: Device
    ) -> None:
        self.classifier, self.split, self.dtype, self.device = (
            light.classifier,
            split,
            dtype,
            device,
        )
        self.labels = Labels.of(codes[:, split.train], light.n_classes, device, dtype)
        self.complete = bool((self.labels.counts > 0).all())
        self.numbers = device.send(np.arange(light.n_classes, dtype=np.int16))
        self.truths = []
        for test in split.tests:
            truth = codes[:, test.samples]
            weights = sample_weights(truth, light.n_classes, light.balanced)
            self.truths.append((device.send(truth), device.send(weights)))

    def columns(self, data: Floats) -> Array:
        """Return what spheres need of every voxel."""
        values = self.device.send(scaled(data, self.split, self.dtype))
        return self.classifier.voxel_columns(values, self.labels, self.device)

    def add_scores(self, spheres: SphereData, totals: Floats, batch: Indices) -> NDArray[np.bool_]:
        """Add the fold's scores to ``totals``; tell which spheres come near a tie."""
        xp, device = self.device.xp, self.device
        decisions = self.classifier.decisions(spheres, self.labels)
        size = 1.0 + xp.amax(xp.abs(decisions[:, :, 0]), (1, 2))
        if not self.complete:  # classes without training samples are never predicted
            present = (self.labels.counts > 0)[:, :, None]
            decisions = xp.where(present, decisions, -xp.inf)
        winners, lead = largest_decision(decisions, self.numbers, xp)
        start = 0
        for test, (truth, weights) in zip(self.split.tests, self.truths, strict=True):
            part = winners[:, :, start : start + len(test.samples)]
            scores = xp.einsum("slm,lm->sl", device.double(part == truth), weights)
            totals[test.score][:, batch] += device.fetch(scores).T
            start += len(test.samples)
        near = device.fetch(xp.amin(lead, 1) < self.classifier.tolerance(spheres) * size)
        return np.asarray(near)


def largest_decision(decisions: Array, numbers: Array, xp: Any) -> tuple[Array, Array]:
    """Return the class of the largest decision, of several the first, and its lead.

    Parameters
    ----------
    decisions : array of shape (n_spheres, n_classes, n_labellings, n_test)
    numbers : array of int, shape (n_classes,)
        0, 1, ..., in the type that the classes are wanted in.
    xp : module

    Returns
    -------
    winners : array of int, shape (n_spheres, n_labellings, n_test)
    lead : array of shape (n_spheres, n_test)
        Of the largest decision over the second, for the first labelling.
    """
    best, rival = decisions[:, 0], decisions[:, 1]
    lead = lead_of_first(decisions[:, :, 0], xp)
    winners, best = (rival > best) * numbers[1], xp.maximum(best, rival)
    # In place: fresh memory costs more than the comparison.
    for code in range(2, decisions.shape[1]):
        rival = decisions[:, code]
        xp.maximum(winners, (rival > best) * numbers[code], out=winners)
        xp.maximum(best, rival, out=best)
    return winners, lead


def lead_of_first(decisions: Array, xp: Any) -> Array:
    """Return by how much the largest decision exceeds the second of (n_spheres, n_classes, m)."""
    top, second = decisions[:, 0], decisions[:, 0] - xp.inf
    for code in range(1, decisions.shape[1]):
        rival = decisions[:, code]
        second = xp.maximum(second, xp.minimum(top, rival))
        top = xp.maximum(top, rival)
    return top - second


def rounded(scores: Floats) -> NDArray[np.float32]:
    """Return scores to within 1e-6, equal where they are the same fraction.

    The same fraction may come out of sums that differ in the last bit. No fraction of small
    numbers lies near the steps of a grid that is shifted by the golden ratio, the number that
    fractions approach worst; multiples of the grain are exact in single precision. Sums that
    are equal as fractions may differ by a grain per summand: `GRAIN` goes to tests of them.
    """
    return (np.floor(scores / GRAIN + GOLDEN) * GRAIN).astype(np.float32)


def batches(sizes: NDArray[np.integer], row: int, target: int) -> Iterator[Indices]:
    """Yield spheres in batches of like size, so that few rows of zeros are needed.

    Parameters
    ----------
    sizes : ndarray of shape (n_spheres,)
        Voxels of every sphere.
    row : int
        Bytes of one voxel.
    target : int
        Bytes that a batch should have.
    """
    order = np.argsort(sizes, kind="stable")
    step = max(1, target // max(1, int(sizes[order[-1]]) * row))
    for start in range(0, len(order), step):
        yield order[start : start + step]
