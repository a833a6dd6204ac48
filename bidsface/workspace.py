"""Folders for what long work keeps until it is finished: checkpoints, arrays that are too large."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def workspace(folder: Path | None) -> Iterator[Path]:
    """Make a folder, which stays where it has a name and goes when it is left where it has none.

    Parameters
    ----------
    folder : Path or None
        None for a temporary one.
    """
    if folder is None:
        with TemporaryDirectory(prefix="bidsface-") as temporary:
            yield Path(temporary)
        return
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
