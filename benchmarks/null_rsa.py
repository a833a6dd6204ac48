"""How often every p-value of the analysis `rsa` is at most 0.05 without effect.

Each data set is a group of participants whose patterns of classes hold noise, and model RDMs that
have nothing to do with them. In some, all participants share an RDM that no model knows of; in
others, RDMs follow one model and are tested against another one, given the first; in others,
classes have different numbers of samples, and the model is the distance of these numbers.

    python benchmarks/null_rsa.py [--data-sets 1000] [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from bidsface.numerics.dissimilarity import correlation_rdm, crossnobis_rdm, euclidean_rdm
from bidsface.numerics.neighbourhoods import Spheres
from bidsface.numerics.rdm_comparison import (
    bootstrap_comparison,
    compare_rdms,
    mantel_test,
    partial_mantel_test,
)
from bidsface.numerics.searchlight_rsa import sphere_model_test
from bidsface.numerics.sphere_rdms import all_sphere_rdms, sphere_rdms
from bidsface.statistics import signed_rank_p
from bidsface_emotion_cnn.equal_counts import equal_draws

sys.path.insert(0, str(Path(__file__).parent))
from calibration import LEVEL, Kind, Study, calibrate

N_PARTICIPANTS, N_CLASSES, MANY_CLASSES, N_FOLDS = 8, 5, 8, 3
N_ORDERS, N_RANDOM, N_DRAWS = 120, 199, 399
SHAPE = (4, 4, 3)
SPHERES = Spheres.of(SHAPE, np.diag([3.0, 3.0, 3.0, 1.0]), np.arange(48), 3.1)
N_VOXELS = len(SPHERES.place)
COUNTS = np.array([48, 48, 42, 30, 15])
RUNS = np.concatenate([np.arange(n) % N_FOLDS for n in COUNTS])
CODES = np.repeat(np.arange(N_CLASSES), COUNTS)
BY_COUNTS = pdist(COUNTS[:, None].astype(float))
WARNING = "AS A TEST FOR OTHER CLASSES"
UNEQUAL = "WITH ALL SAMPLES"
OTHER = "AS A TEST OF THIS MODEL"
CONSERVATIVE = ("Wilcoxon", "interval")

Floats = NDArray[np.float64]
Found = Iterator[tuple[str, float]]


def make_model(rng: np.random.Generator, n_classes: int) -> Floats:
    """Return distances between two random numbers per class."""
    return pdist(rng.standard_normal((n_classes, 2)))


def all_p(seed: np.random.SeedSequence) -> Found:
    """Yield the p-values of one data set by their names."""
    data, orders = seed.spawn(2)
    rng = np.random.default_rng(data)
    yield from region_p(rng, orders)
    yield from given_p(rng, orders)
    yield from count_p(rng, orders)
    yield from sphere_p(rng, orders)


def region_p(rng: np.random.Generator, orders: np.random.SeedSequence) -> Found:
    """Yield tests of RDMs of a region."""
    model, other = (make_model(rng, N_CLASSES) for _ in range(2))
    folds = rng.standard_normal((N_PARTICIPANTS, N_FOLDS, N_CLASSES, N_VOXELS))
    rdms = correlation_rdm(folds.mean(axis=1))
    for statistic in ("pearson", "spearman", "kendall", "cosine"):
        test = mantel_test(
            rdms[0], model, statistic=statistic, n_permutations=N_ORDERS, seed=orders
        )
        yield f"participant: Mantel p, {N_CLASSES} classes, {statistic}", test.p
    test = mantel_test(crossnobis_rdm(folds[0]), model, n_permutations=N_ORDERS, seed=orders)
    yield f"participant: Mantel p, {N_CLASSES} classes, crossnobis", test.p
    many = correlation_rdm(rng.standard_normal((MANY_CLASSES, N_VOXELS)))
    test = mantel_test(many, make_model(rng, MANY_CLASSES), n_permutations=N_RANDOM, seed=orders)
    yield f"participant: Mantel p, {MANY_CLASSES} classes, random orders", test.p
    yield from group_p(rdms, (model, other), orders, "noise")
    crossnobis = np.stack([crossnobis_rdm(own) for own in folds])
    for statistic, own in (("spearman", rdms), ("kendall", rdms), ("cosine", crossnobis)):
        kind = f"noise, {'crossnobis, ' * (own is crossnobis)}{statistic}"
        each = compare_rdms(own, model, statistic)
        yield f"group: Wilcoxon p, {kind}", signed_rank_p(each)
        test = mantel_test(own, model, statistic=statistic, n_permutations=N_ORDERS, seed=orders)
        yield f"group: p over orders of classes, {kind}", test.p
    shared = rdms + correlation_rdm(rng.standard_normal((N_CLASSES, 10)))
    test = mantel_test(shared, model, n_permutations=N_ORDERS, seed=orders)
    yield "group: p over orders of classes, an RDM that no model knows in everyone", test.p
    each = compare_rdms(shared, model)
    yield f"{WARNING}: Wilcoxon p, an RDM that no model knows in everyone", signed_rank_p(each)


def group_p(
    rdms: Floats, models: Sequence[Floats], orders: np.random.SeedSequence, where: str
) -> Found:
    """Yield tests of a group, and whether its intervals hold what is true."""
    model, other = models
    each, less = compare_rdms(rdms, model), compare_rdms(rdms, other)
    yield f"group: Wilcoxon p, {where}", signed_rank_p(each)
    yield f"group: Wilcoxon p of two models, {where}", signed_rank_p(each - less, two_tailed=True)
    test = mantel_test(rdms, model, n_permutations=N_ORDERS, seed=orders)
    yield f"group: p over orders of classes, {where}", test.p
    for over in ("participants", "both"):
        found = bootstrap_comparison(
            rdms, np.stack([model, other]), n_draws=N_DRAWS, seed=orders, over=over
        )
        outside = not found.low[0] <= 0 <= found.high[0]
        yield f"group: 0 outside of the interval over {over}, {where}", float(not outside)


def given_p(rng: np.random.Generator, orders: np.random.SeedSequence) -> Found:
    """Yield partial tests of a model, where RDMs follow another one that it resembles."""
    for n_classes, permutations in ((N_CLASSES, N_ORDERS), (MANY_CLASSES, N_RANDOM)):
        control = make_model(rng, n_classes)
        model = control + make_model(rng, n_classes)
        noise = correlation_rdm(rng.standard_normal((n_classes, 10)))
        rdm = control / control.std() + noise / noise.std()
        test = partial_mantel_test(rdm, model, control, n_permutations=permutations, seed=orders)
        yield f"partial Mantel p given the true model, {n_classes} classes", test.p
        plain = mantel_test(rdm, model, n_permutations=permutations, seed=orders)
        yield f"{OTHER}: Mantel p of a model like the true one, {n_classes} classes", plain.p


def count_p(rng: np.random.Generator, orders: np.random.SeedSequence) -> Found:
    """Yield tests of noise where classes have different numbers of samples."""
    found: dict[str, list[Floats]] = {}
    every = np.arange(len(CODES))
    for number in range(N_PARTICIPANTS):
        X = rng.standard_normal((len(CODES), N_VOXELS))
        seed = np.random.SeedSequence(orders.entropy, spawn_key=(*orders.spawn_key, number))
        (draw,) = equal_draws(CODES, RUNS, 1, seed, in_blocks=True)
        for name, rows in (("equally many", draw), ("all", every)):
            by_run = np.stack([means(X, rows[RUNS[rows] == run]) for run in range(N_FOLDS)])
            for kind, rdm in (
                ("correlation", correlation_rdm(means(X, rows))),
                ("euclidean", euclidean_rdm(means(X, rows))),
                ("crossnobis", crossnobis_rdm(by_run)),
            ):
                found.setdefault(f"{kind} of {name}", []).append(rdm)
    for name, rdms in found.items():
        cross, biased = name.startswith("crossnobis"), name.endswith("all")
        each = compare_rdms(np.stack(rdms), BY_COUNTS)
        mark = f"{UNEQUAL}: " * (biased and not cross)
        yield f"{mark}group: Wilcoxon p, unequal numbers, {name}", signed_rank_p(each)
        test = mantel_test(rdms[0], BY_COUNTS, n_permutations=N_ORDERS, seed=orders)
        mark = f"{UNEQUAL}: " * biased
        yield f"{mark}participant: Mantel p, unequal numbers, {name}", test.p


def means(X: Floats, rows: NDArray[np.int64]) -> Floats:
    """Return the mean of every class, (n_classes, n_voxels), of scaled samples."""
    values = (X[rows] - X[rows].mean(axis=0)) / X[rows].std(axis=0)
    return np.stack([values[CODES[rows] == code].mean(axis=0) for code in range(N_CLASSES)])


def sphere_p(rng: np.random.Generator, orders: np.random.SeedSequence) -> Found:
    """Yield tests of searchlights."""
    model = make_model(rng, N_CLASSES)
    patterns = rng.standard_normal((N_PARTICIPANTS, N_CLASSES, N_VOXELS))
    group = [all_sphere_rdms(sphere_rdms(SPHERES, own, "correlation")) for own in patterns]
    for who, rdms, shared, n in (
        ("participant", group[:1], True, N_ORDERS),
        ("group, orders of their own", group, False, N_RANDOM),
        ("group, shared orders", group, True, N_ORDERS),
    ):
        test = sphere_model_test(rdms, model, n_permutations=n, seed=orders, shared=shared)
        yield f"searchlight, {who}: p of a voxel", test.p[0]
        yield f"searchlight, {who}: FWE p over voxels", test.p_fwe.min()


def kind_of(name: str) -> Kind:
    """Return a kind of p-value by its name."""
    exact = not any(word in name for word in CONSERVATIVE)
    return Kind(name, exact, not name.startswith((WARNING, OTHER, UNEQUAL)))


STUDY = Study(all_p, kind_of)


def report(rows: Sequence[str], n: int, seconds: float) -> str:
    """Return the section of the document."""
    table = "\n".join(rows)
    return f"""
## False positives of representational similarity

{n:,} data sets of {N_PARTICIPANTS} participants with {N_CLASSES} classes ({MANY_CLASSES} where
said), patterns of {N_VOXELS} voxels, and model RDMs of random numbers per class. All
{N_ORDERS} orders of {N_CLASSES} classes, {N_RANDOM} random ones of {MANY_CLASSES} and of
participants who have orders of their own; {N_DRAWS} bootstrap draws. Share of data sets with
p <= {LEVEL}, in the first voxel or anywhere for corrected p-values; exact tests must lie within the
99.9 % binomial interval, conservative ones below its upper limit. For intervals: share that does
not hold the true value. `python benchmarks/null_rsa.py --data-sets {n} --write` measured this in
{seconds:.0f} s.

| p-value | rate | wanted | held |
| --- | --- | --- | --- |
{table}

Row {WARNING}: the Wilcoxon test asks whether participants' RDMs
are like the model for these very classes. Any RDM that people share is like a random model, or
unlike it, and with {N_CLASSES} classes often so; whether that holds for other classes is what
orders of classes ask. Rows {OTHER}: a model that resembles the true one
is like the RDMs, too; given the true one it is not. Rows {UNEQUAL} (option
`counts: all`): classes have {", ".join(map(str, COUNTS))} samples, and noise alone is unlike, or
like, the distances of these numbers; with equally many drawn of each it is not. The `crossnobis`
dissimilarities of all samples are right on average, but differ in how much noise they have, which
orders of classes do not expect: their p is then somewhat too small.
"""


def main() -> int:
    """Run the calibration; the exit status tells whether every test holds its level."""
    return calibrate(__doc__.splitlines()[0], "null_rsa", [STUDY.part()], report)


if __name__ == "__main__":
    raise SystemExit(main())
