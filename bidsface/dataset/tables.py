"""Tables that analyses ask for: a participant's own files, and the phenotype folder.

They are found by listing the participant's folders, and only where an analysis asks for some, so
that the index of pybids stays as small as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bidsface.dataset.filters import Constraint
from bidsface.dataset.indexing import IndexedFile
from bidsface.dataset.sidecars import read_json
from bidsface.entities import is_subset, listing, without
from bidsface.errors import UsageError
from bidsface.files import FoundTables, TableFile, TableFilter

EXTENSIONS = (".tsv", ".tsv.gz", ".csv")
FOLDERS = ("", "*/", "ses-*/*/")
"""Where tables lie in a participant's folder: in it, in a session or datatype, in both."""
SELECTING = ("ses", "task", "run")
"""Entities by which a selection of runs leaves out tables too."""


class TableFinder:
    """Finds tables in the data sets of a run; what lies at their roots is read once.

    Parameters
    ----------
    roots : mapping of str to Path
        Data sets by name; ``raw`` is meant where a filter names none.
    analysed : Path
        The data set that takes its place where there is no raw one.
    constraints : sequence of Constraint
        What chooses runs. Sessions, tasks and runs that it leaves out are left out here as well,
        unless a filter names the label itself.
    """

    def __init__(
        self, roots: Mapping[str, Path], analysed: Path, constraints: Sequence[Constraint]
    ) -> None:
        self._roots = roots
        self._analysed = analysed
        self._constraints = [one for one in constraints if one.key in SELECTING]
        self._listed: dict[tuple[Path, str], list[IndexedFile]] = {}
        self._contents: dict[Path, dict[str, Any]] = {}

    def find(self, label: str, asked: TableFilter) -> FoundTables:
        """Find the tables of one participant.

        Raises
        ------
        UsageError
            If there is no data set of that name.
        InputError
            If a sidecar is broken or not here.
        """
        root = self._root(asked)
        if asked.phenotype is not None:
            return FoundTables(asked, self._phenotype(root, asked.phenotype, label))
        tables = [
            TableFile(file.path, without(file.entities, ["sub"]), self._sidecar(root, file))
            for file in self._own_files(root, label, asked)
        ]
        return FoundTables(asked, tuple(sorted(tables, key=lambda table: table.order)))

    def _root(self, asked: TableFilter) -> Path:
        name = asked.dataset
        if name is None:
            return self._roots.get("raw", self._analysed)
        if name not in self._roots:
            raise UsageError(
                f"an analysis reads {asked}, which has to be given as --derivatives {name}=PATH; "
                f"there are: {listing(self._roots)}"
            )
        return self._roots[name]

    def _own_files(self, root: Path, label: str, asked: TableFilter) -> Iterable[IndexedFile]:
        owner = f"sub-{label}"
        for folder in FOLDERS:
            for path in root.glob(f"{owner}/{folder}{owner}_*{asked.suffix}.*"):
                file = IndexedFile.named(path)
                if (
                    file.suffix == asked.suffix
                    and file.extension in EXTENSIONS
                    and is_subset(asked.entities, file.entities)
                    and self._is_selected(file, asked)
                ):
                    yield file

    def _is_selected(self, file: IndexedFile, asked: TableFilter) -> bool:
        return all(
            one.key in asked.entities
            or one.key not in file.entities
            or one.allows(file.entities[one.key])
            for one in self._constraints
        )

    def _sidecar(self, root: Path, table: IndexedFile) -> dict[str, Any]:
        """Return what the JSON files say that apply to a table, the nearest file's values winning.

        They lie in the folder of the table or above it and have no entity that it has not.
        """
        folders = [folder for folder in table.path.parents if folder.is_relative_to(root)]
        merged: dict[str, Any] = {}
        for folder in reversed(folders):
            applicable = [
                file
                for file in self._json_files(folder, table.suffix, shared=folder == root)
                if is_subset(file.entities, table.entities)
            ]
            for file in sorted(applicable, key=lambda file: (len(file.entities), file.path)):
                merged |= self._read(file.path, shared=folder == root)
        return merged

    def _json_files(self, folder: Path, suffix: str, shared: bool) -> list[IndexedFile]:
        if (folder, suffix) in self._listed:
            return self._listed[folder, suffix]
        files = [IndexedFile.named(path) for path in folder.glob(f"*{suffix}.json")]
        found = [file for file in files if file.suffix == suffix]
        if shared:
            self._listed[folder, suffix] = found
        return found

    def _phenotype(self, root: Path, name: str, label: str) -> tuple[TableFile, ...]:
        path = root / "phenotype" / f"{name}.tsv"
        if not (path.is_file() or path.is_symlink()):  # a link: its content may not be here
            return ()
        sidecar = path.with_suffix(".json")
        there = sidecar.is_file() or sidecar.is_symlink()
        content = self._read(sidecar, shared=True) if there else {}
        return (TableFile(path, {}, content, participant=label),)

    def _read(self, path: Path, shared: bool) -> dict[str, Any]:
        if path in self._contents:
            return self._contents[path]
        content = read_json(path)
        if shared:
            self._contents[path] = content
        return content
