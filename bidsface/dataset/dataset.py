"""The data set: its roots, its participants and, for each, the files of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidsface.dataset.annex import file_state, require_content
from bidsface.dataset.filters import allowed, apply, check_known
from bidsface.dataset.indexing import DATABASE_FILE, database_folder, index_files
from bidsface.dataset.matching import ParticipantIndex
from bidsface.dataset.people import participants_table
from bidsface.dataset.roots import absolute, find_roots, is_within, participant_labels, subfolders
from bidsface.dataset.selection import Selection, selection
from bidsface.dataset.sidecars import Sidecars
from bidsface.dataset.sources import RunSource, analysed, run_source
from bidsface.dataset.spaces import choose_space, in_space
from bidsface.dataset.tables import TableFinder
from bidsface.entities import listing, strip_prefix
from bidsface.errors import InputError, UsageError
from bidsface.files import FoundTables, ParticipantFiles, TableFilter
from bidsface.recipe import Inputs
from bidsface.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "file_state", "open_dataset"]


@dataclass(frozen=True)
class Dataset:
    """A raw data set with the derivative that is analysed.

    Attributes
    ----------
    roots : mapping of str to Path
        ``raw`` (absent where the derivative is the only data set), ``fmriprep`` (which may be
        absent where images are analysed) and the other derivatives by name; absolute.
    descriptions : mapping of str to mapping
        Content of each root's ``dataset_description.json``; empty where there is none.
    participants : tuple of str
        Selected participants, without prefix.
    selection : Selection
        Which runs are used.
    source : RunSource
        Preprocessed runs, or images in their place.
    unprocessed : tuple of str
        Participants of the raw data set of whom ``source`` has nothing.
    database_dir : Path or None
        Folder that caches pybids indices.
    """

    roots: Mapping[str, Path]
    descriptions: Mapping[str, Mapping[str, Any]]
    participants: tuple[str, ...]
    selection: Selection
    source: RunSource
    unprocessed: tuple[str, ...] = ()
    database_dir: Path | None = None

    def files(self, labels: Sequence[str]) -> dict[str, ParticipantFiles | InputError]:
        """Find the files of some participants, from one index of each data set.

        Parameters
        ----------
        labels : sequence of str

        Returns
        -------
        dict
            By participant: its files, or the error for which it cannot be analysed.

        Raises
        ------
        UsageError
            If a task, session, run, space or filter matches no participant of the data set, or
            if the choice of a space or resolution is open.
        """
        labels = [strip_prefix("sub", label) for label in labels]
        space = self._space
        sidecars = Sidecars()
        outcomes: dict[str, ParticipantFiles | InputError] = {}
        for label, index in self._index(labels).items():
            try:
                outcomes[label] = self._collect(index, space, sidecars)
            except InputError as error:
                outcomes[label] = self._explained(error, label)
        return outcomes

    def uri(self, path: Path) -> str:
        """Return the BIDS URI of an input file, or its ``file:`` URI outside the data sets."""
        location = absolute(path)
        within = [name for name, root in self.roots.items() if location.is_relative_to(root)]
        if not within:
            return location.as_uri()
        name = max(within, key=lambda name: len(self.roots[name].parts))
        return f"bids:{name}:{location.relative_to(self.roots[name]).as_posix()}"

    def tables(self, label: str, filters: Sequence[TableFilter]) -> tuple[FoundTables, ...]:
        """Find the tables of one participant that an analysis reads.

        Raises
        ------
        InputError
            If a sidecar is broken or not here.
        UsageError
            If a filter names a data set that was not given.
        """
        return tuple(self._tables.find(label, asked) for asked in filters)

    @cached_property
    def _tables(self) -> TableFinder:
        return TableFinder(self.roots, self.source.root, self.selection.constraints)

    @cached_property
    def participants_table(self) -> pd.DataFrame:
        """``participants.tsv`` by label without ``sub-``, all values as text; empty without one.

        Raises
        ------
        InputError
            If the file cannot be read or has no column ``participant_id``.
        """
        return participants_table((*self._read_roots.values(), self.source.root))

    @cached_property
    def _space(self) -> Mapping[str, str | None]:
        """The space of all participants, whatever the batch; checks what was asked for."""
        files = self.source.survey(self.participants)
        asked = (*self.selection.constraints, *self.selection.space.constraints)
        others = self._others
        check_known(asked, files, lambda: self.source.survey(others()), self.source.noun)
        usable = allowed(self.selection.constraints, files)
        return choose_space(self.selection.space, usable) if usable else {}

    def _others(self) -> list[str]:
        selected = set(self.participants)
        everybody = participant_labels(self.source.root)
        return [label for label in everybody if label not in selected]

    def _collect(
        self, index: ParticipantIndex, space: Mapping[str, str | None], sidecars: Sidecars
    ) -> ParticipantFiles:
        """Return one participant's files; raises InputError if it has none or they are not here."""
        source, constraints = self.source, self.selection.constraints
        runs = apply(constraints, source.candidates(index), source.noun)
        found = source.collect(index, in_space(space, runs, source.noun), sidecars)
        require_content(found.inputs)
        return found

    def _index(self, labels: Sequence[str]) -> dict[str, ParticipantIndex]:
        found = {
            name: index_files(root, labels, self._database(root))
            for name, root in self._read_roots.items()
        }
        raw, fmriprep = found.get("raw", {}), found.get("fmriprep", {})
        return {
            label: ParticipantIndex(
                label=label,
                fmriprep_root=self.roots.get("fmriprep", self.source.root),
                fmriprep=fmriprep.get(label, ()),
                raw_root=self.roots.get("raw"),
                raw=raw.get(label, ()),
            )
            for label in labels
        }

    def _explained(self, error: InputError, label: str) -> InputError:
        """Name the participant, and the database that may be out of date."""
        text = str(error) if str(error).startswith(f"sub-{label}") else f"sub-{label}: {error}"
        if self.database_dir is not None:
            text += (
                f" (files are looked up in the database {self.database_dir}; if they changed "
                "since it was built, --bids-database-wipe rebuilds it)"
            )
        return InputError(text)

    @property
    def _read_roots(self) -> dict[str, Path]:
        """The data sets that runs are read from, the raw one first."""
        return {name: self.roots[name] for name in ("raw", "fmriprep") if name in self.roots}

    def _database(self, root: Path) -> Path | None:
        return database_folder(self.database_dir, root) if self.database_dir else None

    def wipe_database(self) -> None:
        """Delete the cached pybids indices; the next call of ``files`` builds them anew."""
        for folder in map(self._database, self._read_roots.values()):
            if folder is not None:
                (folder / DATABASE_FILE).unlink(missing_ok=True)


def open_dataset(settings: Settings, inputs: Inputs) -> Dataset:
    """Find the data sets and their participants, from folder names alone.

    Raises
    ------
    InputError
        If a folder or its description is missing or broken.
    UsageError
        If there is no data set to analyse, or a participant or filter does not exist.
    """
    roots, descriptions = find_roots(settings, analysed(inputs))
    source = run_source(inputs, roots)
    processed = participant_labels(source.root)
    raw = participant_labels(roots["raw"]) if "raw" in roots else []
    if not processed:
        raise InputError(f"{source.root}: no sub-* folder; there are: {subfolders(source.root)}")
    dataset = Dataset(
        roots=roots,
        descriptions=descriptions,
        participants=_select_participants(settings, processed, raw, source.product),
        selection=selection(settings, inputs),
        source=source,
        unprocessed=tuple(label for label in raw if label not in set(processed)),
        database_dir=_database_dir(settings, roots),
    )
    if settings.bids_database_wipe:
        dataset.wipe_database()
    return dataset


def _select_participants(
    settings: Settings, processed: Sequence[str], raw: Sequence[str], product: str
) -> tuple[str, ...]:
    """Return the participants that are asked for, all of them by default."""
    labels = dict.fromkeys(strip_prefix("sub", label) for label in settings.participant_label)
    unprocessed = [label for label in labels if label in set(raw) - set(processed)]
    if unprocessed:
        raise UsageError(
            f"--participant-label: no {product} for {listing(unprocessed)}; "
            f"there is for: {listing(processed)}"
        )
    unknown = [label for label in labels if label not in set(processed)]
    if unknown:
        raise UsageError(
            f"--participant-label: no participant {listing(unknown)}; "
            f"there are: {listing(processed)}"
        )
    return tuple(label for label in processed if label in labels or not labels)


def _database_dir(settings: Settings, roots: Mapping[str, Path]) -> Path | None:
    """Return the folder for pybids databases, which must not lie in the input."""
    if settings.bids_database_dir is None:
        return None
    folder = absolute(settings.bids_database_dir)
    own = [path for path in (settings.output_dir, settings.work_dir) if path is not None]
    inside = [root for root in roots.values() if is_within(folder, root)]
    if inside and not any(is_within(folder, path) for path in own):
        raise UsageError(
            f"--bids-database-dir {folder}: lies in the input {inside[0]}, which is never written"
        )
    return folder
