"""One participant's work: read, compute and write each pending unit, then the report."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bidsface.analyses import build_analysis
from bidsface.analysis import Results
from bidsface.derivatives import OutputFolder, Provenance, Unit
from bidsface.errors import BidsfaceError, PluginError
from bidsface.execution import worker_name
from bidsface.participant import LoadedParticipant
from bidsface.planning import Plan, Stage, unit_options
from bidsface.plugins import Plugins, load_plugins
from bidsface.recipe import OVERVIEW
from bidsface.recipe_loading import LoadedRecipe
from bidsface.report import ReportContext, write_participant_report
from bidsface.settings import Settings
from bidsface.versions import software_versions


@dataclass(frozen=True)
class ParticipantJob:
    """What a worker needs to process one participant; it travels to other processes.

    Attributes
    ----------
    settings : Settings
    loaded : LoadedRecipe
    context : ReportContext
    plan : Plan
        Files, and what is left to do.
    stage : Stage
        Which group results there are.
    threads : int
        Threads for the regions of this participant.
    """

    settings: Settings
    loaded: LoadedRecipe
    context: ReportContext
    plan: Plan
    stage: Stage
    threads: int


@dataclass(frozen=True)
class ParticipantOutcome:
    """How one participant ended; ``failures`` holds one message per failed unit."""

    label: str
    done: int
    failures: tuple[str, ...]
    seconds: float


def process_participant(job: ParticipantJob) -> ParticipantOutcome:
    """Run the pending units of one participant; whatever goes wrong never stops the others."""
    label, started = job.plan.files.label, time.monotonic()
    done, failures = 0, []
    try:
        plugins, output = load_plugins(), OutputFolder(job.settings.output_dir)
        participant = LoadedParticipant(
            job.plan.files,
            job.loaded.recipe,
            plugins.regions,
            job.threads,
            output.group_results(job.stage.finished),
        )
        for position, unit in enumerate(job.plan.pending, start=1):
            message = _process_unit(unit, participant, job, plugins, output)
            done += message is None
            if message is not None:
                failures.append(message)
                if unit.analysis == OVERVIEW:
                    _give_up(job.plan.pending[position:], output)
                    break
        write_participant_report(output, label, job.context)
    except Exception as error:  # a full disk, say: not even the failure could be recorded
        failures.append(f"sub-{label}: {type(error).__name__}: {error}")
    return ParticipantOutcome(label, done, tuple(failures), time.monotonic() - started)


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
    settings = job.settings
    participant.offered = job.plan.tables[analysis].found
    instance = build_analysis(
        analysis,
        job.loaded,
        plugins,
        settings.random_seed,
        device=settings.device,
        mapper=participant.map,
        bids_dir=settings.bids_dir,
    )
    results = instance.participant(participant, job.loaded.options[analysis])
    return checked_results(results, analysis)


def checked_results(results: Any, analysis: str) -> Results:
    """Return what an analysis returned, if it is `Results`.

    Raises
    ------
    PluginError
        If it is something else.
    """
    if not isinstance(results, Results):
        raise PluginError(
            f"analysis {analysis} returned {type(results).__name__} instead of Results"
        )
    return results


def _provenance(unit: Unit, job: ParticipantJob, plugins: Plugins, started: float) -> Provenance:
    return Provenance(
        sources=tuple(job.plan.inputs_of(unit.analysis)),
        inputs=job.plan.inputs_of(unit.analysis),
        options=unit_options(job.loaded, unit.analysis, job.settings),
        seed=job.settings.random_seed,
        versions=software_versions(plugins),
        worker=worker_name(),
        started=started,
    )
