"""Which participants models are trained on, and which data sets they are then tried on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bidsface.analysis import ParticipantResults
from bidsface.errors import InputError
from bidsface_facs.options import FacsOptions

OWN = "main"
"""Name of the data set that is trained on, where no column names it."""

MISSING = "n/a"


def split_data_sets(
    participants: Sequence[ParticipantResults], table: pd.DataFrame, options: FacsOptions
) -> tuple[dict[str, list[ParticipantResults]], list[str]]:
    """Return the participants by data set, the one to train on first, and notes on those left out.

    Parameters
    ----------
    participants : sequence of ParticipantResults
        Those of other outputs carry the name of their data set.
    table : DataFrame
        ``participants.tsv`` by label.
    options : FacsOptions

    Raises
    ------
    InputError
        If the column of data sets is missing, no participant is in the one to train on, or data
        sets have one name.
    """
    own = options.train_dataset or OWN
    found: dict[str, list[ParticipantResults]] = {own: []}
    notes = []
    for one in (one for one in participants if not one.dataset):
        name = _named(one.label, table, options) or own
        if name == MISSING:
            notes.append(f"participants.tsv: sub-{one.label} has no {options.dataset_column}")
        else:
            found.setdefault(name, []).append(one)
    for one in (one for one in participants if one.dataset):
        if one.dataset in found and not found[one.dataset][-1].dataset:
            raise InputError(
                f"--derivatives {one.dataset}=...: {one.dataset} is the name of a data set of this "
                "study; give the other one another name"
            )
        found.setdefault(one.dataset, []).append(one)
    if not found[own]:
        raise InputError(
            f"participants.tsv: no participant with images has {options.dataset_column} "
            f"{own!r}; there are {', '.join(name for name in found if name != own)}"
        )
    return found, notes


def _named(label: str, table: pd.DataFrame, options: FacsOptions) -> str | None:
    """Return the data set of a participant of this output by participants.tsv."""
    column = options.dataset_column
    if column is None:
        return None
    if column not in table.columns:
        raise InputError(
            f"participants.tsv: no column {column!r} (option dataset_column); it has "
            f"{', '.join(table.columns) or 'none'}"
        )
    if label not in table.index or table[column][label] in ("", "n/a"):
        return MISSING
    return str(table[column][label])
