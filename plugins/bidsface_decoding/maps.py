"""Weight maps and activation patterns of classifiers that were fitted to all samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, NuSVC

from bidsface.analysis import Entities, Map, Participant, Region, Samples
from bidsface.numerics.linear import DualEstimator, fold_kernels
from bidsface.numerics.patterns import latent_to_pattern, weights_and_patterns
from bidsface_decoding.tables import variant

Maps = dict[str, NDArray[np.float32]]

DESCRIPTIONS = {
    "weight": "Weights of the classifier {estimator}, fitted to all {samples} of task {task} in "
    "region {region} with every voxel scaled to standard deviation 1. A weight is no evidence "
    "that a voxel responds: voxels that cancel noise get weight, too.",
    "pattern": "Activation patterns (Haufe et al. 2014) of the classifier {estimator}, fitted to "
    "all {samples} of task {task} in region {region}: change of every voxel, in its standard "
    "deviations, per unit of the decision.",
    "importance": "Importance of the voxels for the classifier {estimator}, fitted to all "
    "{samples} of task {task} in region {region}: variance of the auxiliary variables that scale "
    "a voxel's weight, after fitting; a value above the prior's says that the data call for the "
    "voxel.",
}


def weight_maps(
    participant: Participant,
    task: str,
    samples: Samples,
    regions: Sequence[Region],
    estimators: Mapping[str, Any],
    entities: Entities,
) -> tuple[list[Map], list[str]]:
    """Return weight and pattern maps, and notes on classifiers that have none."""
    names, codes = np.unique(samples.table["trial_type"].to_numpy(str), return_inverse=True)
    classes = [str(name) for name in names]
    maps: list[Map] = []
    notes = []
    for region in regions:
        for name, estimator in estimators.items():
            found = fit_maps(samples.X, region.columns, codes, estimator)
            if found is None:
                notes.append(f"classifier {name} has no weights, so that it has no maps")
                continue
            words = {
                "estimator": name,
                "samples": samples.name,
                "task": task,
                "region": region.name,
            }
            maps.extend(
                Map(
                    stat,
                    values,
                    participant.voxels.take(region.columns),
                    {**entities, "label": region.name, **variant(samples.name, name)},
                    DESCRIPTIONS[stat].format(**words),
                    volume_names(estimator, classes, values.shape[1]),
                )
                for stat, values in found.items()
            )
    return maps, list(dict.fromkeys(notes))


def fit_maps(
    X: NDArray[np.float32],
    columns: NDArray[np.intp],
    codes: NDArray[np.integer],
    estimator: Any,
) -> Maps | None:
    """Fit a classifier to all samples; return maps by ``stat``, if it has weights.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_voxels)
    columns : ndarray of shape (n_features,)
    codes : ndarray of int, shape (n_samples,)
    estimator : unfitted classifier

    Returns
    -------
    dict of str to ndarray of shape (n_features, n_decisions), or None
        ``weight``, ``pattern`` and, of sparse Bayesian classifiers, ``importance``.
    """
    if isinstance(estimator, DualEstimator):
        everything, nothing = np.arange(len(X)), np.arange(0)
        gram = next(fold_kernels(X, columns, [(everything, nothing)])).train
        dual = estimator.dual_weights(gram, codes, len(columns))
        weights, patterns = weights_and_patterns(X, columns, dual, gram)
        return {"weight": weights, "pattern": patterns}
    scaled = StandardScaler().fit_transform(X[:, columns])
    fitted = clone(estimator).fit(scaled, codes)
    coef = getattr(fitted, "coef_", None)
    if coef is None:
        return None
    decisions = np.atleast_2d(np.asarray(coef, dtype=np.float64)).T
    patterns = scaled.T @ latent_to_pattern(scaled @ decisions)
    found = {"weight": decisions.astype(np.float32), "pattern": patterns.astype(np.float32)}
    if hasattr(fitted, "importance_"):
        found["importance"] = np.atleast_2d(fitted.importance_).T.astype(np.float32)
    return found


def volume_names(estimator: Any, classes: Sequence[str], n_volumes: int) -> tuple[str, ...]:
    """Name the volumes of a map: classes, or pairs of them, the first named one being positive."""
    if n_volumes == 1 and len(classes) == 2:
        return (f"{classes[1]} against {classes[0]}",)
    if isinstance(estimator, SVC | NuSVC):
        pairs = [(a, b) for i, a in enumerate(classes) for b in classes[i + 1 :]]
        return tuple(f"{first} against {second}" for first, second in pairs)
    if n_volumes == len(classes):
        return tuple(str(name) for name in classes)
    return tuple(f"decision {number}" for number in range(1, n_volumes + 1))
