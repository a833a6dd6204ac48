"""Linear discriminant analysis with a shrunken pooled covariance, for many labellings at once.

Model: classes are Gaussian with means m_k and one covariance ``(1 - d) S + d mu I``, where S is the
pooled within-class covariance (divided by n), mu its mean eigenvalue, and d the shrinkage, by
default that of Ledoit and Wolf (2004, J Multivariate Anal 88:365-411) for the class-centred
samples. scikit-learn's ``shrinkage="auto"`` is a different estimator: it shrinks every class's
correlation matrix on its own. With a given d, both are the same.

Everything follows from the Gram matrix G of the samples: with C = U'E (U the eigenvectors of G, E
the class indicators) a labelling costs O(n^2 K), and no p-sized array is touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import (
    Codes,
    Floats,
    FoldKernel,
    batches,
    commonest,
    largest,
    one_hot,
    rowwise,
    spectrum,
)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues (r,) and eigenvectors (n, r) of a centred Gram matrix (n, n)."""

    gram: Floats
    values: Floats
    vectors: Floats
    n_features: int

    @classmethod
    def of(cls, gram: Floats, n_features: int) -> Spectrum:
        """Decompose a Gram matrix of centred samples."""
        return cls(gram, *spectrum(gram), n_features)


@dataclass(frozen=True, eq=False)
class Discriminant:
    """Discriminants of several labellings: ``scores = gram_rows @ dual + constant``.

    Attributes
    ----------
    dual : ndarray of shape (n_labellings, n_classes, n_train)
        Weights of the training samples; ``dual @ Z`` are the weights of the voxels.
    constant : ndarray of shape (n_labellings, n_classes)
        Log prior minus half the squared Mahalanobis norm of the class mean; -inf without samples.
    shrinkage : ndarray of shape (n_labellings,)
    """

    dual: Floats
    constant: Floats
    shrinkage: Floats


def within_scatter(
    gram: Floats, indicators: Floats, counts: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return moments of the class-centred samples W = (I - P) Z without forming them.

    Returns
    -------
    trace, sum_fourth, frobenius : ndarray of shape (n_labellings,)
        ``sum_i |w_i|^2``, ``sum_i |w_i|^4`` and ``||W W'||_F^2``.
    """
    share = 1.0 / np.maximum(counts, 1.0)
    rows = rowwise(indicators, gram)  # (n_labellings, n_classes, n)
    between = rows @ indicators.transpose(0, 2, 1)  # (n_labellings, n_classes, n_classes)
    own = np.diagonal(between, axis1=1, axis2=2) * share**2
    norms = np.diagonal(gram) + np.einsum(
        "bkn,bkn->bn", indicators, own[:, :, None] - 2.0 * rows * share[:, :, None]
    )
    norms = np.maximum(norms, 0.0)
    frobenius = (
        np.square(gram).sum()
        - 2.0 * (np.square(rows).sum(axis=2) * share).sum(axis=1)
        + (np.square(between) * share[:, :, None] * share[:, None, :]).sum(axis=(1, 2))
    )
    return norms.sum(axis=1), np.square(norms).sum(axis=1), np.maximum(frobenius, 0.0)


def ledoit_wolf(trace: Floats, sum_fourth: Floats, frobenius: Floats, n: int, p: int) -> Floats:
    """Return the Ledoit-Wolf shrinkage of samples with the given moments (lemmas 3.2 to 3.4)."""
    mean_eigenvalue = trace / (n * p)
    distance = (frobenius / n**2 - p * mean_eigenvalue**2) / p
    error = (sum_fourth / n - frobenius / n**2) / (n * p)
    error = np.clip(error, 0.0, np.maximum(distance, 0.0))
    return np.divide(error, distance, out=np.zeros_like(error), where=error > 0)


def fit_discriminants(
    training: Spectrum, codes: Codes, n_classes: int, shrinkage: float | None
) -> Discriminant:
    """Fit the discriminants of several labellings.

    The total covariance ``T = (1 - d) G/n + d mu I`` has the eigenvectors of G whatever the labels;
    the pooled one is T minus a term of rank K, which Woodbury's identity handles in K x K.

    Parameters
    ----------
    training : Spectrum
        Of the centred training samples.
    codes : ndarray of shape (n_labellings, n_train)
    n_classes : int
    shrinkage : float or None
        0 to 1; None for Ledoit and Wolf's.
    """
    n, p = len(training.gram), training.n_features
    indicators = one_hot(codes, n_classes)
    counts = indicators.sum(axis=2)
    moments = within_scatter(training.gram, indicators, counts)
    shrink = ledoit_wolf(*moments, n, p)
    if shrinkage is not None:
        shrink = np.full_like(shrink, shrinkage)
    share = 1.0 / np.maximum(counts, 1.0)
    total = (1.0 - shrink[:, None]) * training.values / n + (shrink * moments[0] / (n * p))[:, None]
    means = rowwise(indicators, training.vectors) * share[:, :, None]  # class means, (b, k, r)
    spread = (means * (training.values / total)[:, None, :]) @ means.transpose(0, 2, 1)
    prior = counts / n
    inner = np.eye(n_classes) - (1.0 - shrink)[:, None, None] * prior[:, :, None] * spread
    inverse = np.linalg.inv(inner)  # (b, k, k): pooled^-1 M = total^-1 M @ inverse
    norms = np.einsum("bkl,blk->bk", spread, inverse)
    with np.errstate(divide="ignore"):
        constant = np.log(prior) - 0.5 * norms
    dual = rowwise(inverse.transpose(0, 2, 1) @ (means / total[:, None, :]), training.vectors.T)
    return Discriminant(dual, constant, shrink)


def discriminant_predictions(
    kernel: FoldKernel, codes: Codes, n_classes: int, shrinkage: float | None = None
) -> Codes:
    """Classify by linear discriminant analysis, for many labellings of the training samples.

    Parameters
    ----------
    kernel, codes, n_classes
        As for `bidsface.numerics.linear.KernelEstimator.predict_permuted`.
    shrinkage : float or None
        0 to 1; None for Ledoit and Wolf's, estimated anew for every labelling.

    Returns
    -------
    ndarray of int, shape (n_labellings, n_test)
    """
    if kernel.is_blank:
        return commonest(kernel, codes, n_classes)
    training = Spectrum.of(kernel.train, kernel.n_features)
    predicted: list[NDArray[np.integer]] = []
    for batch in batches(codes, n_classes):
        fitted = fit_discriminants(training, batch, n_classes, shrinkage)
        scores = rowwise(fitted.dual, kernel.test.T) + fitted.constant[:, :, None]
        counts = np.isfinite(fitted.constant).astype(np.intp)
        predicted.append(largest(scores, counts))
    return np.concatenate(predicted)
