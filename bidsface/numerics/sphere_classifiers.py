"""Ridge and Gaussian naive Bayes in many spheres, for many labellings at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np

from bidsface.numerics.devices import Array, Device
from bidsface.numerics.sphere_data import Labels, SphereData

SINGLE_PRECISION_PENALTY = 0.1
"""Penalty per voxel from which systems are solved in single precision."""


@dataclass(frozen=True)
class SphereRidge:
    """Ridge regression on class indicators; equals ``RidgeClassifier(alpha)`` on scaled voxels.

    Minimizes ``||Y - Z W - 1 b'||^2 + alpha ||W||^2``. With C the centring of Y, predictions for
    test samples z are ``z' Z' (Z Z' + alpha I)^-1 C Y + b`` (dual) or
    ``z' (Z' Z + alpha I)^-1 Z' C Y + b`` (primal). The smaller system is solved, for the test
    samples or for the labellings, whichever are fewer.

    Attributes
    ----------
    alpha : float or None
        Penalty; None for the number of voxels of the sphere.
    """

    alpha: float | None = None

    def __post_init__(self) -> None:
        """Refuse a penalty that is not positive."""
        if self.alpha is not None and not self.alpha > 0:
            raise ValueError(f"alpha must be positive, found {self.alpha}")

    def tolerance(self, spheres: SphereData) -> Array:
        """Return 2e-5, and more in proportion for a weaker penalty than one per voxel.

        The error of products grows by the condition number of the system, which is largest where
        all voxels of a sphere vary together.
        """
        ratio = spheres.sizes / self._penalties(spheres)
        return 2e-5 * spheres.device.xp.where(ratio > 1.0, ratio, 1.0)

    def voxel_columns(self, values: Array, labels: Labels, device: Device) -> Array:
        """See `bidsface.numerics.sphere_data.SphereClassifier`."""
        return values

    def decisions(self, spheres: SphereData, labels: Labels) -> Array:
        """See `bidsface.numerics.sphere_data.SphereClassifier`."""
        mean = labels.indicators.mean(1)[:, None]
        targets = labels.indicators - mean
        few = targets.shape[0] <= spheres.n_test
        solve = self._for_labellings if few else self._for_test_samples
        return labels.split(solve(spheres, targets) + mean)

    def _for_labellings(self, spheres: SphereData, targets: Array) -> Array:
        """Return predictions by way of the voxels' weights: no product with test samples."""
        device, xp = spheres.device, spheres.device.xp
        train = xp.swapaxes(spheres.train, 1, 2)
        if spheres.is_wide:
            system = device.products(spheres.train, spheres.train)
            rows = xp.stack([targets] * len(system))
            weights = self._solve(system, rows, spheres) @ train
        else:
            weights = self._solve(spheres.scatter(), targets @ train, spheres)
        return weights @ spheres.test

    def _for_test_samples(self, spheres: SphereData, targets: Array) -> Array:
        """Return predictions by way of the weight of every training sample for a test sample."""
        xp = spheres.device.xp
        if spheres.is_wide:
            weights = self._solve(*spheres.kernels(), spheres)
        else:
            test = xp.swapaxes(spheres.test, 1, 2) + 0.0  # a copy, as it is overwritten
            weights = self._solve(spheres.scatter(), test, spheres) @ spheres.train
        return targets @ xp.swapaxes(weights, 1, 2)

    def _solve(self, products: Array, rows: Array, spheres: SphereData) -> Array:
        """Return ``rows @ inv(products + alpha I)``, (s, m, n), in the precision of the data.

        Products of scaled samples have ``n_train * n_voxels`` as their trace, so that the matrix
        has a condition number of at most ``1 + n_train * n_voxels / alpha``.
        """
        device = spheres.device
        alpha = self._penalties(spheres)
        if not bool((alpha >= SINGLE_PRECISION_PENALTY * spheres.sizes).all()):
            products, rows = device.double(products), device.double(rows)
        device.add_to_diagonals(products, alpha)
        return _in_precision_of(spheres.values, device.solve_positive(products, rows), device)

    def _penalties(self, spheres: SphereData) -> Array:
        return spheres.sizes if self.alpha is None else 0 * spheres.sizes + self.alpha


def _in_precision_of(model: Array, array: Array, device: Device) -> Array:
    """Return a double-precision array in the precision of another."""
    return array if model.dtype == array.dtype else device.single(array)


@dataclass(frozen=True)
class SphereNaiveBayes:
    """Gaussian naive Bayes; equals ``GaussianNB(var_smoothing=...)`` on scaled voxels.

    The log likelihood of a class is a sum over voxels of ``a z^2 + b z + c``, whose coefficients
    depend on voxel, class and labelling, but not on the sphere: they are computed once per voxel,
    and a sphere is one matrix product of its test samples with the coefficients.

    Attributes
    ----------
    var_smoothing : float
        Part of the largest variance (1 for scaled voxels) that is added to every variance.
    """

    var_smoothing: float = 1e-9

    def __post_init__(self) -> None:
        """Refuse a smoothing that leaves variances of 0."""
        if not self.var_smoothing > 0:
            raise ValueError(f"var_smoothing must be positive, found {self.var_smoothing}")

    def tolerance(self, spheres: SphereData) -> float:
        """See `bidsface.numerics.sphere_data.SphereClassifier`."""
        return 5e-6

    def voxel_columns(self, values: Array, labels: Labels, device: Device) -> Array:
        """Return test samples and coefficients (a, b, c) of every voxel, side by side."""
        xp = device.xp
        n_train = labels.indicators.shape[1]
        known = device.double(values[:, :n_train])
        hot = xp.swapaxes(device.double(labels.indicators), 0, 1)
        counts = labels.counts.reshape(-1)
        share = 1.0 / xp.where(counts > 0, counts, 1.0)
        means = known @ hot * share
        squares = (known * known) @ hot * share
        # Differences of large numbers could be just below 0 where a class does not vary.
        spread = squares - means * means
        variance = xp.where(spread > 0, spread, 0.0) + self.var_smoothing
        a, b = -0.5 / variance, means / variance
        c = -0.5 * (xp.log(variance) + log(2 * pi) + means * b)
        # The last row stands for no voxel.
        inside = device.send(np.arange(values.shape[0]) < values.shape[0] - 1)[:, None]
        found = xp.where(inside, xp.concatenate((a, b, c), 1), 0.0)
        test = values[:, n_train:]
        return xp.concatenate((test, _in_precision_of(test, found, device)), 1)

    def decisions(self, spheres: SphereData, labels: Labels) -> Array:
        """See `bidsface.numerics.sphere_data.SphereClassifier`."""
        xp, n = spheres.device.xp, labels.n_classes * labels.n_labellings
        test = spheres.values[:, :, : spheres.n_test]
        a, b, c = (
            xp.swapaxes(spheres.values[:, :, start : start + n], 1, 2)
            for start in (spheres.n_test + n * part for part in range(3))
        )
        prior = labels.counts.reshape(-1) / labels.counts[:, 0].sum()
        log_prior = xp.log(xp.where(prior > 0, prior, 1.0))
        found = a @ (test * test) + b @ test
        return labels.split(found + (c.sum(2) + log_prior)[:, :, None])
