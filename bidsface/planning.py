"""Units of work, and the fingerprints by which a second run knows what is up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bidsface import __version__
from bidsface.analyses import build_analysis
from bidsface.dataset import Dataset, file_state
from bidsface.derivatives import OutputFolder, Unit
from bidsface.derivatives.receipts import Receipt
from bidsface.errors import UsageError
from bidsface.files import FoundTables, ParticipantFiles
from bidsface.plugins import Plugins
from bidsface.recipe import OVERVIEW
from bidsface.recipe_loading import LoadedRecipe
from bidsface.settings import Settings


@dataclass(frozen=True)
class Stage:
    """Analyses that need no group results but those of earlier stages.

    Attributes
    ----------
    analyses : tuple of str
    required : mapping of str to tuple of str
        Analyses whose group results each of them needs.
    finished : mapping of str to str
        Fingerprints of the group results that are there, by analysis.
    last : bool
        The host's own account of the data is made in the last stage, when most regions are known.
    """

    analyses: tuple[str, ...]
    required: Mapping[str, tuple[str, ...]]
    finished: Mapping[str, str]
    last: bool

    @property
    def units(self) -> tuple[str, ...]:
        """Units of work of every participant."""
        return (OVERVIEW, *self.analyses) if self.last else self.analyses

    def earlier(self, unit: str) -> dict[str, str]:
        """Return the fingerprints of the group results that a unit may use."""
        needs = self.finished if unit == OVERVIEW else self.required[unit]
        return {label: self.finished[label] for label in needs if label in self.finished}


@dataclass(frozen=True)
class UnitTables:
    """Tables that one unit reads beside what all units of its participant read.

    Attributes
    ----------
    found : tuple of FoundTables
    states : mapping of str to str
        BIDS URI and state of every table, and of the other files that the analysis names.
    sidecars : mapping of str to mapping
        What their JSON files say, by the URI of the table.
    """

    found: tuple[FoundTables, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    sidecars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is left to do for one participant.

    Attributes
    ----------
    files : ParticipantFiles
    inputs : mapping of str to str
        BIDS URI and state of every file that all units read.
    pending : tuple of Unit
        Units that are not up to date, the host's own first, then in recipe order.
    kept : int
        Number of units that are.
    tables : mapping of str to UnitTables
        By analysis.
    """

    files: ParticipantFiles
    inputs: Mapping[str, str]
    pending: tuple[Unit, ...]
    kept: int
    tables: Mapping[str, UnitTables] = field(default_factory=dict)

    def inputs_of(self, analysis: str) -> dict[str, str]:
        """Return BIDS URI and state of every file that a unit reads."""
        return {**self.inputs, **self.tables.get(analysis, UnitTables()).states}

    @property
    def every_input(self) -> dict[str, str]:
        """BIDS URI and state of every file that any unit reads."""
        own = (tables.states for tables in self.tables.values())
        return {uri: state for states in (self.inputs, *own) for uri, state in states.items()}


def plan_participant(
    files: ParticipantFiles,
    dataset: Dataset,
    loaded: LoadedRecipe,
    plugins: Plugins,
    settings: Settings,
    output: OutputFolder,
    stage: Stage,
) -> Plan:
    """Work out what is left to do for one participant in one stage.

    Raises
    ------
    InputError
        If a file that it needs is not there.
    UsageError
        If an analysis reads tables of a data set that was not given.
    """
    states = _input_states(files, loaded, plugins)
    inputs = {dataset.uri(path): state for path, state in states.items()}
    # Sidecars are not listed as inputs, for many files share them; this is what is read of them.
    timing = {run.block: (run.repetition_time, run.start_time) for run in files.runs}
    tables = {
        analysis: _unit_tables(analysis, files.label, dataset, loaded, plugins, settings)
        for analysis in stage.units
    }
    units = [
        Unit(
            "participant",
            analysis,
            files.label,
            _digest(
                {**inputs, **tables[analysis].states},
                {**timing, **tables[analysis].sidecars},
                unit_options(loaded, analysis, settings),
                _code(plugins),
                settings.random_seed,
                stage.earlier(analysis),
            ),
        )
        for analysis in stage.units
    ]
    pending = tuple(unit for unit in units if settings.force or not output.is_done(unit))
    return Plan(files, inputs, pending, len(units) - len(pending), tables)


def group_unit(
    analysis: str,
    loaded: LoadedRecipe,
    receipts: Sequence[Receipt],
    plugins: Plugins,
    settings: Settings,
    columns: pd.DataFrame,
    others: Sequence[Any] = (),
) -> Unit:
    """Return the unit of one analysis at group level.

    It follows from the receipts that it reads, from the columns of ``participants.tsv`` that it
    uses, and from ``others``, accounts (JSON values) of the participants of other data sets.
    """
    read = sorted(
        (receipt.unit.participant or "", receipt.unit.fingerprint) for receipt in receipts
    )
    options = unit_options(loaded, analysis, settings)
    people = [label for label, _ in read if label in columns.index]
    values = columns.loc[people].to_dict()
    fingerprint = _digest(read, options, _code(plugins), settings.random_seed, values, *others)
    return Unit("group", analysis, None, fingerprint)


def unit_options(loaded: LoadedRecipe, analysis: str, settings: Settings) -> dict[str, Any]:
    """Return everything that shapes one analysis, beside the data, for its sidecars and receipt."""
    options = _recipe_options(loaded, analysis)
    selection = {
        "sessions": list(settings.session_label),
        "tasks": list(settings.task_id),
        "runs": list(settings.run),
        "space": list(settings.space),
        "bids_filters": {key: dict(value) for key, value in settings.bids_filters.items()},
    }
    chosen = {key: value for key, value in selection.items() if value}
    return {**options, "selection": chosen}


def _recipe_options(loaded: LoadedRecipe, analysis: str) -> dict[str, Any]:
    recipe = loaded.recipe.model_dump(mode="json", exclude={"analyses", "name", "description"})
    if analysis == OVERVIEW:
        return {"recipe": recipe}
    own = loaded.every_option[analysis].model_dump(mode="json")
    return {"analysis": loaded.recipe.analyses[analysis].analysis, **own, "recipe": recipe}


def refuse_other_recipes(receipts: Sequence[Receipt], loaded: LoadedRecipe) -> None:
    """Refuse to describe results by a recipe that they were not computed with.

    Raises
    ------
    UsageError
        With the first analysis whose options differ.
    """
    for receipt in receipts:
        analysis = receipt.unit.analysis
        if receipt.status != "done" or analysis not in (OVERVIEW, *loaded.options):
            continue
        used = {key: value for key, value in receipt.options.items() if key != "selection"}
        if used != _recipe_options(loaded, analysis):
            raise UsageError(
                f"{receipt.unit.owner}, {analysis}: computed with other options than recipe "
                f"{loaded.recipe.name} gives; name the --recipe and --set of the results"
            )


def _input_states(
    files: ParticipantFiles, loaded: LoadedRecipe, plugins: Plugins
) -> dict[Path, str]:
    """Return the state (size and time, or annex key) of every file that a participant reads."""
    own: set[Path] = set()
    for way in (way for spec in loaded.recipe.regions.values() for way in spec.ways):
        source = plugins.regions[way.source]
        own |= set(source.files(files.label, source.Options.model_validate(way.options)))
    # A region's file that does not exist is reported when the region is made.
    there = sorted(path for path in own if path.exists())
    return {path: file_state(path) for path in (*files.inputs, *there)}


def _unit_tables(
    analysis: str,
    label: str,
    dataset: Dataset,
    loaded: LoadedRecipe,
    plugins: Plugins,
    settings: Settings,
) -> UnitTables:
    """Find the tables that an analysis reads of a participant, and the states of its files."""
    if analysis == OVERVIEW:
        return UnitTables()
    kind = build_analysis(analysis, loaded, plugins, random_seed=0, bids_dir=settings.bids_dir)
    options = loaded.options[analysis]
    found = dataset.tables(label, kind.tables_used(options))
    files = {dataset.uri(file.path): file for one in found for file in one.files}
    paths = [*(file.path for file in files.values()), *kind.files_used(options)]
    return UnitTables(
        found,
        {dataset.uri(path): file_state(path) for path in paths},
        {uri: file.sidecar for uri, file in files.items()},
    )


def _code(plugins: Plugins) -> dict[str, str]:
    return {"bidsface": __version__, **plugins.versions}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
