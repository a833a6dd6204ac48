"""Random effects over participants: arrays to arrays, with nilearn's GLM."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from nilearn.glm import OLSModel
from nilearn.glm.contrasts import Contrast
from nilearn.mass_univariate import permuted_ols
from numpy.typing import NDArray

from bidsface_glm.first_level import Estimate, Statistics, statistics_of

Floats = NDArray[np.float64]

TIE = 1e-9
"""Statistics that differ by less, relatively, are ties: equal sums in another order."""


def group_design(covariates: Floats) -> Floats:
    """Return the design matrix: a constant, and covariates with mean 0.

    Parameters
    ----------
    covariates : ndarray of shape (n_participants, n_covariates)
    """
    return np.column_stack([np.ones(len(covariates)), covariates - covariates.mean(axis=0)])


def fit_group(effects: Floats, design: Floats, column: int, two_sided: bool = True) -> Statistics:
    """Test one regressor of a group model by ordinary least squares.

    Equals nilearn's ``SecondLevelModel`` on the same values.

    Parameters
    ----------
    effects : ndarray of shape (n_participants, n_voxels)
    design : ndarray of shape (n_participants, n_regressors)
        Of full rank.
    column : int
        The regressor that is tested.
    two_sided : bool
        Of p.
    """
    return statistics_of(_estimate(effects, design, column), two_sided)


def _estimate(effects: Floats, design: Floats, column: int) -> Estimate:
    fitted = OLSModel(design).fit(effects)
    vector = np.zeros(design.shape[1])
    vector[column] = 1.0
    found = fitted.Tcontrast(vector)
    return Estimate(np.ravel(found.effect), np.ravel(found.sd) ** 2, float(found.df_den))


def can_leave_one_out(covariates: Floats) -> bool:
    """Tell whether a model without any one participant has degrees of freedom and full rank."""
    n_participants, n_covariates = covariates.shape
    if n_participants - 1 < 2 + n_covariates:
        return False
    designs = (group_design(np.delete(covariates, row, axis=0)) for row in range(n_participants))
    return all(np.linalg.matrix_rank(design) == 1 + n_covariates for design in designs)


def leave_one_out_t(effects: Floats, covariates: Floats) -> Floats:
    """Return t of the mean without each participant in turn.

    The model is fitted anew, without the participant's numbers, and covariates are centred over
    those who remain: column i does not depend on row i by a bit (an update of the whole model's
    sums, which costs less, would).

    Parameters
    ----------
    effects : ndarray of shape (n_participants, n_voxels)
    covariates : ndarray of shape (n_participants, n_covariates)

    Returns
    -------
    ndarray of shape (n_voxels, n_participants)
        0 where those who remain do not differ from each other.
    """
    n_participants, n_voxels = effects.shape
    t = np.empty((n_voxels, n_participants), dtype=np.float64)
    for left_out in range(n_participants):
        kept = np.arange(n_participants) != left_out
        found = _estimate(effects[kept], group_design(covariates[kept]), 0)
        same = np.ptp(effects[kept], axis=0) == 0
        t[:, left_out] = np.where(same, 0.0, Contrast(found.effect, found.variance).stat())
    return t


@dataclass(frozen=True, eq=False)
class Permuted:
    """Result of `permutation_test`.

    Attributes
    ----------
    p : ndarray of shape (n_voxels,)
        Corrected over voxels by the largest t.
    p_cluster : ndarray of shape (n_voxels,) or None
        Of the size of the voxel's cluster, corrected over clusters; 1 outside clusters.
    """

    p: Floats
    p_cluster: Floats | None


@dataclass(frozen=True)
class Clusters:
    """What the test of clusters needs: a fitted masker of the voxels, and the p that forms them."""

    masker: object
    forming_p: float


def permutation_test(
    effects: Floats,
    design: Floats,
    column: int,
    n_permutations: int,
    two_sided: bool,
    seed: np.random.SeedSequence,
    clusters: Clusters | None = None,
) -> Permuted:
    """Test a regressor by sign flips (the constant) or permutations (others) of participants.

    The draws are those of nilearn's ``permuted_ols``. p counts ties as reached: with few
    participants many draws repeat the observed signs, up to rounding.

    Parameters
    ----------
    effects : ndarray of shape (n_participants, n_voxels)
    design : ndarray of shape (n_participants, n_regressors)
        The first one is constant, the others have mean 0.
    column : int
    n_permutations : int
    two_sided : bool
    seed : SeedSequence
    clusters : Clusters or None
        Whether the size of clusters is tested, too.
    """
    # nilearn adds the constant itself, and takes one among the confounds for a test of the mean.
    others = [other for other in range(1, design.shape[1]) if other != column]
    with warnings.catch_warnings():
        # Of the images of cluster sizes that nilearn makes for itself.
        warnings.filterwarnings("ignore", "Data array used to create a new image contains 64-bit")
        found = permuted_ols(
            np.ascontiguousarray(design[:, [column]]),
            np.asfortranarray(effects),
            confounding_vars=np.ascontiguousarray(design[:, others]) if others else None,
            model_intercept=column > 0,
            n_perm=n_permutations,
            two_sided_test=two_sided,
            random_state=int(seed.generate_state(1)[0]),
            n_jobs=1,
            output_type="dict",
            **({} if clusters is None else _cluster_arguments(clusters)),
        )
    t, largest = found["t"][0], np.sort(np.ravel(found["h0_max_t"]))
    reached = np.abs(t) if two_sided else t
    below = np.searchsorted(largest, reached - TIE * np.abs(reached), side="left")
    p = (1.0 + n_permutations - below) / (1.0 + n_permutations)
    if clusters is None:
        return Permuted(p, None)
    return Permuted(p, _cluster_p(found, n_permutations))


def _cluster_arguments(clusters: Clusters) -> dict[str, object]:
    return {"masker": clusters.masker, "threshold": clusters.forming_p}


def _cluster_p(found: dict[str, Floats], n_permutations: int) -> Floats:
    """Return p of the size of each voxel's cluster, the observed one being among the draws."""
    sizes, largest = found["size"][0], np.sort(np.ravel(found["h0_max_size"]))
    below = np.searchsorted(largest, sizes, side="left")
    return np.where(sizes > 0, (1.0 + n_permutations - below) / (1.0 + n_permutations), 1.0)
