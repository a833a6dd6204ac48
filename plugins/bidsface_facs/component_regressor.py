"""Base of linear regressors that fit many targets at once on the components of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Self

import numpy as np

from bidsface.numerics.linear import Floats
from bidsface_facs.components import Components


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Coefficients of components, (k, m), and intercepts, (m,), of m targets."""

    coef: Floats
    intercept: Floats

    def predict(self, scores: Floats) -> Floats:
        """Return predictions (n, m) for scores (n, k)."""
        return scores @ self.coef + self.intercept


class ComponentRegressor(ABC):
    """A linear regression of many targets on the components of training images.

    A regressor is a value, a frozen dataclass: its parameters have the names, meaning and defaults
    of scikit-learn's. Images with a weight (``components.sample_weight``) count as often as it
    says.
    """

    def fit(self, components: Components, targets: Floats) -> LinearFit:
        """Fit every target by itself.

        Parameters
        ----------
        components : Components
            Of n_train images. If there are none, the intercept is all.
        targets : ndarray of shape (n_train, m)

        Returns
        -------
        LinearFit

        Raises
        ------
        ValueError
            If the targets are not finite numbers for all training images.
        """
        return self.fit_grid(components, targets, [self])[0]

    def fit_grid(
        self, components: Components, targets: Floats, candidates: Sequence[Self]
    ) -> Sequence[LinearFit]:
        """Fit every candidate to every target, sharing work; as `fit`.

        Parameters
        ----------
        components : Components
        targets : ndarray of shape (n_train, m)
        candidates : sequence of regressors
            Of the same class.
        """
        n = len(components.scores)
        if targets.ndim != 2 or len(targets) != n:
            raise ValueError(f"{n} training images need targets ({n}, m), not {targets.shape}")
        if not np.isfinite(targets).all():
            raise ValueError("targets of training images must be finite")
        return self._fits(components, targets, candidates)

    @abstractmethod
    def grid(self, components: Components, targets: Floats) -> Sequence[Self]:
        """Return candidates for a nested choice, from the simplest to the most complex.

        They differ in one parameter. Its values follow the scale of the images and of the targets;
        they are plain numbers that serve in other folds too: take them from an outer training set
        and use them in its inner folds. Targets enter by the mean of their standard deviations
        only, so that shuffled targets get the same candidates.

        Parameters
        ----------
        components : Components
        targets : ndarray of shape (n_train, m)
        """

    @abstractmethod
    def _fits(
        self, components: Components, targets: Floats, candidates: Sequence[Self]
    ) -> Sequence[LinearFit]:
        """Fit candidates to targets that have been checked."""


def mean_square(components: Components) -> float:
    """Return the mean squared singular value; 1 if there are no components."""
    return float(np.mean(components.singular_values**2)) if components.n_components else 1.0


def mean_spread(components: Components, targets: Floats) -> float:
    """Return the mean standard deviation of targets (n_train, m); 1 if all are constant."""
    deviations = targets - components.mean(targets)
    spread = float(np.sqrt(components.mean(deviations**2)).mean())
    return spread if spread > 1e-12 * float(np.abs(targets).max()) else 1.0


def check_number(name: str, value: float, *, positive: bool = False) -> None:
    """Raise a ValueError unless a parameter is finite and at least, or above, 0."""
    if not isfinite(value) or value < 0 or (positive and value == 0):
        wanted = "above 0" if positive else "at least 0"
        raise ValueError(f"{name} must be a number {wanted}, not {value}")
