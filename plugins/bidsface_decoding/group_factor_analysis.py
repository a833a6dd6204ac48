"""Variational Bayes for group factor analysis, from the inner products of the samples alone.

    X_m ~ N(Z W_m', 1 / tau_m),  Z ~ N(0, 1),  W_m[:, k] ~ N(0, 1 / alpha_mk),  alpha, tau ~ Gamma

for views X_m of n paired samples (Virtanen et al. 2012, AISTATS; Klami, Virtanen, Kaski 2013, JMLR
14:965-1003, who call it Bayesian CCA for two views). The posterior is approximated by
q(Z) q(W_1) ... q(tau) q(alpha). Noise is spherical, so that the mean of W_m is always ``X_m' A_m``
with A_m of n rows, and the updates need the data only through the inner products X_m X_m'. One
sweep costs n^2 K per view, whatever the number of features; samples that belong to several pairs
count once in n.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import digamma, gammaln

from bidsface.numerics.linear import Floats
from bidsface_decoding.repeated_samples import RepeatedSamples
from bidsface_decoding.rotation import RotationProblem

PRIOR = 1e-14
"""Shape and rate of the Gamma priors of tau and alpha."""
_LOG_2PI = float(np.log(2 * np.pi))
_FIRST_SIGNAL_TO_NOISE = 1000.0
_ROUNDING = 1e-10


@dataclass(frozen=True, eq=False)
class Posterior:
    """The approximate posterior after a sweep. Shapes: n samples, M views, K components.

    Of the n paired samples of a view, d are distinct.

    Attributes
    ----------
    scores : ndarray of shape (n, K), or (M, d, K) if samples repeat
        Mean of Z, summed over the pairs of every distinct sample.
    scores_covariance : ndarray of shape (K, K)
        Of every row of Z.
    scores_moment : ndarray of shape (K, K)
        Expectation of Z' Z.
    scores_log_determinant : float
        Of the covariance.
    dual : ndarray of shape (M, d, K)
        A_m, summed over the pairs of every distinct sample; the mean of W_m is ``X_m' A_m``.
    loadings_covariance : ndarray of shape (M, K, K)
        Of every row of W_m.
    loadings_moment : ndarray of shape (M, K, K)
        Expectation of W_m' W_m.
    loadings_log_determinant : ndarray of shape (M,)
        Of the covariance.
    residual : ndarray of shape (M,)
        Expected sum of squares of X_m - Z W_m'.
    noise_rate : ndarray of shape (M,)
        Rate of q(tau_m).
    loadings_rate : ndarray of shape (M, K)
        Rate of q(alpha_mk).
    """

    scores: Floats
    scores_covariance: Floats
    scores_moment: Floats
    scores_log_determinant: float
    dual: Floats
    loadings_covariance: Floats
    loadings_moment: Floats
    loadings_log_determinant: Floats
    residual: Floats
    noise_rate: Floats
    loadings_rate: Floats


@dataclass(frozen=True, eq=False)
class GroupFactorAnalysis:
    """The model of one set of views.

    Attributes
    ----------
    grams : ndarray of shape (n_views, n_distinct, n_distinct)
        Inner products of the centred samples; no view may be all zeros.
    n_features : ndarray of shape (n_views,)
    repeats : RepeatedSamples or None
        Which of the paired samples are the same one; None if all are distinct.
    """

    grams: Floats
    n_features: Floats
    repeats: RepeatedSamples | None = None

    @property
    def n_samples(self) -> int:
        """Number of paired samples."""
        return self.grams.shape[1] if self.repeats is None else self.repeats.which.shape[1]

    @cached_property
    def total(self) -> Floats:
        """Sum of squares of every view, (n_views,)."""
        squares = np.einsum("mii->mi", self.grams)
        return (squares if self.repeats is None else squares * self.repeats.counts).sum(axis=1)

    def _gather_sum(self, parts: Floats) -> Floats:
        """Return the sum of what views tell of the scores, for the samples of every view."""
        return parts.sum(axis=0) if self.repeats is None else self.repeats.gather_sum(parts)

    @property
    def noise_shape(self) -> Floats:
        """Shape of q(tau_m), (n_views,)."""
        return PRIOR + self.n_samples * self.n_features / 2

    @property
    def loadings_shape(self) -> Floats:
        """Shape of q(alpha_mk), (n_views, 1)."""
        return PRIOR + self.n_features[:, None] / 2

    def noise_precision(self, posterior: Posterior) -> Floats:
        """Return the expectation of tau, (n_views,)."""
        return self.noise_shape / posterior.noise_rate

    def loadings_precision(self, posterior: Posterior) -> Floats:
        """Return the expectation of alpha, (n_views, n_components)."""
        return self.loadings_shape / posterior.loadings_rate

    def start(self, n_components: int, rng: np.random.Generator) -> Posterior:
        """Return the first state: random scores and little noise, as in the published code."""
        n, n_views = self.n_samples, len(self.grams)
        scores = rng.standard_normal((n, n_components))
        scores -= scores.mean(axis=0)
        identity = np.eye(n_components)
        variance = self.total / (n * self.n_features)
        noise = _FIRST_SIGNAL_TO_NOISE / variance
        loadings = np.repeat(n_components / variance[:, None], n_components, axis=1)
        return Posterior(
            scores=scores if self.repeats is None else self.repeats.gather(scores),
            scores_covariance=identity,
            scores_moment=scores.T @ scores + n * identity,
            scores_log_determinant=0.0,
            dual=np.zeros((n_views, self.grams.shape[1], n_components)),
            loadings_covariance=np.zeros((n_views, n_components, n_components)),
            loadings_moment=np.zeros((n_views, n_components, n_components)),
            loadings_log_determinant=np.zeros(n_views),
            residual=self.total,
            noise_rate=self.noise_shape / noise,
            loadings_rate=self.loadings_shape / loadings,
        )

    def sweep(self, posterior: Posterior, rotation_steps: int = 1) -> Posterior:
        """Update q(W), q(Z), q(tau), the rotation and q(alpha), in this order."""
        updated = self._update_factors(posterior)
        if rotation_steps:
            updated = self._rotate(updated, rotation_steps)
        rate = PRIOR + np.einsum("mkk->mk", updated.loadings_moment) / 2
        return replace(updated, loadings_rate=rate)

    def _update_factors(self, old: Posterior) -> Posterior:
        tau = self.noise_precision(old)[:, None, None]
        diagonal = np.arange(old.scores.shape[-1])
        precision = tau * old.scores_moment
        precision[:, diagonal, diagonal] += self.loadings_precision(old)
        covariance = np.linalg.inv(precision).astype(np.float64, copy=False)
        dual = tau * (old.scores @ covariance)
        images = self.grams @ dual  # X_m <W_m>, (n_views, d, K)
        moment = np.swapaxes(dual, 1, 2) @ images
        moment += self.n_features[:, None, None] * covariance
        moment = (moment + np.swapaxes(moment, 1, 2)) / 2

        scores_precision = (tau * moment).sum(axis=0)
        scores_precision[diagonal, diagonal] += 1.0
        scores_covariance = np.linalg.inv(scores_precision)
        parts = tau * (images @ scores_covariance)
        scores = self._gather_sum(parts)
        scores_moment = (np.swapaxes(parts, 1, 2) @ scores).sum(axis=0)
        scores_moment = (scores_moment + scores_moment.T) / 2 + self.n_samples * scores_covariance
        residual = self.total - 2 * (images * scores).sum(axis=(1, 2))
        residual += (moment * scores_moment).sum(axis=(1, 2))
        return Posterior(
            scores=scores,
            scores_covariance=scores_covariance,
            scores_moment=scores_moment,
            scores_log_determinant=-float(np.linalg.slogdet(scores_precision)[1]),
            dual=dual,
            loadings_covariance=covariance,
            loadings_moment=moment,
            loadings_log_determinant=-np.linalg.slogdet(precision)[1],
            residual=residual,
            noise_rate=PRIOR + residual / 2,
            loadings_rate=old.loadings_rate,
        )

    def _rotate(self, old: Posterior, steps: int) -> Posterior:
        """Turn the components so that they agree better with their priors; the fit stays."""
        problem = RotationProblem(self.n_features, self.n_samples, PRIOR, PRIOR)
        turned = problem.minimize(old.loadings_moment, old.scores_moment, steps)
        rotation, inverse = turned.rotation, turned.inverse
        return replace(
            old,
            scores=old.scores @ inverse.T,
            scores_covariance=inverse @ old.scores_covariance @ inverse.T,
            scores_moment=turned.scores,
            scores_log_determinant=old.scores_log_determinant - 2 * turned.log_determinant,
            dual=old.dual @ rotation,
            loadings_covariance=rotation.T @ old.loadings_covariance @ rotation,
            loadings_moment=turned.loadings,
            loadings_log_determinant=old.loadings_log_determinant + 2 * turned.log_determinant,
        )

    def bound(self, posterior: Posterior) -> float:
        """Return the lower bound of log p(X_1, ..., X_M), constants included."""
        n, p = self.n_samples, self.n_features
        n_components = posterior.scores.shape[-1]
        log_tau = digamma(self.noise_shape) - np.log(posterior.noise_rate)
        log_alpha = digamma(self.loadings_shape) - np.log(posterior.loadings_rate)
        lengths = np.einsum("mkk->mk", posterior.loadings_moment)
        fit = n * p * (log_tau - _LOG_2PI) - self.noise_precision(posterior) * posterior.residual
        scores = n * (n_components + posterior.scores_log_determinant)
        scores -= np.trace(posterior.scores_moment)
        loadings = p * (log_alpha.sum(axis=1) + n_components + posterior.loadings_log_determinant)
        loadings -= (self.loadings_precision(posterior) * lengths).sum(axis=1)
        return float(
            (fit.sum() + scores + loadings.sum()) / 2
            - _gamma_divergence(self.noise_shape, posterior.noise_rate).sum()
            - _gamma_divergence(self.loadings_shape, posterior.loadings_rate).sum()
        )

    def is_exhausted(self, posterior: Posterior) -> bool:
        """Whether a view is fitted down to rounding, so that the bound would rise for ever."""
        return bool((posterior.residual <= _ROUNDING * self.total).any())


def _gamma_divergence(shape: Floats, rate: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of Gamma(shape, rate) from the prior."""
    return (
        (shape - PRIOR) * digamma(shape)
        - gammaln(shape)
        + gammaln(PRIOR)
        + PRIOR * (np.log(rate) - np.log(PRIOR))
        + shape * (PRIOR / rate - 1)
    )
