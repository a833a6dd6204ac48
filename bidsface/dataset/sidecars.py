"""What JSON sidecars say about a run, by the BIDS inheritance principle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bidsface.dataset.annex import require_content
from bidsface.dataset.indexing import IndexedFile
from bidsface.entities import is_subset, without
from bidsface.errors import InputError

SECONDS_PER_UNIT = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
PROCESSING_KEYS = ("space", "cohort", "res", "den", "desc")
"""Entities that raw files do not have."""


class UnusableRunError(InputError):
    """A run lacks what it needs: it is left out, with a note, and the others are used."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises InputError that names the file if it is not one."""
    require_content([path])
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: a JSON object was wanted, found {type(content).__name__}")
    return content


def inherited(
    root: Path,
    entities: Mapping[str, str],
    suffix: str,
    extension: str,
    files: Sequence[IndexedFile],
    tolerated: Sequence[str] = (),
) -> list[IndexedFile]:
    """Return the files that apply to a run by the inheritance principle, the nearest last.

    Parameters
    ----------
    root : Path
        Data set that the files belong to.
    entities : mapping
        The run's entities.
    suffix, extension : str
        Kind of file, such as ``events`` and ``.tsv``.
    files : sequence of IndexedFile
    tolerated : sequence of str
        Entities that the files may have although the run has not.
    """
    folders = _folders(root, entities)
    applicable = [
        file
        for file in files
        if file.suffix == suffix
        and file.extension == extension
        and file.path.parent in folders
        and is_subset(without(file.entities, tolerated), entities)
    ]
    return sorted(
        applicable, key=lambda file: (folders[file.path.parent], len(file.entities), file.path)
    )


class Sidecars:
    """Reader of the sidecars of a batch of participants; every file is read once."""

    def __init__(self) -> None:
        self._read = cache(read_json)

    def metadata(
        self, root: Path, entities: Mapping[str, str], files: Sequence[IndexedFile]
    ) -> dict[str, Any]:
        """Return the merged ``_bold.json`` of a run, the nearest file's values winning.

        Sidecars of single echoes count for the run that combines them.
        """
        sidecars = inherited(root, entities, "bold", ".json", files, tolerated=("echo", "part"))
        merged: dict[str, Any] = {}
        for sidecar in sidecars:
            merged |= self._read(sidecar.path)
        return merged


def repetition_time(preprocessed: Mapping[str, Any], raw: Mapping[str, Any], bold: Path) -> float:
    """Return the time between volumes (s).

    The sidecar of the preprocessed image counts before the raw one, and that before the image's
    header.

    Raises
    ------
    UnusableRunError
        If none of them says so.
    InputError
        If the first that does says something impossible.
    """
    for metadata in (preprocessed, raw):
        if "RepetitionTime" in metadata:
            value = metadata["RepetitionTime"]
            if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
                return float(value)
            raise InputError(f"{bold}: RepetitionTime of its sidecar is {value!r}, not seconds")
    value = _header_repetition_time(bold)
    if value is None:
        raise UnusableRunError(
            f"{bold.name}: no RepetitionTime in a sidecar, nor in seconds in the image's header"
        )
    return value


def start_time(
    preprocessed: Mapping[str, Any], raw: Mapping[str, Any], repetition: float
) -> tuple[float, str | None]:
    """Return the time (s) within a volume that it stands for, and a note where that was guessed.

    Without ``StartTime``, slice timing corrected images stand for the middle of their slice
    times, as in fMRIPrep before 21.0.
    """
    value = preprocessed.get("StartTime")
    if isinstance(value, int | float):
        return float(value), None
    if preprocessed.get("SliceTimingCorrected") is not True:
        return 0.0, None
    times = preprocessed.get("SliceTiming", raw.get("SliceTiming"))
    if isinstance(times, list) and times and all(isinstance(t, int | float) for t in times):
        return round((min(times) + max(times)) / 2, 3), None
    note = "slice timing was corrected but StartTime is unknown; the middle of the volume is taken"
    return repetition / 2, note


def _folders(root: Path, entities: Mapping[str, str]) -> dict[Path, int]:
    """Return the folders whose files apply to a run, from the root on, by depth."""
    parts = [f"sub-{entities['sub']}"]
    if "ses" in entities:
        parts.append(f"ses-{entities['ses']}")
    parts.append("func")
    return {root.joinpath(*parts[:depth]): depth for depth in range(len(parts) + 1)}


def _header_repetition_time(bold: Path) -> float | None:
    """Return the duration of a volume (s) by the image's header, if it gives one with a unit."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    require_content([bold])
    try:
        header = nibabel.load(bold).header
    except (OSError, EOFError, ImageFileError):
        return None
    scale = SECONDS_PER_UNIT.get(header.get_xyzt_units()[1])
    zooms = header.get_zooms()
    if scale is None or len(zooms) < 4 or not zooms[3] > 0:
        return None
    return float(zooms[3]) * scale
