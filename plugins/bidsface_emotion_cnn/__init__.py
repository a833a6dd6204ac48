"""Emotion networks over fMRI volumes, occlusion and similarity: hook implementations only."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsface.hookspecs import hookimpl

if TYPE_CHECKING:
    from bidsface.analysis import Analysis

_PUBLIC = {
    "EmotionCNN3D": "bidsface_emotion_cnn.networks",
    "occlusion_map": "bidsface_emotion_cnn.occlusion",
}
"""Public names and the modules that they are imported from when first asked for."""


def __getattr__(name: str) -> Any:
    """Import a public class or function."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@hookimpl
def bidsface_analyses() -> Sequence[type[Analysis]]:
    """Return the analyses ``consensus``, ``emotion-cnn`` and ``rsa``."""
    from bidsface_emotion_cnn.analysis import EmotionCnn
    from bidsface_emotion_cnn.consensus_analysis import Consensus
    from bidsface_emotion_cnn.rsa import Rsa

    return (Consensus, EmotionCnn, Rsa)


@hookimpl
def bidsface_recipes() -> Sequence[Path]:
    """Return the recipe of emotions in a film."""
    return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))
