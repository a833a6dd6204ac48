"""How often every p-value that the analysis glm prints is at most 0.05 without effect.

Each data set is a group of participants whose contrast maps hold smooth Gaussian noise, with three
covariates that have nothing to do with them; it goes through the functions by which the analysis
tests a group. First-level p-values come from runs of autocorrelated noise.

    python benchmarks/null_glm.py [--data-sets 1000] [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from nilearn.glm.first_level import make_first_level_design_matrix
from scipy.ndimage import gaussian_filter

from bidsface.analysis import Grid, Voxels
from bidsface_glm.corrections import CORRECTIONS, Corrected, GroupMap
from bidsface_glm.first_level import fit_run, fixed_effects, statistics_of
from bidsface_glm.options import GlmOptions
from bidsface_glm.second_level import fit_group, group_design

sys.path.insert(0, str(Path(__file__).parent))
from calibration import LEVEL, Kind, Part, calibrate

N_PARTICIPANTS, N_PERMUTATIONS, N_CLUSTER_PERMUTATIONS = 12, 99, 19
SIDE, SMOOTH = 8, 1.0  # of the grid (voxels), of the noise (standard deviation, voxels)
GRID = Grid((SIDE,) * 3, np.diag([3.0, 3.0, 3.0, 1.0]), "MNI152NLin2009cAsym", "2")
BRAIN = Voxels(GRID, np.arange(SIDE**3))
N_VOLUMES, N_RUNS, RHO, TR = 120, 2, 0.3, 2.0
OPTIONS = GlmOptions(
    corrections=("fdr", "bonferroni", "permutation"),
    n_permutations=N_PERMUTATIONS,
)
ONE_SIDED = OPTIONS.model_copy(update={"two_sided": False})
CLUSTERS = GlmOptions(
    corrections=("permutation",),
    n_permutations=N_CLUSTER_PERMUTATIONS,
    permutation_clusters=True,
    cluster_forming_p=0.01,
)
EXTENT = GlmOptions(corrections=("cluster",), cluster_forming_p=0.01, cluster_extent=5)
NONE = np.empty((N_PARTICIPANTS, 0))

MODELS = ("mean", "mean, one-sided", "mean beside 3 covariates", "slope of 1 covariate")
MODELS = (*MODELS, "slope beside 2 covariates")
CORRECTED = {
    "fdr": "smallest p_fdr",
    "bonferroni": "smallest Bonferroni p",
    "permutation": "permutation FWE p",
}
LARGEST = "group: permutation p of the largest cluster"
CLUSTERED = ("mean", "slope beside 2 covariates")
EXACT_MODELS = ("mean", "mean, one-sided", "slope of 1 covariate")
"""Whose sign flips or permutations leave the distribution of noise as it is."""
CLUSTER = "NOT A TEST: correction `cluster` (p < 0.01, 5 voxels) shows something"
FIRST = "participant: p, runs with autocorrelated noise, AR(1) model"
WHITE = "NOT THE DEFAULT: the same by ordinary least squares"


def name_all() -> Iterator[Kind]:
    """Yield all kinds of p-values, in the order of the table."""
    for model in MODELS:
        yield Kind(f"group: p of a voxel, {model}", True)
        for name, words in CORRECTED.items():
            exact = name == "permutation" and model in EXACT_MODELS
            yield Kind(f"group: {words}, {model}", exact)
        if model in CLUSTERED:
            yield Kind(f"{LARGEST}, {model}", False)
    yield Kind(FIRST, False)
    yield Kind(CLUSTER, False, offered=False)
    yield Kind(WHITE, False, offered=False)


KINDS = tuple(name_all())


def noise(rng: np.random.Generator) -> np.ndarray:
    """Return contrast maps of smooth Gaussian noise, (n_participants, n_voxels)."""
    white = rng.standard_normal((N_PARTICIPANTS, *GRID.shape))
    return gaussian_filter(white, (0, SMOOTH, SMOOTH, SMOOTH), mode="wrap").reshape(
        N_PARTICIPANTS, -1
    )


def make_group(
    effects: np.ndarray, covariates: np.ndarray, column: int, options: GlmOptions
) -> GroupMap:
    """Fit a group as the analysis does."""
    design = group_design(covariates)
    found = fit_group(effects, design, column, options.two_sided)
    return GroupMap(effects, design, column, found, BRAIN)


def correct(
    group: GroupMap, options: GlmOptions, seed: np.random.SeedSequence
) -> Iterator[Corrected]:
    """Yield the corrected maps of a group."""
    for name in options.corrections:
        yield from CORRECTIONS[name](group, options, seed)


def group_p(effects: np.ndarray, seed: np.random.SeedSequence) -> Iterator[tuple[str, float]]:
    """Yield the p-values of every model of a group."""
    covariates, draws = seed.spawn(2)
    known = np.random.default_rng(covariates).standard_normal((N_PARTICIPANTS, 3))
    models = {
        "mean": (NONE, 0, OPTIONS),
        "mean, one-sided": (NONE, 0, ONE_SIDED),
        "mean beside 3 covariates": (known, 0, OPTIONS),
        "slope of 1 covariate": (known[:, :1], 1, OPTIONS),
        "slope beside 2 covariates": (known, 1, OPTIONS),
    }
    for model, (own, column, options) in models.items():
        group = make_group(effects, own, column, options)
        yield f"group: p of a voxel, {model}", group.found.p[0]
        for corrected in correct(group, options, draws):
            if corrected.p is None:
                raise ValueError(f"{corrected.name} has no p-values")
            yield f"group: {CORRECTED[corrected.name]}, {model}", corrected.p.min()
        if model in CLUSTERED:
            (_, clusters) = correct(group, CLUSTERS, draws)
            yield f"{LARGEST}, {model}", clusters.p.min()
    (extent,) = correct(make_group(effects, NONE, 0, EXTENT), EXTENT, draws)
    yield CLUSTER, 1.0 - extent.significant.any()


def participant_p(rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Yield the p-values of one voxel of a participant, over runs with autocorrelated noise."""
    matrix = _design()
    vectors = {"task": np.eye(matrix.shape[1])[0]}
    runs = [_run(rng) for _ in range(N_RUNS)]
    for name, model in ((FIRST, "ar1"), (WHITE, "ols")):
        estimates = [fit_run(values, matrix, vectors, model)["task"] for values in runs]
        yield name, statistics_of(fixed_effects(estimates, False)).p[0]


def _design() -> np.ndarray:
    import pandas as pd

    events = pd.DataFrame(
        {"onset": np.arange(10.0, 220.0, 24.0), "duration": 8.0, "trial_type": "task"}
    )
    frame = make_first_level_design_matrix(TR * np.arange(N_VOLUMES), events, high_pass=1 / 128)
    return frame.to_numpy()


def _run(rng: np.random.Generator) -> np.ndarray:
    values = rng.standard_normal(N_VOLUMES)
    for row in range(1, N_VOLUMES):
        values[row] += RHO * values[row - 1]
    return (100.0 + values[:, None]).astype(np.float32)


def p_values(seed: np.random.SeedSequence) -> Iterator[float]:
    """Yield one p-value of every kind from one data set."""
    data, tests = seed.spawn(2)
    rng = np.random.default_rng(data)
    found: Mapping[str, float] = {**dict(group_p(noise(rng), tests)), **dict(participant_p(rng))}
    for kind in KINDS:
        yield found[kind.name]


def report(rows: Sequence[str], n: int, seconds: float) -> str:
    """Return the section of the document."""
    table = "\n".join(rows)
    return f"""
## False positives of task responses

{n:,} data sets without effect: contrast maps of {N_PARTICIPANTS} participants on {SIDE}^3 voxels of
Gaussian noise (smoothed, standard deviation {SMOOTH:g} voxel) and three random covariates,
{N_PERMUTATIONS} sign flips or permutations ({N_CLUSTER_PERMUTATIONS} for clusters, formed at
p < {CLUSTERS.cluster_forming_p:g}), two-sided unless a row says otherwise; and {N_RUNS} runs of
{N_VOLUMES} volumes of noise whose autocorrelation is {RHO:g}, combined by fixed effects. All
through the functions of the analysis. Share of data sets with p <= {LEVEL} in the first voxel, or
anywhere for corrected p-values; exact tests must lie within the 99.9 % binomial interval, the
others below its upper limit: corrections for neighbours that resemble each other are conservative,
clusters are discrete, and sign flips beside covariates are approximate.
`python benchmarks/null_glm.py --write` measured this in {seconds:.0f} s.

| p-value | rate | wanted | held |
| --- | --- | --- | --- |
{table}

The last rows are warnings: a smallest cluster without a test of its size controls no error rate,
and ordinary least squares takes autocorrelated noise for more volumes than there are.
"""


def main() -> int:
    """Run the calibration; the exit status tells whether every test holds its level."""
    return calibrate(__doc__.splitlines()[0], "null_glm", [Part(KINDS, p_values)], report)


if __name__ == "__main__":
    raise SystemExit(main())
