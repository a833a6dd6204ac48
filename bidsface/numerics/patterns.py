"""Weights of linear classifiers in voxels, and the activation patterns that explain them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats, standardize


def weights_and_patterns(
    X: NDArray[np.floating],
    columns: NDArray[np.intp],
    dual: Floats,
    gram: Floats,
    block_size: int = 2048,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights of scaled voxels, and the activation patterns that belong to them.

    Patterns are ``A = cov(Z) W cov(Z W)^+`` (Haufe et al. 2014, NeuroImage 87:96-110, eq. 6): how
    each latent decision shows in the voxels. The pseudo-inverse is needed because the decisions of
    K classes may sum to a constant. With weights ``W = Z' D'``, latent decisions are ``G D'``, so
    that voxels are taken in blocks.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_voxels)
    columns : ndarray of shape (n_features,)
    dual : ndarray of shape (n_decisions, n_samples)
        D, weights of the samples.
    gram : ndarray of shape (n_samples, n_samples)
        G, of the scaled samples.
    block_size : int

    Returns
    -------
    weights, patterns : ndarray of shape (n_features, n_decisions)
        In units of (decision per standard deviation) and (standard deviation per decision).
    """
    latent = gram @ dual.T
    mixing = latent_to_pattern(latent)
    weights = np.empty((len(columns), len(dual)), dtype=np.float32)
    patterns = np.empty_like(weights)
    for start in range(0, len(columns), block_size):
        part = slice(start, start + block_size)
        block = X[:, columns[part]].astype(np.float64)
        standardize(block)
        weights[part] = block.T @ dual.T
        patterns[part] = block.T @ mixing
    return weights, patterns


def latent_to_pattern(latent: Floats) -> Floats:
    """Return M such that ``Z' M`` are the activation patterns of latent decisions (n, k).

    The mean of Z drops out because the latent decisions are centred.
    """
    centred = latent - latent.mean(axis=0)
    return centred @ np.linalg.pinv(centred.T @ centred, hermitian=True)
