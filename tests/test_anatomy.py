"""Names of places: FreeSurfer's structures in most participants, or an atlas of any grid."""

import nibabel as nib
import numpy as np
import pytest
from glm_study import store

from bidsface.analysis import Grid, Map, Results, Voxels
from bidsface.anatomy import (
    UNLABELLED,
    Atlas,
    find_atlas,
    flat_index,
    flat_indices,
    freesurfer_names,
    millimetres,
    most_frequent,
    structure_map,
)
from bidsface.errors import InputError

AFFINE = np.array([[3.0, 0, 0, -9], [0, 3.0, 0, -12], [0, 0, 4.0, 20], [0, 0, 0, 1]])
GRID = Grid((4, 5, 3), AFFINE, "MNI152NLin2009cAsym")
TURN = np.array([[0.96, -0.28, 0, 0], [0.28, 0.96, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
EVERYWHERE = Voxels(GRID, np.arange(60))


class Person:
    """As much of a participant as `structure_map` reads."""

    def __init__(self, structures):
        self.structures = structures
        self.brain = Voxels(GRID, np.arange(10, 14))


def participants(*rows):
    items = [Map("index", np.asarray(row, float), EVERYWHERE, {}, "") for row in rows]
    return [store(f"{n:02d}", Results(maps=[item])) for n, item in enumerate(items, 1)]


def test_structure_is_that_of_most_participants():
    indices = np.array([[0, 7, 1], [0, 7, 2], [5, 3, 2], [0, 0, 1]])
    assert most_frequent(indices).tolist() == [5, 7, 1]


def test_coordinates_and_voxels_are_each_other_s_inverse():
    points = np.array([millimetres(EVERYWHERE, column) for column in range(60)])
    assert points[0].tolist() == [-9, -12, 20]
    assert points[-1].tolist() == [0, 0, 28]
    np.testing.assert_array_equal(flat_indices(GRID, points), np.arange(60))
    # A third of a voxel away it is the same voxel, on every grid, the last places included.
    turned = AFFINE @ np.array(
        [[0.96, -0.28, 0, 0], [0.28, 0.96, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    grid = Grid(GRID.shape, turned)
    places = np.argwhere(np.ones(GRID.shape))
    points = (places + 0.33) @ turned[:3, :3].T + turned[:3, 3]
    np.testing.assert_array_equal(flat_indices(grid, points), np.arange(60))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_nothing_is_named_outside_the_grid(axis, side):
    atlas = Atlas(GRID, np.full(60, 3), {3: "here"}, "test")
    place = np.array([3.0, 4.0, 2.0]) if side > 0 else np.zeros(3)
    inside, outside = place.copy(), place.copy()
    inside[axis] += 0.4 * side
    outside[axis] += 0.6 * side
    points = np.array([inside, outside]) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    assert [atlas.name(point) for point in points] == ["here", UNLABELLED]
    assert atlas.at(points).tolist() == [3, 0]
    assert flat_index(GRID, points[1]) is None


def test_names_have_their_sides():
    names = freesurfer_names()
    assert names[1024] == "ctx-lh-precentral"
    assert names[2024] == "ctx-rh-precentral"
    assert names[54] == "Right-Amygdala"


def test_structures_of_most_participants_name_places():
    row = np.zeros(60)
    row[7] = 54
    other = np.zeros(60)
    other[7], other[8] = 18, 2024
    atlas = find_atlas(participants(row, row, other), GRID)
    names = [atlas.name(millimetres(EVERYWHERE, column)) for column in (7, 8, 9)]
    assert names == ["Right-Amygdala", "ctx-rh-precentral", UNLABELLED]
    assert atlas.source == "FreeSurfer's structure in most of 3 participants"
    nobody = find_atlas([store("01", Results())], GRID)
    assert nobody.name((0, 0, 20)) == UNLABELLED
    assert nobody.source == "no participant has a segmentation"


def test_map_of_structures():
    found = structure_map(Person(np.array([0, 54, 18, 54])), {"space": "T1w"})
    assert (found.stat, found.entities) == ("index", {"space": "T1w"})
    assert found.values.tolist() == [0, 54, 18, 54]
    np.testing.assert_array_equal(found.voxels.index, np.arange(10, 14))
    assert structure_map(Person(None), {}) is None


def test_atlas_file_is_brought_to_the_grid(tmp_path):
    fine = AFFINE.copy()
    fine[:3, :3] /= 2
    fine[:3, 3] -= AFFINE.diagonal()[:3] / 4  # eight fine voxels fill a coarse one
    labels = np.zeros((8, 10, 6), np.int16)
    labels[2:4, 4:6, :2] = 3
    nib.Nifti1Image(labels, fine).to_filename(tmp_path / "atlas.nii.gz")
    (tmp_path / "atlas.tsv").write_text("index\tname\n3\tplanted\n")
    path = str(tmp_path / "atlas.nii.gz")
    # The file counts, whatever participants have.
    atlas = find_atlas(participants(np.full(60, 54.0)), GRID, path)
    assert atlas.source == "atlas atlas.nii.gz"
    named = [atlas.name(millimetres(EVERYWHERE, column)) for column in range(60)]
    where = np.ravel_multi_index((1, 2, 0), GRID.shape)
    assert [column for column, name in enumerate(named) if name == "planted"] == [where]


def test_bad_atlas_files_are_named(tmp_path):
    nib.Nifti1Image(np.zeros(GRID.shape, np.int16), AFFINE).to_filename(tmp_path / "atlas.nii.gz")
    path = str(tmp_path / "atlas.nii.gz")
    with pytest.raises(InputError, match=r"atlas\.tsv: cannot be read as a lookup table"):
        find_atlas([], GRID, path)
    (tmp_path / "other.tsv").write_text("number\tname\n3\tplanted\n")
    with pytest.raises(InputError, match=r"other\.tsv: .* columns index and name"):
        find_atlas([], GRID, path, str(tmp_path / "other.tsv"))
    with pytest.raises(InputError, match=r"none\.nii\.gz: no such file"):
        find_atlas([], GRID, str(tmp_path / "none.nii.gz"))
