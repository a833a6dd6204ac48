"""Linear classification in Gram space: one factorization per fold serves every permutation.

With n samples and p >> n voxels, a linear classifier with an L2 penalty needs the data only
through the n x n inner products of the samples. Permuting labels does not change them, so a fold
costs one Gram matrix and one factorization, and a permutation costs a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

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

    @property
    def is_blank(self) -> bool:
        """Whether no feature varies in the training part, so that there is nothing to learn."""
        return not self.train.any()


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


def standardize(train: Floats, *others: Floats) -> tuple[Floats, Floats]:
    """Scale columns in place to mean 0 and standard deviation 1, both of the training part.

    Follows ``sklearn.preprocessing.StandardScaler``, also in what counts as a constant column: that
    is centred and not divided.

    Parameters
    ----------
    train : ndarray of shape (n_train, n_features)
    *others : ndarray of shape (n, n_features)
        Other samples, such as those of the test part.

    Returns
    -------
    mean, scale : ndarray of shape (n_features,)
        What was subtracted and what was divided by.
    """
    n, eps = len(train), np.finfo(np.float64).eps
    mean = train.mean(axis=0)
    train -= mean
    variance = np.einsum("ij,ij->j", train, train) / n
    constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    scale = np.where(constant, 1.0, np.sqrt(variance))
    train /= scale
    for other in others:
        other -= mean
        other /= scale
    return mean, scale


def without_signal(standardized: Floats) -> NDArray[np.bool_]:
    """Tell which columns of the training part do not vary, after `standardize`.

    A column that varies has a sum of squares of n_train; what centring leaves of another one is 0
    or rounding.

    Parameters
    ----------
    standardized : ndarray of shape (n_train, n_features)
    """
    return np.asarray(np.einsum("ij,ij->j", standardized, standardized) < 0.5)


def fold_kernels(
    X: NDArray[np.floating],
    columns: NDArray[np.intp],
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    block_size: int = 1024,
    max_elements: int = 16_000_000,
) -> Iterator[FoldKernel]:
    """Yield the kernel of every fold, features scaled on the fold's training part.

    Voxels are taken in blocks, so that nothing of the size of ``X`` is copied and sums are in
    double precision whatever the precision of ``X``; several folds share a pass over the voxels.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_voxels)
    columns : ndarray of shape (n_features,)
        Voxels to use.
    folds : sequence of (train, test)
        Indices of samples.
    block_size : int
        Voxels per block.
    max_elements : int
        Most numbers that the kernels in memory may hold together.

    Raises
    ------
    ValueError
        If ``X`` holds values that are not finite.
    """
    at_once = max(1, max_elements // len(X) ** 2)
    for start in range(0, len(folds), at_once):
        yield from _kernels(X, columns, folds[start : start + at_once], block_size)


def _kernels(
    X: NDArray[np.floating],
    columns: NDArray[np.intp],
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    block_size: int,
) -> list[FoldKernel]:
    kernels = [
        FoldKernel(
            np.zeros((len(train), len(train))), np.zeros((len(test), len(train))), len(columns)
        )
        for train, test in folds
    ]
    for start in range(0, len(columns), block_size):
        block = np.asarray(X[:, columns[start : start + block_size]], dtype=np.float64)
        for kernel, (train, test) in zip(kernels, folds, strict=True):
            known, held_out = block[train], block[test]
            standardize(known, held_out)
            np.add(kernel.train, known @ known.T, out=kernel.train)
            np.add(kernel.test, held_out @ known.T, out=kernel.test)
    if not all(np.isfinite(one.train).all() and np.isfinite(one.test).all() for one in kernels):
        raise ValueError("the data hold values that are not finite")
    return kernels


def one_hot(codes: Codes, n_classes: int) -> Floats:
    """Return class indicators, shape (n_labellings, n_classes, n_samples)."""
    classes = np.arange(n_classes, dtype=codes.dtype)
    return (codes[:, None, :] == classes[None, :, None]).astype(np.float64)


def rowwise(stack: Floats, matrix: Floats) -> Floats:
    """Return ``stack @ matrix`` as one product: NumPy would make one per labelling."""
    flat = stack.reshape(prod(stack.shape[:-1]), stack.shape[-1]) @ matrix
    return flat.reshape(*stack.shape[:-1], matrix.shape[1])


def batches(codes: Codes, n_classes: int, max_elements: int = 4_000_000) -> Iterator[Codes]:
    """Split labellings so that class indicators hold at most ``max_elements`` numbers."""
    size = max(1, max_elements // (codes.shape[1] * n_classes))
    for start in range(0, len(codes), size):
        yield codes[start : start + size]


def largest(decisions: Floats, counts: NDArray[np.number]) -> Codes:
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


def commonest(kernel: FoldKernel, codes: Codes, n_classes: int) -> Codes:
    """Predict for every test sample the commonest training class, of several the first.

    What a linear classifier with an intercept can do where the samples do not differ.

    Parameters
    ----------
    kernel, codes, n_classes
        As for `KernelEstimator.predict_permuted`.

    Returns
    -------
    ndarray of int, shape (n_labellings, n_test)
    """
    counts = (codes[:, :, None] == np.arange(n_classes)).sum(axis=1)
    return np.repeat(counts.argmax(axis=1).astype(np.int16)[:, None], len(kernel.test), axis=1)


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
    dual = np.linalg.solve(kernel.train + alpha * np.eye(n), kernel.test.T).T
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
    if kernel.is_blank:
        return commonest(kernel, codes, n_classes)
    operator = ridge_operator(kernel, alpha)
    predicted = []
    for batch in batches(codes, n_classes):
        targets = one_hot(batch, n_classes)
        predicted.append(largest(rowwise(targets, operator.T), targets.sum(axis=2)))
    return np.concatenate(predicted)


def spectrum(gram: Floats) -> tuple[Floats, Floats]:
    """Return the positive eigenvalues (r,) and eigenvectors (n, r) of a Gram matrix.

    There are none, r = 0, where no feature varies.
    """
    values, vectors = np.linalg.eigh(gram)
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
