"""``--dry-run``: what would run on which files, and what it would need."""

from __future__ import annotations

from bidsface.dataset import Dataset
from bidsface.errors import InputError
from bidsface.memory import study_cost
from bidsface.planning import plan_participant
from bidsface.work import Outcome, Tally, Work, batches


def dry_run(work: Work, dataset: Dataset) -> Outcome:
    """Say what would run on which files, and what it would need; write nothing."""
    say, tally, readable = work.console.say, Tally(), []
    for batch in batches(dataset.participants, work.settings):
        for label, files in dataset.files(batch).items():
            try:
                if isinstance(files, InputError):
                    raise files
                plan = plan_participant(
                    files, dataset, work.loaded, work.plugins, work.settings, work.output
                )
            except InputError as error:
                work.fail(tally, f"sub-{label}: {error}")
                continue
            readable.append(files)
            tally.computed += len(plan.pending)
            names = ", ".join(unit.analysis for unit in plan.pending) or "nothing"
            say(f"sub-{label}: would compute {names}; {plan.kept} up to date; files:")
            for uri in plan.inputs:
                say(f"    {uri}")
    cost = study_cost(readable)
    say(
        f"estimated memory {cost.memory_mb} MB a participant in work, "
        f"disk {cost.disk_mb} MB for all"
    )
    failed = f"; {len(tally.failures)} participants cannot be read" if tally.failures else ""
    return Outcome(
        1 if tally.failures else 0,
        f"dry run: {tally.computed} units would be computed{failed}; nothing was written",
    )
