"""The steps of a training, and its state between them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from bidsface.errors import InputError
from bidsface_emotion_cnn.batches import (
    AUGMENTATION,
    DROPOUT,
    INITIAL,
    epoch_batches,
    stream,
    torch_seed,
    varied,
)
from bidsface_emotion_cnn.checkpoints import Checkpoint, Saved
from bidsface_emotion_cnn.history import EpochRecord, best_epoch
from bidsface_emotion_cnn.networks import NETWORKS, SeededDropout, SequentialNetwork
from bidsface_emotion_cnn.optimization import (
    OPTIMIZERS,
    SCHEDULES,
    Sums,
    class_weights,
    moments,
    set_moments,
    uses_mixed_precision,
)
from bidsface_emotion_cnn.training_options import TrainingOptions
from bidsface_emotion_cnn.volume_set import Indices, VolumeSet

_INITIALIZING = threading.Lock()

StepDone = Callable[[int, int], None]


def initial_network(name: str, n_classes: int, dropout: float, seed: int) -> SequentialNetwork:
    """Return an untrained network, a key of `NETWORKS`, whose weights the seed determines."""
    with _INITIALIZING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(torch_seed(seed, INITIAL))
        return NETWORKS[name](n_classes, dropout)


@dataclass
class Course:
    """How far a training is."""

    history: list[EpochRecord] = field(default_factory=list)
    step: int = 0
    sums: Sums = field(default_factory=Sums)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """The present epoch, from 0."""
        return len(self.history)


class Trainer:
    """The state of a training, and its steps."""

    def __init__(
        self,
        volumes: VolumeSet,
        train: Indices,
        validation: Indices,
        options: TrainingOptions,
        n_classes: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.volumes, self.train, self.validation = volumes, train, validation
        self.options, self.seed, self.device = options, seed, device
        self.mixed = uses_mixed_precision(options.precision, device)
        self.model = initial_network(options.network, n_classes, options.dropout, seed)
        if min(volumes.shape) < self.model.smallest:
            raise InputError(
                f"network {options.network} needs volumes of at least {self.model.smallest} voxels "
                f"along every axis, found {' x '.join(map(str, volumes.shape))}"
            )
        self.model.to(device)
        self.generator = torch.Generator(device)
        for module in self.model.modules():
            if isinstance(module, SeededDropout):
                module.generator = self.generator
        self.optimizer = OPTIMIZERS[options.optimizer](self.model.parameters(), options)
        weights = class_weights(volumes.codes[train], n_classes, options.class_weights)
        self.weights = weights.to(device)
        self.course = Course()
        self.checkpoint: Checkpoint | None = None
        self.started = "from the beginning"

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left, or none was better for too long."""
        done, patience = self.course.epoch, self.options.patience
        if done >= self.options.epochs:
            return True
        best = best_epoch(self.course.history, self.options.monitor)
        return patience is not None and best is not None and done - best >= patience

    def run_epoch(self, step_done: StepDone | None) -> None:
        """Do the steps that are left of an epoch, then judge it on the validation part."""
        course, options = self.course, self.options
        share = SCHEDULES[options.schedule](course.epoch, options.epochs)
        rate = share * options.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batches = epoch_batches(self.train, options.batch_size, self.seed, course.epoch)
        for index in batches[course.step :]:
            self.take_step(index)
            course.step += 1
            if course.step % options.checkpoint_steps == 0:
                self.save()
            if step_done is not None:
                step_done(course.epoch + 1, course.step)
        record = EpochRecord(course.epoch + 1, rate, *course.sums.means(), *self.evaluate())
        course.history.append(record)
        course.step, course.sums = 0, Sums()
        if best_epoch(course.history, options.monitor) == record.epoch:
            course.best = {
                name: value.detach().to("cpu", copy=True)
                for name, value in self.model.state_dict().items()
            }
        self.save()

    def take_step(self, index: Indices) -> None:
        """Change the weights by the gradient of one batch."""
        place = (self.course.epoch, self.course.step)
        self.generator.manual_seed(torch_seed(self.seed, DROPOUT, *place))
        batch = varied(
            self.volumes.read(index),
            self.options.augment,
            stream(self.seed, AUGMENTATION, *place),
        )
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            scores = self.model(torch.from_numpy(batch)[:, None].to(self.device))
        loss = self.course.sums.add(scores, self._codes(index), self.weights)
        self._refuse_divergence(self.course.sums)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.options.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.gradient_clip)
        self.optimizer.step()

    @torch.no_grad()
    def evaluate(self) -> tuple[float, float]:
        """Return loss and accuracy on the validation part."""
        self.model.eval()
        sums = Sums()
        for start in range(0, len(self.validation), self.options.batch_size):
            index = self.validation[start : start + self.options.batch_size]
            batch = torch.from_numpy(self.volumes.read(index))[:, None].to(self.device)
            sums.add(self.model(batch), self._codes(index), self.weights)
        self._refuse_divergence(sums)
        return sums.means()

    def _refuse_divergence(self, sums: Sums) -> None:
        if not math.isfinite(sums.loss):
            raise InputError(
                f"training of {self.options.network}: the loss is not finite in epoch "
                f"{self.course.epoch + 1}; volumes may hold values that are not finite, or a "
                f"smaller learning_rate (now {self.options.learning_rate:g}) or a gradient_clip "
                "may help"
            )

    def _codes(self, index: Indices) -> Tensor:
        return torch.from_numpy(self.volumes.codes[index]).to(self.device)

    def save(self) -> None:
        """Write the checkpoint, if there is to be one."""
        if self.checkpoint is None:
            return
        groups = {
            "model": self.model.state_dict(),
            "optimizer": moments(self.optimizer),
            "best": self.course.best,
        }
        tensors = {f"{group}/{k}": v for group, values in groups.items() for k, v in values.items()}
        state = {
            "history": [asdict(record) for record in self.course.history],
            "step": self.course.step,
            "sums": asdict(self.course.sums),
        }
        self.checkpoint.save(Saved(tensors, state))

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint where it is of this training, and save to it from now on."""
        self.checkpoint = checkpoint
        saved, reason = checkpoint.load()
        if saved is None:
            self.started = f"from the beginning: {reason}"
            return
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "best": {}}
        for name, tensor in saved.tensors.items():
            group, key = name.split("/", 1)
            groups[group][key] = tensor
        self.model.load_state_dict(groups["model"])
        set_moments(self.optimizer, groups["optimizer"])
        self.course = Course(
            [EpochRecord(**record) for record in saved.state["history"]],
            saved.state["step"],
            Sums(**saved.state["sums"]),
            groups["best"],
        )
        after = f", step {self.course.step}" if self.course.step else ""
        self.started = f"after epoch {self.course.epoch}{after}, from {checkpoint.path}"

    def best_model(self) -> SequentialNetwork:
        """Return the network on the processor, in evaluation mode, with its best weights."""
        model = self.model.to("cpu").eval()
        model.load_state_dict(self.course.best)
        for module in model.modules():
            if isinstance(module, SeededDropout):
                module.generator = None
        return model
