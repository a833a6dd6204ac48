"""Finding, overriding and checking recipes; the JSON Schema that editors use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from bidsface.analysis import AnalysisOptions
from bidsface.errors import RecipeError
from bidsface.plugins import Plugins
from bidsface.recipe import OVERVIEW, Recipe


@dataclass(frozen=True)
class LoadedRecipe:
    """A checked recipe.

    Attributes
    ----------
    recipe : Recipe
    options : mapping of str to AnalysisOptions
        Validated options of every analysis that will run, by its name in the recipe.
    content : mapping
        The recipe as plain data, overrides included: what provenance records.
    every_option : mapping of str to AnalysisOptions
        The same for all analyses of the recipe, whether they will run or not.
    """

    recipe: Recipe
    options: Mapping[str, AnalysisOptions]
    content: Mapping[str, Any]
    every_option: Mapping[str, AnalysisOptions]

    @property
    def text(self) -> str:
        """The recipe as YAML, overrides included."""
        return yaml.safe_dump(self.content, sort_keys=False, allow_unicode=True)


def load_recipe(
    name: str, plugins: Plugins, overrides: Sequence[str] = (), only: Sequence[str] = ()
) -> LoadedRecipe:
    """Load a recipe by name or path, apply ``--set`` overrides and check all of it.

    Parameters
    ----------
    name : str
        Name of a shipped recipe, or path of a YAML file.
    plugins : Plugins
    overrides : sequence of str
        ``key.key=value`` with the value in YAML.
    only : sequence of str
        Analyses of the recipe to keep; empty means all.

    Raises
    ------
    RecipeError
        With the file, the key, and what would be allowed.
    """
    path = _find(name, plugins)
    content = _read(path)
    for override in overrides:
        _apply(content, override)
    recipe = _validate(Recipe, content, path, ())
    for key, problem in recipe.conflicts():
        raise RecipeError(f"recipe {path}, key {key}: {problem}")
    _check_regions(recipe, plugins, path)
    every = _check_analyses(recipe, plugins, path, only)
    options = {label: own for label, own in every.items() if not only or label in only}
    return LoadedRecipe(recipe, options, content, every)


def _find(name: str, plugins: Plugins) -> Path:
    if name in plugins.recipes:
        return plugins.recipes[name]
    path = Path(name)
    if path.is_file():
        return path
    raise RecipeError(
        f"--recipe {name}: neither a file nor a shipped recipe; shipped: {_listed(plugins.recipes)}"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {path} is not valid YAML: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path} must be a mapping of keys, such as `analyses:`")
    if {"bidsface", "arguments", "recipe"} <= set(content):  # the record of an earlier run
        content = content["recipe"]
    content.setdefault("name", path.stem)
    return content


def _apply(content: dict[str, Any], override: str) -> None:
    keys, separator, text = override.partition("=")
    if not separator or not keys.strip():
        raise RecipeError(f"--set {override}: wanted KEY.KEY=VALUE")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is not valid YAML") from error
    *parents, last = keys.strip().split(".")
    node: Any = content
    for depth, key in enumerate(parents):
        # A section that the recipe leaves to its defaults does not exist in the file yet.
        node = node.setdefault(key, {}) if depth == 0 else _descend(node, key, override)
    if not isinstance(node, dict):
        raise RecipeError(f"--set {override}: {'.'.join(parents)} has no keys below it")
    node[last] = value


def _descend(node: Any, key: str, override: str) -> Any:
    if not isinstance(node, dict) or key not in node:
        known = _listed(node) if isinstance(node, dict) else "none"
        raise RecipeError(f"--set {override}: no key {key!r} here; there is: {known}")
    return node[key]


def _check_regions(recipe: Recipe, plugins: Plugins, path: Path) -> None:
    for name, spec in recipe.regions.items():
        for depth, way in enumerate(spec.ways):
            key = ("regions", name, *("otherwise",) * depth)
            source = plugins.regions.get(way.source)
            if source is None:
                raise RecipeError(
                    f"recipe {path}, key {'.'.join(key)}.source: no region source "
                    f"{way.source!r}; there is: {_listed(plugins.regions)}"
                )
            _validate(source.Options, way.options, path, key)
    for set_name, members in recipe.region_sets.items():
        for member in members:
            if member not in recipe.regions:
                raise RecipeError(
                    f"recipe {path}, key region_sets.{set_name}: no region {member!r}; "
                    f"there is: {_listed(recipe.regions)}"
                )


def _check_analyses(
    recipe: Recipe, plugins: Plugins, path: Path, only: Sequence[str]
) -> dict[str, AnalysisOptions]:
    for name in only:
        if name not in recipe.analyses:
            raise RecipeError(
                f"--analysis {name}: recipe {recipe.name} has {_listed(recipe.analyses)}"
            )
    if OVERVIEW in recipe.analyses:
        raise RecipeError(
            f"recipe {path}, key analyses.{OVERVIEW}: bidsface's own account of the data has this "
            "name; call the analysis something else"
        )
    options = {}
    for label, spec in recipe.analyses.items():
        analysis = plugins.analyses.get(spec.analysis)
        if analysis is None:
            raise RecipeError(
                f"recipe {path}, key analyses.{label}.analysis: no analysis {spec.analysis!r}; "
                f"there is: {_listed(plugins.analyses)}"
            )
        options[label] = _validate(analysis.Options, spec.options, path, ("analyses", label))
    return options


def _validate(
    model: type[BaseModel], content: Mapping[str, Any], path: Path, parents: tuple[str, ...]
) -> Any:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            _problem(model, content, parents, details) for details in error.errors()
        )
        raise RecipeError(f"recipe {path}, {problems}") from error


def _problem(
    model: type[BaseModel], content: Mapping[str, Any], parents: tuple[str, ...], details: Any
) -> str:
    location = [*parents, *(str(part) for part in details["loc"])]
    key = ".".join(part for part in location if part != "[key]")
    if details["type"] == "extra_forbidden":
        owner = _owner(model, details["loc"][:-1])
        return f"key {key}: unknown; allowed here: {_listed(owner.model_fields)}"
    if details["type"] == "missing":
        return f"key {key}: required"
    return f"key {key}: {details['msg']} (found {details['input']!r})"


def _owner(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel]:
    """Return the model whose keys were wrong: the last model along a location."""
    for part in location:
        field = model.model_fields.get(str(part))
        candidates = _models_of(field.annotation) if field is not None else []
        model = candidates[0] if candidates else model
    return model


def _models_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [
        model for argument in getattr(annotation, "__args__", ()) for model in _models_of(argument)
    ]


def recipe_schema(plugins: Plugins) -> dict[str, Any]:
    """Return the JSON Schema of a recipe with the options of all analyses and region sources."""
    schema = TypeAdapter(Recipe).json_schema()
    definitions = schema.setdefault("$defs", {})
    definitions["AnalysisSpec"] = _choice(
        "analysis", {name: found.Options for name, found in plugins.analyses.items()}, {}
    )
    definitions["RegionSpec"] = _choice(
        "source",
        {name: found.Options for name, found in plugins.regions.items()},
        {key: definitions["RegionSpec"]["properties"][key] for key in ("optional", "otherwise")},
    )
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    # The loader names a recipe after its file when it does not name itself.
    schema["required"] = [key for key in schema["required"] if key != "name"]
    return schema


def _choice(
    key: str, models: Mapping[str, type[BaseModel]], common: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a schema that picks the allowed options by the value of one key."""
    options = []
    for name, model in models.items():
        schema = model.model_json_schema(ref_template="#/$defs/{model}")
        schema["properties"] = {key: {"const": name}, **common, **schema.get("properties", {})}
        schema["required"] = [key, *schema.get("required", [])]
        options.append(schema)
    return {"oneOf": options}


def _listed(names: Any) -> str:
    return ", ".join(sorted(str(name) for name in names)) or "none"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
