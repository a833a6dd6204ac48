"""The Gaussian approximation by p x p matrices, for problems with more samples than features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from bidsface.numerics.linear import Floats
from bidsface_decoding.propagation.design import Design
from bidsface_decoding.propagation.feature_sites import FeatureSites, Weights
from bidsface_decoding.propagation.sample_sites import Activations, SampleSites
from bidsface_decoding.propagation.sample_space import inverse_diagonal


@dataclass(frozen=True, eq=False)
class WeightPosterior:
    """The approximation given all sites.

    Attributes
    ----------
    sites : FeatureSites
    activations : Activations
    log_normalizer : float
        Phi of the weights: log integral of the exponential of their natural parameters.
    factor : ndarray of shape (n_features, n_features)
        Lower Cholesky factor of the precision of the weights.
    mean : ndarray of shape (n_features,)
    """

    sites: FeatureSites
    activations: Activations
    log_normalizer: float
    factor: Floats
    mean: Floats

    def weights(self, design: Design) -> Weights:
        """Return the marginals of all weights."""
        variance = inverse_diagonal(self.factor)
        data = np.maximum(1.0 / variance - self.sites.precision, 0.0)
        return Weights(self.mean, variance, data)

    def predictive_variance(self, design: Design, X: NDArray[np.floating]) -> Floats:
        """Return the variance of activations of new samples ``X``, (n_new,)."""
        columns = Design(X).columns(np.ones(len(self.mean), dtype=bool))
        solved = linalg.solve_triangular(self.factor, columns.T, lower=True)
        return np.einsum("ij,ij->j", solved, solved)


@dataclass(frozen=True, eq=False)
class WeightSpace:
    """The features' sites, and the samples in double precision.

    Attributes
    ----------
    sites : FeatureSites
    columns : ndarray of shape (n_samples, n_features)
    """

    sites: FeatureSites
    columns: Floats

    @classmethod
    def of(cls, design: Design, sites: FeatureSites, weights: Weights | None) -> WeightSpace:
        """Collect what `condition` needs; ``weights`` are not used."""
        return cls(sites, design.columns(np.ones(design.n_features, dtype=bool)))

    def condition(self, samples: SampleSites) -> WeightPosterior:
        """Return the approximation given sites of the samples.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the sites have no joint normalizer.
        """
        root = np.sqrt(samples.precision)[:, None] * self.columns
        precision = root.T @ root
        precision[np.diag_indices_from(precision)] += self.sites.precision
        factor = linalg.cholesky(precision, lower=True)
        linear = self.sites.linear + self.columns.T @ samples.linear
        mean = linalg.cho_solve((factor, True), linear)
        solved = linalg.solve_triangular(factor, self.columns.T, lower=True)
        variance = np.einsum("ij,ij->j", solved, solved)
        freedom = np.maximum(1.0 - samples.precision * variance, 1e-14)
        log_det = 2 * np.log(np.diag(factor)).sum()
        log_normalizer = 0.5 * (len(mean) * np.log(2 * np.pi) - log_det + linear @ mean)
        activations = Activations(self.columns @ mean, variance, freedom)
        return WeightPosterior(self.sites, activations, float(log_normalizer), factor, mean)
