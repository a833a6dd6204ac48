"""Preparing runs: everything about a run that is known before its volumes are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bidsface.cleaning import RunFilter, reason_to_exclude, run_filter, steady_mask
from bidsface.confounds import Confounds, read_confounds
from bidsface.errors import InputError
from bidsface.events import Events, read_events
from bidsface.files import ParticipantFiles, Run
from bidsface.recipe import Cleaning, Recipe
from bidsface.samples import Selection, select
from bidsface.volumes import count_volumes


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """A run that is used.

    Attributes
    ----------
    run : Run
    events : Events
    confounds : Confounds
    filter : RunFilter
    selections : mapping of str to Selection
        By the name of the kind of samples.
    n_dropped, n_censored : int
        Volumes that were left out before the steady state, and for head motion.
    first_event : int
        Number, within the participant, of the run's first trial.
    """

    run: Run
    events: Events
    confounds: Confounds
    filter: RunFilter
    selections: Mapping[str, Selection]
    n_dropped: int
    n_censored: int
    first_event: int = 0

    @property
    def task(self) -> str:
        """Task of the run."""
        return self.run.entities["task"]

    def motion(self, name: str) -> NDArray[np.float64]:
        """Return the motion parameters (n_samples, n_parameters) of one kind of samples."""
        motion = self.confounds.motion
        selection = self.selections[name]
        if motion.shape[1] == 0:
            return np.empty((len(selection.trial), 0))
        return np.asarray(selection.motion_weights @ self.filter.clean(motion, confounds=False))

    def lost(self, name: str) -> NDArray[np.intp]:
        """Return the rows of trials that one kind of samples lacks."""
        return self.selections[name].lost(len(self.events.trials))

    @property
    def n_lost(self) -> int:
        """How many trials some kind of samples lacks."""
        return len({trial for name in self.selections for trial in self.lost(name).tolist()})


@dataclass(frozen=True)
class ExcludedRun:
    """A run that is left out, and why."""

    run: Run
    reason: str


Prepare = Callable[[Run, Recipe], PreparedRun | ExcludedRun]


@dataclass(frozen=True, eq=False)
class PreparedRuns:
    """All runs of a participant."""

    used: tuple[PreparedRun, ...]
    excluded: tuple[ExcludedRun, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks with a run that is used."""
        return tuple(dict.fromkeys(run.task for run in self.used))

    def of_task(self, task: str) -> tuple[PreparedRun, ...]:
        """Return the runs of a task that are used."""
        return tuple(run for run in self.used if run.task == task)


def prepare_runs(
    files: ParticipantFiles, recipe: Recipe, prepare: Prepare | None = None
) -> PreparedRuns:
    """Read everything but the volumes of a participant's runs.

    Parameters
    ----------
    files : ParticipantFiles
    recipe : Recipe
    prepare : callable or None
        Prepares one run; `prepare_run` unless given.

    Raises
    ------
    InputError
        If no run can be used, or a file is not what the recipe asks for.
    """
    prepared = [(prepare or prepare_run)(run, recipe) for run in files.runs]
    excluded = tuple(run for run in prepared if isinstance(run, ExcludedRun))
    used: list[PreparedRun] = []
    n_events = 0
    for run in prepared:
        if isinstance(run, PreparedRun):
            used.append(replace(run, first_event=n_events))
            n_events += len(run.events.trials)
    if not used:
        reasons = "; ".join(f"{run.run.block}: {run.reason}" for run in excluded)
        raise InputError(f"sub-{files.label}: no run can be used ({reasons or 'there is none'})")
    return PreparedRuns(tuple(used), excluded)


def prepare_run(run: Run, recipe: Recipe) -> PreparedRun | ExcludedRun:
    """Read events and confounds of a run and decide its filter and samples, or exclude it."""
    optional = recipe.classes.optional
    if run.events is None and not optional:
        return ExcludedRun(run, "no events file")
    events = Events.none() if run.events is None else read_events(run.events, recipe.classes)
    if events.trials.empty and not optional:
        return ExcludedRun(run, no_class(events, recipe))
    cleaning = recipe.cleaning
    confounds = read_confounds(run, count_volumes(run), cleaning)
    filter_ = run_filter(run, confounds, cleaning)
    reason = reason_to_exclude(confounds, filter_, cleaning)
    if reason is not None:
        return ExcludedRun(run, reason)
    steady = steady_mask(confounds, cleaning)
    prepared = PreparedRun(
        run=run,
        events=events,
        confounds=confounds,
        filter=filter_,
        selections={
            name: select(spec, events, filter_, run.repetition_time)
            for name, spec in recipe.samples.items()
        },
        n_dropped=int(np.count_nonzero(~steady)),
        n_censored=int(np.count_nonzero(steady & ~filter_.kept)),
    )
    reason = too_few_trials(prepared, cleaning)
    return prepared if reason is None else ExcludedRun(run, reason)


def no_class(events: Events, recipe: Recipe) -> str:
    """Say that a run has no event of a class, and what it has."""
    found = ", ".join(sorted(events.values))
    return f"no event of a class ({recipe.classes.column} holds {found})"


def too_few_trials(prepared: PreparedRun, cleaning: Cleaning) -> str | None:
    """Return which class keeps too few trials in some kind of samples, or None."""
    trials = prepared.events.trials["trial_type"]
    for name in prepared.selections:
        lost = trials.iloc[prepared.lost(name)]
        for label, count in trials.value_counts(sort=False).items():
            left = count - int((lost == label).sum())
            if left < cleaning.min_trials:
                return (
                    f"{left} of {count} trials of {label} are left as {name}, "
                    f"{cleaning.min_trials} wanted"
                )
    return None


def classes_not_found(runs: Sequence[PreparedRun], recipe: Recipe) -> tuple[str, ...]:
    """Return classes, and values to merge, that a recipe names but no used run has."""
    found = {label for run in runs for label in run.events.trials["trial_type"]}
    values = {value for run in runs for value in run.events.values}
    merged = (value for olds in recipe.classes.merge.values() for value in olds)
    return (
        *(label for label in recipe.classes.include if label not in found),
        *(value for value in merged if value not in values),
    )
