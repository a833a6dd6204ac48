"""What calibrations of p-values share: kinds of them, the judgement of their rates, the section.

A calibration runs many data sets without effect through the functions of an analysis, and counts
how often every p-value is at most 0.05. Exact tests must reject within the 99.9 % binomial
interval of 5 %, conservative ones at most at its upper limit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parent))
from sections import replace_section

LEVEL, CONFIDENCE = 0.05, 0.999


@dataclass(frozen=True)
class Kind:
    """A kind of p-value: what it is, and whether its test is exact or only conservative.

    The level of a test that is not offered is shown, but need not be held.
    """

    name: str
    exact: bool
    offered: bool = True


PValues = Callable[[np.random.SeedSequence], Iterable[float]]
"""From the seed of a data set to one p-value of every kind."""


@dataclass(frozen=True)
class Part:
    """Kinds of p-values that the same data sets give.

    Attributes
    ----------
    kinds : sequence of Kind
    p_values : callable
        Yields one p-value of every kind, in their order.
    share : int
        1 for all data sets, 10 for every tenth where they take long.
    """

    kinds: Sequence[Kind]
    p_values: PValues
    share: int = 1


@dataclass(frozen=True)
class Study:
    """Data sets whose p-values bear their names.

    Attributes
    ----------
    find : callable
        From the seed of a data set to names and p-values, in an order that is always the same.
    kind_of : callable
        From a name to the kind of p-value.
    """

    find: Callable[[np.random.SeedSequence], Iterable[tuple[str, float]]]
    kind_of: Callable[[str], Kind]

    def __call__(self, seed: np.random.SeedSequence) -> list[float]:
        """Return the p-values of a data set, in the order of their kinds."""
        return [p for _, p in self.find(seed)]

    def part(self, share: int = 1) -> Part:
        """Return the kinds of p-values, as a first data set has them."""
        names = [name for name, _ in self.find(np.random.SeedSequence(0))]
        return Part([self.kind_of(name) for name in names], self, share)


Report = Callable[[Sequence[str], int, float], str]
"""From rows of the table, number of data sets and seconds to the section of the document."""


def limits(n: int) -> tuple[float, float]:
    """Return the ends of the binomial interval of the level, as rates."""
    low, high = stats.binom.interval(CONFIDENCE, n, LEVEL)
    return float(low) / n, float(high) / n


def rates_of(part: Part, n: int, seed: int = 0, jobs: int = 1) -> dict[Kind, float]:
    """Return the share of data sets in which each kind of p-value is at most 0.05.

    Parameters
    ----------
    part : Part
    n : int
        Number of data sets.
    seed : int
    jobs : int
        Processes; the rates do not depend on it.

    Raises
    ------
    ValueError
        If a p-value is missing in some data set: it would pass for one that is not small.
    """
    seeds = np.random.SeedSequence(seed).spawn(n)
    run = partial(_run, part.p_values)
    if jobs > 1:
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            p = np.array(list(pool.map(run, seeds, chunksize=5)))
    else:
        p = np.array([run(one) for one in seeds])
    lacking = np.isnan(p).any(axis=0)
    if lacking.any():
        names = (kind.name for kind, lacks in zip(part.kinds, lacking, strict=True) if lacks)
        raise ValueError(f"there is not always a p-value: {'; '.join(names)}")
    return dict(zip(part.kinds, (p <= LEVEL + 1e-12).mean(axis=0).tolist(), strict=True))


def _run(p_values: PValues, seed: np.random.SeedSequence) -> list[float]:
    with threadpool_limits(1):
        return list(p_values(seed))


def judge(rates: Mapping[Kind, float], n: int) -> tuple[list[str], bool]:
    """Return table rows, and whether every test that is offered holds its level."""
    low, high = limits(n)
    rows, good = [], True
    for kind, rate in rates.items():
        held = rate <= high and (rate >= low or not kind.exact)
        good &= held or not kind.offered
        wanted = f"{low:.3f} to {high:.3f}" if kind.exact else f"at most {high:.3f}"
        rows.append(f"| {kind.name} | {rate:.4f} | {wanted} | {'yes' if held else '**no**'} |")
    return rows, good


def calibrate(description: str, section: str, parts: Sequence[Part], report: Report) -> int:
    """Run a calibration by its command line; return 0 if every test holds its level, else 1.

    Parameters
    ----------
    description : str
        Of the command.
    section : str
        Name of the section of docs/validation.md.
    parts : sequence of Part
    report : callable
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data-sets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--write", action="store_true", help="write docs/validation.md")
    arguments = parser.parse_args()
    start = perf_counter()
    rows, good = [], True
    for part in parts:
        n = arguments.data_sets // part.share
        some, held = judge(rates_of(part, n, arguments.seed, arguments.jobs), n)
        rows, good = [*rows, *some], good and held
    text = report(rows, arguments.data_sets, perf_counter() - start)
    print(text)
    if arguments.write:
        document = Path(__file__).parents[1] / "docs" / "validation.md"
        replace_section(document, section, text)
    return 0 if good else 1
