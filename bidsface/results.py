"""What an analysis returns, in memory, and what the group level gets back of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.errors import PluginError
from bidsface.geometry import Grid, Region, Voxels

Entities = Mapping[str, str]


@dataclass(frozen=True)
class Column:
    """Description of one column of a table, as it stands in the JSON sidecar."""

    description: str
    units: str | None = None
    levels: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Map:
    """A statistical map over voxels.

    Attributes
    ----------
    stat : str
        Value of the ``stat-`` entity: effect, variance, t, z, p, accuracy, weight, pattern, ...
    values : ndarray of shape (n_voxels,) or (n_voxels, n_volumes)
    voxels : Voxels
        Where the values lie; everywhere else the image is 0.
    entities : mapping
        Further entities, such as ``task``, ``ses``, ``label`` and ``contrast``.
    description : str
    volumes : sequence of str
        Names of the volumes of a 4-D map.
    units : str or None
    """

    stat: str
    values: NDArray[Any]
    voxels: Voxels
    entities: Entities
    description: str
    volumes: Sequence[str] = ()
    units: str | None = None


@dataclass(frozen=True, eq=False)
class Parcellation:
    """Masks of regions, which may overlap: written as one ``_mask`` image per region."""

    voxels: Voxels
    regions: Sequence[Region]


@dataclass(frozen=True, eq=False)
class Table:
    """A long-format table.

    Attributes
    ----------
    suffix : str
        ``scores``, ``predictions``, ``permutations``, ``embedding``, ...
    frame : DataFrame
        Missing values are written ``n/a``.
    columns : mapping of str to Column
        A description of every column of ``frame``.
    entities : mapping
    description : str
    """

    suffix: str
    frame: pd.DataFrame
    columns: Mapping[str, Column]
    entities: Entities
    description: str


@dataclass(frozen=True, eq=False)
class Matrix:
    """A labelled square matrix (confusion matrix, RDM), written as ``_relmat.tsv``."""

    frame: pd.DataFrame
    entities: Entities
    description: str


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure of the report.

    Attributes
    ----------
    name : str
        Letters and digits; distinguishes the figures of one analysis in the file name.
    draw : matplotlib.figure.Figure
        Rendered as SVG by the writer.
    title, caption : str
    entities : mapping
    """

    name: str
    draw: Any
    title: str
    caption: str
    entities: Entities


@dataclass(frozen=True, eq=False)
class View:
    """An interactive view of a map, a web page of its own that the report links to.

    Attributes
    ----------
    name : str
        Letters and digits; distinguishes the views of one analysis in the file name.
    html : str
        The whole page, as `bidsface.figures.views.interactive_view` makes it.
    title, caption : str
    entities : mapping
    """

    name: str
    html: str
    title: str
    caption: str
    entities: Entities


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model: arrays by name and what is needed to apply them."""

    arrays: Mapping[str, NDArray[Any]]
    info: Mapping[str, Any]
    entities: Entities
    description: str


@dataclass(frozen=True, eq=False)
class Summary:
    """A small table for people, shown in the report and not written as a data file."""

    title: str
    frame: pd.DataFrame
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Results:
    """Everything an analysis found, in memory.

    Attributes
    ----------
    methods : str
        Text for the methods section, citing keys of ``citations`` as ``[@key]``.
    citations : mapping of str to str
        BibTeX entries by key.
    highlights : sequence of str
        One-sentence findings for the top of the report.
    warnings : sequence of str
        What the reader of the report has to know: data left out, doubtful input.
    """

    maps: Sequence[Map] = ()
    parcellations: Sequence[Parcellation] = ()
    tables: Sequence[Table] = ()
    matrices: Sequence[Matrix] = ()
    figures: Sequence[Figure] = ()
    views: Sequence[View] = ()
    models: Sequence[Model] = ()
    summaries: Sequence[Summary] = ()
    methods: str = ""
    citations: Mapping[str, str] = field(default_factory=dict)
    highlights: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse one string in place of a list, which would become a line per letter."""
        for name in ("highlights", "warnings"):
            if isinstance(getattr(self, name), str):
                raise PluginError(f"Results.{name} must be a list of sentences, found one string")


def joined(parts: Sequence[Results]) -> Results:
    """Return everything that several results hold as one, methods texts one after the other."""
    lists = {
        field.name: [item for part in parts for item in getattr(part, field.name)]
        for field in fields(Results)
        if field.name not in ("methods", "citations")
    }
    citations = {key: entry for part in parts for key, entry in part.citations.items()}
    methods = " ".join(part.methods for part in parts if part.methods)
    return Results(**lists, methods=methods, citations=citations)


def cited(text: str, citations: Mapping[str, str]) -> dict[str, str]:
    """Return the BibTeX entries that a text cites as ``[@key]``."""
    return {key: entry for key, entry in citations.items() if f"@{key}" in text}


@dataclass(frozen=True, eq=False)
class StoredTable:
    """A table of an earlier result, read back when its ``load`` is called."""

    suffix: str
    entities: Entities
    load: Callable[[], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class StoredMap:
    """A map of an earlier result; ``load`` returns values of shape (n_voxels[, n_volumes]).

    ``load`` takes voxels of the map's own grid, such as those of another map, and raises InputError
    for any other: nothing is resampled. Outside the voxels that were analysed the values are 0.
    ``volumes`` names the volumes of a 4-D map. ``stream`` yields what ``load`` returns in blocks of
    so many volumes; `blocks` uses it where it is given.
    """

    stat: str
    entities: Entities
    load: Callable[[Voxels], NDArray[np.float64]]
    grid: Callable[[], Grid]
    volumes: Sequence[str] = ()
    stream: Callable[[Voxels, int], Iterator[NDArray[np.float32]]] | None = None

    def blocks(self, voxels: Voxels, size: int) -> Iterator[NDArray[np.float32]]:
        """Yield the volumes in order, a few at a time, for maps that memory should not hold whole.

        Parameters
        ----------
        voxels : Voxels
            Of the map's own grid, as for ``load``.
        size : int
            Volumes in a block; the last one may have fewer.

        Yields
        ------
        ndarray of shape (n_voxels, n_block), float32

        Raises
        ------
        InputError
            If the voxels are of another grid, or the file cannot be read.
        """
        if self.stream is not None:
            yield from self.stream(voxels, size)
            return
        values = self.load(voxels).reshape(len(voxels.index), -1)
        for start in range(0, values.shape[1], size):
            yield values[:, start : start + size].astype(np.float32)


@dataclass(frozen=True, eq=False)
class StoredResults:
    """What one analysis wrote for one owner, as later steps see it.

    Attributes
    ----------
    label : str
        Participant's label without ``sub-``, or ``group``.
    tables : sequence of StoredTable
    maps : sequence of StoredMap
    dataset : str
        Name of the other data set that it comes from; empty for the data set of the run.
    """

    label: str
    tables: Sequence[StoredTable] = ()
    maps: Sequence[StoredMap] = ()
    dataset: str = ""

    @property
    def key(self) -> str:
        """``01``, and ``second:01`` for the data set ``second``: never the same for two people."""
        return f"{self.dataset}:{self.label}" if self.dataset else self.label

    def table(self, suffix: str) -> pd.DataFrame:
        """Return all tables of a suffix, of all tasks and sessions; empty when there is none.

        Which rows come from which task stands in the ``entities`` of ``tables`` only.
        """
        frames = [stored.load() for stored in self.tables if stored.suffix == suffix]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


ParticipantResults = StoredResults
"""What one analysis wrote for one participant, as the group level sees it."""
