"""What maps of the group are drawn on: participants' mean functional images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Entities, Map, Participant, ParticipantResults
from bidsface.geometry import Grid, Voxels

STAT = "mean"


def mean_map(participant: Participant, entities: Entities) -> Map:
    """Return the participant's mean functional image, for `mean_background` at the group level.

    Parameters
    ----------
    participant : Participant
    entities : mapping
        What the participant's results have in common.
    """
    voxels = participant.brain
    inside = participant.background.ravel()[voxels.index].astype(float)
    level = float(inside.mean())
    return Map(
        STAT,
        inside / level if level > 0 else inside,
        voxels,
        entities,
        "Mean functional image of the runs, in units of its mean over the brain; the group "
        "level draws maps on it.",
    )


def mean_background(
    participants: Sequence[ParticipantResults], grid: Grid
) -> NDArray[np.float32] | None:
    """Return the mean over participants of what `mean_map` made, of the grid's shape.

    None if no participant has such a map.
    """
    maps = [stored for one in participants for stored in one.maps if stored.stat == STAT]
    if not maps:
        return None
    everywhere = Voxels(grid, np.arange(int(np.prod(grid.shape))))
    total = np.zeros(len(everywhere.index))
    for stored in maps:
        total += stored.load(everywhere)
    return (total / len(maps)).reshape(grid.shape).astype(np.float32)
