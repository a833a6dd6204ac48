"""The anatomy of the synthetic participants: the MNI152 template, coarse, and its structures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BOUNDS_MM = ((-81.0, 81.0), (-111.0, 81.0), (-69.0, 87.0))
"""Box around the template's brain (mm)."""
ANATOMICAL_VOXEL_MM = 4.0
"""Edge of a voxel of the T1-weighted images; those of the BOLD runs are larger."""


@dataclass(frozen=True)
class Structure:
    """A structure of FreeSurfer's segmentation, drawn as spheres within the grey matter.

    Attributes
    ----------
    name : str
        FreeSurfer's name without hemisphere.
    index : tuple of int
        Left and right index in FreeSurfer's colour table.
    centres : tuple of (x, y, z)
        MNI coordinates (mm) in the right hemisphere; the left one is their mirror image.
    radius : float
        mm.
    """

    name: str
    index: tuple[int, int]
    centres: tuple[tuple[float, float, float], ...]
    radius: float = 12.0

    @property
    def labels(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """Index and FreeSurfer name of the left and the right structure."""
        left, right = self.index
        if left < 1000:
            return (left, f"Left-{self.name}"), (right, f"Right-{self.name}")
        return (left, f"ctx-lh-{self.name}"), (right, f"ctx-rh-{self.name}")


# Rounded mirror means of published centres: amygdala and thalamus from Seitzman et al. (2020),
# NeuroImage 206:116290, the cortical ones from Dosenbach et al. (2010), Science 329:1358-1361.
STRUCTURES = (
    Structure("Amygdala", (18, 54), ((20, -2, -22),), 10.0),
    Structure("Thalamus", (10, 49), ((12, -14, 8),), 11.0),
    Structure("insula", (1035, 2035), ((37, 19, 1), (38, -3, 4))),
    Structure("caudalanteriorcingulate", (1002, 2002), ((7, 19, 34),)),
    Structure("rostralanteriorcingulate", (1026, 2026), ((8, 42, 8),)),
    Structure("postcentral", (1022, 2022), ((46, -21, 49), (55, -22, 36))),
    Structure("precentral", (1024, 2024), ((44, -8, 44), (52, -8, 24))),
    Structure("caudalmiddlefrontal", (1003, 2003), ((42, 9, 38),)),
    Structure("lateraloccipital", (1011, 2011), ((35, -82, -2), (28, -89, 5))),
    Structure("fusiform", (1007, 2007), ((35, -60, -8), (28, -39, -14))),
    Structure("bankssts", (1001, 2001), ((56, -42, 12),)),
    Structure("superiortemporal", (1030, 2030), ((56, -17, 8),)),
    Structure("superiorfrontal", (1028, 2028), ((20, 31, 50),)),
    Structure("lateralorbitofrontal", (1012, 2012), ((24, 32, -18),)),
    Structure("superiorparietal", (1029, 2029), ((32, -60, 44),)),
    Structure("middletemporal", (1015, 2015), ((59, -25, -15),)),
    Structure("precuneus", (1025, 2025), ((8, -62, 35),)),
)
TISSUE_LABELS = (
    (2, "Left-Cerebral-White-Matter"),
    (41, "Right-Cerebral-White-Matter"),
    (24, "CSF"),
    (3, "Left-Cerebral-Cortex"),
    (42, "Right-Cerebral-Cortex"),
    (1000, "ctx-lh-unknown"),
    (2000, "ctx-rh-unknown"),
)


@dataclass(frozen=True)
class Anatomy:
    """The template on one grid.

    Attributes
    ----------
    affine : ndarray of shape (4, 4)
        Voxel indices to mm.
    brain : ndarray of bool, the grid's shape
    grey, white, csf : ndarray of float32, the grid's shape
        Tissue fractions.
    t1w : ndarray of float32, the grid's shape
        Intensity of the T1-weighted template within the brain, 0 to 1.
    """

    affine: NDArray[np.float64]
    brain: NDArray[np.bool_]
    grey: NDArray[np.float32]
    white: NDArray[np.float32]
    csf: NDArray[np.float32]
    t1w: NDArray[np.float32]

    @property
    def voxel_size(self) -> float:
        """Edge of a voxel (mm)."""
        return float(self.affine[0, 0])

    @property
    def coordinates(self) -> NDArray[np.float64]:
        """Centres (mm) of the brain's voxels, shape (p, 3)."""
        return np.argwhere(self.brain) @ self.affine[:3, :3].T + self.affine[:3, 3]


@lru_cache(maxsize=4)  # a study needs two grids, many studies the same ones
def load_anatomy(voxel_size: float) -> Anatomy:
    """Average the 1 mm MNI152 template that nilearn ships over coarse voxels.

    Parameters
    ----------
    voxel_size : float
        Edge of a voxel (mm). The grid is symmetrical about the mid-sagittal plane, so that every
        voxel belongs to one hemisphere.
    """
    from nilearn.datasets import (
        load_mni152_brain_mask,
        load_mni152_gm_template,
        load_mni152_template,
        load_mni152_wm_template,
    )

    affine, shape = _grid(voxel_size)

    def coarse(load: Callable) -> NDArray[np.float32]:
        return _average(load(resolution=1), affine, shape)

    brain_fraction = coarse(load_mni152_brain_mask)
    brain = brain_fraction > 0.5
    grey = np.where(brain, coarse(load_mni152_gm_template), 0)
    white = np.where(brain, coarse(load_mni152_wm_template), 0)
    scale = np.maximum(grey + white, 1)
    csf = np.where(brain, np.clip(1 - (grey + white), 0, 1), 0)
    t1w = np.where(brain, coarse(load_mni152_template), 0)
    return Anatomy(affine, brain, grey / scale, white / scale, csf, t1w)


def draw_segmentation(anatomy: Anatomy, rng: np.random.Generator) -> NDArray[np.int16]:
    """Draw one participant's `aparc+aseg`: FreeSurfer indices on the grid.

    Every structure's centres are moved by a normal deviate of 1.5 mm. A voxel belongs to the
    structure whose centre is nearest in units of the structure's radius, where that is below 1
    and, for cortical structures, at least two fifths of the voxel are grey matter. The others are
    unlabelled cortex, white matter or CSF.
    """
    points, brain = anatomy.coordinates, anatomy.brain
    grey, white = anatomy.grey[brain], anatomy.white[brain]
    right = points[:, 0] > 0
    labels = np.where(grey > 0.4, 1000 + 1000 * right, np.where(white > 0.5, 2 + 39 * right, 24))
    nearest = np.ones(len(points))
    for structure in STRUCTURES:
        distance = structure_distance(structure, points, rng.normal(0, 1.5, (2, 3)))
        tissue = grey > (0.4 if structure.index[0] >= 1000 else 0.0)
        taken = (distance < nearest) & tissue
        labels[taken] = np.where(right, structure.index[1], structure.index[0])[taken]
        nearest[taken] = distance[taken]
    return _volume(labels, brain)


def subcortical_segmentation(aparcaseg: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the `aseg` of an `aparc+aseg`: one label for each hemisphere's cortex."""
    cortex = np.select([aparcaseg >= 2000, aparcaseg >= 1000], [42, 3], aparcaseg)
    return cortex.astype(np.int16)


def structure_mask(aparcaseg: NDArray[np.int16], names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return where the segmentation has one of the structures, in either hemisphere."""
    indices = [index for item in STRUCTURES if item.name in names for index in item.index]
    return np.isin(aparcaseg, indices)


def _grid(voxel_size: float) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    sizes = [int(np.ceil((stop - start) / voxel_size)) for start, stop in BOUNDS_MM]
    sizes[0] += sizes[0] % 2
    affine = np.diag([voxel_size, voxel_size, voxel_size, 1.0])
    centre = np.array([0.0, *(np.mean(bounds) for bounds in BOUNDS_MM[1:])])
    affine[:3, 3] = centre - (np.array(sizes) - 1) / 2 * voxel_size
    return affine, (sizes[0], sizes[1], sizes[2])


def _average(
    image: object, affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Average an image over the voxels of a coarser grid."""
    from scipy.ndimage import affine_transform, uniform_filter

    data = np.asarray(image.get_fdata(dtype=np.float32))  # type: ignore[attr-defined]
    to_source = np.linalg.inv(image.affine) @ affine  # type: ignore[attr-defined]
    smooth = uniform_filter(data, size=max(1, round(float(to_source[0, 0]))), mode="constant")
    coarse = affine_transform(smooth, to_source[:3, :3], to_source[:3, 3], shape, order=1)
    return np.asarray(coarse, dtype=np.float32)


def structure_distance(
    structure: Structure, points: NDArray[np.float64], shifts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance to the nearest centre of the same hemisphere, in the structure's radii.

    Parameters
    ----------
    structure : Structure
    points : ndarray of shape (p, 3)
        mm.
    shifts : ndarray of shape (2, 3)
        How far (mm) the left and the right centres are from where they ought to be.

    Returns
    -------
    ndarray of shape (p,)
        Infinite in the mid-sagittal plane.
    """
    distance = np.full(len(points), np.inf)
    for side, shift in zip((-1, 1), shifts, strict=True):
        here = points[:, 0] * side > 0
        for centre in structure.centres:
            offset = points[here] - (np.array(centre) * (side, 1, 1) + shift)
            distance[here] = np.minimum(distance[here], np.linalg.norm(offset, axis=1))
    return distance / structure.radius


def _volume(values: NDArray, brain: NDArray[np.bool_]) -> NDArray[np.int16]:
    volume = np.zeros(brain.shape, dtype=np.int16)
    volume[brain] = values
    return volume
