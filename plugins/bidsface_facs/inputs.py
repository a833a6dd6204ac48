"""Which voxels a model sees: regions of the recipe, and regions without others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface_facs.options import FacsOptions, ImageInput

Mask = NDArray[np.bool_]


def wanted_inputs(options: FacsOptions, regions: Sequence[str]) -> dict[str, ImageInput]:
    """Return the inputs of the recipe, or one for every region."""
    return dict(options.inputs) or {name: ImageInput(region=name) for name in regions}


def input_mask(item: ImageInput, regions: Mapping[str, Mask]) -> Mask | None:
    """Return the voxels of an input; None where a region that it needs is missing.

    Parameters
    ----------
    item : ImageInput
    regions : mapping of str to ndarray of shape (n_voxels,), bool
    """
    if any(name not in regions for name in (item.region, *item.without)):
        return None
    mask = regions[item.region].copy()
    for name in item.without:
        mask &= ~regions[name]
    return mask
