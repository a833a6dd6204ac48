"""Linear classification in Gram space: one factorization per fold serves every permutation.

With n samples and p >> n voxels, a linear classifier with an L2 penalty needs the data only
through the n x n inner products of the samples. Permuting labels does not change them, so a fold
costs one Gram matrix and one factorization, and a permutation costs a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class FoldKernel:
    """Inner products of the samples of one fold, features scaled on the training part only.

    Attributes
    ----------
    train : ndarray of shape (n_train, n_train)
        Between training samples. Training features have mean 0, so rows sum to 0.
    test : ndarray of shape (n_test, n_train)
        Between test and training samples.
    n_features : int
    """

    train: Floats
    test: Floats
    n_features: int


@runtime_checkable
class KernelEstimator(Protocol):
    """A classifier that can refit itself to many labellings of one fold at once."""

    def predict_permuted(self, kernel: FoldKernel, codes: Codes, n_classes: int) -> Codes:
        """Fit to every labelling and predict the test samples.

        Parameters
        ----------
        kernel : FoldKernel
        codes : ndarray of shape (n_labellings, n_train)
            Class of every training sample, 0 to ``n_classes - 1``.
        n_classes : int
            Classes that a labelling lacks are never predicted.

        Returns
        -------
        ndarray of int, shape (n_labellings, n_test)
        """


@runtime_checkable
class DualEstimator(Protocol):
    """A linear classifier whose weights are a combination of the samples."""

    def dual_weights(self, gram: Floats, codes: Codes, n_features: int) -> Floats:
        """Fit in Gram space; weights of the voxels are ``dual_weights @ Z``.

        Parameters
        ----------
        gram : ndarray of shape (n_samples, n_samples)
            Inner products of the centred samples Z.
        codes : ndarray of int, shape (n_samples,)
            0 to n_classes - 1, every class at least once.
        n_features : int

        Returns
        -------
        ndarray of shape (n_classes, n_samples), or (1, n_samples) for two classes
        """


def location_scale(X: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of every column, 1 where a column is constant.

    Follows ``sklearn.preprocessing.StandardScaler``, also in what counts as constant.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    mean, scale : ndarray of shape (n_features,)
    """
    n, eps = len(X), np.finfo(np.float64).eps
    mean = X.mean(axis=0)
    variance = np.square(X - mean).mean(axis=0)
    constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))


def scaled_grams(
    X: NDArray[np.floating],
    columns: NDArray[np.intp],
    trains: Sequence[NDArray[np.intp]],
    block_size: int = 2048,
) -> Floats:
    """Return the Gram matrix of all samples once per fold, scaled on the fold's training part.

    Voxels are taken in blocks, so that nothing of the size of ``X`` is copied and sums are in
    double precision whatever the precision of ``X``.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_voxels)
    columns : ndarray of shape (n_features,)
        Voxels to use.
    trains : sequence of ndarray of int
        Training samples of every fold.
    block_size : int
        Voxels per block.

    Returns
    -------
    ndarray of shape (n_folds, n_samples, n_samples)

    Raises
    ------
    ValueError
        If ``X`` holds values that are not finite.
    """
    grams = np.zeros((len(trains), len(X), len(X)))
    for start in range(0, len(columns), block_size):
        block = np.asarray(X[:, columns[start : start + block_size]], dtype=np.float64)
        for gram, train in zip(grams, trains, strict=True):
            mean, scale = location_scale(block[train])
            scaled = (block - mean) / scale
            gram += scaled @ scaled.T
    if not np.isfinite(grams).all():
        raise ValueError("the data hold values that are not finite")
    return grams


def fold_kernels(
    X: NDArray[np.floating],
    columns: NDArray[np.intp],
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    max_elements: int = 16_000_000,
) -> Iterator[FoldKernel]:
    """Yield the kernel of every ``(train, test)`` fold, several folds per pass over the voxels.

    Parameters
    ----------
    X, columns
        As for `scaled_grams`.
    folds : sequence of (train, test)
        Indices of samples.
    max_elements : int
        Most numbers that the Gram matrices in memory may hold together.
    """
    at_once = max(1, max_elements // len(X) ** 2)
    for start in range(0, len(folds), at_once):
        part = folds[start : start + at_once]
        grams = scaled_grams(X, columns, [train for train, _ in part])
        for gram, (train, test) in zip(grams, part, strict=True):
            yield FoldKernel(gram[np.ix_(train, train)], gram[np.ix_(test, train)], len(columns))


def one_hot(codes: Codes, n_classes: int) -> Floats:
    """Return class indicators, shape (n_labellings, n_classes, n_samples)."""
    classes = np.arange(n_classes, dtype=codes.dtype)
    return (codes[:, None, :] == classes[None, :, None]).astype(np.float64)


def batches(codes: Codes, n_classes: int, max_elements: int = 4_000_000) -> Iterator[Codes]:
    """Split labellings so that class indicators hold at most ``max_elements`` numbers."""
    size = max(1, max_elements // (codes.shape[1] * n_classes))
    for start in range(0, len(codes), size):
        yield codes[start : start + size]


def largest(decisions: Floats, counts: NDArray[np.integer]) -> Codes:
    """Return the class of the largest decision among the classes that have samples.

    Parameters
    ----------
    decisions : ndarray of shape (n_labellings, n_classes, n_test)
    counts : ndarray of shape (n_labellings, n_classes)
        Training samples per class.
    """
    if not counts.all():
        decisions = np.where(counts[:, :, None] > 0, decisions, -np.inf)
    return decisions.argmax(axis=1).astype(np.int16)


def ridge_operator(kernel: FoldKernel, alpha: float) -> Floats:
    """Return A such that a ridge regression of targets Y predicts A @ Y for the test samples.

    Minimizes ``||Y - Z W - 1 b'||^2 + alpha ||W||^2`` over W and b; in the dual,
    ``W = Z' (Z Z' + alpha I)^-1 (Y - mean Y)`` and b = mean Y, as the rows of Z have mean 0.

    Parameters
    ----------
    kernel : FoldKernel
    alpha : float
        Penalty, positive.

    Returns
    -------
    ndarray of shape (n_test, n_train)
    """
    n = len(kernel.train)
    factor = cho_factor(kernel.train + alpha * np.eye(n), lower=True, overwrite_a=True)
    dual = cho_solve(factor, kernel.test.T).T
    return dual - dual.mean(axis=1, keepdims=True) + 1.0 / n


def ridge_predictions(kernel: FoldKernel, codes: Codes, n_classes: int, alpha: float) -> Codes:
    """Classify by ridge regression on class indicators, for many labellings.

    Equals ``RidgeClassifier(alpha)`` fitted to each labelling: its targets -1 and +1 are an affine
    function of the indicators 0 and 1, which leaves the largest decision where it is.

    Parameters
    ----------
    kernel, codes, n_classes
        As for `KernelEstimator.predict_permuted`.
    alpha : float

    Returns
    -------
    ndarray of int, shape (n_labellings, n_test)
    """
    operator = ridge_operator(kernel, alpha)
    predicted = []
    for batch in batches(codes, n_classes):
        targets = one_hot(batch, n_classes)
        predicted.append(largest(targets @ operator.T, targets.sum(axis=2).astype(np.intp)))
    return np.concatenate(predicted)


def spectrum(gram: Floats) -> tuple[Floats, Floats]:
    """Return the positive eigenvalues (r,) and eigenvectors (n, r) of a Gram matrix."""
    values, vectors = eigh(gram)
    keep = values > max(values[-1], 0.0) * len(gram) * np.finfo(np.float64).eps
    return values[keep], vectors[:, keep]


def rotate(kernel: FoldKernel) -> tuple[Floats, Floats]:
    """Return training (n_train, r) and test (n_test, r) samples in coordinates of their span.

    A classifier that depends on its weights only through an L2 norm and ``X @ w`` has the same
    solution in these at most n coordinates as in all voxels (the representer theorem).
    """
    values, vectors = spectrum(kernel.train)
    root = np.sqrt(values)
    return vectors * root, kernel.test @ (vectors / root)
