"""Units of work and the fingerprints by which a second run knows what is up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bidsface import __version__
from bidsface.analysis import Analysis
from bidsface.derivatives import Unit
from bidsface.derivatives.receipts import Receipt
from bidsface.errors import RecipeError
from bidsface.files import ParticipantFiles
from bidsface.plugins import Plugins
from bidsface.recipe_loading import LoadedRecipe

OVERVIEW = "data"
"""Name of the host's own unit: what was read, cleaned, excluded, and the regions."""

LIBRARIES = ("numpy", "scipy", "scikit-learn", "nilearn", "nibabel", "pandas", "pybids")


def software_versions(plugins: Plugins) -> dict[str, str]:
    """Return versions of bidsface, its plugins and the libraries that do the arithmetic."""
    versions = {"bidsface": __version__}
    versions |= {
        f"plugin {name}": found for name, found in plugins.versions.items() if name != "bidsface"
    }
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:  # an optional one
            continue
    return versions


def build_analysis(
    label: str, loaded: LoadedRecipe, plugins: Plugins, random_seed: int
) -> Analysis:
    """Return an analysis of the recipe, ready to run."""
    kind = plugins.analyses[loaded.recipe.analyses[label].analysis]
    return kind(label, random_seed, plugins.estimators)


def check_analyses(loaded: LoadedRecipe, plugins: Plugins, random_seed: int) -> None:
    """Let every analysis refuse options that cannot work, before any data are read.

    Raises
    ------
    RecipeError
        With the key, and what would be allowed.
    """
    recipe = loaded.recipe
    regions = (*recipe.regions, *recipe.region_sets)
    for label, options in loaded.options.items():
        try:
            build_analysis(label, loaded, plugins, random_seed).check(
                options, tuple(recipe.samples), regions
            )
        except RecipeError as error:
            raise RecipeError(f"recipe {recipe.name}, key analyses.{label}: {error}") from error


def unit_options(loaded: LoadedRecipe, analysis: str) -> dict[str, Any]:
    """Return everything of the recipe that shapes one analysis, for its sidecars and receipt."""
    recipe = loaded.recipe.model_dump(mode="json", exclude={"analyses", "name", "description"})
    if analysis == OVERVIEW:
        return recipe
    own = loaded.options[analysis].model_dump(mode="json")
    return {"analysis": loaded.recipe.analyses[analysis].analysis, **own, "recipe": recipe}


def input_states(
    files: ParticipantFiles, loaded: LoadedRecipe, plugins: Plugins
) -> dict[Path, str]:
    """Return the state (size and time, or annex key) of every file that a participant reads."""
    from bidsface.dataset import file_state

    own = set()
    for spec in loaded.recipe.regions.values():
        source = plugins.regions[spec.source]
        own |= set(source.files(files.label, source.Options.model_validate(spec.options)))
    # A region's file that does not exist is reported when the region is made.
    own = {path for path in own if path.exists()}
    return {path: file_state(path) for path in (*files.inputs, *sorted(own))}


def participant_unit(
    label: str,
    analysis: str,
    loaded: LoadedRecipe,
    states: Mapping[str, str],
    plugins: Plugins,
    random_seed: int,
) -> Unit:
    """Return the unit of one participant and analysis."""
    fingerprint = _digest(states, unit_options(loaded, analysis), _code(plugins), random_seed)
    return Unit("participant", analysis, label, fingerprint)


def group_unit(
    analysis: str,
    loaded: LoadedRecipe,
    receipts: Sequence[Receipt],
    plugins: Plugins,
    random_seed: int,
) -> Unit:
    """Return the unit of one analysis at group level, which follows from the receipts it reads."""
    read = sorted(
        (receipt.unit.participant or "", receipt.unit.fingerprint) for receipt in receipts
    )
    fingerprint = _digest(read, unit_options(loaded, analysis), _code(plugins), random_seed)
    return Unit("group", analysis, None, fingerprint)


def _code(plugins: Plugins) -> dict[str, str]:
    return {"bidsface": __version__, **plugins.versions}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
