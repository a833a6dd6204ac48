"""The model of one run, and fixed effects over runs: arrays to arrays, with nilearn's GLM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nilearn.glm import ARModel, OLSModel
from nilearn.glm.contrasts import Contrast, compute_contrast
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Map = Callable[..., Iterable[Any]]
Piece = tuple[OLSModel, Indices]
"""A model and the voxels to fit it to."""

BLOCK = 16_384
"""Voxels that are fitted at a time; the model of a voxel does not depend on the others."""

BINS = 100
"""Autocorrelations are cut to multiples of 1/BINS, as in nilearn."""

TINY = 1e-16
"""Smallest variance of an effect, as in nilearn's fixed effects."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Effects of one contrast.

    Attributes
    ----------
    effect, variance : ndarray of shape (n_voxels,)
        NaN in voxels that could not be modelled.
    dof : float
        Degrees of freedom of the residuals.
    """

    effect: Floats
    variance: Floats
    dof: float


@dataclass(frozen=True, eq=False)
class Statistics:
    """An estimate with its tests; p is two-sided where the test is."""

    effect: Floats
    variance: Floats
    t: Floats
    z: Floats
    p: Floats
    dof: float


def percent_of_voxel(values: Floats, level: float) -> Floats:
    """Return percent signal change around the voxels' own means."""
    means = values.mean(axis=0)
    return 100.0 * (values / means - 1.0)


def percent_of_brain(values: Floats, level: float) -> Floats:
    """Return percent of the mean over all voxels and volumes."""
    return values * (100.0 / level)


def unscaled(values: Floats, level: float) -> Floats:
    """Return values as they are."""
    return values


SCALINGS: Mapping[str, Callable[[Floats, float], Floats]] = {
    "voxel": percent_of_voxel,
    "grand": percent_of_brain,
    "none": unscaled,
}


def fit_run(
    values: NDArray[np.float32],
    matrix: Floats,
    vectors: Mapping[str, Floats],
    noise_model: str = "ar1",
    scaling: str = "voxel",
    map_: Callable[..., Iterable[Any]] = map,
) -> dict[str, Estimate]:
    """Fit the model of a run and estimate contrasts, some voxels at a time.

    The estimates are those of nilearn's ``run_glm``, which spends most of its time elsewhere.

    Parameters
    ----------
    values : ndarray of shape (n_volumes, n_voxels)
    matrix : ndarray of shape (n_volumes, n_regressors)
    vectors : mapping of str to ndarray of shape (n_regressors,)
        Contrasts.
    noise_model : {"ar1", "ols"}
        With ``ar1`` voxels are prewhitened with their autocorrelation, cut to two decimals.
    scaling : str
        Of `SCALINGS`.
    map_ : callable
        Like the built-in ``map``; may work in parallel.

    Returns
    -------
    dict of str to Estimate
        A voxel is modelled if its values are finite and vary, and with scaling by the voxel's mean
        if that is positive.
    """
    usable = usable_voxels(values, positive=scaling == "voxel")
    level = float(values[:, usable].mean(dtype=np.float64)) if scaling == "grand" else 1.0

    def scaled(columns: Indices) -> Floats:
        return SCALINGS[scaling](values[:, columns].astype(np.float64), level)

    def fit(piece: Piece) -> tuple[Indices, list[Contrast]]:
        model, columns = piece
        results = {0: model.fit(scaled(columns))}
        labels = np.zeros(len(columns))
        return columns, [
            compute_contrast(labels, results, vector, stat_type="t") for vector in vectors.values()
        ]

    shape = (len(vectors), values.shape[1])
    effects, variances = np.full(shape, np.nan), np.full(shape, np.nan)
    for columns, contrasts in map_(
        fit, NOISE_MODELS[noise_model](scaled, matrix, np.flatnonzero(usable), map_)
    ):
        for row, contrast in enumerate(contrasts):
            effects[row, columns], variances[row, columns] = contrast.effect, contrast.variance
    dof = float(OLSModel(matrix).df_residuals)
    return {name: Estimate(effects[row], variances[row], dof) for row, name in enumerate(vectors)}


def white_pieces(
    scaled: Callable[[Indices], Floats], matrix: Floats, columns: Indices, map_: Map
) -> list[Piece]:
    """Return the model of uncorrelated noise for blocks of voxels."""
    model = OLSModel(matrix)
    return [(model, block) for block in blocks(columns)]


def autoregressive_pieces(
    scaled: Callable[[Indices], Floats], matrix: Floats, columns: Indices, map_: Map
) -> list[Piece]:
    """Return one model per autocorrelation (cut to two decimals), with the voxels that have it."""
    model = OLSModel(matrix)

    def rho(block: Indices) -> Floats:
        return autocorrelation(model.fit(scaled(block)).residuals)

    found = np.concatenate([np.empty(0), *map_(rho, blocks(columns))])
    cut = (found * BINS).astype(int) / BINS
    return [
        (ARModel(matrix, value), block)
        for value in np.unique(cut)
        for block in blocks(columns[cut == value])
    ]


NOISE_MODELS: Mapping[str, Callable[..., list[Piece]]] = {
    "ar1": autoregressive_pieces,
    "ols": white_pieces,
}


def autocorrelation(residuals: Floats) -> Floats:
    """Return the coefficient of the autoregressive model of order 1, by Yule and Walker.

    Parameters
    ----------
    residuals : ndarray of shape (n_volumes, n_voxels)

    Returns
    -------
    ndarray of shape (n_voxels,)
        0 where nothing is left to explain.
    """
    n_volumes = len(residuals)
    variance = np.einsum("tv,tv->v", residuals, residuals) / n_volumes
    lagged = np.einsum("tv,tv->v", residuals[:-1], residuals[1:]) / (n_volumes - 1)
    return np.divide(lagged, variance, out=np.zeros_like(lagged), where=variance > 0)


def blocks(columns: Indices) -> list[Indices]:
    """Return columns in blocks whose size does not depend on the number of workers."""
    return [columns[start : start + BLOCK] for start in range(0, len(columns), BLOCK)]


def usable_voxels(values: NDArray[np.floating], positive: bool) -> NDArray[np.bool_]:
    """Tell which voxels are finite and vary (and have a positive mean)."""
    lowest, highest = values.min(axis=0), values.max(axis=0)
    usable = np.isfinite(lowest) & np.isfinite(highest) & (lowest < highest)
    if positive:
        usable[usable] = values[:, usable].mean(axis=0, dtype=np.float64) > 0
    return np.asarray(usable)


def fixed_effects(runs: Sequence[Estimate], precision_weighted: bool) -> Estimate:
    """Combine the estimates of runs, as nilearn's ``compute_fixed_effects`` does.

    A voxel that a run does not have is NaN.

    Parameters
    ----------
    runs : sequence of Estimate
    precision_weighted : bool
        Weight runs by the inverse of their variances, rather than equally.
    """
    effects = np.stack([run.effect for run in runs])
    variances = np.maximum(np.stack([run.variance for run in runs]), TINY)
    weights = 1.0 / variances if precision_weighted else np.ones_like(variances)
    weights = weights / weights.sum(axis=0)
    return Estimate(
        (weights * effects).sum(axis=0),
        (weights**2 * variances).sum(axis=0),
        float(sum(run.dof for run in runs)),
    )


def statistics_of(estimate: Estimate, two_sided: bool = True) -> Statistics:
    """Return t, z and p of an estimate; NaN where it is."""
    from scipy import stats

    known = ~np.isnan(estimate.effect)
    contrast = Contrast(estimate.effect[known], estimate.variance[known], dof=estimate.dof)
    t = contrast.stat()
    p = 2.0 * stats.t.sf(np.abs(t), estimate.dof) if two_sided else stats.t.sf(t, estimate.dof)

    def placed(found: Floats) -> Floats:
        whole = np.full(len(known), np.nan)
        whole[known] = found
        return whole

    return Statistics(
        estimate.effect,
        estimate.variance,
        placed(t),
        placed(contrast.z_score()),
        placed(p),
        estimate.dof,
    )
