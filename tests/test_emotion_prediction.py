"""Probabilities and features of volumes, and the figure of how training went."""

from dataclasses import replace

import numpy as np
import pytest
from network_volumes import randomized, wave_volumes

torch = pytest.importorskip("torch")

from bidsface.errors import InputError  # noqa: E402
from bidsface_emotion_cnn.history import EpochRecord  # noqa: E402
from bidsface_emotion_cnn.learning_curves import learning_curves  # noqa: E402
from bidsface_emotion_cnn.networks import NETWORKS, EmotionCNN3D  # noqa: E402
from bidsface_emotion_cnn.prediction import pooled_features, predict_probabilities  # noqa: E402
from bidsface_emotion_cnn.torch_devices import torch_device  # noqa: E402
from bidsface_emotion_cnn.volume_set import cached_volumes  # noqa: E402

INDEX = np.array([7, 0, 3, 3, 8])


@pytest.fixture(scope="module")
def volumes():
    return wave_volumes(n_per_class=3, shape=(6, 7, 5))


@pytest.fixture(scope="module")
def model():
    return randomized(EmotionCNN3D(3))


def as_tensor(volumes, index):
    return torch.from_numpy(volumes.data[index])[:, None]


def test_probabilities_are_the_softmax_of_the_network(model, volumes):
    found = predict_probabilities(model, volumes, INDEX, batch_size=2, device="cpu")
    with torch.no_grad():
        wanted = torch.softmax(model(as_tensor(volumes, INDEX)).double(), 1).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert np.ptp(found, axis=0).min() > 0.01
    # The same volume has the same answer; the order is that of the index.
    np.testing.assert_allclose(found[2], found[3], atol=1e-7)
    alone = predict_probabilities(model, volumes, INDEX[:1], device="cpu")
    np.testing.assert_allclose(found[:1], alone, atol=1e-6)


def test_network_is_left_as_it_was(volumes):
    model = NETWORKS["emotion-cnn-small"](3).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    first = predict_probabilities(model, volumes, INDEX, device="cpu")
    second = predict_probabilities(model, volumes, INDEX, device="cpu")
    np.testing.assert_array_equal(first, second)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_pooled_features_are_what_the_last_layer_sees(model, volumes):
    pooled = pooled_features(model, volumes, INDEX, batch_size=3, device="cpu")
    assert pooled.shape == (5, 256)
    caught = []
    handle = model.fc.register_forward_hook(lambda _, inputs, __: caught.append(inputs[0]))
    with torch.no_grad():
        model(as_tensor(volumes, INDEX))
    handle.remove()
    np.testing.assert_allclose(pooled, caught[0].numpy(), rtol=1e-5, atol=1e-6)


def test_features_of_any_layer(model, volumes):
    features = pooled_features(model, volumes, INDEX, layer="ds1.dwconv", device="cpu")
    assert features.shape == (5, 64 * 3 * 4 * 3)
    caught = []
    handle = model.ds1.dwconv.register_forward_hook(lambda _, __, found: caught.append(found))
    with torch.no_grad():
        model(as_tensor(volumes, INDEX))
    handle.remove()
    np.testing.assert_allclose(features, caught[0].flatten(1).numpy(), rtol=1e-5, atol=1e-6)
    scores = pooled_features(model, volumes, INDEX, layer="fc", device="cpu")
    probabilities = predict_probabilities(model, volumes, INDEX, device="cpu")
    powers = np.exp(scores - scores.max(1, keepdims=True))
    np.testing.assert_allclose(powers / powers.sum(1, keepdims=True), probabilities, atol=1e-6)
    with pytest.raises(ValueError, match=r"layer must be one of conv1, .* found 'ds9'"):
        pooled_features(model, volumes, INDEX, layer="ds9", device="cpu")


def test_no_volumes(model, volumes):
    none = np.zeros(0, int)
    assert predict_probabilities(model, volumes, none, device="cpu").shape == (0, 3)
    assert pooled_features(model, volumes, none, device="cpu").shape == (0, 256)


def test_volumes_on_disk_give_the_same(model, volumes, tmp_path):
    mapped = cached_volumes(tmp_path / "v.npy", volumes.data.shape, [volumes.data])
    on_disk = replace(volumes, data=mapped)
    np.testing.assert_array_equal(
        predict_probabilities(model, on_disk, INDEX, device="cpu"),
        predict_probabilities(model, volumes, INDEX, device="cpu"),
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_gpu_gives_the_same(model, volumes):
    for function in (predict_probabilities, pooled_features):
        on_gpu = function(model, volumes, INDEX, device="cuda")
        np.testing.assert_allclose(
            on_gpu, function(model, volumes, INDEX, device="cpu"), rtol=1e-4, atol=1e-5
        )
    assert next(model.parameters()).device.type == "cpu"


def test_device_names():
    assert torch_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="device must be auto, cpu or cuda"):
        torch_device("tpu")


def histories():
    rng = np.random.default_rng(0)
    found = {}
    for fold, n_epochs in (("run 1", 9), ("run 2", 7), ("run 3", 12)):
        epochs = np.arange(1, n_epochs + 1)
        loss = 1.6 * np.exp(-epochs / 6) + 0.02 * rng.standard_normal(n_epochs)
        found[fold] = [
            EpochRecord(int(e), 1e-3, x, 1 - x / 2, 0.5 + x, 0.75 - x / 3)
            for e, x in zip(epochs, loss, strict=True)
        ]
    return found


def test_learning_curves_show_every_fold_and_the_mean():
    shown = histories()
    best = {fold: len(history) - 2 for fold, history in shown.items()}
    figure = learning_curves(shown, best, chance=0.2)
    loss, accuracy = figure.axes
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Loss", "Accuracy"]
    curves = {line.get_label(): line for line in loss.lines if line.get_linewidth() == 2}
    assert list(curves) == ["training", "validation"]
    wanted = np.mean([[r.validation_loss for r in h[:7]] for h in shown.values()], axis=0)
    np.testing.assert_allclose(curves["validation"].get_ydata(), wanted)
    thin = [line for line in loss.lines if line.get_linewidth() == 0.8]
    assert sorted(len(line.get_xdata()) for line in thin) == [7, 7, 9, 9, 12, 12]
    dots = [line for line in accuracy.lines if line.get_marker() == "o"]
    assert [int(np.ravel(dot.get_xdata())[0]) for dot in dots] == list(best.values())
    levels = [line for line in accuracy.lines if list(line.get_ydata()) == [0.2, 0.2]]
    assert len(levels) == 1


def test_learning_curves_without_validation_part():
    nan = float("nan")
    figure = learning_curves({"all": [EpochRecord(1, 1e-3, 1.2, 0.4, nan, nan)]}, {"all": 1})
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["training"]
    with pytest.raises(ValueError, match="need folds"):
        learning_curves({"all": []}, {})
