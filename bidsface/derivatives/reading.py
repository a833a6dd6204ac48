"""Reading back what a finished unit of work wrote, once its files have been found unchanged."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bidsface.analysis import StoredMap, StoredResults, StoredTable
from bidsface.derivatives import maps, tables
from bidsface.derivatives.receipts import FileRecord, Receipt
from bidsface.errors import InputError


def is_intact(root: Path, record: FileRecord) -> bool:
    """Tell whether a file is there and as its record says."""
    path = root / record.path
    try:
        found = path.stat()
        if found.st_size != record.size:
            return False
        return found.st_mtime_ns == record.mtime_ns or _digest(path) == record.sha256
    except OSError:
        return False


def stored_results(root: Path, label: str, receipt: Receipt) -> StoredResults:
    """Return the tables and maps of a receipt, which are read when asked for.

    Raises
    ------
    InputError
        If a file is missing or has changed.
    """
    changed = [record.path for record in receipt.files if not is_intact(root, record)]
    if changed:
        whose = "" if receipt.unit.participant is None else f" for {label}"
        raise InputError(
            f"{root / changed[0]} is missing or has changed since bidsface wrote it; "
            f"run the {receipt.unit.level} level{whose} again"
        )
    tabular = [record for record in receipt.files if record.kind in {"table", "matrix"}]
    images = [record for record in receipt.files if record.kind == "map"]
    return StoredResults(
        label,
        tables=[_stored_table(root, record) for record in tabular],
        maps=[_stored_map(root, record) for record in images],
    )


def _stored_table(root: Path, record: FileRecord) -> StoredTable:
    path = root / record.path
    return StoredTable(
        record.suffix, record.entities, lambda: tables.read_table(path, record.formats)
    )


def _stored_map(root: Path, record: FileRecord) -> StoredMap:
    path, entities = root / record.path, record.entities
    space, resolution = entities.get("space"), entities.get("res")
    return StoredMap(
        entities["stat"],
        entities,
        load=lambda voxels: maps.read_map(path, space, resolution, voxels),
        grid=lambda: maps.read_grid(path, space, resolution),
        volumes=record.volumes,
        stream=lambda voxels, size: maps.map_blocks(path, space, resolution, voxels, size),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
