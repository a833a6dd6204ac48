import os
import threading
import time

import numpy as np
import pytest

from bidsface.errors import UsageError
from bidsface.execution import available_processors, map_in_threads, run_jobs, worker_name


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


class TestThreads:
    @pytest.mark.parametrize("n_threads", [1, 2, 5])
    def test_outcomes_keep_the_order_of_the_jobs(self, n_threads):
        waits = (0.02, 0.0, 0.01, 0.0, 0.0)

        def wait(number):
            time.sleep(waits[number])
            return number

        assert map_in_threads(wait, iter(range(5)), n_threads) == [0, 1, 2, 3, 4]

    def test_threads_have_the_limits_of_the_one_that_asked(self):
        """OpenMP keeps a limit per thread: a new one would take all processors."""
        import sklearn.utils._openmp_helpers  # noqa: F401
        from threadpoolctl import threadpool_info, threadpool_limits

        def limits(_):
            found = [library for library in threadpool_info() if library["user_api"] == "openmp"]
            return threading.get_ident(), {one["filepath"]: one["num_threads"] for one in found}

        with threadpool_limits(limits=7, user_api="openmp"):
            here = limits(None)[1]
            there = map_in_threads(limits, range(4), 2)
        assert set(here.values()) == {7}
        assert all(found == here for _, found in there)
        assert threading.get_ident() not in {thread for thread, _ in there}
