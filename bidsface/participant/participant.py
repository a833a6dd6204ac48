"""One participant's data, read when an analysis first asks for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import BoldRun, InputTable, Region, Results, Samples, TableFilter, Voxels
from bidsface.errors import InputError, RecipeError
from bidsface.execution import map_in_threads
from bidsface.files import FoundTables, ParticipantFiles
from bidsface.participant.images import prepare_images
from bidsface.participant.preparation import PreparedRuns, prepare_runs
from bidsface.participant.series import bold_run, brain_voxels, mean_displacement, structures_at
from bidsface.participant.tables import requested_tables
from bidsface.participant.volumes import Volumes, read_volumes
from bidsface.recipe import Recipe
from bidsface.regions import Earlier, RegionSource
from bidsface.regions.masking import FoundRegions, find_regions
from bidsface.volumes import common_grid

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class LoadedParticipant:
    """The participant that analyses receive (`bidsface.analysis.Participant`).

    Nothing is read before it is asked for; then everything of its stage is read once: events,
    confounds and headers; masks; volumes. Every run is read in one pass and dropped as soon as
    all kinds of samples were taken from it.

    Parameters
    ----------
    files : ParticipantFiles
    recipe : Recipe
    sources : mapping of str to RegionSource
        Region sources that the recipe may name.
    n_threads : int
        Threads that `map` may use.
    earlier : mapping of str to StoredResults
        Group results that regions are made of; regions that want others are left out.

    Attributes
    ----------
    offered : tuple of FoundTables
        Tables that the analysis in work may ask for; set before each of them.
    """

    def __init__(
        self,
        files: ParticipantFiles,
        recipe: Recipe,
        sources: Mapping[str, RegionSource],
        n_threads: int,
        earlier: Earlier | None = None,
    ) -> None:
        self.files = files
        self.recipe = recipe
        self._sources = sources
        self._earlier = {} if earlier is None else earlier
        self._n_threads = n_threads
        self.offered: tuple[FoundTables, ...] = ()
        self._lock = threading.RLock()

    @cached_property
    def _runs(self) -> PreparedRuns:
        images = self.recipe.inputs.images is not None
        return prepare_runs(self.files, self.recipe, prepare_images if images else None)

    @cached_property
    def _found(self) -> FoundRegions:
        files = self._used_files
        return find_regions(
            files, common_grid(files.runs), self.recipe, self._sources, self._earlier
        )

    @cached_property
    def _brain(self) -> Voxels:
        return brain_voxels(self._used_files.runs)

    @property
    def _used_files(self) -> ParticipantFiles:
        return replace(self.files, runs=tuple(run.run for run in self.runs.used))

    @cached_property
    def _volumes(self) -> Volumes:
        return read_volumes(self.runs, self.found.voxels, self.recipe)

    @property
    def runs(self) -> PreparedRuns:
        """Runs that are used or left out."""
        with self._lock:
            return self._runs

    @property
    def found(self) -> FoundRegions:
        """Regions and what is to be said about them."""
        with self._lock:
            return self._found

    @property
    def volumes(self) -> Volumes:
        """What was taken from the volumes."""
        with self._lock:
            return self._volumes

    @property
    def label(self) -> str:
        """Participant label without ``sub-``."""
        return self.files.label

    @property
    def tasks(self) -> Sequence[str]:
        """Tasks with usable runs."""
        return self.runs.tasks

    @property
    def voxels(self) -> Voxels:
        """Union of the regions; columns of every ``Samples.X``.

        Raises
        ------
        InputError
            If the recipe has regions and the participant none of them.
        """
        self._require_regions()
        return self.found.voxels

    @property
    def regions(self) -> Mapping[str, Region]:
        """Regions of the recipe that this participant has, in recipe order."""
        return self.found.regions

    @property
    def brain(self) -> Voxels:
        """Voxels in the brain masks of all used runs (of the whole grid where there is no mask)."""
        with self._lock:
            return self._brain

    @property
    def structures(self) -> NDArray[np.int32] | None:
        """FreeSurfer's index of every voxel of ``brain``; None without ``aparcaseg``."""
        return structures_at(self._used_files.runs, self.brain)

    def bold_runs(self, task: str) -> Sequence[BoldRun]:
        """Return the used runs of a task, for models of the time series.

        Raises
        ------
        RecipeError
            If the data are images that exist already.
        InputError
            If no run of the task can be used.
        """
        if self.recipe.inputs.images is not None:
            raise RecipeError("inputs.images: single images are no time series of BOLD runs")
        self._require(task)
        return [bold_run(run, self.brain) for run in self.runs.of_task(task)]

    def mean_displacement(self, task: str) -> float:
        """Return the mean framewise displacement (mm) of a task's used runs; NaN if not known."""
        return mean_displacement(self.runs.of_task(task))

    @property
    def sample_names(self) -> Sequence[str]:
        """Names of the kinds of samples in the recipe."""
        return tuple(self.recipe.samples)

    @property
    def background(self) -> NDArray[np.float32]:
        """Mean functional image over the runs, of shape ``voxels.grid.shape``."""
        return self.volumes.background

    def samples(self, name: str, task: str) -> Samples:
        """Return one kind of samples of a task.

        Raises
        ------
        RecipeError
            If the recipe has no such kind.
        InputError
            If no run of the task can be used, or the participant has no region.
        """
        if name not in self.recipe.samples:
            raise RecipeError(f"no samples {name}; the recipe has {', '.join(self.recipe.samples)}")
        self._require(task)
        self._require_regions()
        return self.volumes.samples[name, task]

    def tables(
        self, suffix: str, dataset: str | None = None, **entities: str
    ) -> Sequence[InputTable]:
        """Return tables of this participant, read when their ``frame`` is asked for.

        Raises
        ------
        RecipeError
            If there is no such entity.
        PluginError
            If the analysis's ``tables_used`` does not name them.
        """
        asked = TableFilter(suffix, dataset, entities)
        return requested_tables(self.offered, asked, self.label)

    def _require(self, task: str) -> None:
        """Raise InputError, with the reasons, if no run of a task can be used."""
        if task in self.tasks:
            return
        excluded = [run for run in self.runs.excluded if run.run.entities["task"] == task]
        reasons = "; ".join(f"{run.run.block}: {run.reason}" for run in excluded)
        raise InputError(
            f"sub-{self.label}: no run of task {task} can be used "
            f"({reasons or 'tasks are ' + ', '.join(self.tasks)})"
        )

    def select_regions(self, names: Sequence[str], *, optional: bool = False) -> Sequence[Region]:
        """Return regions by name or by the name of a region set; an empty list means all.

        Optional regions that this participant lacks are passed over.

        Parameters
        ----------
        names : sequence of str
        optional : bool
            Whether there may be none.

        Raises
        ------
        RecipeError
            If the recipe has no such region or set, or no regions at all, unless ``optional``.
        InputError
            If the participant has none of them, unless ``optional``.
        """
        sets = self.recipe.region_sets
        wanted = [region for name in names for region in sets.get(name, (name,))]
        unknown = [name for name in wanted if name not in self.recipe.regions]
        if unknown:
            raise RecipeError(
                f"no region {', '.join(unknown)}; the recipe has "
                f"{', '.join((*self.recipe.regions, *sets))}"
            )
        if not self.recipe.regions and not optional:
            raise RecipeError("regions: the recipe names none, and this analysis works in regions")
        regions = self.regions
        selected = [regions[name] for name in dict.fromkeys(wanted or regions) if name in regions]
        if not selected and not optional:
            self._refuse_no_region(wanted)
        return selected

    def _require_regions(self) -> None:
        """Raise InputError if the recipe has regions and this participant none of them."""
        if self.recipe.regions and not self.regions:
            self._refuse_no_region(())

    def _refuse_no_region(self, wanted: Sequence[str]) -> NoReturn:
        notes = "; ".join(self.found.notes)
        raise InputError(
            f"sub-{self.label}: has none of the regions {', '.join(wanted or self.recipe.regions)}"
            f"{f' ({notes})' if notes else ''}"
        )

    def map(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Sequence[Outcome]:
        """Apply a function to items on this participant's threads; results keep their order."""
        return map_in_threads(function, items, self._n_threads)

    def overview(self) -> Results:
        """Return what was read, cleaned and left out, as the host's own unit ``data``."""
        from bidsface.participant.overview import describe_participant

        return describe_participant(self)
