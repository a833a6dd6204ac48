"""Expectation propagation against long Gibbs sampling, and its evidence against quadrature.

Random problems with 40 to 216 samples and 50 to 5,000 features, independent or smooth, whose
weights come from the prior. Every posterior mean has to lie within 0.1 posterior standard
deviations of the sampler's, every standard deviation within 10 %, each plus 3 Monte Carlo standard
errors. The sampler shares no code with the estimator (see tests/gibbs.py).

    python benchmarks/ep_accuracy.py [--problems 20] [--write]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit
from threadpoolctl import threadpool_limits

from bidsface_decoding import BayesianLogisticRegression

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from gibbs import Moments, moments, sample_weights
from plain_ep import quadrature
from sections import replace_section

BIAS_SCALE = 100.0
FRACTIONS = (0.9, 1.0)
COLUMNS = (
    *("n", "p", "features", "scale", "draws", "MC error"),
    *("mean, fraction 0.9", "SD", "SD bias", "mean, fraction 1", "SD", "SD bias", "held"),
)
HEADER = f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}"
WORK = 6e9
"""Multiplications that sampling one problem may take in products of its samples."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Samples, labels -1 and 1, and the scale that the weights were drawn with."""

    X: np.ndarray
    signs: np.ndarray
    scale: float
    smooth: bool


@dataclass(frozen=True, eq=False)
class Agreement:
    """Largest and typical differences of one fit, in posterior standard deviations.

    ``mean_excess`` and ``sd_excess`` are the largest differences beyond 3 standard errors.
    """

    mean: float
    mean_excess: float
    sd: float
    sd_excess: float
    sd_bias: float

    @property
    def held(self) -> bool:
        """Whether the differences are within what is wanted."""
        return self.mean_excess <= 0.1 and self.sd_excess <= 0.1


def make_problem(seed: np.random.SeedSequence, index: int) -> Problem:
    """Draw a problem; prior standard deviations of activations are 1 to 6."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(40, 217)), int(np.exp(rng.uniform(np.log(50), np.log(5000))))
    spread = np.exp(rng.uniform(np.log(1.0), np.log(6.0)))
    X = rng.standard_normal((n, p))
    smooth = index % 2 == 1
    if smooth:
        X = gaussian_filter1d(X, 2.0, axis=1)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    scale = spread**2 / (2 * p)
    activation = X @ rng.laplace(scale=np.sqrt(scale), size=p)
    return Problem(X, np.where(rng.random(n) < expit(activation), 1.0, -1.0), scale, smooth)


def n_draws(problem: Problem) -> int:
    """Return how long the chain is: as long as time allows, 1,500 draws at least."""
    n, p = problem.X.shape
    return int(np.clip(WORK / (min(n, p) * n * p), 1500, 12_000)) // 10 * 10


def compare(problem: Problem, expected: Moments, fraction: float) -> Agreement:
    """Fit, and compare the marginals with the sampler's."""
    found = BayesianLogisticRegression(problem.scale, BIAS_SCALE, fraction).fit(
        problem.X, problem.signs
    )
    mean = np.append(found.coef_mean_[0], found.intercept_[0])
    sd = np.sqrt(np.append(found.coef_var_[0], found.intercept_var_[0]))
    mean_error = np.abs(mean - expected.mean) / expected.sd
    sd_error = np.abs(sd / expected.sd - 1)
    return Agreement(
        float(mean_error.max()),
        float((mean_error - 3 * expected.mean_error / expected.sd).max()),
        float(sd_error.max()),
        float((sd_error - 3 * expected.sd_error / expected.sd).max()),
        float(np.median(sd / expected.sd - 1)),
    )


def row(problem: Problem, found: Sequence[Agreement], expected: Moments, draws: int) -> str:
    """Return a line of the table."""
    n, p = problem.X.shape
    cells = [
        f"{one.mean:.3f} ({one.mean_excess:.3f}) | {one.sd:.3f} ({one.sd_excess:.3f}) "
        f"| {one.sd_bias:+.3f}"
        for one in found
    ]
    error = np.median(expected.mean_error / expected.sd)
    held = "yes" if all(one.held for one in found) else "**no**"
    kind = "smooth" if problem.smooth else "independent"
    return (
        f"| {n} | {p:,} | {kind} | {problem.scale:.2g} | {draws:,} | {error:.3f} "
        f"| {' | '.join(cells)} | {held} |"
    )


def evidence_rows(seed: np.random.SeedSequence) -> tuple[list[str], bool]:
    """Compare log evidence with quadrature on problems of one and two features."""
    rng, rows, good = np.random.default_rng(seed), [], True
    for p in (1, 2):
        for scale in (0.01, 0.1, 1.0, 10.0):
            X = rng.standard_normal((40, p))
            signs = np.where(rng.random(40) < expit(1.5 * X.sum(axis=1)), 1.0, -1.0)
            exact = quadrature(X, signs, scale, BIAS_SCALE)
            fits = [
                BayesianLogisticRegression(scale, BIAS_SCALE, fraction).fit(X, signs)
                for fraction in FRACTIONS
            ]
            errors = [float(fit.log_evidence_[0]) - exact for fit in fits]
            good &= max(map(abs, errors)) < 0.1
            rows.append(
                f"| {p} | {scale:g} | {exact:.3f} | "
                + " | ".join(f"{error:+.3f}" for error in errors)
                + " |"
            )
    return rows, good


def report(rows: Sequence[str], evidence: Sequence[str], seconds: float) -> str:
    """Return the section of the document."""
    newline = "\n"
    return f"""
## Posteriors of the Bayesian classifier

{len(rows)} random problems, weights drawn from the prior, prior standard deviation of activations 1
to 6, features independent or smooth over neighbours. Largest difference over all weights and the
bias between expectation propagation and Gibbs sampling, in posterior standard deviations; in
brackets what exceeds 3 Monte Carlo standard errors, wanted at most 0.1 for means and for standard
deviations. "SD bias": median relative difference of standard deviations.
`python benchmarks/ep_accuracy.py --write` measured this in {seconds:.0f} s on one core.

{HEADER}
{newline.join(rows)}

Log evidence of 40 samples of one and two features, and the error of expectation propagation:

| p | scale | quadrature | fraction 0.9 | fraction 1 |
| --- | --- | --- | --- | --- |
{newline.join(evidence)}
"""


def main() -> int:
    """Run the comparison; the exit status tells whether everything is as close as wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write docs/validation.md")
    arguments = parser.parse_args()
    start, rows, good = perf_counter(), [], True
    data, chains, tiny = np.random.SeedSequence(arguments.seed).spawn(3)
    with threadpool_limits(1):
        seeds = zip(data.spawn(arguments.problems), chains.spawn(arguments.problems), strict=True)
        for index, (one, chain) in enumerate(seeds):
            problem = make_problem(one, index)
            draws = n_draws(problem)
            sampled = sample_weights(
                problem.X, problem.signs, problem.scale, BIAS_SCALE, draws, 1, chain
            )
            expected = moments(sampled)
            found = [compare(problem, expected, fraction) for fraction in FRACTIONS]
            good &= all(agreement.held for agreement in found)
            rows.append(row(problem, found, expected, draws))
            print(f"{perf_counter() - start:5.0f} s {rows[-1]}", flush=True)
        evidence, close = evidence_rows(tiny)
    text = report(rows, evidence, perf_counter() - start)
    print(text)
    if arguments.write:
        document = Path(__file__).parents[1] / "docs" / "validation.md"
        replace_section(document, "ep_accuracy", text)
    return 0 if good and close else 1


if __name__ == "__main__":
    raise SystemExit(main())
