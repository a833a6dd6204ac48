"""What is to be predicted from one input, and its components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface_facs.metrics import Scored
from bidsface_facs.models import hold_out
from bidsface_facs.options import FacsOptions
from bidsface_facs.prediction import Fold, prepare, prepare_standardized
from bidsface_facs.splits import GroupFolds, Split, inner_splits


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be predicted from one input.

    Attributes
    ----------
    name : str
        Of the input.
    gram : ndarray of shape (n_images, n_images)
        Of all data sets; the first ``n_own`` images are those to train on.
    n_own : int
    others : mapping of str to ndarray of int
        Images of the other data sets.
    people : ndarray of str, shape (n_images,)
    target : ndarray of shape (n_images,)
    covariates : ndarray of shape (n_images, q) or None
    images : ndarray of shape (n_images, n_voxels) or None
        Only where voxels are scaled on training images.
    """

    name: str
    gram: Floats
    n_own: int
    others: Mapping[str, NDArray[np.intp]]
    people: NDArray[np.str_]
    target: Floats
    covariates: Floats | None
    images: NDArray[np.float32] | None = None

    @property
    def own(self) -> NDArray[np.intp]:
        """Images to train on."""
        return np.arange(self.n_own)

    @property
    def scored(self) -> Scored:
        """What is known of the images of all data sets."""
        return Scored(self.people, self.covariates)

    @property
    def own_scored(self) -> Scored:
        """What is known of the images to train on."""
        return self.scored[self.own]

    @property
    def own_target(self) -> Floats:
        """Target of the images to train on."""
        return self.target[: self.n_own]

    def prepare(
        self,
        splits: Sequence[Split],
        variance: float | None,
        inner: Sequence[Sequence[Split]] | None,
    ) -> list[Fold]:
        """Find the components of every fold."""
        if self.images is not None:
            return prepare_standardized(self.images, splits, variance, inner)
        return prepare(self.gram, splits, variance, inner)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Components of one problem.

    Attributes
    ----------
    problem : Problem
    folds : sequence of Fold
    final : sequence of Fold
        All images to train on, and those of every other data set to test on; of none where there
        is no other.
    """

    problem: Problem
    folds: Sequence[Fold]
    final: Sequence[Fold]

    @classmethod
    def of(cls, problem: Problem, options: FacsOptions) -> Prepared:
        """Find components for all folds.

        Raises
        ------
        InputError
            If there are too few participants to hold some out.
        """
        people = problem.people[: problem.n_own]
        splits = hold_out(options, people)
        whole = [(problem.own, rows) for rows in problem.others.values()]
        whole = whole or [(problem.own, problem.own[:0])]
        inner = whole_inner = None
        if any(name in options.tuning for name in options.estimators):
            fewest = min(len(np.unique(people[train])) for train, _ in splits)
            dealt = GroupFolds(min(options.inner_splits, fewest))
            inner = inner_splits(splits, people, dealt)
            whole_inner = inner_splits(whole, people, dealt)
        return cls(
            problem,
            problem.prepare(splits, options.variance, inner),
            problem.prepare(whole, options.variance, whole_inner),
        )
