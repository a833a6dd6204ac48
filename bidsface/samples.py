"""Samples: which volumes, or which model, stand for an event.

Every kind of samples is a linear map of a run's cleaned volumes, so that it is decided before any
volume is read, and applied run by run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Samples
from bidsface.cleaning import RunFilter
from bidsface.events import Events
from bidsface.files import Run
from bidsface.numerics.trials import lsa_weights, lss_weights
from bidsface.recipe import SampleSpec

if TYPE_CHECKING:
    from bidsface.participant.preparation import PreparedRun

TOLERANCE = 1e-3
"""s; rounding of onsets and repetition times in BIDS files."""

OBSERVED = 0.5
"""Share of the energy of a trial's expected response that a GLM estimate has to rest on."""

HRF_LENGTH = 32.0
"""s; how long nilearn's haemodynamic response functions last."""


@dataclass(frozen=True, eq=False)
class Selection:
    """How the samples of a run are made from its kept volumes.

    Attributes
    ----------
    trial : ndarray of shape (n_samples,)
        Row of the sample's event among the run's trials.
    time : ndarray of shape (n_samples,)
        s; time of the volume, mean time of the averaged volumes, or onset of an estimated trial.
    weights : matrix of shape (n_samples, n_kept), float32
        Samples are ``weights @ cleaned``.
    motion_weights : matrix of shape (n_samples, n_kept)
        The same for motion parameters, from which no confounds were removed.
    """

    trial: NDArray[np.intp]
    time: NDArray[np.float64]
    weights: Any
    motion_weights: Any

    def lost(self, n_trials: int) -> NDArray[np.intp]:
        """Return the rows of trials that have no sample."""
        return np.setdiff1d(np.arange(n_trials), self.trial)


def existing(trial: NDArray[np.intp], onsets: NDArray[np.float64]) -> Selection:
    """Return the selection of images that are samples themselves.

    Parameters
    ----------
    trial : ndarray of shape (n_images,)
        Row of every image's event among the run's trials; each at most once.
    onsets : ndarray of shape (n_trials,)
        s; NaN where they are not known.
    """
    order = np.argsort(trial)
    weights = _matrix(np.arange(len(order)), order, 1.0, (len(order), len(order)))
    return Selection(trial[order], onsets[trial[order]], weights, weights)


def select(spec: SampleSpec, events: Events, filter_: RunFilter, interval: float) -> Selection:
    """Decide the samples of a run.

    Parameters
    ----------
    interval : float
        Repetition time (s).
    """
    if events.trials.empty:
        n_kept = int(np.count_nonzero(filter_.kept))
        nothing = np.empty(0, np.intp)
        weights = _matrix(nothing, nothing, 1.0, (0, n_kept))
        return Selection(nothing, np.empty(0), weights, weights)
    return KINDS[spec.kind](spec, events, filter_, interval)


def _volumes_of_trials(
    spec: SampleSpec, events: Events, filter_: RunFilter, interval: float
) -> list[NDArray[np.intp]]:
    """Return for every trial the positions, among the kept volumes, of those that are its own."""
    position = np.cumsum(filter_.kept) - 1
    volumes = []
    for onset, duration in zip(events.trials["onset"], events.trials["duration"], strict=True):
        first = int(np.searchsorted(filter_.times, onset + spec.shift - TOLERANCE))
        count = spec.count or max(1, int(np.floor((duration + TOLERANCE) / interval)))
        own = np.arange(first, min(first + count, len(filter_.times)))
        volumes.append(position[own[filter_.kept[own]]])
    return volumes


def _matrix(
    rows: NDArray[np.intp], columns: NDArray[np.intp], values: Any, shape: tuple[int, int]
) -> Any:
    from scipy.sparse import csr_array

    return csr_array(
        (np.broadcast_to(values, rows.shape).astype(np.float32), (rows, columns)), shape
    )


def _select_volumes(
    spec: SampleSpec, events: Events, filter_: RunFilter, interval: float
) -> Selection:
    volumes = _volumes_of_trials(spec, events, filter_, interval)
    trial = np.repeat(np.arange(len(volumes)), [len(own) for own in volumes])
    columns = np.concatenate(volumes)
    n_kept = int(np.count_nonzero(filter_.kept))
    weights = _matrix(np.arange(len(trial)), columns, 1.0, (len(trial), n_kept))
    return Selection(trial, filter_.times[filter_.kept][columns], weights, weights)


def _select_averages(
    spec: SampleSpec, events: Events, filter_: RunFilter, interval: float
) -> Selection:
    volumes = _volumes_of_trials(spec, events, filter_, interval)
    counts = np.array([len(own) for own in volumes])
    trial = np.flatnonzero(counts)
    rows = np.repeat(np.arange(len(trial)), counts[trial])
    columns = np.concatenate(volumes)
    shape = (len(trial), int(np.count_nonzero(filter_.kept)))
    weights = _matrix(rows, columns, 1.0 / np.repeat(counts[trial], counts[trial]), shape)
    time = np.bincount(rows, filter_.times[filter_.kept][columns], minlength=len(trial))
    return Selection(trial, time / counts[trial], weights, weights)


def _estimates(
    weights_of: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
) -> Callable[[SampleSpec, Events, RunFilter, float], Selection]:
    """Return the selection for one of the single-trial GLMs.

    The design passes through the same filter as the data, which makes the estimates those of one
    model that holds trials, trend, drifts and confounds together.
    """

    def select_estimates(
        spec: SampleSpec, events: Events, filter_: RunFilter, interval: float
    ) -> Selection:
        n_trials = len(events.trials)
        design, estimable = _design(spec.hrf, events, filter_, interval)

        def weights(confounds: bool) -> NDArray[np.float32]:
            cleaned = filter_.clean(design, confounds=confounds)
            nuisance = np.column_stack([cleaned[:, n_trials:], np.ones(len(cleaned))])
            return weights_of(cleaned[:, :n_trials], nuisance)[estimable].astype(np.float32)

        onsets = events.trials["onset"].to_numpy()[estimable]
        return Selection(estimable, onsets, weights(True), weights(False))

    return select_estimates


@lru_cache(maxsize=1)  # several kinds of samples of a run share it
def _design(
    hrf: str, events: Events, filter_: RunFilter, interval: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the design of a run's GLM, trials first, and which trials can be estimated.

    Trials that cannot, since most of their response fell on volumes that are missing, stay in the
    design. Events of no class follow, one regressor for each of their values.
    """
    groups = [events.trials.iloc[[row]] for row in range(len(events.trials))]
    groups += [group for _, group in events.others.groupby("trial_type")]
    responses = [_convolve(g["onset"], g["duration"], hrf, filter_.times) for g in groups]
    design = np.column_stack(responses)
    energy = np.sum(design[filter_.kept, : len(events.trials)] ** 2, axis=0)
    wanted = OBSERVED * _full_energy(events.trials["duration"], hrf, interval)
    return design, np.flatnonzero(energy >= wanted)


def _convolve(
    onsets: Any, durations: Any, hrf: str, times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the expected response (n_volumes,) to all of some events."""
    from nilearn.glm.first_level import compute_regressor

    blocks = np.vstack((onsets, durations, np.ones(len(onsets))))
    return compute_regressor(blocks, hrf, times)[0][:, 0]


def _full_energy(durations: pd.Series, hrf: str, interval: float) -> NDArray[np.float64]:
    """Return the energy that the response to each event has when nothing of it is lost."""
    energies = {}
    for duration in durations.unique():
        times = np.arange(0.0, duration + HRF_LENGTH + interval, interval)
        energies[duration] = np.sum(_convolve([0.0], [duration], hrf, times) ** 2)
    return durations.map(energies).to_numpy()


KINDS: Mapping[str, Callable[[SampleSpec, Events, RunFilter, float], Selection]] = {
    "volumes": _select_volumes,
    "average": _select_averages,
    "lsa": _estimates(lsa_weights),
    "lss": _estimates(lss_weights),
}


def empty_samples(name: str, runs: Sequence[PreparedRun], n_voxels: int) -> Samples:
    """Return the samples of a task's runs, complete but for ``X``, which is not yet filled."""
    tables = [_table(run, run.selections[name]) for run in runs]
    motion = [run.motion(name) for run in runs]
    if len({values.shape[1] for values in motion}) > 1:  # a run without parameters
        motion = [values[:, :0] for values in motion]
    table = pd.concat(tables, ignore_index=True)
    events = [run.events.rows.iloc[run.selections[name].trial] for run in runs]
    return Samples(
        name=name,
        X=np.empty((len(table), n_voxels), np.float32),
        table=table,
        motion=np.vstack(motion),
        entities=common_entities([run.run for run in runs]),
        events=pd.concat(events, ignore_index=True).fillna("n/a"),
    )


def _table(run: PreparedRun, selection: Selection) -> pd.DataFrame:
    trials = run.events.trials.iloc[selection.trial]
    entities = run.run.entities
    return pd.DataFrame(
        {
            "trial_type": trials["trial_type"].to_numpy(),
            "event": run.first_event + selection.trial,
            "block": run.run.block,
            "session": entities.get("ses", "n/a"),
            "run_index": entities.get("run", "1"),
            "onset": trials["onset"].to_numpy(),
            "time": selection.time,
        }
    )


def output_entities(run: Run) -> dict[str, str]:
    """Return the entities of a run that name results: all but ``sub``."""
    return {key: value for key, value in run.entities.items() if key != "sub"}


def common_entities(runs: Sequence[Run]) -> dict[str, str]:
    """Return the entities that all runs share."""
    first, *others = (output_entities(run) for run in runs)
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}
