"""Paired samples of several views with planted shared and specific components."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Planted:
    """Training views, new samples of them, and what of the new samples other views can tell."""

    views: list
    new: list
    shared_truth: list
    shared: list  # loadings of the shared components, (p, n_shared), per view
    specific: list


def planted_views(
    seed=0, n=60, p=(120, 80), n_shared=2, n_specific=(2, 3), strength=0.3, n_new=200, offset=5.0
):
    """Loadings have variance ``strength``, noise 1; every view has a mean of its own."""
    rng = np.random.default_rng(seed)
    total = n + n_new
    Z = rng.standard_normal((total, n_shared))
    X, truth, shared, specific = [], [], [], []
    for features, own in zip(p, n_specific, strict=True):
        W = np.sqrt(strength) * rng.standard_normal((features, n_shared))
        V = np.sqrt(strength) * rng.standard_normal((features, own))
        mean = offset * rng.standard_normal(features)
        truth.append(Z @ W.T + mean)
        noise = rng.standard_normal((total, features))
        X.append(truth[-1] + rng.standard_normal((total, own)) @ V.T + noise)
        shared.append(W)
        specific.append(V)
    return Planted([x[:n] for x in X], [x[n:] for x in X], [t[n:] for t in truth], shared, specific)


def agreement(predicted, truth, mean):
    """Correlation of all values after the training mean has been taken off both."""
    return np.corrcoef((predicted - mean).ravel(), (truth - mean).ravel())[0, 1]
