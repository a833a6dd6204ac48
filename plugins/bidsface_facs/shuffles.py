"""Permutations of a target that a null hypothesis about participants and trials allows.

`within`: images say nothing about which of a participant's trials has which value. Values are
permuted among the images of each participant, which leaves every participant's level where it is.
The test is exact if a participant's values are exchangeable among its images.

`between`: images say nothing about whose values these are. Whole participants are exchanged, so
that what the values of one participant have in common stays together (Winkler et al. 2015,
NeuroImage 123:253). If every participant has the number of images of some other one, blocks of
values are exchanged among participants with equally many images: exact if participants are
exchangeable and their values have nothing to do with images at all. Otherwise blocks do not fit,
and the participants' *means* are exchanged, each participant keeping the deviations from its own:
``y_ij -> mean_perm(i) + y_ij - mean_i``. That leaves what is predicted of single trials under the
null hypothesis; it is exact if means are exchangeable given the deviations, that is for equally
many images and normal values, and approximate else (the mean of fewer images is noisier, and in
skewed values the spread goes with the mean). Where images tell single trials, they also tell
something of a mean of few trials, and participants that are exchanged then differ as well.

`both`: both at once.

`free`: values are permuted among all images as if they had been measured in as many people. This is
no valid test where values or images of one participant resemble each other, and is here to show it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface.numerics.seeds import child_seed
from bidsface_facs.covariates import residuals
from bidsface_facs.splits import Indices

Names = NDArray[Any]


class People:
    """The images of every participant.

    Parameters
    ----------
    participants : ndarray of shape (n_images,)

    Attributes
    ----------
    codes : ndarray of int, shape (n_images,)
        Number of every image's participant.
    counts : ndarray of int, shape (n_participants,)
        Images of every participant.
    rows : ndarray of int, shape (n_images,)
        Images in the order of participants.
    blocks : list of ndarray of int, shape (n_alike, n_own)
        Images of all participants that have equally many, one participant a row.
    """

    def __init__(self, participants: Names) -> None:
        _, self.codes, self.counts = np.unique(
            participants, return_inverse=True, return_counts=True
        )
        self.rows: Indices = np.argsort(self.codes, kind="stable")
        each = np.split(self.rows, np.cumsum(self.counts)[:-1])
        self.blocks = [
            np.stack([rows for rows in each if len(rows) == count])
            for count in np.unique(self.counts)
        ]

    @property
    def exchange_blocks(self) -> bool:
        """Whether every participant has the number of images of some other one."""
        return min(len(block) for block in self.blocks) > 1

    def means(self, values: Floats) -> Floats:
        """Return the mean of every participant, (n_participants,)."""
        return np.bincount(self.codes, values) / self.counts

    def shuffle_within(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Permute values among the images of every participant."""
        # Sorting random keys within participants is one call for all of them.
        order = np.lexsort((rng.random(len(values)), self.codes))
        shuffled = np.empty_like(values)
        shuffled[self.rows] = values[order]
        return shuffled

    def exchange(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Exchange whole participants: blocks of values, or means where blocks do not fit."""
        if not self.exchange_blocks:
            means = self.means(values)
            return values + (rng.permutation(means) - means)[self.codes]
        exchanged = np.empty_like(values)
        for block in self.blocks:
            exchanged[block] = values[rng.permutation(block)]
        return exchanged


class Shuffle(ABC):
    """A kind of permutation.

    Parameters
    ----------
    people : People
    """

    by_participant = True
    """Whether participants keep their levels, so that these are no part of what is permuted."""

    def __init__(self, people: People) -> None:
        self.people = people

    @abstractmethod
    def __call__(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Return permuted values (n_images,)."""


class Within(Shuffle):
    """Permute the values of every participant."""

    def __call__(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Return permuted values (n_images,)."""
        return self.people.shuffle_within(values, rng)


class Between(Shuffle):
    """Exchange participants."""

    by_participant = False

    def __call__(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Return permuted values (n_images,)."""
        return self.people.exchange(values, rng)


class Both(Shuffle):
    """Exchange participants, and permute the values of every participant."""

    by_participant = False

    def __call__(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Return permuted values (n_images,)."""
        return self.people.shuffle_within(self.people.exchange(values, rng), rng)


class Free(Shuffle):
    """Permute values among all images."""

    by_participant = False

    def __call__(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Return permuted values (n_images,)."""
        return rng.permutation(values)


SHUFFLES: Mapping[str, Callable[[People], Shuffle]] = {
    "within": Within,
    "between": Between,
    "both": Both,
    "free": Free,
}
"""Kinds of permutations by name."""


def exchanges_blocks(participants: Names) -> bool:
    """Tell whether `between` exchanges blocks of values; if not, it exchanges means."""
    return People(participants).exchange_blocks


def shuffled_targets(
    values: Floats,
    participants: Names,
    kind: str,
    n: int,
    seed: np.random.SeedSequence,
    covariates: Floats | None = None,
    first: int = 0,
) -> Floats:
    """Return permutations of a target.

    With covariates, what least squares on them leaves is permuted, and what they predict is added
    to it (Freedman and Lane 1983, J Bus Econ Stat 1:292; Winkler et al. 2014, NeuroImage 92:381):
    the null hypothesis then is that images say nothing beyond the covariates, and the test is
    approximate. For `within` every participant has an intercept of its own in that regression.

    Parameters
    ----------
    values : ndarray of shape (n_images,)
    participants : ndarray of shape (n_images,)
    kind : str
        A key of `SHUFFLES`.
    n : int
        Number of permutations.
    seed : SeedSequence
        Every permutation has a stream of its own, so that permutations that are made in several
        parts are those that are made at once.
    covariates : ndarray of shape (n_images, q), optional
    first : int
        Number of the first permutation.

    Returns
    -------
    ndarray of shape (n_images, n)
    """
    shuffle = SHUFFLES[kind](People(participants))
    rest, fitted = values, np.zeros(len(values))
    if covariates is not None:
        intercepts = participants if shuffle.by_participant else None
        rest = residuals(values[:, None], covariates, intercepts)[:, 0]
        fitted = values - rest
    columns = np.empty((n, len(values)))
    for number, column in enumerate(columns, start=first):
        column[:] = fitted + shuffle(rest, np.random.default_rng(child_seed(seed, number)))
    return columns.T
