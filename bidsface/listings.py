"""Texts of ``--list-recipes``, ``--list-plugins`` and ``--recipe-schema``."""

from __future__ import annotations

import json

from bidsface.plugins import PluginRecord, load_plugins
from bidsface.recipe_loading import load_recipe, recipe_schema


def recipes_text() -> str:
    """Return name and description of every recipe."""
    plugins = load_plugins()
    lines = []
    for name in sorted(plugins.recipes):
        recipe = load_recipe(name, plugins).recipe
        lines.append(f"{name}\n    {' '.join(recipe.description.split())}")
    return "\n".join(lines)


def plugins_text() -> str:
    """Return what every plugin adds, or why it was left out."""
    return "\n".join(_plugin_text(record) for record in load_plugins().records)


def _plugin_text(record: PluginRecord) -> str:
    if record.error is not None:
        return f"{record.name} {record.version}: LEFT OUT, it fails to import: {record.error}"
    adds = record.adds or ("(adds nothing: does a hook lack its @hookimpl?)",)
    return "\n    ".join((f"{record.name} {record.version}", *adds))


def schema_text() -> str:
    """Return the JSON Schema of recipes."""
    return json.dumps(recipe_schema(load_plugins()), indent=2)
