"""Power expectation propagation: sites of samples to convergence, then all features at once.

A sweep alternates two steps. With the features' sites fixed, the sites of the samples are updated
in n x n matrices until they settle, which costs nothing that depends on the number of features.
Then every feature's site is updated from the marginals of the weights. That converges in about six
passes over the features; updating both kinds of sites at once takes twice as many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import optimize

from bidsface.numerics.linear import Floats
from bidsface_decoding.propagation.auxiliary import AuxiliaryPrior
from bidsface_decoding.propagation.design import Design
from bidsface_decoding.propagation.feature_sites import (
    FeatureProposal,
    FeatureSites,
    Weights,
    propose_feature_sites,
)
from bidsface_decoding.propagation.sample_sites import SampleSites, propose_sample_sites
from bidsface_decoding.propagation.sample_space import SamplePosterior, SampleSpace
from bidsface_decoding.propagation.scale_mixture import ScaleMixture
from bidsface_decoding.propagation.weight_space import WeightPosterior, WeightSpace

Space: TypeAlias = SampleSpace | WeightSpace
Posterior: TypeAlias = SamplePosterior | WeightPosterior

SMALLEST_STEP = 1e-3
MAX_INNER = 200


@dataclass(frozen=True)
class Settings:
    """How the propagation goes.

    Attributes
    ----------
    fraction : float
        Power of every factor in its own update.
    tol : float
        Largest change of the log evidence between the last two sweeps.
    relative_tol : float
        Or so much of the log evidence.
    max_iter : int
        Most sweeps.
    """

    fraction: float = 0.9
    tol: float = 1e-5
    relative_tol: float = 1e-7
    max_iter: int = 100


@dataclass(frozen=True, eq=False)
class Start:
    """The prior alone, approximated in the same way, and what it says about the samples.

    Attributes
    ----------
    sites : FeatureSites
        Fixed point without any data.
    log_normalizer : float
        Of the approximated prior, which should be 0: evidence is measured from here.
    space : SampleSpace or WeightSpace
    """

    sites: FeatureSites
    log_normalizer: float
    space: Space


@dataclass(frozen=True, eq=False)
class Sweep:
    """The state after a sweep: marginals and evidence under its sites, and the next sites.

    Attributes
    ----------
    sites : FeatureSites
    samples : SampleSites
    posterior : SamplePosterior or WeightPosterior
    weights : Weights
    auxiliary_variance : ndarray of shape (n_features,)
    proposal : FeatureProposal
    log_evidence : float
    """

    sites: FeatureSites
    samples: SampleSites
    posterior: Posterior
    weights: Weights
    auxiliary_variance: Floats
    proposal: FeatureProposal
    log_evidence: float


@dataclass(frozen=True, eq=False)
class Fit:
    """What was reached.

    Attributes
    ----------
    last : Sweep
    log_evidence : float
        Of the labels, the approximated prior being normalized.
    importance : ndarray of shape (n_features,)
        Marginal variance of u against its prior variance.
    n_iter : int
    converged : bool
    """

    last: Sweep
    log_evidence: float
    importance: Floats
    n_iter: int
    converged: bool


class Damping:
    """Halves the step when the evidence oscillates instead of settling."""

    def __init__(self) -> None:
        self.step = 1.0
        self.change = np.inf
        self._evidence = np.nan

    def observe(self, evidence: float) -> None:
        """Take note of the evidence after another step."""
        change = evidence - self._evidence
        turned = np.isfinite(self.change) and change * self.change < 0
        # Smaller changes are rounding, which turns about as it likes.
        if turned and abs(change) > max(0.5 * abs(self.change), 1e-9 * abs(evidence)):
            self.weaken()
        self.change = change if np.isfinite(change) else np.inf
        self._evidence = evidence

    def weaken(self) -> None:
        """Halve the step."""
        self.step *= 0.5


def choose_space(design: Design) -> type[SampleSpace] | type[WeightSpace]:
    """Return the space with the smaller matrices."""
    return WeightSpace if design.n_features <= len(design.X) else SampleSpace


def start_from(
    design: Design,
    prior: AuxiliaryPrior,
    mixture: ScaleMixture,
    fraction: float,
    kind: type[SampleSpace] | type[WeightSpace] | None = None,
) -> Start:
    """Approximate the prior alone; several labellings of the same samples can start from it.

    Without data the marginals of u and v are those of the prior, coupled or not, so that all
    features have the same site but for their scale.
    """
    unit, log_normalizer = _unit_prior(mixture, fraction)
    scale = prior.scale
    nothing = np.zeros_like(scale)
    sites = FeatureSites(unit / scale, nothing, nothing)
    space = (kind or choose_space(design)).of(design, sites, None)
    return Start(sites, log_normalizer * len(scale), space)


def _unit_prior(mixture: ScaleMixture, fraction: float) -> tuple[float, float]:
    """Return site precision and log normalizer of one weight of scale 1 without data."""

    def propose(precision: float) -> FeatureProposal:
        site = np.full(1, precision)
        sites = FeatureSites(site, np.zeros(1), np.zeros(1))
        weights = Weights(np.zeros(1), 1.0 / site, np.zeros(1))
        return propose_feature_sites(sites, weights, np.ones(1), mixture, fraction)

    def growth(precision: float) -> float:
        return float(np.log(propose(precision).sites.precision[0] / precision))

    found = optimize.brentq(growth, 0.1, 1e3, xtol=1e-14)
    return found, 0.5 * np.log(2 * np.pi / found) + propose(found).log_evidence


def propagate(
    design: Design,
    signs: Floats,
    prior: AuxiliaryPrior,
    start: Start,
    mixture: ScaleMixture,
    settings: Settings,
) -> Fit:
    """Approximate the posterior of weights and auxiliary variables.

    Parameters
    ----------
    design : Design
    signs : ndarray of shape (n_samples,)
        Labels, -1 and 1.
    prior : AuxiliaryPrior
    start : Start
        From `start_from`, for the same samples and prior.
    mixture : ScaleMixture
        For the fraction of the settings.
    settings : Settings
    """
    damping = Damping()
    run = _Run(design, signs, prior, mixture, settings)
    state = run.sweep(start.sites, SampleSites.empty(len(signs)), start.space, np.inf)
    damping.observe(state.log_evidence)
    kind = type(start.space)
    n_iter, converged = 1, False
    while n_iter < settings.max_iter and not converged:
        state = run.advance(state, damping, kind)
        n_iter += 1
        damping.observe(state.log_evidence)
        evidence = state.log_evidence - start.log_normalizer
        converged = abs(damping.change) < max(settings.tol, settings.relative_tol * abs(evidence))
    return Fit(
        state,
        state.log_evidence - start.log_normalizer,
        state.auxiliary_variance / prior.scale,
        n_iter,
        converged,
    )


@dataclass(frozen=True, eq=False)
class _Run:
    """What stays the same from sweep to sweep."""

    design: Design
    signs: Floats
    prior: AuxiliaryPrior
    mixture: ScaleMixture
    settings: Settings

    def advance(
        self, state: Sweep, damping: Damping, kind: type[SampleSpace] | type[WeightSpace]
    ) -> Sweep:
        """Move the features' sites and sweep; take shorter steps where that is no distribution."""
        if state.proposal.improper.any():
            damping.weaken()
        while True:
            sites = state.sites.towards(state.proposal.sites, damping.step)
            try:
                space = kind.of(self.design, sites, state.weights)
                found = self.sweep(sites, state.samples, space, damping.change)
                if np.isfinite(found.log_evidence):
                    return found
            except np.linalg.LinAlgError:
                pass
            if damping.step < SMALLEST_STEP:
                raise FloatingPointError("expectation propagation found no proper step")
            damping.weaken()

    def sweep(
        self, sites: FeatureSites, samples: SampleSites, space: Space, change: float
    ) -> Sweep:
        """Settle the samples' sites, then propose sites of the features."""
        variance, log_ratio = self.prior.marginals(sites.auxiliary)
        tol = max(0.1 * self.settings.tol, min(1e-2, 3e-3 * abs(change)))
        samples, posterior, evidence = self._settle(space, samples, tol)
        weights = posterior.weights(self.design)
        proposal = propose_feature_sites(
            sites, weights, variance, self.mixture, self.settings.fraction
        )
        evidence += posterior.log_normalizer + log_ratio + proposal.log_evidence
        return Sweep(sites, samples, posterior, weights, variance, proposal, evidence)

    def _settle(
        self, space: Space, samples: SampleSites, tol: float
    ) -> tuple[SampleSites, Posterior, float]:
        """Iterate the samples' sites; return them with their posterior and part of the evidence."""
        damping = Damping()
        for _ in range(MAX_INNER):
            posterior = space.condition(samples)
            proposal, evidence = propose_sample_sites(
                samples, posterior.activations, self.signs, self.settings.fraction
            )
            damping.observe(posterior.log_normalizer + evidence)
            if abs(damping.change) <= tol:
                break
            samples = samples.towards(proposal, damping.step)
        return samples, posterior, evidence
