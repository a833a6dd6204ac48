"""How often every p-value of the prediction of scores is at most 0.05 without effect.

Each data set is a group of participants with an image and a value per trial, which have nothing to
do with each other in what a test asks for; it goes through the functions by which the analysis
predicts, permutes, resamples and compares data sets.

    python benchmarks/null_facs.py [--data-sets 1000] [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bidsface.numerics.seeds import child_seed
from bidsface_facs.bootstrap import bootstrap, jackknife
from bidsface_facs.coefficients import coefficient_maps, with_larger_sd
from bidsface_facs.inference import Permutations, Scoring, permutation_tests
from bidsface_facs.metrics import Scored
from bidsface_facs.prediction import Tuning, prepare
from bidsface_facs.regressors import REGRESSORS, ComponentRegressor
from bidsface_facs.set_classifiers import LinearSVM, RidgeDirection
from bidsface_facs.shift import data_set_shift, shift_splits
from bidsface_facs.splits import GroupFolds, inner_splits
from bidsface_facs.targets import Scale

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))
from calibration import LEVEL, Kind, Study, calibrate
from facs_images import TrialImages, make_images

N_PERMUTATIONS, N_FOLDS, N_VOXELS = 99, 4, 20
EQUAL, UNEQUAL = (8,) * 10, (4, 6, 7, 8, 9, 10, 12, 5, 11, 14)
"""Numbers of images of the participants; blocks of values can be exchanged if they are equal."""
ALPHA = 50.0
RIDGE = REGRESSORS["ridge"](alpha=ALPHA)
COEFFICIENTS, N_BOOTSTRAPS = (4,) * 34, 100
PENALTIES = {"weak": 0.01, "strong": 10.0}
"""Of coefficients, in units of the largest squared length of images along a component."""
SETS, N_SECOND = (5, 7, 4, 6, 8, 5, 6, 7, 5, 6, 4, 7, 6, 5, 8, 6), 6

WRONG = "NOT OFFERED"
LIMIT = "A LIMIT"
NEARLY = " (approximate)"
COARSE = "data sets told apart"
MAPS = "coefficient of a voxel"

Found = Iterator[tuple[str, float]]


def scoring_of(
    data: TrialImages,
    metrics: tuple[str, ...],
    regressor: ComponentRegressor = RIDGE,
    scale: Scale | None = None,
    covariates: np.ndarray | None = None,
) -> Scoring:
    """Return how the analysis predicts and scores."""
    splits = GroupFolds(N_FOLDS).split(data.participants)
    inner = inner_splits(splits, data.participants, GroupFolds(3))
    folds = prepare(data.gram, splits, 0.8, inner)
    scored = Scored(data.participants, covariates)
    return Scoring(folds, [regressor] * N_FOLDS, scored, metrics, scale or Scale())


def permuted_p(
    data: TrialImages, scoring: Scoring, kind: str, seed: np.random.SeedSequence
) -> dict[str, float]:
    """Return the p-value of every metric."""
    permutations = Permutations(data.values, kind, N_PERMUTATIONS, seed, scoring.scored.covariates)
    tests = permutation_tests(scoring, permutations)
    return {metric: test.p for metric, test in tests.items()}


def unrelated_p(data: int, seed: np.random.SeedSequence) -> Found:
    """Yield p-values where images and values have nothing to do with each other at all."""
    cases = {
        "no participant effects": make_images(data, EQUAL, N_VOXELS, own=0.0, level=0.0),
        "participant effects": make_images(data + 1, EQUAL, N_VOXELS, own=2.0, level=2.0),
        "participant effects, unequal numbers": make_images(
            data + 2, UNEQUAL, N_VOXELS, own=2.0, level=2.0
        ),
    }
    for words, images in cases.items():
        scoring = scoring_of(images, ("r2", "pearson"))
        for kind in ("within", "between", "both", "free"):
            nearly = NEARLY if kind in ("between", "both") and "unequal" in words else ""
            for metric, p in permuted_p(images, scoring, kind, seed).items():
                wrong = f"{WRONG}: " if kind == "free" else ""
                yield f"{wrong}permuted {kind}: p of {metric}, {words}{nearly}", p


def related_p(data: int, seed: np.random.SeedSequence) -> Found:
    """Yield p-values where one of two questions has an answer, and the other one is asked."""
    people = make_images(data, UNEQUAL, N_VOXELS, person=1.0, own=0.3)
    scoring = scoring_of(people, ("r2", "within_pearson"))
    words = "images tell participants' levels, not trials"
    for metric, p in permuted_p(people, scoring, "within", seed).items():
        yield f"permuted within: p of {metric}, {words}", p
    yield (
        f"{WRONG}: permuted free: p of r2, {words}",
        permuted_p(people, scoring, "free", seed)["r2"],
    )
    for centred, words in ((True, "deviations from a participant's mean"), (False, "trials")):
        trials = make_images(data + 1, UNEQUAL, N_VOXELS, trial=1.0, own=0.3, centred=centred)
        scoring = scoring_of(trials, ("r2", "between_pearson"))
        limit = "" if centred else f"{LIMIT}: "
        for metric, p in permuted_p(trials, scoring, "between", seed).items():
            yield f"{limit}permuted between: p of {metric}, images tell {words}{NEARLY}", p


def skewed_p(data: int, seed: np.random.SeedSequence) -> Found:
    """Yield p-values of a heavy-tailed target, half of it zeros, that is transformed."""
    images = make_images(data, UNEQUAL, N_VOXELS, own=2.0, level=1.0)
    images.values[:] = np.maximum(np.exp(images.values) - 1.0, 0.0)
    for transform in ("log1p", "rank"):
        scoring = scoring_of(images, ("r2",), scale=Scale(transform))
        for kind in ("within", "between", "both"):
            nearly = "" if kind == "within" else NEARLY
            p = permuted_p(images, scoring, kind, seed)["r2"]
            yield f"permuted {kind}: p of r2, many zeros, {transform}{nearly}", p


def tuned_p(data: int, seed: np.random.SeedSequence) -> Found:
    """Yield p-values of regressions whose penalty is chosen in every fold."""
    images = make_images(data, EQUAL, N_VOXELS, own=1.0)
    plain = scoring_of(images, ("r2",))
    tuning = Tuning(RIDGE, plain.scored)
    anew = Scoring(plain.folds, (), plain.scored, ("r2",), tuning=tuning)
    yield (
        "permuted within: p of r2, penalty chosen for every permutation",
        permuted_p(images, anew, "within", seed)["r2"],
    )
    kept = Scoring(plain.folds, tuning.tuned(plain.folds, images.values), plain.scored, ("r2",))
    yield (
        f"permuted within: p of r2, penalty of the observed target kept{NEARLY}",
        permuted_p(images, kept, "within", seed)["r2"],
    )


def covariate_p(data: int, seed: np.random.SeedSequence) -> Found:
    """Yield p-values where images and values both follow the stimulus, and nothing else."""
    images = make_images(data, EQUAL, N_VOXELS)
    stimulus = np.random.default_rng(data).standard_normal((len(images.values), 1))
    images.values[:] += stimulus[:, 0]
    images.X[:] += stimulus
    words = "images tell the stimulus only"
    for kind in ("within", "both"):
        scoring = scoring_of(images, ("partial_pearson",), covariates=stimulus)
        p = permuted_p(images, scoring, kind, seed)["partial_pearson"]
        yield f"permuted {kind}: p beyond covariates, {words}{NEARLY}", p
    scoring = scoring_of(images, ("r2",))
    yield (
        f"{WRONG}: permuted within: p of r2 without covariates, {words}",
        permuted_p(images, scoring, "within", seed)["r2"],
    )


def coefficient_p(data: int, seed: np.random.SeedSequence) -> Found:
    """Yield p-values of a voxel's coefficient."""
    images = make_images(data, COEFFICIENTS, 2 * N_VOXELS)
    centred = images.X - images.X.mean(axis=0)
    largest = float(np.linalg.norm(centred, 2) ** 2)
    for words, share in PENALTIES.items():
        ridge = REGRESSORS["ridge"](alpha=share * largest)
        rest = (images.gram, images.participants, images.values, [ridge], 0.8)
        drawn = coefficient_maps(bootstrap(*rest, N_BOOTSTRAPS, seed)[0], images.X)
        limit = f"{LIMIT}: " if words == "weak" else ""
        yield f"{limit}bootstrap: p of the {MAPS}, {words} penalty", drawn.p[0]
        left_out = coefficient_maps(jackknife(*rest)[0], images.X)
        yield f"jackknife: p of the {MAPS}, {words} penalty", left_out.p[0]
        larger = with_larger_sd(drawn, left_out)
        yield f"larger of both: p of the {MAPS}, {words} penalty", larger.p[0]


def shift_p(data: int, seed: np.random.SeedSequence) -> Found:
    """Yield p-values of data sets that do not differ."""
    images = make_images(data, SETS, N_VOXELS)
    sets = np.where(images.participants >= f"p{len(SETS) - N_SECOND:02d}", "second", "first")
    splits = shift_splits(GroupFolds(N_FOLDS, random_state=0), images.participants, sets)
    for name, classifier, n in (
        ("ridge", RidgeDirection(), N_PERMUTATIONS),
        ("SVM", LinearSVM(), 19),
    ):
        found = data_set_shift(images.gram, images.participants, sets, splits, classifier, n, seed)
        yield f"{COARSE}: p of the accuracy, {name}", found.p


def quick_p(seed: np.random.SeedSequence) -> Found:
    """Yield the p-values of one data set that take little time."""
    for place, study in enumerate((unrelated_p, related_p, skewed_p, covariate_p, shift_p)):
        yield from study(*_seeds(seed, place))


def slow_p(seed: np.random.SeedSequence) -> Found:
    """Yield the others."""
    for place, study in enumerate((tuned_p, coefficient_p), start=10):
        yield from study(*_seeds(seed, place))


def _seeds(seed: np.random.SeedSequence, place: int) -> tuple[int, np.random.SeedSequence]:
    """Return a number to make data by and a seed of permutations."""
    data, permutations = child_seed(seed, place).spawn(2)
    return int(data.generate_state(1)[0]), permutations


def kind_of(name: str) -> Kind:
    """Return a kind of p-value by its name."""
    loose = name.endswith(NEARLY) or COARSE in name or MAPS in name
    return Kind(name, not loose, not name.startswith((WRONG, LIMIT)))


QUICK, SLOW = Study(quick_p, kind_of), Study(slow_p, kind_of)


def report(rows: Sequence[str], n: int, seconds: float) -> str:
    """Return the section of the document."""
    table = "\n".join(rows)
    return f"""
## False positives of the prediction of scores

{n:,} data sets (a fifth of them for chosen penalties and coefficients) of {len(EQUAL)} participants
with 8, or 4 to 14, images of {N_VOXELS} voxels, ridge on components that keep 80 % of the variance,
{N_FOLDS} folds that hold out participants, {N_PERMUTATIONS} permutations; coefficients of
{len(COEFFICIENTS)} participants, {N_BOOTSTRAPS} bootstraps; data sets of {len(SETS) - N_SECOND} and
{N_SECOND} participants. All through the functions of the analysis. With participant effects, four
fifths of the variance of images and of values lie between participants. Share of data sets with
p <= {LEVEL}; exact tests must lie within the 99.9 % binomial interval, the others below its upper
limit. Blocks of values are exchanged between participants with equally many images, else means,
which is approximate.
`python benchmarks/null_facs.py --write` measured this in {seconds:.0f} s.

| p-value | rate | wanted | held |
| --- | --- | --- | --- |
{table}

Rows {WRONG}: values permuted among all images, as if these were of as many people, find effects in
participants that resemble themselves; and a test that leaves out covariates finds these. Rows
{LIMIT}: where images tell trials, they also tell something of a participant's mean, which is one
of few trials, so that "between" is no question apart from "within". And a model with a weak penalty
nearly fits every image, resampled participants change it less than new ones would, and the
bootstrap's z is too large ("strong": {PENALTIES["strong"]:g} times the images' largest squared
length along a component, "weak": {PENALTIES["weak"]:g} times); the jackknife over participants
keeps its level with both.
"""


def main() -> int:
    """Run the calibration; the exit status tells whether every test holds its level."""
    parts = [QUICK.part(), SLOW.part(5)]
    return calibrate(__doc__.splitlines()[0], "null_facs", parts, report)


if __name__ == "__main__":
    raise SystemExit(main())
