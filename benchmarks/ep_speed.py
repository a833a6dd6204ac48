"""Sparse Bayesian logistic regression at the size of a whole brain's grey matter.

216 samples, 150,000 features, one binary fit to convergence: 10 s and 3 GiB on two cores at most.
Every measurement is a process of its own, so that its peak memory is its own.

    python benchmarks/ep_speed.py [--repeats 3] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from bidsface_decoding import BayesianLogisticRegression

sys.path.insert(0, str(Path(__file__).parent))
from sections import machine, replace_section

N_SAMPLES, N_TEST, N_FEATURES, N_CORES = 216, 72, 150_000, 2
MOST_SECONDS, MOST_GIB = 10.0, 3.0
CASES = (
    {"scale": 1.0, "dtype": "float32", "classes": 2},
    {"scale": 1.0, "dtype": "float64", "classes": 2},
    {"scale": 1e-4, "dtype": "float32", "classes": 2},
    {"scale": 100.0, "dtype": "float32", "classes": 2},
    {"scale": 1.0, "dtype": "float32", "classes": 3},
)


def make_data(dtype: str, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return smooth samples with a planted effect, labels, and test samples."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_SAMPLES + N_TEST, N_FEATURES), dtype=np.float32)
    X = gaussian_filter1d(X, 2.0, axis=1)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(dtype)
    if classes == 2:
        y = (rng.random(len(X)) < expit(X[:, :50].sum(axis=1))).astype(int)
    else:
        y = X[:, [0, 500, 1000]].argmax(axis=1)
    return X[:N_SAMPLES], y[:N_SAMPLES], X[N_SAMPLES:]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Fit and predict once, in this process."""
    X, y, T = make_data(case["dtype"], case["classes"])
    start, processor = perf_counter(), process_time()
    found = BayesianLogisticRegression(case["scale"]).fit(X, y)
    fitted, processor = perf_counter(), process_time() - processor
    found.predict(T)
    predicted = perf_counter()
    return {
        "fit": fitted - start,
        "processor": processor,
        "predict": predicted - fitted,
        "sweeps": [int(n) for n in found.n_iter_],
        "converged": bool(found.converged_.all()),
        "log_evidence": [float(value) for value in found.log_evidence_],
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Measure in a new process."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def row(case: dict[str, Any], found: Sequence[dict[str, Any]]) -> str:
    """Return a line of the table."""
    seconds = ", ".join(f"{one['fit']:.2f}" for one in found)
    median = np.median([one["fit"] for one in found])
    predict = np.median([one["predict"] for one in found])
    processor = min(one["processor"] for one in found)
    sweeps = "+".join(str(n) for n in found[0]["sweeps"])
    evidence = ", ".join(f"{value:.4f}" for value in found[0]["log_evidence"])
    return (
        f"| {case['classes']} | {case['scale']:g} | {case['dtype']} | "
        f"{seconds} | {median:.2f} | {processor:.2f} | {sweeps} | {predict:.2f} | "
        f"{max(one['gib'] for one in found):.2f} | {evidence} |"
    )


def report(rows: Sequence[str]) -> str:
    """Return the section of the document."""
    table = "\n".join(rows)
    return f"""
## Bayesian classifier of a whole brain

{N_SAMPLES} samples, {N_FEATURES:,} features that are smooth over neighbours, an effect planted in
some, fitted to convergence (three classes: three problems), then {N_TEST} other samples predicted;
{machine()}. Peak memory is that of the whole process, the data included.
`python benchmarks/ep_speed.py --write` measures it again. Wanted: {MOST_SECONDS:g} s and
{MOST_GIB:g} GiB for one binary fit on {N_CORES} cores; fits of so few samples use one of them.
"processor": the least processor time of a fit, which other programs on the machine change little.

| classes | scale | precision | fit, repeats (s) | median | processor (s) | sweeps | predict (s) | GiB | log evidence |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{table}
"""  # noqa: E501


def main() -> int:
    """Run the benchmark; the exit status tells whether every binary fit kept the limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:N_CORES])
    if arguments.case:
        print(json.dumps(measure(arguments.case)))
        return 0
    rows, good = [], True
    for case in CASES:
        found = [run(case) for _ in range(arguments.repeats)]
        rows.append(row(case, found))
        print(rows[-1], flush=True)
        median = float(np.median([one["fit"] for one in found]))
        kept = median <= MOST_SECONDS and max(one["gib"] for one in found) <= MOST_GIB
        good &= all(one["converged"] for one in found) and (kept or case["classes"] > 2)
    if arguments.write:
        document = Path(__file__).parents[1] / "docs" / "performance.md"
        replace_section(document, "ep_speed", report(rows))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
