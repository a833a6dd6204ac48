"""The networks: the published one by layer and name, layers in order, residual branches."""

from typing import get_args

import pytest
from network_volumes import randomized

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import bidsface_emotion_cnn  # noqa: E402
from bidsface_emotion_cnn.networks import (  # noqa: E402
    NETWORKS,
    EmotionCNN3D,
    SeededDropout,
    SkipEnd,
    SkipStart,
    apply_layers,
    depthwise_block,
)
from bidsface_emotion_cnn.training_options import TrainingOptions  # noqa: E402

LEAVES = (
    nn.Conv3d,
    nn.BatchNorm3d,
    nn.ReLU6,
    nn.ReLU,
    nn.AvgPool3d,
    nn.MaxPool3d,
    nn.AdaptiveAvgPool3d,
    nn.Flatten,
    nn.Dropout,
    nn.Linear,
    SkipStart,
    SkipEnd,
)
CHANNELS = {"ds1": (32, 64), "ds2": (64, 128), "ds3": (128, 256), "ds4": (256, 256)}


class PlainBlock(nn.Module):
    """The block as the publication describes it, of torch's own convolutions."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.expand = nn.Conv3d(n_in, 2 * n_in, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(2 * n_in)
        self.dwconv = nn.Conv3d(2 * n_in, 2 * n_in, 3, 2, 1, groups=2 * n_in, bias=False)
        self.bn2 = nn.BatchNorm3d(2 * n_in)
        self.project = nn.Conv3d(2 * n_in, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(n_out)

    def forward(self, x):
        x = functional.relu6(self.bn1(self.expand(x)))
        return self.bn3(self.project(functional.relu6(self.bn2(self.dwconv(x)))))


class PlainNetwork(nn.Module):
    def __init__(self, n_classes=5):
        super().__init__()
        self.conv1 = nn.Conv3d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(32)
        for name, channels in CHANNELS.items():
            setattr(self, name, PlainBlock(*channels))
        self.fc = nn.Linear(256, n_classes)

    def forward(self, x):
        x = functional.relu6(self.bn1(self.conv1(x)))
        for name in CHANNELS:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3, 4)))


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def volumes(n=2, shape=(9, 10, 7), seed=1):
    return torch.randn(n, 1, *shape, generator=torch.Generator().manual_seed(seed))


def test_published_parameters_by_layer():
    model = EmotionCNN3D()
    # Convolution and its normalization; blocks: expand, bn1, dwconv, bn2, project, bn3.
    expected = {"conv1": 27 * 32, "bn1": 2 * 32, "fc": 256 * 5 + 5}
    for name, (n_in, n_out) in CHANNELS.items():
        hidden = 2 * n_in
        expected[name] = (
            n_in * hidden + 2 * hidden + 27 * hidden + 2 * hidden + hidden * n_out + 2 * n_out
        )
    found = {name: n_parameters(module) for name, module in model.named_children()}
    assert {name: count for name, count in found.items() if count} == expected
    assert expected["ds4"] == 278_528
    assert n_parameters(model) == 424_549
    assert n_parameters(EmotionCNN3D(n_classes=3)) == 424_549 - 2 * 257
    assert bidsface_emotion_cnn.EmotionCNN3D is EmotionCNN3D


def test_published_checkpoints_load_and_give_the_same_numbers():
    plain, model = randomized(PlainNetwork()), EmotionCNN3D()
    assert list(plain.state_dict()) == list(model.state_dict())
    model.load_state_dict(plain.state_dict(), strict=True)
    model.eval()
    x = volumes()
    with torch.no_grad():
        torch.testing.assert_close(model(x), plain(x), rtol=1e-5, atol=1e-5)
        assert model(x).std() > 0.1


def test_training_steps_are_those_of_the_published_network():
    plain, model = randomized(PlainNetwork()), EmotionCNN3D(dropout=0.0)
    model.load_state_dict(plain.state_dict())
    x, codes = volumes(4), torch.tensor([0, 4, 2, 2])
    for network in (plain, model):
        network.train()
        functional.cross_entropy(network(x), codes).backward()
    largest = max(float(one.grad.abs().max()) for one in plain.parameters())
    for (name, one), (_, other) in zip(
        plain.named_parameters(), model.named_parameters(), strict=True
    ):
        # What a normalization takes off again, such as the bias of ds1.bn3, has no gradient.
        scale = max(float(one.grad.abs().max()), 1e-2 * largest)
        assert float((one.grad - other.grad).abs().max()) < 1e-4 * scale, name
    torch.testing.assert_close(plain.bn1.running_var, model.bn1.running_var)


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_in_order_are_the_network(name):
    model = randomized(NETWORKS[name](4))
    layers = model.layers()
    assert all(isinstance(layer, LEAVES) for _, layer in layers)
    assert len({layer_name for layer_name, _ in layers}) == len(layers)
    x = volumes(shape=(9, 10, 8))
    with torch.no_grad():
        values, kept = x, []
        for _, layer in layers:
            if isinstance(layer, SkipStart):
                kept.append(values)
            elif isinstance(layer, SkipEnd):
                values = values + kept.pop()
            else:
                values = layer(values)
        assert torch.equal(values, model(x))
    assert values.shape == (2, 4)
    assert not kept
    assert model.n_classes == 4
    # Every parameter belongs to a layer, under the layer's name.
    named = [f"{n}.{p}" for n, layer in layers for p, _ in layer.named_parameters()]
    assert sorted(named) == sorted(n for n, _ in model.named_parameters())


def test_names_of_layers_for_features():
    names = [name for name, _ in EmotionCNN3D().layers()]
    assert names[:3] == ["conv1", "bn1", "relu1"]
    assert names[3:11] == [
        f"ds1.{n}" for n in ("expand", "bn1", "relu1", "dwconv", "bn2", "relu2", "project", "bn3")
    ]
    assert names[-4:] == ["pool", "flatten", "dropout", "fc"]


def test_residual_branches_only_where_stride_and_channels_allow_it():
    def has_skip(block):
        return any(isinstance(layer, SkipStart) for _, layer in block.layers())

    assert has_skip(depthwise_block(4, 4, stride=1))
    assert not has_skip(depthwise_block(4, 4, stride=2))
    assert not has_skip(depthwise_block(4, 6, stride=1))
    assert not has_skip(EmotionCNN3D())
    block = randomized(depthwise_block(4, 4, stride=1))
    x = torch.randn(2, 4, 5, 4, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        branch = apply_layers(block.layers()[1:-1], x)
        assert torch.equal(block(x), x + branch)
        assert branch.abs().max() > 0.1


def test_branches_may_be_nested():
    double = nn.Identity()
    layers = [SkipStart(), double, SkipStart(), double, SkipEnd(), SkipEnd()]
    x = torch.arange(3.0)
    # Inner branch: 2 x; outer: 2 x + x.
    assert torch.equal(apply_layers([("", layer) for layer in layers], x), 3 * x)


def test_names_of_networks_are_those_of_the_options():
    annotation = TrainingOptions.model_fields["network"].annotation
    assert get_args(annotation) == tuple(NETWORKS)


def test_seeded_dropout_draws_from_its_own_generator():
    layer, x = SeededDropout(0.3).train(), torch.ones(20_000)
    layer.generator = torch.Generator().manual_seed(4)
    state = torch.get_rng_state()
    first = layer(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert abs(float((first == 0).float().mean()) - 0.3) < 0.015
    torch.testing.assert_close(first[first != 0], torch.full_like(first[first != 0], 1 / 0.7))
    assert not torch.equal(first, layer(x))
    layer.generator.manual_seed(4)
    assert torch.equal(first, layer(x))
    assert torch.equal(layer.eval()(x), x)
    # Without one it is torch's own.
    layer.generator = None
    torch.manual_seed(5)
    drawn = layer.train()(x)
    torch.manual_seed(5)
    assert torch.equal(drawn, nn.Dropout(0.3).train()(x))
