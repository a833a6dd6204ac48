"""What ``participants.tsv`` says of the participants."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bidsface.entities import strip_prefix
from bidsface.errors import InputError

KEY = "participant_id"


def participants_table(roots: Iterable[Path]) -> pd.DataFrame:
    """Return the first ``participants.tsv`` among data sets, by label without ``sub-``.

    Parameters
    ----------
    roots : iterable of Path
        The raw data set first.

    Returns
    -------
    DataFrame
        All values are text; empty where no data set has the file.

    Raises
    ------
    InputError
        If the file cannot be read or has no column ``participant_id``.
    """
    path = next((file for root in roots if (file := root / "participants.tsv").is_file()), None)
    if path is None:
        return pd.DataFrame()
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a table ({reason})") from error
    if KEY not in table.columns:
        raise InputError(f"{path}: no column {KEY}; it has {', '.join(table.columns)}")
    table.index = pd.Index([strip_prefix("sub", label) for label in table[KEY]])
    repeated = table.index[table.index.duplicated()]
    if len(repeated):
        raise InputError(f"{path}: participant {repeated[0]} stands in several rows")
    return table.drop(columns=KEY)
