"""Training: learns what is there, repeats to the bit, goes on after any interruption."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from network_volumes import thirds, wave_volumes
from pydantic import ValidationError
from sklearn.utils.class_weight import compute_class_weight

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from bidsface.errors import InputError  # noqa: E402
from bidsface_emotion_cnn.batches import epoch_batches, shifted, varied  # noqa: E402
from bidsface_emotion_cnn.history import EpochRecord, best_epoch  # noqa: E402
from bidsface_emotion_cnn.optimization import (  # noqa: E402
    SCHEDULES,
    Sums,
    class_weights,
    uses_mixed_precision,
)
from bidsface_emotion_cnn.prediction import predict_probabilities  # noqa: E402
from bidsface_emotion_cnn.trainer import initial_network  # noqa: E402
from bidsface_emotion_cnn.training import train_network  # noqa: E402
from bidsface_emotion_cnn.training_options import (  # noqa: E402
    AugmentationOptions,
    TrainingOptions,
)

SMALL = {
    "network": "emotion-cnn-small",
    "epochs": 3,
    "batch_size": 4,
    "augment": {"max_shift": 1, "noise_sd": 0.1},
}
SEED = 7


@pytest.fixture(scope="module")
def data():
    volumes = wave_volumes(n_per_class=8, shape=(6, 6, 6))
    return volumes, *thirds(volumes)[:2]


@pytest.fixture(scope="module")
def undisturbed(data):
    return trained(data)


def trained(data, seed=SEED, **changes):
    """Train quickly; ``changes`` are options, or arguments of `train_network`."""
    arguments = {
        key: changes.pop(key) for key in ("checkpoint", "progress", "step_done") if key in changes
    }
    options = TrainingOptions(**{**SMALL, **changes})
    return train_network(*data, options, n_classes=3, seed=seed, device="cpu", **arguments)


def weights(found):
    return found.model.state_dict()


def same(one, other):
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def held_out_accuracy(volumes):
    train, validation, test = thirds(volumes)
    options = TrainingOptions(network="emotion-cnn-small", epochs=12, batch_size=16)
    found = train_network(volumes, train, validation, options, n_classes=3, seed=SEED, device="cpu")
    answers = predict_probabilities(found.model, volumes, test, device="cpu").argmax(1)
    return found, float(np.mean(answers == volumes.codes[test]))


def test_learns_planted_patterns():
    found, accuracy = held_out_accuracy(wave_volumes(n_per_class=40))
    assert accuracy > 0.85
    assert found.history[-1].loss < found.history[0].loss / 2
    assert not found.model.training


def test_shuffled_labels_stay_at_chance():
    volumes = wave_volumes(n_per_class=40)
    codes = np.random.default_rng(3).permutation(volumes.codes)
    _, accuracy = held_out_accuracy(replace(volumes, codes=codes))
    # 30 test volumes: chance is 0.33, its standard deviation 0.09.
    assert 0.05 < accuracy < 0.6


def test_same_seed_same_bits_and_no_trace(data, undisturbed):
    torch.rand(3)
    state, threads, legacy = (
        torch.get_rng_state(),
        torch.get_num_threads(),
        np.random.get_state()[1].copy(),  # noqa: NPY002
    )
    again = trained(data)
    assert same(again, undisturbed)
    assert again.history == undisturbed.history
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert np.array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002
    assert not same(trained(data, seed=8), undisturbed)


def test_trainings_in_threads_do_not_mix(data, undisturbed):
    limit = torch.get_num_threads()

    def one(seed):
        torch.set_num_threads(limit)
        return trained(data, seed=seed)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(one, (SEED, 8)))
    assert same(found[0], undisturbed)
    assert same(found[1], trained(data, seed=8))


def test_order_of_the_parts_does_not_matter(data, undisturbed):
    volumes, train, validation = data
    assert same(trained((volumes, train[::-1], validation[::-1])), undisturbed)


def test_steps_equal_a_plain_loop(data):
    """The reference is the usual loop over torch's own optimizer, schedule and loss."""
    volumes, train, validation = data
    options = {"dropout": 0.0, "augment": {}, "weight_decay": 0.1, "class_weights": "balanced"}
    train = train[:-1]
    found = trained((volumes, train, validation[:0]), **options)
    model = initial_network("emotion-cnn-small", 3, 0.0, SEED).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
    weight = compute_class_weight("balanced", classes=np.arange(3), y=volumes.codes[train])
    loss = torch.nn.CrossEntropyLoss(weight=torch.from_numpy(weight.astype(np.float32)))
    for epoch in range(3):
        for index in epoch_batches(train, 4, SEED, epoch):
            optimizer.zero_grad()
            x = torch.from_numpy(volumes.data[index])[:, None]
            loss(model(x), torch.from_numpy(volumes.codes[index])).backward()
            optimizer.step()
        rate = schedule.get_last_lr()[0]
        assert found.history[epoch].learning_rate == pytest.approx(rate, rel=1e-12)
        schedule.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(weights(found)[name], value, rtol=1e-4, atol=1e-5)
    # Without a validation part the last epoch counts.
    assert found.best_epoch == 3
    assert np.isnan(found.history[0].validation_loss)


def test_best_epoch_is_kept(data):
    volumes, _, validation = data
    seen = []
    found = trained(data, epochs=5, monitor="loss", progress=seen.append)
    assert tuple(seen) == found.history
    assert [record.epoch for record in seen] == [1, 2, 3, 4, 5]
    losses = [record.validation_loss for record in found.history]
    assert found.best_epoch == 1 + int(np.argmin(losses))
    probabilities = predict_probabilities(found.model, volumes, validation, device="cpu")
    own = probabilities[np.arange(len(validation)), volumes.codes[validation]]
    best = found.history[found.best_epoch - 1]
    assert -np.log(own).mean() == pytest.approx(best.validation_loss, rel=1e-4)
    right = probabilities.argmax(1) == volumes.codes[validation]
    assert right.mean() == pytest.approx(best.validation_accuracy)


def test_stops_when_no_epoch_is_better(data):
    volumes, train, validation = data
    codes = np.random.default_rng(1).permutation(volumes.codes)
    null = replace(volumes, codes=codes), train, validation
    stopped = trained(null, epochs=12, patience=2)
    whole = trained(null, epochs=12, patience=None)
    assert len(stopped.history) < len(whole.history) == 12
    assert len(stopped.history) - stopped.best_epoch == 2
    assert stopped.history == whole.history[: len(stopped.history)]


def test_which_epoch_is_best():
    def record(epoch, accuracy, loss):
        return EpochRecord(epoch, 0.1, 1.0, 0.5, loss, accuracy)

    history = [record(1, 0.5, 1.0), record(2, 0.6, 1.2), record(3, 0.6, 1.1), record(4, 0.4, 0.9)]
    assert best_epoch(history, "accuracy") == 3
    assert best_epoch(history, "loss") == 4
    assert best_epoch([*history, record(5, 0.6, 1.1)], "accuracy") == 3
    assert best_epoch([], "loss") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.0},
        {"batch_size": 6},
        {"optimizer": "sgd"},
        {"learning_rate": 2e-3},
        {"weight_decay": 0.2},
        {"schedule": "constant"},
        {"gradient_clip": 0.01},
        {"class_weights": "balanced"},
        {"augment": {"max_shift": 1}},
        {"augment": {"noise_sd": 0.1}},
    ],
)
def test_every_option_has_an_effect(data, changes):
    volumes, train, validation = data
    uneven = volumes, train[:-2], validation
    base = trained(uneven, epochs=2, patience=None)
    found = trained(uneven, epochs=2, patience=None, **changes)
    assert [r.loss for r in found.history] != [r.loss for r in base.history]


def test_options_that_change_nothing_in_the_results(data, undisturbed):
    assert same(trained(data, precision="auto"), undisturbed)
    assert same(trained(data, checkpoint_steps=1), undisturbed)


@pytest.mark.parametrize("network", ["emotion-cnn", "plain-cnn"])
def test_other_networks_train(network):
    volumes = wave_volumes(n_per_class=2)
    parts = np.arange(0, 6, 2), np.arange(1, 6, 2)
    found = trained((volumes, *parts), network=network, epochs=1)
    assert (
        type(found.model).__name__
        == {"emotion-cnn": "EmotionCNN3D", "plain-cnn": "PlainCNN3D"}[network]
    )


def test_gradient_is_clipped_and_momentum_is_used(data):
    volumes, train, _ = data
    few = volumes, train[:4], train[:0]
    start = initial_network("emotion-cnn-small", 3, 0.3, SEED)
    options = {"optimizer": "sgd", "learning_rate": 0.5, "weight_decay": 0.0, "gradient_clip": 0.02}
    found = trained(few, epochs=1, **options)
    assert distance(found.model, start) == pytest.approx(0.5 * 0.02, rel=1e-3)
    steady = trained(few, epochs=2, schedule="constant", **options)
    # The second step has 0.9 of the first one in it.
    assert distance(steady.model, start) > 1.5 * distance(found.model, start)


def distance(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    with torch.no_grad():
        return sum(float(((a - b) ** 2).sum()) for a, b in pairs) ** 0.5


def test_class_weights_and_weighted_sums():
    codes = np.array([0, 0, 0, 1, 3, 3])
    found = class_weights(codes, 4, "balanced").numpy()
    wanted = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=codes)
    np.testing.assert_allclose(found[[0, 1, 3]], wanted, rtol=1e-6)
    assert found[2] == 0
    assert class_weights(codes, 4, "none").tolist() == [1, 1, 1, 1]
    scores = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    weight, sums = torch.from_numpy(found), Sums()
    losses = [
        float(sums.add(scores[part], torch.from_numpy(codes[part]), weight))
        for part in (slice(0, 2), slice(2, 6))
    ]
    wanted = functional.cross_entropy(scores, torch.from_numpy(codes), weight=weight)
    assert sums.means()[0] == pytest.approx(float(wanted), rel=1e-6)
    assert losses[0] != losses[1]
    right = scores.argmax(1).numpy() == codes
    per_class = [right[codes == code].mean() for code in (0, 1, 3)]
    assert sums.means()[1] == pytest.approx(np.mean(per_class), rel=1e-6)
    assert np.isnan(Sums().means()).all()


def test_schedules():
    assert [SCHEDULES["cosine"](epoch, 4) for epoch in (0, 2)] == pytest.approx([1, 0.5])
    assert SCHEDULES["cosine"](3, 4) == pytest.approx((1 - 0.5**0.5) / 2)
    assert SCHEDULES["constant"](3, 4) == 1


def test_batches_hold_every_volume_once_and_no_single_one():
    train = np.arange(3, 12)
    batches = epoch_batches(train, 4, seed=1, epoch=0)
    assert [len(batch) for batch in batches] == [4, 5]
    assert sorted(np.concatenate(batches)) == list(train)
    orders = [np.concatenate(epoch_batches(train, 4, 1, epoch)) for epoch in range(3)]
    assert not np.array_equal(orders[0], orders[1])
    assert [len(batch) for batch in epoch_batches(train, 16, 1, 0)] == [9]


def test_augmentation():
    volume = np.arange(1.0, 25.0, dtype=np.float32).reshape(2, 3, 4)
    moved = shifted(volume, np.array([0, 1, -2]))
    np.testing.assert_array_equal(moved[:, 1:, :2], volume[:, :2, 2:])
    assert not moved[:, 0].any()
    assert not moved[:, :, 2:].any()
    brain = np.zeros((400, 3, 3, 3), np.float32)
    brain[:, 1, 1, 1] = 1
    noisy = varied(brain, AugmentationOptions(noise_sd=0.5), np.random.SeedSequence(1))
    assert not noisy[brain == 0].any()
    assert noisy[brain == 1].std() == pytest.approx(0.5, rel=0.15)
    places = np.argwhere(
        varied(brain, AugmentationOptions(max_shift=1), np.random.SeedSequence(1))
    )[:, 1:]
    # Of 400 volumes about 15 go to each of 27 places.
    assert len(np.unique(places, axis=0)) == 27
    assert varied(brain, AugmentationOptions(), np.random.SeedSequence(1)) is brain
    far = varied(brain, AugmentationOptions(max_shift=99), np.random.SeedSequence(1))
    assert far.shape == brain.shape


class StopHereError(Exception):
    """Raised in the middle of a training."""


def stop_at(epoch, step):
    def step_done(*place):
        if place == (epoch, step):
            raise StopHereError

    return step_done


@pytest.mark.parametrize(
    ("optimizer", "steps", "next_step", "after"),
    [
        # All three steps of the second epoch were saved, two of them, and none.
        ("adamw", 1, (3, 1), "after epoch 1, step 3, from"),
        ("adamw", 2, (2, 3), "after epoch 1, step 2, from"),
        ("sgd", 2, (2, 3), "after epoch 1, step 2, from"),
        ("adamw", 9, (2, 1), "after epoch 1, from"),
    ],
)
def test_interrupted_training_goes_on_to_the_same_bits(
    tmp_path, data, optimizer, steps, next_step, after
):
    folder = tmp_path / "fold"
    changes = {"optimizer": optimizer, "checkpoint_steps": steps, "checkpoint": folder}
    with pytest.raises(StopHereError):
        trained(data, step_done=stop_at(2, 3), **changes)
    (folder / "training.safetensors.part").write_bytes(b"torn")
    done = []
    found = trained(data, step_done=lambda *place: done.append(place), **changes)
    assert done[0] == next_step
    assert found.started.startswith(after)
    whole = trained(data, optimizer=optimizer)
    assert same(found, whole)
    assert found.history == whole.history


def test_interrupted_after_an_epoch(tmp_path, data, undisturbed):
    def progress(record):
        if record.epoch == 2:
            raise StopHereError

    with pytest.raises(StopHereError):
        trained(data, checkpoint=tmp_path, progress=progress)
    found = trained(data, checkpoint=tmp_path)
    assert found.started.startswith("after epoch 2, from")
    assert same(found, undisturbed)


def test_finished_training_is_read_back(tmp_path, data, undisturbed):
    first = trained(data, checkpoint=tmp_path)
    assert first.started == "from the beginning: there was no checkpoint"
    steps = []
    again = trained(data, checkpoint=tmp_path, step_done=lambda *place: steps.append(place))
    assert not steps
    assert same(again, undisturbed)
    assert again.history == undisturbed.history
    assert again.best_epoch == undisturbed.best_epoch
    assert [path.name for path in tmp_path.iterdir()] == ["training.safetensors"]


def test_checkpoint_of_another_training_is_not_gone_on_from(tmp_path, data, undisturbed):
    volumes, train, validation = data
    other_values = replace(volumes, data=volumes.data * np.float32(1.01))
    for number, (other, changes) in enumerate(
        [
            (data, {"learning_rate": 2e-3}),
            (data, {"seed": 8}),
            ((volumes, train[1:], validation), {}),
            ((other_values, train, validation), {}),
        ]
    ):
        folder = tmp_path / str(number)
        trained(other, checkpoint=folder, **changes)
        found = trained(data, checkpoint=folder)
        assert found.started.startswith("from the beginning: ")
        assert found.started.endswith("is of other options, data or software")
        assert same(found, undisturbed)


def test_damaged_checkpoint_is_not_gone_on_from(tmp_path, data, undisturbed):
    trained(data, checkpoint=tmp_path)
    path = tmp_path / "training.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    found = trained(data, checkpoint=tmp_path)
    assert found.started == f"from the beginning: {path} cannot be read"
    assert same(found, undisturbed)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from network_volumes import thirds, wave_volumes
from bidsface_emotion_cnn.training import train_network
from bidsface_emotion_cnn.training_options import TrainingOptions
volumes = wave_volumes(n_per_class=8, shape=(6, 6, 6))
options = TrainingOptions(**{options!r}, checkpoint_steps=1)
def step_done(*place):
    if place == (2, 2):
        os.kill(os.getpid(), signal.SIGKILL)
train_network(
    volumes, *thirds(volumes)[:2], options, n_classes=3, seed={seed}, device="cpu",
    checkpoint=Path({folder!r}), step_done=step_done,
)
"""


def test_killed_training_goes_on_to_the_same_bits(tmp_path, data, undisturbed):
    script = KILLED.format(
        tests=str(Path(__file__).parent), folder=str(tmp_path), options=SMALL, seed=SEED
    )
    threads = str(torch.get_num_threads())
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    ended = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    found = trained(data, checkpoint=tmp_path, checkpoint_steps=1)
    assert "after epoch 1, step 2" in found.started
    assert same(found, undisturbed)
    assert found.history == undisturbed.history


def test_refused():
    volumes = wave_volumes(n_per_class=4, shape=(6, 6, 6))
    train, validation, _ = thirds(volumes)
    for parts, text in (
        ((train, train[:1]), "twice"),
        ((np.array([0, 99]), validation), "from 0 to"),
    ):
        with pytest.raises(ValueError, match=text):
            trained((volumes, *parts))
    with pytest.raises(ValueError, match="below 2"):
        train_network(
            volumes, train, validation, TrainingOptions(), n_classes=2, seed=1, device="cpu"
        )
    with pytest.raises(InputError, match="at least 2 volumes, found 1"):
        trained((volumes, train[:1], validation))
    with pytest.raises(InputError, match=r"plain-cnn needs .* 8 voxels .* found 6 x 6 x 6"):
        trained((volumes, train, validation), network="plain-cnn")
    with pytest.raises(InputError, match="precision mixed: needs a GPU"):
        trained((volumes, train, validation), precision="mixed")
    with pytest.raises(InputError, match=r"not finite in epoch \d+; .*rate \(now 1e\+30\)"):
        trained((volumes, train, validation), optimizer="sgd", learning_rate=1e30)
    bad = np.where(volumes.data > 2, np.nan, volumes.data).astype(np.float32)
    with pytest.raises(InputError, match="not finite in epoch 1"):
        trained((replace(volumes, data=bad), train, validation))
    for change in ({"batch_size": 1}, {"patience": 0}, {"gradient_clip": 0.0}, {"epoch": 3}):
        with pytest.raises(ValidationError):
            TrainingOptions(**change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(data):
    with pytest.raises(InputError, match="device cuda"):
        train_network(*data, TrainingOptions(), n_classes=3, seed=1, device="cuda")


def test_mixed_precision_where_a_gpu_is_fast_at_it(monkeypatch):
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    for generation, wanted in ((8, True), (7, False)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, g=generation: (g, 0))
        assert uses_mixed_precision("auto", gpu) is wanted
    assert uses_mixed_precision("mixed", gpu)
    assert not uses_mixed_precision("single", gpu)
    assert not uses_mixed_precision("auto", cpu)


def test_memory_is_kept_where_glibc_can(monkeypatch):
    from bidsface_emotion_cnn import torch_devices

    assert torch_devices.keep_memory() in (True, False)
    monkeypatch.setattr(torch_devices.sys, "platform", "elsewhere")
    assert torch_devices.keep_memory.__wrapped__() is False
