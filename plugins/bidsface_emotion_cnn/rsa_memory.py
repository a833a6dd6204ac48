"""Memory that the RDMs of all spheres take, and that there is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bidsface.analysis import Grid
from bidsface.errors import InputError

LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where the kernel says how much a container or a job may use."""

GIB = 2**30


def refuse_too_large(n_spheres: int, grid: Grid, n_classes: int, n_people: int = 1) -> None:
    """Refuse RDMs of spheres that memory does not hold.

    What is largest is counted: everyone's RDMs in single precision, and one of their images, which
    holds a whole grid for every pair.

    Raises
    ------
    InputError
        With what would be smaller.
    """
    n_pairs = n_classes * (n_classes - 1) // 2
    # Images are read in double precision.
    image = (4 if n_people == 1 else 8) * int(np.prod(grid.shape))
    needed = n_pairs * (4 * n_people * n_spheres + image)
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
