"""Problems for expectation propagation, and fits without the classifier around them."""

import numpy as np
from scipy import sparse
from scipy.special import expit

from bidsface_decoding.propagation.auxiliary import IndependentPrior
from bidsface_decoding.propagation.design import Design
from bidsface_decoding.propagation.loop import Settings, propagate, start_from
from bidsface_decoding.propagation.scale_mixture import ScaleMixture

BIAS_SCALE = 100.0


def problem(n, p, scale, seed=0, n_informative=None):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    weights = rng.laplace(scale=np.sqrt(scale), size=p)
    if n_informative is not None:
        weights[n_informative:] = 0
    return X, np.where(rng.random(n) < expit(X @ weights), 1.0, -1.0)


def fit(X, signs, scale, fraction=0.9, kind=None, prior=None, **settings):
    design, mixture = Design(X), ScaleMixture(fraction)
    prior = prior or IndependentPrior(np.append(np.full(X.shape[1], scale), BIAS_SCALE))
    start = start_from(design, prior, mixture, fraction, kind)
    return propagate(design, signs, prior, start, mixture, Settings(fraction, **settings))


def chain(p):
    return sparse.csr_array(sparse.diags_array([np.ones(p - 1)] * 2, offsets=[-1, 1]))
