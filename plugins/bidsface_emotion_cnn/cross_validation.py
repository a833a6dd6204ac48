"""Networks of every fold of every scheme, and what they say of the volumes that they never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bidsface_emotion_cnn.logistic_baseline import baseline_probabilities
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.prediction import pooled_features, predict_probabilities
from bidsface_emotion_cnn.splits import Fold, make_folds
from bidsface_emotion_cnn.tools import Tools
from bidsface_emotion_cnn.training import EpochRecord, TrainedNetwork, train_network
from bidsface_emotion_cnn.volume_set import VolumeSet

Indices = NDArray[np.int64]
TELL_EVERY = 15.0
"""Seconds between lines about one fold."""


@dataclass(frozen=True, eq=False)
class FoldOutcome:
    """What one fold found.

    Attributes
    ----------
    fold : Fold
    network : TrainedNetwork
    probabilities : ndarray of shape (n_test, n_classes)
    features : ndarray of shape (n_test, n_features)
        Of the last layer before the classes.
    baseline : ndarray of shape (n_test, n_classes) or None
    """

    fold: Fold
    network: TrainedNetwork
    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]
    baseline: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class SchemeOutcome:
    """All folds of a scheme; rows of the arrays are the tested volumes, fold after fold."""

    scheme: str
    folds: Sequence[FoldOutcome]

    @property
    def tested(self) -> Indices:
        """Numbers of the tested volumes."""
        return np.concatenate([one.fold.test for one in self.folds])

    @property
    def fold_numbers(self) -> Indices:
        """Fold of every tested volume."""
        sizes = [len(one.fold.test) for one in self.folds]
        return np.repeat(np.arange(len(sizes)), sizes)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Of the network, (n_tested, n_classes)."""
        return np.concatenate([one.probabilities for one in self.folds])

    @property
    def features(self) -> NDArray[np.float32]:
        """Of the last layer before the classes, (n_tested, n_features)."""
        return np.concatenate([one.features for one in self.folds])

    @property
    def estimators(self) -> dict[str, NDArray[np.floating]]:
        """Probabilities of the network and, where there is one, of the baseline."""
        found: dict[str, NDArray[np.floating]] = {"network": self.probabilities}
        parts = [one.baseline for one in self.folds if one.baseline is not None]
        if len(parts) == len(self.folds):
            found["logistic"] = np.concatenate(parts)
        return found


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

    def work(job: tuple[str, int, Fold]) -> FoldOutcome:
        scheme, number, fold = job
        total = sum(one == scheme for one, _, _ in jobs)
        title = f"{scheme}, fold {number + 1} of {total}"
        place = folder / f"{scheme}-{number + 1}"
        return run_fold(volumes, fold, title, options, tools, place, (scheme, str(number)))

    # A GPU works on one fold at a time.
    found = [work(job) for job in jobs] if tools.device == "cuda" else tools.map(work, jobs)
    by_scheme: dict[str, list[FoldOutcome]] = {scheme: [] for scheme in options.schemes}
    for (scheme, *_), one in zip(jobs, found, strict=True):
        by_scheme[scheme].append(one)
    return [SchemeOutcome(scheme, folds) for scheme, folds in by_scheme.items()]


def scheme_folds(
    volumes: VolumeSet, scheme: str, options: EmotionOptions, tools: Tools
) -> list[Fold]:
    """Return the folds of a scheme; raises ValueError where it is impossible."""
    return make_folds(
        scheme,
        volumes.codes,
        volumes.participants,
        volumes.runs,
        n_folds=options.folds.get(scheme),
        test_share=options.test_share,
        seed=tools.seed("folds", scheme),
    )


def run_fold(
    volumes: VolumeSet,
    fold: Fold,
    title: str,
    options: EmotionOptions,
    tools: Tools,
    folder: Path,
    keys: Sequence[str],
) -> FoldOutcome:
    """Train and test the network of one fold."""
    seed = int(tools.seed("network", *keys).generate_state(1)[0])
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
    batch = options.training.batch_size
    probabilities = predict_probabilities(
        network.model, volumes, fold.test, batch_size=batch, device=tools.device
    )
    features = pooled_features(
        network.model, volumes, fold.test, batch_size=batch, device=tools.device
    )
    baseline = None
    if options.baseline:
        baseline = baseline_probabilities(volumes, fold.train, fold.validation, fold.test, seed)
    share = float(np.mean(probabilities.argmax(axis=1) == volumes.codes[fold.test]))
    tools.tell(f"{title}: {len(network.history)} epochs, {100 * share:.0f} % of held-out volumes")
    return FoldOutcome(fold, network, probabilities, features, baseline)


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
