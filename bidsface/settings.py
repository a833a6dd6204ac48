"""The frozen settings of one run, as the command line gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """Settings of a run; labels are without prefix (``01``, not ``sub-01``).

    Attributes
    ----------
    bids_dir, output_dir : Path
    levels : tuple of str
        ``participant`` and/or ``group``.
    participant_label, session_label, task_id, run, space : tuple of str
        Filters; empty means all.
    bids_filters : mapping
        Content of ``--bids-filter-file``: ``{"bold": {entity: value or [values]}}``.
    derivatives : mapping of str to Path
        Named derivative data sets; ``fmriprep`` is the one that is analysed, unless the recipe
        takes images of another.
    dataset_links : mapping of str to str
        DOI or URL of input data sets by name, for ``dataset_description.json``.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    memory_mb : int or None
        Memory that the run may use; lowers the number of participants in work at once.
    command : tuple of str
        The command line, for the provenance record.
    """

    bids_dir: Path
    output_dir: Path
    levels: tuple[str, ...]
    participant_label: tuple[str, ...] = ()
    session_label: tuple[str, ...] = ()
    task_id: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    space: tuple[str, ...] = ()
    bids_filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    derivatives: Mapping[str, Path] = field(default_factory=dict)
    dataset_links: Mapping[str, str] = field(default_factory=dict)
    bids_database_dir: Path | None = None
    bids_database_wipe: bool = False
    skip_bids_validation: bool = False
    recipe: str = "decode-tasks"
    analysis: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    random_seed: int = 20250101
    nprocs: int = 1
    omp_nthreads: int = 1
    memory_mb: int | None = None
    device: str = "auto"
    dask_scheduler: str | None = None
    work_dir: Path | None = None
    clean_workdir: bool = False
    force: bool = False
    dry_run: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    stop_on_first_crash: bool = False
    debug: bool = False
    verbosity: int = 0
    command: tuple[str, ...] = ()
