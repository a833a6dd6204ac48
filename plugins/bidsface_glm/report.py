"""Figures, tables and sentences of the report on one participant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Figure, Participant, Summary, Voxels
from bidsface.anatomy import UNLABELLED, freesurfer_names, millimetres
from bidsface_glm.options import GlmOptions
from bidsface_glm.text import weights_text

if TYPE_CHECKING:
    from bidsface_glm.participant import TaskModel


def participant_figures(
    model: TaskModel, participant: Participant, options: GlmOptions
) -> list[Figure]:
    """Return the design matrix of a task's first run, and a map of t per contrast."""
    return [_design(model), *_maps(model, participant)]


def _design(model: TaskModel) -> Figure:
    from bidsface_glm.figures import design_figure

    design = model.designs[0]
    vectors = {name: design.vector(weights) for name, weights in model.weights.items()}
    missing = [name for name, vector in vectors.items() if vector is None]
    note = f" The run cannot estimate {', '.join(missing)}." if missing else ""
    return Figure(
        "design",
        design_figure(
            design.matrix,
            design.names,
            design.n_events,
            {name: vector for name, vector in vectors.items() if vector is not None},
            f"Design matrix of {design.block}",
        ),
        f"Design matrix, task {model.task}",
        f"Regressors (columns) of the first of {len(model.designs)} run(s), each in units of its "
        "largest size: events, then confounds and drifts right of the line. Below, the weights of "
        f"the contrasts.{note}",
        model.entities,
    )


def _maps(model: TaskModel, participant: Participant) -> list[Figure]:
    from bidsface.figures import slices

    return [
        Figure(
            "activation",
            slices(
                statistics.t,
                participant.brain,
                f"{model.task}: {name}",
                background=participant.background,
                label="t",
            ),
            f"Contrast {name}, task {model.task}",
            f"t of {weights_text(model.weights[name])} over {model.n_runs[name]} run(s), "
            f"{statistics.dof:g} degrees of freedom; not thresholded, weak effects fade out.",
            {**model.entities, "contrast": name},
        )
        for name, statistics in model.found.items()
    ]


def peak_summary(
    models: Sequence[TaskModel], voxels: Voxels, structures: NDArray[np.int32] | None
) -> Summary:
    """Return the largest z of every contrast, and where it lies."""
    rows = []
    for model in models:
        for name, statistics in model.found.items():
            column = _peak(statistics.z)
            x, y, z = millimetres(voxels, column)
            rows.append(
                {
                    "task": model.task,
                    "contrast": name,
                    "runs": model.n_runs[name],
                    "peak z": round(float(statistics.z[column]), 2),
                    "x, y, z (mm)": f"{x:.0f}, {y:.0f}, {z:.0f}",
                    "structure": _structure(structures, column),
                }
            )
    return Summary(
        "Peaks",
        pd.DataFrame(rows),
        "The largest z of every contrast. Not corrected for the number of voxels.",
    )


def participant_highlights(models: Sequence[TaskModel], voxels: Voxels) -> list[str]:
    """Return one sentence per task about its first contrast."""
    lines = []
    for model in models:
        for name, statistics in list(model.found.items())[:1]:
            column = _peak(statistics.z)
            x, y, z = millimetres(voxels, column)
            lines.append(
                f"Task {model.task}, contrast {name}: peak z = {statistics.z[column]:.1f} at "
                f"({x:.0f}, {y:.0f}, {z:.0f}) mm."
            )
    return lines


def _peak(values: NDArray[np.float64]) -> int:
    return int(np.argmax(np.where(np.isnan(values), -np.inf, values)))


def _structure(structures: NDArray[np.int32] | None, column: int) -> str:
    if structures is None:
        return UNLABELLED
    return freesurfer_names().get(int(structures[column]), UNLABELLED)
