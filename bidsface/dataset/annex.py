"""Files under git-annex (DataLad): is their content here, and which state are they in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bidsface.errors import InputError

POINTER_START = b"/annex/objects/"
POINTER_MAX_SIZE = 32 * 1024
MAX_LINKS = 40
MAX_NAMED = 3


def file_state(path: Path) -> str:
    """Return a text that changes when the file does.

    Returns
    -------
    str
        The key of an annexed file, which names its content; else ``size:mtime_ns``.

    Raises
    ------
    InputError
        If the file is missing or its annexed content is not here.
    """
    require_content([path])
    key = _annex_key(path)
    if key is not None:
        return key
    stat = path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}"


def require_content(paths: Iterable[Path]) -> None:
    """Raise InputError, with the command that gets them, unless every file can be read."""
    absent = [path for path in paths if not _is_present(path)]
    annexed = [path for path in absent if _is_annexed(path)]
    if annexed:
        raise InputError(_annexed_message(annexed))
    if absent:
        kind = "link to a missing file" if absent[0].is_symlink() else "file is missing"
        raise InputError(f"{absent[0]}: {kind}")


def _annexed_message(paths: list[Path]) -> str:
    """Name the first file and one command that gets all of them."""
    more = f" (and of {len(paths) - 1} more files)" if len(paths) > 1 else ""
    few = len(paths) <= MAX_NAMED
    targets = sorted({str(path) if few else str(path.parent) for path in paths})
    return (
        f"{paths[0]}: the content of this annexed file{more} is not here; "
        f"get it with: datalad get {' '.join(targets)}"
    )


def _is_present(path: Path) -> bool:
    return path.exists() and not _is_pointer(path)


def _is_annexed(path: Path) -> bool:
    return _annex_key(path) is not None or _is_pointer(path)


def _is_pointer(path: Path) -> bool:
    """Tell whether a file is the pointer of an unlocked annexed file without content."""
    if not path.is_file() or path.stat().st_size > POINTER_MAX_SIZE:
        return False
    with path.open("rb") as stream:
        return stream.read(len(POINTER_START)) == POINTER_START


def _annex_key(path: Path) -> str | None:
    """Return the key that a locked annexed file links to, through other links where need be."""
    for _ in range(MAX_LINKS):
        if not path.is_symlink():
            return None
        target = path.readlink()
        if POINTER_START.decode() in f"/{target.as_posix()}":
            return target.name
        path = path.parent / target
    return None
