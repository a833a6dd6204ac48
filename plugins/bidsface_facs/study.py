"""The images of all data sets, those that models are trained on first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Voxels
from bidsface.numerics.linear import Floats
from bidsface_facs.cohort import Cohort

BLOCK = 4096
"""Voxels at a time, so that their double-precision copy stays small."""


@dataclass(frozen=True, eq=False)
class Study:
    """Images of all data sets, those that models are trained on first.

    Attributes
    ----------
    cohorts : mapping of str to Cohort
        By data set; the first one is trained on. All on the same voxels.
    """

    cohorts: Mapping[str, Cohort]

    @property
    def own(self) -> Cohort:
        """Return the data set that models are trained on."""
        return next(iter(self.cohorts.values()))

    @property
    def voxels(self) -> Voxels:
        """Voxels of all images."""
        return self.own.voxels

    @property
    def names(self) -> list[str]:
        """Names of the data sets."""
        return list(self.cohorts)

    @property
    def rows(self) -> dict[str, NDArray[np.intp]]:
        """Images of every data set."""
        sizes = [len(one.table) for one in self.cohorts.values()]
        ends = np.cumsum([0, *sizes])
        return {
            name: np.arange(start, stop)
            for name, start, stop in zip(self.cohorts, ends[:-1], ends[1:], strict=True)
        }

    @property
    def target(self) -> Floats:
        """What is predicted, of all images."""
        return np.concatenate([one.target for one in self.cohorts.values()])

    @property
    def covariates(self) -> Floats:
        """Covariates of the stimulus, of all images."""
        return np.vstack([one.covariates for one in self.cohorts.values()])

    @property
    def people(self) -> NDArray[np.str_]:
        """Participant of every image; those of different data sets are different people."""
        return np.concatenate(
            [np.char.add(f"{name}/", one.people) for name, one in self.cohorts.items()]
        )


def scaled_images(
    images: Sequence[NDArray[np.float32]], columns: NDArray[np.intp], per_image: bool
) -> NDArray[np.float32]:
    """Return the images of all data sets in some voxels, (n_images, n_columns).

    Parameters
    ----------
    images : sequence of ndarray of shape (n_own, n_voxels)
        Of every data set.
    columns : ndarray of int
    per_image : bool
        Scale every image to mean 0 and standard deviation 1 over the voxels; one that does not vary
        becomes 0.
    """
    found = np.vstack([own[:, columns] for own in images])
    if per_image:
        for image in found:  # one after the other, so that there is no double-precision copy
            values = image.astype(np.float64)
            values -= values.mean()
            image[:] = values / (values.std() or 1.0)
    return found


def inner_products(images: NDArray[np.float32]) -> Floats:
    """Return ``images @ images.T`` in double precision."""
    gram = np.zeros((len(images), len(images)))
    for start in range(0, images.shape[1], BLOCK):
        block = images[:, start : start + BLOCK].astype(np.float64)
        gram += block @ block.T
    return gram
