"""Sweeps of a group factor analysis until its bound has settled.

Precisions of components that are being switched off grow by a constant per sweep and would take
thousands of sweeps to get anywhere, while the bound hardly moves. Once it has calmed down we
therefore lengthen the steps of the logarithms of these precisions by a factor that grows with every
success and returns to 1 after a failure (adaptive overrelaxation; Salakhutdinov and Roweis 2003,
ICML). A sweep whose bound is lower than the last one is thrown away, so that the bound never falls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bidsface.numerics.linear import Floats
from bidsface_decoding.group_factor_analysis import PRIOR, GroupFactorAnalysis, Posterior

_CALM = 3e-5
"""Rise of the bound in a sweep, per number of the data, below which steps are lengthened. Earlier
than this, components that the data need would be switched off."""
_GROWTH, _LONGEST = 1.3, 1000.0
_WINDOW = 5
"""Sweeps over which the rise of the bound is averaged before it counts as settled."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run of the sweeps from one start.

    Attributes
    ----------
    posterior : Posterior
    bounds : ndarray of shape (n_sweeps,)
        The bound after every sweep.
    converged : bool
    """

    posterior: Posterior
    bounds: Floats
    converged: bool

    @property
    def bound(self) -> float:
        """The last bound."""
        return float(self.bounds[-1])


def run(
    model: GroupFactorAnalysis,
    n_components: int,
    rng: np.random.Generator,
    tol: float,
    max_iter: int,
    rotation_steps: int,
) -> Run:
    """Sweep until the bound rises by less than ``tol`` per sweep and number of the data."""
    size = model.n_samples * float(model.n_features.sum())
    start = model.start(n_components, rng)
    bounds: list[float] = []
    for posterior, bound in _ascend(model, start, _CALM * size, rotation_steps):
        bounds.append(bound)
        rise = bound - bounds[-1 - _WINDOW] if len(bounds) > _WINDOW else np.inf
        settled = rise <= _WINDOW * tol * size or model.is_exhausted(posterior)
        if settled or len(bounds) == max_iter:
            break
    return Run(posterior, np.array(bounds), settled)


def _ascend(
    model: GroupFactorAnalysis, posterior: Posterior, calm: float, rotation_steps: int
) -> Iterator[tuple[Posterior, float]]:
    """Yield the posterior and its bound after every sweep, without end."""
    bound, factor, previous_rate = -np.inf, 1.0, posterior.loadings_rate
    while True:
        longer = _lengthened(posterior, previous_rate, factor) if factor > 1 else posterior
        swept = model.sweep(longer, rotation_steps)
        reached = model.bound(swept)
        if factor > 1 and not reached >= bound:
            factor, swept = 1.0, model.sweep(posterior, rotation_steps)
            reached = model.bound(swept)
        if factor > 1 or reached - bound < calm:
            factor = min(factor * _GROWTH, _LONGEST)
        previous_rate, posterior, bound = posterior.loadings_rate, swept, reached
        yield posterior, bound


def _lengthened(posterior: Posterior, previous_rate: Floats, factor: float) -> Posterior:
    """Go on along the last step of the logarithm of every precision, ``factor`` steps in all."""
    rate = posterior.loadings_rate * (posterior.loadings_rate / previous_rate) ** (factor - 1)
    return replace(posterior, loadings_rate=np.maximum(rate, PRIOR))
