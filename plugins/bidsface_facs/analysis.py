"""The analysis ``facs``: facial-expression scores predicted from images of single events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
    TableFilter,
    refuse_unknown,
)
from bidsface_facs.options import FacsOptions


class Facs(Analysis):
    """Regression of scores on images, across participants and data sets."""

    name: ClassVar[str] = "facs"
    Options: ClassVar[type[AnalysisOptions]] = FacsOptions
    needs_samples: ClassVar[bool] = True
    needs_regions: ClassVar[bool] = True
    other_datasets: ClassVar[bool] = True

    def regions_used(self, options: FacsOptions) -> Sequence[str] | None:
        """Return the regions that inputs are made of; None for all."""
        named = [name for item in options.inputs.values() for name in (item.region, *item.without)]
        return list(dict.fromkeys(named)) or None

    def columns_used(self, options: FacsOptions) -> Sequence[str]:
        """Return the column that tells data sets apart."""
        return () if options.dataset_column is None else (options.dataset_column,)

    def tables_used(self, options: FacsOptions) -> Sequence[TableFilter]:
        """Return the tables that the target is read from, beside events.tsv."""
        from bidsface_facs.target_sources import source_filters

        return source_filters(options)

    def check(
        self, options: FacsOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse names that do not exist and options of regressions that cannot be."""
        refuse_unknown("samples", () if options.samples is None else options.samples, samples)
        for name, item in options.inputs.items():
            refuse_unknown(f"inputs.{name}", (item.region, *item.without), regions)
        self._regressors(options)

    # The modules that do the work are imported when there is some: a run that finds everything up
    # to date has to answer at once.

    def participant(self, participant: Participant, options: FacsOptions) -> Results:
        """Gather a participant's images and targets; see `bidsface_facs.participant`."""
        from bidsface_facs.participant import gather_images

        return gather_images(participant, options)

    def group(self, participants: Sequence[ParticipantResults], options: FacsOptions) -> Results:
        """Predict targets over participants; see `bidsface_facs.group`."""
        from bidsface_facs.group import predict_group

        return predict_group(
            participants,
            self._regressors(options),
            options,
            lambda *keys: self.seed("group", *keys),
            self.participants_table,
            self.map,
        )

    def _regressors(self, options: FacsOptions) -> dict[str, Any]:
        from bidsface_facs.models import build_regressors

        return build_regressors(options)
