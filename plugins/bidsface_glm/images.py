"""Values over voxels as nibabel images and back, for what nilearn does with images only."""

from __future__ import annotations

from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Voxels


def image_of(values: NDArray[Any], voxels: Voxels) -> nib.Nifti1Image:
    """Return an image that is 0 outside the voxels, and where values are NaN."""
    flat = np.zeros(int(np.prod(voxels.grid.shape)), dtype=np.float64)
    flat[voxels.index] = np.nan_to_num(values)
    return nib.Nifti1Image(flat.reshape(voxels.grid.shape), voxels.grid.affine)


def values_of(image: nib.Nifti1Image, voxels: Voxels) -> NDArray[np.float64]:
    """Return the values of an image on the voxels' grid, of shape (n_voxels,)."""
    return np.asarray(image.dataobj, dtype=np.float64).ravel()[voxels.index]


def fitted_masker(voxels: Voxels) -> Any:
    """Return a fitted ``NiftiMasker`` of the voxels, in their order."""
    from nilearn.maskers import NiftiMasker

    mask = image_of(np.ones(len(voxels.index)), voxels)
    mask = nib.Nifti1Image(np.asarray(mask.dataobj).astype(np.int8), mask.affine)
    return NiftiMasker(mask_img=mask, standardize=None).fit()
