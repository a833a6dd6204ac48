"""Cluster tables: peaks of thresholded maps, with their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bidsface.analysis import Column, Entities, Table, Voxels
from bidsface_glm.anatomy import Atlas
from bidsface_glm.corrections import Corrected
from bidsface_glm.images import image_of

COLUMNS: Mapping[str, Column] = {
    "correction": Column("Correction for the number of voxels that the map was thresholded by"),
    "cluster": Column("Number of the cluster, by its peak; further peaks of it have letters"),
    "x": Column("Coordinate of the peak, left to right", units="mm"),
    "y": Column("Coordinate of the peak, back to front", units="mm"),
    "z": Column("Coordinate of the peak, bottom to top", units="mm"),
    "peak_t": Column("t at the peak"),
    "size": Column("Volume of the cluster; n/a for further peaks", units="mm^3"),
    "structure": Column("Label of the atlas at the peak"),
}


def cluster_rows(
    t: NDArray[np.float64],
    voxels: Voxels,
    corrected: Corrected,
    atlas: Atlas,
    peak_distance: float,
) -> pd.DataFrame:
    """Return the clusters of voxels that a correction leaves, with nilearn's table.

    Parameters
    ----------
    t : ndarray of shape (n_voxels,)
    voxels : Voxels
    corrected : Corrected
    atlas : Atlas
        Names the peaks.
    peak_distance : float
        Smallest distance between peaks (mm).
    """
    shown = np.where(corrected.significant, t, 0.0)
    if not shown.any():
        return pd.DataFrame(columns=list(COLUMNS))
    found = _peaks(shown, voxels, peak_distance)
    rows = pd.DataFrame(
        {
            "correction": corrected.name,
            "cluster": found["Cluster ID"].astype(str),
            "x": found["X"].astype(float),
            "y": found["Y"].astype(float),
            "z": found["Z"].astype(float),
            "peak_t": found["Peak Stat"].astype(float),
            "size": pd.to_numeric(found["Cluster Size (mm3)"], errors="coerce"),
        }
    )
    rows["structure"] = [atlas.name(point) for point in rows[["x", "y", "z"]].to_numpy().tolist()]
    return rows


def _peaks(shown: NDArray[np.float64], voxels: Voxels, distance: float) -> pd.DataFrame:
    """Return nilearn's table, which warns where a sign that it looks for is missing."""
    from nilearn.reporting import get_clusters_table

    both = bool((shown > 0).any() and (shown < 0).any())
    flip = 1.0 if (shown > 0).any() else -1.0
    found = get_clusters_table(
        image_of(flip * shown, voxels),
        stat_threshold=0.5 * float(np.abs(shown[shown != 0]).min()),
        two_sided=both,
        min_distance=distance,
    )
    return found.assign(**{"Peak Stat": flip * found["Peak Stat"].astype(float)})


def cluster_table(frames: Sequence[pd.DataFrame], entities: Entities, text: str) -> Table | None:
    """Return the clusters of all corrections as one table; None if there are none."""
    full = [frame for frame in frames if len(frame)]
    if not full:
        return None
    return Table(
        "clusters",
        pd.concat(full, ignore_index=True),
        COLUMNS,
        entities,
        f"Clusters and peaks of {text}.",
    )
