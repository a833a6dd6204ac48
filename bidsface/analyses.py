"""The analyses of a recipe: made ready, refused where they cannot work, asked what they keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pandas as pd

from bidsface.analysis import Analysis, AnalysisOptions, Mapper
from bidsface.errors import RecipeError
from bidsface.memory import VolumeCounter
from bidsface.plugins import Plugins
from bidsface.recipe import Recipe
from bidsface.recipe_loading import LoadedRecipe
from bidsface.settings import Settings


def build_analysis(
    label: str,
    loaded: LoadedRecipe,
    plugins: Plugins,
    random_seed: int,
    participants_table: pd.DataFrame | None = None,
    device: str = "auto",
    mapper: Mapper | None = None,
    workspace: Path | None = None,
    tell: Callable[[str], None] | None = None,
    bids_dir: Path | None = None,
) -> Analysis:
    """Return an analysis of the recipe, ready to run."""
    kind = plugins.analyses[loaded.recipe.analyses[label].analysis]
    return kind(
        label,
        random_seed,
        plugins.estimators,
        participants_table,
        device=device,
        mapper=mapper,
        workspace=workspace,
        tell=tell,
        bids_dir=bids_dir,
    )


def check_analyses(
    loaded: LoadedRecipe, plugins: Plugins, random_seed: int, bids_dir: Path | None = None
) -> None:
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
            analysis = build_analysis(label, loaded, plugins, random_seed, bids_dir=bids_dir)
            _refuse_lacking(analysis, options, recipe)
            analysis.check(options, tuple(recipe.samples), regions)
            analysis.tables_used(options)
        except RecipeError as error:
            raise RecipeError(f"recipe {recipe.name}, key analyses.{label}: {error}") from error


def _refuse_lacking(analysis: Analysis, options: AnalysisOptions, recipe: Recipe) -> None:
    """Refuse an analysis whose data the recipe does not provide."""
    if recipe.inputs.images is not None and analysis.time_series_needed(options):
        raise RecipeError(
            f"{analysis.name} models the time series of BOLD runs, but inputs.images "
            "gives single images"
        )
    if analysis.needs_samples and not recipe.samples:
        raise RecipeError(
            f"{analysis.name} works on samples, but the recipe names no kind of them (key samples)"
        )
    if analysis.needs_regions and not recipe.regions:
        raise RecipeError(
            f"{analysis.name} works in regions, but the recipe names none (key regions)"
        )


def volume_counters(
    loaded: LoadedRecipe, plugins: Plugins, settings: Settings, analyses: Iterable[str]
) -> list[VolumeCounter]:
    """Return how analyses of the recipe count the volumes that they keep of a participant."""
    return [
        partial(
            build_analysis(
                label, loaded, plugins, settings.random_seed, bids_dir=settings.bids_dir
            ).volumes_kept,
            loaded.options[label],
        )
        for label in analyses
    ]
