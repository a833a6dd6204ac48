"""Bayesian canonical correlation analysis: what views share, and what each has for itself."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.utils._param_validation import Interval

from bidsface.numerics.linear import Floats
from bidsface.numerics.seeds import child_seed
from bidsface_decoding.aligner import Aligner
from bidsface_decoding.group_factor_analysis import GroupFactorAnalysis
from bidsface_decoding.repeated_samples import find_repeats
from bidsface_decoding.variational_ascent import Run, run

RandomState = int | None | np.random.Generator | np.random.SeedSequence


class BayesianCCA(Aligner):
    """Bayesian CCA of two views, group factor analysis of more.

    Samples of every view are loadings times common scores plus noise. Every component has a
    precision of its own in every view, which switches it off where it does not help: components
    that stay in one view are specific to it, the others are shared. Variational Bayes with
    rotation, from several random starts, of which the one with the largest lower bound of the
    evidence is kept. See `bidsface_decoding.group_factor_analysis` for the model.

    Parameters
    ----------
    n_components : int
        Number of components to start with; more than are needed do no harm but take time. At most
        n_samples - 2 are used, because more can fit any samples without noise.
    n_restarts : int
        Number of random starts.
    random_state : int, None, numpy.random.Generator or numpy.random.SeedSequence
        Every start has its own stream. A ``SeedSequence`` is not advanced, a ``Generator`` is.
    tol : float
        A run ends when the last five sweeps raised the bound by less than ``tol`` times the number
        of the data (samples times features of all views) each. The published code compares one
        sweep with the absolute bound instead, which is of that size for standardized data but
        depends on their unit.
    max_iter : int
        Sweeps at most.
    rotation_steps : int
        Quasi-Newton steps of the rotation after every sweep; 0 for no rotation.

    Attributes
    ----------
    elbo_ : float
        The best lower bound of the log evidence of the centred samples, constants included.
    elbo_trace_ : ndarray of shape (n_iter_,)
        The bound after every sweep of the best run.
    restart_elbos_ : ndarray of shape (n_restarts,)
    n_iter_ : int
    converged_ : bool
        Whether the best run ended before ``max_iter``. A view that is fitted down to rounding ends
        a run, too: its bound has no maximum.
    n_components_ : int
    activity_ : ndarray of shape (n_views, n_components_)
        Share of the variance of a view that a component explains, largest sum first.
    active_ : ndarray of bool, shape (n_views, n_components_)
        Whether a component is there in a view, a description and no test: (1) the share of its
        loadings that the data determine rather than the prior (MacKay's well-determined parameters)
        is above s / (1 + s), s = sqrt(n_samples / n_features), which is where a component only just
        stands out from white noise (Baik, Ben Arous, Peche 2005, Ann Probab); and (2), except in
        the view where it counts most, it explains more of what all components explain than the
        square of a correlation that independent scores have once in a hundred.
    noise_precision_ : ndarray of shape (n_views,)
        Expectation of tau; infinite for a view that does not vary.
    loadings_precision_ : ndarray of shape (n_views, n_components_)
        Expectation of alpha; infinite for a view that does not vary.

    References
    ----------
    Klami, Virtanen, Kaski (2013), JMLR 14:965-1003; Virtanen, Klami, Khan, Kaski (2012), AISTATS.
    """

    _parameter_constraints = {  # noqa: RUF012
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "random_state": [
            Interval(Integral, 0, None, closed="left"),
            None,
            np.random.Generator,
            np.random.SeedSequence,
        ],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "rotation_steps": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 30,
        n_restarts: int = 10,
        random_state: RandomState = None,
        tol: float = 1e-6,
        max_iter: int = 2000,
        rotation_steps: int = 1,
    ) -> None:
        self.n_components = n_components
        self.n_restarts = n_restarts
        self.random_state = random_state
        self.tol = tol
        self.max_iter = max_iter
        self.rotation_steps = rotation_steps

    @property
    def shared_(self) -> np.ndarray:
        """Indices of the components that are active in at least two views."""
        return np.flatnonzero(self.active_.sum(axis=0) > 1)

    def loadings(self, view: int) -> NDArray[np.floating]:
        """Return the posterior mean of the loadings, (n_features, n_components_)."""
        self._check_index(view)
        fitted = self._fitted_views()[view]
        dual = self.duals_[view] - self.duals_[view].mean(axis=0)
        return (dual.T.astype(fitted.dtype, copy=False) @ fitted).T

    def _fit(self, grams: tuple[Floats, ...]) -> None:
        # A view that does not vary has no likelihood with a maximum; it is left out of the model.
        present = np.array([bool(gram.any()) for gram in grams])
        self.n_components_ = min(self.n_components, max(self.n_samples_ - 2, 1))
        self._set_blank(len(grams))
        if not present.any():
            return
        features = np.array(self.n_features_, dtype=np.float64)[present]
        kept = np.stack([*grams])[present]
        repeats = find_repeats(kept)
        distinct = kept if repeats is None else repeats.reduce(kept)
        model = GroupFactorAnalysis(distinct, features, repeats)
        self._keep(model, self._best(model), present)

    def _best(self, model: GroupFactorAnalysis) -> Run:
        best: Run | None = None
        bounds = []
        for seed in _seeds(self.random_state, self.n_restarts):
            found = run(
                model,
                self.n_components_,
                np.random.default_rng(seed),
                self.tol,
                self.max_iter,
                self.rotation_steps,
            )
            bounds.append(found.bound)
            if best is None or found.bound > best.bound:
                best = found
        assert best is not None  # there is at least one restart
        self.restart_elbos_ = np.array(bounds)
        return best

    def _set_blank(self, n_views: int) -> None:
        """Set what holds of views that do not vary."""
        shape = (n_views, self.n_components_)
        self.elbo_, self.elbo_trace_, self.restart_elbos_ = 0.0, np.zeros(0), np.zeros(0)
        self.n_iter_, self.converged_ = 0, True
        self.activity_, self.active_ = np.zeros(shape), np.zeros(shape, dtype=bool)
        self.noise_precision_, self.loadings_precision_ = (
            np.full(n_views, np.inf),
            np.full(shape, np.inf),
        )
        self.duals_ = np.zeros((n_views, self.n_samples_, self.n_components_))
        self.information_ = np.zeros((n_views, self.n_components_, self.n_components_))

    def _keep(self, model: GroupFactorAnalysis, best: Run, present: np.ndarray) -> None:
        posterior = best.posterior
        self.elbo_, self.elbo_trace_ = best.bound, best.bounds
        self.n_iter_, self.converged_ = len(best.bounds), best.converged
        lengths = np.einsum("mkk->mk", posterior.loadings_moment)
        variances = np.einsum("mkk->mk", posterior.loadings_covariance)
        explained = lengths - model.n_features[:, None] * variances
        explained *= posterior.scores_moment.diagonal() / model.total[:, None]
        order = np.argsort(-explained.sum(axis=0), kind="stable")
        alpha = model.loadings_precision(posterior)
        tau = model.noise_precision(posterior)
        self.activity_[present] = explained[:, order]
        active = _active(explained, 1 - alpha * variances, self.n_samples_, model.n_features)
        self.active_[present] = active[:, order]
        self.noise_precision_[present] = tau
        self.loadings_precision_[present] = alpha[:, order]
        dual = posterior.dual[:, :, order]
        self.duals_[present] = dual if model.repeats is None else model.repeats.divide(dual)
        information = tau[:, None, None] * posterior.loadings_moment
        self.information_[present] = information[:, order][:, :, order]

    def _scores(self, crosses: Mapping[int, Floats]) -> Floats:
        """Return the posterior mean of the scores, given the views that are there."""
        precision = np.eye(self.n_components_)
        told = np.zeros((len(next(iter(crosses.values()))), self.n_components_))
        for view, cross in crosses.items():
            if np.isinf(self.noise_precision_[view]):
                continue
            precision += self.information_[view]
            told += self.noise_precision_[view] * cross @ self.duals_[view]
        return np.linalg.solve(precision, told.T).T.astype(np.float64, copy=False)

    def _weights(self, view: int, crosses: Mapping[int, Floats]) -> Floats:
        return self._scores(crosses) @ self.duals_[view].T


def _active(
    explained: Floats, determined: Floats, n_samples: int, n_features: Floats
) -> NDArray[np.bool_]:
    """Return which components stand out from noise and from chance, see ``active_``."""
    edge = np.sqrt(n_samples / n_features)[:, None]
    total = explained.sum(axis=1, keepdims=True)
    share = np.divide(explained, total, out=np.zeros_like(explained), where=total > 0)
    is_home = share == share.max(axis=0)
    chance = chi2.ppf(0.99, 1) / n_samples
    return (determined > edge / (1 + edge)) & (is_home | (share > chance))


def _seeds(state: RandomState, n: int) -> list[np.random.SeedSequence]:
    """Return a seed per restart, the same ones however often a seed sequence is asked."""
    if isinstance(state, np.random.Generator):
        state = np.random.SeedSequence(state.integers(2**32, size=4).tolist())
    parent = state if isinstance(state, np.random.SeedSequence) else np.random.SeedSequence(state)
    return [child_seed(parent, index) for index in range(n)]
