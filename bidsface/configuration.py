"""The record of a run's settings in ``logs/``, which ``--config-file`` replays."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsface import __version__
from bidsface.errors import UsageError
from bidsface.settings import Settings

if TYPE_CHECKING:
    from bidsface.recipe_loading import LoadedRecipe

REPLAYED = (
    "participant_label",
    "session_label",
    "task_id",
    "run",
    "space",
    "analysis",
    "random_seed",
    "omp_nthreads",
    "memory_mb",
    "skip_bids_validation",
)
"""Settings that shape results; what belongs to one machine or one call is not replayed."""


def replayable(settings: Settings) -> dict[str, Any]:
    """Return the settings that ``--config-file`` takes over, as plain data."""
    chosen = {name: getattr(settings, name) for name in REPLAYED}
    chosen["derivatives"] = [f"{name}={path}" for name, path in settings.derivatives.items()]
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()
    }


def replayed(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the arguments that a configuration stands for; its recipe is the recorded one.

    Raises
    ------
    UsageError
        If the file is not a configuration that bidsface wrote.
    """
    arguments = content.get("arguments")
    if not isinstance(arguments, dict) or "recipe" not in content:
        raise UsageError(f"--config-file {path}: not a configuration that bidsface wrote to logs/")
    unknown = sorted(set(arguments) - {*REPLAYED, "derivatives"})
    if unknown:
        raise UsageError(f"--config-file {path}: unknown settings {', '.join(unknown)}")
    return {**arguments, "recipe": str(path.resolve())}


def write_configuration(settings: Settings, loaded: LoadedRecipe) -> Path:
    """Write the configuration of this run to ``logs/config-<time>-<process>.json``."""
    logs = settings.output_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / f"config-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.json"
    content = {
        "bidsface": __version__,
        "command": list(settings.command),
        "arguments": replayable(settings),
        "bids_filters": dict(settings.bids_filters),
        "recipe": loaded.content,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
