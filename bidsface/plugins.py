"""Loading plugins and collecting what they add."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from bidsface import __version__, hookspecs
from bidsface.analysis import Analysis
from bidsface.errors import PluginError
from bidsface.hookspecs import hookimpl
from bidsface.regions import HOST_SOURCES, RegionSource

ENTRY_POINT_GROUP = "bidsface"


@dataclass(frozen=True)
class PluginRecord:
    """A plugin as ``--list-plugins`` shows it; ``error`` tells why it was left out."""

    name: str
    version: str
    adds: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Plugins:
    """Everything that the loaded plugins offer, by name."""

    analyses: Mapping[str, type[Analysis]]
    regions: Mapping[str, RegionSource]
    estimators: Mapping[str, Callable[..., Any]]
    recipes: Mapping[str, Path]
    records: tuple[PluginRecord, ...]

    @property
    def versions(self) -> dict[str, str]:
        """Version of every plugin in use, for provenance."""
        return {record.name: record.version for record in self.records if record.error is None}


class HostPlugin:
    """What the host itself offers, through the same hooks as everybody else."""

    @hookimpl
    def bidsface_regions(self) -> Mapping[str, RegionSource]:
        """Return the host's region sources."""
        return HOST_SOURCES

    @hookimpl
    def bidsface_recipes(self) -> Sequence[Path]:
        """Return the shipped recipes."""
        return sorted((Path(__file__).parent / "recipes").glob("*.yaml"))


def load_plugins() -> Plugins:
    """Load the host's own additions and every installed plugin.

    Raises
    ------
    PluginError
        If a plugin implements a hook that does not exist, or offers a name that is taken.
    """
    manager = pluggy.PluginManager("bidsface")
    manager.add_hookspecs(hookspecs)
    manager.register(HostPlugin(), name="bidsface")
    versions = {"bidsface": __version__}
    broken = []
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        versions[entry_point.name] = _version(entry_point)
        error = _register(manager, entry_point)
        if error is not None:
            broken.append(PluginRecord(entry_point.name, versions[entry_point.name], error=error))
    _refuse_unknown_hooks(manager)
    return _collect(manager, versions, broken)


def _version(entry_point: EntryPoint) -> str:
    return entry_point.dist.version if entry_point.dist is not None else "unknown"


def _register(manager: pluggy.PluginManager, entry_point: EntryPoint) -> str | None:
    """Import and register one plugin; return why it has to be left out, if it has."""
    try:
        plugin = entry_point.load()
    except Exception as error:  # a broken plugin may raise anything on import
        return f"{type(error).__name__}: {error}"
    try:
        manager.register(plugin, name=entry_point.name)
    except ValueError as error:  # one module under two entry points
        raise PluginError(f"plugin {entry_point.name} is installed twice: {error}") from error
    return None


def _refuse_unknown_hooks(manager: pluggy.PluginManager) -> None:
    known = [name for name in vars(hookspecs) if name.startswith("bidsface_")]
    for plugin_name, plugin in manager.list_name_plugin():
        for name in dir(plugin):
            # `@hookimpl` leaves this mark on a function.
            if getattr(getattr(plugin, name), "bidsface_impl", None) and name not in known:
                raise PluginError(
                    f"plugin {plugin_name}: {name} is no hook; the hooks are {', '.join(known)}"
                )


def _collect(
    manager: pluggy.PluginManager, versions: Mapping[str, str], broken: Sequence[PluginRecord]
) -> Plugins:
    offers: dict[str, dict[str, tuple[str, Any]]] = {
        "analysis": {},
        "region source": {},
        "estimator": {},
        "recipe": {},
    }
    for plugin_name, what, name, value in _offers(manager):
        taken = offers[what].get(name)
        if taken is not None:
            raise PluginError(
                f"plugins {taken[0]} and {plugin_name} both offer the {what} {name!r}; "
                "rename one of them or uninstall a plugin"
            )
        offers[what][name] = (plugin_name, value)
    found = {
        what: {name: value for name, (_, value) in named.items()} for what, named in offers.items()
    }
    records = tuple(_records(offers, versions, broken))
    return Plugins(
        found["analysis"], found["region source"], found["estimator"], found["recipe"], records
    )


def _offers(manager: pluggy.PluginManager) -> Iterator[tuple[str, str, str, Any]]:
    """Yield (plugin, kind, name, value) of everything that plugins add, in order of plugin name."""
    for analyses, plugin in _answers(manager.hook.bidsface_analyses, Sequence):
        for analysis in analyses:
            yield plugin, "analysis", _analysis_name(analysis, plugin), analysis
    for sources, plugin in _answers(manager.hook.bidsface_regions, Mapping):
        for name, source in sources.items():
            yield plugin, "region source", name, source
    for estimators, plugin in _answers(manager.hook.bidsface_estimators, Mapping):
        for name, factory in estimators.items():
            yield plugin, "estimator", name, factory
    for recipes, plugin in _answers(manager.hook.bidsface_recipes, Sequence):
        for path in recipes:
            yield plugin, "recipe", Path(path).stem, Path(path)


def _analysis_name(analysis: Any, plugin: str) -> str:
    """Return the name of an analysis; refuse what is none, or not a whole one."""
    if not (isinstance(analysis, type) and issubclass(analysis, Analysis)):
        raise PluginError(f"plugin {plugin}: bidsface_analyses must return Analysis classes")
    lacking = [name for name in ("name", "Options") if not hasattr(analysis, name)]
    lacking += sorted(getattr(analysis, "__abstractmethods__", ()))
    if lacking:
        raise PluginError(f"plugin {plugin}: class {analysis.__name__} lacks {', '.join(lacking)}")
    return analysis.name


def _answers(hook: pluggy.HookCaller, kind: type) -> Iterator[tuple[Any, str]]:
    """Yield what each plugin answers, with its name: pluggy's own call forgets who answered."""
    for implementation in sorted(hook.get_hookimpls(), key=lambda found: found.plugin_name):
        answer = implementation.function()
        if not isinstance(answer, kind):
            raise PluginError(
                f"plugin {implementation.plugin_name}: {hook.name} must return a "
                f"{kind.__name__.lower()}, found {type(answer).__name__}"
            )
        yield answer, implementation.plugin_name


def _records(
    offers: Mapping[str, Mapping[str, tuple[str, Any]]],
    versions: Mapping[str, str],
    broken: Sequence[PluginRecord],
) -> Iterator[PluginRecord]:
    left_out = {record.name for record in broken}
    for plugin, version in versions.items():
        if plugin not in left_out:
            adds = tuple(
                f"{what} {name}"
                for what, named in offers.items()
                for name, (owner, _) in named.items()
                if owner == plugin
            )
            yield PluginRecord(plugin, version, adds)
    yield from broken
