"""The pybids index of a data set, scoped to some participants and to the files that are read."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsface.entities import from_name
from bidsface.errors import InputError

DATABASE_FILE = "layout_index.sqlite"
READ_NAMES = (
    r"_bold\.(?:nii|nii\.gz|json|dtseries\.nii|func\.gii)",
    r"_desc-brain_mask\.nii(?:\.gz)?",
    r"_desc-confounds_(?:timeseries|regressors)\.tsv",
    r"_events\.tsv",
    r"_desc-(?:aparcaseg|aseg)_dseg\.nii(?:\.gz)?",
    r"_label-GM_probseg\.nii(?:\.gz)?",
)
"""How names of files end that are read, or looked for to say what is there instead."""

Patterns = Sequence[re.Pattern[str]]


@dataclass(frozen=True)
class IndexedFile:
    """A file of a data set.

    Attributes
    ----------
    path : Path
    entities : mapping
        Entities by short key in BIDS order, labels spelled as in the file name.
    suffix, extension : str
        Such as ``bold`` and ``.nii.gz``.
    """

    path: Path
    entities: Mapping[str, str]
    suffix: str
    extension: str

    @classmethod
    def named(cls, path: Path) -> IndexedFile:
        """Take a path apart."""
        stem, dot, extension = path.name.partition(".")
        return cls(path, from_name(path.name), stem.rpartition("_")[2], dot + extension)

    @property
    def is_image(self) -> bool:
        """Whether the file is a volume image."""
        return self.extension in {".nii", ".nii.gz"}

    @property
    def is_preprocessed(self) -> bool:
        """Whether the file is a preprocessed BOLD image, of any space."""
        return self.suffix == "bold" and self.is_image and self.entities.get("desc") == "preproc"


def index_files(
    root: Path, labels: Sequence[str], database: Path | None = None
) -> dict[str, tuple[IndexedFile, ...]]:
    """Index a data set for some participants.

    Parameters
    ----------
    root : Path
        Absolute path of the data set.
    labels : sequence of str
        Participants, without prefix. Other participants' folders are not even opened.
    database : Path or None
        Folder that caches an index of all participants: built by the first call, reused later.

    Returns
    -------
    dict
        By participant: its files, and the files at the root that apply to all participants.
    """
    with warnings.catch_warnings():
        # pybids comments on descriptions of older derivatives, which are accepted here
        warnings.simplefilter("ignore")
        layout = _cached_layout(root, database) if database else _layout(root, labels)
        files = _query(layout, labels)
        layout.connection_manager.engine.dispose()
    shared = files.get("", [])
    return {label: (*shared, *files.get(label, ())) for label in labels}


def database_folder(database_dir: Path, root: Path) -> Path:
    """Return the folder of one data set's index; it changes when what is indexed does."""
    recipe = repr((str(root), _config(), [pattern.pattern for pattern in _ignored(None)]))
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    return database_dir / f"{root.name or 'root'}-{digest}"


def survey(root: Path, labels: Iterable[str]) -> list[IndexedFile]:
    """Return all preprocessed volumes of participants, by listing their folders, unindexed."""
    files = (
        IndexedFile.named(path)
        for label in labels
        for func in ("func", "ses-*/func")
        for path in sorted(root.glob(f"sub-{label}/{func}/*_desc-preproc_bold.nii*"))
    )
    return [file for file in files if file.is_preprocessed]


def _config() -> dict[str, Any]:
    """Tell pybids which entity to keep: the one that is queried, which makes indexing faster."""
    entities = [{"name": "sub", "pattern": r"[/_]sub-([a-zA-Z0-9+]+)"}]
    return {"name": "bidsface-inputs", "entities": entities, "default_path_patterns": []}


def _ignored(labels: Sequence[str] | None) -> Patterns:
    """Return patterns of what pybids must not walk into (labels None: every participant)."""
    patterns = [
        r"^/(?!sub-|[^/]*\.(?:json|tsv)$)",
        r"^/sub-[^/]+/(?:ses-[^/]+/)?(?!ses-|sub-|(?:anat|func)(?:/|$))",
        rf"/(?=[^/]*\.)(?![^/]*(?:{'|'.join(READ_NAMES)})$)[^/]*$",
    ]
    if labels is not None:
        wanted = "|".join(re.escape(label) for label in labels)
        patterns.insert(0, rf"^/sub-(?!(?:{wanted})(?:/|$))")
    return [re.compile(pattern) for pattern in patterns]


def _layout(root: Path, labels: Sequence[str] | None, database: Path | None = None) -> Any:
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    indexer = BIDSLayoutIndexer(validate=False, ignore=_ignored(labels), index_metadata=False)
    return BIDSLayout(
        root, validate=False, config=[_config()], indexer=indexer, database_path=database
    )


def _cached_layout(root: Path, folder: Path) -> Any:
    """Open the cached index of all participants, building it first where there is none."""
    from filelock import FileLock

    if not (folder / DATABASE_FILE).exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "lock"):
                _build_database(root, folder)
        except OSError as error:
            raise InputError(f"{folder}: cannot write the pybids database: {error}") from error
    return _layout(root, None, folder)


def _build_database(root: Path, folder: Path) -> None:
    """Build an index and move it into place, so that a torn one is never opened."""
    if (folder / DATABASE_FILE).exists():
        return
    building = Path(tempfile.mkdtemp(prefix="building-", dir=folder))
    try:
        _layout(root, None, building).connection_manager.engine.dispose()
        (building / DATABASE_FILE).replace(folder / DATABASE_FILE)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _query(layout: Any, labels: Sequence[str]) -> dict[str, list[IndexedFile]]:
    """Return files by participant; those that belong to none are under the empty label."""
    from bids.layout import Query

    found = [
        *layout.get(sub=Query.NONE, return_type="filename"),
        *layout.get(sub=list(labels), return_type="filename"),
    ]
    files: dict[str, list[IndexedFile]] = {}
    for path in map(Path, found):
        file = IndexedFile.named(path)
        files.setdefault(file.entities.get("sub", ""), []).append(file)
    return files
