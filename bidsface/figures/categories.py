"""Maps of categories on slices: which of several things a voxel is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bidsface.analysis import Voxels
from bidsface.figures.drawing import style, wrapped
from bidsface.figures.panels import draw_panels
from bidsface.figures.scene import Scene

LEGEND = 0.32  # inches


@dataclass(frozen=True)
class Categories:
    """From codes 1, 2, ... to colours; 0 and nan are transparent."""

    palette: Sequence[str]

    def colours(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return RGB in 0-1, one axis more than the codes."""
        table = np.array([(1.0, 1.0, 1.0), *map(to_rgb, self.palette)])
        return np.asarray(table[np.nan_to_num(values).astype(int)])

    def opacity(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return opacities in 0-1."""
        return np.where(np.nan_to_num(values) > 0, 0.85, 0.0)


def categories(
    codes: NDArray[np.integer],
    voxels: Voxels,
    title: str,
    key: Mapping[str, str],
    background: NDArray[np.floating] | None = None,
) -> Figure:
    """Draw categories of voxels on axial, sagittal and coronal slices, left on the left.

    Parameters
    ----------
    codes : ndarray of shape (n_voxels,), int
        0 for none, else the position of the category in ``key``, from 1.
    voxels : Voxels
    title : str
    key : mapping of str to str
        Colour of every category by its name in the legend.
    background : ndarray of the grid's shape, optional
        Drawn in grey under the map; without it the voxels' outline is filled with light grey.
    """
    scene = Scene.of(np.asarray(codes, dtype=np.float64), voxels, background)
    with style():
        drawn = draw_panels(scene, Categories(tuple(key.values())), wrapped(title), LEGEND)
        patches = [Patch(color=colour, label=name) for name, colour in key.items()]
        drawn.figure.legend(handles=patches, loc="lower left", ncols=len(patches))
    return drawn.figure
