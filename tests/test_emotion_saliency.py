"""Attribution by gradients: complete, exact where the answer is known, found where planted."""

import numpy as np
import pytest
from network_volumes import randomized, wave_volumes

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from bidsface_emotion_cnn.networks import NETWORKS, SequentialNetwork  # noqa: E402
from bidsface_emotion_cnn.saliency import integrated_gradients, smooth_grad  # noqa: E402

SHAPE = (4, 5, 3)


@pytest.fixture(scope="module")
def model():
    return randomized(NETWORKS["emotion-cnn-small"](3), seed=4)


@pytest.fixture(scope="module")
def volume():
    return wave_volumes(n_per_class=1, shape=(4, 5, 4)).data[1]


def outputs(model, volume, kind):
    with torch.no_grad():
        scores = model(torch.from_numpy(np.array(volume, np.float32))[None, None])[0].double()
    return (scores.softmax(0) if kind == "probability" else scores).numpy()


def linear_network(n_classes=2, seed=0):
    """Return a network whose score is a weighted sum of voxels."""
    model = SequentialNetwork(
        {"flatten": nn.Flatten(), "fc": nn.Linear(int(np.prod(SHAPE)), n_classes)}, n_classes
    )
    with torch.no_grad():
        model.fc.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return model, model.fc.weight.detach().numpy().reshape(n_classes, *SHAPE)


@pytest.mark.parametrize(("output", "bound"), [("probability", 0.01), ("score", 0.1)])
def test_integrated_gradients_are_complete(model, volume, output, bound):
    baseline = wave_volumes(n_per_class=1, shape=(4, 5, 4), seed=6).data[0]
    for start in (0.0, baseline):
        few, found = (
            integrated_gradients(
                model,
                volume,
                None,
                baseline=start,
                steps=steps,
                output=output,
                batch_size=100,
                device="cpu",
            )
            for steps in (4, 400)
        )
        assert found.shape == (3, *volume.shape)
        assert found.dtype == np.float32
        first = np.broadcast_to(np.float32(start), volume.shape)
        change = outputs(model, volume, output) - outputs(model, first, output)
        assert np.abs(change).max() > 3 * bound
        errors = [np.abs(one.sum((1, 2, 3)) - change).max() for one in (few, found)]
        # Along the path this network bends often: it needs more steps than a trained one.
        assert errors[1] < bound
        assert errors[1] < errors[0] / 4


def test_one_class_is_one_of_all(model, volume):
    every = integrated_gradients(model, volume, None, steps=6, device="cpu")
    one = integrated_gradients(model, volume, 2, steps=6, batch_size=5, device="cpu")
    assert one.shape == volume.shape
    np.testing.assert_allclose(one, every[2], atol=1e-4 * np.abs(every).max())
    # Probabilities sum to 1, so the attributions of all classes cancel.
    np.testing.assert_allclose(every.sum(0), 0, atol=1e-4 * np.abs(every).max())


def test_integrated_gradients_of_a_linear_score_are_exact():
    model, weight = linear_network()
    volume = np.random.default_rng(1).standard_normal(SHAPE)
    found = integrated_gradients(
        model, volume, 1, baseline=0.5, steps=2, output="score", device="cpu"
    )
    np.testing.assert_allclose(found, weight[1] * (volume - 0.5), rtol=1e-4, atol=1e-5)


def test_integrated_gradients_equal_a_fine_riemann_sum(model, volume):
    """The reference is equation 3 of the publication with many steps, and numeric gradients."""
    place = np.unravel_index(np.abs(volume).argmax(), volume.shape)
    found = integrated_gradients(model, volume, 0, output="score", device="cpu")[place]
    step, total = 1e-2, 0.0
    moved = np.zeros_like(volume)
    moved[place] = step
    alphas = (np.arange(400) + 0.5) / 400
    points = alphas[:, None, None, None].astype(np.float32) * volume
    with torch.no_grad():
        up, down = (
            model(torch.from_numpy(points + sign * moved)[:, None])[:, 0].double().numpy()
            for sign in (1, -1)
        )
    total = float(np.mean((up - down) / (2 * step)) * volume[place])
    every = integrated_gradients(model, volume, 0, output="score", device="cpu")
    assert found == pytest.approx(total, abs=0.03 * float(np.abs(every).max()))


def test_smooth_grad_of_a_linear_score_is_its_weight():
    model, weight = linear_network()
    volume = np.random.default_rng(2).standard_normal(SHAPE)
    found = smooth_grad(model, volume, None, n_samples=3, seed=1, device="cpu")
    np.testing.assert_allclose(found, weight, rtol=1e-5)
    # A voxel that matters to one class only, and one to none.
    with torch.no_grad():
        model.fc.weight[:, :2] = torch.tensor([[0.0, 3.0], [0.0, 0.0]])
    found = smooth_grad(
        model, volume, None, n_samples=3, seed=1, output="probability", device="cpu"
    )
    assert found[:, 0, 0, 0] == pytest.approx([0, 0])
    assert found[0, 0, 0, 1] > 0 > found[1, 0, 0, 1]


def test_smooth_grad_averages_gradients_at_noisy_volumes(model, volume):
    plain = smooth_grad(model, volume, 1, n_samples=1, noise=0.0, seed=0, device="cpu")
    x = torch.from_numpy(volume)[None, None].requires_grad_()
    (wanted,) = torch.autograd.grad(model(x)[0, 1], x)
    np.testing.assert_allclose(plain, wanted[0, 0].numpy(), rtol=1e-4, atol=1e-6)
    first = smooth_grad(model, volume, 1, n_samples=6, seed=3, batch_size=4, device="cpu")
    again = smooth_grad(model, volume, 1, n_samples=6, seed=3, batch_size=6, device="cpu")
    other = smooth_grad(model, volume, 1, n_samples=6, seed=4, device="cpu")
    np.testing.assert_allclose(first, again, atol=1e-4 * np.abs(first).max())
    assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()
    # The mean over three times as many is nearer to that over very many.
    many = smooth_grad(model, volume, 1, n_samples=200, seed=5, batch_size=50, device="cpu")
    few = [
        np.abs(smooth_grad(model, volume, 1, n_samples=n, seed=6, device="cpu") - many).mean()
        for n in (2, 20)
    ]
    assert few[1] < few[0]


def test_noise_stays_in_the_brain():
    model, _ = linear_network()
    seen = []
    model.flatten.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    volume = np.random.default_rng(3).standard_normal(SHAPE)
    volume[0] = 0
    smooth_grad(model, volume, 0, n_samples=400, noise=0.2, seed=1, batch_size=400, device="cpu")
    inputs = seen[0][:, 0].numpy()
    assert not inputs[:, 0].any()
    spread = inputs[:, 1:].std(0)
    np.testing.assert_allclose(spread.mean(), 0.2 * np.ptp(volume), rtol=0.05)


def test_network_is_left_as_it_was(model, volume):
    integrated_gradients(model, volume, 0, steps=2, device="cpu")
    assert all(parameter.grad is None for parameter in model.parameters())
    model.train()
    smooth_grad(model, volume, 0, n_samples=1, seed=0, device="cpu")
    assert model.training
    model.eval()


def test_refused(model, volume):
    with pytest.raises(ValueError, match="target must be from 0 to 2, found 3"):
        integrated_gradients(model, volume, 3, device="cpu")
    with pytest.raises(ValueError, match="output must be one of probability, score"):
        smooth_grad(model, volume, 0, seed=0, output="logit", device="cpu")
    with pytest.raises(ValueError, match="steps"):
        integrated_gradients(model, volume, 0, steps=0, device="cpu")
    with pytest.raises(ValueError, match="n_samples"):
        smooth_grad(model, volume, 0, n_samples=0, seed=0, device="cpu")
