"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory) -> Path:
    """Write the smallest faces study that can be decoded: a raw data set with derivatives."""
    from bidsface.demo.faces import write_study

    return write_study(
        tmp_path_factory.mktemp("tiny"),
        seed=3,
        participants=3,
        runs=3,
        trials_per_class=4,
        voxel_size_mm=9.0,
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, or skip."""
    folder = os.environ.get("BIDSFACE_SHARED_DATA")
    if not folder:
        pytest.skip("BIDSFACE_SHARED_DATA names no folder of real data")
    return Path(folder).resolve()
