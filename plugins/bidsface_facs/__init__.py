"""Prediction of facial-expression scores from brain activity: hook implementations only."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsface.hookspecs import hookimpl

if TYPE_CHECKING:
    from bidsface.analysis import Analysis

_PUBLIC = {"PrincipalComponentRegressor": "bidsface_facs.regressors"}
"""Public classes and the modules that they are imported from when first asked for."""


def __getattr__(name: str) -> Any:
    """Import a public class."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def bidsface_analyses() -> Sequence[type[Analysis]]:
    """Return the analyses ``facs`` and ``signature``."""
    from bidsface_facs.analysis import Facs
    from bidsface_facs.signature import Signature

    return (Facs, Signature)


@hookimpl
def bidsface_recipes() -> Sequence[Path]:
    """Return the recipes of the regression, with our settings and with the published ones."""
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
