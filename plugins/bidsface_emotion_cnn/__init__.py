"""Emotion networks over fMRI volumes, occlusion and similarity: hook implementations only."""

from __future__ import annotations

from importlib import import_module
from typing import Any

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
