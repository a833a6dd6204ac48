"""General linear models of tasks, group maps and functional regions: hook implementations only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bidsface.hookspecs import hookimpl

if TYPE_CHECKING:
    from bidsface.analysis import Analysis
    from bidsface.regions import RegionSource


@hookimpl
def bidsface_analyses() -> Sequence[type[Analysis]]:
    """Return the analysis ``glm``."""
    from bidsface_glm.analysis import Glm

    return (Glm,)


@hookimpl
def bidsface_regions() -> Mapping[str, RegionSource]:
    """Return the region source ``functional``."""
    from bidsface_glm.functional import FunctionalRegion

    return {"functional": FunctionalRegion()}
