import os
import time

import numpy as np
import pytest

from bidsface.errors import UsageError
from bidsface.execution import available_processors, run_jobs, worker_name


def decompose(seed):
    """Return something whose last bits depend on the number of BLAS threads, and who made it."""
    time.sleep(0.3)
    matrix = np.random.default_rng(seed).standard_normal((300, 300))
    return seed, np.linalg.svd(matrix @ matrix.T)[1].tobytes(), worker_name()


def outcomes(**options):
    found = sorted(run_jobs(decompose, range(6), **options))
    return [numbers for _, numbers, _ in found], {worker for *_, worker in found}


@pytest.fixture(scope="module")
def reference():
    return outcomes(processes=1)[0]


def test_one_process_works_in_this_one(reference):
    numbers, workers = outcomes(processes=1)
    assert numbers == reference
    assert workers == {worker_name()}


def test_two_processes_share_the_work_and_find_the_same_bits(reference):
    numbers, workers = outcomes(processes=2)
    assert numbers == reference
    assert len(workers) == 2
    assert worker_name() not in workers


def test_a_dask_cluster_of_two_worker_processes_finds_the_same_bits(reference):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        numbers, workers = outcomes(dask_scheduler=cluster.scheduler_address)
    assert numbers == reference
    assert len(workers) == 2


def test_no_dask_scheduler_is_a_usage_error():
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match="no scheduler answers"):
        list(run_jobs(decompose, [1], dask_scheduler="tcp://127.0.0.1:9"))


def test_slurm_allocation_is_respected(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert available_processors() == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "99999")
    assert available_processors() <= (os.cpu_count() or 1)
