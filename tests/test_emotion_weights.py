"""Weights as arrays, and files of weights: what is read, and what is refused."""

import json
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from bidsface.errors import InputError  # noqa: E402
from bidsface_emotion_cnn.networks import NETWORKS, EmotionCNN3D  # noqa: E402
from bidsface_emotion_cnn.trainer import initial_network  # noqa: E402
from bidsface_emotion_cnn.weights import (  # noqa: E402
    load_network,
    network_arrays,
    network_from_arrays,
    network_info,
)

NAME = "emotion-cnn-small"


@pytest.fixture(scope="module")
def model():
    found = initial_network(NAME, 4, 0.3, seed=1)
    found.bn1.running_mean += 0.5
    found.bn1.num_batches_tracked += 3
    return found.eval()


def scores(network):
    x = torch.randn(2, 1, 5, 6, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network(x)


def assert_same(found, model):
    assert found.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(v, found.state_dict()[k]) for k, v in model.state_dict().items())
    assert torch.equal(scores(found), scores(model))
    assert not found.training
    assert all(parameter.requires_grad for parameter in found.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_arrays_there_and_back(name):
    model = initial_network(name, 3, 0.3, seed=2).eval()
    arrays = network_arrays(model)
    found = network_from_arrays(arrays, name)
    assert found.n_classes == 3
    assert type(found) is type(model)
    assert all(np.array_equal(v, network_arrays(found)[k]) for k, v in arrays.items())
    # Copies: a network that is trained on does not change them.
    with torch.no_grad():
        found.fc.bias.add_(1)
        model.fc.bias.add_(1)
    assert not np.array_equal(arrays["fc.bias"], network_arrays(model)["fc.bias"])
    assert not np.array_equal(arrays["fc.bias"], network_arrays(found)["fc.bias"])


def test_arrays_draw_no_random_numbers(model):
    state = torch.get_rng_state()
    network_from_arrays(network_arrays(model), NAME)
    assert torch.equal(torch.get_rng_state(), state)


def test_information_is_json():
    info = network_info(NAME, ("fear", "love"), (5, 6, 5))
    assert json.loads(json.dumps(info)) == {
        "network": NAME,
        "classes": ["fear", "love"],
        "shape": [5, 6, 5],
    }


@pytest.mark.parametrize("ending", ["safetensors", "npz", "pt", "pth"])
def test_files_of_weights(tmp_path, model, ending):
    path = tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        save_file(model.state_dict(), path)
    elif ending == "npz":
        np.savez_compressed(path, **network_arrays(model))
    else:
        torch.save(model.state_dict(), path)
    assert_same(load_network(path, NAME), model)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_checkpoints_of_training_scripts(tmp_path, model, key):
    path = tmp_path / "checkpoint.pt"
    parallel = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({key: parallel, "epoch": 3, "optimizer": {"state": {}}}, path)
    assert_same(load_network(path, NAME), model)


def test_published_checkpoint_is_the_default_network(tmp_path):
    model = EmotionCNN3D()
    torch.save(model.state_dict(), tmp_path / "bestmodel.pth")
    found = load_network(tmp_path / "bestmodel.pth")
    assert isinstance(found, EmotionCNN3D)
    assert torch.equal(found.fc.weight, model.fc.weight)


def test_half_precision_is_widened(tmp_path, model):
    half = {k: v.bfloat16() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_file(half, tmp_path / "half.safetensors")
    found = load_network(tmp_path / "half.safetensors", NAME)
    assert found.fc.weight.dtype == torch.float32
    torch.testing.assert_close(found.fc.weight, model.fc.weight, rtol=1e-2, atol=1e-2)


class Malicious:
    """Creates a file when it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def refused(path, text, network=NAME):
    with pytest.raises(InputError, match=text) as caught:
        load_network(path, network)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_files_that_run_code_are_refused(tmp_path, model):
    for name in ("whole.pt", "pickled.pth"):
        path, created = tmp_path / name, tmp_path / "created"
        if name == "whole.pt":
            torch.save(model, path)
        else:
            path.write_bytes(pickle.dumps(Malicious(created)))
        assert "safetensors.torch.save_file" in refused(path, "are not opened; convert it")
        assert not created.exists()
    objects = tmp_path / "objects.npz"
    np.savez(objects, weights=np.array([Malicious(tmp_path / "created")], object))
    refused(objects, "not a readable .npz")
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize("ending", ["safetensors", "npz", "pt"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 torn"])
def test_damaged_files_are_refused(tmp_path, ending, content):
    path = tmp_path / f"damaged.{ending}"
    path.write_bytes(content)
    refused(path, "damaged|not a readable")


def test_other_files_are_refused(tmp_path, model):
    refused(tmp_path / "weights.h5", r"read from .safetensors, .npz, .pt, .pth, found .h5 ending")
    refused(tmp_path / "weights", "found no ending")
    refused(tmp_path / "missing.pt", "no such file")
    torch.save([1, 2], tmp_path / "list.pt")
    refused(tmp_path / "list.pt", "must hold a state dictionary")
    torch.save({"fc.weight": 3}, tmp_path / "numbers.pt")
    refused(tmp_path / "numbers.pt", "must hold a state dictionary")
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    refused(path, "not weights of network emotion-cnn: they lack ds4.expand.weight", "emotion-cnn")
    with pytest.raises(InputError, match=r"network must be one of emotion-cnn, .* found 'resnet'"):
        load_network(path, "resnet")


def test_weights_that_do_not_fit_are_refused(model):
    arrays = network_arrays(model)
    what = "the weights: not weights of network emotion-cnn-small: "
    for change, text in (
        ({"more": np.zeros(1)}, "they have besides more$"),
        ({"bn1.weight": np.zeros(3)}, r"bn1.weight must be numbers of shape \(12,\), found float"),
        ({"bn1.weight": np.array(["a"] * 12)}, "bn1.weight must be numbers"),
        ({"bn1.bias": np.full(12, np.nan)}, "bn1.bias holds values that are not finite"),
        ({"fc.weight": np.zeros(())}, "fc.weight must be numbers of shape"),
    ):
        with pytest.raises(InputError, match=what + text):
            network_from_arrays({**arrays, **change}, NAME)
    few = {name: array for name, array in arrays.items() if not name.startswith("ds1")}
    with pytest.raises(InputError, match=r"they lack ds1.expand.weight, .* and \d+ more"):
        network_from_arrays(few, NAME)
    with pytest.raises(InputError, match=r"they lack conv1\.weight"):
        network_from_arrays({}, NAME)
