"""What is estimated from which runs: the contrasts of a participant's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bidsface.analysis import BoldRun
from bidsface.errors import InputError
from bidsface_glm.contrasts import (
    UnknownConditionError,
    Weights,
    default_contrasts,
    parse,
    regressors,
)
from bidsface_glm.design import Design
from bidsface_glm.options import GlmOptions


@dataclass(frozen=True)
class TaskPlan:
    """Contrasts of one task.

    Attributes
    ----------
    contrasts : mapping of str to Weights
        By label; those that some run can estimate.
    notes : tuple of str
        Contrasts and runs that are left out, and why.
    """

    contrasts: Mapping[str, Weights]
    notes: tuple[str, ...]


def wanted_contrasts(
    task: str, runs: Mapping[str, Sequence[BoldRun]], options: GlmOptions, label: str
) -> dict[str, Weights]:
    """Return the contrasts that the options ask for in a task.

    Parameters
    ----------
    task : str
    runs : mapping of str to sequence of BoldRun
        Of all tasks: a name that stands in none of them is a mistake.
    options : GlmOptions
    label : str
        Participant.

    Raises
    ------
    InputError
        If an expression names a condition that no run has, nor the option ``conditions``.
    """
    try:
        if not options.contrasts:
            return default_contrasts(options.conditions or classes_of(runs[task]))
        names = _known_regressors(runs, options)
        return {name: parse(text, names) for name, text in options.contrasts.items()}
    except UnknownConditionError as error:
        blocks = ", ".join(run.block for several in runs.values() for run in several)
        raise InputError(
            f"sub-{label}: contrast {error}; no run ({blocks}) has such a condition, there are "
            f"{', '.join(_known_regressors(runs, options)) or 'none'}. Conditions that only some "
            "participants have must stand in the option conditions"
        ) from error
    except ValueError as error:
        raise InputError(f"sub-{label}, task {task}: {error}") from error


def classes_of(runs: Sequence[BoldRun]) -> list[str]:
    """Return the classes of runs, in alphabetical order."""
    return sorted({str(name) for run in runs for name in run.events["trial_type"]})


def _known_regressors(runs: Mapping[str, Sequence[BoldRun]], options: GlmOptions) -> list[str]:
    every = [run for several in runs.values() for run in several]
    others = {str(name) for run in every for name in run.others["trial_type"]}
    found = {*classes_of(every), *options.conditions, *(others if options.other_events else ())}
    return regressors(sorted(found), options.derivatives)


def plan_task(task: str, wanted: Mapping[str, Weights], designs: Sequence[Design]) -> TaskPlan:
    """Find out which runs can estimate which contrasts."""
    kept: dict[str, Weights] = {}
    notes = []
    for name, weights in wanted.items():
        lacking = [design for design in designs if design.vector(weights) is None]
        if len(lacking) == len(designs):
            notes.append(
                f"task {task}: contrast {name} is left out, no run can estimate it "
                f"({_reason(weights, lacking)})"
            )
            continue
        kept[name] = weights
        if lacking:
            blocks = ", ".join(design.block for design in lacking)
            notes.append(
                f"task {task}: contrast {name} is without {blocks} ({_reason(weights, lacking)})"
            )
    return TaskPlan(kept, tuple(notes))


def _reason(weights: Weights, lacking: Sequence[Design]) -> str:
    absent = [name for name in weights if any(name not in design.event_names for design in lacking)]
    return f"without {', '.join(absent)}" if absent else "other regressors explain it"
