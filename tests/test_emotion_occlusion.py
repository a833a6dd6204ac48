"""Occlusion by recomputing what changes, against full forward passes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from bidsface.errors import InputError  # noqa: E402
from bidsface_emotion_cnn import occlusion, occlusion_planning, occlusion_steps  # noqa: E402
from bidsface_emotion_cnn.occlusion import (  # noqa: E402
    brute_force_occlusion,
    occlude_masks,
    occlusion_map,
)
from bidsface_emotion_cnn.occlusion_grid import (  # noqa: E402
    position_counts,
    position_starts,
    triple,
)
from bidsface_emotion_cnn.occlusion_layers import (  # noqa: E402
    GlobalAverage,
    Pointwise,
    SkipEnd,
)
from bidsface_emotion_cnn.occlusion_network import Network  # noqa: E402
from bidsface_emotion_cnn.occlusion_reading import read_layers  # noqa: E402

# Networks


class SkipStart(nn.Module):
    """Where a residual branch leaves."""


class SkipEnd_(nn.Module):  # noqa: N801
    """Where it is added."""


SkipEnd_.__name__ = "SkipEnd"


class Chain(nn.Module):
    """A network that is its layers, one after another."""

    def __init__(self, *modules):
        super().__init__()
        self.modules_ = nn.ModuleList(modules)

    def layers(self):
        return [(f"layer{k}", module) for k, module in enumerate(self.modules_)]

    def forward(self, x):
        left = []
        for module in self.modules_:
            if isinstance(module, SkipStart):
                left.append(x)
            elif isinstance(module, SkipEnd_):
                x = x + left.pop()
            else:
                x = module(x)
        return x


def block(n_in, n_out):
    """Return a block of the published network."""
    wide = 2 * n_in
    return [
        nn.Conv3d(n_in, wide, 1, bias=False),
        nn.BatchNorm3d(wide),
        nn.ReLU6(),
        nn.Conv3d(wide, wide, 3, stride=2, padding=1, groups=wide, bias=False),
        nn.BatchNorm3d(wide),
        nn.ReLU6(),
        nn.Conv3d(wide, n_out, 1, bias=False),
        nn.BatchNorm3d(n_out),
    ]


def published(widths=(32, 64, 128, 256, 256), n_classes=5):
    """Return the published architecture."""
    blocks = [layer for pair in pairwise(widths) for layer in block(*pair)]
    return Chain(
        nn.Conv3d(1, widths[0], 3, padding=1, bias=False),
        nn.BatchNorm3d(widths[0]),
        nn.ReLU6(),
        *blocks,
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(widths[-1], n_classes),
    )


def dense():
    return Chain(
        nn.Conv3d(1, 3, 5, padding=2),
        nn.ReLU(),
        nn.Conv3d(3, 6, 5, stride=2, padding=1, bias=False),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        nn.Conv3d(6, 5, 3, padding=1),
        nn.GELU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
        nn.ELU(),
        nn.Linear(4, 3),
    )


def odd():
    """Return kernels of even size, with holes, in groups, with strides that leave gaps."""
    return Chain(
        nn.BatchNorm3d(1),
        nn.Conv3d(1, 4, (3, 5, 1), dilation=(2, 1, 1), padding="same"),
        nn.SiLU(),
        nn.Conv3d(4, 8, 3, groups=2, padding=1),
        nn.Conv3d(8, 16, 2, groups=8, stride=(1, 3, 2), padding=1),
        nn.LeakyReLU(),
        nn.Conv3d(16, 6, 1, stride=2),
        nn.BatchNorm3d(6),
        nn.Conv3d(6, 6, (2, 1, 2), padding=(1, 0, 1), groups=6),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )


def maximum():
    return Chain(
        nn.Conv3d(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(4, 5, 3, padding=1),
        nn.BatchNorm3d(5),
        nn.MaxPool3d(3, stride=2, padding=1, ceil_mode=True),
        nn.ReLU6(),
        nn.MaxPool3d(2, stride=1, dilation=1),
        nn.Flatten(),
        nn.LazyLinear(6),
        nn.ELU(),
        nn.Linear(6, 3),
    )


def average():
    return Chain(
        nn.AvgPool3d((1, 2, 1), ceil_mode=True),
        nn.Conv3d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm3d(4),
        nn.ReLU6(),
        nn.AvgPool3d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        nn.Conv3d(4, 6, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool3d(2, stride=1),
        nn.Hardtanh(-0.5, 0.7),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.LazyLinear(3),
    )


def residual():
    def inside(n, activation):
        return [
            nn.Conv3d(n, n, 3, padding=1, bias=False),
            nn.BatchNorm3d(n),
            activation,
            nn.Conv3d(n, n, 3, padding=1, bias=False),
            nn.BatchNorm3d(n),
        ]

    return Chain(
        nn.Conv3d(1, 6, 3, stride=2, padding=1),
        nn.BatchNorm3d(6),
        nn.ReLU(),
        SkipStart(),  # as in a ResNet: a sum, then an activation
        *inside(6, nn.ReLU()),
        SkipEnd_(),
        nn.ReLU(),
        SkipStart(),  # one branch in another, the activation first
        nn.BatchNorm3d(6),
        nn.ReLU(),
        SkipStart(),
        nn.Conv3d(6, 12, 1),
        nn.ReLU6(),
        nn.Conv3d(12, 12, 3, padding=1, groups=12),
        nn.ReLU6(),
        nn.Conv3d(12, 6, 1),
        SkipEnd_(),
        nn.Conv3d(6, 6, (1, 3, 3), padding=(0, 1, 1)),
        SkipEnd_(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


NETWORKS = {
    "published": lambda: published((4, 6, 8, 8, 6)),
    "dense": dense,
    "odd": odd,
    "maximum": maximum,
    "average": average,
    "residual": residual,
}
SHAPE = (9, 11, 8)


def lively(make, shape=SHAPE, seed=0):
    """Return a network in double precision whose layers and classes react to boxes.

    Batch norms get the statistics of random volumes and random scales, and the last layer is scaled
    until boxes move the classes, which are equally likely without a box, by about 1 logit.
    """
    torch.manual_seed(seed)
    model = make().double()
    with torch.no_grad():
        volumes = torch.randn(4, 1, *shape, dtype=torch.float64)
        model(volumes)  # makes lazy layers
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.momentum = None
                module.reset_running_stats()
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0.3, 0.5)
        model.train()
        model(volumes)
        model.eval()
        boxes = volumes[:1].repeat(4, 1, 1, 1, 1)
        for k in range(1, 4):
            boxes[k, 0, k : k + 3, 2 * k : 2 * k + 3, k : k + 3] = 0
        logits = model(boxes)
        last = model.modules_[-1]
        scale = 1 / (logits[1:] - logits[0]).abs().max()
        last.weight *= scale
        last.bias *= scale
        last.bias -= logits[0] * scale
    return model


@pytest.fixture(scope="module")
def networks():
    return {name: lively(make) for name, make in NETWORKS.items()}


@pytest.fixture(scope="module")
def volume():
    return np.random.default_rng(1).standard_normal(SHAPE)


def reference(model, volume, box, stride, pad=False, **options):
    """Return the map by full forward passes."""
    box, stride = triple(box, "box"), triple(stride, "stride")
    counts = position_counts(volume.shape, box, stride, pad)
    starts = position_starts(counts, stride)
    found = brute_force_occlusion(model, volume, starts, box, batch=50, **options)
    return found.T.reshape(-1, *counts)


def assert_equal(found, expected, tolerance, least=1e-3):
    """Compare maps in units of the largest change, which must be one."""
    assert found.shape == expected.shape
    largest = np.abs(expected).max()
    assert largest > least
    assert np.abs(found - expected).max() < tolerance * largest


# Against full forward passes

CASES = [
    (2, 2, False, 0.0),
    (2, 2, True, 1.5),
    (1, 3, False, -1.0),
    (3, 2, True, 0.0),
    ((1, 2, 3), (3, 1, 2), False, 0.5),
    (3, (2, 3, 1), True, 0.0),
]


@pytest.mark.parametrize(("box", "stride", "pad", "value"), CASES)
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_full_forward_passes(networks, volume, name, box, stride, pad, value):
    model = networks[name]
    found = occlusion_map(model, volume, box, stride, value=value, pad=pad)
    expected = reference(model, volume, box, stride, pad, value=value)
    assert_equal(found, expected, 1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_position_in_single_precision(networks, volume, name):
    model = networks[name]
    found = occlusion_map(model, volume, 2, 1, dtype="float32")
    assert_equal(found, reference(model, volume, 2, 1), 1e-4)


def test_the_published_network_over_an_odd_volume():
    shape = (13, 11, 9)
    model = lively(published, shape, seed=2)
    volume = np.random.default_rng(2).standard_normal(shape)
    expected = reference(model, volume, 2, 2, pad=True)
    assert_equal(occlusion_map(model, volume, pad=True), expected, 1e-10)
    assert_equal(occlusion_map(model, volume, pad=True, dtype=torch.float32), expected, 1e-4)


def test_a_volume_wider_than_the_windows():
    # interior, edges and corners: all eight signatures per axis with several members each
    shape = (36, 19, 18)
    model = lively(NETWORKS["published"], shape)
    volume = np.random.default_rng(3).standard_normal(shape)
    found = occlusion_map(model, volume)
    counts = found.shape[1:]
    starts = position_starts(counts, (2, 2, 2))
    corners = (np.isin(starts, [0, 16, 34]).sum(axis=1) >= 2).nonzero()[0]
    some = np.random.default_rng(4).choice(len(starts), 60, replace=False)
    chosen = np.concatenate([corners[:: max(len(corners) // 40, 1)], some])
    expected = brute_force_occlusion(model, volume, starts[chosen], batch=20)
    assert_equal(found.reshape(len(found), -1).T[chosen], expected, 1e-10, 1e-4)


def test_products_per_channel_are_the_same_as_shifts(networks, volume, monkeypatch):
    # what a GPU uses, on the CPU
    used = []

    class Counted(occlusion_steps.DepthwiseProduct):
        def add(self, x, out, space):
            used.append(self)
            super().add(x, out, space)

    monkeypatch.setattr(occlusion_steps, "Depthwise", Counted)
    for name, most in (("published", 2**24), ("odd", 2**24), ("residual", 0)):
        monkeypatch.setattr(occlusion_steps.DepthwiseProduct, "MOST", most)
        found = occlusion_map(networks[name], volume)
        assert_equal(found, reference(networks[name], volume, 2, 2), 1e-10)
    assert used


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NETWORKS)
def test_on_a_gpu(networks, volume, name):
    found = occlusion_map(networks[name], volume, device="cuda")
    assert_equal(found, reference(networks[name], volume, 2, 2), 1e-10)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_padding_that_differs_before_and_behind():
    # "same" padding of kernels of even size
    def network():
        return Chain(
            nn.Conv3d(1, 6, (2, 4, 3), padding="same"),
            nn.ReLU(),
            nn.Conv3d(6, 6, 2, padding="same", groups=6),
            nn.ReLU(),
            nn.Conv3d(6, 6, 2, padding="valid"),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(6, 3),
        )

    model, volume = lively(network), np.random.default_rng(5).standard_normal(SHAPE)
    assert_equal(occlusion_map(model, volume), reference(model, volume, 2, 2), 1e-10)


# What must not matter


@pytest.mark.parametrize("sharing", [(2,), (3,), (4,)])
@pytest.mark.parametrize("name", NETWORKS)
def test_boxes_that_share_windows(networks, volume, name, sharing, monkeypatch):
    planned = []

    def spy(*args):
        planned.append(occlusion_planning.cheapest(*args)[1])
        return occlusion_planning.cheapest(*args)

    monkeypatch.setattr(occlusion, "cheapest", spy)
    for box, stride, pad, value in ((2, 1, True, 0.5), ((1, 2, 3), (3, 1, 2), False, 0.0)):
        monkeypatch.setattr(occlusion_planning, "SHARING", (1,))
        expected = occlusion_map(networks[name], volume, box, stride, pad=pad, value=value)
        monkeypatch.setattr(occlusion_planning, "SHARING", sharing)
        found = occlusion_map(networks[name], volume, box, stride, pad=pad, value=value)
        assert_equal(found, expected, 1e-10)
    assert [None if one is None else one.along[1] for one in planned] == [None, *sharing] * 2


def test_boxes_share_windows_where_that_costs_less():
    shape = (16, 20, 17)
    layers = read_layers(published((8, 8, 16, 32, 32)).eval())
    small = Network(layers, torch.zeros(shape))
    assert occlusion_planning.cheapest(small, (2, 2, 2), (1, 1, 1), shape)[1] is not None
    assert occlusion_planning.cheapest(small, (2, 2, 2), (1, 1, 1), shape, most=7)[1] is None
    # Many positions have windows of the same shape, and wide layers leave little to calls.
    wide = Network(read_layers(published().eval()), torch.zeros(36, 36, 36))
    assert occlusion_planning.cheapest(wide, (2, 2, 2), (2, 2, 2), (80, 80, 80))[1] is None


def test_batches_and_threads_do_not_matter(networks, volume):
    model = networks["published"]
    expected = occlusion_map(model, volume, 2, 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        found = occlusion_map(model, volume, 2, 1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found, expected)
    for batch in (1, 7):
        found = occlusion_map(model, volume, 2, 1, batch=batch)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_the_network_and_the_volume_stay_as_they_were(volume):
    model = lively(NETWORKS["published"]).float().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copy = volume.copy()
    first = occlusion_map(model, volume, dtype="float64")
    slow = reference(model, volume, 2, 2, dtype="float64")
    assert_equal(first, slow, 1e-10)
    occlude_masks(model, volume, np.ones((1, *SHAPE), dtype=bool))
    assert all(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.dtype == before[name].dtype
    np.testing.assert_array_equal(volume, copy)


# Known answers


def test_a_linear_network_by_hand(volume):
    model = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(1, 2)).double().eval()
    with torch.no_grad():
        model[2].weight[:] = torch.tensor([[40.0], [-25.0]])
        model[2].bias[:] = torch.tensor([0.1, 0.2])
    found = occlusion_map(model, volume, (3, 2, 4), (3, 2, 4), value=2.0)
    rows = volume[:9, :10, :8].reshape(3, 3, 5, 2, 2, 4)
    mean = volume.mean() + (2.0 * 24 - rows.sum(axis=(1, 3, 5))) / volume.size

    def probability(mean):
        return 1 / (1 + np.exp(-65 * mean + 0.1))

    change = probability(mean) - probability(volume.mean())
    np.testing.assert_allclose(found, [change, -change], atol=1e-12)


def test_a_planted_place_is_found(volume):
    # a network that looks at one voxel
    model = Chain(nn.Flatten(), nn.Linear(volume.size, 3)).double()
    place = np.ravel_multi_index((5, 3, 6), SHAPE)
    with torch.no_grad():
        model.modules_[-1].weight[:] = 0
        model.modules_[-1].weight[1, place] = 4 / volume[5, 3, 6]
    found = occlusion_map(model, volume)
    assert np.argwhere(found[1]).tolist() == [[2, 1, 3]]
    assert found[1, 2, 1, 3] < -0.2


@pytest.mark.parametrize("name", NETWORKS)
def test_filling_with_what_is_there_changes_nothing(networks, name):
    volume = np.full(SHAPE, 0.7)
    found = occlusion_map(networks[name], volume, 2, 1, value=0.7)
    np.testing.assert_allclose(found, 0, atol=1e-14)


# Masks


def test_masks_small_large_and_empty(networks, volume, monkeypatch):
    rng = np.random.default_rng(6)
    masks = np.zeros((5, *SHAPE), dtype=bool)
    masks[0, 2:5, 1:4, 3:6] = rng.random((3, 3, 3)) < 0.5
    masks[1, 7:, 9:, 6:] = True  # a corner
    masks[2] = rng.random(SHAPE) < 0.3
    masks[4, 3, :6, 5] = True
    for name in ("published", "maximum", "residual"):
        model = networks[name]
        with torch.inference_mode():
            inputs = np.stack([volume, *(np.where(mask, -0.4, volume) for mask in masks)])
            logits = model(torch.from_numpy(inputs)[:, None])
        probabilities = torch.softmax(logits, dim=1).numpy()
        expected = probabilities[1:] - probabilities[0]
        for share in (0.0, 1 / 8, 1.0):  # forward passes only, mixed, windows only
            monkeypatch.setattr(occlusion, "SMALL", share)
            found = occlude_masks(model, volume, masks, value=-0.4, batch=2)
            assert_equal(found, expected, 1e-10)
            np.testing.assert_array_equal(found[3], 0)


def test_masks_of_other_volumes_are_refused(networks, volume):
    with pytest.raises(InputError, match=r"masks: wanted .*9, 11, 8.*found \(2, 9, 11\)"):
        occlude_masks(networks["dense"], volume, np.zeros((2, 9, 11)))


# Reading networks


def test_layers_of_the_published_network_are_fused():
    layers = read_layers(published())
    products = [layer.weight.shape for layer in layers if isinstance(layer, Pointwise)]
    assert products == [(64, 32), (128, 64), (256, 128), (512, 256), (5, 512)]
    # the mean over the grid comes before the last product
    assert isinstance(layers[-2], GlobalAverage)
    assert isinstance(layers[-1], Pointwise)
    assert len(layers) == 2 + 4 * 4 + 2


def test_a_bottleneck_is_not_fused():
    narrow = Chain(
        nn.Conv3d(1, 64, 3),
        nn.Conv3d(64, 2, 1),
        nn.Conv3d(2, 64, 1),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(64, 3),
    )
    shapes = [layer.weight.shape for layer in read_layers(narrow) if isinstance(layer, Pointwise)]
    assert shapes == [(2, 64), (3, 2)]


def test_markers_are_known_by_name():
    assert sum(isinstance(layer, SkipEnd) for layer in read_layers(residual())) == 3


class Plain(nn.Module):
    """A network that does not tell its layers."""


class Liar(Chain):
    """A network that does not tell all of its layers."""

    def layers(self):
        return super().layers()[:-1]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Plain(), r"needs a network with a method layers\(\), which Plain does not have"),
        (
            Chain(nn.GroupNorm(1, 4)),
            r"does not know the layer 'layer0', GroupNorm; it knows Conv3d",
        ),
        (Chain(nn.Conv3d(1, 2, 3, padding=1, padding_mode="circular")), "layer0: .*'circular'"),
        (Chain(nn.AdaptiveAvgPool3d(2)), r"layer0: occlusion needs AdaptiveAvgPool3d\(1\)"),
        (Chain(nn.BatchNorm3d(1, track_running_stats=False)), "layer0: .*running mean"),
        (Chain(nn.MaxPool3d(2, return_indices=True)), "layer0: .*no indices"),
        (Chain(nn.Conv3d(1, 2, 3)), r"ends in one number per class; .* 2 channels on a grid of"),
        (Chain(nn.Conv3d(3, 2, 3)), "a Convolution does not fit 1 channels on a grid of"),
        (Chain(nn.Conv3d(1, 2, 12)), "a Convolution does not fit 1 channels on a grid of"),
        (
            Liar(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(1, 2), nn.Softplus()),
            r"layers\(\) of Liar do not compute what the network does: \[",
        ),
        (Chain(nn.ReLU(), SkipEnd_()), "SkipEnd without a SkipStart"),
        (Chain(SkipStart(), nn.Conv3d(1, 2, 1), SkipEnd_()), r"ends in \(2, 9, 11, 8\) channels"),
    ],
)
def test_networks_that_cannot_be_occluded(volume, model, message):
    with pytest.raises(InputError, match=message):
        occlusion_map(model, volume)


def test_bad_volumes_and_types(networks, volume):
    model = networks["dense"]
    with pytest.raises(InputError, match="wanted three dimensions"):
        occlusion_map(model, volume[0])
    with pytest.raises(InputError, match="wanted finite numbers"):
        occlusion_map(model, np.where(volume > 2, np.nan, volume))
    with pytest.raises(InputError, match="wanted float32 or float64, found float16"):
        occlusion_map(model, volume, dtype="float16")
    with pytest.raises(InputError, match="larger than the volume"):
        occlusion_map(model, volume, 12)
