"""Samples that are labelled volumes, such as those of a film that observers annotated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import BoldRun, Participant, Samples
from bidsface.entities import shared
from bidsface_emotion_cnn.annotation_files import Annotations
from bidsface_emotion_cnn.cleaning import drifts, residual_blocks
from bidsface_emotion_cnn.rsa import RsaLabels
from bidsface_emotion_cnn.volume_labels import label_runs

NAME = "labels"
"""What such samples are called, in place of a kind of samples of the recipe."""


def labelled_samples(
    participant: Participant,
    runs: Sequence[BoldRun],
    options: RsaLabels,
    annotations: Sequence[Annotations],
    seed: np.random.SeedSequence,
) -> tuple[Samples, list[str]]:
    """Return the labelled volumes of a task without drifts and confounds, and notes on the labels.

    The table of the samples also has the ``repetition_time`` of their run (s).

    Parameters
    ----------
    participant : Participant
    runs : sequence of BoldRun
        Of a task.
    options : RsaLabels
    annotations : sequence of Annotations
        Of the observers; not for events.
    seed : SeedSequence
        Of the draw of volumes, the same for all participants.

    Raises
    ------
    InputError
        If no volume has a label.
    """
    labelled = label_runs(runs, options, annotations, seed)
    steps = {run.block: float(run.repetition_time) for run in runs}
    frame = labelled.frame.assign(repetition_time=labelled.frame["block"].map(steps))
    columns = _columns(participant)
    X = np.zeros((len(frame), len(columns)), dtype=np.float32)
    for run in runs:
        rows = np.flatnonzero(frame["block"] == run.block)
        if len(rows):
            _fill(X, rows, run, frame["kept_index"].to_numpy()[rows], columns, options)
    used = [run.entities for run in runs if (frame["block"] == run.block).any()]
    motion = np.zeros((len(frame), 0))
    return Samples(NAME, X, frame, motion, shared(used, ("run",))), list(labelled.notes)


def _columns(participant: Participant) -> NDArray[np.intp]:
    """Return the column in volumes of the brain of every voxel of the regions; -1 for none."""
    brain, voxels = participant.brain, participant.voxels
    place = np.full(int(np.prod(brain.grid.shape)), -1, dtype=np.intp)
    place[brain.index] = np.arange(len(brain.index))
    return place[voxels.index]


def _fill(
    X: NDArray[np.float32],
    rows: NDArray[np.intp],
    run: BoldRun,
    kept: NDArray[np.integer],
    columns: NDArray[np.intp],
    options: RsaLabels,
) -> None:
    """Write volumes of a run without drifts and confounds, around 0, to rows of ``X``.

    Nothing of the size of the run is made beside it.
    """
    regressors = [drifts(run.times, run.repetition_time, options.high_pass)]
    if options.confounds and run.confounds.shape[1]:
        regressors.append(run.confounds.to_numpy(float))
    series = run.load(options.smoothing_fwhm)
    inside = np.flatnonzero(columns >= 0)
    for some, left in residual_blocks(series, np.hstack(regressors), columns[inside]):
        X[np.ix_(rows, inside[some])] = left[kept]
