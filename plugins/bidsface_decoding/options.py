"""Options of the decoding analysis, and the classifiers that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import Field

from bidsface.analysis import AnalysisOptions, Region
from bidsface.errors import RecipeError

MOTION = "motion"
"""Stands in ``roi_name`` for the head-motion parameters."""


def refuse_control_name(regions: Iterable[Region]) -> None:
    """Raise RecipeError if a region is called like the head-motion control."""
    if MOTION in (region.name for region in regions):
        raise RecipeError(
            f"a region is called {MOTION!r}, the name of the head-motion control; rename the region"
        )


class DecodingOptions(AnalysisOptions):
    """What is decoded, from what, how, and how it is tested."""

    tasks: tuple[str, ...] = ()
    """Tasks to decode within; empty means every task."""
    samples: tuple[str, ...] = ()
    """Kinds of samples to use, by their names in the recipe; empty means all."""
    regions: tuple[str, ...] = ()
    """Regions or region sets; empty means all regions."""
    estimators: tuple[str, ...] = Field(("ridge",), min_length=1)
    """Classifiers: `ridge`, `svm`, `lda`, `logistic`, or any that a plugin adds."""
    estimator_options: Mapping[str, Mapping[str, Any]] = {}
    """Options of classifiers by name, such as `ridge: {alpha: 10}` or `svm: {C: 0.1}`."""
    cross_validation: Literal["leave-one-run-out", "k-fold", "leave-one-session-out"] = (
        "leave-one-run-out"
    )
    """What is held out: every run in turn, groups of runs, or every session in turn."""
    n_splits: int = Field(4, ge=2)
    """Number of groups of runs, for `k-fold`."""
    metric: Literal["balanced_accuracy", "accuracy"] = "balanced_accuracy"
    """Score to report and test. Chance is 1/K, for `accuracy` the commonest class's share."""
    permutations: int = Field(1000, ge=0)
    """Permutations of the events' labels within runs; 0 for no test."""
    group_draws: int = Field(10_000, ge=1)
    """Combinations of participants' permutations that the group test draws."""
    motion_control: bool = True
    """Decode from the head-motion parameters alone, too, and report it beside every accuracy."""
    maps: bool = True
    """Write weight maps and activation patterns."""
    map_regions: tuple[str, ...] = ()
    """Regions or region sets whose maps are written; empty means the largest region."""


class NamesEstimators(Protocol):
    """Options that name classifiers."""

    @property
    def estimators(self) -> Sequence[str]:
        """Names."""

    @property
    def estimator_options(self) -> Mapping[str, Mapping[str, Any]]:
        """Options of some of them by name."""


def build_estimators(
    options: NamesEstimators, factories: Mapping[str, Callable[..., Any]]
) -> dict[str, Any]:
    """Return the unfitted classifiers that the options name.

    Each is fitted to a toy problem first, so that a wrong option is found before any data is read.

    Raises
    ------
    RecipeError
        If a name is unknown or that of an aligner, an option does not exist or its value is
        refused.
    """
    classifiers = {
        name: factory for name, factory in factories.items() if not hasattr(factory, "fit_grams")
    }
    for name in (*options.estimators, *options.estimator_options):
        if name in factories and name not in classifiers:
            raise RecipeError(
                f"estimators: {name!r} is an aligner, not a classifier; there are "
                f"{', '.join(sorted(classifiers))}"
            )
    return build_named(
        "estimator",
        options.estimators,
        options.estimator_options,
        classifiers,
        lambda estimator: estimator.fit(*_toy_problem()),
    )


def build_named(
    noun: str,
    names: Sequence[str],
    parameters: Mapping[str, Mapping[str, Any]],
    factories: Mapping[str, Callable[..., Any]],
    attempt: Callable[[Any], object],
) -> dict[str, Any]:
    """Return what factories make of names and their parameters, tried out first.

    Parameters
    ----------
    noun : str
        What is made; the option that holds ``parameters`` is called ``NOUN_options``.
    names : sequence of str
    parameters : mapping of str to mapping
    factories : mapping of str to callable
    attempt : callable
        Uses one on a toy problem; a TypeError or ValueError tells what is wrong with it.

    Raises
    ------
    RecipeError
        If a name is unknown, an option does not exist or its value is refused.
    """
    unknown = [name for name in (*names, *parameters) if name not in factories]
    if unknown:
        raise RecipeError(
            f"unknown {noun} {unknown[0]!r}; there are {', '.join(sorted(factories))}"
        )
    idle = [name for name in parameters if name not in names]
    if idle:
        raise RecipeError(
            f"{noun}_options.{idle[0]}: {idle[0]} is not among the {noun}s {', '.join(names)}"
        )
    return {
        name: _build(f"{noun}_options.{name}", factories[name], parameters.get(name, {}), attempt)
        for name in dict.fromkeys(names)
    }


def _build(
    key: str,
    factory: Callable[..., Any],
    parameters: Mapping[str, Any],
    attempt: Callable[[Any], object],
) -> Any:
    try:
        built = factory(**parameters)
    except TypeError as error:
        known = ", ".join(factory().get_params()) or "none"
        raise RecipeError(f"{key}: {error}; options are {known}") from error
    try:
        attempt(factory(**parameters))
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{key}: {error}") from error
    return built


def _toy_problem() -> tuple[np.ndarray, np.ndarray]:
    """Return 24 samples of 3 classes that every classifier can tell apart."""
    codes = np.tile(np.arange(3), 8)
    noise = np.random.default_rng(0).standard_normal((24, 4))
    return noise + 3.0 * np.eye(3, 4)[codes], codes
