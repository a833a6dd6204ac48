"""The analysis ``searchlight``: where in the brain a small sphere tells the classes apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
    refuse_unknown,
)
from bidsface.errors import RecipeError, UsageError


class SearchlightOptions(AnalysisOptions):
    """What is decoded in spheres around all voxels of a region, how, and how it is tested."""

    tasks: tuple[str, ...] = ()
    """Tasks to decode within, and across where there are several; empty means every task."""
    directions: tuple[tuple[str, str], ...] = ()
    """Pairs of the task to train on and the task to test on, such as `[[display, display],
    [display, observe]]`; empty means within every task and from every task to every other one."""
    samples: str | None = None
    """Kind of samples, by its name in the recipe; unset means the first one."""
    region: str | None = None
    """Region whose voxels are the centres and the content of spheres, such as the grey matter;
    unset means the largest one."""
    radius: float = Field(8.0, gt=0)
    """Radius of the spheres (mm)."""
    estimator: Literal["ridge", "lda", "gnb"] = "ridge"
    """Classifier: ridge regression on class indicators, linear discriminant analysis with a
    shrunken covariance, or Gaussian naive Bayes."""
    estimator_options: Mapping[str, float] = {}
    """`alpha` of `ridge` (unset: the number of the sphere's voxels), `shrinkage` of `lda` (unset:
    Ledoit and Wolf's), `var_smoothing` of `gnb` (1e-9)."""
    metric: Literal["balanced_accuracy", "accuracy"] = "balanced_accuracy"
    """Score to map and test. Chance is 1/K, for `accuracy` the commonest class's share."""
    permutations: int = Field(100, ge=0)
    """Permutations of the events' labels within runs, one map each; 0 for no test."""
    group_draws: int = Field(10_000, ge=1)
    """Combinations of participants' permuted maps that the group tests draw."""
    prevalence: float | None = Field(0.5, ge=0, lt=1)
    """Prevalence to test against at the group level: is the effect there in more than this part of
    the population? `null` for no prevalence inference."""

    @model_validator(mode="after")
    def _check(self) -> SearchlightOptions:
        named = [task for pair in self.directions for task in pair]
        unknown = [task for task in named if self.tasks and task not in self.tasks]
        if unknown:
            raise ValueError(f"directions: {unknown[0]!r} is not among the tasks")
        if len(set(self.directions)) < len(self.directions):
            raise ValueError("directions: a pair occurs twice")
        return self


class SearchlightAnalysis(Analysis):
    """Maps of cross-validated classification in spheres, within and across tasks."""

    name: ClassVar[str] = "searchlight"
    Options: ClassVar[type[AnalysisOptions]] = SearchlightOptions
    needs_samples: ClassVar[bool] = True
    needs_regions: ClassVar[bool] = True

    def regions_used(self, options: SearchlightOptions) -> Sequence[str] | None:
        """Return the region; None where the largest one is to be found."""
        return None if options.region is None else (options.region,)

    def check(
        self, options: SearchlightOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse names that do not exist and options of classifiers that cannot be."""
        for key, name, known in (
            ("samples", options.samples, samples),
            ("region", options.region, regions),
        ):
            refuse_unknown(key, () if name is None else name, known)
        build_classifier(options)

    # The modules that do the work are imported when there is some: a run that finds everything up
    # to date has to answer at once.

    def participant(self, participant: Participant, options: SearchlightOptions) -> Results:
        """Map a participant's tasks; see `bidsface_decoding.searchlight_participant`.

        Raises
        ------
        UsageError
            If a GPU is wanted and there is none.
        """
        from bidsface.numerics.devices import find_device
        from bidsface_decoding.searchlight_participant import searchlight_participant

        try:
            find_device(self.device)
        except ValueError as error:
            raise UsageError(f"--{error}") from error
        seed = self.seed(participant.label, "permutations")
        return searchlight_participant(
            participant, build_classifier(options), options, seed, self.device
        )

    def group(
        self, participants: Sequence[ParticipantResults], options: SearchlightOptions
    ) -> Results:
        """Test the mean map and the prevalence; see `bidsface_decoding.searchlight_group`."""
        from bidsface_decoding.searchlight_group import searchlight_group

        return searchlight_group(
            participants, options, lambda *keys: self.seed("group", *keys), self.map
        )


def build_classifier(options: SearchlightOptions) -> Any:
    """Return the classifier that the options name.

    Raises
    ------
    RecipeError
        If it has no such option or refuses the value.
    """
    from bidsface.numerics.sphere_classifiers import SphereNaiveBayes, SphereRidge
    from bidsface.numerics.sphere_discriminant import SphereDiscriminant

    kinds: Mapping[str, tuple[Callable[..., Any], str]] = {
        "ridge": (SphereRidge, "alpha"),
        "lda": (SphereDiscriminant, "shrinkage"),
        "gnb": (SphereNaiveBayes, "var_smoothing"),
    }
    kind, parameter = kinds[options.estimator]
    unknown = [name for name in options.estimator_options if name != parameter]
    if unknown:
        raise RecipeError(
            f"estimator_options: {options.estimator} has no option {unknown[0]!r}, but {parameter}"
        )
    try:
        return kind(**options.estimator_options)
    except ValueError as error:
        raise RecipeError(f"estimator_options: {error}") from error
