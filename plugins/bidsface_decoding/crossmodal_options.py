"""Options of the cross-modal analysis, and the aligners that they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from bidsface.analysis import AnalysisOptions
from bidsface_decoding.options import MOTION, build_named

WITHIN: Final = "within"
CROSS: Final = "cross"
REALIGNED: Final = "realigned"
Condition = Literal["within", "cross", "realigned"]
Comparison = Literal[
    "realignment", "tasks", "transfer", "directions", "aligners", "motion", "estimators"
]

NO_ALIGNER = "none"
"""Stands in ``aligner`` where a classifier is tested on another task without an aligner."""


class CrossmodalOptions(AnalysisOptions):
    """Which tasks, what is decoded from what, how, and how it is tested."""

    tasks: tuple[str, ...] = ()
    """Tasks, two at least, such as `[display, observe]`; empty means every task. Every ordered pair
    of them is a direction of decoding."""
    samples: tuple[str, ...] = ()
    """Kinds of samples to use, by their names in the recipe; empty means all."""
    regions: tuple[str, ...] = ()
    """Regions or region sets; empty means all regions."""
    region_pairs: Mapping[str, Mapping[str, str]] = {}
    """Regions that differ between tasks, such as `displayobserve: {display: displayregion, observe:
    observeregion}`: a name, and a region of the recipe for every task. They are decoded within
    tasks and after realignment; without an aligner there is no voxel to go over to."""
    conditions: tuple[Condition, ...] = Field((WITHIN, CROSS, REALIGNED), min_length=1)
    """`within` every task, `cross` from every task to every other one, and `realigned`: the same
    with the test samples mapped into the training task's space first."""
    estimators: tuple[str, ...] = Field(("ridge",), min_length=1)
    """Classifiers: `ridge`, `svm`, `lda`, `logistic`, `bayes`, or any that a plugin adds."""
    estimator_options: Mapping[str, Mapping[str, Any]] = {}
    """Options of classifiers by name, such as `bayes: {scale: 0.1}`."""
    aligners: tuple[str, ...] = Field(("bcca",), min_length=1)
    """Ways to realign tasks: `bcca`, `procrustes`, `ridge-alignment`, `srm`, or any that a plugin
    adds."""
    aligner_options: Mapping[str, Mapping[str, Any]] = {}
    """Options of aligners by name, such as `bcca: {n_components: 20}`."""
    pairings: int = Field(4, ge=1)
    """Partners that every training sample of a task has in another one, all of its class, when an
    aligner is fitted. 1 pairs the k-th sample of a class with the k-th, as was published; more make
    what is not the class differ from pair to pair, so that the aligner finds it less alike."""
    metric: Literal["balanced_accuracy", "accuracy"] = "balanced_accuracy"
    """Score to report and test. Chance is 1/K, for `accuracy` the commonest class's share."""
    permutations: int = Field(0, ge=0)
    """Permutations of the events' labels within the runs of every task; 0 for no test. None by
    default, because aligners are refitted to each, and so are classifiers such as `bayes`; the
    group's signed-rank tests need none."""
    group_draws: int = Field(10_000, ge=1)
    """Combinations of participants' permutations that the group test draws."""
    motion_control: bool = True
    """Decode from the head-motion parameters alone, too, and report mean framewise displacement."""
    motion_regressed: bool = True
    """Decode everything once more from samples out of which head motion was regressed. Doubles the
    work."""
    comparisons: tuple[Comparison, ...] = (
        "realignment",
        "tasks",
        "transfer",
        "motion",
        "estimators",
    )
    """What the group level compares in every region: `realignment` (with an aligner against
    without), `tasks` (within one task against within another), `transfer` (within a task against
    across tasks, tested on the same task), `directions` (from one task to another against the
    reverse), `aligners` (each pair), `motion` (samples as they are against samples with head motion
    regressed out), `estimators` (each pair)."""
    maps: bool = True
    """Write weight maps, activation patterns and, for `bayes`, importance maps of every task."""
    map_regions: tuple[str, ...] = ()
    """Regions or region sets whose maps are written; empty means the largest region."""

    @model_validator(mode="after")
    def _check(self) -> CrossmodalOptions:
        if len(set(self.tasks)) == 1 or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks: name two different tasks at least, found {list(self.tasks)}")
        for name in self.region_pairs:
            if not (name.isascii() and name.isalnum()):
                raise ValueError(f"region_pairs: {name!r} must be of letters and digits only")
            if name == MOTION:
                raise ValueError(f"region_pairs: {MOTION!r} is the name of the head-motion control")
        return self


def build_aligners(
    options: CrossmodalOptions, factories: Mapping[str, Callable[..., Any]]
) -> dict[str, Any]:
    """Return the unfitted aligners that the options name; none when nothing is realigned.

    Each is fitted to a toy problem first, so that a wrong option is found before any data is read.

    Raises
    ------
    RecipeError
        If a name is unknown or not that of an aligner, an option does not exist or its value is
        refused.
    """
    if REALIGNED not in options.conditions:
        return {}
    return build_named("aligner", options.aligners, options.aligner_options, factories, _try)


def _try(aligner: Any) -> None:
    """Align two views of 24 samples that share 3 dimensions."""
    if not (hasattr(aligner, "fit_grams") and hasattr(aligner, "mixing")):
        raise ValueError(f"{type(aligner).__name__} is not an aligner")
    random = np.random.default_rng(0)
    shared = random.standard_normal((24, 3))
    views = [shared @ random.standard_normal((3, 8)) for _ in range(2)]
    noisy = [view + 0.3 * random.standard_normal(view.shape) for view in views]
    aligner.fit_grams([view @ view.T for view in noisy], [8, 8])
