"""From results to files: the name, the bytes and the sidecar of each."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import (
    Column,
    Figure,
    Map,
    Matrix,
    Model,
    Parcellation,
    Region,
    Results,
    Table,
    View,
    Voxels,
)
from bidsface.derivatives import maps, tables
from bidsface.derivatives.names import TABLE_SUFFIXES, check_label, file_path
from bidsface.derivatives.units import Provenance, Unit
from bidsface.errors import BidsfaceError

ROW = "row_name"
"""Column of a matrix file that names its rows."""


@dataclass(frozen=True, eq=False)
class Artifact:
    """A file to write: its name, how to make its bytes, and its sidecar (None for none).

    ``encode`` returns the bytes, or yields them piece by piece.
    """

    path: PurePosixPath
    kind: str
    suffix: str
    encode: Callable[[], bytes | Iterator[bytes]]
    entities: Mapping[str, str]
    title: str
    caption: str
    sidecar: Mapping[str, Any] | None
    formats: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()

    def pieces(self) -> Iterable[bytes]:
        """Return the bytes of the file in order."""
        content = self.encode()
        return [content] if isinstance(content, bytes) else content


@dataclass(frozen=True, eq=False)
class Description:
    """Makes the artifacts of one unit."""

    unit: Unit
    provenance: Provenance

    def artifacts(self, results: Results) -> Iterator[Artifact]:
        """Yield an artifact for every file of ``results``.

        Raises
        ------
        BidsfaceError
            If a label, a column, a suffix or a value cannot be written as BIDS wants it.
        """
        for item in results.maps:
            yield self._map(item)
        for parcellation in results.parcellations:
            for region in parcellation.regions:
                yield self._mask(parcellation, region)
        makers: tuple[tuple[Any, Any], ...] = (
            (results.tables, self._table),
            (results.matrices, self._matrix),
            (results.models, self._model),
            (results.figures, self._figure),
            (results.views, self._view),
        )
        for items, make in makers:
            yield from map(make, items)

    def _map(self, item: Map) -> Artifact:
        entities = self._entities(item.entities, item.voxels) | {"stat": item.stat}
        extra: dict[str, Any] = {"SkullStripped": True, **self._space(item.voxels)}
        if item.units is not None:
            extra["Units"] = item.units
        if item.volumes:
            extra["Volumes"] = list(item.volumes)
        missing = maps.count_missing(item)
        if missing:
            extra["VoxelsWithoutValue"] = missing
        return Artifact(
            file_path(entities, "statmap", ".nii.gz", "func"),
            kind="map",
            suffix="statmap",
            encode=lambda: maps.map_file(item),
            entities=entities,
            title=f"Map of {item.stat}",
            caption=item.description,
            sidecar=self._sidecar(item.description, extra),
            volumes=tuple(item.volumes),
        )

    def _mask(self, parcellation: Parcellation, region: Region) -> Artifact:
        check_label(region.name, "the name of a region")
        entities = self._entities({"label": region.name}, parcellation.voxels)
        extra = {"Type": "ROI", **self._space(parcellation.voxels)}
        return Artifact(
            # A mask in func/ must have a task in its name, and a region spans tasks.
            file_path(entities, "mask", ".nii.gz", "anat"),
            kind="mask",
            suffix="mask",
            encode=lambda: maps.mask_file(parcellation.voxels, region),
            entities=entities,
            title=f"Region {region.name}",
            caption=region.description,
            sidecar=self._sidecar(region.description, extra),
        )

    def _table(self, item: Table) -> Artifact:
        if item.suffix not in TABLE_SUFFIXES:
            raise BidsfaceError(
                f"a table of analysis {self.unit.analysis} has suffix {item.suffix!r}; "
                f"suffixes are {', '.join(TABLE_SUFFIXES)}"
            )
        tables.check_columns(item.frame, item.columns, f"a table of {self.unit.analysis}")
        return self._tabular("table", item.suffix, item.frame, item.columns, item)

    def _matrix(self, item: Matrix) -> Artifact:
        frame = item.frame.rename(columns=str).reset_index(names=ROW)
        frame[ROW] = frame[ROW].map(str)
        columns = {ROW: Column("Name of the row")} | {
            str(name): Column(f"Value in column {name}") for name in item.frame.columns
        }
        return self._tabular("matrix", "relmat", frame, columns, item)

    def _tabular(
        self,
        kind: str,
        suffix: str,
        frame: pd.DataFrame,
        columns: Mapping[str, Column],
        item: Table | Matrix,
    ) -> Artifact:
        entities = self._entities(item.entities)
        return Artifact(
            file_path(entities, suffix, ".tsv", "func"),
            kind=kind,
            suffix=suffix,
            encode=lambda: tables.encode_table(frame),
            entities=entities,
            title=suffix.capitalize() if kind == "table" else "Matrix",
            caption=item.description,
            sidecar=self._sidecar(item.description, tables.described(frame, columns)),
            formats=tables.column_formats(frame),
        )

    def _model(self, item: Model) -> Artifact:
        entities = self._entities(item.entities)
        arrays = {name: np.asarray(array) for name, array in item.arrays.items()}
        objects = [name for name, array in arrays.items() if array.dtype.hasobject]
        if objects:
            raise BidsfaceError(
                f"a model of analysis {self.unit.analysis} holds Python objects in "
                f"{', '.join(objects)}; only arrays of numbers and texts can be written"
            )
        return Artifact(
            file_path(entities, "model", ".npz", "func"),
            kind="model",
            suffix="model",
            encode=lambda: _npz(arrays),
            entities=entities,
            title="Model",
            caption=item.description,
            sidecar=self._sidecar(item.description, {"Model": dict(item.info)}),
        )

    def _figure(self, item: Figure) -> Artifact:
        from bidsface.figures import render_svg

        check_label(item.name, "the name of a figure")
        if not hasattr(item.draw, "savefig"):
            raise BidsfaceError(
                f"figure {item.name} of analysis {self.unit.analysis} must be a matplotlib Figure, "
                f"found {type(item.draw).__name__}"
            )
        entities = self._entities(item.entities)
        return Artifact(
            file_path(entities, item.name, ".svg", "figures"),
            kind="figure",
            suffix=item.name,
            encode=lambda: render_svg(item.draw),
            entities=entities,
            title=item.title,
            caption=item.caption,
            sidecar=None,
        )

    def _view(self, item: View) -> Artifact:
        check_label(item.name, "the name of a view")
        entities = self._entities(item.entities)
        return Artifact(
            file_path(entities, item.name, ".html", "figures"),
            kind="view",
            suffix=item.name,
            encode=item.html.encode,
            entities=entities,
            title=item.title,
            caption=item.caption,
            sidecar=None,
        )

    def _entities(self, given: Mapping[str, str], voxels: Voxels | None = None) -> dict[str, str]:
        taken = sorted({"sub", "desc", "stat"} & set(given))
        if taken:
            raise BidsfaceError(
                f"a result of analysis {self.unit.analysis} sets the entities "
                f"{', '.join(taken)}, which the writer sets itself"
            )
        entities = dict(given) | {"desc": self.unit.analysis}
        if self.unit.participant is not None:
            entities["sub"] = self.unit.participant
        if voxels is not None:
            where = {"space": voxels.grid.space, "res": voxels.grid.resolution}
            entities |= {key: value for key, value in where.items() if value is not None}
        return entities

    def _space(self, voxels: Voxels) -> dict[str, Any]:
        """Return what BIDS wants to know of a space: its reference and resolution."""
        grid = voxels.grid
        sizes = " x ".join(f"{size:.3g}" for size in np.linalg.norm(grid.affine[:3, :3], axis=0))
        found: dict[str, Any] = {"SpatialReference": self._reference(grid.space)}
        if grid.resolution is not None:
            found["Resolution"] = f"{sizes} mm voxels"
        return found

    def _reference(self, space: str | None) -> str:
        """Return the first run that was read in the space: its grid is that of the results."""
        runs = (
            source
            for source in self.provenance.sources
            if source.endswith(("_bold.nii.gz", "_bold.nii")) and _space_of(source) == space
        )
        return next(runs, space or "orig")

    def _sidecar(self, description: str, extra: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "Description": description,
            "Sources": list(self.provenance.sources),
            **extra,
            "Options": dict(self.provenance.options),
            "RandomSeed": self.provenance.seed,
            "Software": dict(self.provenance.versions),
        }


def sidecar_bytes(content: Mapping[str, Any], path: PurePosixPath) -> bytes:
    """Return a sidecar as JSON; raises BidsfaceError on values that JSON does not have."""
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise BidsfaceError(f"the sidecar of {path.name} cannot be written: {error}") from error
    return f"{text}\n".encode()


def _space_of(name: str) -> str | None:
    found = re.search(r"_space-([0-9a-zA-Z]+)_", name)
    return found[1] if found else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
