"""The space and resolution that runs are analysed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bidsface.dataset.filters import NATIVE, RUN, SPACE_KEYS, Constraint, spelled
from bidsface.dataset.indexing import IndexedFile
from bidsface.entities import LONG_NAMES, listing, strip_prefix
from bidsface.errors import InputError, UsageError
from bidsface.recipe import Inputs
from bidsface.settings import Settings

STANDARD_SPACE = "MNI152NLin2009cAsym"
SPACE_ALIASES = {"func": NATIVE, "bold": NATIVE, "boldref": NATIVE, "anat": "T1w"}
"""fMRIPrep's other names for spaces."""


@dataclass(frozen=True)
class SpaceRequest:
    """The space that is asked for; ``space`` None leaves the choice to the data."""

    space: str | None = None
    modifiers: Mapping[str, str] = field(default_factory=dict)
    origin: str = "space"

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """What must exist for the request to make sense."""
        asked = {} if self.space is None else {"space": self.space}
        return tuple(
            Constraint(key, (_label(name),), self.origin)
            for key, name in {**asked, **self.modifiers}.items()
        )


def choose_space(request: SpaceRequest, files: Sequence[IndexedFile]) -> dict[str, str | None]:
    """Choose one space, resolution and cohort for all runs.

    Parameters
    ----------
    request : SpaceRequest
    files : sequence of IndexedFile
        Preprocessed runs of all selected participants; at least one.

    Returns
    -------
    dict
        The label of ``space``, ``cohort`` and ``res``; None where there is no such entity.

    Raises
    ------
    UsageError
        If nothing was asked for and several could be meant.
    """
    present = {file.entities.get("space") for file in files}
    space = _default_space(present) if request.space is None else _label(request.space)
    left = [file for file in files if file.entities.get("space") == space]
    chosen: dict[str, str | None] = {"space": space}
    for key in SPACE_KEYS[1:]:
        chosen[key] = _choose_modifier(key, request, left)
        left = [file for file in left if file.entities.get(key) == chosen[key]]
    return chosen


def in_space(
    space: Mapping[str, str | None], files: Sequence[IndexedFile], noun: str = RUN
) -> list[IndexedFile]:
    """Return the files in a space; raises InputError if there is none."""
    left = [file for file in files if all(file.entities.get(k) == v for k, v in space.items())]
    if not left:
        found = (_space_name({key: file.entities.get(key) for key in SPACE_KEYS}) for file in files)
        raise InputError(f"no {noun} in space {_space_name(space)}; there are: {listing(found)}")
    return left


def _space_name(space: Mapping[str, str | None]) -> str:
    """Spell a space as on the command line."""
    modifiers = (f"{key}-{space[key]}" for key in SPACE_KEYS[1:] if space.get(key))
    return ":".join([space["space"] or NATIVE, *modifiers])


def _choose_modifier(key: str, request: SpaceRequest, files: Sequence[IndexedFile]) -> str | None:
    """Choose the resolution or cohort, which must not be left open."""
    if key in request.modifiers:
        return _label(request.modifiers[key])
    present = {file.entities.get(key) for file in files}
    if len(present) > 1:
        space = files[0].entities.get("space") or NATIVE
        example = f"--space {space}:{key}-{min(filter(None, present))}"
        raise UsageError(
            f"space {space} comes with several {LONG_NAMES[key]}s: {spelled(present, key)}; "
            f"choose one, such as {example}"
        )
    return present.pop() if present else None


def _default_space(spaces: Iterable[str | None]) -> str | None:
    """Return the standard space if it is there, else native."""
    present = set(spaces)
    if STANDARD_SPACE in present:
        return STANDARD_SPACE
    if None in present:
        return None
    raise UsageError(
        f"neither {STANDARD_SPACE} nor native space is there; choose with --space or the "
        f"recipe's inputs.space one of: {spelled(present, 'space')}"
    )


def _label(name: str) -> str | None:
    """Return the entity's label; None for native, which has no entity."""
    return None if name == NATIVE else name


def space_request(
    settings: Settings, inputs: Inputs, filters: Mapping[str, tuple[str | None, ...]]
) -> SpaceRequest:
    """Read the space: the command line before the filter file before the recipe."""
    filtered = {
        key: tuple(NATIVE if label is None else label for label in filters[key])
        for key in SPACE_KEYS
        if key in filters
    }
    sources = {
        "--space": settings.space,
        "--bids-filter-file": filtered.get("space", ()),
        "the recipe's inputs.space": (inputs.space,) if inputs.space else (),
    }
    recipe = {"res": inputs.resolution} if inputs.resolution else {}
    modifiers = {**recipe, **{key: _only(key, filtered[key]) for key in filtered if key != "space"}}
    for origin, names in sources.items():
        if names:
            space, own = _parse_space(_only(origin, names))
            return SpaceRequest(space, {**modifiers, **own}, origin)
    return SpaceRequest(None, modifiers, "resolution asked for")


def _only(origin: str, names: Sequence[str]) -> str:
    if len(names) > 1:
        raise UsageError(f"{origin}: one at a time is analysed, not {', '.join(names)}")
    return names[0]


def _parse_space(text: str) -> tuple[str, dict[str, str]]:
    """Split fMRIPrep's spelling of a space, such as ``MNI152NLin2009cAsym:res-2``."""
    name, *parts = strip_prefix("space", text).split(":")
    modifiers = {}
    for part in parts:
        key, _, label = part.partition("-")
        if key not in SPACE_KEYS[1:] or not label:
            raise UsageError(
                f"space {text!r}: cannot read {part!r}; spell it like {STANDARD_SPACE}:res-2"
            )
        modifiers[key] = label
    return SPACE_ALIASES.get(name, name), modifiers
