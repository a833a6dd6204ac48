"""The names of output files: every one of them is made here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from bidsface.entities import LONG_NAMES
from bidsface.errors import BidsfaceError

ENTITY_ORDER = (*LONG_NAMES, "contrast", "stat")
"""Order of entities in a name: that of BIDS and fMRIPrep, then nilearn's and FitLins's two."""

TABLE_SUFFIXES = (
    *("scores", "predictions", "permutations", "embedding"),
    *("runs", "trials", "classes", "features", "coefficients"),
    *("comparisons", "correlations", "clusters", "labels", "agreement"),
)
"""Suffixes a table may have."""

NEW_SUFFIXES = ("statmap", "relmat", "model", *TABLE_SUFFIXES)
"""Suffixes of ours that BIDS has not adopted; `.bidsignore` and the schema extension list them."""

_LABEL = re.compile(r"[0-9a-zA-Z]+")


def check_label(value: str, what: str) -> str:
    """Return ``value``; raises BidsfaceError unless it is letters and digits only."""
    if not isinstance(value, str) or _LABEL.fullmatch(value) is None:
        raise BidsfaceError(f"{what} must be letters and digits only, found {value!r}")
    return value


def joined(entities: Mapping[str, str]) -> str:
    """Return ``key-value`` pairs in BIDS order, joined by underscores.

    Raises
    ------
    BidsfaceError
        If a key is not a BIDS entity or a value is not a BIDS label.
    """
    unknown = sorted(set(entities) - set(ENTITY_ORDER))
    if unknown:
        raise BidsfaceError(
            f"{', '.join(unknown)} cannot stand in a file name; entities are "
            f"{', '.join(ENTITY_ORDER)}"
        )
    return "_".join(
        f"{key}-{check_label(entities[key], f'entity {key}')}"
        for key in ENTITY_ORDER
        if key in entities
    )


def file_path(
    entities: Mapping[str, str], suffix: str, extension: str, datatype: str
) -> PurePosixPath:
    """Return the path of a file relative to the output folder.

    Files of a participant lie in ``sub-[/ses-]/datatype``, figures in ``sub-/figures`` whatever
    their session, files of the group in ``datatype`` at the root.
    """
    check_label(suffix, "suffix")
    stem = f"{joined(entities)}_{suffix}{extension}"
    return PurePosixPath(*_folders(entities, datatype), stem)


def _folders(entities: Mapping[str, str], datatype: str) -> tuple[str, ...]:
    if "sub" not in entities:
        return (datatype,)
    if "ses" not in entities or datatype == "figures":
        return (f"sub-{entities['sub']}", datatype)
    return (f"sub-{entities['sub']}", f"ses-{entities['ses']}", datatype)
