"""Other data sets of a study: their participants, as bidsface wrote them to output folders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bidsface.analysis import ParticipantResults
from bidsface.dataset import Dataset
from bidsface.dataset.roots import OWN_MAKER, makers
from bidsface.derivatives import OutputFolder
from bidsface.derivatives.reading import stored_results
from bidsface.derivatives.receipts import Receipt
from bidsface.errors import InputError
from bidsface.planning import unit_options
from bidsface.recipe import OVERVIEW
from bidsface.recipe_loading import LoadedRecipe
from bidsface.settings import Settings

READ_KINDS = ("table", "matrix", "map")
"""Kinds of files that the group level can load."""


@dataclass(frozen=True)
class OtherData:
    """A derivative data set that is not the one whose runs are analysed.

    Attributes
    ----------
    name : str
        As ``--derivatives`` gives it.
    root : Path
    makers : tuple of str
        Programs that made it, as its description says.
    """

    name: str
    root: Path
    makers: tuple[str, ...]

    @property
    def option(self) -> str:
        """How it was asked for."""
        return f"--derivatives {self.name}={self.root}"


@dataclass(frozen=True)
class Guest:
    """A participant of another data set, with the receipt of its results."""

    receipt: Receipt
    results: ParticipantResults

    @property
    def account(self) -> list[Any]:
        """What the group's results follow from, as JSON values."""
        unit = self.receipt.unit
        return [self.results.dataset, unit.participant, unit.fingerprint, self.inputs]

    @property
    def sources(self) -> tuple[str, ...]:
        """BIDS URIs of its files."""
        return tuple(self.inputs)

    @property
    def inputs(self) -> dict[str, str]:
        """SHA-256 of its files by BIDS URI."""
        return {
            f"bids:{self.results.dataset}:{record.path}": record.sha256
            for record in self.receipt.files
            if record.kind in READ_KINDS
        }


@dataclass(frozen=True)
class Guests:
    """Participants of other data sets, whom of them is left out and why, and what else to say."""

    found: tuple[Guest, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def other_data(dataset: Dataset) -> tuple[OtherData, ...]:
    """Return the derivative data sets beside the one that is analysed, by name."""
    names = sorted(set(dataset.roots) - {"raw", "fmriprep", dataset.source.name})
    return tuple(
        OtherData(name, dataset.roots[name], makers(dataset.descriptions[name])) for name in names
    )


def find_guests(
    others: Sequence[OtherData], analysis: str, loaded: LoadedRecipe, settings: Settings
) -> Guests:
    """Find the participants of other data sets that have results of an analysis.

    Those that have not finished it, or whose files have changed, are left out. Data sets that
    other programs made have none.

    Raises
    ------
    InputError
        If an output of bidsface has no results of the analysis, or they were computed with another
        recipe.
    """
    wanted = _options(unit_options(loaded, analysis, settings))
    found: list[Guest] = []
    left_out: list[str] = []
    notes: list[str] = []
    for other in others:
        if OWN_MAKER not in other.makers:
            notes.append(
                f"{other.option} gives no participants: it is no output of bidsface (made by "
                f"{', '.join(other.makers) or 'an unknown program'})"
            )
            continue
        each = [
            _guest(other, label, receipt)
            for label, receipt in _receipts(other, analysis, wanted).items()
        ]
        own = [one for one in each if isinstance(one, Guest)]
        missing = [one for one in each if isinstance(one, str)]
        if not own:
            raise InputError(
                f"{other.option}: no participant has results of analysis {analysis} that can be "
                f"used ({'; '.join(missing)}); run its participant level again"
            )
        found += own
        left_out += missing
        notes.append(f"reads {len(own)} participant{'s' * (len(own) > 1)} of {other.name} too")
    return Guests(tuple(found), tuple(left_out), tuple(notes))


def unreadable(output: OutputFolder) -> set[str | None]:
    """Return the participants whose data could not be read, last time."""
    receipts = output.receipts(level="participant", analysis=OVERVIEW)
    return {receipt.unit.participant for receipt in receipts if receipt.status != "done"}


def _receipts(
    other: OtherData, analysis: str, wanted: Mapping[str, Any]
) -> dict[str, Receipt | None]:
    """Return the finished receipts of an analysis, None for who has not finished it."""
    if re.fullmatch("[0-9a-zA-Z]+", other.name) is None:
        raise InputError(
            f"{other.option}: results will bear the name {other.name!r}, so it must be letters "
            "and digits only"
        )
    output = OutputFolder(other.root)
    labels = output.begun()
    if not labels:
        raise InputError(
            f"{other.option}: bidsface made it, but there are no receipts of participants in "
            f"{output.state}; run its participant level"
        )
    receipts = output.receipts(level="participant")
    known = sorted({receipt.unit.analysis for receipt in receipts} - {OVERVIEW})
    if analysis not in known:
        raise InputError(
            f"{other.option}: it has no results of analysis {analysis}, only of "
            f"{', '.join(known) or 'none'}; run its participant level with this command's recipe"
        )
    failed = unreadable(output)
    done = {
        receipt.unit.participant: receipt
        for receipt in receipts
        if receipt.unit.analysis == analysis
        and receipt.status == "done"
        and receipt.unit.participant not in failed
    }
    _refuse_other_recipe(other, list(done.values()), wanted)
    return {label: done.get(label) for label in labels}


def _refuse_other_recipe(
    other: OtherData, receipts: Sequence[Receipt], wanted: Mapping[str, Any]
) -> None:
    for receipt in receipts:
        different = _first_difference(_options(receipt.options), wanted)
        if different is not None:
            key, there, here = different
            raise InputError(
                f"{other.option}: analysis {receipt.unit.analysis} of {receipt.unit.owner} was "
                f"computed with another recipe ({key} is {there!r} there, {here!r} here); run its "
                "participant level with this command's recipe"
            )


def _guest(other: OtherData, label: str, receipt: Receipt | None) -> Guest | str:
    """Return a participant, or why it is left out."""
    start = f"sub-{label} of {other.name} is left out"
    if receipt is None:
        return f"{start}: it has not finished the analysis, or its data cannot be read"
    try:
        results = stored_results(other.root, label, receipt)
    except InputError as error:
        return f"{start}: {error}"
    return Guest(receipt, replace(results, dataset=other.name))


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options without the selection of runs: labels of another data set are others."""
    return {key: value for key, value in options.items() if key != "selection"}


def _first_difference(there: Any, here: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """Return the first key, a path with dots, whose values differ; None if all are equal."""
    if there == here:
        return None
    if not (isinstance(there, Mapping) and isinstance(here, Mapping)):
        return key, there, here
    below = (
        _first_difference(there.get(name), here.get(name), f"{key}.{name}".lstrip("."))
        for name in dict.fromkeys((*there, *here))
    )
    return next((found for found in below if found is not None), None)
