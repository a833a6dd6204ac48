"""Shrunken least squares on orthogonal scores: what every penalty makes of each component.

Scores T of training images have mean 0 and orthogonal columns of squared length s^2, so that ridge,
lasso and elastic net have a closed form for every component and target by itself, from the inner
products T'y alone; no iteration is needed (Hastie, Tibshirani & Friedman 2009, The Elements of
Statistical Learning, 2nd ed., section 3.4). With repeated images everything counts the repeats.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log10, sqrt
from typing import Self

import numpy as np

from bidsface.numerics.linear import Floats
from bidsface_facs.component_regressor import (
    ComponentRegressor,
    LinearFit,
    check_number,
    mean_spread,
    mean_square,
)
from bidsface_facs.components import Components

MOST_LATENT = 10
"""Latent components of partial least squares that a nested choice tries."""

VANISHED = 1e-12
"""Length of what is left of T'y, relative to T'y, at which partial least squares has ended."""


def ridge_coefficients(products: Floats, squares: Floats, alpha: float) -> Floats:
    """Minimize ``||y - Tw||^2 + alpha ||w||^2``.

    Parameters
    ----------
    products : ndarray of shape (k, m)
        ``T.T @ targets``.
    squares : ndarray of shape (k,)
        Squared lengths of the columns of T, all greater than 0.
    alpha : float
        At least 0.

    Returns
    -------
    ndarray of shape (k, m)
    """
    return products / (squares + alpha)[:, None]


def elastic_net_coefficients(
    products: Floats, squares: Floats, n_samples: float, alpha: float, l1_ratio: float = 1.0
) -> Floats:
    """Minimize the elastic net's objective, as scikit-learn scales it.

    ``||y - Tw||^2 / (2 n) + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) ||w||^2 / 2``; the lasso
    with `l1_ratio` 1.

    Parameters
    ----------
    products, squares
        As in `ridge_coefficients`.
    n_samples : float
        Rows of T, repeats counted.
    alpha : float
        At least 0.
    l1_ratio : float
        0 to 1.

    Returns
    -------
    ndarray of shape (k, m)
    """
    threshold = n_samples * alpha * l1_ratio
    kept = np.sign(products) * np.clip(np.abs(products) - threshold, 0, None)
    return kept / (squares + n_samples * alpha * (1 - l1_ratio))[:, None]


def partial_least_squares_coefficients(
    products: Floats, squares: Floats, n_components: int
) -> list[Floats]:
    """Regress every target on 1, 2, .. `n_components` of its own latent components.

    Partial least squares of one target is the method of conjugate gradients on the normal
    equations ``T'T w = T'y``, from 0 and stopped early (Wold et al. 1984, SIAM J Sci Stat Comput
    5:735-743; Phatak & de Hoog 2002, J Chemometrics 16:361-367). Residuals are made orthogonal to
    all earlier ones again, which rounding would undo. A target of which nothing is left keeps its
    coefficients.

    Parameters
    ----------
    products, squares
        As in `ridge_coefficients`.
    n_components : int
        At least 1; beyond the number of components nothing changes.

    Returns
    -------
    list of ndarray of shape (k, m)
    """
    coef = np.zeros_like(products)
    left = products.copy()
    direction = left
    size = (left**2).sum(axis=0)
    end = VANISHED**2 * size
    earlier: list[Floats] = []
    steps = []
    for _ in range(n_components):
        going = size > end
        earlier.append(left / np.sqrt(np.where(going, size, np.inf)))
        curvature = squares @ direction**2
        length = np.divide(size, curvature, out=np.zeros_like(size), where=going)
        coef = coef + length * direction
        steps.append(coef)
        left = left - length * (squares[:, None] * direction)
        for unit in earlier:
            left -= unit * (unit * left).sum(axis=0)
        grown = (left**2).sum(axis=0)
        direction = left + np.divide(grown, size, out=np.zeros_like(size), where=going) * direction
        size = np.where(going, grown, 0.0)
    return steps


class LeastSquares(ComponentRegressor):
    """Least squares under some restraint: the intercept is the targets' mean."""

    def _fits(
        self, components: Components, targets: Floats, candidates: Sequence[Self]
    ) -> Sequence[LinearFit]:
        mean = components.mean(targets)
        products = components.products(targets - mean)
        return [LinearFit(c, mean) for c in self._coefs(components, products, candidates)]

    @abstractmethod
    def _coefs(
        self, components: Components, products: Floats, candidates: Sequence[Self]
    ) -> Sequence[Floats]:
        """Return the coefficients (k, m) of every candidate from inner products (k, m)."""


@dataclass(frozen=True)
class Ridge(LeastSquares):
    """Ridge regression; equals scikit-learn's ``Ridge(alpha)``."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha)

    def grid(self, components: Components, targets: Floats) -> Sequence[Self]:
        """Return alphas of 10,000 to 0.001 times the mean squared singular value."""
        alphas = mean_square(components) * np.geomspace(1e4, 1e-3, 22)
        return [replace(self, alpha=alpha) for alpha in alphas.tolist()]

    def _coefs(
        self, components: Components, products: Floats, candidates: Sequence[Self]
    ) -> Sequence[Floats]:
        squares = components.singular_values**2
        return [ridge_coefficients(products, squares, own.alpha) for own in candidates]


@dataclass(frozen=True)
class Lasso(LeastSquares):
    """Lasso; equals scikit-learn's ``Lasso(alpha)``.

    It selects components: voxels' coefficients are not sparse.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha)

    def grid(self, components: Components, targets: Floats) -> Sequence[Self]:
        """Return alphas from one that leaves no component to 0.0001 times it.

        The largest is the greatest that ``max |t_j'y| / n`` can be: the largest singular value
        times the targets' standard deviation, divided by the square root of n.
        """
        alphas = _no_component(components, targets) * np.geomspace(1, 1e-4, 25)
        return [replace(self, alpha=alpha) for alpha in alphas.tolist()]

    def _coefs(
        self, components: Components, products: Floats, candidates: Sequence[Self]
    ) -> Sequence[Floats]:
        squares, n = components.singular_values**2, components.n_samples
        return [elastic_net_coefficients(products, squares, n, own.alpha) for own in candidates]


@dataclass(frozen=True)
class ElasticNet(LeastSquares):
    """Elastic net; equals scikit-learn's ``ElasticNet(alpha, l1_ratio)``.

    It selects components: voxels' coefficients are not sparse.
    """

    alpha: float = 1.0
    l1_ratio: float = 0.5

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha)
        if not 0 < self.l1_ratio <= 1:
            raise ValueError(
                f"l1_ratio must be above 0 (which is ridge) and at most 1, not {self.l1_ratio}"
            )

    def grid(self, components: Components, targets: Floats) -> Sequence[Self]:
        """Return alphas from one that leaves no component to one that hardly shrinks any.

        The largest is the lasso's divided by `l1_ratio`. The smallest is 0.0001 times it, or less:
        so small that the squared penalty is 0.001 times the mean squared singular value.
        """
        top = _no_component(components, targets) / self.l1_ratio
        squared = components.n_samples * (1 - self.l1_ratio)
        bottom = 1e-4 * top
        if squared > 0:
            bottom = min(bottom, 1e-3 * mean_square(components) / squared)
        alphas = np.geomspace(top, bottom, 1 + ceil(6 * log10(top / bottom) - 1e-6))
        return [replace(self, alpha=alpha) for alpha in alphas.tolist()]

    def _coefs(
        self, components: Components, products: Floats, candidates: Sequence[Self]
    ) -> Sequence[Floats]:
        squares, n = components.singular_values**2, components.n_samples
        return [
            elastic_net_coefficients(products, squares, n, own.alpha, own.l1_ratio)
            for own in candidates
        ]


@dataclass(frozen=True)
class PartialLeastSquares(LeastSquares):
    """Partial least squares; equals ``PLSRegression(n_components, scale=False)`` for each target.

    With fewer components of the images than `n_components` it is least squares on all of them.
    """

    n_components: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.n_components, int) or self.n_components < 1:
            raise ValueError(
                f"n_components must be a whole number of at least 1, not {self.n_components}"
            )

    def grid(self, components: Components, targets: Floats) -> Sequence[Self]:
        """Return 1 to 10 latent components, at most as many as the images have."""
        most = max(1, min(components.n_components, MOST_LATENT))
        return [replace(self, n_components=number) for number in range(1, most + 1)]

    def _coefs(
        self, components: Components, products: Floats, candidates: Sequence[Self]
    ) -> Sequence[Floats]:
        most = max((own.n_components for own in candidates), default=1)
        steps = partial_least_squares_coefficients(products, components.singular_values**2, most)
        return [steps[own.n_components - 1] for own in candidates]


def _no_component(components: Components, targets: Floats) -> float:
    """Return an alpha at which no target of the mean spread keeps a component in the lasso."""
    largest = float(components.singular_values.max(initial=0.0)) or 1.0
    return largest * mean_spread(components, targets) / sqrt(components.n_samples)
