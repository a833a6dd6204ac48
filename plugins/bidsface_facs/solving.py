"""From the images of all data sets to outcomes: every input, every regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats
from bidsface_facs.bootstrap import bootstrap, jackknife
from bidsface_facs.coefficients import CoefficientMaps, coefficient_maps, with_larger_sd
from bidsface_facs.controls import Control, find_controls
from bidsface_facs.maps import Weights, voxel_weights
from bidsface_facs.options import FacsOptions
from bidsface_facs.outcomes import Outcome, find_outcome
from bidsface_facs.problem import Prepared, Problem
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.set_classifiers import CLASSIFIERS
from bidsface_facs.shift import Shift, data_set_shift, shift_splits
from bidsface_facs.splits import GroupFolds
from bidsface_facs.study import Study, inner_products, scaled_images
from bidsface_facs.targets import TRANSFORMS

SETS = ("1", "2")
"""Names of the data sets for the classifier, which takes them in alphabetical order."""

Mapper = Callable[[Callable[[Any], Any], Sequence[Any]], Sequence[Any]]
Seeds = Callable[..., np.random.SeedSequence]


@dataclass(frozen=True, eq=False)
class Solved:
    """What was found in one input.

    Attributes
    ----------
    name : str
    n_voxels : int
    outcomes : sequence of Outcome
    weights : sequence of Weights
        Of every outcome.
    controls : sequence of Control
        What else predicts: covariates, head motion, either with this input's images.
    shifts : mapping of str to Shift
        How well images of every other data set are told from those that are trained on; found in
        the input with the most voxels.
    """

    name: str
    n_voxels: int
    outcomes: Sequence[Outcome]
    weights: Sequence[Weights]
    controls: Sequence[Control]
    shifts: Mapping[str, Shift]


def solve_input(
    name: str,
    columns: NDArray[np.intp],
    study: Study,
    regressors: Mapping[str, ComponentRegressor],
    options: FacsOptions,
    seed: Seeds,
    mapper: Mapper,
    shifts: bool,
) -> Solved:
    """Find everything that one input says.

    Parameters
    ----------
    name : str
    columns : ndarray of int
        Its voxels among those of the study.
    study : Study
    regressors : mapping of str to ComponentRegressor
    options : FacsOptions
    seed : callable
        Random stream of some names.
    mapper : callable
        Applies a function to items, in parallel.
    shifts : bool
        Whether data sets are to be told apart.

    Raises
    ------
    InputError
        If there are too few participants to hold some out.
    """
    images = scaled_images(
        [one.images for one in study.cohorts.values()], columns, options.standardize == "image"
    )
    problem = _problem(name, images, study, options)
    prepared = Prepared.of(problem, options)
    # The same permutations and resamples for all inputs.
    outcomes = [
        find_outcome(prepared, estimator, one, options, seed("permutations"), mapper)
        for estimator, one in regressors.items()
    ]
    tested = _tested(problem, images, outcomes, options, seed("bootstrap"), mapper)
    voxels = study.voxels.take(columns)
    return Solved(
        name,
        len(columns),
        outcomes,
        [
            voxel_weights(outcome, images[: problem.n_own], voxels, own, options)
            for outcome, own in zip(outcomes, tested, strict=True)
        ],
        find_controls(prepared, regressors, study, options),
        _shifts(problem, options, seed) if shifts else {},
    )


def _problem(name: str, images: NDArray[np.float32], study: Study, options: FacsOptions) -> Problem:
    rows = study.rows
    own = study.own
    return Problem(
        name,
        inner_products(images),
        len(own.table),
        {other: rows[other] for other in study.names[1:]},
        study.people,
        study.target,
        study.covariates if options.covariates else None,
        images if options.standardize == "voxel" else None,
    )


def _final_gram(problem: Problem) -> Floats:
    """Return the inner products of the images to train on, as the final model sees them."""
    if problem.images is None:
        return problem.gram[: problem.n_own, : problem.n_own]
    own = problem.images[: problem.n_own].astype(np.float32)
    own -= own.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = own.std(axis=0, dtype=np.float64)
    own /= np.where(spread > 0, spread, 1.0).astype(np.float32)
    return inner_products(own)


def _tested(
    problem: Problem,
    images: NDArray[np.float32],
    outcomes: Sequence[Outcome],
    options: FacsOptions,
    seed: np.random.SeedSequence,
    mapper: Mapper,
) -> list[CoefficientMaps | None]:
    """Test the coefficients of every outcome's final model over resampled participants."""
    if not options.bootstraps:
        return [None] * len(outcomes)
    target = problem.own_target[:, None]
    rest = (
        _final_gram(problem),
        problem.people[: problem.n_own],
        TRANSFORMS[options.transform](target).transform(target)[:, 0],
        [outcome.final for outcome in outcomes],
        options.variance,
    )
    own = images[: problem.n_own]
    drawn = [
        coefficient_maps(one, own) for one in bootstrap(*rest, options.bootstraps, seed, run=mapper)
    ]
    if options.coefficient_sd == "bootstrap":
        return list(drawn)
    left_out = (coefficient_maps(one, own) for one in jackknife(*rest, run=mapper))
    return [with_larger_sd(one, other) for one, other in zip(drawn, left_out, strict=True)]


def _shifts(problem: Problem, options: FacsOptions, seed: Seeds) -> dict[str, Shift]:
    """Tell every other data set from the one that is trained on."""
    found = {}
    for name, others in problem.others.items():
        rows = np.concatenate([problem.own, others])
        people, sets = (
            problem.people[rows],
            np.repeat(SETS, [problem.n_own, len(others)]),
        )
        fewest = min(len(np.unique(people[sets == one])) for one in SETS)
        if fewest < 2:
            continue
        folds = GroupFolds(min(options.n_splits, fewest), random_state=options.split_seed)
        found[name] = data_set_shift(
            problem.gram[np.ix_(rows, rows)],
            people,
            sets,
            shift_splits(folds, people, sets),
            CLASSIFIERS["svm"](),
            options.shift_permutations,
            seed("shift", name),
        )
    return found
