"""The prior that makes neighbours alike: u and v are smooth over a graph of the features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bidsface.numerics.linear import Floats
from bidsface_decoding.propagation.tridiagonal import BlockTridiagonal


@dataclass(frozen=True, eq=False)
class CoupledPrior:
    """Gaussian of u (and of v) with a sparse precision, every prior variance being the scale.

    The precision is proportional to ``I + coupling * L`` with L the Laplacian of the graph, and
    scaled on both sides so that prior variances are the same with and without coupling: it changes
    what neighbours have to do with each other, and nothing about one weight by itself.

    Attributes
    ----------
    scale : ndarray of shape (n_features,)
        The bias, which has no neighbours, is the last one.
    precision : BlockTridiagonal
        Of shape (n_features - 1, n_features - 1).
    log_det : float
        Log determinant of that precision.
    """

    scale: Floats
    precision: BlockTridiagonal
    log_det: float

    @classmethod
    def of(cls, scale: Floats, neighbours: sparse.csr_array, coupling: float) -> CoupledPrior:
        """Build the prior.

        Parameters
        ----------
        scale : ndarray of shape (n_features,)
        neighbours : sparse array of shape (n_features - 1, n_features - 1)
            Adjacency: symmetric, not negative; the diagonal does not count.
        coupling : float
            Not negative; 0 makes features independent.
        """
        n = neighbours.shape[0]
        laplacian = coupling * sparse.csgraph.laplacian(neighbours.astype(np.float64))
        smooth = sparse.csr_array(sparse.eye_array(n) + laplacian)
        variance, log_det = BlockTridiagonal.of(smooth).inverse_diagonal(np.zeros(n))
        factor = np.sqrt(variance / scale[:-1])
        stretch = sparse.diags_array(factor)
        precision = BlockTridiagonal.of(sparse.csr_array(stretch @ smooth @ stretch))
        return cls(scale, precision, log_det + 2 * float(np.log(factor).sum()))

    def marginals(self, site: Floats) -> tuple[Floats, float]:
        """See `bidsface_decoding.propagation.auxiliary.AuxiliaryPrior`."""
        variance, log_det = self.precision.inverse_diagonal(site[:-1])
        bias = 1.0 + self.scale[-1] * site[-1]
        if bias <= 0:
            raise np.linalg.LinAlgError("the bias has no positive precision")
        ratio = self.log_det - log_det - float(np.log(bias))
        return np.append(variance, self.scale[-1] / bias), ratio
