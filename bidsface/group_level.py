"""The group level: read what the participant level wrote, compute, write."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pandas as pd

from bidsface.analyses import build_analysis
from bidsface.derivatives import OutputFolder, Provenance, Unit
from bidsface.derivatives.receipts import Receipt
from bidsface.errors import BidsfaceError, InputError, UsageError
from bidsface.execution import map_in_threads, worker_name
from bidsface.other_datasets import Guests, OtherData, find_guests, unreadable
from bidsface.participant_level import checked_results
from bidsface.planning import group_unit, unit_options
from bidsface.plugins import Plugins
from bidsface.recipe_loading import LoadedRecipe
from bidsface.settings import Settings
from bidsface.versions import software_versions


@dataclass(frozen=True)
class GroupOutcome:
    """How one analysis ended at group level; ``notes`` are for the console."""

    computed: bool = False
    kept: bool = False
    failure: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Members:
    """The participants' receipts that the group level reads, and who is left out and why.

    ``guests`` are participants of other data sets.
    """

    receipts: tuple[Receipt, ...]
    notes: tuple[str, ...]
    guests: Guests = field(default_factory=Guests)

    def receive(self, analysis: str, guests: Guests) -> Members:
        """Return the members with participants of other data sets."""
        said = (f"group, {analysis}: {note}" for note in (*guests.notes, *guests.left_out))
        return replace(self, notes=(*self.notes, *said), guests=guests)


def group_members(
    output: OutputFolder,
    analysis: str,
    participants: Sequence[str],
    loaded: LoadedRecipe,
    settings: Settings,
) -> Members:
    """Find the participants that the group level of an analysis reads.

    Participants that are no longer in the data set, or whose data could not be read, are left out:
    what they have in the output folder does not speak for them any more.

    Raises
    ------
    UsageError
        If no participant has finished the analysis, or some did with other options.
    """
    lost = unreadable(output)
    done = [
        receipt
        for receipt in output.receipts(level="participant", analysis=analysis)
        if receipt.status == "done"
    ]
    chosen = [
        receipt
        for receipt in done
        if receipt.unit.participant in participants and receipt.unit.participant not in lost
    ]
    if not chosen:
        raise UsageError(
            f"no participant has results of analysis {analysis} in {output.root}; "
            "run the participant level first"
        )
    _refuse_mixed(chosen, analysis, loaded, settings)
    present = {receipt.unit.participant for receipt in chosen}
    gone = [receipt.unit.participant or "" for receipt in done if receipt not in chosen]
    missing = [label for label in participants if label not in present and label not in gone]
    notes = [
        f"group, {analysis}: sub-{label} is left out, it is not among the participants or its "
        "data cannot be read"
        for label in gone
    ] + [f"group, {analysis}: sub-{label} has no results" for label in missing]
    return Members(tuple(chosen), tuple(notes))


def _refuse_mixed(
    receipts: Sequence[Receipt], analysis: str, loaded: LoadedRecipe, settings: Settings
) -> None:
    wanted = unit_options(loaded, analysis, settings)
    stale = [
        receipt.unit.participant or ""
        for receipt in receipts
        if receipt.options != wanted or receipt.seed != settings.random_seed
    ]
    if stale:
        raise UsageError(
            f"analysis {analysis} of participant{'s' * (len(stale) > 1)} {', '.join(stale)} was "
            "computed with other options, runs or seed; run the participant level with this "
            "command's recipe, selection and seed first"
        )


def process_group(
    analysis: str,
    participants: Sequence[str],
    loaded: LoadedRecipe,
    settings: Settings,
    plugins: Plugins,
    output: OutputFolder,
    people: Callable[[], pd.DataFrame],
    others: Sequence[OtherData] = (),
    tell: Callable[[str], None] | None = None,
) -> GroupOutcome:
    """Run one analysis at group level unless it is up to date.

    ``people`` reads the data set's ``participants.tsv``; only analyses that use it need a good one.
    ``tell`` shows how far long work has come.
    Only analyses that ask for them get the participants of ``others``.

    Raises
    ------
    UsageError
        If there is nothing that could be analysed together.
    """
    members = group_members(output, analysis, participants, loaded, settings)
    kind = build_analysis(analysis, loaded, plugins, settings.random_seed)
    used = kind.columns_used(loaded.options[analysis])
    try:
        table = people() if used else pd.DataFrame()
        if kind.other_datasets:
            members = members.receive(analysis, find_guests(others, analysis, loaded, settings))
    except InputError as error:
        return GroupOutcome(failure=f"group, {analysis}: {error}", notes=members.notes)
    columns = table[[name for name in used if name in table.columns]]
    guests = [guest.account for guest in members.guests.found]
    unit = group_unit(analysis, loaded, members.receipts, plugins, settings, columns, guests)
    if not settings.force and output.is_done(unit):
        return GroupOutcome(kept=True, notes=members.notes)
    try:
        _compute(unit, members, loaded, settings, plugins, output, table, tell)
    except BidsfaceError as error:
        output.record_failure(unit, str(error), None)
        return GroupOutcome(failure=f"group, {analysis}: {error}", notes=members.notes)
    except Exception as error:  # a defect in one analysis must not stop the others
        message = f"unexpected {type(error).__name__}: {error}"
        output.record_failure(unit, message, traceback.format_exc())
        return GroupOutcome(
            failure=f"group, {analysis}: {message} (see logs/)", notes=members.notes
        )
    return GroupOutcome(computed=True, notes=members.notes)


def _compute(
    unit: Unit,
    members: Members,
    loaded: LoadedRecipe,
    settings: Settings,
    plugins: Plugins,
    output: OutputFolder,
    table: pd.DataFrame,
    tell: Callable[[str], None] | None,
) -> None:
    started, guests = time.time(), members.guests
    workspace = workspace_of(unit, settings)
    labels = [receipt.unit.participant or "" for receipt in members.receipts]
    instance = build_analysis(
        unit.analysis,
        loaded,
        plugins,
        settings.random_seed,
        table,
        settings.device,
        # Analyses of the group run one after the other, so each has all processors.
        partial(map_in_threads, n_threads=settings.nprocs),
        workspace,
        tell,
        settings.bids_dir,
    )
    participants = [
        *output.participant_results(unit.analysis, labels),
        *(guest.results for guest in guests.found),
    ]
    results = checked_results(
        instance.group(participants, loaded.options[unit.analysis]), unit.analysis
    )
    sources = tuple(
        f"bids::{file.path}"
        for receipt in members.receipts
        for file in receipt.files
        if file.kind in ("table", "map")
    )
    provenance = Provenance(
        sources=(*sources, *(uri for guest in guests.found for uri in guest.sources)),
        inputs={uri: state for guest in guests.found for uri, state in guest.inputs.items()},
        options=unit_options(loaded, unit.analysis, settings),
        seed=settings.random_seed,
        versions=software_versions(plugins),
        worker=worker_name(),
        started=started,
    )
    output.write(unit, replace(results, warnings=(*results.warnings, *guests.left_out)), provenance)
    shutil.rmtree(workspace, ignore_errors=True)


def workspace_of(unit: Unit, settings: Settings) -> Path:
    """Return the folder for what a unit keeps until it is finished.

    Its name follows from everything that the results depend on, so that a run with other options
    or data never goes on from what it finds.
    """
    root = settings.output_dir / ".bidsface" / "work"
    if settings.work_dir is not None:
        root = settings.work_dir.resolve() / "bidsface"
    return root / f"{unit.level}-{unit.analysis}-{unit.fingerprint[:16]}"
