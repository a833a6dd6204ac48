"""Intervals of the similarity of RDMs and models, by resampling participants and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bidsface.numerics.dissimilarity import count_conditions
from bidsface.numerics.rdm_statistics import STATISTICS, Seed, lookup_of, reorder
from bidsface.numerics.seeds import child_seed

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Over = Literal["participants", "conditions", "both"]

FEWEST_CONDITIONS = 3
"""Different conditions that a draw needs; others are left out."""

CHUNK = 2**21
"""Numbers that are held at once."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Similarities of participants' RDMs with models, and how far they may be trusted.

    Attributes
    ----------
    value : ndarray of shape (n_models,)
        Mean over participants.
    low, high : ndarray of shape (n_models,)
        Ends of the confidence interval.
    difference_low, difference_high : ndarray of shape (n_models, n_models)
        Ends of the interval of model ``i`` less model ``j``.
    n_used : int
        Draws that had enough different conditions.
    """

    value: Floats
    low: Floats
    high: Floats
    difference_low: Floats
    difference_high: Floats
    n_used: int


def bootstrap_comparison(
    rdms: ArrayLike,
    models: ArrayLike,
    *,
    statistic: str = "pearson",
    n_draws: int = 1000,
    seed: Seed,
    over: Over = "both",
    level: float = 0.95,
) -> Comparison:
    r"""Return intervals of the mean similarity of participants' RDMs and models.

    Participants, conditions or both are drawn with replacement; a drawn RDM has no pairs of a
    condition with itself. The interval is a t interval from the variance of the draws, with one
    degree of freedom less than there are participants or conditions, whichever are fewer. The
    variance is multiplied by n / (n - 1) for n participants, and likewise for k conditions. Drawing
    both at once counts the noise of the measurements twice, which the draws of the factors alone
    correct: :math:`v = \frac{n}{n-1} v_p + \frac{k}{k-1} v_c -
    \frac{nk}{(n-1)(k-1)}(v_{pc} - v_p - v_c)`, kept between the larger of its first two terms and
    :math:`v_{pc}` (Schütt et al. 2023, eLife 12:e82566). Intervals end where similarities (-1 and
    1) and their differences do.

    Parameters
    ----------
    rdms : array of shape (n_participants, n_pairs)
    models : array of shape (n_models, n_pairs)
        No pair may be missing in either.
    statistic : {"pearson", "spearman", "kendall", "cosine"}
    n_draws : int
    seed : SeedSequence or int
    over : {"participants", "conditions", "both"}
        Participants need two at least, conditions four; else the interval is NaN.
    level : float

    Raises
    ------
    ValueError
        If RDMs and models do not fit together or lack pairs.
    """
    own, hypotheses = np.asarray(rdms, np.float64), np.atleast_2d(np.asarray(models, np.float64))
    if own.ndim != 2 or own.shape[1] != hypotheses.shape[1]:
        raise ValueError(f"RDMs of shape {own.shape} and models {hypotheses.shape} do not fit")
    if not (np.isfinite(own).all() and np.isfinite(hypotheses).all()):
        raise ValueError("a bootstrap needs all pairs of all RDMs")
    data = _Data(own, hypotheses, statistic)
    value = data.every.mean(axis=0)
    wanted = {"both": ("both", "participants", "conditions")}.get(over, (over,))
    draws = [data.draw(kind, n_draws, _stream(seed, kind)) for kind in wanted]
    used = [one[np.isfinite(one).all(axis=1)] for one in draws]
    limits = _Intervals(dict(zip(wanted, used, strict=True)), data.sizes, level)
    low, high = np.clip(limits(value, np.eye(len(value))), -1.0, 1.0)
    every = [limits(value, np.eye(len(value)) - row) for row in np.eye(len(value))]
    lower, upper = np.clip(np.stack(every, axis=2), -2.0, 2.0)
    return Comparison(
        value,
        low,
        high,
        lower,
        upper,
        len(used[0]),
    )


@dataclass(frozen=True, eq=False)
class _Data:
    """RDMs and models (n, n_pairs) to draw from."""

    rdms: Floats
    models: Floats
    statistic: str

    @property
    def n_participants(self) -> int:
        return len(self.rdms)

    @property
    def n_conditions(self) -> int:
        return count_conditions(self.rdms.shape[1])

    @property
    def sizes(self) -> dict[str, int]:
        """How many participants and conditions there are."""
        return {"participants": self.n_participants, "conditions": self.n_conditions}

    @property
    def every(self) -> Floats:
        """Similarities of all participants' RDMs, (n_participants, n_models)."""
        own = STATISTICS[self.statistic]
        return own.vectors(self.rdms) @ own.vectors(self.models).T

    def draw(self, over: str, n_draws: int, seed: np.random.SeedSequence) -> Floats:
        """Return mean similarities of draws, (n_draws, n_models); NaN of what cannot be drawn."""
        people, conditions = (np.random.default_rng(child_seed(seed, place)) for place in range(2))
        n, k = self.n_participants, self.n_conditions
        weights = np.full((n_draws, n), 1.0 / n)
        if over != "conditions":
            if n < 2:
                return np.full((n_draws, len(self.models)), np.nan)
            weights = people.multinomial(n, np.full(n, 1.0 / n), size=n_draws) / n
        if over == "participants":
            return weights @ self.every
        if k <= FEWEST_CONDITIONS:
            return np.full((n_draws, len(self.models)), np.nan)
        drawn = conditions.integers(k, size=(n_draws, k))
        size = max(1, CHUNK // (len(self.rdms) * self._expanded))
        found = np.empty((n_draws, len(self.models)))
        for start in range(0, n_draws, size):
            some = slice(start, start + size)
            found[some] = np.einsum("dn,dnm->dm", weights[some], self._similarities(drawn[some]))
        return found

    @property
    def _expanded(self) -> int:
        n_pairs = self.rdms.shape[1]
        return n_pairs * (n_pairs - 1) // 2 if self.statistic == "kendall" else n_pairs

    def _similarities(self, drawn: Indices) -> Floats:
        """Return similarities for draws of conditions, (n_draws, n_participants, n_models)."""
        index = reorder(drawn, lookup_of(self.n_conditions))
        own = STATISTICS[self.statistic]
        # The last place is that of a condition with itself, which is missing.
        rdms, models = (
            own.vectors(np.pad(one, ((0, 0), (0, 1)), constant_values=np.nan)[:, index])
            for one in (self.rdms, self.models)
        )
        found = np.einsum("ndp,mdp->dnm", rdms, models)
        ordered = np.sort(drawn, axis=1)
        distinct = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
        found[distinct < FEWEST_CONDITIONS] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class _Intervals:
    """Intervals of contrasts of models.

    ``draws``: similarities (n_draws, n_models) by what was drawn, ``both`` or a factor; ``sizes``:
    how many there are of every factor.
    """

    draws: Mapping[str, Floats]
    sizes: Mapping[str, int]
    level: float

    def __call__(self, value: Floats, contrasts: Floats) -> tuple[Floats, Floats]:
        """Return the ends for contrasts (n_contrasts, n_models)."""
        if min(map(len, self.draws.values())) < 2:
            nothing = np.full(len(contrasts), np.nan)
            return nothing, nothing
        variances = {
            kind: np.asarray((own @ contrasts.T).var(axis=0, ddof=1))
            for kind, own in self.draws.items()
        }
        factors = [kind for kind in variances if kind != "both"]
        corrected = [self._correction(kind) * variances[kind] for kind in factors]
        variance = corrected[0]
        if "both" in variances:
            interaction = variances["both"] - variances[factors[0]] - variances[factors[1]]
            shared = self._correction(factors[0]) * self._correction(factors[1]) * interaction
            variance = np.maximum(corrected[0] + corrected[1] - shared, np.maximum(*corrected))
            variance = np.minimum(variance, variances["both"])
        dof = min(self.sizes[kind] for kind in factors) - 1
        half = stats.t.ppf(0.5 + self.level / 2, dof) * np.sqrt(variance)
        centre = contrasts @ value
        return centre - half, centre + half

    def _correction(self, kind: str) -> float:
        return self.sizes[kind] / (self.sizes[kind] - 1)


def _stream(seed: Seed, kind: str) -> np.random.SeedSequence:
    """Return the random stream of draws over some factors."""
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    return child_seed(root, ("both", "participants", "conditions").index(kind))
