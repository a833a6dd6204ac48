"""The base class of region sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import AnalysisOptions, Grid, StoredResults
from bidsface.files import ParticipantFiles

Mask = NDArray[np.bool_]
Earlier = Mapping[str, StoredResults]
NOTHING: Earlier = MappingProxyType({})


class RegionSource(ABC):
    """A way to make regions; recipes name it as ``source``."""

    Options: ClassVar[type[AnalysisOptions]]
    """Options that a recipe may set for a region of this source."""

    def requires(self, options: Any) -> tuple[str, ...]:
        """Return the analyses of the recipe whose group level has to be finished first."""
        return ()

    @abstractmethod
    def masks(
        self, files: ParticipantFiles, grid: Grid, options: Any, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return the voxels of a region.

        Parameters
        ----------
        files : ParticipantFiles
            Files of one participant, with the runs that are used.
        grid : Grid
            Grid of those runs.
        options : Options
        earlier : mapping of str to StoredResults
            Group results of the analyses that the region ``requires``, by their names in the
            recipe.

        Returns
        -------
        mask : ndarray of ``grid.shape``, bool
            May reach beyond the brain, which the host then cuts off.

        Raises
        ------
        InputError
            If the files for it are missing or do not fit.
        """

    def files(self, label: str, options: Any) -> tuple[Path, ...]:
        """Return files, beside the participant's own, that make the region of a participant.

        A change of theirs means that results have to be computed again.
        """
        return ()

    def describe(self, options: Any) -> str:
        """Say where the region comes from, in a few words for the methods section."""
        given = ", ".join(f"{key} {value}" for key, value in options.model_dump().items())
        return f"{type(self).__name__} ({given})" if given else type(self).__name__
