"""Linear discriminant analysis in many spheres, for many labellings at once.

The model, the shrinkage and Woodbury's identity are those of `bidsface.numerics.discriminant`,
here in the coordinates of the eigenvectors of the total scatter, which no label changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bidsface.numerics.devices import Array, Device
from bidsface.numerics.sphere_data import Labels, SphereData


@dataclass(frozen=True, eq=False)
class _Rotated:
    """Spheres in coordinates in which the training samples are uncorrelated.

    Attributes
    ----------
    values : array of shape (n_spheres, r)
        Sums of squares of the training samples; 0 for coordinates that are not used.
    train : array of shape (n_spheres, n_train, r)
    test : array of shape (n_spheres, n_test, r)
    """

    values: Array
    train: Array
    test: Array

    @classmethod
    def of(cls, spheres: SphereData) -> _Rotated:
        device, xp = spheres.device, spheres.device.xp
        if spheres.is_wide:
            train, test = (device.double(part) for part in spheres.kernels())
            values, vectors, keep = _spectrum(train, xp)
            root = xp.sqrt(xp.where(keep, values, 1.0))[:, None]
            kept = xp.where(keep, 1.0, 0.0)[:, None]
            rotated = test @ (vectors / root)
            return cls(values, vectors * root * kept, rotated * kept)
        values, vectors, keep = _spectrum(device.double(spheres.scatter()), xp)
        kept = vectors * xp.where(keep, 1.0, 0.0)[:, None]
        train = xp.swapaxes(device.double(spheres.train), 1, 2) @ kept
        return cls(values, train, xp.swapaxes(device.double(spheres.test), 1, 2) @ kept)


def _spectrum(products: Array, xp: object) -> tuple[Array, Array, Array]:
    """Return eigenvalues (those that are 0 but for rounding set to 0), vectors, and which count."""
    values, vectors = xp.linalg.eigh(products)  # type: ignore[attr-defined]
    # Products in single precision leave that much noise in coordinates that nothing varies in.
    limit = values[:, -1:] * values.shape[1] * float(np.finfo(np.float32).eps) / 8
    keep = values > limit
    return xp.where(keep, values, 0.0), vectors, keep  # type: ignore[attr-defined]


@dataclass(frozen=True)
class SphereDiscriminant:
    """Linear discriminant analysis with a shrunken pooled covariance.

    Attributes
    ----------
    shrinkage : float or None
        Above 0 to 1; None for the estimate of Ledoit and Wolf (2004, J Multivariate Anal
        88:365-411) for every sphere, fold and labelling.
    """

    shrinkage: float | None = None

    def __post_init__(self) -> None:
        """Refuse a shrinkage that leaves the covariance singular."""
        if self.shrinkage is not None and not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage must be above 0 and at most 1, found {self.shrinkage}")

    def tolerance(self, spheres: SphereData) -> float:
        """See `bidsface.numerics.sphere_data.SphereClassifier`."""
        return 2e-5

    def voxel_columns(self, values: Array, labels: Labels, device: Device) -> Array:
        """See `bidsface.numerics.sphere_data.SphereClassifier`."""
        return values

    def decisions(self, spheres: SphereData, labels: Labels) -> Array:
        """See `bidsface.numerics.sphere_data.SphereClassifier`."""
        xp, n = spheres.device.xp, spheres.n_train
        rotated = _Rotated.of(spheres)
        counts = xp.swapaxes(labels.counts, 0, 1)  # (l, k)
        share = 1.0 / xp.where(counts > 0, counts, 1.0)
        sums = labels.split(spheres.device.double(labels.indicators) @ rotated.train)
        means = xp.swapaxes(sums, 1, 2) * share[:, :, None]  # (s, l, k, r)
        lengths = (means * means).sum(3)
        trace = rotated.values.sum(1)[:, None] - (counts * lengths).sum(2)  # (s, l)
        shrink = self._shrinkage(rotated, spheres, labels, means, trace)
        loading = shrink * trace / (n * spheres.sizes[:, None])
        total = (1.0 - shrink)[:, :, None] * rotated.values[:, None] / n + loading[:, :, None]
        usable = (total > 0) & (rotated.values > 0)[:, None]
        inverse = xp.where(usable, 1.0 / xp.where(usable, total, 1.0), 0.0)
        weighted = means * inverse[:, :, None]
        spread = weighted @ xp.swapaxes(means, 2, 3)  # (s, l, k, k)
        prior = counts / n
        identity = xp.zeros_like(spread) + _identity(labels.n_classes, spheres.device)
        inner = identity - (1.0 - shrink)[:, :, None, None] * prior[:, :, None] * spread
        solved = xp.linalg.inv(inner)
        norms = (spread * xp.swapaxes(solved, 2, 3)).sum(3)
        constant = xp.log(xp.where(prior > 0, prior, 1.0)) - 0.5 * norms
        latent = weighted @ xp.swapaxes(rotated.test, 1, 2)[:, None]  # (s, l, k, n_test)
        found = xp.swapaxes(solved, 2, 3) @ latent + constant[..., None]
        return xp.swapaxes(found, 1, 2)

    def _shrinkage(
        self, rotated: _Rotated, spheres: SphereData, labels: Labels, means: Array, trace: Array
    ) -> Array:
        """Return the shrinkage of every sphere and labelling, (s, l)."""
        if self.shrinkage is not None:
            return 0 * trace + self.shrinkage
        xp, n, p = spheres.device.xp, spheres.n_train, spheres.sizes[:, None]
        counts = xp.swapaxes(labels.counts, 0, 1)
        fourth, frobenius = within_moments(rotated, labels, means, counts, xp)
        mean_eigenvalue = trace / (n * p)
        distance = (frobenius / n**2 - p * mean_eigenvalue**2) / p
        error = (fourth / n - frobenius / n**2) / (n * p)
        positive = (distance > 0) & (error > 0)
        ratio = xp.where(positive, error, 0.0) / xp.where(positive, distance, 1.0)
        return xp.where(ratio < 1.0, ratio, 1.0)


def within_moments(
    rotated: _Rotated, labels: Labels, means: Array, counts: Array, xp: object
) -> tuple[Array, Array]:
    """Return ``sum_i |w_i|^4`` and ``||W W'||_F^2`` of the class-centred samples w_i, (s, l)."""
    lengths = (means * means).sum(3)
    own = (rotated.train * rotated.train).sum(2)[:, None, None]  # (s, 1, 1, n)
    cross = means @ xp.swapaxes(rotated.train, 1, 2)[:, None]  # type: ignore[attr-defined]
    hot = labels.indicators.reshape(labels.n_classes, labels.n_labellings, -1)
    member = xp.swapaxes(hot, 0, 1)[None]  # type: ignore[attr-defined]
    norms = (member * (own - 2.0 * cross + lengths[..., None])).sum(2)  # (s, l, n)
    between = means @ xp.swapaxes(means, 2, 3)  # type: ignore[attr-defined]
    frobenius = (
        (rotated.values**2).sum(1)[:, None]
        - 2.0 * (counts * (means * means * rotated.values[:, None, None]).sum(3)).sum(2)
        + (between * between * counts[:, :, None] * counts[:, None, :]).sum((2, 3))
    )
    return (norms * norms).sum(2), xp.where(frobenius > 0, frobenius, 0.0)  # type: ignore[attr-defined]


def _identity(n: int, device: Device) -> Array:
    return device.send(np.eye(n))
