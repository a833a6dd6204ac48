"""Design matrices of single runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import BoldRun
from bidsface.errors import InputError
from bidsface_glm.contrasts import Weights, regressors
from bidsface_glm.options import GlmOptions

HRF_ENDS: Mapping[str, str] = {
    "none": "",
    "time": " + derivative",
    "dispersion": " + derivative + dispersion",
}
"""What nilearn calls response functions with derivatives."""

DRIFTS: Mapping[str, str | None] = {"cosine": "cosine", "polynomial": "polynomial", "none": None}

EARLIEST = -24.0
"""Events that begin earlier than this (s) before the first volume leave no trace in it."""

SMALL = 1e-8
"""Singular values below this part of the largest one count as 0."""


@dataclass(frozen=True, eq=False)
class Design:
    """The design matrix of a run.

    Attributes
    ----------
    block : str
        Name of the run.
    matrix : ndarray of shape (n_volumes, n_regressors)
    names : tuple of str
        Names of its columns: those of events, confounds, drifts, constant.
    n_events : int
        How many columns model events; they come first.
    notes : tuple of str
        What is to be said about it.
    """

    block: str
    matrix: NDArray[np.float64]
    names: tuple[str, ...]
    n_events: int
    notes: tuple[str, ...] = ()

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the regressors of events."""
        return self.names[: self.n_events]

    @cached_property
    def rows(self) -> NDArray[np.float64]:
        """Orthonormal basis of the row space, columns of the matrix scaled to length 1."""
        _, values, rows = np.linalg.svd(self.matrix / self._lengths, full_matrices=False)
        return np.asarray(rows[values > SMALL * values[0]])

    @property
    def rank(self) -> int:
        """Rank of the matrix."""
        return len(self.rows)

    @property
    def _lengths(self) -> NDArray[np.float64]:
        lengths = np.linalg.norm(self.matrix, axis=0)
        return np.where(lengths > 0, lengths, 1.0)

    def vector(self, weights: Weights) -> NDArray[np.float64] | None:
        """Return a contrast as weights of all columns; None if the run cannot estimate it.

        That is so where a regressor is missing or 0 throughout, or where others explain it.
        """
        if not set(weights) <= set(self.event_names):
            return None
        vector = np.zeros(len(self.names))
        for name, weight in weights.items():
            vector[self.names.index(name)] = weight
        scaled = vector / self._lengths
        missed = scaled - self.rows.T @ (self.rows @ scaled)
        return vector if np.linalg.norm(missed) < 1e-6 * np.linalg.norm(scaled) else None


def build_design(run: BoldRun, options: GlmOptions) -> Design:
    """Build the design matrix of a run with nilearn.

    It is made for all volumes between the first and the last one that are kept, from which the rows
    of those that are kept are taken: drifts and responses run on through censored volumes.

    Raises
    ------
    InputError
        If the run has too few volumes for the model.
    """
    frame_times, kept = _regular_times(run)
    events, notes = _events(run, options, frame_times)
    if len(frame_times) < 3:
        raise InputError(f"{run.block}: {len(frame_times)} volumes are too few for a model")
    frame, said = _make_matrix(events, frame_times, options)
    conditions = sorted(events["trial_type"].unique())
    n_events = len(regressors(conditions, options.derivatives))
    confounds = _scaled(run.confounds) if options.confounds else run.confounds.iloc[:, :0]
    whole = frame.to_numpy()[kept]
    design = Design(
        run.block,
        np.hstack([whole[:, :n_events], confounds.to_numpy(float), whole[:, n_events:]]),
        (*frame.columns[:n_events], *confounds.columns, *frame.columns[n_events:]),
        n_events,
        tuple(f"{run.block}: {note}" for note in (*notes, *said)),
    )
    return _checked(design)


def _checked(design: Design) -> Design:
    n_volumes, n_columns = design.matrix.shape
    if n_volumes <= n_columns:
        raise InputError(
            f"{design.block}: {n_volumes} volumes are too few for a model of {n_columns} "
            "regressors; choose fewer confounds, or none"
        )
    if design.rank == n_columns:
        return design
    note = (
        f"{design.block}: the design matrix has {n_columns} regressors and rank {design.rank}; "
        "contrasts that it cannot estimate leave the run out"
    )
    return Design(design.block, design.matrix, design.names, design.n_events, (*design.notes, note))


def _regular_times(run: BoldRun) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the times of all volumes (s), and the positions of those that are kept."""
    if len(run.times) < 2:
        return run.times, np.arange(len(run.times))
    kept = np.rint((run.times - run.times[0]) / run.repetition_time).astype(np.intp)
    return run.times[0] + run.repetition_time * np.arange(kept[-1] + 1), kept


def _events(
    run: BoldRun, options: GlmOptions, frame_times: NDArray[np.float64]
) -> tuple[pd.DataFrame, list[str]]:
    """Return the events to model, and notes on odd ones."""
    tables = [run.events, run.others] if options.other_events else [run.events]
    columns = ["onset", "duration", "trial_type"]
    events = pd.concat([table[columns] for table in tables if len(table)] or [run.events[columns]])
    first, last = frame_times[:1] + EARLIEST, frame_times[-1:]
    seen = events[(events["onset"] >= first.sum()) & (events["onset"] <= last.sum())]
    notes = []
    if len(seen) < len(events):
        notes.append(
            f"{len(events) - len(seen)} of {len(events)} events lie outside the volumes and are "
            "not modelled"
        )
    instant = sorted(seen.loc[seen["duration"] == 0, "trial_type"].unique())
    if instant:
        notes.append(
            f"events of {', '.join(instant)} have duration 0: the effect is per impulse, and no "
            "percent signal change"
        )
    return seen.astype({"trial_type": str}).reset_index(drop=True), notes


def _make_matrix(
    events: pd.DataFrame, frame_times: NDArray[np.float64], options: GlmOptions
) -> tuple[pd.DataFrame, list[str]]:
    """Return regressors of events and drifts, and what nilearn warned of."""
    from nilearn.glm.first_level import make_first_level_design_matrix

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = make_first_level_design_matrix(
            frame_times,
            events if len(events) else None,
            hrf_model=f"{options.hrf}{HRF_ENDS[options.derivatives]}",
            drift_model=DRIFTS[options.drift],
            high_pass=1.0 / options.high_pass,
            drift_order=options.drift_order,
        )
    texts = [" ".join(str(warning.message).split()) for warning in caught]
    return frame, [text for text in dict.fromkeys(texts) if "null duration" not in text]


def _scaled(confounds: pd.DataFrame) -> pd.DataFrame:
    """Scale confounds to mean 0 and standard deviation 1, and drop those that do not vary."""
    spread = confounds.std(ddof=0)
    varying = confounds.columns[spread > 1e-12 * confounds.abs().max().clip(lower=1e-300)]
    return (confounds[varying] - confounds[varying].mean()) / spread[varying]


def design_notes(designs: Sequence[Design]) -> list[str]:
    """Return what is to be said about designs, once each."""
    return list(dict.fromkeys(note for design in designs for note in design.notes))
