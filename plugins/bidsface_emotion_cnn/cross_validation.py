"""Networks of every fold of every scheme, and what they say of the volumes that they never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed
from bidsface_emotion_cnn.fold_plan import FoldPlan
from bidsface_emotion_cnn.history import EpochRecord
from bidsface_emotion_cnn.layer_rdms import layer_rdms
from bidsface_emotion_cnn.logistic_baseline import fit_baseline, inner_products
from bidsface_emotion_cnn.options import EmotionOptions, Scheme
from bidsface_emotion_cnn.prediction import predict_probabilities
from bidsface_emotion_cnn.splits import Fold
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.torch_devices import keep_memory, one_thread
from bidsface_emotion_cnn.training import TrainedNetwork, train_network
from bidsface_emotion_cnn.volume_set import VolumeSet

Floats = NDArray[np.floating]
TELL_EVERY = 15.0
"""Seconds between lines about one fold."""
DRAWS = 1
"""Child of a fold's seed that draws the volumes of its layers."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities that one classifier gives, fold by fold.

    Attributes
    ----------
    test, validation : sequence of ndarray of shape (n_volumes_of_the_part, n_classes)
    """

    test: Sequence[Floats]
    validation: Sequence[Floats]


@dataclass(frozen=True, eq=False)
class FoldOutcome:
    """What one fold found.

    Attributes
    ----------
    fold : Fold
    network : TrainedNetwork
    probabilities : mapping of str to (ndarray, ndarray)
        Of the test and of the validation part, by classifier.
    layers : mapping of str to ndarray of shape (n_pairs,)
        Dissimilarities of the classes in layers, of the test part; NaN for pairs that it lacks.
    """

    fold: Fold
    network: TrainedNetwork
    probabilities: dict[str, tuple[Floats, Floats]]
    layers: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class SchemeOutcome:
    """All folds of a scheme.

    Attributes
    ----------
    scheme : str
    folds : sequence of FoldOutcome
    audited : sequence of FoldOutcome
        What the leakage audit compares: the same, but for folds that had to be trained again on
        fewer volumes.
    """

    scheme: str
    folds: Sequence[FoldOutcome]
    audited: Sequence[FoldOutcome]

    @property
    def tested(self) -> NDArray[np.int64]:
        """Numbers of the tested volumes, fold after fold."""
        return np.concatenate([one.fold.test for one in self.folds])

    @property
    def fold_numbers(self) -> NDArray[np.int64]:
        """Fold of every tested volume."""
        sizes = [len(one.fold.test) for one in self.folds]
        return np.repeat(np.arange(len(sizes)), sizes)

    @property
    def trained_again(self) -> bool:
        """Whether the audit has folds of its own."""
        return self.audited is not self.folds

    @property
    def predictions(self) -> dict[str, Predictions]:
        """By classifier."""
        return predictions_of(self.folds)


def predictions_of(folds: Sequence[FoldOutcome]) -> dict[str, Predictions]:
    """Return predictions by classifier."""
    return {
        name: Predictions(
            [one.probabilities[name][0] for one in folds],
            [one.probabilities[name][1] for one in folds],
        )
        for name in folds[0].probabilities
    }


@dataclass(frozen=True, eq=False)
class _Job:
    """One training; ``again``: on fewer volumes, for the leakage audit."""

    scheme: Scheme
    number: int
    n_folds: int
    fold: Fold
    again: bool

    @property
    def title(self) -> str:
        again = ", on fewer volumes" if self.again else ""
        return f"{self.scheme}, fold {self.number + 1} of {self.n_folds}{again}"

    @property
    def folder(self) -> str:
        return f"{'fewer-' if self.again else ''}{self.scheme}-{self.number + 1}"


def cross_validate(
    volumes: VolumeSet, plan: FoldPlan, options: EmotionOptions, tools: Tools, folder: Path
) -> list[SchemeOutcome]:
    """Train and test the networks of all schemes, and the baseline.

    Parameters
    ----------
    volumes : VolumeSet
    plan : FoldPlan
        Of these volumes.
    options : EmotionOptions
    tools : Tools
    folder : Path
        Where checkpoints are kept, from which a run that was cut short goes on.
    """
    jobs = list(_jobs(plan))

    def work(job: _Job) -> FoldOutcome:
        seed = int(tools.seed("network", job.scheme, str(job.number)).generate_state(1)[0])
        return run_fold(volumes, job.fold, job.title, options, tools, folder / job.folder, seed)

    # A GPU works on one fold at a time.
    found = [work(job) for job in jobs] if tools.device == "cuda" else tools.map(work, jobs)
    if options.baseline:
        found = with_baseline(found, volumes, options, tools)
    return list(_outcomes(plan, jobs, found))


def _jobs(plan: FoldPlan) -> Iterator[_Job]:
    for again, schemes in ((False, plan.folds), (True, plan.trained_again)):
        for scheme, folds in schemes.items():
            for number, fold in enumerate(folds):
                yield _Job(scheme, number, len(folds), fold, again)


def _outcomes(
    plan: FoldPlan, jobs: Sequence[_Job], found: Sequence[FoldOutcome]
) -> Iterator[SchemeOutcome]:
    pairs = list(zip(jobs, found, strict=True))
    for scheme in plan.folds:
        own, fewer = (
            [one for job, one in pairs if (job.scheme, job.again) == (scheme, again)]
            for again in (False, True)
        )
        yield SchemeOutcome(scheme, own, fewer or own)


def run_fold(
    volumes: VolumeSet,
    fold: Fold,
    title: str,
    options: EmotionOptions,
    tools: Tools,
    folder: Path,
    seed: int,
) -> FoldOutcome:
    """Train and test the network of one fold."""
    one_thread()
    keep_memory()
    network = train_network(
        volumes,
        fold.train,
        fold.validation,
        options.training,
        n_classes=len(volumes.classes),
        seed=seed,
        device=tools.device,
        checkpoint=folder,
        progress=progress_lines(title, options.training.epochs, tools.tell),
    )

    def probabilities(part: NDArray[np.int64]) -> Floats:
        return predict_probabilities(network.model, volumes, part, device=tools.device)

    found = {"network": (probabilities(fold.test), probabilities(fold.validation))}
    layers = layer_rdms(
        network.model,
        volumes,
        fold.test,
        options.layers,
        child_seed(np.random.SeedSequence(seed), DRAWS),
        tools.device,
    )
    share = float(np.mean(found["network"][0].argmax(axis=1) == volumes.codes[fold.test]))
    tools.tell(f"{title}: {len(network.history)} epochs, {100 * share:.0f} % of held-out volumes")
    return FoldOutcome(fold, network, found, layers)


def with_baseline(
    outcomes: Sequence[FoldOutcome], volumes: VolumeSet, options: EmotionOptions, tools: Tools
) -> list[FoldOutcome]:
    """Return outcomes with the baseline's probabilities beside the network's.

    A fold needs memory for two matrices of its training volumes by its training volumes: folds go
    one after another, and leave processors to linear algebra.
    """
    tools.tell("logistic regression on the same folds")
    products = inner_products(volumes)
    return [_with_baseline(one, products, volumes, options) for one in outcomes]


def _with_baseline(
    outcome: FoldOutcome,
    products: NDArray[np.float64],
    volumes: VolumeSet,
    options: EmotionOptions,
) -> FoldOutcome:
    fold = outcome.fold
    found = fit_baseline(
        products,
        volumes.codes,
        len(volumes.classes),
        fold.train,
        fold.validation,
        np.concatenate([fold.test, fold.validation]),
        balanced=options.training.class_weights == "balanced",
    ).probabilities
    own = found[: len(fold.test)], found[len(fold.test) :]
    return replace(outcome, probabilities={**outcome.probabilities, "logistic": own})


def progress_lines(
    title: str, n_epochs: int, tell: Callable[[str], None]
) -> Callable[[EpochRecord], None]:
    """Return what shows loss and accuracy of some of the epochs."""
    last = time.monotonic()

    def show(record: EpochRecord) -> None:
        nonlocal last
        if time.monotonic() - last < TELL_EVERY:
            return
        last = time.monotonic()
        tell(
            f"{title}: epoch {record.epoch} of {n_epochs}, loss {record.loss:.2f}, "
            f"accuracy {record.accuracy:.2f}, validation {record.validation_accuracy:.2f}"
        )

    return show
