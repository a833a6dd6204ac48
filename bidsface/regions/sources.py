"""Region sources: how files and options become the mask of a region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from bidsface.analysis import AnalysisOptions, Grid
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles
from bidsface.regions.freesurfer import label_indices
from bidsface.regions.images import Atlas, MaskFile, space_named, where_labelled
from bidsface.regions.source import NOTHING, Earlier, Mask, RegionSource
from bidsface.volumes import common_brain, read_volume, to_grid

Millimetres = tuple[float, float, float]


class BrainMask(RegionSource):
    """Voxels that lie in the brain mask of every run."""

    class Options(AnalysisOptions):
        """No options."""

    def masks(
        self, files: ParticipantFiles, grid: Grid, options: Options, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return the intersection of the runs' brain masks."""
        mask = common_brain(files.runs, grid)
        if mask is None:
            raise InputError(f"sub-{files.label}: no run has a brain mask (desc-brain_mask)")
        return mask

    def describe(self, options: Options) -> str:
        """Name the brain mask."""
        return "intersection of the brain masks of the runs"


class GreyMatter(RegionSource):
    """Voxels that are probably grey matter."""

    class Options(AnalysisOptions):
        """Options of grey matter."""

        threshold: float = Field(0.5, ge=0, le=1)
        """Smallest probability."""

    def masks(
        self, files: ParticipantFiles, grid: Grid, options: Options, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return where the probability, interpolated to the grid, reaches the threshold."""
        if files.grey_matter is None:
            raise InputError(
                f"sub-{files.label}: no grey-matter probability map (label-GM_probseg) in the "
                f"space of the runs ({grid.space or 'native'})"
            )
        return to_grid(*read_volume(files.grey_matter), grid, "continuous") >= options.threshold

    def describe(self, options: Options) -> str:
        """Name the threshold."""
        return f"fMRIPrep's grey-matter probability of at least {options.threshold:g}"


class Segmentation(RegionSource):
    """Labels of FreeSurfer's segmentation, as fMRIPrep resampled it to the runs."""

    class Options(AnalysisOptions):
        """Options of a segmentation."""

        image: Literal["aparcaseg", "aseg"] = "aparcaseg"
        """Which segmentation."""
        labels: Annotated[tuple[int | str, ...], Field(min_length=1)]
        """FreeSurfer names (`ctx-lh-postcentral`, `Left-Amygdala`), names without a side for both
        hemispheres (`postcentral`, `amygdala`), or indices.
        """

        @model_validator(mode="after")
        def _labels_exist(self) -> Segmentation.Options:
            for label in self.labels:
                label_indices(self.image, label)
            return self

    def masks(
        self, files: ParticipantFiles, grid: Grid, options: Options, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return the labels' voxels in the first run that has the segmentation.

        The segmentations of all runs are one anatomical image on one grid.
        """
        paths = [run.segmentations.get(options.image) for run in files.runs]
        path = next((path for path in paths if path is not None), None)
        if path is None:
            raise InputError(
                f"sub-{files.label}: no run has a segmentation (desc-{options.image}_dseg)"
            )
        indices = [i for label in options.labels for i in label_indices(options.image, label)]
        return where_labelled(to_grid(*read_volume(path), grid, "nearest"), indices)

    def describe(self, options: Options) -> str:
        """Name the labels."""
        labels = ", ".join(str(label) for label in options.labels)
        return f"{labels} in FreeSurfer's {options.image} segmentation"


class Spheres(RegionSource):
    """Voxels whose centres lie within a distance of coordinates."""

    class Options(AnalysisOptions):
        """Options of spheres."""

        coordinates: Annotated[tuple[Millimetres, ...], Field(min_length=1)]
        """Centres (mm) in the space of the data."""
        radius: float = Field(gt=0)
        """mm."""
        space: str | None = None
        """Space of the coordinates; unset: whatever the data are in."""

    def masks(
        self, files: ParticipantFiles, grid: Grid, options: Options, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return the voxels around all centres."""
        if options.space is not None and space_named(options.space) != grid.space:
            raise InputError(
                f"sub-{files.label}: the coordinates are in space {options.space}, the runs in "
                f"{grid.space or 'native'}"
            )
        voxels = np.indices(grid.shape).reshape(3, -1)
        centres = grid.affine[:3, :3] @ voxels + grid.affine[:3, 3:]
        inside = np.zeros(centres.shape[1], bool)
        for coordinate in options.coordinates:
            distance = np.linalg.norm(centres - np.array(coordinate)[:, None], axis=0)
            inside |= distance <= options.radius + 1e-6
        return inside.reshape(grid.shape)

    def describe(self, options: Options) -> str:
        """Name centres and radius."""
        points = "; ".join(
            f"({', '.join(f'{x:g}' for x in point)})" for point in options.coordinates
        )
        return f"spheres of {options.radius:g} mm around {points} mm"


HOST_SOURCES: Mapping[str, RegionSource] = {
    "brain-mask": BrainMask(),
    "grey-matter": GreyMatter(),
    "segmentation": Segmentation(),
    "mask": MaskFile(),
    "atlas": Atlas(),
    "spheres": Spheres(),
}
