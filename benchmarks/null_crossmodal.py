"""How often every p-value that decoding across tasks prints is at most 0.05 without effect.

Each data set is a group of participants whose samples of two tasks hold noise only; it goes through
the functions by which the analysis decodes participants and tests a group. One more group has class
patterns in both tasks that have nothing to do with each other: both tasks can be decoded, but
nothing is shared.

    python benchmarks/null_crossmodal.py [--data-sets 1000] [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bidsface_decoding.comparisons import comparison_frame, find_comparisons
from bidsface_decoding.conditions import KEPT, REGRESSED, Condition, Setting
from bidsface_decoding.crossmodal_options import NO_ALIGNER, CrossmodalOptions
from bidsface_decoding.crossmodal_outcomes import CrossDecoding
from bidsface_decoding.crossmodal_plan import CrossPlan
from bidsface_decoding.displacement import correlation_frame
from bidsface_decoding.family import Family, family_rows
from bidsface_decoding.tables import RECALL

sys.path.insert(0, str(Path(__file__).parent))
from calibration import LEVEL, Kind, Study, calibrate
from noise_tasks import (
    CLASSES,
    N_DRAWS,
    N_RUNS,
    PER_CLASS,
    REGIONS,
    TASKS,
    Decoder,
    Families,
    families_of,
    make_participant,
    without_permutations,
)
from wrong_tests import leaked_p, naive_p

N_PARTICIPANTS, N_PERMUTATIONS = 6, 19
N_OTHERS = 4
"""Permutations of all participants but the first, whose own p-values are not looked at."""
SLOW = 4
"""Every how many data sets what takes longer is done."""
ALIGNER, METRIC = "ridge-alignment", "balanced_accuracy"
BCCA = {"bcca": {"n_components": 2, "n_restarts": 1, "tol": 1e-2}}
PLAIN = {"motion_control": False, "motion_regressed": False}
FIRST = REGIONS[:1]

UNALIGNED = Decoder(CrossmodalOptions(conditions=("within", "cross"), motion_regressed=False))
ALIGNED = Decoder(CrossmodalOptions(conditions=("realigned",), aligners=(ALIGNER,), **PLAIN))
REGRESSION = Decoder(CrossmodalOptions(aligners=(ALIGNER,), motion_control=False), FIRST)
SEVERAL = Decoder(
    CrossmodalOptions(
        aligners=("bcca", "procrustes"),
        aligner_options=BCCA,
        estimators=("ridge", "lda"),
        **PLAIN,
    ),
    FIRST,
)
CROSS = Decoder(CrossmodalOptions(conditions=("cross",), **PLAIN), FIRST)

WITHIN, ACROSS, REALIGNED = "within a task", "across tasks", "realigned"
CONDITIONS = {
    WITHIN: Condition("display", "display"),
    ACROSS: Condition(*TASKS, NO_ALIGNER),
    REALIGNED: Condition(*TASKS, ALIGNER),
}
COMPARED = {
    "realignment": "comparison, one-tailed: with an aligner, without",
    "tasks": "comparison: within one task, within another",
    "transfer": "comparison: within, across tasks",
    "directions": "comparison: one direction, the other",
    "motion": "comparison: head motion kept, regressed out",
    "estimators": "comparison: ridge, lda",
    "aligners": "comparison: bcca, procrustes",
}
UNRELATED = "unrelated class patterns, across tasks"
MISREAD = "AS A TEST OF SHARING"
ONE_TASK = "class patterns in the training task only"
LEAK = f"NOT OFFERED: aligner knows the test runs, labels permuted after pairing; {ONE_TASK}"
NAIVE = "NOT OFFERED: permuting single volumes of 4-volume trials"
EXACT = ("group: permutation p", "group: FWE p", "Pearson's")

Found = Iterator[tuple[str, float]]


def setting(words: str, motion: str = KEPT, control: bool = False) -> Setting:
    """Return a setting of ridge."""
    return Setting(CONDITIONS[words], "ridge", "averages", motion, control)


def class_p(found: Sequence[CrossDecoding], words: str) -> float:
    """Return the Wilcoxon p of the accuracy of the first class in the first region."""
    of = [next(one for one in own.outcomes if one.setting == setting(words)) for own in found]
    scores = pd.DataFrame({"first": [np.nanmean(one.scores.recalls[:, 0]) for one in of]})
    chance = pd.DataFrame({"first": [one.scores.chance.classes[0] for one in of]})
    (row,) = family_rows(Family(setting(words).keys, scores, chance, None), RECALL)
    return float(row["p"])


def participant_p(found: CrossDecoding, words: str) -> Found:
    """Yield the permutation p-values of one participant and condition."""
    regions = [one for one in found.outcomes if one.setting == setting(words)]
    yield f"participant: permutation p, {words}", regions[0].p
    yield f"participant: FWE p over 2 regions, {words}", min(one.p_fwe for one in regions)
    smallest = min(one.p_fdr for one in regions)
    yield f"participant: smallest p_fdr of 2 regions, {words}", smallest
    for one in found.outcomes:
        if one.setting == setting(words, control=True):
            yield f"participant: permutation p, motion alone, {words}", one.p


def wilcoxon_p(families: Families, words: str) -> Found:
    """Yield the signed-rank tests of a condition against chance."""
    rows = family_rows(families[setting(words)], METRIC)
    yield f"group: Wilcoxon p, {words}", rows[0]["p"]
    yield f"group: smallest p_fdr of 2 regions, {words}", min(row["p_fdr"] for row in rows)


def group_permutation_p(families: Families, words: str) -> Found:
    """Yield the permutation tests of a group and condition."""
    rows = family_rows(families[setting(words)], METRIC)
    yield f"group: permutation p, {words}", rows[0]["p_permutation"]
    yield f"group: FWE p over 2 regions, {words}", min(row["p_fwe"] for row in rows)
    if setting(words, control=True) in families:
        (row,) = family_rows(families[setting(words, control=True)], METRIC)
        yield f"group: Wilcoxon p, motion alone, {words}", row["p"]
        yield f"group: permutation p, motion alone, {words}", row["p_permutation"]


def compared_p(kind: str, families: Families) -> Found:
    """Yield the p-values of the first comparison of a kind."""
    frame = comparison_frame(find_comparisons([kind], families)[:1], families, METRIC)
    yield f"{COMPARED[kind]}, p", frame["p"].iloc[0]
    if len(frame) > 1:
        yield f"{COMPARED[kind]}, smallest p_fdr of 2 regions", frame["p_fdr"].min()


def displacement_p(families: Families, seed: np.random.SeedSequence) -> Found:
    """Yield the p-values of correlations with framewise displacement."""
    rng = np.random.default_rng(seed)
    moved = pd.DataFrame({"display": 0.1 + 0.1 * rng.random(N_PARTICIPANTS)})
    chosen = {setting(words): families[setting(words)] for words in CONDITIONS}
    frame = correlation_frame(chosen, moved, METRIC, N_DRAWS, seed)
    for place, words in enumerate(CONDITIONS):
        rows = frame.iloc[2 * place : 2 * place + 2]
        yield f"Spearman's p with framewise displacement, {words}", rows["p"].iloc[0]
        yield f"Spearman's smallest p_fdr of 2 regions, {words}", rows["p_fdr"].min()
        inside = rows["ci_low"].iloc[0] <= 0 <= rows["ci_high"].iloc[0]
        yield f"Pearson's 95 % interval without 0, {words}", float(inside)


def people_of(
    rng: np.random.Generator,
    n_others: int = N_OTHERS,
    effect: float = 0.0,
    tasks: Sequence[str] = TASKS,
) -> list[CrossPlan]:
    """Return a group; the first participant has more permutations."""
    counts = [N_PERMUTATIONS, *[n_others] * (N_PARTICIPANTS - 1)]
    return [make_participant(rng, count, effect, tasks) for count in counts]


def quick_p(seed: np.random.SeedSequence) -> Found:
    """Yield what does not need an aligner for every permutation."""
    data, draws, moving, wrong = seed.spawn(4)
    rng = np.random.default_rng(data)
    people = people_of(rng, N_PERMUTATIONS)
    bare = [without_permutations(one) for one in people]
    found = [UNALIGNED.decode(one, draws) for one in people]
    aligned = [ALIGNED.decode(one, draws) for one in bare]
    families = families_of(found, draws) | families_of(aligned)
    for words in (WITHIN, ACROSS):
        yield from participant_p(found[0], words)
        yield from group_permutation_p(families, words)
    for words in CONDITIONS:
        yield from wilcoxon_p(families, words)
        own = aligned if words == REALIGNED else found
        yield f"group: Wilcoxon p of one class, {words}", class_p(own, words)
    for kind in ("realignment", "tasks", "transfer", "directions"):
        yield from compared_p(kind, families)
    yield from displacement_p(families, moving)
    families = families_of([REGRESSION.decode(one, draws) for one in bare])
    yield from compared_p("motion", families)
    for words in CONDITIONS:
        (row,) = family_rows(families[setting(words, REGRESSED)], METRIC)
        yield f"group: Wilcoxon p, motion regressed out, {words}", row["p"]
    yield from unrelated_p(rng, draws)
    yield from one_task_p(rng, draws)
    yield NAIVE, naive_p(wrong)


def unrelated_p(rng: np.random.Generator, draws: np.random.SeedSequence) -> Found:
    """Yield p-values where every task has class patterns of its own."""
    found = [CROSS.decode(one, draws) for one in people_of(rng, N_PERMUTATIONS, effect=1.0)]
    (row,) = family_rows(families_of(found, draws)[setting(ACROSS)], METRIC)
    first = next(one for one in found[0].outcomes if one.setting == setting(ACROSS))
    yield f"group: Wilcoxon p, {UNRELATED}", row["p"]
    yield f"{MISREAD}: participant: permutation p, {UNRELATED}", first.p
    yield f"{MISREAD}: group: permutation p, {UNRELATED}", row["p_permutation"]


def one_task_p(rng: np.random.Generator, draws: np.random.SeedSequence) -> Found:
    """Yield p-values where the training task alone has class patterns."""
    people = people_of(rng, N_PERMUTATIONS, effect=1.0, tasks=TASKS[:1])
    found = [ALIGNED.decode(without_permutations(one), draws) for one in people]
    rows = family_rows(families_of(found)[setting(REALIGNED)], METRIC)
    yield f"group: Wilcoxon p, realigned, {ONE_TASK}", rows[0]["p"]
    yield LEAK, leaked_p(people[0])


def slow_p(seed: np.random.SeedSequence) -> Found:
    """Yield what needs an aligner for every permutation, and other aligners and classifiers."""
    data, draws = seed.spawn(2)
    people = people_of(np.random.default_rng(data))
    found = [ALIGNED.decode(one, draws) for one in people]
    yield from participant_p(found[0], REALIGNED)
    yield from group_permutation_p(families_of(found, draws), REALIGNED)
    for one in REGRESSION.decode(people[0], draws).outcomes:
        for words in CONDITIONS:
            if one.setting == setting(words, REGRESSED):
                yield f"participant: permutation p, motion regressed out, {words}", one.p
    bare = [without_permutations(one) for one in people]
    families = families_of([SEVERAL.decode(one, draws) for one in bare])
    for kind in ("estimators", "aligners"):
        yield from compared_p(kind, families)
    yield "group: Wilcoxon p, lda, across tasks", wilcoxon(families, "lda", NO_ALIGNER)
    yield "group: Wilcoxon p, ridge, realigned by bcca", wilcoxon(families, "ridge", "bcca")


def wilcoxon(families: Families, estimator: str, aligner: str) -> float:
    """Return p of a group in the first region."""
    condition = Condition(*(TASKS if aligner else ("display", "display")), aligner)
    rows = family_rows(families[Setting(condition, estimator, "averages")], METRIC)
    return float(rows[0]["p"])


def kind_of(name: str) -> Kind:
    """Return a kind of p-value by its name."""
    return Kind(name, name.startswith(EXACT), not name.startswith((MISREAD, "NOT OFFERED")))


def report(rows: Sequence[str], n: int, seconds: float) -> str:
    """Return the section of the document."""
    table = "\n".join(rows)
    return f"""
## False positives of decoding across tasks

{n:,} data sets without effect, each of {N_PARTICIPANTS} participants with two tasks of {N_RUNS}
runs with {PER_CLASS} events per class ({len(CLASSES)} classes), 2 overlapping regions, ridge and
the aligner `{ALIGNER}` unless a row says otherwise, {CrossmodalOptions().pairings} partners per
sample, leave-one-run-out, {N_PERMUTATIONS} permutations with aligners refitted to every one,
{N_DRAWS} group draws, through the functions of the analysis.
Share of data sets with p <= {LEVEL}; exact tests must lie within the 99.9 % binomial
interval, conservative ones below its upper limit: accuracies are discrete, and ties count against
the observed labelling. {n // SLOW:,} data sets where aligners are refitted to permutations or
there are several, which takes long (wider intervals).
`python benchmarks/null_crossmodal.py --write` measured this in {seconds:.0f} s.

| p-value | rate | wanted | held |
| --- | --- | --- | --- |
{table}

Rows {MISREAD}: where both tasks can be decoded but their patterns have nothing to do with each
other, test samples of a class are taken together for the same class, wrong or by luck right, so
that accuracies across tasks vary more than permuted labels tell. A permutation p across tasks says
that labels are not exchangeable; whether a code is shared is for the Wilcoxon test over
participants to say, which holds its level there (row before). Rows NOT OFFERED: an aligner that
sees the test run makes noise of the tested task look like the training task, and permuting volumes
instead of events takes what volumes of a trial have in common for an effect.
"""


def main() -> int:
    """Run the calibration; the exit status tells whether every test holds its level."""
    parts = [
        Study(quick_p, kind_of).part(),
        Study(slow_p, kind_of).part(SLOW),
    ]
    return calibrate(__doc__.splitlines()[0], "null_crossmodal", parts, report)


if __name__ == "__main__":
    raise SystemExit(main())
