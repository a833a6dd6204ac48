"""Decoding of displayed and observed facial expressions: hook implementations only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bidsface.hookspecs import hookimpl

if TYPE_CHECKING:
    from bidsface.analysis import Analysis


@hookimpl
def bidsface_analyses() -> Sequence[type[Analysis]]:
    """Return the analysis ``decoding``."""
    from bidsface_decoding.analysis import Decoding

    return (Decoding,)


@hookimpl
def bidsface_estimators() -> Mapping[str, Callable[..., Any]]:
    """Return the classifiers."""
    from bidsface_decoding.estimators import ESTIMATORS

    return ESTIMATORS
