"""Maps of coefficients, and the signature as a model that can be applied to new images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Entities, Map, Model, Voxels
from bidsface.numerics.linear import Floats
from bidsface_facs.coefficients import CoefficientMaps
from bidsface_facs.models import parameters_of
from bidsface_facs.options import FacsOptions
from bidsface_facs.outcomes import Outcome
from bidsface_facs.study import BLOCK

STANDARDIZED = {
    "image": "images scaled to mean 0 and standard deviation 1 over the voxels of the map",
    "voxel": "images as they are",
    "none": "images as they are",
}
"""What a signature is to be multiplied with."""


SD = {"bootstrap": "bootstrap", "larger": "the larger of bootstrap and jackknife"}
"""Where standard deviations come from."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Coefficients of voxels of one model.

    Attributes
    ----------
    outcome : Outcome
    voxels : Voxels
        Of the input.
    folds : ndarray of shape (n_voxels, n_folds)
    final : ndarray of shape (n_voxels,)
        Of the model of all images: the signature.
    offset : float
        What the signature predicts of an image of zeros, in the model's scale.
    tested : CoefficientMaps or None
        By bootstrap.
    """

    outcome: Outcome
    voxels: Voxels
    folds: Floats
    final: Floats
    offset: float
    tested: CoefficientMaps | None

    @property
    def mean(self) -> Floats:
        """Mean over folds."""
        return self.folds.mean(axis=1)

    @property
    def name(self) -> str:
        """Name of the model for people."""
        return f"{self.outcome.estimator} in {self.outcome.input_name}"


def voxel_weights(
    outcome: Outcome,
    images: NDArray[np.float32],
    voxels: Voxels,
    tested: CoefficientMaps | None,
    options: FacsOptions,
) -> Weights:
    """Return the coefficients of voxels in all models of an outcome.

    Parameters
    ----------
    outcome : Outcome
    images : ndarray of shape (n_own, n_voxels)
        As the model saw them before any scaling on training images.
    voxels : Voxels
    tested : CoefficientMaps or None
    options : FacsOptions
        Where voxels were scaled on training images, coefficients are turned into those of the
        images' own units, so that they can be applied to new images.
    """
    every = weighted_sums(images, np.column_stack([outcome.duals, outcome.final_dual]))
    folds, final = every[:, :-1], every[:, -1]
    if options.standardize == "voxel":
        for number, rows in enumerate(outcome.training):
            folds[:, number] /= _variance(images[rows])
        final /= _variance(images)
    mean = images.mean(axis=0, dtype=np.float64)
    offset = outcome.final_intercept - float(mean @ final)
    return Weights(outcome, voxels, folds, final, offset, tested)


def weighted_sums(images: NDArray[np.float32], duals: Floats) -> Floats:
    """Return ``images.T @ duals`` in double precision, of which the images have no copy as a whole.

    Parameters
    ----------
    images : ndarray of shape (n_images, n_voxels)
    duals : ndarray of shape (n_images, m)
    """
    found = np.empty((images.shape[1], duals.shape[1]))
    for start in range(0, images.shape[1], BLOCK):
        part = slice(start, start + BLOCK)
        found[part] = images[:, part].T.astype(np.float64) @ duals
    return found


def _variance(images: NDArray[np.float32]) -> Floats:
    spread = images.std(axis=0, dtype=np.float64)
    return np.where(spread > 0, spread, np.inf) ** 2


def above_percentile(values: Floats, percentile: float) -> tuple[Floats, float]:
    """Return values with those of small size set to 0, and the smallest size that is kept."""
    limit = float(np.percentile(np.abs(values), percentile))
    return np.where(np.abs(values) >= limit, values, 0.0), limit


def entities_of(weights: Weights, entities: Entities) -> dict[str, str]:
    """Return the entities of a model's files."""
    estimator = weights.outcome.estimator.replace("_", "")
    return {**entities, "label": weights.outcome.input_name, "contrast": estimator}


def weight_maps(weights: Weights, entities: Entities, options: FacsOptions) -> list[Map]:
    """Return the maps of one model."""
    named = entities_of(weights, entities)
    strongest, _ = above_percentile(weights.mean, options.map_percentile)
    what = f"{weights.name}, target {options.target} ({options.transform})"

    def make(stat: str, values: NDArray, text: str, volumes: list[str] | None = None) -> Map:
        return Map(stat, values, weights.voxels, named, f"{text}: {what}", volumes or ())

    folds = [f"fold{number}" for number in range(1, weights.folds.shape[1] + 1)]
    maps = [
        make("weight", weights.final, "Coefficients of the model of all images, the signature"),
        make("foldweight", weights.folds, "Coefficients of the model of every fold", folds),
        make("meanweight", weights.mean, "Mean over folds of the coefficients"),
        make(
            "topweight",
            strongest,
            f"Mean over folds of the coefficients, where its size is at least its "
            f"{options.map_percentile:g}th percentile",
        ),
    ]
    if weights.tested is not None:
        tested = weights.tested
        maps += [
            make(
                "z",
                tested.z,
                f"Coefficient over its SD ({SD[options.coefficient_sd]})",
            ),
            make("p", tested.p, "Two-tailed p of z"),
            make("pfdr", tested.p_fdr, "p, adjusted over voxels by the false discovery rate"),
        ]
    return maps


def signature_model(weights: Weights, entities: Entities, options: FacsOptions) -> Model:
    """Return the signature with what is needed to apply it to new images."""
    grid = weights.voxels.grid
    arrays: Mapping[str, NDArray] = {
        "coef": weights.final,
        "intercept": np.array(weights.offset),
        "index": weights.voxels.index,
        "shape": np.array(grid.shape),
        "affine": grid.affine,
    }
    info = {
        "target": options.target,
        "transform": options.transform,
        "standardize": options.standardize,
        "images": STANDARDIZED[options.standardize],
        "estimator": weights.outcome.estimator,
        "parameters": parameters_of(weights.outcome.final),
        "variance": options.variance,
        "space": grid.space,
    }
    text = (
        f"Signature of {options.target}: {weights.name}. The prediction, in the scale "
        f"{options.transform}, is intercept + coef @ image over the voxels of the flat (C order) "
        f"`index` into a volume of `shape`; {STANDARDIZED[options.standardize]}."
    )
    return Model(arrays, info, entities_of(weights, entities), text)
