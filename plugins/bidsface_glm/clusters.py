"""Cluster tables: peaks of thresholded maps, with their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.affines import from_matvec
from numpy.typing import NDArray
from scipy import ndimage

from bidsface.analysis import Column, Entities, Table, Voxels
from bidsface.anatomy import Atlas
from bidsface_glm.corrections import Corrected

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
            "cluster": found["Cluster ID"],
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
    """Return nilearn's table of a map that is 0 outside clusters: positive ones, then negative.

    The table is made cluster by cluster, in a box around each: nilearn works through the whole
    volume for every cluster, which takes minutes where there are hundreds.
    """
    flat = np.zeros(int(np.prod(voxels.grid.shape)))
    flat[voxels.index] = shown
    volume = flat.reshape(voxels.grid.shape)
    frames = [
        found.assign(**{"Peak Stat": sign * found["Peak Stat"]})
        for sign in (1.0, -1.0)
        for found in sorted(
            _single_clusters(np.maximum(sign * volume, 0.0), voxels.grid.affine, distance),
            key=lambda found: -float(found["Peak Stat"].iloc[0]),
        )
    ]
    numbered = [
        found.assign(**{"Cluster ID": f"{number}" + found["Cluster ID"].str.removeprefix("1")})
        for number, found in enumerate(frames, start=1)
    ]
    return pd.concat(numbered, ignore_index=True)


def _single_clusters(
    volume: NDArray[np.float64], affine: NDArray[np.float64], distance: float
) -> Iterator[pd.DataFrame]:
    """Yield nilearn's table of each cluster (voxels that share faces) of a positive map."""
    from nilearn.reporting import get_clusters_table

    labelled, _ = ndimage.label(volume > 0)
    for number, box in enumerate(ndimage.find_objects(labelled), start=1):
        inside = np.pad(np.where(labelled[box] == number, volume[box], 0.0), 1)
        corner = np.array([side.start for side in box]) - 1
        image = nib.Nifti1Image(inside, affine @ from_matvec(np.eye(3), corner))
        lowest = float(inside[inside > 0].min())
        found = get_clusters_table(image, 0.5 * lowest, min_distance=distance)
        yield found.astype({"Cluster ID": str, "Peak Stat": float})


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
