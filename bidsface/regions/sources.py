"""Region sources: how files and options become the mask of a region."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bidsface.analysis import AnalysisOptions, Grid, StoredResults
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles
from bidsface.regions.freesurfer import label_indices
from bidsface.volumes import common_brain, read_volume, same_grid, to_grid

Mask = NDArray[np.bool_]
Earlier = Mapping[str, StoredResults]
NOTHING: Earlier = MappingProxyType({})
Millimetres = tuple[float, float, float]


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
        return "intersection of fMRIPrep's brain masks over runs"


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
        return _where(to_grid(*read_volume(path), grid, "nearest"), indices)

    def describe(self, options: Options) -> str:
        """Name the labels."""
        labels = ", ".join(str(label) for label in options.labels)
        return f"{labels} in FreeSurfer's {options.image} segmentation"


class FileOptions(AnalysisOptions):
    """Options of an image file."""

    path: str
    """Image in the space of the data; `{participant}` stands for the participant's label."""
    space: str | None = None
    """Space of the image, `native` for the participant's own; unset: the `space-` (or `tpl-`)
    entity of its name.
    """


class MaskFile(RegionSource):
    """Voxels of a mask image."""

    Options = FileOptions

    def masks(
        self, files: ParticipantFiles, grid: Grid, options: FileOptions, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return where the image is not 0."""
        return _image_in_space(files, grid, options)[1] != 0

    def files(self, label: str, options: FileOptions) -> tuple[Path, ...]:
        """Return the image."""
        return (_image_path(label, options),)

    def describe(self, options: FileOptions) -> str:
        """Name the file."""
        return f"mask image {Path(options.path).name}"


class Atlas(RegionSource):
    """Labels of an atlas image."""

    class Options(FileOptions):
        """Options of an atlas."""

        labels: Annotated[tuple[int | str, ...], Field(min_length=1)]
        """Indices, or names that the lookup table knows."""
        lookup: str | None = None
        """Table (.tsv) with columns `index` and `name`; unset: the file beside the image that has
        its name and ends in `.tsv`.
        """

    def masks(
        self, files: ParticipantFiles, grid: Grid, options: Options, earlier: Earlier = NOTHING
    ) -> Mask:
        """Return the labels' voxels."""
        path, values = _image_in_space(files, grid, options)
        names = [label for label in options.labels if isinstance(label, str)]
        known = _lookup(path, options.lookup) if names else {}
        missing = [name for name in names if name not in known]
        if missing:
            raise InputError(
                f"{path}: its lookup table has no label {', '.join(missing)}; "
                f"it has {', '.join(known)}"
            )
        return _where(values, [known[x] if isinstance(x, str) else x for x in options.labels])

    def files(self, label: str, options: Options) -> tuple[Path, ...]:
        """Return the image and its lookup table."""
        image = _image_path(label, options)
        return image, _lookup_path(image, options.lookup)

    def describe(self, options: Options) -> str:
        """Name the labels and the file."""
        labels = ", ".join(str(label) for label in options.labels)
        return f"{labels} in the atlas {Path(options.path).name}"


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
        if options.space is not None and _space(options.space) != grid.space:
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


def _where(values: NDArray[np.float32], indices: list[int]) -> Mask:
    return np.isin(np.rint(values).astype(np.int64), indices)


def _space(name: str) -> str | None:
    return None if name == "native" else name


def _image_path(label: str, options: FileOptions) -> Path:
    return Path(options.path.replace("{participant}", label)).expanduser()


def _lookup_path(image: Path, given: str | None) -> Path:
    return Path(given).expanduser() if given else image.with_name(image.name.split(".")[0] + ".tsv")


def _image_in_space(
    files: ParticipantFiles, grid: Grid, options: FileOptions
) -> tuple[Path, NDArray[np.float32]]:
    """Read an image and bring it to the grid, unless its space is another one or unknown."""
    path = _image_path(files.label, options)
    if not path.is_file():
        raise InputError(f"{path}: no such file (a region of the recipe asks for it)")
    values, affine = read_volume(path)
    entities = dict(part.split("-", 1) for part in path.name.split("_") if "-" in part)
    named = options.space or entities.get("space") or entities.get("tpl")
    if named is None and not same_grid(values.shape, affine, grid):
        raise InputError(
            f"{path}: its grid is not that of the runs and its name says no space; "
            "give the region the option space"
        )
    if named is not None and _space(named) != grid.space:
        raise InputError(
            f"{path}: is in space {named}, but the runs are in {grid.space or 'native'}"
        )
    return path, to_grid(values, affine, grid, "nearest")


def _lookup(image: Path, given: str | None) -> dict[str, int]:
    """Return index by name from a BIDS table of labels."""
    path = _lookup_path(image, given)
    try:
        table = pd.read_csv(path, sep="\t", dtype={"name": str}, keep_default_na=False)
        return dict(zip(table["name"], table["index"].astype(int), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as a lookup table with columns index and name, which the "
            f"labels of {image} need"
        ) from error
