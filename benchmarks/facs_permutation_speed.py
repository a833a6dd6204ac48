"""Permutation test of a prediction from brain images: bidsface against scikit-learn, on two cores.

533 images of 34 participants, 200,000 voxels, five random splits of the participants, principal
components that keep 80 % of the variance, then ridge, Lasso or a linear SVR; 5,000 permutations of
the target within participants. Both get the very same permutations of which scikit-learn is timed
on a few, so that scores must be equal; its time is scaled to all. bidsface runs in a process of its
own, so that its peak memory is its own.

    python benchmarks/facs_permutation_speed.py [--images 533] [--voxels 200000]
        [--permutations 5000] [--sklearn-permutations 2] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import GroupShuffleSplit, permutation_test_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

from bidsface_facs.inference import Permutations, Scoring, permutation_tests
from bidsface_facs.metrics import Scored
from bidsface_facs.prediction import prepare
from bidsface_facs.regressors import REGRESSORS
from bidsface_facs.splits import GroupShuffle
from bidsface_facs.study import inner_products

sys.path.insert(0, str(Path(__file__).parent))
from sections import machine, replace_section

N_PARTICIPANTS, N_CORES, VARIANCE, SEED = 34, 2, 0.8, 0
N_FACTORS, SHARE = 150, 0.8
"""Patterns that images have in common, and their share of the variance."""
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Model:
    """A regression of both, and how far scores may differ."""

    options: Mapping[str, float]
    reference: Callable[..., Any]
    tolerance: float

    def pipeline(self) -> Pipeline:
        """Return scikit-learn's."""
        return make_pipeline(PCA(VARIANCE, svd_solver="full"), self.reference(**self.options))


MODELS = {
    "ridge": Model({"alpha": 1.0}, Ridge, 1e-6),
    "lasso": Model({"alpha": 0.01}, Lasso, 1e-4),
    "svr": Model({"C": 1.0}, lambda C: SVR(kernel="linear", C=C, tol=1e-9), 1e-6),
}


def make_data(n_images: int, n_voxels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images (float32), their target and participants.

    Images share patterns of falling size, participants have images and levels of their own, and a
    pattern carries the target.
    """
    rng = np.random.default_rng(SEED)
    participants = np.concatenate(
        [
            np.full(len(part), code)
            for code, part in enumerate(np.array_split(np.arange(n_images), N_PARTICIPANTS))
        ]
    )
    values = rng.standard_normal(N_PARTICIPANTS)[participants] + rng.standard_normal(n_images)
    sizes = np.arange(1, N_FACTORS + 1) ** -0.5
    own = rng.standard_normal((N_PARTICIPANTS, N_FACTORS))[participants]
    latent = (own + rng.standard_normal((n_images, N_FACTORS))) * sizes
    latent[:, 0] += 0.5 * values
    latent *= np.sqrt(SHARE / (latent**2).sum(axis=1).mean())
    X = rng.standard_normal((n_images, n_voxels), dtype=np.float32)
    X *= np.sqrt(1 - SHARE)
    X += latent.astype(np.float32) @ rng.standard_normal((N_FACTORS, n_voxels), dtype=np.float32)
    X -= X.mean(axis=1, keepdims=True)
    X /= X.std(axis=1, keepdims=True) * np.float32(np.sqrt(n_voxels))
    return X, values, participants


# Ours, in a process of its own


def measure_ours(folder: Path, name: str, n: int) -> dict[str, Any]:
    """Run all permutations of one regression in this process."""
    X = np.load(folder / "float32.npy")
    values, participants = np.load(folder / "values.npy"), np.load(folder / "participants.npy")
    with threadpool_limits(N_CORES):
        start = perf_counter()
        gram = inner_products(X)
        products = perf_counter()
        folds = prepare(gram, GroupShuffle().split(participants), VARIANCE)
        prepared = perf_counter()
        regressors = [REGRESSORS[name](**MODELS[name].options)] * len(folds)
        scoring = Scoring(folds, regressors, Scored(participants))
        permutations = Permutations(values, "within", n, np.random.SeedSequence(SEED))
        found = permutation_tests(scoring, permutations)["r2"]
        end = perf_counter()
        few = np.load(folder / "few.npy")
        scores = scoring.scores(few)[0].mean(axis=0)
    return {
        "products": products - start,
        "folds": prepared - products,
        "permutations": end - prepared,
        "total": end - start,
        "observed": found.observed,
        "p": found.p,
        "components": [fold.components.n_components for fold in folds],
        "scores": scores.tolist(),
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def run_ours(folder: Path, name: str, n: int) -> dict[str, Any]:
    """Measure in a new process."""
    command = [sys.executable, __file__, "--ours", str(folder), name, "--permutations", str(n)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


# scikit-learn


def same_permutations(values: np.ndarray, participants: np.ndarray, n: int) -> np.ndarray:
    """Return the targets that `permutation_test_score` draws, the observed one first, columns."""
    state, columns = np.random.RandomState(SEED), [values]
    for _ in range(n):
        order = np.arange(len(values))
        for person in np.unique(participants):
            rows = participants == person
            order[rows] = state.permutation(order[rows])
        columns.append(values[order])
    return np.column_stack(columns)


def theirs(
    X: np.ndarray, values: np.ndarray, participants: np.ndarray, name: str, n: int, jobs: int
) -> tuple[np.ndarray, float]:
    """Return scikit-learn's scores, the observed one first, and its seconds per permutation."""
    with threadpool_limits(N_CORES // jobs):
        start = perf_counter()
        observed, null, _ = permutation_test_score(
            MODELS[name].pipeline(),
            X,
            values,
            groups=participants,
            cv=GroupShuffleSplit(5, test_size=0.3, random_state=42),
            scoring="r2",
            n_permutations=n,
            n_jobs=jobs,
            random_state=SEED,
        )
        return np.append(observed, null), (perf_counter() - start) / (n + 1)


def best_jobs(X: np.ndarray, values: np.ndarray, participants: np.ndarray) -> int:
    """Return the number of jobs at which warm scikit-learn is fastest.

    By ridge: nearly all of the time goes into components, which are the same for all regressions.
    """
    seconds = {}
    for jobs in (1, N_CORES):
        theirs(X[:, : min(2000, X.shape[1])], values, participants, "ridge", jobs, jobs)
        seconds[jobs] = theirs(X, values, participants, "ridge", N_CORES - 1, jobs)[1]
        print(f"  scikit-learn {X.dtype} n_jobs={jobs}: {seconds[jobs]:.2f} s", flush=True)
    return min(seconds, key=seconds.__getitem__)


@dataclass(frozen=True)
class Row:
    """What was measured for one regression."""

    name: str
    ours: Mapping[str, Any]
    theirs: Mapping[str, float]
    jobs: Mapping[str, int]
    largest: float

    def ratio(self, precision: str, n: int) -> float:
        """How many times faster all permutations are, the observed target included."""
        return self.theirs[precision] * (n + 1) / self.ours["total"]


def measure(folder: Path, n: int, n_few: int) -> list[Row]:
    """Time both on the same data, and compare scores."""
    values, participants = np.load(folder / "values.npy"), np.load(folder / "participants.npy")
    ours = {}
    for name in MODELS:
        ours[name] = run_ours(folder, name, n)
        print(f"  {name}: {ours[name]['total']:.2f} s, {ours[name]['gib']:.2f} GiB", flush=True)
    seconds: dict[str, dict[str, float]] = {name: {} for name in MODELS}
    jobs, largest = {}, {}
    for precision in PRECISIONS:
        X = np.load(folder / "float32.npy").astype(precision)
        jobs[precision] = best_jobs(X, values, participants)
        for name, model in MODELS.items():
            scores, seconds[name][precision] = theirs(
                X, values, participants, name, n_few, jobs[precision]
            )
            print(
                f"  scikit-learn {precision} {name}: {seconds[name][precision]:.2f} s", flush=True
            )
            if precision == "float64":
                mine = np.array(ours[name]["scores"])
                np.testing.assert_allclose(mine, scores, rtol=0, atol=model.tolerance)
                largest[name] = float(np.abs(mine - scores).max())
    return [Row(name, ours[name], seconds[name], jobs, largest[name]) for name in MODELS]


def report(rows: Sequence[Row], n_images: int, n_voxels: int, n: int, n_few: int) -> str:
    """Return the section of the document."""
    first = rows[0]
    kept = first.ours["components"]
    lines = [
        "## Permutation test of a prediction",
        "",
        f"{n_images} images of {N_PARTICIPANTS} participants, {n_voxels:,} voxels, five random "
        f"splits of the participants, components that keep {VARIANCE:.0%} of the",
        f"variance ({min(kept)} to {max(kept)}), {n:,} permutations within participants, R2, on "
        f"{N_CORES} cores ({machine()}).",
        "`python benchmarks/facs_permutation_speed.py --write` measures it again.",
        "",
        f"| | bidsface: products, folds, permutations (s) | all {n:,} (s) | peak memory (GiB) "
        f"| scikit-learn {sklearn.__version__}, one permutation (s) | ratio "
        "| the same in float32 (s) | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        parts = ", ".join(f"{row.ours[key]:.2f}" for key in ("products", "folds", "permutations"))
        theirs = " | ".join(
            f"{row.theirs[precision]:.2f} (`n_jobs={row.jobs[precision]}`) "
            f"| {row.ratio(precision, n):,.0f}"
            for precision in PRECISIONS
        )
        options = ", ".join(f"{key}={value:g}" for key, value in MODELS[row.name].options.items())
        lines.append(
            f"| {row.name}, {options}, R2 {row.ours['observed']:.3f} | {parts} "
            f"| {row.ours['total']:.2f} | {row.ours['gib']:.2f} "
            f"| {theirs} |"
        )
    largest = ", ".join(f"{row.name} {row.largest:.1g}" for row in rows)
    allowed = ", ".join(f"{name} {one.tolerance:g}" for name, one in MODELS.items())
    lines += [
        "",
        "bidsface reads images in single precision and computes in double precision. Its time is "
        "that of everything from the images on, its",
        "memory that of the whole process, images included. scikit-learn's "
        f"`permutation_test_score`, warm and at its best number of jobs, was timed on {n_few}",
        f"permutations and the observed target; the ratio counts its time {n + 1:,} times. Scores "
        "of these, one by one, differ by at most:",
        f"{largest} (allowed: {allowed}). Images are scaled to mean 0 and squared length 1: at the "
        "length that standardizing over voxels gives,",
        f"{n_voxels:,}, libsvm does not converge for C=1, and it keeps inner products in single "
        "precision. Its tolerance was set to 1e-9, which costs it nothing beside the components.",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; it fails if scores differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=533)
    parser.add_argument("--voxels", type=int, default=200_000)
    parser.add_argument("--permutations", type=int, default=5000)
    parser.add_argument("--sklearn-permutations", type=int, default=2)
    parser.add_argument("--ours", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:N_CORES])
    if arguments.ours:
        folder, name = arguments.ours
        print(json.dumps(measure_ours(Path(folder), name, arguments.permutations)))
        return 0
    n, n_few = arguments.permutations, arguments.sklearn_permutations
    with tempfile.TemporaryDirectory() as folder:
        X, values, participants = make_data(arguments.images, arguments.voxels)
        few = same_permutations(values, participants, n_few)
        arrays = {"float32": X, "values": values, "participants": participants, "few": few}
        for name, array in arrays.items():
            np.save(Path(folder) / f"{name}.npy", array)
        del X, arrays
        rows = measure(Path(folder), n, n_few)
    text = report(rows, arguments.images, arguments.voxels, n, n_few)
    print(text)
    if arguments.write:
        document = Path(__file__).parents[1] / "docs" / "performance.md"
        replace_section(document, "facs_permutation_speed", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
