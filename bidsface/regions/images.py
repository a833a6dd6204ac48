"""Regions of image files: masks and atlases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from bidsface.analysis import AnalysisOptions, Grid
from bidsface.entities import every_entity
from bidsface.errors import InputError
from bidsface.files import ParticipantFiles
from bidsface.regions.source import NOTHING, Earlier, Mask, RegionSource
from bidsface.volumes import read_volume, same_grid, to_grid


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
        return where_labelled(
            values, [known[x] if isinstance(x, str) else x for x in options.labels]
        )

    def files(self, label: str, options: Options) -> tuple[Path, ...]:
        """Return the image and its lookup table."""
        image = _image_path(label, options)
        return image, _lookup_path(image, options.lookup)

    def describe(self, options: Options) -> str:
        """Name the labels and the file."""
        labels = ", ".join(str(label) for label in options.labels)
        return f"{labels} in the atlas {Path(options.path).name}"


def where_labelled(values: NDArray[np.float32], indices: list[int]) -> Mask:
    """Return where an image has one of the labels."""
    return np.isin(np.rint(values).astype(np.int64), indices)


def space_named(name: str) -> str | None:
    """Return a space as grids name it: None for native."""
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
    entities = every_entity(path.name)
    named = options.space or entities.get("space") or entities.get("tpl")
    if named is None and not same_grid(values.shape, affine, grid):
        raise InputError(
            f"{path}: its grid is not that of the runs and its name says no space; "
            "give the region the option space"
        )
    if named is not None and space_named(named) != grid.space:
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
