"""The maps of the group level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Map
from bidsface_glm.cohort import Cell, Effects
from bidsface_glm.options import GlmOptions
from bidsface_glm.second_level import can_leave_one_out, leave_one_out_t

if TYPE_CHECKING:
    from bidsface_glm.group import Tested

LEAVE_ONE_OUT = "LeaveOneOut"
"""What is appended to a contrast for the t maps without each participant."""

DESCRIPTIONS: Mapping[str, str] = {
    "effect": "Effect",
    "variance": "Variance of the effect",
    "t": "t ({dof:g} degrees of freedom)",
    "z": "t as the normal deviate of equal p",
    "p": "p, {sides}, not corrected for the number of voxels",
}


def tested_maps(tested: Tested, cell: Cell, options: GlmOptions) -> list[Map]:
    """Return the maps of one regressor of a group model, uncorrected and corrected."""
    found, voxels = tested.group.found, tested.group.voxels
    what = f"contrast {cell.contrast}, task {cell.task}: {tested.meaning}"
    sides = "two-sided" if options.two_sided else "one-sided"
    maps = [
        Map(
            stat,
            getattr(found, stat),
            voxels,
            {**cell.entities, "contrast": tested.label},
            f"{text.format(dof=found.dof, sides=sides)} of {what}.",
        )
        for stat, text in DESCRIPTIONS.items()
    ]
    for corrected in tested.corrected:
        entities = {**cell.entities, "contrast": f"{tested.label}{corrected.end}"}
        if corrected.p is None:
            values = np.where(corrected.significant, found.t, 0.0)
            text = f"t of {what}; 0 but for voxels with {corrected.description}."
            maps.append(Map("t", values, voxels, entities, text))
        else:
            text = f"Corrected p of {what}; correction: {corrected.name}."
            maps.append(Map("p", corrected.p, voxels, entities, text))
    return maps


def leave_one_out_map(cell: Cell, effects: Effects, covariates: NDArray[np.float64]) -> list[Map]:
    """Return t of the mean without each participant; nothing where those left are too few."""
    if not can_leave_one_out(covariates):
        return []
    return [
        Map(
            "t",
            leave_one_out_t(effects.values, covariates),
            effects.voxels,
            {**cell.entities, "contrast": f"{cell.contrast}{LEAVE_ONE_OUT}"},
            f"t of contrast {cell.contrast}, task {cell.task}, over all participants but the one "
            "that a volume is named after; functional regions of that participant are made of it.",
            volumes=tuple(f"sub-{label}" for label in cell.labels),
        )
    ]
