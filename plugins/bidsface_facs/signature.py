"""The analysis ``signature``: how strongly the images of events express a known pattern."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bidsface.analysis import (
    Analysis,
    AnalysisOptions,
    Participant,
    ParticipantResults,
    Results,
    refuse_unknown,
)
from bidsface.errors import RecipeError
from bidsface_facs.options import Label


class SignatureOptions(AnalysisOptions):
    """Which patterns are looked for, in which images, and what they are compared with."""

    maps: Annotated[Mapping[Label, str], Field(min_length=1)]
    """Signature maps by name (letters and digits): NIfTI files in the space of the data, such as
    the `stat-weight` map that the analysis `facs` wrote. They are brought to the grid of the data
    by spline interpolation, and compared with images where they are not 0.
    """
    tasks: tuple[str, ...] = ()
    """Tasks whose events are used; empty means every task."""
    samples: str | None = None
    """Kind of samples to use, by its name in the recipe; null for the first one."""
    region: str | None = None
    """Region whose voxels are used; null for all voxels of the recipe's regions, of the brain
    where it has none."""
    standardize: Literal["image", "none"] = "none"
    """Scale every image to mean 0 and standard deviation 1 over the voxels of the map first, as
    `facs` does by default: the dot product is then the prediction, up to the intercept.
    """
    target: str | None = None
    """Column of events.tsv, numbers, that expressions are correlated with within participants."""
    smallest_overlap: float = Field(0.9, ge=0, le=1)
    """Share of a signature's weight (the sum of absolute values) that has to lie on voxels of the
    data; with less, the report warns.
    """


class Signature(Analysis):
    """Dot product, cosine and correlation of signature maps with the images of events."""

    name: ClassVar[str] = "signature"
    Options: ClassVar[type[AnalysisOptions]] = SignatureOptions
    needs_samples: ClassVar[bool] = True

    def regions_used(self, options: SignatureOptions) -> Sequence[str] | None:
        """Return the region; None for all."""
        return None if options.region is None else (options.region,)

    def files_used(self, options: SignatureOptions) -> Sequence[Path]:
        """Return the signature maps."""
        return [Path(path).expanduser().absolute() for path in options.maps.values()]

    def check(
        self, options: SignatureOptions, samples: Collection[str], regions: Collection[str]
    ) -> None:
        """Refuse names that the recipe does not have, and maps that are no files."""
        refuse_unknown("samples", () if options.samples is None else options.samples, samples)
        refuse_unknown("region", () if options.region is None else options.region, regions)
        for name, path in options.maps.items():
            if not Path(path).expanduser().is_file():
                raise RecipeError(f"maps.{name}: {path} is no file, wanted a NIfTI image")

    def participant(self, participant: Participant, options: SignatureOptions) -> Results:
        """Compare a participant's images with the maps; see `signature_participant`."""
        from bidsface_facs.signature_participant import express_signatures

        return express_signatures(participant, options)

    def group(
        self, participants: Sequence[ParticipantResults], options: SignatureOptions
    ) -> Results:
        """Average over participants and test; see `signature_group`."""
        from bidsface_facs.signature_group import signature_group

        return signature_group(participants, options)
