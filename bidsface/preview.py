"""``--dry-run``: what would run on which files, and what it would need."""

from __future__ import annotations

from bidsface.analyses import volume_counters
from bidsface.dataset import Dataset
from bidsface.errors import InputError
from bidsface.memory import study_cost
from bidsface.stages import whole_run
from bidsface.work import Outcome, Tally, Work, batches, plans


def dry_run(work: Work, dataset: Dataset) -> Outcome:
    """Say what would run on which files, and what it would need; write nothing."""
    say, tally, readable = work.console.say, Tally(), []
    everything = whole_run(work)
    for batch in batches(dataset.participants, work.settings):
        for label, plan in plans(work, dataset, batch, everything):
            if isinstance(plan, InputError):
                work.fail(tally, f"sub-{label}: {plan}")
                continue
            readable.append(plan.files)
            tally.computed += len(plan.pending)
            names = ", ".join(unit.analysis for unit in plan.pending) or "nothing"
            say(f"sub-{label}: would compute {names}; {plan.kept} up to date; files:")
            for uri in plan.every_input:
                say(f"    {uri}")
    counters = volume_counters(work.loaded, work.plugins, work.settings, everything.analyses)
    cost = study_cost(readable, work.loaded.recipe.samples.values(), counters)
    say(
        f"estimated memory {cost.memory_mb} MB a participant in work, "
        f"disk {cost.disk_mb} MB for all"
    )
    failed = f"; {len(tally.failures)} participants cannot be read" if tally.failures else ""
    return Outcome(
        1 if tally.failures else 0,
        f"dry run: {tally.computed} units would be computed{failed}; nothing was written",
    )
