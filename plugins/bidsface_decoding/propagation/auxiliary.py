"""Priors of the auxiliary variables u and v, whose squares add up to the variances of weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bidsface.numerics.linear import Floats


class AuxiliaryPrior(Protocol):
    """A zero-mean Gaussian of u, and independently of v.

    Attributes
    ----------
    scale : ndarray of shape (n_features,)
        Prior variance of u_j: the weight's prior is Laplace with variance ``2 * scale``.
    """

    @property
    def scale(self) -> Floats: ...  # noqa: D102

    def marginals(self, site: Floats) -> tuple[Floats, float]:
        """Return the marginals under sites.

        Parameters
        ----------
        site : ndarray of shape (n_features,)
            Precision that sites add to u and to v.

        Returns
        -------
        variance : ndarray of shape (n_features,)
            Marginal variance of u.
        log_ratio : float
            Log normalizer of prior times sites, u and v together, less that of the prior.

        Raises
        ------
        numpy.linalg.LinAlgError
            If prior times sites is no distribution.
        """


@dataclass(frozen=True, eq=False)
class IndependentPrior:
    """Every feature by itself.

    Attributes
    ----------
    scale : ndarray of shape (n_features,)
    """

    scale: Floats

    def marginals(self, site: Floats) -> tuple[Floats, float]:
        """See `AuxiliaryPrior`."""
        relative = 1.0 + self.scale * site
        if not (relative > 0).all():
            raise np.linalg.LinAlgError("an auxiliary variable has no positive precision")
        return self.scale / relative, -float(np.log(relative).sum())
