"""What every step of a run needs to know, and what has happened so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bidsface.console import Console
from bidsface.dataset import Dataset
from bidsface.derivatives import OutputFolder
from bidsface.errors import InputError
from bidsface.planning import Plan, Stage, plan_participant
from bidsface.plugins import Plugins
from bidsface.recipe_loading import LoadedRecipe
from bidsface.report import ReportContext
from bidsface.settings import Settings


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

    def fail(self, tally: Tally, message: str) -> None:
        """Count a failure and say so."""
        tally.failures.append(message)
        self.console.say(f"FAILED {message}")


def batches(labels: Sequence[str], settings: Settings) -> Iterator[Sequence[str]]:
    """Yield participants whose files are looked up in one pybids index.

    An index of a batch costs about as much as four participants' files; one of a thousand would
    take minutes. Workers wait for the end of a batch, so there are several jobs for each.
    """
    size = 512 if settings.dask_scheduler is not None else max(32, 4 * settings.nprocs)
    for start in range(0, len(labels), size):
        yield labels[start : start + size]


def main_report(work: Work) -> Path:
    """Return the page to look at first."""
    root = work.settings.output_dir
    group = root / "group.html"
    if "group" in work.settings.levels and group.is_file():
        return group
    pages = sorted(root.glob("sub-*.html"))
    return pages[0] if len(pages) == 1 else root


def plans(
    work: Work, dataset: Dataset, batch: Sequence[str], stage: Stage
) -> Iterator[tuple[str, Plan | InputError]]:
    """Yield what a stage has left to do for each participant, or why it cannot be read."""
    for label, files in dataset.files(batch).items():
        if isinstance(files, InputError):
            yield label, files
            continue
        try:
            yield (
                label,
                plan_participant(
                    files, dataset, work.loaded, work.plugins, work.settings, work.output, stage
                ),
            )
        except InputError as error:
            yield label, error
