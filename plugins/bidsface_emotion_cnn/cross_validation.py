"""Networks of every fold of every scheme, and what they say of the volumes that they never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.history import EpochRecord
from bidsface_emotion_cnn.layer_rdms import layer_rdms
from bidsface_emotion_cnn.logistic_baseline import fit_baseline, inner_products
from bidsface_emotion_cnn.options import EmotionOptions, Scheme
from bidsface_emotion_cnn.prediction import predict_probabilities
from bidsface_emotion_cnn.resampling import child_seed
from bidsface_emotion_cnn.splits import Fold, make_folds
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.torch_devices import one_thread
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
    """All folds of a scheme."""

    scheme: str
    folds: Sequence[FoldOutcome]

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
    def predictions(self) -> dict[str, Predictions]:
        """By classifier."""
        return {
            name: Predictions(
                [one.probabilities[name][0] for one in self.folds],
                [one.probabilities[name][1] for one in self.folds],
            )
            for name in self.folds[0].probabilities
        }


def cross_validate(
    volumes: VolumeSet, options: EmotionOptions, tools: Tools, folder: Path
) -> list[SchemeOutcome]:
    """Train and test the networks of all schemes.

    Parameters
    ----------
    volumes : VolumeSet
    options : EmotionOptions
    tools : Tools
    folder : Path
        Where checkpoints are kept, from which a run that was cut short goes on.

    Raises
    ------
    ValueError
        If a scheme is impossible for the runs and participants that there are.
    """
    jobs = [
        (scheme, number, fold)
        for scheme in options.schemes
        for number, fold in enumerate(scheme_folds(volumes, scheme, options, tools))
    ]

    products = inner_products(volumes) if options.baseline else None

    def work(job: tuple[Scheme, int, Fold]) -> FoldOutcome:
        scheme, number, fold = job
        total = sum(one == scheme for one, _, _ in jobs)
        title = f"{scheme}, fold {number + 1} of {total}"
        seed = int(tools.seed("network", scheme, str(number)).generate_state(1)[0])
        place = folder / f"{scheme}-{number + 1}"
        return run_fold(volumes, products, fold, title, options, tools, place, seed)

    # A GPU works on one fold at a time.
    found = [work(job) for job in jobs] if tools.device == "cuda" else tools.map(work, jobs)
    by_scheme: dict[str, list[FoldOutcome]] = {scheme: [] for scheme in options.schemes}
    for (scheme, *_), one in zip(jobs, found, strict=True):
        by_scheme[scheme].append(one)
    return [SchemeOutcome(scheme, folds) for scheme, folds in by_scheme.items()]


def scheme_folds(
    volumes: VolumeSet, scheme: Scheme, options: EmotionOptions, tools: Tools
) -> list[Fold]:
    """Return the folds of a scheme; raises ValueError where it is impossible."""
    names = volumes.participant_labels if scheme == "participants" else volumes.run_labels
    return make_folds(
        scheme,
        volumes.codes,
        volumes.participants,
        volumes.runs,
        n_folds=options.folds.get(scheme),
        test_share=options.test_share,
        seed=tools.seed("folds", scheme),
        unit_names=names,
        class_names=volumes.classes,
    )


def run_fold(
    volumes: VolumeSet,
    products: NDArray[np.float64] | None,
    fold: Fold,
    title: str,
    options: EmotionOptions,
    tools: Tools,
    folder: Path,
    seed: int,
) -> FoldOutcome:
    """Train and test the network of one fold, and the baseline where there are its products."""
    one_thread()
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
    if products is not None:
        baseline = fit_baseline(
            products,
            volumes.codes,
            len(volumes.classes),
            fold.train,
            fold.validation,
            np.concatenate([fold.test, fold.validation]),
            balanced=options.training.class_weights == "balanced",
        ).probabilities
        found["logistic"] = (baseline[: len(fold.test)], baseline[len(fold.test) :])
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
