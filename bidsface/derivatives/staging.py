"""Writing artifacts to a scratch folder, with the records that a receipt keeps of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bidsface.analysis import Results
from bidsface.derivatives.artifacts import Artifact, Description, sidecar_bytes
from bidsface.derivatives.receipts import FileRecord
from bidsface.errors import BidsfaceError


@dataclass(frozen=True)
class Staged:
    """A whole file in the scratch folder, and what its receipt will say of it."""

    source: Path
    record: FileRecord


def stage(description: Description, results: Results, scratch: Path) -> Iterator[Staged]:
    """Write every file to the scratch folder."""
    seen: dict[str, str] = {}
    for artifact in description.artifacts(results):
        path = str(artifact.path)
        # Some file systems do not tell upper from lower case.
        if path.casefold() in seen:
            raise BidsfaceError(
                f"two results of analysis {description.unit.analysis} are called {path}"
            )
        seen[path.casefold()] = path
        yield _stage_file(scratch / f"{len(seen)}-data", artifact)
        if artifact.sidecar is not None:
            yield _stage_sidecar(scratch / f"{len(seen)}-sidecar", artifact, artifact.sidecar)


def _stage_file(source: Path, artifact: Artifact) -> Staged:
    record = FileRecord(
        path=str(artifact.path),
        kind=artifact.kind,
        suffix=artifact.suffix,
        title=artifact.title,
        caption=artifact.caption,
        entities=dict(artifact.entities),
        formats=dict(artifact.formats),
        volumes=artifact.volumes,
        **_written(source, artifact.pieces()),
    )
    return Staged(source, record)


def _stage_sidecar(source: Path, artifact: Artifact, content: Mapping[str, Any]) -> Staged:
    path = artifact.path.with_name(artifact.path.name.split(".")[0] + ".json")
    record = FileRecord(
        path=str(path),
        kind="sidecar",
        suffix=artifact.suffix,
        entities=dict(artifact.entities),
        **_written(source, [sidecar_bytes(content, path)]),
    )
    return Staged(source, record)


def _written(path: Path, pieces: Iterable[bytes]) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for piece in pieces:
            stream.write(piece)
            digest.update(piece)
    found = path.stat()
    return {
        "size": found.st_size,
        "sha256": digest.hexdigest(),
        "mtime_ns": found.st_mtime_ns,
    }
