"""From the images of all data sets to outcomes: every input, every regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Voxels
from bidsface.numerics.linear import Floats
from bidsface_facs.bootstrap import CoefficientMaps, Moments, bootstrap, coefficient_maps
from bidsface_facs.controls import Control, find_controls
from bidsface_facs.maps import Weights, voxel_weights
from bidsface_facs.options import FacsOptions
from bidsface_facs.outcomes import Outcome, Prepared, Problem, find_outcome
from bidsface_facs.problem import Study, inner_products, scaled_images
from bidsface_facs.regressors import ComponentRegressor
from bidsface_facs.set_classifiers import CLASSIFIERS
from bidsface_facs.shift import Shift, data_set_shift, shift_splits
from bidsface_facs.splits import GroupFolds
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
        What covariates and head motion predict with this input's models; those that use no image
        are in the first input only.
    shifts : mapping of str to Shift
        How well images of every other data set are told from those that are trained on.
    """

    name: str
    n_voxels: int
    outcomes: Sequence[Outcome]
    weights: Sequence[Weights]
    controls: Sequence[Control]
    shifts: Mapping[str, Shift]


@dataclass(frozen=True, eq=False)
class _Job:
    """One regression in one input, for a worker."""

    prepared: Prepared
    gram: Floats
    estimator: str
    regressor: ComponentRegressor
    options: FacsOptions
    seeds: tuple[np.random.SeedSequence, np.random.SeedSequence]


def solve_input(
    name: str,
    columns: NDArray[np.intp],
    study: Study,
    regressors: Mapping[str, ComponentRegressor],
    options: FacsOptions,
    seed: Seeds,
    mapper: Mapper,
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

    Raises
    ------
    ValueError
        If there are too few participants to hold some out.
    """
    images = scaled_images(
        [one.images for one in study.cohorts.values()], columns, options.standardize == "image"
    )
    problem = _problem(name, images, study, options)
    prepared = Prepared.of(problem, options)
    # The same permutations and resamples for all inputs and regressions.
    seeds = seed("permutations"), seed("bootstrap")
    gram = _final_gram(problem)
    jobs = [
        _Job(prepared, gram, estimator, regressor, options, seeds)
        for estimator, regressor in regressors.items()
    ]
    found = list(mapper(_solve, jobs))
    voxels = study.voxels.take(columns)
    return Solved(
        name,
        len(columns),
        [outcome for outcome, _ in found],
        [_weights(outcome, moments, images, voxels, options) for outcome, moments in found],
        find_controls(prepared, [outcome for outcome, _ in found], study, options),
        _shifts(problem, options, seed),
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


def _solve(job: _Job) -> tuple[Outcome, Moments | None]:
    options, problem = job.options, job.prepared.problem
    outcome = find_outcome(job.prepared, job.estimator, job.regressor, options, job.seeds[0])
    if not options.bootstraps:
        return outcome, None
    target = problem.own_target[:, None]
    moments = bootstrap(
        job.gram,
        problem.people[: problem.n_own],
        TRANSFORMS[options.transform](target).transform(target)[:, 0],
        outcome.final,
        options.variance,
        options.bootstraps,
        job.seeds[1],
    )
    return outcome, moments


def _weights(
    outcome: Outcome,
    moments: Moments | None,
    images: NDArray[np.float32],
    voxels: Voxels,
    options: FacsOptions,
) -> Weights:
    own = images[: len(outcome.final_dual)]
    tested: CoefficientMaps | None = None
    if moments is not None:
        tested = coefficient_maps(moments, own)
    return voxel_weights(outcome, own, voxels, tested, options.standardize == "voxel")


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
