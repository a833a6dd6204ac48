"""Linear support vector regression of many targets on the same scores, to high accuracy."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from bidsface.numerics.linear import Floats
from bidsface_facs.component_regressor import (
    ComponentRegressor,
    LinearFit,
    check_number,
    mean_spread,
    mean_square,
)
from bidsface_facs.components import Components
from bidsface_facs.interior_point import Iterate, TubeProblem, minimize

BLOCK_VALUES = 2**16
"""Targets x images that are solved at a time: some fifty arrays of this size."""

ACCEPTED_GAP = 1e-8
"""Relative duality gap above which a target has not converged."""


@dataclass(frozen=True)
class SupportVectors(ComponentRegressor):
    """Support vector regression; equals scikit-learn's ``SVR(kernel="linear", C, epsilon)``."""

    C: float = 1.0
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_number("C", self.C, positive=True)
        check_number("epsilon", self.epsilon)

    def grid(self, components: Components, targets: Floats) -> Sequence[Self]:
        """Return C of 0.001 to 1,000 times the targets' SD / the mean squared singular value.

        At 1, what fully used dual coefficients predict is of the size of the targets.
        """
        unit = mean_spread(components, targets) / mean_square(components)
        return [replace(self, C=C) for C in (unit * np.geomspace(1e-3, 1e3, 13)).tolist()]

    def _fits(
        self, components: Components, targets: Floats, candidates: Sequence[Self]
    ) -> Sequence[LinearFit]:
        n_targets = targets.shape[1]
        fit = fit_support_vectors(
            components.scores,
            np.tile(targets, len(candidates)),
            np.repeat([own.C for own in candidates], n_targets),
            np.repeat([own.epsilon for own in candidates], n_targets),
            components.sample_weight,
        )
        parts = [slice(i * n_targets, (i + 1) * n_targets) for i in range(len(candidates))]
        return [LinearFit(fit.coef[:, part], fit.intercept[part]) for part in parts]


@dataclass(frozen=True, eq=False)
class SupportVectorFit:
    """Solutions for m targets.

    Attributes
    ----------
    coef : ndarray of shape (k, m)
    intercept : ndarray of shape (m,)
    dual : ndarray of shape (n, m)
        Dual coefficients, within +-C of every row, with sum 0; ``scores.T @ dual`` is `coef`.
    """

    coef: Floats
    intercept: Floats
    dual: Floats


def fit_support_vectors(
    scores: Floats,
    targets: Floats,
    C: ArrayLike = 1.0,
    epsilon: ArrayLike = 0.1,
    counts: Floats | None = None,
) -> SupportVectorFit:
    """Fit linear support vector regressions with an unpenalized intercept.

    Equal to scikit-learn's ``SVR(kernel="linear", C=C, epsilon=epsilon)`` with a tolerance of 0,
    also where that does not end because C times the squared length of images is large. An
    intercept that is not unique is the middle of its interval, as there.

    Parameters
    ----------
    scores : ndarray of shape (n, k)
        Best with k < n, as components of images are.
    targets : ndarray of shape (n, m)
    C, epsilon : array_like of shape () or (m,)
        Of every target: price of an absolute error beyond `epsilon`, in the target's unit.
    counts : ndarray of shape (n,) or None
        How often every row counts: its price is ``C * count``.

    Returns
    -------
    SupportVectorFit

    Warns
    -----
    ConvergenceWarning
        If a target keeps a relative duality gap above `ACCEPTED_GAP`.
    """
    n, m = targets.shape
    prices = np.broadcast_to(np.asarray(C, dtype=np.float64), (m,))
    widths = np.broadcast_to(np.asarray(epsilon, dtype=np.float64), (m,))
    share = np.ones(n) if counts is None else counts
    kept = np.flatnonzero(share > 0)
    fit = SupportVectorFit(np.empty((scores.shape[1], m)), np.empty(m), np.zeros((n, m)))
    size = max(1, BLOCK_VALUES // len(kept))
    for start in range(0, m, size):
        part = slice(start, start + size)
        bound = np.outer(prices[part], share[kept])
        solved = _solve(scores[kept], targets[kept, part].T, bound, widths[part, None])
        fit.coef[:, part], fit.intercept[part] = solved.coef, solved.intercept
        fit.dual[kept, part] = solved.dual
    return fit


def _solve(scores: Floats, targets: Floats, bound: Floats, epsilon: Floats) -> SupportVectorFit:
    """Solve for a block of targets (B, n), with bounds (B, n) and epsilon (B, 1).

    The method gets scores of root mean square length 1 and targets of mean 0 and SD 1: dividing
    scores by s and targets by d multiplies C by ``s ** 2 / d``.
    """
    size = float(np.sqrt((scores**2).sum(axis=1).mean())) or 1.0
    mean = targets.mean(axis=1, keepdims=True)
    spread = targets.std(axis=1, keepdims=True)
    spread[spread <= 1e-12 * np.abs(mean)] = 1.0
    problem = TubeProblem(
        np.column_stack([scores / size, np.ones(len(scores))]),
        (targets - mean) / spread,
        bound * size**2 / spread,
        epsilon / spread,
    )
    solution, gap = minimize(problem)
    left = gap[~(gap <= ACCEPTED_GAP)]
    if len(left):
        warnings.warn(
            f"{len(left)} support vector regressions keep a relative duality gap of up to "
            f"{left.max():.1g}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return SupportVectorFit(
        (solution.weights[:, :-1] * spread / size).T,
        spread[:, 0] * _intercepts(problem, solution) + mean[:, 0],
        (solution.dual * spread / size**2).T,
    )


def _intercepts(problem: TubeProblem, solution: Iterate) -> Floats:
    """Return the intercept of every target, (B,).

    A row on an edge of the tube, with a dual coefficient neither 0 nor at its bound, determines
    it. Without one it may lie anywhere between limits that the rows set, and the middle is taken.
    """
    flat = solution.weights.copy()
    flat[:, -1] = 0.0
    residual = problem.residual(flat)
    edges = residual - problem.width, residual + problem.width
    # Of the two factors of a product that tends to 0, the one that does is the smaller by far.
    above, above_free, below, below_free = solution.room / problem.bound > solution.multipliers
    lower = np.maximum(
        np.where(above_free, edges[0], -np.inf).max(axis=1),
        np.where(below, edges[1], -np.inf).max(axis=1),
    )
    upper = np.minimum(
        np.where(above, edges[0], np.inf).min(axis=1),
        np.where(below_free, edges[1], np.inf).min(axis=1),
    )
    determined = ((above & above_free) | (below & below_free)).any(axis=1)
    return np.where(determined, solution.weights[:, -1], (lower + upper) / 2)
