"""What a classifier of spheres gets: scaled data and labels of one fold; and its interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.devices import Array, Device
from bidsface.numerics.linear import Codes, Floats, standardize, without_signal
from bidsface.numerics.neighbourhoods import Indices


@dataclass(frozen=True, eq=False)
class Probe:
    """Samples to test on.

    Attributes
    ----------
    samples : ndarray of int
    scaling : ndarray of int
        Samples whose mean and standard deviation scale the test samples.
    score : int
        Number of the map that the test belongs to.
    """

    samples: Indices
    scaling: Indices
    score: int


@dataclass(frozen=True, eq=False)
class Split:
    """One fold: samples to train on, and one or more sets of samples to test on."""

    train: Indices
    tests: tuple[Probe, ...]

    @property
    def n_test(self) -> int:
        """Number of test samples of all sets."""
        return sum(len(test.samples) for test in self.tests)


@dataclass(frozen=True, eq=False)
class Labels:
    """Class indicators of the training samples of one fold, for many labellings.

    Attributes
    ----------
    indicators : array of shape (n_classes * n_labellings, n_train)
        0 and 1; all labellings of the first class come first.
    counts : array of shape (n_classes, n_labellings), float64
    n_classes, n_labellings : int
    """

    indicators: Array
    counts: Array
    n_classes: int
    n_labellings: int

    @classmethod
    def of(cls, codes: Codes, n_classes: int, device: Device, dtype: Any) -> Labels:
        """Make the indicators of ``codes`` (n_labellings, n_train)."""
        hot = (codes == np.arange(n_classes)[:, None, None]).astype(dtype)
        counts = device.send(hot.sum(axis=2, dtype=np.float64))
        indicators = device.send(hot.reshape(-1, codes.shape[1]))
        return cls(indicators, counts, n_classes, len(codes))

    def split(self, stack: Array) -> Array:
        """Reshape (s, n_classes * n_labellings, m) to (s, n_classes, n_labellings, m)."""
        return stack.reshape(stack.shape[0], self.n_classes, self.n_labellings, stack.shape[2])


@dataclass(frozen=True, eq=False)
class SphereData:
    """Several spheres in one fold.

    Attributes
    ----------
    values : array of shape (n_spheres, n_voxels, n_columns)
        What the classifier keeps of every voxel, by default its scaled samples, training samples
        first; rows of zeros fill spheres that have fewer voxels.
    n_train, n_test : int
    sizes : array of shape (n_spheres,), float64
        Voxels of every sphere.
    device : Device
    """

    values: Array
    n_train: int
    n_test: int
    sizes: Array
    device: Device

    @property
    def is_wide(self) -> bool:
        """Whether there are more voxels than training samples."""
        return int(self.values.shape[1]) > self.n_train

    @property
    def train(self) -> Array:
        """Training samples, (n_spheres, n_voxels, n_train)."""
        return self.values[:, :, : self.n_train]

    @property
    def test(self) -> Array:
        """Test samples, (n_spheres, n_voxels, n_test)."""
        return self.values[:, :, self.n_train :]

    def kernels(self) -> tuple[Array, Array]:
        """Return inner products of training and test samples with training samples.

        Returns
        -------
        train : array of shape (n_spheres, n_train, n_train)
        test : array of shape (n_spheres, n_test, n_train)
        """
        products = self.device.products(self.values, self.train)
        return products[:, : self.n_train], products[:, self.n_train :]

    def scatter(self) -> Array:
        """Return inner products of voxels over the training samples, (s, n_voxels, n_voxels)."""
        return self.train @ self.device.xp.swapaxes(self.train, 1, 2)


class SphereClassifier(Protocol):
    """A classifier that works on many spheres and labellings at once."""

    def tolerance(self, spheres: SphereData) -> Array | float:
        """Return a bound of the error of decisions in single precision, relative to their size."""

    def voxel_columns(self, values: Array, labels: Labels, device: Device) -> Array:
        """Return what spheres need of every voxel, (n_voxels, n_columns).

        Parameters
        ----------
        values : array of shape (n_voxels, n_train + n_test)
            Scaled samples.
        labels : Labels
        device : Device
        """

    def decisions(self, spheres: SphereData, labels: Labels) -> Array:
        """Return decisions of shape (n_spheres, n_classes, n_labellings, n_test)."""


def scaled(data: Floats, split: Split, dtype: Any) -> NDArray[Any]:
    """Return training and test samples of a fold, scaled, and a row of zeros at the end.

    Parameters
    ----------
    data : ndarray of shape (n_voxels, n_samples)
    split : Split
    dtype : type

    Returns
    -------
    ndarray of shape (n_voxels + 1, n_train + n_test)
    """
    parts = [data[:, split.train]]
    standardize(parts[0].T)
    # What centring leaves of a constant voxel is rounding, and must not become a pattern.
    flat = without_signal(parts[0].T)
    parts[0][flat] = 0.0
    for test in split.tests:
        scaling, held_out = data[:, test.scaling], data[:, test.samples]
        standardize(scaling.T, held_out.T)
        # What does not vary in training was not scaled: it would outweigh everything else.
        held_out[flat | without_signal(scaling.T)] = 0.0
        parts.append(held_out)
    values = np.zeros((len(data) + 1, len(split.train) + split.n_test), dtype=dtype)
    np.concatenate(parts, axis=1, out=values[:-1], casting="same_kind")
    return values


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
