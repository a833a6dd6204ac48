"""Everything that chooses runs: the command line, the filter file and the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bidsface.dataset.filters import SPACE_KEYS, Constraint, read_filters, spelled
from bidsface.dataset.images import RUN_KEYS, image_constraints
from bidsface.dataset.spaces import SpaceRequest, space_request
from bidsface.entities import strip_prefix
from bidsface.errors import UsageError
from bidsface.recipe import Inputs
from bidsface.settings import Settings


@dataclass(frozen=True)
class Selection:
    """Everything that chooses runs."""

    constraints: tuple[Constraint, ...]
    space: SpaceRequest


def selection(settings: Settings, inputs: Inputs) -> Selection:
    """Read what the command line and the recipe ask for.

    Raises
    ------
    UsageError
        If they contradict each other, or a filter names an entity that does not exist.
    """
    filters = _filters(settings, inputs)
    asked = {
        "--session-label": ("ses", settings.session_label),
        "--task-id": ("task", settings.task_id),
        "--run": ("run", settings.run),
        "the recipe's inputs.tasks": ("task", inputs.tasks),
    }
    constraints = [] if inputs.images is None else [*image_constraints(inputs.images)]
    constraints += [
        Constraint(key, tuple(strip_prefix(key, label) for label in labels), origin)
        for origin, (key, labels) in asked.items()
        if labels
    ]
    _check_tasks(constraints)
    space = space_request(settings, inputs, filters)
    constraints += [
        Constraint(key, labels, "--bids-filter-file", each=False)
        for key, labels in filters.items()
        if key not in SPACE_KEYS
    ]
    return Selection(tuple(constraints), space)


def _filters(settings: Settings, inputs: Inputs) -> dict[str, tuple[str | None, ...]]:
    """Return the filter file's labels; of images only those of the runs that they are of."""
    filters = read_filters(settings.bids_filters)
    if inputs.images is None:
        return filters
    return {key: filters[key] for key in filters if key in (*RUN_KEYS, *SPACE_KEYS)}


def _check_tasks(constraints: Sequence[Constraint]) -> None:
    """Refuse tasks on the command line that the recipe leaves out."""
    own = ("--task-id", "the recipe's inputs.tasks")
    asked = [constraint for constraint in constraints if constraint.origin in own]
    if len(asked) == 2:
        extra = asked[0].unknown(asked[1].labels)
        if extra:
            raise UsageError(
                f"--task-id: {spelled(extra, 'task')} is not a task of the recipe: "
                f"{spelled(asked[1].labels, 'task')}"
            )
