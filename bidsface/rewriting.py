"""Reports and methods text, written anew from finished results."""

from __future__ import annotations

from collections.abc import Sequence

from bidsface.derivatives.citations import write_citations
from bidsface.errors import UsageError
from bidsface.planning import refuse_other_recipes
from bidsface.report import write_group_report, write_participant_report
from bidsface.work import Outcome, Work, main_report


def rewrite(work: Work) -> Outcome:
    """Write reports or the methods text anew from what is finished.

    Raises
    ------
    UsageError
        If there are no results, or another recipe made them.
    """
    receipts = work.output.receipts()
    if not receipts:
        raise UsageError(f"{work.output.root} holds no results of bidsface; run it first")
    if work.settings.boilerplate_only:
        write_citations(work.output)
        return Outcome(0, f"done: methods text written to {work.output.root / 'logs'}")
    refuse_other_recipes(receipts, work.loaded)
    write_citations(work.output)
    found = sorted({receipt.unit.participant for receipt in receipts if receipt.unit.participant})
    labels = _wanted(found, work.settings.participant_label)
    if "participant" in work.settings.levels:
        for label in labels:
            write_participant_report(work.output, label, work.context)
    if "group" in work.settings.levels:
        write_group_report(work.output, work.context)
    return Outcome(0, f"done: reports written anew; report: {main_report(work)}")


def _wanted(found: Sequence[str], asked: Sequence[str]) -> Sequence[str]:
    missing = sorted(set(asked) - set(found))
    if missing:
        raise UsageError(
            f"no results of participant {', '.join(missing)}; there are: {', '.join(found)}"
        )
    return asked or found
