"""Decoding of displayed and observed facial expressions: hook implementations only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsface.hookspecs import hookimpl

if TYPE_CHECKING:
    from bidsface.analysis import Analysis

_PUBLIC = {
    "BayesianCCA": "bidsface_decoding.bayesian_cca",
    "BayesianLogisticRegression": "bidsface_decoding.bayesian_logistic",
}
"""Public classes and the modules that they are imported from when first asked for."""


def __getattr__(name: str) -> Any:
    """Import a public class."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def bidsface_analyses() -> Sequence[type[Analysis]]:
    """Return the analyses ``decoding``, ``crossmodal`` and ``searchlight``."""
    from bidsface_decoding.analysis import Decoding
    from bidsface_decoding.crossmodal import Crossmodal
    from bidsface_decoding.searchlight import SearchlightAnalysis

    return (Decoding, Crossmodal, SearchlightAnalysis)


@hookimpl
def bidsface_estimators() -> Mapping[str, Callable[..., Any]]:
    """Return the classifiers and the aligners."""
    from bidsface_decoding.aligners import ALIGNERS
    from bidsface_decoding.estimators import ESTIMATORS

    return {**ESTIMATORS, **ALIGNERS}


@hookimpl
def bidsface_recipes() -> Sequence[Path]:
    """Return the recipe of the cross-modal study."""
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
