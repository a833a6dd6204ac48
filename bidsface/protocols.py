"""What an analysis may ask for: the data of one participant, and work on several processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bidsface.geometry import Region, Voxels
from bidsface.measurements import BoldRun, InputTable, Samples

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Mapper(Protocol):
    """What ``map`` does: it applies a function to items, on some number of processors."""

    def __call__(
        self, function: Callable[[Item], Outcome], items: Iterable[Item], /
    ) -> Sequence[Outcome]:
        """Return the outcomes in the order of the items."""


class Participant(Protocol):
    """One participant's data, read when first asked for."""

    @property
    def label(self) -> str:
        """Participant label without ``sub-``."""

    @property
    def tasks(self) -> Sequence[str]:
        """Tasks with usable runs."""

    @property
    def voxels(self) -> Voxels:
        """Union of the regions; columns of every ``Samples.X``."""

    @property
    def regions(self) -> Mapping[str, Region]:
        """Regions of the recipe that this participant has, in recipe order."""

    @property
    def sample_names(self) -> Sequence[str]:
        """Names of the kinds of samples in the recipe."""

    @property
    def background(self) -> NDArray[np.float32]:
        """Mean functional image on ``voxels.grid``, to draw maps on; read when first asked for."""

    @property
    def brain(self) -> Voxels:
        """Voxels in the brain masks of all used runs (of the whole grid where there is no mask)."""

    @property
    def structures(self) -> NDArray[np.int32] | None:
        """FreeSurfer's index of every voxel of ``brain``; None without ``aparcaseg``."""

    def bold_runs(self, task: str) -> Sequence[BoldRun]:
        """Return the used runs of a task; raises InputError if the task has none."""

    def mean_displacement(self, task: str) -> float:
        """Return the mean framewise displacement (mm) of a task's used runs; NaN if not known."""

    def samples(self, name: str, task: str) -> Samples:
        """Return one kind of samples of a task; raises InputError if the task has none."""

    def tables(
        self, suffix: str, dataset: str | None = None, **entities: str
    ) -> Sequence[InputTable]:
        """Return tables of this participant, such as ``beh`` files, by session, task and run.

        Parameters are those of `TableFilter`. What is asked for must be among what the analysis's
        ``tables_used`` names, else this raises PluginError; where there is none, none is returned.
        """

    def select_regions(self, names: Sequence[str], *, optional: bool = False) -> Sequence[Region]:
        """Return regions by name or by the name of a region set; an empty list means all.

        Where the recipe has no regions this raises RecipeError, and where this participant has none
        of those that are wanted InputError; with ``optional`` there may be none.
        """

    def map(self, function: Callable[[Item], Outcome], items: Iterable[Item]) -> Sequence[Outcome]:
        """Apply a function to items, such as regions, on this participant's share of processors."""
