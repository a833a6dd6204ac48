"""The order of analyses: those whose regions are made of group results come after these."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from bidsface.analyses import build_analysis
from bidsface.errors import RecipeError, UsageError
from bidsface.planning import Stage, unit_options
from bidsface.plugins import Plugins
from bidsface.recipe_loading import LoadedRecipe
from bidsface.work import Work


def stages(work: Work) -> Iterator[Stage]:
    """Yield the stages of a run; each is made when its turn comes, from what is finished by then.

    Raises
    ------
    RecipeError
        If a region is made of an analysis that the recipe does not have, or analyses wait for one
        another.
    UsageError
        If the participant level would lack group results.
    """
    required = requirements(work.loaded, work.plugins)
    refuse_missing(required, work.settings.levels, finished_groups(work))
    order = in_stages(required)
    for number, analyses in enumerate(order, start=1):
        yield Stage(analyses, required, finished_groups(work), last=number == len(order))


def whole_run(work: Work) -> Stage:
    """Return all analyses as one stage, with the group results that are there now."""
    required = requirements(work.loaded, work.plugins)
    return Stage(tuple(required), required, finished_groups(work), last=True)


def finished_groups(work: Work) -> dict[str, str]:
    """Return fingerprints of the finished group results that regions are made of, by analysis.

    Those that were computed with other options than the recipe's do not count.
    """
    by_region = _required_by_regions(work.loaded, work.plugins)
    wanted = {label for labels in by_region.values() for label in labels}
    found = {}
    for receipt in work.output.receipts(level="group") if wanted else ():
        label = receipt.unit.analysis
        if label not in wanted or receipt.status != "done":
            continue
        if receipt.options == unit_options(work.loaded, label, work.settings):
            found[label] = receipt.unit.fingerprint
    return found


def requirements(loaded: LoadedRecipe, plugins: Plugins) -> dict[str, tuple[str, ...]]:
    """Return, for every analysis that will run, those whose group level has to be finished first.

    Raises
    ------
    RecipeError
        If a region is made of an analysis that the recipe does not have.
    """
    of_region = _required_by_regions(loaded, plugins)
    found = {}
    for label, options in loaded.options.items():
        used = build_analysis(label, loaded, plugins, 0).regions_used(options)
        names = loaded.recipe.regions if used is None else _members(used, loaded)
        needed = dict.fromkeys(one for name in names for one in of_region.get(name, ()))
        found[label] = tuple(needed)
    return found


def _members(names: Sequence[str], loaded: LoadedRecipe) -> list[str]:
    sets = loaded.recipe.region_sets
    return [region for name in names for region in sets.get(name, (name,))]


def _required_by_regions(loaded: LoadedRecipe, plugins: Plugins) -> dict[str, tuple[str, ...]]:
    recipe, found = loaded.recipe, {}
    for name, spec in recipe.regions.items():
        sources = [(plugins.regions[way.source], way.options) for way in spec.ways]
        found[name] = tuple(
            label
            for source, options in sources
            for label in source.requires(source.Options.model_validate(options))
        )
        unknown = [label for label in found[name] if label not in recipe.analyses]
        if unknown:
            raise RecipeError(
                f"recipe {recipe.name}, key regions.{name}: made of the analysis {unknown[0]!r}, "
                f"which the recipe does not have; it has {', '.join(recipe.analyses)}"
            )
    return found


def in_stages(required: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Return analyses in stages: each needs group results of earlier stages only.

    Analyses that are not to run count as finished.

    Raises
    ------
    RecipeError
        If analyses wait for one another.
    """
    waiting, stages = dict(required), []
    while waiting:
        ready = tuple(label for label, needs in waiting.items() if not set(needs) & set(waiting))
        if not ready:
            raise RecipeError(f"the analyses {', '.join(waiting)} wait for one another")
        stages.append(ready)
        waiting = {label: needs for label, needs in waiting.items() if label not in ready}
    return stages


def refuse_missing(
    required: Mapping[str, Sequence[str]], levels: Sequence[str], finished: Collection[str]
) -> None:
    """Refuse a run whose participant level would lack group results.

    Parameters
    ----------
    required : mapping of str to sequence of str
        As `requirements` returns it.
    levels : sequence of str
        Levels of this run.
    finished : collection of str
        Analyses whose group level is finished in the output folder.

    Raises
    ------
    UsageError
        With what has to be run first.
    """
    if "participant" not in levels:
        return
    coming = set(required) if "group" in levels else set()
    for label, needs in required.items():
        missing = [one for one in needs if one not in coming and one not in finished]
        if missing:
            raise UsageError(
                f"analysis {label} uses regions that are made of the group level of "
                f"{', '.join(missing)}, which is not finished: run participant and group with "
                f"--analysis {' '.join(missing)} first, or both levels of everything in one call"
            )
