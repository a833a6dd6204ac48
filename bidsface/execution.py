"""Where work runs: this process, worker processes, or a dask cluster; thread limits everywhere."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import TypeVar

from bidsface.errors import ExecutionError, UsageError

KILLED = (
    "a worker process was killed, most likely for lack of memory: use fewer --nprocs, or say with "
    "--mem how much there is; the same command goes on from what is finished"
)

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


def available_processors() -> int:
    """Return the processors this process may use: CPU affinity, cgroup and SLURM's allocation."""
    import joblib

    allocated = os.environ.get("SLURM_CPUS_PER_TASK", "")
    found = joblib.cpu_count()
    return min(found, int(allocated)) if allocated.isdigit() and int(allocated) > 0 else found


def worker_name() -> str:
    """Return host and process, which receipts record."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class Limited:
    """A function that runs under one limit of BLAS and OpenMP threads.

    The limit is the same in every process, whatever the number of workers: the number of threads
    changes the order of sums, and with it the last bits of results. It is set and left: restoring
    it at the end of one dask task would lift it from the task in the next thread.
    """

    function: Callable
    threads: int

    def __call__(self, job: object) -> object:
        """Set the limit and call the function."""
        # A limit reaches only the libraries that are loaded: these bring BLAS and OpenMP.
        import numpy  # noqa: F401
        import sklearn.utils._openmp_helpers  # noqa: F401
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=self.threads)
        return self.function(job)


def run_jobs(
    function: Callable[[Job], Outcome],
    jobs: Sequence[Job],
    *,
    processes: int = 1,
    threads: int = 1,
    dask_scheduler: str | None = None,
) -> Iterator[Outcome]:
    """Run a function over jobs and yield its outcomes as they come.

    Parameters
    ----------
    function : callable
        Must be importable by worker processes.
    jobs : sequence
    processes : int
        Worker processes on this machine; 1 runs everything in this process.
    threads : int
        BLAS and OpenMP threads of each process.
    dask_scheduler : str, optional
        Address of a running dask scheduler, which then gets all jobs.

    Raises
    ------
    ExecutionError
        If a worker was killed.
    UsageError
        If no dask scheduler answers.
    """
    limited = Limited(function, threads)
    if dask_scheduler is not None:
        yield from _run_on_dask(limited, jobs, dask_scheduler)
    elif processes == 1 or len(jobs) <= 1:
        yield from (limited(job) for job in jobs)  # type: ignore[misc]
    else:
        yield from _run_in_processes(limited, jobs, processes)


def map_in_threads(
    function: Callable[[Job], Outcome], jobs: Iterable[Job], n_threads: int
) -> list[Outcome]:
    """Return what a function makes of every job, in their order, found by threads of this process.

    Parameters
    ----------
    function : callable
    jobs : iterable
    n_threads : int
        1 does all of it in this thread.
    """
    if n_threads == 1:
        return [function(job) for job in jobs]
    from joblib import Parallel, delayed

    limited = _LimitedAsHere(function)
    parallel = Parallel(n_jobs=n_threads, backend="threading")
    return list(parallel(delayed(limited)(job) for job in jobs))


class _LimitedAsHere:
    """A function that other threads run under the OpenMP limit of the thread that made this.

    Such a limit belongs to a thread, and new threads have none: how they sum, and the last bits
    of results, would depend on the number of workers. Limits of BLAS belong to the process.
    """

    def __init__(self, function: Callable) -> None:
        from threadpoolctl import threadpool_info

        self._function = function
        self._limits = [found for found in threadpool_info() if found["user_api"] == "openmp"]
        self._thread = threading.local()

    def __call__(self, job: object) -> object:
        """Call the function; the first call of a thread sets its limit."""
        if not hasattr(self._thread, "limits"):
            from threadpoolctl import threadpool_limits

            self._thread.limits = threadpool_limits(limits=self._limits)
        return self._function(job)


def _run_in_processes(limited: Limited, jobs: Sequence[Job], processes: int) -> Iterator[Outcome]:
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=processes, return_as="generator_unordered", batch_size=1)
    try:
        yield from pool(delayed(limited)(job) for job in jobs)
    except BrokenExecutor as error:
        raise ExecutionError(KILLED) from error


def _run_on_dask(limited: Limited, jobs: Sequence[Job], address: str) -> Iterator[Outcome]:
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        raise UsageError("--dask-scheduler needs dask: pip install 'bidsface[dask]'") from error
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--dask-scheduler {address}: no scheduler answers there") from error
    with client:
        # Every job is work of its own, never a cached result of an earlier equal one.
        futures = client.map(limited, jobs, pure=False)
        for future in as_completed(futures, loop=client.loop):
            try:
                yield future.result()
            except KilledWorker as error:
                raise ExecutionError(KILLED) from error
