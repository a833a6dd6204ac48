"""A map on its background, turned to RAS+ orientation and coloured: what slices are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import matplotlib as mpl
import nibabel as nib
import numpy as np
from nibabel import affines
from numpy.typing import NDArray

from bidsface.analysis import Voxels

AXIAL, CORONAL, SAGITTAL = 2, 1, 0


class Colouring(Protocol):
    """How values become colours."""

    def colours(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return RGB in 0-1, one axis more than the values."""

    def opacity(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return opacities in 0-1; nan is transparent."""


@dataclass(frozen=True)
class Scale:
    """From values to colours and opacities.

    Attributes
    ----------
    cmap : str
        Name of a matplotlib colour map.
    low, high : float
        Values at the ends of the colour map.
    threshold : float
        Weaker values fade out.
    clipped : bool
        Some values lie beyond the ends.
    """

    cmap: str
    low: float
    high: float
    threshold: float
    clipped: bool

    @classmethod
    def of(cls, values: NDArray[np.floating], symmetric: bool, threshold: float | None) -> Scale:
        """Choose the limits that hold 99 % of the values (of their size, if symmetric)."""
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            finite = np.zeros(1)
        if symmetric:
            high = float(np.quantile(np.abs(finite), 0.995)) or float(np.abs(finite).max()) or 1.0
            fade = 0.4 * high if threshold is None else threshold
            return cls("RdBu_r", -high, high, fade, bool(np.abs(finite).max() > high))
        low, high = (float(edge) for edge in np.quantile(finite, (0.005, 0.995)))
        if not low < high:
            low, high = low - 0.5, high + 0.5
        clipped = bool(finite.max() > high or finite.min() < low)
        return cls("viridis", low, high, -np.inf if threshold is None else threshold, clipped)

    def colours(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return RGB in 0-1, one axis more than the values."""
        unit = np.clip((np.nan_to_num(values) - self.low) / (self.high - self.low), 0, 1)
        return np.asarray(mpl.colormaps[self.cmap](unit)[..., :3])

    def opacity(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return opacities in 0-1; nan is transparent."""
        magnitude = np.abs(values) if self.low == -self.high else values
        if np.isneginf(self.threshold) or self.threshold == 0:
            return np.isfinite(values).astype(float)
        return np.nan_to_num(np.clip(magnitude / self.threshold, 0, 1) ** 2)


@dataclass(frozen=True, eq=False)
class Scene:
    """Map, support and background in RAS+ orientation, cropped to what is worth showing.

    Attributes
    ----------
    values : ndarray of the cropped grid's shape
        nan where the map has no value.
    support : ndarray of bool, same shape
        Voxels of the map.
    grey : ndarray, same shape
        Background from black (0) to white (1).
    affine : ndarray of shape (4, 4)
        Cropped RAS+ voxel indices to mm.
    """

    values: NDArray[np.float64]
    support: NDArray[np.bool_]
    grey: NDArray[np.float64]
    affine: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        values: NDArray[np.float64],
        voxels: Voxels,
        background: NDArray[np.floating] | None,
    ) -> Scene:
        """Place values of shape (n_voxels,) on the grid; `background` has the grid's shape."""
        shape = voxels.grid.shape
        volume = np.full(int(np.prod(shape)), np.nan)
        volume[voxels.index] = values
        support = np.zeros(volume.shape, dtype=bool)
        support[voxels.index] = True
        orientation = nib.orientations.io_orientation(voxels.grid.affine)
        affine = voxels.grid.affine @ nib.orientations.inv_ornt_aff(orientation, shape)

        def turn(array: NDArray) -> NDArray:
            return nib.orientations.apply_orientation(array.reshape(shape), orientation)

        inside = turn(support).astype(bool)
        grey, shown = _grey(inside, None if background is None else turn(np.asarray(background)))
        corner, box = _bounding_box(shown | inside)
        affine = affine @ affines.from_matvec(np.eye(3), corner)
        return cls(turn(volume)[box], inside[box], grey[box], affine)

    @property
    def size(self) -> NDArray[np.float64]:
        """Extent along the three axes (mm)."""
        return affines.voxel_sizes(self.affine) * self.values.shape

    def planes(self) -> list[int]:
        """Axes to cut across: those whose slices are no mere strips."""
        kept = [
            axis
            for axis in (AXIAL, SAGITTAL, CORONAL)
            if min(np.delete(self.size, axis)) >= 0.2 * max(np.delete(self.size, axis))
            and min(np.delete(self.values.shape, axis)) > 1
        ]
        return kept or [AXIAL]

    def positions(self, axis: int, n_slices: int) -> list[int]:
        """Evenly spaced among the slices that hold voxels of the map."""
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(self.support.any(axis=others))
        if len(occupied) <= n_slices:
            return [int(position) for position in occupied]
        spread = 0.5 + 0.86 * ((np.arange(n_slices) + 0.5) / n_slices - 0.5)
        picked = spread * (len(occupied) - 1)
        return [int(position) for position in occupied[picked.round().astype(int)]]

    def millimetres(self, axis: int, position: int) -> float:
        """Return the coordinate of a slice, at its centre where the grid is oblique."""
        centre = (np.asarray(self.values.shape) - 1) / 2
        centre[axis] = position
        return float(affines.apply_affine(self.affine, centre)[axis])

    def picture(self, axis: int, position: int, scale: Colouring) -> NDArray[np.uint8]:
        """Return one slice as RGB, first row at the top."""
        values = np.take(self.values, position, axis).T[::-1]
        grey = np.take(self.grey, position, axis).T[::-1, :, None]
        opacity = scale.opacity(values)[..., None]
        mixed = (1 - opacity) * grey + opacity * scale.colours(values)
        return np.asarray(np.round(mixed * 255), dtype=np.uint8)


def _grey(
    inside: NDArray[np.bool_], background: NDArray[np.floating] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return grey levels (1 is white) and where they show something."""
    if background is None:
        return np.where(inside, 0.88, 1.0), inside
    image = np.nan_to_num(np.asarray(background, dtype=float), posinf=0, neginf=0)
    positive = image[image > 0]
    brightest = float(np.quantile(positive, 0.99)) if positive.size else 1.0
    shown = image > 0.15 * brightest
    return np.where(image > 0, np.clip(image / brightest, 0, 1) * 0.85, 0.0), shown


def _bounding_box(shown: NDArray[np.bool_]) -> tuple[NDArray[np.float64], tuple[slice, ...]]:
    """Return the first corner and the slices of a box around what is shown, one voxel wider."""
    where = np.argwhere(shown) if shown.any() else np.argwhere(np.ones(shown.shape))
    first = np.maximum(where.min(axis=0) - 1, 0)
    last = np.minimum(where.max(axis=0) + 2, shown.shape)
    return first.astype(float), tuple(slice(a, b) for a, b in zip(first, last, strict=True))


@dataclass(frozen=True)
class Panel:
    """One slice: what it cuts across, where, its extent (mm), and whether it names the sides."""

    axis: int
    position: int
    width: float
    height: float
    first: bool


@dataclass(frozen=True)
class Layout:
    """Inches: margins, gaps and the scale that all panels of a figure share."""

    inches_per_mm: float
    head: float
    left: float = 0.1
    gap: float = 0.06
    foot: float = 0.2
    sides: float = 0.15
    narrowest: float = 0.68  # room for "z = -24 mm"

    def pitch(self, panel: Panel) -> float:
        """Return the width that a panel takes with its gap."""
        return max(panel.width * self.inches_per_mm, self.narrowest) + self.gap

    def height(self, row: Sequence[Panel]) -> float:
        """Return the height of a row's images."""
        return max(panel.height for panel in row) * self.inches_per_mm


def rows_of_panels(scene: Scene, n_slices: int) -> list[list[Panel]]:
    """Put the axial slices into the first row and the others into the second."""
    first, *others = scene.planes()
    below = [panel for axis in others for panel in panels_across(scene, axis, n_slices // 2)]
    return [row for row in (panels_across(scene, first, n_slices), below) if row]


def panels_across(scene: Scene, axis: int, n_slices: int) -> list[Panel]:
    """Return the panels that cut across one axis, from left, back or bottom."""
    across, up = (float(extent) for extent in np.delete(scene.size, axis))
    return [
        Panel(axis, position, across, up, number == 0)
        for number, position in enumerate(scene.positions(axis, n_slices))
    ]


def layout_of(rows: Sequence[Sequence[Panel]], width: float, head: float) -> Layout:
    """Choose the scale by which the widest row fits the width of the figure (inches)."""
    plain = Layout(1.0, head)
    room = width - plain.left - 1.0 - plain.gap * max(len(row) for row in rows)
    widest = max(sum(panel.width for panel in row) for row in rows)
    tallest = max(panel.height for row in rows for panel in row)
    return Layout(min(room / widest, 2.6 / tallest, 0.03), head)
