"""Which image belongs to which event: by a column of events.tsv, by order, or by its own name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.entities import SHORT_KEYS, every_entity, listing
from bidsface.errors import InputError
from bidsface.events import Events, are_trials, classified, not_excluded, read_rows
from bidsface.files import Run
from bidsface.recipe import Classes, Images

NAMELESS = "image"
"""Class of images that have no events and whose names do not tell one."""

MISSING = "n/a"


@dataclass(frozen=True, eq=False)
class PairedImages:
    """The events of a run of images, and which of them each image is of.

    Attributes
    ----------
    events : Events
    trial : ndarray of shape (n_images,)
        Row of the image's event among the trials; -1 for an event of no class.
    """

    events: Events
    trial: NDArray[np.intp]


def pair_images(run: Run, counts: Sequence[int], images: Images, classes: Classes) -> PairedImages:
    """Find the event of every image.

    Parameters
    ----------
    run : Run
        With ``images``; without ``events`` their names make up the table.
    counts : sequence of int
        How many volumes each file holds.
    images : Images
    classes : Classes

    Raises
    ------
    InputError
        If images and events do not fit, naming both files and both counts.
    """
    entity = SHORT_KEYS.get(images.entity, images.entity)
    if run.events is None:
        frame, rows = _own_table(run, counts, entity, classes.column)
        position = np.arange(len(frame))
    else:
        frame, rows = read_rows(run.events, classes.column)
        if images.event_column is None:
            events = np.flatnonzero(not_excluded(frame["trial_type"], classes))
            _check_order(run, counts, entity, len(events))
            position = events
        else:
            values = _column(run.events, rows.loc[frame.index], images.event_column)
            position = _by_label(run, counts, entity, images.event_column, values)
    is_trial = are_trials(frame["trial_type"], classes).to_numpy()
    trial = np.where(is_trial, np.cumsum(is_trial) - 1, -1)
    return PairedImages(classified(frame, rows, classes), trial[position])


def _own_table(
    run: Run, counts: Sequence[int], entity: str, column: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a table of events, in the form of `read_rows`, of the images' names."""
    names = [every_entity(path.name) for path in run.images]
    rows = pd.DataFrame(names).fillna(MISSING)
    rows = rows.loc[np.repeat(np.arange(len(rows)), counts)].reset_index(drop=True)
    if column == "trial_type":
        values = rows.get(entity, pd.Series(NAMELESS, index=rows.index))
    elif column in rows.columns:
        values = rows[column]
    else:
        raise InputError(
            f"{run.images[0]}: no entity {column}- in the names of the images, which "
            f"classes.column asks for; there are: {', '.join(rows.columns)}"
        )
    rows["trial_type"] = values
    unknown = np.full(len(rows), np.nan)
    own = pd.DataFrame({"onset": unknown, "duration": unknown, "trial_type": values})
    return own, rows


def _check_order(run: Run, counts: Sequence[int], entity: str, n_events: int) -> None:
    """Refuse images that cannot be taken in order: another number, or names that do not count."""
    if sum(counts) != n_events:
        raise InputError(
            f"{run.events}: {n_events} events that classes.exclude does not leave out, but "
            f"{sum(counts)} images, the first of them {run.images[0]}; inputs.images.event_column "
            "pairs them by name"
        )
    labels = [every_entity(path.name).get(entity, "") for path in run.images]
    stems = {re.sub(r"\d+$", "", label) for label in labels}
    if len(labels) > 1 and (len(stems) > 1 or any(not label[-1:].isdecimal() for label in labels)):
        raise InputError(
            f"{run.images[0]}: the {entity} labels {listing(labels, 5)} do not number the images, "
            f"so that their order says nothing about the {n_events} events of {run.events}; "
            "inputs.images.event_column pairs them by name, and inputs.images.events: false takes "
            "the labels for classes"
        )


def _column(path: Path, rows: pd.DataFrame, name: str) -> list[str]:
    if name not in rows.columns:
        raise InputError(
            f"{path}: no column {name}, which inputs.images.event_column asks for; it has "
            f"{', '.join(rows.columns)}"
        )
    return list(rows[name])


def _by_label(
    run: Run, counts: Sequence[int], entity: str, column: str, values: Sequence[str]
) -> NDArray[np.intp]:
    """Return the row of every image's event, by the label of an entity."""
    where: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        where.setdefault(plain(value), []).append(row)
    image_of: dict[int, Path] = {}
    for path, count in zip(run.images, counts, strict=True):
        rows = where.get(plain(_label(path, count, entity)), [])
        if len(rows) != 1:
            raise InputError(
                f"{run.events}: {len(rows)} of its {len(values)} events have in {column} the "
                f"{entity} of {path}, one of {len(run.images)} images; one event is wanted; there "
                f"are: {listing(values)}"
            )
        if rows[0] in image_of:
            raise InputError(
                f"{image_of[rows[0]]} and {path}: both are of the event with {column} "
                f"{values[rows[0]]} of {run.events}, which may have one image"
            )
        image_of[rows[0]] = path
    return np.array(list(image_of), dtype=np.intp)


def _label(path: Path, count: int, entity: str) -> str:
    """Return the label that names the one volume of a file."""
    label = every_entity(path.name).get(entity)
    if label is None or count != 1:
        found = f"no entity {entity}- in its name" if label is None else f"{count} volumes"
        raise InputError(
            f"{path}: inputs.images.event_column wants one volume named by {entity}-, found {found}"
        )
    return label


def plain(label: str) -> str:
    """Return what is compared of a label: letters without case, and numbers without zeros.

    Labels in names of files have no other signs, and FitLins and nilearn drop those of a
    condition: ``trial_003`` becomes ``trial003``. Numbers may be spelled as ``3.0`` in a table.
    """
    signs = re.sub(r"[^0-9a-z]", "", re.sub(r"\.0+$", "", label.strip().lower()))
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), signs)
