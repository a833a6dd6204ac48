"""Interior-point method for linear support vector regression of many targets on the same rows.

For every target y minimize ``|w|^2 / 2 + sum_i C_i max(|y_i - t_i'w - b| - epsilon, 0)`` over w
and b (Smola & Schölkopf 2004, Stat Comput 14:199-222, eq. 3). With residuals r, dual coefficients
``a - a'`` and multipliers z, v of their bounds, the solution is where

    w = T'(a - a'),  1'(a - a') = 0,
    epsilon - r = z - v,    z a = 0,    v (C - a) = 0,
    epsilon + r = z' - v',  z' a' = 0,  v' (C - a') = 0.

Newton steps on these equations, with the products set to a falling positive number instead of 0
and with the predictor and corrector of Mehrotra (Nocedal & Wright 2006, Numerical Optimization,
2nd ed., algorithm 16.4), take some 10 to 25 steps whatever the scale of the rows. A step costs one
Cholesky factor of size k + 1 for k columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs

from bidsface.numerics.linear import Floats

TOLERANCE = 1e-13
"""Duality gap, relative to the objective, at which a target is done."""

MAX_STEPS = 100
SHORTEST = 1e-10
"""Length of a step at which a target has stopped moving."""

TO_THE_BOUND = 0.995
"""How much of the way to the nearest bound a step may go."""


@dataclass(frozen=True, eq=False)
class TubeProblem:
    """The problems of B targets.

    Attributes
    ----------
    rows : ndarray of shape (n, k + 1)
        Scores, and a last column of ones for the intercept. The method is at its best if scores
        and targets are near 1.
    values : ndarray of shape (B, n)
        Targets.
    bound : ndarray of shape (B, n)
        C of every row.
    width : ndarray of shape (B, 1)
        epsilon.
    """

    rows: Floats
    values: Floats
    bound: Floats
    width: Floats

    def take(self, which: NDArray[np.generic]) -> TubeProblem:
        """Return the problems of some targets."""
        return TubeProblem(self.rows, self.values[which], self.bound[which], self.width[which])

    def residual(self, weights: Floats) -> Floats:
        """Return targets minus predictions, (B, n)."""
        return self.values - weights @ self.rows.T

    def gap_unit(self, weights: Floats) -> Floats:
        """Return what duality gaps are compared with, (B,): the objective, unless it is near 0."""
        excess = np.clip(np.abs(self.residual(weights)) - self.width, 0, None)
        objective = (weights[:, :-1] ** 2).sum(axis=1) / 2 + (self.bound * excess).sum(axis=1)
        return np.maximum(objective, np.minimum(self.bound.sum(axis=1), 1.0))


@dataclass(frozen=True, eq=False)
class Iterate:
    """An iterate, or a step from one to the next; strictly positive but for the weights.

    Attributes
    ----------
    room : ndarray of shape (4, B, n)
        a, C - a, a', C - a'.
    multipliers : ndarray of shape (4, B, n)
        z, v, z', v'.
    weights : ndarray of shape (B, k + 1)
        w and b.
    """

    room: Floats
    multipliers: Floats
    weights: Floats

    @property
    def dual(self) -> Floats:
        """Dual coefficients, (B, n)."""
        return self.room[0] - self.room[2]

    @property
    def gap(self) -> Floats:
        """Duality gap of every target, (B,)."""
        return np.einsum("sbn,sbn->b", self.room, self.multipliers)

    def take(self, which: NDArray[np.generic]) -> Iterate:
        """Return the iterates of some targets."""
        return Iterate(self.room[:, which], self.multipliers[:, which], self.weights[which])

    def put(self, which: NDArray[np.generic], other: Iterate) -> None:
        """Overwrite the iterates of some targets."""
        self.room[:, which], self.multipliers[:, which] = other.room, other.multipliers
        self.weights[which] = other.weights

    def reach(self, step: Iterate) -> Floats:
        """Return how often a step fits in before something reaches 0, (B,)."""
        shrinking = np.maximum(
            (-step.room / self.room).max(axis=(0, 2)),
            (-step.multipliers / self.multipliers).max(axis=(0, 2)),
        )
        return 1 / np.maximum(shrinking, 1e-300)

    def move(self, step: Iterate, length: Floats) -> Iterate:
        """Return the iterate at a length (B,) along a step."""
        along = length[:, None]
        return Iterate(
            self.room + along * step.room,
            self.multipliers + along * step.multipliers,
            self.weights + along * step.weights,
        )


def minimize(problem: TubeProblem) -> tuple[Iterate, Floats]:
    """Solve the problems of all targets.

    Returns
    -------
    solution : Iterate
    gap : ndarray of shape (B,)
        The relative duality gap that is left.
    """
    solution = null_model(problem)
    gaps = np.full(len(problem.values), np.inf)
    active = np.arange(len(problem.values))
    running, now = problem, solution
    stuck = np.zeros(len(active), dtype=bool)
    for _ in range(MAX_STEPS + 1):
        gaps[active] = now.gap / running.gap_unit(now.weights)
        solution.put(active, now)
        going = (gaps[active] > TOLERANCE) & ~stuck
        if not going.any():
            break
        active, running, now = active[going], running.take(going), now.take(going)
        step = _newton_step(running, now)
        length = np.minimum(TO_THE_BOUND * now.reach(step), 1.0)
        now, stuck = now.move(step, length), length < SHORTEST
    return solution, gaps


def null_model(problem: TubeProblem) -> Iterate:
    """Return weights of 0 with dual coefficients in the middle of their bounds: feasible."""
    half = problem.bound / 2
    over, under = problem.values - problem.width, -problem.values - problem.width
    outside = np.stack([-over, over, -under, under])
    weights = np.zeros((len(half), problem.rows.shape[1]))
    return Iterate(np.stack([half] * 4), np.clip(outside, 0, None) + 1.0, weights)


@dataclass(frozen=True, eq=False)
class _NewtonSystem:
    """Linear equations of a step, reduced to the weights and factored.

    Attributes
    ----------
    rows : ndarray of shape (n, k + 1)
    now : Iterate
    missing : ndarray of shape (2, B, n)
        What the equations of ``epsilon -+ r`` lack.
    ratio : ndarray of shape (4, B, n)
        Multipliers / room.
    stiffness : ndarray of shape (2, B, n)
        Resistance of a and a' to a step: sums of two ratios.
    factors : list of ndarray of shape (k + 1, k + 1)
        Cholesky factors of ``diag(1, .., 1, 0) + rows.T @ diag(1 / stiffness, summed) @ rows``.
    """

    rows: Floats
    now: Iterate
    missing: Floats
    ratio: Floats
    stiffness: Floats
    factors: list[Floats]

    @classmethod
    def of(cls, problem: TubeProblem, now: Iterate) -> _NewtonSystem:
        """Set up and factor the equations at an iterate."""
        residual = problem.residual(now.weights)
        missing = now.multipliers[0::2] - now.multipliers[1::2] - problem.width
        missing[0] += residual
        missing[1] -= residual
        ratio = now.multipliers / now.room
        stiffness = ratio[0::2] + ratio[1::2]
        slack = np.sqrt((1 / stiffness).sum(axis=0))
        columns = np.ascontiguousarray(problem.rows.T)
        return cls(
            problem.rows, now, missing, ratio, stiffness, [_factor(columns * own) for own in slack]
        )

    def step(self, change: Floats) -> Iterate:
        """Return the step that changes the products ``room * multipliers`` by (4, B, n)."""
        push = change / self.now.room
        force = self.missing + push[0::2] - push[1::2]
        yielding = force / self.stiffness
        right = (yielding[0] - yielding[1] + self.now.dual) @ self.rows
        right[:, :-1] -= self.now.weights[:, :-1]
        weights = np.stack(
            [dpotrs(own, b, lower=1)[0] for own, b in zip(self.factors, right, strict=True)]
        )
        fitted = weights @ self.rows.T
        force[0] -= fitted
        force[1] += fitted
        room = np.repeat(force / self.stiffness, 2, axis=0)
        room[1::2] *= -1
        return Iterate(room, push - self.ratio * room, weights)


def _newton_step(problem: TubeProblem, now: Iterate) -> Iterate:
    """Return the step of predictor and corrector, at full length."""
    system = _NewtonSystem.of(problem, now)
    products = now.room * now.multipliers
    predictor = system.step(-products)
    reached = now.move(predictor, np.minimum(now.reach(predictor), 1.0))
    centring = (reached.gap / now.gap) ** 3 * now.gap / (4 * products.shape[2])
    correction = centring[:, None] - products - predictor.room * predictor.multipliers
    return system.step(correction)


def _factor(columns: Floats) -> Floats:
    """Return the lower Cholesky factor of ``diag(1, .., 1, 0) + columns @ columns.T``."""
    matrix = dsyrk(1.0, columns.T, trans=1, lower=1)
    diagonal = np.arange(len(matrix))
    matrix[diagonal[:-1], diagonal[:-1]] += 1.0
    factor, failed = dpotrf(matrix, lower=1, clean=0)
    if failed:  # rounding has left something below 0: hold back the directions that are lost in it
        matrix[diagonal, diagonal] *= 1 + 1e-12
        matrix[diagonal, diagonal] += 1e-14 * matrix[diagonal, diagonal].max()
        factor, _ = dpotrf(matrix, lower=1, clean=0)
    return factor
