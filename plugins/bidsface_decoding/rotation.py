"""Rotation of the components of a group factor analysis, the step that speeds its convergence.

Replacing Z by Z R^-T and every W_m by W_m R leaves the fit to the data as it is, but changes how
well the components agree with their priors. With the precisions of the components at their optimum
for every R, the bound depends on R through

    f(R) = sum_m a_m sum_k log(b + (R' S_m R)_kk / 2) + tr(R^-1 Q R^-T) / 2
           - (sum_m p_m - n) log|det R|

up to its sign and a constant; S_m = <W_m' W_m>, Q = <Z' Z>, a_m = a + p_m / 2.

Minimizing f is a joint diagonalization: with b = 0 and the lengths of the columns at their optimum
it is Pham's (2001) criterion for the matrices S_m (weights p_m) and for Q under the inverse of R
(weight n). We therefore take the quasi-Newton steps that are used for that problem (Ablin, Cardoso,
Gramfort 2018): relative updates R (I + E), with the Hessian as it is when all matrices are
diagonal, which falls apart into a 2 x 2 block for every pair of components. A step costs a few
K x K products, and a few of them do what the published code gives L-BFGS many evaluations for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bidsface.numerics.linear import Floats

_HALVINGS = 12
_FLOOR = 1e-3
"""Smallest eigenvalue of a block of the Hessian, relative to its larger diagonal entry."""


@dataclass(frozen=True, eq=False)
class Rotated:
    """Second moments of the components after a rotation.

    Attributes
    ----------
    rotation, inverse : ndarray of shape (n_components, n_components)
    log_determinant : float
        Of the absolute determinant of the rotation.
    loadings : ndarray of shape (n_views, n_components, n_components)
        ``R' S_m R``.
    scores : ndarray of shape (n_components, n_components)
        ``R^-1 Q R^-T``.
    """

    rotation: Floats
    inverse: Floats
    log_determinant: float
    loadings: Floats
    scores: Floats

    def then(self, step: Floats) -> Rotated:
        """Rotate further."""
        inverse = np.linalg.inv(step)
        return Rotated(
            self.rotation @ step,
            inverse @ self.inverse,
            self.log_determinant + float(np.linalg.slogdet(step)[1]),
            step.T @ self.loadings @ step,
            inverse @ self.scores @ inverse.T,
        )


@dataclass(frozen=True, eq=False)
class RotationProblem:
    """The function of the rotation that is minimized.

    Attributes
    ----------
    n_features : ndarray of shape (n_views,)
    n_samples : int
    shape, rate : float
        Of the Gamma prior of the components' precisions.
    """

    n_features: Floats
    n_samples: int
    shape: float
    rate: float

    def value(self, at: Rotated) -> float:
        """Return the negative bound up to a constant."""
        lengths = self.rate + np.einsum("mkk->mk", at.loadings) / 2
        return float(
            (self.shape + self.n_features / 2) @ np.log(lengths).sum(axis=1)
            + np.trace(at.scores) / 2
            - (self.n_features.sum() - self.n_samples) * at.log_determinant
        )

    def minimize(
        self, loadings: Floats, scores: Floats, max_steps: int, tol: float = 1e-6
    ) -> Rotated:
        """Take up to ``max_steps`` steps from the identity; none makes the value larger.

        Parameters
        ----------
        loadings : ndarray of shape (n_views, n_components, n_components)
        scores : ndarray of shape (n_components, n_components)
        max_steps : int
        tol : float
            Decrease of the value below which the steps end.
        """
        identity = np.eye(len(scores))
        now = Rotated(identity, identity, 0.0, loadings, scores)
        value = self.value(now)
        for _ in range(max_steps):
            step, decrease = self._step(now)
            if decrease <= tol:
                break
            found = self._search(now, value, step)
            if found is None:
                break
            now, previous, value = found[0], value, found[1]
            if previous - value <= tol:
                break
        return now

    def _step(self, at: Rotated) -> tuple[Floats, float]:
        """Return the quasi-Newton step and half its slope, the decrease to expect."""
        diagonal = np.einsum("mkk->mk", at.loadings)
        weights = (self.shape + self.n_features / 2)[:, None] / (self.rate + diagonal / 2)
        lengths = at.scores.diagonal()
        excess = self.n_features.sum() - self.n_samples
        gradient = np.einsum("mjk,mk->jk", at.loadings, weights) - at.scores
        gradient -= excess * np.eye(len(lengths))
        curvature = diagonal.T @ weights + lengths
        np.fill_diagonal(curvature, np.maximum(3 * lengths - self.n_samples, self.n_samples))
        step = -_solve_pairs(curvature, excess + lengths + lengths[:, None], gradient)
        return step, -float(np.vdot(gradient, step)) / 2

    def _search(self, at: Rotated, value: float, step: Floats) -> tuple[Rotated, float] | None:
        """Halve the step until the value falls."""
        identity = np.eye(len(step))
        for _ in range(_HALVINGS):
            try:
                there = at.then(identity + step)
                found = self.value(there)
            except np.linalg.LinAlgError:
                found = np.inf
            if found < value:
                return there, found
            step = step / 2
        return None


def _solve_pairs(curvature: Floats, coupling: Floats, gradient: Floats) -> Floats:
    """Solve the 2 x 2 system of every pair (j, k), (k, j), and the diagonal by itself.

    Blocks are made positive definite: equal components can be turned freely among one another, and
    a block that is nearly singular would send the step anywhere.
    """
    mean, half = (curvature + curvature.T) / 2, (curvature - curvature.T) / 2
    smallest = mean - np.hypot(half, coupling)
    lift = np.maximum(0.0, _FLOOR * (mean + np.abs(half)) - smallest)
    own = curvature + lift
    step = (own.T * gradient - coupling * gradient.T) / (own * own.T - coupling**2)
    np.fill_diagonal(step, gradient.diagonal() / curvature.diagonal())
    return step
