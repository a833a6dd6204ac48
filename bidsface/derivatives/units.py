"""Units of work, and where their results come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bidsface.derivatives.names import check_label
from bidsface.errors import BidsfaceError


@dataclass(frozen=True)
class Unit:
    """One unit of work: an analysis of one participant, or of the group.

    Attributes
    ----------
    level : str
        ``participant`` or ``group``.
    analysis : str
        Name in the recipe, which is the ``desc-`` entity of the output.
    participant : str or None
        Label without ``sub-``; None at group level.
    fingerprint : str
        Hash of everything that the result follows from; another one means "compute again".
    """

    level: Literal["participant", "group"]
    analysis: str
    participant: str | None
    fingerprint: str

    def __post_init__(self) -> None:
        if (self.level == "participant") is (self.participant is None):
            raise BidsfaceError(
                f"a unit of level {self.level} cannot be of participant {self.participant}"
            )
        check_label(self.analysis, "the name of an analysis")
        if self.participant is not None:
            check_label(self.participant, "a participant label")

    @property
    def owner(self) -> str:
        """``sub-LABEL`` or ``group``."""
        return "group" if self.participant is None else f"sub-{self.participant}"


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from; stands in every sidecar and in the receipt.

    Attributes
    ----------
    sources : sequence of str
        BIDS URIs of the files that were read.
    options : mapping
        Options of the analysis, as JSON values.
    seed : int
    versions : mapping of str to str
        Versions of software by name.
    worker : str
        ``host:pid``.
    inputs : mapping of str to str
        State of every file that was read.
    started : float or None
        When work on the unit began (s since the epoch).
    """

    sources: tuple[str, ...]
    options: Mapping[str, Any]
    seed: int | None
    versions: Mapping[str, str]
    worker: str
    inputs: Mapping[str, str]
    started: float | None = None
