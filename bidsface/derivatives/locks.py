"""Locks and scratch folders that a killed process cannot leave closed for ever."""

from __future__ import annotations

import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bidsface.errors import BidsfaceError

LOCK_TIMEOUT = 600.0
"""s. Locks are held for the seconds in which files move into place."""

ABANDONED_AFTER = 86_400.0
"""s after which a scratch folder of another host is thought to be abandoned."""

_GUARD = "in-use.lock"


@contextmanager
def locked(path: Path, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold a lock of the operating system, which ends with the process that holds it.

    On a file system without locks the work goes on without one: single files are replaced
    atomically all the same.

    Raises
    ------
    BidsfaceError
        If another process holds the lock for longer than ``timeout`` s.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=timeout)
    try:
        lock.acquire()
    except Timeout as error:
        raise BidsfaceError(
            f"another process has been holding {path} for {timeout:.0f} s; is a run hanging?"
        ) from error
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        lock.release()


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder of this process's own, and remove it at the end."""
    folder = parent / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    try:
        with locked(folder / _GUARD):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(parent: Path) -> None:
    """Remove scratch folders of processes that are no more.

    A folder is abandoned if nobody holds its lock and its process is dead on this host or, for
    other hosts and containers, if it is older than a day.
    """
    for folder in parent.glob("*-*-*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    host, pid, _ = folder.name.rsplit("-", 2)
    try:
        age = time.time() - folder.stat().st_mtime
        dead = host == socket.gethostname() and pid.isdecimal() and not _is_alive(int(pid))
        return (dead or age > ABANDONED_AFTER) and _is_free(folder / _GUARD)
    except OSError:
        return False  # its process has just removed it


def _is_free(path: Path) -> bool:
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return False
    except (OSError, NotImplementedError):
        return True
    lock.release()
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
