"""How often tests of emotion networks are at most 0.05 where the brain knows no emotion.

Each data set is a group that has seen one film. Labels come in blocks with gaps between them;
responses linger in time, and part of them is alike in all participants, as a film makes them; they
have nothing to do with the labels. A linear classifier takes the place of the network, since what
is judged are splits and tests; it goes through the functions of the analysis.

    python benchmarks/null_emotion.py [--data-sets 1000] [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from bidsface.numerics.seeds import child_seed
from bidsface.statistics import fdr, permutation_p
from bidsface_emotion_cnn.circular_shift import CircularShiftTest, circular_shift_test
from bidsface_emotion_cnn.confusions import Scores, confusions
from bidsface_emotion_cnn.evaluation import Evaluation, EvaluationSettings
from bidsface_emotion_cnn.held_out import HeldOut
from bidsface_emotion_cnn.leakage_audit import LeakageAudit
from bidsface_emotion_cnn.splits import SCHEMES, make_folds
from bidsface_emotion_cnn.training_sizes import equal_training

sys.path.insert(0, str(Path(__file__).parent))
import null_emotion_occlusion
from calibration import LEVEL, Kind, Study, calibrate
from null_emotion_similarity import Film, similarity_p

N_PEOPLE, N_RUNS, N_BLOCKS, N_CLASSES, N_FEATURES = 8, 6, 10, 3, 15
FEW_RUNS = 3
LONGEST, GAP, TR = 7, 3, 2.0
MEMORY, SHARED, EFFECT = 0.9, 0.5, 0.35
PENALTY = 10.0
SETTINGS = EvaluationSettings(n_resamples=400, n_shifts=499)
N_PERMUTATIONS = 99

WRONG = "NOT OFFERED"
LIMIT = "A LIMIT"
POWER = "AS IT SHOULD"

Found = Iterator[tuple[str, float]]


def make_film(rng: np.random.Generator, gap: int = GAP, n_runs: int = N_RUNS) -> Film:
    """Return a film whose neighbouring blocks differ in class."""
    rows = []
    for run in range(n_runs):
        label, step = int(rng.integers(N_CLASSES)), 0
        for _ in range(N_BLOCKS):
            label = int(label + rng.integers(1, N_CLASSES)) % N_CLASSES
            length = int(rng.integers(2, LONGEST + 1))
            rows += [(label, run, step + place) for place in range(length)]
            step += length + gap
    return Film(*np.array(rows).T)


def watch(
    rng: np.random.Generator, film: Film, memory: float, shared: float, effect: float = 0.0
) -> np.ndarray:
    """Return responses (n_people * n_moments, n_features), participant by participant."""
    span, n_runs = int(film.steps.max()) + 1, int(film.runs.max()) + 1
    series = rng.standard_normal((N_PEOPLE + 1, n_runs, span, N_FEATURES))
    for step in range(1, span):
        series[:, :, step] *= np.sqrt(1 - memory**2)
        series[:, :, step] += memory * series[:, :, step - 1]
    mixed = np.sqrt(shared) * series[:1] + np.sqrt(1 - shared) * series[1:]
    patterns = effect * rng.standard_normal((N_CLASSES, N_FEATURES))
    return (mixed[:, film.runs, film.steps] + patterns[film.labels]).reshape(-1, N_FEATURES)


def classify(X: np.ndarray, codes: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Return probabilities of classes by ridge regression on their indicators."""
    mean, spread = X.mean(axis=0), X.std(axis=0)
    X, tested = (X - mean) / spread, (tested - mean) / spread
    truth = np.eye(N_CLASSES)[codes]
    gram = X.T @ X + PENALTY * np.eye(X.shape[1])
    weights = np.linalg.solve(gram, X.T @ (truth - truth.mean(axis=0)))
    return special.softmax(4 * (tested @ weights + truth.mean(axis=0)), axis=1)


def evaluate(
    X: np.ndarray,
    film: Film,
    schemes: Sequence[str],
    seed: np.random.SeedSequence,
) -> dict[str, Evaluation]:
    """Return evaluations by split, as the analysis makes them for its audit.

    With as many segments as `N_RUNS`, nothing is thinned.
    """
    codes, runs, steps = (np.tile(part, N_PEOPLE) for part in vars(film).values())
    people = np.repeat(np.arange(N_PEOPLE), len(film.labels))
    every = {
        scheme: make_folds(scheme, codes, people, runs, n_folds=None, test_share=0.2, seed=seed)
        for scheme in schemes
    }
    found = {}
    for scheme, folds in equal_training(every, codes, seed).items():
        parts = [classify(X[fold.train], codes[fold.train], X[fold.test]) for fold in folds]
        held_out = HeldOut.of(scheme, folds, parts, codes, people, runs, TR * steps)
        found[scheme] = Evaluation.of(held_out, seed, SETTINGS)
    return found


def unwidened(held_out: HeldOut, unit: str, seed: np.random.SeedSequence) -> CircularShiftTest:
    """Return the test by circular shifts of a chosen unit, as if folds were independent."""
    return circular_shift_test(
        held_out.probabilities,
        held_out.codes,
        held_out.runs,
        held_out.times,
        n_shifts=SETTINGS.n_shifts,
        seed=seed,
        folds=held_out.folds,
        unit=unit,
        wider=1.0,
    )


def volumes_p(held_out: HeldOut, rng: np.random.Generator) -> float:
    """Return p of a test that takes every volume of every participant for a sample of its own."""
    n, n_classes = len(held_out.codes), held_out.n_classes
    orders = np.vstack(
        [held_out.codes, rng.permuted(np.tile(held_out.codes, (N_PERMUTATIONS, 1)), axis=1)]
    )
    numbers = np.repeat(np.arange(len(orders)), n)
    said = np.tile(held_out.predicted, len(orders))
    scores = Scores.of(confusions(orders.ravel(), said, numbers, len(orders), n_classes))
    observed, *null = scores.balanced_accuracy
    return float(permutation_p(observed, np.array(null))[0])


def all_p(seed: np.random.SeedSequence) -> Found:
    """Yield the p-values of one data set by their names."""
    rng = np.random.default_rng(child_seed(seed, 0))
    draws = child_seed(seed, 1)
    yield from shared_p(rng, draws)
    yield from own_p(rng, draws)
    yield from gapless_p(rng, draws)
    yield from audit_p(rng, draws)
    yield from few_runs_p(np.random.default_rng(child_seed(seed, 2)), draws)
    yield from similarity_p(np.random.default_rng(child_seed(seed, 3)), child_seed(seed, 4))


def shared_p(rng: np.random.Generator, seed: np.random.SeedSequence) -> Found:
    """Yield p-values where responses linger and are partly alike in people."""
    film = make_film(rng)
    found = evaluate(watch(rng, film, MEMORY, SHARED), film, SCHEMES, seed)
    runs, others = found["runs"], found["participants"]
    where = "film segments held out"
    yield f"circular shift of blocks, balanced accuracy, {where}", runs.p
    yield f"circular shift of blocks, mean area under the curves, {where}", runs.shift.macro_auc_p
    classes = "circular shift of blocks, smallest p_fdr of classes"
    yield f"{classes}, accuracy per class, {where}", runs.recall_p_fdr.min()
    yield f"{classes}, area under the curve, {where}", runs.auc_p_fdr.min()
    plain = unwidened(runs.held_out, "blocks", seed)
    independent = f"folds taken for independent, {where}"
    yield f"{WRONG}: circular shift of blocks, mean area, {independent}", plain.macro_auc_p
    yield f"{WRONG}: {classes}, area under the curve, {independent}", fdr(plain.auc_p).min()
    shared = "responses alike in people"
    yield f"{LIMIT}: signed ranks of participants, {shared}, {where}", _ranks(runs)
    yield f"{LIMIT}: signed ranks of participants, {shared}, participants held out", _ranks(others)
    yield (
        f"{WRONG}: circular shift of volumes, labels with gaps, {independent}",
        unwidened(runs.held_out, "volumes", seed).p,
    )
    yield (
        f"{WRONG}: circular shift, participants held out",
        unwidened(others.held_out, "blocks", seed).p,
    )
    yield f"{WRONG}: permuting volumes, {where}", volumes_p(runs.held_out, rng)
    yield f"{WRONG}: signed ranks of participants, random split", _ranks(found["random"])
    leaks = LeakageAudit.of(found, seed, n_resamples=400).leaks
    yield f"{POWER}: audit finds leakage, responses that linger", 1.0 - bool(leaks)


def own_p(rng: np.random.Generator, seed: np.random.SeedSequence) -> Found:
    """Yield p-values where responses linger, and people have nothing in common."""
    film = make_film(rng)
    found = evaluate(watch(rng, film, MEMORY, 0.0), film, ("runs", "participants"), seed)
    for scheme, where in (("runs", "film segments"), ("participants", "participants")):
        test = found[scheme].above_chance
        what = f"participants, responses of their own, {where} held out"
        yield f"signed ranks of {what}", test.p_signed_rank
        yield f"t-test of {what}", test.p_t
        yield f"flipped signs of {what}", test.p_sign_flip
    yield (
        "circular shift of blocks, responses of their own, film segments held out",
        found["runs"].p,
    )


def gapless_p(rng: np.random.Generator, seed: np.random.SeedSequence) -> Found:
    """Yield p-values where all volumes are labelled."""
    film = make_film(rng, gap=0)
    runs = evaluate(watch(rng, film, MEMORY, SHARED), film, ("runs",), seed)["runs"]
    yield "circular shift of blocks, labels without gaps, film segments held out", runs.p


def audit_p(rng: np.random.Generator, seed: np.random.SeedSequence) -> Found:
    """Yield whether the audit finds leakage where volumes have a class in common only."""
    film = make_film(rng)
    found = evaluate(watch(rng, film, 0.0, 0.0, EFFECT), film, SCHEMES, seed)
    audit = LeakageAudit.of(found, seed, n_resamples=400)
    yield "audit finds leakage, independent volumes with an effect", 1.0 - bool(audit.leaks)
    yield f"{POWER}: circular shift of blocks, with an effect", found["runs"].p
    yield f"{POWER}: signed ranks of participants, with an effect", _ranks(found["runs"])


def few_runs_p(rng: np.random.Generator, seed: np.random.SeedSequence) -> Found:
    """Yield whether the audit finds leakage where film segments leave little to train on."""
    for name, memory, shared, effect in (
        ("audit finds leakage, independent volumes with an effect", 0.0, 0.0, EFFECT),
        (f"{POWER}: audit finds leakage, responses that linger", MEMORY, SHARED, 0.0),
    ):
        film = make_film(rng, n_runs=FEW_RUNS)
        found = evaluate(watch(rng, film, memory, shared, effect), film, SCHEMES, seed)
        audit = LeakageAudit.of(found, seed, n_resamples=400)
        yield f"{name}, {FEW_RUNS} segments", 1.0 - bool(audit.leaks)


def _ranks(found: Evaluation) -> Any:
    return found.above_chance.p_signed_rank


def kind_of(name: str) -> Kind:
    """Return a kind of p-value by its name; none is exact, since accuracies are discrete."""
    return Kind(name, False, not name.startswith((WRONG, LIMIT, POWER)))


STUDY = Study(all_p, kind_of)


def all_of_occlusion(seed: np.random.SeedSequence) -> Found:
    """Yield the p-values of occlusion by their names."""
    rng = np.random.default_rng(child_seed(seed, 0))
    return null_emotion_occlusion.occlusion_p(rng, child_seed(seed, 1))


OCCLUSION = Study(all_of_occlusion, kind_of)


def report(rows: Sequence[str], n: int, seconds: float) -> str:
    """Return the section of the document."""
    order = sorted(rows, key=lambda row: any(word in row for word in (LIMIT, WRONG, POWER)))
    table = "\n".join(order)
    return f"""
## False positives of emotion networks

{n:,} data sets without effect: {N_PEOPLE} participants have seen one film of {N_RUNS} segments with
{N_BLOCKS} blocks of 2 to {LONGEST} volumes each ({N_CLASSES} classes, {GAP} unlabelled volumes
between blocks). Responses linger (a volume keeps {MEMORY:g} of the one before), and {SHARED:.0%} of
their variance is alike in all participants. A linear classifier takes the network's place; splits,
tests ({SETTINGS.n_shifts} shifts) and audit are those of the analysis. Rows of {FEW_RUNS} segments
are of films of so few, which leave the fewest volumes to train on. Share of data sets with
p <= {LEVEL}; for the audit, share of data sets in which it warns.
`python benchmarks/null_emotion.py --data-sets {n} --write` measured this in {seconds:.0f} s.

| p-value | rate | wanted | held |
| --- | --- | --- | --- |
{table}

The labels of every segment have trained what predicts the others, so that scores of folds vary
together, which shifts of labels alone do not show (rows of folds taken for independent). Scores
under shifts are therefore moved away from their mean by the square root of 2, the most that pairs
of segments can add; the classifier here adds less, and the test is conservative.

Rows {LIMIT}: tests over participants ask whether other people who see the same film would be
above chance. Where responses to a film are alike in people they would be, by whatever this film's
labels have in common with them, and all the more with participants held out, where the classifier
knows the labels of the moments that it is tested on. Only circular shifts ask about other labels.
Rows of brain and network: the same kind of film with 5 classes of unequal sizes; a random
projection with rectification takes an untrained network's place, one that starts from the classes'
mean volumes of the training runs a trained one's. Rows {WRONG} are procedures that the analysis
does not use. Rows {POWER} show that the tests find
what there is.
{null_emotion_occlusion.REPORT}"""


def main() -> int:
    """Run the calibration; the exit status tells whether every test holds its level."""
    return calibrate(
        __doc__.splitlines()[0], "null_emotion", [STUDY.part(), OCCLUSION.part()], report
    )


if __name__ == "__main__":
    raise SystemExit(main())
