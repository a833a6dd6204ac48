"""Permutation test of a decoding accuracy: bidsface against scikit-learn, on the same two cores.

20,000 voxels, 216 samples in 4 runs, 3 classes, ridge, leave-one-run-out, 1,000 permutations of the
labels within runs. Both get the very same permutations, so that scores and p must be equal.
scikit-learn's time is that of some permutations, warm and at its best number of jobs, times 1,000.

    python benchmarks/permutation_speed.py [--sklearn-permutations 20] [--write]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import sklearn
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneGroupOut, permutation_test_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bidsface.statistics import permutation_p
from bidsface_decoding.crossvalidation import Fold, predict
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.scoring import METRICS, Scores, score

sys.path.insert(0, str(Path(__file__).parent))
from sections import machine, replace_section

N_VOXELS, N_RUNS, N_CLASSES, PER_CLASS = 20_000, 4, 3, 18
N_PERMUTATIONS, N_CORES, REPEATS, SEED = 1000, 2, 3, 0
TARGET = 1000.0
PRECISIONS = ("float64", "float32")


def make_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X (216, 20000) float32, codes (216,), runs (216,)."""
    rng = np.random.default_rng(SEED)
    codes = np.tile(np.repeat(np.arange(N_CLASSES), PER_CLASS), N_RUNS)
    runs = np.repeat(np.arange(N_RUNS), N_CLASSES * PER_CLASS)
    X = rng.standard_normal((len(codes), N_VOXELS))
    X[:, :200] += 0.3 * rng.standard_normal((N_CLASSES, 200))[codes]
    return X.astype(np.float32), codes, runs


def same_permutations(codes: np.ndarray, runs: np.ndarray, n: int) -> np.ndarray:
    """Return the labellings that `permutation_test_score` draws for ``random_state=SEED``."""
    state, rows = np.random.RandomState(SEED), []
    for _ in range(n):
        order = np.arange(len(codes))
        for run in np.unique(runs):
            order[runs == run] = state.permutation(order[runs == run])
        rows.append(codes[order])
    return np.stack(rows)


def ours(X: np.ndarray, codes: np.ndarray, runs: np.ndarray, labellings: np.ndarray) -> Scores:
    """Score the observed labelling and all permuted ones."""
    folds = [
        Fold(str(run), np.flatnonzero(runs != run), np.flatnonzero(runs == run))
        for run in np.unique(runs)
    ]
    every = np.vstack([codes[None], labellings]).astype(np.int16)
    columns = np.arange(X.shape[1])
    predicted = predict(X, columns, folds, every, N_CLASSES, {"ridge": Ridge()})["ridge"]
    return score(folds, every, predicted, N_CLASSES, METRICS["balanced_accuracy"])


def seconds(
    X: np.ndarray, codes: np.ndarray, runs: np.ndarray, labellings: np.ndarray, threads: int
) -> float:
    """Return bidsface's seconds for all permutations."""
    with threadpool_limits(threads):
        start = perf_counter()
        ours(X, codes, runs, labellings)
        return perf_counter() - start


def theirs(
    X: np.ndarray, codes: np.ndarray, runs: np.ndarray, n: int, n_jobs: int
) -> tuple[float, np.ndarray, float]:
    """Return scikit-learn's score, permuted scores and p."""
    return permutation_test_score(
        make_pipeline(StandardScaler(), RidgeClassifier(alpha=N_VOXELS)),
        X,
        codes,
        groups=runs,
        cv=LeaveOneGroupOut(),
        scoring="balanced_accuracy",
        n_permutations=n,
        n_jobs=n_jobs,
        random_state=SEED,
    )


def per_permutation(X: np.ndarray, codes: np.ndarray, runs: np.ndarray, n: int, jobs: int) -> float:
    """Return scikit-learn's seconds per permutation; the observed labelling counts as one."""
    with threadpool_limits(N_CORES // jobs):
        start = perf_counter()
        theirs(X, codes, runs, n, jobs)
        return (perf_counter() - start) / (n + 1)


def best_jobs(X: np.ndarray, codes: np.ndarray, runs: np.ndarray) -> int:
    """Return the number of jobs at which warm scikit-learn is fastest."""
    seconds = {}
    for jobs in (1, N_CORES):
        per_permutation(X, codes, runs, jobs, jobs)  # starts the workers
        seconds[jobs] = per_permutation(X, codes, runs, 4, jobs)
        print(f"  scikit-learn {X.dtype} n_jobs={jobs}: {seconds[jobs]:.2f} s")
    return min(seconds, key=seconds.__getitem__)


def compare(X: np.ndarray, codes: np.ndarray, runs: np.ndarray, n: int) -> str:
    """Check that scores and p of the same permutations are equal, and say so."""
    found = ours(X, codes, runs, same_permutations(codes, runs, n))
    observed, permuted, p = theirs(X.astype(np.float64), codes, runs, n, N_CORES)
    np.testing.assert_allclose(found.mean, observed, atol=1e-12)
    np.testing.assert_allclose(found.null, permuted, atol=1e-12)
    np.testing.assert_allclose(permutation_p([found.mean], found.null)[0], p)
    # scikit-learn takes scores that differ in the last bit for different; we count them as ties.
    tied = (1 + (np.round(permuted[1:], 12) >= np.round(permuted[0], 12)).sum()) / n
    np.testing.assert_allclose(permutation_p([found.null[0]], found.null[1:])[0], tied)
    return (
        f"The observed score ({observed:.4f}), the scores of {n} permutations one by one and "
        f"their p ({p:.4g}) are equal to within 1e-12."
    )


def run(n: int) -> tuple[str, float]:
    """Return the report and the ratio."""
    X, codes, runs = make_data()
    agreement = compare(X, codes, runs, n)
    print(agreement)
    labellings = same_permutations(codes, runs, N_PERMUTATIONS)
    warm = {threads: seconds(X, codes, runs, labellings, threads) for threads in (1, N_CORES, 1)}
    threads = min(warm, key=warm.__getitem__)
    data = {name: X.astype(name) for name in PRECISIONS}
    jobs = {name: best_jobs(data[name], codes, runs) for name in PRECISIONS}
    mine: list[float] = []
    other: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    for _ in range(REPEATS):
        mine.append(seconds(X, codes, runs, labellings, threads))
        for name in PRECISIONS:
            other[name].append(per_permutation(data[name], codes, runs, n, jobs[name]))
    ratios = {
        name: float(np.median(other[name]) * (N_PERMUTATIONS + 1) / np.median(mine))
        for name in PRECISIONS
    }
    return _report(agreement, threads, jobs, n, mine, other, ratios), ratios["float64"]


def _report(
    agreement: str,
    threads: int,
    jobs: Mapping[str, int],
    n: int,
    mine: Sequence[float],
    other: Mapping[str, Sequence[float]],
    ratios: Mapping[str, float],
) -> str:
    rows = [
        f"| scikit-learn {sklearn.__version__}, {name}, `n_jobs={jobs[name]}`, one permutation "
        f"| {_numbers(other[name])} | {np.median(other[name]):.3f} | {ratios[name]:,.0f} |"
        for name in PRECISIONS
    ]
    return "\n".join(
        [
            "## Permutation test of one region",
            "",
            f"{N_VOXELS:,} voxels, 216 samples in {N_RUNS} runs, {N_CLASSES} classes, ridge, "
            "leave-one-run-out,",
            f"{N_PERMUTATIONS:,} permutations within runs, on {N_CORES} cores ({machine()}).",
            "`python benchmarks/permutation_speed.py --write` measures it again.",
            "",
            "| | repeats (s) | median (s) | ratio |",
            "| --- | --- | --- | --- |",
            f"| bidsface, float64, all {N_PERMUTATIONS:,} permutations | {_numbers(mine)} "
            f"| {np.median(mine):.3f} | |",
            *rows,
            "",
            "All were warm and at their best number of jobs or threads (bidsface: "
            f"{threads}). scikit-learn's `permutation_test_score`",
            f"was timed on {n} permutations; the ratio counts its time {N_PERMUTATIONS + 1:,} "
            "times, the observed labelling included.",
            "bidsface computes in double precision, so that float64 is the same work; float32 is "
            "scikit-learn's fastest.",
            agreement,
        ]
    )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def main() -> int:
    """Run the benchmark; the exit status tells whether the target was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sklearn-permutations", type=int, default=20)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:N_CORES])
    with threadpool_limits(N_CORES):
        report, ratio = run(arguments.sklearn_permutations)
    print(report)
    if arguments.write:
        document = Path(__file__).parents[1] / "docs" / "performance.md"
        replace_section(document, "permutation_speed", report)
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
