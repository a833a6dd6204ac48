"""Searchlight: bidsface against nilearn's SearchLight, on the same two cores.

An ellipsoid of 2 mm voxels, 96 samples (4 runs of 24 trials, 3 classes), scaling and ridge,
leave-one-run-out. Accuracies of the same centres are compared one by one, those at the edge of the
mask included; nilearn is timed on these, warm, as it is by default and with two jobs, bidsface on
the whole mask, for one labelling and for 100 permutations more.

    python benchmarks/searchlight_speed.py [--centres 600] [--repeats 3] [--write]
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import nibabel as nib
import nilearn
import numpy as np
from joblib import Parallel, delayed
from nilearn.decoding import SearchLight
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bidsface.numerics.map_tests import blocks
from bidsface.numerics.neighbourhoods import Spheres
from bidsface.numerics.searchlight import Searchlight
from bidsface.numerics.sphere_classifiers import SphereRidge
from bidsface.numerics.sphere_data import Probe, Split
from bidsface_decoding.searchlight_maps import CENTRES

sys.path.insert(0, str(Path(__file__).parent))
from sections import machine, replace_section

SHAPE, AFFINE = (36, 42, 32), np.diag([2.0, 2.0, 2.0, 1.0])
N_RUNS, N_CLASSES, PER_CLASS, N_PERMUTATIONS, N_CORES = 4, 3, 8, 100, 2
RADII, ALPHA, BRAIN = (6.0, 8.0), 100.0, 150_000
TARGET, MOST_MAPS = 100.0, 20.0


@dataclass(frozen=True, eq=False)
class Study:
    """Samples (n_samples, n_voxels), classes and runs of the voxels ``index`` of the grid."""

    X: np.ndarray
    labellings: np.ndarray
    runs: np.ndarray
    index: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """Observed classes."""
        return self.labellings[0]


def make_study() -> Study:
    """Make noise with a class pattern in a part of the ellipsoid."""
    rng = np.random.default_rng(0)
    grid = np.indices(SHAPE).reshape(3, -1).T + 0.5
    half = np.array(SHAPE) / 2
    index = np.flatnonzero((((grid - half) / half) ** 2).sum(axis=1) < 1)
    once = np.repeat(np.arange(N_CLASSES), PER_CLASS)
    runs = np.repeat(np.arange(N_RUNS), len(once))
    rows = [
        np.concatenate([rng.permutation(once) for _ in range(N_RUNS)])
        for _ in range(1 + N_PERMUTATIONS)
    ]
    X = rng.standard_normal((len(runs), len(index)))
    X[:, ::5] += 0.4 * rng.standard_normal((N_CLASSES, len(index[::5])))[rows[0]]
    return Study(X.astype(np.float32), np.array(rows, dtype=np.int16), runs, index)


def make_light(study: Study, radius: float, n_labellings: int) -> Searchlight:
    """Return our searchlight."""
    splits = []
    for run in range(N_RUNS):
        train, test = np.flatnonzero(study.runs != run), np.flatnonzero(study.runs == run)
        splits.append(Split(train, (Probe(test, train, 0),)))
    return Searchlight(
        np.ascontiguousarray(study.X.T),
        Spheres.of(SHAPE, AFFINE, study.index, radius),
        splits,
        study.labellings[:n_labellings],
        N_CLASSES,
        SphereRidge(ALPHA),
        balanced=False,
    )


def ours(light: Searchlight, n_voxels: int) -> tuple[np.ndarray, float]:
    """Return the maps (n_labellings, n_voxels) and seconds per centre."""
    start = perf_counter()
    parts = Parallel(n_jobs=N_CORES, backend="threading")(
        delayed(light.scores)(np.arange(block.start, block.stop))
        for block in blocks(n_voxels, CENTRES)
    )
    return np.concatenate(parts, axis=2)[0], (perf_counter() - start) / n_voxels


class Reference:
    """nilearn's searchlight at some centres."""

    def __init__(self, study: Study, radius: float, centres: np.ndarray) -> None:
        volume = np.zeros((int(np.prod(SHAPE)), len(study.runs)), dtype=np.float32)
        volume[study.index] = study.X.T
        self.image = nib.Nifti1Image(volume.reshape(*SHAPE, -1), AFFINE)
        self.study, self.radius, self.where = study, radius, study.index[centres]

    def scores(self, n_jobs: int, n_centres: int | None = None) -> tuple[np.ndarray, float]:
        """Return accuracies and seconds per centre."""
        chosen = self.where[:n_centres]
        light = SearchLight(
            self._mask(self.study.index),
            process_mask_img=self._mask(chosen),
            radius=self.radius,
            estimator=make_pipeline(StandardScaler(), RidgeClassifier(ALPHA)),
            cv=LeaveOneGroupOut(),
            n_jobs=n_jobs,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = perf_counter()
            light.fit(self.image, self.study.codes, groups=self.study.runs)
        return light.scores_.ravel()[chosen], (perf_counter() - start) / len(chosen)

    def _mask(self, index: np.ndarray) -> nib.Nifti1Image:
        mask = np.zeros(int(np.prod(SHAPE)), dtype=np.int8)
        mask[index] = 1
        return nib.Nifti1Image(mask.reshape(SHAPE), AFFINE)


@dataclass(frozen=True)
class Row:
    """What was measured at one radius; seconds per centre, one entry per repeat.

    ``theirs`` has them by nilearn's number of jobs.
    """

    radius: float
    size: float
    n_compared: int
    n_edge: int
    n_identical: int
    largest: float
    one: Sequence[float]
    many: Sequence[float]
    theirs: Mapping[int, Sequence[float]]

    def ratio(self, n_jobs: int) -> float:
        """Return how many times faster one map is than nilearn's with some jobs."""
        return float(np.median(self.theirs[n_jobs]) / np.median(self.one))

    @property
    def maps(self) -> float:
        """What 100 permutations cost, in maps."""
        return float((np.median(self.many) - np.median(self.one)) / np.median(self.one))

    @property
    def reached(self) -> bool:
        """Whether all targets are reached; one sample is 1/96 of the accuracy."""
        agrees = self.n_identical >= 0.999 * self.n_compared and self.largest < 1.01 / 96
        return agrees and self.ratio(1) >= TARGET and self.maps < MOST_MAPS


def measure(study: Study, radius: float, n_centres: int, repeats: int) -> Row:
    """Compare and time, taking turns."""
    one, every = make_light(study, radius, 1), make_light(study, radius, 1 + N_PERMUTATIONS)
    sizes, n = one.spheres.sizes(), len(study.index)
    rng = np.random.default_rng(1)
    centres = np.sort(rng.choice(n, n_centres, replace=False))
    reference = Reference(study, radius, centres)
    reference.scores(N_CORES, 20)
    ours(one, 2 * CENTRES)
    mine: dict[str, list[float]] = {"one": [], "many": []}
    theirs: dict[int, list[float]] = {1: [], N_CORES: []}
    for _ in range(repeats):
        for n_jobs, taken in theirs.items():
            expected, seconds = reference.scores(n_jobs)
            taken.append(seconds)
        found, seconds = ours(one, n)
        mine["one"].append(seconds)
        mine["many"].append(ours(every, n)[1])
        print(
            f"  {radius:g} mm: nilearn {1e3 * theirs[1][-1]:.2f}, with {N_CORES} jobs "
            f"{1e3 * theirs[N_CORES][-1]:.2f}, one map {1e3 * mine['one'][-1]:.3f}, "
            f"with permutations {1e3 * mine['many'][-1]:.3f} ms a centre",
            flush=True,
        )
    away = np.abs(found[0, centres] - expected)
    return Row(
        radius,
        float(sizes.mean()),
        n_centres,
        int((sizes[centres] < sizes.max()).sum()),
        int((away < 2e-6).sum()),
        float(away.max()),
        mine["one"],
        mine["many"],
        theirs,
    )


def report(study: Study, rows: Sequence[Row]) -> str:
    """Return the section of the document."""
    lines = [
        "## Searchlight",
        "",
        f"{len(study.index):,} voxels of 2 mm, 96 samples in {N_RUNS} runs, {N_CLASSES} classes, "
        f"scaling and ridge, leave-one-run-out, on {N_CORES} cores ({machine()}).",
        "`python benchmarks/searchlight_speed.py --write` measures it again. Milliseconds per "
        f"centre (median of {len(rows[0].one)} repeats, in turns):",
        "",
        f"| radius | voxels in a sphere | nilearn {nilearn.__version__} | `n_jobs={N_CORES}` "
        f"| bidsface | ratio | `n_jobs={N_CORES}` | {N_PERMUTATIONS} permutations more | in maps |",
        f"|{' --- |' * 9}",
    ]
    for row in rows:
        one, many = (1e3 * np.median(seconds) for seconds in (row.one, row.many))
        single, double = (1e3 * np.median(row.theirs[n_jobs]) for n_jobs in (1, N_CORES))
        lines.append(
            f"| {row.radius:g} mm | {row.size:.0f} | {single:.1f} | {double:.1f} | {one:.3f} "
            f"| {row.ratio(1):.0f} | {row.ratio(N_CORES):.0f} | {many - one:.3f} | {row.maps:.1f} |"
        )
    lines += [""]
    for row in rows:
        lines.append(
            f"{row.radius:g} mm: of {row.n_compared} random centres, {row.n_edge} of them cut by "
            f"the edge of the mask, {row.n_identical} have the accuracy that nilearn finds with "
            f"`make_pipeline(StandardScaler(), RidgeClassifier({ALPHA:g}))`; the largest "
            f"difference is {row.largest * 96:.1f} samples of 96. A whole brain of {BRAIN:,} "
            f"voxels takes {BRAIN * np.median(row.one):.0f} s "
            f"({BRAIN * np.median(row.many) / 60:.1f} minutes with {N_PERMUTATIONS} "
            f"permutations), with nilearn {BRAIN * np.median(row.theirs[1]) / 3600:.1f} hours, "
            f"{BRAIN * np.median(row.theirs[N_CORES]) / 3600:.1f} with {N_CORES} jobs."
        )
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; the exit status tells whether the targets were reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--centres", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--radius", type=float, nargs="*", default=list(RADII))
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:N_CORES])
    study = make_study()
    with threadpool_limits(1):
        rows = [
            measure(study, radius, arguments.centres, arguments.repeats)
            for radius in arguments.radius
        ]
    text = report(study, rows)
    print(text)
    if arguments.write:
        document = Path(__file__).parents[1] / "docs" / "performance.md"
        replace_section(document, "searchlight_speed", text)
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
