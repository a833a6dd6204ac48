"""The run: read, compute and write, per participant, then per group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bidsface import __version__
from bidsface.configuration import write_configuration
from bidsface.console import Console
from bidsface.dataset import Dataset, open_dataset
from bidsface.derivatives import OutputFolder, Unit
from bidsface.derivatives.citations import write_citations
from bidsface.errors import BidsfaceError, InputError, UsageError
from bidsface.execution import run_jobs
from bidsface.files import ParticipantFiles
from bidsface.group_level import process_group
from bidsface.memory import processes_that_fit, study_cost
from bidsface.participant_level import ParticipantJob, ParticipantOutcome, process_participant
from bidsface.planning import OVERVIEW, check_analyses, input_states, participant_unit
from bidsface.plugins import Plugins, load_plugins
from bidsface.recipe_loading import LoadedRecipe, load_recipe
from bidsface.report import ReportContext, write_group_report, write_participant_report
from bidsface.settings import Settings

BATCH = 32
"""Participants whose files are looked up in one pybids index: one index costs about as much as
four participants' files, and a thousand participants in one would take minutes."""


@dataclass(frozen=True)
class Outcome:
    """Exit status and the last line of a run."""

    code: int
    message: str


@dataclass
class Tally:
    """What has happened so far in a run."""

    computed: int = 0
    kept: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """What every step of a run needs to know."""

    settings: Settings
    plugins: Plugins
    loaded: LoadedRecipe
    output: OutputFolder
    context: ReportContext
    console: Console


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
    check_analyses(loaded, plugins, settings.random_seed)
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
        return _rewrite(work)
    return _run_levels(work)


def _run_levels(work: Work) -> Outcome:
    settings, tally = work.settings, Tally()
    dataset = open_dataset(settings, work.loaded.recipe.inputs)
    if settings.dry_run:
        return _dry_run(work, dataset)
    work.output.prepare(dataset.roots, dataset.descriptions)
    write_configuration(settings, work.loaded)
    work.console.say(
        f"bidsface {__version__}, recipe {work.loaded.recipe.name}: "
        f"{len(dataset.participants)} participants, {settings.nprocs} processes of "
        f"{settings.omp_nthreads} thread{'s' * (settings.omp_nthreads > 1)}"
        + (f", {settings.memory_mb} MB" if settings.memory_mb else "")
    )
    if dataset.unprocessed:
        work.console.say(f"without fMRIPrep output: {', '.join(dataset.unprocessed)}")
    if "participant" in settings.levels:
        _participant_level(work, dataset, tally)
    stopped = bool(tally.failures) and settings.stop_on_first_crash
    if "group" in settings.levels and not stopped:
        _group_level(work, dataset, tally)
    write_citations(work.output)
    return _outcome(work, tally)


def _participant_level(work: Work, dataset: Dataset, tally: Tally) -> None:
    work.console.begin("participants", len(dataset.participants))
    for batch in _batches(dataset.participants):
        found = dataset.files(batch)
        for label in batch:
            if isinstance(found[label], InputError):
                _record_unreadable(work, label, str(found[label]), tally)
        jobs = []
        readable = {
            label: files for label, files in found.items() if not isinstance(files, InputError)
        }
        for label, files in readable.items():
            job = _job(work, dataset, label, files, tally)
            if job is not None:
                jobs.append(job)
        for outcome in _run_jobs(work, jobs):
            _count(work, outcome, tally)
            if outcome.failures and work.settings.stop_on_first_crash:
                return
        if tally.failures and work.settings.stop_on_first_crash:
            return


def _batches(labels: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(labels), BATCH):
        yield labels[start : start + BATCH]


def _job(
    work: Work, dataset: Dataset, label: str, files: ParticipantFiles, tally: Tally
) -> ParticipantJob | None:
    """Return what is left to do for a participant; None if everything is up to date."""
    settings, loaded = work.settings, work.loaded
    try:
        inputs = {
            dataset.uri(path): state
            for path, state in input_states(files, loaded, work.plugins).items()
        }
    except InputError as error:
        _record_unreadable(work, label, str(error), tally)
        return None
    units = [
        participant_unit(label, analysis, loaded, inputs, work.plugins, settings.random_seed)
        for analysis in (OVERVIEW, *loaded.options)
    ]
    pending = tuple(unit for unit in units if settings.force or not work.output.is_done(unit))
    tally.kept += len(units) - len(pending)
    if not pending and (settings.output_dir / f"sub-{label}.html").is_file():
        work.console.detail(f"sub-{label}: up to date")
        work.console.advance()
        return None
    threads = max(1, settings.nprocs // max(1, len(dataset.participants)))
    return ParticipantJob(settings, loaded, work.context, files, pending, inputs, threads)


def _run_jobs(work: Work, jobs: Sequence[ParticipantJob]) -> Iterator[ParticipantOutcome]:
    settings = work.settings
    processes = processes_that_fit(settings, [job.files for job in jobs])
    if jobs and processes < min(settings.nprocs, len(jobs)):
        work.console.say(
            f"{processes} participant{'s' * (processes > 1)} at a time, to stay within "
            f"{settings.memory_mb} MB"
        )
    yield from run_jobs(
        process_participant,
        jobs,
        processes=min(processes, max(1, len(jobs))),
        threads=settings.omp_nthreads,
        dask_scheduler=settings.dask_scheduler,
    )


def _count(work: Work, outcome: ParticipantOutcome, tally: Tally) -> None:
    tally.computed += outcome.done
    tally.failures.extend(outcome.failures)
    for failure in outcome.failures:
        work.console.say(f"FAILED {failure}")
    work.console.detail(f"sub-{outcome.label}: {outcome.done} units in {outcome.seconds:.1f} s")
    work.console.advance()


def _record_unreadable(work: Work, label: str, message: str, tally: Tally) -> None:
    """Record a participant whose files cannot be read; whatever it had finished stays."""
    work.output.record_failure(Unit("participant", OVERVIEW, label, ""), message, None)
    write_participant_report(work.output, label, work.context)
    tally.failures.append(f"sub-{label}: {message}")
    work.console.say(f"FAILED sub-{label}: {message}")
    work.console.advance()


def _group_level(work: Work, dataset: Dataset, tally: Tally) -> None:
    work.console.begin("group analyses", len(work.loaded.options))
    for analysis in work.loaded.options:
        try:
            outcomes = list(
                run_jobs(
                    lambda name: process_group(
                        name, work.loaded, work.settings, work.plugins, work.output
                    ),
                    [analysis],
                    threads=work.settings.omp_nthreads,
                )
            )
        except UsageError as error:
            # After failures of the participant level, missing results are no usage error.
            if not tally.failures:
                raise
            outcomes = [(False, f"group, {analysis}: {error}")]
        for computed, failure in outcomes:
            tally.computed += computed and failure is None
            tally.kept += not computed
            if failure is not None:
                tally.failures.append(failure)
                work.console.say(f"FAILED {failure}")
        work.console.advance()
    if tally.computed or tally.failures or not (work.settings.output_dir / "group.html").is_file():
        write_group_report(work.output, work.context)


def _outcome(work: Work, tally: Tally) -> Outcome:
    report = _main_report(work)
    if tally.failures:
        others = f" and {len(tally.failures) - 1} more" if len(tally.failures) > 1 else ""
        return Outcome(
            1,
            f"{len(tally.failures)} failed: {tally.failures[0]}{others}; "
            f"{tally.computed} computed, {tally.kept} up to date; report: {report}",
        )
    if tally.computed == 0:
        return Outcome(0, f"done: everything was up to date ({tally.kept}); report: {report}")
    return Outcome(0, f"done: {tally.computed} computed, {tally.kept} up to date; report: {report}")


def _main_report(work: Work) -> Path:
    root = work.settings.output_dir
    group = root / "group.html"
    if "group" in work.settings.levels and group.is_file():
        return group
    pages = sorted(root.glob("sub-*.html"))
    return pages[0] if len(pages) == 1 else root


def _rewrite(work: Work) -> Outcome:
    """Write reports or the methods text anew from what is finished."""
    receipts = work.output.receipts()
    if not receipts:
        raise UsageError(f"{work.output.root} holds no results of bidsface; run it first")
    write_citations(work.output)
    if work.settings.boilerplate_only:
        return Outcome(0, f"done: methods text written to {work.output.root / 'logs'}")
    found = sorted({receipt.unit.participant for receipt in receipts if receipt.unit.participant})
    labels = _wanted(found, work.settings.participant_label)
    if "participant" in work.settings.levels:
        for label in labels:
            write_participant_report(work.output, label, work.context)
    if "group" in work.settings.levels:
        write_group_report(work.output, work.context)
    return Outcome(0, f"done: reports written anew; report: {_main_report(work)}")


def _wanted(found: Sequence[str], asked: Sequence[str]) -> Sequence[str]:
    missing = sorted(set(asked) - set(found))
    if missing:
        raise UsageError(
            f"no results of participant {', '.join(missing)}; there are: {', '.join(found)}"
        )
    return asked or found


def _dry_run(work: Work, dataset: Dataset) -> Outcome:
    """Say what would run on which files, and what it would need."""
    say, pending, readable = work.console.say, 0, []
    failures = []
    for batch in _batches(dataset.participants):
        for label, files in dataset.files(batch).items():
            if isinstance(files, BidsfaceError):
                failures.append(f"sub-{label}: {files}")
                say(f"sub-{label}: cannot be read: {files}")
                continue
            readable.append(files)
            tally = Tally()
            job = _job(work, dataset, label, files, tally)
            names = ", ".join(unit.analysis for unit in job.pending) if job else "nothing"
            pending += len(job.pending) if job else 0
            say(f"sub-{label}: would compute {names}; {tally.kept} up to date; files:")
            for path in files.inputs:
                say(f"    {dataset.uri(path)}")
    cost = study_cost(readable)
    say(
        f"estimated memory {cost.memory_mb} MB a participant in work, "
        f"disk {cost.disk_mb} MB for all"
    )
    return Outcome(
        1 if failures else 0, f"dry run: {pending} units would be computed; nothing was written"
    )
