"""The baseline of the networks: multinomial logistic regression on the voxels.

Of images the regression needs only inner products: with an L2 penalty, weights are combinations of
training volumes, and coordinates in any orthonormal basis of these give the same predictions as the
voxels do. A fold costs the same whatever the number of voxels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from bidsface_emotion_cnn.volume_set import Indices, VolumeSet

Floats = NDArray[np.float64]

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Of ``mean loss + penalty / 2 * |weights|^2``, for volumes whose mean squared distance from their
mean is brought to 1; from the strongest."""

SLAB_BYTES = 256 << 20
RANK = 1e-10
TOLERANCE = 1e-8
MAX_STEPS = 2000


@dataclass(frozen=True, eq=False)
class Baseline:
    """A fitted baseline.

    Attributes
    ----------
    probabilities : ndarray of shape (n_test, n_classes)
        float32; 0 for classes without training volumes.
    penalty : float
        That was chosen.
    converged : bool
    """

    probabilities: NDArray[np.float32]
    penalty: float
    converged: bool


def baseline_probabilities(
    volumes: VolumeSet,
    train: Indices,
    validation: Indices,
    test: Indices,
    *,
    penalties: Sequence[float] = PENALTIES,
    balanced: bool = False,
) -> NDArray[np.float32]:
    """Return the probabilities of all classes for test volumes, (n_test, n_classes).

    Parameters
    ----------
    volumes : VolumeSet
        Every voxel is used; those that do not vary add nothing.
    train, validation, test : ndarray of int
        Volumes to learn from, to choose the penalty by, and to predict. Nothing random is done.
    penalties, balanced
        As for `fit_baseline`.

    Raises
    ------
    ValueError
        As `fit_baseline`.
    """
    used = np.concatenate([train, validation, test])
    edges = np.cumsum([len(train), len(validation)])
    parts = np.split(np.arange(len(used)), edges)
    return fit_baseline(
        inner_products(volumes, used),
        volumes.codes[used],
        len(volumes.classes),
        *parts,
        penalties=penalties,
        balanced=balanced,
    ).probabilities


def inner_products(volumes: VolumeSet, index: Indices | None = None) -> Floats:
    """Return the inner products of volumes less their mean, (n, n), reading every value once.

    Parameters
    ----------
    volumes : VolumeSet
    index : ndarray of int, optional
        Which volumes; all without it.
    """
    rows = np.arange(len(volumes)) if index is None else np.asarray(index)
    found = np.zeros((len(rows), len(rows)))
    plane = 8 * len(rows) * volumes.shape[1] * volumes.shape[2]
    thickness = max(1, SLAB_BYTES // max(plane, 1))
    for first in range(0, volumes.shape[0], thickness):
        slab = np.empty((len(rows), min(thickness, volumes.shape[0] - first), *volumes.shape[1:]))
        for place in np.argsort(rows, kind="stable"):
            slab[place] = volumes.data[rows[place], first : first + thickness]
        flat = slab.reshape(len(rows), -1)
        flat -= flat.mean(axis=0)
        found += flat @ flat.T
    return found


def fit_baseline(
    products: Floats,
    codes: Indices,
    n_classes: int,
    train: Indices,
    validation: Indices,
    test: Indices,
    *,
    penalties: Sequence[float] = PENALTIES,
    balanced: bool = False,
) -> Baseline:
    """Fit a fold to inner products, with the penalty that is best on the validation part.

    The best has the smallest mean logarithmic loss (weighted as the fit is); of equal ones the
    first is taken, and where there is no validation part the one in the middle.

    Parameters
    ----------
    products : ndarray of shape (n, n)
        As `inner_products` finds them, of all volumes; they serve for every fold.
    codes : ndarray of shape (n,)
    n_classes : int
    train, validation, test : ndarray of int
        Rows of ``products``.
    penalties : sequence of float
        Candidates, from the strongest; in the scale of `PENALTIES`.
    balanced : bool
        Whether every class has the same weight.

    Raises
    ------
    ValueError
        If the training volumes are of one class, or all alike.
    """
    if len(np.unique(codes[train])) < 2:
        raise ValueError("the training volumes must be of at least two classes")
    fitted_to, (tuned_on, asked) = _coordinates(products, train, (validation, test))
    tried = penalties if len(validation) else (penalties[len(penalties) // 2],)
    best: tuple[float, Baseline] | None = None
    for penalty in tried:
        model = LogisticRegression(
            C=1 / (penalty * len(train)),
            tol=TOLERANCE,
            max_iter=MAX_STEPS,
            class_weight="balanced" if balanced else None,
        )
        converged = _fit(model, fitted_to, codes[train])
        loss = _loss(model, tuned_on, codes[validation], n_classes, balanced)
        if best is None or loss < best[0]:
            found = _probabilities(model, asked, n_classes).astype(np.float32)
            best = loss, Baseline(found, float(penalty), converged)
    assert best is not None
    return best[1]


def _coordinates(
    products: Floats, train: Indices, others: Sequence[Indices]
) -> tuple[Floats, list[Floats]]:
    """Return coordinates of volumes in an orthonormal basis of the centred training volumes.

    They are scaled so that training volumes have a mean squared length of 1.
    """
    # Thousands of volumes make these arrays the largest of the analysis: there are two at a time.
    within = products[np.ix_(train, train)]
    size = max(float(within.max()), -float(within.min()))
    means = within.mean(axis=0)
    centre = means.mean()
    within -= means
    within -= means[:, None] - centre
    # Symmetric, so that its transpose is the same; LAPACK overwrites arrays in its own order only.
    values, vectors = linalg.eigh(within.T, overwrite_a=True, check_finite=False)
    del within
    if values[-1] <= RANK * size:
        raise ValueError("the training volumes are all alike")
    first = int(np.searchsorted(values, RANK * values[-1], side="right"))
    lengths, basis = np.sqrt(values[first:]), vectors[:, first:]
    scale = np.sqrt(len(train) / values[first:].sum())

    def project(rows: Indices) -> Floats:
        across = products[np.ix_(rows, train)]
        across -= across.mean(axis=1, keepdims=True)
        across -= means - centre
        return across @ basis / lengths * scale

    projected = [project(rows) for rows in others]
    basis *= lengths * scale
    # The regression would copy columns that are not contiguous, once for every penalty.
    return np.ascontiguousarray(basis), projected


def _fit(model: LogisticRegression, X: Floats, codes: Indices) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, codes)
    return bool(model.n_iter_.max() < MAX_STEPS)


def _probabilities(model: LogisticRegression, X: Floats, n_classes: int) -> Floats:
    found = np.zeros((len(X), n_classes))
    if len(X):
        found[:, model.classes_] = model.predict_proba(X)
    return found


def _loss(
    model: LogisticRegression, X: Floats, codes: Indices, n_classes: int, balanced: bool
) -> float:
    """Return the mean logarithmic loss; infinite only where a class was never seen."""
    if not len(codes):
        return 0.0
    own = _probabilities(model, X, n_classes)[np.arange(len(codes)), codes]
    losses = -np.log(np.maximum(own, np.finfo(float).tiny))
    weights = 1 / np.bincount(codes, minlength=n_classes)[codes] if balanced else np.ones(len(own))
    return float(np.average(losses, weights=weights))
