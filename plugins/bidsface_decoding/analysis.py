"""The analysis ``decoding``: which class an event had, from the brain's response to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
    refuse_unknown,
)
from bidsface_decoding.options import DecodingOptions, build_estimators


class Decoding(Analysis):
    """Cross-validated classification within tasks, tested by permutation."""

    name: ClassVar[str] = "decoding"
    Options: ClassVar[type[AnalysisOptions]] = DecodingOptions
    needs_samples: ClassVar[bool] = True
    needs_regions: ClassVar[bool] = True

    def regions_used(self, options: DecodingOptions) -> Sequence[str] | None:
        """Return the regions to decode in and those to draw maps of; None for all."""
        return (*options.regions, *options.map_regions) if options.regions else None

    def check(
        self, options: DecodingOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse names that do not exist and options of classifiers that cannot be."""
        super().check(options, samples, regions)
        refuse_unknown("map_regions", options.map_regions, regions)
        self._classifiers(options)

    # The modules that do the work are imported when there is some: a run that finds everything up
    # to date has to answer at once.

    def participant(self, participant: Participant, options: DecodingOptions) -> Results:
        """Decode every task of a participant; see `bidsface_decoding.participant`."""
        from bidsface_decoding.participant import decode_participant

        return decode_participant(
            participant,
            self._classifiers(options),
            options,
            lambda task: self.seed(participant.label, task),
        )

    def group(
        self, participants: Sequence[ParticipantResults], options: DecodingOptions
    ) -> Results:
        """Average scores over participants and test them; see `bidsface_decoding.cohort`."""
        from bidsface_decoding.cohort import decode_group

        return decode_group(participants, options, lambda task: self.seed("group", task))

    def _classifiers(self, options: DecodingOptions) -> dict[str, Any]:
        from bidsface_decoding.estimators import ESTIMATORS

        return build_estimators(options, {**ESTIMATORS, **self.estimators})
