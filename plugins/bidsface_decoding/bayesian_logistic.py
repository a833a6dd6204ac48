"""Bayesian logistic regression with a sparsifying prior, by expectation propagation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import ThreadpoolController

from bidsface.numerics.linear import Codes, Floats
from bidsface_decoding.propagation.auxiliary import AuxiliaryPrior, IndependentPrior
from bidsface_decoding.propagation.coupled import CoupledPrior
from bidsface_decoding.propagation.design import Design
from bidsface_decoding.propagation.loop import Fit, Settings, propagate, start_from
from bidsface_decoding.propagation.sample_sites import logistic_moments
from bidsface_decoding.propagation.scale_mixture import ScaleMixture

FEW_SAMPLES = 1000
"""Samples up to which fits use one thread: more would mostly wait for each other."""
TIE = 1e-9
"""Difference of log odds below which classes are equally probable."""


class BayesianLogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression whose weights have Laplace priors; the posterior is approximated.

    Labels have probability ``expit(y_i (x_i' w + b))`` with y -1 or 1. Every weight is normal with
    variance ``u_j**2 + v_j**2``, and u_j and v_j are normal with variance ``scale``: a Laplace
    prior of variance ``2 * scale``, kept as a scale mixture so that neighbours can share their
    variances. Power expectation propagation gives Gaussian marginals of weights and of auxiliary
    variables, and the evidence. More than two classes are each told from the rest.

    Cost is that of two products of an n x n matrix with the samples per sweep, in the precision of
    ``X``; there are about six sweeps. Features should be of comparable size, as after scaling.

    Parameters
    ----------
    scale : float or sequence of float
        Prior variance of the auxiliary variables. Of several, each problem takes the one with the
        largest evidence.
    bias_scale : float
        The same for the bias.
    fraction : float
        Power of every factor in its own update, above 0 and at most 1. At 1 the auxiliary variables
        of the decoupled prior are integrated out exactly.
    coupling : float
        Strength by which auxiliary variables of neighbours are alike; 0 makes features independent.
        The prior of each weight by itself does not depend on it.
    neighbours : sparse matrix of shape (n_features, n_features) or None
        Which features are neighbours: symmetric, not negative. ``coupling`` needs it.
    tol : float
        Converged when the log evidence changes by less than that, or by 1e-7 of its size.
    max_iter : int
        Most sweeps.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coef_mean_, coef_var_ : ndarray of shape (n_problems, n_features)
        Posterior mean and variance of every weight. One problem stands for two classes, the second
        one being positive; otherwise there is one per class. ``coef_`` is another name of the mean.
    intercept_, intercept_var_ : ndarray of shape (n_problems,)
        Posterior mean and variance of the bias.
    importance_ : ndarray of shape (n_problems, n_features)
        Posterior variance of the auxiliary variables divided by ``scale``, their prior variance: 1
        where the data say nothing, more where a weight has to be large, less where it is small.
    log_evidence_ : ndarray of shape (n_problems,)
        Log probability of the labels given ``X`` and ``scale_``.
    scale_ : ndarray of shape (n_problems,)
    n_iter_ : ndarray of int, shape (n_problems,)
    converged_ : ndarray of bool, shape (n_problems,)

    Notes
    -----
    Training samples are kept (copied), as variances of predictions need them.

    References
    ----------
    van Gerven, Cseke, de Lange, Heskes (2010), NeuroImage 50:150-161.
    Williams (1995), Neural Computation 7:117-143.
    """

    _parameter_constraints = {  # noqa: RUF012
        "scale": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "bias_scale": [Interval(Real, 0, None, closed="neither")],
        "fraction": [Interval(Real, 0, 1, closed="right")],
        "coupling": [Interval(Real, 0, None, closed="left")],
        "neighbours": ["sparse matrix", None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        scale: float | ArrayLike = 1.0,
        bias_scale: float = 100.0,
        fraction: float = 0.9,
        coupling: float = 0.0,
        neighbours: Any = None,
        tol: float = 1e-5,
        max_iter: int = 100,
    ) -> None:
        self.scale = scale
        self.bias_scale = bias_scale
        self.fraction = fraction
        self.coupling = coupling
        self.neighbours = neighbours
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike) -> BayesianLogisticRegression:
        """Fit to samples ``X`` (n_samples, n_features) of classes ``y`` (n_samples,).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32 keeps products over features in single precision; everything else is double.
        y : array-like of shape (n_samples,)

        Raises
        ------
        ValueError
            If there are less than two classes, a scale is not positive, or neighbours are missing
            or of the wrong shape.
        """
        self._validate_params()
        samples, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes; the data contain "
                f"only one class: {self.classes_[0]!r}"
            )
        shared = isinstance(X, np.ndarray) and np.may_share_memory(samples, X)
        self._design = Design(samples.copy() if shared else samples)
        scales = self._scales()
        with _threads(len(samples)):
            fits = [self._fit_scale(float(scale), _problems(codes)) for scale in scales]
        self._keep(fits, scales)
        return self

    def _scales(self) -> Floats:
        scales = np.atleast_1d(np.asarray(self.scale, dtype=np.float64))
        if scales.ndim != 1 or not len(scales) or not (np.isfinite(scales) & (scales > 0)).all():
            raise ValueError(f"scale must be a positive number, or several; it is {self.scale!r}")
        return scales

    def _prior(self, scale: float) -> AuxiliaryPrior:
        n_features = self._design.X.shape[1]
        scales = np.append(np.full(n_features, scale), self.bias_scale)
        if not self.coupling:
            return IndependentPrior(scales)
        if self.neighbours is None:
            raise ValueError("coupling needs neighbours, a sparse matrix of the features' graph")
        return CoupledPrior.of(scales, _adjacency(self.neighbours, n_features), self.coupling)

    def _fit_scale(self, scale: float, problems: Floats) -> list[Fit]:
        """Fit every problem with one scale; they start from the same prior."""
        settings = Settings(self.fraction, self.tol, max_iter=self.max_iter)
        mixture, prior = ScaleMixture(self.fraction), self._prior(scale)
        start = start_from(self._design, prior, mixture, self.fraction)
        return [
            propagate(self._design, signs, prior, start, mixture, settings) for signs in problems
        ]

    def _keep(self, fits: list[list[Fit]], scales: Floats) -> None:
        """Set the fitted attributes from the fits of every scale and problem."""
        evidence = np.array([[fit.log_evidence for fit in row] for row in fits])
        best = evidence.argmax(axis=0)
        chosen = [fits[scale][problem] for problem, scale in enumerate(best)]
        self.scale_, self.log_evidence_ = scales[best], evidence.max(axis=0)
        means = np.stack([fit.last.weights.mean for fit in chosen])
        variances = np.stack([fit.last.weights.variance for fit in chosen])
        self.coef_mean_, self.intercept_ = means[:, :-1], means[:, -1]
        self.coef_var_, self.intercept_var_ = variances[:, :-1], variances[:, -1]
        self.coef_ = self.coef_mean_
        self.importance_ = np.stack([fit.importance[:-1] for fit in chosen])
        self.n_iter_ = np.array([fit.n_iter for fit in chosen])
        self.converged_ = np.array([fit.converged for fit in chosen])
        self._posteriors = [fit.last.posterior for fit in chosen]
        if not self.converged_.all():
            warnings.warn(
                f"expectation propagation did not converge in {self.max_iter} sweeps "
                f"({(~self.converged_).sum()} of {len(chosen)} problems); raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return log odds of every class against the rest, averaged over the posterior.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            log(p / (1 - p)) with p the sigmoid's mean under the posterior of the activation.
        """
        samples = self._validate(X)
        means = self._means(samples)
        odds = [
            _log_odds(mean, posterior.predictive_variance(self._design, samples))
            for mean, posterior in zip(means.T, self._posteriors, strict=True)
        ]
        return odds[0] if len(odds) == 1 else np.stack(odds, axis=1)

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return class probabilities, (n_samples, n_classes).

        They are means of the sigmoid over the (Gaussian) posterior of the activation, by
        quadrature: less extreme than the sigmoid of the mean activation, the more so the less is
        known about it. With more than two classes each class has its own posterior, and
        probabilities are divided by their sum.
        """
        odds = self.decision_function(X)
        if odds.ndim == 1:
            return np.stack([expit(-odds), expit(odds)], axis=1)
        each = expit(odds)
        return each / each.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of every sample; the first one where several tie."""
        samples = self._validate(X)
        if len(self.classes_) == 2:  # the mean activation alone tells the side
            return self.classes_[(self._means(samples)[:, 0] > 0).astype(int)]
        odds = self.decision_function(samples)
        # Classes that the data treat alike differ by rounding.
        index = (odds >= odds.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
        return self.classes_[index]

    def _validate(self, X: ArrayLike) -> NDArray[np.floating]:
        check_is_fitted(self)
        return validate_data(self, X, dtype=self._design.X.dtype, reset=False)

    def _means(self, samples: NDArray[np.floating]) -> Floats:
        """Return mean activations, (n_samples, n_problems)."""
        return samples @ self.coef_mean_.T.astype(samples.dtype) + self.intercept_


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def _threads(n_samples: int) -> AbstractContextManager[Any]:
    """Keep small matrix products in one thread: others would mostly wait for each other."""
    if n_samples > FEW_SAMPLES:
        return nullcontext()
    return _thread_pools().limit(limits=1, user_api="blas")


def _problems(codes: Codes) -> Floats:
    """Return labels -1 and 1 of every binary problem, (n_problems, n_samples)."""
    n_classes = int(codes.max()) + 1
    positive = np.arange(n_classes)[:, None] if n_classes > 2 else np.ones((1, 1))
    return np.where(codes == positive, 1.0, -1.0)


def _log_odds(mean: Floats, variance: Floats) -> Floats:
    """Return log (p / (1 - p)), p the mean of ``expit(f)`` over N(f; mean, variance)."""
    return np.concatenate(
        [
            logistic_moments(mean[part], variance[part])[0]
            - logistic_moments(-mean[part], variance[part])[0]
            for part in _parts(len(mean))
        ]
    )


def _parts(n: int, size: int = 4096) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, n, size))


def _adjacency(neighbours: Any, n_features: int) -> sparse.csr_array:
    """Check and return the graph of the features, without its diagonal."""
    graph = sparse.csr_array(neighbours, dtype=np.float64)
    if graph.shape != (n_features, n_features):
        raise ValueError(
            f"neighbours must be of shape ({n_features}, {n_features}), one row per feature; it "
            f"is of shape {graph.shape}"
        )
    if abs(graph - graph.T).max() > 0 or graph.min() < 0:
        raise ValueError("neighbours must be symmetric and without negative entries")
    graph = graph - sparse.diags_array(graph.diagonal())
    graph = sparse.csr_array(graph)
    graph.eliminate_zeros()
    return graph
