"""Ridge, linear discriminant and Gaussian naive Bayes in many spheres and labellings at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bidsface.numerics.devices import Array
from bidsface.numerics.searchlight import Labels, SphereData


@dataclass(frozen=True)
class SphereRidge:
    """Ridge regression on class indicators; equals ``RidgeClassifier(alpha)`` on scaled voxels.

    Minimizes ``||Y - Z W - 1 b'||^2 + alpha ||W||^2``. With C the centring of Y, predictions for
    test samples z are ``z' W + b = z' Z' (Z Z' + alpha I)^-1 C Y + b`` (dual), or
    ``z' (Z' Z + alpha I)^-1 Z' C Y + b`` (primal); the smaller system is solved, for the test
    samples or for the labellings, whichever are fewer.

    Attributes
    ----------
    alpha : float or None
        Penalty; None for the number of voxels of the sphere.
    """

    alpha: float | None = None

    def decisions(self, spheres: SphereData, labels: Labels) -> Array:
        """See `bidsface.numerics.searchlight.SphereClassifier`."""
        device, xp = spheres.device, spheres.device.xp
        alpha = spheres.sizes if self.alpha is None else xp.zeros_like(spheres.sizes) + self.alpha
        targets = labels.indicators
        mean = targets.mean(0)
        few = targets.shape[1] <= spheres.n_test
        if spheres.is_wide:
            train, test = spheres.kernels()
            system = _penalized(device.double(train), alpha, xp)
            right = (targets - mean)[None] if few else xp.swapaxes(test, 1, 2)
            solved = xp.linalg.solve(system, device.double(right))
            found = device.double(test) @ solved if few else None
        else:
            known = spheres.values[:, :, : spheres.n_train]
            test = spheres.values[:, :, spheres.n_train :]
            system = _penalized(device.double(spheres.scatter()), alpha, xp)
            right = known @ (targets - mean) if few else test
            solved = xp.linalg.solve(system, device.double(right))
            if few:
                found = xp.swapaxes(device.double(test), 1, 2) @ solved
            else:
                solved, found = xp.swapaxes(known, 1, 2) @ _like(device, known, solved), None
        if found is None:
            operator = xp.swapaxes(_like(device, targets, solved), 1, 2)
            operator = operator - operator.mean(2)[..., None]
            found = operator @ targets
        shape = (*found.shape[:2], labels.n_classes, labels.n_labellings)
        return (found + mean).reshape(shape)


def _like(device: Any, model: Array, array: Array) -> Array:
    """Return an array in the precision of another."""
    return array if model.dtype == array.dtype else device.single(array)


def _penalized(system: Array, alpha: Array, xp: Any) -> Array:
    """Add a penalty per sphere to the diagonals of (s, n, n)."""
    identity = xp.eye(system.shape[1], dtype=system.dtype)
    return system + alpha[:, None, None] * identity
