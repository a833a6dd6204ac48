"""Scores of trials: action units and trials brought onto one clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface_facs.composites import Composite
from bidsface_facs.unit_table import ActionUnits, CodedTrials

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

SAME_TIME = 1e-6
"""s; a frame that a rounding error puts before a window belongs to it."""
SAME_ONSET = 0.1
"""s; coders' onsets are rounded."""


@dataclass(frozen=True, eq=False)
class TrialScores:
    """Scores of trials.

    Attributes
    ----------
    scores : ndarray of shape (n_trials,)
        NaN where a trial has too few usable frames, or no row.
    valid_share : ndarray of shape (n_trials,)
        Usable frames, of those that the trial's window should have; 0 or 1 for trials that were
        coded as a whole.
    notes : tuple of str
        What was assumed and what was left out, for the report.
    """

    scores: Floats
    valid_share: Floats
    notes: tuple[str, ...]


def score_trials(
    units: ActionUnits | CodedTrials,
    onsets: Floats,
    durations: Floats,
    composite: Composite,
    *,
    window: tuple[float, float | None] = (0.0, None),
    lag: float = 0.0,
    minimum_confidence: float = 0.8,
    smallest_share: float = 0.5,
) -> TrialScores:
    """Score trials by a composite of action units.

    A frame is usable if the software tracked it with enough confidence and nothing that the
    composite needs is missing. A trial's window should have as many frames as its length and the
    usual interval between frames allow, whether the table has rows for them or not.

    Parameters
    ----------
    units : ActionUnits or CodedTrials
        Of the run that the trials belong to.
    onsets, durations : ndarray of shape (n_trials,)
        s after the start of the run, as in events.tsv.
    composite : Composite
    window : tuple of float and float or None
        Begin and end of what is scored (s after a trial's onset); an end of None is the trial's.
        Trials that were coded as a whole have no window.
    lag : float
        s that are added to the table's times: how long after the run the table's clock was started.
    minimum_confidence : float
        Of a frame, 0 to 1.
    smallest_share : float
        Of usable frames, 0 to 1; a trial with fewer has no score.

    Raises
    ------
    InputError
        If the table covers none of the trials or has no usable frame, rows cannot be assigned to
        trials, a window is empty, or the composite refuses the table.
    """
    onsets, durations = np.asarray(onsets, np.float64), np.asarray(durations, np.float64)
    if isinstance(units, CodedTrials):
        return _score_rows(units, onsets, composite, lag)
    begins = onsets + window[0]
    ends = onsets + (durations if window[1] is None else window[1])
    _check_windows(units, begins, ends, lag)
    series = composite.series(units)
    usable = units.reliable(minimum_confidence) & series.known
    _check_usable(units, usable, minimum_confidence)
    time = units.time + lag
    first, last = (np.searchsorted(time, edge - SAME_TIME) for edge in (begins, ends))
    lengths = ends - begins
    expected = np.maximum(np.maximum(last - first, np.rint(lengths / units.interval)), 1)
    scores, shares = np.full(len(onsets), np.nan), np.zeros(len(onsets))
    for trial, (start, stop) in enumerate(zip(first, last, strict=True)):
        frames = start + np.flatnonzero(usable[start:stop])
        shares[trial] = len(frames) / expected[trial]
        if len(frames) and shares[trial] >= smallest_share:
            scores[trial] = composite.score(
                series.values[:, frames],
                series.present[:, frames] > 0,
                time[frames],
                float(lengths[trial]),
            )
    notes = (*units.notes, *series.notes, *_frame_notes(units, usable, scores, smallest_share))
    return TrialScores(scores, shares, notes)


def _check_windows(units: ActionUnits, begins: Floats, ends: Floats, lag: float) -> None:
    empty = np.flatnonzero(~(ends > begins))
    if empty.size:
        trial = int(empty[0])
        raise InputError(
            f"{units.source}: the window of trial {trial + 1}, from {begins[trial]:.3f} to "
            f"{ends[trial]:.3f} s, is empty; wanted a duration, or an end of the option window"
        )
    start, stop = units.time[0] + lag, units.time[-1] + units.interval + lag
    if len(begins) and not ((ends > start) & (begins < stop)).any():
        raise InputError(
            f"{units.source}: wanted frames during the trials, from {begins.min():.3f} to "
            f"{ends.max():.3f} s; found them from {start:.3f} to {stop:.3f} s (with a lag of "
            f"{lag:g} s)"
        )


def _check_usable(units: ActionUnits, usable: NDArray[np.bool_], minimum: float) -> None:
    if usable.any():
        return
    reliable = int(np.count_nonzero(units.reliable(minimum)))
    wanted = f"success and a confidence of at least {minimum:g}"
    raise InputError(
        f"{units.source}: wanted frames with {wanted} and all action units of the composite; found "
        f"{reliable} of {len(usable)} with the former, none of them with the latter"
    )


def _frame_notes(
    units: ActionUnits, usable: NDArray[np.bool_], scores: Floats, smallest_share: float
) -> list[str]:
    notes = []
    if units.confidence is None:
        notes.append(f"{units.source}: no confidence is given, and every frame counted")
    if not usable.all():
        lost = np.count_nonzero(~usable)
        notes.append(f"{units.source}: {lost} of {len(usable)} frames were not usable")
    if np.isnan(scores).any():
        notes.append(
            f"{units.source}: {np.count_nonzero(np.isnan(scores))} of {len(scores)} trials have no "
            f"score, as less than {100 * smallest_share:g} % of their frames are usable"
        )
    return notes


def _score_rows(
    units: CodedTrials, onsets: Floats, composite: Composite, lag: float
) -> TrialScores:
    of_rows, notes = composite.coded(units)
    rows = _assigned_rows(units, onsets, lag)
    scores = np.where(rows >= 0, of_rows[rows], np.nan) if len(of_rows) else np.empty(0)
    missing = int(np.count_nonzero(np.isnan(scores)))
    if missing:
        lost = f"{units.source}: {missing} of {len(scores)} trials have no score in the table"
        notes = (*notes, lost)
    return TrialScores(scores, np.isfinite(scores).astype(np.float64), (*units.notes, *notes))


def _assigned_rows(units: CodedTrials, onsets: Floats, lag: float) -> Ints:
    """Return the row of every trial (n_trials,), -1 where there is none."""
    if units.onset is not None:
        return _rows_by_onset(units, units.onset + lag, onsets)
    if units.trial is not None:
        return _rows_by_number(units, units.trial, len(onsets))
    if units.n_rows != len(onsets):
        raise InputError(
            f"{units.source}: wanted a column onset or trial, or one row for each of the "
            f"{len(onsets)} trials; found {units.n_rows} rows"
        )
    return np.arange(units.n_rows)


def _rows_by_onset(units: CodedTrials, found: Floats, onsets: Floats) -> Ints:
    if not len(onsets):
        return np.empty(0, dtype=np.intp)
    distance = np.abs(found[None, :] - onsets[:, None])
    nearest = distance.argmin(axis=1)
    rows = np.where(distance.min(axis=1) <= SAME_ONSET, nearest, -1)
    if (rows < 0).all():
        raise InputError(
            f"{units.source}: wanted the onsets of the trials, {onsets[0]:.3f} to "
            f"{onsets[-1]:.3f} s; found {found[0]:.3f} to {found[-1]:.3f} s"
        )
    if len(set(rows[rows >= 0])) < np.count_nonzero(rows >= 0):
        raise InputError(f"{units.source}: wanted one row per trial, found one for two trials")
    return rows


def _rows_by_number(units: CodedTrials, numbers: Ints, n_trials: int) -> Ints:
    if numbers[-1] > n_trials:
        raise InputError(
            f"{units.source}: wanted numbers of the {n_trials} trials, found trial {numbers[-1]}"
        )
    rows = np.full(n_trials, -1, dtype=np.intp)
    rows[numbers - 1] = np.arange(len(numbers))
    return rows
