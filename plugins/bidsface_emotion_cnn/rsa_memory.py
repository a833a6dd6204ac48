"""Memory that the RDMs of all spheres take, and that there is."""

from __future__ import annotations

import os
from pathlib import Path

from bidsface.errors import InputError
from bidsface.numerics.sphere_rdms import CENTRES
from bidsface.volumes import BLOCK_VALUES

LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where the kernel says how much a container or a job may use."""

GIB = 2**30


def refuse_too_large(n_spheres: int, n_classes: int, n_people: int = 1) -> None:
    """Refuse RDMs of spheres that memory does not hold.

    Everyone's RDMs in single precision are counted, and a block of spheres and one of volumes in
    work: images are read and written a few volumes at a time.

    Raises
    ------
    InputError
        With what would be smaller.
    """
    n_pairs = n_classes * (n_classes - 1) // 2
    needed = 4 * n_people * n_spheres * n_pairs + 8 * (CENTRES * n_pairs + BLOCK_VALUES)
    there = memory_bytes()
    if needed > there:
        people = f" of {n_people} participants" if n_people > 1 else ""
        raise InputError(
            f"searchlight: RDMs of {n_spheres:,} spheres{people} with {n_pairs:,} pairs of "
            f"{n_classes} classes take {needed / GIB:.1f} GiB of memory, and there are "
            f"{there / GIB:.1f}; use searchlight: null, a smaller region or fewer classes"
        )


def memory_bytes() -> int:
    """Return the memory that this computer has, or that it lets its jobs use."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in LIMITS:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # another kernel, or "max"
            continue
    return min(found)
