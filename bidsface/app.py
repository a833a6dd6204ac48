"""The run: read, compute and write, per participant, then per group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bidsface import __version__
from bidsface.analyses import check_analyses, volume_counters
from bidsface.configuration import write_configuration
from bidsface.console import Console
from bidsface.dataset import Dataset, open_dataset
from bidsface.derivatives import OutputFolder, Unit
from bidsface.derivatives.citations import write_citations
from bidsface.errors import ExecutionError, InputError, UsageError
from bidsface.execution import run_jobs
from bidsface.group_level import GroupOutcome, process_group
from bidsface.memory import processes_that_fit
from bidsface.other_datasets import other_data
from bidsface.participant_level import ParticipantJob, ParticipantOutcome, process_participant
from bidsface.planning import Plan, Stage
from bidsface.plugins import load_plugins
from bidsface.preview import dry_run
from bidsface.recipe import OVERVIEW
from bidsface.recipe_loading import load_recipe
from bidsface.report import ReportContext, write_group_report, write_participant_report
from bidsface.rewriting import rewrite
from bidsface.settings import Settings
from bidsface.stages import stages
from bidsface.work import Outcome, Tally, Work, batches, main_report, plans


def run(settings: Settings, console: Console) -> Outcome:
    """Run bidsface.

    Raises
    ------
    BidsfaceError
        If the command asks for something that does not exist or cannot be done; a participant's
        own errors are recorded and counted instead.
    """
    plugins = load_plugins()
    for record in plugins.records:
        if record.error is not None:
            console.say(f"plugin {record.name} is left out, it fails to import: {record.error}")
    loaded = load_recipe(settings.recipe, plugins, settings.overrides, settings.analysis)
    check_analyses(loaded, plugins, settings.random_seed, settings.bids_dir)
    output = OutputFolder(settings.output_dir)
    context = ReportContext(
        command=settings.command,
        version=__version__,
        recipe_name=loaded.recipe.name,
        recipe_text=loaded.text,
        random_seed=settings.random_seed,
        recipe_description=loaded.recipe.description,
        analyses=tuple(loaded.options),
        group_report="group" in settings.levels,
    )
    work = Work(settings, plugins, loaded, output, context, console)
    if settings.reports_only or settings.boilerplate_only:
        return rewrite(work)
    # From here on the bids_dir of the command line is the root "raw" of the data set.
    dataset = open_dataset(settings, loaded.recipe.inputs)
    if settings.dry_run:
        return dry_run(work, dataset)
    return _run_levels(work, dataset)


def _run_levels(work: Work, dataset: Dataset) -> Outcome:
    settings, tally = work.settings, Tally()
    work.output.prepare(dataset.roots, dataset.descriptions, settings.dataset_links)
    write_configuration(settings, work.loaded)
    memory = f", {settings.memory_mb} MB" if settings.memory_mb else ""
    work.console.say(
        f"bidsface {__version__}, recipe {work.loaded.recipe.name}: "
        f"{len(dataset.participants)} participants, {settings.nprocs} processes of "
        f"{settings.omp_nthreads} thread{'s' * (settings.omp_nthreads > 1)}{memory}"
    )
    if dataset.unprocessed:
        missing = ", ".join(dataset.unprocessed)
        work.console.say(f"without {dataset.source.product}: {missing}")
    for stage in stages(work):
        ready = _without_blocked(work, stage, tally)
        if "participant" in settings.levels:
            _participant_level(work, dataset, ready, tally)
        if "group" in settings.levels and not _stopped(work, tally):
            _group_level(work, dataset, ready, tally)
        if _stopped(work, tally):
            break
    wanted = "group" in settings.levels and not _stopped(work, tally)
    if wanted and not work.output.is_current("group.html"):
        write_group_report(work.output, work.context)
    write_citations(work.output)
    return _outcome(work, tally)


def _stopped(work: Work, tally: Tally) -> bool:
    return bool(tally.failures) and work.settings.stop_on_first_crash


def _without_blocked(work: Work, stage: Stage, tally: Tally) -> Stage:
    """Leave out analyses whose group results are missing because an earlier stage failed."""
    blocked = []
    for label in stage.analyses if "participant" in work.settings.levels else ():
        missing = [one for one in stage.required[label] if one not in stage.finished]
        if missing:
            blocked.append(label)
            work.fail(tally, f"{label}: not run, for {', '.join(missing)} has no group results")
    return replace(stage, analyses=tuple(one for one in stage.analyses if one not in blocked))


def _participant_level(work: Work, dataset: Dataset, stage: Stage, tally: Tally) -> None:
    """Process participants batch by batch; workers compute, and write what they find."""
    work.console.begin(f"participants ({', '.join(stage.units)})", len(dataset.participants))
    for batch in batches(dataset.participants, work.settings):
        pending = _pending(work, dataset, batch, stage, tally)
        try:
            for outcome in _run_plans(work, pending, stage):
                _count(work, outcome, tally)
                if outcome.failures and work.settings.stop_on_first_crash:
                    return
        except ExecutionError as error:
            work.fail(tally, str(error))
        if tally.failures and work.settings.stop_on_first_crash:
            return


def _pending(
    work: Work, dataset: Dataset, batch: Sequence[str], stage: Stage, tally: Tally
) -> list[Plan]:
    """Return what is left to do for the participants of a batch."""
    pending = []
    for label, plan in plans(work, dataset, batch, stage):
        if isinstance(plan, InputError):
            if stage.last:  # once, not in every stage
                _record_unreadable(work, label, str(plan), tally)
            work.console.advance()
            continue
        tally.kept += plan.kept
        if plan.pending or not work.output.is_current(f"sub-{label}.html", participant=label):
            pending.append(plan)
        else:
            work.console.detail(f"sub-{label}: up to date")
            work.console.advance()
    return pending


def _run_plans(work: Work, pending: Sequence[Plan], stage: Stage) -> Iterator[ParticipantOutcome]:
    settings = work.settings
    kinds = work.loaded.recipe.samples.values()
    waiting = {unit.analysis for plan in pending for unit in plan.pending}
    counters = volume_counters(
        work.loaded, work.plugins, settings, [one for one in stage.analyses if one in waiting]
    )
    processes = processes_that_fit(settings, [plan.files for plan in pending], kinds, counters)
    processes = min(processes, max(1, len(pending)))
    if processes < min(settings.nprocs, len(pending)):
        work.console.say(
            f"{processes} participant{'s' * (processes > 1)} at a time, to stay within "
            f"{settings.memory_mb} MB"
        )
    # Processors that have no participant work on the regions of the others.
    at_once = processes if settings.dask_scheduler is None else max(1, len(pending))
    threads = max(1, settings.nprocs // at_once)
    jobs = [
        ParticipantJob(settings, work.loaded, work.context, plan, stage, threads)
        for plan in pending
    ]
    yield from run_jobs(
        process_participant,
        jobs,
        processes=processes,
        threads=settings.omp_nthreads,
        dask_scheduler=settings.dask_scheduler,
    )


def _count(work: Work, outcome: ParticipantOutcome, tally: Tally) -> None:
    tally.computed += outcome.done
    for failure in outcome.failures:
        work.fail(tally, failure)
    work.console.detail(f"sub-{outcome.label}: {outcome.done} units in {outcome.seconds:.1f} s")
    work.console.advance()


def _record_unreadable(work: Work, label: str, message: str, tally: Tally) -> None:
    """Record a participant whose files cannot be read; the group level then leaves it out."""
    work.output.record_failure(Unit("participant", OVERVIEW, label, ""), message, None)
    write_participant_report(work.output, label, work.context)
    work.fail(tally, f"sub-{label}: {message}")


def _group_level(work: Work, dataset: Dataset, stage: Stage, tally: Tally) -> None:
    work.console.begin("group analyses", len(stage.analyses))
    # One job at a time in this process, but under the same limit of threads as everything else.
    for outcome in run_jobs(
        lambda analysis: _run_group(work, dataset, analysis, bool(tally.failures)),
        list(stage.analyses),
        threads=work.settings.omp_nthreads,
    ):
        tally.computed += outcome.computed
        tally.kept += outcome.kept
        if outcome.failure is not None:
            work.fail(tally, outcome.failure)
        for note in outcome.notes:
            work.console.say(note)
        work.console.advance()


def _run_group(work: Work, dataset: Dataset, analysis: str, failed: bool) -> GroupOutcome:
    try:
        return process_group(
            analysis,
            dataset.participants,
            work.loaded,
            work.settings,
            work.plugins,
            work.output,
            lambda: dataset.participants_table,
            other_data(dataset),
            work.console.say,
        )
    except UsageError as error:
        # After failures of the participant level, missing results are no usage error.
        if not failed:
            raise
        return GroupOutcome(failure=f"group, {analysis}: {error}")


def _outcome(work: Work, tally: Tally) -> Outcome:
    counts = f"{tally.computed} computed, {tally.kept} up to date"
    report = f"report: {main_report(work)}"
    if tally.failures:
        others = f" and {len(tally.failures) - 1} more" if len(tally.failures) > 1 else ""
        first = tally.failures[0]
        return Outcome(1, f"{len(tally.failures)} failed: {first}{others}; {counts}; {report}")
    if tally.computed == 0:
        return Outcome(0, f"done: everything was up to date ({tally.kept}); {report}")
    return Outcome(0, f"done: {counts}; {report}")
