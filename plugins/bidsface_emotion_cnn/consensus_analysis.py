"""The analysis ``consensus``: what observers of a film agree on, and which volumes show it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
)
from bidsface.errors import RecipeError
from bidsface_emotion_cnn.label_options import LabelOptions, annotation_paths, check_labels


class ConsensusOptions(AnalysisOptions):
    """How annotations become labels, and how agreement is measured."""

    labels: LabelOptions
    """The observers' tables, and the rules by which they become one label per volume."""
    tasks: tuple[str, ...] = ()
    """Tasks that show the film; empty means every task."""
    bootstraps: int = Field(default=2000, ge=0)
    """Resamples of the film, for intervals of agreement; 0 for none."""
    block: float = Field(default=60.0, gt=0)
    """Length of the parts of the film that are resampled (s): neighbouring seconds are alike."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Level of the intervals."""


class Consensus(Analysis):
    """Labels of volumes by several observers' annotations, and how well observers agree."""

    name: ClassVar[str] = "consensus"
    Options: ClassVar[type[AnalysisOptions]] = ConsensusOptions
    needs_time_series: ClassVar[bool] = True

    def regions_used(self, options: ConsensusOptions) -> Sequence[str]:
        """Return no region: labels are of whole volumes."""
        return ()

    def files_used(self, options: ConsensusOptions) -> Sequence[Path]:
        """Return the observers' tables."""
        return annotation_paths(options.labels, self.bids_dir)

    def check(
        self, options: ConsensusOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse labels from events, of which there is one observer, and files that are missing."""
        super().check(options, samples, regions)
        if options.labels.source != "annotations":
            raise RecipeError(
                "labels.source: agreement is that of several observers, wanted annotations (and "
                f"their files), found {options.labels.source}"
            )
        check_labels(options.labels, self.bids_dir)
        paths = annotation_paths(options.labels, self.bids_dir)
        if len(paths) < 2:
            raise RecipeError(
                f"labels.files: agreement takes at least 2 observers, found {len(paths)} file"
            )

    # The modules that do the work are imported when there is some: a run that finds everything up
    # to date has to answer at once.

    def participant(self, participant: Participant, options: ConsensusOptions) -> Results:
        """Label a participant's volumes; see `bidsface_emotion_cnn.consensus_participant`."""
        from bidsface_emotion_cnn.consensus_participant import label_participant

        return label_participant(participant, options, self.seed("draw"), self.bids_dir)

    def group(
        self, participants: Sequence[ParticipantResults], options: ConsensusOptions
    ) -> Results:
        """Measure the observers' agreement; see `bidsface_emotion_cnn.consensus_group`."""
        from bidsface_emotion_cnn.consensus_group import measure_group

        return measure_group(participants, options, self.seed("group"), self.bids_dir)
