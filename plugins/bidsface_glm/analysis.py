"""The analysis ``glm``: what responds to the events of a task, per participant and in the group."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
)
from bidsface.errors import RecipeError
from bidsface_glm.contrasts import (
    RESERVED,
    UnknownConditionError,
    label_of,
    parse,
    regressors,
    with_end,
)
from bidsface_glm.options import GlmOptions


class Glm(Analysis):
    """General linear models of runs, fixed effects over runs, random effects over participants."""

    name: ClassVar[str] = "glm"
    Options: ClassVar[type[AnalysisOptions]] = GlmOptions
    needs_time_series: ClassVar[bool] = True

    def regions_used(self, options: GlmOptions) -> Sequence[str]:
        """Return no region: models are of the whole brain."""
        return ()

    def check(
        self, options: GlmOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse contrasts that cannot be read, and labels that would mean two things."""
        super().check(options, samples, regions)
        for name, expression in options.contrasts.items():
            _check_expression(name, expression, options)
        _check_labels(options)
        if options.atlas_lookup is not None and options.atlas is None:
            raise RecipeError("atlas_lookup: there is no atlas to look up labels of")

    # The modules that do the work are imported when there is some: a run that finds everything up
    # to date has to answer at once.

    def participant(self, participant: Participant, options: GlmOptions) -> Results:
        """Model every task of a participant; see `bidsface_glm.participant`."""
        from bidsface_glm.participant import model_participant

        return model_participant(participant, options)

    def group(self, participants: Sequence[ParticipantResults], options: GlmOptions) -> Results:
        """Test effects over participants; see `bidsface_glm.group`."""
        from bidsface_glm.group import model_group

        return model_group(participants, self.participants_table, options, self.seed)


def _check_expression(name: str, expression: str, options: GlmOptions) -> None:
    known = regressors(options.conditions, options.derivatives)
    try:
        parse(expression, known)
    except UnknownConditionError as error:
        if options.conditions:  # else the conditions are those of the data
            raise RecipeError(
                f"contrasts.{name}: {error}; conditions are {', '.join(options.conditions)}"
            ) from error
    except ValueError as error:
        # Without a list of conditions it may be the plain name of one, whatever its letters.
        if known or any(sign in expression for sign in "+-*/()`"):
            raise RecipeError(
                f"contrasts.{name}: {error}; names with blanks or signs stand in backticks"
            ) from error


def _check_labels(options: GlmOptions) -> None:
    """Refuse names of contrasts and covariates that make one label twice."""
    labels = {name: f"contrast {name}" for name in options.contrasts}
    for name in options.contrasts:
        end = next((end for end in RESERVED if name.endswith(end)), None)
        if end is not None:
            raise RecipeError(
                f"contrasts.{name}: a name may not end in {end}, which the names of group maps do"
            )
    for contrast in options.contrasts or ("all",):
        for covariate in options.covariates:
            label = with_end(contrast, label_of(covariate))
            if label in labels or label.endswith(RESERVED):
                raise RecipeError(
                    f"covariates: covariate {covariate} of contrast {contrast} would be called "
                    f"{label}, as {labels.get(label, 'another group map')} is"
                )
            labels[label] = f"covariate {covariate} of contrast {contrast}"
