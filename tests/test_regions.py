from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from volumes import AFFINE, SHAPE, haxby_files, make_recipe, make_run, save, write_tsv

from bidsface.analysis import AnalysisOptions, Grid
from bidsface.errors import InputError, RecipeError
from bidsface.files import ParticipantFiles
from bidsface.regions import HOST_SOURCES, RegionSource
from bidsface.regions.freesurfer import label_indices
from bidsface.regions.masking import find_regions
from bidsface.volumes import common_grid

SPACE = "MNI152NLin2009cAsym"
COARSE = np.diag([6.0, 6.0, 6.0, 1.0])
COARSE[:3, 3] = AFFINE[:3, 3] + 1.5


@pytest.fixture
def grid():
    return Grid(SHAPE, AFFINE, SPACE)


@pytest.fixture
def files(tmp_path):
    return ParticipantFiles("01", (make_run(tmp_path, space=SPACE),))


def mask_of(source, files, grid, **options):
    source = HOST_SOURCES[source]
    return source.masks(files, grid, source.Options.model_validate(options))


def labels_image(path, dtype=np.int16):
    values = np.zeros(SHAPE, dtype)
    values[0], values[1], values[2], values[3] = 1022, 2022, 18, 54
    return save(path, values)


def test_brain_mask_is_common_to_all_runs(tmp_path, grid):
    first, second = np.ones(SHAPE, bool), np.ones(SHAPE, bool)
    first[0], second[:, 0] = False, False
    runs = tuple(
        make_run(tmp_path, str(i), space=SPACE, mask=m) for i, m in enumerate((first, second))
    )
    files = ParticipantFiles("01", (*runs, replace(runs[0], mask=None)))
    np.testing.assert_array_equal(mask_of("brain-mask", files, grid), first & second)
    bare = ParticipantFiles("01", (replace(runs[0], mask=None),))
    with pytest.raises(InputError, match="sub-01: no run has a brain mask"):
        mask_of("brain-mask", bare, grid)


def test_brain_mask_of_another_grid(tmp_path, files, grid):
    run = replace(files.runs[0], mask=save(tmp_path / "other_mask.nii.gz", np.ones((3, 3, 3))))
    with pytest.raises(InputError, match=r"other_mask.nii.gz: its grid is not that of .*bold"):
        mask_of("brain-mask", ParticipantFiles("01", (run,)), grid)


def test_grey_matter_threshold(tmp_path, files, grid):
    probability = np.linspace(0, 1, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    files = replace(files, grey_matter=save(tmp_path / "GM_probseg.nii.gz", probability))
    np.testing.assert_array_equal(mask_of("grey-matter", files, grid), probability >= 0.5)
    strict = mask_of("grey-matter", files, grid, threshold=0.9)
    np.testing.assert_array_equal(strict, probability >= 0.9)
    with pytest.raises(InputError, match=r"no grey-matter probability map .*MNI152NLin2009cAsym"):
        mask_of("grey-matter", replace(files, grey_matter=None), grid)


def test_grey_matter_is_interpolated_from_a_finer_grid(tmp_path, files, grid):
    fine = np.diag([1.0, 1.0, 1.0, 1.0])
    fine[:3, 3] = AFFINE[:3, 3] - 1.0
    x = np.arange(15, dtype=np.float32)[:, None, None] - 1.0  # mm from the first voxel's centre
    ramp = np.broadcast_to(x / 12, (15, 12, 9)).astype(np.float32)
    files = replace(files, grey_matter=save(tmp_path / "GM_probseg.nii.gz", ramp, fine))
    mask = mask_of("grey-matter", files, grid, threshold=0.49)
    np.testing.assert_array_equal(mask, np.arange(5)[:, None, None] * np.ones(SHAPE) >= 2)


@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        (["postcentral"], [0, 1]),
        (["ctx-rh-postcentral"], [1]),
        (["amygdala"], [2, 3]),
        (["left-amygdala", 2022], [1, 2]),
    ],
)
def test_segmentation_labels(tmp_path, files, grid, labels, rows):
    path = labels_image(tmp_path / "aparcaseg.nii.gz")
    run = replace(files.runs[0], segmentations={"aparcaseg": path})
    files = ParticipantFiles("01", (files.runs[0], run))
    mask = mask_of("segmentation", files, grid, labels=labels)
    assert sorted(set(np.nonzero(mask)[0])) == rows


def test_segmentation_that_is_missing(files, grid):
    with pytest.raises(InputError, match=r"no run has a segmentation \(desc-aseg_dseg\)"):
        mask_of("segmentation", files, grid, image="aseg", labels=["amygdala"])


def test_unknown_labels_are_refused_with_the_recipe():
    options = HOST_SOURCES["segmentation"].Options
    with pytest.raises(ValidationError, match="aparcaseg has no label 'amigdala'; it has "):
        options(labels=("amigdala",))
    with pytest.raises(ValidationError, match="aseg has no label 'postcentral'"):
        options(image="aseg", labels=("postcentral",))
    with pytest.raises(ValidationError):
        options(labels=())


@pytest.mark.parametrize(
    ("name", "indices"),
    [
        ("insula", (1035, 2035)),
        ("bankssts", (1001, 2001)),
        ("ctx-lh-superiortemporal", (1030,)),
        ("rostralanteriorcingulate", (1026, 2026)),
        ("caudalmiddlefrontal", (1003, 2003)),
        ("lateraloccipital", (1011, 2011)),
        ("ctx-rh-precentral", (2024,)),
        ("Right-Thalamus-Proper", (49,)),
        ("thalamus", (10, 49)),
        ("Left-Accumbens-area", (26,)),
        ("Brain-Stem", (16,)),
    ],
)
def test_freesurfer_indices(name, indices):
    assert label_indices("aparcaseg", name) == indices


@pytest.mark.parametrize("name", [f"tpl-{SPACE}_desc-roi_mask", f"roi_space-{SPACE}"])
def test_mask_file_on_another_grid_of_the_same_space(tmp_path, files, grid, name):
    values = np.zeros((3, 2, 2), np.uint8)
    values[1] = 1
    path = save(tmp_path / f"{name}.nii.gz", values, COARSE)
    mask = mask_of("mask", files, grid, path=str(path))
    assert sorted(set(np.nonzero(mask)[0])) == [2, 3]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("space-MNI152NLin6Asym_mask", {}, "is in space MNI152NLin6Asym, but the runs are in MNI"),
        (f"space-{SPACE}_mask", {"space": "native"}, "is in space native, but the runs"),
        ("roi_mask", {}, "its grid is not that of the runs and its name says no space"),
    ],
)
def test_mask_file_of_another_or_unknown_space(tmp_path, files, grid, name, options, message):
    path = save(tmp_path / f"{name}.nii.gz", np.ones((3, 2, 2), np.uint8), COARSE)
    with pytest.raises(InputError, match=message):
        mask_of("mask", files, grid, path=str(path), **options)


def test_mask_file_without_a_named_space(tmp_path, files, grid):
    values = np.zeros(SHAPE, np.uint8)
    values[1, 2] = 1
    save(tmp_path / "sub-01_mask.nii.gz", values)
    template = str(tmp_path / "sub-{participant}_mask.nii.gz")
    np.testing.assert_array_equal(mask_of("mask", files, grid, path=template), values > 0)
    native = Grid(SHAPE, AFFINE)
    mask = mask_of("mask", files, native, path=template, space="native")
    np.testing.assert_array_equal(mask, values > 0)
    with pytest.raises(InputError, match=r"nothing.nii: no such file"):
        mask_of("mask", files, grid, path=str(tmp_path / "nothing.nii"))


def test_atlas_by_index_and_name(tmp_path, files, grid):
    path = labels_image(tmp_path / f"space-{SPACE}_seg-x_dseg.nii.gz", np.float64)
    table = pd.DataFrame({"index": [1022, 18], "name": ["S1", "Amygdala"]})
    write_tsv(tmp_path / f"space-{SPACE}_seg-x_dseg.tsv", table)
    mask = mask_of("atlas", files, grid, path=str(path), labels=["S1", 54])
    assert sorted(set(np.nonzero(mask)[0])) == [0, 3]
    lookup = write_tsv(tmp_path / "names.tsv", pd.DataFrame({"index": [2022], "name": ["S1"]}))
    mask = mask_of("atlas", files, grid, path=str(path), labels=["S1"], lookup=str(lookup))
    assert sorted(set(np.nonzero(mask)[0])) == [1]
    with pytest.raises(InputError, match="has no label V1; it has S1, Amygdala"):
        mask_of("atlas", files, grid, path=str(path), labels=["V1"])
    with pytest.raises(InputError, match=r"no.tsv: cannot be read as a lookup table"):
        mask_of("atlas", files, grid, path=str(path), labels=["S1"], lookup="no.tsv")


def test_four_dimensional_atlas(tmp_path, files, grid):
    path = save(tmp_path / "probabilities.nii.gz", np.ones((*SHAPE, 2), np.float32))
    with pytest.raises(InputError, match=r"one volume is wanted, found shape \(5, 4, 3, 2\)"):
        mask_of("atlas", files, grid, path=str(path), labels=[1])


def test_spheres_hold_the_centres_within_the_radius(files, grid):
    mask = mask_of("spheres", files, grid, coordinates=[[0, -1.5, 0], [-6, -4.5, -3]], radius=3.0)
    expected = np.zeros(SHAPE, bool)
    for voxel in np.ndindex(SHAPE):
        point = AFFINE[:3, :3] @ voxel + AFFINE[:3, 3]
        near = min(np.linalg.norm(point - c) for c in ([0, -1.5, 0], [-6, -4.5, -3]))
        expected[voxel] = near <= 3.0
    np.testing.assert_array_equal(mask, expected)
    assert mask.sum() == 7 + 4
    with pytest.raises(InputError, match=r"the coordinates are in space MNI305"):
        mask_of("spheres", files, grid, coordinates=[[0, 0, 0]], radius=3.0, space="MNI305")


def found(files, grid, regions, sources=HOST_SOURCES, **parts):
    return find_regions(files, grid, make_recipe(regions=regions, **parts), sources)


BALL = {"source": "spheres", "coordinates": [[0, -1.5, 0]], "radius": 3.0}
FAR = {"source": "spheres", "coordinates": [[90, 0, 0]], "radius": 3.0}


def test_regions_are_columns_of_their_union_within_the_brain(tmp_path, grid):
    brain = np.ones(SHAPE, bool)
    brain[:, 0] = False
    files = ParticipantFiles("01", (make_run(tmp_path, space=SPACE, mask=brain),))
    other = {"source": "spheres", "coordinates": [[0, -4.5, 0]], "radius": 3.0}
    regions = found(files, grid, {"ball": BALL, "other": other})
    for name, spec in (("ball", BALL), ("other", other)):
        options = {key: spec[key] for key in ("coordinates", "radius")}
        expected = mask_of("spheres", files, grid, **options) & brain
        index = regions.voxels.index[regions.regions[name].columns]
        np.testing.assert_array_equal(index, np.flatnonzero(expected))
    assert len(regions.voxels.index) == 6
    assert regions.regions["ball"].description == "spheres of 3 mm around (0, -1.5, 0) mm"


def test_optional_regions_are_left_out_with_a_note(files, grid):
    cortex = {"source": "segmentation", "labels": ["postcentral"], "optional": True}
    regions = found(files, grid, {"ball": BALL, "far": FAR | {"optional": True}, "S1": cortex})
    assert list(regions.regions) == ["ball"]
    assert regions.notes[0].startswith("region far is left out: sub-01: spheres of 3 mm around")
    assert "no voxel in the brain" in regions.notes[0]
    assert "desc-aparcaseg_dseg" in regions.notes[1]


def test_regions_that_must_exist(files, grid):
    with pytest.raises(InputError, match=r"region far: .* no voxel in the brain"):
        found(files, grid, {"ball": BALL, "far": FAR})


def test_without_any_region_the_voxels_are_the_brain(files, grid):
    regions = found(files, grid, {"far": FAR | {"optional": True}})
    assert regions.regions == {}
    assert regions.notes[0].startswith("region far is left out")
    np.testing.assert_array_equal(regions.voxels.index, found(files, grid, {}).voxels.index)


def test_plugin_source(files, grid):
    class Corner(RegionSource):
        class Options(AnalysisOptions):
            size: int = 1

        def masks(self, files, grid, options, earlier):
            return np.indices(grid.shape).max(axis=0) < options.size

    spec = {"corner": {"source": "corner", "size": 2}}
    regions = found(files, grid, spec, sources={"corner": Corner()})
    assert len(regions.regions["corner"].columns) == 8
    assert regions.regions["corner"].description == "Corner (size 2)"
    with pytest.raises(RecipeError, match="region corner: no source corner; there are brain-mask"):
        found(files, grid, spec)


@pytest.mark.shared_data
def test_real_brain_mask_equals_nilearn():
    from nilearn.masking import intersect_masks

    files = haxby_files()
    paths = [str(run.mask) for run in files.runs]
    expected = intersect_masks(paths, threshold=1, connected=False)
    mask = mask_of("brain-mask", files, common_grid(files.runs))
    np.testing.assert_array_equal(mask, np.asarray(expected.dataobj) > 0)
    assert nib.load(paths[0]).shape == mask.shape
