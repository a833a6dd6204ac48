"""The group level: read what the participant level wrote, compute, write."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence

from bidsface.derivatives import OutputFolder, Provenance, Unit
from bidsface.derivatives.receipts import Receipt
from bidsface.errors import BidsfaceError, UsageError
from bidsface.execution import worker_name
from bidsface.planning import build_analysis, group_unit, software_versions, unit_options
from bidsface.plugins import Plugins
from bidsface.recipe_loading import LoadedRecipe
from bidsface.settings import Settings


def group_receipts(
    output: OutputFolder, analysis: str, loaded: LoadedRecipe, labels: Sequence[str]
) -> list[Receipt]:
    """Return the participants' receipts that the group level of an analysis reads.

    Raises
    ------
    UsageError
        If no participant has finished the analysis, or some did with other options.
    """
    found = [
        receipt
        for receipt in output.receipts(level="participant", analysis=analysis)
        if receipt.status == "done" and (not labels or receipt.unit.participant in labels)
    ]
    if not found:
        raise UsageError(
            f"no participant has results of analysis {analysis} in {output.root}; "
            "run the participant level first"
        )
    wanted = unit_options(loaded, analysis)
    stale = [receipt.unit.participant or "" for receipt in found if receipt.options != wanted]
    if stale:
        raise UsageError(
            f"analysis {analysis} of participant{'s' * (len(stale) > 1)} {', '.join(stale)} was "
            "computed with other options; run the participant level with this recipe first"
        )
    return found


def process_group(
    analysis: str,
    loaded: LoadedRecipe,
    settings: Settings,
    plugins: Plugins,
    output: OutputFolder,
) -> tuple[bool, str | None]:
    """Run one analysis at group level unless it is up to date.

    Returns
    -------
    computed : bool
        Whether anything had to be computed.
    failure : str or None
        Why it failed, if it did.
    """
    receipts = group_receipts(output, analysis, loaded, settings.participant_label)
    unit = group_unit(analysis, loaded, receipts, plugins, settings.random_seed)
    if not settings.force and output.is_done(unit):
        return False, None
    try:
        _compute(unit, receipts, loaded, settings, plugins, output)
    except BidsfaceError as error:
        output.record_failure(unit, str(error), None)
        return True, f"group, {analysis}: {error}"
    except Exception as error:  # a defect in one analysis must not stop the others
        message = f"unexpected {type(error).__name__}: {error}"
        output.record_failure(unit, message, traceback.format_exc())
        return True, f"group, {analysis}: {message} (see logs/)"
    return True, None


def _compute(
    unit: Unit,
    receipts: Sequence[Receipt],
    loaded: LoadedRecipe,
    settings: Settings,
    plugins: Plugins,
    output: OutputFolder,
) -> None:
    started = time.time()
    labels = [receipt.unit.participant or "" for receipt in receipts]
    instance = build_analysis(unit.analysis, loaded, plugins, settings.random_seed)
    results = instance.group(
        output.participant_results(unit.analysis, labels), loaded.options[unit.analysis]
    )
    sources = tuple(
        f"bids::{file.path}"
        for receipt in receipts
        for file in receipt.files
        if file.kind == "table"
    )
    output.write(
        unit,
        results,
        Provenance(
            sources=sources,
            inputs={},
            options=unit_options(loaded, unit.analysis),
            seed=settings.random_seed,
            versions=software_versions(plugins),
            worker=worker_name(),
            started=started,
        ),
    )
