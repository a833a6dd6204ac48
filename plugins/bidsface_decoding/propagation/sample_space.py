"""The Gaussian approximation by n x n matrices, whatever the number of features.

Features whose sites say little against the data, the bias first of all, would lose their digits
there: the difference of two nearly equal numbers is all that is left of their variance. There are
at most about n of them, and they are solved for in weight space, the others having been integrated
out. With all features in that set nothing is left for sample space (see `weight_space`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from bidsface.numerics.linear import Floats
from bidsface_decoding.propagation.design import Design, Mask
from bidsface_decoding.propagation.feature_sites import FeatureSites, Weights
from bidsface_decoding.propagation.sample_sites import Activations, SampleSites

DETERMINED = 0.1
"""Share of its own site in a weight's precision below which it is solved for in weight space."""


@dataclass(frozen=True, eq=False)
class SamplePosterior:
    """The approximation given all sites.

    With G = A_R K_R^-1 A_R' of the features R in sample space and T the sites' precisions,
    ``M = (T^-1 + G)^-1`` is the precision of activations with the features S left out.

    Attributes
    ----------
    prior : SampleSpace
    activations : Activations
    log_normalizer : float
        Phi of the weights: log integral of the exponential of their natural parameters.
    whitener : ndarray of shape (n_samples, n_samples)
        Lower triangular; its Gram matrix ``whitener' whitener`` is M.
    crossed : ndarray of shape (n_samples, n_chosen)
        M A_S.
    factor : ndarray of shape (n_chosen, n_chosen)
        Lower Cholesky factor of the precision of the features S.
    mean : ndarray of shape (n_chosen,)
    residual : ndarray of shape (n_samples,)
        Weights of R have the mean (linear + A_R' residual) / precision.
    """

    prior: SampleSpace
    activations: Activations
    log_normalizer: float
    whitener: Floats
    crossed: Floats
    factor: Floats
    mean: Floats
    residual: Floats

    def weights(self, design: Design) -> Weights:
        """Return the marginals of all weights: the second pass over the features."""
        sites, chosen = self.prior.sites, self.prior.chosen
        removed = linalg.solve_triangular(self.factor, self.crossed.T, lower=True)
        squares, products = design.project(self.whitener, self.residual, removed)
        own = sites.precision
        mean, variance, data = np.empty_like(own), np.empty_like(own), np.empty_like(own)
        share = np.clip(squares / own[:-1], 0.0, 1.0 - 1e-9)
        mean[:-1] = (sites.linear[:-1] + products) / own[:-1]
        variance[:-1] = (1.0 - share) / own[:-1]
        data[:-1] = own[:-1] * share / (1.0 - share)
        mean[chosen] = self.mean
        variance[chosen] = inverse_diagonal(self.factor)
        data[chosen] = np.maximum(1.0 / variance[chosen] - own[chosen], 0.0)
        return Weights(mean, variance, data)

    def predictive_variance(self, design: Design, X: NDArray[np.floating]) -> Floats:
        """Return the variance of activations of new samples, (n_new,).

        Parameters
        ----------
        design : Design
            Of the training samples.
        X : ndarray of shape (n_new, n_features - 1)
            Of the same precision.
        """
        chosen = self.prior.chosen
        spread = np.where(chosen, 0.0, 1.0 / self.prior.sites.precision)[:-1].astype(X.dtype)
        scaled = X * spread
        alone = np.einsum("ij,ij->i", scaled, X, dtype=np.float64)
        shared = (design.X @ scaled.T).astype(np.float64)  # (n_samples, n_new)
        known = self.whitener @ shared
        left = Design(X).columns(chosen).T - self.crossed.T @ shared
        solved = linalg.solve_triangular(self.factor, left, lower=True)
        found = alone - np.einsum("ij,ij->j", known, known) + np.einsum("ij,ij->j", solved, solved)
        return np.maximum(found, np.finfo(X.dtype).eps * alone)


@dataclass(frozen=True, eq=False)
class SampleSpace:
    """What the features' sites say about the samples.

    Attributes
    ----------
    sites : FeatureSites
    chosen : ndarray of bool, shape (n_features,)
        The features S that are solved for in weight space; the bias is among them.
    gram : ndarray of shape (n_samples, n_samples)
        G, prior covariance of activations by the other features R.
    shift : ndarray of shape (n_samples,)
        Their prior mean.
    columns : ndarray of shape (n_samples, n_chosen)
        A_S.
    """

    sites: FeatureSites
    chosen: Mask
    gram: Floats
    shift: Floats
    columns: Floats

    @classmethod
    def of(cls, design: Design, sites: FeatureSites, weights: Weights | None) -> SampleSpace:
        """Make the first pass over the features.

        Parameters
        ----------
        design : Design
        sites : FeatureSites
        weights : Weights or None
            Marginals of the sweep before, by which S is chosen; None puts the bias alone there.
        """
        chosen = np.zeros(design.n_features, dtype=bool)
        if weights is not None:
            chosen = sites.precision * weights.variance < DETERMINED
        chosen[-1] = True
        variance = np.where(chosen, 0.0, 1.0 / sites.precision)
        gram, shift = design.gram(variance, variance * sites.linear)
        return cls(sites, chosen, gram, shift, design.columns(chosen))

    def condition(self, samples: SampleSites) -> SamplePosterior:
        """Return the approximation given sites of the samples: n x n work only.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the sites have no joint normalizer.
        """
        whitener, log_det = self._whitener(samples)
        crossed = whitener.T @ (whitener @ self.columns)
        precision, linear = self.sites.precision[self.chosen], self.sites.linear[self.chosen]
        factor = linalg.cholesky(np.diag(precision) + self.columns.T @ crossed, lower=True)
        expected = self.gram @ samples.linear + self.shift
        residual = samples.linear - whitener.T @ (whitener @ expected)
        mean = linalg.cho_solve((factor, True), linear + self.columns.T @ residual)
        residual = residual - crossed @ mean
        activation = self.shift + self.gram @ residual + self.columns @ mean
        others, other_linear = self.sites.precision[~self.chosen], self.sites.linear[~self.chosen]
        quadratic = (
            (other_linear**2 / others).sum()
            + self.shift @ residual
            + linear @ mean
            + samples.linear @ activation
        )
        log_det += 2 * np.log(np.diag(factor)).sum() + np.log(others).sum()
        log_normalizer = 0.5 * (len(self.chosen) * np.log(2 * np.pi) - log_det + quadratic)
        variance, freedom = self._spread(samples, whitener, crossed, factor)
        activations = Activations(activation, variance, freedom)
        return SamplePosterior(
            self, activations, float(log_normalizer), whitener, crossed, factor, mean, residual
        )

    def _whitener(self, samples: SampleSites) -> tuple[Floats, float]:
        """Return W with W'W = (T^-1 + G)^-1, and log |I + T G|; precisions may be 0."""
        root = np.sqrt(samples.precision)
        scaled = root[:, None] * self.gram * root
        scaled[np.diag_indices_from(scaled)] += 1.0
        factor = linalg.cholesky(scaled, lower=True, overwrite_a=True, check_finite=False)
        inverse, _ = linalg.lapack.dtrtri(factor, lower=1)
        return inverse * root, 2 * float(np.log(np.diag(factor)).sum())

    def _spread(
        self, samples: SampleSites, whitener: Floats, crossed: Floats, factor: Floats
    ) -> tuple[Floats, Floats]:
        """Return variances of activations and their freedom, by the formula that keeps digits."""
        solved = linalg.solve_triangular(factor, crossed.T, lower=True)
        precise = np.einsum("ij,ij->j", whitener, whitener) - np.einsum("ij,ij->j", solved, solved)
        site = samples.precision
        freedom = np.divide(precise, site, out=np.ones_like(site), where=site > 0)
        free = freedom > 0.5
        if not free.any():
            freedom = np.maximum(freedom, 1e-14)
            return (1.0 - freedom) / site, freedom
        direct = self._direct_variance(whitener, crossed, factor)
        freedom = np.maximum(np.where(free, 1.0 - site * direct, freedom), 1e-14)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(free, direct, (1.0 - freedom) / site), freedom

    def _direct_variance(self, whitener: Floats, crossed: Floats, factor: Floats) -> Floats:
        """Diagonal of G - G M G + (A_S - G M A_S) cov_S (...)'."""
        known = whitener @ self.gram
        left = (self.columns - self.gram @ crossed).T
        solved = linalg.solve_triangular(factor, left, lower=True)
        explained = np.einsum("ij,ij->j", known, known)
        return np.diag(self.gram) - explained + np.einsum("ij,ij->j", solved, solved)


def inverse_diagonal(factor: Floats) -> Floats:
    """Return the diagonal of the inverse of a matrix with the lower Cholesky factor given."""
    inverse, _ = linalg.lapack.dtrtri(factor, lower=1)
    return np.einsum("ij,ij->j", inverse, inverse)
