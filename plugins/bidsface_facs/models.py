"""The regressions and the ways to hold out participants that options name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError, RecipeError
from bidsface_facs.options import FacsOptions
from bidsface_facs.regressors import REGRESSORS, ComponentRegressor
from bidsface_facs.splits import GroupFolds, GroupShuffle, LeaveOneParticipantOut, Split, Splitter

SPLITTERS: Mapping[str, Callable[[FacsOptions, int], Splitter]] = {
    "group-k-fold": lambda options, n: GroupFolds(min(options.n_splits, n)),
    "group-shuffle-split": lambda options, n: GroupShuffle(
        options.n_splits, options.test_size, options.split_seed
    ),
    "leave-one-participant-out": lambda options, n: LeaveOneParticipantOut(),
}
"""Ways to hold out some of n participants, by name."""


def hold_out(options: FacsOptions, people: NDArray[np.str_]) -> list[Split]:
    """Return training and test images of every fold that options ask for.

    Parameters
    ----------
    options : FacsOptions
    people : ndarray of str, shape (n_images,)

    Raises
    ------
    InputError
        If there are too few participants.
    """
    try:
        return SPLITTERS[options.validation](options, len(np.unique(people))).split(people)
    except ValueError as error:
        raise InputError(f"validation: {options.validation}: {error}") from error


def build_regressors(options: FacsOptions) -> dict[str, ComponentRegressor]:
    """Return the regressions that options name, with their parameters.

    Raises
    ------
    RecipeError
        If there is no such regression, it has no such parameter, or refuses the value.
    """
    for key, names in (("estimators", options.estimators), ("tuning", options.tuning)):
        unknown = [name for name in names if name not in REGRESSORS]
        if unknown:
            raise RecipeError(f"{key}: no regression {unknown[0]!r}; there are {_listed()}")
    idle = [name for name in options.estimator_options if name not in options.estimators]
    if idle:
        raise RecipeError(
            f"estimator_options.{idle[0]}: {idle[0]} is not among the estimators "
            f"{', '.join(options.estimators)}"
        )
    return {
        name: _build(name, options.estimator_options.get(name, {}))
        for name in dict.fromkeys(options.estimators)
    }


def _build(name: str, parameters: Mapping[str, Any]) -> ComponentRegressor:
    factory = REGRESSORS[name]
    known = parameters_of(factory())
    unknown = [key for key in parameters if key not in known]
    if unknown:
        raise RecipeError(
            f"estimator_options.{name}: no option {unknown[0]!r}; options are {', '.join(known)}"
        )
    try:
        return factory(**parameters)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"estimator_options.{name}: {error}") from error


def parameters_of(regressor: ComponentRegressor) -> dict[str, Any]:
    """Return the parameters of a regression by name."""
    return asdict(regressor)  # type: ignore[call-overload]


def _listed() -> str:
    return ", ".join(sorted(REGRESSORS))
