"""What the group level reads: effects of participants, their voxels in common, and covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Grid, ParticipantResults, StoredMap, Voxels
from bidsface.errors import InputError
from bidsface_glm.options import GlmOptions

Floats = NDArray[np.float64]
STATISTICS = ("effect", "variance")


@dataclass(frozen=True, eq=False)
class Cell:
    """One contrast of one task.

    Attributes
    ----------
    task, contrast : str
    maps : mapping of str to mapping of str to StoredMap
        ``effect`` and ``variance`` of every participant, by label.
    """

    task: str
    contrast: str
    maps: Mapping[str, Mapping[str, StoredMap]]

    @property
    def labels(self) -> tuple[str, ...]:
        """Participants, in order."""
        return tuple(self.maps)

    @property
    def entities(self) -> dict[str, str]:
        """Entities that the maps of all participants have in common."""
        first, *others = (stored["effect"].entities for stored in self.maps.values())
        return {
            key: value
            for key, value in first.items()
            if key not in ("sub", "desc", "stat")
            and all(other.get(key) == value for other in others)
        }


@dataclass(frozen=True, eq=False)
class Effects:
    """The effects of a cell in the voxels that all participants have.

    Attributes
    ----------
    values : ndarray of shape (n_participants, n_voxels)
    voxels : Voxels
    """

    values: Floats
    voxels: Voxels


def find_cells(participants: Sequence[ParticipantResults]) -> list[Cell]:
    """Return all contrasts of all tasks, in the order in which participants have them."""
    found: dict[tuple[str, str], dict[str, dict[str, StoredMap]]] = {}
    for participant in participants:
        for stored in participant.maps:
            entities = stored.entities
            if stored.stat in STATISTICS and {"task", "contrast"} <= set(entities):
                cell = found.setdefault((entities["task"], entities["contrast"]), {})
                cell.setdefault(participant.label, {})[stored.stat] = stored
    return [Cell(task, contrast, maps) for (task, contrast), maps in found.items()]


def read_effects(cell: Cell) -> Effects:
    """Read the effects of all participants where all of them have some.

    Raises
    ------
    InputError
        If participants' maps lie on different grids, or in no common space.
    """
    grid = common_grid(cell)
    everywhere = Voxels(grid, np.arange(int(np.prod(grid.shape))))
    inside = np.ones(len(everywhere.index), dtype=bool)
    for stored in cell.maps.values():
        inside &= stored["variance"].load(everywhere) > 0
    voxels = Voxels(grid, np.flatnonzero(inside))
    values = np.stack([stored["effect"].load(voxels) for stored in cell.maps.values()])
    varying = np.flatnonzero(np.ptp(values, axis=0) > 0) if len(values) > 1 else slice(None)
    return Effects(values[:, varying], Voxels(grid, voxels.index[varying]))


def common_grid(cell: Cell) -> Grid:
    """Return the grid of the first participant; reading refuses maps on another one."""
    grid = next(iter(cell.maps.values()))["effect"].grid()
    spaces = {stored["effect"].entities.get("space") for stored in cell.maps.values()}
    if None in spaces and len(cell.maps) > 1:
        raise InputError(
            "the maps lie in the participants' own spaces, in which a voxel is not the same place "
            "in all of them; choose a standard space in the recipe's inputs"
        )
    return grid


def read_covariates(table: pd.DataFrame, labels: Sequence[str], options: GlmOptions) -> Floats:
    """Return the covariates of participants, of shape (n_participants, n_covariates).

    Raises
    ------
    InputError
        If participants.tsv lacks a column or a participant, or has no number there.
    """
    return np.column_stack(
        [
            np.empty((len(labels), 0)),
            *(_covariate(table, labels, name) for name in options.covariates),
        ]
    )


def _covariate(table: pd.DataFrame, labels: Sequence[str], name: str) -> Floats:
    if name not in table.columns:
        raise InputError(
            f"participants.tsv has no column {name!r}, which is a covariate; its columns are "
            f"{', '.join(map(str, table.columns)) or 'none'}"
        )
    values = pd.to_numeric(table[name], errors="coerce").reindex(list(labels))
    missing = [label for label in labels if not np.isfinite(values[label])]
    if missing:
        found = table[name].get(missing[0], "no row")
        raise InputError(
            f"participants.tsv: covariate {name!r} is no number for "
            f"{', '.join(f'sub-{label}' for label in missing)} (sub-{missing[0]}: {found}); "
            "exclude them with --participant-label, or leave the covariate out"
        )
    if np.ptp(values.to_numpy(float)) == 0:
        raise InputError(f"participants.tsv: covariate {name!r} is the same for all participants")
    return values.to_numpy(float)
