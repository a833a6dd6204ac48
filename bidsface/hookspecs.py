"""Everything that a plugin may add to bidsface; `docs/plugins.md` explains each hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from bidsface.analysis import Analysis
    from bidsface.regions import RegionSource

hookspec = pluggy.HookspecMarker("bidsface")
hookimpl = pluggy.HookimplMarker("bidsface")


@hookspec
def bidsface_analyses() -> Sequence[type[Analysis]]:
    """Return the analyses that recipes can name."""
    return ()


@hookspec
def bidsface_regions() -> Mapping[str, RegionSource]:
    """Return region sources by the name that recipes give as ``source``."""
    return {}


@hookspec
def bidsface_estimators() -> Mapping[str, Callable[..., Any]]:
    """Return factories of scikit-learn compatible estimators by name."""
    return {}


@hookspec
def bidsface_recipes() -> Sequence[Path]:
    """Return paths of recipe files; a recipe is known by its file name without the ending."""
    return ()
