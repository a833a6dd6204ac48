"""Whole runs for models of the time series: the brain, what lies where in it, and its volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import BoldRun, Voxels
from bidsface.files import Run
from bidsface.participant.preparation import PreparedRun
from bidsface.samples import output_entities
from bidsface.volumes import common_brain, common_grid, read_series, read_volume, to_grid


def brain_voxels(runs: tuple[Run, ...]) -> Voxels:
    """Return the voxels in the brain masks of all runs; all of the grid without any mask."""
    grid = common_grid(runs)
    brain = common_brain(runs, grid)
    inside = np.ones(grid.shape, bool) if brain is None else brain
    return Voxels(grid, np.flatnonzero(inside))


def structures_at(runs: Sequence[Run], voxels: Voxels) -> NDArray[np.int32] | None:
    """Return FreeSurfer's indices at voxels, from the first run that has ``aparcaseg``.

    The segmentations of all runs are one anatomical image.
    """
    paths = [run.segmentations["aparcaseg"] for run in runs if "aparcaseg" in run.segmentations]
    if not paths:
        return None
    values = to_grid(*read_volume(paths[0]), voxels.grid, "nearest")
    return np.rint(values.ravel()[voxels.index]).astype(np.int32)


def bold_run(run: PreparedRun, brain: Voxels) -> BoldRun:
    """Return a run as models of the time series receive it; its volumes are read by ``load``."""
    kept = run.filter.kept
    mask = np.zeros(brain.grid.shape, bool)
    mask.flat[brain.index] = True

    def load(fwhm: float | None) -> NDArray[np.float32]:
        values = read_series(run.run.bold, mask, kept, fwhm).values
        return values if kept.all() else values[kept]

    return BoldRun(
        block=run.run.block,
        entities=output_entities(run.run),
        repetition_time=run.run.repetition_time,
        times=run.filter.times[kept],
        events=run.events.trials,
        others=run.events.others,
        confounds=run.confounds.selected[kept].reset_index(drop=True),
        load=load,
    )


def mean_displacement(runs: Sequence[PreparedRun]) -> float:
    """Return the mean framewise displacement (mm) of the volumes that are used."""
    known = [
        run.confounds.framewise_displacement[run.filter.kept]
        for run in runs
        if run.confounds.framewise_displacement is not None
    ]
    return float(np.concatenate(known).mean()) if known else float("nan")
