"""One participant's work: read, compute and write each pending unit, then the report."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bidsface.analysis import Results
from bidsface.derivatives import OutputFolder, Provenance, Unit
from bidsface.errors import BidsfaceError
from bidsface.execution import worker_name
from bidsface.files import ParticipantFiles
from bidsface.participant import LoadedParticipant
from bidsface.planning import OVERVIEW, build_analysis, software_versions, unit_options
from bidsface.plugins import Plugins, load_plugins
from bidsface.recipe_loading import LoadedRecipe
from bidsface.report import ReportContext, write_participant_report
from bidsface.settings import Settings


@dataclass(frozen=True)
class ParticipantJob:
    """What a worker needs to process one participant; it travels to other processes.

    Attributes
    ----------
    pending : tuple of Unit
        Units that are not up to date, in recipe order, the host's own first.
    inputs : mapping of str to str
        BIDS URI and state of every file that is read.
    threads : int
        Threads for the regions of this participant.
    """

    settings: Settings
    loaded: LoadedRecipe
    context: ReportContext
    files: ParticipantFiles
    pending: tuple[Unit, ...]
    inputs: Mapping[str, str]
    threads: int


@dataclass(frozen=True)
class ParticipantOutcome:
    """How one participant ended; ``failures`` holds one message per failed unit."""

    label: str
    done: int
    failures: tuple[str, ...]
    seconds: float


def process_participant(job: ParticipantJob) -> ParticipantOutcome:
    """Run the pending units of one participant; errors become receipts and never stop others."""
    started = time.monotonic()
    plugins = load_plugins()
    output = OutputFolder(job.settings.output_dir)
    participant = LoadedParticipant(job.files, job.loaded.recipe, plugins.regions, job.threads)
    failures: list[str] = []
    for unit in job.pending:
        message = _process_unit(unit, participant, job, plugins, output)
        if message is not None:
            failures.append(message)
            if unit.analysis == OVERVIEW:
                _give_up(job.pending[1:], output)
                break
    write_participant_report(output, job.files.label, job.context)
    done = len(job.pending) - len(failures)
    return ParticipantOutcome(job.files.label, done, tuple(failures), time.monotonic() - started)


def _give_up(units: Sequence[Unit], output: OutputFolder) -> None:
    """Record that nothing could be computed, so that older results do not pass for current ones."""
    for unit in units:
        output.record_failure(unit, "not run, for the data could not be read", None)


def _process_unit(
    unit: Unit,
    participant: LoadedParticipant,
    job: ParticipantJob,
    plugins: Plugins,
    output: OutputFolder,
) -> str | None:
    """Compute and write one unit; return why it failed, if it did."""
    try:
        started = time.time()
        results = _compute(unit.analysis, participant, job, plugins)
        output.write(unit, results, _provenance(unit, job, plugins, started))
    except BidsfaceError as error:
        output.record_failure(unit, str(error), None)
        return f"sub-{unit.participant}, {unit.analysis}: {error}"
    except Exception as error:  # a defect must not stop the other participants
        message = f"unexpected {type(error).__name__}: {error}"
        output.record_failure(unit, message, traceback.format_exc())
        return f"sub-{unit.participant}, {unit.analysis}: {message} (see logs/)"
    return None


def _compute(
    analysis: str, participant: LoadedParticipant, job: ParticipantJob, plugins: Plugins
) -> Results:
    if analysis == OVERVIEW:
        return participant.overview()
    instance = build_analysis(analysis, job.loaded, plugins, job.settings.random_seed)
    return instance.participant(participant, job.loaded.options[analysis])


def _provenance(unit: Unit, job: ParticipantJob, plugins: Plugins, started: float) -> Provenance:
    return Provenance(
        sources=tuple(job.inputs),
        inputs=dict(job.inputs),
        options=unit_options(job.loaded, unit.analysis),
        seed=job.settings.random_seed,
        versions=software_versions(plugins),
        worker=worker_name(),
        started=started,
    )
