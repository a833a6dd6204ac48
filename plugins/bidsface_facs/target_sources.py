"""Where targets come from: events.tsv, another table, or action units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from bidsface.analysis import InputTable, Participant, Samples, TableFilter
from bidsface.entities import every_entity, same_label
from bidsface.errors import InputError
from bidsface.numerics.linear import Floats
from bidsface_facs.action_unit_options import read_units, score_by_options
from bidsface_facs.images import MISSING, numbers
from bidsface_facs.options import FacsOptions, TableSource
from bidsface_facs.trial_scores import SAME_ONSET

Scored = tuple[Floats, list[str]]


def source_filters(options: FacsOptions) -> list[TableFilter]:
    """Return the tables that the target is read from, beside events.tsv."""
    sources = (options.target_table, options.action_units)
    return [_filter(one) for one in sources if one is not None]


def _filter(source: TableSource) -> TableFilter:
    return TableFilter(source.suffix, source.dataset, source.entities)


def task_target(
    participant: Participant, samples: Samples, task: str, options: FacsOptions
) -> Scored:
    """Return the target of every sample of a task, and what there is to say of it.

    Parameters
    ----------
    participant : Participant
    samples : Samples
    task : str
    options : FacsOptions

    Returns
    -------
    ndarray of shape (n_samples,)
        NaN where there is none.

    Raises
    ------
    InputError
        If a column or a table is missing, or does not fit the events.
    """
    if options.action_units is not None:
        return _by_run(participant, samples, task, options.action_units, _scores_of(options))
    if options.target_table is not None:
        return _by_run(participant, samples, task, options.target_table, _column_of(options))
    who = f"sub-{participant.label}, task {task}"
    return numbers(samples.events, options.target, who), []


Reader = Callable[[InputTable, pd.DataFrame, bool], Scored]
"""From a table, the events of its run (one row each) and whether other runs have the same table, to
values of the events and notes.
"""


def _by_run(
    participant: Participant, samples: Samples, task: str, source: TableSource, read: Reader
) -> Scored:
    """Read the table of every run, and give every sample the value of its event."""
    asked = _filter(source)
    tables = participant.tables(asked.suffix, asked.dataset, **asked.entities)
    values, notes = np.full(len(samples.table), np.nan), []
    groups = samples.table.groupby("block", sort=False).indices
    blocks = {str(block): rows for block, rows in groups.items()}
    found_for = {block: _table_of(tables, block, task, participant.label) for block in blocks}
    for block, rows in blocks.items():
        table = found_for[block]
        if table is None:
            notes.append(f"{block} has no {asked}, and its events were left out")
            continue
        _, start, place = np.unique(
            samples.table["event"].to_numpy()[rows], return_index=True, return_inverse=True
        )
        events = samples.events.iloc[rows[start]].assign(
            onset=samples.table["onset"].to_numpy()[rows[start]]
        )
        shared = sum(one is table for one in found_for.values()) > 1
        found, said = read(table, events.reset_index(drop=True), shared)
        values[rows] = found[place]
        notes.extend(said)
    return values, notes


def _table_of(tables: Sequence[InputTable], block: str, task: str, label: str) -> InputTable | None:
    """Return the table that belongs to a run, whose entities contradict none of it; or None."""
    run = {"task": task, **every_entity(block)}
    own = [
        table
        for table in tables
        if all(
            same_label(key, own_label, run.get(key, own_label))
            for key, own_label in table.entities.items()
        )
    ]
    if len(own) > 1:
        raise InputError(
            f"sub-{label}, {block}: {own[0].path} and {own[1].path} both belong to it; wanted one "
            "table for every run (the option entities leaves out others)"
        )
    return own[0] if own else None


def _scores_of(options: FacsOptions) -> Reader:
    source = options.action_units
    assert source is not None

    def read(table: InputTable, events: pd.DataFrame, shared: bool) -> Scored:
        _refuse_shared(table, shared)
        durations = pd.to_numeric(
            events["duration"].where(~events["duration"].isin(MISSING), "0"), errors="coerce"
        )
        units = read_units(table.path, source, table.sidecar or None)
        found = score_by_options(
            units, events["onset"].to_numpy(float), durations.to_numpy(float), source
        )
        return found.scores, list(found.notes)

    return read


def _column_of(options: FacsOptions) -> Reader:
    source = options.target_table
    assert source is not None

    def read(table: InputTable, events: pd.DataFrame, shared: bool) -> Scored:
        frame, name = table.frame, str(table.path)
        if frame.empty:
            return np.full(len(events), np.nan), [f"{name} has no row of this participant"]
        found = numbers(frame, options.target, name, "the table")
        if len(frame) > 1 and source.key in (None, "onset"):
            _refuse_shared(table, shared)
        if source.key is None:
            return _in_order(found, events, name), []
        for who, columns in ((name, frame), ("events.tsv", events)):
            if source.key not in columns:
                raise InputError(
                    f"{who}: no column {source.key!r} (option target_table.key); it has "
                    f"{', '.join(map(str, columns))}"
                )
        match = _by_onset if source.key == "onset" else _by_key
        return match(found, frame[source.key], events[source.key], name), []

    return read


def _refuse_shared(table: InputTable, shared: bool) -> None:
    """Refuse a table of several runs, whose clocks and orders all begin anew."""
    if shared:
        raise InputError(
            f"{table.path}: belongs to several runs; wanted one table for every run, or a column "
            "that names events and stands in events.tsv, too (option target_table.key)"
        )


def _in_order(found: Floats, events: pd.DataFrame, name: str) -> Floats:
    """Give one value to all events, or every event its own by order."""
    if len(found) == 1:
        return np.repeat(found, len(events))
    if len(found) != len(events):
        raise InputError(
            f"{name}: {len(found)} rows for {len(events)} events of the run that are of the "
            "recipe's classes and have an image; wanted one each, one for all, or a column that "
            "both tables have (option target_table.key)"
        )
    return found


def _by_key(found: Floats, keys: pd.Series, wanted: pd.Series, name: str) -> Floats:
    twice = keys[keys.duplicated()]
    if len(twice):
        raise InputError(f"{name}: {keys.name} {twice.iloc[0]!r} stands in several rows")
    values = pd.Series(found, index=keys.astype(str)).reindex(wanted.astype(str))
    return np.asarray(values, dtype=np.float64)


def _by_onset(found: Floats, keys: pd.Series, wanted: pd.Series, name: str) -> Floats:
    onsets = numbers(keys.to_frame(), "onset", name, "the table")
    distance = np.abs(wanted.to_numpy(float)[:, None] - onsets)
    distance[np.isnan(distance)] = np.inf
    nearest = distance.argmin(axis=1)
    near = distance[np.arange(len(nearest)), nearest] <= SAME_ONSET
    _, times = np.unique(nearest[near], return_counts=True)
    if (times > 1).any() or (np.diff(np.sort(onsets)) <= SAME_ONSET).any():
        raise InputError(
            f"{name}: onsets do not tell its rows, or the events, apart: some differ by "
            f"{SAME_ONSET:g} s or less"
        )
    values: Floats = np.full(len(near), np.nan)
    values[near] = found[nearest[near]]
    return values
