"""The analysis ``crossmodal``: whether tasks share the patterns that tell classes apart."""

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
from bidsface.errors import RecipeError
from bidsface_decoding.crossmodal_options import CrossmodalOptions, build_aligners
from bidsface_decoding.options import build_estimators


class Crossmodal(Analysis):
    """Classification within tasks, across tasks, and across realigned tasks."""

    name: ClassVar[str] = "crossmodal"
    Options: ClassVar[type[AnalysisOptions]] = CrossmodalOptions
    needs_samples: ClassVar[bool] = True
    needs_regions: ClassVar[bool] = True

    def regions_used(self, options: CrossmodalOptions) -> Sequence[str] | None:
        """Return the regions to decode in, those of pairs, and those to draw maps of."""
        pairs = [name for pair in options.region_pairs.values() for name in pair.values()]
        return (*options.regions, *pairs, *options.map_regions) if options.regions else None

    def check(
        self, options: CrossmodalOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse names that do not exist and options of estimators that cannot be."""
        super().check(options, samples, regions)
        refuse_unknown("map_regions", options.map_regions, regions)
        for name, pair in options.region_pairs.items():
            refuse_unknown(f"region_pairs.{name}", list(pair.values()), regions)
            if name in regions:
                raise RecipeError(f"region_pairs.{name}: a region of the recipe has that name, too")
            lacking = [task for task in options.tasks if task not in pair]
            if lacking:
                raise RecipeError(f"region_pairs.{name}: no region for task {lacking[0]}")
        self._classifiers(options)
        self._aligners(options)

    # The modules that do the work are imported when there is some: a run that finds everything up
    # to date has to answer at once.

    def participant(self, participant: Participant, options: CrossmodalOptions) -> Results:
        """Decode a participant's tasks; see `bidsface_decoding.crossmodal_participant`."""
        from bidsface_decoding.crossmodal_participant import decode_participant_crossmodal

        return decode_participant_crossmodal(
            participant,
            self._classifiers(options),
            self._aligners(options),
            options,
            lambda *keys: self.seed(participant.label, *keys),
        )

    def group(
        self, participants: Sequence[ParticipantResults], options: CrossmodalOptions
    ) -> Results:
        """Average scores over participants, test and compare them."""
        from bidsface_decoding.crossmodal_group import crossmodal_group

        return crossmodal_group(participants, options, lambda *keys: self.seed("group", *keys))

    def _classifiers(self, options: CrossmodalOptions) -> dict[str, Any]:
        from bidsface_decoding.estimators import ESTIMATORS

        return build_estimators(options, {**ESTIMATORS, **self.estimators})

    def _aligners(self, options: CrossmodalOptions) -> dict[str, Any]:
        from bidsface_decoding.aligners import ALIGNERS

        return build_aligners(options, {**ALIGNERS, **self.estimators})
