"""How often every p-value of the searchlight is at most 0.05 without effect.

Each data set is a group of participants whose samples of two tasks hold noise only; it goes through
the functions by which the analysis maps a participant and tests a group. For prevalence every
participant has the effect with the very chance that the null hypothesis allows. One more group has
class patterns in both tasks that have nothing to do with each other.

    python benchmarks/null_searchlight.py [--data-sets 1000] [--write]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bidsface.analysis import Grid, Region, Voxels
from bidsface.numerics.map_tests import MapTest, group_map_test, minimum_map_test
from bidsface.numerics.prevalence import infer_prevalence
from bidsface_decoding.crossmodal_plan import CrossPlan
from bidsface_decoding.searchlight import SearchlightOptions, build_classifier
from bidsface_decoding.searchlight_maps import DirectionMaps, find_directions, find_maps

sys.path.insert(0, str(Path(__file__).parent))
from calibration import LEVEL, Kind, Study, calibrate
from noise_tasks import CLASSES, N_RUNS, PER_CLASS, TASKS, in_order, make_participant

N_PARTICIPANTS, N_PERMUTATIONS, N_DRAWS = 8, 19, 1999
GRID = Grid((4, 4, 3), np.diag([3.0, 3.0, 3.0, 1.0]), "MNI152NLin2009cAsym", "2")
REGION = Region("everything", np.arange(48), "all voxels")
GAMMA = 0.3
"""Prevalence of the null hypothesis. 0.5, the default, needs more participants to be rejected."""
OPTIONS = SearchlightOptions(
    directions=(("display", "display"), TASKS),
    radius=3.1,
    permutations=N_PERMUTATIONS,
    group_draws=N_DRAWS,
    prevalence=GAMMA,
)
WITHIN = OPTIONS.model_copy(update={"directions": (("display", "display"),)})
ACROSS = OPTIONS.model_copy(update={"directions": (TASKS,)})
WORDS = ("within a task", "across tasks")
UNRELATED = "unrelated class patterns, across tasks"
MISREAD = "AS A TEST OF SHARING"
MAJORITY = "AS A TEST OF PREVALENCE"
LIMIT = "A LIMIT"
ONE_VOXEL = np.where(REGION.columns == 0, 4.0, 0.0)

Found = Iterator[tuple[str, float]]


@dataclass(frozen=True)
class Brain:
    """What mapping a participant needs of `bidsface.analysis.Participant`."""

    voxels: Voxels

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Work in order."""
        return in_order(function, items)


BRAIN = Brain(Voxels(GRID, REGION.columns))


def maps_of(plan: CrossPlan, options: SearchlightOptions) -> Sequence[DirectionMaps]:
    """Map a participant as the analysis does."""
    return find_maps(
        BRAIN,
        plan.problems["averages"],
        REGION,
        find_directions(options, TASKS),
        len(CLASSES),
        build_classifier(options),
        options,
        "cpu",
        plan.entities,
    ).maps


def map_noise(
    rng: np.random.Generator, effect: float | np.ndarray, options: SearchlightOptions
) -> Any:
    """Map a participant of noise, to which patterns of every task's own may be added."""
    return maps_of(
        make_participant(rng, N_PERMUTATIONS, effect, n_voxels=len(REGION.columns)), options
    )


def test_group(
    maps: Sequence[DirectionMaps], test: Callable[..., MapTest], seed: np.random.SeedSequence
) -> MapTest:
    """Test a group as `searchlight_group` does."""
    return test([one.scores[0] for one in maps], [one.scores[1:] for one in maps], N_DRAWS, seed)


def all_p(seed: np.random.SeedSequence) -> Found:
    """Yield the p-values of one data set by their names."""
    data, draws = seed.spawn(2)
    rng = np.random.default_rng(data)
    people = [map_noise(rng, 0.0, OPTIONS) for _ in range(N_PARTICIPANTS)]
    for place, words in enumerate(WORDS):
        maps = [one[place] for one in people]
        own = maps[0].test
        yield f"participant: p of a voxel, {words}", own.p[0]
        yield f"participant: FWE p over voxels, {words}", own.p_fwe.min()
        mean = test_group(maps, group_map_test, draws)
        yield f"group: p of a voxel, {words}", mean.p[0]
        yield f"group: FWE p over voxels, {words}", mean.p_fwe.min()
        smallest = test_group(maps, minimum_map_test, draws)
        for gamma, name in ((0.0, "global null"), (GAMMA, "prevalence")):
            found = infer_prevalence(smallest, N_PARTICIPANTS, gamma)
            yield f"group: {name} p of a voxel, effect in nobody, {words}", found.p[0]
            yield f"group: {name} p corrected, effect in nobody, {words}", found.p_fwe.min()
    yield from mixture_p(rng, [one[0] for one in people], draws)
    yield from unrelated_p(rng, draws)


def mixture_p(
    rng: np.random.Generator, nobody: Sequence[DirectionMaps], draws: np.random.SeedSequence
) -> Found:
    """Yield p-values where every participant has the effect with the chance of the null."""
    has_it = rng.random(N_PARTICIPANTS) < GAMMA

    def mixed(effect: float | np.ndarray) -> Sequence[DirectionMaps]:
        return [
            map_noise(rng, effect, WITHIN)[0] if has else without
            for has, without in zip(has_it, nobody, strict=True)
        ]

    where = f"effect at one voxel in {GAMMA:.0%} of people"
    found = infer_prevalence(
        test_group(mixed(ONE_VOXEL), minimum_map_test, draws), N_PARTICIPANTS, GAMMA
    )
    yield f"group: prevalence p of this voxel, {where}", found.p[0]
    yield f"group: prevalence p corrected, {where}", found.p_fwe.min()
    largest = np.nanmax(np.where(np.isnan(found.gamma), 0.0, found.gamma))
    yield f"group: said to be in more than {GAMMA:.0%} anywhere, {where}", float(largest < GAMMA)
    maps, where = mixed(2.0), f"effect everywhere in {GAMMA:.0%} of people"
    smallest = test_group(maps, minimum_map_test, draws)
    found = infer_prevalence(smallest, N_PARTICIPANTS, GAMMA)
    yield f"group: prevalence p of a voxel, {where}", found.p[0]
    yield f"{LIMIT}: group: prevalence p corrected, {where}", found.p_fwe.min()
    yield f"{MAJORITY}: p of the smallest score, {where}", smallest.p[0]
    yield f"{MAJORITY}: p of the mean score, {where}", test_group(maps, group_map_test, draws).p[0]


def unrelated_p(rng: np.random.Generator, draws: np.random.SeedSequence) -> Found:
    """Yield p-values where every task has class patterns of its own."""
    maps = [map_noise(rng, 1.0, ACROSS)[0] for _ in range(N_PARTICIPANTS)]
    yield f"{MISREAD}: participant: p of a voxel, {UNRELATED}", maps[0].test.p[0]
    mean = test_group(maps, group_map_test, draws)
    yield f"{MISREAD}: group: p of a voxel, {UNRELATED}", mean.p[0]
    yield f"{MISREAD}: group: FWE p over voxels, {UNRELATED}", mean.p_fwe.min()


def kind_of(name: str) -> Kind:
    """Return a kind of p-value by its name."""
    warning = name.startswith((LIMIT, MISREAD, MAJORITY))
    return Kind(name, name.startswith("group: p of"), not warning)


STUDY = Study(all_p, kind_of)


def report(rows: Sequence[str], n: int, seconds: float) -> str:
    """Return the section of the document."""
    table = "\n".join(rows)
    return f"""
## False positives of the searchlight

{n:,} data sets without effect, each of {N_PARTICIPANTS} participants with two tasks of {N_RUNS}
runs with {PER_CLASS} events per class ({len(CLASSES)} classes), spheres of {OPTIONS.radius:g} mm
around {len(REGION.columns)} voxels of {GRID.affine[0, 0]:g} mm, ridge, leave-one-run-out,
{N_PERMUTATIONS} permutations and {N_DRAWS:,} group draws, through the functions of the analysis.
Share of data sets with p <= {LEVEL} in the first voxel, or anywhere for corrected p-values; exact
tests must lie within the 99.9 % binomial interval, conservative ones below its upper limit:
accuracies are discrete, and ties count against the observed labelling. Prevalence is tested against
{GAMMA:.0%}, in noise and where every participant has a strong effect with that very chance.
`python benchmarks/null_searchlight.py --write` measured this in {seconds:.0f} s.

| p-value | rate | wanted | held |
| --- | --- | --- | --- |
{table}

The last rows are warnings. Row {LIMIT}: the correction of prevalence (Allefeld et al. 2016, eq. 20)
guards against voxels where nobody has the effect; where some people have it in many voxels, each of
these is tested at the uncorrected level. Rows {MAJORITY}: the tests of the mean and of the smallest
score ask whether anyone has the effect. Rows {MISREAD}: permuted labels do not tell what accuracies
across tasks are like where both tasks can be decoded but their patterns have nothing to do with
each other; see the section on decoding across tasks.
"""


def main() -> int:
    """Run the calibration; the exit status tells whether every test holds its level."""
    return calibrate(__doc__.splitlines()[0], "null_searchlight", [STUDY.part()], report)


if __name__ == "__main__":
    raise SystemExit(main())
