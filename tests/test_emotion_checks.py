"""What emotion-cnn refuses before it computes anything, and which files make it compute again."""

import sys
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from bidsface.analysis import Grid
from bidsface.errors import InputError, RecipeError
from bidsface_emotion_cnn.analysis import EmotionCnn
from bidsface_emotion_cnn.options import EmotionOptions, OcclusionOptions


@pytest.fixture
def extra(monkeypatch):
    """Have the modules of the extra, whether they are installed or not."""
    from bidsface_emotion_cnn import analysis as module

    monkeypatch.setattr(module, "find_spec", lambda name: SimpleNamespace())


def check(**given):
    EmotionCnn("emotions", 1).check(EmotionOptions(**given), (), ())


@pytest.mark.parametrize("key", ["box", "stride"])
@pytest.mark.parametrize("value", [0, -2, (2, 0, 2), (2, 2)])
def test_boxes_and_strides_are_at_least_one_voxel(key, value):
    with pytest.raises(ValidationError, match=key):
        OcclusionOptions(**{key: value})
    assert getattr(OcclusionOptions(**{key: (1, 2, 3)}), key) == (1, 2, 3)


def test_layers_that_the_network_lacks_are_refused():
    pytest.importorskip("torch")
    pytest.importorskip("umap")
    pytest.importorskip("safetensors")
    check(layers=["pool", "fc", "ds1.bn3"])
    with pytest.raises(RecipeError, match=r"layers: emotion-cnn has no layer pool2; it has conv1"):
        check(layers=["pool", "pool2"])
    small = {"network": "emotion-cnn-small"}
    with pytest.raises(RecipeError, match=r"emotion-cnn-small has no layer ds4\.bn3"):
        check(layers=["ds4.bn3"], training=small)
    check(layers=["ds3.bn3"], training=small)


def test_every_network_has_the_default_layers():
    pytest.importorskip("torch")
    from bidsface_emotion_cnn.networks import NETWORKS, layer_names

    for name in NETWORKS:
        assert set(EmotionOptions().layers) <= set(layer_names(name))


def test_default_layers_need_no_torch(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "bidsface_emotion_cnn.networks", None)
    check()
    with pytest.raises(ImportError):
        check(layers=["fc"])


def atlas_at(folder):
    image = folder / "atlas.nii.gz"
    nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)).to_filename(image)
    (folder / "atlas.tsv").write_text("index\tname\n3\tplanted\n")
    return image


def test_files_of_the_atlas_are_looked_at(extra, tmp_path):
    image = atlas_at(tmp_path)
    check(atlas=str(image))
    with pytest.raises(RecipeError, match=r"atlas: .*none\.nii\.gz: no such file"):
        check(atlas=str(tmp_path / "none.nii.gz"))
    with pytest.raises(RecipeError, match=r"none\.tsv: cannot be read as a lookup table"):
        check(atlas=str(image), atlas_labels=str(tmp_path / "none.tsv"))
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    with pytest.raises(RecipeError, match=r"broken\.nii\.gz: cannot be read as an image"):
        check(atlas=str(tmp_path / "broken.nii.gz"), atlas_labels=str(tmp_path / "atlas.tsv"))
    series = nib.Nifti1Image(np.zeros((2, 2, 2, 5), np.int16), np.eye(4))
    series.to_filename(tmp_path / "series.nii.gz")
    with pytest.raises(RecipeError, match=r"wanted one volume of labels .*\(2, 2, 2, 5\)"):
        check(atlas=str(tmp_path / "series.nii.gz"), atlas_labels=str(tmp_path / "atlas.tsv"))
    with pytest.raises(RecipeError, match="atlas_labels: of no use without atlas"):
        check(atlas_labels=str(tmp_path / "atlas.tsv"))


def test_another_atlas_makes_everything_run_again(tmp_path):
    image = atlas_at(tmp_path)
    analysis = EmotionCnn("emotions", 1)
    assert list(analysis.files_used(EmotionOptions())) == []
    found = analysis.files_used(EmotionOptions(atlas=str(image)))
    assert list(found) == [image, tmp_path / "atlas.tsv"]
    found = analysis.files_used(EmotionOptions(atlas=str(image), atlas_labels="names.tsv"))
    assert [path.name for path in found] == ["atlas.nii.gz", "names.tsv"]
    assert all(path.is_absolute() for path in found)


def test_boxes_that_do_not_fit_are_refused_before_training(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    from bidsface_emotion_cnn import group as module

    shape = (4, 5, 6)
    kind = type("Volumes", (SimpleNamespace,), {"__len__": lambda self: 3})
    volumes = kind(shape=shape, classes=("A", "B"), participant_labels=("01",), run_labels=("1",))
    cohort = SimpleNamespace(volumes=volumes, grid=Grid(shape, np.eye(4)))
    monkeypatch.setattr(module, "gather", lambda *args: cohort)
    monkeypatch.setattr(module, "labelled_participants", lambda participants: participants)
    monkeypatch.setattr(module, "volume_table", lambda participants: None)
    monkeypatch.setattr(module, "plan_folds", lambda *args: None)

    def trained(*args):
        raise AssertionError("networks were trained")

    monkeypatch.setattr(module, "cross_validate", trained)
    tools = SimpleNamespace(tell=lambda line: None, seed=None)
    with pytest.raises(InputError, match=r"a box of 5 x 5 x 5 voxels does not fit into"):
        module.analyse_group([], EmotionOptions(occlusion={"box": 5}), tools, tmp_path)
    with pytest.raises(AssertionError):
        module.analyse_group([], EmotionOptions(occlusion=None), tools, tmp_path)
