"""How often every p-value that the decoding analysis prints is at most 0.05 in data without effect.

Each data set is a group of participants whose samples hold noise only; it goes through the very
functions that the analysis uses. Exact tests must reject within the 99.9 % binomial interval of
5 %, conservative ones (discrete scores have ties) at most at its upper limit. As a warning, the
test that permutes single volumes of 3-volume trials is run, too: it rejects far too often.

    python benchmarks/null_calibration.py [--data-sets 1000] [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bidsface.analysis import Region, Samples
from bidsface.numerics.permutations import relabel
from bidsface.statistics import (
    GroupTest,
    fdr,
    group_permutation,
    max_statistic_p,
    permutation_p,
    signed_rank_p,
)
from bidsface_decoding.estimators import Ridge
from bidsface_decoding.options import DecodingOptions
from bidsface_decoding.plan import plan_task
from bidsface_decoding.task import TaskDecoding, decode_task

sys.path.insert(0, str(Path(__file__).parent))
from calibration import LEVEL, Kind, Part, calibrate

N_PARTICIPANTS, N_RUNS, PER_CLASS, N_VOLUMES, N_VOXELS = 8, 4, 4, 3, 24
CLASSES = ("anger", "disgust", "joy")
SHARED = 0.5  # share of the noise variance that the volumes of a trial have in common
N_PERMUTATIONS, N_DRAWS = 99, 999
REGIONS = [
    Region("first", np.arange(8), "noise"),
    Region("second", np.arange(6, 18), "noise, overlaps the first"),
    Region("third", np.arange(18, 24), "noise"),
]
OPTIONS = DecodingOptions(permutations=N_PERMUTATIONS, maps=False)


KINDS = (
    Kind("participant: permutation p, averages", False),
    Kind("participant: permutation p, volumes", False),
    Kind("participant: max-statistic FWE p over 3 regions, averages", False),
    Kind("participant: smallest p_fdr of 3 regions, averages", False),
    Kind("participant: permutation p of head motion, averages", False),
    Kind("participant: permutation p, score without ties", True),
    Kind("participant: max-statistic FWE p, score without ties", True),
    Kind("group: Wilcoxon p, averages", False),
    Kind("group: smallest p_fdr of 3 regions, averages", False),
    Kind("group: permutation p, averages", True),
    Kind("group: max-statistic FWE p over 3 regions, averages", True),
    Kind("group: permutation p, volumes", True),
    Kind("participant: permutation p, a class in 2 of 4 runs", False),
    Kind("group: Wilcoxon p, a class in 2 of 4 runs", False),
    Kind("group: permutation p, a class in 2 of 4 runs", True),
    Kind("NOT OFFERED: Wilcoxon against 1/K, a class in 2 of 4 runs", False, offered=False),
    Kind("NOT OFFERED: permuting single volumes of 3-volume trials", False, offered=False),
)


def make_kinds(rng: np.random.Generator, sparse: bool = False) -> list[Samples]:
    """Return averages and volumes of one participant without any effect.

    The last two runs of a sparse one lack the last class.
    """
    rows = [
        (label, f"run-{run}")
        for run in range(N_RUNS)
        for label in rng.permutation(
            np.repeat(CLASSES[: 2 if sparse and run > 1 else 3], PER_CLASS)
        )
    ]
    events = pd.DataFrame(rows, columns=["trial_type", "block"]).assign(event=range(len(rows)))
    common = rng.standard_normal((len(events), 1, N_VOXELS))
    own = rng.standard_normal((len(events), N_VOLUMES, N_VOXELS))
    X = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own
    motion = rng.standard_normal((len(events), N_VOLUMES, 6))
    volumes = events.loc[events.index.repeat(N_VOLUMES)].reset_index(drop=True)
    averages = X.mean(axis=1).astype(np.float32)
    flat = X.reshape(-1, N_VOXELS).astype(np.float32)
    return [
        Samples("averages", averages, events, motion.mean(axis=1), {"task": "null"}),
        Samples("volumes", flat, volumes, motion.reshape(-1, 6), {"task": "null"}),
    ]


def decode(kinds: Sequence[Samples], seed: np.random.SeedSequence) -> TaskDecoding:
    """Decode a participant as the analysis does."""
    plan = plan_task("null", kinds, OPTIONS, seed)
    return decode_task(plan, REGIONS, {"ridge": Ridge()}, OPTIONS, in_order)


def in_order(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """Stand in for ``participant.map``."""
    return [function(item) for item in items]


def naive_p(volumes: Samples, seed: np.random.SeedSequence) -> float:
    """Return the p-value of a test that takes every volume for an event of its own."""
    table = volumes.table.assign(event=range(len(volumes.table)))
    alone = Samples("volumes", volumes.X, table, volumes.motion, volumes.entities)
    return decode([alone], seed).outcomes[0].p


def tieless(rng: np.random.Generator) -> tuple[float, float]:
    """Return p and the smallest FWE p of scores without ties: class distance of three noises."""
    codes, blocks = np.tile([0, 0, 0, 1, 1, 1], 4), np.repeat(np.arange(4), 6)
    seed = np.random.SeedSequence(int(rng.integers(2**32)))
    labels = np.vstack([codes[None], relabel(codes, blocks, N_PERMUTATIONS, seed).codes])
    scores = (2.0 * labels - 1) @ rng.standard_normal((len(codes), 3))
    p = permutation_p(scores[0], scores[1:])
    return float(p[0]), float(max_statistic_p(scores[0], scores[1:]).min())


def family(found: TaskDecoding, samples: str) -> list[int]:
    """Return places of the outcomes of the three regions."""
    return [
        place
        for place, outcome in enumerate(found.outcomes)
        if outcome.samples == samples and outcome.roi_name != "motion"
    ]


def p_sparse(seed: np.random.SeedSequence) -> Iterator[float]:
    """Yield the p-values of participants whose last two runs lack a class."""
    data, permutations, draws = seed.spawn(3)
    rng = np.random.default_rng(data)
    found = [
        decode(make_kinds(rng, sparse=True)[:1], one) for one in permutations.spawn(N_PARTICIPANTS)
    ]
    outcomes = [one.outcomes[0] for one in found]
    scores = np.array([outcome.scores.mean for outcome in outcomes])
    chance = np.array([outcome.chance for outcome in outcomes])
    yield outcomes[0].p
    yield signed_rank_p(scores - chance)
    nulls = [outcome.scores.null - outcome.chance for outcome in outcomes]
    yield group_permutation((scores - chance)[:, None], nulls, N_DRAWS, draws).p[0]
    yield signed_rank_p(scores - 1 / len(CLASSES))


def p_values(seed: np.random.SeedSequence) -> Iterator[float]:
    """Yield one p-value of every kind from one data set, those of wrong tests last."""
    data, permutations, naive, extra, draws, sparse = seed.spawn(6)
    rng = np.random.default_rng(data)
    people = [make_kinds(rng) for _ in range(N_PARTICIPANTS)]
    seeds = permutations.spawn(N_PARTICIPANTS)
    found = [decode(kinds, one) for kinds, one in zip(people, seeds, strict=True)]
    first, averages, volumes = found[0], family(found[0], "averages"), family(found[0], "volumes")
    motion = next(one for one in first.outcomes if one.roi_name == "motion")
    yield first.outcomes[averages[0]].p
    yield first.outcomes[volumes[0]].p
    yield min(first.outcomes[place].p_fwe for place in averages)
    yield min(first.outcomes[place].p_fdr for place in averages)
    yield motion.p
    yield from tieless(np.random.default_rng(extra))
    scores = np.array([[one.outcomes[place].scores.mean for place in averages] for one in found])
    wilcoxon = np.array([signed_rank_p(column - 1 / len(CLASSES)) for column in scores.T])
    yield wilcoxon[0]
    yield fdr(wilcoxon).min()
    group = group_test(found, averages, draws)
    yield group.p[0]
    yield group.p_fwe.min()
    yield group_test(found, volumes, draws).p[0]
    yield from p_sparse(sparse)
    yield naive_p(people[0][1], naive)


def group_test(
    found: Sequence[TaskDecoding], places: Sequence[int], seed: np.random.SeedSequence
) -> GroupTest:
    """Test the group as the analysis does."""
    observed = [[one.outcomes[place].scores.mean for place in places] for one in found]
    nulls = [
        np.stack([one.outcomes[place].scores.null for place in places], axis=1) for one in found
    ]
    return group_permutation(observed, nulls, N_DRAWS, seed)


def report(rows: Sequence[str], n: int, seconds: float) -> str:
    """Return the section of the document."""
    table = "\n".join(rows)
    return f"""
## False positives of decoding

{n:,} data sets without effect, each of {N_PARTICIPANTS} participants with {N_RUNS} runs of
{PER_CLASS} events per class ({len(CLASSES)} classes, {N_VOLUMES} volumes per event that share half
of their noise), 3 overlapping regions, ridge, leave-one-run-out, {N_PERMUTATIONS} permutations and
{N_DRAWS} group draws, through the functions of the analysis. Share of data sets with p <= {LEVEL};
exact tests must lie within the 99.9 % binomial interval, conservative ones below its upper limit:
accuracies are discrete, and ties count against the observed labelling.
`python benchmarks/null_calibration.py --write` measured this in {seconds:.0f} s.

| p-value | rate | wanted | held |
| --- | --- | --- | --- |
{table}

The last row shows why events and not volumes are permuted: the volumes of one event resemble each
other whatever its class, and a test that treats them as exchangeable finds effects in noise. The
row before it shows why chance is the mean of the permutations, not 1/K, where folds lack a class.
"""


def main() -> int:
    """Run the calibration; the exit status tells whether every test holds its level."""
    return calibrate(__doc__.splitlines()[0], "null_calibration", [Part(KINDS, p_values)], report)


if __name__ == "__main__":
    raise SystemExit(main())
